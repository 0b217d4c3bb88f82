"""Whatever a net ends in or holds inside: a comparison says equal only where something shows it.

Each case is a net of which a part bends, picks, throws away or dwarfs the values.  With the same
weights it is equal, or it is said why nothing is shown; with other weights it never is equal.
"""

import numpy as np
import pytest
from click.testing import CliRunner
from test_verify import random_weights

from fcnkit.cli.main import main
from fcnkit.engines.inputs import input_arrays, other_arrays
from fcnkit.formats.prototxt import parse
from fcnkit.nets.graph import build
from fcnkit.rewrites.fold import fold
from fcnkit.verifying.differences import proven, unproven
from fcnkit.verifying.verify import verify
from fcnkit.weights.surgery import transplant

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { %s } } }\n'
IMAGE = INPUT % "dim: 1 dim: 2 dim: 6 dim: 6"
CONV = """layer { name: "%s" type: "Convolution" bottom: "%s" top: "%s"
  convolution_param { num_output: %d kernel_size: %d } }
"""


def layer(kind, bottoms, tops, param="", name=""):
    """The text of a layer named like its first top."""
    ends = [f'bottom: "{each}"' for each in bottoms.split()] + [
        f'top: "{each}"' for each in tops.split()
    ]
    name = name or (tops or f"{kind}_{bottoms}").split()[0]
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join(ends)} {param} }}\n'


def conv(bottom="data", top="a", outputs=4, kernel=1):
    return CONV % (top, bottom, top, outputs, kernel)


def fc(bottom, top, outputs=3):
    return layer("InnerProduct", bottom, top, f"inner_product_param {{ num_output: {outputs} }}")


def scaled(layer_name, *blobs):
    """Other weights of a layer: each blob times a number, plus a number."""

    def change(weights):
        pairs = zip(weights[layer_name], blobs, strict=True)
        return weights.put(layer_name, [(b.array() * f + s).astype("f4") for b, (f, s) in pairs])

    return change


def both(*changes):
    def change(weights):
        for each in changes:
            weights = each(weights)
        return weights

    return change


A = scaled("a", (1.2, 0), (1, 0))
B = scaled("b", (1.2, 0), (1, 0))
DEAD_A = scaled("a", (1, 0), (0, -5e4))
DEAD_B = scaled("b", (1, 0), (0, -5e4))
ZERO_S = scaled("s", (0, 0))
BRANCHES = IMAGE + conv() + conv(top="b")
ELTWISE = "eltwise_param {{ {} }}"
SCALE = layer("Scale", "a", "s")
NOTHING = scaled("a", (1, 0), (1, 0))


def huge(name, by, outputs):
    """Weights of which one output is as many times as large."""
    return scaled(name, (np.float32([by] + [1] * (outputs - 1)), 0))


class Case:
    """A net, what its weights are made, a change that must be found, and whether equal is shown."""

    def __init__(self, text, wrong=A, start=NOTHING, shown=True):
        self.text, self.wrong, self.start, self.shown = text, wrong, start, shown


def one_huge(weights):
    first, last = (blob.array() for blob in weights["a"])
    first[0] *= 1e8
    return weights.put("a", [first, last])


def first_kept(weights):
    """Other weights of all outputs but the first."""
    first, last = (blob.array() for blob in weights["a"])
    first[1:] *= 1.2
    return weights.put("a", [first, last])


CASES = {
    # One value dwarfs the others.
    "dwarfed channel": Case(IMAGE + conv(), first_kept, one_huge),
    "dwarfed scores": Case(IMAGE + fc("data", "a", 5), first_kept, one_huge),
    "dwarfed, Softmax": Case(
        IMAGE + fc("data", "a", 5) + layer("Softmax", "a", "p"), first_kept, one_huge
    ),
    "dwarfed inside": Case(IMAGE + conv() + fc("a", "s"), first_kept, one_huge),
    "dwarfed by another": Case(
        BRANCHES + layer("Eltwise", "a b", "o"), A, scaled("b", (1e8, 0), (1, 0))
    ),
    # All becomes one number.
    "Power 0": Case(IMAGE + conv() + layer("Power", "a", "p", "power_param { scale: 0 shift: 2 }")),
    "Power 0, InnerProduct": Case(
        IMAGE + conv() + layer("Power", "a", "p", "power_param { scale: 0 }") + fc("p", "s"),
        scaled("s", (1.2, 0), (1, 0)),
        shown=False,
    ),
    "Scale by 0": Case(IMAGE + conv() + SCALE, A, ZERO_S),
    "Scale by 0 beside another": Case(BRANCHES + SCALE + layer("Eltwise", "s b", "o"), A, ZERO_S),
    "Scale by 0, InnerProduct": Case(IMAGE + conv() + SCALE + fc("s", "o"), A, ZERO_S, shown=False),
    "tiny Scale, large Bias": Case(
        IMAGE + conv() + layer("Scale", "a", "s", "scale_param { bias_term: true }"),
        A,
        scaled("s", (1e-12, 0), (0, 3)),
    ),
    "times 0": Case(
        BRANCHES
        + layer("Power", "b", "z", "power_param { scale: 0 }")
        + layer("Eltwise", "a z", "o", ELTWISE.format("operation: PROD"))
        + conv("data", "c")
        + layer("Eltwise", "o c", "e"),
        A,
    ),
    "Sigmoid of huge values, InnerProduct": Case(
        IMAGE + conv() + layer("Sigmoid", "a", "p") + fc("p", "s"), A, scaled("a", (1e5, 0), (1, 0))
    ),
    "Sigmoid of huge biases beside another": Case(
        BRANCHES + layer("Sigmoid", "a", "p") + layer("Eltwise", "p b", "o"),
        A,
        scaled("a", (1, 0), (1, 9e4)),
    ),
    # One bound, or picked.
    "dead ReLU": Case(IMAGE + conv() + layer("ReLU", "a", "a", name="r"), A, DEAD_A),
    "dead ReLU, InnerProduct": Case(
        IMAGE + conv() + layer("ReLU", "a", "a", name="r") + fc("a", "s"), A, DEAD_A, shown=False
    ),
    "dead ReLU beside another": Case(
        BRANCHES + layer("ReLU", "a", "a", name="r") + layer("Eltwise", "a b", "o"), A, DEAD_A
    ),
    "dead ReLU, Convolution, beside another": Case(
        BRANCHES
        + layer("ReLU", "a", "a", name="r")
        + conv("a", "c")
        + layer("Eltwise", "c b", "o"),
        scaled("c", (1.2, 0), (1, 0)),
        DEAD_A,
        shown=False,
    ),
    "PReLU of what is not negative": Case(
        IMAGE + layer("ReLU", "data", "r") + layer("PReLU", "r", "a"),
        scaled("a", (1.2, 0)),
        scaled("a", (1, 0)),
        shown=False,
    ),
    "PReLU in place": Case(
        IMAGE + conv() + layer("PReLU", "a", "a", name="p"), scaled("p", (1.2, 0))
    ),
    "PReLU in place with slopes of 0": Case(
        IMAGE + conv() + layer("PReLU", "a", "a", name="p") + fc("a", "s"),
        scaled("p", (1, 0.3)),
        scaled("p", (0, 0)),
    ),
    "never picked": Case(
        BRANCHES + layer("Eltwise", "a b", "o", ELTWISE.format("operation: MAX")), B, DEAD_B
    ),
    "never picked, InnerProduct": Case(
        BRANCHES + layer("Eltwise", "a b", "o", ELTWISE.format("operation: MAX")) + fc("o", "s"),
        B,
        DEAD_B,
    ),
    "Threshold": Case(IMAGE + conv() + layer("Threshold", "a", "p"), A),
    "Threshold, InnerProduct": Case(
        IMAGE + conv() + layer("Threshold", "a", "p") + fc("p", "s"), A
    ),
    "ArgMax": Case(IMAGE + conv() + layer("ArgMax", "a", "p", "argmax_param { axis: 1 }"), A),
    "ArgMax that never moves": Case(
        IMAGE + conv() + layer("ArgMax", "a", "p", "argmax_param { axis: 1 }"), A, one_huge
    ),
    # Normalised alone.
    "MVN of one value": Case(IMAGE + conv(kernel=6) + layer("MVN", "a", "p"), A),
    "MVN of one value beside another": Case(
        IMAGE
        + conv(kernel=6)
        + conv(top="b", kernel=6)
        + layer("MVN", "a", "p")
        + layer("Eltwise", "p b", "o"),
        A,
    ),
    "Softmax of one value": Case(IMAGE + conv(outputs=1) + layer("Softmax", "a", "p"), A),
    "Softmax of one value beside another": Case(
        IMAGE
        + conv(outputs=1)
        + conv(top="b", outputs=1)
        + layer("Softmax", "a", "p")
        + layer("Eltwise", "p b", "o"),
        A,
    ),
    "LRN of one value": Case(
        IMAGE + conv() + layer("LRN", "a", "p", "lrn_param { local_size: 1 alpha: 1e9 beta: 0.5 }"),
        A,
    ),
    # No output depends on it.
    "Crop of channels": Case(
        IMAGE + conv() + layer("Crop", "a data", "o", "crop_param { axis: 1 offset: 0 }"),
        scaled("a", (np.float32([1, 1, 1.2, 1.2]).reshape(4, 1, 1, 1), 0), (1, 0)),
    ),
    "Slice, Silence": Case(
        IMAGE + conv() + layer("Slice", "a", "o p") + layer("Silence", "p", ""),
        scaled("a", (np.float32([1, 1, 1.2, 1.2]).reshape(4, 1, 1, 1), 0), (1, 0)),
    ),
    "Silence": Case(BRANCHES + layer("Silence", "b", ""), B),
    "coeff 0": Case(
        BRANCHES + layer("Eltwise", "a b", "o", ELTWISE.format("coeff: 1 coeff: 0")), B
    ),
    "coeff 0 twice": Case(
        BRANCHES + layer("Eltwise", "a b", "o", ELTWISE.format("coeff: 0 coeff: 0")), B
    ),
    # Indices.
    "Embed": Case(
        INPUT % "dim: 3 dim: 4"
        + layer("Embed", "data", "a", "embed_param { input_dim: 9 num_output: 5 }"),
        A,
    ),
    "Embed, Reshape": Case(
        INPUT % "dim: 3 dim: 4"
        + layer("Flatten", "data", "f", "flatten_param { axis: 0 }")
        + layer("Embed", "f", "a", "embed_param { input_dim: 9 num_output: 5 }"),
        A,
    ),
    "LSTM": Case(
        INPUT % "dim: 5 dim: 2 dim: 8"
        + (INPUT % "dim: 5 dim: 2").replace("data", "cont")
        + layer("LSTM", "data cont", "a", "recurrent_param { num_output: 6 }"),
        scaled("a", (1, 0), (1, 0), (1.2, 0)),
        scaled("a", (1, 0), (1, 0), (1, 0)),
    ),
    # Nothing but numbers that are the same on all inputs.
    "no weights": Case(
        IMAGE + layer("Power", "data", "a", "power_param { scale: 0 }"), None, shown=False
    ),
    "zeros": Case(IMAGE + conv(), A, scaled("a", (0, 0), (0, 0)), shown=False),
}


def made(case):
    net = parse(case.text, "net.prototxt")
    weights = random_weights(net, 3)
    return net, case.start(weights) if "a" in weights else weights


# Caffe takes a second or more to start, so there is one case or two of a kind.
IN_CAFFE = (
    *("dwarfed scores", "Power 0", "Scale by 0 beside another", "dead ReLU, InnerProduct"),
    *("Sigmoid of huge values, InnerProduct", "never picked", "ArgMax that never moves"),
    *("MVN of one value beside another", "Crop of channels", "Slice, Silence", "coeff 0", "Embed"),
    "LSTM",  # which Caffe alone runs
)


@pytest.mark.parametrize("name", [name for name in CASES if name != "LSTM"])
def test_equal_is_said_where_something_shows_it(name):
    pytest.importorskip("torch")
    shows(CASES[name], "torch")


@pytest.mark.parametrize("name", IN_CAFFE)
def test_caffe_says_so_too(name, caffe):
    shows(CASES[name], "caffe")


def shows(case, engine):
    """The right weights are equal, or nothing is shown; the wrong ones are never equal."""
    net, weights = made(case)
    same = verify(net, weights or None, net, engine=engine)
    assert all(row.ok for row in same), same
    assert proven(same) == case.shown, same
    assert case.shown or all(row.why for row in unproven(same))
    if case.wrong:
        other = verify(net, weights, net, case.wrong(weights), engine=engine)
        assert not proven(other), other
        assert not case.shown or not all(row.ok for row in other), other


# ---- nets that are equal, though they are not alike inside

CHAIN = IMAGE + CONV % ("a", "data", "a", 8, 3) + layer("ReLU", "a", "a", name="r") + fc("a", "s")


def permuted(weights):
    order = np.random.default_rng(0).permutation(8)
    first, last = (blob.array()[order] for blob in weights["a"])
    second = weights["s"][0].array().reshape(3, 8, 16)[:, order].reshape(3, -1)
    return weights.put("a", [first, last]).put("s", [second, weights["s"][1]])


@pytest.mark.parametrize("dead", [0, 3, 7])
def test_dead_channels_are_noted_and_hidden_units_may_change_places(dead):
    """Of 8 channels some are 0 behind the ReLU: the scores vary, and so they show the rest."""
    pytest.importorskip("torch")
    net = parse(CHAIN)
    weights = scaled("a", (1, 0), (0, np.float32([-5e4] * dead + [0] * (8 - dead))))(
        random_weights(net)
    )
    (row,) = verify(net, weights, net, permuted(weights), engine="torch")
    assert proven([row]) and row.relative < 1e-5
    noted = f"not tested by this input: within the net {dead} of 8 channels of a"
    assert (noted in str(row)) == (dead > 0)
    assert not proven(verify(net, weights, net, A(permuted(weights)), engine="torch"))


def test_a_folded_net_is_equal_with_a_branch_that_is_dead():
    """What the ReLU reads is compared, which folding leaves as it is."""
    pytest.importorskip("torch")
    bn = layer("BatchNorm", "a", "a", name="bn") + layer(
        "Scale", "a", "a", "scale_param { bias_term: true }", "s"
    )
    text = BRANCHES + bn + layer("ReLU", "a", "a", name="r") + layer("Eltwise", "a b", "o")
    net = parse(text)
    weights = scaled("s", (1, 0), (0, -5e4))(random_weights(net))
    weights = weights.put("bn", [np.zeros(4, "f4"), np.ones(4, "f4"), np.ones(1, "f4")])
    plan = fold(net)
    rows = verify(net, weights, plan.net, transplant(plan, weights), engine="torch")
    assert [row.output for row in rows] == ["a, before r", "o"] and proven(rows)


def test_equal_values_in_other_places_are_another_matter():
    """Branches that change places are what the outputs say: nothing is compared by its name."""
    pytest.importorskip("torch")
    net = parse(BRANCHES + layer("Eltwise", "a b", "o"))
    weights = random_weights(net)
    swapped = weights.put("a", weights["b"]).put("b", weights["a"])
    assert proven(verify(net, weights, net, swapped, engine="torch"))


# ---- inputs


def test_indices_are_drawn_from_the_table():
    graph = build(parse(CASES["Embed, Reshape"].text))
    drawn = input_arrays(graph, {"data": (50, 4)})["data"]
    assert sorted(set(drawn.ravel())) == list(range(9))
    given = {"data": np.float32([[1, 2], [3, 3]])}
    again = other_arrays(graph, given, input_arrays(graph, given))["data"]
    assert sorted(again.ravel()) == [1, 2, 3, 3] and again.shape == (2, 2)


@pytest.mark.parametrize("shape, whole", [((9,), True), ((3, 4), True), ((2, 4), False)])
def test_every_row_of_a_table_is_looked_up_or_nothing_is_said_of_it(shape, whole):
    """A row that no number of the input chooses may be anything."""
    pytest.importorskip("torch")
    net = parse(CASES["Embed"].text)
    weights = random_weights(net, 3)
    rows = verify(net, weights, net, weights, engine="torch", inputs={"data": shape})
    assert all(row.ok for row in rows) and proven(rows) is whole
    assert whole or "1 of the 9 rows" in rows[-1].unseen and "--input" in rows[-1].unseen
    for row in range(9):
        table = np.array(weights["a"][0])
        table[row] += 1
        other = weights.put("a", [table, *weights["a"][1:]])
        rows = verify(net, weights, net, other, engine="torch", inputs={"data": shape})
        assert not (all(each.ok for each in rows) and proven(rows))


def test_an_input_of_equal_values_shows_nothing():
    """Nothing can be told of weights by zeros alone."""
    pytest.importorskip("torch")
    net = parse(IMAGE + fc("data", "a"))
    weights = random_weights(net)
    zeros = {"data": np.zeros((1, 2, 6, 6), "f4")}
    rows = verify(net, weights, net, A(weights), engine="torch", inputs=zeros)
    assert all(row.ok for row in rows) and not proven(rows)


# ---- the command


@pytest.mark.parametrize(
    "name, words",
    [
        (
            "dead ReLU, InnerProduct",
            's: not proven equal: not tested: layer "s", whose input is always 0',
        ),
        (
            "no weights",
            "a: not proven equal: its values are 0 for every input",
        ),
        ("zeros", "a: not proven equal: its values are the same for every input"),
    ],
)
def test_the_command_says_why(tmp_path, name, words):
    pytest.importorskip("torch")
    case = CASES[name]
    net, weights = made(case)
    paths = [str(tmp_path / each) for each in ("net.prototxt", "w.caffemodel")]
    net.save(paths[0])
    weights.put("unused", [np.ones(1, "f4")]).save(paths[1])
    result = CliRunner().invoke(main, ["verify", *paths, *paths, "--engine", "torch"])
    assert result.exit_code == 1 and words in result.output


def test_an_array_in_a_file_is_a_way_out(tmp_path):
    """Noise leaves the ReLU dead; the data that the net is for does not."""
    pytest.importorskip("torch")
    net = parse(CHAIN)
    weights = scaled("a", (0, 1), (0, -5e4))(random_weights(net))
    paths = [str(tmp_path / each) for each in ("net.prototxt", "w.caffemodel")]
    net.save(paths[0])
    weights.save(paths[1])
    words = ["verify", *paths, *paths, "--engine", "torch"]
    assert CliRunner().invoke(main, words).exit_code == 1
    file = str(tmp_path / "data.npy")
    np.save(file, np.random.default_rng(0).uniform(1e4, 2e4, (1, 2, 6, 6)).astype("f4"))
    assert CliRunner().invoke(main, [*words, "--input", f"data={file}"]).exit_code == 0
    missing = CliRunner().invoke(main, [*words, "--input", "data=none.npy"])
    assert missing.exit_code == 2 and "'none.npy': is not an array: No such file" in missing.output
