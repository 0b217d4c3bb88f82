"""What can part images from their labels where two layers read them, one function per check.

Caffe's DataTransformer draws mirror, and in training the place of a crop, for
each layer apart: two layers never draw alike.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from fcnkit.formats.prototxt import Field
from fcnkit.formats.schema import View
from fcnkit.linting.seen import Hit, Seen
from fcnkit.linting.training import labelled, source_of
from fcnkit.nets.graph import Layer, Top
from fcnkit.nets.layers.table import CAFFE, is_loss, of, trait
from fcnkit.nets.layers.traits import Trait
from fcnkit.shape import Shape


class Pair(NamedTuple):
    """A layer that reads images and one that reads their labels, or others of the same scenes.

    `dense` where it is the pixels that go together.
    """

    images: Layer
    labels: Layer
    dense: bool


def parted(seen: Seen) -> Iterator[Hit]:
    """images and labels of two layers that mirror, crop, shuffle or batch them differently"""
    said = set[int | str]()
    for hit in (hit for pair in _pairs(seen) for hit in _parted(seen, pair)):
        key = hit.field.start if hit.field else hit.text
        if key not in said:  # one field parts a layer from several
            said.add(key)
            yield hit


def _parted(seen: Seen, pair: Pair) -> Iterator[Hit]:
    yield from _batched(pair)
    for layer, other in ((pair.images, pair.labels), (pair.labels, pair.images)):
        yield from _drawn(layer, other, _BY_CHANCE)
        if pair.dense:
            yield from _drawn(layer, other, ("mirror",))
    if pair.dense:
        yield from _cropped(seen, pair)


_BY_CHANCE = ("shuffle", "rand_skip")
_DOES = {
    "mirror": "mirrors half of its items at random",
    "shuffle": "shuffles its items",
    "rand_skip": "starts at a random item",
}


def _drawn(layer: Layer, other: Layer, names: tuple[str, ...]) -> Iterator[Hit]:
    """The fields by which the layer draws something that the other does not know of."""
    for name in names:
        field = _field(layer, name)
        if field and _value(layer, name):
            both = _value(other, name)
            fact = f"{name} {_DOES[name]}, and {_named(other)}, its partner, "
            fact += "draws apart from it" if both else "does not"
            yield Hit(layer, f"{fact}; {_REMEDY[name]}", field)


_REMEDY = {
    "mirror": "remove it, and mirror both when you create the dataset (`fcnkit dataset create "
    "--flip`)",
    "shuffle": "remove it, and shuffle both lists in the same order beforehand",
    "rand_skip": "remove it",
}


def _batched(pair: Pair) -> Iterator[Hit]:
    images, labels = (_value(layer, "batch_size") for layer in pair[:2])
    if images and labels and images != labels:
        fact = f"its batch_size is {labels}, and that of {_named(pair.images)}, whose images it"
        field = _field(pair.labels, "batch_size")
        yield Hit(pair.labels, f"{fact} labels, is {images}; give both {images}", field)


def _cropped(seen: Seen, pair: Pair) -> Iterator[Hit]:
    """Crops of one layer alone, of two sizes, or by chance."""
    sizes = {layer: _value(layer, "crop_size") or 0 for layer in pair[:2]}
    layer, other = sorted(pair[:2], key=lambda one: -sizes[one])
    mine, its = sizes[layer], sizes[other]
    if mine != its:
        fact = f"crop_size is {mine}, and {_named(other)}, its partner, "
        fact += f"crops to {its}" if its else "does not crop"
    elif mine and _may_train(seen):
        fact = f"crop_size cuts at a place drawn by chance, and {_named(other)}, which it is "
        fact += "paired with, draws apart from it"
    else:
        return
    remedy = "remove it, and crop both alike when you create the dataset"
    yield Hit(layer, f"{fact}; {remedy}", _field(layer, "crop_size"))


def _may_train(seen: Seen) -> bool:
    """Whether the net trains in this state, or would in one that its rules do not tell from it."""
    ruled = any(layer.view.has("include") for layer in seen.graph.layers)
    return seen.graph.state.phase == "TRAIN" or seen.trains and not ruled


def scaled_labels(seen: Seen) -> Iterator[Hit]:
    """labels that are scaled or have a mean subtracted, and so are not class numbers"""
    for layer, _, _ in labelled(seen):
        top = _copied_from(seen, layer.bottoms[1])
        source = seen.graph.producer(top)
        if not _reads_items(source) or top != source.tops[0]:
            continue  # only the first top is transformed
        for name in ("scale", "mean_file", "mean_value", *_RESIZES):
            field = _field(source, name)
            if field and _changes(source, name):
                fact = f'{name} changes the labels, which layer "{layer.name}" reads as'
                yield Hit(source, f"{fact} class numbers; remove it", field)


# By which ImageData scales its images, with weights between the pixels.
_RESIZES = ("new_height", "new_width")


def _changes(layer: Layer, name: str) -> bool:
    if name in _RESIZES:
        return all(_value(layer, each) for each in _RESIZES) and name == _RESIZES[0]
    if name == "mean_value":
        return any(any(view.list(name)) for view in _views(layer) if view.knows(name))
    return _value(layer, name) not in (1, "", None)


# ---- which layers are paired


def _pairs(seen: Seen) -> list[Pair]:
    """Each two layers whose images and labels meet in a loss or an Accuracy, once."""
    found: dict[tuple[Layer, Layer], bool] = {}
    for layer in seen.graph.layers:
        if len(layer.bottoms) < 2 or not (of(layer).labelled or is_loss(layer)):
            continue
        labels = _plain_source(seen, layer.bottoms[1])
        images = sorted(filter(_reads_items, _sources(seen, layer.bottoms[0])), key=_place)
        if labels is None:
            continue
        dense = _dense(seen, layer.bottoms[0])
        if labels not in images:
            found |= {(each, labels): found.get((each, labels)) or dense for each in images}
        found |= {
            key: found.get(key) or maps for key, maps in _of_scenes(seen, images, labels, dense)
        }
    return [Pair(*key, dense) for key, dense in found.items()]


def _of_scenes(
    seen: Seen, images: Sequence[Layer], labels: Layer, dense: bool
) -> Iterator[tuple[tuple[Layer, Layer], bool]]:
    """Other images of the same scenes, each with the layer that it is to go with, and if by pixels.

    That is the one that has the labels too, or else the first, where labels are of whole images.
    """
    if labels in images:
        for other in images:
            if other != labels:
                yield (other, labels), _meet_in_maps(seen, labels, other)
    elif not dense:
        for other in images[1:]:
            if _meet_in_maps(seen, images[0], other):
                yield (other, images[0]), True


def _place(layer: Layer) -> int:
    return layer.index


def _meet_in_maps(seen: Seen, one: Layer, other: Layer) -> bool:
    """Whether the images of both become one map, pixel beside pixel."""
    for layer in seen.graph.layers:
        if len(layer.bottoms) > 1 and not (of(layer).labelled or is_loss(layer)):
            behind = [_sources(seen, top) for top in layer.bottoms]
            apart = [{one, other} & {*sources} for sources in behind]
            if {one} in apart and {other} in apart:
                return _dense(seen, layer.bottoms[0])
    return False


def _plain_source(seen: Seen, top: Top) -> Layer | None:
    """The layer that reads these labels, None where they are computed."""
    found = seen.graph.producer(_copied_from(seen, top))
    return found if _reads_items(found) else None


def _copied_from(seen: Seen, top: Top) -> Top:
    """The top of which a label has the numbers, be it a part of them."""
    top = source_of(seen, top)
    layer = seen.graph.producer(top)
    while trait(layer) is Trait.ARRANGES:
        top = source_of(seen, layer.bottoms[0])
        layer = seen.graph.producer(top)
    return top


def _reads_items(layer: Layer) -> bool:
    """Whether this is a layer of Caffe's that reads a batch of items."""
    message = of(layer).message
    return (
        layer.type in CAFFE
        and trait(layer) is Trait.SOURCE
        and bool(message)
        and layer.param(message).knows("batch_size")
    )


def _sources(seen: Seen, top: Top) -> list[Layer]:
    """The layers without a bottom that this is computed from."""
    waiting, met = [seen.graph.producer(top)], dict[Layer, None]()
    while waiting:
        layer = waiting.pop()
        if layer not in met:
            met[layer] = None
            waiting += map(seen.graph.producer, layer.bottoms)
    return [layer for layer in met if not layer.bottoms]


def _dense(seen: Seen, top: Top) -> bool:
    """Whether these are scores of places of an image."""
    shape: Shape | None = seen.shapes.tops[top]
    if shape is not None:
        return len(shape) > 2 and any(size != 1 for size in shape[2:])
    return top in seen.reached


# ---- fields of a source


def _named(layer: Layer) -> str:
    return f'layer "{layer.name}" on line {layer.line}'


def _views(layer: Layer) -> tuple[View, ...]:
    """The messages that say what a source does with its items, the newest place first."""
    return layer.param("transform_param"), layer.param(of(layer).message)


def _field(layer: Layer, name: str) -> Field | None:
    found = (view.field(name) for view in _views(layer) if view.knows(name))
    return next((field for field in found if field), None)


def _value(layer: Layer, name: str) -> Any:
    """The field's value, where the layer has one of this name."""
    for view in _views(layer):
        if view.knows(name) and view.has(name):
            return view.get(name)
    return None
