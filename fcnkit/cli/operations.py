"""The operations of `fcnkit surgery --do`: what each is called, how it is written, what it does."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import click

import fcnkit
from fcnkit.formats.prototxt import Prototxt
from fcnkit.plan import Plan
from fcnkit.shape import Shape


class Operation(NamedTuple):
    """One word of --do: the form of its arguments,
    one line on it, the rewrite, how its arguments are read.

    `rewrite` is the name of a function of fcnkit; `read` gives its arguments
    and its options, and raises ValueError for arguments of another form.
    """

    name: str
    form: str
    help: str
    rewrite: str
    read: Callable[[str], tuple[tuple, dict[str, Any]]]


def _plain(text: str) -> tuple:
    if text:
        raise ValueError
    return (), {}


def _image(text: str) -> tuple:
    """The name of the image's blob, or nothing."""
    return (), {"blob": text or None}


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not all(names):
        raise ValueError
    return names


def _split(text: str) -> tuple[str, str]:
    """LAYER:REST; a layer's name may have colons itself."""
    layer, colon, rest = text.rpartition(":")
    if not (layer and colon and rest):
        raise ValueError
    return layer, rest


def _colour(text: str) -> tuple:
    from fcnkit.rewrites.channels import LUMA

    orders = {"": LUMA, "bgr": LUMA, "rgb": LUMA[::-1], "mean": (1 / 3,) * 3}
    if text not in orders:
        raise ValueError
    return (), {"luma": orders[text]}


def _channels(text: str) -> tuple:
    count, _, start = text.partition(":")
    return (int(count),), {"start": start or "zero"}


def _classes(text: str) -> tuple:
    layer, rest = _split(text)
    classes, fillers = [], set()
    for word in _names(rest):
        first, dash, last = word.partition("-")
        if first.isdigit():
            classes += range(int(first), int(last if dash else first) + 1)
        else:
            classes.append(None)
            fillers.add("zero" if word == "new" else word)
    if len(fillers) > 1:
        raise ValueError
    return (layer, classes), {"filler": fillers.pop() if fillers else "zero"}


def _group(text: str) -> tuple:
    layer, colon, count = text.rpartition(":")
    if colon and count.isdigit():
        return (layer, int(count)), {}
    return _names(text)[:1], {}


def _decimate(text: str) -> tuple:
    layer, size = _split(text)
    kernel = tuple(map(int, size.split("x")))
    return (layer, kernel[0] if len(kernel) == 1 else kernel), {}


def _extract(text: str) -> tuple:
    start, colon, end = text.partition(":")
    if not colon:
        raise ValueError
    return (start or None, _names(end) if end else None), {}


def _rename(text: str) -> tuple:
    return (dict(map(_split, _names(text))),), {}


OPERATIONS = (
    Operation("conv", "conv", "InnerProduct to Convolution", "convolutionalize", _plain),
    Operation("fc", "fc", "Convolution to InnerProduct", "to_fc", _plain),
    Operation("fold", "fold", "BatchNorm, Scale, Bias into the layer before", "fold", _plain),
    Operation(
        "classes",
        "classes=LAYER:0-4,15,new",
        "select, reorder, add (new, or a filler)",
        "reclass",
        _classes,
    ),
    Operation("swap", "swap[=BLOB]", "BGR to RGB and back", "swap_channels", _image),
    Operation("gray", "gray[=BLOB]", "colour to gray images", "to_gray", _image),
    Operation(
        "colour",
        "colour[=bgr|rgb|mean]",
        "gray to colour, by brightness or mean",
        "to_colour",
        _colour,
    ),
    Operation(
        "channels",
        "channels=N[:zero|mean]",
        "more channels, as depth beside colour",
        "add_channels",
        _channels,
    ),
    Operation(
        "dense",
        "dense[=LAYER,...]",
        "groups to one dense group",
        "ungroup",
        lambda text: (_names(text) if text else (), {}),
    ),
    Operation(
        "group", "group=LAYER[:N]", "a block-diagonal dense layer to N groups", "regroup", _group
    ),
    Operation(
        "decimate", "decimate=LAYER:K[xK]", "fewer taps of a kernel, dilated", "decimate", _decimate
    ),
    Operation(
        "extract",
        "extract=[BLOB]:[BLOB,...]",
        "the layers from one blob to others",
        "extract",
        _extract,
    ),
    Operation("rename", "rename=OLD:NEW,...", "layers under other names", "rename", _rename),
    Operation(
        "drop",
        "drop=LAYER,...",
        "layers gone, and what needs them",
        "drop",
        lambda text: (_names(text), {}),
    ),
)


def table() -> str:
    """Every operation's form and its line, for the help."""
    width = max(len(operation.form) for operation in OPERATIONS)
    return "\n".join(f"{operation.form:<{width}}  {operation.help}" for operation in OPERATIONS)


class Do(click.ParamType):
    """OPERATION[=ARGS]."""

    name = "operation[=args]"

    def convert(self, value, param, ctx):
        """The rewrite, its arguments and its options."""
        if isinstance(value, tuple):
            return value
        name, _, text = value.partition("=")
        known = {operation.name: operation for operation in OPERATIONS}
        if name not in known:
            self.fail(f"{name!r} is no operation; there are {', '.join(known)}", param, ctx)
        try:
            return getattr(fcnkit, known[name].rewrite), *known[name].read(text)
        except ValueError:
            self.fail(f"{value!r}: write it as {known[name].form}", param, ctx)


def carried_out(net: Prototxt, operations: tuple, inputs: Mapping[str, Shape]) -> Plan:
    """The plan of all of these in turn; the sizes of inputs count as long as the net has them."""
    from fcnkit.rewrites.states import present

    plan = Plan(net, net)
    for rewrite, args, options in operations:
        known = inputs if plan.net is net else present(plan.net, inputs)
        plan = plan.then(rewrite, *args, inputs=known, **options)
    return plan
