"""What can be wrong with the layers of a net, one function per check.

Each yields Hits; the first line of its docstring says what it finds.
"""

from collections.abc import Iterator
from difflib import get_close_matches

from fcnkit.errors import AlignError, NetError
from fcnkit.nets import coords
from fcnkit.nets.declared import V1_TYPES
from fcnkit.nets.graph import Layer
from fcnkit.nets.layertypes import TYPES
from fcnkit.nets.spatial import show, spatial
from fcnkit.seen import LEARNING, Hit, Seen

# The layer types of BVLC Caffe 1.0.
CAFFE_TYPES = frozenset((
    *filter(None, V1_TYPES.values()), "BatchNorm", "BatchReindex", "Bias", "Clip", "Crop", "ELU", "Embed", "Filter",
    "Input", "LSTM", "LSTMUnit", "Log", "PReLU", "Parameter", "Python", "RNN", "Reduction", "Reshape", "SPP",
    "Scale", "Swish", "Tile",
))  # fmt: skip

# ---- what Caffe refuses


def unknown_type(seen: Seen) -> Iterator[Hit]:
    """a layer type that Caffe does not have, and whose name is near one that it has"""
    for layer, near in _unknown_types(seen):
        if near and layer.view.message_name == "V1LayerParameter" and layer.type.lower() == near.lower():
            fact = f"Caffe's V1 format has no type {layer.type}"
            yield Hit(layer, f"{fact}; bring the file up to date with `fcnkit upgrade`, where it is \"{near}\"")
        elif near:
            yield Hit(layer, f'Caffe has no layer type "{layer.type}"; did you mean "{near}"?')


def fork_type(seen: Seen) -> Iterator[Hit]:
    """a layer type that BVLC Caffe does not have, nor one near it"""
    first: dict[str, Layer] = {}
    for layer, near in _unknown_types(seen):
        if not near and first.setdefault(layer.type, layer) is layer:
            many = sum(other.type == layer.type for other in seen.graph.layers)
            more = f" ({many} layers)" if many > 1 else ""
            fact = f'BVLC Caffe has no layer type "{layer.type}"'
            yield Hit(layer, f"{fact}; use the fork of Caffe that has it{more}")


def _unknown_types(seen: Seen) -> Iterator[tuple[Layer, str | None]]:
    known = {name.lower(): name for name in CAFFE_TYPES}
    for layer in seen.graph.layers:
        if layer.type and layer.type not in CAFFE_TYPES:
            near = get_close_matches(layer.type.lower(), known, 1, 0.85)
            yield layer, known[near[0]] if near and _is_slip(layer.type, near[0]) else None


def _is_slip(word: str, near: str) -> bool:
    """Whether one was meant for the other; ReLU6 and ImageSegData are names of their own."""
    digits = [[letter for letter in each if letter.isdigit()] for each in (word, near)]
    return abs(len(word) - len(near)) < 3 and digits[0] == digits[1]


def too_many_params(seen: Seen) -> Iterator[Hit]:
    """more param blocks than the layer has parameter blobs"""
    for layer in seen.graph.layers:
        written, blobs = _params(layer), seen.count(layer)
        if blobs is not None and written > blobs:
            why = " (bias_term: false)" if layer.type in LEARNING and blobs == 1 else ""
            fact = f"it has {written} param blocks and {blobs} parameter blobs{why}"
            yield Hit(layer, f'{fact}; Caffe says "Too many params specified": remove {written - blobs}')


def _params(layer: Layer) -> int:
    names = (
        ("param", "blobs_lr", "weight_decay") if layer.view.message_name == "V1LayerParameter" else ("param",)
    )
    return max(len(layer.view.list(name)) for name in names)


def batch_norm_rate(seen: Seen) -> Iterator[Hit]:
    """param blocks of a BatchNorm that let its statistics be learned"""
    for layer in seen.graph.layers:
        blocks = layer.view.views("param") if layer.type == "BatchNorm" and _params(layer) != 3 else []
        if layer.view.message_name == "LayerParameter" and any(block.get("lr_mult") for block in blocks):
            fact = f"it has {len(blocks)} param blocks, one with lr_mult other than 0"
            yield Hit(
                layer, f"{fact}; statistics are not learned: give all three lr_mult: 0, or none a param"
            )


def window(seen: Seen) -> Iterator[Hit]:
    """a kernel, stride or pad that Caffe refuses whatever the input's size"""
    for layer in seen.graph.layers:
        if layer.type in ("Convolution", "Deconvolution", "Pooling") and seen.shapes.bottoms(layer) is None:
            if layer.type == "Pooling" and layer.param("pooling_param").get("global_pooling"):
                continue
            yield from _window(layer)


def _window(layer: Layer) -> Iterator[Hit]:
    try:
        spatial(layer)
    except NetError as error:
        yield Hit(layer, str(error).partition(f'layer "{layer.name}": ')[2])
    if layer.type != "Pooling" and layer.param("convolution_param").get("num_output") < 1:
        yield Hit(layer, "it has no num_output; give the number of its output channels")


# ---- upsampling and cropping


def bilinear_group(seen: Seen) -> Iterator[Hit]:
    """a bilinear filler where the channels are not upsampled each by itself"""
    for layer in _bilinear(seen):
        param = layer.param("convolution_param")
        group, outputs = param.get("group"), param.get("num_output")
        inputs = seen.classes(layer.bottoms[0])
        if group != outputs or inputs not in (None, outputs):
            have = f"group {group}, num_output {outputs}" + (
                f" and {inputs} input channels" if inputs else ""
            )
            fact = (
                f"its filler is bilinear, and it has {have}; each output would be a sum over several inputs"
            )
            yield Hit(layer, f"{fact}: set both group and num_output to {inputs or outputs}")


def bilinear_kernel(seen: Seen) -> Iterator[Hit]:
    """a bilinear filler whose kernel does not spread each pixel evenly at this stride"""
    for layer in _bilinear(seen):
        try:
            kernel, stride = spatial(layer)[:2]
        except NetError:
            continue
        if layer.type == "Deconvolution" and any(
            k not in (2 * s, 2 * s - 1) for k, s in zip(kernel, stride, strict=True)
        ):
            fact = f"a bilinear kernel of {show(kernel)} at stride {show(stride)} does not add up to one everywhere"
            yield Hit(layer, f"{fact}; set kernel_size {2 * stride[0]} or {2 * stride[0] - 1}")


def _bilinear(seen: Seen) -> Iterator[Layer]:
    for layer in seen.graph.layers:
        if layer.type in ("Convolution", "Deconvolution"):
            filler = layer.param("convolution_param").view("weight_filler")
            if filler.get("type") == "bilinear" and not (seen.weights and seen.weights.get(layer.name)):
                yield layer


def zero_deconvolution(seen: Seen) -> Iterator[Hit]:
    """a Deconvolution whose weights are all zero, so that nothing comes through"""
    for layer in seen.graph.layers:
        if layer.type != "Deconvolution":
            continue
        stored = seen.weights.get(layer.name) if seen.weights else None
        remedy = 'give it weight_filler { type: "bilinear" } with group equal to num_output'
        if stored and not stored[0].array().any():
            yield Hit(
                layer,
                f"all its weights in {seen.weights.path} are 0; make them bilinear with `fcnkit surgery`",
            )
        elif not stored and (seen.weights or seen.trains) and _fills_zero(layer):
            source = seen.weights.path if seen.weights else "a caffemodel"
            where = f"{source} has none for it" if seen.weights else f"only {source} could give it others"
            yield Hit(layer, f"it has no weight_filler, so all its weights are 0 and {where}; {remedy}")


def _fills_zero(layer: Layer) -> bool:
    filler = layer.param("convolution_param").view("weight_filler")
    return filler.get("type") == "constant" and not filler.get("value")


def crop_offset(seen: Seen) -> Iterator[Hit]:
    """a Crop whose offset is not where its reference's first pixel lies"""
    for layer, axes in _crops(seen):
        if axes <= 2 and layer.param("crop_param").has("offset"):
            need, why_not = _needed(seen, layer, axes)
            had = _written(layer, axes)
            if why_not:
                yield Hit(layer, why_not)
            elif need and had != need:
                yield Hit(layer, f"offset {_joined(had)}, and {_places(layer, need)}")


def crop_without_offset(seen: Seen) -> Iterator[Hit]:
    """a Crop that says no offset: Caffe takes 0, OpenCV the centre"""
    for layer, axes in _crops(seen):
        if axes <= 2 and not layer.param("crop_param").has("offset"):
            need, why_not = _needed(seen, layer, axes)
            known = why_not or (_places(layer, need) if need else "write the one that is meant")
            yield Hit(layer, f"it has no offset: Caffe takes 0 and OpenCV the centre; {known}")


def _needed(seen: Seen, layer: Layer, axes: int) -> tuple[tuple[int, ...], str]:
    """The Crop's offset, or why it has none; neither where its bottoms share no map."""
    try:
        exact = coords.offset(seen.graph, *layer.bottoms, ndim=axes)
        return coords.whole(seen.graph, *layer.bottoms, exact), ""
    except AlignError as error:
        text = str(error)
        shared = "no coordinates carry" not in text
        return (), text.partition('": ')[2] if shared and '": ' in text else ""
    except NetError:
        return (), ""


def crop_channels(seen: Seen) -> Iterator[Hit]:
    """a Crop that cuts channels or images too"""
    for layer, axes in _crops(seen):
        if axes > 2:
            axis = layer.param("crop_param").get("axis")
            yield Hit(
                layer, f"it crops from axis {axis} on, channels or images too; set crop_param {{ axis: 2 }}"
            )


def _crops(seen: Seen) -> Iterator[tuple[Layer, int]]:
    """Each Crop of a 4-D top, and how many axes it cuts."""
    for layer in seen.graph.layers:
        if layer.type == "Crop" and len(layer.bottoms) == 2:
            axis = layer.param("crop_param").get("axis")
            yield layer, -axis if axis < 0 else 4 - axis


def _written(layer: Layer, axes: int) -> tuple[int, ...]:
    values = layer.param("crop_param").list("offset") or [0]
    return tuple(values * axes if len(values) == 1 else values)


def _places(layer: Layer, need: tuple[int, ...]) -> str:
    cropped, reference = layer.bottoms
    fix = " ".join(f"offset: {value}" for value in (need[:1] if len(set(need)) == 1 else need))
    return f'"{reference.blob}" begins at pixel {_joined(need)} of "{cropped.blob}"; set {fix}'


def _joined(values: tuple[int, ...]) -> str:
    return "x".join(map(str, dict.fromkeys(values)))


def fc_left_behind(seen: Seen) -> Iterator[Hit]:
    """an InnerProduct, which fixes the input's size, on the images of a net that upsamples them"""
    graph, reached = seen.graph, seen.reached
    made = [layer for layer in graph.layers if layer.type in ("Deconvolution", "Crop") and layer.tops]
    upsampled = next((layer for layer in made if layer.tops[0] in reached), None)
    for layer in graph.layers if upsampled else ():
        if layer.type == "InnerProduct" and layer.bottoms and layer.bottoms[0] in reached:
            fact = f'it fixes the size of the input, which layer "{upsampled.name}" upsamples at any size'
            yield Hit(layer, f"{fact}; make a Convolution of it with `fcnkit convolutionalize`")
