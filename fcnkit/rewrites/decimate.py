"""A Convolution with a large kernel keeps every so manieth tap,
and dilation keeps them in their places.

So DeepLab makes the 7 x 7 kernel of VGG-16's fc6 4 x 4 or 3 x 3: Chen et al.,
"Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected
CRFs", section 3.2.
"""

from collections.abc import Mapping, Sequence

from fcnkit import expected
from fcnkit.edits import Edit
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.sliding import spatial
from fcnkit.nets.layers.table import axis_of, of
from fcnkit.plan import Move, Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import beside, removed, set_param
from fcnkit.rewrites.operations import Arguments, Operation, name_and_rest, whole_number
from fcnkit.rewrites.states import States, copies, states
from fcnkit.rewrites.taps import kernel_fields
from fcnkit.shape import Shape

_PARAM = "convolution_param"
_HOLES = ("hole", "hole_h", "hole_w")
_OLD = ("kernel_size", "kernel_h", "kernel_w", "dilation", *_HOLES)


@expected.checked
def decimate(
    net: NetOrPath,
    layer: str,
    kernel: int | Sequence[int],
    *,
    inputs: Mapping[str, Shape] | None = None,
) -> Plan:
    """The kernel of the layer shrinks to `kernel`: it keeps every m-th weight, and is dilated
    by m.

    >>> fk.decimate("deploy.prototxt", "conv1", 3).steps[0].what
    'kernel 5 -> 3, dilation times 2'

    m is (old kernel - 1) / (new kernel - 1) on each axis. So the first and the last weight
    stay, and all sizes in the net stay too. The outputs are those of the old kernel with zeros
    in place of the removed weights.

    - `net`: a Prototxt or its path.
    - `layer`: the name of a Convolution or Deconvolution.
    - `kernel`: the new kernel size, one number or (height, width).
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if m is not a whole number (the message lists the kernels that fit), if the
    layer is not a Convolution or Deconvolution, or if it shares its weights.
    """
    net = given_net(net)
    work = states(net, inputs)
    edits, moves, steps = [], [], {}
    for each in work.named(layer):
        old, new = _kernels(work, each, kernel)
        if old == new:
            continue
        work.alone(each)
        edits += _edits(net, each, new, _steps(each, old, new))
        moves += _moves(work, each, old, new)
        steps[each.field.start] = _step(each, old, new)
    return work.plan(edits, steps, moves)


def _kernels(work: States, layer: Layer, kernel: int | Sequence[int]) -> tuple[Shape, Shape]:
    """The old and the new kernel of each axis."""
    kind = of(layer)
    if not kind.linear or kind.message != _PARAM:
        fact = f"its type is {layer.type}; only a Convolution is decimated"
        raise layer.error(f"{fact}{': convolutionalize it first' * kind.linear}")
    old = tuple(work.blobs(layer)[0][2:])
    new = (kernel,) * len(old) if isinstance(kernel, int) else tuple(kernel)
    if len(old) != len(new) or not old:
        fact = f"its kernel has {number_of(len(old), 'axis', 'axes')} and the new one {len(new)}"
        raise layer.error(f"{fact}; give a kernel size for each, or one for all")
    return old, new


def _steps(layer: Layer, old: Shape, new: Shape) -> Shape:
    """From which tap to which, on each axis; 1 where the axis stays."""
    for size, fewer in zip(old, new, strict=True):
        if size != fewer and (not 1 < fewer < size or (size - 1) % (fewer - 1)):
            fits = [k for k in range(size - 1, 1, -1) if (size - 1) % (k - 1) == 0]
            remedy = f"these fit: {', '.join(map(str, fits))}" if fits else "none does"
            raise layer.error(
                f"{fewer} of {size} weights cannot be spread evenly from first to last; {remedy}"
            )
    return tuple((k - 1) // (n - 1) if k != n else 1 for k, n in zip(old, new, strict=True))


def _edits(net: Prototxt, layer: Layer, kernel: Shape, steps: Shape) -> list[Edit]:
    why = f'decimate "{layer.name}"'
    dilation = [d * m for d, m in zip(_dilation(layer, len(kernel)), steps, strict=True)]
    alike, holes = len(set(dilation)) == 1, layer.param(_PARAM).says(*_HOLES)
    lists = any(len(layer.param(_PARAM).list(name)) > 1 for name in ("kernel_size", "dilation"))
    if len(set(kernel)) == 1 and alike and not holes and not lists:
        same = [("kernel_size", kernel[0]), ("dilation", dilation[0])]
        return set_param(
            layer, _PARAM, same, net.style, replacing=("kernel_h", "kernel_w"), why=why
        )
    old = [field for param in layer.field.all(_PARAM) for field in param.all(*_OLD)]
    words = ["dilation"] * (1 if alike else len(kernel))
    if holes:
        words = ["hole"] if alike else ["hole_h", "hole_w"]
    fields: list[tuple[str, object]] = [*kernel_fields(kernel), *zip(words, dilation, strict=False)]
    anchor = layer.param(_PARAM).required("num_output")
    return [*(removed(field, why) for field in old), beside(anchor, fields, net.style, why)]


def _dilation(layer: Layer, axes: int) -> Shape:
    """Of a layer whose window has as many axes, behind that of its channels."""
    axis = axis_of(layer)
    return spatial(layer, axes + 1 + (axis if axis > 0 else 1)).dilation


def _moves(work: States, layer: Layer, old: Shape, new: Shape) -> list[Move]:
    weights = tuple(work.blobs(layer)[0])
    axes = tuple(
        (axis, tuple(((tap * step, 1),) for tap in range(count)))
        for axis, (step, count) in enumerate(zip(_steps(layer, old, new), new, strict=True), 2)
        if count != weights[axis]
    )
    mix = Move(layer.name, 0, (*weights[:2], *new), layer.name, "mix", (weights, axes))
    return [mix, *copies(layer, work.blobs(layer), 1)]


def _step(layer: Layer, old: Shape, new: Shape) -> Step:
    taps = [
        ", ".join(str(tap * step) for tap in range(count))
        for step, count in zip(_steps(layer, old, new), new, strict=True)
    ]
    what = f"kernel {_show(old)} -> {_show(new)}, dilation times {_show(_steps(layer, old, new))}"
    why = f"weights {' and '.join(dict.fromkeys(taps))} of {_show(old)} keep their places"
    return Step("change", layer.name, layer.line, what, why)


def _show(sizes: Shape) -> str:
    return "x".join(map(str, dict.fromkeys(sizes)))


def _arguments(text: str) -> Arguments:
    layer, size = name_and_rest(text)
    kernel = tuple(map(whole_number, size.split("x")))
    return (layer, kernel[0] if len(kernel) == 1 else kernel), {}


OPERATIONS = (
    Operation(
        "decimate",
        "decimate=LAYER:K[xK...]",
        "keep fewer weights of a kernel, dilated",
        decimate,
        _arguments,
        keeps_values=False,
    ),
)
