"""What keeps a net from learning as its files say, one function per check.

Each yields Hits; the first line of its docstring says what it finds.
"""

from collections.abc import Iterator
from contextlib import suppress

from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.linting.findings import WARNING
from fcnkit.linting.seen import Hit, Seen, fills_zero, rate_of
from fcnkit.linting.solvers import view_of
from fcnkit.linting.training import shared_names
from fcnkit.nets.graph import Layer, State, Top, build
from fcnkit.nets.layers.table import has_bias, is_loss, keeps_statistics, of
from fcnkit.nets.shapes import shapes_of
from fcnkit.plural import number_of
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
        fact = f"iter_size is {passes}, but Caffe does not sum the gradients of {whose}"
        why = f"only the last of a step's {passes} passes counts, divided by {passes}"
        remedy = "give them lr_mult: 0, as is usual after frozen BatchNorms, or set iter_size: 1"
        if more == 0:
            remedy = remedy.replace("them", "it").replace("frozen BatchNorms", "a frozen BatchNorm")
        field = seen.solver.field("iter_size") if seen.solver else None
        yield Hit(first, f"{fact}: {why}; {remedy} and a larger batch_size", field)


def said_of_training(net: Prototxt, solver: Prototxt) -> Iterator[str]:
    """What `overwritten` finds in a net to train, as lint says it, without all its other checks."""
    graph = build(net, State("TRAIN"))
    seen = Seen(graph, shapes_of(graph), solver=view_of(solver), trains=True)
    for hit in overwritten(seen):
        place = hit.field or hit.layer.field
        yield f"{place.source.path}:{place.line}: {WARNING}: {hit.text} [overwritten-gradient]"


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


# ---- what a net starts from


def stays_zero(seen: Seen) -> Iterator[Hit]:
    """without --weights: layers that are 0 and stay so, unless a weights file fills them"""
    found = [*_still(seen)] if seen.trains and seen.weights is None else []
    if found:
        first, more = found[0], len(found) - 1
        fact = f"it has no weight_filler, and all its weights are 0{like(more)}"
        why = "no gradient reaches them, so they stay 0"
        yield Hit(first, f"{fact}: {why}; start from weights, or give weight_fillers (msra)")


def like(more: int) -> str:
    """Words for the layers of which the same is to be said, beside the first."""
    return f", as are those of {number_of(more, 'more layer')}" if more else ""


def _still(seen: Seen) -> list[Layer]:
    """The layers that start at zero, lead to a loss, and learn nothing however long it takes.

    What learns once is zero no more, and lets others learn: that is followed to its end.
    """
    lead = _leading(seen)
    empty = [layer for layer in seen.graph.layers if layer.index in lead and _empty(layer)]
    still, biased = {layer.index for layer in empty}, set[int]()
    while True:
        zero = _zero(seen, still, biased)
        heard = _heard(seen, still, zero)
        woken = {each.index for each in empty if each.index in heard and not _reads(each, zero)}
        woken &= {each.index for each in empty if rate_of(each, 0)}
        more = {each.index for each in empty if each.index in heard and _learns_bias(each)}
        if not woken & still and more <= biased:
            return [each for each in empty if each.index in still and rate_of(each, 0)]
        still, biased = still - woken, biased | more


def _leading(seen: Seen) -> set[int]:
    """The layers that a loss depends on."""
    lead, tops = set[int](), set[Top]()
    for layer in reversed(seen.graph.layers):
        if is_loss(layer) or not tops.isdisjoint(layer.tops):
            lead.add(layer.index)
            tops.update(layer.bottoms)
    return lead


def _heard(seen: Seen, still: set[int], zero: set[Top]) -> set[int]:
    """The layers whose tops have a gradient, while these are still zero."""
    heard, tops = set[int](), set[Top]()
    for layer in reversed(seen.graph.layers):
        if is_loss(layer) or not tops.isdisjoint(layer.tops):
            heard.add(layer.index)
            if layer.index not in still and not (_is_relu(layer) and _reads(layer, zero)):
                tops.update(layer.bottoms)
    return heard


def _zero(seen: Seen, still: set[int], biased: set[int]) -> set[Top]:
    """The tops that are zero while these layers' weights are, and but for these their biases."""
    zero: set[Top] = set()
    for layer in seen.graph.layers:
        begins = layer.index in still and layer.index not in biased and _without_bias(layer)
        passes = layer.bottoms and of(layer).keeps_zero(layer)
        if begins or passes and zero.issuperset(layer.bottoms):
            zero.update(layer.tops)
    return zero


def _learns_bias(layer: Layer) -> bool:
    return has_bias(layer) and bool(rate_of(layer, 1))


def _empty(layer: Layer) -> bool:
    """Whether its weights are 0; those of a Deconvolution are a finding of their own."""
    kind = of(layer)
    return kind.linear and not kind.spreads and fills_zero(layer)


def _without_bias(layer: Layer) -> bool:
    """Whether it adds nothing but zero to start with."""
    filler = layer.param(of(layer).message).view("bias_filler")
    return not has_bias(layer) or filler.get("type") == "constant" and not filler.get("value")


def _reads(layer: Layer, tops: set[Top]) -> bool:
    return layer.bottoms[:1] != () and layer.bottoms[0] in tops


def _is_relu(layer: Layer) -> bool:
    """Whether no gradient passes where its bottom is 0: no other type of Caffe's stops it there."""
    return layer.type == "ReLU" and not layer.param("relu_param").get("negative_slope")


def unmeasured(seen: Seen) -> Iterator[Hit]:
    """a BatchNorm that trains with unmeasured statistics, unless a weights file has others"""
    found = [layer for layer in seen.graph.layers if by_stored(seen, layer)]
    if found and seen.weights is None:
        more = like(len(found) - 1)
        fact = f"use_global_stats is true, and its mean and variance are 0 to start with{more}"
        field = found[0].param("batch_norm_param").field("use_global_stats")
        remedy = "start from weights, or leave use_global_stats out"
        yield Hit(
            found[0], f"{fact}: each value is divided by the square root of eps; {remedy}", field
        )


def by_stored(seen: Seen, layer: Layer) -> bool:
    """Whether it is trained with the statistics that it has, and measures none."""
    if not seen.trains or not keeps_statistics(layer):
        return False
    param = layer.param(of(layer).message)
    return bool(param.knows("use_global_stats") and param.get("use_global_stats"))
