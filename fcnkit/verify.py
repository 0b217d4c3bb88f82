"""Compares what two nets compute: both run on one input, and their outputs are compared.

Noise stands in for data: equal nets are equal on any input.  What keeps to
bounds or picks hides differences (a Softmax gives 0 and 1 for scores far apart,
whatever else they are), so what it is made of is compared as well: the values
before the end of the net, back to the last ones that nothing has bent.  Values
that are all zero, all at a bound or all picks show nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import Any, NamedTuple

from fcnkit.errors import NetError
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Graph, Top, build
from fcnkit.nets.layers.table import makes_probabilities, of, sized_by
from fcnkit.nets.layers.traits import Trait
from fcnkit.shape import Shape
from fcnkit.weights.store import GivenWeights

BATCH = 64
"""How many windows `slide` gives to the classifier at once."""


class Difference(NamedTuple):
    """How far one output of the new net is from the old net's.

    `absolute` is the largest absolute difference, `largest` the largest
    magnitude among the old net's values, `relative` absolute / largest, `low`
    and `high` the range of the old net's values.  `end` is the output of the old
    net that is made of these, `hidden` why the values could hide a difference.
    """

    output: str
    new_output: str
    shape: Shape
    new_shape: Shape
    absolute: float
    relative: float
    largest: float
    tolerance: float
    low: float = -inf
    high: float = inf
    end: str = ""
    hidden: str = ""

    @property
    def ok(self) -> bool:
        """Whether the relative difference is within the tolerance; what is not finite is not."""
        return self.relative <= self.tolerance

    @property
    def shows(self) -> bool:
        """Whether the values could have told two nets apart."""
        return not self.hidden and not self.largest == self.absolute == 0

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        name = (
            self.output if self.output == self.new_output else f"{self.output} -> {self.new_output}"
        )
        verdict = "equal" if self.ok else "DIFFERENT"
        if self.ok and not self.shows:
            verdict = f"equal, but {self.hidden or 'all zero'}: this shows nothing"
        shape = " x ".join(map(str, self.new_shape))
        return (
            f"{name}: {verdict}; max |difference| {self.absolute:.3g} over {shape} values up to "
            f"{self.largest:.3g}, relative {self.relative:.2g} (tolerance {self.tolerance:g})"
        )


def unproven(found: Iterable[Difference]) -> list[Difference]:
    """The outputs of which nothing was compared that would show a difference."""
    rows = list(found)
    shown = {row.end or row.output for row in rows if row.shows}
    return [row for row in rows if (row.end or row.output) not in shown]


def proven(found: Iterable[Difference]) -> bool:
    """Whether nothing differs, and of every output something was compared that shows it."""
    rows = list(found)
    return all(row.ok for row in rows) and not unproven(rows)


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
    are equal where no difference is more than `tolerance` times the largest value.

    Raises NetError when the outputs cannot be paired or have different counts,
    WeightsError when a layer has no weights, EngineError when the engine
    refuses a net.
    """
    # Every command imports this module with fcnkit, and most run no net.
    net = given_net(net)
    new_net = given_net(new_net)
    from fcnkit.engines.engine import Job, choose
    from fcnkit.engines.inputs import check_weights, input_arrays

    runner = choose(engine, device)
    graph, new_graph = build(net), build(new_net)
    data = input_arrays(graph, inputs or {}, seed)
    new_data = _renamed(graph, new_graph, data)
    pairs = list(_pairs(graph, new_graph))
    new_weights = weights if new_weights is None else new_weights
    for each, own, arrays in ((graph, weights, data), (new_graph, new_weights, new_data)):
        check_weights(each, own, {name: array.shape for name, array in arrays.items()})
    job = Job(net, weights, data, _blobs(old for _, old, _ in pairs))
    new_job = Job(new_net, new_weights, new_data, _blobs(new for _, _, new in pairs))
    found, new_found = runner.run_jobs([job, new_job])
    rows = []
    for end, old, new in pairs:
        values = found[old.blob], new_found[new.blob]
        row = compare(net, new_net, old.blob, values[0], new.blob, values[1], tolerance)
        rows.append(judged(row, graph, old, values[0], end.blob))
    return tuple(rows)


def _blobs(tops: Iterable[Top]) -> list[str]:
    return list(dict.fromkeys(top.blob for top in tops))


# So near a bound a value tells nothing: of 1, or of the range.
_NEAR = 1e-3


def judged(row: Difference, graph: Graph, top: Top, values: Any, end: str) -> Difference:
    """The comparison, for the output `end`, with what the layer that made the values may hide."""
    layer = graph.producer(top)
    while of(layer).trait is Trait.ARRANGES:
        layer = graph.producer(layer.bottoms[0])
    kind = of(layer)
    low, high = kind.range(layer)
    hidden = ""
    if kind.trait is Trait.JUDGE:
        hidden = f"picked by {layer.type}"
    elif kind.saturates(layer):
        margin = _NEAR * (high - low)
        inside = ((values > low + margin) & (values < high - margin)).any()
        hidden = "" if inside else f"all at its bounds {low:g} and {high:g}"
    return row._replace(end=end, hidden=hidden)


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
    given.  This holds for nets without padding; the scores before a Softmax
    are compared.  Where pooling's rounding up gives the FCN more rows or
    columns than there are whole windows, those are left out.

    Raises as `verify` does, and NetError when the canvas is smaller than the
    window or the FCN's output than the windows.
    """
    import numpy as np

    from fcnkit.engines.engine import Job, choose
    from fcnkit.engines.inputs import known_size, nominal

    runner = choose(engine)
    graph, fcn_graph = build(net), build(fcn_net)
    _, old, new = next(_pairs(graph, fcn_graph))
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


def _pairs(graph: Graph, new_graph: Graph) -> Iterator[tuple[Top, Top, Top]]:
    """Each output of the old net, and the tops to compare for it:
    what it is made of first, then itself.
    """
    for old, new in _outputs(graph, new_graph):
        made, new_made = unbent(graph, old), unbent(new_graph, new)
        if len(made) == len(new_made):
            yield from ((old, one, other) for one, other in zip(made, new_made, strict=True))
        elif len(made) + len(new_made) == 1:  # one of the two nets has not what bends the scores
            yield old, (made or [old])[0], (new_made or [new])[0]
            continue
        yield old, old, new


def _outputs(graph: Graph, new_graph: Graph) -> list[tuple[Top, Top]]:
    """The outputs of both nets, by name; the one that is left of each belong together."""
    old = {top.blob: top for top in graph.outputs if top not in graph.inputs}
    new = {top.blob: top for top in new_graph.outputs if top not in new_graph.inputs}
    pairs = [(top, new[blob]) for blob, top in old.items() if blob in new]
    left = [top for blob, top in old.items() if blob not in new]
    new_left = [top for blob, top in new.items() if blob not in old]
    if len(left) == len(new_left) == 1:
        return [*pairs, (left[0], new_left[0])]
    if left or not pairs:
        names = ", ".join(top.blob for top in left) or "any"
        raise NetError(
            f"{new_graph.prototxt.path}: no output answers to {names} of {graph.prototxt.path}; "
            f"its outputs are {', '.join(new) or 'none'}; give outputs of one meaning one name"
        )
    return pairs


def before_softmax(graph: Graph, top: Top) -> Top | None:
    """What a Softmax that makes this output reads, where it can still be read after a run."""
    layer = graph.producer(top)
    if not makes_probabilities(layer) or graph.top(layer.bottoms[0].blob) != layer.bottoms[0]:
        return None
    return layer.bottoms[0]


# Through these an output is followed back: each of its values is one of theirs, or made of some.
_LAYERWISE = (Trait.VALUE, Trait.CHANNEL, Trait.NORMAL, Trait.ARRANGES, Trait.JUDGE)


def unbent(graph: Graph, top: Top) -> list[Top]:
    """What an output is made of before anything keeps it to bounds, or picks.

    From the output back through layers that act on values or arrange them, the
    blobs that the first such bend reads; none where nothing is bent, or where they
    cannot be read after a run.
    """
    todo: list[tuple[Top, Top | None]] = [(top, None)]
    found: dict[Top, None] = {}
    while todo:
        top, best = todo.pop()
        layer = graph.producer(top)
        if of(layer).trait not in _LAYERWISE or not layer.bottoms:
            if best is not None and graph.top(best.blob) == best:
                found[best] = None
            continue
        bends = of(layer).saturates(layer) or of(layer).trait is Trait.JUDGE
        sizes = sized_by(layer)
        todo += [(each, each if bends else best) for each in layer.bottoms if each not in sizes]
    return list(found)


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


def compare(
    net: Prototxt, new_net: Prototxt, name: str, old: Any, new_name: str, new: Any, tolerance: float
) -> Difference:
    """How far the array `new` is from `old`; NetError where they have different counts."""
    import numpy as np

    if old.size != new.size or old.shape[:1] != new.shape[:1]:
        raise NetError(
            f"{new_net.path}: {new_name} is {new.shape}, {name} of {net.path} {old.shape}; "
            "give an input on which both have the same number of values"
        )
    reference = old.ravel().astype(np.float64)
    absolute = float(np.abs(new.ravel() - reference).max())
    largest = float(np.abs(reference).max())
    relative = absolute / largest if largest else float("inf") if absolute else 0.0
    low, high = float(reference.min()), float(reference.max())
    return Difference(
        name, new_name, old.shape, new.shape, absolute, relative, largest, tolerance, low, high
    )
