"""The images of a data set that are looked at: those that are kept from training, or others."""

from collections.abc import Container, Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fcnkit.datasets import databases
from fcnkit.datasets.samples import Sample, in_rgb, name_in, shown
from fcnkit.datasets.summary import records, splits_of, stored_names
from fcnkit.datasets.summary import report as stored_report
from fcnkit.errors import DatasetError
from fcnkit.preprocessing import BGR, STORED

if TYPE_CHECKING:
    import numpy


class HeldOut:
    """The images of a split of a data set: where none is named those of validation, or of
    training where there are no others.

    `names` are those of the classes, () where the data set has none.
    """

    def __init__(self, folder: Path, split: str = "") -> None:
        stored = stored_report(folder)
        self.folder = folder
        self.split = split or splits_of(folder)[-1]
        self.names = stored_names(folder)
        self.ignore: int = stored.get("ignore", 255)
        self.order: str = stored.get("order", BGR)

    @property
    def labels(self) -> Path:
        """The database of the labels."""
        return self.folder / f"{self.split}_label_lmdb"

    @cached_property
    def count(self) -> int:
        """How many images there are."""
        return databases.count(self.labels)

    def pixels(self, classes: int) -> "numpy.ndarray":
        """The pixels of each class in each image: every label is read."""
        import numpy as np

        found = np.zeros((self.count, classes), np.int64)
        for row, record in zip(found, databases.read(self.labels), strict=True):
            label = databases.whole(record, self.labels)
            row += np.bincount(label.ravel(), minlength=256)[:classes]
        return found

    def truths(self) -> Iterator[tuple[str, "numpy.ndarray"]]:
        """The name of each image and its label, without the images."""
        for record in databases.read(self.labels):
            yield name_in(record.key), databases.whole(record, self.labels)

    def samples(self, numbers: Container[int] | None = None) -> Iterator[Sample]:
        """The images of these numbers, or all, with their labels, as they are stored."""
        with closing(records(self.folder, self.split, numbers=numbers)) as both:
            for image, label in both:
                yield Sample(image.array, databases.whole(label, self.labels), image.key)

    def seen(self, sample: Sample) -> "numpy.ndarray":
        """The image as a person sees it, (height, width, 3) in RGB."""
        return in_rgb(shown(sample.image), self.order)

    def given(self, sample: Sample, channels: int) -> "numpy.ndarray":
        """The image as a net's preparation takes it: (height, width), or with channels in RGB.

        Raises DatasetError where it has others than the net, or values that are no bytes.
        """
        import numpy as np

        image = sample.image
        if image.dtype != np.uint8 or len(image) != channels:
            fact = f"{sample.key} has {len(image)} channels of {image.dtype}"
            raise DatasetError(f"{self.folder}: {fact}, and the net takes {channels} of uint8")
        if channels == 1 and self.order != STORED:
            return image[0]
        if self.order == BGR:
            image = np.concatenate([image[2::-1], image[3:]])
        return np.moveaxis(image, 0, 2)
