"""Rows of tables that no input has looked up: of them an output shows nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fcnkit.nets.graph import Layer, Top
from fcnkit.nets.layers.table import of
from fcnkit.plural import number_of
from fcnkit.verifying.compared import read_by


def not_looked_up(
    learn: Sequence[Layer], names: Mapping[Top, str], values: Mapping[str, Any]
) -> str:
    """Which tables have rows that these values do not choose, and what to do; "" where none have.

    `learn` are the layers whose parameters count, and `names` the names of tops in `values`.
    """
    lacking = list(_lacking(learn, names, values))
    if not lacking:
        return ""
    said = "; ".join(
        f'{count:,} of the {number_of(rows, "row")} of "{name}"' for name, count, rows in lacking
    )
    most = max(rows for _, _, rows in lacking)
    remedy = f"give an input of {number_of(most, 'value')} or more, with --input"
    return f"not tested: {said}, which no value of the input looks up; {remedy}"


def _lacking(
    learn: Iterable[Layer], names: Mapping[Top, str], values: Mapping[str, Any]
) -> Iterator[tuple[str, int, int]]:
    import numpy as np

    for layer in learn:
        found = [values[names[top]] for top in read_by(layer) if top in names]
        if len(found) < len(layer.bottoms):
            continue
        rows = of(layer).indices(layer, [np.shape(each) for each in found]).get(0, 0)
        # As engines read a number: cut to a whole one.
        read = len(np.unique(np.trunc(found[0]))) if rows else 0
        if read < rows:
            yield layer.name, rows - read, rows
