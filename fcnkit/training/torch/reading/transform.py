"""Applies transform_param to an image on its way into a net: crop, mirror, mean and scale."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fcnkit.engines.torch.layers.site import refusal
from fcnkit.formats import binaryproto
from fcnkit.formats.schema import View
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.table import of
from fcnkit.plural import number_of
from fcnkit.training.torch.reading.draws import Draws


@dataclass(frozen=True)
class Transform:
    """What a layer does to each image; `draws` is None where nothing is left to chance.

    `mean` is None, (channels, height, width) of a mean file, or (1 or channels, 1, 1) of mean
    values.
    """

    layer: Layer
    crop: int
    mirror: bool
    centred: bool
    scale: np.float32
    mean: np.ndarray | None
    draws: Draws

    def shape(self, image: np.ndarray) -> tuple[int, int, int]:
        """What `apply` gives, (channels, height, width)."""
        channels, height, width = image.shape
        if not self.crop:
            return channels, height, width
        if min(height, width) < self.crop:
            raise refusal(
                self.layer, f"an image is {height} x {width}; crop_size {self.crop} is larger"
            )
        return channels, self.crop, self.crop

    def apply(self, image: np.ndarray, out: np.ndarray) -> None:
        """`out` is the image as the net sees it; what is drawn is drawn in Caffe's order."""
        mirrored = self.mirror and self.draws.below(2)
        top, left = self._place(image)
        rows, columns = slice(top, top + out.shape[1]), slice(left, left + out.shape[2])
        out = out[:, :, ::-1] if mirrored else out
        if self.mean is None:
            out[...] = image[:, rows, columns]
        else:
            mean = self._fitting(self.mean, image)
            mean = mean[:, rows, columns] if mean.shape[1:] != (1, 1) else mean
            np.subtract(image[:, rows, columns], mean, out=out, dtype=np.float32)
        if self.scale != 1:
            out *= self.scale

    def _place(self, image: np.ndarray) -> tuple[int, int]:
        """Where the crop begins."""
        _, height, width = image.shape
        if not self.crop:
            return 0, 0
        if self.centred:
            return (height - self.crop) // 2, (width - self.crop) // 2
        return self.draws.below(height - self.crop + 1), self.draws.below(width - self.crop + 1)

    def _fitting(self, mean: np.ndarray, image: np.ndarray) -> np.ndarray:
        plain = mean.shape[1:] == (1, 1)
        if mean.shape == image.shape or plain and len(mean) in (1, len(image)):
            return mean
        if plain:
            fact = (
                f"{len(mean)} mean_value for {number_of(len(image), 'channel')}; give one, or "
                "one for each"
            )
            raise refusal(self.layer, fact)
        sizes = [" x ".join(map(str, shape)) for shape in (mean.shape, image.shape)]
        raise refusal(
            self.layer, f"its mean is {sizes[0]} and an image {sizes[1]}; make a mean of these"
        )


def chancy(layer: Layer, phase: str) -> bool:
    """Whether anything of the layer's transformation is drawn."""
    return bool(_get(layer, "mirror") or _get(layer, "crop_size") and phase == "TRAIN")


def transform(layer: Layer, phase: str, draws: Draws) -> Transform:
    """The layer's transformation; `draws` are asked where the layer is `chancy`.

    Raises EngineError for a mean that is given twice, or cannot be read.
    """
    scale = np.float32(_get(layer, "scale"))
    crop, mirror = _get(layer, "crop_size"), _get(layer, "mirror")
    return Transform(layer, crop, mirror, phase != "TRAIN", scale, _mean(layer), draws)


def _view(layer: Layer, name: str) -> View:
    """The message that says this field: transform_param, or in V1 files the layer's own."""
    own = layer.param(of(layer).message)
    old = layer.view.message_name != "LayerParameter" and own.has(name)
    return own if old else layer.param("transform_param")


def _get(layer: Layer, name: str) -> Any:
    return _view(layer, name).get(name)


def _mean(layer: Layer) -> np.ndarray | None:
    values = layer.param("transform_param").list("mean_value")
    named = _view(layer, "mean_file")
    if values and named.has("mean_file"):
        raise refusal(layer, "it has both mean_file and mean_value; keep one")
    if values:
        return np.array(values, np.float32).reshape(-1, 1, 1)
    return _read(layer, named.get("mean_file")) if named.has("mean_file") else None


def _read(layer: Layer, path: str) -> np.ndarray:
    """The mean image in a binaryproto."""
    try:
        mean = binaryproto.read(path)
        return mean.reshape((1,) * (3 - mean.ndim) + mean.shape[-3:])
    except OSError as error:
        raise refusal(layer, f"its mean_file {path!r} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise refusal(
            layer, f"its mean_file {path!r} is not a mean image ({error}); make it again"
        ) from None
