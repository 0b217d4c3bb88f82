"""The targets of `lint --target` as text: what they are, and where their rules are from."""

import textwrap
from collections.abc import Iterable, Iterator

from fcnkit.tables import folded
from fcnkit.targets.forks import BVLC, ForkTarget
from fcnkit.targets.index import AnyTarget
from fcnkit.targets.rules import Target

_WIDTH = 80


def targets_text(targets: Iterable[AnyTarget]) -> str:
    """Each tool chain with its versions, sources and their dates, and the forks of Caffe."""
    found = list(targets)
    chains = [target for target in found if isinstance(target, Target)]
    forks = [target.name for target in found if isinstance(target, ForkTarget)]
    table = folded((((target.name,), tuple(_about(target))) for target in chains), width=_WIDTH)
    others = ", ".join(name for name in forks if name != BVLC)
    more = (
        f"{BVLC} refuses all layers and fields of forks; the forks {others} accept BVLC's and "
        "their own, as far as fcnkit's schema knows them."
    )
    return table + "\n" + textwrap.fill(more, _WIDTH, break_on_hyphens=False) + "\n"


def _about(target: Target) -> Iterator[str]:
    yield f"{target.title}, {target.versions}; sources read on {target.date}"
    if target.note:
        yield target.note
    yield f"sources: {'; '.join(map(str, target.sources))}"
