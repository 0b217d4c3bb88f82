"""A net so small that its outputs are worked out by hand: whether an engine computes it rightly.

Of the image

    1 0 2 1
    0 3 1 0
    2 1 0 2
    1 0 1 3

the convolution by (1 -1; 2 0) less 2 makes (-1 2 1; -1 2 -1; 1 -1 -2), of which the ReLU leaves
(0 2 1; 0 2 0; 1 0 0).  The largest of each two by two, with a last window that is cut at the
border, as Caffe's are, are (2 1; 1 0).  By (1 2 3 4) and 0.5 that is 2 + 2 + 3 + 0 + 0.5 = 7.5,
and by (-1 0 1 2) and -0.5 it is -2 + 0 + 1 + 0 - 0.5 = -1.5.  A kernel that is turned over, a
pooling that rounds down, a missing ReLU or an order of axes that is not Caffe's shows: each makes
other numbers, and every number here is exact in float32.
"""

from fcnkit.engines.engine import Engine
from fcnkit.errors import FcnkitError, error_text
from fcnkit.formats.prototxt import parse
from fcnkit.weights import store

NET = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 1 dim: 4 dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 1 kernel_size: 2 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "score" type: "InnerProduct" bottom: "pool" top: "score"
  inner_product_param { num_output: 2 } }
"""
IMAGE = ((1, 0, 2, 1), (0, 3, 1, 0), (2, 1, 0, 2), (1, 0, 1, 3))
WEIGHTS = {
    "conv": (((((1, -1), (2, 0)),),), (-2,)),
    "score": (((1, 2, 3, 4), (-1, 0, 1, 2)), (0.5, -0.5)),
}
SCORES = (7.5, -1.5)


def fault(engine: Engine) -> str:
    """What is wrong with what the engine computes of the net; "" where nothing is."""
    import numpy as np

    weights = store.create()
    for name, blobs in WEIGHTS.items():
        weights = weights.put(name, [np.array(blob, np.float32) for blob in blobs])
    image = np.array([[IMAGE]], np.float32)
    try:
        (found,) = engine.run_all(parse(NET, "trial.prototxt"), weights, [{"data": image}])
    except FcnkitError as error:
        return str(error)
    except Exception as error:  # whatever a broken library may raise
        return f"{type(error).__name__}: {error_text(error)}"
    scores = tuple(np.ravel(found["score"]).tolist())
    if scores == SCORES:
        return ""
    return f"computes {_list(scores)} of a net whose scores are {_list(SCORES)}"


def _list(scores: tuple[float, ...]) -> str:
    return " and ".join(f"{score:.6g}" for score in scores)
