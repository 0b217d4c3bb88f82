"""pickle as scripts of Python 2 use it: on files opened as text, and on what Python 2 pickled."""

import pickle
from pickle import *  # noqa: F403
from typing import Any


def load(file: Any) -> Any:  # type: ignore[no-redef]
    """The object in the file; strings of Python 2 are Latin-1, arrays among them."""
    return pickle.load(getattr(file, "buffer", file), encoding="latin1")


def loads(data: str | bytes) -> Any:  # type: ignore[no-redef]
    """The object in the string."""
    held = data.encode("latin1") if isinstance(data, str) else data
    return pickle.loads(held, encoding="latin1")


def dump(obj: Any, file: Any, protocol: int | None = 2) -> None:  # type: ignore[no-redef]
    """The file holds the object, for Python 2 too."""
    pickle.dump(obj, getattr(file, "buffer", file), protocol)


def dumps(obj: Any, protocol: int | None = 2) -> bytes:  # type: ignore[no-redef]
    """The object as bytes, for Python 2 too."""
    return pickle.dumps(obj, protocol)
