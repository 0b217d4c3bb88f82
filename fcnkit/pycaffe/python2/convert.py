"""A script of Python 2 as one of Python 3, line for line."""

import ast
import io
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, NamedTuple

from fcnkit.libraries import load
from fcnkit.pycaffe.python2.signs import bound_names

NAMES = "fcnkit.pycaffe.python2.names"
# fissix's own, but for those that add lines: what those do is in `names`.
_FIXERS = (
    *("dict", "except", "exec", "funcattrs", "future", "getcwdu"),
    *("has_key", "import", "input", "long", "methodattrs", "ne", "next"),
    *("nonzero", "numliterals", "paren", "print", "raise", "raw_input", "renames", "repr"),
    *("standarderror", "sys_exc", "throw", "tuple_params", "unicode"),
    *("xrange", "xreadlines"),
)
# These a script may also bind somewhere, and still mean elsewhere.
_LISTS = frozenset(("filter", "map", "zip"))
_HELPERS = frozenset(
    (
        *("apply", "basestring", "buffer", "chr", "cmp", "coerce", "eval", "exec", "execfile"),
        *("file", "intern", "next", "oct", "open", "reduce", "reload", "round", "unichr"),
    )
)
_UNDERSCORED = (
    *("Compared", "asscalar", "decode", "div", "divisor", "encode", "fromstring", "idiv"),
    *("load", "message", "sort", "string", "translate", "walk"),
)


class Converted(NamedTuple):
    """The text in Python 3, how many divisions may give whole numbers in it, and what could not
    be done, each with its line.
    """

    text: str
    divisions: int = 0
    could_not: tuple[str, ...] = ()


def converted(text: str, path: str) -> Converted:
    """The script in Python 3; whole numbers divide as they did.

    Raises EngineError without fissix, SyntaxError for what is no Python 2.
    """
    load("fissix", "pycaffe")
    from fcnkit.pycaffe.python2 import fixes

    text = "\n".join(text.splitlines()) + "\n"
    tool, tree = _parsed(_spaced(text), path)
    whole = "division" not in tree.future_features
    left = fixes.left(tree)
    fixes.modules(tree)
    fixes.literals(tree)
    fixes.classes(tree)
    fixes.lambdas(tree)
    fixes.caught(tree)
    tool.refactor_tree(tree, path)
    fixes.calls(tree)
    fixes.comparisons(tree)
    divisions = fixes.divisions(tree) if whole else 0
    said = [*left, *(" ".join(each.split()) for each in tool.fixer_log)]
    found, log = str(tree), tuple(dict.fromkeys(each for each in said if each[:3] != "###"))
    if found.count("\n") - len(_added(_tree(found, path))) != text.count("\n"):
        log = (*log, "the line numbers of tracebacks, which are off")
    return Converted(found, divisions, log)


def _tree(text: str, path: str) -> ast.Module:
    try:
        return ast.parse(text, path)
    except SyntaxError as error:
        fact = f"is Python 2 that does not become Python 3 (line {error.lineno}): {error.msg}"
        raise SyntaxError(fact) from error


def _parsed(text: str, path: str) -> tuple[Any, Any]:
    """fissix's tool and its tree of the text, with the statement print or the function."""
    from fissix import refactor

    names = [f"fissix.fixes.fix_{name}" for name in _FIXERS]
    features = refactor._detect_future_features(text)
    error: Exception | None = None
    for function in (True,) if "print_function" in features else (False, True):
        tool = refactor.RefactoringTool(names, {"print_function": function})
        try:
            tree = tool.driver.parse_string(text)
        except Exception as failure:  # the tokenizer's and the parser's have no base of their own
            error = error or failure
            continue
        tree.future_features = features
        return tool, tree
    place = getattr(error, "context", None)
    line = f" (line {place[1][0]})" if place else ""
    raise SyntaxError(f"is neither Python 3 nor Python 2{line}: {error}") from error


# ---- tabs


def _spaced(text: str) -> str:
    """The text with tabs before code as spaces to the next of 8 columns, where it has both."""
    heads = {line[: len(line) - len(line.lstrip())] for line in text.splitlines() if line.strip()}
    if not (any("\t" in head for head in heads) and any(" " in head for head in heads)):
        return text
    inside = _inside_strings(text)
    lines = enumerate(text.splitlines(keepends=True), 1)
    return "".join(line if number in inside else _expanded(line) for number, line in lines)


def _expanded(line: str) -> str:
    rest = line.lstrip(" \t")
    return line[: len(line) - len(rest)].expandtabs(8) + rest


def _inside_strings(text: str) -> set[int]:
    """The lines that begin within a string."""
    from fissix.pgen2 import token, tokenize

    found: set[int] = set()
    try:
        for kind, _, (start, _), (stop, _), _ in tokenize.generate_tokens(
            io.StringIO(text).readline
        ):
            if kind == token.STRING:
                found.update(range(start + 1, stop + 1))
    except (tokenize.TokenError, IndentationError):
        pass  # the parser says what is wrong
    return found


# ---- what the result imports


def imports(tree: ast.Module) -> list[str]:
    """What a converted script imports of `names`, as in `from ... import` this."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    plain = (_HELPERS & used) - bound_names(tree) | (_LISTS & used)
    if any(_compares(node) for node in ast.walk(tree)):
        plain |= {"sorted"}
    hidden = [f"{name} as _{name}" for name in _UNDERSCORED if f"_{name}" in used]
    return [*hidden, *sorted(plain)]


def _compares(node: ast.AST) -> bool:
    """Whether this is a call of sorted with a comparison."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return False
    given = len(node.args) > 1 or any(each.arg == "cmp" for each in node.keywords)
    return node.func.id == "sorted" and given


def first_statement(tree: ast.Module) -> int:
    """The number of the statement before which imports go."""
    return sum(1 for _ in _head(tree))


def _head(tree: ast.Module) -> Iterator[ast.stmt]:
    """The docstring and what is imported from __future__."""
    for number, node in enumerate(tree.body):
        docstring = number == 0 and ast.get_docstring(tree) is not None
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not docstring and not future:
            return
        yield node


def with_imports(text: str) -> str:
    """The text of a converted script, complete with the line of its imports."""
    tree = ast.parse(text)
    words = imports(tree)
    if not words:
        return text
    lines = text.splitlines(keepends=True)
    rest = tree.body[first_statement(tree) :]
    at = min([rest[0].lineno, *(each.lineno for each in getattr(rest[0], "decorator_list", ()))])
    lines.insert(at - 1, f"from {NAMES} import {', '.join(words)}\n")
    return "".join(lines)


def syntax_tree(text: str) -> ast.Module:
    """The converted script's syntax, its imports among it, every line under its own number."""
    tree = _renumbered(ast.parse(text))
    words = [word.partition(" as ") for word in imports(tree)]
    if words:
        at = first_statement(tree)
        names = [ast.alias(name, other or None) for name, _, other in words]
        made = ast.ImportFrom(NAMES, names, 0)
        for each in (made, *names):
            ast.copy_location(each, tree.body[at])
        tree.body.insert(at, made)
    return tree


def _renumbered(tree: ast.Module) -> ast.Module:
    """The tree without the lines that unpack the tuples of a function's parameters, which fissix
    adds: what stands below has the number that it had.
    """
    added = _added(tree)
    for node in ast.walk(tree) if added else ():
        for name in ("lineno", "end_lineno"):
            line = getattr(node, name, None)
            if line is not None:
                setattr(node, name, line - bisect_left(added, line))
    return tree


def _added(tree: ast.Module) -> list[int]:
    """The lines that fissix adds, which unpack tuples and have nothing else on them."""
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    own = {node.lineno for node in statements if not _unpacks(node)}
    return sorted({node.lineno for node in statements if _unpacks(node)} - own)


def _unpacks(node: ast.stmt) -> bool:
    """Whether it is what fissix adds for a tuple of parameters, or of an error's arguments."""
    if not isinstance(node, ast.Assign):
        return False
    held = node.value.value if isinstance(node.value, ast.Attribute) else node.value
    return isinstance(held, ast.Name) and held.id.startswith("xxx_todo_changeme")
