"""A net made to fit a target: what mends a finding is done, and the target asked again."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from fcnkit import expected
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Graph
from fcnkit.nets.layers.table import is_loss, of
from fcnkit.nets.layers.traits import Trait
from fcnkit.plan import Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.bvlc import bvlc
from fcnkit.rewrites.fork import fork
from fcnkit.rewrites.operations import Arguments, Operation, every
from fcnkit.rewrites.states import looked_at, present
from fcnkit.rewrites.upgrade import upgrade_layers
from fcnkit.shape import Shape
from fcnkit.targets.forks import BVLC, ForkTarget
from fcnkit.targets.index import NameOrPath
from fcnkit.targets.index import target as target_of
from fcnkit.targets.judging import Broken, judge
from fcnkit.targets.mending import UPGRADE, likely, mends
from fcnkit.targets.rules import ASIDE, MISREAD, Target

# A mend takes at least one finding away, and a net has no more kinds of them than this.
_MOST_MENDS = 200


class _Finding(NamedTuple):
    """A rule that a layer breaks, or the net, and what it has."""

    rule: str
    layer: str
    misread: bool


@expected.checked
def fit(net: NetOrPath, target: NameOrPath, *, inputs: Mapping[str, Shape] | None = None) -> Plan:
    """Adapts the net to a tool chain, as far as surgery can: what the target refuses or
    misreads is replaced.

    >>> fk.fit("deploy.prototxt", "ncnn").steps
    ()

    Each step is an operation that keeps what the net computes. It is used only if it reduces
    the number of findings. What remains is named in steps "skip"; what the target takes but runs
    elsewhere, such as on the host's CPU, in steps "keep". For BVLC's own Caffe `fit` does the
    same as `bvlc`, and for a fork of Caffe the same as `fork`.

    - `net`: a Prototxt or its path.
    - `target`: a name that `fcnkit lint --targets` lists, or the path of a TOML file.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises TargetError for a target that does not exist, and NetError for a net that cannot be
    built.
    """
    net, asked = given_net(net), target_of(target)
    if isinstance(asked, ForkTarget):
        if asked.name == BVLC:
            return bvlc(net, inputs=inputs)
        return fork(net, asked.name, inputs=inputs)
    plan, tried = Plan(net, net), set[tuple[str, str]]()
    for _ in range(_MOST_MENDS):
        better = _better(plan, asked, inputs, tried)
        if better is None:
            break
        plan = better
    return _with_the_rest(plan, asked, inputs)


def _better(
    plan: Plan, target: Target, inputs: Mapping[str, Shape] | None, tried: set[tuple[str, str]]
) -> Plan | None:
    """The plan with the first mend that makes the findings fewer; None where none does."""
    broken = list(_to_mend(plan.net, target, inputs))
    before = _findings(broken)
    for one, graph in broken:
        for word in mends(one, graph):
            key = (plan.net.text, word)
            if key in tried:
                continue
            tried.add(key)
            made = _done(plan.net, word, inputs)
            if made is None or not made.changed:
                continue
            after = _findings(list(_to_mend(made.net, target, inputs)))
            # Better refused than misread, of which the tool chain says nothing.
            worse = {each for each in after - before if each.misread}
            if len(after) < len(before) and not worse:
                return _joined(plan, made, word, one, target)
    return None


def _joined(plan: Plan, made: Plan, word: str, one: Broken, target: Target) -> Plan:
    """The plan and the mend behind it, with what the mend is for."""
    why = f"{target.name}: {one.rule.because} ({one.rule.source})"
    reason = Step("change", _where(one), one.place.line, f"--do {_brief(word)}", why)
    steps = (reason, *(step for step in made.steps if step.verb not in ("keep", "skip")))
    said_why = Plan(
        made.before, made.net, steps, made.moves, made.offsets, made.images, made.scores
    )
    return plan.then(lambda net: said_why)


def _brief(word: str, most: int = 5) -> str:
    """The word of --do with the first of many names."""
    names = word.split(",")
    more = f" and {number_of(len(names) - most, 'other layer')}" if len(names) > most else ""
    return ",".join(names[:most]) + more


def _where(one: Broken) -> str:
    return one.layers[0].name if one.layers else ""


def _done(net: Prototxt, word: str, inputs: Mapping[str, Shape] | None) -> Plan | None:
    """What the operation would do; None where it refuses the net, or wants to be told more."""
    if word == UPGRADE:
        return upgrade_layers(net)
    name, _, text = word.partition("=")
    operation = next(each for each in every() if each.name == name)
    try:
        args, options = operation.read(text)
        return operation.rewrite(net, *args, inputs=present(net, inputs or {}), **options)
    except (ValueError, TypeError, NetError):  # its words, its number of words, the net
        return None


def _broken(
    net: Prototxt, target: Target, inputs: Mapping[str, Shape] | None
) -> Iterator[tuple[Broken, Graph]]:
    """What the target makes of the net in each state."""
    found, _ = looked_at(net, present(net, inputs or {}))
    for known in found:
        for one in judge(target, known.graph, known.shapes).broken:
            yield one, known.graph


def _to_mend(
    net: Prototxt, target: Target, inputs: Mapping[str, Shape] | None
) -> Iterator[tuple[Broken, Graph]]:
    """What it does not take, or misreads; what it runs elsewhere is no fault."""
    for one, graph in _broken(net, target, inputs):
        if one.rule.verdict != ASIDE:
            yield one, graph


def _findings(broken: list[tuple[Broken, Graph]]) -> set[_Finding]:
    found = set()
    for one, _ in broken:
        rule = f"{one.rule.condition} {one.rule.because}"
        names = [layer.name for layer in one.layers] or [one.value]
        misread = one.rule.verdict == MISREAD
        found |= {_Finding(rule, f"{name} {one.value}", misread) for name in names}
    return found


def _with_the_rest(plan: Plan, target: Target, inputs: Mapping[str, Shape] | None) -> Plan:
    """The plan with a step "skip" or "keep" for all that is left."""
    left = dict[str, Step]()
    for one, _ in _broken(plan.net, target, inputs):
        subject = one.rule.condition.name
        what = f"{'read by' if subject == 'readers' else subject} {one.value}".strip()
        others = len(one.layers) - 1
        more = f", here and in {number_of(others, 'other layer')}" if others > 0 else ""
        verb = "keep" if one.rule.verdict == ASIDE else "skip"
        because = f"{one.rule.because} ({one.rule.source}){_remedy(one)}"
        step = Step(verb, _where(one), None, f"{what}{more}", f"{target.name}: {because}")
        left.setdefault(f"{step.layer} {step.what} {one.rule.because}", step)
    rest = Plan(plan.net, plan.net, tuple(left.values()))
    return plan.then(lambda net: rest)


def _remedy(one: Broken) -> str:
    data = [layer for layer in one.layers if of(layer).trait is Trait.SOURCE]
    if one.layers and all(is_loss(layer) or of(layer).labelled for layer in one.layers) or data:
        return "; make the net for use with `fcnkit deploy` first"
    words = one.rule.mend or (likely(one),)
    if one.rule.verdict == ASIDE:
        return f"; --do {' or --do '.join(words)} changes that" if any(words) else ""
    return f"; try --do {' or --do '.join(words)} by hand" if one.rule.mend else ""


def _arguments(text: str) -> Arguments:
    """The target's name, or the file that describes it."""
    if not text:
        raise ValueError("it takes the name of a target; `fcnkit lint --targets` lists them")
    return (text,), {}


OPERATIONS = (
    Operation(
        "fit",
        "fit=TARGET",
        "change what a target refuses (lint --targets)",
        fit,
        _arguments,
        skips=True,
    ),
)
