"""caffe.io: images, and arrays as Caffe's messages.

The names, their arguments and what they give are pycaffe's own.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from fcnkit.formats.with_forks import message
from fcnkit.libraries import load
from fcnkit.pycaffe.proto import caffe_pb2  # noqa: F401  scripts say caffe.io.caffe_pb2
from fcnkit.pycaffe.resizing import resized, zoomed

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from PIL.Image import Image

# What red, green and blue count in the brightness of a pixel: skimage.color.rgb2gray's.
_LUMINANCE = np.array([0.2125, 0.7154, 0.0721])
# Of a picture of one channel, the value that is white.
_WHITE = {"uint8": 255, "uint16": 65535, "int32": 65535}


# ---- arrays as messages


def blobproto_to_array(blob: "Message", return_diff: bool = False) -> np.ndarray:
    """The values of a BlobProto, or its gradients, in the shape that it says.

    Raises ValueError where values and shape do not fit.
    """
    held = blob.diff or blob.double_diff if return_diff else blob.data or blob.double_data
    values = np.array(held, float)
    legacy = ("num", "channels", "height", "width")
    if any(blob.HasField(name) for name in legacy):
        return values.reshape([getattr(blob, name) for name in legacy])
    return values.reshape(tuple(blob.shape.dim))


def array_to_blobproto(arr: np.ndarray, diff: np.ndarray | None = None) -> "Message":
    """A BlobProto of the values, and of the gradients where `diff` gives them."""
    blob = message("BlobProto")()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(arr.astype(float).flat)
    if diff is not None:
        blob.diff.extend(diff.astype(float).flat)
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[np.ndarray]) -> bytes:
    """The bytes of a BlobProtoVector of the arrays."""
    blobs = [array_to_blobproto(each) for each in arraylist]
    return message("BlobProtoVector")(blobs=blobs).SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[np.ndarray]:
    """The arrays of a BlobProtoVector's bytes."""
    return [blobproto_to_array(each) for each in message("BlobProtoVector").FromString(str).blobs]


def array_to_datum(arr: np.ndarray, label: int | None = None) -> "Message":
    """A Datum of (channels, height, width): as bytes where they are uint8, else as floats.

    Raises ValueError where there are not three axes.
    """
    if arr.ndim != 3:
        raise ValueError("Incorrect array shape.")
    channels, height, width = arr.shape
    datum = message("Datum")(channels=channels, height=height, width=width)
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).flat)
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum: "Message") -> np.ndarray:
    """The values (channels, height, width) of a Datum, uint8 or float64; its label is beside them.

    Raises ValueError where they are not as many as it says: a picture file (`encoded`), say.
    """
    floats = datum.float_data
    held = np.frombuffer(datum.data, np.uint8).copy() if datum.data else np.array(floats, float)
    return held.reshape(datum.channels, datum.height, datum.width)


# ---- what a net wants of an image


class Transformer:
    """Makes what a net reads of images as they are loaded, and the other way round.

    Transformer({"data": net.blobs["data"].data.shape}); then set_transpose("data", (2, 0, 1))
    and so on say what is to be done, and preprocess("data", image) does it in this order:
    resize, transpose, swap channels, times the raw scale, minus the mean, times the scale.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        """`inputs` are the shapes of the net's inputs by name."""
        self.inputs = inputs
        self.transpose: dict[str, Any] = {}
        self.channel_swap: dict[str, Any] = {}
        self.raw_scale: dict[str, Any] = {}
        self.mean: dict[str, Any] = {}
        self.input_scale: dict[str, Any] = {}

    def _check(self, name: str) -> None:
        if name not in self.inputs:
            raise Exception(f"{name} is not one of the net inputs: {self.inputs}")

    def preprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """What the input of this name takes, of an image (height, width, channels).

        As in pycaffe, a float32 image of the right size is itself written over.
        """
        self._check(in_)
        found = data.astype(np.float32, copy=False)
        size = self.inputs[in_][2:]
        if found.shape[:2] != size:
            found = resize_image(found, size)
        if self.transpose.get(in_) is not None:
            found = found.transpose(self.transpose[in_])
        if self.channel_swap.get(in_) is not None:
            found = found[self.channel_swap[in_], :, :]
        if self.raw_scale.get(in_) is not None:
            found *= self.raw_scale[in_]
        if self.mean.get(in_) is not None:
            found -= self.mean[in_]
        if self.input_scale.get(in_) is not None:
            found *= self.input_scale[in_]
        return found

    def deprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """The image that the values of the input of this name show, at the net's size."""
        self._check(in_)
        found = data.copy().squeeze()
        if self.input_scale.get(in_) is not None:
            found /= self.input_scale[in_]
        if self.mean.get(in_) is not None:
            found += self.mean[in_]
        if self.raw_scale.get(in_) is not None:
            found /= self.raw_scale[in_]
        if self.channel_swap.get(in_) is not None:
            found = found[np.argsort(self.channel_swap[in_]), :, :]
        if self.transpose.get(in_) is not None:
            found = found.transpose(np.argsort(self.transpose[in_]))
        return found

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Images' axes are put in this order: (2, 0, 1) has the channels first."""
        self._check(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            fact = "Transpose order needs to have the same number of dimensions as the input."
            raise Exception(fact)
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Channels, by then the first axis, are put in this order: (2, 1, 0) makes RGB BGR."""
        self._check(in_)
        if len(order) != self.inputs[in_][1]:
            fact = "Channel swap needs to have the same number of dimensions as the input channels."
            raise Exception(fact)
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Images are multiplied by this before the mean goes: 255 for nets that want 0 to 255."""
        self._check(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: np.ndarray) -> None:
        """This is subtracted: one number for each channel, or an image, resized to the input.

        As in pycaffe the image is resized with its minimum around it, even where it is 1 x 1;
        so give the mean of channels with one axis.

        Raises ValueError for a mean that does not fit.
        """
        self._check(in_)
        channels, *size = self.inputs[in_][1:]
        if mean.ndim == 1:
            if len(mean) != channels:
                raise ValueError("Mean channels incompatible with input.")
            mean = mean[:, np.newaxis, np.newaxis]
        else:
            if mean.ndim not in (2, 3):
                raise ValueError("Mean shape invalid")
            if mean.ndim == 2:
                mean = mean[np.newaxis]
            if mean.shape != self.inputs[in_][1:]:
                mean = _resized_mean(mean, size, channels)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Images are multiplied by this when the mean is gone."""
        self._check(in_)
        self.input_scale[in_] = scale


def _resized_mean(mean: np.ndarray, size: Sequence[int], channels: int) -> np.ndarray:
    low, high = mean.min(), mean.max()
    share = ((mean - low) / (high - low)).transpose(1, 2, 0)
    return resize_image(share, size).transpose(2, 0, 1) * (high - low) + low


# ---- images


def load_image(filename: str | os.PathLike[str] | BinaryIO, color: bool = True) -> np.ndarray:
    """The image of a file, float32 from 0 to 1: (height, width, 3) in RGB, without its alpha.

    Without `color` it is the luminance, (height, width, 1).

    Raises EngineError without Pillow, OSError for what is no image.
    """
    with load("PIL.Image", "pycaffe").open(filename) as picture:
        values = _from_0_to_1(picture)
    if values.ndim == 2:
        values = values[..., np.newaxis]
        return np.tile(values, (1, 1, 3)) if color else values
    if not color:
        return (values @ _LUMINANCE).astype(np.float32)[..., np.newaxis]
    return values


def _from_0_to_1(picture: "Image") -> np.ndarray:
    """The picture as float32, of one channel or of red, green and blue."""
    if picture.mode in ("1", "L", "LA", "La"):
        picture = picture.convert("L")
    elif picture.mode not in ("F", "I") and not picture.mode.startswith("I;"):
        picture = picture.convert("RGB")
    values = np.asarray(picture)
    return (values / _WHITE.get(values.dtype.name, 1)).astype(np.float32)


def resize_image(im: np.ndarray, new_dims: Sequence[int], interp_order: int = 1) -> np.ndarray:
    """The image (height, width, channels) at the size (height, width), as float32.

    As pycaffe with scikit-image 0.17: of 1 or 3 channels, the image's minimum lies around it,
    and what shrinks is smoothed; other numbers of channels are computed as SciPy zooms.
    `interp_order` is 0 (nearest), 1 (linear), or 3 (cubic; of 1 or 3 channels).

    Raises ValueError for another order.
    """
    height, width = (int(each) for each in new_dims)
    if im.shape[-1] not in (1, 3):
        return zoomed(im, (height, width), interp_order).astype(np.float32)
    low, high = im.min(), im.max()
    if not high > low:
        return np.full((height, width, im.shape[-1]), low, np.float32)
    share = resized((im - low) / (high - low), (height, width), interp_order)
    return (share * (high - low) + low).astype(np.float32)


def oversample(images: Sequence[np.ndarray], crop_dims: Iterable[int]) -> np.ndarray:
    """Ten crops (height, width) of each image: its four corners, its centre, and all mirrored.

    The corners come row by row; the result is (10 x images, height, width, channels).
    """
    high, wide = (int(each) for each in crop_dims)
    height, width, channels = images[0].shape
    tops, lefts = (0, height - high), (0, width - wide)
    middle = int(height / 2 - high / 2), int(width / 2 - wide / 2)
    corners = [*((top, left) for top in tops for left in lefts), middle]
    crops = np.empty((len(images), 2, 5, high, wide, channels), np.float32)
    for image, made in zip(images, crops, strict=True):
        for number, (top, left) in enumerate(corners):
            made[0, number] = image[top : top + high, left : left + wide]
        made[1] = made[0, :, :, ::-1]
    return crops.reshape(-1, high, wide, channels)
