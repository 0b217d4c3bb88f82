"""Whether a Crop fits at every input size: integer sizes, where coords.py has exact places.

The map between two tops says where pixels lie; how many there are follows
from the floor and ceil of each layer.
"""

from typing import NamedTuple

from fcnkit.errors import NetError
from fcnkit.nets.sizes import Sizes, Track


class Fit(NamedTuple):
    """The least slack of a Crop, in pixels, and the input size where it is reached.

    Slack is size(cropped) - offset - size(reference) at the far end; the crop
    is valid where it is not negative.  `slack` is None where the net itself
    cannot be built at that size, and `why` says why.
    """

    slack: int | None
    size: int
    why: str = ""

    @property
    def valid(self) -> bool:
        """Whether the crop fits at every size that was looked at."""
        return self.slack is not None and self.slack >= 0


def check(sizes: Sizes, cropped: Track, reference: Track, offset: tuple[int, ...], least: int) -> Fit:
    """The crop's least slack over every input size from `least` up."""
    found = []
    for size, known in sizes.worth_checking(least):
        if isinstance(known, NetError):
            return Fit(None, size, str(known))
        axes = zip(cropped.size(known), reference.size(known), offset, strict=True)
        found.append(Fit(min(have - start - want for have, want, start in axes), size))
    return min(found)
