"""What an import gives: a net, its weights, and what was done and why."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fcnkit import notebook
from fcnkit.errors import OutputError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.importing.held import Move, arranged
from fcnkit.plan import Step
from fcnkit.plural import number_of
from fcnkit.preprocessing import Preprocessing, place
from fcnkit.shape import Shape
from fcnkit.tables import Done, folded, grouped
from fcnkit.weights.blobs import OpenFile
from fcnkit.weights.store import Weights


def weights_place(net: str | os.PathLike[str]) -> Path:
    """Where the weights of the net at this path are written."""
    return Path(os.fspath(net).removesuffix(".prototxt") + ".caffemodel")


def check_none_beside(weights: str | os.PathLike[str]) -> None:
    """No file lies where the weights of a net without any would be; OutputError otherwise.

    It would be taken for the net's.
    """
    if os.path.lexists(weights):
        fact = "would be mistaken for the weights of this net, which has none"
        remedy = "move it away, or give the net another name"
        raise OutputError(f"{os.fspath(weights)}: {fact}; {remedy}")


class Tensor(NamedTuple):
    """A tensor of the model and its place in the net: the layer that makes it, its blob, and the
    moves that lead from one to the other.

    `layer` is "" for an input.
    """

    name: str
    layer: str
    blob: str
    moves: tuple[Move, ...] = ()

    def of_blob(self, array: Any, trial: int) -> Any:
        """Converts values of the blob into values of the tensor."""
        return arranged(array, self.moves, trial)

    def to_blob(self, array: Any) -> Any:
        """Converts values of the tensor into values of the blob; they may be transposed."""
        for move in self.moves:
            array = array.transpose([move.axes.index(axis) for axis in range(array.ndim)])
        return array


@dataclass(frozen=True, eq=False)
class Imported:
    """An imported model: `net` and `weights`, ready to be saved.

    `inputs` are the shapes at which it was traced, the net's own first. `outputs` are the
    model's outputs, each with its blob. `tensors` are all that can be compared, and `blobs` are
    the blobs of the inputs by name. `source` is the model's file, still open. `preprocessing`
    says how to prepare an image, None if that is not known. `whole` are the inputs that are
    integers in the model, such as bytes.
    """

    path: str
    net: Prototxt
    weights: Weights
    steps: tuple[Step, ...]
    inputs: tuple[Mapping[str, Shape], ...]
    outputs: tuple[Tensor, ...]
    tensors: tuple[Tensor, ...]
    blobs: Mapping[str, Tensor]
    opset: int
    digest: str
    source: OpenFile
    preprocessing: Preprocessing | None = None
    whole: frozenset[str] = frozenset()

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Writes the net to `path`, and its weights and preprocessing beside it.

        For NET.prototxt these are NET.caffemodel and NET.preprocessing.json. The net is written
        last: if it is there, the others are too. Raises OutputError if one of the files exists,
        unless `force`, and if the model has no weights but such a weights file exists.
        """
        places = [path, weights_place(path), place(os.fspath(path))]
        there = [each for each in places if os.path.lexists(each)]
        if there and not force:
            raise OutputError(f"{there[0]}: exists; give another name, or force=True")
        if self.weights:
            self.weights.save(weights_place(path), force=force)
        else:
            check_none_beside(weights_place(path))
        if self.preprocessing:
            self.preprocessing.save(place(os.fspath(path)), force=force)
        self.net.save(path, force=force)

    def json(self) -> dict[str, Any]:
        """The import as plain lists, dicts, strings and numbers."""
        return {
            "model": self.path,
            "opset": self.opset,
            "sha256": self.digest,
            "inputs": {name: list(shape) for name, shape in self.inputs[0].items()},
            "outputs": {each.name: each.blob for each in self.outputs},
            "layers": len(self.weights),
            "values": self.weights.total,
            "preprocessing": self.preprocessing.json() if self.preprocessing else None,
            "steps": [step._asdict() for step in self.steps],
        }

    def table(self, width: int = 80) -> str:
        """The inputs, the result, and each step with its reason, as text. A step that several
        layers have in common is shown once, with the first of their names; `steps` has each of
        them.
        """
        steps = (Done("", step.layer, step.verb, step.what, step.why) for step in self.steps)
        rows = ((head[1:], texts) for head, texts in grouped(steps, least=3))
        return self._head() + folded(rows, width=width, most=width // 3)

    def _head(self) -> str:
        """What went in, and what came out."""
        lines = [f"{self.path}: opset {self.opset}, sha256 {self.digest[:16]}\n"]
        lines += [
            f"input {name}: {' x '.join(map(str, shape))}{self._free(name)}"
            f"{_arranged(self.blobs[name]) if name in self.blobs else ', which nothing reads'}\n"
            for name, shape in self.inputs[0].items()
        ]
        lines += [
            f"output {each.name}: blob {each.blob}{_arranged(each)}\n" for each in self.outputs
        ]
        layers = number_of(len(self.net.root.all("layer")), "layer")
        counts = f"{number_of(self.weights.total, 'weight')} in {len(self.weights)} of them"
        lines.append(f"{layers}; {counts}\n" if self.weights else f"{layers}, none with weights\n")
        return "".join(lines)

    def _free(self, name: str) -> str:
        several: Sequence[Shape] = [each[name] for each in self.inputs]
        free = [
            str(axis)
            for axis, sizes in enumerate(zip(*several, strict=True))
            if len(set(sizes)) > 1
        ]
        axes = "axis" if len(free) == 1 else "axes"
        return f", free on {axes} {', '.join(free)}" if free else ", at this size only"

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"<Imported {self.path}: {len(self.steps)} steps>\n{self.table()}"

    def _repr_html_(self) -> str:
        if not self.steps:
            return notebook.text(self._head())
        cells = [(step.layer, step.verb, step.what, step.why) for step in self.steps]
        head = ("layer", "", "what", "why")
        return notebook.table(cells, head=head, caption=self._head().rstrip(), left=True)


def _arranged(tensor: Tensor) -> str:
    order = next((move.axes for move in tensor.moves if move.axes), ())
    return f", with its axes in the order {', '.join(map(str, order))}" if order else ""
