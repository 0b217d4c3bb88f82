"""Draws Caffe's random numbers: the same numbers from the same seed.

Caffe has one generator, seeded by random_seed, from which fillers and layers
draw in the order of their setup.  A layer that crops or mirrors has its own
generator, seeded from that one.  Both are MT19937, which boost and numpy share.
So crops, mirrors and the order of ImageData equal Caffe's, unless a layer with
a random filler stands before the data layers.
"""

from collections.abc import MutableSequence

import numpy as np

_WORDS = 2**32
_AT_ONCE = 1024


class Draws:
    """A generator of Caffe's: each call gives its next 32 bits."""

    def __init__(self, seed: int | None = None) -> None:
        """Without a seed each run draws other numbers."""
        self._random = np.random.RandomState(None if seed is None else seed % _WORDS)
        self._words: list[int] = []

    def __call__(self) -> int:
        if not self._words:
            words = np.frombuffer(self._random.bytes(4 * _AT_ONCE), "<u4")
            self._words = words[::-1].tolist()
        return self._words.pop()

    def below(self, count: int) -> int:
        """A number from 0 to count - 1, as Caffe's DataTransformer draws it."""
        return self() % count

    def even(self, last: int) -> int:
        """A number from 0 to `last`, each with the same chance, as boost's uniform_int draws it."""
        if not last:
            return 0
        size, rest = divmod(_WORDS - 1, last + 1)
        size += rest == last
        while (found := self() // size) > last:
            pass
        return found

    def shuffle(self, items: MutableSequence) -> None:
        """The items in another order, the one that Caffe's shuffle gives."""
        for place in range(len(items) - 1, 0, -1):
            other = self.even(place)
            items[place], items[other] = items[other], items[place]
