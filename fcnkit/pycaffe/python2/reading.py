"""Reads a script and the modules of its own, converted where they are Python 2's."""

import ast
import io
import os
import re
import sys
import sysconfig
import tokenize
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

from fcnkit.errors import EngineError
from fcnkit.pycaffe.python2.convert import converted, imports, syntax_tree, with_imports
from fcnkit.pycaffe.python2.numpy_names import replaced
from fcnkit.pycaffe.python2.signs import Age, age

_IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+([\w.]+(?:[ \t]*,[ \t]*[\w.]+)*)", re.M)
_INSTALLED = ("site-packages", "dist-packages")


class Ready(NamedTuple):
    """A script as Python runs it, and what was done to it, in words."""

    text: str
    done: str = ""


def ready(text: str, path: str, *, old: bool) -> Ready:
    """The script in Python 3, with names that NumPy has; `old` says that it is Python 2's."""
    words = []
    could_not: tuple[str, ...] = ()
    if old:
        before = text
        text, divisions, could_not = converted(text, path)
        if text.rstrip() != before.rstrip() or imports(ast.parse(text)):
            words.append("is Python 2: runs converted")
        if divisions:
            several = "divisions floor" if divisions > 1 else "division floors"
            words.append(f"{divisions} {several} whole numbers as there")
    if re.search(r"\b(?:numpy|np)\b|\.tostring\(\)", text):
        text, names = replaced(text)
        if names:
            words.append(f"names that NumPy dropped are replaced: {', '.join(names)}")
    if could_not:
        words.append(f"not converted: {', '.join(could_not)}")
    return Ready(text, "; ".join(words))


def source(path: str) -> str:
    """The text of a script, in the encoding that it says."""
    held = Path(path).read_bytes()
    try:
        text = held.decode(encoding(held))
    except UnicodeDecodeError:
        text = held.decode("latin-1")
    return text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def encoding(held: bytes) -> str:
    """The encoding that the bytes of a script say."""
    return tokenize.detect_encoding(io.BytesIO(held).readline)[0]


def compiled(path: str) -> CodeType:
    """The code of a script, converted where it is Python 2's."""
    text = source(path)
    return _compiled(text, path, old=age(text) is Age.TWO)


def compiled_text(text: str) -> CodeType:
    """The code of a text of Python 2 that a script runs."""
    return _compiled(text.rstrip() + "\n", "<string>", old=True)


def _compiled(text: str, path: str, *, old: bool) -> CodeType:
    made = ready(text, path, old=old)
    return compile(syntax_tree(made.text), path, "exec", dont_inherit=True)


class Reader:
    """Reads the script and what it imports of its own: from its folder, from those that
    PYTHONPATH names and from those that it adds to sys.path, never an installed library.

    A file that shows nothing of its Python is taken as the script is; the script is Python 2's
    where it shows it, a module of its own that it imports does, or `old` says so.  `tell` hears
    of each file that is not run as it stands, in a line.
    """

    def __init__(
        self, script: str | None, tell: Callable[[str], object], *, old: bool = False
    ) -> None:
        self._tell, self._told = tell, set[str]()
        self._given = [os.path.realpath(each) for each in sys.path]
        named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        self._named = [os.path.realpath(each) for each in [*named, sys.path[0]] if each]
        self._old = old or script is not None and self._is_old(script, set())

    def code(self, path: str) -> CodeType | None:
        """The code of a file, or None for one that runs as it stands."""
        made = self.ready(path)
        if made is None:
            return None
        return compile(syntax_tree(made.text), path, "exec", dont_inherit=True)

    def ready(self, path: str) -> Ready | None:
        """The file as it runs, or None for one that runs as it stands."""
        try:
            text = source(path)
        except (SyntaxError, OSError):
            return None  # Python says what is wrong
        shown = age(text)
        try:
            made = ready(text, path, old=shown is Age.TWO or shown is Age.EITHER and self._old)
        except SyntaxError as error:  # as above; the first fault may be Python 2's, so ours is told
            self._say(path, str(error))
            return None
        except EngineError as error:
            if _parses(text):
                raise
            self._say(path, f"is Python 2, or has a mistake: {error}")
            return None
        if not made.done:
            return None
        self._say(path, made.done)
        return made

    def _say(self, path: str, words: str) -> None:
        if path not in self._told:
            self._told.add(path)
            self._tell(f"{min(path, os.path.relpath(path), key=len)} {words}")

    def kept(self, path: str) -> bytes | None:
        """A file that is converted, in its encoding and with the line of its imports."""
        made = self.ready(path)
        if made is None:
            return None
        return with_imports(made.text).encode(encoding(Path(path).read_bytes()), "replace")

    def owns(self, path: str) -> bool:
        """Whether a module's file is of the script's own."""
        folder = os.path.realpath(os.path.dirname(path))
        if any(part in _INSTALLED for part in Path(folder).parts) or _is_pythons(folder):
            return False
        given = (each for each in self._given if each not in self._named)
        return not any(_is_within(folder, each) for each in given) or any(
            _is_within(folder, each) for each in self._named
        )

    def _is_old(self, path: str, seen: set[str]) -> bool:
        """Whether the file shows Python 2, or what it imports of its own does."""
        if path in seen:
            return False
        seen.add(path)
        try:
            text = source(path)
        except (SyntaxError, OSError):
            return False
        shown = age(text)
        if shown is not Age.EITHER:
            return shown is Age.TWO
        return any(self._is_old(each, seen) for each in self._imported(text))

    def _imported(self, text: str) -> Iterator[str]:
        """The files of the script's own that a text imports."""
        for names in _IMPORT.findall(text):
            for name in re.split(r"[ \t]*,[ \t]*", names):
                for folder in self._named:
                    place = os.path.join(folder, *name.split("."))
                    for file in (f"{place}.py", os.path.join(place, "__init__.py")):
                        if os.path.isfile(file):
                            yield file


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def _is_within(folder: str, other: str) -> bool:
    return folder == other or folder.startswith(other.rstrip(os.sep) + os.sep)


def _is_pythons(folder: str) -> bool:
    """Whether it is of Python's own library, or fcnkit's."""
    own = [sysconfig.get_path("stdlib"), str(Path(__file__).parents[2])]
    return any(_is_within(folder, os.path.realpath(each)) for each in own)


class _Loader(SourceFileLoader):
    """Loads a module of the script's own."""

    reader: Reader

    def get_code(self, fullname: str) -> CodeType | None:
        return self.reader.code(self.path) or super().get_code(fullname)


class _Finder(MetaPathFinder):
    """Finds the modules of the script's own where Python finds them."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        found = PathFinder.find_spec(fullname, path, target)
        if found is None or type(found.loader) is not SourceFileLoader or not found.origin:
            return None
        if not self.reader.owns(found.origin):
            return None
        found.loader = _Loader(fullname, found.origin)
        found.loader.reader = self.reader
        return found


@contextmanager
def importing(reader: Reader) -> Iterator[None]:
    """In the block the script's own modules are imported through the reader."""
    ours = _Finder(reader)
    at = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
    sys.meta_path.insert(at, ours)
    try:
        yield
    finally:
        sys.meta_path.remove(ours)
