"""What the table of types says of each type is true of it in real Caffe."""

from collections.abc import Iterator
from functools import cache
from math import prod
from typing import NamedTuple

import numpy as np
import pytest
from type_fragments import IT, fragment

from fcnkit.engines.caffe import Question, ask
from fcnkit.formats import schema
from fcnkit.formats.prototxt import Prototxt, parse
from fcnkit.nets.graph import TEST, Layer, build
from fcnkit.nets.layers.table import CAFFE, TYPES, is_pointwise, of
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import shapes_of
from fcnkit.weights import store

SHAPE = (2, 4, 6, 6)
# Other parameters than those of a type's fragment, where the table looks at them.
MORE = {
    "ReLU": ("relu_param { negative_slope: 0.2 }",),
    "ELU": ("elu_param { alpha: 2 }",),
    "Clip": ("clip_param { min: 1 max: 2 }", "clip_param { min: -2 max: 0.5 }"),
    "Power": (
        "power_param { power: 2 }",
        "power_param { power: 0 }",
        "power_param { scale: 3 shift: 1 }",
        "power_param { power: 2 scale: 0 shift: 2 }",
    ),
    "Log": ("log_param { shift: 1 }",),
    "Threshold": ("threshold_param { threshold: -1 }", "threshold_param { threshold: 1 }"),
    "Convolution": ("convolution_param { num_output: 4 kernel_size: 1 bias_term: false }",),
    "Deconvolution": ("convolution_param { num_output: 2 kernel_size: 3 bias_term: false }",),
    "InnerProduct": (
        "inner_product_param { num_output: 5 transpose: true }",
        "inner_product_param { num_output: 5 bias_term: false }",
    ),
    "Scale": ("scale_param { bias_term: true }", "scale_param { bias_term: false }"),
    "BatchNorm": ("batch_norm_param { eps: 0.1 }",),
    "LRN": ("lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 9 }",),
    "MVN": ("mvn_param { across_channels: true }",),
    "Softmax": ("softmax_param { axis: 2 }", "softmax_param { axis: -1 }"),
    "Slice": ("slice_param { axis: 2 }",),
    "Concat": ("concat_param { axis: 2 }",),
    "Tile": ("tile_param { axis: 1 tiles: 2 }", "tile_param { axis: 2 tiles: 2 }"),
    "Flatten": ("flatten_param { axis: 2 }",),
    "Reduction": ("reduction_param { axis: 2 }",),
    "ArgMax": ("argmax_param { axis: 1 }",),
}


class Run(NamedTuple):
    """A layer and what real Caffe makes of some arrays with it."""

    layer: Layer
    blobs: tuple[np.ndarray, ...]
    tops: dict[str, list[np.ndarray]]


def net(kind: str, params: str, tops: int) -> Prototxt:
    dims = " ".join(f"dim: {size}" for size in SHAPE)
    made = " ".join(f'top: "y{number}"' for number in range(tops))
    return parse(
        f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {dims} }} }} }}\n'
        f'layer {{ name: "it" type: "{kind}" bottom: "x" {made} {params} }}\n'
    )


def tried() -> Iterator[tuple[str, str, int]]:
    """Each of Caffe's types that reads one blob, with its parameters and the number of its tops."""
    for kind in CAFFE:
        one = fragment(kind)
        if one.bottoms(SHAPE) == (IT,) and not one.alone and CAFFE[kind].tops[0]:
            for params in dict.fromkeys((one.text(SHAPE), *MORE.get(kind, ()))):
                tops = 2 if kind == "Slice" else one.tops
                yield kind, params, tops


def arrays() -> dict[str, np.ndarray]:
    """What is asked of every layer: noise, and the same otherwise arranged or changed."""
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 2, SHAPE).astype("f4")
    noise[:, :, 2, 3] = -1.5
    one_channel, one_place = noise.copy(), noise.copy()
    one_channel[:, 1] += 1
    one_place[:, ::2, 2, 3] = 1.7
    return {
        "noise": noise,
        "all rearranged": noise.reshape(2, -1)[:, _order()].reshape(SHAPE),
        "channels turned": noise[:, ::-1].copy(),
        "one channel": one_channel,
        "one place": one_place,
        "zero": np.zeros(SHAPE, "f4"),
        "large": 80 * noise,
    }


def _order() -> np.ndarray:
    return np.random.default_rng(5).permutation(prod(SHAPE[1:]))


def weights(layer: Layer, shapes) -> tuple[np.ndarray, ...]:
    """All of them positive, as variances are."""
    rng = np.random.default_rng(9)
    blobs = [rng.uniform(0.5, 2, shape).astype("f4") for shape in shapes.blobs(layer) or ()]
    return tuple(blobs)


@cache
def runs() -> dict[tuple[str, str], Run]:
    """Every layer tried, all of them by one start of Caffe."""
    questions, layers = [], []
    for kind, params, tops in tried():
        own = net(kind, params, tops)
        graph = build(own)
        layer = graph.layer("it")
        blobs = weights(layer, shapes_of(graph))
        stored = store.create().put("it", list(blobs)) if blobs else None
        layers.append((kind, params, layer, blobs))
        for array in arrays().values():
            names = [top.blob for top in layer.tops]
            questions.append(Question("run", own, stored, {"x": array}, names, TEST))
    answers = iter(ask(questions))
    found = {}
    for kind, params, layer, blobs in layers:
        tops = {
            name: [np.nan_to_num(found_[top.blob]) for top in layer.tops]
            for name, found_ in ((name, next(answers)) for name in arrays())
        }
        found[kind, params] = Run(layer, blobs, tops)
    return found


@pytest.fixture(params=list(tried()), ids=lambda one: f"{one[0]} {one[1]}".strip())
def run(request, caffe) -> Run:
    kind, params, _ = request.param
    return runs()[kind, params]


def test_every_message_and_field_is_caffes():
    slots = schema.slots("LayerParameter")
    for kind in CAFFE.values():
        for name in (*filter(None, [kind.message]), *kind.reads):
            assert name in slots, kind.name
        if kind.outputs:
            assert kind.outputs in schema.slots(slots[kind.message].message), kind.name


def test_every_type_has_a_trait_that_goes_with_its_sizes():
    for kind in TYPES.values():
        assert (kind.trait is Trait.SINK) == (kind.tops == (0, 0)), kind.name
        assert kind.trait is not Trait.SOURCE or kind.bottoms[0] == 0 or kind.sized is not None
        assert not kind.linear or kind.outputs, kind.name
        assert not kind.folds or kind.trait is Trait.CHANNEL, kind.name


def test_a_layer_that_acts_on_each_value_alone(run):
    if is_pointwise(run.layer):
        for found, moved in zip(run.tops["noise"], run.tops["all rearranged"], strict=True):
            again = found.reshape(2, -1)[:, _order()].reshape(SHAPE)
            np.testing.assert_allclose(moved, again, rtol=1e-6)


def test_an_identity(run):
    if of(run.layer).identity(run.layer):
        for found in run.tops["noise"]:
            assert np.array_equal(found.ravel(), arrays()["noise"].ravel())


def test_kept_channels_stay_apart(run):
    kind = of(run.layer)
    if kind.trait is not Trait.NORMAL and kind.kept_channels(run.layer):
        for before, after in zip(run.tops["noise"], run.tops["one channel"], strict=True):
            others = [channel for channel in range(SHAPE[1]) if channel != 1]
            assert before.shape[1] == SHAPE[1]
            assert np.array_equal(before[:, others], after[:, others])


def test_channels_that_are_kept_alike_may_be_turned(run):
    kind = of(run.layer)
    alike = kind.trait in (Trait.VALUE, Trait.PLACES, Trait.ARRANGES)
    if alike and kind.kept_channels(run.layer):
        for before, after in zip(run.tops["noise"], run.tops["channels turned"], strict=True):
            np.testing.assert_allclose(after, before[:, ::-1], rtol=1e-6)


def test_one_point_sees_one_point(run):
    kind = of(run.layer)
    by_place = (Trait.VALUE, Trait.CHANNEL, Trait.NORMAL)
    if kind.trait in by_place and kind.window(run.layer) == ():
        for before, after in zip(run.tops["noise"], run.tops["one place"], strict=True):
            changed = np.argwhere(np.abs(before - after).max(axis=(0, 1)) > 1e-5)
            constant = np.ptp(before) == 0  # Power of 0, or with a scale of 0
            assert changed.tolist() == ([] if constant else [[2, 3]])


def test_several_points_are_seen_where_the_window_says_so(run):
    kind = of(run.layer)
    if kind.trait is Trait.NORMAL and kind.window(run.layer) != ():
        (before,), (after,) = run.tops["noise"], run.tops["one place"]
        assert (np.abs(before - after).max(axis=(0, 1)) > 1e-6).sum() > 1


def test_what_becomes_of_zero(run):
    kind = of(run.layer)
    zero = all(not found.any() for found in run.tops["zero"])
    if kind.keeps_zero(run.layer):
        assert zero
    elif kind.trait in (Trait.VALUE, Trait.CHANNEL, Trait.MIXES) and kind.name != "Embed":
        assert not zero


def test_bounds(run):
    kind = of(run.layer)
    low, high = kind.range(run.layer)
    found = np.concatenate([found.ravel() for found in run.tops["large"]])
    assert found.min() >= low - 1e-6 and found.max() <= high + 1e-6
    if kind.trait is Trait.VALUE and is_pointwise(run.layer):
        reaches = found.max() - found.min()
        assert not kind.saturates(run.layer) or reaches >= 0.9 * (high - low)


def test_the_axis_of_the_outputs(run):
    kind = of(run.layer)
    if kind.linear:
        count = run.layer.param(kind.message).get(kind.outputs)
        assert run.blobs[0].shape[kind.output_axis(run.layer)] == count


def test_factors_and_summands(run):
    affine = of(run.layer).affine(run.layer)
    if affine is None:
        return

    def part(number: int | None, default: float) -> np.ndarray:
        return np.full(SHAPE[1], default) if number is None else run.blobs[number].astype("f8")

    count = float(run.blobs[affine.divisor][0]) if affine.divisor is not None else 1.0
    x = arrays()["noise"].astype("f8") - _by_channel(part(affine.mean, 0) / count)
    if affine.variance is not None:
        x = x / np.sqrt(_by_channel(part(affine.variance, 1) / count) + affine.eps)
    want = x * _by_channel(part(affine.factor, 1)) + _by_channel(part(affine.summand, 0))
    np.testing.assert_allclose(run.tops["noise"][0], want, rtol=1e-4, atol=1e-4)
    assert affine.blobs == len(run.blobs)


def _by_channel(values: np.ndarray) -> np.ndarray:
    return values.reshape(1, -1, 1, 1)


# ---- gradients of several passes

_SUMMED = 'layer { name: "loss" type: "Reduction" bottom: "y" top: "loss" loss_weight: 1 }\n'
_OUTPUTS, _FILLED = "num_output: 2", 'weight_filler { type: "constant" value: 0.1 }'
# Every type that learns by gradients: its parameters, and the sizes of its bottoms for `n` images.
LEARNS = {
    "Convolution": (f"convolution_param {{ {_OUTPUTS} kernel_size: 1 }}", "x", "{n} 3 2 2"),
    "Deconvolution": (f"convolution_param {{ {_OUTPUTS} kernel_size: 1 }}", "x", "{n} 3 2 2"),
    "InnerProduct": (f"inner_product_param {{ {_OUTPUTS} }}", "x", "{n} 3 2 2"),
    "Embed": (f"embed_param {{ {_OUTPUTS} input_dim: 9 }}", "x", "{n} 3"),
    "PReLU": ("", "x", "{n} 3 2 2"),
    "Scale": ("", "x", "{n} 3 2 2"),
    "Bias": ("", "x", "{n} 3 2 2"),
    "Parameter": ("parameter_param { shape { dim: 2 dim: 3 } }", "", ""),
    "LSTM": (f"recurrent_param {{ {_OUTPUTS} {_FILLED} }}", "x on", "2 {n} 3|2 {n}"),
    "RNN": (f"recurrent_param {{ {_OUTPUTS} {_FILLED} }}", "x on", "2 {n} 3|2 {n}"),
}


def learner(kind: str, images: int, passes: int) -> Question:
    params, bottoms, sizes = LEARNS[kind]
    shapes = [tuple(map(int, one.split())) for one in sizes.format(n=images).split("|") if one]
    given = dict(zip(bottoms.split(), shapes, strict=True))
    heads = "".join(
        f'input: "{name}" input_shape {{ {" ".join(f"dim: {size}" for size in shape)} }}\n'
        for name, shape in given.items()
    )
    wires = " ".join(f'bottom: "{name}"' for name in given)
    text = f'{heads}layer {{ name: "l" type: "{kind}" {wires} top: "y" {params} }}\n{_SUMMED}'
    inputs = {
        name: (np.arange(prod(shape)) % 9 - 4.0 * (kind == "PReLU")).reshape(shape)
        for name, shape in given.items()
    }
    if "on" in inputs:
        inputs["on"][...] = 0  # nothing is carried over from the pass before
    return Question("gradients", parse(text), None, inputs, passes=passes)


def test_every_type_that_learns_is_asked_what_becomes_of_a_second_pass():
    assert LEARNS.keys() == {name for name, kind in CAFFE.items() if kind.learns} - {"BatchNorm"}


def test_gradients_that_caffe_overwrites_are_known(caffe):
    asked = [(kind, images) for kind in LEARNS for images in (1, 2)]
    answers = ask([learner(*each, passes) for each in asked for passes in (1, 2)])
    for number, (kind, images) in enumerate(asked):
        one, two = (answer.params["l"][0] for answer in answers[2 * number : 2 * number + 2])
        net = learner(kind, images, 1).net
        layer = build(net).layer("l")
        over = of(layer).overwrites(layer, shapes_of(build(net)).bottoms(layer))
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(two, one if over else 2 * one, rtol=1e-5, err_msg=kind)
