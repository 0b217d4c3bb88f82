"""A published model comes into the cache: resumed, verified, and there only when it is whole."""

import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fcnkit import files
from fcnkit.errors import FcnkitError, ModelError, OutputError
from fcnkit.foreign import json_of
from fcnkit.models import web
from fcnkit.models.cache import Kept, check, kept, label, locked, recorded
from fcnkit.models.index import LARGEST, Model
from fcnkit.plural import number_of

# A connection that is cut is taken up again so often while each brings something.
_TIMES = 5
_CHUNK = 1 << 18

# Told how many bytes there are, and of how many: None where the server does not say.
Arrival = Callable[[int, int | None], object]


class Fetched(NamedTuple):
    """A model's file in the cache, its digests, and whether it was there before."""

    path: Path
    digests: dict[str, str]
    already: bool = False


class _Other(ModelError):
    """What the server has is not the model, however often it is asked."""


class _Anew(Exception):
    """What came is of no use; begin from the first byte."""


def fetch(
    model: Model,
    where: Path,
    *,
    place: str = "",
    timeout: float = 30.0,
    progress: Arrival = lambda done, size: None,
    warn: Callable[[str], object] = lambda text: None,
) -> Fetched:
    """The model is in the cache `where`, verified.

    It comes from `place`, an address or a file, or from where the model says.
    What came before a cut, a stop or a stalled server (no byte for `timeout`
    seconds) is kept and gone on from, also by a later call.  A model that has
    a digest and is there already does not come again; `warn` is told of one
    that was damaged.

    Raises ModelError where it cannot be had or is not what was published: then
    nothing is left of it.  OutputError where the cache cannot be written, or
    has another model of this name.
    """
    target = kept(model, where)
    with locked(target):
        before = _before(target, warn)
        if before:
            return before
        source = place or model.place
        if not source:
            page = f"; see {model.page}" if model.page else ""
            fact = "no program can fetch it"
            raise ModelError(
                f"{model.name}: {fact}{page}, and give the downloaded file with --from"
            )
        if "://" in source:
            _downloaded(source, target, timeout, progress)
        else:
            _copied(Path(source), target, progress)
        return _accepted(target, source)


def _before(target: Kept, warn: Callable[[str], object]) -> Fetched | None:
    """The file that the cache has, if it is known to be the model; a damaged one is removed."""
    had = recorded(target.model.name, target.folder.parent)
    if had and os.path.exists(had.file) and not _same(had.model, target.model):
        fact = "holds a different model of this name"
        raise OutputError(
            f"{target.folder}: {fact}; move it away, or name another folder with --cache"
        )
    if not os.path.exists(target.file) or not target.model.digests:
        return None
    try:
        return Fetched(target.file, check(target.model, target.file, str(target.file)), True)
    except FcnkitError as error:
        warn(f"{error}; it is fetched again")
        target.file.unlink()
        return None


def _same(one: Model, other: Model) -> bool:
    """Whether two entries can be of one file:
    it has the same name, and no digest that both say differs.
    """
    shared = one.digests.keys() & other.digests.keys()
    return one.file == other.file and all(one.digests[key] == other.digests[key] for key in shared)


def _accepted(target: Kept, source: str) -> Fetched:
    """The part is the model's file from now on,
    if it is what was published; else nothing is left of it.
    """
    try:
        found = check(target.model, target.part, source)
    except FcnkitError:
        target.forget_part()
        raise
    size = target.part.stat().st_size
    with open(target.part, "rb") as file:
        os.fsync(file.fileno())
    exact = target.model._replace(size=size, digests={**found, **target.model.digests})
    target._replace(model=exact).save()
    os.replace(target.part, target.file)
    target.forget_part()
    return Fetched(target.file, found)


def described(found: Fetched, model: Model) -> str:
    """By which digests the file was verified, or its SHA-1 where none is published."""
    if model.digests:
        return f"{' and '.join(map(label, model.digests))} as published"
    return f"no digest is published; its SHA-1 is {found.digests['sha1']}"


# ---- from a folder


def _copied(source: Path, target: Kept, progress: Arrival) -> None:
    try:
        state = source.stat()
        if not stat.S_ISREG(state.st_mode):
            raise ModelError(f"{source}: is not a file; name the weights")
        size = state.st_size
        if target.model.size not in (None, size):
            raise ModelError(
                f"{source}: has {number_of(size, 'byte')}, and {target.model.name} "
                f"{target.model.size:,}"
            )
        target.forget_part()
        with open(source, "rb") as file, _writing(target, 0) as part:
            for data in iter(lambda: file.read(_CHUNK), b""):
                _write(part, data, target)
                progress(part.tell(), size)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise ModelError(
            f"{source}: cannot be read: {error.strerror}; give another file or address"
        ) from None


# ---- from the web


def _downloaded(address: str, target: Kept, timeout: float, progress: Arrival) -> None:
    """All of the file is in the part; ModelError where it cannot come, and what came is kept."""
    for _ in range(_TIMES):
        had = _size(target)
        try:
            _pull(address, target, timeout, progress)
            return
        except _Anew:
            target.forget_part()
        except web.Cut as error:
            if _size(target) <= had:
                raise _kept(
                    ModelError(f"{address}: the connection was cut ({error})"), target
                ) from None
        except _Other:
            raise
        except ModelError as error:
            raise _kept(error, target) from None
    raise _kept(ModelError(f"{address}: the connection was cut {_TIMES} times"), target)


def _kept(error: ModelError, target: Kept) -> ModelError:
    """The error, with what the next call will go on from."""
    size = _size(target)
    rest = f"; the {size:,} bytes received are kept, and the same command continues from there"
    return ModelError(f"{error}{rest}") if size else error


def _pull(address: str, target: Kept, timeout: float, progress: Arrival) -> None:
    """One connection's worth of the file.

    Raises _Anew, web.Cut, or ModelError.
    """
    at = _resumable(address, target)
    if at and at == target.model.size:
        return
    headers = {"Range": f"bytes={at}-"} if at else {}
    validator = _validator(address, target)
    if at and validator:
        headers["If-Range"] = validator
    try:
        with web.opened(address, timeout, headers) as response:
            at = at if _goes_on(response, at) else 0
            total = _total(address, response, at, target.model)
            _begin(address, response, target)
            with _writing(target, at) as part:
                _poured(address, response, part, total, target, progress)
    except web.NoRange:
        if not at:
            raise ModelError(
                f"{address}: the server answers 416 to a request for all of it"
            ) from None
        raise _Anew from None


def _goes_on(response: HTTPResponse, at: int) -> bool:
    """Whether the body is what follows the first `at` bytes,
    not all of the file; _Anew for another part.
    """
    if response.status != 206:
        return False
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    if not found or int(found[1]) != at:
        raise _Anew
    return True


def _total(address: str, response: HTTPResponse, at: int, model: Model) -> int | None:
    """How many bytes the file has, as the server says; ModelError where it cannot be the model."""
    kind = response.headers.get_content_type()
    if kind == "text/html":
        raise _Other(
            f"{address}: the server sends a web page, not weights; give another address with --from"
        )
    total = None if response.length is None else at + response.length
    if total is not None and total != (model.size or total):
        fact = f"the server has {number_of(total, 'byte')}, and {model.name} {model.size:,}"
        raise _Other(f"{address}: {fact}; give another address with --from")
    if total is not None and total > LARGEST:
        raise _Other(
            f"{address}: the server has {number_of(total, 'byte')}; Caffe reads {LARGEST:,} at most"
        )
    return total


def _poured(
    address: str,
    response: HTTPResponse,
    part: BinaryIO,
    total: int | None,
    target: Kept,
    progress: Arrival,
) -> None:
    """The body is behind what was there; no byte more than the model has is ever written."""
    size = target.model.size or total
    most = size or LARGEST
    progress(part.tell(), size)
    # read1 gives what has come, so that what comes before a stall is kept.
    for data in iter(lambda: response.read1(_CHUNK), b""):
        if part.tell() + len(data) > most:
            part.close()
            target.forget_part()
            raise _Other(
                f"{address}: the server sends more than {number_of(most, 'byte')}; nothing is kept"
            )
        _write(part, data, target)
        progress(part.tell(), size)
    if part.tell() < (size or 0):
        raise web.Cut(f"{part.tell():,} of {size:,} bytes came")


# ---- what came before


def _size(target: Kept) -> int:
    return target.part.stat().st_size if os.path.exists(target.part) else 0


def _begin(address: str, response: HTTPResponse, target: Kept) -> None:
    """What is to be written is known to be of this address, and of which version."""
    etag = response.headers.get("ETag") or ""
    validator = (
        response.headers.get("Last-Modified") or "" if etag.startswith("W/") or not etag else etag
    )
    text = json.dumps({"address": address, "validator": validator})
    files.write(target.begun, text.encode(), force=True)


def _validator(address: str, target: Kept) -> str:
    """What the server called the version that the part is of; "" where that is not known."""
    try:
        record = json_of(target.begun.read_text(encoding="utf-8"))
        found = record["validator"] if record["address"] == address else ""  # type: ignore[index]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) and found.isprintable() else ""


def _resumable(address: str, target: Kept) -> int:
    """How many bytes can be gone on from:
    of a known version, or such as a digest will judge in the end.
    """
    size = _size(target)
    known = target.model.digests or _validator(address, target)
    if size > (target.model.size or LARGEST) or not known:
        target.forget_part()
        return 0
    return size


@contextmanager
def _writing(target: Kept, at: int) -> Iterator[BinaryIO]:
    """The part, open behind its first `at` bytes, the rest cut off."""
    try:
        with open(target.part, "r+b" if at else "wb") as file:
            file.truncate(at)
            file.seek(at)
            yield file
    except FileNotFoundError as error:
        raise _refusal(target, error) from None


def _write(part: BinaryIO, data: bytes, target: Kept) -> None:
    try:
        part.write(data)
    except OSError as error:
        raise _refusal(target, error) from None


def _refusal(target: Kept, error: OSError) -> OutputError:
    return OutputError(
        f"{target.part}: cannot be written: {error.strerror or error}; check that the disk has room"
    )
