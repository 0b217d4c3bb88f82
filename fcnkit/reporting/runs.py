"""A net run on an image: what it was given, what it computes, and by what."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnkit import preprocessing
from fcnkit.datasets.images import ANY_ALPHA, MODES, read_image
from fcnkit.engines.engine import LARGE, Engine, choose
from fcnkit.engines.fastest import run_fastest
from fcnkit.engines.inputs import known_size, nominal
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.inference.preparation import Preparation
from fcnkit.libraries import load
from fcnkit.nets.graph import build
from fcnkit.preprocessing import Preprocessing, order_for
from fcnkit.reporting.subject import Subject
from fcnkit.rewrites import wanted

if TYPE_CHECKING:
    import numpy


@dataclass(frozen=True)
class Image:
    """An image as the net takes it.

    `pixels` are its bytes in RGB at the net's size, `array` what the input `blob` gets, `size`
    is its height and width in the file, `how` says what was done to it.
    """

    path: str
    blob: str
    pixels: "numpy.ndarray"
    array: "numpy.ndarray"
    size: tuple[int, int]
    how: str

    @property
    def said(self) -> str:
        """Its name and sizes in words."""
        height, width = self.array.shape[2:]
        return f"{Path(self.path).name}, {self.size[1]} × {self.size[0]}, run at {width} × {height}"


def images_of(of: Subject) -> list[Image]:
    """The images that were named, as the net takes them.

    Raises NetError where the net has not one input for pictures, DatasetError for what is no image.
    """
    if of.net is None or not of.wishes.images:
        return []
    graph = build(of.net)
    path = of.net.path
    if len(graph.inputs) != 1:
        raise NetError(f"{path}: it has {len(graph.inputs)} inputs; images are for one")
    blob = graph.inputs[0].blob
    size = of.wishes.inputs.get(blob) or known_size(graph, blob, nominal(graph)[blob])
    if len(size) != 4 or size[1] not in MODES:
        shape = " x ".join(map(str, size))
        raise NetError(f'{path}: its input "{blob}" is {shape}, and no picture; leave --image out')
    known = known_of(of)
    prepare = Preparation(
        size[1], known.mean or (), None, known.scale, order_for(known.order, size[1])
    )
    prepare.check()
    return [_read(str(each), blob, size, prepare, known) for each in of.wishes.images]


def known_of(of: Subject) -> Preprocessing:
    """What the net wants of an image, by what was given, else by what is known of the net."""
    known = (wanted.of(of.net) or preprocessing.of_data(of.net)) if of.net else None
    known = known or Preprocessing()
    if of.wishes.mean is not None:
        return known.with_origin("--mean", mean=of.wishes.mean)
    return known


def _read(
    path: str, blob: str, size: Sequence[int], prepare: Preparation, known: Preprocessing
) -> Image:
    import numpy as np

    images = load("PIL.Image")
    _, channels, height, width = size

    def scaled(mode: str) -> Any:
        whole = images.fromarray(np.asarray(read_image(path, mode=mode, alpha=ANY_ALPHA)))
        return whole.size, np.asarray(whole.resize((width, height), images.Resampling.BILINEAR))

    (own_width, own_height), pixels = scaled(MODES[channels])
    array = np.repeat(prepare(pixels)[None], size[0], 0)
    shown = pixels if channels == 3 else scaled("RGB")[1]
    made = replace(known, order=order_for(known.order, channels))
    return Image(path, blob, shown, array, (own_height, own_width), f"images become {made}")


def computed(
    of: Subject, net: Prototxt, arrays: Sequence[Mapping[str, "numpy.ndarray"]]
) -> tuple[Engine, list[dict[str, "numpy.ndarray"]]]:
    """What ran the net, and of the first inputs every blob, of the others the net's outputs.

    It is the engine that was named, or else the fastest that takes the net, of large weights
    one that holds them once if it can.  Raises EngineError where none takes it.
    """
    every = list(dict.fromkeys(top.blob for top in build(net).tops))
    told: list[Engine] = []
    wishes = of.wishes
    if wishes.engine or wishes.device:
        told.append(choose(wishes.engine, wishes.device))
        run: Callable[..., Iterator[dict[str, Any]]] = told[0].run_all
    else:
        large = of.weights is not None and of.weights.nbytes > LARGE
        run = partial(run_fastest, told=told.append, thrifty=large)
    first = next(iter(run(net, of.weights, arrays[:1], every)))
    rest = run(net, of.weights, arrays[1:]) if arrays[1:] else ()
    return told[0], [first, *rest]
