"""Finds the label of each image by its name; every file without a partner is reported."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from fcnkit.datasets.images import SUFFIXES
from fcnkit.errors import DatasetError
from fcnkit.foreign import reason
from fcnkit.formats import signature
from fcnkit.plural import number_of


class Pair(NamedTuple):
    """An image file and its label file;
    `name` is their common path in their folders, without suffix.

    `flipped` says that left and right change places in both.
    """

    name: str
    image: str
    label: str
    flipped: bool = False


class Tails(NamedTuple):
    """What ends the names of images and of labels,
    as _leftImg8bit and _gtFine_labelIds do in Cityscapes.
    """

    image: str = ""
    label: str = ""


NO_TAILS = Tails()


def find(
    images: str | Path,
    labels: str | Path,
    *,
    names: Sequence[str] | None = None,
    tails: Tails = NO_TAILS,
    labelled_only: bool = False,
    more: Sequence[str] = (),
) -> tuple[Pair, ...]:
    """The pairs of two folders, of subfolders too, in the order of their names.

    With `names` those alone, and with `labelled_only` not those images that
    have no label.  `more` are suffixes of images beside those of pictures.
    Raises DatasetError that names every file without a partner, and every two
    that have one name.
    """
    pictures, twice = _files(images, tails.image, more)
    if tails.label and os.path.realpath(images) == os.path.realpath(labels):
        pictures = {name: path for name, path in pictures.items() if not name.endswith(tails.label)}
    targets, twice_too = _files(labels, tails.label, (".npy",))
    if names is None:
        wanted = sorted({*targets} if labelled_only else {*pictures, *targets})
    else:
        wanted = sorted(set(names))
    lacking = [
        f"{folder}: has no {what} for {_whose(name, other, place)}"
        for name in wanted
        for folder, what, files, other, place in (
            (images, "image", pictures, targets, labels),
            (labels, "label", targets, pictures, images),
        )
        if name not in files
    ]
    problems = twice + twice_too + lacking
    if problems:
        count = f"{number_of(len(problems), 'file')} without exactly one partner"
        remedy = "an image and its label must have the same name"
        if not labelled_only and pictures.keys() > targets.keys() and names is None:
            remedy += ", and --labelled-only leaves out images without a label"
        raise DatasetError(f"{count}; {remedy}:", problems)
    if not wanted:
        suffixes = ", ".join((*SUFFIXES, *more))
        raise DatasetError(f"{images}: holds no images; name a folder of {suffixes} files")
    return tuple(Pair(name, str(pictures[name]), str(targets[name])) for name in wanted)


def read_names(path: str | Path) -> tuple[str, ...]:
    """The names in a list file, one a line, as VOC's train.txt and val.txt hold them."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        known = signature.refusal_at(signature.TEXT, path)
        fact = known or f"cannot be read: {reason(error)}; give a text file"
        raise DatasetError(f"{path}: {fact}") from None
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise DatasetError(f"{path}: is empty; write one name per line, without suffix")
    return names


def split(
    pairs: Sequence[Pair], share: float, seed: int
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """The pairs to train on and those to validate with, `share` of them and at least one.

    Which they are is drawn by name: files that come or go leave the rest where they were.
    Raises DatasetError where none would be left to train on.
    """
    count = max(1, round(share * len(pairs)))
    if count >= len(pairs):
        raise DatasetError(
            f"split {share:g}: leaves none of {number_of(len(pairs), 'pair')} to train on; take "
            "a smaller share"
        )
    kept = {pair.name for pair in shuffled(pairs, seed)[:count]}
    return (
        tuple(pair for pair in pairs if pair.name not in kept),
        tuple(pair for pair in pairs if pair.name in kept),
    )


def with_flips(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Every pair, and after each the same one flipped, under a name of its own."""
    return tuple(
        each
        for pair in pairs
        for each in (pair, pair._replace(name=f"{pair.name}-flipped", flipped=True))
    )


def shuffled(pairs: Iterable[Pair], seed: int) -> tuple[Pair, ...]:
    """The pairs in an order that `seed` and their names alone decide."""
    return tuple(sorted(pairs, key=lambda pair: (_drawn(pair.name, seed), pair.name)))


def _drawn(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode("utf-8", "surrogateescape")).digest()


def files(folder: str | Path, tail: str = "", more: Sequence[str] = ()) -> dict[str, Path]:
    """The image files in a folder and its subfolders by name; DatasetError where two have one."""
    found, twice = _files(folder, tail, more)
    if twice:
        raise DatasetError(f"{folder}: two files of one name:", twice)
    return found


def _files(
    folder: str | Path, tail: str, more: Sequence[str] = ()
) -> tuple[dict[str, Path], list[str]]:
    """The image files by name, and a problem for each name that several share."""
    folder = Path(folder)
    if not os.path.isdir(folder):
        raise DatasetError(f"{folder}: is not a folder; name one that exists")
    found: dict[str, Path] = {}
    twice = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if not _counts(path, folder, (*SUFFIXES, *more)) or not name.endswith(tail):
            continue
        name = name.removesuffix(tail)
        if name in found:
            twice.append(f"{path}: has the same name as {found[name]}; keep one")
        found.setdefault(name, path)
    return found, twice


def _counts(path: Path, folder: Path, suffixes: Sequence[str]) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in suffixes and not hidden and os.path.isfile(path)


def _whose(name: str, others: dict[str, Path], place: str | Path) -> str:
    return str(others[name]) if name in others else f"{name}, nor has {place}"
