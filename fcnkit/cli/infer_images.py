"""The image files that `infer` runs a net on, read as the net takes them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fcnkit.cli.preprocessing import note
from fcnkit.errors import DatasetError, NetError

# Of many files of which the same is to be said, so many are named.
_NAMED = 5


class ImageFile(NamedTuple):
    """An image file, and what the names of its results begin with."""

    name: str
    path: Path


def pictures_of(images: Sequence[str], *, stored: bool = False) -> list[ImageFile]:
    """The image files, each with its own name; DatasetError where two share one.

    `stored` says that they are .npy files.
    """
    from fcnkit.datasets.pairs import files
    from fcnkit.datasets.stacks import SUFFIX

    found: dict[str, Path] = {}
    for image in map(Path, images):
        here = (
            files(image, more=(SUFFIX,) * stored) if os.path.isdir(image) else {image.stem: image}
        )
        if not here:
            raise DatasetError(f"{image}: holds no images; name a folder of images")
        for name, path in here.items():
            if found.setdefault(name, path) != path:
                raise DatasetError(f"{path}: has the same name as {found[name]}; run one at a time")
    return [ImageFile(name, path) for name, path in found.items()]


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

        kept = Alpha(self.alpha == IGNORE, "say --alpha ignore to leave it out", told)
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
            problems.append(f"{picture.path}: {width} x {height} pixels: {error}")
        progress(1)
    if problems:
        count = f"{len(problems)} of {len(pictures)} files cannot be run"
        raise DatasetError(f"{count}; nothing is written:", problems)
    for fact in left_out[:_NAMED]:
        note(fact)
    if len(left_out) > _NAMED:
        note(f"and so in {len(left_out) - _NAMED} files more")
