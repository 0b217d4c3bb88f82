"""Resize and Upsample: whole factors by Deconvolution, others by two matrices."""

from collections.abc import Sequence
from typing import Any

from fcnkit.importing.combined import tiled
from fcnkit.importing.held import Held
from fcnkit.importing.mixed import mixed
from fcnkit.importing.settle import plain, sizes_of
from fcnkit.importing.site import Refusal, Site
from fcnkit.shape import Shape


def resize(site: Site) -> Held:
    """Resize and Upsample: whole factors by Deconvolution."""
    x = plain(site)
    before, after = x.sizes, site.shapes(site.out)
    if len(before[0]) != 4 or any(a[:2] != b[:2] for a, b in zip(before, after, strict=True)):
        raise Refusal("it resizes axes other than height and width")
    ratios = {b[axis] / a[axis] for a, b in zip(before, after, strict=True) for axis in (2, 3)}
    if site.given("keep_aspect_ratio_policy", "stretch") != "stretch" and len(ratios) > 1:
        raise Refusal("it keeps the aspect ratio, with rounded sizes")
    mode = site.given("mode", "nearest")
    old = site.node.op_type == "Upsample" or site.opset < 11
    how = "asymmetric" if old else site.given("coordinate_transformation_mode", "half_pixel")
    one = all(sizes[2:] == (1, 1) for sizes in before)
    if one and mode in ("linear", "nearest") and how != "tf_crop_and_resize":
        return tiled(site, x, after)  # every point is that one
    said = _scales(site)
    if before == after and set(said) <= {None, 1.0}:
        return x
    factors = {
        tuple(b[axis] / a[axis] for axis in (2, 3)) for a, b in zip(before, after, strict=True)
    }
    factor = factors.pop() if len(factors) == 1 else None
    # A scale of 2.1 makes 10 of 5 too, and takes its values elsewhere.
    exact = factor and all(its in (None, each) for its, each in zip(said, factor, strict=True))
    if factor and exact and all(each.is_integer() for each in factor):
        ratio = (int(factor[0]), int(factor[1]))
        if mode == "nearest" and _repeats(site, how, old):
            return _repeated(site, x, ratio, after)
        if mode == "linear" and how in ("half_pixel", "pytorch_half_pixel"):
            return _linear(site, x, ratio, after)
    return _fixed(site, x, mode, how, old, after)


def _scales(site: Site) -> tuple[float | None, float | None]:
    """The factors that the node says for height and width; None where it says sizes."""
    at = 2 if site.node.op_type == "Resize" and site.opset >= 11 else 1
    said = [float(each) for each in site.argument("scales", at, None) or ()]
    axes = site.given("axes", list(range(len(said))))
    found = {axis % 4: scale for axis, scale in zip(axes, said, strict=False)}
    return (found.get(2, 1.0), found.get(3, 1.0)) if said else (None, None)


def _repeats(site: Site, how: str, old: bool) -> bool:
    """Whether every pixel becomes a block of itself."""
    rounding = "floor" if old else site.given("nearest_mode", "round_prefer_floor")
    if how == "asymmetric":
        return rounding == "floor"
    # The middle of each pixel of a block lies within the pixel that it is made of.
    return how in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric") and rounding in (
        "round_prefer_floor",
        "round_prefer_ceil",
    )


def _repeated(site: Site, x: Held, ratio: tuple[int, int], shapes: Sequence[Shape]) -> Held:
    import numpy as np

    channels = x.sizes[0][1]
    return _grouped(site, x, np.ones((channels, 1, *ratio), np.float32), ratio, (0, 0), shapes, "")


def _grouped(
    site: Site,
    x: Held,
    weights: Any,
    stride: tuple[int, int],
    pads: tuple[int, int],
    shapes: Sequence[Shape],
    part: str,
) -> Held:
    """A Deconvolution of each channel alone."""
    channels = weights.shape[0]
    fields: list[tuple[str, object]] = [("num_output", channels), ("bias_term", False)]
    fields += sizes_of(("pad", "pad"), pads) if any(pads) else []
    fields += sizes_of(("kernel_size", "kernel"), weights.shape[2:])
    fields += sizes_of(("stride", "stride"), stride)
    fields += [("group", channels)] if channels > 1 else []
    return site.add(
        "Deconvolution",
        [x],
        [("convolution_param", fields)],
        blobs=[weights],
        shapes=shapes,
        part=part,
    )


def _linear(site: Site, x: Held, ratio: tuple[int, int], shapes: Sequence[Shape]) -> Held:
    """Bilinear upsampling, divided by the same of ones, so that the border is its own neighbour.

    Kernel 2 f - f mod 2, stride f, pad ceil((f - 1) / 2): the filler `bilinear` of Caffe.
    """
    import numpy as np

    kernels, pads = zip(*(_bilinear(each) for each in ratio), strict=True)
    kernel = np.outer(*kernels).astype(np.float32)
    channels = x.sizes[0][1]
    weights = np.broadcast_to(kernel, (channels, 1, *kernel.shape)).copy()
    made = _grouped(site, x, weights, ratio, pads, shapes, "upsampled")
    first = site.power(x, scale=0, shift=1, part="ones")
    share = _grouped(site, first, weights, ratio, pads, shapes, "share")
    site.say("divided by the upsampling of ones", "Caffe fades to zero at the border")
    inverse = site.power(share, power=-1, part="inverse")
    return site.eltwise("PROD", made, inverse)


def _bilinear(factor: int) -> tuple[list[float], int]:
    size = 2 * factor - factor % 2
    centre = (size - 1) / 2
    return [1 - abs(at - centre) / factor for at in range(size)], (size - factor) // 2


def _fixed(site: Site, x: Held, mode: str, how: str, old: bool, shapes: Sequence[Shape]) -> Held:
    """At one size: along W and then along H, each a matrix; or a fork's Interp."""
    if any(None in site.dims(name)[2:] for name in (site.input(0), site.out)):
        raise Refusal(
            "it resizes by a factor that is not whole, or to a fixed size, which works for one "
            "input size only; fix that with --input"
        )
    high, broad = shapes[0][2:]
    linear = mode == "linear" and not site.given("antialias", 0)
    if linear and how == "align_corners" and site.has("Interp"):
        fields = [("interp_param", [("height", high), ("width", broad)])]
        return site.add("Interp", [x], fields, shapes=shapes)
    site.say(
        "two matrices", f"it resizes to {high} x {broad} by no whole factor; only at this size"
    )
    for axis, part in ((3, "columns"), (2, "rows")):
        size, made = x.sizes[0][axis], shapes[0][axis]
        by_rule = mode in ("linear", "nearest") and not site.given("antialias", 0)
        matrix = (
            _matrix(site, size, made, mode, how, old, axis)
            if by_rule and how != "half_pixel_symmetric"
            else _of_onnx(site, size, made, axis)
        )
        x = mixed(site, x, axis, matrix, part)
    return x


def _of_onnx(site: Site, size: int, made: int, axis: int) -> Any:
    """For each new point the weights of the old ones, as onnx resizes each old point by itself."""
    import numpy as np
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    if site.given("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        raise Refusal("its coordinates are tf_crop_and_resize, which is not supported")
    sides = ("axes", "keep_aspect_ratio_policy")
    said = [each for each in site.node.attribute if each.name not in sides]
    scale = _scales(site)[axis - 2]
    named = ["x", "", "s"] if scale else ["x", "", "", "s"]
    node = helper.make_node("Resize", named, ["y"])
    node.attribute.extend(said)
    values = np.array([1, scale], np.float32) if scale else np.array([size, made])
    kind = helper.np_dtype_to_tensor_dtype(values.dtype)
    ports = [
        helper.make_tensor_value_info("x", 1, (size, size)),
        helper.make_tensor_value_info("s", kind, (2,)),
    ]
    graph = helper.make_graph(
        [node], "points", ports, [helper.make_tensor_value_info("y", 1, (size, made))]
    )
    imports = [helper.make_opsetid("", site.opset)]
    model = helper.make_model(graph, opset_imports=imports)
    feeds = {"x": np.eye(size, dtype=np.float32), "s": values}
    (found,) = ReferenceEvaluator(model).run(None, feeds)
    return np.ascontiguousarray(np.transpose(found), np.float32)


def _matrix(site: Site, size: int, made: int, mode: str, how: str, old: bool, axis: int) -> Any:
    """For each new point, the weights of the old ones: onnx's own, by its reference."""
    import numpy as np

    scale = _scales(site)[axis - 2] or made / size
    if how == "align_corners" and scale * size != made:
        # ONNX takes the exact size for the last point, its runtime the size rounded down.
        fact = f"{scale:g} times {size} points is not a whole number"
        raise Refusal(f"it aligns corners, and {fact}")
    weights = np.zeros((made, size), np.float32)
    for at in range(made):
        place = _place(how, at, size, made, scale)
        if mode == "nearest":
            rounding = "floor" if old else site.given("nearest_mode", "round_prefer_floor")
            weights[at, min(max(_rounded(place, rounding), 0), size - 1)] = 1
            continue
        first = int(np.floor(place))
        for its, share in ((first, 1 - (place - first)), (first + 1, place - first)):
            weights[at, min(max(its, 0), size - 1)] += share
    return weights


def _place(how: str, at: int, size: int, made: int, scale: float) -> float:
    """Where a new point lies among the old: ONNX's Resize, coordinate_transformation_mode."""
    if how == "align_corners":
        return at * (size - 1) / (made - 1) if made > 1 else 0.0
    if how == "asymmetric":
        return at / scale
    if how == "pytorch_half_pixel" and made == 1:
        return 0.0
    if how in ("half_pixel", "pytorch_half_pixel"):
        return (at + 0.5) / scale - 0.5
    raise Refusal(f"its coordinates are {how}, which is not supported")


def _rounded(place: float, rounding: str) -> int:
    from math import ceil, floor

    if rounding == "floor":
        return floor(place)
    if rounding == "ceil":
        return ceil(place)
    return floor(place + 0.5) if rounding == "round_prefer_ceil" else ceil(place - 0.5)
