"""Weighs the classes in a loss: SoftmaxWithLoss becomes InfogainLoss with a diagonal matrix.

With weight w(c) of class c and p the softmax of the scores, the loss is the
sum of w(label) * -log p(label) over all pixels that are not ignored, divided
by the same number as before: the number of those pixels, not the sum of their
weights (normalization VALID).  Its gradient by the scores is
w(label) * (p - [class is label]), divided by that number.  With weights of 1
it is SoftmaxWithLoss.
"""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from fcnkit.datasets.colours import read_classes, texts
from fcnkit.datasets.summary import CLASSES_FILE, median_frequency
from fcnkit.edits import Edit
from fcnkit.errors import DatasetError, NetError, OutputError
from fcnkit.formats.prototxt import Prototxt, Word
from fcnkit.linting.seen import Seen
from fcnkit.linting.training import labelled
from fcnkit.nets.graph import Graph, Layer
from fcnkit.nets.shapes import shapes_of
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import removed, set_param, set_value
from fcnkit.training.databases_fit import LabelUse, entries, uses
from fcnkit.training.recipe import Matrix, Recipe, Trained

MEDIAN = "median"
# A class without a pixel to learn from is never a label in training, so that its weight counts in
# validation alone: there it is as a class of median frequency.
ABSENT = 1.0
_LOSS = "SoftmaxWithLoss"
# Caffe keeps weights as 32-bit floats.
_LARGEST = 3.4028234e38


class _Loss(NamedTuple):
    """A loss to weigh: how many classes it scores,
    and the database of its labels where it is known.
    """

    layer: Layer
    classes: int
    use: LabelUse | None


def weighted(made: Recipe, how: str) -> Recipe:
    """The recipe with every SoftmaxWithLoss of its training net weighted,
    in the other nets by the same name.

    `how` is "median", for the median-frequency weights of the training labels
    (see `summary.median_frequency`; ABSENT for a class that they lack), or a
    text file: a weight a line in the order of classes, or a class's name and
    its weight.

    Raises NetError where there is no such loss or its classes or labels are
    not known, DatasetError for a file that does not fit.
    """
    graph = _training(made)
    losses = list(_losses(graph))
    if not losses:
        fact = f"has no {_LOSS}; --loss-weights is for nets that learn from one"
        raise NetError(f"{graph.prototxt.path}: {fact}")
    matrices = []
    for number, loss in enumerate(losses, 1):
        name = f"infogain_{number}" if len(losses) > 1 else "infogain"
        path = made.run.path / f"{name}.binaryproto"
        matrices.append(_median(loss, path) if how == MEDIAN else _given(loss, path, how))
    nets = tuple(each._replace(net=_replaced(each, made, matrices)) for each in made.nets)
    return made._replace(nets=nets, matrices=tuple(matrices))


def check_resumed(made: Recipe) -> None:
    """A run that has begun goes on with the class weights that it has.

    Raises OutputError where they are others, or where one of both has none.
    """
    run = made.run
    if not run.begun:
        return
    had = {path.name: path.read_bytes() for path in run.matrices()}
    if had == {each.path.name: each.data for each in made.matrices}:
        return
    fact = (
        "other class weights"
        if had and made.matrices
        else "class weights"
        if had
        else "no class weights"
    )
    remedy = "give the same --loss-weights" if had else "leave out --loss-weights"
    raise OutputError(
        f"{run.path}: was started with {fact}; {remedy}, or start over with --restart --force"
    )


def described(made: Recipe) -> Iterator[str]:
    """Each weighted loss, the weights of its classes, and the classes that have no pixel."""
    for matrix in made.matrices:
        count = len(matrix.weights)
        names = matrix.names if len(matrix.names) == count else tuple(map(str, range(count)))
        pairs = zip(names, matrix.weights, strict=True)
        weights = ", ".join(f"{name}={weight:.4g}" for name, weight in pairs)
        yield f'layer "{matrix.layer}": class weights {weights}'
        if matrix.absent:
            gone = ", ".join(names[number] for number in matrix.absent)
            yield f'layer "{matrix.layer}": classes not in the training labels: {gone}'


def _training(made: Recipe) -> Graph:
    """The net as Caffe builds it to train."""
    graphs = (graph for trained in made.nets for graph in trained.graphs())
    return next(graph for graph in graphs if graph.state.phase == "TRAIN")


def _losses(graph: Graph) -> Iterator[_Loss]:
    """The losses over classes of a net in one state."""
    seen = Seen(graph, shapes_of(graph, refuse=lambda name, error: None))
    known = {use.layer: use for use in uses(graph)}
    for layer, _, axis in labelled(seen):
        if layer.type != _LOSS:
            continue
        classes = seen.classes(layer.bottoms[0], axis)
        if not classes:
            raise layer.error("its number of classes is not known, so they cannot be weighed")
        yield _Loss(layer, classes, known.get(layer))


# ---- where weights come from


def _given(loss: _Loss, path: Path, file: str) -> Matrix:
    names = _names(loss)
    return Matrix(path, loss.layer.name, tuple(read_weights(file, loss.classes, names)), names)


def _median(loss: _Loss, path: Path) -> Matrix:
    if loss.use is None:
        fact = "its labels are in no LMDB that a Data layer reads, so they cannot be counted"
        raise loss.layer.error(f"{fact}; give --loss-weights a file")
    found = median_frequency(*_counted(loss.use.path, loss.classes, loss.use.ignored))
    weights = tuple(ABSENT if weight is None else weight for weight in found)
    absent = tuple(number for number, weight in enumerate(found) if weight is None)
    return Matrix(path, loss.layer.name, weights, _names(loss), absent)


@lru_cache(maxsize=8)
def _counted(path: Path, classes: int, ignored: int | None) -> tuple[list[int], list[int]]:
    """For each class its pixels, and all pixels
    of the images that it is in without ignored ones.
    """
    pixels, areas = [0] * classes, [0] * classes
    for _, counts in entries(path):
        area = sum(count for label, count in counts if label != ignored)
        for label, count in counts:
            if 0 <= label < classes and label != ignored:
                pixels[label] += count
                areas[label] += area
    return pixels, areas


def _names(loss: _Loss) -> tuple[str, ...]:
    """The names of the classes, from the file beside the labels; none where there is none."""
    file = loss.use.path.parent / CLASSES_FILE if loss.use else None
    return read_classes(file, unique=False) if file and os.path.exists(file) else ()


def read_weights(path: str | Path, classes: int, names: Sequence[str] = ()) -> list[float]:
    """The weight of each class in a text file:
    one a line in order, or a name and a weight in any order.

    Raises DatasetError with file and line for what is no weight, is negative
    or too large, for a name that is no class, and where not each class has one.
    """
    lines = [(number, *_weight(path, number, text)) for number, text in texts(path)]
    named = [line for line in lines if line[1]]
    if named and len(named) < len(lines):
        number = next(number for number, name, _ in lines if not name)
        raise DatasetError(
            f"{path}:{number}: has no name, but other lines do; name all classes or none"
        )
    if named:
        _match(path, named, names)
    if len(lines) != classes:
        fact = (
            f"has {number_of(len(lines), 'weight')}, and the loss scores "
            f"{number_of(classes, 'class')}"
        )
        raise DatasetError(f"{path}: {fact}; write one for each")
    values = [
        value
        for _, _, value in sorted(lines, key=lambda line: names.index(line[1]) if named else 0)
    ]
    if not any(values):
        raise DatasetError(
            f"{path}: every weight is 0, and nothing would be learned; make one larger"
        )
    return values


def _weight(path: str | Path, number: int, text: str) -> tuple[str, float]:
    *name, word = text.rsplit(None, 1)
    try:
        value = float(word)
    except ValueError:
        fact = f'"{text[:60]}" does not end in a number'
        raise DatasetError(
            f"{path}:{number}: {fact}; write a weight, or a class's name and it"
        ) from None
    if not 0 <= value <= _LARGEST:  # not true of NaN
        raise DatasetError(
            f"{path}:{number}: the weight {word} is not a finite number from 0 on; correct it"
        )
    return "".join(name), value


def _match(path: str | Path, lines: Sequence[tuple[int, str, float]], names: Sequence[str]) -> None:
    """Every line's name is a class, and no other line's."""
    if not names:
        fact = (
            f"names classes, and there is no {CLASSES_FILE} beside the labels that says their order"
        )
        raise DatasetError(f"{path}: {fact}; write only the weights, in order")
    seen: dict[str, int] = {}
    for number, name, _ in lines:
        if name not in names:
            raise DatasetError(
                f'{path}:{number}: "{name}" is not a class; there are {", ".join(names)}'
            )
        if name in seen:
            raise DatasetError(
                f'{path}:{number}: "{name}" is on line {seen[name]} too; name each class once'
            )
        seen[name] = number


# ---- the net


def _replaced(trained: Trained, made: Recipe, matrices: Sequence[Matrix]) -> Prototxt:
    known = {matrix.layer: matrix for matrix in matrices}
    edits = [
        edit
        for graph in trained.graphs()
        for layer in graph.layers
        if layer.type == _LOSS and layer.name in known
        for edit in _edits(trained.net, layer, f"{made.run.name}/{known[layer.name].path.name}")
    ]
    return trained.net.edit(edits)


def _edits(net: Prototxt, layer: Layer, source: str) -> Iterator[Edit]:
    """The layer is an InfogainLoss with the matrix in the file `source`."""
    why = "class weights"
    v1 = layer.field.name == "layers"
    yield set_value(
        layer.field.required("type"), Word("INFOGAIN_LOSS") if v1 else "InfogainLoss", why
    )
    fields: list[tuple[str, object]] = [("source", source)]
    axis = layer.param("softmax_param").get("axis")
    fields += [("axis", axis)] if axis != 1 else []
    yield from set_param(layer, "infogain_loss_param", fields, net.style, why=why)
    yield from _normalization(net, layer, why)


def _normalization(net: Prototxt, layer: Layer, why: str) -> Iterator[Edit]:
    """`normalize`, which InfogainLoss refuses, becomes `normalization`, which wins over it."""
    param = layer.param("loss_param")
    if not param.has("normalize"):
        return
    if param.has("normalization"):
        yield from (
            removed(field, why) for field in layer.field.required("loss_param").all("normalize")
        )
        return
    word = Word("VALID" if param.get("normalize") else "BATCH_SIZE")
    fields = [("normalization", word)]
    yield from set_param(layer, "loss_param", fields, net.style, replacing=("normalize",), why=why)
