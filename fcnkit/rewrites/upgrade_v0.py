"""Layers of 2013, `layers { layer { type: "conv" ... } bottom ... top ... }`, in V2's words.

The rules are those of UpgradeV0PaddingLayers, UpgradeV0LayerParameter and
UpgradeV0LayerType in Caffe's upgrade_proto.cpp, and of the V1 upgrade after them.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fcnkit.edits import Edit
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Field, Prototxt, Style, literal, without
from fcnkit.formats.schema import View, check
from fcnkit.plan import Step
from fcnkit.rewrites.statements import (
    Node,
    Statement,
    as_node,
    comments,
    hidden,
    put,
    removed,
    revalued,
    runs,
    statements,
    tail,
)
from fcnkit.rewrites.upgrade_params import OLD, Columns, blocks, gathered

_FILLED = {
    "num_output": "num_output",
    "biasterm": "bias_term",
    "weight_filler": "weight_filler",
    "bias_filler": "bias_filler",
}
_WINDOW = {"pad": "pad", "kernelsize": "kernel_size", "stride": "stride"}
_READ = {"source": "source", "batchsize": "batch_size"}


class _Kind(NamedTuple):
    """What a V0 type is now: its word, its message, and the fields that go there."""

    word: str
    message: str = ""
    fields: dict[str, str] = {}


KINDS = {
    "accuracy": _Kind("Accuracy"),
    "bnll": _Kind("BNLL"),
    "concat": _Kind("Concat", "concat_param", {"concat_dim": "concat_dim"}),
    "conv": _Kind("Convolution", "convolution_param", {**_FILLED, **_WINDOW, "group": "group"}),
    "data": _Kind("Data", "data_param", {**_READ, "rand_skip": "rand_skip"}),
    "dropout": _Kind("Dropout", "dropout_param", {"dropout_ratio": "dropout_ratio"}),
    "euclidean_loss": _Kind("EuclideanLoss"),
    "flatten": _Kind("Flatten"),
    "hdf5_data": _Kind("HDF5Data", "hdf5_data_param", _READ),
    "hdf5_output": _Kind("HDF5Output"),
    "im2col": _Kind("Im2col"),
    "images": _Kind(
        "ImageData",
        "image_data_param",
        {
            **_READ,
            "rand_skip": "rand_skip",
            "shuffle_images": "shuffle",
            "new_height": "new_height",
            "new_width": "new_width",
        },
    ),
    "infogain_loss": _Kind("InfogainLoss", "infogain_loss_param", {"source": "source"}),
    "innerproduct": _Kind("InnerProduct", "inner_product_param", _FILLED),
    "lrn": _Kind("LRN", "lrn_param", {name: name for name in ("local_size", "alpha", "beta", "k")}),
    "multinomial_logistic_loss": _Kind("MultinomialLogisticLoss"),
    "pool": _Kind("Pooling", "pooling_param", {**_WINDOW, "pool": "pool"}),
    "relu": _Kind("ReLU"),
    "sigmoid": _Kind("Sigmoid"),
    "softmax": _Kind("Softmax"),
    "softmax_loss": _Kind("SoftmaxWithLoss"),
    "split": _Kind("Split"),
    "tanh": _Kind("TanH"),
    "window_data": _Kind(
        "WindowData",
        "window_data_param",
        {
            **_READ,
            **{
                f"det_{name}": name
                for name in (
                    "fg_threshold",
                    "bg_threshold",
                    "fg_fraction",
                    "context_pad",
                    "crop_mode",
                )
            },
        },
    ),
}

_TRANSFORM = {
    "scale": "scale",
    "meanfile": "mean_file",
    "cropsize": "crop_size",
    "mirror": "mirror",
}
_OUTER = ("name", "type", "blobs")
_LOST = ("input_shape", "state", "debug_info")


class _Layer(NamedTuple):
    """One V0 layer: the connection, and the layer in it."""

    field: Field
    outer: View
    inner: View

    @property
    def type(self) -> str:
        return self.inner.get("type")

    @property
    def name(self) -> str:
        return self.inner.get("name")

    def error(self, fact: str) -> NetError:
        return NetError(f'{self.field.source.path}:{self.field.line}: layer "{self.name}": {fact}')

    def step(self, verb: str, what: str, why: str = "") -> Step:
        return Step(verb, self.name, self.field.line, what, why)


class _Fold(NamedTuple):
    """The padding that a layer takes over, and the bottom it reads instead; both as written."""

    pad: str
    bottom: str
    name: str


def convert(net: Prototxt, layers: Sequence[Field]) -> tuple[list[Edit], list[Step]]:
    """The edits that make V2 layers of V0 ones, all but the name `layers`, and their steps.

    Raises NetError for a type that Caffe did not have, or a padding layer
    that is not before a convolution or pooling; PrototxtError for a field
    that V0 layers did not have.
    """
    read = [_read(field) for field in layers]
    folds = _folds(net, read)
    edits, steps = _net_level(net)
    whole = {one.start: one for one in statements(net.root) if one.name == "layers"}
    for number, layer in enumerate(read):
        if layer.type == "padding":
            edits.append(_without(layer, whole, net.style))
            what = f"a layer for padding {layer.inner.get('pad')}"
            steps.append(layer.step("remove", what, "Convolution and Pooling pad by themselves"))
        else:
            more, said = _layer(layer, folds.get(number), net.style)
            edits += more
            steps += said
    return edits, steps


def is_padding(field: Field) -> bool:
    """Whether this V0 layer is one for padding, which V2 does not have."""
    return _connection(field).type == "padding"


def _connection(field: Field) -> _Layer:
    return _Layer(
        field, View("V1LayerParameter", field), View("V0LayerParameter", field.last("layer"))
    )


def _read(field: Field) -> _Layer:
    inner = field.last("layer")
    if inner is not None:
        check("V0LayerParameter", inner)
    layer = _connection(field)
    if layer.type and layer.type not in KINDS and layer.type != "padding":
        raise layer.error(
            f'"{layer.type}" is not a type of Caffe\'s V0 format, which has {", ".join(KINDS)}, '
            f"padding; "
            f"write this layer in the V2 format"
        )
    return layer


def _folds(net: Prototxt, layers: Sequence[_Layer]) -> dict[int, _Fold]:
    """Which layers take over whose padding, by their numbers."""
    latest: dict[str, _Layer | None] = {field.string: None for field in net.root.all("input")}
    folds = {}
    for number, layer in enumerate(layers):
        for bottom in layer.outer.list("bottom"):
            if bottom not in latest:
                raise layer.error(
                    f'bottom "{bottom}" is not the top of an earlier layer; correct its name'
                )
            source = latest[bottom]
            if source is not None and source.type == "padding":
                folds[number] = _fold(layer, source)
        latest.update((top, layer) for top in layer.outer.list("top"))
    return folds


def _fold(layer: _Layer, source: _Layer) -> _Fold:
    if layer.type not in ("conv", "pool"):
        raise layer.error(
            f'it reads padding layer "{source.name}", and only conv and pool layers can pad; '
            f"remove the padding layer"
        )
    if len(layer.outer.list("bottom")) != 1:
        raise layer.error("it reads a padding layer and has more than one bottom; give it one")
    if len(source.outer.list("bottom")) != 1 or len(source.outer.list("top")) != 1:
        raise source.error("a padding layer has one bottom and one top; correct them")
    pad, bottom = source.inner.field("pad"), source.outer.required("bottom")
    return _Fold(pad.raw if pad else "0", bottom.raw, source.name)


def _net_level(net: Prototxt) -> tuple[list[Edit], list[Step]]:
    found = runs(statements(net.root), _LOST)
    why = "Caffe drops it from a V0 net"
    steps = [Step("remove", "", one.fields[0].line, one.name, why) for run in found for one in run]
    return [removed(run, net.style, "V0") for run in found], steps


def _without(layer: _Layer, whole: Mapping[int, Statement], style: Style) -> Edit:
    """The edit that takes a layer away; its comments stay, but for an element of a list."""
    one = whole.get(layer.field.start)
    return removed([one], style, "padding") if one else without(layer.field)


def _layer(layer: _Layer, fold: _Fold | None, style: Style) -> tuple[list[Edit], list[Step]]:
    written = statements(layer.field)
    edits = [removed([one], style) for one in written if one.name not in ("layer", "bottom", "top")]
    steps = [
        layer.step("remove", one.name, "Caffe takes only bottom and top from outside `layer`")
        for one in written
        if one.name not in ("layer", "bottom", "top")
    ]
    if fold:
        bottom = layer.outer.required("bottom")
        edits.append(Edit(bottom.value_start, bottom.stop, fold.bottom, "padding"))
    for one in written:
        if one.name == "layer":
            nodes, lost = _nodes(layer, one, fold, style)
            edits.append(put([one], nodes, _inner_style(one, style), "V0"))
            steps += [layer.step("change", _told(layer, fold), _why(fold)), *lost]
    return edits, steps


def _nodes(
    layer: _Layer, whole: Statement, fold: _Fold | None, style: Style
) -> tuple[list[Node], list[Step]]:
    """What replaces `layer { ... }`: name, type, params, the type's message, transform_param."""
    written = statements(whole.fields[0])
    kind = KINDS.get(layer.type, _Kind(""))
    own, transform, outer, lost = [], [], [], []
    for one in written:
        if one.name in kind.fields:
            own.append(as_node(one, kind.fields[one.name]))
        elif one.name in _TRANSFORM:
            transform.append(as_node(one, _TRANSFORM[one.name]))
        elif one.name == "type":
            outer.append(revalued(as_node(one), f": {literal(kind.word, style)}"))
        elif one.name in _OUTER or (
            one.name == "hdf5_output_param" and layer.type == "hdf5_output"
        ):
            outer.append(as_node(one))
        elif one.name not in OLD:
            lost.append(one)
    columns = gathered([[one] for one in written if one.name in OLD])
    left = tuple(comment for one in lost for comment in comments(one, lead=True))
    end = (*left, *hidden(whole), *tail(whole.fields[0], written))
    nodes = [*outer, *_with_leads(written, columns)]
    if fold:
        own = _padded(own, fold)
    if own:
        own += [Node("", lead=end)] * bool(end)
        nodes.append(Node(kind.message, tuple(own), trail=whole.trail))
    if transform:
        nodes.append(Node("transform_param", tuple(transform)))
    if not own and (end or whole.trail):
        nodes.append(Node("", lead=(*end, *([whole.trail.strip()] if whole.trail else []))))
    return nodes, [_lost(layer, one) for one in lost]


def _with_leads(written: Sequence[Statement], columns: Columns) -> list[Node]:
    """The param blocks, the comments above the old fields before them."""
    leads = tuple(line for one in written if one.name in OLD for line in one.lead if line)
    made = blocks(columns)
    return [made[0]._replace(lead=leads), *made[1:]] if made else []


def _padded(own: list[Node], fold: _Fold) -> list[Node]:
    value = f": {fold.pad}"
    if not any(node.name == "pad" for node in own):
        return [*own, Node("pad", value)]
    return [revalued(node, value) if node.name == "pad" else node for node in own]


def _inner_style(whole: Statement, style: Style) -> Style:
    """The style with the indent that the fields of this message have."""
    text, inner = whole.text, whole.fields[0].fields
    if not inner or "\n" not in text[whole.start : inner[0].start]:
        return style
    columns = [at - text.rfind("\n", 0, at) for at in (whole.start, inner[0].start)]
    indent = text[inner[0].start - (columns[1] - columns[0]) : inner[0].start]
    return style if indent.strip() or not indent else style._replace(indent=indent)


def _told(layer: _Layer, fold: _Fold | None) -> str:
    kind = KINDS.get(layer.type, _Kind(""))
    padded = f", pad {fold.pad}" if fold else ""
    return f'type "{layer.type}" -> "{kind.word}"{padded}' if layer.type else "V0 fields -> V2"


def _why(fold: _Fold | None) -> str:
    return f'padding layer "{fold.name}" is folded into it' if fold else ""


def _lost(layer: _Layer, one: Statement) -> Step:
    return layer.step("remove", one.name, f'Caffe drops it: type "{layer.type}" has no such field')
