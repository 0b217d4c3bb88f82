"""The forks of Caffe as targets: what they take is what the schema of their words says.

fcnkit's forks.proto says whose each word is.  BVLC's Caffe refuses all of them.  A fork takes
BVLC's words and its own; whether it took over those of another fork is not known, and said so.
"""

from typing import NamedTuple

from fcnkit.formats import schema
from fcnkit.nets.layers.table import CAFFE, FORKS

BVLC = "bvlc"
UNOWNED = schema.OTHERS
"""What the schema calls single authors' work, which no fork is."""


class ForkTarget(NamedTuple):
    """A fork of Caffe: its name here, and as the schema has it, "" for BVLC's own Caffe."""

    name: str
    fork: str

    @property
    def title(self) -> str:
        """What it is called."""
        return f"Caffe of {self.fork or 'BVLC'}"


def owners(type_name: str) -> tuple[str, ...]:
    """The forks that are known to have a layer type that BVLC has not; () where none is."""
    kind = FORKS.get(type_name)
    if kind is None or type_name in CAFFE or not kind.message:
        return ()
    root = schema.View("LayerParameter", None)
    inner = root.view(kind.message)
    found = [schema.fork_of("LayerParameter", kind.message)]
    if found[0] is not None:  # not one of Caffe's own messages, which many types read
        found += (schema.fork_of(inner.message_name, field) for field in inner.names)
    return tuple(dict.fromkeys(name for name in found if name and name != UNOWNED))


def _targets() -> dict[str, ForkTarget]:
    known = [name for name in schema.fork_names() if name != UNOWNED]
    found = [ForkTarget(BVLC, ""), *(ForkTarget(name.lower(), name) for name in known)]
    return {target.name: target for target in found}


FORK_TARGETS = _targets()
