"""The folder that published models are kept in:
one for each, with its file and what is known of it.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from fcnkit import files, locks, templates
from fcnkit.errors import ModelError, OutputError, WeightsError, printable
from fcnkit.formats import signature
from fcnkit.models import index
from fcnkit.models.index import DIGESTS, RECORD, Model
from fcnkit.plural import number_of

_LOCK = ".lock"
_CHUNK = 1 << 20


def folder() -> Path:
    """$FCNKIT_MODELS, or fcnkit/models in the user's cache; it need not be there."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("FCNKIT_MODELS") or f"{cache}/fcnkit/models").expanduser()


class Kept(NamedTuple):
    """Where a model is kept, or will be."""

    folder: Path
    model: Model

    @property
    def file(self) -> Path:
        """The weights, there when they are whole."""
        return self.folder / self.model.file

    @property
    def part(self) -> Path:
        """What has come of a file that is not whole."""
        return self.folder / f"{self.model.file}.part"

    @property
    def begun(self) -> Path:
        """What the server said of the file of which `part` is the beginning."""
        return self.folder / f"{self.model.file}.part.json"

    def save(self) -> None:
        """What is known of the model lies beside it, so that it can be used without an index."""
        model = self.model if "://" in self.model.place else self.model._replace(place="")
        text = json.dumps({"models": [model.json()]}, indent=1, ensure_ascii=False)
        files.write(self.folder / RECORD, f"{text}\n".encode(), force=True)

    def forget_part(self) -> None:
        """Nothing is left of what came."""
        self.part.unlink(missing_ok=True)
        self.begun.unlink(missing_ok=True)


def kept(model: Model, where: Path) -> Kept:
    """Where the cache `where` keeps a model."""
    return Kept(where / model.name, model)


def recorded(name: str, where: Path) -> Kept | None:
    """The model of this name in the cache, as it was known when it was fetched;
    None where there is none.
    """
    index.check_name(name, "model")
    path = where / name / RECORD
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read: {error}; remove its folder") from None
    found = index.parse(text, str(path), lambda file: str(path.with_name(file)))
    if [model.name for model in found] != [name]:
        raise ModelError(f"{path}: is not about a single model, {name}; remove its folder")
    return Kept(where / name, found[0])


def path(name: str) -> Path:
    """The file of the model called `name` in the cache, or of a trained template; never fetched.

    Raises ModelError where it is not there, with the command that fetches it.
    """
    where = folder()
    found = recorded(name, where)
    remedy = f"fetch it with `fcnkit models fetch {name}`"
    if found is None and name in templates.TRAINED:
        return templates.path(name, f"{name}.caffemodel")
    if found is None or not os.path.exists(found.file):
        names = [model.name for model in index.known()]
        near = get_close_matches(name, names) if name not in names else []
        if name not in names:
            remedy += " if your own index has it (fcnkit's own does not)"
        remedy += f"; or did you mean {' or '.join(near)}?" if near else ""
        raise ModelError(f"model:{printable(name)}: is not in {where}; {remedy}")
    size = found.file.stat().st_size
    if found.model.size not in (None, size):
        fact = f"is damaged: it has {number_of(size, 'byte')}, and the model {found.model.size:,}"
        raise ModelError(f"{found.file}: {fact}; {remedy} again")
    return found.file


@contextmanager
def locked(place: Kept) -> Iterator[None]:
    """The model's folder is there and ours alone.

    Raises OutputError where it cannot be made or another process fetches into it.
    """
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        lock = locks.taken(place.folder / _LOCK)
    except OSError as error:
        fact = f"cannot be written: {error.strerror}"
        raise OutputError(f"{place.folder}: {fact}; name another folder with --cache") from None
    if lock is None:
        raise OutputError(f"{place.folder}: another process is downloading it; wait until it ends")
    try:
        yield
    finally:
        lock.release()


# ---- whether a file is what was published


def digests(path: Path, names: Iterable[str]) -> dict[str, str]:
    """The digests of a file by the names in DIGESTS, read once."""
    found = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    with open(path, "rb") as file:
        while data := file.read(_CHUNK):
            for each in found.values():
                each.update(data)
    return {name: each.hexdigest() for name, each in found.items()}


def check(model: Model, path: Path, source: str) -> dict[str, str]:
    """The digests of a file that is the model: of its size, with its digests, and no page or text.

    The SHA-1 is among them.  Raises ModelError with what is expected and what
    was found, WeightsError for a file that is no weights at all; both name its
    `source`.
    """
    with open(path, "rb") as file:
        head = file.read(signature.ENOUGH)
    size = path.stat().st_size
    if model.size not in (None, size):
        raise ModelError(
            f"{source}: has {number_of(size, 'byte')}, and {model.name} {model.size:,}"
        )
    signature.check(signature.WEIGHTS, head, source, WeightsError)
    found = digests(path, [name for name in DIGESTS if name == "sha1" or name in model.digests])
    for name, digest in model.digests.items():
        if found[name] != digest:
            fact = f"its {label(name)} is {found[name]}, and that of {model.name} {digest}"
            raise ModelError(f"{source}: {fact}: it is not what was published")
    return found


def label(digest: str) -> str:
    """SHA-1, SHA-256, ..."""
    return f"SHA-{digest.removeprefix('sha')}"
