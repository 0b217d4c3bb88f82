"""Layers that forks of Caffe add, each as its fork computes it: those on a CPU in its .cpp file.

Sizes are those of nets/layers/.
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from fcnkit.engines.torch.layers import rearrange
from fcnkit.engines.torch.layers.pointwise import each
from fcnkit.engines.torch.layers.site import Run, Site, Tensors, not_run
from fcnkit.formats.schema import View
from fcnkit.nets.layers import forks as rules
from fcnkit.nets.layers import resizing
from fcnkit.nets.layers.table import of

# ---- one value from one value, or from several


def relu6(site: Site) -> Run:
    """x between 0 and 6."""
    return each(F.relu6)


def hard_swish(site: Site) -> Run:
    """x times a sixth of x + 3 between 0 and 6."""
    return each(lambda x: x * F.relu6(x + 3) / 6)


def mish(site: Site) -> Run:
    """x tanh(log(1 + e^x))."""
    return each(lambda x: x * torch.tanh(F.softplus(x)))


def axpy(site: Site) -> Run:
    """The second bottom times a factor for each channel, the first, plus the third."""
    return lambda bottoms, blobs: [_by_channel(bottoms[0], bottoms[1]) * bottoms[1] + bottoms[2]]


def add(site: Site) -> Run:
    """Two operands, the second one learned where it is no bottom."""
    return lambda bottoms, blobs: [bottoms[0] + [*bottoms[1:], *blobs][0]]


def mul(site: Site) -> Run:
    """As `add`, multiplied."""
    return lambda bottoms, blobs: [bottoms[0] * [*bottoms[1:], *blobs][0]]


def _by_channel(factors: Tensor, like: Tensor) -> Tensor:
    return factors.reshape(*factors.shape[:2], *(1,) * (like.dim() - 2))


# ---- normalisation


def normalize(site: Site) -> Run:
    """SSD's: over the root of the sum of squares + eps, of each place or of all, times a factor."""
    if not site.layer.view.says("norm_param"):
        raise site.error("without norm_param forks divide by different norms; write norm_param")
    param = site.param("norm_param")
    eps, axes = param.get("eps"), [1, 2, 3] if param.get("across_spatial") else [1]
    if len(site.shapes[0]) != 4:
        raise site.error("its bottom has not 4 axes; SSD's layer is for 4")

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        (x,) = bottoms
        norm = (x.square().sum(axes, keepdim=True) + eps).sqrt()
        return [x / norm * blobs[0].reshape(1, -1, 1, 1)]

    return run


def bn(site: Site) -> Run:
    """PSPNet's and SegNet's with the statistics that are stored, see `affine` of its entry, and
    SegNet's of the batch.
    """
    parts = of(site.layer).affine(site.layer)
    if parts is None and len(rules.bn_blobs(site.layer, list(site.shapes))) == 2:
        return lambda bottoms, blobs: _of_the_batch(bottoms, blobs)[: len(site.layer.tops)]
    frozen = site.param("bn_param").get("frozen")
    fact = "it takes the statistics of the batch, each fork in its own way"
    fact = "its scale and bias are frozen with the rest" if parts and frozen else fact
    error = site.error(f"{fact}; test it, or fold it with `fcnkit surgery --do fold`")
    if parts is None:
        raise error
    if site.training and parts.mean is not None:
        return not_run(error)

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        (x,) = bottoms
        of_channel = [blob.reshape(1, -1, *(1,) * (x.dim() - 2)) for blob in blobs]
        if parts.mean is not None and parts.variance is not None:
            root = (of_channel[parts.variance] + parts.eps).sqrt()
            x = (x - of_channel[parts.mean]) / root
        return [x * of_channel[0] + of_channel[1]]

    return run


def _of_the_batch(bottoms: Tensors, blobs: Tensors) -> Tensors:
    """SegNet's in the mode LEARN: its further tops are the batch's mean and variance."""
    (x,) = bottoms
    over = [axis for axis in range(x.dim()) if axis != 1]
    mean = x.mean(over, keepdim=True)
    variance = x.square().mean(over, keepdim=True) - mean.square()
    factor, summand = (blob.reshape(mean.shape) for blob in blobs)
    return [(x - mean) / (variance + 1e-9).sqrt() * factor + summand, mean, variance]


# ---- the same numbers elsewhere


def permute(site: Site) -> Run:
    """The axes in another order."""
    order = rules.permute_order(site.layer, len(site.shapes[0]))
    return each(lambda x: x.permute(order).contiguous())


def shuffle_channel(site: Site) -> Run:
    """Channel i of each of so many groups, then channel i + 1 of each."""
    group = site.param("shuffle_channel_param").get("group")

    def shuffled(x: Tensor) -> Tensor:
        return x.unflatten(1, (group, -1)).transpose(1, 2).flatten(1, 2)

    return each(shuffled)


def padding(site: Site) -> Run:
    """Zeros before and after both axes of places, or so many cut."""
    param = site.param("padding_param")
    sides = (param.get("pad_beg"), param.get("pad_end"))
    return each(lambda x: F.pad(x, sides * 2))


def pad(site: Site) -> Run:
    """One value before and after each axis."""
    param = site.param("pad_param")
    sides, value = param.list("paddings"), param.get("constant_values")
    # PyTorch counts axes from the last one.
    pairs = [side for at in range(len(sides) - 2, -1, -2) for side in sides[at : at + 2]]
    return each(lambda x: F.pad(x, pairs, value=value))


def depth_to_space(site: Site) -> Run:
    """Of each block of places one channel for each: of all channels the first place first, or
    of the first channel all places.
    """
    param = site.param("depth_to_space_param")
    block, order = param.get("block_size"), param.get("data_format")
    if order == "NHWC":
        return each(lambda x: _finer(x.permute(0, 3, 1, 2), block, True).permute(0, 2, 3, 1))
    if order not in rules.PLACES_FIRST + rules.CHANNELS_FIRST:
        known = ", ".join(("NHWC", *rules.PLACES_FIRST, *rules.CHANNELS_FIRST))
        raise site.error(f'its data_format is "{order}"; give one of {known}')
    return each(lambda x: _finer(x, block, order in rules.PLACES_FIRST))


def reshape(site: Site) -> Run:
    """Caffe's Reshape; with a fork's pixelshuffler blocks of places, by channel."""
    param = site.param("reshape_param")
    block = param.get("pixelshuffler") if param.says("pixelshuffler") else 1
    return each(lambda x: _finer(x, block, False)) if block != 1 else rearrange.reshape(site)


def _finer(x: Tensor, block: int, places_first: bool) -> Tensor:
    if not places_first:
        return F.pixel_shuffle(x, block)
    apart = x.unflatten(1, (block * block, -1)).transpose(1, 2).flatten(1, 2)
    return F.pixel_shuffle(apart, block)


# ---- other sizes


def interp(site: Site) -> Run:
    """DeepLab's: cut, and resized bilinearly so that the corner points stay."""
    param = site.param("interp_param")
    before, after = param.get("pad_beg"), param.get("pad_end")
    if len(site.shapes) > 1:
        before = after = 0

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        x = bottoms[0]
        shapes = [tuple(bottom.shape) for bottom in bottoms]
        size = resizing.interp(site.layer, shapes)[0][2:]
        x = F.pad(x, (before, after) * 2) if before or after else x
        return [F.interpolate(x, size, mode="bilinear", align_corners=True)]

    return run


def upsample(site: Site) -> Run:
    """Each value where the mask says that the pooling found it; without a mask, repeated."""
    layer = site.layer
    if len(site.shapes) == 1 and site.param("upsample_param").says(
        "upsample_h", "upsample_w", "pad_out_h", "pad_out_w"
    ):
        raise site.error("a size of its own, which only the Upsample with a mask has; give a scale")

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        (x, *mask) = bottoms
        size = resizing.upsample(layer, [tuple(each.shape) for each in bottoms])[0]
        return [_unpooled(site, x, mask[0], size) if mask else _repeated(x, size)]

    return run


def _unpooled(site: Site, x: Tensor, mask: Tensor, size: tuple[int, ...]) -> Tensor:
    places = mask.flatten(2).long()
    if places.numel() and int(places.max()) >= size[2] * size[3]:
        raise site.error(
            f"its mask names place {int(places.max())}, and its top is {size[2]} x {size[3]}; "
            "give it the scale of the pooling"
        )
    return x.new_zeros(*size[:2], size[2] * size[3]).scatter(2, places, x.flatten(2)).view(size)


def upsample_darknet(site: Site) -> Run:
    """Every value `stride` times on both axes."""
    return each(lambda x: _repeated(x, resizing.upsample_darknet(site.layer, [tuple(x.shape)])[0]))


def resize_nearest(site: Site) -> Run:
    """Each point that of the bottom at its place, rounded down; at its corner, or at its middle."""
    param = site.param("resize_nearest_neighbor_param")
    first = 1 if param.get("data_format") == "NHWC" else 2
    size = resizing.resize_nearest(site.layer, [site.shapes[0]])[0]

    def resized(x: Tensor) -> Tensor:
        for axis in (first, first + 1):
            x = x.index_select(axis, _nearest(param, x.shape[axis], size[axis]).to(x.device))
        return x

    return each(resized)


def _nearest(param: View, old: int, new: int) -> Tensor:
    """Where each point is taken from, in 32 bits as the fork's code counts."""
    corners, at = param.get("align_corners"), torch.arange(new, dtype=torch.float32)
    step = (old - 1) / (new - 1) if corners and new > 1 else old / new
    place = (at + 0.5 if param.get("half_pixel_centers") else at) * torch.tensor(step)
    # std::round is away from zero, torch.round to even.
    rounded = place.double() + 0.5 if corners and not param.get("half_pixel_centers") else place
    return rounded.floor().long().clamp(0, old - 1)


def _repeated(x: Tensor, size: tuple[int, ...]) -> Tensor:
    for axis in (2, 3):
        x = x.repeat_interleave(size[axis] // x.shape[axis], axis)
    return x
