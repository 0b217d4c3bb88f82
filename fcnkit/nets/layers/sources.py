"""Shapes of the layers that bring data in, as far as the prototxt says them."""

from collections.abc import Sequence

from fcnkit.nets.graph import Layer
from fcnkit.plural import number_of
from fcnkit.shape import Shape

# Why a size is not known.
IN_DATA = "its size is that of the data, which the prototxt does not give"


def unsaid(layer: Layer, bottoms: list[Shape]) -> Sequence[Shape | None]:
    """No top's size is in the prototxt."""
    return [None] * len(layer.tops)


def given(layer: Layer, bottoms: list[Shape]) -> Sequence[Shape | None]:
    """An Input layer's own shapes."""
    return list(layer.input_shapes)


def dummy(layer: Layer, bottoms: list[Shape]) -> Sequence[Shape | None]:
    """DummyData's shapes: one for all tops or one each, or num, channels, height and width."""
    param, tops = layer.param("dummy_data_param"), len(layer.tops)
    shapes: list[Shape | None] = [tuple(shape.list("dim")) for shape in param.views("shape")]
    sizes = [param.list(name) for name in ("num", "channels", "height", "width")]
    if not shapes:
        each = (size * tops if len(size) == 1 else size for size in sizes)
        shapes = [*zip(*each, strict=False)]
    elif any(sizes):
        raise layer.error("both shape and num, channels, height, width; keep only shape")
    if len(shapes) not in (1, tops):
        raise layer.error(
            f"{number_of(len(shapes), 'shape')} for {number_of(tops, 'top')}; give one for all "
            "of them, or one for each"
        )
    return shapes * tops if len(shapes) == 1 else shapes


def data(layer: Layer, bottoms: list[Shape]) -> Sequence[Shape | None]:
    """Data's labels: batch_size of them; the images' size is in the database.

    Where a crop fixes height and width, and several mean values or a forced
    colour the channels, the images' size is known all the same.
    """
    batch, crop, channels = (
        layer.param("data_param").get("batch_size"),
        _crop_size(layer),
        _channels(layer),
    )
    images = (batch, channels, crop, crop) if crop and channels else None
    return [images, (batch,)][: len(layer.tops)]


def image_data(layer: Layer, bottoms: list[Shape]) -> Sequence[Shape | None]:
    """ImageData's images, where new_height and new_width or a crop fix their size, and labels."""
    param = layer.param("image_data_param")
    crop = _crop_size(layer)
    size = (crop, crop) if crop else (param.get("new_height"), param.get("new_width"))
    batch, channels = param.get("batch_size"), 3 if param.get("is_color") else 1
    return [(batch, channels, *size) if all(size) else None, (batch,)][: len(layer.tops)]


def memory_data(layer: Layer, bottoms: list[Shape]) -> Sequence[Shape | None]:
    """MemoryData's images and labels, all of which the prototxt says."""
    param = layer.param("memory_data_param")
    image = tuple(param.get(name) for name in ("batch_size", "channels", "height", "width"))
    if 0 in image:
        raise layer.error(
            f"batch_size, channels, height and width are {list(image)}; give all four"
        )
    return [image, image[:1]][: len(layer.tops)]


def window_data(layer: Layer, bottoms: list[Shape]) -> Sequence[Shape | None]:
    """WindowData's windows, cropped to crop_size, and labels; its images are read in colour."""
    batch, crop = layer.param("window_data_param").get("batch_size"), _crop_size(layer)
    return [(batch, 3, crop, crop) if crop else None, (batch,)][: len(layer.tops)]


# ---- those of forks


def annotated_data(layer: Layer, bottoms: list[Shape]) -> Sequence[Shape | None]:
    """SSD's images where resize_param says their size; how many boxes are in them no one knows."""
    transform = layer.param("transform_param")
    resized = transform.view("resize_param") if transform.says("resize_param") else None
    count = _channels(layer)
    if resized is None or count is None or not (resized.get("height") and resized.get("width")):
        return unsaid(layer, bottoms)
    mode = resized.field("resize_mode")
    if mode is not None and mode.raw == "FIT_SMALL_SIZE":
        return unsaid(layer, bottoms)
    batch = layer.param("data_param").get("batch_size")
    image = (batch, count, resized.get("height"), resized.get("width"))
    return [image, *[None] * (len(layer.tops) - 1)]


def image_seg_data(layer: Layer, bottoms: list[Shape]) -> Sequence[Shape | None]:
    """DeepLab's images and label images,
    where a crop fixes their size, and the sizes of the files.
    """
    param, crop = layer.param("image_data_param"), layer.param("transform_param").get("crop_size")
    batch, planes = param.get("batch_size"), 3 if param.get("is_color") else 1
    images, labels = ((batch, planes, crop, crop), (batch, 1, crop, crop)) if crop else (None, None)
    return [images, labels, (batch, 1, 1, 2)][: len(layer.tops)]


def dense_image_data(layer: Layer, bottoms: list[Shape]) -> Sequence[Shape | None]:
    """SegNet's images and label images, where new_height and new_width fix their size."""
    param = layer.param("dense_image_data_param")
    size, batch = (param.get("new_height"), param.get("new_width")), param.get("batch_size")
    planes = 3 if param.get("is_color") else 1
    return [(batch, planes, *size), (batch, 1, *size)] if all(size) else unsaid(layer, bottoms)


# ---- what the transformation says


def _crop_size(layer: Layer) -> int:
    """transform_param's crop_size, or that of the layer's own message in old files."""
    new = layer.param("transform_param").get("crop_size")
    return new or layer.param(_OWN_MESSAGE[layer.type]).get("crop_size")


_OWN_MESSAGE = {
    "Data": "data_param",
    "ImageData": "image_data_param",
    "WindowData": "window_data_param",
}


def _channels(layer: Layer) -> int | None:
    """The channels that transform_param settles: one mean value each, or a forced colour."""
    transform = layer.param("transform_param")
    means = len(transform.list("mean_value"))
    if means > 1:
        return means
    return 3 if transform.get("force_color") else 1 if transform.get("force_gray") else None


# ---- the other tops, where a size is given for the first


def labels_alike(layer: Layer, shapes: list[Shape | None], given: Shape) -> Sequence[Shape | None]:
    """One label for each image."""
    return [shapes[0], *[given[:1]] * (len(shapes) - 1)]


def dummy_alike(layer: Layer, shapes: list[Shape | None], given: Shape) -> Sequence[Shape | None]:
    """As many of all as there are images, where there were as many."""
    batch = shapes[0][:1] if shapes[0] else ()
    return [(*given[:1], *shape[1:]) if shape and shape[:1] == batch else shape for shape in shapes]
