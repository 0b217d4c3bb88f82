"""Writes what editors and type checkers see of fcnkit: its public names, in fcnkit/__init__.pyi,
and the fields of Caffe's layers, in fcnkit/pycaffe/layer_types.pyi.

Run by `make stubs` after a name was added to fcnkit/__init__.py or to the list of rewrites, and
after a field was added to the schema.
"""

import inspect
import re
from collections.abc import Iterator
from itertools import groupby
from keyword import iskeyword
from pathlib import Path

import fcnkit
from fcnkit.formats.with_forks import messages
from fcnkit.pycaffe import layer_types
from fcnkit.pycaffe.signatures import TYPE_NAMES, signature, slots

STUB = Path(fcnkit.__file__).with_suffix(".pyi")
LAYERS = Path(layer_types.__file__).with_suffix(".pyi")
_HEAD = '''"""The names of fcnkit for editors and type checkers; `make stubs` writes this file.

__init__.py imports each when it is first used.
"""

from os import PathLike

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
        said = re.sub(r"(: |-> )'(.*?)'", r"\1\2", str(inspect.signature(own[name])))
        yield f"def {name}{said}: ...\n".replace("'", '"')


_LAYERS_HEAD = '''"""Caffe's layers and their fields for editors and type checkers.

`make stubs` writes this file.  A field's default is Caffe's, `...` where it has none; a dict
is a message.
"""

from collections.abc import Sequence
from typing import Any

from fcnkit.pycaffe.tops import Top

'''
_OTHERS = "    def __getattr__(self, name: str) -> Any: ...\n\n"


def layers_stub() -> str:
    """The text of the stub of layers and params, made of the schema."""
    enums = ("class Parameters:\n", *_enums(), _OTHERS, "params: Parameters\n\n")
    types = ("class Layers:\n", *_methods(), _OTHERS, "layers: Layers\n")
    return "".join([_LAYERS_HEAD, *enums, *types])


def _methods() -> Iterator[str]:
    for name in TYPE_NAMES:
        made = signature(name)
        fields = "".join(f"        {each},\n" for each in made.parameters.values())
        yield f"    def {name}(\n        self,\n{fields}    ) -> {made.return_annotation}: ...\n"


def _enums() -> Iterator[str]:
    """The values of the enums of each type's message."""
    for message in messages():
        values = {
            name: value for slot in slots(message).values() for name, value in slot.enum.items()
        }
        if message.endswith("Parameter") and message not in _NO_TYPES and values:
            listed = "".join(f"        {name}: int\n" for name in values if not iskeyword(name))
            yield f"    class {message.removesuffix('Parameter')}:\n{listed}\n"


# Messages of a net, of a solver and of the oldest format.
_NO_TYPES = tuple(f"{name}Parameter" for name in ("Layer", "Solver", "V0Layer", "V1Layer"))


if __name__ == "__main__":
    for path, text in ((STUB, stub()), (LAYERS, layers_stub())):
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
