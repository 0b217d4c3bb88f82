"""Equal counts are not equal meanings: which stored shapes fit which layers."""

import numpy as np
import pytest
from click.testing import CliRunner
from sketches import conv, data, layer, net, relu, weights

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.errors import WeightsError
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.plural import number_of
from fcnkit.shape import alike
from fcnkit.weights import store
from fcnkit.weights.fit import net_rows
from fcnkit.weights.matching import match


@pytest.mark.parametrize(
    "old, new",
    [
        ((4, 3, 3, 5), (4, 3, 3, 5)),
        ((10,), (1, 1, 1, 10)),
        ((1, 10, 1, 1), (10,)),
        ((10, 20), (10, 5, 2, 2)),
        ((10, 5, 2, 2), (10, 20)),
        ((10, 30), (10, 5, 1, 2, 3)),
        ((1, 27), (1, 3, 3, 3)),
        ((), (1,)),
        ((1, 1, 1, 1), ()),
    ],
)
def test_shapes_that_arrange_numbers_alike(old, new):
    assert alike(old, new) and alike(new, old)


@pytest.mark.parametrize(
    "old, new",
    [
        ((4, 3, 3, 5), (4, 3, 5, 3)),
        ((10, 288), (288, 10)),
        ((1, 9), (9, 1)),
        ((10, 20), (20, 5, 2)),
        ((6, 16, 1, 1), (3, 32, 1, 1)),
        ((8, 1, 3, 3), (8, 3, 3, 1)),
        ((1, 8, 3, 3), (8, 1, 3, 3)),
        ((4, 9), (2, 2, 9)),
        ((12, 1), (6, 2)),
        ((6,), (2, 3)),
    ],
)
def test_shapes_that_do_not(old, new):
    assert not alike(old, new) and not alike(new, old)


@pytest.mark.parametrize("new", [(1, 288), (288,), (1, 144, 2)])
def test_the_last_axes_of_an_old_matrix_are_its_own(new):
    """1 x 1 x 288 x 1 has 288 outputs of one input."""
    assert alike((1, 1, 288, 1), (288, 1)) and not alike((1, 1, 1, 288), (288, 1))
    assert alike((1, 1, 288, 1), new) is (new == (288,))


@pytest.mark.parametrize("new", [(10, 20), (10, 5, 2, 2), (10, 20, 1, 1)])
def test_ones_in_front_are_of_old_files_alone(new):
    """1 x 1 x 10 x 20 is a matrix in a file, and the one window of 10 x 20 in a net."""
    assert alike((1, 1, 10, 20), new) and not alike(new, (1, 1, 10, 20))


def _net(tmp_path, name, layers):
    path = tmp_path / f"{name}.prototxt"
    path.write_text(
        'layer { name: "data" type: "Input" top: "data" '
        "input_param { shape { dim: 1 dim: 4 dim: 6 dim: 6 } } }\n" + layers
    )
    return fk.read(path)


def _one(kind, params, bottom="data"):
    return f'layer {{ name: "x" type: "{kind}" bottom: "{bottom}" top: "x" {params} }}\n'


@pytest.mark.parametrize(
    "kind, params, stored, fact",
    [
        (
            "Convolution",
            "num_output: 4 kernel_h: 3 kernel_w: 5",
            (4, 4, 5, 3),
            "arranged differently",
        ),
        ("InnerProduct", "num_output: 6", (144, 6), "transpose"),
        ("Convolution", "num_output: 4 kernel_size: 6 group: 2", (4, 72), "a single group"),
        ("Deconvolution", "num_output: 4 kernel_size: 6", (4, 144), "a single group"),
    ],
)
def test_as_many_values_in_another_order_are_a_mismatch(tmp_path, kind, params, stored, fact):
    message = "inner_product_param" if kind == "InnerProduct" else "convolution_param"
    new = _net(tmp_path, "new", _one(kind, f"{message} {{ {params} bias_term: false }}"))
    weights = store.create().put("x", [np.ones(stored, "f4")])
    graph = fk.build(new)
    (row,) = match(graph, graph, shapes_of(graph), weights).rows
    assert row.verdict == "MISMATCH" and fact in row.why


def _layers(old, new):
    text = 'layer { name: "x" type: "%s" bottom: "data" top: "x" %s }'
    return [
        fk.build(
            fk.parse(
                'layer { name: "data" type: "Input" top: "data" input_param { shape { '
                + " ".join(f"dim: {size}" for size in (1, *shape))
                + " } } }\n"
                + text % (kind, words)
            )
        )
        for kind, shape, words in (old, new)
    ]


_FC = "inner_product_param { num_output: 10 bias_term: false }"
_CONV = "convolution_param { num_output: 10 bias_term: false kernel_size: %d %s }"
_PLAIN, _GROUPED = _CONV % (3, ""), _CONV % (3, "group: 2")
_OTHERS = [
    # The same counts, summed in another order.
    (("InnerProduct", (8, 6, 6), _FC), ("Convolution", (32, 3, 3), _PLAIN), "8 x 6 x 6"),
    (("Convolution", (32, 3, 3), _PLAIN), ("InnerProduct", (8, 6, 6), _FC), "32 x 3 x 3"),
    (("InnerProduct", (8, 6, 6), _FC), ("InnerProduct", (32, 3, 3), _FC), "8 x 6 x 6"),
    (("InnerProduct", (288, 1, 1), _FC), ("Convolution", (32, 3, 3), _PLAIN), "over 288 in"),
    # Groups.
    (("Convolution", (64, 3, 3), _GROUPED), ("InnerProduct", (32, 3, 3), _FC), "2 groups"),
    (
        ("Convolution", (64, 3, 3), _GROUPED),
        ("Convolution", (32, 3, 3), _PLAIN),
        "2 groups",
    ),
    # The same shapes, another meaning.
    (("Scale", (5, 2, 2), ""), ("PReLU", (5, 2, 2), ""), "are for Scale"),
    (("Scale", (5, 2, 2), ""), ("Bias", (5, 2, 2), ""), "are for Scale"),
    (
        ("Embed", (1,), "embed_param { num_output: 4 input_dim: 4 bias_term: false }"),
        ("InnerProduct", (4,), "inner_product_param { num_output: 4 bias_term: false }"),
        "are for Embed",
    ),
]  # fmt: skip


@pytest.mark.parametrize("old, new, fact", _OTHERS)
def test_equal_shapes_of_another_meaning_are_a_mismatch(old, new, fact):
    before, after = _layers(old, new)
    shape = shapes_of(before).blobs(before.layers[1])[0]
    weights = store.create().put("x", [np.ones(shape, "f4")])
    (row,) = match(before, after, shapes_of(after), weights).rows
    assert row.verdict == "MISMATCH" and fact in row.why, row


def test_factors_are_factors_in_a_scale_and_in_segnets_bn():
    before, after = _layers(
        ("BN", (5, 2, 2), ""), ("Scale", (5, 2, 2), "scale_param { bias_term: true }")
    )
    weights = store.create().put("x", [np.ones(5, "f4"), np.zeros(5, "f4")], type="BN")
    for first, second in ((before, after), (after, after)):
        assert match(first, second, shapes_of(second), weights).of("MISMATCH") == ()


@pytest.mark.parametrize("kind", ["Scale", "PReLU", "Bias"])
def test_the_type_in_the_file_counts_where_its_net_is_not_given(kind):
    _, after = _layers(("Scale", (5, 2, 2), ""), (kind, (5, 2, 2), ""))
    weights = store.create().put("x", [np.ones(5, "f4")], type="Scale")
    (row,) = match(after, after, shapes_of(after), weights).rows
    assert (row.verdict == "MISMATCH") is (kind != "Scale"), row
    (blob,) = net_rows(weights, after.prototxt, {}, {})
    assert (blob.verdict == "MISMATCH") is (kind != "Scale") and blob.why == row.why


_SAME = [
    (("InnerProduct", (8, 6, 6), _FC), ("Convolution", (8, 6, 6), _CONV % (6, "")), ()),
    (("Convolution", (8, 6, 6), _CONV % (6, "")), ("InnerProduct", (8, 6, 6), _FC), ()),
    (("InnerProduct", (288,), _FC), ("Convolution", (8, 6, 6), _CONV % (6, "")), ()),
    (("InnerProduct", (1, 16, 18), _FC), ("InnerProduct", (16, 18), _FC), ()),
]


@pytest.mark.parametrize("old, new, none", _SAME)
def test_the_same_sums_fit(old, new, none):
    before, after = _layers(old, new)
    shape = shapes_of(before).blobs(before.layers[1])[0]
    weights = store.create().put("x", [np.ones(shape, "f4")])
    assert match(before, after, shapes_of(after), weights).of("MISMATCH") == none


def test_a_convolution_does_not_become_a_deconvolution(tmp_path):
    params = "convolution_param { num_output: 4 kernel_size: 3 bias_term: false }"
    nets = [_net(tmp_path, kind, _one(kind, params)) for kind in ("Convolution", "Deconvolution")]
    old, new = map(fk.build, nets)
    weights = store.create().put("x", [np.ones((4, 4, 3, 3), "f4")])
    (row,) = match(old, new, shapes_of(new), weights).rows
    assert row.verdict == "MISMATCH" and "are for Convolution" in row.why


@pytest.mark.parametrize("stored, fits", [((3, 16, 1, 1), True), ((6, 16, 1, 1), False),
                                          ((3, 32, 1, 1), False), ((3, 16), True)])  # fmt: skip
def test_channels_are_known_where_sizes_are_not(tmp_path, stored, fits):
    data = 'layer { name: "data" type: "Data" top: "data" data_param { batch_size: 1 } }\n'
    conv = _one("Convolution", "convolution_param { num_output: 16 kernel_size: 3 }")
    score = 'layer { name: "s" type: "Convolution" bottom: "r" top: "s" '
    score += "convolution_param { num_output: 3 kernel_size: 1 bias_term: false } }\n"
    relu = 'layer { name: "r" type: "ReLU6" bottom: "x" top: "r" }\n'
    graph = fk.build(fk.parse(data + conv + relu + score))
    weights = store.create().put("s", [np.ones(stored, "f4")])
    found = match(graph, graph, shapes_of(graph), weights)
    (row,) = [row for row in found.rows if row.layer == "s"]
    assert (row.verdict != "MISMATCH") is fits


@pytest.mark.parametrize(
    "kind, param, stored, fact",
    [
        ("Scale", "", ((16,),), ""),
        ("Scale", "", ((6,),), "6 (6 values) in the file, 16 (16) in the new net; it reads, or"),
        ("Scale", "scale_param { bias_term: true }", ((16,),), "has 1 blob, the new net takes 2"),
        ("Scale", "scale_param { axis: 2 }", ((6,),), ""),
        ("Scale", "scale_param { axis: 2 }", ((6,), (6,)), "has 2 blobs, the new net takes 1"),
        ("Scale", "scale_param { num_axes: -1 bias_term: true }", ((6,),), "the new net takes 2"),
        ("Bias", "", ((6,),), "in the new net"),
        ("PReLU", "", ((6,),), "in the new net"),
        ("PReLU", "prelu_param { channel_shared: true }", ((6,),), "in the new net"),
        ("BatchNorm", "", ((16,), (16,), (1,)), ""),
        ("BatchNorm", "", ((6,), (6,), (1,)), "in the new net"),
        ("BatchNorm", "", ((16,), (16,)), "has 2 blobs, the new net takes 3"),
    ],
)
def test_what_is_for_each_channel_is_counted_where_sizes_are_not_known(kind, param, stored, fact):
    data = 'layer { name: "data" type: "Data" top: "data" data_param { batch_size: 1 } }\n'
    conv = _one("Convolution", "convolution_param { num_output: 16 kernel_size: 3 }")
    own = f'layer {{ name: "s" type: "{kind}" bottom: "x" top: "s" {param} }}\n'
    graph = fk.build(fk.parse(data + conv + own))
    blobs = store.create().put("s", [np.ones(shape, "f4") for shape in stored])
    rows = match(graph, graph, shapes_of(graph), blobs).rows
    (row,) = [row for row in rows if row.layer == "s"]
    assert (row.verdict == "MISMATCH") is bool(fact) and fact in row.why


def test_only_what_can_be_transposed_is_told_to_be():
    text = 'layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { %s } } }'
    nets = [fk.build(fk.parse(text % dims)) for dims in ("dim: 2 dim: 3", "dim: 3 dim: 2")]
    stored = store.create().put("p", [np.ones((2, 3), "f4")])
    (row,) = match(*nets, shapes_of(nets[1]), stored).rows
    assert row.verdict == "MISMATCH" and "transpose" not in row.why


def test_a_plan_takes_the_weights_of_its_own_net_alone(tmp_path):
    net = _net(tmp_path, "net", _one("InnerProduct", "inner_product_param { num_output: 6 }"))
    plan = fk.convolutionalize(net)
    scrambled = store.create().put("x", [np.ones((144, 6), "f4"), np.ones(6, "f4")])
    with pytest.raises(WeightsError, match="144 x 6, and in the net 6 x 144, as many"):
        fk.transplant(plan, scrambled)


@pytest.mark.parametrize("more, blobs", [("", 5), ("bias_term: false", 2)])
def test_a_fold_counts_the_blobs(tmp_path, more, blobs):
    """NVCaffe stores five for a BatchNorm, and a Scale may have stored more than the net says."""
    conv = _one("Convolution", "convolution_param { num_output: 4 kernel_size: 1 }")
    kind, message = ("BatchNorm", "batch_norm_param") if blobs == 5 else ("Scale", "scale_param")
    link = f'layer {{ name: "l" type: "{kind}" bottom: "x" top: "l" {message} {{ {more} }} }}\n'
    plan = fk.fold(_net(tmp_path, "net", conv + link))
    weights = store.create().put("x", [np.ones((4, 4, 1, 1), "f4"), np.ones(4, "f4")])
    stored = [np.ones(1 if number == 2 else 4, "f4") for number in range(blobs)]
    with pytest.raises(WeightsError, match=f"has {blobs} blobs"):
        fk.transplant(plan, weights.put("l", stored))


COLOURS = [(3, 1, "gray"), (1, 3, "colour"), (3, 4, "channels=4"), (1, 2, "channels=2")]


@pytest.mark.parametrize("old, new, word", COLOURS)
@pytest.mark.parametrize("scaled", ["", layer("s", "Power", "data", top="data")])
def test_an_image_of_other_channels_is_told_what_works(old, new, word, scaled, tmp_path):
    nets = [
        net(data(1, many, 8, 8) + scaled + conv("c", "data", 4, 3) + relu("c"))
        for many in (old, new)
    ]
    for name, each in zip(("old", "new"), nets, strict=True):
        each.save(tmp_path / f"{name}.prototxt")
    weights(nets[0], tmp_path / "old.caffemodel")
    paths = {name: str(tmp_path / name) for name in ("made.prototxt", "made.caffemodel")}
    words = ["surgery", str(tmp_path / "old.prototxt"), str(tmp_path / "old.caffemodel")]
    found = CliRunner().invoke(main, [*words, str(tmp_path / "new.prototxt")])
    assert found.exit_code == 1 or "MISMATCH" in found.output, found.output
    said = " ".join(found.output.split())
    assert f"its image has {number_of(old, 'channel')} and the new one's {new}" in said
    assert f"--do {word} --net-out NET -o WEIGHTS" in said
    made = [*words, "--do", word, "--net-out", paths["made.prototxt"]]
    assert CliRunner().invoke(main, [*made, "-o", paths["made.caffemodel"]]).exit_code == 0
    again = ["surgery", *paths.values(), str(tmp_path / "new.prototxt"), "--strict"]
    assert CliRunner().invoke(main, again).exit_code == 0


@pytest.mark.parametrize("old, new", [(4, 3), (3, 2)])
def test_channels_that_nothing_takes_out_have_the_usual_remedy(old, new):
    stored = net(data(1, old, 8, 8) + conv("c", "data", 4, 3))
    wanted = build(net(data(1, new, 8, 8) + conv("c", "data", 4, 3)))
    made = store.create().put("c", [np.zeros((4, old, 3, 3)), np.zeros(4)])
    (row,) = match(build(stored), wanted, shapes_of(wanted), made).rows
    assert row.verdict == "MISMATCH" and "--do" not in row.why and "use the old sizes" in row.why


JOINED = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a"
  convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "ra" type: "ReLU" bottom: "a" top: "ra" }
layer { name: "b" type: "Convolution" bottom: "data" top: "b"
  convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "both" type: "%s" bottom: "%s" bottom: "%s" top: "both" }
layer { name: "f" type: "InnerProduct" bottom: "both" top: "f"
  inner_product_param { num_output: 3 } }
"""


@pytest.mark.parametrize("kind, differs", [("Concat", True), ("Eltwise", False)])
def test_branches_that_are_joined_in_another_order_are_said(kind, differs):
    old, new = (fk.build(fk.parse(JOINED % (kind, *pair))) for pair in (("ra", "b"), ("b", "ra")))
    sizes = shapes_of(old)
    weights = store.create().put_all(
        {layer.name: map(np.ones, sizes.blobs(layer)) for layer in old.layers if sizes.blobs(layer)}
    )
    found = match(old, new, shapes_of(new), weights)
    assert [row.layer for row in found.of("ORDER DIFFERS")] == (["f"] if differs else [])
    assert match(old, old, sizes, weights).of("ORDER DIFFERS") == ()
    if differs:
        assert "a -> ReLU, b joined in" in found.of("ORDER DIFFERS")[0].why
        with pytest.raises(WeightsError, match="ORDER DIFFERS"):
            found.check(strict=True)


def _learning(name, type_, bottom, param):
    return f'layer {{ name: "{name}" type: "{type_}" bottom: "{bottom}" top: "{name}" {param} }}\n'


CUBE = data(1, 4, 4, 4)
FC = _learning("f", "InnerProduct", "t", "inner_product_param { num_output: 3 }")
CUT = 'layer { name: "s" type: "Slice" bottom: "data" top: "%s" top: "%s" slice_param { %s } }\n'
TWO = _learning("c", "Convolution", "t", "convolution_param { num_output: 2 kernel_size: 1 }")
PAIR = data(1, 4, 4, 4) + data(1, 4, 4, 4).replace("data", "depth")
JOIN = 'layer { name: "j" type: "%s" bottom: "data" bottom: "depth" top: "t" %s }\n'
SWAPPED = JOIN.replace('"data" bottom: "depth"', '"depth" bottom: "data"')


@pytest.mark.parametrize(
    "old, new",
    {
        "scale axis": [CUBE + _learning("f", "Scale", "data", "scale_param { axis: %d }") % at
                       for at in (2, 3)],
        "scale axis from behind": [
            CUBE + _learning("f", "Scale", "data", "scale_param { axis: %d }") % at
            for at in (-1, 1)
        ],
        "bias axis": [CUBE + _learning("f", "Bias", "data", "bias_param { axis: %d }") % at
                      for at in (2, 3)],
        "top of a slice": [CUBE + CUT % (*tops, "") + FC for tops in (("t", "u"), ("u", "t"))],
        "axis of a slice": [CUBE + CUT % ("t", "u", f"axis: {axis}") + TWO for axis in (2, 3)],
        "an order of axes": [
            CUBE + _learning("t", "Permute", "data", "permute_param {" + words + "}") + FC
            for words in ("order: 0 order: 2 order: 1", "order: 0 order: 3 order: 2")
        ],
        "groups": [
            CUBE + _learning("t", "ShuffleChannel", "data", f"shuffle_channel_param {words}") + FC
            for words in ("{ group: 2 }", "{ group: 4 }")
        ],
        "another input": [PAIR + FC.replace('"t"', f'"{each}"') for each in ("data", "depth")],
        "inputs joined": [PAIR + text % ("Concat", "") + FC for text in (JOIN, SWAPPED)],
        "a difference": [
            PAIR + text % ("Eltwise", "eltwise_param { coeff: 1 coeff: -1 }") + FC
            for text in (JOIN, SWAPPED)
        ],
        "tops joined": [
            CUBE + CUT % ("a", "b", "")
            + JOIN.replace("data", first).replace("depth", second) % ("Concat", "") + FC
            for first, second in (("a", "b"), ("b", "a"))
        ],
    }.values(),
)  # fmt: skip
def test_equal_shapes_that_mean_something_else(old, new):
    for one, other, differs in ((old, new, 1), (new, old, 1), (old, old, 0), (new, new, 0)):
        found, weights = _of_texts(one, other)
        assert len(found.of("ORDER DIFFERS")) == differs, found
        assert {row.verdict for row in found.rows} <= {"copied", "ORDER DIFFERS"}
        if differs:
            with pytest.raises(WeightsError, match="ORDER DIFFERS"):
                found.check(strict=True)
        else:
            found.check(strict=True)


def _of_texts(one, other, stored=None):
    old, new = fk.build(fk.parse(one, "old")), fk.build(fk.parse(other, "new"))
    sizes = shapes_of(old)
    blobs = {each.name: [*map(np.ones, sizes.blobs(each))]
             for each in old.layers if sizes.blobs(each)}  # fmt: skip
    weights = store.create().put_all(stored or blobs)
    return match(old, new, shapes_of(new), weights), weights


@pytest.mark.parametrize(
    "old, new",
    [
        # The same axis, from either end; the same channels, cut elsewhere behind them; a sum.
        [CUBE + _learning("f", "Scale", "data", "scale_param { axis: %d }") % at
         for at in (-1, 3)],
        [CUBE + CUT % ("t", "u", words) + FC for words in ("slice_point: 2", "slice_dim: 1")],
        [PAIR + text % ("Eltwise", "") + FC for text in (JOIN, SWAPPED)],
        [CUBE + CUT % ("t", "u", "slice_point: 2") + TWO,
         data(1, 4, 9, 7) + CUT.replace('top: "%s" slice', 'top: "%s" top: "v" slice')
         % ("t", "u", "slice_point: 2 slice_point: 3") + TWO],
    ],
)  # fmt: skip
def test_other_words_of_the_same(old, new):
    found, _ = _of_texts(old, new)
    assert not found.of("ORDER DIFFERS")
    found.check(strict=True)


THIN = data(1, 1, 5, 5) + conv("c", "data", 6, 1)
FLAT = data(1, 1) + _learning("c", "InnerProduct", "data", "inner_product_param { num_output: 6 }")


@pytest.mark.parametrize(
    "text, shapes",
    [
        (THIN, [(6,), (6, 1, 1, 1)]),
        (THIN, [(1, 1, 1, 6), (6, 1, 1, 1)]),
        (FLAT, [(6,), (6, 1)]),
        (FLAT.replace("6", "1"), [(1,), (1, 1)]),
    ],
)
def test_a_bias_before_its_weights_is_told_by_its_shape(text, shapes):
    found, weights = _of_texts(text, text, {"c": [*map(np.ones, shapes)]})
    (row,) = found.rows
    assert row.verdict == "MISMATCH" and '.put("c", [blobs[1], blobs[0]])' in row.why
    blobs = weights["c"]
    assert not _of_texts(text, text, {"c": [blobs[1].array(), blobs[0].array()]})[0].of("MISMATCH")
