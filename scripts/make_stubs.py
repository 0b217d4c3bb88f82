"""Writes fcnkit/__init__.pyi: the public names of fcnkit, as editors and type checkers see them.

Run by `make stubs` after a name was added to fcnkit/__init__.py or to the list of rewrites.
"""

import inspect
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import fcnkit

STUB = Path(fcnkit.__file__).with_suffix(".pyi")
_HEAD = '''"""The names of fcnkit for editors and type checkers; `make stubs` writes this file.

__init__.py imports each when it is first used.
"""

'''


def stub() -> str:
    """The text of the stub, made of the names that there are."""
    found = {name: getattr(fcnkit, name) for name in fcnkit.__all__}
    own = {name: each for name, each in found.items() if each.__module__ == "fcnkit"}
    listed = "".join(f'    "{name}",\n' for name in sorted(found))
    imports = _imports({name: each for name, each in found.items() if name not in own})
    names = f"\n__all__ = [\n{listed}]\n__version__: str\n\n"
    return "".join([_HEAD, *imports, names, *_declared(own)])


def _imports(found: dict[str, type]) -> Iterator[str]:
    """One line for each module, and one for each other name, in the order that ruff wants."""
    places = sorted((each.__module__, each.__name__ != name, name) for name, each in found.items())
    for (module, renamed), names in groupby(places, lambda place: place[:2]):
        here = [name for _, _, name in names]
        if renamed:
            yield from (f"from {module} import {found[as_].__name__} as {as_}\n" for as_ in here)
        else:
            here.sort(key=lambda name: (not name[0].isupper(), name))
            yield f"from {module} import {', '.join(here)}\n"


def _declared(own: dict[str, type]) -> Iterator[str]:
    for name in sorted(own):
        signature = str(inspect.signature(own[name])).replace("'", "")
        yield f"def {name}{signature}: ...\n"


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
    print(f"wrote {STUB}")
