"""What a net is, layer by layer: shapes, sizes, cost, and where its tops lie."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

from fcnkit import expected, notebook
from fcnkit.errors import AlignError, NetError
from fcnkit.formats.prototxt import NetOrPath
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets import coords
from fcnkit.nets.coordmap import CoordMap, show
from fcnkit.nets.graph import Graph, Layer, State, Top, build
from fcnkit.nets.layers.axes import Open
from fcnkit.nets.layers.table import TYPES, of
from fcnkit.nets.memory import Memory, memory
from fcnkit.nets.shapes import Shapes, shapes_of
from fcnkit.plural import number_of
from fcnkit.shape import Shape, alike
from fcnkit.shape import show as shape_text
from fcnkit.tables import aligned
from fcnkit.weights.blobs import Blob
from fcnkit.weights.store import given as given_weights


class LayerRow(NamedTuple):
    """One layer in the table of `fk.inspect`. None is used for what is not known or not defined.

    `shape` is the shape of its first top, and `field` the receptive field in pixels of the
    input. `scale` and `offset` are the map from the input to its top, and `own` is the layer's
    own offset. `back` is the offset from its bottom to the last upsampled top of the net.
    `memory` is what Caffe's log gives after this layer as "memory
    required for data", in bytes.
    """

    line: int
    name: str
    type: str
    shape: Shape | None
    params: int | None
    macs: int | None
    scale: tuple[Fraction, ...] | None
    own: tuple[Fraction, ...] | None
    offset: tuple[Fraction, ...] | None
    back: tuple[Fraction, ...] | None
    field: tuple[int, ...] | None
    memory: int | None
    weights: str = ""


# How a stored blob goes into a layer: see `fit`.
FITS, RESHAPE, MISMATCH = "fits", "reshape", "MISMATCH"

# The columns of the table, which is cut in two where it is too wide.
_SIZES = ("line", "layer", "type", "shape", "parameters", "multiply-adds")
_PLACES = ("scale", "own", "offset", "back", "field")
_LEFT = ("layer", "type")


@dataclass(frozen=True)
class Inspection:
    """A net in one state as a table: a row for each layer, and the sums."""

    path: str
    state: State
    origin: str
    end: str
    rows: tuple[LayerRow, ...]
    memory: Memory
    notes: tuple[str, ...] = ()

    @property
    def params(self) -> int:
        """The number of parameters, as far as sizes are known."""
        return sum(row.params or 0 for row in self.rows)

    @property
    def macs(self) -> int:
        """The number of multiply-adds of one forward pass, as far as sizes are known."""
        return sum(row.macs or 0 for row in self.rows)

    @property
    def offsets(self) -> dict[str, tuple[Fraction, ...]]:
        """The offset of each layer, counted from the input."""
        return {row.name: row.offset for row in self.rows if row.offset is not None}

    @property
    def _extra(self) -> tuple[str, ...]:
        return ("weights",) if any(row.weights for row in self.rows) else ()

    def table(self, width: int = 10_000, *, memory: bool = False) -> str:
        """The rows as aligned text. A table that is wider than `width` is split in two.

        With `memory`, it has what Caffe's log says after each layer, and the sums below.
        """
        extra = ("memory",) * memory + self._extra
        left = (*_LEFT, *self._extra)
        title = f"{self.path}, {self.state}\n"
        totals = self.totals() + self.memory_totals() * memory
        whole = aligned((*_SIZES, *_PLACES, *extra), map(_cells, self.rows), left)
        if max(map(len, whole.splitlines()), default=0) <= width:
            return title + whole + totals
        sizes = aligned((*_SIZES, *extra), map(_cells, self.rows), left)
        places = aligned(("line", "layer", *_PLACES), map(_cells, self.rows), left)
        return f"{title}{sizes}\n{places}{totals}"

    def cells(self) -> list[dict[str, str]]:
        """The texts of the table: a dict for each layer, by the names of the columns."""
        names = (*_SIZES, *_PLACES, "memory", *self._extra)
        return [{name: words[name] for name in names} for words in map(_cells, self.rows)]

    def totals(self) -> str:
        """The sums, and what the columns mean, as text."""
        back = f'; back: from its input to "{self.end}"' if self.end else ""
        return (
            f"{number_of(len(self.rows), 'layer')}, {number_of(self.params, 'parameter')}, "
            f"{self.macs:,} multiply-adds\n"
            f'scale, offset: from "{self.origin}"{back}\n'
            + "".join(f"{note}\n" for note in self.notes)
        )

    def memory_totals(self) -> str:
        """The memory that the net needs, in bytes, as text; it says what is an estimate."""
        found = self.memory
        counted = "?" if found.counted is None else f"{found.counted:,}"
        return (
            f"memory: what Caffe's log says after each layer; {counted} bytes after "
            "the last\n"
            f"estimate: {number_of(found.data, 'byte')} for tops, {found.columns:,} for im2col,\n"
            f"  {found.parameters:,} for parameters: {found.testing:,} to test, "
            f"{found.training:,} to train\n"
        )

    def json(self) -> dict[str, Any]:
        """The content as plain lists, dicts, strings and numbers; fractions are strings."""
        return {
            "net": self.path,
            "phase": self.state.phase,
            "input": self.origin,
            "end": self.end,
            "parameters": self.params,
            "macs": self.macs,
            "notes": list(self.notes),
            "memory": {
                "counted": self.memory.counted,
                "data": self.memory.data,
                "im2col": self.memory.columns,
                "parameters": self.memory.parameters,
                "testing": self.memory.testing,
                "training": self.memory.training,
            },
            "layers": [
                {name: _plain(value) for name, value in row._asdict().items()} for row in self.rows
            ],
        }

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        names = (*_SIZES, *_PLACES, *self._extra)
        rows = ([_cells(row)[name] for name in names] for row in self.rows)
        left = [at for at, name in enumerate(names) if name in (*_LEFT, *self._extra)]
        caption = f"{self.path}, {self.state}"
        return notebook.table(rows, head=names, caption=caption, note=self.totals(), left=left)


@expected.checked
def inspect(
    net: NetOrPath,
    *,
    weights: Mapping[str, Sequence[Blob]] | str | os.PathLike[str] | None = None,
    state: State = State(),
    inputs: Mapping[str, Shape] | None = None,
    to: str | None = None,
) -> Inspection:
    """Shows what Caffe would build from the net in one state, as a table of layers.

    >>> found = fk.inspect(fk.template("lenet"), inputs={"data": (1, 1, 56, 56)})
    >>> found.rows[1].name, found.rows[1].shape
    ('conv1', (1, 20, 52, 52))
    >>> fk.inspect(fk.template("alexnet")).params
    60965224

    - `net`: a Prototxt or its path.
    - `weights`: a mapping from layer name to blobs, such as Weights. Each row then says whether
      the blobs fit.
    - `state`: a State, such as fk.State("TRAIN"); by default TEST.
    - `inputs`: shapes by blob name, instead of those in the file.
    - `to`: the blob from which offsets are counted; by default the first input.

    Returns an Inspection, whose `rows` are the layers.

    Raises NetError if the net cannot be built.
    """
    net = given_net(net)
    if isinstance(weights, str | os.PathLike):
        weights = given_weights(weights)
    graph = build(net, state)
    notes: list[str] = []
    shapes = shapes_of(graph, inputs, refuse=partial(_refuse, notes))
    origin = _first(graph, to) if to else _origin(graph)
    places = coords.downward(graph, origin) if origin else {}
    end = _end(graph, places)
    back = _back(graph, end) if end else {}
    ndim = _spatial_axes(shapes, origin)
    fields = _fields(graph, places, origin, ndim) if origin else {}
    taken = memory(graph, shapes)
    rows = tuple(
        _row(layer, shapes, places, back, fields, ndim)._replace(
            weights=_fit(layer, shapes, weights), memory=taken.logged[layer.index]
        )
        for layer in graph.layers
    )
    return Inspection(
        net.path,
        state,
        origin.blob if origin else "",
        end.blob if end else "",
        rows,
        taken,
        tuple(notes),
    )


def _refuse(notes: list[str], name: str, error: NetError) -> None:
    """An open number of outputs is noted; raises whatever else Caffe would refuse."""
    if not isinstance(error, Open):
        raise error
    notes.append(str(error))


def _spatial_axes(shapes: Shapes, origin: Top | None) -> int:
    """How many axes an image has behind its channels; 2 where that is not known."""
    shape = shapes.tops[origin] if origin else None
    return 2 if shape is None else max(1, len(shape) - 2)


def _row(
    layer: Layer, shapes: Shapes, places: Mapping, back: Mapping, fields: Mapping, ndim: int
) -> LayerRow:
    top = layer.tops[0] if layer.tops else None
    bottom = next(iter(coords.carriers(layer)), None)
    shape = shapes.tops[top] if top else None
    own = coords.own(shapes.graph, layer) if bottom and top in places else None
    here = places.get(top)
    later = back.get(bottom) if top in back else None
    return LayerRow(
        layer.line,
        layer.name,
        layer.type,
        shape,
        shapes.parameters(layer),
        shapes.macs(layer),
        _scale(here, ndim),
        _shift(own, ndim),
        _shift(here, ndim),
        _shift(later.inverse(), ndim) if later else None,
        fields.get(top),
        None,
    )


def _scale(each: CoordMap | None, ndim: int) -> tuple[Fraction, ...] | None:
    """The scales of the last axes; None for no map."""
    return None if each is None else _scales(each, ndim)


def _scales(each: CoordMap, ndim: int) -> tuple[Fraction, ...]:
    return ((Fraction(1),) * ndim + each.scale)[-ndim:]


def _shift(each: CoordMap | None, ndim: int) -> tuple[Fraction, ...] | None:
    """The shifts of the last axes; None for no map."""
    return None if each is None else ((Fraction(0),) * ndim + each.shift)[-ndim:]


def _origin(graph: Graph) -> Top | None:
    sources = [top for layer in graph.layers if not layer.bottoms for top in layer.tops]
    return graph.inputs[0] if graph.inputs else next(iter(sources), None)


def _first(graph: Graph, blob: str) -> Top:
    graph.top(blob)
    return next(top for top in graph.tops if top.blob == blob)


def _end(graph: Graph, places: Mapping[Top, CoordMap]) -> Top | None:
    """The last upsampled top; None in a net without Deconvolution."""
    upsampled = [top for top in places if of(graph.producer(top)).spreads]
    return max(upsampled, key=lambda top: top.layer, default=None)


def _back(graph: Graph, end: Top) -> Mapping[Top, CoordMap]:
    """The maps from `end` to the tops above it;
    none where its branches disagree, which `align` reports.
    """
    try:
        return coords.upward(graph, end).maps
    except AlignError:
        return {}


def _fields(
    graph: Graph, places: Mapping[Top, CoordMap], origin: Top, ndim: int
) -> dict[Top, tuple[int, ...]]:
    """The receptive field of one pixel of each top, in pixels of `origin`, on each of its axes.

    It grows by (extent - 1) steps of the bottom, and the larger branch counts.
    """
    fields: dict[Top, Shape] = {origin: (1,) * ndim}
    for layer in graph.layers[origin.layer + 1 :]:
        known = [bottom for bottom in coords.carriers(layer) if bottom in fields]
        kind = TYPES.get(layer.type) if known else None
        window = kind.window(layer, coords.axes(graph, layer)) if kind else None
        if window is None or not all(top in places for top in layer.tops):
            continue
        extents = ((1,) * ndim + tuple(extent for extent, _ in window))[-ndim:]
        grown = [_grown(fields[bottom], extents, places[bottom]) for bottom in known]
        fields.update((top, tuple(map(max, zip(*grown, strict=True)))) for top in layer.tops)
    return fields


def _grown(field: tuple[int, ...], extents: tuple[int, ...], place: CoordMap) -> tuple[int, ...]:
    return tuple(
        int(size + (extent - 1) / step)
        for size, extent, step in zip(field, extents, _scales(place, len(field)), strict=True)
    )


def _fit(layer: Layer, shapes: Shapes, weights: Mapping[str, Sequence[Blob]] | None) -> str:
    if weights is None:
        return ""
    needed, given = shapes.blobs(layer), weights.get(layer.name, ())
    if needed is None or not (needed or given):
        return "?" if given else "-"
    if not given:
        return "missing"
    if len(given) != len(needed):
        return f"{number_of(len(given), 'blob')} for {len(needed)}"
    return _compared(needed, given)


def _compared(needed: Sequence, given: Sequence) -> str:
    for want, have in zip(needed, given, strict=True):
        verdict = fit(have, want)
        if verdict != FITS:
            return f"{verdict} {'x'.join(map(str, have.shape))}"
    return FITS


def fit(blob: Blob, shape: Sequence[int]) -> str:
    """Whether a stored blob fits a parameter of this shape, as it is or after a reshape."""
    if blob.fits(shape):
        return FITS
    return RESHAPE if alike(blob.shape, shape) else MISMATCH


def _cells(row: LayerRow) -> dict[str, str]:
    return {
        "line": str(row.line),
        "layer": row.name,
        "type": row.type,
        "shape": "?" if row.shape is None else shape_text(row.shape, "x"),
        "parameters": "?" if row.params is None else f"{row.params:,}",
        "multiply-adds": "?" if row.macs is None else f"{row.macs:,}",
        "scale": "" if row.scale is None else show(row.scale),
        "own": "" if row.own is None else show(row.own, decimal=True),
        "offset": "" if row.offset is None else show(row.offset, decimal=True),
        "back": "" if row.back is None else show(row.back, decimal=True),
        "field": "" if row.field is None else show(row.field),
        "memory": "?" if row.memory is None else f"{row.memory:,}",
        "weights": row.weights,
    }


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Fraction) else value
