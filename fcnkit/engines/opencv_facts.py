"""What OpenCV gets wrong of each layer type that it runs: see opencv.py, which refuses it."""

from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.boxes import OTHER_BOXES
from fcnkit.nets.layers.normal import by_batch

# One function per layer type: the fact, or "".


def _nothing(layer: Layer) -> str:
    return ""


def _convolution(layer: Layer) -> str:
    param = layer.param("convolution_param")
    if param.has("pad_h") != param.has("pad_w"):
        return "it ignores pad_h without pad_w, and pad_w without pad_h; write both"
    return f"it ignores the axis of a {layer.type}" if param.get("axis") != 1 else ""


def _deconvolution(layer: Layer) -> str:
    dilations = layer.param("convolution_param").list("dilation")
    wrong = any(dilation != 1 for dilation in dilations)
    return "it ignores the dilation of a Deconvolution" if wrong else _convolution(layer)


def _inner_product(layer: Layer) -> str:
    wrong = layer.param("inner_product_param").get("transpose")
    return "it ignores the transpose of an InnerProduct" if wrong else ""


def _lrn(layer: Layer) -> str:
    param = layer.param("lrn_param")
    wrong = param.get("k") != 1 and param.get("norm_region") == "ACROSS_CHANNELS"
    return f"it assumes k = 1 for an LRN, whose k is {param.get('k')} here" if wrong else ""


def _pooling(layer: Layer) -> str:
    param = layer.param("pooling_param")
    if param.get("pool") == "STOCHASTIC":
        return "it has no stochastic pooling"
    return "its importer fails on the round_mode of a Pooling" if param.has("round_mode") else ""


def _concat(layer: Layer) -> str:
    param = layer.param("concat_param")
    wrong = param.has("concat_dim") and param.get("concat_dim") != 1
    return "it ignores concat_dim; write axis instead" if wrong else ""


def _slice(layer: Layer) -> str:
    param = layer.param("slice_param")
    if param.has("slice_dim"):
        return "it ignores slice_dim; write axis instead"
    missing = len(layer.tops) > 1 and not param.has("slice_point")
    return "its importer fails on a Slice without slice_point; write them" if missing else ""


def _scale(layer: Layer) -> str:
    wrong = len(layer.bottoms) == 1 and layer.param("scale_param").get("num_axes") == 0
    return "its importer fails on a Scale by one number" if wrong else ""


def _prelu(layer: Layer) -> str:
    wrong = layer.param("prelu_param").get("channel_shared")
    return "its importer fails on a PReLU whose channels share one slope" if wrong else ""


def _batch_norm(layer: Layer) -> str:
    wrong = by_batch(layer)
    return "it uses the stored statistics even if use_global_stats is false" if wrong else ""


def _permute(layer: Layer) -> str:
    order = layer.param("permute_param").list("order")
    return "" if len(order) == 4 else "its importer fails on a Permute that leaves axes out"


def _normalize(layer: Layer) -> str:
    param = layer.param("norm_param")
    wrong = not layer.view.says("norm_param") or param.get("across_spatial")
    wrong = wrong or param.get("channel_shared")
    return "its importer fails on a Normalize but across channels, a factor for each" * wrong


def _interp(layer: Layer) -> str:
    param = layer.param("interp_param")
    if len(layer.bottoms) > 1:
        return "it has no Interp to the size of a second bottom"
    if param.says("full_zoom_factor"):
        return "it has no full_zoom_factor"
    if param.says("shrink_factor"):
        return "it ignores the shrink_factor of an Interp"
    wrong = param.get("pad_beg") or param.get("pad_end")
    return "it ignores pad_beg and pad_end of an Interp" if wrong else ""


def _prior_box(layer: Layer) -> str:
    param = layer.param("prior_box_param")
    for name in ("clip", "variance"):
        if not param.says(name):
            return f"it has another default than SSD for a PriorBox's {name}; write it"
    if len(layer.bottoms) < 2 or param.says("img_size", "img_h", "img_w"):
        return "it takes the size of a PriorBox's second bottom, whatever the layer says"
    whole = all(size == int(size) for name in _SIZES for size in param.list(name))
    if param.says(*OTHER_BOXES) or not whole:
        return "its PriorBox is SSD's for sizes that are whole numbers"
    return ""


_SIZES = ("min_size", "max_size")

FACTS = {
    "Input": _nothing,
    "Convolution": _convolution,
    "Deconvolution": _deconvolution,
    "InnerProduct": _inner_product,
    "Pooling": _pooling,
    "LRN": _lrn,
    "MVN": _nothing,
    "BatchNorm": _batch_norm,
    "Scale": _scale,
    "PReLU": _prelu,
    "ReLU": _nothing,
    "ELU": _nothing,
    "Sigmoid": _nothing,
    "Swish": _nothing,
    "TanH": _nothing,
    "AbsVal": _nothing,
    "Power": _nothing,
    "Exp": _nothing,
    "Dropout": _nothing,
    "Softmax": _nothing,
    "Eltwise": _nothing,
    "Concat": _concat,
    "Slice": _slice,
    "Crop": _nothing,
    "Flatten": _nothing,
    "Reshape": _nothing,
    "Silence": _nothing,
    "Permute": _permute,
    "Normalize": _normalize,
    "ReLU6": _nothing,
    "Mish": _nothing,
    "ShuffleChannel": _nothing,
    "Interp": _interp,
    "PriorBox": _prior_box,
}
"""The layer types that OpenCV runs as Caffe does, but for what each function says."""

RANDOM = ("Dropout", "BatchNorm")
"""Layers that do something else in training; OpenCV always tests."""
