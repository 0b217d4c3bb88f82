"""Everything that is wrong with a net, at its lines, without stopping at the first."""

import re
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeAlias

from fcnkit import expected
from fcnkit.errors import NetError, PrototxtError
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.formats.schema import View
from fcnkit.formats.signature import is_solver
from fcnkit.linting import checks, learning, pairs, solvers, stored, targets, training
from fcnkit.linting.findings import (
    ERROR,
    FILE_KINDS,
    NOTE,
    TEXT_KINDS,
    WARNING,
    Fault,
    Finding,
    Findings,
    Kind,
    faults,
    from_error,
    readable,
    text_findings,
)
from fcnkit.linting.messages import type_of
from fcnkit.linting.seen import Hit, Seen
from fcnkit.linting.unused import unused
from fcnkit.nets.graph import Elsewhere, Graph, Layer, State, build, states
from fcnkit.nets.layers.table import CAFFE, is_loss, of
from fcnkit.nets.shapes import Shapes, shapes_of
from fcnkit.plan import Offset
from fcnkit.rewrites.align import align
from fcnkit.shape import Shape
from fcnkit.targets.index import AnyTarget, NameOrPath
from fcnkit.targets.index import chosen as chosen_targets
from fcnkit.weights.matching import Match, match
from fcnkit.weights.store import Weights, WeightsOrPath
from fcnkit.weights.store import given as given_weights


class Check(NamedTuple):
    """A check, the name of what it finds, and how bad that is."""

    name: str
    level: str
    find: Callable[[Seen], Iterator[Hit]]


CHECKS = (
    Check("unknown-type", ERROR, checks.unknown_type),
    Check("fork-type", NOTE, checks.fork_type),
    Check("unread-param", WARNING, checks.unread_param),
    Check("uneven-list", ERROR, checks.uneven_list),
    Check("window", ERROR, checks.window),
    Check("empty-window", WARNING, checks.empty_window),
    Check("too-many-params", ERROR, checks.too_many_params),
    Check("batch-norm-rate", ERROR, checks.batch_norm_rate),
    Check("bilinear-group", WARNING, checks.bilinear_group),
    Check("bilinear-kernel", WARNING, checks.bilinear_kernel),
    Check("zero-deconvolution", WARNING, checks.zero_deconvolution),
    Check("unfilled-deconvolution", NOTE, checks.unfilled_deconvolution),
    Check("crop-offset", WARNING, checks.crop_offset),
    Check("crop-without-offset", WARNING, checks.crop_without_offset),
    Check("crop-channels", WARNING, checks.crop_channels),
    Check("fc-left-behind", WARNING, checks.fc_left_behind),
    Check("duplicate-name", WARNING, training.duplicate_name),
    Check("unread-top", WARNING, training.unread_top),
    Check("shared-memory", WARNING, training.shared_memory),
    Check("double-softmax", WARNING, training.double_softmax),
    Check("one-class", WARNING, training.one_class),
    Check("ignored-class", WARNING, training.ignored_class),
    Check("ignored-once", WARNING, training.ignored_once),
    Check("head-classes", WARNING, training.head_classes),
    Check("parted", WARNING, pairs.parted),
    Check("scaled-labels", WARNING, pairs.scaled_labels),
    Check("loss-rate", WARNING, training.loss_rate),
    Check("overwritten-gradient", WARNING, learning.overwritten),
    Check("overwritten-share", WARNING, learning.overwritten_share),
    Check("stays-zero", NOTE, learning.stays_zero),
    Check("unmeasured", NOTE, learning.unmeasured),
    Check("stored-statistics", WARNING, stored.statistics),
    Check("raw-weights", ERROR, stored.raw_weights),
    Check("untrained", WARNING, training.untrained),
    Check("weights-shape", ERROR, training.weights_shape),
    Check("shared-shape", ERROR, training.shared_shape),
)

KINDS = {
    **TEXT_KINDS,
    **FILE_KINDS,
    **targets.KINDS,
    **{
        check.name: Kind(check.level, " ".join((check.find.__doc__ or "").split()))
        for check in (*CHECKS, *solvers.CHECKS)
    },
}


@expected.checked
def lint(
    net: NetOrPath,
    weights: WeightsOrPath | None = None,
    solver: NetOrPath | None = None,
    inputs: Mapping[str, Shape] | None = None,
    *,
    phase: str | None = None,
    stages: Iterable[str] = (),
    states: Sequence[State] = (),
    target: NameOrPath | Sequence[NameOrPath] = (),
) -> Findings:
    """Finds all mistakes in the net, in the order of its lines.

    >>> net = fk.parse('layer { name: "a" type: "ReLU" bottom: "b" top: "a" }', "net.prototxt")
    >>> [(found.line, found.level) for found in fk.lint(net)]
    [(1, 'error')]
    >>> fk.lint("deploy.prototxt", target="ncnn")
    ()

    By default, every state that the rules of the net distinguish is checked. Files that the net
    names are not opened.

    - `net`: a Prototxt or its path; `weights` and `solver` are checked together with it.
    - `inputs`: shapes by blob name, instead of those in the file.
    - `phase`, `stages`: check only states with these; `states`: check only these states.
    - `target`: names of tool chains, or paths of files that describe them. What they refuse or
      misread is reported too.

    Returns a tuple of Findings; it is empty for a net without mistakes.

    Raises NetError for an input blob that does not exist, and TargetError for a target
    that does not exist.
    """
    net = given_net(net)
    solver = None if solver is None else solvers.given(solver)
    weights = None if weights is None else given_weights(weights)
    asked = chosen_targets(target)
    found = _net_findings(
        net,
        _Beside(weights, solvers.view_of(solver) if solver else None, dict(inputs or {}), asked),
        partial(_states, phase=phase, stages=tuple(stages), only=states),
        chosen=bool(phase or stages or states),
    )
    if solver is not None:
        found += solvers.findings(solver)
    paths = (net.path, solver.path if solver else "")
    return Findings(sorted(_once(found), key=lambda one: (paths.index(one.path), one.line)))


def _once(found: Iterable[Finding]) -> Iterable[Finding]:
    """Each finding once, though several states have it."""
    first: dict[tuple, Finding] = {}
    for one in found:
        first.setdefault(
            (one.name, one.path, one.line, re.sub(r" in state [^;]*", "", one.text)), one
        )
    return first.values()


class _Beside(NamedTuple):
    """What was given with the net."""

    weights: Weights | None
    solver: View | None
    inputs: dict[str, Shape]
    targets: tuple[AnyTarget, ...] = ()


def _net_findings(
    net: Prototxt, beside: _Beside, states_of: "_States", *, chosen: bool
) -> list[Finding]:
    if not net.root.all("layer", "layers", "input"):
        return _no_net(net)
    found = list(faults("NetParameter", net.root))
    try:
        more = _built_findings(readable(net, found), beside, states_of, chosen=chosen)
    except PrototxtError as error:
        # Wrong values that cannot be taken out one by one are all there is to see.
        more = [from_error("wrong-value", ERROR, net, error)]
    of_caffe = _not_of_a_fork_type(net, found)
    more += targets.words(beside.targets, net, of_caffe)
    spoiled = _spoiled(net, of_caffe)
    return text_findings(net, of_caffe) + [
        one for one in more if one.line not in spoiled or one.name not in _FOLLOW
    ]


def _not_of_a_fork_type(net: Prototxt, found: Iterable[Fault]) -> list[Fault]:
    """The faults but for a fork's messages in layers of a fork's type:
    of those the type is said.
    """
    theirs = {
        field.start
        for layer in net.root.all("layer", "layers")
        if type_of(layer) not in CAFFE
        for field in layer.fields or ()
    }
    return [
        fault for fault in found if fault.name != "fork-field" or fault.field.start not in theirs
    ]


# What a field that cannot be read makes of its layer.
_FOLLOW = ("shape", "window", "no-type")


def _spoiled(net: Prototxt, found: Iterable[Fault]) -> set[int]:
    """The lines of the layers of which a field cannot be read."""
    starts = sorted(fault.field.start for fault in found)
    layers = net.root.all("layer", "layers")
    return {
        layer.line for layer in layers if bisect(starts, layer.start) < bisect(starts, layer.stop)
    }


def _no_net(file: Prototxt) -> list[Finding]:
    if is_solver({field.name for field in file.fields}):
        fact = (
            "this is a solver, and only its own fields were checked; name its net, and this "
            "file with --solver"
        )
        return [_whole("a-solver", file, fact), *solvers.findings(file)]
    if file.fields and all(field.name == "item" for field in file.fields):
        return [
            _whole("a-label-map", file, "this is a label map, which is not checked; name a net")
        ]
    # A message whose name is near "layer" is one, misspelt.
    slips = [
        fault
        for fault in faults("NetParameter", file.root)
        if 'did you mean "layer' in str(fault.error)
    ]
    slips = [fault for fault in slips if fault.field.fields is not None]
    return [
        _whole("not-a-net", file, "it has no layers; name a net"),
        *text_findings(file, slips),
    ]


def _whole(name: str, file: Prototxt, text: str) -> Finding:
    return Finding(name, FILE_KINDS[name].level, file.path, 1, text)


class _Refused:
    """Hears what Caffe would refuse."""

    def __init__(self, net: Prototxt) -> None:
        self.net = net
        self.errors: list[NetError] = []
        self.findings: list[Finding] = []

    def __call__(self, name: str, error: NetError) -> None:
        self.errors.append(error)
        self.findings.append(from_error(name, FILE_KINDS[name].level, self.net, error))


def _built_findings(
    net: Prototxt, beside: _Beside, states_of: "_States", *, chosen: bool
) -> list[Finding]:
    """What is wrong with a net, every field of which can be read, in the states that are meant."""
    refused = _Refused(net)
    wanted = states_of(net, refused)
    if any(one.name == "v0" for one in refused.findings):
        return [one for one in refused.findings if one.name in ("v0", "two-formats")]
    built = [_build(net, state) for state in wanted]
    looked_at = built if chosen else _meant(built)
    graphs = [graph for graph, _ in looked_at]
    _check_inputs(graphs, beside.inputs)
    crops = any(of(layer).sized(layer) for graph in graphs for layer in graph.layers)
    offsets, trained = _offsets(net) if crops else {}, _trained(graphs)
    used = [graph for graph in graphs if graph.state.phase == "TEST"] or graphs
    looks: list[Seen] = []
    for graph, its in looked_at:
        seen = replace(_seen(graph, beside, its), offsets=offsets, trains=graph in trained)
        looks.append(seen)
        refused.findings += its.findings
        refused.findings += (_finding(check, hit) for check in CHECKS for hit in check.find(seen))
        if graph in used:
            refused.findings += targets.findings(beside.targets, graph, seen.shapes)
    return refused.findings + unused(net, looks)


# The states in which a net is looked at.
_States: TypeAlias = Callable[[Prototxt, _Refused], list[State]]


def _build(net: Prototxt, state: State) -> tuple[Graph, _Refused]:
    refused = _Refused(net)
    return build(net, state, refuse=refused), refused


def _seen(graph: Graph, beside: _Beside, refused: _Refused) -> Seen:
    inputs = {blob: shape for blob, shape in beside.inputs.items() if _has(graph, blob)}
    shapes = shapes_of(graph, inputs, refuse=refused)
    return Seen(graph, shapes, beside.weights, _match(graph, shapes, beside.weights), beside.solver)


def _match(graph: Graph, shapes: Shapes, weights: Weights | None) -> Match | None:
    with suppress(NetError):  # blobs that cannot be are already said
        return match(graph, graph, shapes, weights) if weights is not None else None
    return None


def _offsets(net: Prototxt) -> dict[str, Offset]:
    """What each Crop needs once those before it are right, by name; none where that cannot be."""
    with suppress(NetError):
        plan = align(net)
        if len(plan.offsets) == len({step.line for step in plan.steps}):
            return {offset.layer: offset for offset in plan.offsets}
    return {}


def _trained(graphs: Sequence[Graph]) -> list[Graph]:
    """The graphs with a loss to learn from: those of TRAIN where there are any."""
    losses = [graph for graph in graphs if any(map(is_loss, graph.layers))]
    return [graph for graph in losses if graph.state.phase == "TRAIN"] or losses


def _check_inputs(graphs: Sequence[Graph], inputs: Mapping[str, Shape]) -> None:
    for blob in inputs:
        if not any(_has(graph, blob) for graph in graphs):
            graphs[0].top(blob)


def _has(graph: Graph, blob: str) -> bool:
    return any(top.blob == blob for top in graph.tops)


def _states(
    net: Prototxt,
    refused: _Refused,
    *,
    phase: str | None,
    stages: tuple[str, ...],
    only: Sequence[State],
) -> list[State]:
    """Those that are asked for, else all that the rules mention."""
    if phase not in (None, "TEST", "TRAIN"):
        raise NetError(f'{net.path}: phase "{phase}": give TEST or TRAIN')
    if only:
        return [*only]
    if stages:
        return [State(each, 0, stages) for each in ([phase] if phase else ["TRAIN", "TEST"])]
    every = states(net, refuse=refused)
    if phase is None:
        return [*every]
    return [state for state in every if state.phase == phase] or [State(phase)]


def _meant(built: Sequence[tuple[Graph, _Refused]]) -> list[tuple[Graph, _Refused]]:
    """The states whose data is there: a file may be for one phase only."""
    whole = [
        each for each in built if not any(isinstance(error, Elsewhere) for error in each[1].errors)
    ]
    # A phase that has its data in some stage is meant in that stage.
    phases = {graph.state.phase for graph, _ in whole}
    torn = [each for each in built if each[0].state.phase not in phases and _says_so(*each)]
    fewest = min(built, key=lambda each: len(each[1].errors))
    return whole + torn or [fewest]


def _says_so(graph: Graph, refused: _Refused) -> bool:
    """Whether a layer that lacks its bottom is there for this phase by name."""
    found = zip(refused.findings, refused.errors, strict=True)
    lines = {one.line for one, error in found if isinstance(error, Elsewhere)}
    lacking = (layer for layer in graph.layers if layer.line in lines)
    return not graph.state.stages and any(_names(layer, graph.state.phase) for layer in lacking)


def _names(layer: Layer, phase: str) -> bool:
    rules = layer.view.views("include")
    return any(
        rule.has("phase") and rule.get("phase") == phase and not rule.has("stage") for rule in rules
    )


def _finding(check: Check, hit: Hit) -> Finding:
    field = hit.field or hit.layer.field
    text = (
        hit.text
        if field.source is not hit.layer.field.source
        else f'layer "{hit.layer.name}": {hit.text}'
    )
    return Finding(check.name, check.level, field.source.path, field.line, text)
