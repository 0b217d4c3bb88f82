"""Compares what an imported net computes with what its ONNX model computes, blob by blob."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from fcnkit import expected
from fcnkit.engines import onnx
from fcnkit.engines.engine import ENGINES, Engine, Job, choose, how_to_install
from fcnkit.engines.inputs import UNIT, noise
from fcnkit.errors import EngineError
from fcnkit.importing.imported import Imported, Tensor
from fcnkit.nets.graph import Graph, Top, build
from fcnkit.nets.layers.table import of
from fcnkit.shape import Shape
from fcnkit.verifying.compared import named_apart
from fcnkit.verifying.differences import Difference, compare
from fcnkit.verifying.results import Differences, Made


@expected.checked
def verify_import(
    made: Imported,
    *,
    engine: str | None = None,
    tolerance: float = 1e-4,
    seed: int = 0,
) -> Differences:
    """Runs an ONNX model in ONNX Runtime and the imported net on an engine, and compares all
    tensors.

    >>> fk.export("deploy.prototxt", "net.caffemodel").save("model.onnx")
    >>> all(row.ok for row in fk.verify_import(fk.from_onnx("model.onnx")))
    True

    Every tensor that both have is compared, in the model's order, at every size that was tried
    in the import.

    - `made`: an Imported.
    - `engine`: one of `installed_engines()`; by default Caffe if it is installed, else PyTorch.
    - `tolerance`: the largest relative difference that counts as equal.
    - `seed`: the seed of the random input.

    Returns a Difference for each tensor.

    Raises EngineError if ONNX Runtime is not installed or refuses the model, or if no other
    engine is installed.
    """
    return verify_imports([made], engine=engine, tolerance=tolerance, seed=seed)[0]


def verify_imports(
    several: Sequence[Imported],
    *,
    engine: str | None = None,
    tolerance: float = 1e-4,
    seed: int = 0,
) -> list[Differences]:
    """The same of several models, whose nets an engine such as Caffe runs in one process."""
    runner = _other(engine)
    pairs = [_Pair(made, seed) for made in several]
    found = iter(runner.run_jobs([job for pair in pairs for job in pair.jobs]))
    return [
        Differences.of(
            pair.rows([next(found) for _ in pair.jobs], tolerance),
            Made.by(
                runner, f"noise of seed {seed}", tolerance, pair.made.net, pair.made.weights or None
            ),
        )
        for pair in pairs
    ]


class _Pair:
    """A model and its net, with what both are to be run on."""

    def __init__(self, made: Imported, seed: int) -> None:
        self.made, self.graph = made, build(made.net)
        tops = {each: _top(self.graph, each) for each in made.tensors}
        self.tops = {each: top for each, top in tops.items() if top is not None}
        apart, self.names = named_apart(self.graph, list(self.tops.values()))
        self.feeds = [
            {name: _values(made, name, shape, seed) for name, shape in shapes.items()}
            for shapes in made.inputs
        ]
        wanted, blobs = list(dict.fromkeys(self.names.values())), made.blobs
        self.jobs = [
            Job(
                apart,
                made.weights or None,
                {
                    blobs[name].blob: blobs[name].to_blob(array)
                    for name, array in feed.items()
                    if name in blobs
                },
                wanted,
            )
            for feed in self.feeds
        ]

    def rows(self, found: Sequence[Mapping[str, Any]], tolerance: float) -> Iterator[Difference]:
        """A Difference for each tensor at each size, of what the net has computed."""
        made = self.made
        model = onnx.opened_with(made.source, [each.name for each in self.tops])
        for trial, (feed, values) in enumerate(zip(self.feeds, found, strict=True)):
            expected = onnx.ran(model, feed, made.path)
            size = ", ".join(f"{name} {' x '.join(map(str, a.shape))}" for name, a in feed.items())
            for each, top in self.tops.items():
                new = values[self.names[top]]
                row = _row(made, each, expected[each.name], new, trial, size, tolerance)
                yield (
                    _bounded(row)
                    if of(self.graph.producer(top)).saturates(self.graph.producer(top))
                    else row
                )


def _values(made: Imported, name: str, shape: Shape, seed: int) -> Any:
    """Noise of a few units, as networks that are trained elsewhere take images, or of bytes
    for an input of whole numbers.
    """
    found = noise(shape, seed)
    return abs(found).round().clip(0, 127) if name in made.whole else found * UNIT


def _row(
    made: Imported, each: Tensor, old: Any, new: Any, trial: int, size: str, tolerance: float
) -> Difference:
    new = each.of_blob(new, trial)
    new = new.reshape(old.shape) if prod(new.shape) == prod(old.shape) else new
    name = f"{each.name} of {size}"
    # What a blob is made of is compared too: a channel that another dwarfs in it was seen there.
    return compare(made.net, made.net, name, old, each.blob, new, tolerance, alike=True)


def _bounded(row: Difference) -> Difference:
    """What keeps to bounds is judged by them: what it is made of is compared too, by its own."""
    return row._replace(relative=row.absolute / max(row.largest, 1.0))


def _top(graph: Graph, each: Tensor) -> Top | None:
    layer = graph.layer(each.layer)
    return next((top for top in layer.tops if top.blob == each.blob), None)


def _other(name: str | None) -> Engine:
    """The engine to compare with, which is not the one that runs the model."""
    if name:
        found = choose(name)
        if found.module == onnx.__name__:
            raise EngineError(f'the engine "{name}" runs the model itself; choose another')
        return found
    others = [engine for engine in ENGINES if engine.name in ("caffe", "torch")]
    for engine in others:
        if engine.available():
            return engine
    names = [engine.name for engine in others]
    raise EngineError(f"no engine is installed to compare with; {how_to_install(names)}")


def first_different(rows: Sequence[Difference]) -> Difference | None:
    """The first that differs, in the model's order."""
    return next((row for row in rows if not row.ok), None)
