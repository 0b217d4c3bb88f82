"""Net surgery: the weights of one net become the weights of another.

`transplant` carries out the moves of a Plan, or those that `match` found for
a net that somebody else wrote.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Protocol

from fcnkit import expected
from fcnkit.errors import WeightsError
from fcnkit.formats.blobproto import ITEM_BYTES, counted, shown_shape
from fcnkit.nets.graph import Layer, buildable
from fcnkit.nets.layers.table import keeps_statistics
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Move, Plan
from fcnkit.plural import number_of
from fcnkit.shape import Shape, alike
from fcnkit.weights import arithmetic, fillers
from fcnkit.weights.blobs import Blob, Lazy, reshaped, zeros
from fcnkit.weights.blobs import blob as as_blob
from fcnkit.weights.matching import LayerMatch, Match, match
from fcnkit.weights.store import Weights, WeightsOrPath
from fcnkit.weights.store import given as given_weights

__all__ = ["Match", "LayerMatch", "match", "transplant", "transposed"]


class Moving(Protocol):
    """A Plan, or a Match: anything with moves."""

    @property
    def moves(self) -> Sequence[Move]: ...


@expected.checked
def transplant(plan: Moving, weights: WeightsOrPath) -> Weights:
    """Makes the weights for a plan's net: carries out every move, and copies the rest.

    >>> plan = fk.convolutionalize("deploy.prototxt")
    >>> fk.transplant(plan, "net.caffemodel").save("conv.caffemodel")

    Nothing is read or written yet. A source layer that goes to one place only is renamed and
    reshaped within the file; new layers, and sources that go to several places, are written
    after the others. NVCaffe's raw data is written in the form that every Caffe reads.

    - `plan`: the Plan of a rewrite, or a match of two nets.
    - `weights`: the weights of the net before the plan, or their path.

    Returns Weights, whose values are computed when they are saved.

    Raises WeightsError if a source layer is not in the file, or if it has another number of
    blobs or values than the moves need.
    """
    if not hasattr(plan, "moves"):
        raise TypeError(f"plan: give a Plan, such as a rewrite returns, not {type(plan).__name__}")
    weights = given_weights(weights)
    _check_belongs(plan, weights)
    targets: dict[str, list[Move]] = {}
    for move in plan.moves:
        if move.how != "drop":
            targets.setdefault(move.layer, []).append(move)
    made = {target: _blobs(target, group, weights) for target, group in targets.items()}
    heirs = _heirs(targets)
    dropped = {move.layer for move in plan.moves if move.how == "drop"} | set(heirs.values())
    result = weights.drop(*(name for name in weights if name in dropped and name not in heirs))
    result = result.rename({old: new for old, new in heirs.items() if old != new})
    types = {target: _type(group) for target, group in targets.items()}
    return result.put_all(made, types=types).readable()


def _check_belongs(plan: Moving, weights: Weights) -> None:
    """What a rewrite's moves read are blobs of the net before it, as far as its sizes are known.

    Raises WeightsError for a layer with more or fewer blobs, or with values in
    another order: counts alone would let both pass.
    """
    if not isinstance(plan, Plan):
        return
    read = {layer for move in plan.moves for layer, _ in move.reads}
    for graph in buildable(plan.before)[0] if read else ():
        shapes = shapes_of(graph, refuse=lambda fault, error: None)
        for layer in graph.layers:
            expected = shapes.blobs(layer) if layer.name in read else None
            if expected is not None and weights.get(layer.name):
                _check_blobs(layer, expected, weights)


def _check_blobs(layer: Layer, expected: Sequence[Shape], weights: Weights) -> None:
    stored = weights.layer(layer.name).blobs
    where = f'{weights.path}: layer "{layer.name}"'
    if len(stored) != len(expected):
        place = f"line {layer.line} of {layer.field.source.path}"
        fact = f"has {counted(len(stored))}, and the {layer.type} on {place} takes {len(expected)}"
        raise WeightsError(
            f"{where}: {fact}; {_ONE_FORK if keeps_statistics(layer) else _SEE_BIAS}"
        )
    for number, (blob, shape) in enumerate(zip(stored, expected, strict=True)):
        if blob.count == prod(shape) and not alike(blob.shape, shape):
            raise WeightsError(
                f"{where}, blob {number}: is {shown_shape(blob.shape)}, and in the net "
                f"{shown_shape(shape)}, as many values, arranged differently; give the weights "
                "of this net"
            )


_SEE_BIAS = "check whether both have a bias (bias_term)"
_ONE_FORK = "give the weights of this net; NVCaffe's BatchNorm of five says scale_bias: true"


def _heirs(targets: Mapping[str, Sequence[Move]]) -> dict[str, str]:
    """For each source the one target that takes over its place in the file."""
    heirs: dict[str, str] = {}
    for target, group in targets.items():
        sources = _sources(group)
        if len(sources) == 1:
            (source,) = sources
            if source == target or source not in heirs:
                heirs[source] = target
    return heirs


def _sources(group: Sequence[Move]) -> set[str]:
    """The file's layers that a layer's blobs come from."""
    return {origin for move in group if (origin := move.origin) is not None}


def _type(group: Sequence[Move]) -> str:
    kinds = {"bilinear": "Deconvolution", "given": "Scale", "placed": "", "plane": "Deconvolution"}
    made = [move.first for move in group if move.first.how in kinds]
    said = (move.args[-1] for move in made if move.args and isinstance(move.args[-1], str))
    return next(said, kinds[made[0].how] if made else "")


def _blobs(target: str, group: Sequence[Move], weights: Weights) -> list[Blob | Lazy]:
    made = {move.blob: move for move in group}
    # A bias that is added is not in the file.
    added = ("fold bias", "shift")
    stored = sum(move.first.how not in added or bool(move.origin) for move in made.values())
    # Of a layer whose blobs go to several, `_check_belongs` counts them.
    parted = any(move.first.how == "blob" for move in group)
    for source in () if parted else _sources(group):
        _check_blob_count(source, target, stored, weights)
    missing = [number for number in range(len(made)) if number not in made]
    if missing:
        raise WeightsError(
            f'{weights.path}: layer "{target}": nothing is said of blob {missing[0]}, '
            f"but of blob {max(made)}; say what every blob is made of"
        )
    return [_values(made[number], weights) for number in range(len(made))]


def _check_blob_count(source: str, target: str, expected: int, weights: Weights) -> None:
    found = len(weights.layer(source).blobs)
    if found != expected:
        raise WeightsError(
            f'{weights.path}: layer "{source}": has {counted(found)}, and layer "{target}" takes '
            f"{expected}; {_SEE_BIAS}"
        )


def _values(move: Move, weights: Weights) -> Blob | Lazy:
    if move.how == "zero":
        return zeros(move.shape)
    if move.how == "given":
        return arithmetic.given(move.args[0], move.shape)
    if move.how == "placed":
        return arithmetic.placed(move.args[0], move.shape)
    if move.how == "plane":
        return arithmetic.plane(move.args[0], move.args[1], move.shape)
    if move.how == "bilinear":
        fillers.bilinear_planes(move.shape)
        return Lazy(move.shape, lambda: fillers.bilinear_planes(move.shape))
    try:
        return reshaped(_taken(move, _reader(move, weights)), move.shape)
    except WeightsError as error:
        raise WeightsError(
            f'{error} (for layer "{move.layer}", blob {move.blob}); {_REMEDY}'
        ) from None


def _reader(move: Move, weights: Weights) -> arithmetic.Read:
    """Gives the blobs that a move reads: those made before it, else the file's."""
    before = {(each.layer, each.blob): each for each in move.after}

    def read(layer: str, number: int) -> Blob:
        where = f'{weights.path}: layer "{layer}", blob {number}'
        if (layer, number) in before:
            return as_blob(_values(before[layer, number], weights), where)
        blobs = weights.layer(layer).blobs
        if number >= len(blobs):
            raise WeightsError(
                f"{where}: there are {number_of(len(blobs), 'blob')}; it belongs to another net"
            )
        return blobs[number]

    for layer, number in move.reads:
        read(layer, number)
    return read


def _taken(move: Move, read: arithmetic.Read) -> Blob:
    """What a move makes of what it reads."""
    if move.how == "fold bias":
        old = read(move.source, move.blob) if move.source else None
        (links,) = move.args
        return arithmetic.shifted(old, links, move.shape, read, f'layer "{move.layer}", new bias')
    if move.how == "shift":
        old = read(move.source, move.blob) if move.source else None
        where = f'layer "{move.layer}", new bias'
        split, axis, values = move.args
        weights = read(move.layer, 0)
        return arithmetic.moved_by(old, weights, split, axis, values, move.shape, where)
    blob = read(move.taken or move.layer, move.taken_blob)
    if move.how == "transpose":
        return transposed(blob)
    if move.how == "mix":
        return arithmetic.mixed(blob, *move.args)
    if move.how == "dense":
        (groups,) = move.args
        return arithmetic.spread(blob, groups, move.shape)
    if move.how == "group":
        (groups,) = move.args
        return arithmetic.gathered(blob, groups, move.shape)
    if move.how == "fold":
        links, axis, groups = move.args
        return arithmetic.scaled(blob, links, axis, groups, move.shape, read)
    return blob


_REMEDY = (
    "where the number of classes differs, give the layer a new name and let it start from scratch"
)


def transposed(blob: Blob) -> Blob:
    """The matrix K x N as N x K, to be made when it is written, in bounded memory.

    Legacy axes of one in front of the two do not count.  Raises WeightsError
    when it is no matrix.
    """
    sides = blob.shape[-2:]
    if len(sides) < 2 or any(dim != 1 for dim in blob.shape[:-2]):
        raise WeightsError(
            f"{blob.where}: {shown_shape(blob.shape)} is not a matrix; only a matrix can be "
            "transposed"
        )
    rows, columns = sides
    values = Lazy((columns, rows), lambda: _columns(blob, rows, columns), blob.dtype)
    return Blob(values.shape, blob.dtype, False, values, blob.where)


_BAND = 16 << 20


def _columns(blob: Blob, rows: int, columns: int) -> Iterator[memoryview]:
    """The columns of a matrix in turn, a band of them at each pass over the rows."""
    import numpy as np

    kind = f"u{ITEM_BYTES[blob.dtype]}"  # only moved, never computed with
    band = max(1, _BAND // max(1, rows * ITEM_BYTES[blob.dtype]))
    for start in range(0, columns, band):
        part = np.empty((min(band, columns - start), rows), kind)
        row = 0
        for piece in _rows(blob, columns * ITEM_BYTES[blob.dtype]):
            some = np.frombuffer(piece, kind).reshape(-1, columns)
            part[:, row : row + len(some)] = some[:, start : start + band].T
            row += len(some)
        yield part.data


def _rows(blob: Blob, length: int) -> Iterator[memoryview]:
    """The values' bytes in turn, cut only between rows of `length` bytes."""
    rest = b""
    for piece in blob.pieces():
        whole = memoryview(rest + piece if rest else piece)
        stop = len(whole) - len(whole) % length
        if stop:
            yield whole[:stop]
        rest = bytes(whole[stop:])
