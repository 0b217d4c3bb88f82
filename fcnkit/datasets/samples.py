"""Images of a dataset beside their labels, from all over it, to look at."""

import re
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.datasets import databases
from fcnkit.datasets.summary import records, splits_of
from fcnkit.preprocessing import BGR, STORED

if TYPE_CHECKING:
    import numpy

# Keys as `fcnkit dataset create` makes them.
_NUMBERED = re.compile(r"\d{8}_(.+)", re.DOTALL)


class Sample(NamedTuple):
    """An image as bytes, (channels, height, width), its label, (height, width), and its key."""

    image: "numpy.ndarray"
    label: "numpy.ndarray"
    key: str = ""

    @property
    def name(self) -> str:
        """What the image's file was called, as far as the key says it."""
        return name_in(self.key)


def name_in(key: str) -> str:
    """The name that a key of a database holds behind its number; the key where it has none."""
    found = _NUMBERED.fullmatch(key)
    return found[1] if found else key


def samples(folder: Path, count: int) -> Iterator[Sample]:
    """Images and labels of a dataset, at most `count`: as many of each split, from all over it."""
    names = splits_of(folder)
    for number, name in enumerate(names):
        part = count // len(names) + (number < count % len(names))
        every = max(1, databases.count(folder / f"{name}_image_lmdb") // max(part, 1))
        with closing(records(folder, name, every)) as both:
            for image, label in islice(both, part):
                whole = databases.whole(label, f"{folder}: {name}")
                yield Sample(shown(image.array), whole, image.key)


def shown(image: "numpy.ndarray") -> "numpy.ndarray":
    """The image as bytes; one of floats from its darkest value to its lightest."""
    import numpy as np

    if image.dtype == np.uint8:
        return image
    low, high = float(image.min()), float(image.max())
    return ((image - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)


def in_rgb(image: "numpy.ndarray", order: str) -> "numpy.ndarray":
    """(channels, height, width) in an order of channels as (height, width, 3) in RGB.

    Of channels that are as they are stored the first three are red, green and blue, or the
    first is gray.
    """
    import numpy as np

    if order == STORED:
        image = image[:3] if len(image) >= 3 else image[:1]
    planes = image[2::-1] if order == BGR else image[:3]
    return np.ascontiguousarray(np.moveaxis(np.broadcast_to(planes, (3, *planes.shape[1:])), 0, 2))
