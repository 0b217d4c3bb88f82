"""What is known of published models, and the index that says it: fcnkit's own, or a user's.

An index is a JSON text, models.json, in a folder or on the web:

    {"models": [{"name": "mine", "file": "mine.caffemodel", "size": 1234, "sha1": "...", "licence":
    "..."}]}

A model has a name and the name of its file, which lies beside the index unless
`address` says where else; the rest may be left out (see Model).
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fcnkit import templates
from fcnkit.errors import ModelError, printable
from fcnkit.foreign import json_of, reason
from fcnkit.models.address import check_address

INDEX = "models.json"
# What lies beside a model in the cache, and says what is known of it.
RECORD = "model.json"
# Digests by the names that an index gives them, the weakest first, and their hexadecimal digits.
DIGESTS = {"sha1": 40, "sha256": 64, "sha384": 96}
# Caffe reads no larger file.
LARGEST = 2**31 - 1
_LONGEST = 1 << 20  # bytes of an index
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")
_TEXTS = ("about", "licence", "template", "page", "mean")
_LISTS = ("use", "sources")
_NUMBERS = ("size", "roughly")
_PLACES = ("name", "file", "address")

# The place of a file that lies beside an index, by its name.
Beside = Callable[[str], str]


class Model(NamedTuple):
    """A published weights file.

    `size` is in bytes and exact, `roughly` for the eye alone; `digests` are by
    the names in DIGESTS.  `place` is an address, the path of a file, or "" for
    one that no program can fetch.  `template` is the net that it is for, `mean`
    what is taken off its images, `use` the commands to use it with, `page`
    where it is described, and `sources` say where these facts are from.
    """

    name: str
    file: str
    place: str = ""
    size: int | None = None
    roughly: int | None = None
    digests: Mapping[str, str] = {}
    about: str = ""
    licence: str = ""
    template: str = ""
    page: str = ""
    mean: str = ""
    use: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """As an index says it, but for `address`, which says also where a file lies."""
        plain = {
            "name": self.name,
            "file": self.file,
            "address": self.place,
            "size": self.size,
            "roughly": self.roughly,
            **self.digests,
            **{name: getattr(self, name) for name in _TEXTS},
            **{name: list(getattr(self, name)) for name in _LISTS},
        }
        return {name: value for name, value in plain.items() if value not in (None, "", [])}


def known() -> tuple[Model, ...]:
    """The models that fcnkit knows."""
    path = Path(__file__).with_name("known.json")
    return parse(path.read_text(encoding="utf-8"), "fcnkit's index", lambda file: "")


def read(place: str, timeout: float) -> tuple[Model, ...]:
    """The models of the index in a folder, or at a web address.

    The text is `place` itself where that ends in .json, and else models.json in it.

    Raises ModelError where there is none, and for anything in it that is no index.
    """
    if "://" in place:
        return _from_web(place, timeout)
    path = Path(place)
    path = path if path.suffix == ".json" and os.path.isfile(path) else path / INDEX
    try:
        with open(path, "rb") as file:
            data = file.read(_LONGEST + 1)
    except (OSError, ValueError) as error:  # ValueError for a name with a zero byte
        raise ModelError(
            f"{path}: cannot be read: {reason(error)}; name a folder that has a models.json"
        ) from None
    return parse(_text(data, str(path)), str(path), lambda file: str(path.with_name(file)))


def _from_web(place: str, timeout: float) -> tuple[Model, ...]:
    from urllib.parse import quote, urljoin, urlsplit

    from fcnkit.models import web

    check_address(place, place)
    if not urlsplit(place).path.endswith(".json"):
        place = f"{place.rstrip('/')}/{INDEX}"
    text = _text(web.read(place, _LONGEST + 1, timeout), place)
    return parse(text, place, lambda file: urljoin(place, quote(file)))


def _text(data: bytes, where: str) -> str:
    if len(data) > _LONGEST:
        raise ModelError(f"{where}: is longer than {_LONGEST:,} bytes, which no index is")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ModelError(f"{where}: is not UTF-8 text; an index is a JSON file") from None


def parse(text: str, where: str, beside: Beside) -> tuple[Model, ...]:
    """The models that an index says; `beside` gives the place of a file beside it.

    Raises ModelError with what is wrong and where.
    """
    try:
        found = json_of(text)
    except ValueError as error:
        raise ModelError(f"{where}: cannot be read as JSON: {error}") from None
    entries = found.get("models") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        raise ModelError(f'{where}: is not an index; it is to be {{"models": [...]}}')
    models = tuple(
        _model(entry, f"{where}: model {number}", beside) for number, entry in enumerate(entries, 1)
    )
    twice = next((name for name, n in Counter(each.name for each in models).items() if n > 1), None)
    if twice:
        raise ModelError(f'{where}: "{twice}" appears twice; give each model a name of its own')
    return models


def one(models: Iterable[Model], name: str) -> Model:
    """The model of this name; ModelError with those there are where there is none."""
    every = list(models)
    for model in every:
        if model.name == name:
            return model
    if name in templates.TRAINED:
        raise ModelError(f"{name}: it comes with fcnkit and is not published; use model:{name}")
    there = ", ".join(model.name for model in every) or "none"
    raise ModelError(f"{printable(name)}: no such model; there are {there}")


def check_name(name: str, where: str) -> None:
    """A name is a file's name on every system, and no other place; ModelError otherwise."""
    if not _NAME.fullmatch(name):
        fact = f'"{printable(name)}" is not a name: letters, digits, . _ + and -, at most 80'
        raise ModelError(f"{where}: {fact}")


def _model(entry: object, where: str, beside: Beside) -> Model:
    if not isinstance(entry, dict):
        raise ModelError(f"{where}: is not an object; write {{...}}")
    name = _string(entry, "name", where)
    check_name(name, where)
    where = f"{where} ({name})"
    unknown = [key for key in entry if key not in (*_PLACES, *_NUMBERS, *DIGESTS, *_TEXTS, *_LISTS)]
    if unknown:
        known = ", ".join((*_PLACES, *_NUMBERS, *DIGESTS, *_TEXTS, *_LISTS))
        raise ModelError(f'{where}: says "{printable(unknown[0])}"; there are {known}')
    file, place = _place(entry, where, beside)
    facts: dict[str, Any] = {key: _number(entry, key, where) for key in _NUMBERS}
    facts["digests"] = {key: _digest(entry, key, where) for key in DIGESTS if key in entry}
    facts |= {key: _string(entry, key, where) for key in _TEXTS}
    facts |= {key: _strings(entry, key, where) for key in _LISTS}
    return Model(name, file, place, **facts)


def _place(entry: dict, where: str, beside: Beside) -> tuple[str, str]:
    """The file's name, and where it is."""
    file, address = _string(entry, "file", where), _string(entry, "address", where)
    check_name(file, f"{where}: file")
    if file in (INDEX, RECORD):
        raise ModelError(f"{where}: file {file} is an index; name the weights")
    if not address:
        return file, beside(file)
    check_address(address, f"{where}: address")
    return file, address


def _string(entry: dict, key: str, where: str) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str) or len(value) > 2000 or not value.isprintable():
        raise ModelError(
            f'{where}: {key} is not plain text of at most 2000 characters; write "{key}": "..."'
        )
    if not value and key in ("name", "file"):
        raise ModelError(f'{where}: has no {key}; write "{key}": "..."')
    return value


def _strings(entry: dict, key: str, where: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    if not isinstance(value, list) or len(value) > 100:
        raise ModelError(f'{where}: {key} is not a list; write "{key}": ["...", "..."]')
    return tuple(_string({key: each}, key, where) for each in value)


def _number(entry: dict, key: str, where: str) -> int | None:
    value: Any = entry.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST:
        fact = f"{key} {printable(str(value))} is not a number of bytes from 1 to {LARGEST:,}"
        raise ModelError(f"{where}: {fact}, the most that Caffe reads")
    return value


def _digest(entry: dict, key: str, where: str) -> str:
    value = _string(entry, key, where).lower()
    if not re.fullmatch(rf"[0-9a-f]{{{DIGESTS[key]}}}", value):
        fact = f"{key} is not {DIGESTS[key]} hexadecimal digits"
        raise ModelError(f"{where}: {fact}; correct it or leave it out")
    return value
