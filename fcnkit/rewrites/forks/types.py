"""What becomes of each layer type that a fork adds: the function that says it in BVLC's words."""

from collections.abc import Callable, Mapping

from fcnkit.nets.layers.windows import convolution_blobs
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import set_param
from fcnkit.rewrites.forks import normal, pointwise, rearrange, resizing
from fcnkit.rewrites.forks.site import Change, Kept, Site


def depthwise(site: Site) -> Change:
    """Convolution with one group for each channel and the same weights."""
    channels = site.channels()
    param = site.layer.param("convolution_param")
    if param.get("group") not in (channels, 1):
        raise Kept(f"its group is {param.get('group')} for {number_of(channels, 'channel')}")
    if param.get("group") != channels and site.layer.type == "DepthwiseConvolution":
        raise Kept("it does not give one group per channel, and forks differ in what that means")
    convolution_blobs(site.layer, [(1, channels, 1, 1)])  # raises where its words do not fit
    edits = site.retyped("Convolution")
    if param.get("group") != channels:
        group = [("group", channels)]
        edits += set_param(site.layer, "convolution_param", group, site.net.style)
    what = f"{site.layer.type} -> Convolution, group {channels}"
    return Change(edits, what, "the same weights, each channel separately")


TYPES: Mapping[str, Callable[[Site], Change]] = {
    "DepthwiseConvolution": depthwise,
    "ConvolutionDepthwise": depthwise,
    "ReLU6": pointwise.relu6,
    "HardSwish": pointwise.hard_swish,
    "HardSigmoid": pointwise.hard_sigmoid,
    "Mish": pointwise.mish,
    "Axpy": pointwise.axpy,
    "Add": pointwise.add,
    "Mul": pointwise.mul,
    "BN": normal.bn,
    "Interp": resizing.interp,
    "Upsample": resizing.upsample,
    "UpsampleDarknet": resizing.upsample_darknet,
    "ResizeNearestNeighbor": resizing.resize_nearest,
    "Padding": resizing.padding,
    "Pad": resizing.pad,
    "ShuffleChannel": rearrange.shuffle_channel,
    "Permute": rearrange.permute,
    "DepthToSpace": rearrange.depth_to_space,
    "Squeeze": rearrange.squeeze,
    "CROP": rearrange.crop,
    "AutoCrop": rearrange.crop,
}

# Why others stay, where it is not that BVLC has nothing of the kind.
STAYS = {"Reorg": "forks order its values in two ways, and the net does not tell which"}
