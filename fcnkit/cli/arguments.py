"""Reads the commands' arguments, and writes their results."""

import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from fcnkit.cli.text import encodable
from fcnkit.errors import OutputError, PrototxtError
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.signature import is_text
from fcnkit.plan import Plan
from fcnkit.verify import Difference, proven, unproven

TEMPLATE = "template:"
MODEL = "model:"


def load(name: str) -> Prototxt:
    """The net at a path, on standard input for "-", or of a template such as template:alexnet."""
    if name == "-":
        data = sys.stdin.buffer.read()
        return prototxt.parse(data.decode("utf-8", "surrogateescape"), "<stdin>")
    if name.startswith(TEMPLATE):
        from fcnkit import templates

        return prototxt.read(templates.path(name.removeprefix(TEMPLATE)), name)
    return prototxt.read(name)


def load_net(name: str) -> Prototxt:
    """As `load`; PrototxtError where there is no layer, as in a solver's file."""
    net = load(name)
    if not net.root.all("layer", "layers"):
        raise PrototxtError(f"{net.path}: it has no layers; name the prototxt of a net")
    return net


class InputShape(click.ParamType):
    """BLOB=N,C,H,W."""

    name = "blob=n,c,h,w"

    def convert(self, value, param, ctx):
        """(blob, dims) of one --input."""
        if isinstance(value, tuple):
            return value
        blob, _, dims = value.partition("=")
        try:
            shape = tuple(int(size) for size in dims.split(","))
        except ValueError:
            self.fail(f"{value!r}: write it as data=1,3,227,227", param, ctx)
        if not blob or min(shape) < 1:
            self.fail(f"{value!r}: every dimension must be at least 1", param, ctx)
        return blob, shape


class Pairs(click.ParamType):
    """OLD=NEW,..."""

    name = "old=new,..."

    def convert(self, value, param, ctx):
        """{old: new} of a comma-separated list."""
        if isinstance(value, dict):
            return value
        pairs = [part.partition("=") for part in value.split(",")]
        if not all(old and new for old, _, new in pairs):
            self.fail(f"{value!r}: write it as fc6=conv6,fc7=conv7", param, ctx)
        named = [old for old, _, _ in pairs]
        twice = next((old for old in named if named.count(old) > 1), None)
        if twice is not None:
            self.fail(f"{value!r}: {twice!r} is there twice; name each once", param, ctx)
        return {old: new for old, _, new in pairs}


class Classes(Pairs):
    """A number, or HEAD=NUMBER,..."""

    name = "n | head=n,..."

    def convert(self, value, param, ctx):
        """The number, or {head: number}."""
        if not isinstance(value, str):
            return value
        heads = super().convert(value, param, ctx) if "=" in value else {"": value}
        if not all(count.isdigit() and int(count) for count in heads.values()):
            self.fail(f"{value!r}: write it as 21, or sem=33,geo=3", param, ctx)
        return int(value) if "" in heads else {head: int(count) for head, count in heads.items()}


class Rename(Pairs):
    """A pattern with {name}, or OLD=NEW,..."""

    name = "{name}-conv | old=new,..."

    def convert(self, value, param, ctx):
        """The pattern as it is, or {old: new}."""
        if isinstance(value, str) and "{name}" in value:
            return value
        return super().convert(value, param, ctx)


class WeightsFile(click.ParamType):
    """A file, or model:NAME of the cache that `fcnkit models fetch` fills."""

    name = "file"

    def convert(self, value, param, ctx):
        """The file's path; nothing is fetched."""
        if not isinstance(value, str) or not value.startswith(MODEL):
            return value
        from fcnkit.models.cache import path

        return str(path(value.removeprefix(MODEL)))


WEIGHTS = WeightsFile()


def shape_option(function: Callable) -> Callable:
    """Adds --input."""
    return click.option(
        "--input",
        "inputs",
        type=InputShape(),
        multiple=True,
        metavar="BLOB=N,C,H,W",
        help="Shape of an input, in place of the file's; may be repeated.",
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
            "-o - writes the net on standard output; ask for --diff or --json without it"
        )


def show_plan(plan: Plan, *, diff: bool, as_json: bool, quiet: bool = False) -> None:
    """Prints the plan as it was asked for: a diff, JSON, or the table of steps."""
    if as_json:
        show_json(plan.json())
    elif diff:
        click.echo(encodable(plan.diff()), nl=False)
    elif not quiet:
        click.echo(encodable(plan.table()), nl=False)


def show_json(value: object) -> None:
    """Prints a value as JSON."""
    import json

    click.echo(json.dumps(value, indent=2))


def write_all(
    outputs: Sequence[tuple[str | os.PathLike[str], Callable]],
    *,
    force: bool,
    folder: Path | None = None,
) -> None:
    """Every file is written, or none is left that was not there before.

    Each output is (path, save), where save(path, force=...) writes it; "-" is
    standard output.  `folder`, and those in it, are made first where there are none.

    Raises OutputError when one exists and `force` is not given, before any is
    written.
    """
    for path, _ in outputs:
        if str(path) != "-" and Path(path).exists() and not force:
            raise OutputError(f"{path}: exists; give another name, or --force to overwrite it")
    new = [Path(path) for path, _ in outputs if str(path) != "-" and not Path(path).exists()]
    made: list[Path] = []
    try:
        for parent in dict.fromkeys(
            (folder, *(Path(path).parent for path, _ in outputs)) if folder else ()
        ):
            made = _made(parent) + made
        for path, save in outputs:
            save(path, force=force)
    except BaseException:
        for path in new:
            with suppress(OSError):
                path.unlink()
        for path in made:
            with suppress(OSError):
                path.rmdir()
        raise


def _made(folder: Path) -> list[Path]:
    """The folders that had to be made, innermost first."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made: {error.strerror}; name a folder that can"
        ) from error
    return missing


def saver(document) -> Callable:
    """How `write_all` writes a Prototxt or a Drawing, to a file or to standard output."""

    def save(path, *, force):
        if str(path) == "-":
            sys.stdout.buffer.write(document.text.encode("utf-8", "surrogateescape"))
        else:
            document.save(path, force=force)

    return save


# Below this many bytes, writing is over before a bar would be seen.


def weights_saver(weights) -> Callable:
    """How `write_all` writes Weights in the format that the name tells; see `file_saver`."""

    def save(path, *, force):
        from fcnkit.weights.convert import as_named

        made = as_named(weights, path)
        file_saver(made)(path, force=force)
        say_unread(made, path)

    return save


def file_saver(content) -> Callable:
    """How `write_all` writes what has a `save`; the progress of a large one is shown."""

    def save(path, *, force):
        from fcnkit.cli.progress import measured  # most commands write no weights

        with measured(content.nbytes, f"writing {Path(path).name}") as advance:
            content.save(path, force=force, progress=advance)

    return save


def say_unread(weights, path: str | os.PathLike[str]) -> None:
    """Standard error says what Caffe would not read of HDF5 weights under this name."""
    if weights.kind != "hdf5":
        return
    unread = [name for name in weights if "/" in name]
    if unread:
        fact = f'{len(unread)} layers have a "/" in their names, the first "{unread[0]}"'
        click.echo(
            encodable(f"fcnkit: {path}: {fact}; Caffe ignores such layers in HDF5"), err=True
        )
    if not str(path).endswith(".h5"):
        click.echo(
            f"fcnkit: {path}: Caffe takes it for HDF5 only under a name that ends in .h5", err=True
        )


def say_written(outputs: Sequence[tuple[str | os.PathLike[str], Callable]], quiet: bool) -> None:
    """Each file's name is on standard error, unless `quiet`."""
    for path, _ in outputs:
        if not quiet and str(path) != "-":
            click.echo(f"wrote {path}", err=True)


def holds_weights(name: str) -> bool:
    """Whether this is a weights file and no net, by its first bytes: a net is text."""
    with suppress(OSError):
        if stat.S_ISREG(os.stat(name).st_mode):
            with open(name, "rb") as file:
                return not is_text(file.read(512))
    return False


def terminal_width() -> int:
    """The columns of the terminal; as many as a table likes where there is none."""
    if not sys.stdout.isatty():
        return 10_000
    import shutil

    return shutil.get_terminal_size().columns


def open_weights(path: str):
    """The weights file at a path."""
    from fcnkit.weights import store

    return store.open(path)


def transplanted(plan: Plan, weights: str, inputs: Mapping = {}):
    """The weights file at a path, as the plan's net takes it.

    Raises WeightsError where Caffe would refuse them; says which layers of the
    net it had before are not in the file.
    """
    from fcnkit.nets.graph import graphs
    from fcnkit.nets.shapes import shapes_of
    from fcnkit.weights.matching import FILLER, match
    from fcnkit.weights.surgery import transplant

    made = transplant(plan, open_weights(weights))
    left: dict[str, Any] = {}
    for graph in graphs(plan.net):
        given = {
            blob: shape
            for blob, shape in inputs.items()
            if blob in {top.blob for top in graph.inputs}
        }
        found = match(graph, graph, shapes_of(graph, given), made)
        found.check()
        left |= {row.layer: row for row in found.of(FILLER)}
    fields = plan.before.root.all("layer", "layers")
    olds = {name.string for field in fields for name in field.all("name")}
    for row in (row for name, row in left.items() if name in olds):
        click.echo(
            encodable(f'fcnkit: {weights}: layer "{row.layer}": {FILLER}: {row.why}'), err=True
        )
    return made


def exit_unless_proven(found: Sequence[Difference]) -> None:
    """Ends with status 1 where outputs differ, or where nothing shows that they do not."""
    for row in unproven(found) if all(row.ok for row in found) else ():
        click.echo(
            encodable(
                f"fcnkit: {row.end or row.output}: that it is equal is not shown: its values are "
                f"{row.hidden or 'all zero'}; give another --input, or make what they are "
                f"computed from an output"
            ),
            err=True,
        )
    if not proven(found):
        raise SystemExit(1)
