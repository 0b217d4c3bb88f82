"""The image files that `infer` runs a net on, read as the net takes them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fcnkit.cli.preprocessing import note
from fcnkit.errors import DatasetError, NetError
from fcnkit.plural import number_of
from fcnkit.preprocessing import RGB

# Of many files of which the same is to be said, so many are named.
_NAMED = 5


class ImageFile(NamedTuple):
    """An image file, what the names of its results begin with, and where it is from."""

    name: str
    path: Path
    source: str = ""


def pictures_of(images: Sequence[str], spare: Path, *, stored: bool = False) -> list[ImageFile]:
    """The image files, each with its own name; DatasetError where two share one.


    Of a dataset the images that are kept from training, or all where none are, become files
    in the folder `spare`.  `stored` says that images are .npy files.
    """
    found: dict[str, ImageFile] = {}
    for image in map(Path, images):
        whole = _of_dataset(image, spare, stored) if _is_dataset(image) else _files(image, stored)
        here = list(whole)
        if not here:
            raise DatasetError(f"{image}: holds no images; name a folder of images")
        for each in here:
            other = found.setdefault(each.name, each)
            if other.path != each.path:
                one, two = each.source or each.path, other.source or other.path
                raise DatasetError(f"{one}: has the same name as {two}; run them one at a time")
    return list(found.values())


def _files(image: Path, stored: bool) -> Iterator[ImageFile]:
    from fcnkit.datasets.pairs import files
    from fcnkit.datasets.stacks import SUFFIX

    here = files(image, more=(SUFFIX,) * stored) if os.path.isdir(image) else {image.stem: image}
    return (ImageFile(name, path) for name, path in here.items())


def _is_dataset(folder: Path) -> bool:
    return os.path.isdir(folder) and any(folder.glob("*_image_lmdb"))


def _of_dataset(folder: Path, spare: Path, stored: bool) -> Iterator[ImageFile]:
    """The images of a dataset's held-out split, as files under the names that `score` asks for."""
    import numpy as np

    from fcnkit.datasets import databases
    from fcnkit.datasets.stacks import SUFFIX
    from fcnkit.datasets.summary import report, splits_of

    split = splits_of(folder)[-1]
    database = folder / f"{split}_image_lmdb"
    order = report(folder).get("order")
    note(f"{folder}: its {number_of(databases.count(database), 'image')} of {split} are run")
    for number, record in enumerate(databases.read(database)):
        name, image = record.key[databases.NUMBER :], record.array
        if image.dtype != "uint8" or not (stored or len(image) in (1, 3)):
            fact = (
                f"{name} has {number_of(len(image), 'channel')} of {image.dtype}, and is not "
                "a picture"
            )
            raise DatasetError(f"{database}: {fact}; name the folder of the images")
        path = spare / f"{number}{SUFFIX if stored else '.png'}"
        if stored:
            np.save(path, np.moveaxis(image, 0, 2))
        else:
            path.write_bytes(databases.png(image[::-1] if order == RGB else image))
        yield ImageFile(name, path, f"{database}, {name}")


class Reading(NamedTuple):
    """How images become as many channels as the net takes."""

    channels: int
    exif: str
    alpha: str
    stored: bool = False

    def net(self, picture: ImageFile, told=None):
        """The image as the net takes it."""
        from fcnkit.datasets.images import IGNORE, Alpha
        from fcnkit.datasets.stacks import read_stack

        kept = Alpha(self.alpha == IGNORE, "give --alpha ignore to leave it out", told)
        if self.stored:
            return read_stack(picture.path, self.channels)
        return self._read(picture, self.channels, kept)

    def shown(self, picture: ImageFile):
        """The image in RGB."""
        from fcnkit.datasets.images import ANY_ALPHA
        from fcnkit.datasets.stacks import read_stack, shown

        if self.stored:
            return shown(read_stack(picture.path, self.channels))
        return self._read(picture, 3, ANY_ALPHA)

    def _read(self, picture: ImageFile, channels: int, alpha):
        from fcnkit.datasets.images import MODES, read_image

        turn = self.exif == "apply"
        return read_image(picture.path, mode=MODES[channels], turn=turn, alpha=alpha)


def check_all(pictures, found, read, progress) -> None:
    """Every file is an image that the net can run; DatasetError that names all that are not.

    Standard error names those of which something is left out that says nothing.
    """
    from fcnkit.datasets.geometry import size_of

    problems: list[str] = []
    left_out: list[str] = []
    for picture in pictures:
        try:
            width, height = size_of(read.net(picture, left_out.append))
            found.size(height, width)
        except DatasetError as error:
            problems.append(str(error))
        except NetError as error:
            problems.append(f"{picture.source or picture.path}: {width} x {height} pixels: {error}")
        progress(1)
    if problems:
        count = f"{len(problems)} of {number_of(len(pictures), 'file')} cannot be run"
        raise DatasetError(f"{count}; nothing is written:", problems)
    for fact in left_out[:_NAMED]:
        note(fact)
    if len(left_out) > _NAMED:
        note(f"and so in {number_of(len(left_out) - _NAMED, 'file')} more")
