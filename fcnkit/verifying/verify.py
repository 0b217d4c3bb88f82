"""Compares what two nets compute: both run on one input, and their outputs are compared.

Noise stands in for data: equal nets are equal on any input.  What keeps to
bounds or picks hides differences (a Softmax gives 0 and 1 for scores far apart,
whatever else they are), so what it reads is compared as well, back to values that
nothing has bent.  Values that are all alike, all at a bound or all picks show
nothing.
"""

from collections.abc import Collection, Mapping
from typing import Any

from fcnkit.engines.engine import Job, choose
from fcnkit.engines.inputs import check_weights, input_arrays, known_size, nominal, other_arrays
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Graph, Top, build
from fcnkit.nets.layers.table import makes_probabilities
from fcnkit.nets.shapes import shapes_of
from fcnkit.verifying.compared import named_apart, pairs
from fcnkit.verifying.differences import Difference, compare
from fcnkit.verifying.unseen import Run, Runs, compared, learners, rows_of
from fcnkit.weights.store import GivenWeights

BATCH = 64
"""How many windows `slide` gives to the classifier at once."""


def verify(
    net: NetOrPath,
    weights: GivenWeights,
    new_net: NetOrPath,
    new_weights: GivenWeights = None,
    *,
    engine: str | None = None,
    device: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    tolerance: float = 1e-4,
    seed: int = 0,
) -> tuple[Difference, ...]:
    """Both nets have run on one input in the state TEST; a Difference per output.

        plan = fk.convolutionalize(net)
        fk.verify(net, old, plan.net, fk.transplant(plan, old))

    `net` has `weights`, and `new_net` has `new_weights`, the same where not given.
    What an output that keeps to bounds is made of comes before it.  Outputs are paired by name;
    where one of each is left over, those two.  (N, C) is compared with
    (N, C, 1, 1) value by value.
    `engine` is one of `installed_engines()`, the first of them when not given;
    `device`, such as "cpu" or "cuda", is for an engine that knows several.
    `inputs` gives arrays, or shapes for noise, by the old net's input names; the
    rest is `noise` of the size that the prototxt says, from `seed`.  Two outputs
    are equal where no difference is more than `tolerance` times how far the values of its
    channel usually are apart.

    The old net runs on a second input as well: what moves between the two and shows in no
    output is compared in its own place, and the last Difference says of which layers
    nothing shows (`unseen`).  `proven` of `fcnkit.verifying.differences` says whether all
    is equal and shown.

    Raises NetError when the outputs cannot be paired or have different counts,
    WeightsError when a layer has no weights, EngineError when the engine
    refuses a net.
    """
    net = given_net(net)
    new_net = given_net(new_net)
    runner = choose(engine, device)
    graph, new_graph = build(net), build(new_net)
    data = input_arrays(graph, inputs or {}, seed)
    other = other_arrays(graph, inputs or {}, data, seed)
    new_data = _renamed(graph, new_graph, data)
    new_weights = weights if new_weights is None else new_weights
    for each, own, arrays in ((graph, weights, data), (new_graph, new_weights, new_data)):
        check_weights(each, own, {name: array.shape for name, array in arrays.items()})

    def run(tops: Collection[Top], new_tops: Collection[Top]) -> Run:
        apart, names = named_apart(graph, tops)
        new_apart, new_names = named_apart(new_graph, new_tops)
        blobs, new_blobs = (list(dict.fromkeys(each.values())) for each in (names, new_names))
        jobs = [Job(apart, weights, each, blobs) for each in (data, other) if tops]
        new_jobs = [Job(new_apart, new_weights, new_data, new_blobs)] if new_tops else []
        # Both nets run on the same input first: a net may keep something of one for the next.
        found = runner.run_jobs([*jobs[:1], *new_jobs, *jobs[1:]])
        values, others = (found[0], found[-1]) if jobs else ({}, {})
        return Run(names, values, others, new_names, found[len(jobs[:1])] if new_jobs else {})

    learn = learners(graph, shapes_of(graph, {name: array.shape for name, array in data.items()}))
    found = compared(
        graph, new_graph, learn, pairs(graph, new_graph), Runs(run, (data, other)), tolerance
    )
    return tuple(rows_of(graph, new_graph, found, tolerance))


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

    runner = choose(engine)
    graph, fcn_graph = build(net), build(fcn_net)
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


def _renamed(graph: Graph, new_graph: Graph, data: Mapping[str, Any]) -> dict[str, Any]:
    """The same data under the new net's input names; a single input may have another name."""
    names = [top.blob for top in new_graph.inputs]
    if len(names) == len(data) == 1:
        return dict(zip(names, data.values(), strict=True))
    if set(names) != set(data):
        raise NetError(
            f"{new_graph.prototxt.path}: its inputs are {', '.join(names) or 'none'}, those of "
            f"{graph.prototxt.path} {', '.join(data)}; give nets with the same inputs"
        )
    return dict(data)


def _only_input(graph: Graph) -> list[str]:
    names = [top.blob for top in graph.inputs]
    if len(names) != 1:
        raise NetError(
            f"{graph.prototxt.path}: it has {len(names)} inputs; windows slide over exactly one"
        )
    return names


def before_softmax(graph: Graph, top: Top) -> Top | None:
    """What a Softmax that makes this output reads, where it can still be read after a run."""
    layer = graph.producer(top)
    if not makes_probabilities(layer) or graph.top(layer.bottoms[0].blob) != layer.bottoms[0]:
        return None
    return layer.bottoms[0]


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
