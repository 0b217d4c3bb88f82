"""Nets of one layer, as text, and what fcnkit and real Caffe say of them."""

from fcnkit.errors import NetError
from fcnkit.formats import prototxt
from fcnkit.nets import graph, shapes

CONV = "convolution_param {{ num_output: 4 {} }}".format
POOL = "pooling_param {{ {} }}".format


def source(name: str, *shape: int) -> str:
    dims = " ".join(f"dim: {size}" for size in shape)
    what = f"input_param {{ shape {{ {dims} }} }}"
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" {what} }}\n'


def declare(kind: str, params: str = "", *, bottoms=("a",), tops=("t",), name: str = "x") -> str:
    words = [f'bottom: "{blob}"' for blob in bottoms] + [f'top: "{blob}"' for blob in tops]
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join(words)} {params} }}\n'


def net(kind: str, params: str = "", *inputs: tuple[int, ...], tops: int = 1) -> str:
    """One layer of this type, on inputs a, b, ... of these shapes, with tops t, u, ..."""
    bottoms = "abcdef"[: len(inputs)]
    sources = "".join(source(name, *shape) for name, shape in zip(bottoms, inputs, strict=True))
    return sources + declare(kind, params, bottoms=bottoms, tops="tuvwxyz"[:tops])


def infer(text: str) -> shapes.Shapes:
    return shapes.shapes_of(graph.build(prototxt.parse(text, "net.prototxt")))


def outcome(text: str) -> "list | str":
    """The shapes of the last layer's tops, then those of its parameters; or the error."""
    try:
        found = infer(text)
    except NetError as error:
        return str(error)
    layer = found.graph.layers[-1]
    return [[found.tops[top] for top in layer.tops], found.blobs(layer)]


def layer_of(kind: str, params: str = "") -> graph.Layer:
    return graph.build(prototxt.parse(net(kind, params, (1, 2, 9, 9)), "net.prototxt")).layers[-1]


def check_tops_and_parameters(caffe, cases) -> None:
    """Real Caffe builds every (kind, params, inputs,
    tops, ...) with the shapes that fcnkit gives.
    """
    texts = [net(kind, params, *inputs, tops=len(tops)) for kind, params, inputs, tops, *_ in cases]
    nets = [prototxt.parse(text) for text in texts]
    asked = [
        caffe.Question(action, one, values=False) for action in ("shapes", "params") for one in nets
    ]
    answers = caffe.ask(asked)
    for text, blobs, params in zip(texts, answers, answers[len(nets) :], strict=False):
        tops, ours = outcome(text)
        assert not isinstance(blobs, Exception), f"{blobs}: {text}"
        assert [blobs.get(blob) for blob in "tuvwxyz"[: len(tops)]] == tops, text
        assert [tuple(shape) for shape in params.get("x", [])] == ours, text


def check_refused(caffe, texts) -> None:
    """Real Caffe refuses each of these too, or builds blobs of size 0, which it cannot run."""
    answers = caffe.ask([caffe.Question("shapes", prototxt.parse(text)) for text in texts])
    for text, answer in zip(texts, answers, strict=True):
        assert isinstance(answer, Exception) or any(0 in shape for shape in answer.values()), text
