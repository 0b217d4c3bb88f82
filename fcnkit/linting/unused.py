"""What a weights file holds that the net has no use for: some layers, or those of another net."""

from collections.abc import Sequence

from fcnkit.formats.prototxt import Prototxt
from fcnkit.linting.findings import FILE_KINDS, Finding
from fcnkit.linting.seen import Seen

_NAMED = 8


def unused(net: Prototxt, seen: Sequence[Seen]) -> list[Finding]:
    """The layers of the weights that no state of the net has, or that few fit at all."""
    weights = seen[0].weights if seen else None
    if weights is None:
        return []
    strange = next((each for each in seen if each.of_another_net), None)
    if strange:
        fact = f"{weights.path} fits {len(strange.fitting)} of the net's {len(strange.learning)}"
        text = f"{fact} layers with weights: it is of another net; give the weights of this one"
        return [_whole("other-weights", net, text)]
    taken = {layer.name for each in seen for layer in each.graph.layers}
    spare = [name for name, blobs in weights.items() if blobs and name not in taken]
    if not spare:
        return []
    fact = f"{weights.path} has weights for {_listed(spare)}, which the net does not have"
    remedy = "if layers of the net are to have them, give those the same names"
    return [_whole("unused-weights", net, f"{fact}; {remedy}")]


def _whole(name: str, net: Prototxt, text: str) -> Finding:
    return Finding(name, FILE_KINDS[name].level, net.path, 1, text)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
