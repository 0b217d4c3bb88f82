"""Counts what a dataset holds, pixels and images of each class, and what follows for training."""

import math
import os
from collections import Counter
from collections.abc import Container, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnkit import notebook
from fcnkit.datasets import databases
from fcnkit.datasets.absent import Absent, absent
from fcnkit.datasets.colours import Colour, read_classes, read_colours, voc_palette
from fcnkit.datasets.databases import Record
from fcnkit.errors import DatasetError
from fcnkit.foreign import json_of, refusing
from fcnkit.plural import number_of
from fcnkit.preprocessing import GRAY, STORED
from fcnkit.progress import Progress, no_progress
from fcnkit.tables import aligned

if TYPE_CHECKING:
    import numpy

SPLITS = ("train", "val")
CLASSES_FILE, COLOURS_FILE, REPORT_FILE, MEAN_FILE = (
    "classes.txt",
    "colours.txt",
    "report.json",
    "mean.binaryproto",
)
Size = tuple[int, int]


def list_file(split: str) -> str:
    """The file in a dataset's folder with the names of a split's images, one a line."""
    return f"{split}.txt"


class Tally:
    """Counts that grow image by image: what `Split` is made of, and the mean of all images."""

    def __init__(self, classes: int, ignore: int, pixel_means: bool = False) -> None:
        import numpy as np

        self.classes, self.ignore, self.pixel_means = classes, ignore, pixel_means
        self.pixels = np.zeros(256, np.int64)
        self.images = np.zeros(256, np.int64)
        self.areas = np.zeros(256, np.int64)
        self.sizes: Counter[Size] = Counter()
        self.colours: numpy.ndarray = np.zeros(0, np.int64)
        self.sums: numpy.ndarray | None = None

    def add(self, image: "numpy.ndarray", label: "numpy.ndarray") -> None:
        """One more image, of (channels, height, width), and its label, of (height, width)."""
        import numpy as np

        counts = np.bincount(label.ravel(), minlength=256)
        self.pixels += counts
        self.images += counts > 0
        self.areas += (counts > 0) * (label.size - counts[self.ignore])
        self.sizes[label.shape[::-1]] += 1
        # Whole numbers are added up exactly; floats are those of somebody else's database.
        exact = np.int64 if image.dtype == np.uint8 else np.float64
        colours = image.sum(axis=(1, 2), dtype=exact)
        self.colours = self.colours + colours if self.colours.size else colours
        if self.pixel_means and len(self.sizes) == 1:
            if self.sums is None:
                self.sums = np.zeros(image.shape, exact)
            self.sums += image  # in place: a new array for each image would take four times as long

    def split(self, name: str) -> "Split":
        """The figures as they stand."""
        count, area = sum(self.sizes.values()), sum(w * h * n for (w, h), n in self.sizes.items())
        channels = [float(each) / area for each in self.colours] if count else []
        return Split(
            name,
            count,
            dict(sorted(self.sizes.items())),
            tuple(channels),
            tuple(map(int, self.pixels[: self.classes])),
            tuple(map(int, self.images[: self.classes])),
            tuple(map(int, self.areas[: self.classes])),
            int(self.pixels[self.ignore]),
        )

    def mean_image(self) -> "numpy.ndarray | None":
        """The mean of all images, of (channels, height, width); None where their sizes differ."""
        if len(self.sizes) != 1 or self.sums is None:
            return None
        return self.sums / sum(self.sizes.values())


def median_frequency(pixels: Sequence[int], areas: Sequence[int]) -> tuple[float | None, ...]:
    """The weight of each class in the loss; None for a class without pixels.

    freq(c) is c's `pixels` by all pixels of the images that c is in, its `areas`,
    without ignored ones; weight(c) = median of all freq / freq(c) (Eigen and
    Fergus 2015).
    """
    shares = [count / area if count else None for count, area in zip(pixels, areas, strict=True)]
    there = sorted(share for share in shares if share)
    if not there:
        return (None,) * len(shares)
    median = (there[(len(there) - 1) // 2] + there[len(there) // 2]) / 2
    return tuple(median / share if share else None for share in shares)


@dataclass(frozen=True)
class Split:
    """The figures of the images to train on, or of those to validate with.

    `sizes` maps (width, height) to numbers of images; `mean` is one value per
    channel.  For each class: its `pixels`, the `images` that it is in, and the
    `areas` of those, all without ignored pixels.
    """

    name: str
    count: int
    sizes: dict[Size, int]
    mean: tuple[float, ...]
    pixels: tuple[int, ...]
    images: tuple[int, ...]
    areas: tuple[int, ...]
    ignored: int

    @property
    def shares(self) -> tuple[float, ...]:
        """Each class's part of all pixels that count."""
        total = sum(self.pixels) or 1
        return tuple(count / total for count in self.pixels)

    @property
    def baseline(self) -> tuple[int, float]:
        """The most frequent class, and the pixel accuracy of a net that knows no other."""
        shares = self.shares
        most = max(range(len(shares)), key=shares.__getitem__)
        return most, shares[most]

    @property
    def weights(self) -> tuple[float | None, ...]:
        """Median-frequency weights; None for a class that is not there."""
        return median_frequency(self.pixels, self.areas)


@dataclass(frozen=True)
class Summary:
    """The figures of a dataset; `skipped` names what was left out, with reasons."""

    folder: str
    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    ignore: int
    order: str
    splits: tuple[Split, ...]
    skipped: tuple[str, ...] = ()
    options: dict = field(default_factory=dict)
    mean_file: str = ""

    @property
    def absent(self) -> Absent | None:
        """The classes that no split has, where pixels are ignored; None where all are there."""
        pixels = tuple(map(sum, zip(*(each.pixels for each in self.splits), strict=True)))
        reading = self.options.get("reading", {})
        renamed = reading.get("void") or reading.get("numbers")
        values = () if renamed or reading.get("unknown") == "ignore" else (self.ignore,)
        ignored, coloured = sum(each.ignored for each in self.splits), bool(reading.get("colours"))
        return absent(self.names, pixels, ignored, values, coloured=coloured)

    def table(self) -> str:
        """A line for each class, and the figures of each split."""
        names = (
            "class",
            "name",
            *(f"{each.name} {what}" for each in self.splits for what in ("share", "images")),
        )
        rows = [self._row(number) for number in range(len(self.names))]
        names += ("weight",)
        return aligned(names, rows, ("name",)) + "".join(f"{line}\n" for line in self._lines())

    def _row(self, number: int) -> dict[str, str]:
        row = {"class": str(number), "name": self.names[number]}
        for each in self.splits:
            row[f"{each.name} share"] = f"{each.shares[number]:.2%}"
            row[f"{each.name} images"] = f"{each.images[number]:,}"
        weight = self.splits[0].weights[number]
        return row | {"weight": "-" if weight is None else f"{weight:.4f}"}

    def _lines(self) -> Iterator[str]:
        for each in self.splits:
            sizes = ", ".join(f"{w}x{h}" for w, h in list(each.sizes)[:3]) + ", ..." * (
                len(each.sizes) > 3
            )
            total = sum(each.pixels) + each.ignored
            ignored = f"{each.ignored / max(total, 1):.2%} of pixels ignored"
            yield f"{each.name}: {number_of(each.count, 'image')} of {sizes}; {ignored}"
            most, share = each.baseline
            yield (
                f"  majority baseline: predicting {self.names[most]} everywhere gets {share:.2%} "
                "of pixels right"
            )
            absent = [
                name for name, count in zip(self.names, each.pixels, strict=True) if not count
            ]
            if absent:
                yield f"  classes without a pixel: {', '.join(absent)}"
        first = self.splits[0]
        four = "A" * (len(first.mean) > 3)
        plain = self.order in (GRAY, STORED)
        channels = self.order if plain else ", ".join(self.order.upper() + four)
        yield f"mean {channels}: {','.join(f'{value:.3f}' for value in first.mean)}"
        if self.mean_file:
            yield f"mean image: {self.mean_file}"
        yield f"weight: what --loss-weights median uses, counted in {first.name}"
        yield f"expected loss of an untrained net: {self.first_loss:.4f}"
        yield from (f"left out: {each}" for each in self.skipped)

    @property
    def first_loss(self) -> float:
        """The normalised softmax loss of equal scores, ln of the number of classes."""
        return math.log(len(self.names))

    def json(self) -> dict[str, Any]:
        """The same as plain lists, dicts, strings and numbers."""
        return {
            "classes": [
                {"name": name, "colour": list(colour)}
                for name, colour in zip(self.names, self.colours, strict=True)
            ],
            "ignore": self.ignore,
            "order": self.order,
            "mean_file": self.mean_file,
            "first_loss": self.first_loss,
            "splits": {each.name: _plain(each, self.names) for each in self.splits},
            "skipped": list(self.skipped),
            "options": self.options,
        }

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        return notebook.text(self.table())


def _plain(split: Split, names: Sequence[str]) -> dict:
    most, share = split.baseline
    return {
        "images": split.count,
        "sizes": [[width, height, count] for (width, height), count in split.sizes.items()],
        "mean": list(split.mean),
        "ignored_pixels": split.ignored,
        "pixels": list(split.pixels),
        "shares": list(split.shares),
        "images_with": list(split.images),
        "median_frequency_weights": list(split.weights),
        "majority_baseline": {"class": most, "name": names[most], "pixel_accuracy": share},
    }


def summarize(
    folder: str | Path,
    *,
    classes: Sequence[str] = (),
    ignore: int | None = None,
    progress: Progress = no_progress,
) -> Summary:
    """The figures of the databases in a folder, every pixel counted anew.

    `classes` and `ignore` are those that the folder's own files say, unless
    they are given.  Raises DatasetError where an image and its label do not
    fit, or a label is no class.
    """
    folder = Path(folder)
    stored = report(folder)
    if not classes and splits_of(folder) and not os.path.exists(folder / CLASSES_FILE):
        raise DatasetError(
            f"{folder}: has no {CLASSES_FILE}; give the number of classes with --classes"
        )
    names = tuple(classes) or read_classes(folder / CLASSES_FILE)
    ignore = stored.get("ignore", 255) if ignore is None else ignore
    splits = []
    for name in splits_of(folder):
        tally = Tally(len(names), ignore)
        with closing(records(folder, name)) as both:
            for image, label in both:
                _check(folder, name, image, label, len(names), ignore)
                tally.add(image.array, databases.whole(label, f"{folder}: {name}"))
                progress(1)
        splits.append(tally.split(name))
    mean = MEAN_FILE if os.path.exists(folder / MEAN_FILE) else ""
    left_out = tuple(stored.get("skipped", ()))
    return Summary(
        str(folder),
        names,
        colours_of(folder, len(names)),
        ignore,
        stored.get("order", "bgr"),
        tuple(splits),
        left_out,
        stored.get("options", {}),
        mean,
    )


def report(folder: Path) -> dict:
    """What the report in a dataset's folder says; nothing where there is none."""
    path = folder / REPORT_FILE
    if not os.path.exists(path):
        return {}
    with refusing(lambda reason: DatasetError(f"{path}: cannot be read: {reason}; remove it")):
        found = json_of(path.read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}


def stored_names(folder: Path) -> tuple[str, ...]:
    """The names of a dataset's classes, as its folder has them; none where it has not."""
    path = folder / CLASSES_FILE
    return read_classes(path) if os.path.exists(path) else ()


def splits_of(folder: Path) -> tuple[str, ...]:
    """Which of train and val a folder has; DatasetError where it has neither."""
    there = tuple(name for name in SPLITS if os.path.isdir(folder / f"{name}_image_lmdb"))
    if not there:
        fact = "holds no train_image_lmdb" if os.path.isdir(folder) else "is not a folder"
        raise DatasetError(f"{folder}: {fact}; make a dataset with `fcnkit dataset create`")
    return there


def records_in(folder: Path) -> int:
    """How many images a dataset's splits have in all."""
    return sum(databases.count(folder / f"{name}_image_lmdb") for name in splits_of(folder))


def records(
    folder: Path, split: str, every: int = 1, *, numbers: Container[int] | None = None
) -> Generator[tuple[Record, Record], None, None]:
    """Each image of a split and its label, or every `every`-th, or those of these `numbers`;
    DatasetError where keys differ.
    """
    with ExitStack() as stack:
        sides = [
            databases.read(folder / f"{split}_{kind}_lmdb", every, numbers=numbers)
            for kind in ("image", "label")
        ]
        for side in sides:
            stack.callback(side.close)
        for image, label in zip_longest(*sides):
            if image is None or label is None or image.key != label.key:
                keys = [each.key if each else "no more entries" for each in (image, label)]
                fact = f"the image's key is {keys[0]}, but the label's {keys[1]}"
                raise DatasetError(
                    f"{folder}: {split}: {fact}; Caffe would pair them; create the dataset again"
                )
            yield image, label


def colours_of(folder: Path, count: int) -> tuple[Colour, ...]:
    """The colour of each class: the folder's own, or VOC's."""
    there = (
        read_colours(folder / COLOURS_FILE).colours if os.path.exists(folder / COLOURS_FILE) else ()
    )
    return (*there, *voc_palette(256)[len(there) :])[:count]


def _check(
    folder: Path, split: str, image: Record, label: Record, classes: int, ignore: int
) -> None:
    place = f"{folder}: {split}: {image.key}"
    if len(label.array) != 1 or image.array.shape[1:] != label.array.shape[1:]:
        sizes = [" x ".join(map(str, each.array.shape)) for each in (image, label)]
        raise DatasetError(
            f"{place}: the image is {sizes[0]}, its label {sizes[1]}; create the dataset again"
        )
    labels = databases.whole(label, f"{folder}: {split}")
    wrong = labels[(labels >= classes) & (labels != ignore)]
    if wrong.size:
        fact = (
            f"has label {wrong[0]}, and there are {number_of(classes, 'class')} and {ignore} "
            "to ignore"
        )
        raise DatasetError(f"{place}: {fact}; Caffe would read beyond its scores")
