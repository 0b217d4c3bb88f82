"""What commands say, write and read of the images that a net wants."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnkit.cli.text import say
from fcnkit.errors import DatasetError
from fcnkit.plural import number_of
from fcnkit.preprocessing import (
    BGR,
    GRAY,
    ORDERS,
    RGB,
    Preprocessing,
    Scale,
    beside,
    check,
    of,
    of_data,
    order_for,
    orders,
    place,
    read,
    shown,
)

if TYPE_CHECKING:
    from fcnkit.formats.prototxt import Prototxt
    from fcnkit.shape import Shape
    from fcnkit.training.recipe import Recipe


def of_training(
    source: "Prototxt",
    shape: "Shape | None",
    *,
    mean: Sequence[float],
    scale: float | None,
    labels: str | None,
    data: str,
    classes: int,
) -> Preprocessing:
    """What a net that is made of `source` is trained with, and so wants of an image.

    `shape` is that of its input.  Options come first, then what the file beside the
    source says, or the source's data layers.  The classes are those of a file of
    names, or of the data set in the folder `data` if it has as many.
    """
    made = of(source) or Preprocessing(mean=())
    order, where = _of_dataset(data)
    if data and shape and len(shape) == 4:
        _check_channels(Path(data, "train_image_lmdb"), shape[1], source)
    if made.order == RGB != order:
        fact = f"its net takes RGB, but databases hold {order.upper()} images"
        note(f"{place(source.path)}: {fact}; `fcnkit surgery --do swap` makes the net take BGR")
    if made.mean is None and not mean:
        unread = f"{made.origins.get('mean', 'its mean')} is not read"
        note(f"{unread}: no mean is subtracted; give its colour with --mean")
        made = made.with_origin(f"nothing: {unread}", mean=())
    if mean:
        made = made.with_origin("--mean", mean=tuple(mean))
    if scale is not None:
        made = made.with_origin("--scale", scale=scale)
    made = replace(made, scale=one_scale(made.scale, source))
    if shape and len(shape) == 4:
        order = order_for(order if order in orders(shape[1]) else None, shape[1])
        made = made.with_origin("deploy.prototxt", size=(shape[2], shape[3]))
    names, origin = _class_names(labels, data, classes, made)
    made = made.with_origin(where, order=order)
    return made.with_origin(origin, classes=names) if names else replace(made, classes=())


def _of_dataset(folder: str) -> tuple[str, str]:
    """The order of the channels of the data set's images, and what says so."""
    from fcnkit.datasets.summary import REPORT_FILE, report

    said = report(Path(folder)).get("order") if folder else None
    if said in ORDERS:
        return said, str(Path(folder, REPORT_FILE))
    return BGR, "databases, in Caffe's order of channels"


def _check_channels(folder: Path, channels: int, source: "Prototxt") -> None:
    if os.path.isdir(folder):
        from fcnkit.datasets.databases import check_channels

        check_channels(folder, channels, source.path)


def one_scale(scale: Scale, source: "Prototxt") -> float:
    """The scale for all channels, which is all that a data layer has; DatasetError else."""
    if not isinstance(scale, tuple):
        return scale
    if len(set(scale)) == 1:
        return scale[0]
    fact = f'"scale" is {shown(scale)}, but Caffe\'s data layers have one factor for all channels'
    raise DatasetError(f"{place(source.path)}: {fact}; give one with --scale")


def _class_names(
    labels: str | None, data: str, classes: int, made: Preprocessing
) -> tuple[tuple[str, ...], str]:
    from fcnkit.datasets.colours import read_classes
    from fcnkit.datasets.summary import CLASSES_FILE

    there = Path(data) / CLASSES_FILE
    if labels:
        names = read_classes(labels)
        if len(names) != classes:
            fact = (
                f"has {number_of(len(names), 'name')}, and there are {number_of(classes, 'class')}"
            )
            raise DatasetError(f"{labels}: {fact}; write one name per line")
        return names, labels
    if data and os.path.isfile(there):
        names = read_classes(there)
        return (names, str(there)) if len(names) == classes else ((), "")
    return made.classes * (len(made.classes) == classes), made.origins.get("classes", "")


def for_images(
    net: "Prototxt",
    weights: str,
    *,
    channels: int,
    classes: int,
    mean: Sequence[float],
    mean_file: str | None,
    scale: float | None,
    order: str | None,
) -> Preprocessing:
    """What an image is to become for a net that runs: by the options, else by the file beside it.

    Standard error says it, and where nothing is known of a mean, that nothing is
    taken off, and what was in the training of nets like this one.
    """
    found = beside(net)
    if found:
        check(found, channels, classes, place(net.path))
    made = found or Preprocessing(mean=())
    options: dict[str, dict[str, Any]] = {"--mean": {"mean": tuple(mean)}} if mean else {}
    options |= {"--scale": {"scale": scale}} if scale is not None else {}
    options |= {"--order": {"order": order_for(order, channels)}} if order is not None else {}
    for option, value in options.items():
        made = made.with_origin(option, **value)
    made = replace(made, order=order_for(made.order if found or order else None, channels))
    given = [*options, *["--mean-file"] * bool(mean_file)]
    if found and not {"--mean", "--mean-file"} & {*given} and made.mean is None:
        note(f"{made.origins.get('mean', 'a mean')} is not read: give it with --mean-file")
    if found:
        but = f" except for {' and '.join(given)}" if given else ""
        note(f"images are prepared as {place(net.path)} says{but}: {made}")
    else:
        near, trained = neighbour(net)
        if not {"--mean", "--mean-file"} & {*given}:
            unknown = unknown_mean(net, weights, mean_file=True)
            note(f"no mean is subtracted from the images: {unknown}")
        if trained and trained.scale != 1 and "--scale" not in given:
            by = f"{trained.scale:.7g}"
            fact = (
                f"no scale is applied to the images: {near}, which has the same layers, "
                f"multiplies by {by}"
            )
            note(f"{fact}; if it trained this net, give --scale {by}")
    return made


def neighbour(net: "Prototxt") -> tuple[Path, Preprocessing | None]:
    """The file beside the net that may have trained it, and what its data layers do to images.

    A training net with other layers trained another net: nothing is taken from it.
    """
    folder = Path(net.path).parent
    usual = [folder / f"{name}.prototxt" for name in ("train_val", "train", "train_test")]
    with suppress(OSError):
        usual += sorted(each for each in folder.glob("*train*.prototxt") if each not in usual)
    own = os.path.realpath(net.path)
    there = [each for each in usual if os.path.isfile(each) and os.path.realpath(each) != own]
    found = ((each, _of_neighbour(each, net)) for each in there)
    return next(((each, made) for each, made in found if made), (folder, None))


def unknown_mean(net: "Prototxt", weights: str, *, mean_file: bool = False) -> str:
    """What can be said of the mean of a net that has no file beside it.

    `mean_file` says whether the command has the option --mean-file.
    """
    near, trained = neighbour(net)
    if trained and trained.mean:
        remedy = f"--mean {shown(trained.mean)}"
        return (
            f"{near}, which has the same layers, subtracts {shown(trained.mean)}; if it "
            f"trained this net, give {remedy}"
        )
    if trained and trained.mean is None:
        remedy = "it with --mean-file, or its colour" if mean_file else "its mean colour"
        return (
            f"{near}, which has the same layers, subtracts a mean file; give {remedy} with --mean"
        )
    from fcnkit.inference.trunks import trained_like
    from fcnkit.weights import store

    model = trained_like(store.open(weights))
    if model:
        fact = (
            f"its layers are those of {model.name}, which was trained with {model.mean} subtracted"
        )
        return f"{fact}; give --mean {model.mean}"
    return (
        f"there is no {place(net.path).name} beside the net; if it was trained with a mean, "
        "give --mean"
    )


def _of_neighbour(path: Path, net: "Prototxt") -> Preprocessing | None:
    from fcnkit.errors import FcnkitError
    from fcnkit.formats import prototxt

    try:
        training = prototxt.read(path)
        own, theirs = _learning(net), _learning(training)
        return of_data(training) if 2 * len(own & theirs) > len(own) else None
    except FcnkitError:  # what it says is not needed
        return None


def _learning(net: "Prototxt") -> set[str]:
    """The names of the layers that have weights."""
    from fcnkit.nets.graph import graphs
    from fcnkit.nets.layers.table import of as of_type

    layers = (layer for graph in graphs(net) for layer in graph.layers)
    return {layer.name for layer in layers if of_type(layer).learns}


def as_trained(recipe: "Recipe", folder: Path) -> None:
    """The file beside a deploy net says of images what they were in the data set that trained it:
    the order of their channels, and the names of the classes.

    Names that no data set gave stay, and all where the data set says nothing.
    """
    from fcnkit.training.databases_fit import uses

    path = place(folder / "deploy.prototxt")
    before = made = read(path) if os.path.isfile(path) else None
    graphs = (graph for trained in recipe.nets for graph in trained.graphs())
    use = next((use for graph in graphs for use in uses(graph)), None)
    if made is None or use is None:
        return
    order, where = _of_dataset(str(use.path.parent))
    if os.path.isfile(where) and GRAY not in (order, made.order) and order != made.order:
        made = made.with_origin(where, order=order)
        note(f"{path}: the order of the channels is now {order.upper()}, as in {where}")
    names, found = _names_in(use.path.parent, use.classes)
    own = os.path.basename(made.origins.get("classes", "")) == os.path.basename(names)
    if found and found != made.classes and (own or not made.classes):
        made = made.with_origin(names, classes=found)
        note(f"{path}: now has the names of the classes, from {names}")
    if made != before:
        made.save(path, force=True)


def _names_in(folder: Path, classes: int) -> tuple[str, tuple[str, ...]]:
    """The data set's file of names, and those of so many classes that it has; none else."""
    from fcnkit.datasets.colours import read_classes
    from fcnkit.datasets.summary import CLASSES_FILE

    path = folder / CLASSES_FILE
    found = read_classes(path, unique=False) if os.path.isfile(path) else ()
    return str(path), found if len(set(found)) == len(found) == classes else ()


def note(line: str) -> None:
    """The line is on standard error."""
    say(f"fcnkit: {line}", err=True)
