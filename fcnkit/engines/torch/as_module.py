"""`fk.module`: a Caffe net and its weights become a module of PyTorch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fcnkit import expected
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


@expected.checked
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
    """Makes a torch.nn.Module of the net, with the values and gradients that Caffe computes.

    >>> import torch
    >>> module = fk.module("deploy.prototxt", "net.caffemodel")
    >>> image = torch.zeros(2, 1, 28, 28)  # as Caffe takes it: BGR if in colour, mean subtracted
    >>> module(image).shape
    torch.Size([2, 11])
    >>> fk.module("deploy.prototxt", "net.caffemodel", outputs=["pool2", "ip1"])(image)["ip1"].shape
    torch.Size([2, 80])
    >>> module.state_dict()["conv1.weight"].shape
    torch.Size([16, 1, 5, 5])
    >>> fk.weights(module).save("new.caffemodel")

    Call the module with one tensor for each input, in order or by the name of the blob. It
    returns a tensor for a single output, and a dict by blob name for several. Batch, height and
    width may change from call to call, as far as the layers allow; channels, and the size that
    an InnerProduct reads, may not.

    The parameters of a layer are `<layer>.weight` and `<layer>.bias`, in Caffe's shapes. Those
    with lr_mult 0 have `requires_grad` False. A BatchNorm has the buffers `mean`, `variance`
    and `factor`; as in Caffe, the first two are stored multiplied by the third.

    - `net`: a Prototxt or its path.
    - `weights`: Weights or their path.
    - `outputs`: the blobs to return, in place of those that no layer reads. Layers that they do
      not need are left out. A blob that layers change in place is returned as the last of them
      leaves it.
    - `inputs`: shapes by blob name, if the prototxt has none or other ones.
    - `state`: a State, which decides the set of layers; by default TEST. The module starts in
      its phase. `module.train()` switches Dropout and BatchNorm to TRAIN, and `module.eval()`
      to TEST.
    - `strict`: with False, `weights` may lack layers. Such layers start from their fillers,
      from zeros without a filler, a Scale from 1, a PReLU from 0.25. The same happens without
      `weights`.
    - `seed`: the random seed of the fillers.

    Returns a CaffeModule.

    Raises EngineError without PyTorch, and for a layer that it does not run; NetError for an
    impossible net, blob or size; WeightsError for weights that are missing or have other
    shapes. The module itself raises NetError for inputs that it cannot take.
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
