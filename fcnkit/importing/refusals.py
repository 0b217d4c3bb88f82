"""Why nodes have no form in Caffe, and what of the model can be had without them."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from fcnkit.errors import NetError, printable
from fcnkit.importing.model import Model
from fcnkit.importing.operators import OPERATORS, WHOLE
from fcnkit.importing.site import Site
from fcnkit.importing.trace import DRAWS, draws, input_shapes
from fcnkit.plural import number_of


class Refused(NamedTuple):
    """A node that has no form, by its number, and why."""

    number: int
    node: Any
    why: str


def why_not(site: Site, number: int, node: Any) -> str:
    """Why a node is refused before its operator is asked; "" where it is not."""
    if node.domain not in ("", "ai.onnx"):
        return f"it is an operator of {node.domain}, not of ONNX itself"
    if draws(node):
        return DRAWS
    if node.op_type not in OPERATORS:
        return _REASONS.get(node.op_type, "Caffe has no layer that computes it")
    reason = site.trials[0].lost.get(number)
    if reason:
        sizes = ", ".join(
            f"{name} {' x '.join(map(str, shape))}" for name, shape in site.trials[0].inputs.items()
        )
        free = len(input_shapes(site.model, {}, {})) > 1
        return f"{reason} (with {sizes}{'; another size can be given with --input' * free})"
    for word, names in (("makes", [node.output[0]]), ("reads", node.input)):
        computed = [name for name in names if name not in site.trials[0].known]
        if any(0 in trial.shapes.get(name, ()) for trial in site.trials for name in computed):
            return f"it {word} an empty tensor, one with an axis of length 0"
    types = site.trials[0].types
    kinds = {types.get(name, "") for name in (node.output[0], *node.input) if name in site.held}
    kinds.add(types.get(node.output[0], "float32"))
    half = sorted(kinds & {"float16", "bfloat16"})
    if half:
        return f"it computes in {half[0]}; convert the model to float32"
    whole = sorted(kinds - {"float32", "float64"})
    if whole and node.op_type not in WHOLE:
        return f"it computes in {whole[0]}, but Caffe in floating point"
    return ""


_REASONS = {
    "Loop": "it is a loop, which Caffe's nets do not have",
    "If": "it chooses nodes at run time, but Caffe's nets are fixed",
    "LSTM": "Caffe's LSTM needs a second bottom, which marks where sequences start",
    "QuantizeLinear": "the model is quantised; import the float model that it was made from",
    "DequantizeLinear": "the model is quantised; import the float model that it was made from",
    "TopK": "the places that it selects depend on the values",
    "NonMaxSuppression": "how many boxes it finds depends on the values",
    "Where": "it selects by a condition, which no layer does",
    "NonZero": "how many it finds depends on the values",
}


def refusal_of(site: Site, needed: Sequence[int], refused: Sequence[Refused]) -> NetError:
    """One error for all the nodes that have no form, and the outputs that would leave them out."""
    lines = [
        f"  {printable(each.node.name or each.node.output[0])} ({each.node.op_type}): {each.why}"
        for each in refused
    ]
    cut = _before(site.model, needed, refused, site.trials[0].known)
    remedy = (
        f"the part before can be imported with --outputs {','.join(cut)}"
        if cut
        else "no part of the model before them can be imported"
    )
    count = number_of(len(refused), "node")
    return site.model.error(
        f"{count} of {len(needed)} cannot be written for this Caffe:\n"
        + "\n".join(lines)
        + f"\n{remedy}"
    )


def _before(
    model: Model, needed: Sequence[int], refused: Sequence[Refused], known: Collection[str]
) -> list[str]:
    """The tensors made by nodes that need none of the refused, which the rest reads or gives."""
    bad = {name for each in refused for name in each.node.output}
    good: dict[str, int] = {}
    wanted = []
    inputs = {port.name for port in model.proto.graph.input}
    for number in needed:
        node = model.proto.graph.node[number]
        if bad.intersection(node.input) or bad.intersection(node.output):
            bad.update(node.output)
            wanted += [name for name in node.input if name in good]
        elif any(name in good or name in inputs for name in node.input) and not any(
            name in known for name in node.output
        ):
            good.update(dict.fromkeys(node.output, number))
    return list(dict.fromkeys(wanted))
