"""What a net of pycaffe shows of itself: its blobs, layers and parameters, by name and number."""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from fcnkit.nets.graph import Graph
from fcnkit.pycaffe.building import built
from fcnkit.pycaffe.memory import Blob, BlobVec
from fcnkit.pycaffe.python_layer import Layer, Scripted
from fcnkit.pycaffe.running import Running
from fcnkit.pycaffe.vectors import IntVec, StringVec, Vec


class NetParts:
    """The parts of a net; what is asked for by name is made once, so that changes of it stay."""

    def _set_up(self, graph: Graph, given: Collection[str] = ()) -> None:
        self._graph = graph
        self._built = its = built(graph, given)
        names = [part.name for part in its.parts]
        self._layer_names = StringVec(names)
        self._blob_names = StringVec(name for name, _ in its.every)
        self._blobs = BlobVec(blob for _, blob in its.every)
        self._layers: Vec[Any] = Vec(_shown(layer) for layer in its.layers)
        self._blobs_by_name = OrderedDict(its.blobs)
        parameters = zip(names, (layer.blobs for layer in its.layers), strict=True)
        self._params = OrderedDict((name, blobs) for name, blobs in parameters if len(blobs))
        self._layer_dict = OrderedDict(zip(names, self._layers, strict=True))
        self._top_names = OrderedDict((part.name, list(part.tops)) for part in its.parts)
        self._bottom_names = OrderedDict((part.name, list(part.bottoms)) for part in its.parts)
        self._input_names, self._output_names = its.inputs(), its.outputs()

    @property
    def blobs(self) -> "OrderedDict[str, Blob]":
        """The blobs by name, in the order in which they are made."""
        return self._blobs_by_name

    @property
    def params(self) -> "OrderedDict[str, BlobVec]":
        """The parameters of each layer that has any, by its name."""
        return self._params

    @property
    def layer_dict(self) -> "OrderedDict[str, Any]":
        """The layers by name."""
        return self._layer_dict

    @property
    def top_names(self) -> "OrderedDict[str, list[str]]":
        """What each layer makes."""
        return self._top_names

    @property
    def bottom_names(self) -> "OrderedDict[str, list[str]]":
        """What each layer reads."""
        return self._bottom_names

    @property
    def layers(self) -> Vec[Any]:
        """The layers in their order: their `type` and `blobs`; a Python layer's own object."""
        return self._layers

    @property
    def inputs(self) -> list[str]:
        """The blobs of Input layers."""
        return list(self._input_names)

    @property
    def outputs(self) -> list[str]:
        """The blobs that no layer reads, in the order of their names."""
        return list(self._output_names)

    @property
    def blob_loss_weights(self) -> "OrderedDict[str, float]":
        """By what each blob counts in the loss, rounded to 32 bits as Caffe has it."""
        return OrderedDict(zip(self._blob_names, self._blob_loss_weights, strict=True))

    @property
    def _blob_loss_weights(self) -> Vec[float]:
        found = dict.fromkeys(self._blobs, 0.0)
        for part, layer in zip(self._built.parts, self._built.layers, strict=True):
            found.update(
                zip(layer.tops, map(float, np.asarray(part.losses, np.float32)), strict=False)
            )
        return Vec(found.values())

    @property
    def _inputs(self) -> IntVec:
        return self._ids(self._built.blobs[name] for name in self.inputs)

    @property
    def _outputs(self) -> IntVec:
        return self._ids(self._built.blobs[name] for name in self.outputs)

    def _top_ids(self, number: int) -> IntVec:
        return self._ids(self._built.layers[number].tops)

    def _bottom_ids(self, number: int) -> IntVec:
        return self._ids(self._built.layers[number].bottoms)

    def _ids(self, blobs: Iterable[Blob]) -> IntVec:
        every = list(self._blobs)
        return IntVec(every.index(blob) for blob in blobs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._graph.prototxt.path}: {len(self.layers)} layers>"


def _shown(layer: Running | Scripted) -> Running | Layer:
    return layer.object if isinstance(layer, Scripted) else layer
