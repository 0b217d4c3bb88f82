"""What fissix leaves to do on its tree of a script: numbers, strings and modules that do what
they did.

The text of the tree's leaves is changed where they stand, so that every line keeps its number.
"""

import builtins
import re
from collections.abc import Iterator
from typing import Any

from fissix.fixes import fix_imports, fix_imports2
from fissix.pgen2 import token
from fissix.pygram import python_symbols as symbols
from fissix.pytree import Leaf

_OURS = "fcnkit.pycaffe.python2"
_OWN = (
    *("base64", "binascii", "commands", "csv", "hashlib", "lmdb", "md5", "random", "sets", "sha"),
    *("itertools", "string", "struct", "subprocess", "types", "zlib"),
)
# What is imported for each module of Python 2.
_MODULES: dict[str, str] = {
    **fix_imports.MAPPING,
    **fix_imports2.MAPPING,
    **{"StringIO": f"{_OURS}.strings", "cStringIO": f"{_OURS}.strings"},
    **{"cPickle": f"{_OURS}.pickles", "pickle": f"{_OURS}.pickles"},
    **{name: f"{_OURS}.modules.urls" for name in ("urllib", "urllib2", "urlparse")},
    **{name: f"{_OURS}.modules.{name}" for name in _OWN},
    **{"ConfigParser": f"{_OURS}.modules.configparser"},
    **{"dummy_thread": "_thread", "exceptions": "builtins", "future_builtins": "builtins"},
}
_FUNCTIONS = {name for name in dir(builtins) if name.islower() and name[0] != "_"}
_GONE = ("compiler", "mimetools", "new", "popen2", "posixfile", "rfc822", "user")
# Methods that Python 2 alone calls.
_UNCALLED = (
    *("__getslice__", "__setslice__", "__delslice__", "__coerce__"),
    *("__hex__", "__oct__", "__unicode__"),
)
# Methods that are functions of `names`, and those whose bytes are strings.
_METHODS = {".decode": "_decode(", ".encode": "_encode("}
_READING = (".getvalue", ".read", ".readline", ".readlines")
_NUMPY = ("np", "numpy")
# Names of modules that have others now.
_RENAMED: dict[tuple[str, ...], str] = {
    **{("time", ".clock"): "time.process_time", ("operator", ".div"): "_div"},
    **{("operator", ".idiv"): "_idiv", ("operator", ".isCallable"): "callable"},
    **{("operator", ".sequenceIncludes"): "operator.contains", ("os", ".path", ".walk"): "_walk"},
    **{
        ("collections", f".{name}"): f"collections.abc.{name}"
        for name in (
            *("Callable", "Container", "Hashable", "Iterable", "Iterator", "Mapping"),
            *("MutableMapping", "MutableSequence", "MutableSet", "Sequence", "Set", "Sized"),
        )
    },
    **{(numpy, ".load"): "_load" for numpy in _NUMPY},
}
_ABSTRACT = {place[1][1:] for place in _RENAMED if place[0] == "collections"}
_HIGH = re.compile(r"(?<!\\)(?:\\\\)*\\(?:x[89a-fA-F]|[2-3][0-7]{2})")


def modules(tree: Any) -> None:
    """Modules that Python 3 has otherwise are imported by their old names.

    To be called before fissix.
    """
    for node in _of(tree, symbols.import_name, symbols.import_from):
        is_from = node.type == symbols.import_from
        for leaf in [leaf for leaf in node.children[1].leaves()]:
            if leaf.value in _MODULES and not _beside(leaf, before=".", after="."):
                _rename(leaf, is_from)
        if is_from and _text(node.children[1]) == "collections":
            names = {leaf.value for each in node.children[3:] for leaf in each.leaves()}
            if names - set("(),") <= _ABSTRACT:
                node.children[1].value = "collections.abc"


def _rename(leaf: Any, is_from: bool) -> None:
    after = leaf.next_sibling
    named = is_from or isinstance(after, Leaf) and after.value == "as"
    beside = leaf.prev_sibling
    if not named and isinstance(beside, Leaf) and beside.value == "as":
        return
    leaf.value = _MODULES[leaf.value] + ("" if named else f" as {leaf.value}")


def left(tree: Any) -> list[str]:
    """What is not converted, each with its line.  To be called before all else."""
    found = []
    for node in tree.pre_order():
        words = _left(node)
        if words:
            found.append(f"Line {node.get_lineno()}: {words}")
    return found


def _left(node: Any) -> str | None:
    if node.type == symbols.exec_stmt and len(node.children) == 2 and _is_in_function(node):
        return "exec in a function does not bind its variables"
    if node.type == symbols.funcdef and _text(node.children[1]) in _UNCALLED and _class_of(node):
        return f"nothing calls a method {_text(node.children[1])}"
    if node.type == symbols.except_clause and _is_string(node.children[1:2]):
        return f"exceptions are not strings: {_text(node.children[1])}"
    if node.type in (symbols.import_name, symbols.import_from):
        name = _text(node.children[1])
        return f"there is no module {name}" if name in _GONE else None
    return None


def _is_in_function(node: Any) -> bool:
    while node is not None and node.type != symbols.funcdef:
        node = node.parent
    return node is not None


def _is_string(nodes: Any) -> bool:
    return any(isinstance(each, Leaf) and each.type == token.STRING for each in nodes)


def literals(tree: Any) -> None:
    """Strings of bytes that are no text stay bytes; 0L and 07L are numbers of today.

    To be called before fissix, which knows no difference between "" and u"".
    """
    unicode = "unicode_literals" in tree.future_features
    for leaf in list(tree.leaves()):
        if leaf.type == token.NUMBER and re.fullmatch(r"0[0-7]+[lL]", leaf.value):
            leaf.value = leaf.value[:-1]
        elif leaf.type == token.STRING and not unicode and _is_binary(leaf):
            leaf.value = f"_string(b{leaf.value})"


def _is_binary(leaf: Any) -> bool:
    """Whether it is a string by itself, neither raw nor text, that has other bytes than ASCII."""
    alone = leaf.parent.type != symbols.atom or leaf.parent.children[0].type != token.STRING
    return (
        alone and leaf.value[0] in "'\"" and bool(_HIGH.search(leaf.value)) and leaf.value.isascii()
    )


def calls(tree: Any) -> None:
    """Functions and methods do what they did: math.floor gives a float, sort takes a comparison,
    and encode gives a string.
    """
    direct = _from_math(tree)
    _errors(tree)
    for node in list(_of(tree, symbols.power)):
        texts = [_text(each) for each in node.children[:3]]
        if texts[:2] in (["math", ".floor"], ["math", ".ceil"]) and len(node.children) > 2:
            _wrap(node.children[0], "float(", node.children[2], ")")
        elif texts[0] in direct and node.children[1].type == symbols.trailer:
            _wrap(node.children[0], "float(", node.children[1], ")")
        elif texts[:2] == ["sys", ".setdefaultencoding"]:
            _wrap(node.children[0], "(None and ", node.children[2], ")")
        _renamed(node, texts)
        for name, given in zip(node.children, node.children[1:], strict=False):
            if str(given)[:1] == "(":
                _method(node, _text(name), name, given)


def _renamed(node: Any, texts: list[str]) -> None:
    """The name of a module's that has another now."""
    for count in (2, 3):
        new = _RENAMED.get(tuple(texts[:count]))
        if new and len(texts) >= count:
            _set(node.children[0], new)
            for each in node.children[1:count]:
                _set(each, "")


def _method(node: Any, text: str, name: Any, given: Any) -> None:
    """A call of the method of this name."""
    count = _count(given)
    if text in _READING:
        _wrap(node.children[0], "_string(", given, ")")
    elif text == "str" and name is node.children[0] and count > 1:
        name.value = "_decode"
    elif text == ".isAlive":
        _set(name, ".is_alive")
    elif text in _METHODS and node.children[0] is not name:
        _as_function(node, _METHODS[text], name, given, count)
    elif text == ".sort" and _compares(given) and _text(node.children[0]) not in _NUMPY:
        _as_function(node, "_sort(", name, given, count)
    elif text == ".translate" and (count > 1 or str(given).startswith("(None")):
        _as_function(node, "_translate(", name, given, count)


def _as_function(node: Any, function: str, name: Any, given: Any, count: int) -> None:
    """x.name(...) is function(x, ...)."""
    first = next(node.children[0].leaves())
    first.value = function + first.value
    _set(name, "")
    given.children[0].value = ", " if count else ""


def _count(given: Any) -> int:
    """How many arguments stand in parentheses."""
    if given.type != symbols.trailer or len(given.children) != 3:
        return 0
    several = given.children[1].type == symbols.arglist
    return sum(each.type != token.COMMA for each in given.children[1].children) if several else 1


def _compares(given: Any) -> bool:
    """Whether a sort has a comparison: an argument without a name, or named cmp."""
    if not _count(given):
        return False
    held = given.children[1]
    each = held.children[0] if held.type == symbols.arglist else held
    return each.type != symbols.argument or "cmp=" in str(held).replace(" ", "")


def classes(tree: Any) -> None:
    """Classes with a method __cmp__ are compared by it, and those with a __metaclass__ have it.

    To be called before fissix.
    """
    for node in _of(tree, symbols.classdef):
        mine = (each for each in _named(node, "__cmp__") if _class_of(each) is node)
        if next(mine, None):
            _inherit(node, "_Compared")
        for each in list(_of(node.children[-1], symbols.expr_stmt)):
            if _text(each.children[0]) == "__metaclass__" and _class_of(each) is node:
                _inherit(node, f"metaclass={_text(each.children[2])}")
                _set(each, "pass")


def _named(tree: Any, name: str) -> Iterator[Any]:
    """The functions of this name."""
    return (each for each in _of(tree, symbols.funcdef) if _text(each.children[1]) == name)


def _class_of(node: Any) -> Any:
    """The class in whose body, not in a function of it, this stands."""
    node = node.parent
    while node is not None and node.type not in (symbols.classdef, symbols.funcdef):
        node = node.parent
    return node


def _inherit(node: Any, base: str) -> None:
    """The class has this base too, behind its others; _Compared in place of object."""
    head = node.children[:-2]
    objects = [leaf for each in head[3:] for leaf in each.leaves() if leaf.value == "object"]
    last = head[-1]
    if base == "_Compared" and objects:
        objects[0].value = base
    elif last.value[-1:] != ")":
        last.value += f"({base})"
    else:
        between = ", " if last.value != ")" or len(head) > 4 else ""
        last.value = f"{last.value[:-1]}{between}{base})"


def caught(tree: Any) -> None:
    """`except E as (a, b)` is `except E, (a, b)`, which fissix converts; to be called before it."""
    for node in _of(tree, symbols.except_clause):
        if len(node.children) == 4 and not isinstance(node.children[3], Leaf):
            node.children[2].replace(Leaf(token.COMMA, ","))


def lambdas(tree: Any) -> None:
    """A lambda whose parameters, several of them, have tuples among them unpacks them.

    To be called before fissix, which converts those with one.
    """
    for node in list(_of(tree, symbols.lambdef)):
        given = node.children[1]
        if given.type == symbols.varargslist and any(_of(given, symbols.vfpdef)):
            names = str(given).strip()
            _set(given, "*_given")
            node.children[2].value = ": ["
            node.append_child(Leaf(token.NAME, f" for ({names}) in [_given]][0]"))


def _errors(tree: Any) -> None:
    """error.message and error[0], of the error that is caught."""
    for node in _of(tree, symbols.except_clause):
        if len(node.children) != 4 or not isinstance(node.children[3], Leaf):
            continue
        name, suite = node.children[3].value, node.next_sibling.next_sibling
        for each in list(_of(suite, symbols.power)):
            texts = [_text(part) for part in each.children[:2]]
            if texts == [name, ".message"]:
                _wrap(each.children[0], "_message(", each.children[0], ")")
                _set(each.children[1], "")
            elif texts[0] == name and texts[1][:1] == "[":
                each.children[0].value = f"{name}.args"


def comparisons(tree: Any) -> None:
    """`len > 0`, a function beside a number, is what Python 2 finds: every number is less."""
    given = {
        leaf.value
        for node in tree.pre_order()
        if node.type in _BINDING
        for leaf in node.children[_BINDING[node.type]].leaves()
    }
    for node in list(_of(tree, symbols.comparison)):
        left, sign, right = (_text(each) for each in node.children[:3])
        function = {left, right} & _FUNCTIONS - given
        other = right if left in function else left
        if len(node.children) == 3 and sign in _GREATER and function and other.isdigit():
            _set(node, str(_GREATER[sign] == (left in function)))


# Whether a function is so, on the left of a number.
_GREATER = {">": True, ">=": True, "<": False, "<=": False}
# The part of a statement with the names that it gives to something.
_BINDING = {symbols.expr_stmt: 0, symbols.for_stmt: 1, symbols.funcdef: 2}


def _text(node: Any) -> str:
    """The node's text, without the comments above it."""
    return str(node)[len(node.prefix) :].strip()


def _set(node: Any, text: str) -> None:
    """The node's text is this."""
    first, *rest = node.leaves()
    first.value = text
    for leaf in rest:
        leaf.value = leaf.prefix = ""


def _from_math(tree: Any) -> set[str]:
    """The names of floor and ceil where they are imported from math by name."""
    found: set[str] = set()
    for node in _of(tree, symbols.import_from):
        if _text(node.children[1]) == "math":
            names = (_text(leaf) for leaf in node.children[3].leaves())
            found.update(name for name in names if name in ("ceil", "floor"))
    return found


def divisions(tree: Any) -> int:
    """a / b is _div(a, b), and a /= b is a = _idiv(a, b), but where one is seen to be a float.

    Gives how many there are.  To be called last.
    """
    terms = [node for node in _of(tree, symbols.term)]
    marked = [(node, _divided(node)) for node in terms]
    assigned = [node for node in _of(tree, symbols.expr_stmt) if _is_divided(node)]
    targets = [_text(node.children[0]) for node in assigned]
    for node, signs in marked:
        for sign in signs:
            at = node.children.index(sign)
            sign.value = ","
            sign.prefix = sign.prefix.rstrip(" ")
            _wrap(node.children[0], "_div(", node.children[at + 1], ")")
    for node, target in zip(assigned, targets, strict=True):
        # What is called to find the target is called once.
        once = "(" in target
        node.children[1].value = "/=" if once else f"= _idiv({target},"
        _wrap(node.children[2], "_divisor(" if once else "", node.children[2], ")")
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
