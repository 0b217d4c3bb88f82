"""Compares what two nets compute, layer by layer, and finds the first layer that differs."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from math import prod
from typing import Any, NamedTuple

from fcnkit import expected, notebook
from fcnkit.engines.engine import choose
from fcnkit.engines.inputs import input_arrays
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import NetOrPath
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Graph, Layer, Top, build
from fcnkit.nets.shapes import shapes_of
from fcnkit.shape import show
from fcnkit.verifying.compared import named_apart
from fcnkit.verifying.differences import Difference, compare
from fcnkit.verifying.lookups import not_looked_up
from fcnkit.verifying.unseen import learners
from fcnkit.verifying.verify import Side, renamed_inputs
from fcnkit.weights.store import GivenWeights


class LayerDifference(NamedTuple):
    """How far one top of a layer is from its counterpart in the new net.

    `line` and `new_line` are the lines of the layers. `found` is the Difference; it is None if
    the two have different counts, for example because the padding has changed.
    """

    layer: str
    line: int
    new_layer: str
    new_line: int
    blob: str
    shape: tuple[int, ...]
    new_shape: tuple[int, ...]
    found: Difference | None

    @property
    def ok(self) -> bool:
        """Whether the two could be compared, and the difference is within the tolerance."""
        return self.found is not None and self.found.ok


class LayerDifferences(NamedTuple):
    """The comparison of all layers: `rows` in the old net's order, and the layers that have no
    counterpart.

    `unseen` names rows of tables that the input never selects; "" if there are none.
    """

    rows: tuple[LayerDifference, ...]
    alone: tuple[str, ...]
    new_alone: tuple[str, ...]
    unseen: str = ""

    @property
    def first(self) -> LayerDifference | None:
        """The first LayerDifference that differs or has another count; None if there is none."""
        return next((row for row in self.rows if not row.ok), None)

    def _repr_html_(self) -> str:
        first = self.first
        caption = f"the first that differs is {first.layer}" if first else "all layers are equal"
        head = ("line", "layer", "blob", "shape", "", "largest difference", "relative")
        note = "\n".join(_alone(self))
        rows = map(_cells, self.rows)
        return notebook.table(rows, head=head, caption=caption, note=note, left=(1, 2, 3, 4))


def _cells(row: LayerDifference) -> tuple[object, ...]:
    old, new = show(row.shape), show(row.new_shape)
    name = row.layer if row.layer == row.new_layer else f"{row.layer} -> {row.new_layer}"
    where = row.line, name, row.blob, old if old == new else f"{old} -> {new}"
    if row.found is None:
        return *where, notebook.badge("another size", "bad"), "", ""
    badge = notebook.badge(*(("equal", "good") if row.ok else ("different", "bad")))
    return *where, badge, f"{row.found.absolute:.3g}", f"{row.found.relative:.2g}"


def _alone(found: LayerDifferences) -> Iterator[str]:
    for names, whose in ((found.alone, "the old"), (found.new_alone, "the new")):
        if names:
            yield f"only in {whose} net: {', '.join(names)}"
    if found.unseen:
        yield found.unseen


@expected.checked
def verify_layers(
    net: NetOrPath,
    weights: GivenWeights,
    new_net: NetOrPath,
    new_weights: GivenWeights = None,
    *,
    names: Mapping[str, Sequence[str]] | None = None,
    engine: str | None = None,
    device: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    tolerance: float = 1e-4,
    seed: int = 0,
) -> LayerDifferences:
    """Runs two nets on the same input, and compares every blob that both make.

    >>> plan = fk.convolutionalize("deploy.prototxt")
    >>> weights = fk.transplant(plan, "net.caffemodel")
    >>> found = fk.verify_layers("deploy.prototxt", "net.caffemodel", plan.net, weights)
    >>> found.first is None, found.rows[0].layer
    (True, 'conv1')

    Layers are matched by name. If a layer overwrites a blob in place, the values before and
    after it are compared. Differences in a channel are relative to the size of the values in
    that channel.

    - `net`, `weights`: the old net and its weights, or their paths.
    - `new_net`, `new_weights`: the new net and its weights. Without `new_weights`, both nets
      use `weights`.
    - `names`: {old name: [new name, ...]} for layers that have other names.
    - `engine`: one of `installed_engines()`; by default the first.
    - `device`: such as "cpu" or "cuda", for an engine with several devices.
    - `inputs`: arrays, or shapes for random input, by blob name.
    - `tolerance`: the largest relative difference that counts as equal.
    - `seed`: the seed of the random input.

    Returns LayerDifferences; `first` is the first LayerDifference that is not equal.

    Raises as `fcnkit.verify` does, and NetError if the nets have no layer in common.
    """
    old = Side(build(given_net(net)), weights)
    new = Side(build(given_net(new_net)), weights if new_weights is None else new_weights)
    runner = choose(engine, device, nets=(old.graph.prototxt, new.graph.prototxt))
    data = input_arrays(old.graph, inputs or {}, seed)
    new_data = renamed_inputs(old.graph, new.graph, data)
    _check_names(old.graph, new.graph, names or {})
    pairs = list(_pairs(old.graph, new.graph, names or {}))
    if not pairs:
        raise NetError(
            f"{new.graph.prototxt.path}: no layer has the name of one of "
            f"{old.graph.prototxt.path}; give the pairs as {{old: [new]}} (--map)"
        )
    apart, tops = named_apart(old.graph, [top for _, top, _, _ in pairs])
    new_apart, new_tops = named_apart(new.graph, [top for _, _, _, top in pairs])
    jobs = [old.job(apart, data, tops), new.job(new_apart, new_data, new_tops)]
    values, new_values = runner.run_jobs(jobs)
    rows = []
    for layer, top, new_layer, new_top in pairs:
        array, new_array = values[tops[top]], new_values[new_tops[new_top]]
        row = None
        if prod(array.shape) == prod(new_array.shape) and array.shape[:1] == new_array.shape[:1]:
            row = compare(
                old.graph.prototxt, new.graph.prototxt,
                top.blob, array, new_top.blob, new_array, tolerance,
            )  # fmt: skip
        places = layer.name, layer.line, new_layer.name, new_layer.line
        rows.append(LayerDifference(*places, top.blob, array.shape, new_array.shape, row))
    matched = {layer.name for layer, _, _, _ in pairs}, {layer.name for _, _, layer, _ in pairs}
    alone, new_alone = (
        tuple(layer.name for layer in graph.layers if layer.bottoms and layer.name not in known)
        for graph, known in zip((old.graph, new.graph), matched, strict=True)
    )
    sizes = shapes_of(old.graph, {name: array.shape for name, array in data.items()})
    read = {**tops, **{top: top.blob for top in old.graph.inputs}}
    unseen = not_looked_up(learners(old.graph, sizes), read, {**values, **data})
    return LayerDifferences(tuple(rows), alone, new_alone, unseen)


def _check_names(graph: Graph, new_graph: Graph, names: Mapping[str, Sequence[str]]) -> None:
    """NetError for a name that is no layer of its net: it would match nothing."""
    for known, wanted in ((graph, list(names)), (new_graph, list(chain(*names.values())))):
        layers = {layer.name for layer in known.layers}
        for name in wanted:
            if name not in layers:
                fact = f'has no layer "{name}", which the map names'
                raise NetError(f"{known.prototxt.path}: {fact}; see `fcnkit inspect`")


def _pairs(
    graph: Graph, new_graph: Graph, names: Mapping[str, Sequence[str]]
) -> Iterator[tuple[Layer, Top, Layer, Top]]:
    """The tops of layers that both nets have, but for inputs."""
    named = {layer.name: layer for layer in new_graph.layers}
    for layer in graph.layers:
        for name in names.get(layer.name, [layer.name]):
            other = named.get(name)
            if other and layer.bottoms and other.bottoms:
                for top, new_top in zip(layer.tops, other.tops, strict=False):
                    yield layer, top, other, new_top
