"""Runs nets in OpenCV's importer of Caffe nets, and refuses by name what OpenCV gets wrong.

OpenCV 4 reads a deploy prototxt and a caffemodel.  It knows no include and exclude rules, so the
layers that a state leaves out are cut from the text first.  A layer is refused, with its line and
the reason, where OpenCV's result is known to differ from Caffe's or its importer to fail.  A
result whose size is not Caffe's is an error.
"""

import contextlib
import importlib.util
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from fcnkit.edits import Edit
from fcnkit.engines.engine import TEST, instead, single
from fcnkit.engines.fields import strange_field
from fcnkit.engines.inputs import float_arrays, opened
from fcnkit.engines.opencv_facts import FACTS, RANDOM
from fcnkit.errors import EngineError
from fcnkit.exporting.export import check_names
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import Graph, Layer, State, Top, build
from fcnkit.nets.layers.strange_fields import check_net
from fcnkit.nets.layers.table import CAFFE, of, trait
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import Shapes, shapes_of
from fcnkit.plural import number_of
from fcnkit.weights import store
from fcnkit.weights.store import GivenWeights

INSTALL = "pip install 'opencv-python-headless<5'"
EMPTY_MODEL = b"\x0a\x01a"
"""A caffemodel that names a net "a" and has no layers; OpenCV takes no empty file."""


def available() -> bool:
    """Whether OpenCV is installed with its importer of Caffe nets, which 5.0 no longer has."""
    if importlib.util.find_spec("cv2") is None:
        return False
    import cv2

    return hasattr(cv2.dnn, "readNetFromCaffe")


def version() -> str:
    """OpenCV's version."""
    import cv2

    return cv2.__version__


def run_all(
    net: Prototxt,
    weights: GivenWeights,
    many: Iterable[Mapping[str, Any]],
    outputs: Sequence[str] | None = None,
    *,
    state: State = TEST,
) -> Iterator[dict[str, Any]]:
    """What OpenCV computes of each of many inputs in turn: a float32 array per output blob.

    Arrays have Caffe's shapes.  `weights` is a path, a Weights or None for a
    net without parameters; net and weights are read once.  Every input blob
    takes its array's shape.  `outputs` may name any blob; they are the net's
    own outputs when not given.  A blob that layers change in place is as the
    last of them leaves it.

    Raises EngineError for what OpenCV cannot run as Caffe does, with layer,
    line and remedy; NetError and WeightsError where Caffe would not either.
    """
    if not available():
        raise EngineError(f"OpenCV: not found: install it with `{INSTALL}`")
    graph, given, built = build(net, state), opened(weights), None
    check_names(graph, "OpenCV")
    names = [top.blob for top in graph.inputs]
    tops = graph.outputs if outputs is None else [graph.top(blob) for blob in outputs]
    asked = [top for top in tops if top not in graph.inputs]
    for inputs in many:
        arrays = float_arrays(net.path, names, inputs)
        sizes = shapes_of(graph, {name: array.shape for name, array in arrays.items()})
        check(sizes, given)
        with _quiet(graph):
            built = built or _imported(graph, _bytes(weights))
            found = _forward(graph, built, arrays, asked)
        yield {
            top.blob: _shaped(sizes, top, found[top]) if top in found else arrays[top.blob]
            for top in tops
        }


run = single(run_all)


def check(sizes: Shapes, weights: store.Weights | None) -> None:
    """OpenCV runs this net with these weights as Caffe does, as far as is known.

    Raises EngineError for the first layer that it does not.
    """
    graph = sizes.graph
    check_net(graph.prototxt)
    _check_names(graph)
    for layer in graph.layers:
        if strange := strange_field(layer):
            raise EngineError(str(layer.error(f"OpenCV engine: {strange}")))
        fact = _fact(layer, graph.state) or _axes(layer, sizes)
        if fact:
            raise _refusal(layer, fact)
        _check_blobs(layer, sizes, weights)


def runs(type_name: str) -> bool:
    """Whether OpenCV runs this layer type as Caffe does."""
    return type_name in FACTS


def _fact(layer: Layer, state: State) -> str:
    if layer.type not in FACTS:
        return _unknown(layer)
    if layer.type in RANDOM and state.phase == "TRAIN":
        return f"it runs {layer.type} as in TEST; choose the phase TEST"
    return FACTS[layer.type](layer)


def _axes(layer: Layer, sizes: Shapes) -> str:
    """OpenCV takes the one kernel_size of a three-dimensional window for two,
    and reads beside its memory.
    """
    if layer.type not in ("Convolution", "Deconvolution", "Pooling"):
        return ""
    axes = [len(bottom) for bottom in sizes.bottoms(layer) or ()]
    wrong = axes and axes[0] != 4
    return f"it reads a {layer.type} over {axes[0]} axes as one over 4" if wrong else ""


def _unknown(layer: Layer) -> str:
    if trait(layer) is Trait.LOSS or of(layer).labelled or not layer.bottoms:
        fact = f"{layer.type} is for training, and OpenCV reads deploy nets only"
        return f"{fact}; give the deploy net"
    like = "like Caffe's" if layer.type in CAFFE else "that is known to be the fork's"
    return f"its importer has no {layer.type} {like}"


def _refusal(layer: Layer, fact: str) -> EngineError:
    words = f"OpenCV cannot run it as Caffe does: {fact}; or {instead(layer.type, but='opencv')}"
    return EngineError(str(layer.error(words)))


def _check_names(graph: Graph) -> None:
    """OpenCV finds layers and their weights by name, and names a Convolution by its top."""
    seen: dict[str, Layer] = {}
    for layer in graph.layers:
        if layer.is_input:
            continue
        for name in _names(layer):
            if not name:
                raise _refusal(layer, "it needs a name for every layer")
            if seen.setdefault(name, layer) is not layer:
                other = seen[name]
                fact = (
                    f'it mistakes "{name}" for the name of both this layer and that on line '
                    f"{other.line}"
                )
                raise _refusal(layer, f"{fact}; rename one")


def _names(layer: Layer) -> tuple[str, ...]:
    tops = tuple(top.blob for top in layer.tops) if layer.type == "Convolution" else ()
    return tuple(dict.fromkeys((layer.name, *tops)))


def _check_blobs(layer: Layer, sizes: Shapes, weights: store.Weights | None) -> None:
    """OpenCV has no fillers, and accepts missing and surplus blobs without a warning."""
    wanted = sizes.blobs(layer) or []
    if not wanted:
        return
    path = weights.path if weights is not None else "no weights file"
    blobs = weights.get(layer.name, ()) if weights is not None else ()
    if len(blobs) != len(wanted):
        fact = f"{path} has {number_of(len(blobs), 'parameter blob')} for it, the net {len(wanted)}"
        raise _refusal(layer, f"{fact}; give the weights that belong to this net")
    for number, (blob, shape) in enumerate(zip(blobs, wanted, strict=True)):
        if not blob.fits(shape):
            raise _refusal(layer, f"{blob.where} has the shape {blob.shape}, the net {shape}")
        if str(blob.dtype) != "float32":
            raise _refusal(
                layer, f"it does not read {blob.dtype} values, as in blob {number} of {path}"
            )


def _bytes(weights: GivenWeights) -> Any:
    """The weights file as OpenCV takes it, an array of bytes."""
    import numpy as np

    found = opened(weights)
    if found is None:
        return np.frombuffer(EMPTY_MODEL, np.uint8)
    if found.unchanged_file and found.kind in ("layer", "layers"):
        return np.fromfile(found.unchanged_file, np.uint8)
    found = found if found.kind == "layers" else found.to("layer")
    with tempfile.TemporaryDirectory(prefix="fcnkit-") as folder:
        path = Path(folder) / "weights.caffemodel"
        found.save(path)
        return np.fromfile(path, np.uint8)


def _kept(graph: Graph) -> Iterator[Edit]:
    """The edits that leave the layers of this state, and no rules."""
    kept = {layer.field.start for layer in graph.layers}
    for field in graph.prototxt.root.all("layer", "layers"):
        if field.start not in kept:
            yield prototxt.without(field)
        else:
            yield from map(prototxt.without, field.all("include", "exclude"))


def _imported(graph: Graph, model: Any) -> Any:
    """OpenCV's net of these layers and weights."""
    import cv2
    import numpy as np

    text = graph.prototxt.edit(_kept(graph)).text.lstrip(prototxt.BOM)
    built = cv2.dnn.readNetFromCaffe(
        np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8), model
    )
    # With fusion, what a Concat joins is no longer there when it is asked for.
    built.enableFusion(False)
    return built


def _forward(
    graph: Graph, built: Any, inputs: Mapping[str, Any], tops: Sequence[Top]
) -> dict[Top, Any]:
    import cv2

    for name, array in inputs.items():
        # A Mat that says so: an array of three axes is taken for an image otherwise.
        built.setInput(cv2.Mat(array, wrap_channels=False), name)
    places = _places(graph, built.getLayerNames())
    found = built.forwardAndRetrieve([places[top][0] for top in tops]) if tops else []
    return {top: arrays[places[top][1]] for top, arrays in zip(tops, found, strict=True)}


def _places(graph: Graph, names: Sequence[str]) -> dict[Top, tuple[str, int]]:
    """Where OpenCV has each top: the layer's name there, and which output of it.

    OpenCV's layers come in file order; a Convolution is one per top.
    """
    left = list(names)
    places: dict[Top, tuple[str, int]] = {}
    for layer in graph.layers:
        if layer.type == "Convolution":
            places.update((top, (left.pop(0), 0)) for top in layer.tops)
        elif not layer.is_input:
            name = left.pop(0)
            places.update((top, (name, top.index)) for top in layer.tops)
    return places


def _shaped(sizes: Shapes, top: Top, array: Any) -> Any:
    """The array in Caffe's shape; OpenCV's has at least two axes."""
    shape = sizes.tops[top]
    if shape is None or array.size != prod(shape):
        layer = sizes.graph.producer(top)
        raise _refusal(layer, f'its "{top.blob}" is {array.shape}, where Caffe has {shape}')
    return array.reshape(shape)


@contextlib.contextmanager
def _quiet(graph: Graph) -> Iterator[None]:
    """What OpenCV would print becomes an EngineError with its words."""
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    except cv2.error as error:
        words = re.sub(r"^OpenCV\(.*?\) \S+: error: ", "", " ".join(str(error).split()))
        other = instead(*(layer.type for layer in graph.layers), but="opencv")
        place = f"{graph.prototxt.path}: OpenCV {cv2.__version__}"
        raise EngineError(f"{place}: {words}; {other}") from error
    finally:
        cv2.utils.logging.setLogLevel(level)
