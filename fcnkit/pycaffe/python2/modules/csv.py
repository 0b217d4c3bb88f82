"""csv, whose readers take lines of files opened for bytes."""

import csv as _csv
from collections.abc import Iterable
from csv import *  # noqa: F403
from typing import Any


def reader(lines: Iterable[Any], *args: Any, **named: Any) -> Any:  # type: ignore[no-redef]
    """The rows of the lines, of text or of bytes."""
    return _csv.reader(map(str, lines), *args, **named)


class DictReader(_csv.DictReader):  # type: ignore[no-redef]
    """The rows of the lines by the names of their columns."""

    def __init__(self, lines: Iterable[Any], *args: Any, **named: Any) -> None:
        super().__init__(map(str, lines), *args, **named)
