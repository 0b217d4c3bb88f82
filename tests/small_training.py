"""A net of one layer, its solver and its LMDBs:
each pixel's class is the brightest of its three channels.
"""

from pathlib import Path

import numpy as np

from fcnkit.formats import schema


def data_layer(blob: str, phase: str, source: str) -> str:
    scale = "transform_param { scale: 0.01 }" * (blob == "data")
    return f"""layer {{ name: "{blob}" type: "Data" top: "{blob}"
  include {{ phase: {phase} }} {scale}
  data_param {{ source: "{source}_lmdb" batch_size: 1 backend: LMDB }} }}
"""


NET = (
    "".join(
        data_layer(blob, phase, f"{short}_{kind}")
        for phase, short in (("TRAIN", "train"), ("TEST", "val"))
        for blob, kind in (("data", "image"), ("label", "label"))
    )
    + """layer { name: "score" type: "Convolution" bottom: "data" top: "score"
  convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
  loss_param { ignore_label: 255 normalize: true } }
layer { name: "accuracy" type: "Accuracy" bottom: "score" bottom: "label" top: "accuracy"
  include { phase: TEST } accuracy_param { ignore_label: 255 } }
"""
)
SOLVER = """# mine
net: "train_val.prototxt"
test_iter: 3
test_interval: 30
test_initialization: false
base_lr: 0.05
lr_policy: "fixed"
momentum: 0.9
weight_decay: 0.0005
iter_size: 2
max_iter: 90
display: 5
average_loss: 5
snapshot: 30
snapshot_prefix: "snapshot/fcn"
solver_mode: CPU
random_seed: 1
"""
# Two images an iteration: after three, Caffe is at the first image again.
IMAGES = 6


def write_lmdb(folder: Path, arrays, **fields) -> None:
    """An LMDB of Datums of these arrays, (channels, height, width)."""
    import lmdb

    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 22) as store, store.begin(write=True) as transaction:
        for number, array in enumerate(arrays):
            channels, height, width = array.shape
            datum = schema.message("Datum")(
                channels=channels,
                height=height,
                width=width,
                **(fields or {"data": array.tobytes()}),
            )
            transaction.put(b"%08d" % number, datum.SerializeToString())


def write_data(folder: Path, *, wrong: int | None = None) -> Path:
    """The four databases; with `wrong`, one pixel of the third label image has that label."""
    random = np.random.default_rng(0)
    for split, count in (("train", IMAGES), ("val", 3)):
        images = [random.integers(0, 256, (3, 8, 8), dtype=np.uint8) for _ in range(count)]
        labels = [image.argmax(0)[None].astype(np.uint8) for image in images]
        labels[0][0, 0, 0] = 255
        if wrong is not None:
            labels[2][0, 5, 5] = wrong
        write_lmdb(folder / f"{split}_image_lmdb", images)
        write_lmdb(folder / f"{split}_label_lmdb", labels)
    return folder


def write_net(folder: Path, *, net: str = NET, solver: str = SOLVER) -> Path:
    """The folder of a net to train, as `fcnkit fcn -o` writes it."""
    folder.mkdir(parents=True)
    (folder / "train_val.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(solver)
    return folder
