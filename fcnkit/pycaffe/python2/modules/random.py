"""random, whose draws of whole numbers are Python 2's for the same seed.

Python 3.2 has drawn them otherwise: what is split in two after random.seed(1) would be
split at other places.
"""

import random as _random
from collections.abc import Callable
from math import ceil, frexp, isfinite, log
from random import *  # noqa: F403
from typing import Any


class _Draws:
    """Draws from numbers between 0 and 1."""

    random: Callable[[], float]

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        """One of the numbers of range(start, stop, step)."""
        numbers = range(int(start)) if stop is None else range(int(start), int(stop), int(step))
        if not numbers:
            raise ValueError(f"empty range for randrange() ({start}, {stop}, {step})")
        return numbers[int(self.random() * len(numbers))]

    def randint(self, a: int, b: int) -> int:
        """One of the numbers from a to b, b too."""
        return self.randrange(a, b + 1)

    def choice(self, seq: Any) -> Any:
        """One of these."""
        return seq[int(self.random() * len(seq))]

    def shuffle(self, x: Any, random: Callable[[], float] | None = None) -> None:
        """The list is in another order."""
        draw = random or self.random
        for last in reversed(range(1, len(x))):
            other = int(draw() * (last + 1))
            x[last], x[other] = x[other], x[last]

    def sample(self, population: Any, k: int) -> list[Any]:
        """So many of these, each once."""
        count = len(population)
        if not 0 <= k <= count:
            raise ValueError("sample larger than population")
        few = 21 + (4 ** ceil(log(k * 3, 4)) if k > 5 else 0)
        if count > few and hasattr(population, "__getitem__") and not hasattr(population, "keys"):
            return [population[at] for at in self._places(count, k)]
        pool, found = list(population), []
        for left in range(count, count - k, -1):
            at = int(self.random() * left)
            found.append(pool[at])
            pool[at] = pool[left - 1]
        return found

    def gammavariate(self, alpha: float, beta: float) -> float:
        """A number of the gamma distribution."""
        if alpha != 1:
            return _random.Random.gammavariate(self, alpha, beta)  # type: ignore[arg-type]
        drawn = self.random()
        while drawn <= 1e-7:
            drawn = self.random()
        return -log(drawn) * beta

    def betavariate(self, alpha: float, beta: float) -> float:
        """A number of the beta distribution."""
        first = self.gammavariate(alpha, 1.0)
        return first and first / (first + self.gammavariate(beta, 1.0))

    def _places(self, count: int, k: int) -> list[int]:
        """So many places, each once."""
        found: dict[int, None] = {}
        while len(found) < k:
            found.setdefault(int(self.random() * count))
        return list(found)


class Random(_Draws, _random.Random):  # type: ignore[no-redef, misc]
    """Numbers of a seed of their own."""

    def seed(self, a: Any = None, version: int = 1) -> None:
        """They begin anew."""
        super().seed(_begun(a), version)


class _Common(_Draws):
    """Numbers of the seed that all share."""

    def __init__(self) -> None:
        self.random = _random.random


def seed(a: Any = None) -> None:  # type: ignore[no-redef]
    """What all share begins anew."""
    _random.seed(_begun(a), version=1)


def _begun(a: Any) -> Any:
    """What Python 3 begins with as Python 2 did with this: of a fraction its hash was another."""
    if not isinstance(a, float) or not isfinite(a):
        return a
    if a == int(a):
        found = abs(int(a)) % (_WORD - 1)
        return {-1: _WORD - 2}.get(int(a), found if a >= 0 else -found % _WORD)
    part, power = frexp(a)
    high = int(part * _HALF)
    low = int((part * _HALF - high) * _HALF)
    return (high + low + (power << 15)) % _WORD


_HALF, _WORD = float(1 << 31), 1 << 64
_common = _Common()
choice, randint, randrange = _common.choice, _common.randint, _common.randrange
sample, shuffle = _common.sample, _common.shuffle  # type: ignore[assignment]
betavariate, gammavariate = _common.betavariate, _common.gammavariate
