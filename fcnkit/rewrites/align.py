"""Every Crop layer's offset is the one that lays its bottoms over each other."""

from collections.abc import Iterable, Iterator

from fcnkit import expected
from fcnkit.edits import Edit, merge
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets import coords
from fcnkit.nets.coordmap import show
from fcnkit.nets.graph import Graph, Layer, graphs
from fcnkit.plan import Offset, Plan, Step
from fcnkit.rewrites.changes import beside, inside, removed, set_value


@expected.checked
def align(net: NetOrPath) -> Plan:
    """Every Crop gets the axis and the offset that align its two bottoms.

    >>> fcn = fk.fcn(fk.template("alexnet"), classes=21, stride=32).net
    >>> fk.align(fcn).offsets[0].offset
    (3, 3)

    Crops are corrected in the order of the file, because each one changes the coordinates of
    later layers. A Crop without an offset comes from the FCN authors' first branch of Caffe,
    which computed offsets itself; BVLC's Caffe uses the offset 0. An AutoCrop, which
    computes its offset in the fork that has it, becomes a Crop. The steps show the old offset
    of each Crop, and `offsets` of the plan holds the right ones.

    - `net`: a Prototxt or its path.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises AlignError if no whole, non-negative offset exists, and NetError if a Crop would cut
    channels.
    """
    net = given_net(net)
    now, every = net, graphs(net)
    steps: dict[Step, None] = {}
    offsets: dict[str, Offset] = {}
    for number, field in enumerate(net.root.all("layer", "layers")):
        kind = field.last("type")
        if kind is None or kind.raw[1:-1] not in ("Crop", _AUTO):
            continue
        by_state = []
        for state, layer, need in _needs(every, number):
            by_state.append((state, _renamed(layer) + _edits(now, layer, need.offset)))
            steps[_step(layer, need)._replace(line=field.line)] = None
            offsets[layer.name] = need
        if any(edits for _, edits in by_state):  # what comes after this Crop lies elsewhere now
            now = now.edit(merge(by_state))
            every = graphs(now)
    return Plan(net, now, tuple(steps), (), tuple(offsets.values()))


def _needs(every: Iterable[Graph], number: int) -> Iterator[tuple[str, Layer, Offset]]:
    """What layer number `number` of the file, a Crop, needs in each state that has it."""
    for graph in every:
        start = graph.prototxt.root.all("layer", "layers")[number].start
        for layer in graph.layers:
            if layer.field.start == start:
                yield str(graph.state), layer, _needed(graph, layer)


def _needed(graph: Graph, layer: Layer) -> Offset:
    if len(layer.bottoms) != 2:
        raise layer.error(f"{layer.type} takes 2 bottoms and has {len(layer.bottoms)}; give both")
    cropped, reference = layer.bottoms
    exact = coords.offset(graph, cropped, reference, ndim=4 - _axis(layer))
    return Offset(
        layer.name, cropped.blob, reference.blob, coords.whole(graph, cropped, reference, exact)
    )


def _axis(layer: Layer) -> int:
    axis = layer.param("crop_param").get("axis")
    from_front = axis + 4 if axis < 0 else axis
    if not 2 <= from_front < 4:
        raise layer.error(
            f"it crops from axis {axis} on, so channels or images too; set crop_param {{ axis: 2 }}"
        )
    return from_front


# A fork's, which is cropped alike, to where the coordinates say.
_AUTO = "AutoCrop"


def _renamed(layer: Layer) -> list[Edit]:
    if layer.type != _AUTO:
        return []
    return [set_value(layer.field.required("type"), "Crop", f'align "{layer.name}"')]


def _written(layer: Layer, axes: int) -> tuple[int, ...]:
    """The offset of each cropped axis as Caffe reads it."""
    values = layer.param("crop_param").list("offset") or [0]
    return tuple(values * axes if len(values) == 1 else values)


def _edits(net: Prototxt, layer: Layer, offset: tuple[int, ...]) -> list[Edit]:
    view, why = layer.param("crop_param"), f'align "{layer.name}"'
    missing: list[tuple[str, object]] = [] if view.has("axis") else [("axis", 2)]
    values = offset[:1] if len(set(offset)) == 1 else offset
    owner, edits = layer.view.field("crop_param"), []
    old = owner.all("offset") if owner else []
    if not old:
        missing += [("offset", value) for value in values]
    elif _written(layer, len(offset)) != offset:
        edits += [set_value(field, value, why) for field, value in zip(old, values, strict=False)]
        edits += [removed(field, why) for field in old[len(values) :]]
        edits += [
            beside(old[-1], [("offset", value)], net.style, why) for value in values[len(old) :]
        ]
    if not missing:
        return edits
    if owner is None:
        return [inside(layer.field, [("crop_param", missing)], net.style, why)]
    return [*edits, inside(owner, missing, net.style, why)]


def _step(layer: Layer, need: Offset) -> Step:
    had, new = _written(layer, len(need.offset)), need.offset
    said = layer.param("crop_param").has("offset")
    why = f'"{need.reference}" begins at pixel {show(new)} of "{need.cropped}"'
    if had == new and said:
        return Step("keep", layer.name, layer.line, f"offset {show(new)}", why)
    if layer.type == _AUTO:
        return Step("change", layer.name, layer.line, f"{_AUTO} -> Crop, offset {show(new)}", why)
    old = show(had) if said else "none"
    return Step("change", layer.name, layer.line, f"offset {old} -> {show(new)}", why)
