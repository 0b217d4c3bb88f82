"""The commands `models list`, `show` and `fetch`: published weights."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import click

from fcnkit.cli.arguments import Number, show_json
from fcnkit.cli.outputs import check_names, write_all
from fcnkit.cli.progress import MEGABYTES, Bar, Lines, progress
from fcnkit.cli.text import say
from fcnkit.plural import number_of
from fcnkit.tables import aligned, fields

_STOPPED = 130


@click.group(short_help="Download published weights, and verify them.")
def models() -> None:
    """Download published weights into a cache folder, and show which there are.

    Only `fcnkit models fetch` fetches weights; list and show fetch an index if --index is on
    the web. The cache is $FCNKIT_MODELS, by default fcnkit/models in $XDG_CACHE_HOME or
    ~/.cache. Wherever a command takes weights, model:NAME is the model of that name in the
    cache.

    \b
    fcnkit models list
    fcnkit models show vgg16
    fcnkit models fetch vgg16
    fcnkit fcn template:vgg16 --classes 21 --stride 8 --weights model:vgg16 -o voc
    """


def _options(function: Callable) -> Callable:
    """Adds --index, --cache and --timeout."""
    for option in (
        click.option(
            "--timeout",
            type=Number(0, min_open=True),
            default=30.0,
            show_default=True,
            help="Give up on a server that sends nothing for this many seconds.",
        ),
        click.option("--cache", metavar="DIR", help="The cache folder; $FCNKIT_MODELS by default."),
        click.option(
            "--index",
            metavar="FOLDER|ADDRESS",
            envvar="FCNKIT_MODELS_INDEX",
            help=(
                "Folder or address of an index of your own, models.json; or set "
                "$FCNKIT_MODELS_INDEX."
            ),
        ),
    ):
        function = option(function)
    return function


def _read(index: str | None, timeout: float):
    from fcnkit.models.index import known, read

    return read(index, timeout) if index else known()


def _folder(cache: str | None) -> Path:
    from fcnkit.models.cache import folder

    return Path(cache) if cache else folder()


@models.command("list", short_help="List the models.")
@_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, all that is known.")
def list_(index, cache, timeout, as_json) -> None:
    """List the published models: size, licence, what verifies them, whether they are here.

    \b
    fcnkit models list
    fcnkit models list --index /srv/models
    """
    found, where = _read(index, timeout), _folder(cache)
    if as_json:
        show_json([_plain(model, where) for model in found])
        return
    rows = [_cells(model, where) for model in found]
    if rows:
        left = ("model", "licence", "verified by", "here")
        say(aligned(tuple(rows[0]), rows, left), nl=False)
    if not index:
        say("model:digits ships with fcnkit; Caffe's model zoo has none for lenet.")


def _cells(model, where: Path) -> dict[str, str]:
    from fcnkit.models.cache import label

    licence = model.licence or "not stated"
    return {
        "model": model.name,
        "size": _size(model),
        "licence": licence if len(licence) <= 24 else licence[:21] + "...",
        "verified by": ", ".join(map(label, model.digests)) or "nothing",
        "here": _state(model, where),
    }


def _size(model) -> str:
    size = model.size or model.roughly
    return "not known" if size is None else f"{'' if model.size else '~'}{size / 1e6:.1f} MB"


def _state(model, where: Path) -> str:
    from fcnkit.models.cache import kept

    place = kept(model, where)
    return (
        "yes" if os.path.exists(place.file) else "in part" if os.path.exists(place.part) else "no"
    )


def _plain(model, where: Path) -> dict:
    from fcnkit.models.cache import kept

    place = kept(model, where)
    return model.json() | {"path": str(place.file) if os.path.exists(place.file) else None}


@models.command(short_help="Show all that is known about a model.")
@click.argument("name", metavar="NAME")
@_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name, index, cache, timeout, as_json) -> None:
    """Show all that is known about a model: where it is, what verifies it, how it is used.

    \b
    fcnkit models show vgg16
    """
    from fcnkit.models.index import one

    model, where = one(_read(index, timeout), name), _folder(cache)
    if as_json:
        show_json(_plain(model, where))
    else:
        say("".join(f"{line}\n" for line in _lines(model, where)), nl=False)


def _lines(model, where: Path) -> list[str]:
    title = f"{model.name}: {model.about}" if model.about else model.name
    return [title, *fields(_facts(model, where), indent="  ")]


def _facts(model, where: Path) -> Iterator[tuple[str, str]]:
    from fcnkit.models.cache import kept, label
    from fcnkit.models.index import DIGESTS

    place = kept(model, where)
    yield "file", model.file
    yield "size", f"{number_of(model.size, 'byte')}" if model.size else _size(model)
    for name in DIGESTS:
        if name in model.digests:
            yield label(name), model.digests[name]
    if not model.digests:
        yield "digest", "none is published, so the download cannot be verified"
    yield "licence", model.licence or "not stated"
    yield "address", model.place or "none that a program can download from; see the page"
    for name in ("page", "template", "mean"):
        if getattr(model, name):
            yield name, getattr(model, name)
    yield "in cache", _whereabouts(place)
    yield from (("use" if number == 0 else "", use) for number, use in enumerate(_uses(model)))
    yield from (("from" if number == 0 else "", each) for number, each in enumerate(model.sources))


def _whereabouts(place) -> str:
    if os.path.exists(place.file):
        return str(place.file)
    return (
        f"no; {place.part.stat().st_size:,} bytes have come" if os.path.exists(place.part) else "no"
    )


def _uses(model) -> tuple[str, ...]:
    if model.use or not model.template:
        return model.use or (f"fcnkit inspect model:{model.name}",)
    return (
        f"fcnkit fcn template:{model.template} --classes 21 --stride 16 --weights "
        f"model:{model.name} -o fcn",
    )


@models.command(short_help="Download a model, and verify it.")
@click.argument("name", metavar="NAME")
@click.option("-o", "--output", metavar="FILE", help="Copy it here too.")
@click.option(
    "--from",
    "place",
    metavar="FILE|ADDRESS",
    help="Take it from here instead; it is verified all the same.",
)
@_options
@click.option("--force", is_flag=True, help="Overwrite FILE if it exists.")
def fetch(name, output, place, index, cache, timeout, force) -> None:
    """Fetch a model into the cache, and print where it is.

    The file appears when it is complete and its size and digests are those published; otherwise no
    file is left. If the transfer was interrupted, the same command continues it.

    \b
    fcnkit models fetch vgg16
    fcnkit models fetch alexnet -o bvlc_alexnet.caffemodel
    fcnkit models fetch resnet50 --from ~/Downloads/ResNet-50-model.caffemodel
    fcnkit models fetch mine --index https://models.example.org
    """
    from fcnkit.models.fetch import described
    from fcnkit.models.fetch import fetch as fetched
    from fcnkit.models.index import one

    model = one(_read(index, timeout), name)
    _check_output(output, force)
    try:
        with _Coming(model.file) as coming:
            found = fetched(
                model,
                _folder(cache),
                place=place or "",
                timeout=timeout,
                progress=coming.at,
                warn=_say,
            )
    except KeyboardInterrupt:
        _say(f"{name}: stopped; the same command continues the download")
        sys.exit(_STOPPED)
    state = "is there already" if found.already else "fetched"
    _say(f"{name}: {state}; {described(found, model)}; licence: {model.licence or 'not stated'}")
    if output:
        write_all([(output, _copier(found.path))], force=force)
    say(output or found.path)


def _check_output(output: str | None, force: bool) -> None:
    """Says before anything is fetched that the file to write is there."""
    if output:
        check_names([(output, _copier(Path(output)))], force)


def _say(text: str) -> None:
    say(f"fcnkit: {text}", err=True)


def _copier(source: Path):
    """How `write_all` copies a file."""
    from fcnkit import files

    def save(path, *, force):
        size = source.stat().st_size
        with open(source, "rb") as file, files.atomic(path, force=force, size=size) as out:
            for data in iter(lambda: file.read(1 << 20), b""):
                out.write(data)

    return save


class _Coming:
    """How much of a file has come: shown from when its size is known."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stack = ExitStack()
        self.display: Bar | Lines | None = None

    def __enter__(self) -> "_Coming":
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def at(self, done: int, size: int | None) -> None:
        """`done` bytes have come, of `size` where that is known."""
        if size is None:
            return
        if self.display is None:
            label = f"fetching {self.name}"
            self.display = progress(label, size, first=done, unit=MEGABYTES)
            self.stack.enter_context(self.display)
        self.display.at(done)
