"""Compares a classifier on every window of an image with the net that slides it by convolution."""

from collections.abc import Mapping
from typing import Any

from fcnkit.engines.engine import Job, choose
from fcnkit.engines.inputs import known_size, noise, nominal
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.coords import between
from fcnkit.nets.graph import Graph, build
from fcnkit.nets.shapes import shapes_of
from fcnkit.plural import number_of
from fcnkit.verifying.compared import pairs
from fcnkit.verifying.differences import Difference, compare
from fcnkit.weights.store import GivenWeights

BATCH = 64
"""How many windows `slide` gives to the classifier at once."""
# Steps of the window in each direction of a canvas whose size nobody says.
STEPS = 3


def slide(
    net: Prototxt,
    weights: GivenWeights,
    fcn_net: Prototxt,
    fcn_weights: GivenWeights,
    canvas: Any,
    *,
    stride: int,
    window: tuple[int, int] | None = None,
    engine: str | None = None,
    tolerance: float = 1e-4,
) -> Difference:
    """The FCN on a canvas, 1 x channels x height x width,
    against the classifier on every window of it.

    fcn(canvas)[0, :, i, j] = net(canvas[:, :, i s : i s + h, j s : j s + w]) for
    stride s and window h x w, which is the classifier's own input size when not
    given.  This holds for nets without padding where no pooling's last window is cut
    off at the border, as MTCNN's are: `convolutionalize` says which.  The scores
    before a Softmax are compared.  Where pooling's rounding up gives the FCN more
    rows or columns than there are whole windows, those are left out.

    Raises as `verify` does, and NetError when the canvas is smaller than the
    window or the FCN's output than the windows.
    """
    import numpy as np

    graph, fcn_graph = build(net), build(fcn_net)
    runner = choose(engine, nets=(graph.prototxt, fcn_graph.prototxt))
    old, new = next(pair for pair in pairs(graph, fcn_graph) if pair.sure)[:2]
    (name,), (fcn_name,) = _only_input(graph), _only_input(fcn_graph)
    canvas = np.asarray(canvas, np.float32)
    height, width = window or known_size(graph, name, nominal(graph)[name])[2:]
    windows = _windows(net, canvas, (height, width), stride)
    rows, columns = windows.shape[:2]
    windows = windows.reshape(-1, *windows.shape[2:])
    parts = [windows[at : at + BATCH] for at in range(0, len(windows), BATCH)]
    jobs = [Job(net, weights, {name: part}, [old.blob]) for part in parts]
    fcn_job = Job(fcn_net, fcn_weights, {fcn_name: canvas}, [new.blob])
    *each, whole = runner.run_jobs([*jobs, fcn_job])
    scores, found = np.concatenate([part[old.blob] for part in each]), whole[new.blob]
    expected = scores.reshape(rows, columns, -1).transpose(2, 0, 1)[None]
    if found.ndim != 4 or found.shape[2] < rows or found.shape[3] < columns:
        fact = f"{rows} x {columns} windows, but its {new.blob} is {found.shape}"
        raise NetError(f"{fcn_net.path}: {fact}; check the stride {stride} and the window")
    found = found[:, :, :rows, :columns]
    return compare(net, fcn_net, old.blob, expected, new.blob, found, tolerance)


def canvas_of(
    net: Prototxt, fcn_net: Prototxt, given: Mapping[str, Any], seed: int = 0
) -> tuple[Any, int]:
    """The canvas that `slide` takes, and by how many pixels the window moves.

    The canvas is what `given` says of the FCN's input, an array or the shape of noise;
    else noise of three steps more than the window.  The stride is that of the scores
    in the image.

    Raises NetError where the two nets' scores cannot be told, or lie at fractions of pixels.
    """
    import numpy as np

    graph, fcn_graph = build(net), build(fcn_net)
    (name,), (fcn_name,) = _only_input(graph), _only_input(fcn_graph)
    new = next(pair for pair in pairs(graph, fcn_graph) if pair.sure).new
    scores = shapes_of(fcn_graph).tops[new]
    if scores is not None and len(scores) != 4:
        fact = f'its scores "{new.blob}" have no height and width'
        raise NetError(f"{fcn_net.path}: {fact}; give the net that `fcnkit convolutionalize` wrote")
    steps = between(fcn_graph, new, fcn_graph.top(fcn_name)).scale
    if len(set(steps)) != 1 or steps[0].denominator != 1:
        shown = " x ".join(map(str, steps))
        fact = f"its scores are {shown} pixels apart"
        raise NetError(f"{fcn_net.path}: {fact}; windows slide by one whole number of pixels")
    stride = int(steps[0])
    value = given.get(fcn_name, given.get(name))
    if value is None or isinstance(value, (tuple, list)):
        channels, *window = known_size(graph, name, nominal(graph)[name])[1:]
        shape = value or (1, channels, *(side + STEPS * stride for side in window))
        value = noise(shape, seed)
    return np.asarray(value, np.float32), stride


def _only_input(graph: Graph) -> list[str]:
    names = [top.blob for top in graph.inputs]
    if len(names) != 1:
        raise NetError(
            f"{graph.prototxt.path}: it has {number_of(len(names), 'input')}; windows slide over "
            "exactly one"
        )
    return names


def _windows(net: Prototxt, canvas: Any, window: tuple[int, int], stride: int) -> Any:
    """Every whole window of the canvas: rows x columns x channels x height x width."""
    from numpy.lib.stride_tricks import sliding_window_view

    if (
        canvas.ndim != 4
        or len(canvas) != 1
        or canvas.shape[2] < window[0]
        or canvas.shape[3] < window[1]
    ):
        fact = f"the canvas is {canvas.shape}, the window {window[0]} x {window[1]}"
        raise NetError(
            f"{net.path}: {fact}; give one canvas, 1 x channels x height x width, that holds it"
        )
    views = sliding_window_view(canvas[0], window, (1, 2))[:, ::stride, ::stride]
    return views.transpose(1, 2, 0, 3, 4)
