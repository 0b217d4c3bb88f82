"""One image and what a net says of it, as a value that shows itself in a notebook.

It does for an array what `fcnkit infer` does for files: classes, confidence,
overlay and heat.
"""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from fcnkit import expected, preprocessing
from fcnkit.datasets import stacks
from fcnkit.datasets.colours import Colour, read_colours, voc_palette
from fcnkit.datasets.images import (
    ANY_ALPHA,
    IGNORE,
    MODES,
    REFUSE,
    Alpha,
    converted,
    read_image,
)
from fcnkit.engines.engine import Engine
from fcnkit.engines.inputs import opened
from fcnkit.errors import DatasetError, PrototxtError
from fcnkit.formats.prototxt import NetOrPath, Prototxt, read
from fcnkit.formats.prototxt import given as given_net
from fcnkit.inference import heat, overlay
from fcnkit.inference.heat import Window
from fcnkit.inference.picture import Picture, beside
from fcnkit.inference.preparation import Preparation
from fcnkit.inference.results import MOST, shares
from fcnkit.inference.score_maps import Head, classes, confidence, head, probabilities, scores
from fcnkit.inference.trunks import trained_like
from fcnkit.libraries import load
from fcnkit.plural import number_of
from fcnkit.preprocessing import STORED, Preprocessing, order_for
from fcnkit.rewrites import wanted
from fcnkit.weights.store import GivenWeights

if TYPE_CHECKING:
    import numpy

# A picture that shows itself is enlarged to be about so wide.
_WIDTH = 360
# Of more classes than a map can show, it shows the heat of so many.
_HOT = 2


@dataclass(frozen=True, eq=False, repr=False)
class Inferred:
    """The scores of an image, as (classes, rows, columns), and what follows from them.

    >>> import numpy as np
    >>> plan = fk.convolutionalize("deploy.prototxt")
    >>> weights = fk.transplant(plan, "net.caffemodel")
    >>> seen = fk.infer(plan.net, weights, np.zeros((40, 60), np.uint8), mean=[0])
    >>> seen.classes.shape, seen.overlay().size
    ((40, 60), (60, 40))

    `image` is RGB. If the scores are coarse, as those of a convolutionalized classifier, the
    coordinate map of the net says where each of them lies in the image.
    """

    image: "numpy.ndarray"
    head: Head
    scores: "numpy.ndarray"
    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    engine: str
    preprocessing: Preprocessing = Preprocessing()

    @cached_property
    def probabilities(self) -> "numpy.ndarray":
        """The probability of every class at every place of the scores."""
        return self.scores if self.head.probable else probabilities(self.scores)

    @property
    def classes(self) -> "numpy.ndarray":
        """The class of each pixel of the image; 255 where there is no score.

        Raises DatasetError if there are more classes than a byte can number.
        """
        return self._mapped[0]

    @property
    def confidence(self) -> "numpy.ndarray":
        """The probability of the class of each pixel."""
        return self._mapped[1]

    @cached_property
    def _mapped(self) -> tuple["numpy.ndarray", "numpy.ndarray"]:
        if len(self.names) > MOST:
            fact = f"{number_of(len(self.names), 'class')}: a class map has numbers for {MOST}"
            raise DatasetError(f"{fact}; look at windows() and heat(class)")
        if self._is_whole:
            sure = self.scores.max(axis=0) if self.head.probable else confidence(self.scores)
            return classes(self.scores), sure
        return heat.class_map(self.probabilities, self.head.placed, self.image.shape[:2])

    @property
    def dense(self) -> bool:
        """Whether there is a score for every pixel, and not only for windows a stride apart.

        If a net does not pad, the pixels of a border have no score.
        """
        return self._is_whole or self.head.dense

    @property
    def _is_whole(self) -> bool:
        return self.scores.shape[1:] == self.image.shape[:2]

    def windows(self, top: int = 5) -> tuple[Window, ...]:
        """Each place of the scores: its centre in the image, and its `top` most likely classes."""
        return heat.windows(self.probabilities, self.head.placed, top)

    def shares(self) -> dict[str, float]:
        """The share of the pixels that each class has, the largest first."""
        return {each["name"]: each["share"] for each in shares(self.classes, self.names)}

    def overlay(self, opacity: float = 0.5, *, zoom: int = 1) -> Picture:
        """The colours of the classes over the image. With `opacity` 0 you see only the image,
        with 1 only the colours; `zoom` enlarges the picture.
        """
        over = overlay.overlay(self.image, self.classes, self.colours, opacity)
        return Picture.of(over, zoom=zoom)

    def heat(self, name: str | int, opacity: float = 0.5, *, zoom: int = 1) -> Picture:
        """The probability of one class, in colours over the gray image; pale where there is no
        score.

        Raises DatasetError for a class that does not exist.
        """
        number = self._number(name)
        image, cells = self.image, self.probabilities[number]
        values = cells if self._is_whole else heat.placed(cells, self.head.placed, image.shape[:2])
        hot = overlay.heat(image, values, opacity)
        return Picture(
            overlay.heat_png(overlay.enlarged(hot, zoom), self.names[number], float(cells.max()))
        )

    def legend(self) -> Picture:
        """A picture with the colour of each class."""
        return Picture(overlay.legend_png(self.names, self.colours))

    def _number(self, name: str | int) -> int:
        if name in self.names:
            return self.names.index(name)
        if isinstance(name, int) and 0 <= name < len(self.names):
            return name
        raise DatasetError(f"{name!r}: is not a class; they are {', '.join(self.names)}")

    def _repr_png_(self) -> bytes:
        zoom = max(1, round(_WIDTH / self.image.shape[1]))
        image = {"image": Picture.of(self.image, zoom=zoom)}
        if len(self.names) <= MOST:
            return beside(image | {"classes": self.overlay(zoom=zoom), "": self.legend()}).png
        return beside(
            image | {f"class {each}": self.heat(each, zoom=zoom) for each in self._frequent()}
        ).png

    def _frequent(self) -> list[int]:
        """The classes that are the likeliest at most places."""
        import numpy as np

        wins = np.bincount(self.scores.argmax(axis=0).ravel(), minlength=len(self.names))
        return (-wins).argsort(kind="stable")[:_HOT].tolist()

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        count, rows, columns = self.scores.shape
        places = "every pixel" if self.dense else f"{rows} x {columns} windows"
        return (
            f"<Inferred of {width} x {height} pixels, {self.preprocessing}: "
            f"{number_of(count, 'class')} at "
            f"{places}, on {self.engine}>"
        )


@expected.checked
def infer(
    net: NetOrPath,
    weights: GivenWeights,
    image: "numpy.ndarray | str | os.PathLike[str]",
    *,
    names: Sequence[str] = (),
    colours: "str | os.PathLike[str] | Sequence[Colour]" = (),
    mean: Sequence[float] | None = None,
    scale: float | None = None,
    order: str | None = None,
    alpha: str = REFUSE,
    blob: str | None = None,
    engine: str | None = None,
) -> Inferred:
    """Runs a deploy net on one image, at the image's own size.

    >>> import numpy as np
    >>> plan = fk.convolutionalize("deploy.prototxt")
    >>> weights = fk.transplant(plan, "net.caffemodel")
    >>> found = fk.infer(plan.net, weights, np.zeros((40, 60), np.uint8), mean=[0])
    >>> found.scores.shape
    (11, 4, 9)

    The net gets (value - `mean`) * `scale`, with its channels in `order`.

    - `net`, `weights`: the deploy net and its weights, or their paths.
    - `image`: a file, or an array of bytes: (height, width), (height, width, 3) in RGB, or
      (height, width, 4) with alpha for a net with four channels. With `order` "stored": an
      array or .npy file of (height, width, channels).
    - `names`: the names of the classes.
    - `colours`: one colour for each class, or the path of a colour file, which may have names
      too; by default those of VOC.
    - `mean`, `scale`, `order`: how the image is prepared. If these or `names` are not given,
      they are read from NET.preprocessing.json beside the net. Without that file no mean is
      subtracted, and a UserWarning says with which mean nets like this one were trained.
    - `alpha`: "refuse" refuses an image whose alpha channel hides something, if the net has
      fewer than four channels; "ignore" drops the alpha channel.
    - `blob`: the blob of scores; by default the last output that is a map.
    - `engine`: one of `installed_engines()`; by default the fastest that can run the net.

    Returns an Inferred: scores of (classes, height, width), the class of each pixel, and
    pictures of them.

    Raises NetError if the net has no such map, DatasetError if names, colours or means do not
    fit it, and in the cases of `fcnkit.inference.score_maps.scores`.
    """
    net = given_net(net)

    found = head(net, blob)
    known = _known(found, weights, mean, scale, order)
    names = names or known.classes
    prepared = Preparation(found.shape[1], known.mean or (), scale=known.scale, order=known.order)
    prepared.check()
    names, colours = _meaning(found, names, colours)
    if prepared.order == STORED:
        given = _stack(image, prepared.channels)
        seen = stacks.shown(given)
    else:
        given, seen = _read(image, prepared.channels, alpha)
    found.size(*given.shape[:2])
    ran: list[Engine] = []
    (made,) = scores(found, weights, [prepared(given)], engine=engine, told=ran.append)
    return Inferred(seen, found, made, names, colours, ran[-1].name, known)


def _stack(image: "numpy.ndarray | str | os.PathLike[str]", channels: int) -> "numpy.ndarray":
    """The image in so many channels, of a file of them or an array."""
    import numpy as np

    if not isinstance(image, np.ndarray):
        return stacks.read_stack(image, channels)
    if image.dtype != np.uint8 or image.shape[2:] != (channels,):
        fact = f"{image.dtype.name} of {' x '.join(map(str, image.shape))}"
        raise DatasetError(f"the image: is {fact}; give uint8 of height x width x {channels}")
    return image


def _read(
    image: "numpy.ndarray | str | os.PathLike[str]", channels: int, alpha: str
) -> "tuple[numpy.ndarray, numpy.ndarray]":
    """The image in as many channels, and in RGB."""
    import numpy as np

    if alpha not in (REFUSE, IGNORE):
        raise DatasetError(f"alpha={alpha!r}: is not known; say {REFUSE!r} or {IGNORE!r}")

    told: list[str] = []
    kept = Alpha(alpha == IGNORE, 'leave it out with alpha="ignore"', told.append)
    if isinstance(image, np.ndarray):
        picture = load("PIL.Image").fromarray(image)
        given = converted(picture, MODES[channels], "the image", kept)
        shown = picture.convert("RGB")
    else:
        given = read_image(image, mode=MODES[channels], alpha=kept)
        shown = read_image(image, alpha=ANY_ALPHA)
    for fact in told:
        warnings.warn(fact, stacklevel=3)
    return np.asarray(given), np.asarray(shown)


def _known(
    head: Head,
    weights: GivenWeights,
    mean: Sequence[float] | None,
    scale: float | None,
    order: str | None,
) -> Preprocessing:
    """What is given, else what the file beside the net says."""
    net, channels = head.graph.prototxt, head.shape[1]
    found = wanted.of(net)
    if found and len(found.classes) not in (0, head.classes) and not _is_the_file(net):
        found = replace(found, classes=())  # names of the classes that the plan changed
    if found:
        preprocessing.check(found, channels, head.classes, preprocessing.place(net.path))
    if mean is None and scale is None and (found is None or found.mean is None):
        stored = opened(weights)
        like = trained_like(stored) if stored else None
        trained = (
            f"; {like.name} has the same layers and was trained with {like.mean} subtracted"
            if like
            else ""
        )
        warnings.warn(
            f"{net.path}: no mean is subtracted from the image{trained}; give mean=", stacklevel=3
        )
    made = found or Preprocessing(mean=())
    order = order_for(order or (found.order if found else None), channels)
    values = {"mean": mean and tuple(mean), "scale": scale, "order": order}
    given = {name: value for name, value in values.items() if value is not None}
    return made.with_origin("given", **given)


def _is_the_file(net: Prototxt) -> bool:
    """Whether the net stands so in its file; that of a plan has its source's path."""
    try:
        return read(net.path).text == net.text
    except PrototxtError:
        return False


def _meaning(
    found: Head, names: Sequence[str], colours: str | os.PathLike[str] | Sequence[Colour]
) -> tuple[tuple[str, ...], tuple[Colour, ...]]:
    """A name and a colour for each class."""
    count = found.classes
    if isinstance(colours, str | os.PathLike):
        known = read_colours(colours)
        names, colours = names or known.names, known.colours
    for what, given in (("names", names), ("colours", colours)):
        if given and len(given) != count:
            fact = f'"{found.scores.blob}" of {found.graph.prototxt.path} has {count} classes'
            raise DatasetError(f"{what}: {len(given)} are given, and {fact}; give one for each")
    default = (*voc_palette(), *[(0, 0, 0)] * count)[:count]
    chosen = tuple((red, green, blue) for red, green, blue in colours) or default
    return tuple(names) or tuple(map(str, range(count))), chosen
