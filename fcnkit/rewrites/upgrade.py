"""A net in the words of Caffe 1.0, whatever the year that it was written in.

The rules are those of UpgradeNetAsNeeded and UpgradeSolverAsNeeded in Caffe's
upgrade_proto.cpp; what differs from the source is edited in, and the rest,
comments too, stays as it is.
"""

from collections.abc import Iterable, Sequence

from fcnkit import expected
from fcnkit.edits import Edit
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Field, NetOrPath, Prototxt, Style, literal
from fcnkit.formats.prototxt import given as given_net
from fcnkit.formats.schema import View, slots
from fcnkit.nets.layers.old_names import FORK_WORDS, V1_TYPES
from fcnkit.nets.solver_types import OLD as OLD_SOLVERS
from fcnkit.plan import Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites import upgrade_v0
from fcnkit.rewrites.changes import beside, set_name, set_value
from fcnkit.rewrites.statements import (
    Node,
    Statement,
    behind,
    comments,
    filled,
    hidden,
    lines,
    moved,
    put,
    removed,
    runs,
    statements,
)
from fcnkit.rewrites.upgrade_params import OLD, blocks, gathered, told

Changes = tuple[list[Edit], list[Step]]

_DATA = {"DATA": "data_param", "IMAGE_DATA": "image_data_param", "WINDOW_DATA": "window_data_param"}
_TRANSFORM = ("scale", "mean_file", "crop_size", "mirror")
_INPUTS = ("input", "input_shape", "input_dim")


@expected.checked
def upgrade(net: NetOrPath) -> Plan:
    """The net, or the solver, is written in the format of Caffe 1.0.

    >>> old = fk.parse('layers { name: "a" type: RELU bottom: "b" top: "a" }')
    >>> fk.upgrade(old).net.text
    'layer { name: "a" type: "ReLU" bottom: "b" top: "a" }'

    V0 and V1 layers become V2 layers, inputs of the net become an Input layer, the three
    `param` of a BatchNorm get rates of 0, and `solver_type` becomes `type`: field for field
    what Caffe's own upgrade tools write. A file that is already in that format stays unchanged.

    - `net`: a Prototxt or its path.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError for a file that mixes `layer` and `layers`, or that Caffe cannot upgrade;
    PrototxtError for a value that Caffe does not read.
    """
    net = given_net(net)
    if _is_solver(net):
        edits, steps = _solver(net)
    else:
        parts = [_layers(net), _inputs(net)]
        edits = [edit for part in parts for edit in part[0]]
        steps = [step for part in parts for step in part[1]]
    return Plan(net, net.edit(edits), tuple(sorted(steps, key=lambda step: step.line or 0)))


def upgrade_layers(net: Prototxt) -> Plan:
    """As `upgrade`, of the layers alone: the net's inputs stay as they are said."""
    edits, steps = _layers(net)
    return Plan(net, net.edit(edits), tuple(sorted(steps, key=lambda step: step.line or 0)))


def _layers(net: Prototxt) -> Changes:
    old, new = net.root.all("layers"), net.root.all("layer")
    if old and new:
        raise NetError(
            f"{net.path}:{old[0].line}: `layers` here and `layer` on line {new[0].line}: Caffe "
            f"refuses "
            f"a file of two formats; write all of them in one"
        )
    if not old:
        return _batch_norms(new, net.style)
    # The name of a list of layers is written once.
    written = [one for one in statements(net.root) if one.name == "layers"]
    edits = [
        Edit(one.start, one.start + len("layers"), "layer", "V2")
        for one in written
        if not all(map(upgrade_v0.is_padding, one.fields))
    ]
    nested = any(layer.all("layer") for layer in old)
    more, steps = (upgrade_v0.convert if nested else _v1)(net, old)
    why = (
        "its fields are direct"
        if nested
        else "in V2, type is a string, and each parameter blob has a param"
    )
    what = f"{len(old)} `layers` of format {'V0' if nested else 'V1'} -> `layer`"
    return edits + more, [Step("change", "", old[0].line, what, why), *steps]


# ---- V1 to V2


def _v1(net: Prototxt, layers: Sequence[Field]) -> Changes:
    edits: list[Edit] = []
    steps: list[Step] = []
    views = [View("V1LayerParameter", layer) for layer in layers]
    old_data = any(_old_transform(view) for view in views)
    for layer, view in zip(layers, views, strict=True):
        for change in (_v1_type, _v1_params, *([_v1_transform] * old_data)):
            more, said = change(layer, view, net.style)
            edits += more
            steps += said
    return edits, steps


def _v1_type(layer: Field, view: View, style: Style) -> Changes:
    field = view.field("type")
    if field is None:
        return [], []
    word = _word(field, view)
    why = (
        ""
        if field.raw in V1_TYPES
        else "not a type of Caffe 1.0; the word is what its fork would use in V2"
    )
    what = f'type {" ".join(field.raw.split())} -> "{word}"'
    return [Edit(field.value_start, field.stop, literal(word, style), "type")], [
        _step(layer, view, what, why)
    ]


def _word(field: Field, view: View) -> str:
    """The V2 word for a type; for a fork's enum, the word that its name makes."""
    if field.raw.isidentifier() and field.raw not in slots("V1LayerParameter")["type"].enum:
        return FORK_WORDS.get(field.raw) or "".join(
            part.capitalize() for part in field.raw.split("_")
        )
    return V1_TYPES[view.get("type")]


def _v1_params(layer: Field, view: View, style: Style) -> Changes:
    for name in OLD:
        view.list(name)
    found = runs(statements(layer), OLD)
    if not found:
        return [], []
    columns = gathered(found)
    edits = [put(found[0], blocks(columns), style, "param")]
    edits += [put(run, [], style, "param") for run in found[1:]]
    return edits, [_step(layer, view, told(columns), "")]


def _old_transform(view: View) -> bool:
    name = _DATA.get(_type(view))
    return name is not None and any(view.view(name).has(one) for one in _TRANSFORM)


def _type(view: View) -> str:
    field = view.field("type")
    known = slots("V1LayerParameter")["type"].enum
    return (
        view.get("type") if field and (field.raw in known or not field.raw.isidentifier()) else ""
    )


def _v1_transform(layer: Field, view: View, style: Style) -> Changes:
    """What belongs in transform_param goes there, out of a data layer's own message.

    Caffe gives every data layer both messages as soon as one in the net has
    to be changed; so do we.
    """
    name = _DATA.get(_type(view))
    if not name:
        return [], []
    written = {one.name: one for one in statements(layer)}
    old, new = written.get(name), written.get("transform_param")
    found = runs(statements(old.fields[0]) if old else (), _TRANSFORM)
    edits = [put(run, [], style, "transform_param") for run in found]
    nodes = [node for run in found for node in moved(run)]
    for one in _TRANSFORM:
        view.view(name).get(one)
    if new:
        edits += _set(new.fields[0], nodes, style)
    else:
        missing = [Node("transform_param", tuple(nodes) or " {}")]
        edits.append(
            behind(old or written["type"], missing if old else [Node(name, " {}"), *missing], style)
        )
    names = ", ".join(dict.fromkeys(node.name for node in nodes))
    what = (
        f"{name}'s {names} -> transform_param"
        if names
        else f"{name} and transform_param, if only empty"
    )
    return edits, [_step(layer, view, what, "one message for all data layers")] if edits else []


def _set(message: Field, nodes: Iterable[Node], style: Style) -> list[Edit]:
    """The message says what the nodes say, in place of what it said under their names."""
    written = statements(message)
    there = {one.name: one for one in written}
    edits, missing = [], []
    for node in nodes:
        one = there.get(node.name)
        if one:
            edits.append(put([one], [_commented_by(node, one)], style, "transform_param"))
        else:
            missing.append(node)
    if missing and written:
        edits.append(behind(written[-1], missing, style))
    elif missing:
        edits.append(filled(message, missing, style))
    return edits


def _commented_by(node: Node, one: Statement) -> Node:
    kept = (*node.lead, *comments(one))
    return node._replace(lead=kept)


# ---- V2


def _batch_norms(layers: Sequence[Field], style: Style) -> Changes:
    edits, steps = [], []
    for layer in layers:
        view = View("LayerParameter", layer)
        params = layer.all("param")
        if len(params) != 3 or view.get("type") != "BatchNorm":
            continue
        made = [edit for param in params for edit in _still(param, style)]
        if made:
            edits += made
            why = "BatchNorm's mean, variance and factor are counted, not learned"
            steps.append(_step(layer, view, "lr_mult and decay_mult of its 3 params -> 0", why))
    return edits, steps


def _still(param: Field, style: Style) -> list[Edit]:
    view = View("ParamSpec", param)
    names = ("lr_mult", "decay_mult")
    edits = [
        set_value(param.required(name), 0)
        for name in names
        if view.has(name) and view.get(name) != 0
    ]
    missing = [(name, 0) for name in names if not view.has(name)]
    if missing and param.fields:
        edits.append(beside(param.fields[-1], missing, style))
    elif missing:
        edits.append(
            Edit(param.value_start + 1, param.value_start + 1, " lr_mult: 0 decay_mult: 0 ")
        )
    return edits


# ---- net-level inputs


def _inputs(net: Prototxt) -> Changes:
    """`input` and its sizes are one layer "input", the first of the net."""
    names = net.root.all("input")
    if not names:
        return [], []
    old = any(layer.all("layer") for layer in net.root.all("layers"))
    wanted = tuple(name for name in _INPUTS if not (old and name == "input_shape"))
    written = statements(net.root)
    found = runs(written, wanted)
    tops = ", ".join(f'"{name.string}"' for name in names)
    if not net.root.all(*wanted[1:]):
        why = "it has no size, so Caffe would drop it; write an input_shape, then upgrade"
        step = Step("remove", "input", names[0].line, f"net-level input {tops}", why)
        return [removed(run, net.style, "input") for run in found], [step]
    layer = _input_layer(net, found)
    first = next((one for one in written if one.name in ("layer", "layers")), None)
    edits = [put(run, [], net.style, "input") for run in found[1:]]
    if first is None or found[0][0].start < first.start:
        edits.append(put(found[0], [layer], net.style, "input"))
    else:
        text = net.style.newline.join(lines([layer], "", net.style)) + net.style.newline
        edits += [
            put(found[0], [], net.style, "input"),
            Edit(first.start, first.start, text, "input"),
        ]
    why = "an Input layer, the first of the net, makes the input"
    return edits, [
        Step("change", "input", names[0].line, f"net-level input {tops} -> layer Input", why)
    ]


def _input_layer(net: Prototxt, found: Sequence[Sequence[Statement]]) -> Node:
    given: dict[str, list[Node]] = {name: [] for name in _INPUTS}
    for run in found:
        for node, one in zip(moved(run), run, strict=True):
            given[one.name] += _each(node, one)
    View("NetParameter", net.root).list("input_dim")
    tops, dims = given["input"], given["input_dim"]
    shapes = given["input_shape"] or [
        Node("", tuple(dims[at : at + 4]), flat=True) for at in range(0, len(dims) - 3, 4)
    ]
    if len(shapes) < len(tops):
        raise NetError(
            f"{net.path}:{net.root.all('input')[0].line}: "
            f"{number_of(len(tops), 'net-level input')}, and "
            f"sizes for "
            f"{len(shapes)}; give each an input_shape, or four input_dim"
        )
    used = shapes[: len(tops)]
    surplus = [*shapes[len(used) :], *(dims if given["input_shape"] else dims[4 * len(used) :])]
    left = tuple(
        comment for node in surplus for comment in (*node.lead, node.trail.strip()) if comment
    )
    name, kind = (literal(word, net.style) for word in ("input", "Input"))
    own = [
        Node("name", f": {name}"),
        Node("type", f": {kind}"),
        *tops,
        Node("input_param", tuple(node._replace(name="shape") for node in used), left),
    ]
    return Node("layer", tuple(own))


def _each(node: Node, one: Statement) -> list[Node]:
    """A node for each value of a statement; what an input_dim gives is a dim."""
    name = {"input": "top", "input_dim": "dim", "input_shape": "shape"}[one.name]
    if not one.fields[0].listed:
        return [node._replace(name=name)]
    colon = ":" if one.fields[0].fields is None else ""
    first, *others = (Node(name, f"{colon} {field.raw}") for field in one.fields)
    lead = (*node.lead, *hidden(one), *([node.trail.strip()] if node.trail else []))
    return [first._replace(lead=lead), *others]


# ---- solvers


def _is_solver(net: Prototxt) -> bool:
    own = slots("SolverParameter").keys() - slots("NetParameter").keys()
    return not net.root.all("layer", "layers", "input") and bool(net.root.all(*own))


def _solver(net: Prototxt) -> Changes:
    view = View("SolverParameter", net.root)
    field, new = view.field("solver_type"), view.field("type")
    if field is None:
        return [], []
    if new:
        raise field.error(f'"solver_type" here and "type" on line {new.line}; remove this one')
    word = OLD_SOLVERS[view.get("solver_type")]
    edits = [set_name(field, "type"), Edit(field.value_start, field.stop, literal(word, net.style))]
    what = f'solver_type {field.raw} -> type "{word}"'
    return edits, [Step("change", "", field.line, what, "Caffe's solvers are named by strings")]


def _step(layer: Field, view: View, what: str, why: str) -> Step:
    return Step("change", view.get("name"), layer.line, what, why)
