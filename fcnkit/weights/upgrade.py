"""Caffemodels of any age in the V2 format: headers are rewritten, tensors are copied as they stand.

What a caffemodel says beside its blobs is a small net.  It is taken out as a
prototxt, brought up to date as any prototxt is, and put back around the blobs.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fcnkit import files
from fcnkit.errors import WeightsError
from fcnkit.formats import prototxt
from fcnkit.formats.caffemodel import LayerSpan
from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.schema import message
from fcnkit.formats.wire import tag, varint
from fcnkit.plan import Plan
from fcnkit.plural import number_of
from fcnkit.progress import Progress, no_progress, reported
from fcnkit.weights import store
from fcnkit.weights.blobs import OpenFile

if TYPE_CHECKING:
    from google.protobuf.message import Message

_LAYER, _BLOBS = 100, 7

Part = bytes | range


@dataclass(frozen=True, eq=False, repr=False)
class Upgraded:
    """A caffemodel in the V2 format, to be saved; `plan` is what became of its small net.

    `parts` are the file's bytes in turn: new ones, and ranges of the old file's.
    """

    path: str
    plan: Plan
    parts: tuple[Part, ...]
    source: OpenFile | None

    @property
    def nbytes(self) -> int:
        """How long the file will be."""
        return sum(map(len, self.parts))

    def save(
        self, path: str | os.PathLike[str], *, force: bool = False, progress: Progress = no_progress
    ) -> None:
        """The file at `path` holds these weights; it is written whole or not at all.

        `progress` is called with each number of bytes that has been written.
        Raises WeightsError when the file that was read has changed since,
        OutputError when `path` cannot be written or exists (see `force`).
        """
        with files.atomic(path, force=force, size=self.nbytes) as file:
            for part in self.parts:
                for piece in reported(self._pieces(part), progress):
                    file.write(piece)
            if self.source:
                self.source.check()

    def _pieces(self, part: Part) -> Iterator[bytes | memoryview]:
        if isinstance(part, range):
            return self.source.pieces(part.start, part.stop) if self.source else iter(())
        return iter((part,))

    def __repr__(self) -> str:
        return f"<Upgraded {self.path}: {number_of(self.nbytes, 'byte')}>"


def upgrade(path: str | os.PathLike[str], rewrite: Callable[[Prototxt], Plan]) -> Upgraded:
    """The caffemodel at `path` in the V2 format; no tensor is read.

    `rewrite` is `fcnkit.rewrites.upgrade.upgrade`, which brings what the file
    says beside its blobs up to date.  Where it has nothing to do, the file is
    copied byte for byte.  A V0 file, from 2013, is decoded as a whole.

    Raises WeightsError for a file that is not a whole caffemodel.
    """
    try:
        weights = store.open(path)
    except WeightsError:
        old = _decoded(path)
        if old is None:
            raise
        return _v0(os.fspath(path), old, rewrite)
    net = _net(weights)
    plan = rewrite(_text(net, weights.path))
    if not plan.changed:
        return Upgraded(weights.path, plan, (range(weights.layout.size),), weights.source)
    blobs = [[range(blob.body, blob.stop) for blob in span.blobs] for span in weights.layout.layers]
    parts = _parts(_parsed(plan.net), blobs)
    return Upgraded(weights.path, plan, tuple(parts), weights.source)


def _net(weights: store.Weights) -> "Message":
    """What the file says beside its blobs."""
    source, layout = weights.source, weights.layout
    net, at = message("NetParameter")(), 0
    for span in layout.layers:
        net.MergeFromString(_bytes(source, at, span.start))
        layer = net.layer.add() if layout.kind == "layer" else net.layers.add()
        layer.MergeFromString(_without_blobs(source, span))
        at = span.stop
    net.MergeFromString(_bytes(source, at, layout.size))
    return net


def _without_blobs(source: OpenFile | None, span: LayerSpan) -> bytes:
    stops = [span.body, *(blob.stop for blob in span.blobs)]
    starts = [*(blob.start for blob in span.blobs), span.stop]
    return b"".join(_bytes(source, start, stop) for start, stop in zip(stops, starts, strict=True))


def _bytes(source: OpenFile | None, start: int, stop: int) -> bytes:
    whole = source and start < stop
    return b"".join(map(bytes, source.pieces(start, stop))) if source and whole else b""


def _text(net: "Message", path: str) -> Prototxt:
    from google.protobuf import text_format

    return prototxt.parse(text_format.MessageToString(net), path)


def _parsed(net: Prototxt) -> "Message":
    from google.protobuf import text_format

    return text_format.Parse(net.text, message("NetParameter")())


def _parts(net: "Message", blobs: Sequence[Sequence[Part]]) -> Iterator[Part]:
    """The file of a net and the contents of its layers' blobs.

    The net may have one layer more in front, which Caffe makes of its inputs.
    """
    ahead = [()] * (len(net.layer) - len(blobs))
    layers = [_layer(layer, own) for layer, own in zip(net.layer, (*ahead, *blobs), strict=True)]
    net.ClearField("layer")
    yield net.SerializeToString()
    for parts in layers:
        yield from parts


def _layer(layer: "Message", blobs: Sequence[Part]) -> list[Part]:
    """A layer's field: what protobuf writes before the blobs, the blobs, and the rest."""
    head, rest = type(layer)(), type(layer)()
    head.CopyFrom(layer)
    rest.CopyFrom(layer)
    for field, _ in layer.ListFields():
        (head if field.number > _BLOBS else rest).ClearField(field.name)
    framed = [part for blob in blobs for part in (tag(_BLOBS) + varint(len(blob)), blob)]
    parts = [head.SerializeToString(), *framed, rest.SerializeToString()]
    return [tag(_LAYER) + varint(sum(map(len, parts))), *parts]


# ---- V0


def _decoded(path: str | os.PathLike[str]) -> "Message | None":
    """The whole message of a V0 file; None for any other."""
    from google.protobuf.message import DecodeError

    net = message("NetParameter")()
    try:
        net.ParseFromString(Path(path).read_bytes())
    except (DecodeError, OSError):
        return None
    return net if any(layer.HasField("layer") for layer in net.layers) else None


def _v0(path: str, net: "Message", rewrite: Callable[[Prototxt], Plan]) -> Upgraded:
    blobs = []
    for layer in net.layers:
        if layer.layer.type != "padding":
            blobs.append([blob.SerializeToString() for blob in layer.layer.blobs])
        layer.ClearField("blobs")
        layer.layer.ClearField("blobs")
    plan = rewrite(_text(net, path))
    return Upgraded(path, plan, tuple(_parts(_parsed(plan.net), blobs)), None)
