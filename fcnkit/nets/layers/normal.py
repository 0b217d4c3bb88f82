"""Shapes and parameters of the layers that learn or normalise, windows aside.

The rules are those of Caffe's layer of the same name.
"""

from fractions import Fraction
from math import prod

from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import canonical, four, outputs_of, show
from fcnkit.nets.layers.sliding import Window
from fcnkit.nets.layers.traits import Affine
from fcnkit.plural import number_of
from fcnkit.shape import Shape


def inner_product(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The axes before `axis`, and num_output."""
    shape, param = bottoms[0], layer.param("inner_product_param")
    axis = canonical(layer, param.get("axis"), len(shape))
    return [(*shape[:axis], outputs_of(layer, "inner_product_param"))]


def inner_product_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Weights out x in, in x out with transpose, and biases."""
    shape, param = bottoms[0], layer.param("inner_product_param")
    outputs = param.get("num_output")
    inputs = prod(shape[canonical(layer, param.get("axis"), len(shape)) :])
    weights = (inputs, outputs) if param.get("transpose") else (outputs, inputs)
    return [weights, (outputs,)] if param.get("bias_term") else [weights]


def inner_product_macs(layer: Layer, bottoms: list[Shape], tops: list[Shape]) -> int:
    """Output values x inputs of each."""
    axis = canonical(layer, layer.param("inner_product_param").get("axis"), len(bottoms[0]))
    return prod(tops[0]) * prod(bottoms[0][axis:])


def embed(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The bottom's axes, and num_output."""
    if layer.param("embed_param").get("input_dim") < 1:
        raise layer.error("it has no input_dim; give the number of different values in its bottom")
    return [(*bottoms[0], outputs_of(layer, "embed_param"))]


def embed_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Weights input_dim x num_output, and biases."""
    param = layer.param("embed_param")
    outputs = param.get("num_output")
    return [(param.get("input_dim"), outputs), *[(outputs,)] * param.get("bias_term")]


def embed_indices(layer: Layer, bottoms: list[Shape]) -> dict[int, int]:
    """Each number of the bottom is a row of the table, of input_dim rows."""
    return {0: layer.param("embed_param").get("input_dim")}


def batch_norm(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The bottom's shape, of at least two axes."""
    if len(bottoms[0]) < 2:
        raise layer.error(f"its bottom is {show(bottoms[0])}; BatchNorm takes at least 2 axes")
    return bottoms[:1]


def batch_norm_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Mean and variance of each channel, and the factor that both are divided by."""
    channels = bottoms[0][1]
    return [(channels,), (channels,), (1,)]


def by_batch(layer: Layer) -> bool:
    """Whether it says that it normalises by the batch, whatever statistics it has."""
    param = layer.param("batch_norm_param")
    return param.has("use_global_stats") and not param.get("use_global_stats")


def scale(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The first bottom's shape; its factors match its axes from `axis` on."""
    return _spread(layer, bottoms, "scale_param")


def bias(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The first bottom's shape; its summands match its axes from `axis` on."""
    return _spread(layer, bottoms, "bias_param")


def scale_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The factors, unless they are a bottom, and the summands with bias_term."""
    own = [] if len(bottoms) > 1 else [_coefficients(layer, bottoms[0], "scale_param")]
    added = layer.param("scale_param").get("bias_term")
    return own + ([own[0] if own else bottoms[1]] if added else [])


def bias_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The summands, unless they are a bottom."""
    return [] if len(bottoms) > 1 else [_coefficients(layer, bottoms[0], "bias_param")]


def _spread(layer: Layer, bottoms: list[Shape], message: str) -> list[Shape]:
    shape = bottoms[0]
    other = bottoms[1] if len(bottoms) > 1 else _coefficients(layer, shape, message)
    axis = canonical(layer, layer.param(message).get("axis"), len(shape)) if other else 0
    if shape[axis : axis + len(other)] != other:
        fact = f"{show(other)} does not match {show(shape)} from axis {axis} on"
        raise layer.error(f"{fact}; give the axis where they agree")
    return [shape]


def _coefficients(layer: Layer, shape: Shape, message: str) -> Shape:
    param = layer.param(message)
    axis, count = canonical(layer, param.get("axis"), len(shape)), param.get("num_axes")
    if count < -1 or axis + count > len(shape):
        fact = (
            f"axis {axis} and num_axes {count} of a bottom with "
            f"{number_of(len(shape), 'axis', 'axes')}"
        )
        raise layer.error(f"{fact}; stay within it")
    return shape[axis:] if count == -1 else shape[axis : axis + count]


def prelu(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The bottom's shape, of two to four axes."""
    if not 2 <= len(bottoms[0]) <= 4:
        raise layer.error(f"its bottom is {show(bottoms[0])}; PReLU takes 2 to 4 axes")
    return bottoms[:1]


def prelu_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """One slope per channel, or one for all."""
    return [() if layer.param("prelu_param").get("channel_shared") else (bottoms[0][1],)]


def lrn(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The bottom's shape, of four axes."""
    size = layer.param("lrn_param").get("local_size")
    four(layer, bottoms[0])
    if size % 2 == 0:
        raise layer.error(f"local_size {size} is even; give an odd one")
    return bottoms[:1]


def lrn_window(layer: Layer, ndim: int = 4) -> Window | None:
    """local_size on both spatial axes WITHIN_CHANNEL, a point ACROSS_CHANNELS."""
    param = layer.param("lrn_param")
    within = param.get("norm_region") == "WITHIN_CHANNEL"
    return ((param.get("local_size"), Fraction(1)),) * 2 if within else ()


def mvn(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The bottom's shape, filled up with 1 to four axes."""
    if len(bottoms[0]) > 4:
        raise layer.error(f"its bottom is {show(bottoms[0])}; MVN takes at most 4 axes")
    return [bottoms[0] + (1,) * (4 - len(bottoms[0]))]


def parameter(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The shape that the prototxt says."""
    return [tuple(layer.param("parameter_param").view("shape").list("dim"))]


def recurrent(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Time x streams x num_output, and the exposed hidden states."""
    if len(bottoms[0]) < 3 or bottoms[1] != bottoms[0][:2]:
        fact = f"its bottoms are {show(bottoms[0])} and {show(bottoms[1])}"
        if len(bottoms[0]) < 3:
            raise layer.error(f"{fact}; give the first values after its time x streams")
        raise layer.error(f"{fact}; the second must be the time x streams of the first")
    outputs = outputs_of(layer, "recurrent_param")
    return [(*bottoms[0][:2], outputs), *[(1, bottoms[0][1], outputs)] * (len(layer.tops) - 1)]


def recurrent_indices(layer: Layer, bottoms: list[Shape]) -> dict[int, int]:
    """The second bottom says of each step whether its sequence goes on."""
    return {1: 2}


def lstm_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Weights and biases of four gates, those of a static input, and of the last hidden state."""
    return _recurrent_blobs(layer, bottoms, 4)


def rnn_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """As an LSTM's with one gate, then weights and biases of the output."""
    outputs = layer.param("recurrent_param").get("num_output")
    return [*_recurrent_blobs(layer, bottoms, 1), (outputs, outputs), (outputs,)]


def _recurrent_blobs(layer: Layer, bottoms: list[Shape], gates: int) -> list[Shape]:
    param = layer.param("recurrent_param")
    outputs, exposed = param.get("num_output"), param.get("expose_hidden")
    rows = gates * outputs
    hidden = (2 if layer.type == "LSTM" else 1) if exposed else 0
    static = [(rows, prod(bottoms[2][1:]))] if len(bottoms) > 2 + hidden else []
    return [(rows, prod(bottoms[0][2:])), (rows,), *static, (rows, outputs)]


def lstm_unit(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The cell's shape, for the new cell and the new hidden state: 1 x batch x hidden.

    The gates are four times as wide, and the last bottom says which sequences go on.
    """
    cell, gates, goes_on = bottoms
    wanted = (1, *cell[1:2])
    if len(cell) != 3 or cell[:2] != wanted or gates != (*wanted, 4 * cell[2]) or goes_on != wanted:
        found = ", ".join(show(bottom) for bottom in bottoms)
        fact = f"its bottoms are {found}"
        raise layer.error(f"{fact}; it takes 1 x N x D, 1 x N x 4 D and 1 x N")
    return [cell] * 2


# ---- what else there is to say of them


def scale_affine(layer: Layer) -> Affine:
    """Blob 0 are the factors, blob 1 the summands with bias_term."""
    return Affine(factor=0, summand=1 if layer.param("scale_param").get("bias_term") else None)


def bias_affine(layer: Layer) -> Affine:
    """Blob 0 are the summands."""
    return Affine(summand=0)


def scale_of_zero(layer: Layer) -> bool:
    """Zero stays zero where nothing is added."""
    return not layer.param("scale_param").get("bias_term")


def scale_overwrites(layer: Layer, bottoms: list[Shape]) -> bool:
    """Where nothing is summed over axes before the factors', as in a batch of one image.

    Caffe's ScaleLayer::Backward_cpu and _gpu then compute right in the gradient's memory.  One
    factor for all numbers is a sum by itself, and is added, unless there is but one number.
    """
    if len(bottoms) > 1:
        return False  # its one parameter is the summand
    factors = _coefficients(layer, bottoms[0], "scale_param")
    axis = canonical(layer, layer.param("scale_param").get("axis"), len(bottoms[0]))
    before, many = prod(bottoms[0][:axis]), prod(factors)
    return many == prod(bottoms[0]) or before == 1 != many


def parameter_overwrites(layer: Layer, bottoms: list[Shape]) -> bool:
    """Always: its top's gradient, which is new in each pass, is the parameter's own memory."""
    return True


def inner_product_of_zero(layer: Layer) -> bool:
    """Zero stays zero where nothing is added."""
    return not layer.param("inner_product_param").get("bias_term")


def inner_product_axis(layer: Layer) -> int:
    """The outputs are the first axis of the weights, with transpose the second."""
    return 1 if layer.param("inner_product_param").get("transpose") else 0


def softmax(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The bottom's shape, with an axis to normalise over."""
    canonical(layer, layer.param("softmax_param").get("axis"), len(bottoms[0]))
    return bottoms[:1]


def softmax_window(layer: Layer, ndim: int = 4) -> Window | None:
    """One point along the channels; None along another axis, where places meet."""
    axis = canonical(layer, layer.param("softmax_param").get("axis"), ndim)
    return () if axis == 1 else None
