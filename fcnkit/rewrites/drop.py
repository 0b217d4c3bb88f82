"""Layers taken out of a net, and of its weights."""

from collections.abc import Mapping, Sequence

from fcnkit import expected
from fcnkit.edits import Edit
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Layer, graphs
from fcnkit.nets.layers.table import is_pointwise, of
from fcnkit.nets.layers.traits import Trait
from fcnkit.plan import Move, Plan, Step
from fcnkit.rewrites.changes import removed, renamed_blob
from fcnkit.rewrites.operations import Operation, comma_separated
from fcnkit.rewrites.states import Known, States, each_name, present, states
from fcnkit.shape import Shape

_PASSED = (Trait.VALUE, Trait.CHANNEL, Trait.NORMAL)


@expected.checked
def drop(
    net: NetOrPath, *layers: str | Sequence[str], inputs: Mapping[str, Shape] | None = None
) -> Plan:
    """Removes these layers and their weights.

    >>> fk.drop("deploy.prototxt", "prob").steps[0].why
    'the layers that read prob now read ip2'

    If a layer only changes values (Dropout, ReLU, LRN, BatchNorm, Softmax), the layers that
    read it then read its input. Any other layer is removed together with all layers that need
    it.

    - `net`: a Prototxt or its path.
    - `layers`: names, or lists of names.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError for a layer that does not exist, and if no layer would be left.
    """
    net = given_net(net)
    work = states(net, inputs)
    names = each_name(layers)
    for name in names:
        work.named(name)
    plan = Plan(net, net)
    for name in names:
        plan = plan.then(_dropped, name, inputs)
    return plan


def _dropped(net: Prototxt, name: str, inputs: Mapping[str, Shape] | None) -> Plan:
    """One name is gone, if a layer dropped before has not taken it along."""
    work = states(net, present(net, inputs or {}))
    edits: list[Edit] = []
    gone: dict[int, Step] = {}
    for layer in work.layers:
        if layer.name == name:
            found = _passed(work, layer) if _only_changes_values(layer) else _cut(work, layer)
            edits += found[0]
            gone = found[1] | gone
    if len(gone) == len(work.layers):
        raise work.layers[0].error("nothing would be left; drop fewer layers")
    names = {layer.name for layer in work.layers if layer.field.start not in gone}
    away = [layer for layer in work.layers if layer.field.start in gone and layer.name not in names]
    moves = [Move(layer.name, 0, (), how="drop") for layer in away if _learns(work, layer)]
    plan = work.plan(edits, gone, moves)
    graphs(plan.net)  # raises where what is left is no net
    return plan


def _only_changes_values(layer: Layer) -> bool:
    """Whether it gives as many numbers as it gets, in the same places."""
    kind = of(layer)
    # Of such a type it says whether one place is seen, however many axes there are.
    in_place = kind.trait is Trait.NORMAL or kind.window(layer) == ()
    return kind.trait in _PASSED and in_place and len(layer.bottoms) == len(layer.tops) == 1


def _learns(work: States, layer: Layer) -> bool:
    """Whether it has weights, as far as that is known."""
    found = [
        known.shapes.blobs(each)
        for known in work.each
        for each in known.graph.layers
        if each.field.start == layer.field.start
    ]
    return bool(layer.bottoms) and any(blobs is None or blobs for blobs in found)


def _passed(work: States, layer: Layer) -> tuple[list[Edit], dict[int, Step]]:
    """The layer goes, and what read its top reads its bottom."""
    why = f'drop "{layer.name}"'
    edits = [removed(layer.field, why)]
    for known in work.each:
        for each in known.graph.layers:
            if each.field.start == layer.field.start and each.tops[0].blob != each.bottoms[0].blob:
                edits += renamed_blob(
                    _readers(known, each), each.tops[0].blob, each.bottoms[0].blob, why
                )
    top, bottom = layer.tops[0].blob, layer.bottoms[0].blob
    now = bottom if top != bottom else "it without this layer"
    why = f"the layers that read {top} now read {now}"
    return edits, {layer.field.start: Step("remove", layer.name, layer.line, layer.type, why)}


def _readers(known: Known, layer: Layer) -> list[Layer]:
    """The layers that read its top, or what others make of it in place."""
    found, todo = {}, list(layer.tops)
    while todo:
        for user in known.graph.consumers[todo.pop()]:
            found[user.index] = user
            todo += [top for top in user.tops if top.blob == layer.tops[0].blob]
    return list(found.values())


def _cut(work: States, layer: Layer) -> tuple[list[Edit], dict[int, Step]]:
    """The layer goes, and all that needs it."""
    edits: list[Edit] = []
    steps: dict[int, Step] = {}
    for known in work.each:
        lost: set = set()
        for each in known.graph.layers:
            own = each.field.start == layer.field.start
            if own or lost.intersection(each.bottoms):
                lost.update(each.tops)
                why = "drop names it" if own else f'it needs "{layer.name}"'
                steps.setdefault(
                    each.field.start, Step("remove", each.name, each.line, each.type, why)
                )
                edits.append(removed(each.field, f'drop "{layer.name}"'))
    return edits, steps


def _do_nothing(net: Prototxt, names: tuple[str, ...]) -> bool:
    """Whether all layers of these names give what they read, in a net that is used: Dropout."""
    found = [layer for graph in graphs(net) for layer in graph.layers if layer.name in names]
    known = {layer.name for layer in found}
    return known == {*names} and all(
        is_pointwise(layer) and of(layer).identity(layer) for layer in found
    )


OPERATIONS = (
    Operation(
        "drop",
        "drop=LAYER,...",
        "remove layers, and what depends on them",
        drop,
        lambda text: (comma_separated(text), {}),
        keeps_values=False,
        keeps_with=_do_nothing,
    ),
)
