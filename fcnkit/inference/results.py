"""Turns the scores of one image into its results: a record for JSON, and PNG files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from fcnkit.datasets.colours import Colour
from fcnkit.inference import heat, overlay
from fcnkit.inference.heat import Guess, Window
from fcnkit.inference.score_maps import Head, classes, confidence, probabilities

if TYPE_CHECKING:
    import numpy

# The names, without .png, of what lies beside the class maps.
_PICTURE = re.compile(r"legend|.+\.(overlay|confidence|heat\.\d+)", re.DOTALL)

# A palette image has 256 values, of which NOWHERE is no class.
MOST = 255


def is_picture(name: str) -> bool:
    """Whether `fcnkit infer` gives this name, without .png,
    to a picture to look at, not to a class map.
    """
    return _PICTURE.fullmatch(name) is not None


@dataclass(frozen=True)
class Wanted:
    """What is to be made: names and colours of the classes, which pictures, how strong the colours.

    `hot` are the classes to draw heat of, the `top` most frequent ones where
    it is None.
    """

    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    opacity: float = 0.5
    overlay: bool = True
    confidence: bool = False
    top: int = 5
    hot: tuple[int, ...] | None = None


class Result(NamedTuple):
    """A record for JSON, and the bytes of each file by what its name ends in."""

    record: dict[str, Any]
    files: dict[str, bytes]


def result(head: Head, scores: "numpy.ndarray", image: "numpy.ndarray", wanted: Wanted) -> Result:
    """The class map of an image, RGB, with its overlay;
    of coarse scores, windows and heat as well.
    """
    if scores.shape[1:] == image.shape[:2]:
        sure = scores.max(axis=0) if head.probable else confidence(scores)
        return _mapped(classes(scores), sure, image, wanted)
    likely = scores if head.probable else probabilities(scores)
    made = Result({}, {})
    if len(likely) <= MOST:
        made = _mapped(*heat.class_map(likely, head.placed, image.shape[:2]), image, wanted)
    if head.dense:  # a score for every pixel that the net reaches: no windows to list
        return made
    record, files = _windows(head, likely, image, wanted)
    return Result(made.record | record, made.files | files)


def _mapped(
    found: "numpy.ndarray", sure: "numpy.ndarray", image: "numpy.ndarray", wanted: Wanted
) -> Result:
    files = {}
    if len(wanted.names) <= MOST:
        files[".png"] = overlay.palette_png(found, wanted.colours)
        if wanted.overlay:
            files[".overlay.png"] = overlay.png(
                overlay.overlay(image, found, wanted.colours, wanted.opacity)
            )
    if wanted.confidence:
        files[".confidence.png"] = overlay.png(overlay.gray(sure))
    return Result({"classes": shares(found, wanted.names)}, files)


def shares(found: "numpy.ndarray", names: Sequence[str]) -> list[dict[str, Any]]:
    """Pixels and share of each class that is there, the largest first; NOWHERE is no class."""
    import numpy as np

    counts = np.bincount(found.ravel(), minlength=len(names))[: len(names)]
    order = [int(number) for number in (-counts).argsort(kind="stable") if counts[number]]
    return [
        {
            "class": number,
            "name": names[number],
            "pixels": int(counts[number]),
            "share": int(counts[number]) / found.size,
        }
        for number in order
    ]


def _windows(head: Head, likely: "numpy.ndarray", image: "numpy.ndarray", wanted: Wanted) -> Result:
    found = heat.windows(likely, head.placed, wanted.top)
    hot = heat.frequent(found, wanted.top) if wanted.hot is None else wanted.hot
    files = {}
    for number in hot if wanted.overlay else ():
        values = heat.placed(likely[number], head.placed, image.shape[:2])
        name = wanted.names[number]
        title = name if name == str(number) else f"{number}  {name}"
        picture = overlay.heat(image, values, wanted.opacity)
        files[f".heat.{number}.png"] = overlay.heat_png(picture, title, float(likely[number].max()))
    mean = likely.mean(axis=(1, 2))
    record = {
        "top": [_guess(guess, wanted.names) for guess in heat.best(mean, wanted.top)],
        "rows": likely.shape[1],
        "columns": likely.shape[2],
        "windows": [_window(window, wanted.names) for window in found],
    }
    return Result(record, files)


def _guess(guess: Guess, names: Sequence[str]) -> dict[str, Any]:
    return {
        "class": guess.number,
        "name": names[guess.number],
        "probability": round(guess.probability, 6),
    }


def _window(window: Window, names: Sequence[str]) -> dict[str, Any]:
    return {
        "row": window.row,
        "column": window.column,
        "x": window.x,
        "y": window.y,
        "top": [_guess(guess, names) for guess in window.top],
    }
