"""caffe.Detector: the probabilities of what windows of an image show."""

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from fcnkit.errors import EngineError
from fcnkit.pycaffe.calls import Path
from fcnkit.pycaffe.io import load_image, resize_image
from fcnkit.pycaffe.picture_net import PictureNet


class Detector(PictureNet):
    """A net that classifies windows of an image, each resized to the net's input size.

    With `context_pad`, that many pixels around the window, at the net's size, are context, as in
    R-CNN. The other arguments are those of Classifier.
    """

    def __init__(
        self,
        model_file: Path,
        pretrained_file: Path,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, pretrained_file, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def detect_windows(
        self, images_windows: Iterable[tuple[str, Sequence[Sequence[int]]]]
    ) -> list[dict[str, Any]]:
        """Returns a dict with `prediction`, `window` and `filename` for each window of each
        (file, windows).

        A window is (top, left, bottom, right).
        """
        asked = [(name, list(windows)) for name, windows in images_windows]
        crops = []
        for name, windows in asked:
            if windows:
                image = load_image(name)
                crops += [self.crop(image, window) for window in windows]
        predictions = iter(self._predicted(crops) if crops else ())
        return [
            {"window": window, "prediction": next(predictions), "filename": name}
            for name, windows in asked
            for window in windows
        ]

    def detect_selective_search(self, image_fnames: Iterable[str]) -> list[dict[str, Any]]:
        """Calls detect_windows with the windows that selective search proposes; this runs
        MATLAB.

        Raises EngineError if MATLAB's package is not installed.
        """
        names = [os.path.abspath(name) for name in image_fnames]
        try:
            search = import_module("selective_search_ijcv_with_python")
        except ImportError as error:
            fact = f"selective search needs selective_search_ijcv_with_python and MATLAB ({error})"
            raise EngineError(f"{fact}; give your windows to detect_windows") from None
        windows = search.get_windows(names, cmd="selective_search_rcnn")
        return self.detect_windows(zip(names, windows, strict=True))

    def crop(self, im: np.ndarray, window: Sequence[int]) -> np.ndarray:
        """Cuts the window out of the image, with its context if there is a `context_pad`.

        Raises ValueError for a window that lies outside of the image.
        """
        top, left, bottom, right = (int(each) for each in window)
        if not self.context_pad:
            return im[top:bottom, left:right]
        side = self.blobs[self._input].width
        wide = side / (side - 2 * self.context_pad)
        half = np.array([bottom - top + 1, right - left + 1]) / 2
        centre = np.array([top, left]) + half
        low, high = np.round(centre - wide * half), np.round(centre + wide * half)
        scale = side / (high - low + 1)
        start = np.round(np.maximum(0, -low) * scale).astype(int)
        inside = np.array(im.shape[:2])
        low, high = np.clip(low, 0, inside).astype(int), np.clip(high, 0, inside).astype(int)
        if (low >= high).any():
            raise ValueError(f"window {tuple(window)} lies outside of an image of {im.shape[:2]}")
        size = np.minimum(np.round((high - low + 1) * scale).astype(int), side - start)
        found = np.ones(tuple(self.crop_dims), np.float32) * self.crop_mean
        stop = start + size
        found[start[0] : stop[0], start[1] : stop[1]] = resize_image(
            im[low[0] : high[0], low[1] : high[1]], size
        )
        return found

    def configure_crop(self, context_pad: int | None) -> None:
        """Sets how many pixels of context crops have; beyond the image, the net's mean fills
        them.
        """
        channels, height, width = self.blobs[self._input].data.shape[1:]
        self.crop_dims = np.array([height, width, channels])
        self.context_pad = context_pad
        self.crop_mean = np.zeros(tuple(self.crop_dims), np.float32)
        mean = self.transformer.mean.get(self._input)
        if mean is not None:
            self.crop_mean = self._as_loaded(mean.transpose(1, 2, 0))

    def _as_loaded(self, mean: np.ndarray) -> np.ndarray:
        """The mean (height, width, channels) as an image is before it is made ready."""
        order = self.transformer.channel_swap.get(self._input)
        scale = self.transformer.raw_scale.get(self._input)
        if order is not None:
            mean = mean[:, :, np.argsort(order)]
        return mean if scale is None else mean / scale
