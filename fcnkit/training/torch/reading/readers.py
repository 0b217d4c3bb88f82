"""Makes the batches of Caffe's data layers: Data over LMDB, ImageData and HDF5Data.

Each reader sets up its layer when it is called, one layer after another as in
Caffe.  It returns an iterator without end, which gives an array for each top.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from fcnkit.engines.torch.layers.site import refusal
from fcnkit.errors import EngineError
from fcnkit.foreign import refusing
from fcnkit.formats import datum, lmdbs
from fcnkit.formats.schema import View
from fcnkit.nets.graph import Layer
from fcnkit.plural import number_of
from fcnkit.training.torch.reading import image_files
from fcnkit.training.torch.reading.draws import Draws
from fcnkit.training.torch.reading.transform import Transform, chancy, transform

Arrays = list[np.ndarray]
Item = tuple[np.ndarray, float]
Each = TypeVar("Each")


class Setting(NamedTuple):
    """Where a data layer stands: in which phase,
    what seeds it, and which of several processes this is.
    """

    phase: str
    chance: Draws
    rank: int = 0
    ranks: int = 1

    def share(self, items: Iterable) -> Iterator:
        """Of these items those of this process:
        in training every `ranks`-th, from the `rank`-th on.
        """
        return islice(items, self.rank, None, self.ranks) if self.phase == "TRAIN" else iter(items)


# ---- Data


def data(layer: Layer, setting: Setting) -> Iterator[Arrays]:
    """The Datums of an LMDB in the order of their keys, and again; their images and labels.

    Raises EngineError for other databases; DatasetError for a damaged one.
    """
    param = layer.param("data_param")
    if param.get("backend") != "LMDB":
        fact = f"its backend is {param.get('backend')}"
        raise refusal(
            layer, f"{fact}; make an LMDB of it, and write backend: LMDB (without, it is LEVELDB)"
        )
    folder = Path(_source(layer, param))
    database = lmdbs.Database(folder)
    if not database.count:
        raise refusal(layer, f"its database {folder} is empty; fill it")
    _, change = _set_up(layer, setting, lambda: None)
    mode = _mode(layer)
    entries = setting.share(_entries(database))
    items = (
        _image(layer, f"{folder}: entry {key.decode('utf-8', 'replace')}", read(), mode)
        for key, read in entries
    )
    return _batches(layer, items, change, _batch_size(layer, param))


def _entries(database: lmdbs.Database) -> Iterator[lmdbs.Entry]:
    """The key of every entry, and what reads its value; after the last the first again."""
    while True:
        yield from database.entries()


def _image(layer: Layer, place: str, value: bytes, mode: str) -> Item:
    """The image and the label of a Datum."""
    try:
        found = datum.read(value)
    except ValueError as error:
        raise refusal(layer, f"{place} {error}; make the database again") from None
    if found.values is None:
        return image_files.decoded(layer, place, found.picture, mode), found.label
    return found.values, found.label


def _mode(layer: Layer) -> str:
    """How encoded pictures are read."""
    param = layer.param("transform_param")
    colour, gray = param.get("force_color"), param.get("force_gray")
    if colour and gray:
        raise refusal(layer, "it has both force_color and force_gray; keep one")
    return image_files.COLOUR if colour else image_files.GRAY if gray else image_files.AS_IT_IS


# ---- ImageData


def image_data(layer: Layer, setting: Setting) -> Iterator[Arrays]:
    """The images that a file lists, with the numbers behind their names, in its order or shuffled.

    Of several processes each has its share, where in Caffe all have the same images.
    """
    param = layer.param("image_data_param")
    lines = _lines(layer, _source(layer, param))
    size = param.get("new_height"), param.get("new_width")
    if (size[0] == 0) != (size[1] == 0):
        raise refusal(
            layer, f"new_height and new_width are {size[0]} and {size[1]}; give both, or none"
        )
    order, change = _set_up(layer, setting, lambda: _ordered(layer, param, lines, setting.chance))
    mode = image_files.COLOUR if param.get("is_color") else image_files.GRAY
    root, wanted = param.get("root_folder"), size if size[0] else None
    items = (
        (image_files.opened(layer, root + name, mode, wanted), label)
        for name, label in setting.share(order)
    )
    return _batches(layer, items, change, _batch_size(layer, param))


def _lines(layer: Layer, path: str) -> list[tuple[str, int]]:
    """Name and number of each line."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            split = [line.rstrip("\n").rpartition(" ") for line in file]
        found = [(name, int(number)) for name, _, number in split]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or f"a line has no number at its end ({error})"
        raise refusal(layer, f"its source {path!r} cannot be read: {reason}") from None
    if not found:
        raise refusal(layer, f"its source {path!r} is empty; list images in it")
    return found


def _ordered(layer: Layer, param: View, lines: list, chance: Draws) -> Iterator[tuple[str, int]]:
    """The lines without end; shuffled anew after each pass where the layer says so."""
    draws = Draws(chance()) if param.get("shuffle") else None
    if draws:
        draws.shuffle(lines)
    skipped = chance.below(param.get("rand_skip")) if param.get("rand_skip") else 0
    if skipped >= len(lines):
        raise refusal(
            layer,
            f"rand_skip has drawn {skipped} of {number_of(len(lines), 'image')}; make it smaller",
        )
    return _again(lines, skipped, draws)


def _again(lines: list, first: int, draws: Draws | None) -> Iterator[tuple[str, int]]:
    yield from lines[first:]
    while True:
        if draws:
            draws.shuffle(lines)
        yield from lines


# ---- images


def _set_up(layer: Layer, setting: Setting, own: Callable[[], Each]) -> tuple[Each, Transform]:
    """What the layer's own set-up gives, and its transformation,
    with what each draws in Caffe's order.

    Caffe seeds a layer's generator before its set-up and again after it, and then that of its
    thread.
    """
    drawn = chancy(layer, setting.phase)
    if drawn:
        setting.chance()
    found = own()
    draws = Draws(setting.chance() if drawn else 0)
    setting.chance()
    return found, transform(layer, setting.phase, draws)


def _batches(layer: Layer, items: Iterator[Item], change: Transform, size: int) -> Iterator[Arrays]:
    """Batches of `size` transformed images and labels; each has the size of its first image."""
    for image, label in items:
        images = np.empty((size, *change.shape(image)), np.float32)
        labels = np.empty(size, np.float32)
        for place in range(size):
            image, label = (image, label) if place == 0 else next(items)
            if change.shape(image) != images.shape[1:]:
                raise _unequal(layer, images, image)
            change.apply(image, images[place])
            labels[place] = label
        yield [images, labels][: len(layer.tops)]


def _unequal(layer: Layer, images: np.ndarray, image: np.ndarray) -> EngineError:
    sizes = [" x ".join(map(str, shape)) for shape in (image.shape, images.shape[1:])]
    fact = f"an image is {sizes[0]} in a batch of {sizes[1]}"
    return refusal(layer, f"{fact}; make all of one size, or give batch_size: 1")


def _source(layer: Layer, param: View) -> str:
    if not param.has("source"):
        raise refusal(layer, "it names no source; give the source of its data")
    return param.get("source")


def _batch_size(layer: Layer, param: View) -> int:
    if param.get("batch_size") < 1:
        raise refusal(layer, "its batch_size is 0; give at least 1")
    return param.get("batch_size")


# ---- HDF5Data


def hdf5_data(layer: Layer, setting: Setting) -> Iterator[Arrays]:
    """The rows of the datasets called as the tops, of each file that a list names in turn.

    What Caffe shuffles by C's rand() is shuffled here by random_seed.
    """
    if layer.view.has("transform_param"):
        raise refusal(layer, "it has a transform_param, and its data is not transformed; remove it")
    param = layer.param("hdf5_data_param")
    source = _source(layer, param)
    try:
        paths = Path(source).read_text().split()
    except (OSError, ValueError) as error:
        raise refusal(layer, f"its source {source!r} cannot be read: {error}") from None
    if not paths:
        raise refusal(layer, f"its source {source!r} is empty; list HDF5 files in it")
    draws = Draws(setting.chance()) if param.get("shuffle") else None
    rows = setting.share(_rows(layer, paths, draws))
    return _stacked(layer, rows, _batch_size(layer, param))


def _rows(layer: Layer, paths: list[str], draws: Draws | None) -> Iterator[Arrays]:
    """One row of every top's dataset at a time, without end."""
    arrays: Arrays = []
    while True:
        if draws:
            draws.shuffle(paths)
        for path in paths:
            if len(paths) > 1 or not arrays:
                arrays = _datasets(layer, path)
            order = list(range(len(arrays[0])))
            if draws:
                draws.shuffle(order)
            yield from ([array[row] for array in arrays] for row in order)


def _datasets(layer: Layer, path: str) -> Arrays:
    """The datasets of a file that are called as the tops, as float32."""
    import h5py

    with (
        refusing(lambda reason: refusal(layer, f"its file {path!r} cannot be read: {reason}")),
        h5py.File(path, "r") as file,
    ):
        arrays = [np.asarray(file[top.blob], np.float32) for top in layer.tops]
    counts = {array.shape[:1] for array in arrays}
    if len(counts) != 1 or counts & {(), (0,)}:
        fact = f"{path}: its datasets have {sorted(counts)} rows"
        raise refusal(layer, f"{fact}; give each as many, and at least one")
    return arrays


def _stacked(layer: Layer, rows: Iterator[Arrays], size: int) -> Iterator[Arrays]:
    while True:
        found = list(islice(rows, size))
        try:
            yield [np.stack(each) for each in zip(*found, strict=True)]
        except ValueError:
            raise refusal(layer, "its files have rows of several shapes; give all of one") from None
