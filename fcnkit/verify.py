"""Whether two nets compute the same: both run on one input, their outputs compared.

Noise stands in for data: equal nets are equal on any input.  A Softmax hides
differences (scores far apart give 0 and 1 whatever else they are), so the
scores before a final Softmax are compared as well.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from fcnkit.errors import EngineError, NetError, WeightsError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import Graph, Top, build
from fcnkit.nets.shapes import infer
from fcnkit.weights import store

BATCH = 64
"""How many windows `slide` gives to the classifier at once."""


class Difference(NamedTuple):
    """How far one output of the new net is from the old net's.

    `absolute` is the largest absolute difference, `largest` the largest
    magnitude among the old net's values, `relative` absolute / largest.
    """

    output: str
    new_output: str
    shape: tuple[int, ...]
    new_shape: tuple[int, ...]
    absolute: float
    relative: float
    largest: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether the relative difference is within the tolerance; what is not finite is not."""
        return self.relative <= self.tolerance

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        name = (
            self.output if self.output == self.new_output else f"{self.output} -> {self.new_output}"
        )
        verdict = "equal" if self.ok else "DIFFERENT"
        if self.largest == self.absolute == 0:
            verdict = "equal, but all zero: this shows nothing"
        shape = " x ".join(map(str, self.new_shape))
        return (
            f"{name}: {verdict}; max |difference| {self.absolute:.3g} over {shape} values up to "
            f"{self.largest:.3g}, relative {self.relative:.2g} (tolerance {self.tolerance:g})"
        )


def verify(
    net: Prototxt,
    weights: Any,
    new_net: Prototxt,
    new_weights: Any = None,
    *,
    engine: str | None = None,
    device: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    tolerance: float = 1e-4,
    seed: int = 0,
) -> tuple[Difference, ...]:
    """Both nets have run on one input in the state TEST; a Difference per output.

    The scores before a final Softmax come first.  Outputs are paired by name;
    where one of each is left over, those two.  (N, C) is compared with
    (N, C, 1, 1) value by value.  `new_weights` are `weights` when not given.
    `engine` is "caffe", "opencv", "torch" or "onnx"; when not given, Caffe where it
    is installed.  `device` is for torch, such as "cpu" or "cuda".  `inputs` gives
    arrays, or shapes for noise, by the old net's input names; the rest is
    `noise` of the size that the prototxt says.

    Raises NetError when the outputs cannot be paired or have different counts,
    WeightsError when a layer has no weights, EngineError when the engine
    refuses a net.
    """
    runner = choose(engine, device)
    graph, new_graph = build(net), build(new_net)
    data = _inputs(graph, inputs or {}, seed)
    new_data = _renamed(graph, new_graph, data)
    pairs = list(_pairs(graph, new_graph))
    new_weights = weights if new_weights is None else new_weights
    for each, own, arrays in ((graph, weights, data), (new_graph, new_weights, new_data)):
        check_weights(each, own, {name: array.shape for name, array in arrays.items()})
    job = (net, weights, data, [old.blob for old, _ in pairs])
    new_job = (new_net, new_weights, new_data, [new.blob for _, new in pairs])
    found, new_found = _run_all(runner, [job, new_job])
    return tuple(
        _compare(net, new_net, old.blob, found[old.blob], new.blob, new_found[new.blob], tolerance)
        for old, new in pairs
    )


def slide(
    net: Prototxt,
    weights: Any,
    fcn_net: Prototxt,
    fcn_weights: Any,
    canvas: Any,
    *,
    stride: int,
    window: tuple[int, int] | None = None,
    engine: str | None = None,
    tolerance: float = 1e-4,
) -> Difference:
    """The FCN on a canvas, 1 x channels x height x width,
    against the classifier on every window of it.

    fcn(canvas)[0, :, i, j] = net(canvas[:, :, i s : i s + h, j s : j s + w]) for
    stride s and window h x w, which is the classifier's own input size when not
    given.  This holds for nets without padding; the scores before a Softmax
    are compared.  Where pooling's rounding up gives the FCN more rows or
    columns than there are whole windows, those are left out.

    Raises as `verify` does, and NetError when the canvas is smaller than the
    window or the FCN's output than the windows.
    """
    import numpy as np

    runner = choose(engine)
    graph, fcn_graph = build(net), build(fcn_net)
    old, new = next(_pairs(graph, fcn_graph))
    (name,), (fcn_name,) = _only_input(graph), _only_input(fcn_graph)
    canvas = np.asarray(canvas, np.float32)
    height, width = window or nominal(graph)[name][2:]
    windows = _windows(net, canvas, (height, width), stride)
    rows, columns = windows.shape[:2]
    windows = windows.reshape(-1, *windows.shape[2:])
    parts = [windows[at : at + BATCH] for at in range(0, len(windows), BATCH)]
    jobs = [(net, weights, {name: part}, [old.blob]) for part in parts]
    *scores, found = _run_all(
        runner, [*jobs, (fcn_net, fcn_weights, {fcn_name: canvas}, [new.blob])]
    )
    scores, found = [each[old.blob] for each in scores], found[new.blob]
    expected = np.concatenate(scores).reshape(rows, columns, -1).transpose(2, 0, 1)[None]
    if found.ndim != 4 or found.shape[2] < rows or found.shape[3] < columns:
        fact = f"{rows} x {columns} windows, but its {new.blob} is {found.shape}"
        raise NetError(f"{fcn_net.path}: {fact}; check the stride {stride} and the window")
    found = found[:, :, :rows, :columns]
    return _compare(net, fcn_net, old.blob, expected, new.blob, found, tolerance)


def model(
    net: Prototxt,
    weights: Any,
    onnx_model: Any,
    *,
    engine: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    outputs: Sequence[str] | None = None,
    tolerance: float = 1e-4,
    seed: int = 0,
) -> tuple[Difference, ...]:
    """The net has run on an engine and its ONNX model in ONNX Runtime;
    a Difference per output and size.

    `onnx_model` is the path of the file, or its bytes, `outputs` the blobs
    that it was exported for.  The sizes are the net's own, or those of
    `inputs`, and others that Caffe builds the net at with the same parameters.

    Raises as `verify` does, and EngineError where ONNX Runtime is not
    installed or refuses the model, or where no other engine is installed.
    """
    from fcnkit.engines import onnx
    from fcnkit.exporting.dynamic_axes import freedom
    from fcnkit.exporting.export import own_outputs

    runner, graph = choose(engine), build(net)
    if runner is onnx:
        raise EngineError("no engine is installed to compare with: run `make caffe`")
    session = onnx.opened(onnx_model, net.path)
    given = _inputs(graph, inputs or {}, seed)
    shapes = {name: array.shape for name, array in given.items()}
    check_weights(graph, weights, shapes)
    others = freedom(graph, shapes).others()
    many = [given, *({name: noise(shape, seed) for name, shape in each.items()} for each in others)]
    blobs = [top.blob for top in own_outputs(graph)] if outputs is None else list(outputs)
    expected = _run_all(runner, [(net, weights, data, blobs) for data in many])
    found = [
        dict(zip(blobs, onnx.ran(session, data, net.path).values(), strict=True)) for data in many
    ]
    return tuple(
        _compare(net, net, name, old[blob], name, new[blob], tolerance)
        for data, old, new in zip(many, expected, found, strict=True)
        for blob in blobs
        for name in [f"{blob} of {', '.join(map(_sized, data.items()))}"]
    )


def _sized(pair: tuple[str, Any]) -> str:
    name, array = pair
    return f"{name} {' x '.join(map(str, array.shape))}"


class Placed(NamedTuple):
    """An engine that computes on one device."""

    run: Callable
    run_all: Callable


def choose(engine: str | None = None, device: str | None = None) -> ModuleType | Placed:
    """The engine of this name; without a name, the first that is installed.

    `device` is one of PyTorch's names, and the engine is torch then.  Raises
    EngineError when there is no engine, none of this name, or one that has no
    devices.
    """
    engines = _engines()
    if device is not None:
        return _placed(engine or "torch", device, engines)
    if engine is not None:
        return _named(engine, engines)
    for name in installed_engines():
        return engines[name]
    raise EngineError(
        "no engine is installed: run `make caffe`, or `pip install 'opencv-python-headless<5'`, "
        "or `pip install 'fcnkit[torch]'`"
    )


def _named(engine: str, engines: Mapping[str, ModuleType]) -> ModuleType:
    if engine not in engines:
        raise EngineError(f'no engine "{engine}"; there are {", ".join(engines)}')
    return engines[engine]


def _placed(engine: str, device: str, engines: Mapping[str, ModuleType]) -> Placed:
    runner = _named(engine, engines)
    if engine != "torch":
        raise EngineError(
            f'the engine "{engine}" runs on the CPU alone; a device goes with the engine torch'
        )
    return Placed(partial(runner.run, device=device), partial(runner.run_all, device=device))


def installed_engines() -> tuple[str, ...]:
    """The engines that are installed here, the one that is chosen first."""
    return tuple(name for name, runner in _engines().items() if runner.available())


def _engines() -> dict[str, ModuleType]:
    """The engines by name, the preferred one first; read here, since most commands run no net."""
    from fcnkit.engines import caffe, onnx, opencv, torch

    return {"caffe": caffe, "opencv": opencv, "torch": torch, "onnx": onnx}


def noise(shape: Sequence[int], seed: int = 0) -> Any:
    """Float32 noise like a batch of images less their mean:
    -128 to 128, coarse and fine in equal parts.

    Noise of single pixels alone averages out in the first layers, and the deep
    ones would see little but biases; squares of 8 x 8 pixels do not.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    fine = generator.uniform(-64, 64, shape)
    if len(shape) < 4:
        return (2 * fine).astype(np.float32)
    coarse = generator.uniform(-64, 64, (*shape[:-2], -(-shape[-2] // 8), -(-shape[-1] // 8)))
    coarse = coarse.repeat(8, -2).repeat(8, -1)[..., : shape[-2], : shape[-1]]
    return (fine + coarse).astype(np.float32)


def _run_all(runner: ModuleType | Placed, jobs: Sequence[tuple]) -> list[dict[str, Any]]:
    """What `run` of the engine gives for each job; Caffe starts only once."""
    from fcnkit.engines import caffe

    if runner is not caffe:
        return [runner.run(*job) for job in jobs]
    answers = caffe.ask([caffe.Question("run", *job) for job in jobs])
    for answer in answers:
        if isinstance(answer, EngineError):
            raise answer
    return answers


def _inputs(graph: Graph, given: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """An array per input: the given one, or noise of the given or the nominal shape."""
    names = [top.blob for top in graph.inputs]
    path = graph.prototxt.path
    if not names:
        raise NetError(f"{path}: it has no input but its data layers; give the deploy net")
    for name in given:
        if name not in names:
            raise NetError(
                f'{path}: "{name}" is not an input of this net; its inputs are {", ".join(names)}'
            )
    shapes = {name: value for name, value in given.items() if isinstance(value, (tuple, list))}
    arrays = {name: value for name, value in given.items() if name not in shapes}
    sizes = {**nominal(graph), **shapes}
    return {
        name: arrays[name]
        if name in arrays
        else noise(_known(graph, name, sizes[name]), seed + number)
        for number, name in enumerate(names)
    }


def nominal(graph: Graph) -> dict[str, tuple[int, ...] | None]:
    """The shape that the prototxt gives each input."""
    layers = [layer for layer in graph.layers if layer.type == "Input"]
    return {
        top.blob: shape
        for layer in layers
        for top, shape in zip(layer.tops, layer.input_shapes, strict=True)
    }


def _known(graph: Graph, name: str, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    if shape is None:
        fact = f'{graph.prototxt.path}: it gives its input "{name}" no shape'
        raise NetError(f"{fact}; say one, such as --input {name}=1,3,227,227")
    return tuple(shape)


def _renamed(graph: Graph, new_graph: Graph, data: Mapping[str, Any]) -> dict[str, Any]:
    """The same data under the new net's input names; a single input may have another name."""
    names = [top.blob for top in new_graph.inputs]
    if len(names) == len(data) == 1:
        return dict(zip(names, data.values(), strict=True))
    if set(names) != set(data):
        raise NetError(
            f"{new_graph.prototxt.path}: its inputs are {', '.join(names) or 'none'}, those of "
            f"{graph.prototxt.path} {', '.join(data)}; give nets with the same inputs"
        )
    return dict(data)


def _only_input(graph: Graph) -> list[str]:
    names = [top.blob for top in graph.inputs]
    if len(names) != 1:
        raise NetError(
            f"{graph.prototxt.path}: it has {len(names)} inputs; windows slide over exactly one"
        )
    return names


def _pairs(graph: Graph, new_graph: Graph) -> Iterator[tuple[Top, Top]]:
    """The tops to compare: scores before the Softmax first, then the outputs themselves."""
    for old, new in _outputs(graph, new_graph):
        old_scores, new_scores = before_softmax(graph, old), before_softmax(new_graph, new)
        if old_scores or new_scores:
            yield old_scores or old, new_scores or new
        if bool(old_scores) == bool(new_scores):
            yield old, new


def _outputs(graph: Graph, new_graph: Graph) -> list[tuple[Top, Top]]:
    """The outputs of both nets, by name; the one that is left of each belong together."""
    old = {top.blob: top for top in graph.outputs if top not in graph.inputs}
    new = {top.blob: top for top in new_graph.outputs if top not in new_graph.inputs}
    pairs = [(top, new[blob]) for blob, top in old.items() if blob in new]
    left = [top for blob, top in old.items() if blob not in new]
    new_left = [top for blob, top in new.items() if blob not in old]
    if len(left) == len(new_left) == 1:
        return [*pairs, (left[0], new_left[0])]
    if left or not pairs:
        names = ", ".join(top.blob for top in left) or "any"
        raise NetError(
            f"{new_graph.prototxt.path}: no output answers to {names} of {graph.prototxt.path}; "
            f"its outputs are {', '.join(new) or 'none'}; give outputs of one meaning one name"
        )
    return pairs


def before_softmax(graph: Graph, top: Top) -> Top | None:
    """What a Softmax that makes this output reads, where it can still be read after a run."""
    layer = graph.producer(top)
    if layer.type != "Softmax" or graph.top(layer.bottoms[0].blob) != layer.bottoms[0]:
        return None
    return layer.bottoms[0]


def check_weights(graph: Graph, weights: Any, shapes: Mapping[str, Sequence[int]]) -> None:
    """Every layer that learns has weights:
    Caffe fills the others with zeros or noise and says nothing.

    `shapes` are those of the inputs.  Raises WeightsError for the first layer that has none.
    """
    sizes = infer(graph, shapes)
    if weights is not None and not isinstance(weights, store.Weights):
        weights = store.open(weights)
    for layer in graph.layers:
        if sizes.blobs(layer) and (weights is None or not weights.get(layer.name)):
            place = f'{graph.prototxt.path}:{layer.line}: layer "{layer.name}"'
            fact = (
                "no weights file is given"
                if weights is None
                else f"{weights.path} has no weights for it"
            )
            raise WeightsError(f"{place}: {fact}; transplant them first")


def _windows(net: Prototxt, canvas: Any, window: tuple[int, int], stride: int) -> Any:
    """Every whole window of the canvas: rows x columns x channels x height x width."""
    from numpy.lib.stride_tricks import sliding_window_view

    if (
        canvas.ndim != 4
        or len(canvas) != 1
        or canvas.shape[2] < window[0]
        or canvas.shape[3] < window[1]
    ):
        fact = f"the canvas is {canvas.shape}, the window {window[0]} x {window[1]}"
        raise NetError(
            f"{net.path}: {fact}; give one canvas, 1 x channels x height x width, that holds it"
        )
    views = sliding_window_view(canvas[0], window, (1, 2))[:, ::stride, ::stride]
    return views.transpose(1, 2, 0, 3, 4)


def _compare(
    net: Prototxt, new_net: Prototxt, name: str, old: Any, new_name: str, new: Any, tolerance: float
) -> Difference:
    import numpy as np

    if old.size != new.size or old.shape[:1] != new.shape[:1]:
        raise NetError(
            f"{new_net.path}: {new_name} is {new.shape}, {name} of {net.path} {old.shape}; "
            "give an input on which both have the same number of values"
        )
    reference = old.ravel().astype(np.float64)
    absolute = float(np.abs(new.ravel() - reference).max())
    largest = float(np.abs(reference).max())
    relative = absolute / largest if largest else float("inf") if absolute else 0.0
    return Difference(name, new_name, old.shape, new.shape, absolute, relative, largest, tolerance)
