"""Checks that a run's databases fit its net: labels against classes, images against labels.

Caffe does not check labels: for one that is out of range it reads whatever
stands beside the scores in memory.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.datasets import databases
from fcnkit.errors import NetError, error_text
from fcnkit.formats import datum
from fcnkit.libraries import load
from fcnkit.linting.seen import Seen
from fcnkit.linting.training import ignored_label, labelled, source_of
from fcnkit.nets.graph import Graph, Layer
from fcnkit.nets.layers.table import of
from fcnkit.nets.shapes import shapes_of
from fcnkit.training.recipe import Recipe

if TYPE_CHECKING:
    import numpy


class LabelUse(NamedTuple):
    """A database of labels, the loss or Accuracy that compares scores with them, and how."""

    path: Path
    layer: Layer
    classes: int
    ignored: int | None


class Label(NamedTuple):
    """A label of a database: the first entry that has it, and how many pixels in all."""

    value: int
    entry: str
    pixels: int


def check(
    recipe: Recipe, on_database: Callable[[Path, int], None] = lambda path, count: None
) -> None:
    """Every label is one of its net's classes or ignored, and there are as many images as labels.

    `on_database` is called with each database, and how many entries it has, before it is read.

    Raises NetError with the database, the entry and the label.
    """
    graphs = [graph for trained in recipe.nets for graph in trained.graphs()]
    for graph in graphs:
        _check_counts(graph)
    found = [use for graph in graphs for use in uses(graph)]
    for path in dict.fromkeys(use.path for use in found):
        on_database(path, databases.count(path))
    for use in found:
        _check_use(use)


def uses(graph: Graph) -> Iterator[LabelUse]:
    """The databases of labels that a net reads in one state,
    where its number of classes is known.
    """
    seen = Seen(graph, shapes_of(graph, refuse=lambda name, error: None))
    for layer, _, axis in labelled(seen):
        data = graph.producer(source_of(seen, layer.bottoms[1]))
        classes = seen.classes(layer.bottoms[0], axis)
        if _reads_lmdb(data) and classes:
            yield LabelUse(_source(data), layer, classes, ignored_label(layer))


def _reads_lmdb(layer: Layer) -> bool:
    return of(layer).message == "data_param" and layer.param("data_param").get("backend") == "LMDB"


def _source(layer: Layer) -> Path:
    return Path(layer.param("data_param").get("source"))


def _check_counts(graph: Graph) -> None:
    layers = [layer for layer in graph.layers if _reads_lmdb(layer)]
    for layer in layers:
        mine, first = databases.count(_source(layer)), databases.count(_source(layers[0]))
        if not mine:
            raise layer.error(f"its database {_source(layer)} is empty; fill it")
        if mine != first:
            fact = f"{_source(layer)} holds {mine:,} entries and {_source(layers[0])} {first:,}"
            raise layer.error(
                f"{fact}, so that labels and images do not go together; make both anew"
            )


def _check_use(use: LabelUse) -> None:
    known = {*range(use.classes), use.ignored}
    bad = [each for each in labels(use.path) if each.value not in known]
    if bad:
        raise _out_of_range(use, max(bad))


def _out_of_range(use: LabelUse, label: Label) -> NetError:
    layer = use.layer
    where = f"{use.path}: entry {label.entry!r}"
    aside = "" if use.ignored is None else f" and ignores {use.ignored}"
    net = f'layer "{layer.name}" ({layer.field.source.path}:{layer.line})'
    fact = (
        f"label {label.value} at {label.pixels:,} pixels, and {net} knows 0 to "
        f"{use.classes - 1}{aside}"
    )
    remedy = f"make the net with --classes {label.value + 1}, or with --ignore {label.value}"
    return NetError(f"{where}: {fact}; correct the labels, or {remedy}")


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
        raise NetError(f"{place}: {error}; make the database anew") from None
    if found.values is None:
        return _decoded(place, found.picture)
    values = found.values.ravel()
    return values if values.dtype == np.uint8 else np.trunc(values).astype(np.int64)


def _decoded(place: str, data: bytes) -> "numpy.ndarray":
    import io

    import numpy as np

    try:
        picture = load("PIL.Image").open(io.BytesIO(data))
        values = np.asarray(picture)
    except (OSError, ValueError) as error:
        raise NetError(
            f"{place}: its picture cannot be read ({error_text(error)}); make it anew"
        ) from None
    if picture.mode not in ("L", "I", "I;16"):
        fact = f"is a picture of mode {picture.mode}, which Caffe reads as colours"
        raise NetError(f"{place}: {fact}; store labels as gray values")
    return values.ravel()
