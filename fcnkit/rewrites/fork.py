"""BVLC's words in those of one of its forks, where that fork is known to have them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from fcnkit import expected
from fcnkit.edits import Edit
from fcnkit.errors import NetError
from fcnkit.formats import schema
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.owners import FORK_NAMES
from fcnkit.nets.layers.sliding import spatial
from fcnkit.nets.layers.strange_fields import not_understood
from fcnkit.nets.layers.table import axis_of, has_bias, of
from fcnkit.nets.layers.windows import has_window, is_global, rounds_down
from fcnkit.plan import Move, Plan, Step
from fcnkit.rewrites.bvlc import in_words_of
from fcnkit.rewrites.changes import removed, set_param, set_value
from fcnkit.rewrites.forks.site import plain
from fcnkit.rewrites.operations import Arguments, Operation
from fcnkit.rewrites.states import States, present, states
from fcnkit.shape import Shape

# NVCaffe takes no smaller one.
_NVCAFFE_EPS = 1e-5


class _Change(NamedTuple):
    """What becomes of a layer, and of another that goes into it."""

    edits: Sequence[Edit]
    what: str
    why: str
    moves: Sequence[Move] = ()
    gone: Layer | None = None


@expected.checked
def fork(net: NetOrPath, name: str, *, inputs: Mapping[str, Shape] | None = None) -> Plan:
    """The net is written in the words of one fork of Caffe.

    >>> net = fk.parse('''input: "data" input_dim: 1 input_dim: 3 input_dim: 9 input_dim: 9
    ... layer { name: "c" type: "Convolution" bottom: "data" top: "c"
    ...   convolution_param { num_output: 2 kernel_size: 3 dilation: 2 } }''')
    >>> "hole: 2" in fk.fork(net, "deeplab").net.text
    True

    The fork's own words and layers stay. Words of other forks are replaced by those of BVLC's
    Caffe 1.0, as `bvlc` does; a fork from before 2017 may lack some of these, as SegNet's lacks
    BatchNorm. Some words of BVLC's Caffe are replaced by the fork's: for "deeplab" dilation
    becomes hole; for "nvcaffe" round_mode: FLOOR becomes torch_pooling, and a BatchNorm and the
    Scale after it become one layer. What stays is named in steps "skip".

    - `net`: a Prototxt or its path.
    - `name`: a fork that `fcnkit lint --targets` lists, such as "ssd".
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError for another name, and if the net cannot be built.
    """
    net = given_net(net)
    if name not in FORK_NAMES:
        known = ", ".join(FORK_NAMES)
        raise NetError(f'{net.path}: no fork "{name}" is known; give one of {known}')
    words = _BESIDE.get(name, frozenset())
    return in_words_of(FORK_NAMES[name], net, words, inputs).then(_in_its_own, name, inputs)


def _in_its_own(net: Prototxt, name: str, inputs: Mapping[str, Shape] | None) -> Plan:
    """BVLC's words in the fork's own."""
    work = states(net, present(net, inputs or {}))
    edits: list[Edit] = []
    moves: list[Move] = []
    steps: dict[int, Step] = {}
    for layer in work.layers:
        for rule in FORKS.get(name, ()):
            found = rule(work, layer)
            if isinstance(found, str):
                steps[layer.field.start] = Step("skip", layer.name, layer.line, layer.type, found)
            elif found is not None:
                edits += found.edits
                moves += found.moves
                steps |= _steps(layer, found)
    return work.plan(edits, steps, moves)


def _steps(layer: Layer, change: _Change) -> Iterator[tuple[int, Step]]:
    yield (
        layer.field.start,
        Step("change", layer.name, layer.line, change.what, change.why),
    )
    other = change.gone
    if other is not None:
        why = f'it is part of "{layer.name}"'
        yield other.field.start, Step("remove", other.name, other.line, other.type, why)


def _hole(work: States, layer: Layer) -> _Change | str | None:
    """dilation as hole."""
    if not has_window(layer) or of(layer).message != "convolution_param":
        return None
    if not layer.param("convolution_param").has("dilation"):
        return None
    values = spatial(layer, 4).dilation
    alike = values[0] == values[1]
    fields = [("hole", values[0])] if alike else [("hole_h", values[0]), ("hole_w", values[1])]
    edits = set_param(
        layer, "convolution_param", fields, work.net.style, replacing=("dilation",), why="hole"
    )
    return _Change(
        edits, f"dilation -> hole {show(values)}", _whose("ConvolutionParameter", "hole")
    )


def _torch_pooling(work: States, layer: Layer) -> _Change | str | None:
    """round_mode: FLOOR as torch_pooling."""
    param = layer.param("pooling_param")
    if of(layer).message != "pooling_param" or not param.has("round_mode"):
        return None
    fields = [("torch_pooling", True)] * (rounds_down(param) and not is_global(layer))
    edits = set_param(
        layer, "pooling_param", fields, work.net.style, replacing=("round_mode",), why="round down"
    )
    why = _whose("PoolingParameter", "torch_pooling")
    return _Change(edits, "round_mode -> torch_pooling", why)


def _scale_bias(work: States, layer: Layer) -> _Change | str | None:
    """A BatchNorm and the Scale behind it as one layer."""
    affine = of(layer).affine(layer)
    if of(layer).message != "batch_norm_param" or affine is None or affine.factor is not None:
        return None
    scales = {
        user.field.start: user
        for known in work.each
        for each in known.graph.layers
        if each.field.start == layer.field.start
        for user in known.graph.consumers[each.tops[0]]
    }
    (scale,) = scales.values() if len(scales) == 1 else (None,)
    if scale is None or of(scale).message != "scale_param" or len(scale.bottoms) > 1:
        return None
    why_not = _why_not(work, layer, scale)
    return why_not if why_not else _merged(work.net, layer, scale, work.blobs(layer)[0])


def _why_not(work: States, layer: Layer, scale: Layer) -> str:
    """Why the two are not one layer of NVCaffe's; "" where they are."""
    if not has_bias(scale):
        return f'"{scale.name}" has no summand, and NVCaffe\'s layer always has one'
    if axis_of(scale) != 1 or scale.param("scale_param").get("num_axes") != 1:
        return f'"{scale.name}" has not one number for each channel'
    if layer.param("batch_norm_param").get("eps") < _NVCAFFE_EPS:
        return f"its eps is less than {_NVCAFFE_EPS}, the least that NVCaffe takes"
    for each in (layer, scale):
        found = work.sharing(each) or not_understood(each)
        if found or each.field.all("include", "exclude"):
            return found or f'"{each.name}" is there in some states only'
    return ""


def _merged(net: Prototxt, layer: Layer, scale: Layer, channels: Shape) -> _Change:
    own = scale.param("scale_param").source_field
    fields: list[tuple[str, object]] = [("scale_bias", True)]
    for old, new in (("filler", "scale_filler"), ("bias_filler", "bias_filler")):
        said = own.last(old) if own else None
        fields += [(new, plain(said))] if said is not None and said.fields else []
    edits = set_param(layer, "batch_norm_param", fields, net.style, why="one layer")
    edits += [removed(scale.field, "one layer")]
    edits += [removed(rate, "one layer") for rate in layer.field.all("param")]
    if scale.tops[0].blob != layer.tops[0].blob:
        edits.append(set_value(layer.field.all("top")[0], scale.tops[0].blob))
    sizes = (channels, channels, (1,))
    moves = [Move(layer.name, at, size, layer.name, "blob", (at,)) for at, size in enumerate(sizes)]
    moves += [Move(layer.name, at + 3, channels, scale.name, "blob", (at,)) for at in (0, 1)]
    moves.append(Move(scale.name, 0, (), how="drop"))
    what = f'takes in "{scale.name}" as scale_bias'
    return _Change(edits, what, _whose("BatchNormParameter", "scale_bias"), moves, scale)


def _whose(message: str, field: str) -> str:
    return f"a word of {schema.fork_of(message, field)}'s Caffe for the same"


FORKS: Mapping[str, Sequence[Callable[[States, Layer], _Change | str | None]]] = {
    "deeplab": (_hole,),
    "nvcaffe": (_torch_pooling, _scale_bias),
}
"""What BVLC says that each fork has a word of its own for."""
# What a rule above puts into the fork's own word.
_BESIDE = {"nvcaffe": frozenset(("round_mode",))}


def _arguments(text: str) -> Arguments:
    """The fork's name."""
    if text not in FORK_NAMES:
        raise ValueError(f'"{text}" is none of {", ".join(FORK_NAMES)}')
    return (text,), {}


OPERATIONS = (
    Operation(
        "fork",
        "fork=NAME",
        "write a net in a fork's words (lint --targets)",
        fork,
        _arguments,
        skips=True,
    ),
)
