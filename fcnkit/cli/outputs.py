"""Where the commands' results go: files written all or none, and what is said of them."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fcnkit import files
from fcnkit.cli.text import say, write_out
from fcnkit.errors import NetError, OutputError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.suffixes import DRAWING, NET, WEIGHTS, check_suffix, check_target
from fcnkit.plural import number_of
from fcnkit.preprocessing import beside, place

if TYPE_CHECKING:
    from fcnkit.drawing.draw import Drawing
    from fcnkit.exporting.exported import Exported
    from fcnkit.plan import Plan
    from fcnkit.shape import Shape
    from fcnkit.weights.store import Weights
    from fcnkit.weights.upgrade import Upgraded


class Saver(NamedTuple):
    """How one file is written, and what kind of file it is: see `formats.suffixes`."""

    kind: str
    write: Callable[..., object]

    def __call__(self, path: str | os.PathLike[str], *, force: bool) -> None:
        """Writes the file."""
        self.write(path, force=force)


Output = tuple[str | os.PathLike[str], "Saver | Callable[..., object]"]


def write_all(
    outputs: Sequence[Output],
    *,
    force: bool,
    folder: Path | None = None,
) -> None:
    """Every file is written, or none is left that was not there before.

    Each output is (path, save), where save(path, force=...) writes it; "-" is
    standard output.  `folder`, and those in it, are made first where there are none.

    Raises OutputError before any is written: when one exists and `force` is not
    given, when two have one name, or when a name is that of another kind of file.
    """
    check_names(outputs, force)
    new = {Path(path) for path, _ in outputs if str(path) != "-" and not os.path.exists(path)}
    placed: list[tuple[str, os.stat_result]] = []
    made: list[Path] = []
    try:
        for parent in dict.fromkeys(
            (folder, *(Path(path).parent for path, _ in outputs)) if folder else ()
        ):
            made = _made(parent) + made
        with _without_last(outputs, folder) as done:
            for path, save in outputs:
                save(path, force=force)
                done.append(path)
                # Through a link, what was put there is the file that it leads to.
                if Path(path) in new:
                    placed.append((os.path.realpath(path), os.stat(path)))
    except BaseException:
        for place, its in placed:
            with suppress(OSError):
                if _identity(os.lstat(place)) == _identity(its):  # what another put there stays
                    os.unlink(place)
        for path in made:
            with suppress(OSError):
                path.rmdir()
        raise


@contextmanager
def _without_last(outputs: Sequence[Output], folder: Path | None) -> Iterator[list[object]]:
    """While a folder's files are written over, that which is written last is not there.

    A kill in between must not leave new files and old ones that look like one
    set: without its solver, a net is not trained.  After an error the old file is
    back, if no other has been written: what is written is put on the list.
    """
    path, save = outputs[-1] if outputs else ("-", None)
    made: list[object] = []
    whole = folder is None or not isinstance(save, Saver) or save.kind != NET
    if whole or len(outputs) < 2 or not os.path.isfile(path):
        yield made
        return
    old = Path(path).read_bytes()
    os.unlink(path)
    try:
        yield made
    except BaseException:
        if not made and not os.path.lexists(path):
            files.write(path, old)
        raise


def _identity(its: os.stat_result) -> tuple[int, ...]:
    """What tells a file from one that took its name, and perhaps its number."""
    return its.st_dev, its.st_ino, its.st_size, its.st_mtime_ns


def check_names(outputs: Sequence[Output], force: bool) -> None:
    """Raises OutputError as `write_all` does, before there is anything to write."""
    places: set[str] = set()
    for path, save in outputs:
        if str(path) == "-":
            if isinstance(save, Saver) and save.kind not in (NET, DRAWING):
                raise OutputError(f"-: standard output takes text, not {save.kind}; name a file")
            continue
        if isinstance(save, Saver):
            check_suffix(path, save.kind)
            check_target(path, save.kind)
        if os.path.exists(path) and not force:
            raise OutputError(f"{path}: exists; give another name, or --force to overwrite it")
        _say_links(path)
        place = os.path.realpath(path)
        if place in places:
            raise OutputError(f"{path}: two results would be written there; give each its own name")
        places.add(place)


def _say_links(path: str | os.PathLike[str]) -> None:
    """Standard error says that other names of a file that is overwritten keep what it held."""
    with suppress(OSError):
        more = os.stat(path).st_nlink - 1
        if more:
            what = "another name" if more == 1 else number_of(more, "other name")
            say(f"fcnkit: {path}: has {what} (hard links), with the old content", err=True)


def _made(folder: Path) -> list[Path]:
    """The folders that had to be made, innermost first."""
    missing = [each for each in (folder, *folder.parents) if not os.path.exists(each)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made: {error.strerror}; name a folder that can"
        ) from error
    return missing


def saver(document: Prototxt) -> Saver:
    """How `write_all` writes a Prototxt, to a file or to standard output."""
    return Saver(NET, _text_writer(document))


def drawing_saver(drawing: "Drawing") -> Saver:
    """How `write_all` writes a Drawing, to a file or to standard output."""
    return Saver(DRAWING, _text_writer(drawing))


def _text_writer(document: "Prototxt | Drawing") -> Callable[..., None]:
    def write(path: str | os.PathLike[str], *, force: bool) -> None:
        if str(path) == "-":
            write_out(document.text.encode("utf-8", "surrogateescape"))
        else:
            document.save(path, force=force)

    return write


def weights_saver(weights: "Weights") -> Saver:
    """How `write_all` writes Weights in the format that the name tells; see `file_saver`."""

    def write(path: str | os.PathLike[str], *, force: bool) -> None:
        from fcnkit.weights.convert import as_named

        made = as_named(weights, path)
        file_saver(made, WEIGHTS)(path, force=force)
        say_unread(made, path)

    return Saver(WEIGHTS, write)


def preprocessing_beside(plan: "Plan", path: str, *, kept: bool = True) -> list[Output]:
    """What the file beside a plan's net says of its images goes beside the new net, as it is now.

    Nothing where there is none, or the new net is standard output, or where it is not `kept` or
    the plan makes of it what no file can say, which is said.  Raises OutputError where the file
    of another net is there: the new one would be taken to want that.
    """
    if path == "-":
        return []
    from fcnkit.rewrites.wanted import wanted

    known, own = beside(plan.before), place(path) == place(plan.before.path)
    made = wanted(known, plan) if kept else None
    if made is None and os.path.lexists(place(path)):
        whose = "the old net" if own else "another net"
        fact = f"describes the images of {whose}, but would be read for the new net"
        raise OutputError(f"{place(path)}: {fact}; remove it, or give the new net another name")
    if known and made is None:
        fact = "is not copied, since the new net takes other images"
        say(f"fcnkit: {place(plan.before.path)}: {fact}; write {place(path)} by hand", err=True)
    if made is None and known is None and any(image.rows for image in plan.images):
        fact = "the new net wants other images, and no file says what the old one wanted"
        remedy = f"write {place(path)}, or give `fcnkit infer` --order and --mean"
        say(f"fcnkit: {fact}; {remedy}", err=True)
    if made is None or (own and made == known):
        return []
    if known and known.classes and not made.classes:
        fact = "the names of its classes are not copied, since the classes changed"
        say(f"fcnkit: {place(plan.before.path)}: {fact}", err=True)
    return [(place(path), made.save)]


def say_old_sizes(net: Prototxt, path: str, inputs: "Mapping[str, Shape]") -> None:
    """Standard error says of which inputs the net that is written has another size than --input."""
    if not inputs:
        return
    from fcnkit.nets.graph import build
    from fcnkit.nets.layers.axes import show
    from fcnkit.nets.shapes import shapes_of

    with suppress(NetError):  # a net that needs --input to be built says no size of its own
        graph = build(net)
        sizes = {top.blob: shape for top, shape in shapes_of(graph).tops.items()}
        for blob, wanted in inputs.items():
            if sizes.get(blob) not in (None, wanted):
                words = ",".join(map(str, wanted))
                fact = (
                    f'"{blob}" is still {show(sizes[blob] or ())} in it, not {show(wanted)} '
                    "as in --input"
                )
                remedy = f"`fcnkit surgery {path} --do resize={blob}:{words}` changes that"
                say(f"fcnkit: {path}: {fact}; {remedy}", err=True)


def file_saver(content: "Weights | Exported | Upgraded", kind: str) -> Saver:
    """How `write_all` writes what has a `save`; the progress of a large one is shown."""

    def write(path: str | os.PathLike[str], *, force: bool) -> None:
        from fcnkit.cli.progress import measured  # most commands write no weights

        with measured(content.nbytes, f"writing {Path(path).name}") as advance:
            content.save(path, force=force, progress=advance)

    return Saver(kind, write)


def say_unread(weights, path: str | os.PathLike[str]) -> None:
    """Standard error says what Caffe would not read of HDF5 weights under this name."""
    if weights.kind != "hdf5":
        return
    unread = [name for name, blobs in weights.items() if blobs and "/" in name]
    if unread:
        fact = f'{number_of(len(unread), "layer")} with a "/" in the name, the first "{unread[0]}"'
        remedy = "give it a .caffemodel, or rename them first"
        say(f"fcnkit: {path}: {fact}; Caffe leaves such layers of HDF5 out: {remedy}", err=True)
    if not str(path).endswith(".h5"):
        say(f"fcnkit: {path}: Caffe reads it as HDF5 only if its name ends in .h5", err=True)


def say_written(outputs: Sequence[Output], quiet: bool) -> None:
    """Each file's name is on standard error, unless `quiet`."""
    for path, _ in outputs:
        if not quiet and str(path) != "-":
            say(f"wrote {path}", err=True)
