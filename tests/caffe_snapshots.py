"""What real Caffe saves while it trains: weights and solver states, in both of its formats."""

from pathlib import Path

from caffe_training import trained

NET = """
name: "tiny"
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 4 dim: 2 dim: 5 dim: 5 } shape { dim: 4 }
    data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
SOLVER = """
net: "net.prototxt"
base_lr: 0.1
lr_policy: "step"
stepsize: 2
gamma: 0.5
momentum: 0.9
snapshot: 3
snapshot_prefix: "snap"
snapshot_format: %s
random_seed: 7
"""


def snapshots(caffe, folder: Path, kind: str) -> tuple[Path, Path]:
    """The weights and the solver state after three iterations; `kind` is HDF5 or BINARYPROTO."""
    (folder / "net.prototxt").write_text(NET)
    (folder / "solver.prototxt").write_text(SOLVER % kind)
    trained("solver.prototxt", iterations=3, folder=folder, snapshot=True)
    end = ".h5" if kind == "HDF5" else ""
    return folder / f"snap_iter_3.caffemodel{end}", folder / f"snap_iter_3.solverstate{end}"
