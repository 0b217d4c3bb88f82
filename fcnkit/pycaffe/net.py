"""pycaffe's Net: blobs and parameters as numpy arrays, and passes over some of the layers."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from fcnkit.engines.torch.engine import memory, products, threads
from fcnkit.engines.torch.parameters import stored
from fcnkit.formats.schema import View
from fcnkit.formats.values import nearest
from fcnkit.nets.graph import Graph, build
from fcnkit.pycaffe import messages, modes
from fcnkit.pycaffe.calls import PHASES, Path, asked, opened, there
from fcnkit.pycaffe.memory import Blob
from fcnkit.pycaffe.nccl import NCCL
from fcnkit.pycaffe.net_parts import NetParts
from fcnkit.pycaffe.sources import Held
from fcnkit.weights import store

Arrays = dict[str, np.ndarray]
Hook = Callable[[int], object]
_HOOKS = ("before_forward", "after_forward", "before_backward", "after_backward")


class Net(NetParts):
    """A net that runs on PyTorch.

    Call it as Net(file, phase, level=0, stages=None, weights=None), or in the older form
    Net(file, weights, phase). `phase` is caffe.TRAIN or caffe.TEST. Layers without weights get
    random values from their fillers.

    Raises RuntimeError for a missing file; PrototxtError, NetError or EngineError, with the
    line, for a net that Caffe would not build or that the engine does not run.
    """

    def __init__(self, network_file: Path, *given: Any, **named: Any) -> None:
        call = asked(given, named)
        graph = build(opened(network_file, "NetParameter"), call.state)
        files = [store.open(there(each)) for each in call.weights]
        self._set_up(graph, {name for weights in files for name in weights})
        for weights in files:
            self._copy_all(weights)

    @classmethod
    def _of(cls, graph: Graph) -> "Net":
        """The net of a graph, as a solver makes it."""
        made = cls.__new__(cls)
        made._set_up(graph)
        return made

    def _set_up(self, graph: Graph, given: Collection[str] = ()) -> None:
        super()._set_up(graph, given)
        self._hooks: dict[str, list[Hook]] = {name: [] for name in _HOOKS}

    # ---- passes

    def forward(
        self,
        blobs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **inputs: Any,
    ) -> Arrays:
        """Runs the net, and returns the outputs by name, as views that the next pass overwrites.

        `inputs` are written into the input blobs first. Layers from `start` to `end` are run, by
        default all; with `end` the outputs are those of that layer. `blobs` names further blobs
        to return.
        """
        first, last = self._number(start, 0), self._number(end, len(self.layers) - 1)
        wanted = [*(self.outputs if end is None else self.top_names[end]), *(blobs or ())]
        if inputs:
            self._give(inputs)
        self._forward(first, last)
        return {name: self._blob(name).data for name in wanted}

    def _forwarded(self, blobs: Sequence[str] | None, inputs: Arrays) -> Arrays:
        return self.forward(blobs, None, None, **inputs)

    def backward(
        self,
        diffs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **gradients: Any,
    ) -> Arrays:
        """Runs the net backward, and returns the gradients of the inputs by name, as views. The
        gradients of parameters are added up.

        Layers from `start` back to `end` are run, by default all; with `end` the gradients
        returned are those of that layer's bottoms. `diffs` names further blobs whose gradients
        are returned. `gradients`, if given, are those of all outputs.
        """
        first, last = self._number(start, len(self.layers) - 1), self._number(end, 0)
        wanted = [*(self.inputs if end is None else self.bottom_names[end]), *(diffs or ())]
        if gradients:
            if set(gradients) != set(self.outputs):
                raise Exception("Top diff arguments do not match net outputs.")
            for name, values in gradients.items():
                if values.shape[0] != self.blobs[name].shape[0]:
                    raise Exception("Diff is not batch sized")
                self.blobs[name].diff[...] = values
        self._backward(first, last)
        return {name: self._blob(name).diff for name in wanted}

    def _blob(self, name: str) -> Blob:
        if name not in self.blobs:
            raise KeyError(f'"{name}" is not a blob of this net; {_known(name, self._blob_names)}')
        return self.blobs[name]

    def _backwarded(self, diffs: Sequence[str] | None, gradients: Arrays) -> Arrays:
        return self.backward(diffs, None, None, **gradients)

    def forward_all(self, blobs: Sequence[str] | None = None, **inputs: Any) -> Arrays:
        """Runs any number of inputs in batches of the net's size, and returns all outputs."""
        found: dict[str, list[np.ndarray]] = {}
        for batch in self._batches(inputs):
            for name, values in self._forwarded(blobs, batch).items():
                found.setdefault(name, []).extend(values.copy())
        return _first_rows(found, _count(inputs))

    def forward_backward_all(
        self, blobs: Sequence[str] | None = None, diffs: Sequence[str] | None = None, **given: Any
    ) -> tuple[Arrays, Arrays]:
        """Runs any number of inputs and gradients of outputs in batches, forward and backward.
        Returns all outputs, and the gradients of the inputs.
        """
        if set(given) - {*self.inputs, *self.outputs}:
            raise self._other_inputs(given)
        values: dict[str, list[np.ndarray]] = {}
        gradients: dict[str, list[np.ndarray]] = {}
        ahead = self._batches({name: given[name] for name in self.inputs if name in given})
        back = self._batches({name: given[name] for name in self.outputs if name in given})
        for one, other in zip_longest(ahead, back):
            for name, array in self._forwarded(blobs, one or {}).items():
                values.setdefault(name, []).extend(array.copy())
            for name, array in self._backwarded(diffs, other or {}).items():
                gradients.setdefault(name, []).extend(array.copy())
        count = _count(given)
        return _first_rows(values, count), _first_rows(gradients, count)

    def _batches(self, arrays: Arrays) -> Iterator[Arrays]:
        """The arrays in batches of the first blob's; the last one is filled up with zeros."""
        size = self._blobs[0].num
        count = len(next(iter(arrays.values()), ()))
        for at in range(0, count, size):
            batch = {name: np.asarray(array[at : at + size]) for name, array in arrays.items()}
            missing = size - min(size, count - at)
            if missing:
                batch = {name: _filled(array, missing) for name, array in batch.items()}
            yield batch

    def _give(self, inputs: Arrays) -> None:
        if set(inputs) != set(self.inputs):
            raise self._other_inputs(inputs)
        for name, values in inputs.items():
            values = np.asarray(values)
            if values.shape[0] != self.blobs[name].shape[0]:
                count = self.blobs[name].shape[0]
                words = f"{name}: {values.shape[0]} given, the blob has {count}; reshape it"
                raise Exception(f"Input is not batch sized. {words}.")
            self.blobs[name].data[...] = values

    def _other_inputs(self, given: Arrays) -> Exception:
        words = f"{', '.join(given)} given, the inputs are {', '.join(self.inputs) or 'none'}"
        return Exception(f"Input blob arguments do not match net inputs. {words}.")

    def _number(self, name: str | None, default: int) -> int:
        names = list(self._layer_names)
        if name is not None and name not in names:
            raise ValueError(f'"{name}" is not a layer of this net; {_known(name, names)}')
        return default if name is None else names.index(name)

    def _forward(self, first: int, last: int) -> float:
        """Layers number `first` to `last` are run; the sum of their losses, with their weights."""
        device, loss, its = modes.device(), 0.0, self._built
        with products(), memory(self._graph), threads(self._work):
            for number in range(first, last + 1):
                self._call("before_forward", number)
                layer = its.layers[number]
                layer.reshape()
                layer.forward(device)
                for top, weight in zip(layer.tops, its.parts[number].losses, strict=False):
                    if weight:
                        loss += float((top.values(device) * top.gradients(device)).sum())
                self._call("after_forward", number)
        return loss

    def _backward(self, first: int, last: int) -> None:
        """Layers number `first` back to `last` have their backward passes."""
        device, its = modes.device(), self._built
        with products(), memory(self._graph), threads(self._work):
            for number in range(first, last - 1, -1):
                self._call("before_backward", number)
                if its.gradients.layers[number]:
                    its.layers[number].backward(its.gradients.bottoms[number], device)
                self._call("after_backward", number)

    @property
    def _work(self) -> int:
        """The multiply-adds of the layer that has most."""
        return max((layer.work for layer in self._built.layers), default=0)

    def reshape(self) -> None:
        """Sets the sizes of all blobs according to those of the inputs."""
        for layer in self._built.layers:
            layer.reshape()

    def clear_param_diffs(self) -> None:
        """Sets the gradients of all parameters to 0."""
        device = modes.device()
        for each in self._built.learned:
            each.blob.gradients(device, write=True).zero_()

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Gives the MemoryData layer, which must be the first layer, these images and labels.

        Raises RuntimeError if the first layer is of another type, or if the arrays do not fit.
        """
        first = next(iter(self._built.layers), None)
        if not isinstance(first, Held):
            raise RuntimeError(
                "set_input_arrays may only be called if the first layer is a MemoryDataLayer"
            )
        first.give(data, labels)

    # ---- hooks

    def before_forward(self, hook: Hook) -> None:
        """Calls `hook` with the number of the layer before each layer's forward pass."""
        self._hooks["before_forward"].append(hook)

    def after_forward(self, hook: Hook) -> None:
        """Like `before_forward`, but after the pass."""
        self._hooks["after_forward"].append(hook)

    def before_backward(self, hook: Hook) -> None:
        """Like `before_forward`, but before the backward pass, which not every layer has."""
        self._hooks["before_backward"].append(hook)

    def after_backward(self, hook: Hook | NCCL) -> None:
        """Like `before_backward`, but after the pass.

        An NCCL is not called: gradients are averaged when a solver has all of them.
        """
        if not isinstance(hook, NCCL):
            self._hooks["after_backward"].append(hook)

    def _call(self, name: str, number: int) -> None:
        for hook in self._hooks[name]:
            hook(number)

    # ---- weights

    def copy_from(self, trained_file: Path) -> None:
        """Copies the weights of a file into the layers of the same name.

        Raises RuntimeError for a missing file; WeightsError if it cannot be read, or if numbers
        of blobs or shapes differ.
        """
        self._copy_all(store.open(there(trained_file)))

    def _copy_all(self, weights: store.Weights) -> None:
        first = self._first()
        for name, blobs in weights.items():
            if name in first:
                self._copy(first[name], blobs, weights)

    def _copy(self, number: int, found: Sequence[Any], weights: store.Weights) -> None:
        part, own = self._built.parts[number], self._built.owned[number]
        blobs = list(self._built.layers[number].blobs)
        if part.layer is None:
            return
        mine = [at for at, blob in enumerate(blobs) if blob in own]
        shapes = [blob.sizes for blob in blobs]
        for at, array in stored(part.layer, found, shapes, mine, weights):
            blobs[at].data[...] = array.reshape(shapes[at])

    def share_with(self, other: "Net") -> None:
        """Layers with the same names as in `other` use its parameters, in the same memory.

        Raises NetError if such layers have other numbers of parameters, or other shapes.
        """
        first = self._first()
        for part, theirs in zip(other._built.parts, other._built.layers, strict=True):
            if part.name not in first:
                continue
            mine = self._built.layers[first[part.name]].blobs
            shapes = [[blob.sizes for blob in blobs] for blobs in (mine, theirs.blobs)]
            layer = self._built.parts[first[part.name]].layer
            if shapes[0] != shapes[1] and layer:
                fact = f"its parameters are {shapes[0]}, and {shapes[1]} in the other net"
                raise layer.error(f"{fact}; give the layer the same numbers in both")
            for blob, source in zip(mine, theirs.blobs, strict=True):
                blob.share_data(source)

    def save(self, path: Path) -> None:
        """Writes a .caffemodel of this net as Caffe writes it, including Splits."""
        blobs = [layer.blobs for layer in self._built.layers]
        phase = PHASES.index(self._built.phase)
        messages.save(os.fsdecode(path), self._name, self._built.parts, blobs, phase)

    def save_hdf5(self, path: Path) -> None:
        """Writes the parameters as Caffe's HDF5; shared ones are written once, with their owner."""
        own = zip(self._built.parts, self._built.owned, strict=True)
        arrays = {part.name: [blob.data for blob in blobs] for part, blobs in own}
        store.create(kind="hdf5").put_all(arrays).save(os.fsdecode(path), force=True)

    load_hdf5 = copy_from

    @property
    def _name(self) -> str:
        found: str = View("NetParameter", self._graph.prototxt.root).get("name")
        return found

    def _first(self) -> dict[str, int]:
        """The number of the first layer of each name."""
        numbered = reversed(list(enumerate(self._layer_names)))
        return {name: number for number, name in numbered}


def _count(arrays: Arrays) -> int:
    """How many rows the arrays have; RuntimeError, as pycaffe, where there are none."""
    if not arrays:
        raise RuntimeError("no inputs are given; give one array for each of the net's")
    return len(next(iter(arrays.values())))


def _known(name: str, names: Sequence[str]) -> str:
    """The nearest of the names there are, or all."""
    near = nearest(name, tuple(names))
    return f'did you mean "{near}"?' if near else f"it has {', '.join(names)}"


def _first_rows(found: dict[str, list[np.ndarray]], count: int) -> Arrays:
    """The rows of each as an array, but for those that only filled up a batch."""
    return {name: np.asarray(rows)[:count] for name, rows in found.items()}


def _filled(array: np.ndarray, missing: int) -> np.ndarray:
    """The array with so many zeros behind it."""
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])
