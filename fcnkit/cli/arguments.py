"""Reads the commands' arguments, and writes their results."""

import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import isfinite
from typing import Any

import click

from fcnkit import templates
from fcnkit.cli.empty import not_empty
from fcnkit.cli.text import say, say_diff
from fcnkit.errors import PrototxtError, WeightsError, quoted
from fcnkit.foreign import json_text
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.signature import ENOUGH, is_solver, is_weights
from fcnkit.plan import Plan
from fcnkit.rewrites.operations import whole_number
from fcnkit.verifying.differences import Difference, proven, unproven

TEMPLATE = templates.PREFIX
MODEL = "model:"


def load(name: str) -> Prototxt:
    """The net at a path, on standard input for "-", or of a template such as template:alexnet.

    template:alexnet/train_val.prototxt is the one that trains it.
    """
    if name == "-":
        data = sys.stdin.buffer.read()
        return prototxt.of_bytes(data, "<stdin>")
    if name.startswith(TEMPLATE):
        from fcnkit.families import DEPLOY, template

        template_name, _, file = name.removeprefix(TEMPLATE).partition("/")
        return template(template_name, file or DEPLOY)
    if name.startswith(MODEL):
        raise PrototxtError(f"{name}: names weights, not a net; give a prototxt or template:NAME")
    return prototxt.read(name)


def load_net(name: str) -> Prototxt:
    """As `load`; PrototxtError where there is no layer, as in a solver's file."""
    net = load(name)
    if not net.root.all("layer", "layers"):
        if not net.text:
            raise PrototxtError(f"{net.path}: it is an empty file; download or export it again")
        solver = is_solver({field.name for field in net.fields})
        fact = "it is a solver" if solver else "it has no layers"
        raise PrototxtError(f"{net.path}: {fact}; name the prototxt of a net")
    return net


class Number(click.FloatRange):
    """A number of a range, or any but NaN and infinity."""

    name = "float"

    def convert(self, value, param, ctx):
        """The number."""
        found = super().convert(value, param, ctx)
        if not isfinite(found):
            self.fail(f"{quoted(value)} is not a finite number", param, ctx)
        return found

    def _describe_range(self) -> str:
        """What the help says of the bounds; click would write x<=None where there are none."""
        return "" if self.min is self.max is None else super()._describe_range()


class Means(click.ParamType):
    """V,V,V or V."""

    name = "b,g,r"

    def convert(self, value, param, ctx):
        """The numbers of a comma-separated list."""
        if isinstance(value, tuple):
            return value
        from fcnkit.rewrites.operations import finite_number

        try:
            return tuple(map(finite_number, value.split(",")))
        except ValueError:
            self.fail(f"{quoted(value)}: write it as 104,117,123 or 33.3", param, ctx)


class InputShape(click.ParamType):
    """BLOB=N,C,H,W."""

    name = "blob=n,c,h,w"

    def convert(self, value, param, ctx):
        """(blob, dims) of one --input."""
        if isinstance(value, tuple):
            return value
        blob, _, dims = value.partition("=")
        try:
            shape = tuple(whole_number(size, 2**31 - 1) for size in dims.split(","))
        except ValueError:
            self.fail(f"{quoted(value)}: write it as data=1,3,227,227", param, ctx)
        if not blob or min(shape) < 1:
            self.fail(f"{quoted(value)}: every dimension must be at least 1", param, ctx)
        return blob, shape


class InputValues(InputShape):
    """BLOB=N,C,H,W for noise of that shape, or BLOB=FILE.npy for what the file holds."""

    name = "blob=n,c,h,w|file.npy"

    def convert(self, value, param, ctx):
        """(blob, dims) or (blob, array) of one --input."""
        if isinstance(value, tuple) or not value.lower().endswith(".npy"):
            return super().convert(value, param, ctx)
        import numpy as np

        from fcnkit.formats import npy

        blob, _, path = value.partition("=")
        try:
            return blob, np.array(npy.read(path), np.float32)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            self.fail(
                f"{quoted(path)}: is not an array: {why}; save one with numpy.save", param, ctx
            )


class Pairs(click.ParamType):
    """OLD=NEW,..."""

    name = "old=new,..."
    example = "fc6=conv6,fc7=conv7"

    def convert(self, value, param, ctx):
        """{old: new} of a comma-separated list."""
        if isinstance(value, dict):
            return value
        pairs = self.pairs(value, param, ctx)
        twice = _twice(old for old, _ in pairs)
        if twice is not None:
            self.fail(f"{quoted(value)}: {twice!r} appears twice; name each once", param, ctx)
        return dict(pairs)

    def pairs(self, value, param, ctx) -> list[tuple[str, str]]:
        """(old, new) of each part."""
        pairs = [part.partition("=") for part in value.split(",")]
        if not all(old and new for old, _, new in pairs):
            self.fail(f"{quoted(value)}: write it as {self.example}", param, ctx)
        return [(old, new) for old, _, new in pairs]


class Channels(Pairs):
    """IMAGE=LETTERS,..., a letter for each channel."""

    name = "name=abc,..."
    example = "color=bgr,depth=d"


class Targets(Pairs):
    """OLD=NEW,...; an old name may be there several times, a new one may not."""

    def convert(self, value, param, ctx):
        """{old: [new, ...]} of a comma-separated list."""
        if isinstance(value, dict):
            return value
        pairs = self.pairs(value, param, ctx)
        twice = _twice(new for _, new in pairs)
        if twice is not None:
            fact = f"{twice!r} would be of two layers"
            self.fail(f"{quoted(value)}: {fact}; name it once", param, ctx)
        found: dict[str, list[str]] = {}
        for old, new in pairs:
            found.setdefault(old, []).append(new)
        return found


def _twice(names: Iterable[str]) -> str | None:
    """The first name that is there twice."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


class Classes(Pairs):
    """A number, or HEAD=NUMBER,..."""

    name = "n | head=n,..."

    def convert(self, value, param, ctx):
        """The number, or {head: number}."""
        if not isinstance(value, str):
            return value
        heads = super().convert(value, param, ctx) if "=" in value else {"": value}
        try:
            counts = {head: whole_number(count) for head, count in heads.items()}
        except ValueError as error:
            self.fail(f"{error}; write it as 21, or sem=33,geo=3", param, ctx)
        if not all(counts.values()):
            self.fail(f"{quoted(value)}: write it as 21, or sem=33,geo=3", param, ctx)
        return counts.get("", counts)


class Rename(Pairs):
    """A pattern with {name}, or OLD=NEW,..."""

    name = "{name}-conv | old=new,..."

    def convert(self, value, param, ctx):
        """The pattern as it is, or {old: new}."""
        if isinstance(value, str) and "{name}" in value:
            return value
        return super().convert(value, param, ctx)


class WeightsFile(click.ParamType):
    """A file, or model:NAME of the cache that `fcnkit models fetch` fills, or model:digits."""

    name = "file"

    def convert(self, value, param, ctx):
        """The file's path; nothing is fetched."""
        not_empty(value, param, ctx)
        takes_nets = "NET" in ((param and param.metavar) or "")
        if isinstance(value, str) and value.startswith(TEMPLATE) and not takes_nets:
            self.fail(f"{value} is a net; give a weights file or model:NAME", param, ctx)
        if not isinstance(value, str) or not value.startswith(MODEL):
            return value
        from fcnkit.models.cache import path

        return str(path(value.removeprefix(MODEL)))


WEIGHTS = WeightsFile()


class ImagePlace(click.ParamType):
    """An image, a folder, a dataset, or an image of a template, as template:digits/canvas.png."""

    name = "image"

    def convert(self, value, param, ctx):
        """Its path."""
        if not isinstance(value, str) or not value.startswith(TEMPLATE):
            return value
        name, _, file = value.removeprefix(TEMPLATE).partition("/")
        return str(templates.path(name, file))


IMAGE = ImagePlace()


def shape_option(function: Callable) -> Callable:
    """Adds --input."""
    return click.option(
        "--input",
        "inputs",
        type=InputShape(),
        multiple=True,
        metavar="BLOB=N,C,H,W",
        help="Shape of an input, instead of the file's; may be repeated.",
    )(function)


def values_option(function: Callable) -> Callable:
    """Adds --input for a command that runs nets: shapes, or arrays."""
    return click.option(
        "--input",
        "inputs",
        type=InputValues(),
        multiple=True,
        metavar="BLOB=N,C,H,W|FILE.npy",
        help="Give an input noise of this shape, or the array in this file; may be repeated.",
    )(function)


def plan_options(function: Callable) -> Callable:
    """Adds --diff, --json and --force."""
    for option in (
        click.option("--force", is_flag=True, help="Overwrite files that exist."),
        click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON."),
        click.option("--diff", is_flag=True, help="Print what would change as a unified diff."),
    ):
        function = option(function)
    return function


def check_stdout(output: str | None, *, diff: bool, as_json: bool) -> None:
    """Standard output takes the net or the plan, not both."""
    if output == "-" and (diff or as_json):
        raise click.UsageError(
            "-o - already writes the net to standard output; give --diff or --json without it"
        )


def show_plan(
    plan: Plan, *, diff: bool, as_json: bool, quiet: bool = False, more: Mapping[str, Any] = {}
) -> None:
    """Prints the plan as it was asked for: a diff, JSON with `more` in it, or its table."""
    if as_json:
        show_json({**plan.json(), **more})
    elif diff:
        say_diff(plan.diff())
    elif not quiet:
        say(plan.table(), nl=False)


def show_json(value: object) -> None:
    """Prints a value as JSON."""
    say(json_text(value, indent=2))


def holds_weights(name: str) -> bool:
    """Whether this is a weights file and no net, by its first bytes."""
    with suppress(OSError, ValueError):
        if stat.S_ISREG(os.stat(name).st_mode):
            with open(name, "rb") as file:
                return is_weights(file.read(ENOUGH))
    return False


def open_weights(path: str):
    """The weights file at a path."""
    from fcnkit.weights import store

    return store.open(path)


_OTHERS = "give the weights of this net, or match other names with `fcnkit surgery --map OLD=NEW`"


def transplanted(plan: Plan, weights: str, inputs: Mapping = {}, *, partly: bool = False):
    """The weights file at a path, as the plan's net takes it; `partly` of layers that it lacks.

    Raises WeightsError where Caffe would refuse them; says which layers of the
    net it had before are not in the file.
    """
    from fcnkit.nets.graph import buildable
    from fcnkit.nets.shapes import shapes_of
    from fcnkit.weights.matching import FILLER, match
    from fcnkit.weights.surgery import transplant

    opened = open_weights(weights)
    fields = plan.before.root.all("layer", "layers")
    olds = {name.string for field in fields for name in field.all("name")}
    if partly and olds and not olds & {name for name, blobs in opened.items() if blobs}:
        raise WeightsError(f"{weights}: it has no layer of {plan.before.path}; {_OTHERS}")
    made = transplant(_of_those(plan, opened) if partly else plan, opened)
    left: dict[str, Any] = {}
    for graph in buildable(plan.net)[0]:
        given = {
            blob: shape
            for blob, shape in inputs.items()
            if blob in {top.blob for top in graph.inputs}
        }
        found = match(graph, graph, shapes_of(graph, given), made)
        found.check()
        left |= {row.layer: row for row in found.of(FILLER)}
    for row in (row for name, row in left.items() if name in olds):
        say(f'fcnkit: {weights}: layer "{row.layer}": {FILLER}: {row.why}', err=True)
    return made


def _of_those(plan: Plan, weights: Mapping) -> Plan:
    """The plan without the moves of layers that the weights lack, where they have the whole trunk.

    The trunk is what the plan leaves as it is; the layers that it changes, the classifier's,
    are then left to their fillers.
    """
    from fcnkit.nets.graph import graphs
    from fcnkit.nets.layers.table import of

    changed = {layer for move in plan.moves for layer, _ in (*move.reads, (move.layer, 0))}
    layers = (layer for graph in graphs(plan.before) for layer in graph.layers)
    trunk = {layer.name for layer in layers if of(layer).learns} - changed
    if not trunk or not trunk <= set(weights):
        return plan
    has = (move for move in plan.moves if all(layer in weights for layer, _ in move.reads))
    return replace(plan, moves=tuple(has))


def exit_unless_proven(
    found: Sequence[Difference], remedy: str = "give the net real data, with --input BLOB=FILE.npy"
) -> None:
    """Ends with status 1 where outputs differ, or where nothing shows that they do not."""
    for row in unproven(found) if all(row.ok for row in found) else ():
        say(f"fcnkit: {row.output}: not proven equal: {row.why}; {remedy}", err=True)
    if not proven(found):
        raise SystemExit(1)
