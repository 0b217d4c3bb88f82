"""An ONNX model as a net of stock Caffe and its weights."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fcnkit.errors import NetError, printable
from fcnkit.importing.draft import Draft
from fcnkit.importing.held import Held
from fcnkit.importing.imported import Imported, Tensor
from fcnkit.importing.model import Model, read
from fcnkit.importing.names import labels
from fcnkit.importing.operators import OPERATORS, WHOLE
from fcnkit.importing.settle import settled
from fcnkit.importing.site import CAFFES, MASTER, Refusal, Site
from fcnkit.importing.trace import DRAWS, Trial, draws, input_shapes, trials
from fcnkit.importing.written import written
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.rewrites.fold import fold as fold_net
from fcnkit.shape import Shape
from fcnkit.weights import store
from fcnkit.weights.surgery import transplant


def from_onnx(
    path: str | os.PathLike[str],
    *,
    inputs: Mapping[str, Shape] | None = None,
    outputs: Sequence[str] | None = None,
    fold: bool = True,
    caffe: str = MASTER,
) -> Imported:
    """The model as a Caffe net that computes the same, and its weights.

    `inputs` fixes shapes that the model leaves free, `outputs` names tensors in
    place of the model's own outputs.  `fold` puts normalisation into the
    convolution before it.  `caffe` is what the net is for: "master" (BVLC's,
    and Debian's), "1.0" without `round_mode` and Clip, or "ssd" with Permute.

        made = fk.from_onnx("model.onnx")
        made.net.save("model.prototxt")
        made.weights.save("model.caffemodel")

    Raises NetError where it is no model, or where nodes have no form in Caffe:
    it names every one; EngineError without onnx.
    """
    return imported(read(path), inputs=inputs, outputs=outputs, fold=fold, caffe=caffe)


def imported(
    model: Model,
    *,
    inputs: Mapping[str, Shape] | None = None,
    outputs: Sequence[str] | None = None,
    fold: bool = True,
    caffe: str = MASTER,
    example: Mapping[str, Shape] | None = None,
) -> Imported:
    """What `from_onnx` says, of a model that is open.

    `example` are shapes that the model is known to take, and its free sizes may change from.
    """
    if caffe not in CAFFES:
        raise ValueError(f"caffe is one of {', '.join(CAFFES)}, not {caffe!r}")
    found = trials(model, inputs or {}, example or {})
    wanted = _wanted(model, outputs)
    needed = _needed(model, wanted)
    draft = Draft()
    site = Site(model, found, draft, _inputs(model, found, needed, draft), caffe)
    names = labels(model.proto.graph.node, [trial.known for trial in found])
    makers = _walked(site, needed, names)
    _at_the_end(site, wanted, makers)
    return _assembled(site, wanted, makers, fold)


def _wanted(model: Model, outputs: Sequence[str] | None) -> list[str]:
    own = [port.name for port in model.proto.graph.output]
    made = {name for node in model.proto.graph.node for name in node.output}
    for name in outputs or ():
        if name not in made:
            import difflib

            near = difflib.get_close_matches(name, sorted(made), 3) or own
            raise model.error(f'no node makes "{name}"; near it: {", ".join(near)}')
    return list(outputs or own)


def _needed(model: Model, wanted: Sequence[str]) -> list[int]:
    """The nodes that the outputs depend on, by number, in order."""
    names, found = set(wanted), []
    for number in reversed(range(len(model.proto.graph.node))):
        node = model.proto.graph.node[number]
        if not names.isdisjoint(node.output):
            names.update(node.input)
            found.append(number)
    return found[::-1]


def _inputs(
    model: Model, found: Sequence[Trial], needed: Sequence[int], draft: Draft
) -> dict[str, Held]:
    """The inputs that something reads, each a blob of its own name.

    One that is transposed before all else, as images with their channels last are,
    is a blob that has the axes in that order already.
    """
    readers: dict[str, list[Any]] = {}
    for number in needed:
        node = model.proto.graph.node[number]
        for name in node.input:
            readers.setdefault(name, []).append(node)
    held = {}
    for name in found[0].inputs:
        if name in readers:
            shapes = [trial.inputs[name] for trial in found]
            axes = _channels_first(readers[name], len(shapes[0]))
            sizes = tuple(tuple(shape[axis] for axis in axes) for shape in shapes)
            back = [axes.index(axis) for axis in range(len(axes))]
            held[name] = Held(draft.name(name), sizes).transposed(back)
    return held


def _channels_first(nodes: Sequence[Any], count: int) -> tuple[int, ...]:
    """The order of the axes of a tensor that all these nodes take from channels last to first."""
    first = (0, count - 1, *range(1, count - 1))
    perms = [
        tuple(each.ints) if node.op_type == "Transpose" else ()
        for node in nodes
        for each in node.attribute
        if each.name == "perm"
    ]
    return first if len(perms) == len(nodes) and {*perms} == {first} else tuple(range(count))


# ---- the walk


class _Refused(NamedTuple):
    number: int
    node: Any
    why: str


def _walked(site: Site, needed: Sequence[int], names: Sequence[str]) -> dict[str, str]:
    """Every needed node has its layers; the layer that made each tensor, by the tensor's name.

    Raises NetError that names every node that has none.
    """
    refused: list[_Refused] = []
    lost: set[str] = set()
    makers: dict[str, str] = {}
    first = site.trials[0]
    for number in needed:
        node = site.model.proto.graph.node[number]
        outputs = [name for name in node.output if name]
        if all(name in first.known for name in outputs):
            continue
        if lost.intersection(node.input):
            lost.update(outputs)
            continue
        why = _why_not(site, number, node)
        if not why:
            try:
                made = OPERATORS[node.op_type](site.at(number, node, names[number]))
            except Refusal as refusal:
                why = str(refusal)
        if why:
            refused.append(_Refused(number, node, why))
            lost.update(outputs)
            continue
        several = made if isinstance(made, list) else [made]
        for name, held in zip(outputs, several, strict=False):
            site.held[name] = held
            if site.draft.layers:
                makers[name] = next(
                    (
                        layer.name
                        for layer in reversed(site.draft.layers)
                        if held.blob in layer.tops
                    ),
                    "",
                )
    if refused:
        raise _refusal(site, needed, refused)
    return makers


def _why_not(site: Site, number: int, node: Any) -> str:
    """Why a node is refused before its operator is asked; "" where it is not."""
    if node.domain not in ("", "ai.onnx"):
        return f"it is an operator of {node.domain}, not of ONNX itself"
    if draws(node):
        return DRAWS
    if node.op_type not in OPERATORS:
        return _REASONS.get(node.op_type, "no layer of Caffe does what it does")
    reason = site.trials[0].lost.get(number)
    if reason:
        sizes = ", ".join(
            f"{name} {' x '.join(map(str, shape))}" for name, shape in site.trials[0].inputs.items()
        )
        free = len(input_shapes(site.model, {}, {})) > 1
        return f"{reason} (with {sizes}{'; --input says another size' * free})"
    for word, names in (("makes", [node.output[0]]), ("reads", node.input)):
        computed = [name for name in names if name not in site.trials[0].known]
        if any(0 in trial.shapes.get(name, ()) for trial in site.trials for name in computed):
            return f"it {word} a tensor without values"
    types = site.trials[0].types
    kinds = {types.get(name, "") for name in (node.output[0], *node.input) if name in site.held}
    kinds.add(types.get(node.output[0], "float32"))
    half = sorted(kinds & {"float16", "bfloat16"})
    if half:
        return f"it computes in {half[0]}; convert the model to float32"
    whole = sorted(kinds - {"float32", "float64"})
    if whole and node.op_type not in WHOLE:
        return f"it computes in {whole[0]}, and Caffe in real numbers"
    return ""


_REASONS = {
    "Loop": "it repeats nodes, and Caffe's nets are not loops",
    "If": "it chooses nodes while it runs, and Caffe's nets are fixed",
    "LSTM": "Caffe's LSTM computes otherwise, over a sequence with markers",
    "QuantizeLinear": "the model is quantised; import the float model that it was made of",
    "DequantizeLinear": "the model is quantised; import the float model that it was made of",
    "TopK": "how many it finds, or which, depends on the values",
    "NonMaxSuppression": "how many boxes it finds depends on the values",
    "Where": "it chooses by a condition, which no layer does",
    "NonZero": "how many it finds depends on the values",
}


def _refusal(site: Site, needed: Sequence[int], refused: Sequence[_Refused]) -> NetError:
    """One error for all the nodes that have no form, and the outputs that would leave them out."""
    lines = [
        f"  {printable(each.node.name or each.node.output[0])} ({each.node.op_type}): {each.why}"
        for each in refused
    ]
    cut = _before(site.model, needed, refused, site.trials[0].known)
    remedy = (
        f"what comes before can be imported: --outputs {','.join(cut)}"
        if cut
        else "nothing that it computes comes before them"
    )
    count = f"{len(refused)} node{'s' * (len(refused) > 1)}"
    return site.model.error(
        f"{count} of {len(needed)} cannot be said in this Caffe:\n"
        + "\n".join(lines)
        + f"\n{remedy}"
    )


def _before(
    model: Model, needed: Sequence[int], refused: Sequence[_Refused], known: Collection[str]
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


def _at_the_end(site: Site, wanted: Sequence[str], makers: dict[str, str]) -> None:
    """Every output is a blob of its own, in the model's arrangement where a layer gives that."""
    for name in wanted:
        if name not in site.held:
            fact = "is constant" if name in site.trials[0].known else "is an input"
            raise site.model.error(f'its output "{name}" {fact}; name others with --outputs')
        site.label = makers.get(name) or name
        try:
            held = settled(site, site.held[name])
        except Refusal:
            continue
        if held is not site.held[name]:
            site.held[name] = held
            makers[name] = site.draft.layers[-1].name


# ---- the net and its weights


def _assembled(
    site: Site, wanted: Sequence[str], makers: Mapping[str, str], fold: bool
) -> Imported:
    model, draft, first = site.model, site.draft, site.trials[0]
    shapes = {held.blob: held.sizes[0] for name, held in site.held.items() if name in first.inputs}
    title = Path(model.path).stem
    comment = (
        f"{Path(model.path).name}, opset {model.opset}, by fcnkit import\nsha256 {model.digest}"
    )
    ends = [site.held[name].blob for name in wanted]
    text = written(draft, shapes, ends, title=title, comment=comment)
    weights = store.create().put_all(
        {layer.name: layer.blobs for layer in draft.layers if layer.blobs},
        types={layer.name: layer.type for layer in draft.layers},
    )
    net, steps = text.net, tuple(draft.steps)
    gone: set[str] = set()
    if fold:
        plan = fold_net(net)
        if plan.changed:
            weights, net = transplant(plan, weights), plan.net
            steps += tuple(step for step in plan.steps if step.verb != "remove")
            gone = {step.layer for step in plan.steps if step.verb == "remove"}
    renamed = {
        name: replace(held, blob=text.blobs.get(held.blob, held.blob))
        for name, held in site.held.items()
    }
    made = Imported(
        model.path,
        net,
        weights,
        steps,
        tuple(trial.inputs for trial in site.trials),
        tuple(
            Tensor(name, makers.get(name, ""), renamed[name].blob, renamed[name].moves)
            for name in wanted
        ),
        tuple(_tensors(net, renamed, makers, gone)),
        {
            name: Tensor(name, "", renamed[name].blob, renamed[name].moves)
            for name in first.inputs
            if name in renamed
        },
        model.opset,
        model.digest,
        model.source,
    )
    _check_shapes(site, made, renamed)
    return made


def _tensors(
    net: Any, held: Mapping[str, Held], makers: Mapping[str, str], gone: set[str]
) -> list[Tensor]:
    """The tensors that the net has after layers have been folded away.

    What a folded layer made is made by the layer that took it in, whose own
    tensor is no more.
    """
    graph = build(net)
    first: dict[str, str] = {}
    for one in graph.layers:
        for top in one.tops:
            first.setdefault(top.blob, one.name)
    # Of several that went into one layer, the last is what that layer makes.
    last = {
        first[each.blob]: Tensor(name, first[each.blob], each.blob, each.moves)
        for name, each in held.items()
        if makers.get(name, "") in gone
    }
    found = {each.name: each for each in last.values()}
    taken = gone | set(last)
    for name, each in held.items():
        layer = makers.get(name, "")
        if name not in found and layer and layer not in taken:
            found[name] = Tensor(name, layer, each.blob, each.moves)
    return [found[name] for name in held if name in found]


def _check_shapes(site: Site, made: Imported, held: Mapping[str, Held]) -> None:
    """Caffe makes every blob of the size that the model says, at every size that was tried."""
    graph = build(made.net)
    blobs = {top.blob for top in graph.tops}
    for number, trial in enumerate(site.trials):
        inputs = {
            held[name].blob: held[name].sizes[number] for name in trial.inputs if name in held
        }
        shapes = shapes_of(graph, inputs)
        for name, each in held.items():
            if each.blob not in blobs:
                continue
            found = shapes.tops.get(graph.top(each.blob))
            if found is not None and tuple(found) != tuple(each.sizes[number]):
                raise site.model.error(
                    f'"{name}" would be {found} in Caffe at inputs of {dict(trial.inputs)}, and is '
                    f"{each.sizes[number]} in the model; fix the size with --input, and report this"
                )
