"""blobs_lr, weight_decay and their like, a list each, become one param for each blob."""

from collections.abc import Mapping, Sequence

from fcnkit.plural import number_of
from fcnkit.rewrites.statements import Node, Statement, hidden, moved

# The old field of a layer, and the field of a ParamSpec that it is now.
OLD = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}

Columns = Mapping[str, list[Node]]


def gathered(found: Sequence[Sequence[Statement]]) -> Columns:
    """The values of each old field, in order, under its new name and with its comments."""
    columns: dict[str, list[Node]] = {name: [] for name in OLD}
    for run in found:
        for node, one in zip(moved(run), run, strict=True):
            columns[one.name] += _values(node, one)
    return columns


def blocks(columns: Columns) -> list[Node]:
    """One param block for each blob that any list reaches."""
    count = max(map(len, columns.values()))
    return [
        Node("param", tuple(column[at] for column in columns.values() if at < len(column)))
        for at in range(count)
    ]


def told(columns: Columns) -> str:
    """What was gathered, in a few words."""
    count = max(map(len, columns.values()))
    names = ", ".join(name for name, column in columns.items() if column)
    return f"{names} -> {number_of(count, 'param block')}"


def _values(node: Node, one: Statement) -> list[Node]:
    name = OLD[one.name]
    first, *others = (Node(name, f": {field.raw}") for field in one.fields)
    lead = (*node.lead, *hidden(one))
    if not others:
        return [first._replace(lead=lead, trail=node.trail)]
    return [first._replace(lead=(*lead, *([node.trail.strip()] if node.trail else []))), *others]
