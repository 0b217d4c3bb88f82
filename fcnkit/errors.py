"""What can go wrong with a user's input, one class per kind of thing.

Every message reads *place: fact with values; remedy.*  The command line
catches FcnkitError alone; any other exception is a defect of fcnkit.
"""

import re
from collections.abc import Iterable, Sequence


class FcnkitError(Exception):
    """The input, not fcnkit, is at fault."""

    def __str__(self) -> str:
        """The message: what a name in a file would do to a terminal is written out,
        and of what is longer than any message the middle is left out.
        """
        return visible("\n".join(map(_short, super().__str__().split("\n"))))


class PrototxtError(FcnkitError, ValueError):
    """A prototxt does not say what text format or Caffe's schema allows.

    The message starts with file:line:column and ends with the source line
    and a caret below the place.
    """


class NetError(FcnkitError, ValueError):
    """Caffe could not build this net, or a rewrite cannot express it."""


class AlignError(NetError):
    """Two tops cannot be aligned by whole, non-negative offsets."""


class WeightsError(FcnkitError, ValueError):
    """A weights file is damaged, or does not fit what it is used for."""


class DatasetError(FcnkitError, ValueError):
    """Images, labels or their databases are damaged, or do not fit each other.

    `problems` are the single ones, where there are several: each is a line of
    the message. A remedy that is the same for all stands once, in a line behind them.
    """

    def __init__(self, message: str, problems: Iterable[str] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([message, *(f"  {line}" for line in _lines(self.problems))]))


def _lines(problems: Sequence[str]) -> list[str]:
    """A line for each problem; where the remedy is the same for all, it stands once, at the end."""
    facts = [problem.partition("; ") for problem in problems]
    remedies = {remedy for _, _, remedy in facts}
    if len(problems) < 2 or len(remedies) > 1 or remedies == {""}:
        return list(problems)
    return [*(fact for fact, _, _ in facts), f"for each of these: {remedies.pop()}"]


class EditConflict(FcnkitError, ValueError):
    """Two edits want different text in the same place."""


class EngineError(FcnkitError, RuntimeError):
    """A program that runs nets is missing, or refused the net."""


class ModelError(FcnkitError):
    """A published model is not known or cannot be had, or is not what was published."""


class TargetError(FcnkitError, ValueError):
    """A tool chain's description is damaged, or there is none of that name."""


class OutputError(FcnkitError, OSError):
    """A file could not be written; what stood there before still stands."""


def error_text(error: Exception) -> str:
    """What another library says is wrong: on one line, its first 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


# A line of a message has at most so many characters: two paths of a file system's longest names.
_LONGEST, _KEPT = 1200, 500


def _short(line: str) -> str:
    if len(line) <= _LONGEST:
        return line
    left_out = len(line) - 2 * _KEPT
    return f"{line[:_KEPT]}... ({left_out:,} characters) ...{line[-_KEPT:]}"


# Control characters but for tabs and line feeds, and those that reorder what stands beside them.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text as it is, but for characters that would move or colour what a terminal shows."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def quoted(text: str) -> str:
    """A word of a command as its error quotes it: its first 80 characters."""
    return repr(text) if len(text) <= 80 else f"{text[:80]!r}..."


def printable(name: str) -> str:
    """A name from a file, as messages show it: no line breaks or escapes, at most 80 characters."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in name[:80])
