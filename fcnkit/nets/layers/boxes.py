"""Shapes of the layers of forks that work on boxes and regions: SSD, R-CNN, R-FCN, MNC."""

from fcnkit.formats.schema import View
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import four, show
from fcnkit.plural import number_of
from fcnkit.shape import Shape

OTHER_BOXES = ("box_width", "box_height", "faceboxes", "offset_h", "offset_w")
"""Words of forks of SSD's for a PriorBox, each of which makes other boxes."""


def prior_box(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """1 x 2 x (4 numbers for each prior at each place of the first bottom): boxes, then variances.

    TextBoxes sets its priors at several offsets in each place.
    """
    _, _, height, width = four(layer, bottoms[0])
    param = layer.param("prior_box_param")
    offsets = max(1, len(param.list("offset_h"))) if param.says("offset_h") else 1
    return [(1, 2, height * width * _priors(layer, param) * offsets * 4)]


def _priors(layer: Layer, param: View) -> int:
    """Of each min_size one per aspect ratio, and one more of each max_size."""
    small, large = len(param.list("min_size")), len(param.list("max_size"))
    if param.says("box_width"):
        return len(param.list("box_width"))
    if not small or large not in (0, small):
        raise layer.error(
            f"{small} min_size and {large} max_size; give one or more, and as many or none"
        )
    if param.get("faceboxes") and small == 3:
        return 21 + large
    return len(ratios(param)) * small + large


def ratios(param: View) -> list[float]:
    """The aspect ratios of a PriorBox, 1 first, and each turned over where it says flip."""
    found = [1.0]
    for ratio in param.list("aspect_ratio"):
        if all(abs(ratio - known) >= 1e-6 for known in found):
            found += [ratio, 1 / ratio] if param.get("flip") else [ratio]
    return found


def roi_pooling(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """For each region its channels in pooled_h x pooled_w bins."""
    kind = "roi_warping_param" if layer.type == "ROIWarping" else "roi_pooling_param"
    bins = tuple(map(layer.param(kind).get, ("pooled_h", "pooled_w")))
    if min(bins) < 1:
        raise layer.error(f"pooled_h and pooled_w are {show(bins)}; give at least 1")
    return [(bottoms[1][0], four(layer, bottoms[0])[1], *bins)]


def psroi_pooling(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """For each region output_dim channels in group_size^2 bins, each from channels of its own."""
    param, channels = layer.param("psroi_pooling_param"), four(layer, bottoms[0])[1]
    group, outputs = param.get("group_size"), param.get("output_dim")
    if channels != outputs * group**2:
        fact = (
            f"its bottom has {number_of(channels, 'channel')}, not output_dim {outputs} x "
            f"{group} x {group}"
        )
        raise layer.error(f"{fact}; make them agree")
    return [(bottoms[1][0], outputs, group, group)]


def mask_resize(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """output_height x output_width."""
    param = layer.param("mask_resize_param")
    return [(*four(layer, bottoms[0])[:2], param.get("output_height"), param.get("output_width"))]
