"""Compares what an exported ONNX model computes with what its net computes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fcnkit.engines import onnx
from fcnkit.engines.engine import ENGINES, Engine, Job, choose
from fcnkit.engines.inputs import check_weights, input_arrays, noise
from fcnkit.errors import EngineError
from fcnkit.exporting.dynamic_axes import dynamic_axes
from fcnkit.exporting.export import export, own_outputs
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import build
from fcnkit.verify import Difference, compare, judged, unbent
from fcnkit.weights.store import GivenWeights


def verify_export(
    net: Prototxt,
    weights: GivenWeights,
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

    Raises as `fcnkit.verify.verify` does, and EngineError where ONNX Runtime is not
    installed or refuses the model, or where no other engine is installed.
    """
    runner, graph = _other(engine), build(net)
    session = onnx.opened(onnx_model, net.path)
    data = input_arrays(graph, inputs or {}, seed)
    shapes = {name: array.shape for name, array in data.items()}
    check_weights(graph, weights, shapes)
    others = dynamic_axes(graph, shapes).others()
    many = [data, *({name: noise(shape, seed) for name, shape in each.items()} for each in others)]
    blobs = [top.blob for top in own_outputs(graph)] if outputs is None else list(outputs)
    made = {blob: [top.blob for top in unbent(graph, graph.top(blob))] for blob in blobs}
    inner = [each for below in made.values() for each in below if each not in blobs]
    every = [*blobs, *dict.fromkeys(inner)]
    expected = runner.run_jobs([Job(net, weights, data, every) for data in many])
    sessions = [(session, blobs)]
    if inner:  # what outputs that keep to bounds are made of, in a model of its own
        more = export(net, weights, inputs=shapes, outputs=every[len(blobs) :])
        sessions.append((onnx.opened(more.bytes(), net.path), every[len(blobs) :]))
    rows = []
    for data, old in zip(many, expected, strict=True):
        size = ", ".join(map(_sized, data.items()))
        new = dict(pair for one, names in sessions for pair in _ran(one, names, data, net))
        for end in blobs:
            for blob in (*made[end], end):
                name = f"{blob} of {size}"
                row = compare(net, net, name, old[blob], name, new[blob], tolerance)
                rows.append(judged(row, graph, graph.top(blob), old[blob], f"{end} of {size}"))
    return tuple(rows)


def _ran(
    session: Any, names: Sequence[str], data: Mapping[str, Any], net: Prototxt
) -> Iterator[tuple[str, Any]]:
    """The outputs of a model by the names of the blobs that it was exported for."""
    return zip(names, onnx.ran(session, data, net.path).values(), strict=True)


def _other(name: str | None) -> Engine:
    """The engine to compare with, which is not the one that runs the model."""
    found = choose(name)
    if found.module != onnx.__name__:
        return found
    if name:
        raise EngineError(f'the engine "{name}" runs the model itself; name another')
    raise EngineError(f"no engine is installed to compare with: run `{ENGINES[0].install}`")


def _sized(pair: tuple[str, Any]) -> str:
    name, array = pair
    return f"{name} {' x '.join(map(str, array.shape))}"
