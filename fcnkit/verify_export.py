"""Compares what an exported ONNX model computes with what its net computes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fcnkit.compared import hidden, named_apart, needed, pairs, to_read
from fcnkit.engines import onnx
from fcnkit.engines.engine import ENGINES, Engine, Job, choose, how_to_install
from fcnkit.engines.inputs import check_weights, input_arrays, noise
from fcnkit.errors import EngineError
from fcnkit.exporting.dynamic_axes import dynamic_axes
from fcnkit.exporting.export import export, own_outputs
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import build
from fcnkit.differences import Difference, compare
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
    outputs = [top.blob for top in own_outputs(graph)] if outputs is None else list(outputs)
    every = pairs(graph, graph, outputs)
    apart, names = named_apart(graph, to_read(every)[0])
    inner = [blob for blob in dict.fromkeys(names.values()) if blob not in outputs]
    expected = runner.run_jobs([Job(apart, weights, data, [*outputs, *inner]) for data in many])
    sessions = [(session, outputs)]
    if inner:  # what outputs that could hide a difference are made of, in a model of its own
        more = export(apart, weights, inputs=shapes, outputs=inner)
        sessions.append((onnx.opened(more.bytes(), net.path), inner))
    rows = []
    for data, old in zip(many, expected, strict=True):
        size = ", ".join(map(_sized, data.items()))
        new = dict(pair for one, words in sessions for pair in _ran(one, words, data, net))
        chosen = needed(graph, every, names, old)
        for pair in chosen:
            blob = names[pair.old]
            name = f"{blob} of {size}"
            row = compare(net, net, name, old[blob], name, new[blob], tolerance)
            below = [each.old for each in chosen if pair.old in each.ends]
            made_of = tuple(f"{names[top]} of {size}" for top in below)
            why = row.hidden or hidden(graph, pair.old, old[blob])
            rows.append(row._replace(made_of=made_of, hidden=why))
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
    others = [engine.name for engine in ENGINES if engine.module != onnx.__name__]
    raise EngineError(f"no engine is installed to compare with; {how_to_install(others)}")


def _sized(pair: tuple[str, Any]) -> str:
    name, array = pair
    return f"{name} {' x '.join(map(str, array.shape))}"
