"""SSD's layers of boxes: PriorBox makes them, DetectionOutput chooses among what is found in them.

Each as prior_box_layer.cpp and detection_output_layer.cpp of SSD compute it.
"""

from math import sqrt

import torch
from torch import Tensor

from fcnkit.engines.torch.layers.site import Run, Site, Tensors
from fcnkit.formats.schema import View
from fcnkit.nets.layers import boxes
from fcnkit.plural import number_of


def prior_box(site: Site) -> Run:
    """SSD's: at each place a box of every size and aspect ratio, in parts of the image; their
    variances behind them.
    """
    param = site.param("prior_box_param")
    if param.says(*boxes.OTHER_BOXES):
        raise site.error("it has words of forks of SSD's, whose boxes are not known; use that fork")
    sizes = [*param.list("min_size"), *param.list("max_size")]
    if any(size != int(size) for size in sizes):
        raise site.error("sizes that are not whole numbers, which SSD cuts and its forks do not")
    variance = param.list("variance") or [0.1]
    if len(variance) not in (1, 4):
        raise site.error(f"{number_of(len(variance), 'value')} of variance; give one or four")

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        boxes.prior_box(site.layer, [tuple(each.shape) for each in bottoms])
        height, width = bottoms[0].shape[2:]
        image = _image(site, param, bottoms)
        steps = _steps(param, image, (height, width))
        centres = torch.cartesian_prod(torch.arange(float(height)), torch.arange(float(width)))
        centres = (centres + param.get("offset")) * torch.tensor(steps)
        halves = torch.tensor([(h / 2, w / 2) for w, h in _boxes(param)])
        corners = torch.stack([centres[:, None] - halves, centres[:, None] + halves], 2)
        found = (corners / torch.tensor([float(side) for side in image])).flip(-1).flatten()
        found = found.clamp(0, 1) if param.get("clip") else found
        spread = torch.tensor(variance).repeat(len(found) // len(variance))
        return [torch.stack([found, spread])[None].to(bottoms[0])]

    return run


def _image(site: Site, param: View, bottoms: Tensors) -> tuple[int, int]:
    """Height and width of the image: as it says, or of the second bottom."""
    names = ("img_size", "img_size") if param.says("img_size") else ("img_h", "img_w")
    said = tuple(param.get(name) for name in names)
    if all(said):
        return said
    if len(bottoms) < 2:
        raise site.error("it has no image; give it a second bottom, or img_h and img_w")
    return tuple(bottoms[1].shape[2:])


def _steps(param: View, image: tuple[int, int], places: tuple[int, int]) -> tuple[float, float]:
    """How far two places are apart in the image: as it says, or so that they fill it."""
    names = ("step", "step") if param.says("step") else ("step_h", "step_w")
    said = tuple(param.get(name) for name in names)
    if all(said):
        return said
    return image[0] / places[0], image[1] / places[1]


def _boxes(param: View) -> list[tuple[float, float]]:
    """Width and height of each box at a place, in SSD's order."""
    large = param.list("max_size")
    ratios = [ratio for ratio in boxes.ratios(param) if abs(ratio - 1) >= 1e-6]
    found = []
    for number, small in enumerate(param.list("min_size")):
        sides = [small, *(sqrt(small * one) for one in large[number : number + 1])]
        found += [(side, side) for side in sides]
        found += [(small * sqrt(ratio), small / sqrt(ratio)) for ratio in ratios]
    return found


# ---- detections

# What SSD itself has, and OpenCV's clip; forks of it choose and decode in other ways beside.
_HEEDED = (
    *("num_classes", "share_location", "background_label_id", "nms_param", "code_type"),
    *("variance_encoded_in_target", "keep_top_k", "confidence_threshold", "clip"),
)


def detection_output(site: Site) -> Run:
    """Of each image the boxes that are kept, one in a row: image, class, score, corners.

    A class keeps its best scores, none whose box overlaps that of a better one by more than
    nms_threshold; an image the keep_top_k best of all.
    """
    param = site.param("detection_output_param")
    field = param.source_field
    for one in (field.fields or ()) if field else ():
        if one.name not in _HEEDED:
            raise site.error(f'its "{one.name}" (line {one.line}) is not computed; take it out')
    classes, background = param.get("num_classes"), param.get("background_label_id")
    places = 1 if param.get("share_location") else classes
    found = [number for number in range(classes) if number != background]

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        offsets, scores, prior = (bottom.detach().cpu() for bottom in bottoms[:3])
        priors = prior.reshape(2, -1, 1, 4)
        corners = _decoded(param, offsets.reshape(len(offsets), -1, places, 4), priors)
        corners = corners.clamp(0, 1) if param.get("clip") else corners
        scores = scores.reshape(len(offsets), -1, classes)
        rows = []
        for image, (own, each) in enumerate(zip(corners, scores, strict=True)):
            rows += _of_image(image, own.expand(-1, classes, 4), each, found, param)
        none = [torch.tensor([float(image)] + [-1.0] * 6) for image in range(len(offsets))]
        return [torch.stack(rows or none)[None, None].to(bottoms[0])]

    return run


def _decoded(param: View, offsets: Tensor, priors: Tensor) -> Tensor:
    """The corners of the boxes: each prior, moved and stretched by the offsets."""
    low, high = priors[0, :, :, :2], priors[0, :, :, 2:]
    if not param.get("variance_encoded_in_target"):
        offsets = offsets * priors[1]
    kind, sizes = param.get("code_type"), high - low
    if kind == "CORNER":
        return priors[0] + offsets
    if kind == "CORNER_SIZE":
        return priors[0] + offsets * torch.cat([sizes, sizes], -1)
    centres = offsets[..., :2] * sizes + (low + high) / 2
    halves = offsets[..., 2:].exp() * sizes / 2
    return torch.cat([centres - halves, centres + halves], -1)


def _of_image(
    image: int, corners: Tensor, scores: Tensor, found: list[int], param: View
) -> list[Tensor]:
    """The rows of one image, by classes, the best of each first."""
    kept = [
        (number, place)
        for number in found
        for place in _kept(corners[:, number], scores[:, number], param)
    ]
    most = param.get("keep_top_k")
    if -1 < most < len(kept):
        best = sorted(kept, key=lambda one: -float(scores[one[1], one[0]]))[:most]
        kept = sorted(best, key=lambda one: one[0])
    return [
        torch.cat(
            [torch.tensor([float(image), number, scores[place, number]]), corners[place, number]]
        )
        for number, place in kept
    ]


def _kept(corners: Tensor, scores: Tensor, param: View) -> list[int]:
    """The places of the boxes of one class that are kept, the best first."""
    nms = param.view("nms_param")
    threshold, eta = nms.get("nms_threshold"), nms.get("eta")
    places = torch.arange(len(scores))
    if param.has("confidence_threshold"):
        places = places[scores > param.get("confidence_threshold")]
    places = places[scores[places].argsort(descending=True, stable=True)]
    if nms.has("top_k") and nms.get("top_k") > -1:
        places = places[: nms.get("top_k")]
    kept: list[int] = []
    for place in places.tolist():
        if not kept or bool((_overlaps(corners[place], corners[kept]) <= threshold).all()):
            kept.append(place)
            threshold *= eta if eta < 1 and threshold > 0.5 else 1
    return kept


def _overlaps(box: Tensor, others: Tensor) -> Tensor:
    """What the box and each other share, as a part of what they cover together."""
    low, high = torch.maximum(box[:2], others[:, :2]), torch.minimum(box[2:], others[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    return torch.where(shared > 0, shared / (_area(box) + _area(others) - shared), 0.0)


def _area(box: Tensor) -> Tensor:
    return (box[..., 2:] - box[..., :2]).clamp(min=0).prod(-1)
