"""Where the ticks of an axis stand, and numbers as a reader writes them.

Steps are 1, 2 or 5 times a power of ten, on a logarithmic axis the ticks themselves.
"""

import math
from collections.abc import Iterator

# Beyond these, a number is read more easily with an exponent.
_SMALL, _LARGE = 1e-4, 1e7


def plain(value: float) -> str:
    """The number with commas between thousands, 100,000, and without trailing zeros.

    Very large and very small ones have a short exponent: 2e-5.
    """
    if value == 0 or not math.isfinite(value):
        return f"{abs(value):g}" if value == 0 else f"{value:g}"
    if _SMALL <= abs(value) < _LARGE:
        # More digits would show how a sum of steps was rounded.
        shown = f"{value:,.{max(0, 8 - math.floor(math.log10(abs(value))))}f}"
        return shown.rstrip("0").rstrip(".") if "." in shown else shown
    digits, _, power = f"{value:.9e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


def linear(low: float, high: float, most: int = 7) -> list[float]:
    """At most `most` ticks, 5 or more, from `low` to `high`, at multiples of one step."""
    if not high > low:
        return [low]
    step = _step((high - low) / max(1, most - 1))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [
        round(number * step, 12 - math.floor(math.log10(step))) for number in range(first, last + 1)
    ]


def _step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= least * (1 - 1e-9))


def logarithmic(low: float, high: float, most: int = 8) -> list[float]:
    """At most `most` ticks from `low` to `high`, both above 0, of a logarithmic axis.

    They are 1, 2 and 5 times powers of ten, or powers of ten alone where these are too
    many; where the ends are close together, those of a linear axis.
    """
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = list(_powers(low, high, factors))
        if len(found) <= most:
            return found if len(found) > 2 else linear(low, high, min(most, 7))
    every = -(-len(found) // most)
    return found[::every]


def _powers(low: float, high: float, factors: tuple[int, ...]) -> Iterator[float]:
    for power in range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1):
        for factor in factors:
            value = float(f"{factor}e{power}")
            if low * (1 - 1e-9) <= value <= high * (1 + 1e-9):
                yield value
