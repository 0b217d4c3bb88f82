"""The section of a data set: what it holds, class by class, and images under their labels."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnkit.datasets.colours import voc_palette
from fcnkit.datasets.samples import Sample, in_rgb, shown
from fcnkit.datasets.summary import MEAN_FILE, Split, Summary, summarize
from fcnkit.errors import DatasetError
from fcnkit.inference.preparation import read_mean
from fcnkit.preprocessing import GRAY, STORED
from fcnkit.reporting.choice import allotted
from fcnkit.reporting.held_out import HeldOut
from fcnkit.reporting.pictures import Album, Shown
from fcnkit.reporting.predicted import chosen
from fcnkit.reporting.predictions import Card, distinct, within
from fcnkit.reporting.section import Section
from fcnkit.reporting.subject import DATA, Subject
from fcnkit.reporting.words import grouped
from fcnkit.ticks import plain

if TYPE_CHECKING:
    import numpy

# The longest side of a picture, in pixels, and how many problems are named.
_LONGEST, _NAMED = 560, 100
# What the sheet may take of the page.
_PART = 0.9


def section(of: Subject, album: Album) -> Section | None:
    """The figures of `dataset inspect`, every pixel counted anew, and a contact sheet;
    None where the page is of no data set.
    """
    if of.kind != DATA or of.folder is None:
        return None
    found = summarize(of.folder, progress=of.wishes.progress)
    colours = distinct([*found.colours, voc_palette()[255]])
    values = {
        "splits": [_split(found, each) for each in found.splits],
        "facts": [*_facts(found)],
        "classes": [*_classes(found)],
        "colours": colours,
        "ignored": f"ignored ({found.ignore})",
        "compared": False,
        "sure": False,
        "cards": [*_sheet(of, found, colours, album)],
        "absent": found.absent.fact if found.absent else "",
        "skipped": found.skipped[:_NAMED],
        "more": max(0, len(found.skipped) - _NAMED),
        "reading": [*_reading(found)],
        "mean": _mean(of.folder, found, album),
    }
    count = sum(each.count for each in found.splits)
    summary = f"{grouped(count)} images of {len(found.names)} classes, every pixel counted."
    return Section("dataset", "The data set", values, summary, ("overlays", "scores"))


def _split(found: Summary, split: Split) -> dict[str, Any]:
    """What is true of a split as a whole."""
    most, share = split.baseline
    total = sum(split.pixels) + split.ignored
    sizes = sorted(split.sizes.items(), key=lambda each: -each[1])
    shown_sizes = [f"{width} x {height}" for (width, height), _ in sizes[:3]]
    return {
        "name": split.name,
        "images": grouped(split.count),
        "sizes": ", ".join(shown_sizes) + (f" and {len(sizes) - 3} more" if len(sizes) > 3 else ""),
        "pixels": grouped(total),
        "ignored": f"{split.ignored / max(total, 1):.2%}",
        "baseline": f"{share:.2%}, by {found.names[most]} everywhere",
        "mean": ", ".join(f"{value:.3f}" for value in split.mean),
    }


def _facts(found: Summary) -> Iterator[tuple[str, str]]:
    order = found.order if found.order in (GRAY, STORED) else ", ".join(found.order.upper())
    yield "classes", grouped(len(found.names))
    yield "channels", order
    yield "label that is ignored", str(found.ignore)
    yield "first loss of an untrained net", f"{found.first_loss:.4f}"


def _classes(found: Summary) -> Iterator[dict[str, Any]]:
    """Each class with its share of the pixels of each split, and its weight."""
    most = max((share for each in found.splits for share in each.shares), default=0) or 1
    weights = found.splits[0].weights
    for number, name in enumerate(found.names):
        splits = [
            {
                "pixels": grouped(each.pixels[number]),
                "share": f"{each.shares[number]:.2%}",
                "bar": each.shares[number] / most,
                "images": grouped(each.images[number]),
            }
            for each in found.splits
        ]
        weight = weights[number]
        yield {
            "number": number,
            "name": name,
            "splits": splits,
            "weight": "-" if weight is None else f"{weight:.4f}",
        }


def _sheet(of: Subject, found: Summary, colours: list, album: Album) -> Iterator[Card]:
    """Images of all splits, as many of each, in which every class is seen."""
    parts = allotted([each.count for each in found.splits], of.wishes.count)
    with album.sharing(2 * sum(parts), _PART):
        for split, part in zip(found.splits, parts, strict=True):
            data = HeldOut(Path(found.folder), split.name)
            for sample in data.samples({*chosen(data, len(found.names), part)}):
                yield _card(sample, split.name, data, colours, len(found.names), album)


def _card(
    sample: Sample, split: str, data: HeldOut, colours: list, classes: int, album: Album
) -> Card:
    label = within(sample.label, classes)
    return Card(
        sample.name,
        split,
        album.photo(data.seen(sample), sample.name, longest=_LONGEST),
        album.map(label, f"{sample.name}, its label", colours=colours, longest=_LONGEST),
        None,
        None,
        "",
    )


def _reading(found: Summary) -> Iterator[tuple[str, str]]:
    """What was said of labels and images when the data set was made."""
    for name, value in found.options.get("reading", {}).items():
        if value not in (None, "", [], {}, False) and isinstance(value, int | str | list | dict):
            yield name, _said(value)
    for name, value in found.options.items():
        if name != "reading" and isinstance(value, int | str) and value not in ("", False):
            yield name, _said(value)


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{old}={new}" for old, new in list(value.items())[:40])
    if isinstance(value, list):
        return ", ".join(map(str, value[:40]))
    return plain(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _mean(folder: Path, found: Summary, album: Album) -> Shown | None:
    """The mean image; None where there is none, or none that can be read."""
    path = folder / MEAN_FILE
    if not os.path.isfile(path):
        return None
    try:
        values = read_mean(path)
    except DatasetError:
        return None
    return album.photo(in_rgb(_bytes(values), found.order), "The mean image", longest=_LONGEST)


def _bytes(values: "numpy.ndarray") -> "numpy.ndarray":
    import numpy as np

    inside = np.isfinite(values).all() and values.min() >= 0 and values.max() <= 255
    return np.rint(values).astype(np.uint8) if inside else shown(values)
