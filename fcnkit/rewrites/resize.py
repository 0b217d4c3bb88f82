"""The sizes that a net's file says of its inputs: a whole shape, or the batch alone."""

from collections.abc import Iterator, Mapping

from fcnkit import expected
from fcnkit.edits import Edit, arrange
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Field, NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.table import has_field, of
from fcnkit.plan import Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import set_param, set_value
from fcnkit.rewrites.operations import Arguments, Operation, name_and_rest, whole_number
from fcnkit.rewrites.states import States, states
from fcnkit.rewrites.up_to_scores import shape_fields
from fcnkit.shape import Shape

# The largest size of an axis that Caffe's int holds.
_MOST = 2**31 - 1


@expected.checked
def resize(
    net: NetOrPath, blob: str, shape: Shape, *, inputs: Mapping[str, Shape] | None = None
) -> Plan:
    """An input gets this shape in the file: in an Input layer, in input_dim or in input_shape.

    >>> conv = fk.convolutionalize("deploy.prototxt").net
    >>> fk.inspect(fk.resize(conv, "data", (1, 1, 56, 56)).net).rows[0].shape
    (1, 1, 56, 56)

    A data layer gets a new batch_size and, if it crops, a new crop_size.

    - `net`: a Prototxt or its path.
    - `blob`: the name of the input.
    - `shape`: its new shape, (images, channels, height, width).
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if there is no such input, if the data decides its size, and if weights
    would get another shape: convolutionalize an InnerProduct first.
    """
    net = given_net(net)
    work = _known(net, inputs, {blob: shape})
    edits: list[Edit] = []
    steps: dict[int, Step] = {}
    for known in work.each:
        layer = _brings(known.graph, blob)
        if layer is None:
            continue
        top = next(top for top in layer.tops if top.blob == blob)
        edits += _sized(net, layer, top, shape)
        step = Step("change", layer.name, layer.line, f"{blob} {show(shape)}", "as asked")
        steps[layer.field.start] = step
    if not steps:
        work.each[0].graph.top(blob)  # names the nearest, where there is none
        maker = work.each[0].graph.producer(work.each[0].graph.top(blob))
        raise maker.error(f'it computes "{blob}"; name an input of the net')
    return _checked(net, work, edits, steps, inputs, {blob: shape})


@expected.checked
def batch(net: NetOrPath, count: int, *, inputs: Mapping[str, Shape] | None = None) -> Plan:
    """Every input gets a batch of `count` images: the first number of its shape, or its
    batch_size.

    >>> fk.inspect(fk.batch("deploy.prototxt", 8).net).rows[0].shape
    (8, 1, 28, 28)

    - `net`: a Prototxt or its path.
    - `count`: the number of images.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    An input, such as a list of boxes, whose first number differs from that of the first input
    stays as it is. Raises NetError if no input gives its batch size, and in the cases of `resize`.
    """
    net = given_net(net)
    expected.whole("count", count, least=1)
    work = states(net, inputs)
    edits: list[Edit] = []
    steps: dict[int, Step] = {}
    for known in work.each:
        own = ""
        for layer in known.graph.layers:
            fields = [*_first_sizes(net, layer), *_batch_sizes(layer)] if not layer.bottoms else []
            own = own or next((field.raw for field in fields), "")
            fields = [field for field in fields if field.raw == own]
            edits += [set_value(field, count, "batch") for field in fields]
            if fields:
                what = f"batch of {count}"
                steps[layer.field.start] = Step("change", layer.name, layer.line, what, "as asked")
    if not steps:
        first = work.each[0].graph.layers[0]
        raise first.error("no input says a size here; give one with --do resize=BLOB:N,C,H,W")
    return _checked(net, work, edits, steps, inputs, {})


def _known(net: Prototxt, inputs: Mapping[str, Shape] | None, new: Mapping[str, Shape]) -> States:
    """The net at the sizes that it says; where it cannot be built at those, at the new ones.

    So it is with kernels that were made for another size than the file has.
    """
    try:
        return states(net, inputs)
    except NetError:
        return states(net, {**(inputs or {}), **new})


def _brings(graph: Graph, blob: str) -> Layer | None:
    """The layer without bottoms that makes the blob."""
    return next(
        (
            layer
            for layer in graph.layers
            if not layer.bottoms and any(top.blob == blob for top in layer.tops)
        ),
        None,
    )


def _sized(net: Prototxt, layer: Layer, top: Top, shape: Shape) -> list[Edit]:
    if layer.is_input:
        dims = shape_fields(net, layer, top.index)
        if len(dims) != len(shape):
            fact = (
                f'"{top.blob}" has {number_of(len(dims), "size")} here, and {len(shape)} are given'
            )
            raise layer.error(f"{fact}; give as many")
        return [
            set_value(field, size, "input shape")
            for field, size in zip(dims, shape, strict=True)
            if field.raw != str(size)
        ]
    crop = layer.param("transform_param")
    if top.index or len(shape) != 4 or not has_field(layer, "batch_size"):
        raise layer.error("its size is that of its data; resize the data instead")
    if not crop.get("crop_size") or shape[2] != shape[3]:
        square = "it crops squares" if crop.get("crop_size") else "it does not crop"
        fact = f"its images cannot be {show(shape[2:])}, for {square}"
        raise layer.error(f"{fact}; set only the batch with --do batch={shape[0]}")
    return [
        *set_param(layer, of(layer).message, [("batch_size", shape[0])], net.style, why="batch"),
        *set_param(layer, "transform_param", [("crop_size", shape[2])], net.style, why="crop"),
    ]


def _first_sizes(net: Prototxt, layer: Layer) -> Iterator[Field]:
    """The first size of each shape of an Input."""
    for top in layer.tops if layer.is_input else ():
        yield from shape_fields(net, layer, top.index)[:1]


def _batch_sizes(layer: Layer) -> list[Field]:
    if layer.is_input or not has_field(layer, "batch_size"):
        return []
    owner = layer.view.field(of(layer).message)
    return owner.all("batch_size") if owner else []


def _checked(
    net: Prototxt,
    work: States,
    edits: list[Edit],
    steps: Mapping[int, Step],
    inputs: Mapping[str, Shape] | None,
    new: Mapping[str, Shape],
) -> Plan:
    """The plan of these edits, after which every layer has weights of the shapes that it had."""
    plan = Plan(net, net.edit(arrange(edits)), tuple(steps[at] for at in sorted(steps)))
    after = states(plan.net, {**(inputs or {}), **new} or None)
    for old, made in zip(work.each, after.each, strict=True):
        for layer, same in zip(old.graph.layers, made.graph.layers, strict=True):
            had, has = old.shapes.blobs(layer), made.shapes.blobs(same)
            if had and has and had != has:
                fact = f"its weights are {show(had[0])}, and would be {show(has[0])}"
                dense = len(had[0]) == 2
                remedy = "put --do conv before --do resize" if dense else "keep its channels"
                raise layer.error(f"{fact}; {remedy}")
    return plan


def _resized(text: str) -> Arguments:
    """BLOB:N,C,H,W."""
    blob, sizes = name_and_rest(text)
    shape = tuple(whole_number(size, _MOST) for size in sizes.split(","))
    if 0 in shape:
        raise ValueError(f'"{sizes}" has a size of 0')
    return (blob, shape), {}


def _count(text: str) -> Arguments:
    """N."""
    count = whole_number(text)
    if not count:
        raise ValueError("a batch of 0 images")
    return (count,), {}


OPERATIONS = (
    Operation(
        "resize",
        "resize=BLOB:N,C,H,W",
        "write the size of an input into the file",
        resize,
        _resized,
    ),
    Operation("batch", "batch=N", "write the batch size into the file", batch, _count),
)
