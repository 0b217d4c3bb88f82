"""Forks' words and layer types in the words of BVLC's Caffe, wherever it has words for them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from fcnkit import expected
from fcnkit.edits import Edit
from fcnkit.errors import NetError
from fcnkit.formats import schema
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.owners import owners
from fcnkit.nets.layers.table import CAFFE, of
from fcnkit.plan import Move, Plan, Step
from fcnkit.rewrites.changes import taken_out
from fcnkit.rewrites.forks.site import Change, Kept, Site
from fcnkit.rewrites.forks.types import STAYS, TYPES
from fcnkit.rewrites.forks.words import WORDS, Said, neutral, said
from fcnkit.rewrites.operations import Arguments, Operation, comma_separated
from fcnkit.rewrites.states import States, each_name, present, states
from fcnkit.rewrites.upgrade import upgrade_layers
from fcnkit.shape import Shape

MASTER, TAG = "master", "1.0"
CAFFES = {MASTER: frozenset(("round_mode", "Clip")), TAG: frozenset[str]()}
"""BVLC's Caffes, and which of the words that are used here each has beside those of its 1.0."""

# One change of a layer may leave another word for the next pass; no layer has more than these.
_MOST_PASSES = 100


@expected.checked
def bvlc(
    net: NetOrPath,
    caffe: str = MASTER,
    *,
    layers: Sequence[str] = (),
    inputs: Mapping[str, Shape] | None = None,
) -> Plan:
    """The words of Caffe's forks are replaced by those of BVLC's Caffe, wherever it can compute
    the same.

    >>> net = fk.parse('''input: "data" input_dim: 1 input_dim: 3 input_dim: 9 input_dim: 9
    ... layer { name: "c" type: "Convolution" bottom: "data" top: "c"
    ...   convolution_param { num_output: 2 kernel_size: 3 hole: 2 } }''')
    >>> "dilation: 2" in fk.bvlc(net).net.text
    True

    Each change is a step with its reason. A word that stays is a step "skip", which names the
    fork that has it. If a change needs new weights, the step says so, and `transplant` makes
    them.

    - `net`: a Prototxt or its path.
    - `caffe`: "master", which knows round_mode and Clip, or "1.0", which does not.
    - `layers`: the names of the layers to change; all when not given.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if the net cannot be built, or has no layer of a name in `layers`.
    """
    net = given_net(net)
    if caffe not in CAFFES:
        raise NetError(f'{net.path}: no Caffe "{caffe}" of BVLC\'s; say {" or ".join(CAFFES)}')
    names = each_name((layers,))
    return in_words_of("", net, CAFFES[caffe], inputs, frozenset(names))


def in_words_of(
    own: str,
    net: Prototxt,
    words: frozenset[str],
    inputs: Mapping[str, Shape] | None,
    only: frozenset[str] = frozenset(),
) -> Plan:
    """What forks say is said in BVLC's words, but for what the fork `own` has ("" for none).

    `words` are those that its Caffe has beside BVLC's of 1.0.  `only` the layers of these names
    are changed, where any are given.
    """
    plan = Plan(net, net)
    if only:
        work = states(net, inputs)
        for name in sorted(only):
            work.named(name)
    if net.root.all("layers") and any(_of_forks(states(net, inputs))):
        plan = plan.then(upgrade_layers)
    for _ in range(_MOST_PASSES):
        before = plan.net
        plan = plan.then(_pass, own, words, inputs, only)
        if plan.net is before:
            return plan
    raise NetError(
        f"{net.path}: rewriting its forks' words did not end after {_MOST_PASSES} passes; "
        "report this"
    )


def _of_forks(work: States) -> Iterator[object]:
    yield from (layer for layer in work.layers if layer.type not in CAFFE)
    yield from said("NetParameter", work.net.root)


class _Found(NamedTuple):
    """What one pass does, and what it leaves with its reasons."""

    edits: list[Edit]
    moves: list[Move]
    steps: dict[int, list[Step]]
    left: dict[int, list[Step]]


def _pass(
    net: Prototxt,
    own: str,
    words: frozenset[str],
    inputs: Mapping[str, Shape] | None,
    only: frozenset[str],
) -> Plan:
    """One change of every layer that has words of forks; the last pass finds nothing but what
    stays.
    """
    work = states(net, present(net, inputs or {}))
    found = _Found([], [], {}, {})
    touched: set[int] = set()
    names: set[str] = set()
    if not only:
        _of_the_net(net, own, found)
    for layer in (layer for layer in work.layers if not only or layer.name in only):
        for change in _changes(Site(work, layer, words, names), own, found.left):
            places = {layer.field.start, *change.others}
            if touched & places:
                break
            touched |= places
            found.edits.extend(change.edits)
            found.moves.extend(change.moves)
            step = Step("change", layer.name, layer.line, change.what, change.why)
            found.steps.setdefault(layer.field.start, []).append(step)
            break
    steps = found.steps if found.edits else found.left
    ordered = [step for at in sorted(steps) for step in steps[at]]
    return work.plan(found.edits, ordered, found.moves)


def _of_the_net(net: Prototxt, own: str, found: _Found) -> None:
    """Fields of the net itself."""
    for field in net.root.fields or ():
        if field.name in schema.slots("NetParameter"):
            continue
        word = Said("NetParameter", field)
        if own and word.owner == own:
            continue
        why = neutral(word)
        if why:
            found.edits.append(taken_out(field, "a fork's word"))
            step = Step("remove", "", field.line, word.word, why)
            found.steps.setdefault(field.start, []).append(step)
        else:
            step = Step("skip", "", field.line, word.word, f"{word.fork}, and BVLC has none for it")
            found.left.setdefault(field.start, []).append(step)


def _changes(site: Site, own: str, left: dict[int, list[Step]]) -> Iterator[Change]:
    """What can be done for one layer, the first of which is; its other words come to `left`."""
    layer = site.layer
    if layer.field.name != "layer":
        return
    if layer.type not in CAFFE and own in owners(layer.type):
        return
    if layer.type not in CAFFE:
        yield from _tried(site, TYPES.get(layer.type), layer.type, whose(layer), left)
        return
    every = said("LayerParameter", layer.field)
    found = [word for word in every if not own or word.owner != own]
    gone = [(word, why) for word in found if (why := neutral(word, layer))]
    if gone:
        edits = [taken_out(word.field, "a fork's word") for word, _ in gone]
        shown = ", ".join(dict.fromkeys(word.word for word, _ in gone))
        why = "; ".join(dict.fromkeys(why for _, why in gone))
        yield Change(edits, f"{shown} taken out", why)
    rules = dict[object, Said]()
    for word in found:
        if not neutral(word, layer):
            rules.setdefault(WORDS.get(word.field.name) or word, word)
    for rule, word in rules.items():
        yield from _tried(site, rule if callable(rule) else None, word.word, word.fork, left)


def _tried(
    site: Site,
    rule: Callable[[Site], Change] | None,
    what: str,
    fork: str,
    left: dict[int, list[Step]],
) -> Iterator[Change]:
    try:
        if rule is None:
            raise Kept(STAYS.get(what, "BVLC has no words for it"))
        yield rule(site)
    except (Kept, NetError) as error:
        layer = site.layer
        step = Step("skip", layer.name, layer.line, what, f"{error} ({fork})")
        left.setdefault(layer.field.start, []).append(step)


def whose(layer: Layer) -> str:
    """The fork that has a layer's type, in words."""
    kind = of(layer)
    fork = schema.fork_of("LayerParameter", kind.message) if kind.message else None
    return f"a type of {fork}'s Caffe" if fork and fork != schema.OTHERS else "a fork's type"


def _arguments(text: str) -> Arguments:
    """Nothing, which of BVLC's Caffes, and behind a colon the layers."""
    caffe, colon, names = text.partition(":")
    if colon and not names:
        raise ValueError("it names no layer behind the colon")
    if caffe and caffe not in CAFFES:
        raise ValueError(f'"{caffe}" is none of {", ".join(CAFFES)}')
    return ((caffe,) if caffe else ()), {"layers": comma_separated(names)} if names else {}


OPERATIONS = (
    Operation(
        "bvlc",
        "bvlc[=1.0][:LAYER,...]",
        "write forks' layers and fields in BVLC's form",
        bvlc,
        _arguments,
        skips=True,
    ),
)
