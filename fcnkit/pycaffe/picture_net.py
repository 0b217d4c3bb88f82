"""What Classifier and Detector share: a net in phase TEST that is given images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import fcnkit.pycaffe.io as caffe_io
from fcnkit.pycaffe.calls import Path
from fcnkit.pycaffe.net import Net


class PictureNet(Net):
    """A net whose `transformer` makes what its first input takes of images (height, width, 3)."""

    def __init__(
        self,
        model_file: Path,
        pretrained_file: Path,
        mean: np.ndarray | None,
        input_scale: float | None,
        raw_scale: float | None,
        channel_swap: Sequence[int] | None,
    ) -> None:
        super().__init__(model_file, 1, weights=pretrained_file)
        self._input = name = self.inputs[0]
        self.transformer = caffe_io.Transformer({name: self.blobs[name].data.shape})
        self.transformer.set_transpose(name, (2, 0, 1))
        if mean is not None:
            self.transformer.set_mean(name, mean)
        if input_scale is not None:
            self.transformer.set_input_scale(name, input_scale)
        if raw_scale is not None:
            self.transformer.set_raw_scale(name, raw_scale)
        if channel_swap is not None:
            self.transformer.set_channel_swap(name, channel_swap)

    def _predicted(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """The first output, of images of any size with the input's channels."""
        ready = np.stack([self.transformer.preprocess(self._input, each) for each in images])
        given: dict[str, Any] = {self._input: ready}
        return self.forward_all(**given)[self.outputs[0]]
