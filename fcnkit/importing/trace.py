"""The shape of every tensor of a model at some sizes of its inputs, and the values that are known.

A model that leaves sizes free is traced at several of them.  What is the same
at each is taken for fixed; what differs follows the input.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from fcnkit.errors import error_text
from fcnkit.importing.model import Constant, Model, constant
from fcnkit.shape import Shape

# Values that are computed of constants are kept up to this count, else computed anew when needed.
SMALL = 1 << 16
# Batch, and height and width, for the sizes that a model leaves free.  Multiples of 32 suit nets
# that halve five times; the odd ones find what only holds for even sizes.
BATCHES = (1, 2, 3)
SIZES = ((224, 224), (256, 320), (231, 253))
LENGTHS = (32, 64, 96)
DRAWS = "it draws values at random"
# What has its first input's shape, and onnx does not say so.
_ALIKE = ("GroupNormalization",)


@dataclass
class Trial:
    """One size of the inputs: the shape and type of each tensor, and the values of the known."""

    inputs: Mapping[str, Shape]
    shapes: dict[str, Shape] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    known: dict[str, Constant] = field(default_factory=dict)
    # Why the shape of a node's outputs cannot be said, by the node's number.
    lost: dict[int, str] = field(default_factory=dict)

    def keep(self, name: str, found: Constant) -> None:
        """The tensor has this value."""
        self.known[name] = found
        self.shapes[name], self.types[name] = found.shape, found.dtype


def input_shapes(
    model: Model, given: Mapping[str, Shape], example: Mapping[str, Shape]
) -> list[dict[str, Shape]]:
    """The shapes of the inputs to try; one only where the model leaves no size free.

    The first are those given, or of the example, the last such of another batch.
    Raises NetError for a given shape that is not the model's.
    """
    ports = {p.name: p for p in model.proto.graph.input if p.name not in model.constants}
    for name in given:
        if name not in ports:
            has = ", ".join(ports) or "none"
            raise model.error(f'"{name}" is not an input of this model; its inputs are {has}')
    several = [
        {name: _shape(model, port, given.get(name), number) for name, port in ports.items()}
        for number in range(len(SIZES))
    ]
    first = several[0] | {name: shape for name, shape in example.items() if name in ports}
    batch = {name: (*its[:1], *first[name][1:]) for name, its in several[1].items()}
    every = [first, *several[1:], batch]
    return [each for number, each in enumerate(every) if each not in every[:number]]


def _shape(model: Model, port: Any, given: Shape | None, number: int) -> Shape:
    kind = port.type.tensor_type
    dims = [dim.dim_value if dim.dim_value > 0 else None for dim in kind.shape.dim]
    if given is not None:
        fits = len(given) == len(dims) and all(
            mine in (None, its) for mine, its in zip(dims, given, strict=True)
        )
        if not fits and dims:
            shown = " x ".join(str(dim or "?") for dim in dims)
            wrong = ",".join(map(str, given))
            fact = f'"{port.name}" is {shown} in the model, which {wrong} does not fit'
            raise model.error(f"{fact}; leave out --input, or export the model again")
        return tuple(given)
    if not dims:
        fact = f'its input "{port.name}" has no shape'
        raise model.error(f"{fact}; give one: --input {port.name}=1,3,224,224")
    return tuple(
        dim if dim is not None else _free(axis, len(dims), number) for axis, dim in enumerate(dims)
    )


def _free(axis: int, count: int, number: int) -> int:
    if axis == 0:
        return BATCHES[number]
    if count == 4 and axis > 1:
        return SIZES[number][axis - 2]
    return LENGTHS[number]


def draws(node: Any) -> bool:
    """Whether a node's outputs are drawn at random, and so are no constants."""
    return node.op_type.startswith("Random") or node.op_type in ("Bernoulli", "Multinomial")


def trace(model: Model, inputs: Mapping[str, Shape], fixed: dict[str, Constant]) -> Trial:
    """The shapes and the known values of all tensors with inputs of these shapes.

    `fixed` has what is computed of the model's own constants alone, at whatever size.
    """
    import onnx

    trial = Trial(inputs)
    for name, found in model.constants.items():
        trial.keep(name, found)
    for port in model.proto.graph.input:
        if port.name in inputs:
            trial.shapes[port.name] = inputs[port.name]
            trial.types[port.name] = _dtype(port.type.tensor_type.elem_type)
    tracer = _Tracer(model, trial, onnx, fixed)
    for number, node in enumerate(model.proto.graph.node):
        reason = tracer.node(node)
        if reason:
            trial.lost[number] = reason
    return trial


class _Tracer:
    """What one pass over the nodes needs."""

    def __init__(self, model: Model, trial: Trial, onnx: Any, fixed: dict[str, Constant]) -> None:
        self.model, self.trial, self.onnx, self.fixed = model, trial, onnx, fixed
        self.imports = list(model.proto.opset_import)
        self.versions = {each.domain: each.version for each in self.imports}

    def node(self, node: Any) -> str:
        """The node's outputs are in the trial; why not, where they cannot be."""
        trial = self.trial
        if all(name in self.fixed for name in node.output):
            for name in node.output:
                trial.keep(name, self.fixed[name])
            return ""
        reason = self._traced(node)
        own = self.model.constants
        if not reason and all(
            name in self.fixed or (name in own and trial.known.get(name) is own[name])
            for name in node.input
            if name
        ):
            self.fixed |= {name: trial.known[name] for name in node.output if name in trial.known}
        return reason

    def _traced(self, node: Any) -> str:
        trial = self.trial
        values = [trial.known.get(name) if name else None for name in node.input]
        if node.op_type == "Constant":
            trial.keep(node.output[0], self._literal(node))
            return ""
        if node.op_type == "Shape" and node.input[0] in trial.shapes:
            sizes = list(trial.shapes[node.input[0]])
            said = {each.name: each.i for each in node.attribute}
            trial.keep(
                node.output[0],
                _array(node.output[0], sizes[said.get("start", 0) : said.get("end", len(sizes))]),
            )
            return ""
        if node.op_type == "Size" and node.input[0] in trial.shapes:
            trial.keep(node.output[0], _array(node.output[0], prod(trial.shapes[node.input[0]])))
            return ""
        if draws(node):
            return DRAWS
        missing = [name for name in node.input if name and name not in trial.shapes]
        if missing:
            return f'the shape of "{missing[0]}" is not known'
        if all(value is not None for value, name in zip(values, node.input, strict=True) if name):
            return self._folded(node, values)
        return self._inferred(node)

    def _literal(self, node: Any) -> Constant:
        """The value of a Constant node."""
        import numpy as np

        name = node.output[0]
        for each in node.attribute:
            if each.name == "value":
                return constant(self.model, each.t)._replace(name=name)
            for kind, dtype in (("value_float", np.float32), ("value_int", np.int64)):
                if each.name == kind:
                    return _array(name, each.f if kind == "value_float" else each.i, dtype)
                if each.name == f"{kind}s":
                    many = each.floats if kind == "value_float" else each.ints
                    return _array(name, list(many), dtype)
        raise self.model.error(
            f'node "{node.name}": a Constant without a tensor; export the model again'
        )

    def _folded(self, node: Any, values: Sequence[Constant | None]) -> str:
        """The outputs of a node of constants are constants too."""
        self._inferred(node)  # where onnx does not say the shape, the values do
        counts = [prod(self.trial.shapes.get(name, (SMALL + 1,))) for name in node.output]
        sizes = [value.blob for value in values if value is not None and value.blob is not None]
        if max(counts, default=0) > SMALL or sizes:
            if any(name not in self.trial.shapes for name in node.output if name):
                return "the shape of what is computed from constants is not known"
            for number, name in enumerate(node.output):
                self.trial.known[name] = self._later(node, values, number)
            return ""
        try:
            found = self._run(node, values)
        except Exception as error:  # whatever onnx's own implementation of an operator raises
            return f"it cannot be computed: {error_text(error)}"
        for name, array in zip(node.output, found, strict=False):
            self.trial.keep(name, _array(name, array, None))
        return ""

    def _later(self, node: Any, values: Sequence[Constant | None], number: int) -> Constant:
        """An output that is computed when it is needed, under the name of what it is made of."""
        output = node.output[number]
        name = next((value.name for value in values if value is not None), output)
        shape, dtype = self.trial.shapes[output], self.trial.types[output]
        return Constant(name, shape, dtype, lambda: self._run(node, values)[number])

    def _run(self, node: Any, values: Sequence[Constant | None]) -> list[Any]:
        from onnx.reference import ReferenceEvaluator

        graph = self.onnx.helper.make_graph(
            [node],
            "constants",
            [self.onnx.ValueInfoProto(name=name) for name in dict.fromkeys(node.input) if name],
            [self.onnx.ValueInfoProto(name=name) for name in node.output if name],
        )
        one = self.onnx.helper.make_model(graph, opset_imports=self.imports)
        feeds = {
            name: value.read()
            for name, value in zip(node.input, values, strict=True)
            if value is not None
        }
        return list(ReferenceEvaluator(one).run(None, feeds))

    def _inferred(self, node: Any) -> str:
        """The outputs have the shapes that onnx's own rules say."""
        trial, helper = self.trial, self.onnx.helper
        if node.domain not in self.versions:
            return (
                f'its operator is of "{node.domain}", but the model does not give a version of that'
            )
        try:
            schema = self.onnx.defs.get_schema(
                node.op_type, self.versions[node.domain], node.domain
            )
            types = {
                name: helper.make_tensor_type_proto(
                    helper.np_dtype_to_tensor_dtype(_numpy(trial.types[name])), trial.shapes[name]
                )
                for name in node.input
                if name
            }
            data = {
                name: self.onnx.numpy_helper.from_array(found.read(), name)
                for name in node.input
                if name in trial.known
                and prod((found := trial.known[name]).shape) <= 1024
                and found.blob is None
            }
            made = self.onnx.shape_inference.infer_node_outputs(
                schema, node, types, data, opset_imports=self.imports
            )
        except Exception as error:  # as many kinds as operators; the text says which rule
            return error_text(error).splitlines()[0][:300]
        for name in node.output:
            kind = made[name].tensor_type if name in made else None
            if kind is None or not kind.HasField("shape"):
                if name == node.output[0] and node.op_type in _ALIKE:
                    first = node.input[0]
                    trial.shapes[name], trial.types[name] = trial.shapes[first], trial.types[first]
                elif name == node.output[0]:
                    return "onnx does not know the shape of its output"
                continue
            dims = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in kind.shape.dim]
            if -1 in dims:
                return "the shape of its output depends on values that are known only at run time"
            trial.shapes[name], trial.types[name] = tuple(dims), _dtype(kind.elem_type)
        return ""


def _array(name: str, value: Any, dtype: Any = "int64") -> Constant:
    import numpy as np

    array = np.asarray(value, dtype)
    return Constant(name, array.shape, array.dtype.name, lambda: array)


def _numpy(dtype: str) -> Any:
    import numpy as np

    return np.dtype(dtype)


def _dtype(element: int) -> str:
    import numpy as np
    from onnx import helper

    try:
        return np.dtype(helper.tensor_dtype_to_np_dtype(element)).name
    except (KeyError, TypeError):
        return "unknown"


def trials(model: Model, given: Mapping[str, Shape], example: Mapping[str, Shape]) -> list[Trial]:
    """The model traced at every size that it takes of those that are tried, the first one always.

    Raises NetError for a given shape that is not the model's.
    """
    fixed: dict[str, Constant] = {}
    several = input_shapes(model, given, example)
    first, *others = [trace(model, inputs, fixed) for inputs in several]
    return [first, *(trial for trial in others if not set(trial.lost) - set(first.lost))]


def free_axes(found: Sequence[Trial], name: str) -> tuple[int | None, ...]:
    """The sizes of a tensor, None for each that changes with the size of the input."""
    several = [trial.shapes[name] for trial in found]
    return tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*several, strict=True))
