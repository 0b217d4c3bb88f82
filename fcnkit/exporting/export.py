"""A net and its weights as an ONNX model, for ONNX Runtime, TensorRT, OpenVINO and others."""

import importlib.util
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from fcnkit import expected
from fcnkit.errors import EngineError, NetError, WeightsError
from fcnkit.exporting.draft import Draft, Site
from fcnkit.exporting.dynamic_axes import DynamicAxes, dynamic_axes
from fcnkit.exporting.exported import Exported, Left, Port, declared
from fcnkit.exporting.operators import OPERATORS, check, left_out
from fcnkit.formats.prototxt import NetOrPath
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Graph, Layer, State, Top, build
from fcnkit.nets.layers.strange_fields import check_net
from fcnkit.nets.layers.table import of
from fcnkit.nets.shapes import Shapes
from fcnkit.nets.shared import overwritten
from fcnkit.nets.specs import check_shared, specs_of
from fcnkit.plural import number_of
from fcnkit.shape import Shape
from fcnkit.weights import store
from fcnkit.weights.blobs import Blob
from fcnkit.weights.store import GivenWeights

# The oldest opset in which Softmax has its axis and sizes of reshapes and reductions come as they
# do now; TensorRT reads it since 8.0, OpenVINO since 2021.4, ONNX Runtime since 1.6.  IR 7 came
# with it.
OPSET, IR = 13, 7
TEST = State()


@expected.checked
def export(
    net: NetOrPath,
    weights: GivenWeights = None,
    *,
    inputs: Mapping[str, Shape] | None = None,
    outputs: Sequence[str] | None = None,
    state: State = TEST,
) -> Exported:
    """Makes an ONNX model that computes what Caffe computes in this state, in float32.

    >>> model = fk.export("deploy.prototxt", "net.caffemodel")
    >>> model.save("net.onnx")

    Inputs and outputs have the names of the blobs. Batch, height and width are free, if Caffe
    can build the net at other sizes with the same parameters. Losses and other layers that only
    training needs are left out, with the reason, and so are inputs that only they read.

    - `net`: a Prototxt or its path.
    - `weights`: Weights or their path, or None for a net without parameters.
    - `inputs`: shapes by blob name, instead of those in the file.
    - `outputs`: names of blobs; by default the outputs of the net.
    - `state`: a State; by default TEST.

    Returns an Exported; its method `save` writes the model.

    Raises NetError for a layer that cannot be exported, with its type and line; WeightsError
    for weights that do not fit; EngineError without onnx.
    """
    net = given_net(net)
    if importlib.util.find_spec("onnx") is None:
        raise EngineError("onnx: not found: install it with `pip install 'fcnkit[onnx]'`")
    graph = build(net, state)
    check_net(net)
    for each in overwritten(graph):  # values of ONNX are no memory that nodes share
        raise each.writer.error(each.fact)
    check_names(graph, "ONNX")
    wanted = own_outputs(graph) if outputs is None else [graph.top(blob) for blob in outputs]
    needed = _needed(graph, wanted)
    free = dynamic_axes(graph, _shapes(graph, inputs or {}))
    opened = (
        weights if weights is None or isinstance(weights, store.Weights) else store.open(weights)
    )
    return _written(free, opened, needed, tuple(dict.fromkeys(wanted)))


def check_names(graph: Graph, whose: str) -> None:
    """Names are UTF-8, as those of ONNX and OpenCV must be; NetError otherwise."""
    for layer in graph.layers:
        for name in (layer.name, *(top.blob for top in layer.tops)):
            if not name.isascii() and name != name.encode("utf-8", "replace").decode():
                raise layer.error(
                    f"it has a name that is not UTF-8, which {whose} requires; rename it first"
                )


def _shapes(graph: Graph, given: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shape of every input; NetError for one that has none,
    and for a shape of something else.
    """
    names = [top.blob for top in graph.inputs]
    path = graph.prototxt.path
    for blob in given:
        if blob not in names:
            fact = f'"{blob}" is not an input of this net'
            raise NetError(f"{path}: {fact}; its inputs are {', '.join(names) or 'none'}")
    found = {}
    for top in graph.inputs:
        shape = given.get(top.blob) or graph.producer(top).input_shapes[top.index]
        if shape is None:
            fact = f'{path}: it gives its input "{top.blob}" no shape'
            raise NetError(f"{fact}; give one, such as --input {top.blob}=1,3,227,227")
        found[top.blob] = tuple(shape)
    if not found:
        raise NetError(f"{path}: its only inputs are data layers; give the deploy net")
    return found


def own_outputs(graph: Graph) -> list[Top]:
    """What no layer reads but those that are left out, inputs and what is silenced apart.

    A layer whose tops are all silenced is no reader either.
    """
    gone: set[int] = set()
    found: list[Top] = []
    for layer in reversed(graph.layers):
        readers = {top: graph.consumers[top] for top in layer.tops}
        ends = [
            top for top, those in readers.items() if all(reader.index in gone for reader in those)
        ]
        # What a Silence reads is meant to be left alone; what goes to a file is wanted.
        wanted = [top for top in ends if not any(of(reader).discards for reader in readers[top])]
        if left_out(layer) or (len(ends) == len(readers) and not wanted):
            gone.add(layer.index)
        elif not layer.is_input:
            found += wanted[::-1]
    return found[::-1]


# ---- the layers that are needed, in order


def _needed(graph: Graph, outputs: Sequence[Top]) -> list[Layer]:
    """The layers that the outputs depend on.

    Raises NetError where there is none, or for the first that cannot be exported.
    """
    if not outputs:
        raise NetError(f"{graph.prototxt.path}: it has no output; name a blob of it")
    wanted = set(outputs)
    found = []
    for layer in reversed(graph.layers):
        if wanted.isdisjoint(layer.tops):
            continue
        if left_out(layer):
            fact = f"type {layer.type}: {left_out(layer)}, and an output depends on what it makes"
            raise layer.error(f"{fact}; ask for another blob, or give the deploy net")
        wanted.update(layer.bottoms)
        found.append(layer)
    for layer in reversed(found):
        if not (layer.is_input or _is_parameter(layer)):
            check(layer)
    return found[::-1]


def _is_parameter(layer: Layer) -> bool:
    """Whether its top is a blob of the weights: a Parameter, which reads nothing and learns."""
    return not layer.bottoms and of(layer).learns


def _left(graph: Graph, needed: Sequence[Layer], inputs: Sequence[Top]) -> Iterator[Left]:
    for layer in graph.layers:
        if layer.is_input:
            unread = [top.blob for top in layer.tops if top not in inputs]
            if unread:
                yield Left(
                    layer.name, layer.line, f"nothing in the model reads {', '.join(unread)}"
                )
        elif layer not in needed:
            reason = left_out(layer) or "no output of the model depends on it"
            yield Left(layer.name, layer.line, f"{layer.type}: {reason}")


def _written(
    free: DynamicAxes,
    weights: store.Weights | None,
    needed: Sequence[Layer],
    outputs: tuple[Top, ...],
) -> Exported:
    graph = free.graph
    read = {top for layer in needed for top in layer.bottoms} | set(outputs)
    inputs = [top for top in graph.inputs if top in read]
    draft = Draft(())
    names = _named(graph, draft, inputs, outputs)
    shared = _shared(graph, free.shapes, weights)
    for layer in needed:
        if not layer.is_input:
            _add(layer, draft, names, free, _blobs(layer, free.shapes, weights, shared))
    ports = [Port(names[top], free.named(top)) for top in inputs]
    made = _results(draft, names, inputs, outputs)
    results = [Port(made[top], free.named(top)) for top in outputs]
    return _assembled(free, draft, ports, results, tuple(_left(graph, needed, inputs)))


def _named(
    graph: Graph, draft: Draft, inputs: Sequence[Top], outputs: Sequence[Top]
) -> dict[Top, str]:
    """A name for every top: the blob's own for inputs,
    outputs, and what Caffe gives under it after a run.
    """
    names: dict[Top, str] = {}
    last = [top for top in graph.tops if graph.top(top.blob) == top]
    for top in (*inputs, *outputs, *last):
        if top not in names and top.blob not in names.values():
            names[top] = draft.name(top.blob)
    for top in graph.tops:
        if top not in names:
            names[top] = draft.name(f"{top.blob}/{graph.producer(top).name}")
    return names


def _results(
    draft: Draft, names: Mapping[Top, str], inputs: Sequence[Top], outputs: Sequence[Top]
) -> dict[Top, str]:
    """The names of the outputs; an input that is asked for as an output is copied."""
    from onnx import helper

    found = {}
    for top in outputs:
        found[top] = names[top]
        if top in inputs:
            found[top] = draft.name(names[top])
            draft.nodes.append(
                helper.make_node("Identity", [names[top]], [found[top]], name=found[top])
            )
    return found


def _add(
    layer: Layer,
    draft: Draft,
    names: dict[Top, str],
    free: DynamicAxes,
    blobs: Sequence[tuple[Blob, Shape]],
) -> None:
    """The layer's nodes are in the draft, and make what its tops are named."""
    from onnx import helper

    sizes, tops = ([free.dims(top) for top in each] for each in (layer.bottoms, layer.tops))
    site = Site(draft, layer, [names[top] for top in layer.bottoms], sizes, tops, blobs)
    first = len(draft.nodes)
    found = [site.weights(0)] if _is_parameter(layer) else OPERATORS[layer.type](site)
    for top, made in zip(layer.tops, found, strict=True):
        if not draft.rename(first, made, names[top]):
            node = draft.name(f"{layer.name}/Identity")
            draft.nodes.append(helper.make_node("Identity", [made], [names[top]], name=node))


# ---- weights


def _blobs(
    layer: Layer, shapes: Shapes, weights: store.Weights | None, shared: Mapping[str, Blob]
) -> list[tuple[Blob, Shape]]:
    """The layer's parameter blobs, each with the shape that the net gives it."""
    wanted = shapes.blobs(layer) or []
    if not wanted:
        return []
    own = weights.get(layer.name, ()) if weights is not None else ()
    if len(own) != len(wanted):
        fact = "no weights are given"
        if weights is not None:
            fact = f"{weights.path} has {number_of(len(own), 'parameter blob')} for it"
        fact += f", but the net needs {len(wanted)}"
        raise _misfit(layer, f"{fact}; give the weights that belong to this net")
    for blob, shape in zip(own, wanted, strict=True):
        if not blob.fits(shape):
            fact = f"{blob.where} has the shape {blob.shape}, but the net needs {shape}"
            raise _misfit(layer, f"{fact}; transplant the weights first (`fcnkit surgery`)")
    specs = specs_of(layer, len(wanted))
    blobs = [shared.get(spec.name, blob) for spec, blob in zip(specs, own, strict=True)]
    return list(zip(blobs, wanted, strict=True))


def _misfit(layer: Layer, fact: str) -> WeightsError:
    return WeightsError(f'{layer.field.source.path}:{layer.line}: layer "{layer.name}": {fact}')


def _shared(graph: Graph, shapes: Shapes, weights: store.Weights | None) -> dict[str, Blob]:
    """The blob of each name that layers share:
    Caffe loads one after the other, so the last one counts.

    Raises NetError where Caffe lets the layers share none.
    """
    found: dict[str, Blob] = {}
    owners: dict[str, tuple[Layer, Shape]] = {}
    for layer in graph.layers:
        wanted = shapes.blobs(layer) or []
        for spec, shape in zip(specs_of(layer, len(wanted)), wanted, strict=True):
            if spec.name:
                check_shared(layer, spec, shape, *owners.setdefault(spec.name, (layer, shape)))
    order = {name: number for number, name in enumerate(weights or ())}
    for layer in sorted(graph.layers, key=lambda layer: order.get(layer.name, -1)):
        own = weights.get(layer.name, ()) if weights is not None else ()
        if len(own) == len(shapes.blobs(layer) or ()):
            found |= {
                spec.name: blob
                for spec, blob in zip(specs_of(layer, len(own)), own, strict=True)
                if spec.name
            }
    return found


# ---- the messages


def _assembled(
    free: DynamicAxes,
    draft: Draft,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    left: tuple[Left, ...],
) -> Exported:
    from onnx import helper

    net = free.graph.prototxt
    name = net.root.last("name")
    title = name.string if name else ""
    parts = declared(inputs), declared(outputs), list(draft.constants.values())
    graph = helper.make_graph(draft.nodes, title or "net", *parts)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="fcnkit"
    )
    model.ir_version, model.producer_version = IR, _version()
    model.doc_string = (
        f'The Caffe net "{title or net.path}" in state {free.graph.state}, exported by fcnkit.'
    )
    model.ClearField("graph")
    counts = Counter(node.op_type for node in draft.nodes)
    tensors = tuple(draft.tensors.values())
    return Exported(
        net.path,
        tuple(inputs),
        tuple(outputs),
        left,
        counts,
        tensors,
        OPSET,
        model.SerializeToString(),
        graph.SerializeToString(),
    )


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("fcnkit")
    except PackageNotFoundError:
        return ""
