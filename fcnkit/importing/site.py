"""One node's place: what it reads, what is known of it, and the layers that it may add."""

from collections.abc import Sequence
from typing import Any

from fcnkit.formats.prototxt import Word
from fcnkit.importing.caffes import CAFFES
from fcnkit.importing.draft import Draft, Fields, Made
from fcnkit.importing.held import Held
from fcnkit.importing.model import Constant, Model
from fcnkit.importing.trace import Trial, free_axes
from fcnkit.plan import Step
from fcnkit.shape import Shape


class Refusal(Exception):
    """Why a node has no form in the Caffe that is asked for."""


class Site:
    """A node's place in the net that is being made.

    Names of tensors are the model's; `held` says which blob has each.
    """

    def __init__(
        self,
        model: Model,
        trials: Sequence[Trial],
        draft: Draft,
        held: dict[str, Held],
        caffe: str,
    ) -> None:
        self.model, self.trials, self.draft, self.held, self.caffe = (
            model,
            trials,
            draft,
            held,
            caffe,
        )
        self.number, self.label = -1, ""
        self.node: Any = None
        self._attributes: dict[str, Any] = {}

    def at(self, number: int, node: Any, label: str) -> "Site":
        """This site, at another node, whose layers are called `label`."""
        from onnx import helper

        self.number, self.node, self.label = number, node, label
        self._attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        return self

    def has(self, word: str) -> bool:
        """Whether the Caffe that is asked for has this layer or field beside those of 1.0."""
        return word in CAFFES[self.caffe]

    # ---- what the node says

    @property
    def opset(self) -> int:
        """The version of the operators."""
        return self.model.opset

    def given(self, name: str, default: Any = None) -> Any:
        """The attribute, or the default."""
        found = self._attributes.get(name, default)
        return found.decode() if isinstance(found, bytes) else found

    def input(self, at: int) -> str:
        """The name of an input; "" where it is not given."""
        return self.node.input[at] if at < len(self.node.input) else ""

    def argument(self, name: str, at: int, default: Any = None) -> Any:
        """What old opsets say by an attribute and new ones by an input: a list, or the default."""
        if name in self._attributes:
            return self.given(name)
        if not self.input(at):
            return default
        value = self.value(at)
        return value.tolist()

    def constant(self, at: int) -> Constant | None:
        """The input's value where it is the same at every size; None where it is computed."""
        found = [trial.known.get(self.input(at)) for trial in self.trials]
        if not found or found[0] is None:
            return None
        if all(each is found[0] for each in found):
            return found[0]
        import numpy as np

        first = found[0].read()
        same = all(each is not None and np.array_equal(each.read(), first) for each in found[1:])
        return found[0] if same else None

    def value(self, at: int) -> Any:
        """The values of a constant input as an array; refused where they are computed."""
        return self.known(at).read()

    def known(self, at: int) -> Constant:
        """A constant input; refused where it is computed."""
        found = self.constant(at)
        if found is None:
            varies = self.input(at) in self.trials[0].known
            why = (
                "depends on the size of the input; fix that with --input"
                if varies
                else "is computed from the input"
            )
            raise Refusal(f'its input "{self.input(at)}" {why}')
        return found

    def dims(self, name: str) -> tuple[int | None, ...]:
        """The sizes of a tensor, None for each that follows the input's."""
        return free_axes(self.trials, name)

    def shapes(self, name: str) -> tuple[Shape, ...]:
        """The shape of a tensor at each trial."""
        return tuple(trial.shapes[name] for trial in self.trials)

    @property
    def out(self) -> str:
        """The name of the first output."""
        return self.node.output[0]

    # ---- what it reads

    def x(self, at: int = 0) -> Held:
        """How an input stands in the net."""
        name = self.input(at)
        if name not in self.held:
            raise Refusal(
                f'it computes from the constant "{name}", and layers of Caffe compute from blobs'
            )
        return self.held[name]

    # ---- what it makes

    def add(
        self,
        kind: str,
        bottoms: Sequence[Held],
        fields: Fields = (),
        *,
        blobs: Sequence[Any] = (),
        shapes: Sequence[Shape] | None = None,
        part: str = "",
        inplace: bool = False,
    ) -> Held:
        """A new layer, whose one top has these shapes, or those of its first bottom."""
        return self.adds(
            kind,
            bottoms,
            fields,
            blobs=blobs,
            shapes=[shapes or bottoms[0].sizes],
            part=part,
            inplace=inplace,
        )[0]

    def adds(
        self,
        kind: str,
        bottoms: Sequence[Held],
        fields: Fields,
        *,
        shapes: Sequence[Sequence[Shape]],
        blobs: Sequence[Any] = (),
        part: str = "",
        inplace: bool = False,
    ) -> list[Held]:
        """A new layer, with a top for each of `shapes`."""
        name = self.draft.name(f"{self.label}/{part}" if part else self.label)
        tops = (
            [name]
            if len(shapes) == 1
            else [self.draft.name(f"{name}_{number}") for number in range(len(shapes))]
        )
        self.draft.layers.append(
            Made(
                name,
                kind,
                [each.blob for each in bottoms],
                tops,
                fields,
                blobs,
                self.number,
                inplace,
            )
        )
        return [Held(top, tuple(its)) for top, its in zip(tops, shapes, strict=True)]

    def power(
        self, x: Held, *, scale: float = 1, shift: float = 0, power: float = 1, part: str = ""
    ) -> Held:
        """(shift + scale x) to the power; x itself where that changes nothing."""
        said = [("power", power, 1), ("scale", scale, 1), ("shift", shift, 0)]
        fields = [(name, number(value)) for name, value, default in said if value != default]
        if not fields:
            return x
        return self.add("Power", [x], [("power_param", fields)], part=part, inplace=power == 1)

    def eltwise(self, how: str, *parts: Held, part: str = "", coeff: Sequence[float] = ()) -> Held:
        """The sum, product or largest of blobs of one shape."""
        fields: list[tuple[str, object]] = [] if how == "SUM" else [("operation", Word(how))]
        fields += [("coeff", number(value)) for value in coeff]
        return self.add("Eltwise", parts, [("eltwise_param", fields)] if fields else (), part=part)

    def say(self, what: str, why: str) -> None:
        """A step: what is done otherwise than by one layer for one node, and why."""
        self.draft.steps.append(Step("insert", self.label, None, what, why))


def number(value: float) -> float:
    """A number as float32 has it, in the shortest text that says it."""
    import numpy as np

    return float(str(np.float32(value)))
