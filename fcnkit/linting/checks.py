"""What can be wrong with the layers of a net, one function per check.

Each yields Hits; the first line of its docstring says what it finds.
"""

from collections.abc import Callable, Iterator

from fcnkit.errors import AlignError, NetError
from fcnkit.formats import schema
from fcnkit.linting.findings import FORKS as FORK
from fcnkit.linting.findings import THAT_FORK
from fcnkit.linting.messages import messages, read_by
from fcnkit.linting.seen import Hit, Seen, fills_zero
from fcnkit.nets import coordmap, coords
from fcnkit.nets.graph import Layer, Top
from fcnkit.nets.layers.axes import outputs_of, show
from fcnkit.nets.layers.sliding import spatial
from fcnkit.nets.layers.table import (
    CAFFE,
    FORKS,
    TYPES,
    axis_of,
    has_field,
    is_pointwise,
    learns_nothing,
    of,
)
from fcnkit.nets.layers.windows import beyond, is_global
from fcnkit.plural import number_of

# ---- what Caffe refuses


def unknown_type(seen: Seen) -> Iterator[Hit]:
    """a layer type that Caffe does not have, but whose name is near one that it has"""
    for layer, near in _unknown_types(seen):
        if (
            near
            and layer.view.message_name == "V1LayerParameter"
            and layer.type.lower() == near.lower()
        ):
            fact = f"Caffe's V1 format has no type {layer.type}"
            yield Hit(layer, f'{fact}; write the file in the V2 format, where it is "{near}"')
        elif near:
            yield Hit(layer, f'Caffe has no layer type "{layer.type}"; did you mean "{near}"?')


def fork_type(seen: Seen) -> Iterator[Hit]:
    """a layer type of a fork of Caffe, or of no known Caffe"""
    first: dict[str, Layer] = {}
    for layer, near in _unknown_types(seen):
        if not near and first.setdefault(layer.type, layer) is layer:
            many = sum(other.type == layer.type for other in seen.graph.layers)
            more = f" ({number_of(many, 'layer')})" if many > 1 else ""
            fact = f'BVLC Caffe has no layer type "{layer.type}"'
            yield Hit(layer, fact + _remedy(layer) + more)


def _remedy(layer: Layer) -> str:
    if layer.type == "AutoCrop":  # the one that is put into Caffe's words
        return "; `fcnkit align` makes it a Crop"
    fork = _fork(layer)
    has = f", which the {fork} fork has" if fork else ""
    unknown = "" if layer.type in TYPES else ", and fcnkit does not know what it computes"
    return f"{has}{unknown}; {THAT_FORK if fork else f'to run the net in Caffe, use {FORK}'}"


def _fork(layer: Layer) -> str:
    """The fork that has one of the layer's fields, "" where none is known."""
    found = (
        schema.fork_of_field(layer.view.message_name, field) for field in layer.field.fields or ()
    )
    return next((fork for fork in found if fork and fork != schema.OTHERS), "")


def unread_param(seen: Seen) -> Iterator[Hit]:
    """a message that layers of this type do not read: what it says is ignored"""
    for layer in seen.graph.layers:
        for field in (layer.field.fields or ()) if layer.type in CAFFE else ():
            if field.name in messages() and field.name not in read_by(layer.type):
                own = " or ".join(read_by(layer.type)) or "none"
                fact = f"{layer.type} does not read {field.name}, which is ignored"
                yield Hit(layer, f"{fact}; it reads {own}: move it there, or remove it", field)


def uneven_list(seen: Seen) -> Iterator[Hit]:
    """a loss_weight or propagate_down that is not given once for each blob"""
    for layer in seen.graph.layers:
        for name, blobs, word in (
            ("loss_weight", layer.tops, "top"),
            ("propagate_down", layer.bottoms, "bottom"),
        ):
            given = len(layer.view.source_field.all(name)) if layer.view.source_field else 0
            # A loss without a top gets one by itself.
            if given and given != max(len(blobs), word == "top"):
                fact = f"it has {given} {name} and {number_of(len(blobs), word)}"
                yield Hit(layer, f"{fact}; give none, or one for each")


def _unknown_types(seen: Seen) -> Iterator[tuple[Layer, str | None]]:
    from difflib import get_close_matches

    known = {name.lower(): name for name in CAFFE}
    for layer in seen.graph.layers:
        if layer.type and layer.type not in CAFFE:
            word = layer.type.lower()
            near = get_close_matches(word, known, 1, 0.85) if layer.type not in FORKS else ()
            yield layer, known[near[0]] if near and _is_slip(word, near[0]) else None


def _is_slip(word: str, near: str) -> bool:
    """Whether one was meant for the other; ReLU6 and ImageSegData are names of their own."""
    digits = [[letter for letter in each if letter.isdigit()] for each in (word, near)]
    return abs(len(word) - len(near)) < 3 and digits[0] == digits[1]


def too_many_params(seen: Seen) -> Iterator[Hit]:
    """more param blocks than the layer has parameter blobs"""
    for layer in seen.graph.layers:
        written, blobs = _params(layer), seen.count(layer)
        if blobs is not None and written > blobs:
            why = " (bias_term: false)" if of(layer).linear and blobs == 1 else ""
            fact = (
                f"it has {number_of(written, 'param block')} and "
                f"{number_of(blobs, 'parameter blob')}{why}"
            )
            yield Hit(
                layer, f'{fact}; Caffe says "Too many params specified": remove {written - blobs}'
            )


def _params(layer: Layer) -> int:
    old = ("blobs_lr", "weight_decay") if layer.view.message_name == "V1LayerParameter" else ()
    names = ("param", *old)
    return max(len(layer.view.list(name)) for name in names)


def batch_norm_rate(seen: Seen) -> Iterator[Hit]:
    """param blocks of a BatchNorm that let its statistics be learned"""
    for layer in seen.graph.layers:
        blocks = layer.view.views("param") if learns_nothing(layer) and _params(layer) != 3 else []
        if layer.view.message_name == "LayerParameter" and any(
            block.get("lr_mult") for block in blocks
        ):
            fact = f"it has {number_of(len(blocks), 'param block')}, one with lr_mult other than 0"
            yield Hit(
                layer,
                f"{fact}; statistics are not learned: give all three lr_mult: 0, or leave out "
                "all params",
            )


def window(seen: Seen) -> Iterator[Hit]:
    """a kernel, stride or pad that Caffe refuses whatever the input's size"""
    for layer in seen.graph.layers:
        if seen.shapes.bottoms(layer) is not None or layer.index in seen.shapes.refused:
            continue
        if has_field(layer, "kernel_size") and not is_global(layer):
            yield from _refused(layer, lambda each: spatial(each, unplaced=True))
        if of(layer).outputs:
            yield from _refused(layer, lambda each: outputs_of(each, of(each).message))


def _refused(layer: Layer, check: Callable[[Layer], object]) -> Iterator[Hit]:
    try:
        check(layer)
    except NetError as error:
        yield Hit(layer, str(error).partition(f'layer "{layer.name}": ')[2])


def empty_window(seen: Seen) -> Iterator[Hit]:
    """a pooling whose last window begins past the end of its bottom, where there is no number"""
    for layer in seen.graph.layers:
        bottoms = seen.shapes.bottoms(layer)
        top = seen.shapes.tops[layer.tops[0]] if layer.tops else None
        if not bottoms or not top:
            continue
        sizes = bottoms[0]
        for axis, start in beyond(layer, sizes, top):
            pool = layer.param("pooling_param").get("pool")
            made = {"MAX": "-3.4e38"}.get(pool, "NaN" if start == sizes[axis] else "0")
            which = {2: "row", 3: "column"}[axis]
            fact = f"its last {which} begins at {start} of {sizes[axis]}: Caffe makes {made}"
            yield Hit(layer, f"{fact} of no values; avoid it with round_mode: FLOOR")


# ---- upsampling and cropping


def bilinear_group(seen: Seen) -> Iterator[Hit]:
    """a bilinear filler where channels are not upsampled separately"""
    for layer in _bilinear(seen):
        param = layer.param("convolution_param")
        group, outputs = param.get("group"), param.get("num_output")
        inputs = seen.classes(layer.bottoms[0])
        if group != outputs or inputs not in (None, outputs):
            known = f" and {number_of(inputs, 'input channel')}" if inputs else ""
            fact = f"its filler is bilinear, with group {group}, num_output {outputs}{known}"
            why = "each output would sum several input channels"
            yield Hit(layer, f"{fact}; {why}: set both group and num_output to {inputs or outputs}")


def bilinear_kernel(seen: Seen) -> Iterator[Hit]:
    """a bilinear filler whose kernel does not spread each pixel evenly at this stride"""
    for layer in _bilinear(seen):
        try:
            kernel, stride = spatial(layer)[:2]
        except NetError:
            continue
        if of(layer).spreads and any(
            k not in (2 * s, 2 * s - 1) for k, s in zip(kernel, stride, strict=True)
        ):
            fact = (
                f"a bilinear kernel of {show(kernel)} at stride {show(stride)} does not add "
                f"up to one"
            )
            yield Hit(layer, f"{fact}; set kernel_size {2 * stride[0]} or {2 * stride[0] - 1}")


def _bilinear(seen: Seen) -> Iterator[Layer]:
    for layer in seen.graph.layers:
        if of(layer).message == "convolution_param" and layer.bottoms:
            filler = layer.param("convolution_param").view("weight_filler")
            if filler.get("type") == "bilinear" and not (
                seen.weights and seen.weights.get(layer.name)
            ):
                yield layer


def zero_deconvolution(seen: Seen) -> Iterator[Hit]:
    """a Deconvolution whose weights are all zero, so that nothing comes through"""
    weights = seen.weights
    if not weights:
        return
    for layer in seen.graph.layers:
        if not of(layer).spreads:
            continue
        stored = weights.get(layer.name)
        if stored and not stored[0].array().any():
            fact = f"all its weights in {weights.path} are 0"
            yield Hit(layer, f"{fact}; make them bilinear, as `fcnkit fcn` does")
        elif not stored and fills_zero(layer):
            fact = f"it has no weight_filler and {weights.path} no weights for it, so all are 0"
            yield Hit(layer, f"{fact}; {_FILL}")


_FILL = 'give it weight_filler { type: "bilinear" } and group equal to num_output'


def unfilled_deconvolution(seen: Seen) -> Iterator[Hit]:
    """without --weights: a Deconvolution that starts from zero, unless a weights file fills it"""
    for layer in seen.graph.layers if seen.trains and not seen.weights else ():
        if of(layer).spreads and fills_zero(layer):
            fact = "it has no weight_filler: all its weights are 0 unless a weights file has them"
            yield Hit(layer, f"{fact}; check that with --weights, or {_FILL}")


def crop_offset(seen: Seen) -> Iterator[Hit]:
    """a Crop whose offset is not where its reference's first pixel lies"""
    for layer, had, need, why_not in _offsets(seen):
        if had and (why_not or had != (need or had)):
            yield Hit(layer, why_not or f"offset {coordmap.show(had)}, and {_places(layer, need)}")


def crop_without_offset(seen: Seen) -> Iterator[Hit]:
    """a Crop that says no offset: Caffe takes 0, OpenCV the centre"""
    for layer, had, need, why_not in _offsets(seen):
        if not had:
            known = why_not or (_places(layer, need) if need else "write the intended offset")
            yield Hit(layer, f"it has no offset: Caffe takes 0, but OpenCV the centre; {known}")


Axes = tuple[int, ...]


def _offsets(seen: Seen) -> Iterator[tuple[Layer, Axes, Axes, str]]:
    """Each Crop, the offset it has, the one it needs, and why there is none.

    A wrong offset moves all that comes after it, so that only the first
    reason counts.
    """
    right = True
    for layer, axes in _crops(seen):
        if axes > 2:
            continue
        had = _written(layer, axes)
        known = seen.offsets.get(layer.name)
        need, why_not = (known.offset, "") if known else _needed(seen, layer, axes)
        yield layer, had, need, why_not if right else ""
        right = right and not why_not and need in (had, ())


def _needed(seen: Seen, layer: Layer, axes: int) -> tuple[Axes, str]:
    """The Crop's offset, or why it has none; neither where its bottoms share no map."""
    try:
        cropped, reference = layer.bottoms
        exact = coords.offset(seen.graph, cropped, reference, axes)
        return coords.whole(seen.graph, cropped, reference, exact), ""
    except AlignError as error:
        where, _, why_not = str(error).partition('": ')
        return (), why_not if where.startswith(
            seen.graph.prototxt.path
        ) and "no coordinates" not in where else ""
    except NetError:
        return (), ""


def crop_channels(seen: Seen) -> Iterator[Hit]:
    """a Crop that cuts channels or images too"""
    for layer, axes in _crops(seen):
        if axes > 2:
            axis = layer.param("crop_param").get("axis")
            yield Hit(
                layer,
                f"it crops from axis {axis} on, channels or images too; set crop_param "
                f"{{ axis: 2 }}",
            )


def _crops(seen: Seen) -> Iterator[tuple[Layer, int]]:
    """Each Crop of a 4-D top, and how many axes it cuts."""
    for layer in seen.graph.layers:
        if layer.type in CAFFE and of(layer).message == "crop_param" and len(layer.bottoms) == 2:
            axis = layer.param("crop_param").get("axis")
            yield layer, -axis if axis < 0 else 4 - axis


def _written(layer: Layer, axes: int) -> Axes:
    """The offset of each cropped axis; () where none is written."""
    values = tuple(layer.param("crop_param").list("offset"))
    return values * axes if len(values) == 1 else values


def _places(layer: Layer, need: Axes) -> str:
    cropped, reference = layer.bottoms
    fix = " ".join(f"offset: {value}" for value in (need[:1] if len(set(need)) == 1 else need))
    return (
        f'"{reference.blob}" begins at pixel {coordmap.show(need)} of "{cropped.blob}"; set {fix}'
    )


def fc_left_behind(seen: Seen) -> Iterator[Hit]:
    """an InnerProduct, which fixes the input's size, in a net whose upsampling takes any size"""
    made = [
        layer
        for layer in seen.graph.layers
        if (of(layer).spreads or of(layer).sized(layer)) and layer.tops
    ]
    upsampled = next((layer for layer in made if layer.tops[0] in seen.reached), None)
    if upsampled is None:
        return
    for layer in seen.graph.layers:
        if not (layer.type == "InnerProduct" and layer.bottoms):
            continue
        # Along a later axis it is no layer of a classifier, and no Convolution says the same.
        first = axis_of(layer) in (1, 1 - len(seen.shapes.tops.get(layer.bottoms[0]) or ()))
        if first and _map_of(seen, layer) in seen.reached:
            fact = (
                f'it fixes the size of the input, which layer "{upsampled.name}" upsamples at '
                f"any size"
            )
            yield Hit(layer, f"{fact}; make a Convolution of it with `fcnkit convolutionalize`")


def _map_of(seen: Seen, layer: Layer) -> Top:
    """What an InnerProduct reads, before it was flattened."""
    top = layer.bottoms[0]
    maker = seen.graph.producer(top)
    while is_pointwise(maker) or of(maker).identity(maker):
        top = maker.bottoms[0]
        maker = seen.graph.producer(top)
    return top
