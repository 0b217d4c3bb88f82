"""What fissix leaves to do on its tree of a script: numbers, and modules that do what they did.

The text of the tree's leaves is changed where they stand, so that every line keeps its number.
"""

from collections.abc import Iterator
from typing import Any

from fissix.pygram import python_symbols as symbols
from fissix.pytree import Leaf

_MODULES = {
    "StringIO": "fcnkit.pycaffe.python2.strings",
    "cPickle": "fcnkit.pycaffe.python2.pickles",
    "cStringIO": "fcnkit.pycaffe.python2.strings",
    "pickle": "fcnkit.pycaffe.python2.pickles",
}
# Methods of lmdb's to which keys are given.
_KEYED = (".put", ".get", ".delete", ".pop", ".replace", ".set_key", ".set_range")
_LETTERS = {
    "letters": "ascii_letters",
    "lowercase": "ascii_lowercase",
    "uppercase": "ascii_uppercase",
}


def modules(tree: Any) -> None:
    """Imports of modules that Python 3 has otherwise import fcnkit's, by their old names.

    To be called before fissix, which would give them new names.
    """
    for node in _of(tree, symbols.import_name, symbols.import_from):
        end = 2 if node.type == symbols.import_from else len(node.children)
        for leaf in [leaf for each in node.children[1:end] for leaf in each.leaves()]:
            if leaf.value in _MODULES and not _beside(leaf, before=".", after="."):
                _rename(leaf, node.type == symbols.import_from)


def _rename(leaf: Any, is_from: bool) -> None:
    after = leaf.next_sibling
    named = is_from or isinstance(after, Leaf) and after.value == "as"
    beside = leaf.prev_sibling
    if not named and isinstance(beside, Leaf) and beside.value == "as":
        return
    leaf.value = _MODULES[leaf.value] + ("" if named else f" as {leaf.value}")


def calls(tree: Any) -> None:
    """Functions do what they did: math.floor gives a float, sort takes a comparison, and lmdb
    takes text for a key.
    """
    direct = _from_math(tree)
    imported = {leaf.value for node in _of(tree, symbols.import_name) for leaf in node.leaves()}
    keyed = _KEYED if "lmdb" in imported else ()
    for node in list(_of(tree, symbols.power)):
        texts = [str(each).strip() for each in node.children[:3]]
        if texts[:2] in (["math", ".floor"], ["math", ".ceil"]) and len(node.children) > 2:
            _wrap(node.children[0], "float(", node.children[2], ")")
        elif texts[0] in direct and node.children[1].type == symbols.trailer:
            _wrap(node.children[0], "float(", node.children[1], ")")
        elif texts[:2] == ["sys", ".setdefaultencoding"]:
            _wrap(node.children[0], "(None and ", node.children[2], ")")
        elif texts[0] == "string" and texts[1][1:] in _LETTERS:
            node.children[1].children[1].value = _LETTERS[texts[1][1:]]
        for name, given in zip(node.children, node.children[1:], strict=False):
            if str(name).strip() in keyed and str(given)[:1] == "(":
                _wrap(node.children[0], "_in_bytes(", name, ")")
            if str(name).strip() == ".sort" and _is_one(given):
                argument = given.children[1]
                first = next(argument.leaves())
                if argument.type == symbols.argument:
                    first.value, argument.children[1].value = "", ""
                _wrap(argument, "key=_cmp_to_key(", argument, ")")


def _from_math(tree: Any) -> set[str]:
    """The names of floor and ceil where they are imported from math by name."""
    found: set[str] = set()
    for node in _of(tree, symbols.import_from):
        if str(node.children[1]).strip() == "math":
            names = (str(leaf).strip() for leaf in node.children[3].leaves())
            found.update(name for name in names if name in ("ceil", "floor"))
    return found


def _is_one(node: Any) -> bool:
    """Whether these are parentheses around one argument, without a name or named cmp."""
    if node.type != symbols.trailer or len(node.children) != 3 or node.children[0].value != "(":
        return False
    given = node.children[1]
    if given.type == symbols.argument:
        return str(given).replace(" ", "").startswith("cmp=")
    return given.type != symbols.arglist


def divisions(tree: Any) -> int:
    """a / b is _div(a, b), and a /= b is a = _idiv(a, b), but where one is seen to be a float.

    Gives how many there are.  To be called last.
    """
    terms = [node for node in _of(tree, symbols.term)]
    marked = [(node, _divided(node)) for node in terms]
    assigned = [node for node in _of(tree, symbols.expr_stmt) if _is_divided(node)]
    targets = [str(node.children[0]).strip() for node in assigned]
    for node, signs in marked:
        for sign in signs:
            at = node.children.index(sign)
            sign.value = ","
            sign.prefix = sign.prefix.rstrip(" ")
            _wrap(node.children[0], "_div(", node.children[at + 1], ")")
    for node, target in zip(assigned, targets, strict=True):
        node.children[1].value = f"= _idiv({target},"
        _wrap(node.children[2], "", node.children[2], ")")
    return len(assigned) + sum(len(signs) for _, signs in marked)


def _divided(term: Any) -> list[Any]:
    """The signs / of a term that may divide whole numbers, from the left."""
    found, real = [], _is_real(term.children[0])
    for sign, right in zip(term.children[1::2], term.children[2::2], strict=True):
        real = real or _is_real(right)
        if sign.value == "/" and not real:
            found.append(sign)
    return found


def _is_divided(node: Any) -> bool:
    sign = node.children[1]
    return isinstance(sign, Leaf) and sign.value == "/=" and not _is_real(node.children[2])


def _is_real(node: Any) -> bool:
    """Whether it is seen to be a float: 2.0, -1e-3, float(n)."""
    text = str(node).strip().lstrip("+-").lower()
    if isinstance(node, Leaf) or node.type == symbols.factor:
        digits = text[:1].isdigit() or text[:1] == "." and text[1:2].isdigit()
        return digits and not text.startswith("0x") and any(each in text for each in ".ej")
    return node.type == symbols.power and text.startswith("float(") and len(node.children) == 2


def _of(tree: Any, *kinds: int) -> Iterator[Any]:
    return (node for node in tree.pre_order() if node.type in kinds)


def _wrap(first: Any, before: str, last: Any, after: str) -> None:
    """Text stands before one node and behind another."""
    next(first.leaves()).value = before + next(first.leaves()).value
    end = [*last.leaves()][-1]
    end.value += after


def _beside(leaf: Any, *, before: str, after: str) -> bool:
    sides = ((leaf.prev_sibling, before), (leaf.next_sibling, after))
    return any(isinstance(side, Leaf) and side.value == text for side, text in sides)
