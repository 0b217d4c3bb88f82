"""Forks' words in the layers that BVLC has: each field becomes BVLC's, or is taken out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from fcnkit.edits import Edit
from fcnkit.errors import PrototxtError
from fcnkit.formats import schema
from fcnkit.formats.prototxt import Field, Word
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.sliding import Spatial, pads_by_size, pooled
from fcnkit.nets.layers.table import of
from fcnkit.nets.layers.traits import ALWAYS_NEUTRAL, Trait
from fcnkit.nets.layers.windows import is_global, pooled_shape, rounds_down, spatial
from fcnkit.plan import Move
from fcnkit.rewrites.changes import set_param, taken_out
from fcnkit.rewrites.forks.normal import batch_norm
from fcnkit.rewrites.forks.pointwise import relu_to_six
from fcnkit.rewrites.forks.rearrange import pixel_shuffle
from fcnkit.rewrites.forks.site import Change, Fields, Kept, Site
from fcnkit.rewrites.states import copies
from fcnkit.rewrites.taps import each_axis, kernel_fields, shifted

FLOOR = "round_mode"
_SIDES = ("pad_t", "pad_l", "pad_b", "pad_r")


class Said(NamedTuple):
    """A field, or a value of an enum, that BVLC has not, and the message that it stands in."""

    message: str
    field: Field
    value: bool = False

    @property
    def word(self) -> str:
        """What it is, for people."""
        return f"{self.field.name}: {self.field.raw}" if self.value else self.field.name

    @property
    def owner(self) -> str | None:
        """The fork that has it, as `schema.fork_of` says."""
        if self.value:
            return schema.fork_of_word(self.message, self.field.name, self.field.raw)
        return schema.fork_of_field(self.message, self.field)

    @property
    def fork(self) -> str:
        """Whose it is, for people."""
        found = self.owner
        return f"a word of {found}'s Caffe" if found and found != schema.OTHERS else "a fork's word"


def said(message: str, root: Field) -> Iterator[Said]:
    """The fields and values that BVLC does not know, in a message and in those within it."""
    known = schema.slots(message)
    for one in root.fields or ():
        slot = known.get(one.name)
        if slot is None:
            yield Said(message, one)
        elif slot.message:
            yield from said(slot.message, one)
        elif slot.kind == "enum" and one.raw not in slot.enum and _forks(message, one):
            yield Said(message, one, value=True)


def _forks(message: str, one: Field) -> bool:
    """Whether the value is one of a fork's: a known one, or any that says how to compute."""
    known = schema.fork_of_word(message, one.name, one.raw) is not None
    return known or (one.name in ALWAYS_NEUTRAL and not one.raw.isdecimal())


# ---- words that change nothing


# How a net is computed, not what: it may be rounded otherwise, and nothing more.
COMPUTED = {
    **dict.fromkeys(sorted(ALWAYS_NEUTRAL), "it is about how a fork computes, not what"),
    **dict.fromkeys(("engine", "conv_algorithm"), "BVLC chooses that itself"),
    **dict.fromkeys(
        (
            *("forward_type", "backward_type", "forward_math", "backward_math"),
            *("default_forward_type", "default_backward_type"),
            *("default_forward_math", "default_backward_math"),
            *("cudnn_math_override", "default_cudnn_math_override"),
        ),
        "BVLC computes in 32 bits",
    ),
    **dict.fromkeys(
        (
            *("default_conv_algos_override", "eltwise_mem_sharing", "mem_param", "fuse"),
            *("bn_stats_batch_size", "stats_batch_size", "reduce_buckets", "trt_param"),
            *("multinode", "compile_net_state", "mn_grad_compress_param"),
        ),
        "it is about how a fork computes, not what",
    ),
    "quantization_param": "the net computes in floating point, as in training",
    **dict.fromkeys(("version", "copyright", "debug"), "it does not affect what is computed"),
    **dict.fromkeys(
        ("strict_dim", "softmaxloss_param"), "it does not affect what a trained net computes"
    ),
}
# Of data layers: how examples are read.
READING = {
    "shuffle": "BVLC reads a database in order",
    "cache": "BVLC leaves caching to the system",
}


def neutral(one: Said, layer: Layer | None = None) -> str:
    """Why a word may go without changing what is computed; "" where it may not."""
    name = one.field.name
    if one.field.fields is None and not one.value and _is_default(one):
        return "it says what BVLC does"
    if name in COMPUTED:
        return COMPUTED[name]
    data = layer is not None and of(layer).trait is Trait.SOURCE and not layer.bottoms
    return READING.get(name, "") if data else ""


_BATCH_NORM = "BatchNormParameter"
_OF_FACTORS = ("use_weight_bias", "bias_term")


def _is_default(one: Said) -> bool:
    """Whether a fork's field says what the fork does without it."""
    if one.message == _BATCH_NORM and one.field.name in _OF_FACTORS:
        # Intel's layer has a factor and a summand unless it says that it has none.
        return one.field.name == _OF_FACTORS[0] and one.field.raw in ("false", "0")
    slot = schema.fork_slots(one.message).get(one.field.name)
    if slot is None or slot.message or slot.repeated or slot.default is None:
        return False
    try:
        return bool(slot.read(one.field, slot) == slot.default)
    except PrototxtError:  # a word that the fork itself does not read
        return False


# ---- words that BVLC says otherwise


def hole(site: Site) -> Change:
    """`dilation`."""
    param = site.layer.param("convolution_param")
    names = ("hole", "hole_h", "hole_w")
    if param.has("hole_h") or param.has("hole_w"):
        pair = (param.get("hole_h"), param.get("hole_w"))
        if None in pair:
            raise Kept("hole_h or hole_w without the other; write both")
    else:
        pair = (param.get("hole"),) * 2
    values = pair[:1] if pair[0] == pair[1] else pair
    fields: Fields = [("dilation", value) for value in values]
    edits = set_param(
        site.layer, "convolution_param", fields, site.net.style, replacing=names, why="hole"
    )
    return Change(edits, f"hole -> dilation {show(values)}", "BVLC's word for the same")


def rounding(site: Site) -> Change:
    """`round_mode: FLOOR`, or nothing if there is nothing to round. For Caffe 1.0 nothing, if the
    size is the same; else it stays.
    """
    param = site.layer.param("pooling_param")
    edits = _without(site, "pooling_param", ("ceil_mode", "torch_pooling", FLOOR))
    if not rounds_down(param):
        return Change(edits, "ceil_mode taken out", "BVLC rounds a pooling's size up")
    if is_global(site.layer) or _one_step(site.layer):
        return Change(edits, "ceil_mode taken out", "with stride 1 there is nothing to round")
    if FLOOR not in site.words:
        shape = site.shape()
        up, down = (pooled_shape(site.layer, shape, floor=floor) for floor in (False, True))
        if up != down:
            raise Kept(
                f"it makes {show(down[2:])} of {show(shape[2:])}, and BVLC's Caffe 1.0, which "
                f"can only round up, {show(up[2:])}"
            )
        why = f"{show(up[2:])} of {show(shape[2:])} either way, at this size"
        return Change(edits, "ceil_mode taken out", why)
    floor: Fields = [(FLOOR, Word("FLOOR"))]
    edits = set_param(
        site.layer, "pooling_param", floor, site.net.style,
        replacing=("ceil_mode", "torch_pooling"), why="round down"
    )  # fmt: skip
    return Change(edits, "ceil_mode -> round_mode: FLOOR", "the fork rounds sizes down")


def _one_step(layer: Layer) -> bool:
    param = layer.param("pooling_param")
    return max(param.get(name) for name in ("stride", "stride_h", "stride_w")) <= 1


def _without(site: Site, message: str, names: Sequence[str]) -> list[Edit]:
    return [taken_out(one) for param in site.layer.field.all(message) for one in param.all(*names)]


def fused_relu(site: Site) -> Change:
    """ReLU after the layer, with its negative_slope."""
    message = of(site.layer).message
    param = site.layer.param(message)
    if len(site.layer.tops) > 1:
        raise Kept("it has several tops, each with a ReLU of its own")
    slope = param.get("negative_slope") if param.says("negative_slope") else 0
    edits = _without(site, message, ("relu", "negative_slope"))
    if not param.get("relu"):
        return Change(edits, "negative_slope taken out", "relu is not true, so it has no effect")
    more = [("relu_param", [("negative_slope", slope)])] if slope else []
    edits.append(site.behind(site.made("relu", "ReLU", [site.top], *more, tops=[site.top])))
    return Change(edits, "relu -> ReLU after it", "BVLC has no ReLU inside a layer")


def padding(site: Site) -> Change:
    """`pad`, if opposite sides are equal. Else a Convolution's kernel gets zeros on the side of the
    smaller padding; MAX and AVE_EXC_PAD poolings keep their number of windows.
    """
    if site.layer.type == "Pooling":
        return _padded_pooling(site)
    if pads_by_size(site.layer):
        raise Kept("with a stride, pad_type 1 pads depending on the input's size")
    window, names = spatial(site.layer, 4), (*_SIDES, "pad_type")
    if window.pad == window.far:
        edits = _with_pads(site, window.pad, names)
        return Change(edits, f"pads of sides -> pad {show(window.pad)}", "both sides are alike")
    if site.layer.type != "Convolution":
        raise Kept(
            "its sides are padded differently, which only a Convolution can imitate, by its kernel"
        )
    return _widened(site, window, names)


def _with_pads(site: Site, pads: Sequence[int], gone: Sequence[str]) -> list[Edit]:
    message = of(site.layer).message
    own = ("pad", "pad_h", "pad_w")
    fields = each_axis("pad", pads) if any(pads) else []
    gone = [name for name in (*gone, *own) if name not in dict(fields)]
    if not fields:
        return _without(site, message, gone)
    return set_param(site.layer, message, fields, site.net.style, replacing=gone, why="pad")


def _widened(site: Site, window: Spatial, names: Sequence[str]) -> Change:
    """Zeros in the kernel, on the side of the smaller pad."""
    sharing = site.work.sharing(site.layer)
    if sharing:
        raise Kept(sharing)
    more = [abs(far - pad) for pad, far in zip(window.pad, window.far, strict=True)]
    if any(each % step for each, step in zip(more, window.dilation, strict=True)):
        raise Kept("the pads of its sides do not differ by a multiple of its dilation")
    extra = [each // step for each, step in zip(more, window.dilation, strict=True)]
    first = [
        count if far > pad else 0
        for count, pad, far in zip(extra, window.pad, window.far, strict=True)
    ]
    pads = tuple(map(max, window.pad, window.far))
    kernel = tuple(k + count for k, count in zip(window.kernel, extra, strict=True))
    fields = [*kernel_fields(kernel), *each_axis("pad", pads)]
    old = (*names, "pad", "pad_h", "pad_w", "kernel_size", "kernel_h", "kernel_w")
    gone = [name for name in old if name not in dict(fields)]
    edits = set_param(
        site.layer, "convolution_param", fields, site.net.style, replacing=gone, why="pad"
    )
    shape, *_ = blobs = site.work.blobs(site.layer)
    name, rows = site.layer.name, shifted(window.kernel, kernel, first)
    moves = [Move(name, 0, (*shape[:2], *kernel), name, "mix", (shape, rows, ()))]
    moves += copies(site.layer, blobs, 1)
    what = f"kernel {show(window.kernel)} -> {show(kernel)}, pad {show(pads)}"
    why = "zeros in the kernel on the side with less padding: the same at every size"
    return Change(edits, what, why, moves)


def _padded_pooling(site: Site) -> Change:
    """The same windows: the pad before the first, and as many of them.

    A window's largest value is that of what lies in the image, so that the pad behind the
    last point counts windows alone.
    """
    layer = site.layer
    if pads_by_size(layer):
        raise Kept("with a stride, pad_type 1 pads depending on the input's size")
    window = spatial(layer)
    if window.pad == window.far:
        edits = _with_pads(site, window.pad, (*_SIDES, "pad_type"))
        return Change(edits, f"pads of sides -> pad {show(window.pad)}", "both sides are alike")
    param, shape = layer.param("pooling_param"), site.shape()
    if param.get("pool") not in ("MAX", AVE_INSIDE):
        raise Kept("its sides are padded differently, and an average counts the padding")
    made = pooled_shape(layer, shape)
    edits = _with_pads(site, window.pad, (*_SIDES, "pad_type", "ceil_mode", "torch_pooling", FLOOR))
    for floor in (False, True):
        if _count(shape, window, floor) == made[2:] and (not floor or FLOOR in site.words):
            edits += [] if not floor else set_param(
                layer, "pooling_param", [(FLOOR, Word("FLOOR"))], site.net.style
            )  # fmt: skip
            why = f"the same windows, {show(made[2:])} of {show(shape[2:])}, for this size only"
            return Change(edits, f"pads of sides -> pad {show(window.pad)}", why)
    raise Kept(f"with one padding on all sides it would not make {show(made[2:])}")


def _count(shape: Sequence[int], window: Spatial, floor: bool) -> tuple[int, ...]:
    axes = zip(shape[2:], window.axes, strict=True)
    clip = any(window.pad)
    return tuple(pooled(size, *axis, clip=clip, floor=floor) for size, axis in axes)


AVE_INSIDE = "AVE_EXC_PAD"


def average(site: Site) -> Change:
    """AVE_EXC_PAD: AVE, if nothing is padded; else AVE divided by AVE of ones."""
    layer, style = site.layer, site.net.style
    param = layer.param("pooling_param")
    if param.get("pool") != AVE_INSIDE:
        raise Kept("fcnkit does not know how its fork counts the padding")
    ave = [("pool", Word("AVE"))]
    edits = set_param(layer, "pooling_param", ave, style, why="average")
    if is_global(layer) or not any(spatial(layer).pad + spatial(layer).far):
        return Change(edits, "AVE_EXC_PAD -> AVE", "nothing is padded, so both give the same")
    if param.says(*_SIDES, "pad_type", "ceil_mode", "torch_pooling"):
        raise Kept("its other words go first")
    blob, more, others = site.apart()
    said_so = param.source_field.fields if param.source_field else None
    own = [(one.name, Word(one.raw)) for one in said_so or () if one.name != "pool"]
    fields = [*ave, *own]
    ones = site.made("ones", "Power", [blob], ("power_param", [("scale", 0), ("shift", 1)]))
    share = site.made("share", "Pooling", [str(ones[0][1])], ("pooling_param", fields))
    inverse = site.made(
        "inverse", "Power", [str(share[0][1])], ("power_param", [("power", -1)]),
        tops=[str(share[0][1])]
    )  # fmt: skip
    total = site.made("sum", "Pooling", [blob], ("pooling_param", fields))
    word = ("eltwise_param", [("operation", Word("PROD"))])
    edits = [
        *more,
        site.ahead(total, ones, share, inverse),
        *site.retyped("Eltwise", word, gone=("pooling_param",)),
        *site.reading(str(total[0][1]), str(share[0][1])),
    ]
    what = "AVE_EXC_PAD -> AVE, divided by AVE of ones"
    return Change(edits, what, "BVLC's AVE counts the padding", others=others)


Rule = Callable[[Site], Change]

WORDS: Mapping[str, Rule] = {
    **dict.fromkeys(("hole", "hole_h", "hole_w"), hole),
    **dict.fromkeys((*_SIDES, "pad_type"), padding),
    **dict.fromkeys(("ceil_mode", "torch_pooling"), rounding),
    "pool": average,
    **dict.fromkeys(("relu", "negative_slope"), fused_relu),
    "relu6": relu_to_six,
    "pixelshuffler": pixel_shuffle,
    **dict.fromkeys(("scale_bias", "scale_filler", "bias_filler"), batch_norm),
}
"""What to do for each word, by the name of its field."""
