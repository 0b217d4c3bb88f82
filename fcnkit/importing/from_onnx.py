"""An ONNX model as a net of stock Caffe and its weights."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fcnkit import expected
from fcnkit.importing.caffes import CAFFES, MASTER
from fcnkit.importing.draft import Draft
from fcnkit.importing.held import Held
from fcnkit.importing.imported import Imported, Tensor
from fcnkit.importing.model import Model, read
from fcnkit.importing.names import labels
from fcnkit.importing.operators import OPERATORS
from fcnkit.importing.refusals import Refused, refusal_of, why_not
from fcnkit.importing.settle import settled
from fcnkit.importing.site import Refusal, Site
from fcnkit.importing.stages import CAFFE, MODEL, NAMES, called
from fcnkit.importing.trace import Trial, trials
from fcnkit.importing.written import written
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.rewrites.fold import fold as fold_net
from fcnkit.shape import Shape
from fcnkit.weights import store
from fcnkit.weights.surgery import transplant


@expected.checked
def from_onnx(
    path: str | os.PathLike[str],
    *,
    inputs: Mapping[str, Shape] | None = None,
    outputs: Sequence[str] | None = None,
    fold: bool = True,
    caffe: str = MASTER,
    names: str = MODEL,
) -> Imported:
    """Converts an ONNX model into a Caffe net and its weights.

    >>> fk.export("deploy.prototxt", "net.caffemodel").save("model.onnx")
    >>> made = fk.from_onnx("model.onnx")
    >>> made.net.save("model.prototxt")
    >>> made.weights.save("model.caffemodel")

    - `path`: the file of the model.
    - `inputs`: shapes by name, for sizes that the model leaves free.
    - `outputs`: names of tensors, instead of the model's own outputs.
    - `fold`: fold normalisations into the convolution before them.
    - `caffe`: which Caffe the net is for: "master" (BVLC's, which Debian packages), "1.0"
      without `round_mode` and Clip, "ssd" with Permute and Normalize, or "deeplab" with Interp.
    - `names`: "model" keeps the model's names. "caffe" gives the layers of a net without
      branches the names of Caffe's model zoo: conv1_1, relu1_1, pool1, fc6.

    Returns an Imported: the net, the weights, and the steps of the conversion.

    Raises NetError if the file is not a model, or if nodes cannot be expressed in Caffe (all of
    them are named); EngineError without onnx.
    """
    return imported(read(path), inputs=inputs, outputs=outputs, fold=fold, caffe=caffe, names=names)


def imported(
    model: Model,
    *,
    inputs: Mapping[str, Shape] | None = None,
    outputs: Sequence[str] | None = None,
    fold: bool = True,
    caffe: str = MASTER,
    names: str = MODEL,
    example: Mapping[str, Shape] | None = None,
) -> Imported:
    """What `from_onnx` says, of a model that is open.

    `example` are shapes that the model is known to take, and its free sizes may change from.
    """
    if caffe not in CAFFES:
        raise ValueError(f"caffe is one of {', '.join(CAFFES)}, not {caffe!r}")
    if names not in NAMES:
        raise ValueError(f"names is one of {', '.join(NAMES)}, not {names!r}")
    found = trials(model, inputs or {}, example or {})
    wanted = _wanted(model, outputs)
    needed = _needed(model, wanted)
    draft = Draft()
    site = Site(model, found, draft, _inputs(model, found, needed, draft), caffe)
    own = labels(model.proto.graph.node, [trial.known for trial in found])
    makers = _walked(site, needed, own)
    _at_the_end(site, wanted, makers)
    if names == CAFFE:
        makers = called(site, makers)
    return _assembled(site, wanted, makers, fold)


def _wanted(model: Model, outputs: Sequence[str] | None) -> list[str]:
    own = [port.name for port in model.proto.graph.output]
    made = {name for node in model.proto.graph.node for name in node.output}
    for name in outputs or ():
        if name not in made:
            import difflib

            near = difflib.get_close_matches(name, sorted(made), 3) or own
            raise model.error(f'no node makes "{name}"; did you mean {" or ".join(near)}?')
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


def _walked(site: Site, needed: Sequence[int], names: Sequence[str]) -> dict[str, str]:
    """Every needed node has its layers; the layer that made each tensor, by the tensor's name.

    Raises NetError that names every node that has none.
    """
    refused: list[Refused] = []
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
        why = why_not(site, number, node)
        if not why:
            try:
                made = OPERATORS[node.op_type](site.at(number, node, names[number]))
            except Refusal as refusal:
                why = str(refusal)
        if why:
            refused.append(Refused(number, node, why))
            lost.update(_stood_for(site, outputs))
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
        raise refusal_of(site, needed, refused)
    return makers


def _stood_for(site: Site, names: Sequence[str]) -> list[str]:
    """What a refused node gives has blobs that nothing makes, for what reads them is judged too.

    Those whose shape is not known have none, and are returned.
    """
    known = [name for name in names if all(name in trial.shapes for trial in site.trials)]
    for name in known:
        site.held[name] = Held(site.draft.name(name), site.shapes(name))
    return [name for name in names if name not in known]


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
    comment = (
        f"{Path(model.path).name}, opset {model.opset}, by fcnkit import\nsha256 {model.digest}"
    )
    ends = [site.held[name].blob for name in wanted]
    text = written(draft, shapes, ends, title=model.title, comment=comment)
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
        whole=frozenset(name for name in first.inputs if "int" in first.types[name]),
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
