"""Which Python a script is written for."""

import ast
import re
from collections.abc import Iterator
from enum import Enum


class Age(Enum):
    """What a script shows of the Python that it is written for."""

    TWO = "Python 2"
    THREE = "Python 3"
    EITHER = "nothing"


_NAMES = frozenset(
    (
        *("apply", "basestring", "buffer", "cmp", "coerce", "execfile", "file", "intern"),
        *("long", "raw_input", "reduce", "reload", "unichr", "unicode", "xrange"),
    )
)
_MODULES = frozenset(
    (
        *("BaseHTTPServer", "ConfigParser", "HTMLParser", "Queue", "SimpleHTTPServer"),
        *("SocketServer", "StringIO", "Tkinter", "__builtin__", "cPickle", "cStringIO"),
        *("commands", "copy_reg", "cookielib", "future_builtins", "httplib", "tkMessageBox"),
        *("md5", "sha", "thread", "urllib2", "urlparse", "xmlrpclib"),
    )
)
_SHEBANG = re.compile(r"#!.*\bpython2")
_METHODS = frozenset(("has_key", "iteritems", "iterkeys", "itervalues"))
# What gives a list in Python 2 alone: only there has it a length or subscripts.
_ITERATORS = frozenset(("filter", "map", "zip"))
_VIEWS = frozenset(("items", "keys", "values"))
# What modules of both had in Python 2 alone.
_OF_MODULES = {
    "itertools": frozenset(("ifilter", "ifilterfalse", "imap", "izip", "izip_longest")),
    "operator": frozenset(("div", "idiv", "isCallable", "sequenceIncludes")),
    "os": frozenset(("getcwdu", "popen2", "popen3")),
    "os.path": frozenset(("walk",)),
    "string": frozenset(
        (
            *("atof", "atoi", "atol", "center", "count", "find", "index", "join", "joinfields"),
            *("letters", "ljust", "lower", "lowercase", "lstrip", "maketrans", "replace"),
            *("rfind", "rindex", "rjust", "rsplit", "rstrip", "split", "splitfields", "strip"),
            *("swapcase", "translate", "upper", "uppercase", "zfill"),
        )
    ),
    "sys": frozenset(("exc_clear", "maxint", "setdefaultencoding")),
    "types": frozenset(
        (
            *("BooleanType", "ClassType", "DictType", "FileType", "FloatType", "InstanceType"),
            *("IntType", "ListType", "LongType", "ObjectType", "StringType", "StringTypes"),
            *("TupleType", "TypeType", "UnicodeType"),
        )
    ),
    "urllib": frozenset(
        (
            *("URLopener", "pathname2url", "quote", "quote_plus", "unquote", "unquote_plus"),
            *("url2pathname", "urlencode", "urlopen", "urlretrieve"),
        )
    ),
}
# One argument, which Python 3's strings refuse; functions of codecs have two.
_CODECS = frozenset(("base64", "bz2", "hex", "rot13", "zlib"))
_CODING = frozenset(("decode", "encode"))
# A script that asks which Python runs it is for both.
_ASKING = ("sys.version_info", "six.PY2", "six.PY3", "sys.hexversion")
_NEW = (
    *(ast.JoinedStr, ast.AnnAssign, ast.Nonlocal, ast.AsyncFunctionDef, ast.NamedExpr),
    *(ast.YieldFrom, ast.MatMult, ast.Match, ast.Starred),
)


def age(text: str) -> Age:
    """What the script shows; one that Python 3 does not parse is Python 2's."""
    if _SHEBANG.match(text):
        return Age.TWO
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return Age.TWO
    if any(_is_new(node) for node in ast.walk(tree)):
        return Age.THREE
    if any(words in text for words in _ASKING):
        return Age.EITHER
    return Age.TWO if next(_old(tree), None) else Age.EITHER


def _is_new(node: ast.AST) -> bool:
    """Whether there is such a thing in Python 3 alone."""
    if isinstance(node, ast.Starred):
        return isinstance(node.ctx, ast.Store)
    if isinstance(node, ast.arguments):
        given = (*node.args, *node.posonlyargs, *node.kwonlyargs)
        return bool(node.kwonlyargs or node.posonlyargs or any(arg.annotation for arg in given))
    if isinstance(node, ast.Raise):
        return node.cause is not None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id == "super" and not node.args
    return isinstance(node, _NEW)


def _old(tree: ast.Module) -> Iterator[ast.AST]:
    """What there is in Python 2 alone."""
    bound = bound_names(tree)
    tried = {id(node) for each in ast.walk(tree) if isinstance(each, ast.Try) for node in each.body}
    names = _NAMES - bound
    imported = {
        alias.name
        for each in ast.walk(tree)
        if isinstance(each, ast.Import)
        for alias in each.names
    }
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if id(node) in tried and isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Name) and node.id in names or _is_old(node, imported):
            yield node
        todo.extend(ast.iter_child_nodes(node))


def _is_old(node: ast.AST, imported: set[str]) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name in _MODULES for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        there = _OF_MODULES.get(node.module or "", frozenset())
        return node.module in _MODULES or any(alias.name in there for alias in node.names)
    if isinstance(node, ast.Attribute):
        return _is_old_attribute(node, imported)
    if isinstance(node, ast.Subscript):
        return _is_list(node.value, _ITERATORS) or _is_view(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = (node.left, node.right)
        return any(_is_list(side, _ITERATORS | {"range"}) or _is_view(side) for side in sides)
    return isinstance(node, ast.Call) and _is_old_call(node)


def _is_old_call(node: ast.Call) -> bool:
    """Whether it asks the length of a list, orders by a comparison, or encodes in hex."""
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name == "len":
        return any(_is_list(each, _ITERATORS) for each in node.args)
    if name in ("sort", "sorted"):
        return any(each.arg == "cmp" for each in node.keywords)
    first = node.args[0] if node.args else None
    codec = isinstance(first, ast.Constant) and first.value in _CODECS
    return codec and isinstance(node.func, ast.Attribute) and node.func.attr in _CODING


def _is_old_attribute(node: ast.Attribute, imported: set[str]) -> bool:
    if isinstance(node.value, ast.Name) and node.value.id in ("six", "np", "numpy"):
        return False
    module = ast.unparse(node.value)
    there = _OF_MODULES.get(module, frozenset()) if module.split(".")[0] in imported else ()
    return node.attr in _METHODS or node.attr in there


def _is_list(node: ast.AST, functions: frozenset[str]) -> bool:
    """Whether it is what one of these functions gives, a list in Python 2."""
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions
    )


def _is_view(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _VIEWS
        and not node.args
    )


def bound_names(tree: ast.AST) -> set[str]:
    """The names that a script gives to something itself."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).split(".")[0])
    return found
