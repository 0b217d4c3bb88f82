"""Every Crop layer's offset is the one that lays its bottoms over each other."""

from collections.abc import Mapping

from fcnkit.edits import Edit, merge
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets import coords
from fcnkit.nets.graph import Graph, Layer, graphs
from fcnkit.plan import Offset, Plan, Step
from fcnkit.rewrites.changes import inside, removed, set_param, set_value


def align(net: Prototxt) -> Plan:
    """Each Crop's axis and offset are written, and are those that its bottoms' maps give.

    A Crop without offset is what the FCN authors' first Caffe branch computed
    by itself; BVLC Caffe takes it for 0.  The steps say what each Crop had,
    and `offsets` holds what each needs.

    Raises AlignError where no whole, non-negative offset exists, NetError
    where a Crop would cut channels.
    """
    steps: dict[int, Step] = {}
    offsets: dict[str, Offset] = {}
    by_state = []
    for graph in graphs(net):
        edits = []
        for layer in graph.layers:
            if layer.type == "Crop":
                need = _needed(graph, layer)
                edits += _edits(net, layer, need.offset)
                offsets[layer.name] = need
                steps[layer.field.start] = _step(layer, need)
        by_state.append((str(graph.state), edits))
    return Plan(net, net.edit(merge(by_state)), tuple(steps.values()), (), tuple(offsets.values()))


def _needed(graph: Graph, layer: Layer) -> Offset:
    cropped, reference = layer.bottoms
    exact = coords.offset(graph, cropped, reference, ndim=4 - _axis(layer))
    return Offset(layer.name, cropped.blob, reference.blob, coords.whole(graph, cropped, reference, exact))


def _axis(layer: Layer) -> int:
    axis = layer.param("crop_param").get("axis")
    from_front = axis + 4 if axis < 0 else axis
    if not 2 <= from_front < 4:
        raise layer.error(
            f"it crops from axis {axis} on, channels or images too; set crop_param {{ axis: 2 }}"
        )
    return from_front


def _written(layer: Layer, axes: int) -> tuple[int, ...]:
    """The offset of each cropped axis as Caffe reads it."""
    values = layer.param("crop_param").list("offset") or [0]
    return tuple(values * axes if len(values) == 1 else values)


def _edits(net: Prototxt, layer: Layer, offset: tuple[int, ...]) -> list[Edit]:
    view, why = layer.param("crop_param"), f'align "{layer.name}"'
    edits = [] if view.has("axis") else set_param(layer, "crop_param", [("axis", 2)], net.style, why=why)
    if _written(layer, len(offset)) == offset and view.has("offset"):
        return edits
    values = offset[:1] if len(set(offset)) == 1 else offset
    fields = [("offset", value) for value in values]
    owner = layer.view.field("crop_param")
    if owner is None:
        return [inside(layer.field, [("crop_param", [("axis", 2), *fields])], net.style, why)]
    old = owner.all("offset")
    if len(old) == len(fields):
        return edits + [set_value(field, value, why) for field, (_, value) in zip(old, fields, strict=True)]
    return edits + [removed(field, why) for field in old] + [inside(owner, fields, net.style, why)]


def _step(layer: Layer, need: Offset) -> Step:
    had, new = _written(layer, len(need.offset)), need.offset
    why = f'"{need.reference}" begins at pixel {_show(new)} of "{need.cropped}"'
    written: Mapping[bool, str] = {True: _show(had), False: "none"}
    if had == new and layer.param("crop_param").has("offset"):
        return Step("keep", layer.name, layer.line, f"offset {_show(new)}", why)
    old = written[layer.param("crop_param").has("offset")]
    return Step("change", layer.name, layer.line, f"offset {old} -> {_show(new)}", why)


def _show(values: tuple[int, ...]) -> str:
    return "x".join(map(str, dict.fromkeys(values)))
