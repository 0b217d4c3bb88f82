"""The ways in which scripts ask for a net."""

import os
from collections.abc import Sequence
from operator import index
from typing import Any, NamedTuple, TypeAlias

from fcnkit.formats import prototxt, schema, with_forks
from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.values import Slot
from fcnkit.nets.graph import State
from fcnkit.rewrites.upgrade import upgrade

Path: TypeAlias = str | bytes | os.PathLike[str]
PHASES = ("TRAIN", "TEST")
_NET = "NetParameter"
_WORDS = "Net(file, phase, level=0, stages=None, weights=None) or Net(file, weights, phase)"
_NAMES = ("phase", "level", "stages", "weights")


class Call(NamedTuple):
    """In which state a net is asked for, and with which weights."""

    state: State
    weights: tuple[Path, ...] = ()


def asked(given: Sequence[Any], named: dict[str, Any]) -> Call:
    """What stands behind the file in a call of Net; TypeError for a call that there is not."""
    if given and isinstance(given[0], (str, bytes, os.PathLike)):
        if len(given) != 2 or named:
            raise TypeError(f"weights without a phase; call {_WORDS}, phase caffe.TEST for one")
        return Call(State(_phase(given[1])), (given[0],))
    values = dict(zip(_NAMES, given, strict=False)) | named
    if set(values) - set(_NAMES) or "phase" not in values or len(given) > len(_NAMES):
        raise TypeError(f"no such call of Net; call {_WORDS}")
    stages = tuple(values.get("stages") or ())
    if not all(isinstance(each, str) for each in stages):
        raise TypeError(f"stages {stages}: give strings, as in stages=['deploy']")
    weights = values.get("weights")
    state = State(_phase(values["phase"]), index(values.get("level", 0)), stages)
    return Call(state, () if weights is None else (weights,))


def _phase(value: Any) -> str:
    number = index(value)
    if number not in range(len(PHASES)):
        raise ValueError(f"phase {number}: give caffe.TRAIN or caffe.TEST")
    return PHASES[number]


def opened(path: Path, message: str) -> Prototxt:
    """A prototxt of this message in Caffe 1.0's own words, whatever the year it was written in;
    a net in those of its forks too, of which each layer says later whether it heeds them.

    Raises RuntimeError, as pycaffe, for a file that is not there; PrototxtError, with line and
    what was meant, for what Caffe's parser refuses.
    """
    return checked(prototxt.read(there(path)), message)


def checked(text: Prototxt, message: str) -> Prototxt:
    """As `opened`, of a text that is read already."""
    schema.check(message, text.root, _slots if message == _NET else schema.slots)
    return upgrade(text).net


def _slots(message: str) -> dict[str, Slot]:
    """Those of forks too, but for the net's own: its layers alone say what they heed."""
    return schema.slots(message) if message == _NET else with_forks.slots(message)


def there(path: Path) -> str:
    """The name of a file; RuntimeError, as pycaffe, where there is none of it."""
    name = os.fsdecode(path)
    if not os.path.isfile(name):
        raise RuntimeError(f"Could not open file {name}")
    return name
