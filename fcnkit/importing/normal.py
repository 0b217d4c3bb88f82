"""Normalisation: by stored statistics, by the image, by the channels."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from fcnkit.formats.prototxt import Word
from fcnkit.importing.combined import by_constant
from fcnkit.importing.held import Held
from fcnkit.importing.model import Constant
from fcnkit.importing.pointwise import relu
from fcnkit.importing.settle import convolution, plain
from fcnkit.importing.site import Refusal, Site, number
from fcnkit.importing.windows import stored
from fcnkit.plural import number_of
from fcnkit.shape import Shape


def batch_norm(site: Site) -> Held:
    """BatchNormalization: BatchNorm with the stored statistics, then Scale."""
    if site.given("training_mode", 0):
        raise Refusal(
            "it normalises by batch statistics (training_mode); export the model in eval mode"
        )
    found = [site.constant(at) for at in range(1, 5)]
    if any(each is None for each in found):
        raise Refusal("its factors or statistics are computed, but Caffe stores them in a file")
    channels = site.shapes(site.input(0))[0][1:2]
    if any(each is not None and each.shape != channels for each in found):
        raise Refusal("its statistics are not one number for each channel")
    gamma, beta, mean, variance = (stored(each) for each in found if each is not None)
    import numpy as np

    epsilon = number(site.given("epsilon", 1e-5))
    fields = [] if epsilon == 1e-5 else [("batch_norm_param", [("eps", epsilon)])]
    x = site.add(
        "BatchNorm",
        [plain(site)],
        fields,
        blobs=[mean, variance, np.ones(1, np.float32)],
        inplace=True,
    )
    scale = [("scale_param", [("bias_term", True)])]
    return site.add("Scale", [x], scale, blobs=[gamma, beta], part="scale", inplace=True)


def lrn(site: Site) -> Held:
    """LRN across channels."""
    fields = [
        ("local_size", site.given("size")),
        ("alpha", number(site.given("alpha", 1e-4))),
        ("beta", number(site.given("beta", 0.75))),
        ("k", number(site.given("bias", 1.0))),
    ]
    defaults = {"local_size": 5, "alpha": 1, "beta": 0.75, "k": 1}
    if fields[0][1] % 2 == 0:
        raise Refusal(
            f"its window is of {number_of(fields[0][1], 'channel')}, and Caffe takes an odd number"
        )
    kept = [pair for pair in fields if pair[1] != defaults[pair[0]]]
    return site.add("LRN", [plain(site)], [("lrn_param", kept)] if kept else ())


def prelu(site: Site) -> Held:
    """PRelu with one slope, or one for each channel."""
    slope, x = site.constant(1), plain(site)
    if slope is None:
        raise Refusal("its slopes are computed, but Caffe stores them in a file")
    shape = (1,) * (len(x.sizes[0]) - len(slope.shape)) + slope.shape
    shared = prod(shape) == 1
    if not shared and shape != (1, x.sizes[0][1], *(1,) * (len(shape) - 2)):
        below = relu(site, site.power(x, scale=-1, part="minus"), "below")
        scaled = by_constant(site, "Scale", below, slope, 1, "scaled")
        return site.eltwise("SUM", relu(site, x, "relu"), scaled, coeff=(1, -1))
    fields = [("prelu_param", [("channel_shared", True)])] if shared else ()
    blob = stored(slope, () if shared else (prod(shape),))
    return site.add("PReLU", [x], fields, blobs=[blob], inplace=True)


def softmax(site: Site) -> Held:
    """Softmax along one axis; below opset 13 along all from it on."""
    return _softmax(site)


def log_softmax(site: Site) -> Held:
    """LogSoftmax."""
    return site.add("Log", [_softmax(site, "softmax")])


def _softmax(site: Site, part: str = "") -> Held:
    x = site.x()
    count = len(site.shapes(site.input(0))[0])
    axis = site.given("axis", 1 if site.opset < 13 else -1) % count
    if site.opset < 13 and any(size != 1 for size in site.dims(site.input(0))[axis + 1 :]):
        flat = [(prod(shape[:axis]), prod(shape[axis:])) for shape in site.shapes(site.input(0))]
        from fcnkit.importing.settle import settled

        inner = settled(site, x.reshaped(flat))
        made = site.add("Softmax", [inner], part=part)
        return made.reshaped(site.shapes(site.input(0)))
    order = x.transposition
    if order is None:
        x, order = plain(site), tuple(range(count))
    its = order[axis]
    fields = [("softmax_param", [("axis", its)])] if its != 1 else ()
    made = site.add("Softmax", [Held(x.blob, x.sizes)], fields, part=part)
    return Held(made.blob, made.sizes, x.moves)


# ---- statistics that are computed


def instance_norm(site: Site) -> Held:
    """InstanceNormalization: less the mean of each channel of each image, by its deviation.

    Of what was an image, and its channels in groups, it is the norm of the groups.
    """
    scale, bias = (site.constant(at) for at in (1, 2))
    if scale is None or bias is None:
        raise Refusal("its factors are computed, but Caffe stores them in a file")
    epsilon = _epsilon(site)
    held, count = site.x(), scale.shape[0]
    if held.moves and held.flat and _grouped(held, site.shapes(site.input(0))):
        normed = _by_group(site, Held(held.blob, held.sizes), count, epsilon)
        made = _affine(site, normed, scale, bias)
        return Held(made.blob, made.sizes, held.moves)
    x = plain(site)
    images = len(x.sizes[0]) == 4
    normed = _by_image(site, x, epsilon) if images else _behind(site, x, 2, epsilon)[0]
    return _affine(site, normed, scale, bias)


def group_norm(site: Site) -> Held:
    """GroupNormalization: less the mean of some channels of each image, by their deviation."""
    x = plain(site)
    scale, bias = (site.constant(at) for at in (1, 2))
    if scale is None or bias is None:
        raise Refusal("its factors are computed, but Caffe stores them in a file")
    if len(x.sizes[0]) != 4:
        raise Refusal(
            "it needs means over other than two axes, which Caffe's pooling does not give"
        )
    epsilon = _epsilon(site)
    return _affine(site, _by_group(site, x, site.given("num_groups"), epsilon), scale, bias)


def _grouped(held: Held, shapes: Sequence[Shape]) -> bool:
    """Whether these are images whose channels were put into groups, N x groups x the rest."""
    return all(
        len(sizes) == 4 and len(shape) == 3 and sizes[0] == shape[0] and sizes[1] % shape[1] == 0
        for sizes, shape in zip(held.sizes, shapes, strict=True)
    )


def _by_group(site: Site, x: Held, groups: int, epsilon: float) -> Held:
    channels = x.sizes[0][1]
    import numpy as np

    # The means of the channels of a group, whose mean each of them gets.
    share = np.kron(np.eye(groups), np.full((channels // groups,) * 2, groups / channels))
    weights = share.astype(np.float32).reshape(channels, channels, 1, 1)

    def mean(of: Held, part: str, **power: float) -> Held:
        mixed = convolution(site, _pooled(site, of, part), weights, part=f"{part}_group")
        return site.power(_flat(site, mixed, part), **power, part=f"{part}_power")

    return _normed(site, x, mean, epsilon)


def _affine(site: Site, x: Held, scale: Constant, bias: Constant) -> Held:
    """Factors and summands of each channel, or of each group of channels."""
    channels = x.sizes[0][1]
    fields = [("scale_param", [("bias_term", True)])]
    blobs = [_repeats(each, channels) for each in (scale, bias)]
    return site.add("Scale", [x], fields, blobs=blobs, part="affine", inplace=True)


def _repeats(values: Constant, count: int) -> Any:
    if values.shape == (count,):
        return stored(values)
    import numpy as np

    return np.repeat(values.read().astype(np.float32), count // values.shape[0])


def _by_image(site: Site, x: Held, epsilon: float) -> Held:
    def mean(of: Held, part: str, **power: float) -> Held:
        return site.power(_flat(site, _pooled(site, of, part), part), **power, part=f"{part}_power")

    return _normed(site, x, mean, epsilon)


def _normed(site: Site, x: Held, mean: Callable[..., Held], epsilon: float) -> Held:
    """Less its mean, by its deviation, which are blobs of the first axes of x."""
    minus = mean(x, "mean", scale=-1)
    centred = site.add("Bias", [x, minus], [("bias_param", [("axis", 0)])], part="centred")
    square = site.power(centred, power=2, part="square")
    factor = mean(square, "variance", shift=epsilon, power=-0.5)
    return site.add("Scale", [centred, factor], [("scale_param", [("axis", 0)])], part="normed")


def _pooled(site: Site, x: Held, part: str) -> Held:
    """The mean of each channel of each image."""
    fields = [("pooling_param", [("pool", Word("AVE")), ("global_pooling", True)])]
    shapes = [(*sizes[:2], 1, 1) for sizes in x.sizes]
    return site.add("Pooling", [x], fields, shapes=shapes, part=part)


def _flat(site: Site, x: Held, part: str) -> Held:
    """The same as N x C."""
    return site.add("Flatten", [x], shapes=[sizes[:2] for sizes in x.sizes], part=f"{part}_flat")


def _behind(site: Site, x: Held, axis: int, epsilon: float) -> tuple[Held, Held, Held]:
    """Less the mean of all axes from this one on, by their deviation; the mean, and the factor."""
    found: dict[str, Held] = {}

    def mean(of: Held, part: str, **power: float) -> Held:
        found[part] = _reduced(site, of, axis, "MEAN", part)
        found[f"{part}_power"] = site.power(found[part], **power, part=f"{part}_power")
        return found[f"{part}_power"]

    normed = _normed(site, x, mean, epsilon)
    return normed, found["mean"], found["variance_power"]


def _reduced(site: Site, x: Held, axis: int, how: str, part: str) -> Held:
    """One number of all axes from this one on."""
    fields = [("reduction_param", [("operation", Word(how)), ("axis", axis)])]
    shapes = [sizes[:axis] for sizes in x.sizes]
    return site.add("Reduction", [x], fields, shapes=shapes, part=part)


def layer_norm(site: Site) -> list[Held]:
    """LayerNormalization: less the mean of the last axes, by their deviation; both of these too.

    Channels that stand last are normalised as an image's.
    """
    count = len(site.shapes(site.input(0))[0])
    axis = site.given("axis", -1) % count
    x = site.x()
    order = x.transposition
    blobs = [site.constant(at) for at in (1, 2) if site.input(at)]
    if any(each is None for each in blobs):
        raise Refusal("its factors are computed, but Caffe stores them in a file")
    last = axis == count - 1 and order is not None and order[axis] == 1 and len(x.sizes[0]) == 4
    if not last:
        made, *statistics = _behind(site, plain(site), _behind_images(axis), _epsilon(site))
        made = _times(site, made, blobs)
        shapes = [site.shapes(name) for name in site.node.output[1:]]
        return [made, *(each.reshaped(its) for each, its in zip(statistics, shapes, strict=False))]
    if len(site.node.output) > 1:
        raise Refusal("it also outputs its statistics")
    blob = Held(x.blob, x.sizes)
    normed = _by_channels(site, blob, _epsilon(site))
    fields = [("scale_param", [("bias_term", True)])] if len(blobs) == 2 else ()
    made = site.add(
        "Scale",
        [normed],
        fields,
        blobs=[stored(each) for each in blobs if each is not None],
        part="affine",
        inplace=True,
    )
    return [Held(made.blob, made.sizes, x.moves)]


def _epsilon(site: Site) -> float:
    return number(site.given("epsilon", 1e-5))


def _behind_images(axis: int) -> int:
    if axis == 0:
        raise Refusal("it normalises over all images of the batch")
    return axis


def _times(site: Site, x: Held, blobs: Sequence[Constant | None]) -> Held:
    """Times the first constant, plus the second."""
    for kind, values in zip(("Scale", "Bias"), blobs, strict=False):
        if values is not None:
            x = by_constant(site, kind, x, values, 1, "affine" if kind == "Scale" else "bias")
    return x


def rms_norm(site: Site) -> Held:
    """RMSNormalization: by the root of the mean of the squares of the last axes."""
    x = plain(site)
    axis = _behind_images(site.given("axis", -1) % len(x.sizes[0]))
    mean = _reduced(site, site.power(x, power=2, part="square"), axis, "MEAN", "mean")
    factor = site.power(mean, shift=_epsilon(site), power=-0.5, part="factor")
    normed = site.add("Scale", [x, factor], [("scale_param", [("axis", 0)])], part="normed")
    if site.constant(1) is None:
        raise Refusal("its factors are computed, but Caffe stores them in a file")
    return _times(site, normed, [site.constant(1)])


def _by_channels(site: Site, x: Held, epsilon: float) -> Held:
    channels = x.sizes[0][1]
    import numpy as np

    one = np.full((1, channels, 1, 1), 1 / channels, np.float32)
    mean = _repeated(site, convolution(site, x, one, part="mean"), channels, "mean")
    centred = site.eltwise("SUM", x, mean, coeff=(1, -1), part="centred")
    square = site.power(centred, power=2, part="square")
    variance = convolution(site, square, one, part="variance")
    factor = site.power(variance, shift=epsilon, power=-0.5, part="factor")
    return site.eltwise("PROD", centred, _repeated(site, factor, channels, "factor"), part="normed")


def _repeated(site: Site, x: Held, count: int, part: str) -> Held:
    shapes = [(sizes[0], count, *sizes[2:]) for sizes in x.sizes]
    fields = [("tile_param", [("tiles", count)])]
    return site.add("Tile", [x], fields, shapes=shapes, part=f"{part}_tile")


def lp_norm(site: Site) -> Held:
    """LpNormalization along the channels of an image, or along the last axis."""
    x = plain(site)
    axis = site.given("axis", -1) % len(x.sizes[0])
    if 0 < axis == len(x.sizes[0]) - 1:
        how, power = ("ASUM", -1) if site.given("p", 2) == 1 else ("SUMSQ", -0.5)
        total = _reduced(site, x, axis, how, "total")
        factor = site.power(total, power=power, part="factor")
        return site.add("Scale", [x, factor], [("scale_param", [("axis", 0)])])
    if axis != 1 or site.given("p", 2) != 2 or len(x.sizes[0]) != 4:
        raise Refusal("only the Euclidean norm along the channels of an image can be written")
    import numpy as np

    if site.has("Normalize"):
        fields = [("across_spatial", False), ("channel_shared", False)]
        one = [np.ones(x.sizes[0][1], np.float32)]
        return site.add("Normalize", [x], [("norm_param", fields)], blobs=one)
    ones = np.ones((1, x.sizes[0][1], 1, 1), np.float32)
    total = convolution(site, site.power(x, power=2, part="square"), ones, part="total")
    factor = site.power(total, power=-0.5, part="factor")
    return site.eltwise("PROD", x, _repeated(site, factor, x.sizes[0][1], "factor"))
