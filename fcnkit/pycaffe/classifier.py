"""caffe.Classifier: the probabilities of an image's classes."""

from collections.abc import Sequence

import numpy as np

from fcnkit.pycaffe.calls import Path
from fcnkit.pycaffe.io import oversample as ten_crops
from fcnkit.pycaffe.io import resize_image
from fcnkit.pycaffe.picture_net import PictureNet


class Classifier(PictureNet):
    """A net that classifies images.

    Images are resized to `image_dims` (height, width), and then cropped to the net's own input
    size. Without `image_dims` they are resized to the input size. `mean`, `input_scale`,
    `raw_scale` and `channel_swap` are used as in caffe.io.Transformer.
    """

    def __init__(
        self,
        model_file: Path,
        pretrained_file: Path,
        image_dims: Sequence[int] | None = None,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, pretrained_file, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self._input].data.shape[2:])
        self.image_dims = self.crop_dims if image_dims is None else image_dims

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """Returns the first output for each image (height, width, channels), as (images,
        classes).

        With `oversample` it is the mean over the ten crops of caffe.io.oversample, otherwise
        that of the centre crop.
        """
        height, width = self.image_dims
        images = np.stack([resize_image(each, (height, width)) for each in inputs])
        if oversample:
            found = self._predicted(list(ten_crops(list(images), self.crop_dims)))
            return found.reshape(len(inputs), 10, -1).mean(1)
        high, wide = self.crop_dims
        top, left = int(height / 2 - high / 2), int(width / 2 - wide / 2)
        return self._predicted(list(images[:, top : top + high, left : left + wide]))
