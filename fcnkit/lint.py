"""Everything that is wrong with a net, at its lines, without stopping at the first."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from fcnkit import checks, checks_training
from fcnkit.errors import NetError, PrototxtError
from fcnkit.findings import ERROR, NOTE, TEXT_KINDS, WARNING, Finding, Kind, faults, from_error, readable, text_findings
from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.schema import View
from fcnkit.nets.graph import Elsewhere, Graph, State, build, states
from fcnkit.nets.shapes import Shape, Shapes, infer
from fcnkit.seen import Hit, Seen
from fcnkit.weights.matching import Match, match
from fcnkit.weights.store import Weights


class Check(NamedTuple):
    """A check, the name of what it finds, and how bad that is."""

    name: str
    level: str
    find: Callable[[Seen], Iterator[Hit]]


CHECKS = (
    Check("unknown-type", ERROR, checks.unknown_type),
    Check("fork-type", NOTE, checks.fork_type),
    Check("window", ERROR, checks.window),
    Check("too-many-params", ERROR, checks.too_many_params),
    Check("batch-norm-rate", ERROR, checks.batch_norm_rate),
    Check("bilinear-group", WARNING, checks.bilinear_group),
    Check("bilinear-kernel", WARNING, checks.bilinear_kernel),
    Check("zero-deconvolution", WARNING, checks.zero_deconvolution),
    Check("crop-offset", WARNING, checks.crop_offset),
    Check("crop-without-offset", WARNING, checks.crop_without_offset),
    Check("crop-channels", WARNING, checks.crop_channels),
    Check("fc-left-behind", WARNING, checks.fc_left_behind),
    Check("duplicate-name", WARNING, checks_training.duplicate_name),
    Check("unread-top", WARNING, checks_training.unread_top),
    Check("double-softmax", WARNING, checks_training.double_softmax),
    Check("ignored-class", WARNING, checks_training.ignored_class),
    Check("ignored-once", WARNING, checks_training.ignored_once),
    Check("head-classes", WARNING, checks_training.head_classes),
    Check("loss-rate", WARNING, checks_training.loss_rate),
    Check("untrained", WARNING, checks_training.untrained),
    Check("weights-shape", ERROR, checks_training.weights_shape),
)

# What `build` and `infer` refuse, and what concerns the file as a whole.
FILE_KINDS = {
    "not-a-net": Kind(WARNING, "a file without a layer"),
    "a-solver": Kind(NOTE, "a solver in place of a net"),
    "v0": Kind(NOTE, "the format of 2013, of which only the words are looked at"),
    "two-formats": Kind(ERROR, "`layer` and `layers` in one file"),
    "no-type": Kind(ERROR, "a layer without a type"),
    "include-and-exclude": Kind(ERROR, "a layer with both kinds of rules"),
    "undefined-bottom": Kind(ERROR, "a bottom that no earlier layer makes"),
    "duplicate-top": Kind(ERROR, "a top that another layer makes already"),
    "in-place": Kind(ERROR, "a layer that works in place on what another reads"),
    "shape": Kind(ERROR, "sizes, or numbers of bottoms and tops, that cannot be"),
    "unused-weights": Kind(WARNING, "weights of a layer that the net does not have"),
    "solver": Kind(ERROR, "a solver's values that Caffe refuses"),
}

KINDS = {
    **TEXT_KINDS,
    **FILE_KINDS,
    **{check.name: Kind(check.level, check.find.__doc__ or "") for check in CHECKS},
}


def lint(
    net: Prototxt,
    weights: Weights | None = None,
    solver: Prototxt | None = None,
    inputs: Mapping[str, Shape] | None = None,
    *,
    phase: str | None = None,
    stages: Iterable[str] = (),
) -> tuple[Finding, ...]:
    """Everything that is wrong with the net, in the order of its lines; () for a clean one.

    It is looked at in every state that its rules mean, or in those of `phase`
    and `stages`.  `weights` and `solver` are checked with it, `inputs` gives
    shapes by blob name.  Nothing that a file names is opened.

    Raises NetError for an input blob that there is not.
    """
    found = _net_findings(net, weights, solver, dict(inputs or {}), phase, tuple(stages))
    if solver is not None:
        found += text_findings("SolverParameter", solver)
    paths = (net.path, solver.path if solver else "")
    return tuple(sorted(dict.fromkeys(found), key=lambda one: (paths.index(one.path), one.line)))


def _net_findings(net, weights, solver, inputs, phase, stages) -> list[Finding]:
    if not net.root.all("layer", "layers", "input"):
        return _no_net(net)
    found = text_findings("NetParameter", net)
    try:
        known = _Known(_readable("NetParameter", net), weights, solver, inputs)
        return found + known.findings(phase, stages)
    except PrototxtError as error:
        # Wrong values that cannot be taken out one by one are all there is to see.
        more = from_error("wrong-value", ERROR, net, error)
        return found if more in found else [*found, more]


def _no_net(file: Prototxt) -> list[Finding]:
    if any(field.name in _SOLVER_FIELDS for field in file.root.fields):
        fact = "this is a solver: only its own words were looked at; name its net, and this with --solver"
        return [_whole("a-solver", file, fact), *text_findings("SolverParameter", file)]
    return [_whole("not-a-net", file, "there is no layer in it; name a net")]


_SOLVER_FIELDS = ("base_lr", "lr_policy", "net", "train_net", "net_param", "train_net_param")


def _readable(message: str, file: Prototxt) -> Prototxt:
    return readable(file, faults(message, file.root))


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


@dataclass(frozen=True)
class _Known:
    """A net whose every field can be read, and what was given with it."""

    net: Prototxt
    weights: Weights | None
    solver: Prototxt | None
    inputs: dict[str, Shape]

    def findings(self, phase: str | None, stages: tuple[str, ...]) -> list[Finding]:
        """What is wrong in the states that are meant."""
        refused = _Refused(self.net)
        wanted = _states(self.net, phase, stages, refused)
        found = refused.findings
        if any(one.name == "v0" for one in found):
            return [one for one in found if one.name in ("v0", "two-formats")]
        built = [self._build(state) for state in wanted]
        graphs = built if phase or stages else _meant(built)
        self._check_inputs([graph for graph, _ in graphs])
        for graph, refused in graphs:
            found += self._state_findings(graph, refused)
        return found + self._unused([graph for graph, _ in graphs])

    def _build(self, state: State) -> tuple[Graph, _Refused]:
        refused = _Refused(self.net)
        return build(self.net, state, refuse=refused), refused

    def _state_findings(self, graph: Graph, refused: _Refused) -> list[Finding]:
        inputs = {blob: shape for blob, shape in self.inputs.items() if _has(graph, blob)}
        shapes = infer(graph, inputs, refuse=refused)
        seen = Seen(graph, shapes, self.weights, self._match(graph, shapes), self._solver_view())
        return refused.findings + [_finding(check, hit) for check in CHECKS for hit in check.find(seen)]

    def _match(self, graph: Graph, shapes: Shapes) -> Match | None:
        with suppress(NetError):  # blobs that cannot be are already said
            return match(graph, graph, shapes, self.weights) if self.weights is not None else None
        return None

    def _solver_view(self) -> View | None:
        return self.solver and View("SolverParameter", _readable("SolverParameter", self.solver).root)

    def _check_inputs(self, graphs: Sequence[Graph]) -> None:
        for blob in self.inputs:
            if not any(_has(graph, blob) for graph in graphs):
                graphs[0].top(blob)

    def _unused(self, graphs: Sequence[Graph]) -> list[Finding]:
        """The layers of the weights that no state of the net has."""
        taken = {layer.name for graph in graphs for layer in graph.layers}
        spare = [name for name, blobs in (self.weights or {}).items() if blobs and name not in taken]
        if spare:
            text = f"{self.weights.path} has weights for {_listed(spare)}, which the net does not have"
            return [
                _whole("unused-weights", self.net, f"{text}; rename the layers that are meant to have them")
            ]
        return []


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown


def _has(graph: Graph, blob: str) -> bool:
    return any(top.blob == blob for top in graph.tops)


def _states(net: Prototxt, phase: str | None, stages: tuple[str, ...], refused: _Refused) -> list[State]:
    """Those that are asked for, else all that the rules mention."""
    if stages:
        return [State(each, 0, stages) for each in ([phase] if phase else ["TRAIN", "TEST"])]
    every = states(net, refuse=refused)
    return [state for state in every if phase in (None, state.phase)] or [State(phase)]


def _meant(built: Sequence[tuple[Graph, _Refused]]) -> list[tuple[Graph, _Refused]]:
    """The states whose data is there: a file may be for one phase only."""
    whole = [each for each in built if not any(isinstance(error, Elsewhere) for error in each[1].errors)]
    torn = [each for each in built if each not in whole and _says_so(*each)]
    fewest = min(built, key=lambda each: len(each[1].errors))
    return whole + torn or [fewest]


def _says_so(graph: Graph, refused: _Refused) -> bool:
    """Whether a layer that lacks its bottom is there for this phase by name."""
    lines = {one.line for one, error in zip(refused.findings, refused.errors, strict=True)
             if isinstance(error, Elsewhere)}  # fmt: skip
    return not graph.state.stages and any(
        layer.line in lines and any(rule.get("phase") == graph.state.phase for rule in layer.view.views("include")
                                    if rule.has("phase") and not rule.has("stage"))
        for layer in graph.layers
    )  # fmt: skip


def _finding(check: Check, hit: Hit) -> Finding:
    field = hit.field or hit.layer.field
    text = hit.text if field.source is not hit.layer.field.source else f'layer "{hit.layer.name}": {hit.text}'
    return Finding(check.name, check.level, field.source.path, field.line, text)
