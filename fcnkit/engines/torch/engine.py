"""The engine on PyTorch, for CPU and GPU, in Caffe's arithmetic: float32, without TF32."""

import contextlib
import importlib.util
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fcnkit.engines.engine import TEST, single
from fcnkit.engines.inputs import float_arrays, opened
from fcnkit.errors import EngineError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import Graph, Layer, State, build, needed
from fcnkit.nets.shapes import Shapes, shapes_of
from fcnkit.weights import store
from fcnkit.weights.store import GivenWeights

if TYPE_CHECKING:
    from torch import Tensor

    from fcnkit.engines.torch.net import Net

INSTALL = "pip install 'fcnkit[torch]'"


def available() -> bool:
    """Whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def runs(type_name: str) -> bool:
    """Whether it runs this layer type; False where PyTorch is not installed."""
    if not available():
        return False
    from fcnkit.engines.torch.layers.table import LAYERS

    return type_name in LAYERS


def version() -> str:
    """PyTorch's version, with what it was built for."""
    import torch

    return torch.__version__


def run_all(
    net: Prototxt,
    weights: GivenWeights,
    many: Iterable[Mapping[str, Any]],
    outputs: Sequence[str] | None = None,
    *,
    state: State = TEST,
    device: str | None = None,
) -> Iterator[dict[str, Any]]:
    """What the net computes of each of many inputs in turn: a float32 array per output blob.

    `weights` is a path, a Weights or None (the net's fillers); net and weights
    are read once.  Every input blob, of an Input or a data layer, takes its
    array's shape.  `outputs` may name any blob; they are the net's own outputs
    when not given.  A blob that layers change in place is as the last of them
    leaves it.  `device` is one of PyTorch's names, such as "cpu" or "cuda";
    when not given, a GPU where there is one.

    Raises EngineError for a layer that the engine does not run, with its line;
    NetError and WeightsError where Caffe would refuse too.
    """
    check_installed()
    graph, built, place = build(net, state), None, chosen(device)
    stored = opened(weights)
    for inputs in many:
        arrays = _arrays(graph, inputs)
        sizes = shapes_of(graph, {name: array.shape for name, array in arrays.items()})
        if built is None:
            kept = graph.layers if outputs is None else needed(graph, map(graph.top, outputs))
            built, first = _built(sizes, stored, place, kept), sizes
        check_same(first, sizes)
        yield _computed(built, arrays, outputs, place)


run = single(run_all)


def chosen(device: str | None) -> str:
    """The name of the device to compute on.

    Raises EngineError where PyTorch has no such device.
    """
    import torch

    name = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        words = str(error).splitlines()[0]
        raise EngineError(f"PyTorch: device {name}: {words}; use --device cpu") from error
    return name


@contextlib.contextmanager
def products(*, tf32: bool = False) -> Iterator[None]:
    """Products on GPUs are of float32 numbers, as Caffe's are, or with `tf32` of TF32's 10 bits."""
    import torch

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = tf32
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


# Below so many multiply-adds threads wait for each other longer than they compute.
_FEW = 1 << 20


@contextlib.contextmanager
def threads(work: int) -> Iterator[None]:
    """One thread computes, where no layer has more than a few multiply-adds of `work`."""
    import torch

    before = torch.get_num_threads()
    if before > 1 and work < _FEW:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_installed() -> None:
    """PyTorch is installed; EngineError where it is not."""
    if not available():
        raise EngineError(f"PyTorch: not found: install it with `{INSTALL}`")


def _arrays(graph: Graph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The given inputs as float32, for exactly the blobs that the net is given."""
    from fcnkit.engines.torch.layers.table import is_source

    names = [top.blob for layer in graph.layers if is_source(layer) for top in layer.tops]
    return float_arrays(graph.prototxt.path, names, inputs)


def _built(
    sizes: Shapes, weights: store.Weights | None, device: str, kept: Collection[Layer]
) -> "Net":
    from fcnkit.engines.torch.net import Net

    made = Net(sizes, weights, kept=kept).to(device)
    made.over = True
    if device == "cpu":
        made.channels_last()
    return made


def check_same(first: Shapes, sizes: Shapes) -> None:
    """Parameters have the shapes that the first inputs gave them; NetError where they have not."""
    if first is sizes:
        return
    for layer in sizes.graph.layers:
        if sizes.blobs(layer) != first.blobs(layer):
            fact = (
                f"its parameters are {first.blobs(layer)}, but this input needs "
                f"{sizes.blobs(layer)}"
            )
            raise layer.error(
                f"{fact}; give inputs of the first one's size, or convolutionalize the net"
            )


def _computed(
    net: "Net", arrays: Mapping[str, Any], outputs: Sequence[str] | None, device: str
) -> dict[str, Any]:
    import torch

    with torch.inference_mode(), products(), memory(net.graph):
        inputs = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
        if device == "cpu":
            inputs = {name: _channels_last(each) for name, each in inputs.items()}
        found = net(inputs, outputs)
        return {blob: value.contiguous().cpu().numpy() for blob, value in found.items()}


def _channels_last(value: "Tensor") -> "Tensor":
    import torch

    return value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value


@contextlib.contextmanager
def memory(graph: Graph) -> Iterator[None]:
    """Where memory is not enough, an EngineError says so."""
    import torch

    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.cuda.OutOfMemoryError) and "allocate memory" not in str(
            error
        ):
            raise
        words = str(error).splitlines()[0]
        raise EngineError(
            f"{graph.prototxt.path}: PyTorch: {words}; give smaller inputs"
        ) from error
