"""The layers that pycaffe shows of a net: Caffe's own, and the Splits that it puts between them.

The rules are those of InsertSplits (insert_splits.cpp) and of Net::Init (net.cpp).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from fcnkit.engines.torch.layers.table import LAYERS
from fcnkit.nets.graph import Graph, Layer, Top

AUTOMATIC = "(automatic)"
"""The blob of a loss that names no top."""
SPLIT = "Split"


class Part(NamedTuple):
    """A layer with the names of its blobs, and a loss_weight for each top; a Split has no `layer`.

    `propagate_down` is what the layer says of its bottoms, () where it says nothing.
    """

    name: str
    type: str
    layer: Layer | None
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    losses: tuple[float, ...] = ()
    propagate_down: tuple[bool, ...] = ()


def parts(graph: Graph) -> list[Part]:
    """The layers of a graph in the order in which they are run, with a Split behind every
    blob that is read more than once.

    A loss_weight that the layer states counts as a reader.
    """
    uses = Counter(top for layer in graph.layers for top in layer.bottoms)
    uses.update(top for layer in graph.layers for top in _weighted(layer))
    split = {top: count for top, count in uses.items() if count > 1}
    taken: dict[Top, int] = defaultdict(int)
    found: list[Part] = []
    for layer in graph.layers:
        _check_in_place(layer, split)
        bottoms = tuple(_read(graph, top, split, taken) for top in layer.bottoms)
        found.append(_part(layer, bottoms, split))
        for top in layer.tops:
            if top in split:
                weight = _weighted(layer).get(top, 0.0)
                taken[top] += bool(weight)
                found.append(_split(layer, top, split[top], weight))
    return found


def _check_in_place(layer: Layer, split: dict[Top, int]) -> None:
    """No layer works in place on what counts in the loss, which Caffe reads too; NetError."""
    for one, other in zip(layer.bottoms, layer.tops, strict=False):
        if one.blob == other.blob and one in split:
            fact = f'it works in place on "{one.blob}", which has a loss_weight; Caffe refuses this'
            raise layer.error(f"{fact}: give its top a name of its own")


def _weighted(layer: Layer) -> dict[Top, float]:
    """The tops to which the layer gives a loss_weight other than 0."""
    given = zip(layer.tops, layer.view.list("loss_weight"), strict=False)
    return {top: weight for top, weight in given if weight}


def _read(graph: Graph, top: Top, split: dict[Top, int], taken: dict[Top, int]) -> str:
    """The blob that a reader of this top reads: its own one of a Split's."""
    if top not in split:
        return top.blob
    number = taken[top]
    taken[top] += 1
    return _split_blob(graph.producer(top), top, number)


def _part(layer: Layer, bottoms: tuple[str, ...], split: dict[Top, int]) -> Part:
    weights = layer.view.list("loss_weight")
    if any(top in split for top in _weighted(layer)):
        weights = []  # Caffe leaves it to the Split, and a loss falls back to 1
    kind = LAYERS.get(layer.type)
    if not weights and kind is not None and kind.loss:
        weights = [1.0]
    tops = tuple(top.blob for top in layer.tops)
    if not tops and kind is not None and kind.loss:
        tops = (AUTOMATIC,)
    if len(weights) not in (0, len(tops)) and not (kind and kind.loss and len(weights) == 1):
        remedy = f"give {len(tops)}, one for each" if tops else "remove it"
        raise layer.error(f"{len(weights)} loss_weight for {len(tops)} tops; {remedy}")
    losses = tuple(weights) + (0.0,) * (len(tops) - len(weights))
    return Part(layer.name, layer.type, layer, bottoms, tops, losses, _down(layer))


def _down(layer: Layer) -> tuple[bool, ...]:
    """What the layer says of its bottoms' gradients; NetError unless it is one each."""
    given = layer.view.list("propagate_down") if layer.view.knows("propagate_down") else ()
    if len(given) not in (0, len(layer.bottoms)):
        fact = f"{len(given)} propagate_down for {len(layer.bottoms)} bottoms"
        raise layer.error(f"{fact}; give one each, or none")
    return tuple(given)


def _split(layer: Layer, top: Top, count: int, weight: float) -> Part:
    name = f"{top.blob}_{layer.name}_{top.index}_split"
    tops = tuple(_split_blob(layer, top, number) for number in range(count))
    return Part(name, SPLIT, None, (top.blob,), tops, (weight, *(0.0,) * (count - 1)))


def _split_blob(layer: Layer, top: Top, number: int) -> str:
    return f"{top.blob}_{layer.name}_{top.index}_split_{number}"


class Gradients(NamedTuple):
    """Where gradients go: whether each layer has a backward pass, and each of its bottoms one."""

    layers: list[bool]
    bottoms: list[list[bool]]


def gradients(
    parts: Sequence[Part], learns: Sequence[Sequence[bool]], *, forced: bool = False
) -> Gradients:
    """The layers and bottoms that Net::Init finds to need a backward pass.

    `learns` says of each layer's parameters whether they are learned.  With `forced` all do.
    """
    needed: dict[str, bool] = defaultdict(bool)
    found = Gradients([], [])
    for part, own in zip(parts, learns, strict=True):
        below = [needed[blob] for blob in part.bottoms]
        wanted = any(below) or any(own)
        found.bottoms.append([*part.propagate_down] or below)
        found.layers.append(wanted)
        for blob in part.tops:
            needed[blob] = wanted or (needed[blob] and blob in part.bottoms)
    _under_losses(parts, found)
    if forced:
        return Gradients([True] * len(parts), [[True] * len(part.bottoms) for part in parts])
    return found


def _under_losses(parts: Sequence[Part], found: Gradients) -> None:
    """What leads to no loss, or behind which nothing needs a gradient, has no backward pass."""
    under: set[str] = set()
    skipped: set[str] = set()
    for number in reversed(range(len(parts))):
        part = parts[number]
        counts = any(part.losses) or any(blob in under for blob in part.tops)
        if found.layers[number] and all(blob in skipped for blob in part.tops):
            found.layers[number] = False
            found.bottoms[number] = [False] * len(part.bottoms)
        if not counts:
            found.layers[number] = False
            found.bottoms[number] = [False] * len(part.bottoms)
        under.update(part.bottoms if counts else ())
        pairs = zip(part.bottoms, found.bottoms[number], strict=True)
        skipped.update(blob for blob, through in pairs if not through)
