"""Shapes of the layers that compare two bottoms: the losses and Accuracy.

The rules are those of Caffe's layer of the same name.
"""

from math import prod

from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import canonical, show
from fcnkit.plural import number_of
from fcnkit.shape import Shape


def softmax_loss(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """A scalar, and the probabilities; one label per place."""
    return _labelled_loss(layer, bottoms, "softmax_param")


def infogain_loss(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """A scalar, and the probabilities; one label per place, and a row of the matrix per label."""
    axis = canonical(layer, layer.param("infogain_loss_param").get("axis"), len(bottoms[0]))
    labels = bottoms[0][axis]
    if len(bottoms) > 2 and prod(bottoms[2]) != labels**2:
        fact = f'its matrix "{layer.bottoms[2].blob}" is {show(bottoms[2])}, for {labels} labels'
        raise layer.error(f"{fact}; give {labels} x {labels} values")
    return _labelled_loss(layer, bottoms, "infogain_loss_param")


def _labelled_loss(layer: Layer, bottoms: list[Shape], message: str) -> list[Shape]:
    _same_batch(layer, bottoms)
    axis = canonical(layer, layer.param(message).get("axis"), len(bottoms[0]))
    _one_label_each(layer, bottoms, axis)
    return [(), *bottoms[:1] * (len(layer.tops) - 1)]


def same_count_loss(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """A scalar, and the first bottom's shape; as many targets as values."""
    _same_batch(layer, bottoms)
    if prod(bottoms[0]) != prod(bottoms[1]):
        raise layer.error(f"{_pair(layer, bottoms)}; give one target for each value")
    return [(), *bottoms[:1] * (len(layer.tops) - 1)]


def hinge_loss(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """A scalar."""
    _same_batch(layer, bottoms)
    return [()] * len(layer.tops)


def multinomial_loss(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """A scalar; one label per item."""
    _same_batch(layer, bottoms)
    if prod(bottoms[1][1:]) != 1:
        raise layer.error(f"{_pair(layer, bottoms)}; give one label for each item")
    return [()] * len(layer.tops)


def contrastive_loss(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """A scalar; two bottoms of as many channels, and nothing behind those."""
    _same_batch(layer, bottoms)
    if bottoms[0][1:2] != bottoms[1][1:2] or prod((*bottoms[0][2:], *bottoms[1][2:])) != 1:
        raise layer.error(f"{_pair(layer, bottoms)}; give both the shape N x channels")
    return [()] * len(layer.tops)


def accuracy(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """A scalar, and one value per class; one label per place."""
    axis = canonical(layer, layer.param("accuracy_param").get("axis"), len(bottoms[0]))
    _one_label_each(layer, bottoms, axis)
    top_k, classes = layer.param("accuracy_param").get("top_k"), bottoms[0][axis]
    if top_k > classes:
        raise layer.error(f"top_k {top_k} of {number_of(classes, 'class')}; give at most {classes}")
    return [(), *[(classes,)] * (len(layer.tops) - 1)]


def _same_batch(layer: Layer, bottoms: list[Shape]) -> None:
    if bottoms[0][:1] != bottoms[1][:1]:
        raise layer.error(f"{_pair(layer, bottoms)}; make their first axes equal")


def _one_label_each(layer: Layer, bottoms: list[Shape], axis: int) -> None:
    wanted = (*bottoms[0][:axis], *bottoms[0][axis + 1 :])
    if prod(wanted) != prod(bottoms[1]):
        raise layer.error(
            f"{_pair(layer, bottoms)}: {number_of(prod(wanted), 'place')} and "
            f"{number_of(prod(bottoms[1]), 'label')}; "
            f"give one label for each of {show(wanted)}"
        )


def _pair(layer: Layer, bottoms: list[Shape]) -> str:
    return " and ".join(
        f'"{top.blob}" is {show(shape)}'
        for top, shape in zip(layer.bottoms[:2], bottoms[:2], strict=True)
    )
