"""Normalisation: by stored statistics, by the image, by the channels."""

from math import prod

from fcnkit.formats.prototxt import Word
from fcnkit.importing.held import Held
from fcnkit.importing.settle import convolution, plain
from fcnkit.importing.site import Refusal, Site, number
from fcnkit.importing.windows import stored


def batch_norm(site: Site) -> Held:
    """BatchNormalization: BatchNorm with the stored statistics, then Scale."""
    if site.given("training_mode", 0):
        raise Refusal("it normalises by the batch (training_mode); export the model in eval mode")
    found = [site.constant(at) for at in range(1, 5)]
    if any(each is None for each in found):
        raise Refusal("its factors or statistics are computed, and Caffe has them in a file")
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
        raise Refusal(f"its window is of {fields[0][1]} channels, and Caffe takes an odd number")
    kept = [pair for pair in fields if pair[1] != defaults[pair[0]]]
    return site.add("LRN", [plain(site)], [("lrn_param", kept)] if kept else ())


def prelu(site: Site) -> Held:
    """PRelu with one slope, or one for each channel."""
    slope, x = site.constant(1), plain(site)
    if slope is None:
        raise Refusal("its slopes are computed, and Caffe has them in a file")
    shape = (1,) * (len(x.sizes[0]) - len(slope.shape)) + slope.shape
    shared = prod(shape) == 1
    if not shared and shape != (1, x.sizes[0][1], *(1,) * (len(shape) - 2)):
        raise Refusal(f"its slopes are {slope.shape}, and Caffe has one for each channel")
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
    """InstanceNormalization: less the mean of each channel of each image, by its deviation."""
    x = plain(site)
    if len(x.sizes[0]) != 4:
        raise Refusal("Caffe's pooling, which gives the means, is over two axes")
    scale, bias = (site.constant(at) for at in (1, 2))
    if scale is None or bias is None:
        raise Refusal("its factors are computed, and Caffe has them in a file")
    epsilon = number(site.given("epsilon", 1e-5))
    normed = _by_image(site, x, epsilon)
    return site.add(
        "Scale",
        [normed],
        [("scale_param", [("bias_term", True)])],
        blobs=[stored(scale), stored(bias)],
        part="affine",
        inplace=True,
    )


def _by_image(site: Site, x: Held, epsilon: float) -> Held:
    centred = site.add(
        "Bias",
        [x, _mean(site, x, "mean", scale=-1)],
        [("bias_param", [("axis", 0)])],
        part="centred",
    )
    square = site.power(centred, power=2, part="square")
    factor = _mean(site, square, "variance", shift=epsilon, power=-0.5)
    return site.add("Scale", [centred, factor], [("scale_param", [("axis", 0)])], part="normed")


def _mean(site: Site, x: Held, part: str, **power: float) -> Held:
    """The mean of each channel of each image, as N x C, and a Power of it."""
    fields = [("pooling_param", [("pool", Word("AVE")), ("global_pooling", True)])]
    shapes = [(*sizes[:2], 1, 1) for sizes in x.sizes]
    pooled = site.add("Pooling", [x], fields, shapes=shapes, part=part)
    flat = site.add(
        "Flatten", [pooled], shapes=[sizes[:2] for sizes in x.sizes], part=f"{part}_flat"
    )
    return site.power(flat, **power, part=f"{part}_power")


def layer_norm(site: Site) -> Held:
    """LayerNormalization along the channels: less their mean, by their deviation."""
    count = len(site.shapes(site.input(0))[0])
    axis = site.given("axis", -1) % count
    x = site.x()
    order = x.transposition
    if axis != count - 1 or order is None or order[axis] != 1 or len(x.sizes[0]) != 4:
        raise Refusal(
            "it normalises along other axes than the channels of an image, "
            "which no layer of Caffe does"
        )
    blob = Held(x.blob, x.sizes)
    normed = _by_channels(site, blob, number(site.given("epsilon", 1e-5)))
    blobs = [site.constant(at) for at in (1, 2) if site.input(at)]
    if any(each is None for each in blobs):
        raise Refusal("its factors are computed, and Caffe has them in a file")
    fields = [("scale_param", [("bias_term", True)])] if len(blobs) == 2 else ()
    made = site.add(
        "Scale",
        [normed],
        fields,
        blobs=[stored(each) for each in blobs if each is not None],
        part="affine",
        inplace=True,
    )
    return Held(made.blob, made.sizes, x.moves)


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
    """LpNormalization along the channels."""
    x = plain(site)
    axis = site.given("axis", -1) % len(x.sizes[0])
    if axis != 1 or site.given("p", 2) != 2 or len(x.sizes[0]) != 4:
        raise Refusal("only the Euclidean norm along the channels of an image has a form")
    import numpy as np

    ones = np.ones((1, x.sizes[0][1], 1, 1), np.float32)
    total = convolution(site, site.power(x, power=2, part="square"), ones, part="total")
    factor = site.power(total, power=-0.5, part="factor")
    return site.eltwise("PROD", x, _repeated(site, factor, x.sizes[0][1], "factor"))
