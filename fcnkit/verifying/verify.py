"""Compares what two nets compute: both run on one input, and their outputs are compared.

Noise stands in for data: equal nets are equal on any input.  What keeps to
bounds or picks hides differences (a Softmax gives 0 and 1 for scores far apart,
whatever else they are), so what it reads is compared as well, back to values that
nothing has bent.  Values that are all alike, all at a bound or all picks show
nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from fcnkit import expected
from fcnkit.engines.engine import Engine, Job, choose
from fcnkit.engines.inputs import check_weights, input_arrays, nominal, other_arrays
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Graph, Top, build
from fcnkit.nets.layers.table import makes_probabilities, of, trait
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import shapes_of
from fcnkit.plural import number_of
from fcnkit.verifying.compared import Pair, named_apart, pairs
from fcnkit.verifying.differences import Difference
from fcnkit.verifying.results import Differences, Made, given_words
from fcnkit.verifying.unseen import Run, Runs, compared, leads_to, learners, rows_of
from fcnkit.weights.store import GivenWeights


@expected.checked
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
) -> Differences:
    """Runs two nets on the same input in the phase TEST, and compares their outputs.

    >>> plan = fk.convolutionalize("deploy.prototxt")
    >>> weights = fk.transplant(plan, "net.caffemodel")
    >>> found = fk.verify("deploy.prototxt", "net.caffemodel", plan.net, weights)
    >>> [(row.output, row.ok) for row in found]
    [('ip2', True), ('prob', True)]

    Outputs are paired by name; if one of each net is left over, these two are paired. (N, C) is
    compared with (N, C, 1, 1) value by value. Two outputs are equal if no difference is larger
    than `tolerance` times the usual distance between values of the same channel. If an output
    is bounded, such as that of a Softmax, the blobs from which it is computed are compared
    first, in rows of their own.

    The old net also runs on a second input. A blob that changes between the two inputs, but has
    no effect on any output, is compared itself. The last Difference names the layers that have
    no effect anywhere (`unseen`).

    - `net`, `weights`: the old net and its weights, or their paths.
    - `new_net`, `new_weights`: the new net and its weights. Without `new_weights`, both nets
      use `weights`.
    - `engine`: one of `installed_engines()`; by default the first.
    - `device`: such as "cpu" or "cuda", for an engine with several devices.
    - `inputs`: arrays, or shapes for random input, by the old net's blob names. All other
      inputs are random, of the size that the prototxt says.
    - `tolerance`: the largest relative difference that counts as equal.
    - `seed`: the seed of the random input.

    Returns Differences, a tuple with a Difference for each output; its `proven` is True if all
    outputs are equal and every layer has an effect.

    Raises NetError if the outputs cannot be paired or hold different numbers of values,
    WeightsError if a layer has no weights, EngineError if the engine refuses a net.
    """
    net, new_net = given_net(net), given_net(new_net)
    old = Side(build(net), weights)
    new = Side(build(new_net), weights if new_weights is None else new_weights)
    data = input_arrays(old.graph, inputs or {}, seed)
    other = other_arrays(old.graph, inputs or {}, data, seed)
    fed = Fed(data, other, renamed_inputs(old.graph, new.graph, data))
    _check_channels(old.graph, new.graph, fed)
    every = pairs(old.graph, new.graph)
    runner = choose(engine, device, nets=(old.graph.prototxt, new.graph.prototxt))
    found = compare_sides(old, new, fed, every, runner, tolerance)
    read = net, weights, new_net, new_weights
    return Differences.of(found, Made.by(runner, given_words(inputs or {}, seed), tolerance, *read))


class Side(NamedTuple):
    """One of two nets that are compared, and its weights.

    `chosen` are the channels of some of its tops that are compared, in this order.
    """

    graph: Graph
    weights: GivenWeights
    chosen: Mapping[Top, Sequence[int]] = {}

    def job(self, apart: Prototxt, data: Mapping[str, Any], names: Mapping[Top, str]) -> Job:
        """A run of the net, its tops named apart, that reads these."""
        return Job(apart, self.weights, data, list(dict.fromkeys(names.values())))

    def values(self, names: Mapping[Top, str], found: Mapping[str, Any]) -> dict[str, Any]:
        """What a run has found, of some tops the chosen channels alone."""
        picked = {names[top]: list(rows) for top, rows in self.chosen.items() if top in names}
        return {
            name: array[:, picked[name]] if name in picked else array
            for name, array in found.items()
        }


class Fed(NamedTuple):
    """What two nets are given, by their inputs: the old one `data`, and `other` to see what
    moves; the new one what answers to `data`.
    """

    data: Mapping[str, Any]
    other: Mapping[str, Any]
    new: Mapping[str, Any]


def compare_sides(
    old: Side,
    new: Side,
    fed: Fed,
    every: Sequence[Pair],
    runner: Engine,
    tolerance: float,
    ends: Collection[Top] | None = None,
) -> tuple[Difference, ...]:
    """Both nets have run; a Difference for each of these pairs, and of what they do not show.

    Of the old net that is asked which has a part in the tops `ends`; all of it where None.
    """
    for side, arrays in ((old, fed.data), (new, fed.new)):
        check_weights(
            side.graph, side.weights, {name: array.shape for name, array in arrays.items()}
        )

    judged = {graph: _not_counted(graph) for graph in (old.graph, new.graph)}
    every, left_out = _without(every, judged[old.graph] | judged[new.graph])

    def run(tops: Collection[Top], new_tops: Collection[Top]) -> Run:
        apart, names = named_apart(old.graph, [top for top in tops if top not in judged[old.graph]])
        new_tops = [top for top in new_tops if top not in judged[new.graph]]
        new_apart, new_names = named_apart(new.graph, new_tops)
        jobs = [old.job(apart, each, names) for each in (fed.data, fed.other) if tops]
        new_jobs = [new.job(new_apart, fed.new, new_names)] if new_tops else []
        # Both nets run on the same input first: a net may keep something of one for the next.
        found = runner.run_jobs([*jobs[:1], *new_jobs, *jobs[1:]])
        values, others = (found[0], found[-1]) if jobs else ({}, {})
        made = new.values(new_names, found[len(jobs[:1])]) if new_jobs else {}
        return Run(names, old.values(names, values), old.values(names, others), new_names, made)

    shapes = shapes_of(old.graph, {name: array.shape for name, array in fed.data.items()})
    learn = learners(old.graph, shapes)
    if ends is not None:
        counts = leads_to(old.graph, ends)
        learn = [layer for layer in learn if layer.index in counts]
    runs = Runs(run, (fed.data, fed.other))
    found = compared(old.graph, new.graph, learn, every, runs, tolerance)
    *rows, last = rows_of(old.graph, new.graph, found, tolerance)
    return (*rows, last._replace(left_out=left_out))


def _not_counted(graph: Graph) -> set[Top]:
    """The tops of what decides on the scores and makes as many rows as it finds, such as the boxes
    of a DetectionOutput: what it reads is compared, as two that are near may change their places.
    """
    judges = [layer for layer in graph.layers if trait(layer) is Trait.JUDGE]
    return {top for layer in judges if of(layer).unknown for top in layer.tops}


def _without(every: Sequence[Pair], judged: Collection[Top]) -> tuple[list[Pair], tuple[str, ...]]:
    """The pairs of which both tops are computed, and the names of the others where all of them
    have something among these that they are made of.
    """
    left = [pair for pair in every if pair.old in judged or pair.new in judged]
    kept = [pair for pair in every if pair not in left]
    read = {top for pair in kept for top in pair.ends}
    if not all(pair.old in read for pair in left):
        return list(every), ()
    return kept, tuple(pair.old.blob for pair in left)


def renamed_inputs(graph: Graph, new_graph: Graph, data: Mapping[str, Any]) -> dict[str, Any]:
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


def _check_channels(graph: Graph, new_graph: Graph, fed: Fed) -> None:
    """NetError where the nets' files give an input different channels, and the user none."""
    own, said = renamed_inputs(graph, new_graph, nominal(graph)), nominal(new_graph)
    for blob, array in fed.new.items():
        old, new = own.get(blob), said.get(blob)
        if old and new and len(old) == len(new) == 4 and new[1] != old[1] == array.shape[1]:
            raise NetError(
                f'{new_graph.prototxt.path}: its input "{blob}" has '
                f"{number_of(new[1], 'channel')}, but that of {graph.prototxt.path} has {old[1]}; "
                "verify gives both nets the same input: name two nets that take the same"
            )


def before_softmax(graph: Graph, top: Top) -> Top | None:
    """What a Softmax that makes this output reads, where it can still be read after a run."""
    layer = graph.producer(top)
    if not makes_probabilities(layer) or graph.top(layer.bottoms[0].blob) != layer.bottoms[0]:
        return None
    return layer.bottoms[0]
