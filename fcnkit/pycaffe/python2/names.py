"""What a converted script imports: Python 2's names, and what its numbers did.

fcnkit's own modules do not use it.
"""

import builtins
import importlib
import math
import operator
import sys
from collections.abc import Callable, Iterable
from functools import cmp_to_key, reduce
from types import ModuleType
from typing import Any

from fcnkit.pycaffe.python2.strings import open

__all__ = [
    "apply",
    "asscalar",
    "buffer",
    "cmp",
    "cmp_to_key",
    "coerce",
    "div",
    "execfile",
    "file",
    "fromstring",
    "idiv",
    "in_bytes",
    "intern",
    "next",
    "open",
    "reduce",
    "reload",
    "round",
    "sorted",
    "unichr",
]

buffer, file, intern, unichr = memoryview, open, sys.intern, chr


def div(left: Any, right: Any) -> Any:
    """left / right, floored where both are whole numbers or arrays of such."""
    if hasattr(left, "__div__"):
        return left.__div__(right)
    if hasattr(right, "__rdiv__"):
        return right.__rdiv__(left)
    return operator.floordiv(left, right) if _are_whole(left, right) else left / right


def idiv(left: Any, right: Any) -> Any:
    """What `left /= right` makes of left, an array in place."""
    if hasattr(left, "__idiv__"):
        return left.__idiv__(right)
    if hasattr(left, "__div__") or hasattr(right, "__rdiv__"):
        return div(left, right)
    whole = _are_whole(left, right)
    return operator.ifloordiv(left, right) if whole else operator.itruediv(left, right)


def _are_whole(*values: Any) -> bool:
    return all(isinstance(each, int) or _kind(each) in "iu" for each in values)


def _kind(value: Any) -> str:
    """The kind of an array's values, or of a list's beside an array."""
    if isinstance(value, list | tuple):
        import numpy as np

        value = np.asarray(value)
    return getattr(getattr(value, "dtype", None), "kind", "-")


def round(number: Any, digits: int = 0) -> float:
    """The nearest float of so many digits; halves away from 0."""
    scale = 10.0**digits
    scaled = abs(float(number)) * scale
    if not math.isfinite(scaled) or scaled >= 2**52:
        return float(number)
    return math.copysign(math.floor(scaled + 0.5) / scale, number)


def cmp(left: Any, right: Any) -> int:
    """-1, 0 or 1: how left compares with right."""
    return (left > right) - (left < right)


def sorted(
    values: Iterable[Any],
    cmp: Callable[[Any, Any], int] | None = None,
    key: Callable[[Any], Any] | None = None,
    reverse: bool = False,
) -> list[Any]:
    """The values in order, by a comparison where there is one."""
    if cmp is None:
        return builtins.sorted(values, key=key, reverse=reverse)
    compared, of = cmp_to_key(cmp), key or (lambda value: value)
    return builtins.sorted(values, key=lambda value: compared(of(value)), reverse=reverse)


def next(values: Any, *default: Any) -> Any:
    """What comes next; where `next` is another method, as a cursor's of lmdb, what that gives."""
    if hasattr(values, "__next__") or not hasattr(values, "next"):
        return builtins.next(values, *default)
    return values.next()


def in_bytes(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method; one of lmdb's takes text for bytes."""
    import lmdb

    if not isinstance(getattr(method, "__self__", None), lmdb.Transaction | lmdb.Cursor):
        return method
    return lambda *args, **named: method(
        *map(_as_bytes, args), **{name: _as_bytes(each) for name, each in named.items()}
    )


def _as_bytes(value: Any) -> Any:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


def apply(function: Callable[..., Any], args: Iterable[Any] = (), named: Any = None) -> Any:
    """What the function gives for these arguments."""
    return function(*args, **(named or {}))


def coerce(left: Any, right: Any) -> tuple[Any, Any]:
    """Both numbers as one type."""
    kind = type(left + right)
    return kind(left), kind(right)


def reload(module: ModuleType) -> ModuleType:
    """The module, imported again; of sys there is nothing to do again."""
    return module if module is sys else importlib.reload(module)


def execfile(name: str, names: dict[str, Any] | None = None, local: Any = None) -> None:
    """The file has run, in the namespace of who calls or in that given; converted where need be."""
    from fcnkit.pycaffe.python2.reading import compiled

    frame = sys._getframe(1)
    if names is None:
        names, local = frame.f_globals, frame.f_locals
    exec(compiled(name), names, names if local is None else local)


# ---- what NumPy dropped


def fromstring(string: Any, dtype: Any = float, count: int = -1, sep: str = "") -> Any:
    """The numbers that a text holds between `sep`, or the bytes of a string are."""
    import numpy as np

    if sep:
        return np.fromstring(string, dtype, count, sep=sep)
    held = string.encode("latin-1") if isinstance(string, str) else string
    return np.frombuffer(held, dtype, count).copy()


def asscalar(array: Any) -> Any:
    """The one value of an array."""
    return array.item()
