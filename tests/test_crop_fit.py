"""Whether crops fit: the periodic proof against every size, and against real Caffe."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sketches import conv, crop, data, deconv, graph, layer, pool, relu, template, thin

import fcnkit as fk
from fcnkit.errors import AlignError, NetError
from fcnkit.nets.coordmap import IDENTITY
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.nets.sizes import Sizes, crop_fit, track

LARGEST = 400


def sizes_of(found, cropped: str, reference: str = "data") -> Sizes:
    start = found.inputs[0]
    return Sizes(
        found, start, shapes_of(found).tops[start], (found.top(cropped), found.top(reference))
    )


def slack(found, size: int, cropped: str, reference: str, offset: int) -> int | None:
    """By inference of the whole net at this one size; None where it cannot be built."""
    try:
        tops = shapes_of(found, {"data": (1, 1, size, size)}).tops
    except NetError:
        return None
    return tops[found.top(cropped)][2] - offset - tops[found.top(reference)][2]


def checked(found, cropped, reference, offset, least):
    over, under = (track(found.top(blob), IDENTITY) for blob in (cropped, reference))
    return crop_fit(sizes_of(found, cropped, reference), over, under, (offset,) * 2, least)


WINDOW = st.tuples(
    st.sampled_from(["conv", "pool"]), st.integers(1, 7), st.integers(1, 4), st.integers(0, 3)
)


def drawn(windows, up):
    layers, last = [data(1, 1, 400, 400)], "data"
    for number, (kind, kernel, stride, pad) in enumerate(windows):
        name = f"w{number}"
        if kind == "conv":
            layers.append(conv(name, last, 1, kernel, f"stride: {stride} pad: {pad}"))
        else:
            layers.append(pool(name, last, kernel, stride, f"pad: {min(pad, kernel - 1)}"))
        last = name
    total = 1
    for _, _, stride, _ in windows:
        total *= stride
    return graph(*layers, deconv("up", last, 1, 2 * total + up, total))


# ---- laws


@given(
    st.lists(WINDOW, min_size=1, max_size=3),
    st.integers(-1, 0),
    st.integers(0, 9),
    st.integers(1, 40),
)
@settings(max_examples=25, deadline=None)
def test_the_periodic_proof_is_the_brute_force(windows, up, offset, least):
    found = drawn(windows, up)
    every = {size: slack(found, size, "up", "data", offset) for size in range(least, LARGEST + 1)}
    said = checked(found, "up", "data", offset, least)
    assert said.valid == all(value is not None and value >= 0 for value in every.values())
    if None not in every.values():
        assert said.slack == min(every.values())
        assert every[said.size] == said.slack
    else:
        assert said.slack is None and every[said.size] is None


# ---- tables


@pytest.mark.parametrize(
    ("name", "kernel", "pad", "least", "offset"),
    [
        ("alexnet", 63, 85, 32, 3),
        ("alexnet", 63, 99, 1, 17),
        ("vgg16", 64, 82, 32, 1),
        ("vgg16", 64, 97, 1, 16),
    ],
)
def test_the_smallest_pads_of_published_nets(name, kernel, pad, least, offset):
    plan = fk.fcn(template(name), classes=21, stride=32, least=least)
    assert f"pad {pad}" in plan.table() and plan.offsets[-1].offset == (offset, offset)
    assert f"kernel_size: {kernel}" in plan.net.text
    with pytest.raises(AlignError):
        fk.fcn(template(name), classes=21, stride=32, pad=pad - 1, least=least)


@pytest.mark.parametrize(
    ("name", "stride", "low", "high"),
    [("alexnet", 32, 15, 46), ("vgg16", 32, 19, 50), ("vgg16", 16, 27, 58), ("vgg16", 8, 31, 62)],
)
def test_the_slack_with_pad_100_is_what_was_published(name, stride, low, high):
    plan = fk.fcn(template(name), classes=21, stride=stride, pad=100, least=1)
    found, last = build(plan.net), plan.offsets[-1]
    cropped = found.top(last.cropped)
    sizes = Sizes(found, found.inputs[0], (1, 3, 500, 500), (cropped,))
    every = [sizes.at(size)[cropped][2] - last.offset[0] - size for size in range(1, 300)]
    assert (min(every), max(every)) == (low, high)


# ---- hostile


def test_a_net_that_cannot_be_built_is_no_fit():
    found = graph(data(1, 1, 50, 50), conv("c", "data", 1, 33), deconv("up", "c", 1, 4, 2))
    said = checked(found, "up", "data", 0, 5)
    assert (said.slack, said.size, said.valid) == (None, 5, False)


def stepped(size: int, *more: str):
    """A net whose upsampled top is 1, 0, -1, -2 pixels larger than needed at offset 10, in turn."""
    return graph(
        data(1, 1, size, size),
        conv("c", "data", 1, 3, "pad: 3"),
        pool("p", "c", 3, 4),
        deconv("u", "p", 1, 7, 4),
        *more,
    )


def test_a_crop_within_the_way_must_fit_too():
    found = stepped(48, crop("d", "u", "data", 10), conv("e", "d", 1, 3, "pad: 6"))
    said = checked(found, "e", "data", 3, 48)
    assert (said.slack, said.size) == (None, 50)


def test_a_mask_or_a_second_top_does_no_harm():
    text = layer(
        "pool", "Pooling", "data", more='top: "mask" pooling_param { kernel_size: 2 stride: 2 }'
    )
    found = graph(data(1, 1, 50, 50), text, relu("pool"), deconv("up", "pool", 1, 4, 2))
    assert checked(found, "up", "data", 1, 1).slack == 1


# ---- real Caffe


def odd_sizes(least):
    """Sizes that no stride divides, from the least up; height and width differ."""
    heights = [least, least + 1, least + 13, least + 30]
    return [(height, width) for height, width in product(heights, heights[:2])][:6]


def test_scores_have_the_images_size_in_caffe(caffe):
    questions, wanted = [], []
    for name, stride, options in [
        ("alexnet", 32, {}),
        ("alexnet", 32, {"pad": 100}),
        ("alexnet", 16, {}),
        ("alexnet", 8, {}),
        ("vgg16", 32, {}),
        ("vgg16", 16, {}),
        ("vgg16", 8, {}),
        ("vgg16", 8, {"pad": 100, "least": 1}),
        ("caffenet", 8, {"least": 50}),
        ("alexnet", 16, {"least": 1}),
    ]:
        plan = fk.fcn(thin(name), classes=3, stride=stride, **options)
        for height, width in odd_sizes(options.get("least", 32)):
            questions.append(
                caffe.Question("shapes", plan.net, inputs={"data": (1, 3, height, width)})
            )
            wanted.append((name, stride, (1, 3, height, width)))
    for answer, (name, stride, shape) in zip(caffe.ask(questions), wanted, strict=True):
        assert not isinstance(answer, Exception), (name, stride, shape, answer)
        assert answer["score"] == shape, (name, stride)


def test_caffe_refuses_the_sizes_that_do_not_fit(caffe):
    sizes, cut = range(9, 21), crop("score", "u", "data", 10)
    fits = [slack(stepped(size), size, "u", "data", 10) >= 0 for size in sizes]
    assert fits == [True, False, False, True] * 3
    answers = caffe.ask([caffe.Question("shapes", stepped(size, cut).prototxt) for size in sizes])
    assert [not isinstance(answer, Exception) for answer in answers] == fits
