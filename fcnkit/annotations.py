"""Whether a value is of an annotated type, and the type in words."""

import os
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Union, get_args, get_origin

# What is annotated as one of these may be any thing of which one can take the items.
_ITEMS = (Sequence, Iterable, Collection, tuple, list)
_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    os.PathLike: "a path",
    NoneType: "None",
}


@cache
def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The types of a function's arguments; Any for those that its module imports for mypy alone."""
    unknown: dict[str, Any] = {"numpy": SimpleNamespace(ndarray=Any), "PathLike": os.PathLike}
    while True:
        try:
            return typing.get_type_hints(function, localns=unknown)
        except NameError as error:
            unknown[str(error.name)] = Any


def fits(value: object, hint: Any) -> bool:
    """Whether the value is of this type. Numbers may be numpy's, and items those of a list, a
    tuple or an array.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any or isinstance(hint, typing.TypeVar):
        return True
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in inner)
    if hint is float:
        return hasattr(value, "__float__") and not isinstance(value, str | bytes | bool)
    if hint is int:
        return hasattr(value, "__index__") and not isinstance(value, bool)
    if hint is bool:
        return type(value).__name__ in ("bool", "bool_")
    if origin in _ITEMS:
        return _are_items(value, inner)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            fits(each, kind)
            for pair in value.items()
            for each, kind in zip(pair, inner, strict=True)
        )
    if origin is Callable:
        return callable(value)
    kind = origin or hint
    checkable = isinstance(kind, type) and not getattr(kind, "_is_protocol", False)
    return not checkable or isinstance(value, kind)


def _are_items(value: object, inner: tuple[Any, ...]) -> bool:
    """Whether these are items of the inner type; those of an iterator are not looked at."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return False
    if not inner or not isinstance(value, list | tuple | set | frozenset):
        return True
    return all(fits(each, inner[0]) for each in value)


def form(hint: Any) -> str:
    """The type in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        paths = any(get_origin(each) is os.PathLike for each in inner)
        left = [each for each in inner if each is not NoneType and not (paths and each is str)]
        return " or ".join(dict.fromkeys(map(form, left)))
    if origin in _ITEMS:
        return f"a list of {_several(inner[0])}" if inner else "a list"
    if origin is Mapping:
        return f"a mapping of {_several(inner[0])} to {_several(inner[1])}"
    if origin is Callable:
        return "a function"
    kind = origin or hint
    name = getattr(kind, "__name__", str(kind))
    return _WORDS.get(kind) or (name if name.endswith("s") else f"a {name}")


def _several(hint: Any) -> str:
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_several(each) for each in get_args(hint) if each is not NoneType)
    return {str: "names", int: "whole numbers", float: "numbers", os.PathLike: "paths"}.get(
        get_origin(hint) or hint, form(hint)
    )
