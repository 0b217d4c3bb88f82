"""The operations of `fcnkit surgery --do`: what each is called, how it is written, what it does."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import click

import fcnkit as fk
from fcnkit.formats.prototxt import Prototxt
from fcnkit.plan import Plan
from fcnkit.rewrites.channels import LUMA
from fcnkit.rewrites.states import present

Shape = tuple[int, ...]


class Operation(NamedTuple):
    """One word of --do: the form of its arguments, one line on it, and how its arguments are read.

    `read` gives the rewrite, its arguments and its options; it raises
    ValueError for arguments of another form.
    """

    name: str
    form: str
    help: str
    read: Callable[[str], tuple[Callable[..., Plan], tuple, dict[str, Any]]]


def _plain(rewrite: Callable[..., Plan]) -> Callable:
    def read(text: str) -> tuple:
        if text:
            raise ValueError
        return rewrite, (), {}

    return read


def _image(rewrite: Callable[..., Plan]) -> Callable:
    """Takes the name of the image's blob, or nothing."""
    return lambda text: (rewrite, (), {"blob": text or None})


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


_ORDERS = {"": LUMA, "bgr": LUMA, "rgb": LUMA[::-1], "mean": (1 / 3,) * 3}


def _colour(text: str) -> tuple:
    if text not in _ORDERS:
        raise ValueError
    return fk.to_colour, (), {"luma": _ORDERS[text]}


def _channels(text: str) -> tuple:
    count, _, start = text.partition(":")
    return fk.add_channels, (int(count),), {"start": start or "zero"}


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
    return fk.reclass, (layer, classes), {"filler": fillers.pop() if fillers else "zero"}


def _group(text: str) -> tuple:
    layer, colon, count = text.rpartition(":")
    if colon and count.isdigit():
        return fk.regroup, (layer, int(count)), {}
    return fk.regroup, _names(text)[:1], {}


def _decimate(text: str) -> tuple:
    layer, size = _split(text)
    kernel = tuple(map(int, size.split("x")))
    return fk.decimate, (layer, kernel[0] if len(kernel) == 1 else kernel), {}


def _extract(text: str) -> tuple:
    start, colon, end = text.partition(":")
    if not colon:
        raise ValueError
    return fk.extract, (start or None, _names(end) if end else None), {}


def _rename(text: str) -> tuple:
    return fk.rename, (dict(map(_split, _names(text))),), {}


OPERATIONS = (
    Operation("conv", "conv", "InnerProduct to Convolution", _plain(fk.convolutionalize)),
    Operation("fc", "fc", "Convolution to InnerProduct", _plain(fk.to_fc)),
    Operation("fold", "fold", "BatchNorm, Scale, Bias into the layer before", _plain(fk.fold)),
    Operation("classes", "classes=LAYER:0-4,15,new", "select, reorder, add (new, or a filler)", _classes),
    Operation("swap", "swap[=BLOB]", "BGR to RGB and back", _image(fk.swap_channels)),
    Operation("gray", "gray[=BLOB]", "colour to gray images", _image(fk.to_gray)),
    Operation("colour", "colour[=bgr|rgb|mean]", "gray to colour, by brightness or mean", _colour),
    Operation("channels", "channels=N[:zero|mean]", "more channels, as depth beside colour", _channels),
    Operation("dense", "dense[=LAYER,...]", "groups to one dense group",
              lambda text: (fk.ungroup, _names(text) if text else (), {})),
    Operation("group", "group=LAYER[:N]", "a block-diagonal dense layer to N groups", _group),
    Operation("decimate", "decimate=LAYER:K[xK]", "fewer taps of a kernel, dilated", _decimate),
    Operation("extract", "extract=[BLOB]:[BLOB,...]", "the layers from one blob to others", _extract),
    Operation("rename", "rename=OLD:NEW,...", "layers under other names", _rename),
    Operation("drop", "drop=LAYER,...", "layers gone, and what needs them",
              lambda text: (fk.drop, _names(text), {})),
)  # fmt: skip


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
            return known[name].read(text)
        except ValueError:
            self.fail(f"{value!r}: write it as {known[name].form}", param, ctx)


def carried_out(net: Prototxt, operations: tuple, inputs: Mapping[str, Shape]) -> Plan:
    """The plan of all of these in turn; the sizes of inputs count as long as the net has them."""
    plan = Plan(net, net)
    for rewrite, args, options in operations:
        known = inputs if plan.net is net else present(plan.net, inputs)
        plan = plan.then(rewrite, *args, inputs=known, **options)
    return plan
