"""Decodes pictures with OpenCV, as Caffe does: the same values, the same order of channels."""

from types import ModuleType

import numpy as np

from fcnkit.engines.torch.layers.site import refusal
from fcnkit.foreign import reason, refusing
from fcnkit.nets.graph import Layer

AS_IT_IS, COLOUR, GRAY = "UNCHANGED", "COLOR", "GRAYSCALE"


def decoded(layer: Layer, place: str, data: bytes | np.ndarray, mode: str) -> np.ndarray:
    """The picture, (channels, height, width) of uint8, from blue to red.

    Raises EngineError where there is no OpenCV, or the bytes are no picture of 8 bits.
    """
    return _planes(layer, place, _read(layer, place, data, mode))


def opened(layer: Layer, path: str, mode: str, size: tuple[int, int] | None) -> np.ndarray:
    """The picture in a file, as `decoded` gives it;
    in another (height, width) where one is given.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except (OSError, ValueError) as error:  # ValueError for a name with a zero byte
        raise refusal(layer, f"its image {path} cannot be read: {reason(error)}") from None
    picture = _read(layer, path, data, mode)
    return _planes(
        layer, path, picture if size is None else _cv2(layer).resize(picture, size[::-1])
    )


def _read(layer: Layer, place: str, data: bytes | np.ndarray, mode: str) -> np.ndarray:
    cv2 = _cv2(layer)
    array = np.frombuffer(data, np.uint8)
    with refusing(lambda reason: refusal(layer, f"{place} cannot be decoded: {reason}")):
        picture = cv2.imdecode(array, getattr(cv2, f"IMREAD_{mode}")) if array.size else None
    if picture is None:
        raise refusal(layer, f"{place} is not a picture that OpenCV knows; it may be damaged")
    return picture


def _planes(layer: Layer, place: str, picture: np.ndarray) -> np.ndarray:
    if picture.dtype != np.uint8:
        raise refusal(
            layer, f"{place} has values of {picture.dtype}, and Caffe reads 8 bits; convert it"
        )
    return picture[None] if picture.ndim == 2 else np.moveaxis(picture, 2, 0)


def _cv2(layer: Layer) -> ModuleType:
    try:
        import cv2
    except ImportError as error:
        fact = f"it reads encoded pictures, which takes OpenCV ({error})"
        raise refusal(layer, f"{fact}: pip install 'fcnkit[opencv]'") from None
    return cv2
