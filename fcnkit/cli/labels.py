"""The options that say what label files mean; `dataset create` and `score` share them."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcnkit.cli.text import say
from fcnkit.errors import quoted
from fcnkit.rewrites.operations import whole_number

if TYPE_CHECKING:
    from fcnkit.datasets.absent import Absent
    from fcnkit.datasets.colours import ColourMap
    from fcnkit.datasets.labels import Reading


class LabelValues(click.ParamType):
    """V,V,..."""

    name = "v,v,..."

    def convert(self, value, param, ctx):
        """The numbers of a comma-separated list."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(whole_number(each.strip()) for each in value.split(","))
        except ValueError:
            self.fail(f"{quoted(value)}: write it as 11 or 0,255", param, ctx)


def _range(text: str) -> range:
    """The numbers of "7" or "0-127"."""
    first, dash, last = text.partition("-")
    return range(whole_number(first, _MOST), whole_number(last if dash else first, _MOST) + 1)


# Values of images have 16 bits.
_MOST = 65535


class LabelMap(click.ParamType):
    """OLD=NEW,... or a file of such lines; OLD may be a range, NEW may be "ignore"."""

    name = "old=new,... | file"

    def convert(self, value, param, ctx):
        """The pairs as they are written, (old, new); new is None for "ignore"."""
        if isinstance(value, tuple):
            return value
        text = value
        if "=" not in value:
            try:
                text = Path(value).read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError):
                self.fail(
                    f"{quoted(value)}: is neither a list like 7=0,8=1 nor a text file", param, ctx
                )
        pairs = [
            line.replace("=", " ").split()
            for line in text.replace(",", "\n").splitlines()
            if line.strip()
        ]
        numbers = []
        for pair in pairs:
            try:
                old_word, new_word = pair
                new = None if new_word == "ignore" else whole_number(new_word)
                numbers += [(each, new) for each in _range(old_word)]
            except ValueError:
                words = quoted(" ".join(pair))
                self.fail(f"{words}: write it as 7=0, 7=ignore or 0-127=0", param, ctx)
        old = [before for before, _ in numbers]
        twice = next((each for each, many in Counter(old).items() if many > 1), None)
        if twice is not None:
            self.fail(f"{twice} appears twice; give it one new value", param, ctx)
        return tuple(numbers)


OPTIONS = (
    click.option(
        "--classes",
        metavar="N|FILE",
        help="How many classes, or a file of their names, one per line.",
    ),
    click.option(
        "--colours",
        "--colors",
        "colours",
        metavar="FILE|voc",
        help=(
            "The colour of each class: lines R G B in order, or name R G B; the name void "
            "means ignore."
        ),
    ),
    click.option(
        "--void", type=LabelValues(), default=(), metavar="V,...", help="Label values to ignore."
    ),
    click.option(
        "--map",
        "numbers",
        type=LabelMap(),
        default=(),
        metavar="OLD=NEW,...|FILE",
        help=(
            "What each label value becomes; OLD may be a range, NEW may be ignore.  All others "
            "are then unknown."
        ),
    ),
    click.option(
        "--channel",
        type=click.Choice(["red", "green", "blue", "class", "instance"]),
        help="The channel that holds the class; class and instance are for SYNTHIA's labels.",
    ),
    click.option(
        "--palette",
        type=click.Choice(["index", "colour"]),
        help=(
            "In a palette or gray image, read the index or the colour. By default the index, or "
            "in a gray image the colour if only that is a class; if both are classes and "
            "differ, you must choose."
        ),
    ),
    click.option(
        "--unknown",
        type=click.Choice(["error", "ignore"]),
        help="What to do with a label value or colour that is not a class; an error by default.",
    ),
)
JOBS = click.option(
    "--jobs", type=click.IntRange(1), help="Number of processes; by default one per core."
)


def label_options(function: Callable) -> Callable:
    """Adds the options of `meaning`."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def meaning(
    classes, colours, ignore, unknown, *, void=(), numbers=(), channel=None, palette=None
) -> "tuple[tuple[str, ...], Reading]":
    """The names of the classes, and how label files are read."""
    from fcnkit.datasets.colours import VOC, read_colours, voc
    from fcnkit.datasets.labels import Reading

    known = voc() if colours == VOC else read_colours(colours) if colours else None
    names = class_names(classes, known)
    mapped = {old: ignore if new is None else new for old, new in numbers}
    reading = Reading(
        len(names), ignore, known, channel or "", palette or "", void, mapped, unknown
    )
    reading.check()
    return names, reading


def class_names(classes: str | None, colours: "ColourMap | None" = None) -> tuple[str, ...]:
    """The names of a file, or numbers; those of the colour map where none are given."""
    from fcnkit.datasets.colours import read_classes
    from fcnkit.datasets.labels import Reading

    if classes and not (classes.isascii() and classes.isdigit()):
        return read_classes(classes)
    if classes:
        try:
            count = whole_number(classes)
        except ValueError as error:
            raise click.BadParameter(f"{error}", param_hint="--classes") from None
        Reading(count).check()
        named = colours is not None and len(colours.names) == count
        return colours.names if colours and named else tuple(map(str, range(count)))
    if colours is None:
        raise click.UsageError("give the classes: --classes N, or --classes FILE with their names")
    return colours.names or tuple(map(str, range(len(colours.colours))))


def warn_absent(place: object, found: "Absent | None") -> None:
    """Says that classes are nowhere while pixels are ignored, where it is so."""
    if found is not None:
        say(f"warning: {place}: {found.fact}; {found.remedy}", err=True)


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
