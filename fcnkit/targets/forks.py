"""The forks of Caffe as targets: what they take is what the schema of their words says.

fcnkit's forks.proto says whose each word is.  BVLC's Caffe refuses all of them.  A fork takes
BVLC's words and its own; whether it took over those of another fork is not known, and said so.
"""

from typing import NamedTuple

from fcnkit.nets.layers.owners import FORK_NAMES

BVLC = "bvlc"


class ForkTarget(NamedTuple):
    """A fork of Caffe: its name here, and as the schema has it, "" for BVLC's own Caffe."""

    name: str
    fork: str

    @property
    def title(self) -> str:
        """What it is called."""
        return f"Caffe of {self.fork or 'BVLC'}"


def _targets() -> dict[str, ForkTarget]:
    found = [ForkTarget(BVLC, ""), *(ForkTarget(*names) for names in FORK_NAMES.items())]
    return {target.name: target for target in found}


FORK_TARGETS = _targets()
