"""What a converted script imports: Python 2's names, and what its numbers did.

fcnkit's own modules do not use it.
"""

import ast
import builtins
import importlib
import itertools
import math
import operator
import sys
from collections.abc import Callable, Iterable
from functools import cmp_to_key, reduce
from types import ModuleType
from typing import Any

from fcnkit.pycaffe.python2.byte_strings import ByteString, decode, encode
from fcnkit.pycaffe.python2.strings import open

__all__ = [
    "Compared",
    "apply",
    "asscalar",
    "basestring",
    "buffer",
    "chr",
    "cmp",
    "cmp_to_key",
    "coerce",
    "decode",
    "div",
    "divisor",
    "encode",
    "eval",
    "exec",
    "execfile",
    "file",
    "filter",
    "fromstring",
    "idiv",
    "intern",
    "load",
    "map",
    "message",
    "next",
    "oct",
    "open",
    "reduce",
    "reload",
    "round",
    "sort",
    "sorted",
    "string",
    "translate",
    "unichr",
    "walk",
    "zip",
]

basestring, buffer, file, intern, unichr = (str, bytes), memoryview, open, sys.intern, builtins.chr


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
    return all(isinstance(each, int) or _kind(each) in "biu" for each in values)


def _kind(value: Any) -> str:
    """The kind of an array's values, or of a list's beside an array."""
    if isinstance(value, list | tuple):
        import numpy as np

        value = np.asarray(value)
    return getattr(getattr(value, "dtype", None), "kind", "-")


class divisor:  # noqa: N801  as a function
    """`left /= divisor(right)` is `left = idiv(left, right)`, where left is to be found once."""

    __array_ufunc__ = None

    def __init__(self, value: Any) -> None:
        self._value = value

    def __rtruediv__(self, left: Any) -> Any:
        return idiv(left, self._value)


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


def sort(values: Any, *args: Any, **named: Any) -> Any:
    """What values.sort(...) does; of a list by a comparison, where there is one."""
    if not isinstance(values, list):
        return values.sort(*args, **named)
    values[:] = sorted(values, *args, **named)


class Compared:
    """What its method __cmp__ says is greater and equal, is."""

    def __lt__(self, other: Any) -> bool:
        return self.__cmp__(other) < 0  # type: ignore[attr-defined]

    def __le__(self, other: Any) -> bool:
        return self.__cmp__(other) <= 0  # type: ignore[attr-defined]

    def __gt__(self, other: Any) -> bool:
        return self.__cmp__(other) > 0  # type: ignore[attr-defined]

    def __ge__(self, other: Any) -> bool:
        return self.__cmp__(other) >= 0  # type: ignore[attr-defined]

    def __eq__(self, other: object) -> bool:
        return self.__cmp__(other) == 0  # type: ignore[attr-defined]

    __hash__ = object.__hash__


# ---- lists


def map(function: Callable[..., Any] | None, *values: Iterable[Any]) -> list[Any]:
    """What the function gives for each, None where one ends before the others; without a
    function the values.
    """
    if len(values) == 1:
        (one,) = values
        return [function(each) for each in one] if function else list(one)
    found = itertools.zip_longest(*values)
    return [function(*each) for each in found] if function else list(found)


def filter(function: Callable[[Any], Any] | None, values: Any) -> Any:
    """Those of which the function says so: a string of a string, a tuple of a tuple, else a
    list.
    """
    found = builtins.filter(function, values)
    if isinstance(values, str | bytes):
        return values[:0].join(found)
    return tuple(found) if isinstance(values, tuple) else list(found)


def zip(*values: Iterable[Any]) -> list[Any]:
    """The first of each, the second of each, and so on."""
    return list(builtins.zip(*values))  # noqa: B905  the shortest ends it


def next(values: Any, *default: Any) -> Any:
    """What comes next; where `next` is another method, as a cursor's of lmdb, what that gives."""
    if hasattr(values, "__next__") or not hasattr(values, "next"):
        return builtins.next(values, *default)
    return values.next()


# ---- strings


def chr(number: int) -> Any:
    """The string of this one byte."""
    return builtins.chr(number) if number < 128 else ByteString((number,))


def oct(number: int) -> str:
    """The number in eights, behind a 0."""
    text = builtins.oct(number).replace("0o", "0")
    return "0" if number == 0 else text


def string(value: Any) -> Any:
    """Bytes, or a list of them, as Python 2's strings; other things as they are."""
    if isinstance(value, bytes):
        return ByteString(value)
    if isinstance(value, list) and value and isinstance(value[0], bytes):
        return [ByteString(each) for each in value]
    return value


def translate(text: Any, table: Any = None, without: Any = "") -> Any:
    """What text.translate(...) gives, without some characters."""
    if not isinstance(text, str):
        return text.translate(table, without) if without else text.translate(table)
    kept = "".join(each for each in text if each not in without) if without else text
    return kept.translate(table) if table is not None else kept


def message(error: BaseException) -> Any:
    """error.message: its own, or the one thing that it was raised with."""
    if hasattr(error, "message"):
        return error.message
    return error.args[0] if len(error.args) == 1 else ""


# ---- what is run


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

    builtins.exec(compiled(name), *_namespaces(names, local))


def exec(code: Any, names: dict[str, Any] | None = None, local: Any = None) -> None:
    """The code has run, a text of Python 2, in the namespace of who calls or in that given."""
    from fcnkit.pycaffe.python2.reading import compiled_text

    text = code.read() if hasattr(code, "read") else code
    made = compiled_text(str(text)) if isinstance(text, str | bytes) else text
    builtins.exec(made, *_namespaces(names, local))


def eval(code: Any, names: dict[str, Any] | None = None, local: Any = None) -> Any:
    """What the code gives, an expression of Python 2."""
    from fcnkit.pycaffe.python2.reading import compiled_text

    spaces = _namespaces(names, local)
    if not isinstance(code, str | bytes):
        return builtins.eval(code, *spaces)
    text = str(code).strip()
    if _is_todays(text):
        return builtins.eval(text, *spaces)
    held = {**spaces[0], **spaces[1]}
    builtins.exec(compiled_text(f"_value = ({text}\n)"), held)
    return held["_value"]


def _is_todays(text: str) -> bool:
    """Whether the expression is what it was: it parses, divides nothing and calls nothing."""
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval")))
    except SyntaxError:
        return False
    return not any(isinstance(each, ast.Div | ast.Call) for each in nodes)


def _namespaces(names: dict[str, Any] | None, local: Any) -> tuple[dict[str, Any], Any]:
    """Those given, or those of who calls who calls this."""
    if names is not None:
        return names, names if local is None else local
    frame = sys._getframe(2)
    return frame.f_globals, frame.f_locals


def walk(top: str, visit: Callable[[Any, str, list[str]], Any], arg: Any) -> None:
    """os.path.walk: `visit` is called with each folder below, and the names in it."""
    import os

    names = os.listdir(top)
    visit(arg, top, names)
    for name in names:
        path = os.path.join(top, name)
        if os.path.isdir(path) and not os.path.islink(path):
            walk(path, visit, arg)


# ---- what NumPy dropped


def fromstring(string: Any, dtype: Any = float, count: int = -1, sep: str = "") -> Any:
    """The numbers that a text holds between `sep`, or the bytes of a string are."""
    import numpy as np

    if sep:
        return np.fromstring(string, dtype, count, sep=sep)
    held = string.encode("latin-1") if isinstance(string, str) else string
    return np.frombuffer(held, dtype, count).copy()


def load(file: Any, mode: Any = None, *args: Any, **named: Any) -> Any:
    """What np.load gives; objects too, as Python 2's NumPy did, of which strings are Latin-1."""
    import numpy as np

    options = {"allow_pickle": True, "encoding": "latin1", **named}
    if args:
        del options["allow_pickle"]
    return np.load(file, mode, *args, **options)


def asscalar(array: Any) -> Any:
    """The one value of an array."""
    return array.item()
