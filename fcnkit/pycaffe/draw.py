"""caffe.draw: a net's message as a graph of Graphviz.

Graphviz comes with pygraphviz; neither pydot nor the program `dot` is needed.  `fcnkit draw`
draws nets too, with their shapes, as SVG.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnkit.formats.with_forks import message
from fcnkit.libraries import load

if TYPE_CHECKING:
    from google.protobuf.message import Message

_FILLED = {"style": "filled"}
_BLOB = {"shape": "octagon", "fillcolor": "#E0E0E0", **_FILLED}
_IN_PLACE = {"shape": "record", "fillcolor": "#90EE90", **_FILLED}
_COLOURS = {
    "Convolution": "#FF5050",
    "Deconvolution": "#FF5050",
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
}
_OTHERS = "#6495ED"
_LEARNS = ("Convolution", "Deconvolution", "InnerProduct")


class Graph:
    """A graph of Graphviz, with those of pydot's methods that scripts draw with."""

    def __init__(self, name: str, rankdir: str) -> None:
        self.name, self.rankdir = name, rankdir
        # What each node shows, by its name, and what stands on the lines from one to another.
        self.nodes: dict[str, dict[str, str]] = {}
        self.edges: list[tuple[str, str, str]] = []

    def to_string(self) -> str:
        """The graph in Graphviz's language."""
        lines = [f"digraph {_quoted(self.name)} {{", f"rankdir={self.rankdir};"]
        lines += [f"{_quoted(name)} [{_said(shown)}];" for name, shown in self.nodes.items()]
        lines += [
            f"{_quoted(start)} -> {_quoted(end)} [{_said({'label': label})}];"
            for start, end, label in self.edges
        ]
        return "\n".join([*lines, "}", ""])

    def create(self, prog: str | None = None, format: str = "png") -> bytes:
        """A picture in this format, laid out by `prog`, Graphviz's dot unless said.

        Raises EngineError without pygraphviz, ValueError for a format that is not Graphviz's.
        """
        if format == "raw":
            return self.to_string().encode()
        graph = load("pygraphviz", "draw").AGraph(string=self.to_string())
        try:
            found: bytes = graph.draw(format=format, prog=prog or "dot")
        except (TypeError, ValueError) as error:  # pygraphviz trips over a format it has not got
            fact = f'Graphviz makes no "{format}" with {prog or "dot"} ({error})'
            raise ValueError(f"{fact}; give png, svg or pdf") from None
        return found

    def write(
        self, path: str | os.PathLike[str], prog: str | None = None, format: str = "raw"
    ) -> bool:
        """The file at `path` is the picture; True, as pydot says."""
        Path(path).write_bytes(self.create(prog, format))
        return True

    def create_png(self) -> bytes:
        """The picture as PNG."""
        return self.create(format="png")

    def write_png(self, path: str | os.PathLike[str]) -> bool:
        """The file at `path` is a PNG."""
        return self.write(path, format="png")

    def write_pdf(self, path: str | os.PathLike[str]) -> bool:
        """The file at `path` is a PDF."""
        return self.write(path, format="pdf")

    def write_svg(self, path: str | os.PathLike[str]) -> bool:
        """The file at `path` is an SVG."""
        return self.write(path, format="svg")


def _quoted(text: str) -> str:
    """Text in Graphviz's quotes; the line break `\\n` of a label stays one."""
    return '"' + text.replace('"', '\\"') + '"'


def _said(attributes: dict[str, str]) -> str:
    return ", ".join(f"{name}={_quoted(value)}" for name, value in attributes.items())


def get_pydot_graph(
    caffe_net: "Message",
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Graph:
    """The graph of a NetParameter: a box for each layer, an octagon for each blob that is read.

    `rankdir` is "LR", "TB" or "BT"; with a `phase` only its layers are there, and with
    `display_lrm` the learning rates' multipliers are.

    Raises ValueError for a layer that has include and exclude both.
    """
    graph = Graph(caffe_net.name or "Net", rankdir)
    for layer in caffe_net.layer:
        if phase is not None and not _is_in(layer, phase):
            continue
        own = f"{layer.name}_{layer.type}"
        graph.nodes[own] = {"label": get_layer_label(layer, rankdir, display_lrm), **_style(layer)}
        for blob in layer.bottom:
            graph.nodes[f"{blob}_blob"] = {"label": blob, **_BLOB}
            graph.edges.append((f"{blob}_blob", own, ""))
        label = get_edge_label(layer) if label_edges else ""
        for blob in layer.top:
            graph.nodes[f"{blob}_blob"] = {"label": blob}
            graph.edges.append((own, f"{blob}_blob", label))
    return graph


def _is_in(layer: "Message", phase: int) -> bool:
    if layer.include and layer.exclude:
        raise ValueError(f"layer {layer.name} has both include and exclude specified.")
    included = not layer.include or any(each.phase == phase for each in layer.include)
    return included and not any(each.phase == phase for each in layer.exclude)


def _style(layer: "Message") -> dict[str, str]:
    if len(layer.bottom) == 1 and list(layer.bottom) == list(layer.top):
        return _IN_PLACE
    return {"shape": "record", "fillcolor": _COLOURS.get(layer.type, _OTHERS), **_FILLED}


def get_edge_label(layer: "Message") -> str:
    """What stands on the line to a layer's top: how many images or channels it makes."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return ""


def get_layer_label(layer: "Message", rankdir: str, display_lrm: bool = False) -> str:
    """What stands in a layer's box: its name, its type and its window."""
    between = " " if rankdir in ("TB", "BT") else r"\n"
    return between.join(_words(layer, between, display_lrm))


def _words(layer: "Message", between: str, display_lrm: bool) -> Iterator[str]:
    yield layer.name
    if layer.type == "Pooling":
        window: Any = layer.pooling_param
        yield f"(Pooling {_pooling(window.pool)})"
        yield _window(window.kernel_size, window.stride, window.pad, between)
    else:
        yield f"({layer.type})"
    if layer.type in ("Convolution", "Deconvolution"):
        window = layer.convolution_param
        kernel, stride = _first(window.kernel_size, 1), _first(window.stride, 1)
        yield _window(kernel, stride, _first(window.pad, 0), between)
    if display_lrm and layer.type in _LEARNS:
        rates = _rates(layer)
        if any(rates):
            yield "lr mult: {:.1f}, {:.1f}".format(*rates)


def _first(sizes: Sequence[int], default: int) -> int:
    return sizes[0] if sizes else default


def _window(kernel: int, stride: int, pad: int, between: str) -> str:
    return between.join([f"kernel size: {kernel}", f"stride: {stride}", f"pad: {pad}"])


def _pooling(number: int) -> str:
    methods = message("PoolingParameter").DESCRIPTOR.enum_types_by_name["PoolMethod"]
    found: str = methods.values_by_number[number].name
    return found


def _rates(layer: "Message") -> tuple[float, float]:
    """What the rate is multiplied by for weights and bias."""
    found = [each.lr_mult for each in layer.param]
    if len(found) > 2:
        raise ValueError("Could not parse the learning rate multiplier")
    first, second = (found + [1.0, 1.0])[:2] if len(found) < 2 else found
    return first, second


def draw_net(
    caffe_net: "Message",
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """The picture of a NetParameter, in the format `ext`."""
    graph = get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm)
    return graph.create(format=ext)


def draw_net_to_file(
    caffe_net: "Message",
    filename: str,
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """The file is the picture of a NetParameter, in the format that its ending says.

    An ending `.raw` has the graph itself, in Graphviz's language.
    """
    ext = filename[filename.rfind(".") + 1 :]
    Path(filename).write_bytes(draw_net(caffe_net, rankdir, ext, phase, display_lrm))
