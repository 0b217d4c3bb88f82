"""Where a net says its inputs: in Input layers, or in fields of the net as older tools want."""

from collections.abc import Mapping

from fcnkit import expected
from fcnkit.errors import NetError
from fcnkit.formats.blobproto import shown_shape
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Layer
from fcnkit.plan import Plan, Step
from fcnkit.rewrites.changes import removed, statements_before
from fcnkit.rewrites.operations import Arguments, Operation
from fcnkit.rewrites.states import states
from fcnkit.rewrites.upgrade import upgrade
from fcnkit.shape import Shape

LAYER, LEGACY = "layer", "legacy"


@expected.checked
def input_as(net: NetOrPath, how: str, *, inputs: Mapping[str, Shape] | None = None) -> Plan:
    """The inputs of the net are written as Input layers ("layer"), or as `input` and
    `input_dim` ("legacy").

    >>> print(fk.input_as("deploy.prototxt", "legacy").steps[0].what)
    Input -> input fields

    Caffe reads both forms in the same way, but some tools read only one of them. An input that
    does not have four axes is written with `input_shape` instead of `input_dim`. For "layer", a net
    in an old format is upgraded first.

    - `net`: a Prototxt or its path.
    - `how`: "layer" or "legacy".
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if an Input layer exists only in some states.
    """
    net = given_net(net)
    if how == LAYER:
        return upgrade(net)
    if how != LEGACY:
        raise NetError(f'{net.path}: inputs as "{how}" are not known; give {LAYER} or {LEGACY}')
    found = {
        layer.field.start: layer
        for known in states(net, inputs).each
        for layer in known.graph.layers
        if layer.is_input and layer.field.name == "layer"
    }
    if not found:
        return Plan(net, net)
    layers = [found[start] for start in sorted(found)]
    for layer in layers:
        if layer.field.all("include", "exclude"):
            raise layer.error("it is in some states only, which net-level inputs cannot be")
    first = net.root.all("layer", "layers")[0]
    edits = [removed(layer.field, "input fields") for layer in layers]
    edits.append(statements_before(net, first, _fields(net, layers), "input fields"))
    steps = [
        Step(
            "change",
            layer.name,
            layer.line,
            "Input -> input fields",
            "fields of the net give its input, instead of a layer",
        )
        for layer in layers
    ]
    return Plan(net, net.edit(edits), tuple(steps))


def _fields(net: Prototxt, layers: list[Layer]) -> list[tuple[str, object]]:
    """`input`, and the sizes of all of them in one way: that of the inputs that are fields already.

    Caffe takes sizes of one kind alone.
    """
    for layer in layers:
        if None in [layer.input_shapes[top.index] for top in layer.tops]:
            raise layer.error("it says no shape; give it an input_param with one")
    tops = [(top, layer.input_shapes[top.index] or ()) for layer in layers for top in layer.tops]
    shapes = [shape for _, shape in tops]
    names: list[tuple[str, object]] = [("input", top.blob) for top, _ in tops]
    in_shapes, in_dims = (bool(net.root.all(name)) for name in ("input_shape", "input_dim"))
    if net.root.all("input") and not in_shapes and not in_dims:
        fact = (
            "an input of the net has no size, and the sizes of later inputs would be taken for it"
        )
        raise net.root.all("input")[0].error(f"{fact}; give it an input_shape")
    if in_dims and any(len(shape) != 4 for shape in shapes):
        top, shape = next(each for each in tops if len(each[1]) != 4)
        fact = f'"{top.blob}" is {shown_shape(shape)}, but input_dim needs four sizes'
        raise layers[0].error(f"{fact}; write the net's inputs with input_shape")
    if in_shapes or any(len(shape) != 4 for shape in shapes):
        return names + [("input_shape", [("dim", size) for size in shape]) for shape in shapes]
    return names + [("input_dim", size) for shape in shapes for size in shape]


def _arguments(text: str) -> Arguments:
    """layer or legacy."""
    if text not in (LAYER, LEGACY):
        raise ValueError(f'"{text}" is neither {LAYER} nor {LEGACY}')
    return (text,), {}


OPERATIONS = (
    Operation(
        "input",
        "input=legacy|layer",
        "write inputs as input_dim, or as Input layers",
        input_as,
        _arguments,
    ),
)
