"""Compares what an exported ONNX model computes with what its net computes."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from fcnkit.engines import onnx
from fcnkit.engines.engine import ENGINES, Engine, Job, choose, how_to_install
from fcnkit.engines.inputs import check_weights, input_arrays, other_arrays
from fcnkit.errors import EngineError
from fcnkit.exporting.dynamic_axes import dynamic_axes
from fcnkit.exporting.export import export, own_outputs
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import Graph, Top, build
from fcnkit.nets.shapes import shapes_of
from fcnkit.shape import Shape
from fcnkit.verifying.compared import named_apart, pairs
from fcnkit.verifying.differences import Difference
from fcnkit.verifying.unseen import Comparison, Run, Runs, compared, leads_to, learners, rows_of
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

    Raises as `fcnkit.verifying.verify.verify` does, and EngineError where ONNX Runtime is not
    installed or refuses the model, or where no other engine is installed.
    """
    runner, graph = _other(engine), build(net)
    session = onnx.opened(onnx_model, net.path)
    data = input_arrays(graph, inputs or {}, seed)
    other = other_arrays(graph, inputs or {}, data, seed)
    shapes = {name: array.shape for name, array in data.items()}
    check_weights(graph, weights, shapes)
    outputs = [top.blob for top in own_outputs(graph)] if outputs is None else list(outputs)
    net_run = _Runs(graph, weights, runner, (session, outputs), shapes)

    def run(tops: Collection[Top], new_tops: Collection[Top]) -> Run:
        names, both = net_run.net(tops, [data, other] if tops else [])
        values, others = both or ({}, {})
        new_names, new_values = net_run.model(new_tops, data)
        return Run(names, values, others, new_names, new_values)

    made_of = leads_to(graph, [graph.top(blob) for blob in outputs])
    learn = [each for each in learners(graph, shapes_of(graph, shapes)) if each.index in made_of]
    found = compared(
        graph, graph, learn, pairs(graph, graph, outputs), Runs(run, (data, other)), tolerance
    )
    rows = _rows(graph, found, data, tolerance)
    others = [input_arrays(graph, each, seed) for each in dynamic_axes(graph, shapes).others()]
    olds, news = [pair.old for pair in found.pairs], [pair.new for pair in found.pairs]
    names, values = net_run.net(olds, others)
    for data, each in zip(others, values, strict=True):
        again = found._replace(run=Run(names, each, {}, *net_run.model(news, data)))
        rows += _rows(graph, again, data, tolerance)
    return tuple(rows)


def _rows(
    graph: Graph, found: Comparison, data: Mapping[str, Any], tolerance: float
) -> list[Difference]:
    """A Difference for each pair, named by the sizes of the inputs as well."""
    size = ", ".join(map(_sized, data.items()))
    return [
        row._replace(
            output=f"{row.output} of {size}",
            new_output=f"{row.new_output} of {size}",
            made_of=tuple(f"{name} of {size}" for name in row.made_of),
        )
        for row in rows_of(graph, graph, found, tolerance)
    ]


class _Runs(NamedTuple):
    """The net on an engine, and in ONNX Runtime as the model and, inside, as others like it."""

    graph: Graph
    weights: GivenWeights
    runner: Engine
    model_itself: tuple[Any, list[str]]
    shapes: Mapping[str, Shape]

    def net(
        self, tops: Collection[Top], many: Sequence[Mapping[str, Any]]
    ) -> tuple[Mapping[Top, str], list[dict[str, Any]]]:
        """What the net makes of each of many inputs, and the names of the tops in it."""
        apart, names = named_apart(self.graph, tops)
        blobs = list(dict.fromkeys(names.values()))
        jobs = [Job(apart, self.weights, data, blobs) for data in many]
        return names, self.runner.run_jobs(jobs) if jobs else []

    def model(
        self, tops: Collection[Top], data: Mapping[str, Any]
    ) -> tuple[Mapping[Top, str], dict[str, Any]]:
        """What the model makes of its outputs, and a model of its own of the other tops."""
        if not tops:
            return {}, {}
        apart, names = named_apart(self.graph, tops)
        session, outputs = self.model_itself
        sessions = [(session, outputs)]
        inner = [blob for blob in dict.fromkeys(names.values()) if blob not in outputs]
        if inner:  # what outputs that could hide a difference are made of
            more = export(apart, self.weights, inputs=self.shapes, outputs=inner)
            sessions.append((onnx.opened(more.bytes(), self.graph.prototxt.path), inner))
        path = self.graph.prototxt.path
        ran = ((words, onnx.ran(one, data, path).values()) for one, words in sessions)
        return names, {
            name: array for words, arrays in ran for name, array in zip(words, arrays, strict=True)
        }


def _other(name: str | None) -> Engine:
    """The engine to compare with, which is not the one that runs the model."""
    found = choose(name)
    if found.module != onnx.__name__:
        return found
    if name:
        raise EngineError(f'the engine "{name}" runs the model itself; choose another')
    others = [engine.name for engine in ENGINES if engine.module != onnx.__name__]
    raise EngineError(f"no engine is installed to compare with; {how_to_install(others)}")


def _sized(pair: tuple[str, Any]) -> str:
    name, array = pair
    return f"{name} {' x '.join(map(str, array.shape))}"
