"""Labels that no LMDB of maps holds: of ImageData, HDF5Data and Datums; and swallowed classes."""

import numpy as np
import pytest
from pictures import save
from small_training import NET, SOLVER, write_lmdb

from fcnkit.errors import NetError
from fcnkit.training import databases_fit
from fcnkit.training.recipe import Options, recipe
from fcnkit.training.trainers import Caffe, Torch

HEAD = """layer { name: "score" type: "InnerProduct" bottom: "data" top: "score"
  inner_product_param { num_output: 11 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" EXTRA }
"""
IMAGES = """layer { name: "in" type: "ImageData" top: "data" top: "label"
  image_data_param { source: "list.txt" batch_size: 1 root_folder: "pictures/" } }
"""
HDF5 = """layer { name: "in" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param { source: "files.txt" batch_size: 1 } }
"""
DATUMS = """layer { name: "in" type: "Data" top: "data" top: "label"
  data_param { source: "lmdb" batch_size: 1 backend: LMDB } }
"""
MAPS = """layer { name: "in" type: "ImageData" top: "data" top: "none"
  image_data_param { source: "images.txt" batch_size: 1 } }
layer { name: "quiet" type: "Silence" bottom: "none" }
layer { name: "maps" type: "ImageData" top: "label" top: "number"
  image_data_param { source: "maps.txt" batch_size: 1 is_color: false } }
layer { name: "quiet2" type: "Silence" bottom: "number" }
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
  convolution_param { num_output: 11 kernel_size: 1 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
"""


def write_images(folder, label):
    for number in range(3):
        save(folder / "pictures" / f"{number}.png", np.zeros((2, 2, 3), np.uint8))
    (folder / "list.txt").write_text(f"0.png 0\n1.png {label}\n2.png {label}\n")


def write_hdf5(folder, label):
    h5py = pytest.importorskip("h5py")
    for name, values in (("a", [0, 1]), ("b", [2, label])):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["data"] = np.zeros((2, 3), np.float32)
            file["label"] = np.array(values, np.float32)
    (folder / "files.txt").write_text("a.h5\nb.h5\n")


def write_datums(folder, label):
    write_lmdb(folder / "lmdb", [np.full((3, 2, 2), 200, np.uint8)], data=bytes(12), label=label)


def write_maps(folder, label):
    for number in range(2):
        save(folder / f"{number}.png", np.zeros((2, 2, 3), np.uint8))
        save(folder / f"map{number}.png", np.array([[0, 1], [2, label * number]], np.uint8))
    (folder / "images.txt").write_text("0.png 0\n1.png 0\n")
    (folder / "maps.txt").write_text("map0.png 0\nmap1.png 0\n")


KINDS = [
    (IMAGES + HEAD, write_images, "list.txt:2: image 1.png: label {} at 2 pixels"),
    (HDF5 + HEAD, write_hdf5, 'b.h5: dataset "label", row 1: label {} at 1 pixel'),
    (DATUMS + HEAD, write_datums, "lmdb: entry '00000000': label {} at 1 pixel"),
    (
        MAPS,
        write_maps,
        "maps.txt:2: image map1.png: label {}",
    ),
]
BY_NAME = ["ImageData", "HDF5Data", "Datums", "maps"]


def made(folder, net, write, label, extra="", trainer=None):
    folder.mkdir(exist_ok=True)
    write(folder, label)
    (folder / "train_val.prototxt").write_text(net.replace("EXTRA", extra))
    (folder / "solver.prototxt").write_text(SOLVER.replace("test_iter: 3\ntest_interval: 30\n", ""))
    return recipe(folder, "run", Options(trainer=trainer or Caffe()))


@pytest.mark.parametrize("trainer", [Caffe(), Torch()], ids=["caffe", "torch"])
@pytest.mark.parametrize("net, write, place", KINDS, ids=BY_NAME)
def test_a_label_out_of_range_is_refused_before_the_start(tmp_path, net, write, place, trainer):
    databases_fit.check(made(tmp_path / "right", net, write, 10, trainer=trainer))
    with pytest.raises(NetError) as caught:
        databases_fit.check(made(tmp_path / "wrong", net, write, 11, trainer=trainer))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'wrong'}/{place.format(11)}")
    assert 'layer "loss" (' in message and "knows 0 to 10" in message
    assert message.endswith(
        "knows 0 to 10; correct the labels, or make the net with --classes 12, or with --ignore 11"
    )


@pytest.mark.parametrize("label, taken", [(2.5, 2), (-0.5, 0)])
def test_a_label_that_is_no_whole_number_is_said(tmp_path, label, taken):
    """Caffe cuts it towards 0, and so does the PyTorch trainer."""
    heard = []
    databases_fit.check(
        made(tmp_path / "a", HDF5 + HEAD, write_hdf5, label), on_warning=heard.append
    )
    (words,) = heard
    assert words.startswith(f'{tmp_path}/a/b.h5: dataset "label", row 1: a label is {label}, and ')
    assert words.endswith(f"reads it as {taken}; write labels as whole numbers")


@pytest.mark.parametrize("net, write", [each[:2] for each in KINDS[:3]], ids=BY_NAME[:3])
def test_what_the_loss_ignores_is_no_fault(tmp_path, net, write):
    databases_fit.check(
        made(tmp_path / "a", net, write_ignoring(write), 11, "loss_param { ignore_label: 11 }")
    )


def write_ignoring(write):
    """Datums have one label in all, which then would be ignored."""

    def both(folder, label):
        if write is write_datums:
            write_lmdb(folder / "lmdb", [np.zeros((3, 2, 2), np.uint8)], data=bytes(12), label=3)
        else:
            write(folder, label)
            if write is write_images:
                (folder / "list.txt").write_text(f"0.png 0\n1.png 1\n2.png {label}\n")

    return both


@pytest.mark.parametrize(
    "text, words",
    [
        ("0.png 0\n1.png\n", r'list.txt:2: "1.png" has no label at its end; write NAME NUMBER'),
        ("0.png x\n", r'list.txt:1: "0.png x" has no label at its end'),
        ("0.png -1\n", r"image 0.png: label -1 at 1 pixel.*, or make the net with --ignore -1$"),
    ],
)
def test_lines_without_a_label(tmp_path, text, words):
    run = made(tmp_path / "a", IMAGES + HEAD, write_images, 0)
    (tmp_path / "a" / "list.txt").write_text(text)
    with pytest.raises(NetError, match=words):
        databases_fit.check(run)


def test_what_cannot_be_read(tmp_path):
    run = made(tmp_path / "a", IMAGES + HEAD, write_images, 0)
    (tmp_path / "a" / "list.txt").unlink()
    with pytest.raises(NetError, match=r"list.txt: cannot be read: No such file"):
        databases_fit.check(run)
    run = made(tmp_path / "b", HDF5 + HEAD, write_hdf5, 0)
    (tmp_path / "b" / "b.h5").write_bytes(b"junk")
    with pytest.raises(NetError, match=r'b.h5: its dataset "label" cannot be read'):
        databases_fit.check(run)
    run = made(tmp_path / "c", HDF5 + HEAD, write_hdf5, float("nan"))
    with pytest.raises(NetError, match=r"row 1: a label is not a finite number"):
        databases_fit.check(run)


# ---- a class that is swallowed


def masks(folder, net, *values):
    folder.mkdir(exist_ok=True)
    label = np.resize(np.array(values, np.uint8), (1, 8, 8))
    for split in ("train", "val"):
        write_lmdb(folder / "data" / f"{split}_image_lmdb", [np.zeros((3, 8, 8), np.uint8)])
        write_lmdb(folder / "data" / f"{split}_label_lmdb", [label])
    (folder / "train_val.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(SOLVER)
    return recipe(folder, "run", Options(folder / "data"))


TWO = NET.replace("num_output: 3", "num_output: 2")
SWALLOWED = 'class 1 has no pixel, and 32 pixels of value 255 are ignored by layer "loss"'


def test_a_training_that_would_learn_nothing_is_refused(tmp_path):
    with pytest.raises(NetError) as caught:
        databases_fit.check(masks(tmp_path, TWO, 0, 255))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/data/train_label_lmdb: {SWALLOWED} (")
    assert message.endswith(
        "nothing would be learned; if 255 means class 1, give --map 0=0,255=1 to "
        "`fcnkit dataset create`, or give --one-class to train all the same"
    )
    heard = []
    databases_fit.check(masks(tmp_path / "b", TWO, 0, 255), on_warning=heard.append, one_class=True)
    assert heard and all("class 1 has no pixel" in each for each in heard)


@pytest.mark.parametrize("kind", ["HingeLoss", "MultinomialLogisticLoss"])
def test_losses_that_ignore_nothing_have_their_labels_looked_at(tmp_path, kind):
    net = IMAGES + HEAD.replace("SoftmaxWithLoss", kind)
    assert kind in net
    databases_fit.check(made(tmp_path / "right", net, write_images, 10))
    for label, more in ((11, ""), (255, "loss_param { ignore_label: 255 }")):
        with pytest.raises(NetError, match=f"label {label} at "):
            databases_fit.check(made(tmp_path / f"a{label}", net, write_images, label, more))


@pytest.mark.parametrize(
    "net, values, words",
    [
        (TWO, (0, 1, 255), []),
        (TWO, (0, 0), []),
        (NET, (0, 1, 255), ["class 2 has no pixel, and"]),
    ],
)
def test_a_class_that_is_nowhere_is_warned_of(tmp_path, net, values, words):
    heard = []
    databases_fit.check(masks(tmp_path, net, *values), on_warning=heard.append)
    for word in words:
        assert heard and all(word in each for each in heard)
    assert bool(heard) == bool(words)


def test_an_ignored_class(tmp_path):
    net = TWO.replace("ignore_label: 255", "ignore_label: 0")
    with pytest.raises(NetError, match=r"ignore a label that is not a class, such as 255, instead"):
        databases_fit.check(masks(tmp_path, net, 0, 1))


def test_255_that_nothing_ignores_is_offered_as_a_class(tmp_path):
    net = TWO.replace("ignore_label: 255", "")
    with pytest.raises(
        NetError, match=r"if 255 means class 1, give --map 0=0,255=1 to `fcnkit data"
    ):
        databases_fit.check(masks(tmp_path, net, 0, 255))
