"""Layers under other names, in the net and in its weights."""

from collections import Counter
from collections.abc import Mapping

from fcnkit import expected
from fcnkit.formats.prototxt import Field, NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Layer
from fcnkit.plan import Plan, Step
from fcnkit.rewrites.changes import set_value
from fcnkit.rewrites.operations import Arguments, Operation, comma_separated, name_and_rest
from fcnkit.rewrites.states import copies, refused, states
from fcnkit.shape import Shape


@expected.checked
def rename(
    net: NetOrPath, names: Mapping[str, str], *, inputs: Mapping[str, Shape] | None = None
) -> Plan:
    """Layers get new names, all at once; blobs keep theirs.

    >>> plan = fk.rename("deploy.prototxt", {"ip2": "score"})
    >>> plan.steps[0].what
    'renamed score'

    Caffe loads no old weights into a layer with another name.

    - `net`: a Prototxt or its path.
    - `names`: {old: new}.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError for a layer that does not exist, for a name that another layer has, and if
    the sizes of a layer with weights are not known.
    """
    net = given_net(net)
    work = states(net, inputs)
    every = [layer.name for layer in work.layers]
    steps, edits, moves = {}, [], []
    for old, new in names.items():
        _check(net, old, new, names, every)
        for layer in work.named(old):
            if old == new:
                continue
            edits.append(set_value(_name(layer), new, f'rename "{old}"'))
            why = "its weights go with it"
            steps[layer.field.start] = Step("change", old, layer.line, f"renamed {new}", why)
            moves += [move._replace(layer=new) for move in copies(layer, work.blobs(layer))]
    return work.plan(edits, steps, moves)


def _check(net: Prototxt, old: str, new: str, names: Mapping[str, str], every: list[str]) -> None:
    taken = [names.get(name, name) for name in dict.fromkeys(every)]
    if not new or taken.count(new) > 1:
        fact = f'two layers would be named "{new}"' if new else "a layer needs a name"
        raise refused(net, f'rename "{old}": {fact}; choose another name')


def _name(layer: Layer) -> Field:
    field = layer.field.last("name")
    if field is None:
        raise layer.error("it has no name in the file; write one first")
    return field


def _arguments(text: str) -> Arguments:
    pairs = [name_and_rest(pair) for pair in comma_separated(text)]
    old, times = Counter(old for old, _ in pairs).most_common(1)[0]
    if times > 1:
        raise ValueError(f'"{old}" is given {times} new names')
    return (dict(pairs),), {}


OPERATIONS = (Operation("rename", "rename=OLD:NEW,...", "rename layers", rename, _arguments),)
