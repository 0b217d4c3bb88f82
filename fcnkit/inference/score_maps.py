"""Runs a trained net on images of any size: scores, and each pixel's class and probability.

It works on arrays; files and pictures are elsewhere.  Each image is run alone
at its own size, as in the FCN authors' infer.py.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fcnkit.engines.engine import Engine, choose
from fcnkit.engines.fastest import AUTO, run_fastest
from fcnkit.engines.inputs import check_weights, nominal
from fcnkit.errors import AlignError, NetError, WeightsError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.coordmap import CoordMap
from fcnkit.nets.coords import between
from fcnkit.nets.graph import Graph, Top, build
from fcnkit.nets.layers.table import enlarges, of
from fcnkit.nets.shapes import shapes_of
from fcnkit.shape import Shape
from fcnkit.verifying.verify import before_softmax
from fcnkit.weights.store import GivenWeights

if TYPE_CHECKING:
    import numpy

# An input of unknown size is taken to be of this one, to learn which tops are score maps.
_SIZE = 512


@dataclass(frozen=True)
class Head:
    """The blob of a net that holds its scores.

    `shape` is the shape of the image, from the file or one that fits. `probable` is True if the
    blob holds probabilities and not scores. `place` is the map from its coordinates to the
    image's, None if no map is known.
    """

    graph: Graph
    image: Top
    scores: Top
    classes: int
    shape: Shape
    probable: bool
    place: CoordMap | None

    @property
    def placed(self) -> CoordMap:
        """The map from the scores to the image. Raises NetError if no map is known."""
        if self.place is None:
            raise NetError(f"{self._path}: {_nowhere(self.graph, self.image, self.scores)}")
        return self.place

    @property
    def dense(self) -> bool:
        """Whether it scores pixels, and not windows; the border may have no scores.

        This is so if the scores are no farther apart than pixels on an axis, or if the net has
        upsampled them. A classifier's scores are coarse on both axes.
        """
        if self.place is None:
            return False
        path = self.graph.layers[: self.scores.layer + 1]
        return any(scale <= 1 for scale in self.place.scale) or any(map(enlarges, path))

    def size(self, height: int, width: int) -> tuple[int, int]:
        """The number of rows and columns of the scores for an image of this size.

        Raises NetError if Caffe could not run such an image, or if the place of its scores is
        not known.
        """
        image = {self.image.blob: (1, self.shape[1], height, width)}
        shape = shapes_of(self.graph, image).tops[self.scores]
        size = (shape[2], shape[3]) if shape else (height, width)
        if size != (height, width) and self.place is None:
            raise NetError(f"{self._path}: {_nowhere(self.graph, self.image, self.scores)}")
        return size

    @property
    def _path(self) -> str:
        return self.graph.prototxt.path


def head(net: Prototxt, blob: str | None = None) -> Head:
    """The head of a deploy net: the blob `blob`, or its last output that is a map of scores.

    Of probabilities that a Softmax makes, the scores before it are taken.
    Raises NetError where the net has no such map, or not one input.
    """
    graph = build(net)
    if len(graph.inputs) != 1:
        found = ", ".join(top.blob for top in graph.inputs) or "none but data layers"
        raise NetError(
            f"{net.path}: its inputs are {found}; give a deploy net, with one input, the image"
        )
    (image,) = graph.inputs
    given = nominal(graph).get(image.blob) or (1, 3, _SIZE, _SIZE)
    if len(given) != 4:
        raise NetError(
            f'{net.path}: its input "{image.blob}" is {_shown(given)}; an image needs 4 axes'
        )
    given, shapes = _sized(graph, image, given)
    top = _last(graph, shapes, blob)
    scores = before_softmax(graph, top) or top
    count = (shapes[top] or ())[1]
    if count < 2:
        raise NetError(
            f'{net.path}: "{top.blob}" has {count} channel; scores have one for each class'
        )
    # What keeps to these bounds, as a Softmax or a Sigmoid, gives probabilities already.
    probable = of(graph.producer(scores)).range(graph.producer(scores)) == (0, 1)
    return Head(graph, image, scores, count, given, probable, _place(graph, scores, image))


def _sized(graph: Graph, image: Top, given: Shape) -> tuple[Shape, Mapping[Top, Shape | None]]:
    """A shape of one image that the net runs,
    the given one if it does, and the shape of every top.
    """
    given = 1, *given[1:]
    try:
        return given, shapes_of(graph, {image.blob: given}).tops
    except NetError:  # an FCN may keep the size of its classifier, and need more
        large = 1, given[1], max(_SIZE, given[2]), max(_SIZE, given[3])
        return large, shapes_of(graph, {image.blob: large}).tops


def _last(graph: Graph, shapes: Mapping[Top, Shape | None], blob: str | None) -> Top:
    path = graph.prototxt.path
    tops = [graph.top(blob)] if blob else [top for top in graph.outputs if top not in graph.inputs]
    maps = [top for top in tops if len(shapes[top] or ()) == 4]
    if not maps:
        found = ", ".join(f'"{top.blob}" ({_shown(shapes[top])})' for top in tops) or "none"
        what = "is not a map" if blob else "no output is a map"
        raise NetError(
            f"{path}: {what} of scores, N x classes x height x width: {found}; convert the net "
            f"with "
            "`fcnkit convolutionalize`, or name a blob with --blob"
        )
    return maps[-1]


def _place(graph: Graph, scores: Top, image: Top) -> CoordMap | None:
    try:
        return between(graph, scores, image)
    except AlignError:
        return None


def _nowhere(graph: Graph, image: Top, scores: Top) -> str:
    try:
        between(graph, scores, image)
    except AlignError as error:
        why = str(error).removeprefix(f"{graph.prototxt.path}: ")
    return (
        f"{why}; a classifier is converted by `fcnkit convolutionalize`, which gives its "
        "pooling a kernel"
    )


def _shown(shape: Shape | None) -> str:
    return " x ".join(map(str, shape)) if shape else "of unknown size"


def scores(
    net: Prototxt | Head,
    weights: GivenWeights,
    images: Iterable["numpy.ndarray"],
    *,
    engine: str | Engine | None = None,
    device: str | None = None,
    blob: str | None = None,
    told: Callable[[Engine], None] = lambda engine: None,
) -> Iterator["numpy.ndarray"]:
    """The scores of each prepared image, (channels, height, width), as (classes, rows, columns).

    `engine` is an engine, or the name of one; "auto", and when not given, the
    fastest that is installed and runs the net; `device` is for one that knows
    several.  The engine starts once for many images, a few of which are in memory
    at a time.  `told` is called with the engine that has run.

    Raises NetError as `head` and `Head.size` do, WeightsError where a layer
    has no weights or a score is not finite, EngineError where the engine refuses.
    """
    import numpy as np

    chosen = net if isinstance(net, Head) else head(net, blob)
    graph, name = chosen.graph, chosen.image.blob
    check_weights(graph, weights, {name: chosen.shape})
    inputs = ({name: np.asarray(image, np.float32)[None]} for image in images)
    wanted = [chosen.scores.blob]
    if engine in (None, AUTO) and device is None:
        results = run_fastest(graph.prototxt, weights, inputs, wanted, told=told)
    else:
        runner = engine if isinstance(engine, Engine) else choose(_by_name(engine), device)
        told(runner)
        results = runner.run_all(graph.prototxt, weights, inputs, wanted)
    for found in results:
        array = found[chosen.scores.blob]
        # Faster than to ask each: the least and the largest are NaN where one is.
        if not np.isfinite([array.min(), array.max()]).all():
            path = getattr(weights, "path", weights)
            raise WeightsError(
                f'{path}: "{chosen.scores.blob}" holds NaN or infinity; see `fcnkit inspect {path}`'
            )
        yield array[0]


def _by_name(engine: str | None) -> str | None:
    """The name to choose an engine by: with a device, "auto" is any that knows devices."""
    return None if engine == AUTO else engine


def classes(scores: "numpy.ndarray") -> "numpy.ndarray":
    """The class of the highest score at each place; of equal ones the first."""
    import numpy as np

    found = scores.argmax(axis=0)
    return found.astype(np.uint8 if len(scores) <= 256 else np.uint16)


def probabilities(scores: "numpy.ndarray") -> "numpy.ndarray":
    """The softmax of scores over the classes, the first axis."""
    import numpy as np

    values = np.exp(scores - scores.max(axis=0))
    return values / values.sum(axis=0)


def confidence(scores: "numpy.ndarray") -> "numpy.ndarray":
    """The softmax probability of the highest score at each place;
    less work than `probabilities`.
    """
    import numpy as np

    return 1 / np.exp(scores - scores.max(axis=0)).sum(axis=0)
