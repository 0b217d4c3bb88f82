"""The labels that a net does not read as maps from an LMDB: of ImageData, HDF5Data and Datums."""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.datasets import databases
from fcnkit.datasets.images import opened
from fcnkit.errors import DatasetError, NetError
from fcnkit.foreign import reason, refusing
from fcnkit.formats import datum
from fcnkit.libraries import load
from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.table import CAFFE, of

if TYPE_CHECKING:
    import h5py
    import numpy

# So many values of an HDF5 dataset are read at a time.
_VALUES = 1 << 22


class Label(NamedTuple):
    """A label of a source: the first entry that has it, and how many pixels in all.

    `cut` is what it is where it is no whole number, of which Caffe takes `value`.
    """

    value: int
    entry: str
    pixels: int
    cut: float | None = None


class Source(NamedTuple):
    """The layer that reads labels, which of its tops they are, and from which file.

    Paths in that file are relative to `folder`, in which the trainer works.
    """

    layer: Layer
    top: int
    path: Path
    folder: Path

    @property
    def name(self) -> str:
        """The blob that holds the labels."""
        return self.layer.tops[self.top].blob


def source_layer(graph: Graph, top: Top, folder: Path) -> Source | None:
    """What reads these labels; None where they are maps in an LMDB, or nothing known reads them."""
    layer = graph.producer(top)
    number = layer.tops.index(top)
    message = of(layer).message
    if layer.type not in CAFFE or message not in _READERS:
        return None
    if message == "data_param" and not _datums(layer, number):
        return None
    param = layer.param(message)
    if not param.has("source"):
        raise layer.error("it names no source; give the source of its data")
    return Source(layer, number, folder / param.get("source"), folder)


def _datums(layer: Layer, top: int) -> bool:
    return top == 1 and layer.param("data_param").get("backend") == "LMDB"


def labels(source: Source) -> tuple[Label, ...]:
    """Every label of a source in order; its entry is the first place that has it, file and all.

    Raises NetError where the source, a line, an image or a dataset cannot be read.
    """
    found: dict[int, Label] = {}
    for place, values in _READERS[of(source.layer).message](source):
        for value, count in _counted(source, place, values):
            whole = int(value)
            first = found.setdefault(whole, Label(whole, place, 0))
            if value != whole and first.cut is None:
                first = first._replace(entry=place, cut=value)
            found[whole] = first._replace(pixels=first.pixels + count)
    return tuple(found[value] for value in sorted(found))


def _counted(
    source: Source, place: str, values: "numpy.ndarray | list[int]"
) -> Iterator[tuple[float, int]]:
    """Each label, and how often it is there; Caffe cuts it to a whole number."""
    import numpy as np

    array = np.asarray(values)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise _refused(source, place, "a label is not a finite number; correct it")
    found, counts = np.unique(array, return_counts=True)
    yield from zip(found.tolist(), counts.tolist(), strict=True)


def _refused(source: Source, place: str, fact: str) -> NetError:
    layer = source.layer
    net = f'layer "{layer.name}" ({layer.field.source.path}:{layer.line})'
    return NetError(f"{place}: {fact}, for {net} reads it")


# ---- one reader for each kind of layer


def _of_datums(source: Source) -> Iterator[tuple[str, list[int]]]:
    for entry, value in databases.raw(source.path):
        place = f"{source.path}: entry {entry!r}"
        try:
            yield place, [datum.read(value).label]
        except ValueError as error:
            raise _refused(source, place, f"{error}; make the database again") from None


def _of_list(source: Source) -> "Iterator[tuple[str, numpy.ndarray | list[int]]]":
    """The numbers behind the names of images; or where the images are the labels, their values."""
    root = source.layer.param("image_data_param").get("root_folder")
    for number, line in enumerate(_lines(source), 1):
        name, _, label = line.rstrip("\r\n").rpartition(" ")
        place = f"{source.path}:{number}: image {name}"
        if source.top == 0:
            yield place, _picture(source, f"{source.path}:{number}", source.folder / (root + name))
        elif re.fullmatch(r"\s*[-+]?[0-9]{1,9}\s*", label):
            yield place, [int(label)]
        else:
            fact = f'"{line.strip()[:60]}" has no label at its end; write NAME NUMBER'
            raise _refused(source, f"{source.path}:{number}", fact)


def _lines(source: Source) -> Iterable[str]:
    try:
        with open(source.path, encoding="utf-8", errors="surrogateescape") as file:
            return file.readlines()
    except (OSError, ValueError) as error:  # ValueError for a name with a zero byte
        fact = f"cannot be read: {reason(error)}; name a list that exists"
        raise _refused(source, str(source.path), fact) from None


def _picture(source: Source, place: str, path: Path) -> "numpy.ndarray":
    import numpy as np

    try:
        with opened(path) as image:
            if image.mode not in ("L", "1"):
                fact = f"{path} is a picture of mode {image.mode}, whose values Caffe changes"
                raise _refused(source, place, f"{fact}; store labels as gray values of 8 bits")
            return np.asarray(image.convert("L"))
    except DatasetError as error:
        raise _refused(source, place, str(error)) from None


def _of_hdf5(source: Source) -> "Iterator[tuple[str, numpy.ndarray]]":
    """A row at a time of the dataset called as the top, of every file that the list names."""
    for name in " ".join(_lines(source)).split():
        path = source.folder / name
        refusal = partial(_unreadable, source, str(path))
        with (
            refusing(refusal),
            load("h5py").File(path, "r") as file,
        ):
            yield from _rows(path, source.name, file[source.name])


def _unreadable(source: Source, path: str, reason: str) -> NetError:
    fact = f'its dataset "{source.name}" cannot be read: {reason}; make it again'
    return _refused(source, path, fact)


def _rows(path: Path, name: str, dataset: "h5py.Dataset") -> "Iterator[tuple[str, numpy.ndarray]]":
    rows = dataset.shape[0]
    step = max(1, _VALUES * rows // max(1, dataset.size))
    for start in range(0, rows, step):
        for number, row in enumerate(dataset[start : start + step], start):
            yield f'{path}: dataset "{name}", row {number}', row


_READERS = {
    "data_param": _of_datums,
    "image_data_param": _of_list,
    "hdf5_data_param": _of_hdf5,
}
