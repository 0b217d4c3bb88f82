"""Makes a folder beside its final place, and moves it there when it is whole."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fcnkit import files, locks
from fcnkit.errors import DatasetError, EngineError, OutputError
from fcnkit.foreign import json_of, refusing

if TYPE_CHECKING:
    from filelock import BaseFileLock

_PLAN, _LOCK = "plan.json", "lock"
# What may be gone at the next try.
_ENVIRONMENT = (OutputError, EngineError, OSError, MemoryError)


def place(folder: str | Path) -> Path:
    """Where the folder is made until it is whole."""
    folder = Path(os.path.abspath(folder))
    return folder.with_name(f".{folder.name}.partial")


@contextlib.contextmanager
def staged(
    folder: str | Path,
    plan: dict,
    *,
    resume: bool,
    force: bool,
    ours: str,
    scratch: Sequence[str] = (),
) -> Iterator[Path]:
    """A folder to fill, which becomes `folder` when the block ends without an error.

    After Ctrl-C, a kill, or an error of the disk or the machine it stays as it
    is, and `resume` takes it up where its plan, a JSON value, is the same; any
    other error would come again, and leaves nothing, unless it came to a
    `resume`.  `scratch` are files of the block's own, which go when the folder
    is whole.  With `force` what stands at `folder`
    gives way, if it holds a file called `ours`.

    Raises OutputError where the folder exists or cannot be made, DatasetError
    where there is an interrupted one and neither `resume` nor `force`, or one
    of another plan.
    """
    folder, new = Path(os.path.abspath(folder)), place(folder)
    _permit(folder, force, ours)
    with _made(new), _locked(new) as lock:
        _begin(new, plan, resume=resume, force=force)
        try:
            yield new
        except Exception as error:
            if not resume and not isinstance(error, _ENVIRONMENT):
                shutil.rmtree(new, ignore_errors=True)
            raise
        # Somebody else may have made it meanwhile.
        _permit(folder, force, ours)
        if sys.platform == "win32":  # where a folder with an open file is not renamed
            lock.release()
        _moved(new, folder)
        for name in (*scratch, _PLAN, _LOCK):
            (folder / name).unlink(missing_ok=True)


def drop(folder: str | Path) -> None:
    """What was begun for this folder is gone."""
    shutil.rmtree(place(folder), ignore_errors=True)


def _permit(folder: Path, force: bool, ours: str) -> None:
    if not os.path.lexists(folder) or os.path.isdir(folder) and not any(folder.iterdir()):
        return
    if not force:
        raise OutputError(f"{folder}: exists; give another name, or --force to replace it")
    if not os.path.isfile(folder / ours):
        raise OutputError(
            f"{folder}: has no {ours}, so it is not a dataset to replace; give another name"
        )


@contextlib.contextmanager
def _made(new: Path) -> Iterator[None]:
    try:
        new.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{new}: cannot be made: {error.strerror}; name a folder that can"
        ) from None
    yield


@contextlib.contextmanager
def _locked(new: Path) -> Iterator["BaseFileLock"]:
    """No other process works in the folder; the system drops the lock when this process ends."""
    lock = locks.taken(new / _LOCK)
    if lock is None:
        raise DatasetError(f"{new}: another fcnkit process is writing it; wait until it ends")
    try:
        yield lock
    finally:
        lock.release()


def _begin(new: Path, plan: dict, *, resume: bool, force: bool) -> None:
    """The folder is empty, or holds the beginning of the same plan."""
    begun = _begun(new)
    if begun and not resume and not force:
        raise DatasetError(
            f"{new}: holds an interrupted dataset; continue with --resume, or start over with "
            "--force"
        )
    if begun and resume:
        _same(new, begun, json.loads(json.dumps(plan)))
        return
    if not begun and _foreign(new):
        raise DatasetError(
            f"{new}: holds {_foreign(new)[0]}, which is not of fcnkit; move it elsewhere"
        )
    _emptied(new)
    files.write(new / _PLAN, json.dumps(plan).encode("utf-8", "surrogateescape"))


def _begun(new: Path) -> dict | None:
    """The plan that was begun here; None where nothing was, for the plan comes first."""
    path = new / _PLAN
    if not os.path.exists(path):
        return None
    with refusing(
        lambda reason: DatasetError(
            f"{path}: cannot be read: {reason}; remove {new} and start over"
        )
    ):
        found = json_of(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it is not a plan")
        return found


def _foreign(new: Path) -> list[str]:
    """What is in the folder but our lock, and a plan that was being written."""
    names = (path.name for path in new.iterdir())
    return [name for name in names if name != _LOCK and not name.startswith(f".{_PLAN}.")]


def _same(new: Path, begun: dict, plan: dict) -> None:
    differing = [name for name in {**begun, **plan} if begun.get(name) != plan.get(name)]
    if differing:
        fact = f"was started with other values of {', '.join(differing)}"
        raise DatasetError(
            f"{new}: {fact}; give the same values, or start over with --force instead of --resume"
        )


def _emptied(new: Path) -> None:
    for path in new.iterdir():
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()


def _moved(new: Path, folder: Path) -> None:
    """The new folder stands in its place, and the old one, if there was one, is gone."""
    old = folder.with_name(f".{folder.name}.replaced-by-fcnkit")
    try:
        if os.path.lexists(folder):
            shutil.rmtree(old, ignore_errors=True)
            os.rename(folder, old)
        os.rename(new, folder)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written: {error.strerror}; the finished dataset is in {new}"
        ) from None
    shutil.rmtree(old, ignore_errors=True)
