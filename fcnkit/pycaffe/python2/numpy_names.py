"""Names that NumPy dropped, in a script: each gives way to what it was."""

import ast
from collections.abc import Iterator
from typing import NamedTuple

from fcnkit.edits import Edit, splice

# What stands for each: a builtin, another of NumPy's names, or one of `names`.
_BUILTINS = {
    **{name: name for name in ("bool", "complex", "float", "int", "object", "str")},
    "long": "int",
    "unicode": "str",
}
_OTHERS = {
    **{"Inf": "inf", "Infinity": "inf", "NaN": "nan", "NAN": "nan", "infty": "inf"},
    **{"PINF": "inf", "alen": "size", "alltrue": "all", "cfloat": "complex128"},
    **{"complex_": "complex128", "cumproduct": "cumprod", "float_": "float64", "in1d": "isin"},
    **{"product": "prod", "rank": "ndim", "round_": "round", "row_stack": "vstack"},
    **{"sometrue": "any", "string_": "bytes_", "trapz": "trapezoid", "unicode_": "str_"},
}
_HELPERS = {"asscalar": "_asscalar", "fromstring": "_fromstring"}


class Replaced(NamedTuple):
    """A text without the names that NumPy dropped, and those that it had, as it wrote them."""

    text: str
    names: tuple[str, ...] = ()


def replaced(text: str) -> Replaced:
    """The text of Python 3 with what this NumPy has; where nothing is dropped, as it stands."""
    tree, source = ast.parse(text), text.encode()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    edits, names = [], []
    for node, old, new in [*_aliases(tree), *_methods(tree)]:
        stop = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        edits.append(Edit(stop - len(old), stop, new.encode()))
        names.append(old)
    return Replaced(splice(source, edits).decode(), tuple(dict.fromkeys(names)))


def _aliases(tree: ast.Module) -> Iterator[tuple[ast.Attribute, str, str]]:
    """The uses of a dropped name, what stands there, and what is to."""
    known = _numpy_names(tree)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
            continue
        own = node.value.id
        new = _new(own, node.attr) if own in known else None
        if new:
            yield node, f"{own}.{node.attr}", new


def _new(own: str, name: str) -> str | None:
    if name in _HELPERS:
        return _HELPERS[name]
    if name not in _BUILTINS and name not in _OTHERS:
        return None
    import numpy

    if name in numpy.__dict__:
        return None
    return _BUILTINS.get(name) or f"{own}.{_OTHERS[name]}"


def _numpy_names(tree: ast.Module) -> set[str]:
    """What the script calls numpy."""
    imported = (node for node in ast.walk(tree) if isinstance(node, ast.Import))
    aliases = (alias for node in imported for alias in node.names if alias.name == "numpy")
    return {alias.asname or alias.name for alias in aliases}


def _methods(tree: ast.Module) -> Iterator[tuple[ast.Attribute, str, str]]:
    """array.tostring(), which is tobytes() today."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = node.args or node.keywords
            if node.func.attr == "tostring" and not given:
                yield node.func, "tostring", "tobytes"
