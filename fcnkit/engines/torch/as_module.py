"""`fk.module`: a Caffe net and its weights become a module of PyTorch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fcnkit.engines.engine import TEST
from fcnkit.engines.torch.engine import check_installed
from fcnkit.errors import NetError, WeightsError
from fcnkit.formats.prototxt import NetOrPath
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Graph, State, Top, build
from fcnkit.shape import Shape
from fcnkit.weights import store
from fcnkit.weights.store import GivenWeights, Weights

if TYPE_CHECKING:
    from fcnkit.engines.torch.module import CaffeModule
    from fcnkit.engines.torch.parameters import Learned
    from fcnkit.engines.torch.wiring import Wiring


def module(
    net: NetOrPath,
    weights: GivenWeights = None,
    *,
    outputs: str | Sequence[str] | None = None,
    inputs: Mapping[str, Shape] | None = None,
    state: State = TEST,
    strict: bool = True,
    seed: int = 1,
) -> "CaffeModule":
    """The net is a torch.nn.Module that computes what Caffe computes, values and gradients.

    >>> import torch
    >>> module = fk.module("deploy.prototxt", "net.caffemodel")
    >>> image = torch.zeros(2, 1, 28, 28)  # as Caffe takes it: of colours BGR, less the mean
    >>> module(image).shape
    torch.Size([2, 11])
    >>> fk.module("deploy.prototxt", "net.caffemodel", outputs=["pool2", "ip1"])(image)["ip1"].shape
    torch.Size([2, 80])
    >>> module.state_dict()["conv1.weight"].shape
    torch.Size([16, 1, 5, 5])
    >>> fk.weights(module).save("new.caffemodel")

    It is called with a tensor for each input, in order or by the blob's name.
    One output is a tensor; several are a dict by blob name.

    `weights` is a path or a Weights.  A layer that it lacks is an error unless
    `strict` is False; then, and without weights, the layer begins as its
    fillers say, from `seed`: with zeros where it names none, a Scale with 1, a
    PReLU with 0.25.
    `outputs` are the blobs that come out, any of the net's, by default those
    that no layer reads; what they do not need is left out.  A blob that layers
    change in place is as the last of them leaves it.
    `inputs` are shapes by blob name, where the prototxt says none or others.
    Batch, height and width may differ from call to call, as far as the layers
    can take it; channels, and what an InnerProduct reads, may not.
    `state` says which layers there are.  The phase of Dropout and BatchNorm is
    TRAIN after `module.train()` and TEST after `module.eval()`; the module begins
    in that of `state`.

    Parameters are called `<layer>.weight` and `<layer>.bias` and have Caffe's
    shapes.  Those with lr_mult 0 begin with `requires_grad` False.  A
    BatchNorm's are the buffers `mean`, `variance` and `factor`; the first two
    are stored times the third, as in Caffe.

    `net` is a Prototxt or its path.  Returns a CaffeModule.

    Raises EngineError without PyTorch and for a layer that it does not run;
    NetError for a net, a blob or sizes that cannot be; WeightsError for weights
    that are missing or of other shapes.  The module raises NetError for inputs
    that it cannot take.
    """
    prototxt = given_net(net)
    stored = None if weights is None else store.given(weights)
    check_installed()
    from fcnkit.engines.torch.module import CaffeModule
    from fcnkit.engines.torch.wiring import wired

    graph = build(prototxt, state)
    wanted = _wanted(graph, outputs)
    wiring, learned = wired(graph, inputs or {}, wanted, seed=seed, given=[*(stored or ())])
    if stored is not None:
        _load(wiring, learned, stored, strict=strict)
    return CaffeModule(wiring, learned)


def _wanted(graph: Graph, outputs: str | Sequence[str] | None) -> list[Top]:
    if outputs is None:
        found = graph.outputs
    else:
        names = [outputs] if isinstance(outputs, str) else outputs
        found = tuple(graph.top(blob) for blob in names)
    if not found:
        raise NetError(f"{graph.prototxt.path}: no outputs; name a blob in outputs")
    return [*dict.fromkeys(found)]


def _load(
    wiring: "Wiring", learned: "Sequence[Learned]", weights: Weights, *, strict: bool
) -> None:
    """The parameters are those of the file; WeightsError where it lacks some and that matters."""
    from fcnkit.engines.torch.parameters import load

    if strict:
        _check_whole(wiring, weights)
    kept = {layer.name for layer in wiring.kept}
    others = {layer.name for layer in wiring.graph.layers} - kept
    load(wiring.graph, wiring.uses, learned, weights.drop(*(others & weights.keys())))


def _check_whole(wiring: "Wiring", weights: Weights) -> None:
    """Of every parameter a layer that has it is in the file."""
    there = {
        use.number
        for layer in wiring.kept
        if layer.name in weights
        for use in wiring.uses[layer.index]
    }
    lacking = [
        layer
        for layer in wiring.kept
        if any(use.number not in there for use in wiring.uses[layer.index])
    ]
    if not lacking:
        return
    first = lacking[0]
    more = f" and {len(lacking) - 1} more of the net's layers" * (len(lacking) > 1)
    place = f"{wiring.graph.prototxt.path}:{first.line}"
    raise WeightsError(
        f'{weights.path}: has no layer "{first.name}" ({place}){more}; give the weights that '
        "belong to this net, transplant them, or give strict=False to begin with fillers"
    )
