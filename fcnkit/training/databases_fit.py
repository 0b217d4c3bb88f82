"""Checks that a run's databases fit its net: labels against classes, images against labels.

Caffe does not check labels: for one that is out of range it reads whatever
stands beside the scores in memory.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.datasets import databases
from fcnkit.datasets.absent import Absent, absent
from fcnkit.datasets.colours import read_classes
from fcnkit.datasets.images import opened
from fcnkit.datasets.summary import CLASSES_FILE
from fcnkit.errors import DatasetError, NetError, PrototxtError
from fcnkit.formats import datum, prototxt
from fcnkit.linting.seen import Seen
from fcnkit.linting.training import ignored_label, labelled, source_of
from fcnkit.nets.graph import Graph, Layer, Top, build
from fcnkit.nets.layers.table import of
from fcnkit.nets.shapes import shapes_of
from fcnkit.plural import number_of
from fcnkit.training import listed_labels
from fcnkit.training.listed_labels import Label, source_layer
from fcnkit.training.recipe import Recipe

if TYPE_CHECKING:
    import numpy


_DEPLOYED = "deploy.prototxt"
# By these a data layer makes gray of colour, and colour of gray.
_TURNED = ("force_gray", "force_color")


class LabelUse(NamedTuple):
    """A source of labels, the loss or Accuracy that compares scores with them, and how.

    `listed` says that it is no LMDB of label maps, and that its labels' entries say where they are.
    """

    path: Path
    layer: Layer
    classes: int
    ignored: int | None
    listed: bool = False


def check(
    recipe: Recipe,
    on_database: Callable[[Path, int], None] = lambda path, count: None,
    on_warning: Callable[[str], None] = lambda words: None,
    *,
    one_class: bool = False,
) -> None:
    """Every label is one of its net's classes or ignored, and there are as many images as labels.

    `on_database` is called with each database, and how many entries it has, before it is read;
    `on_warning` where a class has no label while others are ignored.

    Raises NetError with the database, the entry and the label; also where not even two
    classes are left to learn, unless `one_class` asks for that.
    """
    found_by = _Words(on_warning, one_class)
    graphs = [graph for trained in recipe.nets for graph in trained.graphs()]
    deployed = _deployed(recipe.run.folder / _DEPLOYED)
    for graph in graphs:
        _check_counts(graph)
        _check_channels(graph, deployed)
    found = [(graph, use) for graph in graphs for use in uses(graph)]
    for path in dict.fromkeys(use.path for _, use in found):
        on_database(path, databases.count(path))
    for graph, use in found:
        _check_use(use, labels(use.path))
        _check_classes(graph, use, labels(use.path), found_by)
    for place, use in {use.path.parent: use for _, use in found}.items():
        _check_names(place / CLASSES_FILE, use, found_by)
    for graph in graphs:
        _check_listed(graph, recipe.run.folder, found_by)


def damage(recipe: Recipe) -> str:
    """What is amiss with a database of the nets, "" where nothing is."""
    graphs = (graph for trained in recipe.nets for graph in trained.graphs())
    layers = (layer for graph in graphs for layer in graph.layers if _reads_lmdb(layer))
    for path in dict.fromkeys(map(_source, layers)):
        try:
            databases.count(path)
        except DatasetError as error:
            return str(error)
    return ""


class _Words(NamedTuple):
    """Who hears warnings, and whether a training of fewer than two classes is one."""

    warn: Callable[[str], None]
    one_class: bool


def _check_listed(graph: Graph, folder: Path, words: "_Words") -> None:
    """The labels of ImageData and HDF5Data layers, and of Datums, are checked likewise."""
    for layer, top, classes in _compared(graph):
        source = source_layer(graph, top, folder)
        if source is not None:
            use = LabelUse(source.path, layer, classes, ignored_label(layer), listed=True)
            found = listed_labels.labels(source)
            _check_use(use, found)
            _check_whole(use, found, words)
            _check_classes(graph, use, found, words)


def uses(graph: Graph) -> Iterator[LabelUse]:
    """The databases of labels that a net reads in one state,
    where its number of classes is known.
    """
    for layer, top, classes in _compared(graph):
        data = graph.producer(top)
        if _reads_lmdb(data) and data.tops[0] == top:
            yield LabelUse(_source(data), layer, classes, ignored_label(layer))


def _compared(graph: Graph) -> Iterator[tuple[Layer, Top, int]]:
    """Each layer that compares scores with labels, where those come from, and how many classes."""
    seen = Seen(graph, shapes_of(graph, refuse=lambda name, error: None))
    for layer, _, axis in labelled(seen):
        classes, shape = seen.classes(layer.bottoms[0], axis), seen.shapes.tops[layer.bottoms[0]]
        if shape and not of(layer).ignores:  # one label for all the scores of an image
            classes = prod(shape[1:])
        if classes:
            yield layer, source_of(seen, layer.bottoms[1]), classes


def _reads_lmdb(layer: Layer) -> bool:
    return of(layer).message == "data_param" and layer.param("data_param").get("backend") == "LMDB"


def _source(layer: Layer) -> Path:
    return Path(layer.param("data_param").get("source"))


def _check_counts(graph: Graph) -> None:
    layers = [layer for layer in graph.layers if _reads_lmdb(layer)]
    for layer in layers:
        mine, first = databases.count(_source(layer)), databases.count(_source(layers[0]))
        if not mine:
            raise layer.error(f"its database {_source(layer)} is empty; create it again")
        if mine != first:
            fact = f"{_source(layer)} holds {mine:,} entries, but {_source(layers[0])} {first:,}"
            raise layer.error(f"{fact}, so labels and images do not match; create both again")


def _deployed(path: Path) -> dict[str, int]:
    """How many channels the images of the net have by its inputs' names, where it says it."""
    if not os.path.isfile(path):
        return {}
    with suppress(PrototxtError, NetError):  # it is another's to read
        graph = build(prototxt.read(path))
        shapes = shapes_of(graph).tops
        return {top.blob: shape[1] for top in graph.inputs if len(shape := shapes[top] or ()) == 4}
    return {}


def _check_channels(graph: Graph, deployed: Mapping[str, int]) -> None:
    """Caffe trains the net for what the images have, and deploy.prototxt would not take that."""
    for layer in filter(_reads_lmdb, graph.layers):
        turned = any(layer.param("transform_param").has(name) for name in _TURNED)
        if not turned and layer.tops and layer.tops[0].blob in deployed:
            channels = deployed[layer.tops[0].blob]
            databases.check_channels(_source(layer), channels, f"the net of {_DEPLOYED}")


def _check_use(use: LabelUse, found: Sequence[Label]) -> None:
    known = {*range(use.classes), use.ignored}
    bad = [each for each in found if each.value not in known]
    if bad:
        raise _out_of_range(use, max(bad), found)


def _check_whole(use: LabelUse, found: Sequence[Label], told: "_Words") -> None:
    """A warning where a label is no whole number."""
    for label in found:
        if label.cut is not None:
            fact = f"a label is {label.cut:g}, and {_net(use)} reads it as {label.value}"
            told.warn(f"{label.entry}: {fact}; write labels as whole numbers")
            return


def _out_of_range(use: LabelUse, label: Label, found: Sequence[Label]) -> NetError:
    aside = "" if use.ignored is None else f" and ignores {use.ignored}"
    fact = (
        f"label {label.value} at {number_of(label.pixels, 'pixel')}, but {_net(use)} knows 0 "
        f"to {use.classes - 1}{aside}"
    )
    remedy = f"make the net with --classes {label.value + 1}, or with --ignore {label.value}"
    if label.value < 0:  # no number of classes has it
        remedy = f"make the net with --ignore {label.value}"
    lacking = _absent(use._replace(ignored=label.value), found)
    if lacking and lacking.hopeless and not use.listed and label.value >= use.classes:
        fact = f"{fact}; {lacking.remedy} to `fcnkit dataset create`"
    return NetError(f"{_place(use, label)}: {fact}; correct the labels, or {remedy}")


def _net(use: LabelUse) -> str:
    return f'layer "{use.layer.name}" ({use.layer.field.source.path}:{use.layer.line})'


def _place(use: LabelUse, label: Label) -> str:
    return label.entry if use.listed else f"{use.path}: entry {label.entry!r}"


def _absent(use: LabelUse, found: Sequence[Label]) -> Absent | None:
    """The classes that no label has while others are ignored, one of the classes or another."""
    pixels = {each.value: each.pixels for each in found}
    ignored = 0 if use.ignored is None else pixels.pop(use.ignored, 0)
    counts = [pixels.get(number, 0) for number in range(use.classes)]
    names = tuple(map(str, range(use.classes)))
    return absent(names, counts, ignored, () if use.ignored is None else (use.ignored,))


def _check_classes(graph: Graph, use: LabelUse, found: Sequence[Label], told: "_Words") -> None:
    """No class is swallowed by the label to ignore: a warning, or NetError where one is left."""
    lacking = _absent(use, found)
    if lacking is None or use.ignored is None:
        return
    words = f"{use.path}: {lacking.fact} by {_net(use)}"
    remedy = f"{lacking.remedy} to `fcnkit dataset create`"
    if use.listed:
        remedy = (
            f"if {use.ignored} means class {lacking.numbers[0]}, write that class into the labels"
        )
    if use.ignored < use.classes:
        remedy = f"ignore a label that is not a class, such as 255, instead of {use.ignored}"
    if lacking.hopeless and graph.state.phase == "TRAIN" and not told.one_class:
        remedy += ", or give --one-class to train all the same"
        raise NetError(f"{words}, so nothing would be learned; {remedy}")
    told.warn(f"{words}; {remedy}")


def _check_names(names: Path, use: LabelUse, told: "_Words") -> None:
    """The data set names as many classes as the net has; a warning otherwise."""
    there = os.path.isfile(names)
    count = len(read_classes(names, unique=False)) if there else use.classes
    if count != use.classes:
        fact = f"{names}: has {count} classes, and {_net(use)} {use.classes}"
        told.warn(f"{fact}; make the net with --classes {count}, unless that is intended")


# ---- the databases


@lru_cache(maxsize=8)
def labels(path: Path) -> tuple[Label, ...]:
    """Every label of a database in order;
    kept, since a database is used by several layers and stages.
    """
    found: dict[int, Label] = {}
    for entry, counts in entries(path):
        for label, pixels in counts:
            first = found.setdefault(label, Label(label, entry, 0))
            found[label] = first._replace(pixels=first.pixels + pixels)
    return tuple(found[label] for label in sorted(found))


def entries(path: Path) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """Every entry of a database: its key, and each of its labels with how many pixels have it."""
    for entry, value in databases.raw(path):
        yield entry, list(_counts(_values(f"{path}: entry {entry!r}", value)))


def _counts(values: "numpy.ndarray") -> Iterator[tuple[int, int]]:
    import numpy as np

    if values.dtype == np.uint8:
        counts = np.bincount(values, minlength=256)
        return ((int(label), int(counts[label])) for label in np.flatnonzero(counts))
    return zip(*(found.tolist() for found in np.unique(values, return_counts=True)), strict=True)


def _values(place: str, data: bytes) -> "numpy.ndarray":
    """The labels of one Datum: bytes, floats that Caffe cuts to whole numbers, or a picture."""
    import numpy as np

    try:
        found = datum.read(data)
    except ValueError as error:
        raise NetError(f"{place}: {error}; make the database again") from None
    if found.values is None:
        return _decoded(place, found.picture)
    values = found.values.ravel()
    return values if values.dtype == np.uint8 else np.trunc(values).astype(np.int64)


def _decoded(place: str, data: bytes) -> "numpy.ndarray":
    import io

    import numpy as np

    try:
        with opened(io.BytesIO(data), f"{place}: its picture") as picture:
            if picture.mode not in ("L", "I", "I;16"):
                fact = f"is a picture of mode {picture.mode}, which Caffe reads as colours"
                raise NetError(f"{place}: {fact}; store labels as gray values")
            return np.asarray(picture).ravel()
    except DatasetError as error:
        raise NetError(str(error)) from None
