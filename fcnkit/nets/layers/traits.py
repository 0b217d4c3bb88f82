"""What there is to say of a layer type, whichever engine runs it.

A LayerType is one entry of the table of types.  Rewrites, linting, drawing,
surgery and verify ask it; none of them keeps a list of types.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from math import inf, isfinite
from typing import Any, NamedTuple

from fcnkit.nets.coordmap import IDENTITY, CoordMap
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.sliding import Window
from fcnkit.shape import Shape

MANY = 1 << 30
# Fields of forks that say how to compute, not what.
ALWAYS_NEUTRAL = frozenset(
    (
        *("engine", "forward_type", "backward_type", "forward_math", "backward_math", "strict_dim"),
        *("conv_algorithm", "cudnn_math_override", "cudnn_convolution_algo_seeker"),
        *("conv_algos_override", "mem_group_size", "per_fla_fuse"),
    )
)


class Trait(Enum):
    """What a layer does to the numbers that it reads.

    VALUE: a number of the top is made of those at its own place in the
        bottoms, by one rule for all places and channels.
    CHANNEL: each channel by itself, by numbers of its own.
    NORMAL: every number divided by what there is around it; the shape stays.
    MIXES: a channel of the top is made of several channels, or of none.
    PLACES: several places of a channel make one, alike in all channels.
    ARRANGES: the same numbers elsewhere, some several times or left out.
    SOURCE: numbers that are not made of its bottoms'.
    LOSS: what the net is to make small.
    JUDGE: decides on the scores: a count, an index, boxes.
    SINK: no tops.
    OPAQUE: nothing is known of what it does.
    """

    VALUE = "each value alone"
    CHANNEL = "each channel alone"
    NORMAL = "normalises"
    MIXES = "mixes channels"
    PLACES = "mixes places"
    ARRANGES = "arranges"
    SOURCE = "a source"
    LOSS = "a loss"
    JUDGE = "a judge"
    SINK = "a sink"
    OPAQUE = "not known"


class Affine(NamedTuple):
    """A layer that makes (x - mean) / sqrt(variance + eps) * factor + summand of channel x.

    Each part is the number of the layer's blob that holds it, None where the
    layer has none.  The stored mean and variance are divided by `divisor`, where
    there is one, first; 1 / 0 is 0 there, as in Caffe.
    """

    factor: int | None = None
    summand: int | None = None
    mean: int | None = None
    variance: int | None = None
    divisor: int | None = None
    eps: float = 0.0

    @property
    def blobs(self) -> int:
        """How many blobs the layer has."""
        return sum(part is not None for part in self[:5])


# ---- what most types are: the defaults of an entry


def like(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Every top has the first bottom's shape."""
    return [bottoms[0]] * len(layer.tops)


def no_tops(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """It has no tops."""
    return []


def no_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """It learns nothing."""
    return []


def nowhere(layer: Layer, ndim: int) -> CoordMap | None:
    """Its tops have no place in its bottoms."""
    return None


def unmoved(layer: Layer, ndim: int) -> CoordMap | None:
    """Every point stays where it is."""
    return IDENTITY


def every(layer: Layer) -> tuple[int, ...]:
    """All bottoms."""
    return tuple(range(len(layer.bottoms)))


def first(layer: Layer) -> tuple[int, ...]:
    """The first bottom alone, where there is one."""
    return (0,)[: len(layer.bottoms)]


def second(layer: Layer) -> tuple[int, ...]:
    """The second bottom alone, where there is one."""
    return (1,)[: len(layer.bottoms) - 1]


def second_on(layer: Layer) -> tuple[int, ...]:
    """All bottoms but the first."""
    return tuple(range(1, len(layer.bottoms)))


def none(layer: Layer) -> tuple[int, ...]:
    """No bottom."""
    return ()


def no_indices(layer: Layer, bottoms: list[Shape]) -> dict[int, int]:
    """Its bottoms hold values."""
    return {}


def free(layer: Layer, bottoms: list[Shape], tops: list[Shape]) -> int:
    """Nothing is counted."""
    return 0


def point(layer: Layer, ndim: int = 4) -> Window | None:
    """A top point sees one bottom point."""
    return ()


def whole(layer: Layer, ndim: int = 4) -> Window | None:
    """What a top point sees has no fixed size."""
    return None


def yes(layer: Layer) -> bool:
    """It is so, whatever the layer says."""
    return True


def no(layer: Layer) -> bool:
    """It is not so, whatever the layer says."""
    return False


def unbounded(layer: Layer) -> tuple[float, float]:
    """Its tops may hold any number."""
    return -inf, inf


def not_affine(layer: Layer) -> Affine | None:
    """It is no factor and summand of each channel."""
    return None


def adds(layer: Layer, bottoms: list[Shape]) -> bool:
    """Its gradients are added to those of the passes before."""
    return False


def one_way(layer: Layer, ndim: int) -> tuple[float, ...]:
    """Nothing."""
    return ()


def outputs_first(layer: Layer) -> int:
    """The first axis of its weights is that of its outputs."""
    return 0


def own_shapes(layer: Layer, shapes: list[Shape | None], given: Shape) -> list[Shape | None]:
    """The other tops of a source are as the prototxt says, whatever size its first is given."""
    return shapes


def derived(layer: Layer) -> tuple[int, ...]:
    """As the trait has it: see LayerType.kept_channels."""
    raise NotImplementedError


# What several types have in common, by the names of LayerType's fields.
Facts = dict[str, Any]


class LayerType(NamedTuple):
    """What one Caffe layer type does.

    Shapes; the first five raise NetError with the reason why Caffe would refuse:

    shapes(layer, bottoms): a shape per top; None for a top whose size the
        prototxt does not say, and `unknown` is the reason.
    blobs(layer, bottoms): the shapes of its parameters in Caffe's order.
    coord(layer, ndim): the map from its bottom, which has ndim axes, to its
        tops; None where it is not defined.
    carriers(layer): the indices of the bottoms that the map holds for.
    window(layer, ndim): (extent, stride) of each spatial axis, for receptive
        fields: r += (extent - 1) * jump, jump *= stride.  () is one point,
        None is not defined.
    macs(layer, bottoms, tops): the multiply-adds of one pass.
    columns(layer, bottoms, tops): the numbers in Caffe's im2col buffer.
    bottoms, tops: the least and the greatest number of each.
    paired: whether there is one top for each bottom.
    sized(layer): the indices of the bottoms of which the size alone is read.
    unweighed(layer): the indices of the bottoms that count 0 times.
    indices(layer, bottoms): how many numbers there are to choose from, 0 and up, for
        each bottom, by its index, that holds whole numbers and no values.
    beside(layer, shapes, given): the shapes of a source's tops where the first is `given`.

    Words of the prototxt:

    message: the message with its parameters, "" for none; `reads` are others.
    outputs: the field of `message` that counts its outputs, "" for none.
    neutral: fields that forks add to `message`, and that change nothing but the
        sizes that `shapes` tells; ALWAYS_NEUTRAL are so for all types.
    unheeded: fields of a fork's own `message` that nothing here follows.

    What it computes:

    trait: what it does to the numbers that it reads.
    channels(layer): the indices of the bottoms whose channels its tops keep,
        each in its place; by default as the trait has it.
    ordering(layer, ndim): numbers that say in which order its tops have the values of its
        bottoms, whatever the size of these; () where there is one way alone.
    spreads: whether each number of its bottom is spread over a window of its top.
    output_axis(layer): the axis of its weights that counts the outputs.
    overwrites(layer, bottoms): whether Caffe writes the gradient of its first parameter over
        that of the pass before, so that of iter_size passes the last alone counts.
    affine(layer): its factor and summand of each channel; None for another rule;
        `affine_heeds` are fields of forks that it takes into account.
    identity(layer): whether its tops are its bottom's numbers in the same order when
        the net is tested; `shares`: whether Caffe keeps both in one memory.
    keeps_zero(layer): whether its tops are zero where its bottoms are.
    picks(layer): whether its tops are some of its bottoms' numbers, chosen by their values.
    range(layer): the bounds that its tops keep to, whatever its bottoms hold.
    gated: whether what it reads goes through gates that large values shut.
    slopes: whether its parameters count for values below zero alone.
    labelled: whether its second bottom has the number of a class for each
        place of the first; `ignores`: whether one of these may be ignored.
    predicts: the type that makes of its first bottom what it compares with the second,
        as SoftmaxWithLoss begins with a Softmax; "" where that is the bottom itself.
    discards: whether nobody wants what it reads, as a Silence says; of another sink it goes to
        a file.
    """

    name: str
    trait: Trait
    message: str = ""
    shapes: Callable[[Layer, list[Shape]], Sequence[Shape | None]] = like
    blobs: Callable[[Layer, list[Shape]], list[Shape]] = no_blobs
    outputs: str = ""
    reads: tuple[str, ...] = ()
    neutral: frozenset[str] = frozenset()
    unheeded: frozenset[str] = frozenset()
    coord: Callable[[Layer, int], CoordMap | None] = nowhere
    carriers: Callable[[Layer], tuple[int, ...]] = first
    window: Callable[..., Window | None] = whole
    macs: Callable[[Layer, list[Shape], list[Shape]], int] = free
    columns: Callable[[Layer, list[Shape], list[Shape]], int] = free
    bottoms: tuple[int, int] = (1, 1)
    tops: tuple[int, int] = (1, 1)
    paired: bool = False
    sized: Callable[[Layer], tuple[int, ...]] = none
    unweighed: Callable[[Layer], tuple[int, ...]] = none
    indices: Callable[[Layer, list[Shape]], dict[int, int]] = no_indices
    beside: Callable[[Layer, list[Shape | None], Shape], Sequence[Shape | None]] = own_shapes
    channels: Callable[[Layer], tuple[int, ...]] = derived
    ordering: Callable[[Layer, int], tuple[float, ...]] = one_way
    spreads: bool = False
    output_axis: Callable[[Layer], int] = outputs_first
    overwrites: Callable[[Layer, list[Shape]], bool] = adds
    affine: Callable[[Layer], Affine | None] = not_affine
    affine_heeds: frozenset[str] = frozenset()
    identity: Callable[[Layer], bool] = no
    shares: bool = False
    keeps_zero: Callable[[Layer], bool] = no
    picks: Callable[[Layer], bool] = no
    range: Callable[[Layer], tuple[float, float]] = unbounded
    gated: bool = False
    slopes: bool = False
    labelled: bool = False
    ignores: bool = True
    predicts: str = ""
    discards: bool = False
    unknown: str = ""

    @property
    def learns(self) -> bool:
        """Whether layers of this type may have parameters."""
        return self.blobs is not no_blobs

    @property
    def folds(self) -> bool:
        """Whether layers of this type may be a factor and a summand of each channel."""
        return self.affine is not not_affine

    @property
    def linear(self) -> bool:
        """Whether its tops are sums of products of its bottom and its weights."""
        return self.macs is not free

    @property
    def dense(self) -> bool:
        """Whether its tops are sums over all places of its bottom, whose size it so has."""
        return self.linear and self.coord is nowhere

    def saturates(self, layer: Layer) -> bool:
        """Whether its tops stay within two bounds, so that different bottoms give equal tops."""
        return all(map(isfinite, self.range(layer)))

    def kept_channels(self, layer: Layer) -> tuple[int, ...]:
        """The indices of the bottoms whose channels its tops keep, each in its place."""
        if self.channels is not derived:
            return self.channels(layer)
        return _KEPT.get(self.trait, none)(layer)


_KEPT = {Trait.VALUE: every, Trait.CHANNEL: first, Trait.NORMAL: first, Trait.PLACES: first}
