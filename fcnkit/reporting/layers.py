"""The section of layers: what the weights of each are like, and what it makes of an image."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.datasets.colours import read_classes
from fcnkit.engines.engine import Engine
from fcnkit.errors import DatasetError, EngineError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import Graph, build
from fcnkit.reporting.cards import Maker, pictures
from fcnkit.reporting.pictures import Album, Shown
from fcnkit.reporting.runs import Image, computed, images_of, known_of
from fcnkit.reporting.section import Section
from fcnkit.reporting.subject import Subject
from fcnkit.weights.statistics import BlobStatistics, share, statistics

if TYPE_CHECKING:
    import numpy

_TOP = 5


class Guess(NamedTuple):
    """What an output says of an image: its likeliest classes."""

    image: Shown
    said: str
    blob: str
    rows: tuple[tuple[str, float], ...]


def section(of: Subject, album: Album) -> Section | None:
    """The layers of a net with weights; None where there are none."""
    if of.net is None or of.weights is None:
        return None
    graph = build(of.net)
    stored = of.weights
    rows = statistics(stored).rows
    images = images_of(of)
    engine, problem, found = _run(of, of.net, images)
    first = found[0] if found else {}
    maker = Maker(graph, stored, known_of(of).order, album)
    with album.sharing(len(images) + pictures(rows, first)):
        guesses = list(_guesses(of, graph, images, found, album))
        cards, more = maker.cards(rows, first)
    values = {
        "cards": cards,
        "more": more,
        "open": next((card.place for card in cards if card.blobs), 0),
        "others": sorted({row.layer for row in rows} - {layer.name for layer in graph.layers}),
        "problem": problem,
        "image": images[0] if images else None,
        "engine": f"{engine.name} {engine.version}".strip() if engine and found else "",
        "guesses": guesses,
        "weights": stored.path,
        "facts": _facts(rows),
    }
    return Section("layers", "Layers", values, f"The weights are those of {stored.path}.")


def _run(
    of: Subject, net: Prototxt, images: Sequence[Image]
) -> tuple[Engine | None, str, list[dict[str, "numpy.ndarray"]]]:
    """What ran the net, why nothing did, and the blobs of each image."""
    if not images:
        return None, "", []
    try:
        engine, found = computed(of, net, [{each.blob: each.array} for each in images])
        return engine, "", found
    except EngineError as error:
        if of.wishes.engine or of.wishes.device:
            raise
        return None, str(error), []


def _facts(rows: Sequence[BlobStatistics]) -> list[tuple[str, str]]:
    count = sum(row.count for row in rows)
    facts = [
        ("blobs", f"{len(rows):,}"),
        ("values", f"{count:,}"),
        ("zeros", share(sum(row.zeros for row in rows), count)),
    ]
    odd = {"NaN": sum(row.nans for row in rows), "infinite": sum(row.infinities for row in rows)}
    return facts + [(name, f"{number:,}") for name, number in odd.items()]


def _guesses(
    of: Subject,
    graph: Graph,
    images: Sequence[Image],
    found: Sequence[Mapping[str, "numpy.ndarray"]],
    album: Album,
) -> Iterator[Guess]:
    """What the net says of each image, where its output is a number for each class."""
    outputs = [top.blob for top in graph.outputs]
    for image, blobs_ in zip(images, found, strict=False):
        shown = album.photo(image.pixels, f"The image {image.said}", longest=320)
        for blob in outputs:
            array = blobs_.get(blob)
            if array is not None and array.ndim > 1 and array[0].size == array.shape[1] > 1:
                rows = tuple(_likeliest(of, array[0].reshape(-1)))
                yield Guess(shown, image.said, blob, rows)


def _likeliest(of: Subject, scores: "numpy.ndarray") -> Iterator[tuple[str, float]]:
    names = known_of(of).classes
    if of.wishes.labels:
        names = read_classes(Path(of.wishes.labels), unique=False)
        if len(names) != len(scores):
            fact = f"has {len(names)} names, and the net scores {len(scores)} classes"
            raise DatasetError(f"{of.wishes.labels}: {fact}; write one for each on its own line")
    if len(names) != len(scores):
        names = tuple(map(str, range(len(scores))))
    order = sorted(range(len(scores)), key=lambda number: -scores[number])
    return ((names[number], float(scores[number])) for number in order[:_TOP])
