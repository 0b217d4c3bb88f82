"""Which layers of a caffemodel fit a net that somebody else wrote, and which do not.

Layers are matched by name, as Caffe does, or as the caller pairs them.  A match
takes the same values in the same order: a reshape does the rest.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from fcnkit import notebook
from fcnkit.errors import WeightsError
from fcnkit.formats.blobproto import shown_shape
from fcnkit.nets.graph import Graph, Layer
from fcnkit.nets.layers.sliding import spatial
from fcnkit.nets.layers.table import (
    count_of_outputs,
    groups_of,
    has_bias,
    has_field,
    of,
    transposes,
)
from fcnkit.nets.shapes import Shapes, shapes_of
from fcnkit.plan import Move
from fcnkit.plural import number_of
from fcnkit.shape import Shape, alike
from fcnkit.tables import folded
from fcnkit.weights.blobs import Blob
from fcnkit.weights.meaning import (
    elsewhere,
    exchanged,
    other_axis,
    other_count,
    other_meaning,
    other_sums,
    remedy,
)
from fcnkit.weights.order import differences
from fcnkit.weights.store import Weights

COPIED, RESHAPED, RENAMED, FILLER = "copied", "reshaped", "renamed", "left to the filler"
UNUSED, MISMATCH, ORDER = "unused", "MISMATCH", "ORDER DIFFERS"


class LayerMatch(NamedTuple):
    """What becomes of one layer: `layer` in the new net, `source` in the file."""

    verdict: str
    layer: str
    source: str
    old: tuple[Shape, ...]
    new: tuple[Shape, ...]
    why: str = ""


@dataclass(frozen=True)
class Match:
    """How a caffemodel fits a net: a row per layer, and the moves that make it fit."""

    path: str
    net: str
    rows: tuple[LayerMatch, ...]
    moves: tuple[Move, ...]

    def of(self, *verdicts: str) -> tuple[LayerMatch, ...]:
        """The rows with one of these verdicts."""
        return tuple(row for row in self.rows if row.verdict in verdicts)

    def check(self, *, strict: bool = False) -> None:
        """Nothing stands against carrying out the moves.

        Raises WeightsError for the first layer that does not fit; when
        `strict`, also for one left to its filler, unused, or in another order.
        """
        bad = self.of(MISMATCH) or (self.of(FILLER, UNUSED, ORDER) if strict else ())
        if bad:
            row = bad[0]
            rest = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            place = f'{self.path}: layer "{row.layer or row.source}"'
            raise WeightsError(f"{place}: {row.verdict}: {row.why}{rest}")

    def json(self) -> dict[str, Any]:
        """The match as plain lists, dicts, strings and numbers."""
        return {
            "weights": self.path,
            "net": self.net,
            "rows": [_plain(row) for row in self.rows],
            "moves": [move.json() for move in self.moves],
        }

    def table(self, width: int = 80) -> str:
        """Each layer's name, what becomes of it,
        its shapes and the reason, folded to `width` columns.
        """
        rows = ((cells[:2], cells[2:]) for cells in map(_cells, self.rows))
        return folded(rows, width=width, most=width // 3)

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        return notebook.table(
            map(_cells, self.rows), caption=f"{self.path} for {self.net}", left=True
        )


def _plain(row: LayerMatch) -> dict:
    return row._asdict() | {"old": [*map(list, row.old)], "new": [*map(list, row.new)]}


def _cells(row: LayerMatch) -> tuple[str, str, str, str]:
    name = row.layer or row.source
    if row.layer and row.source not in ("", row.layer):
        name = f"{row.source} -> {row.layer}"
    shapes = (
        _show(row.old)
        if row.old == row.new or not row.new
        else f"{_show(row.old)} -> {_show(row.new)}"
    )
    return name, row.verdict, shapes.removeprefix("-> ").strip(), row.why


def _show(shapes: Sequence[Shape]) -> str:
    return ", ".join(map(shown_shape, shapes))


def match(
    before: Graph,
    after: Graph,
    shapes: Shapes,
    weights: Weights,
    *,
    names: Mapping[str, str | Sequence[str]] | None = None,
) -> Match:
    """How the weights of the net `before` fit the net `after`, layer by layer.

    `shapes` are those of `after`; where they are not known, the counts decide.  `names`
    pairs layers of other names, {old: new} or {old: [new, new]}.  Layers of `after` without
    a partner keep their fillers; layers of the file without one are left out.  A row says
    where the layers between two matched ones come in another order in the two nets.

    Raises WeightsError when `names` names a layer that is not there.
    """
    several = {old: [new] if isinstance(new, str) else new for old, new in (names or {}).items()}
    sources = {new: old for old, those in several.items() for new in those}
    pairing = _Pairing(before, after, shapes, weights, sources)
    pairing.check()
    found = [pairing.row(layer) for layer in pairing.parametric]
    rows = [row for row, _ in found]
    used = {row.source for row in rows if row.source}
    unused = [name for name, blobs in weights.items() if blobs and name not in used]
    rows += [
        LayerMatch(UNUSED, "", name, _shapes(weights[name]), (), _UNUSED_WHY) for name in unused
    ]
    matched = {row.layer: row.source for row in rows if row.layer and row.source}
    rows += [
        LayerMatch(ORDER, name, source, (), (), why)
        for name, source, why in differences(pairing.old_shapes, shapes, matched)
    ]
    moves = [move for _, moves in found for move in moves]
    moves += [Move(name, 0, (), how="drop") for name in unused]
    return Match(weights.path, after.prototxt.path, tuple(rows), tuple(moves))


_UNUSED_WHY = (
    "the new net has no layer of this name; to use these blobs, pair two layers with --map OLD=NEW"
)


def _shapes(blobs: Sequence[Blob]) -> tuple[Shape, ...]:
    return tuple(blob.shape for blob in blobs)


@dataclass(frozen=True, eq=False)
class _Pairing:
    """Two nets, the weights of the first, and which name becomes which."""

    before: Graph
    after: Graph
    shapes: Shapes
    weights: Weights
    sources: dict[str, str]

    def check(self) -> None:
        for new, old in self.sources.items():
            self.weights.layer(old)
            if not any(layer.name == new for layer in self.after.layers):
                fact = f'has no layer "{new}", which "{old}" is mapped to'
                raise WeightsError(
                    f"{self.after.prototxt.path}: {fact}; see the names with `fcnkit inspect`"
                )

    @cached_property
    def parametric(self) -> list[Layer]:
        """The layers of the new net that learn,
        and those of unknown size that the file has blobs for.
        """
        return [layer for layer in self.after.layers if self._learns(layer)]

    def _learns(self, layer: Layer) -> bool:
        expected = self.shapes.blobs(layer)
        return bool(expected or (expected is None and self.weights.get(self.source(layer))))

    def source(self, layer: Layer) -> str:
        """The name that the layer's weights have in the file, "" when it has none there."""
        if layer.name in self.sources:
            return self.sources[layer.name]
        free = layer.name in self.weights and layer.name not in self.sources.values()
        return layer.name if free else ""

    def row(self, layer: Layer) -> tuple[LayerMatch, list[Move]]:
        expected, source = self.shapes.blobs(layer), self.source(layer)
        if not source:
            return LayerMatch(
                FILLER, layer.name, "", (), tuple(expected or ()), _FILLER_WHY + _filler(layer)
            ), []
        blobs = self.weights[source]
        why_not = ""
        if expected is None:
            expected, why_not = _without_size(layer, self.shapes, blobs)
        why_not = why_not or self._misfit(layer, source, blobs, expected)
        new = tuple(map(tuple, expected))
        if why_not:
            return LayerMatch(MISMATCH, layer.name, source, _shapes(blobs), new, why_not), []
        return self._fitting(layer, source, blobs, new)

    def _fitting(
        self, layer: Layer, source: str, blobs: Sequence[Blob], new: tuple[Shape, ...]
    ) -> tuple[LayerMatch, list[Move]]:
        turned = self._turned(source, layer)
        fits = all(blob.fits(shape) for blob, shape in zip(blobs, new, strict=True))
        verdict = COPIED if fits and not turned else RESHAPED
        if source != layer.name:
            verdict = RENAMED if verdict == COPIED else f"{RENAMED}, {RESHAPED}"
        why = "its matrix is transposed first" if turned else ""
        moves = [
            Move(
                layer.name, number, shape, source, "transpose" if turned and number == 0 else "copy"
            )
            for number, shape in enumerate(new)
        ]
        row = LayerMatch(verdict, layer.name, source, _shapes(blobs), new, why)
        stays = verdict == COPIED and [*self.sources.values()].count(source) < 2
        return row, [] if stays else moves

    def _turned(self, source: str, layer: Layer) -> bool:
        old = self._old(source)
        return old is not None and transposes(old) != transposes(layer)

    def _old(self, source: str) -> Layer | None:
        return next((each for each in self.before.layers if each.name == source), None)

    def _misfit(
        self, layer: Layer, source: str, blobs: Sequence[Blob], expected: Sequence[Shape]
    ) -> str:
        """Why the blobs cannot be those of the layer; "" where they can."""
        if len(blobs) != len(expected):
            return other_count(len(blobs), len(expected))
        strange = other_meaning(self._source_type(source), layer)
        if strange:
            return strange
        stored = [blob.shape for blob in blobs]
        if self._turned(source, layer):
            stored[0] = (*stored[0][:-2], *stored[0][:-3:-1])
        lying = exchanged(stored, expected, source)
        if lying:
            return lying
        for number, (old, new) in enumerate(zip(stored, expected, strict=True)):
            if math.prod(old) != math.prod(new):
                return (
                    f"blob {number} is {shown_shape(old)} ({number_of(math.prod(old), 'value')}) "
                    "in the file, "
                    f"{shown_shape(new)} ({math.prod(new):,}) in the new net; "
                    f"{remedy(self.after, layer, old, new)}"
                )
            if not alike(old, new):
                return f"blob {number} is {elsewhere(layer, old, new)}"
        before = self._old(source)
        return other_axis(layer, stored, expected) or (
            other_sums(before, self.old_shapes, layer, self.shapes) if before else ""
        )

    def _source_type(self, source: str) -> str:
        """The type that a layer has in its own net; where none is given, in the file."""
        old = self._old(source) if self.before is not self.after else None
        return old.type if old else self.weights.layer(source).type

    @cached_property
    def old_shapes(self) -> Shapes:
        """The sizes of the net of the file, as far as they are known."""
        return shapes_of(self.before, refuse=lambda fault, error: None)


_FILLER_WHY = "the file has no layer of this name"


def _filler(layer: Layer) -> str:
    """What is to be said of the filler that the layer is left to."""
    kind = of(layer)
    if not kind.linear or layer.param(kind.message).has("weight_filler"):
        return ""
    return "; the new net gives it no weight_filler, so it would be all zeros"


def _without_size(layer: Layer, shapes: Shapes, blobs: Sequence[Blob]) -> tuple[list[Shape], str]:
    """The blob shapes of a layer whose input size is not known: the file's own, or why not.

    Outputs, groups and kernel are known all the same, and channels where the net says them.
    """
    kind = of(layer)
    taken = shapes.known_blobs(layer)
    if taken is not None and len(taken) != len(blobs):
        return [], other_count(len(blobs), len(taken))
    if not kind.linear or not blobs:
        return [blob.shape for blob in blobs], ""
    outputs, group = count_of_outputs(layer) or 0, groups_of(layer)
    channels = shapes.channels(layer.bottoms[0]) if layer.bottoms else None
    stored = len(blobs[0].shape)
    window = has_field(layer, "kernel_size")
    kernel = spatial(layer, stored if stored > 2 else 4).kernel if window else None
    inputs = channels // group if channels else None
    if kind.output_axis(layer) == 1:
        inputs, outputs = channels, outputs // group
    first = _first_blob(blobs[0].shape, outputs, inputs, kernel, kind.output_axis(layer) == 1)
    if first is None:
        known = f"{number_of(outputs, 'output')}" + (
            f" and a kernel of {shown_shape(kernel)}" if kernel else ""
        )
        from_ = f" from {number_of(inputs, 'channel')}" if inputs else ""
        return [], (
            f"blob 0 is {shown_shape(blobs[0].shape)} in the file, and the layer takes {known}"
            f"{from_}; give the layer a new name, or use the old sizes"
        )
    bias: list[Shape] = [(count_of_outputs(layer) or 0,)] * has_bias(layer)
    return [first, *bias], ""


def _first_blob(
    stored: Shape, outputs: int, inputs: int | None, kernel: Shape | None, inputs_first: bool
) -> Shape | None:
    """The shape of weights that a stored blob may be, of known outputs and kernel; None for none.

    `inputs` are the channels, where they are known; a matrix has them once for each place.
    """
    count = math.prod(stored)
    places = math.prod(kernel) if kernel is not None else 1
    if not outputs or count % (outputs * places):
        return None
    each = count // (outputs * places)
    if inputs and (each != inputs if kernel is not None else each % inputs):
        return None
    pair = (each, outputs) if inputs_first else (outputs, each)
    wanted = (*pair, *(kernel or ()))
    return wanted if alike(stored, wanted) else None
