"""What keeps a net from learning as its files say, one function per check.

Each yields Hits; the first line of its docstring says what it finds.
"""

from collections.abc import Iterator
from contextlib import suppress

from fcnkit.errors import NetError
from fcnkit.linting.seen import Hit, Seen, rate_of
from fcnkit.linting.training import shared_names
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.table import of
from fcnkit.shape import Shape

# ---- gradients of several passes


def overwritten(seen: Seen) -> Iterator[Hit]:
    """gradients that Caffe does not add up over the iter_size passes of a step, but overwrites"""
    passes = seen.solver.get("iter_size") if seen.solver and seen.trains else 1
    found = [*_overwriting(seen)] if seen.solver and passes > 1 else []
    if found:
        first, more = found[0], len(found) - 1
        place = f'layer "{first.name}" ({first.field.source.path}:{first.line})'
        whose = f"{place} and {more} more" if more else place
        fact = f"iter_size is {passes}, and Caffe does not add up the gradients of {whose}"
        why = f"of a step's {passes} passes the last alone counts, divided by {passes}"
        remedy = "give them lr_mult: 0, as is usual behind frozen BatchNorms, or set iter_size: 1"
        if more == 0:
            remedy = remedy.replace("them", "it").replace("BatchNorms", "a BatchNorm")
        field = seen.solver.field("iter_size") if seen.solver else None
        yield Hit(first, f"{fact}: {why}; {remedy} and a larger batch_size", field)


def overwritten_share(seen: Seen) -> Iterator[Hit]:
    """a shared parameter whose gradient Caffe overwrites with that of one of its layers"""
    last = {
        name: layer for layer in seen.graph.layers for name in filter(None, shared_names(layer))
    }
    for layer in _overwriting(seen) if seen.trains else ():
        name = next(iter(shared_names(layer)), "")
        other = last.get(name, layer)
        if other is not layer:
            fact = f'it shares "{name}" with layer "{other.name}" on line {other.line}, whose'
            why = "gradient Caffe overwrites with its own in a batch of this size"
            yield Hit(layer, f"{fact} {why}; give each its own, or take a larger batch_size")


def _overwriting(seen: Seen) -> Iterator[Layer]:
    """The layers whose first parameter learns by a gradient that Caffe writes over the last one."""
    for layer in seen.graph.layers:
        with suppress(NetError):  # sizes that cannot be are said elsewhere
            if of(layer).overwrites(layer, _bottoms(seen, layer)) and rate_of(layer, 0):
                yield layer


def _bottoms(seen: Seen, layer: Layer) -> list[Shape]:
    """The shapes of its bottoms; where that of the data is not known, those of small images."""
    likely = (
        (top, (seen.batch or 2, seen.shapes.channels(top) or 2, 2, 2)) for top in layer.bottoms
    )
    return [seen.shapes.tops[top] or shape for top, shape in likely]
