"""Poolings round their size down, where that changes no size of the net as it is.

Caffe rounds a pooling's size up, other frameworks down.  A net that was made with
them, as Inception-v3 was, may have a convolution beside a pooling that are of one
size at the net's own input and one pixel apart at others.
"""

from collections.abc import Mapping

from fcnkit import expected
from fcnkit.edits import merge
from fcnkit.formats.prototxt import NetOrPath, Word
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.windows import is_global, pooled_shape, rounds_down
from fcnkit.plan import Plan, Step
from fcnkit.rewrites.changes import set_param, taken_out
from fcnkit.rewrites.operations import Operation, no_arguments
from fcnkit.rewrites.states import Known, looked_at
from fcnkit.shape import Shape


@expected.checked
def round_down(net: NetOrPath, *, inputs: Mapping[str, Shape] | None = None) -> Plan:
    """Poolings get round_mode: FLOOR, if that does not change their output size.

    >>> fk.round_down("deploy.prototxt").steps[0].what
    'round_mode: FLOOR'

    Sizes are compared at the net's own input size, or at `inputs`; there the net computes the same
    as before. At other sizes, the branches of an imported net then fit together as in the framework
    that it came from. Caffe has had round_mode since August 2018. A pooling whose size would change
    stays, with the reason.

    - `net`: a Prototxt or its path.
    - `inputs`: shapes by blob name, instead of those in the file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if the net cannot be built.
    """
    net = given_net(net)
    steps: dict[int, Step] = {}
    by_state = []
    found, _ = looked_at(net, inputs)
    for state in found:
        edits = []
        for layer in state.graph.layers:
            if _rounds_up(layer):
                step = steps.setdefault(layer.field.start, _step(state, layer))
                if step.verb == "change":
                    floor = [("round_mode", Word("FLOOR"))]
                    edits += set_param(layer, "pooling_param", floor, net.style, why=_WHY)
        by_state.append((state.name, edits))
    ordered = tuple(steps[start] for start in sorted(steps))
    return Plan(net, net.edit(merge(by_state)), ordered)


@expected.checked
def round_up(net: NetOrPath, *, inputs: Mapping[str, Shape] | None = None) -> Plan:
    """Poolings lose their round_mode, if that does not change their output size.

    >>> floor = fk.round_down("deploy.prototxt").net
    >>> fk.round_up(floor).steps[0].layer
    'pool1'

    This is the inverse of `round_down`, for tools that do not know round_mode and refuse it. A
    pooling whose size would change stays, with the reason.

    - `net`: a Prototxt or its path.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if the net cannot be built.
    """
    net = given_net(net)
    steps: dict[int, Step] = {}
    found, _ = looked_at(net, inputs)
    for state in found:
        for layer in state.graph.layers:
            if layer.type == "Pooling" and layer.param("pooling_param").has("round_mode"):
                step = _step_up(state, layer)
                known = steps.setdefault(layer.field.start, step)
                if known.verb == "change" and step.verb == "keep":  # another size in this state
                    steps[layer.field.start] = step
    edits = [
        taken_out(word, "round up")
        for layer in net.root.all("layer", "layers")
        if layer.start in steps and steps[layer.start].verb == "change"
        for param in layer.all("pooling_param")
        for word in param.all("round_mode")
    ]
    return Plan(net, net.edit(edits), tuple(steps[start] for start in sorted(steps)))


def _step_up(state: Known, layer: Layer) -> Step:
    if is_global(layer) or not rounds_down(layer.param("pooling_param")):
        what = "no round_mode"
        return Step("change", layer.name, layer.line, what, "it gives Caffe's default")
    step = _step(state, layer)
    return step._replace(what="no round_mode") if step.verb == "change" else step


_WHY = "round down"


def _rounds_up(layer: Layer) -> bool:
    """Whether its size may be rounded up: a stride of 1 leaves nothing to round."""
    if layer.type != "Pooling" or is_global(layer):
        return False
    param = layer.param("pooling_param")
    strides = [param.get(name) for name in ("stride", "stride_h", "stride_w")]
    return max(strides) > 1 and not rounds_down(param)


def is_cut(state: Known, layer: Layer) -> bool:
    """Whether the last window of a pooling sticks out of its bottom, and is cut off there."""
    bottom = state.shape(layer.bottoms[0]) if _rounds_up(layer) else None
    if bottom is None:
        return False
    return pooled_shape(layer, bottom, floor=False) != pooled_shape(layer, bottom, floor=True)


def _step(state: Known, layer: Layer) -> Step:
    bottom = state.shape(layer.bottoms[0])
    if bottom is None:
        why = "the size of its input is not known"
        return Step("keep", layer.name, layer.line, layer.type, why)
    up, down = (pooled_shape(layer, bottom, floor=floor) for floor in (False, True))
    if up != down:
        made, other = (down, up) if rounds_down(layer.param("pooling_param")) else (up, down)
        why = f"it makes {show(made[2:])} of {show(bottom[2:])}, and would make {show(other[2:])}"
        return Step("keep", layer.name, layer.line, layer.type, why)
    why = f"it makes {show(up[2:])} of {show(bottom[2:])} either way"
    return Step("change", layer.name, layer.line, "round_mode: FLOOR", why)


OPERATIONS = (
    Operation(
        "floor", "floor", "make poolings round down, as other tools do", round_down, no_arguments
    ),
    Operation(
        "ceil", "ceil", "remove round_mode from poolings, for older tools", round_up, no_arguments
    ),
)
