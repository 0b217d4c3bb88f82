"""What the families share: images and labels, layers that learn, and the ends of a classifier."""

from typing import Any

from fcnkit.pycaffe import TEST, TRAIN, NetSpec, either
from fcnkit.pycaffe import layers as L  # noqa: N812
from fcnkit.pycaffe import params as P  # noqa: N812
from fcnkit.pycaffe.fields import Fields
from fcnkit.pycaffe.tops import Top

CLASSES = 1000
# Weights, then biases.
RATES = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]
MSRA = {"type": "msra"}
XAVIER = {"type": "xavier"}
ZERO = {"type": "constant"}


def images(
    n: NetSpec, size: int, mean: list[float], batches: tuple[int, int],
    *, mirror: bool = True, **more: Any,
) -> Top:  # fmt: skip
    """The tops `data`, which is returned, and `label`, of the batches of TRAIN and TEST.

    Images of 256x256 are cropped to `size` and lose their mean colour, in BGR order; in
    training half of them are mirrored.
    """
    seen: Fields = {"crop_size": size, "mean_value": mean} | more
    trained = {"mirror": True} | seen if mirror else seen
    common: Fields = {"backend": P.Data.LMDB, "ntop": 2}
    n.data, n.label = either(
        L.Data(
            source="train_lmdb", batch_size=batches[0], transform_param=trained,
            include={"phase": TRAIN}, **common,
        ),
        L.Data(
            source="val_lmdb", batch_size=batches[1], transform_param=seen,
            include={"phase": TEST}, **common,
        ),
    )  # fmt: skip
    return n.data


def about(words: str, size: int, mean: list[float], scale: float = 1) -> str:
    """The net's comment: what it is, and what it wants of an image."""
    colour = f"mean {', '.join(f'{each:g}' for each in mean)} subtracted"
    scaled = "" if scale == 1 else f", times {scale}"
    image = f"one of 256x256 cropped to {size}x{size}, BGR, {colour}{scaled}"
    return f"{words}\nImage: {image}; labels 0..999."


def learned(weights: dict[str, Any] = MSRA, biases: dict[str, Any] | None = ZERO) -> dict[str, Any]:
    """Fillers and rates of a layer; without biases where these have no filler."""
    if biases is None:
        return {"weight_filler": weights, "bias_term": False, "param": RATES[:1]}
    return {"weight_filler": weights, "bias_filler": biases, "param": RATES}


def convolution(
    n: NetSpec, name: str, bottom: Top, count: int, kernel: int, how: dict[str, Any],
    **fields: Any,
) -> Top:  # fmt: skip
    """A convolution that keeps the size, but for a stride; fields of 1, as people write, are not
    written.
    """
    window: Fields = {"pad": kernel // 2} if kernel > 1 else {}
    window |= {key: value for key, value in fields.items() if value > 1}
    n[name] = L.Convolution(bottom, num_output=count, kernel_size=kernel, **window, **how)
    return n[name]


def pool(n: NetSpec, name: str, bottom: Top, kernel: int, stride: int, **fields: Any) -> Top:
    """A max pooling, or another one that `fields` say."""
    fields = {"pool": P.Pooling.MAX} | fields
    n[name] = L.Pooling(bottom, kernel_size=kernel, stride=stride, **fields)
    return n[name]


def relu(n: NetSpec, name: str, bottom: Top) -> Top:
    """A ReLU in place."""
    n[name] = L.ReLU(bottom, in_place=True)
    return n[name]


def normal(n: NetSpec, bn: str, scale: str, bottom: Top, *, in_place: bool = True) -> Top:
    """A BatchNorm with the Scale that learns for it, in place."""
    n[bn] = L.BatchNorm(bottom, in_place=in_place)
    rates = [{"lr_mult": 1, "decay_mult": 0}] * 2
    n[scale] = L.Scale(n[bn], in_place=True, bias_term=True, param=rates)
    return n[scale]


def dense(n: NetSpec, number: int, bottom: Top, outputs: int, **how: Any) -> Top:
    """fc6 or fc7 with its ReLU and its Dropout."""
    n[f"fc{number}"] = L.InnerProduct(bottom, num_output=outputs, **how)
    n[f"relu{number}"] = L.ReLU(n[f"fc{number}"], in_place=True)
    n[f"drop{number}"] = L.Dropout(n[f"relu{number}"], in_place=True, dropout_ratio=0.5)
    return n[f"drop{number}"]


def ends(n: NetSpec, scores: Top) -> NetSpec:
    """The net with its accuracy and its loss."""
    n.accuracy = L.Accuracy(scores, n.label, include={"phase": TEST})
    n.loss = L.SoftmaxWithLoss(scores, n.label)
    return n
