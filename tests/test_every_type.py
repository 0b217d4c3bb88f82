"""Every layer type of the table through every rewrite, in small nets around it.

What a rewrite gives computes what it promises, in real Caffe; or a layer is kept or the net
refused, with the reason.  A new type is in this by being in the table.  Every pair of type,
rewrite, position, generation and layout is tried by default, the full product with --corpus:
some 300,000 cases, half an hour on two cores.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from every_type import VALUE_WISE, Case, Fate, cases, cover, fates, started
from type_deeds import DEEDS
from type_nets import POSITIONS, planned

from fcnkit.errors import NetError
from fcnkit.formats import prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.layers.table import TYPES
from fcnkit.rewrites import REWRITES

HERE = Path(__file__).parent
# Cases that are asked about at once.
BATCH = 400


class Known(NamedTuple):
    """Cases that are known to go wrong, each of them."""

    deed: str
    kinds: tuple[str, ...]
    positions: tuple[str, ...]
    why: str

    def __contains__(self, case: object) -> bool:
        return (
            isinstance(case, Case)
            and case.deed == self.deed
            and case.kind in self.kinds
            and case.position in self.positions
        )


EXPECTED: tuple[Known, ...] = ()


@pytest.mark.parametrize("deed", DEEDS)
def test_every_type_through(deed, caffe, request):
    everything = request.config.getoption("--corpus")
    chosen = [case for case in (cases() if everything else cover()) if case.deed == deed]
    found = [fate for batch in _batches(chosen) for fate in fates(batch, caffe)]
    counts = Counter("wrong" if fate.wrong else fate.word.partition(":")[0] for fate in found)
    print(f"{deed}: {', '.join(f'{count} {word}' for word, count in counts.items())}")
    known = [any(fate.case in each for each in EXPECTED) for fate in found]
    assert not _shown(fate for fate, mine in zip(found, known, strict=True) if fate.wrong > mine)
    assert not _shown(fate for fate, mine in zip(found, known, strict=True) if fate.wrong < mine)
    assert counts["equal"]


def _batches(chosen: list[Case]) -> Iterator[list[Case]]:
    return (chosen[at : at + BATCH] for at in range(0, len(chosen), BATCH))


def _shown(found) -> str:
    return "".join(f"{', '.join(fate.case)}: {fate.word}\n" for fate in found)


# ---- the cases themselves


def test_every_type_stands_in_some_net():
    assert all(any(planned(kind, position) for position in POSITIONS) for kind in TYPES)
    assert all(planned(kind, position) for kind in VALUE_WISE for position in ("behind", "flat"))


def test_every_type_meets_every_rewrite():
    met = {(case.kind, case.deed) for case in cover()}
    assert len(met) == len(TYPES) * len(DEEDS)


def test_every_rewrite_is_tried():
    source = "".join((HERE / name).read_text() for name in ("type_deeds.py", "type_fcn.py"))
    assert all(f"fk.{name}" in source for names in REWRITES.values() for name in names)


@pytest.mark.parametrize(
    ("word", "wrong"), [("equal", False), ("kept: why", False), ("fc differs", True)]
)
def test_what_is_wrong(word, wrong):
    assert Fate(Case("ReLU", "drop", "flat", "V2", "lines"), word).wrong is wrong


# ---- the oldest format

V0 = """input: "data" input_dim: 2 input_dim: 3 input_dim: 15 input_dim: 15
layers { layer { name: "c" type: "conv" num_output: 4 kernelsize: 3 stride: 2 pad: 1 }
  bottom: "data" top: "c" }
layers { layer { name: "x" type: "relu" } bottom: "c" top: "t" }
layers { layer { name: "d" type: "conv" num_output: 6 kernelsize: 3 group: 2 pad: 1 }
  bottom: "t" top: "d" }
layers { layer { name: "p" type: "pool" kernelsize: 2 stride: 2 } bottom: "d" top: "p" }
layers { layer { name: "fc" type: "innerproduct" num_output: 5 } bottom: "p" top: "fc" }
"""


@pytest.mark.parametrize("deed", DEEDS)
def test_the_oldest_format_works_or_is_to_be_upgraded_first(deed):
    begin, net = started("ReLU", "behind"), prototxt.parse(V0, "net.prototxt")
    try:
        plan = DEEDS[deed].act(begin, net)
    except NetError as error:
        assert "upgrade" in str(error)
    else:
        assert build(plan.net).layers
