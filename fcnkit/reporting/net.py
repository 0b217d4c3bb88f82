"""The section of a net: the table of `inspect`, and what it takes in memory."""

from fcnkit.inspection import Inspection, inspect
from fcnkit.reporting.pictures import Album
from fcnkit.reporting.section import Section
from fcnkit.reporting.subject import Subject
from fcnkit.reporting.words import bytes_text, grouped

# Rows of the table; nets of more layers are made by programs, and looked at by programs.
MOST = 3000


def section(of: Subject, album: Album) -> Section | None:
    """The layers of a net, one a row; None where the page is of no net."""
    if of.net is None:
        return None
    found = inspect(of.net, weights=of.weights, inputs=of.wishes.inputs)
    cells = found.cells()
    columns = [name for name in (cells[0] if cells else ()) if any(row[name] for row in cells)]
    rows = cells[:MOST]
    more = len(cells) - len(rows)
    values = {"columns": columns, "rows": rows, "more": more, "facts": _facts(found)}
    return Section(
        "net", "The net", values, f"What Caffe builds from {of.net.path}, {found.state}."
    )


def _facts(found: Inspection) -> list[tuple[str, str]]:
    taken = found.memory
    return [
        ("layers", grouped(len(found.rows))),
        ("parameters", grouped(found.params)),
        ("multiply-adds", grouped(found.macs)),
        ("memory to test", bytes_text(taken.testing)),
        ("memory to train", bytes_text(taken.training)),
    ]
