"""Two weights files compared, and a weights file held against a net:
laws, exact figures, each verdict.
"""

import json
import math
import struct
import textwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sketches import conv, data, fc, layer, net, relu, template, weights
from small_models import V1, V2
from test_caffemodel import MODELS

import fcnkit as fk
from fcnkit.errors import NetError, WeightsError
from fcnkit.inspection import FITS, MISMATCH, RESHAPE
from fcnkit.weights import blobs as blobs_module
from fcnkit.weights import statistics as statistics_module
from fcnkit.weights import store
from fcnkit.weights.compare import compare
from fcnkit.weights.difference import CHANGED, CLOSE, EQUAL, EXTRA, MISSING, RESHAPED, BlobChange
from fcnkit.weights.store import Lazy

NAN, INF = float("nan"), float("inf")
TWIN = {MISSING: EXTRA, EXTRA: MISSING}  # the others are their own


def made(dtype: str = "float32", **layers) -> store.Weights:
    """Weights of one blob a layer."""
    return store.create().put_all(
        {name: [stored(values, dtype)] for name, values in layers.items()}
    )


def stored(values, dtype: str) -> Lazy:
    array = np.asarray(values, np.dtype(dtype).newbyteorder("<"))
    return Lazy(array.shape, lambda: [array.reshape(-1)], dtype)


def opened(tmp_path, data: bytes, name: str = "file") -> store.Weights:
    (tmp_path / name).write_bytes(data)
    return store.open(tmp_path / name)


def change(old, new, *dtypes: str) -> BlobChange:
    """How far the values of one blob are from another's."""
    kinds = dtypes or ("float32",)
    return compare(made(kinds[0], a=old), made(kinds[-1], a=new)).rows[0].change


def verdicts(found) -> dict:
    return {(row.layer or row.new_layer, row.blob): row.verdict for row in found.rows}


FIRST = store.create().put_all(
    {
        "same": [np.arange(6).reshape(2, 3), [1.0, 2.0]],
        "far": [[1.0, -4.0, 2.0, 0.0], [[1.0, 2.0]]],
        "turned": [np.arange(6).reshape(2, 3)],
        "other": [np.ones((2, 2)), [1.0]],
        "gone": [[1.0]],
        "nothing": [],
    }
)
SECOND = store.create().put_all(
    {
        "nothing": [],
        "same": [np.arange(6).reshape(2, 3), [1.0, 2.0]],
        "far": [[1.0, -4.5, 2.0, 0.25], [[1.0, 2.0]]],
        "turned": [np.arange(6).reshape(3, 2) + 1],
        "other": [np.ones((2, 3)), [1.0], [5.0]],
        "new": [[1.0], [2.0]],
    }
)


# ---- laws


@pytest.mark.parametrize("data", [V1, V2])
def test_a_file_is_equal_to_itself(tmp_path, data):
    weights = opened(tmp_path, data)
    found = compare(weights, weights)
    assert found.equal and not found.different
    assert [row.verdict for row in found.rows] == [EQUAL] * 3
    assert found.table() == found.summary() == "3 blobs equal\n"


def test_the_other_way_round_it_is_the_same_difference():
    one, other = compare(FIRST, SECOND), compare(SECOND, FIRST)
    assert verdicts(other) == {
        key: TWIN.get(verdict, verdict) for key, verdict in verdicts(one).items()
    }
    back = {(row.new_layer, row.blob): row for row in other.rows}
    for row in one.rows:
        twin = back[row.layer, row.blob] if row.layer else None
        if twin and row.change:
            assert row.change[:4] == twin.change[:4] and (row.old, row.new) == (twin.new, twin.old)


floats = st.lists(st.floats(width=32), min_size=1, max_size=20)


@given(floats, st.data())
def test_a_change_has_numpys_own_figures_however_the_values_are_cut(old, draw):
    each = st.floats(width=32) | st.sampled_from(old)
    new = draw.draw(st.lists(each, min_size=len(old), max_size=len(old)))
    run = draw.draw(st.integers(1, 5))
    before, statistics_module.RUN = statistics_module.RUN, run
    try:
        found = change(old, new)
    finally:
        statistics_module.RUN = before
    a, b = np.asarray(old, "f4"), np.asarray(new, "f4")
    same = (a == b) | (a.view("u4") == b.view("u4"))
    both = np.isfinite(a) & np.isfinite(b)
    gaps = np.abs(b[both].astype("f8") - a[both])
    assert (found.count, found.differing, found.odd) == (
        len(a),
        (~same).sum(),
        (~same & ~both).sum(),
    )
    assert found.largest == gaps.max(initial=0)
    assert found.mean == pytest.approx(gaps.mean() if len(gaps) else 0)
    assert change(new, old)[:4] == pytest.approx(found[:4])


def test_reshaped_renamed_and_back_is_equal(tmp_path):
    weights = opened(tmp_path, V2)
    turned = weights.reshape("fc", 0, (3, 2)).rename({"fc": "x"})
    assert not compare(weights, turned).equal
    found = compare(weights, turned, names={"fc": "x"})
    assert verdicts(found) == {("fc", 0): RESHAPED, ("fc", 1): EQUAL, ("top", 0): EQUAL}
    assert compare(weights, turned.reshape("x", 0, (2, 3)), names={"fc": "x"}).equal


# ---- the figures of a change


def test_a_known_change_is_found_exactly():
    assert change([1, -4, 2, 0], [1, -4.5, 2, 0.25]) == BlobChange(4, 2, 0.5, 0.75 / 4, 0.125, 0)


@pytest.mark.parametrize(
    "old, new, expected",
    [
        ([1, 2], [1, 2], (2, 0, 0, 0, 0, 0)),
        ([0.0], [-0.0], (1, 0, 0, 0, 0, 0)),
        ([NAN, INF], [NAN, INF], (2, 0, 0, 0, 0, 0)),
        ([INF, 1], [-INF, 1], (2, 1, 0, 0, 0, 1)),
        ([NAN, 2], [1, 2], (2, 1, 0, 0, 0, 1)),
        ([1, 2], [INF, 3], (2, 2, 1, 1, 0.5, 1)),
        ([0, 0], [0, 3], (2, 1, 3, 1.5, INF, 0)),
        ([], [], (0, 0, 0, 0, 0, 0)),
    ],
)
def test_zeros_nan_and_infinity(old, new, expected):
    assert change(old, new) == expected


def test_nan_of_other_bits_differs(recwarn):
    def nan(bits):
        return made(a=np.array([bits], "u4").view("f4"))

    quiet, signalling = nan(0x7FC00001), nan(0x7F800001)
    assert compare(quiet, quiet).equal
    assert not compare(quiet, nan(0x7FC00002)).equal and not compare(quiet, signalling).equal
    assert compare(signalling, made("float64", a=[1.0])).rows[0].change.odd == 1 and not recwarn


@pytest.mark.parametrize(
    "old, new, expected",
    [
        (("float16", [0.5, 2]), ("float32", [0.5, 2]), 0),
        (
            ("float16", [0.1]),
            ("float32", [0.1]),
            abs(float(np.float16(0.1)) - float(np.float32(0.1))),
        ),
        (("float64", [0.1]), ("float32", [0.1]), abs(0.1 - float(np.float32(0.1)))),
        (("int32", [-7, 1]), ("float32", [-7, 1]), 0),
        (("uint32", [2**32 - 1]), ("int32", [-1]), 2**32),
        (("uint32", [1]), ("uint32", [3]), 2),
        (("float16", [NAN]), ("float32", [NAN]), 0),
    ],
)
def test_types_are_compared_by_value(old, new, expected):
    found = compare(made(old[0], a=old[1]), made(new[0], a=new[1]))
    assert found.rows[0].change.largest == expected and found.equal == (expected == 0)
    if old[0] != new[0]:
        assert f" {old[0]} -> " in found.table(every=True)


@pytest.mark.parametrize(
    "tolerance, verdict", [(0, CHANGED), (0.1, CHANGED), (0.125, CLOSE), (1, CLOSE), (NAN, CHANGED)]
)
def test_the_tolerance_is_relative_to_the_largest_value(tolerance, verdict):
    found = compare(made(a=[1, -4]), made(a=[1, -4.5]), tolerance=tolerance)
    assert found.rows[0].verdict == verdict and found.equal == (verdict == CLOSE)


@pytest.mark.parametrize("old, new", [([1, NAN], [1, 2]), ([1, 2], [1, INF]), ([0], [1])])
def test_no_tolerance_takes_nan_or_what_was_zero(old, new):
    assert not compare(made(a=old), made(a=new), tolerance=1e9).equal


def test_a_difference_too_large_for_float64(recwarn):
    found = compare(made("float64", a=[-1.7e308]), made("float64", a=[1.7e308]))
    assert math.isinf(found.rows[0].change.largest) and not found.equal and not recwarn
    assert json.dumps(found.json(), allow_nan=False)


# ---- one table for each verdict


EVERY = """\
same 0    equal     2 x 3
same 1    equal     2
far 0     changed   4
                    2 of 4 differ: largest 0.5, mean 0.188, relative 0.12
far 1     equal     1 x 2
turned 0  reshaped  2 x 3 -> 3 x 2
                    6 of 6 differ: largest 1, mean 1, relative 0.2
other 0   MISMATCH  2 x 2 -> 2 x 3
other 1   equal     1
other 2   extra     1
gone 0    missing   1
new 0     extra     1
new 1     extra     1
4 blobs equal, 1 changed, 1 reshaped, 1 mismatched, 1 missing, 3 extra
missing: not in new weights
extra: not in new weights
"""


def test_tables():
    found = compare(FIRST, SECOND)
    assert found.table(every=True) == EVERY
    assert (
        found.table()
        == str(found)
        == repr(found)
        == "".join(line for line in EVERY.splitlines(keepends=True) if " equal  " not in line)
    )
    assert len(found.of(EXTRA)) == 3 and len(found.different) == 7


def test_a_reshape_says_that_its_values_are_equal():
    found = compare(made(fc6=np.ones((2, 8))), made(fc6=np.ones((2, 2, 2, 2))))
    assert found.equal and found.table() == textwrap.dedent("""\
        fc6 0  reshaped  2 x 8 -> 2 x 2 x 2 x 2
                         values equal
        1 blob reshaped
        """)


def test_a_reshape_of_other_values_is_a_difference():
    other = np.ones((2, 2, 2, 2))
    other[0, 0, 0, 0] = 1.5
    assert not compare(made(fc6=np.ones((2, 8))), made(fc6=other)).equal
    assert compare(made(fc6=np.ones((2, 8))), made(fc6=other), tolerance=0.5).equal


def test_what_is_close_is_counted_and_listed_with_all():
    found = compare(made(a=[1.0, 4.0], b=[1.0]), made(a=[1.0, 4.5], b=[1.0]), tolerance=0.5)
    assert found.table() == "1 blob equal, 1 close\nclose: the relative difference is at most 0.5\n"
    assert "a 0  close  2\n            1 of 2 differ: largest 0.5" in found.table(every=True)


def test_nan_that_came_is_said():
    assert "2 of 3 differ, 1 with NaN or infinity: largest 1" in compare(
        made(a=[1, 2, 3]), made(a=[1, NAN, 4])
    ).table(200)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_tables_are_folded(width):
    names = {f"{'a-long-name/' * length}layer": [1.0 + length] for length in range(8)}
    one, other = made(**names), made(**{name: [7.0] for name in names})
    lines = compare(one, other).table(width).splitlines()
    long = [line for line in lines if len(line) > width]
    assert all(
        line.split()[0].startswith("a-long-name") and len(line.split()) == 3 for line in long
    )


def test_weights_without_blobs():
    assert compare(store.create(), store.create()).table() == "no blobs\n"
    assert compare(store.create().put("split", []), store.create()).equal  # no blobs, no rows


def test_as_json_and_in_a_notebook():
    found = fk.compare(FIRST.rename({"far": "<b>"}), SECOND, names={"<b>": "far"})
    plain = json.loads(json.dumps(found.json(), allow_nan=False))
    assert plain["equal"] is False and plain["counts"]["equal"] == 4 and len(plain["blobs"]) == 11
    assert plain["blobs"][2]["change"]["largest"] == 0.5 and plain["blobs"][2]["new_layer"] == "far"
    zero = fk.compare(made(a=[0.0]), made(a=[1.0])).json()["blobs"][0]["change"]
    assert zero["relative"] is None and zero["largest"] == 1
    page = found._repr_html_()
    assert "&lt;b&gt; -&gt; far 0" in page and "<b>" not in page and page.count("<tr>") == 7


# ---- names and shapes


def test_names_pair_layers():
    one, other = made(a=[1.0], b=[2.0], c=[3.0]), made(b=[1.0], a=[2.0], d=[3.0])
    assert compare(one, other, names={"a": "b", "b": "a", "c": "d"}).equal
    found = compare(one, other, names={"a": "b", "c": "d"})
    assert verdicts(found) == {("a", 0): EXTRA, ("b", 0): MISSING, ("c", 0): EQUAL}
    pairs = [(row.layer, row.new_layer) for row in found.rows]
    assert pairs == [("a", "b"), ("b", ""), ("c", "d"), ("", "a")]


@pytest.mark.parametrize(
    "names, words",
    [
        ({"x": "a"}, 'no layer "x"'),
        ({"a": "x"}, 'no layer "x"'),
        ({"a": "c", "b": "c"}, '2 layers are mapped to "c"; map one'),
    ],
)
def test_names_that_cannot_be(names, words):
    weights = made(a=[1.0], b=[1.0], c=[1.0])
    with pytest.raises(WeightsError, match=words):
        compare(weights, weights, names=names)


def test_a_legacy_shape_is_equal_to_what_caffe_takes_it_for(tmp_path):
    old, new = opened(tmp_path, V1, "old"), opened(tmp_path, V2, "new")
    assert compare(old, new).equal and compare(new, old).equal
    assert "1 x 1 x 2 x 3 -> 2 x 3" in compare(old, new).table(every=True)
    modern = new.reshape("fc", 0, (1, 1, 2, 3))
    assert compare(new, modern).rows[0].verdict == RESHAPED and compare(old, modern).equal


def test_the_last_layer_of_a_name_counts(tmp_path):
    assert compare(opened(tmp_path, V2 + V2), opened(tmp_path, V2, "one")).equal


def test_a_layer_without_a_name_is_no_other():
    bare = store.create().put("", [[1.0]])
    assert compare(bare, bare).equal
    for one, other in ((bare, made(a=[1.0])), (made(a=[1.0]), bare)):
        assert [row.verdict for row in compare(one, other).rows] == [MISSING, EXTRA]
    found = compare(bare, net(data(1, 1), fc("b", "data", 1)))
    assert [row.verdict for row in found.rows] == [MISSING, MISSING, EXTRA]


# ---- counting


@pytest.mark.parametrize("pair", [(V1, V2), (V2, V2)])
def test_each_value_is_read_once_in_pieces_however_they_are_cut(tmp_path, monkeypatch, pair):
    first, second = (opened(tmp_path, data, str(number)) for number, data in enumerate(pair))
    chunks = [b"", struct.pack("<f", 9), b"", struct.pack("<f", 11), b""]
    second = second.put("top", [Lazy((1, 2), lambda: chunks)])
    read, told = [], []
    original = blobs_module.OpenFile.read_into

    def counting(self, buffer, start):
        read.append((self.path, start, len(buffer)))
        original(self, buffer, start)

    monkeypatch.setattr(blobs_module, "PIECE", 12)
    monkeypatch.setattr(blobs_module.OpenFile, "read_into", counting)
    monkeypatch.setattr(
        blobs_module.Blob, "array", lambda self: pytest.fail("a blob was read whole")
    )
    found = compare(first, second, progress=told.append)
    assert verdicts(found) == {("fc", 0): EQUAL, ("fc", 1): EQUAL, ("top", 0): CHANGED}
    places = sorted(read)
    assert all(
        one != other or at + length <= later
        for (one, at, length), (other, later, _) in zip(places, places[1:], strict=False)
    )
    assert (
        sum(length for *_, length in read) == 4 * (10 + 8)
        and max(length for *_, length in read) <= 12
    )
    assert sum(told) == 4 * (10 + 10)


def test_what_cannot_be_compared_is_not_read(monkeypatch):
    monkeypatch.setattr(blobs_module.Blob, "pieces", lambda self: pytest.fail("it was read"))
    told = []
    compare(made(a=[1, 2], b=[1]), made(a=[1, 2, 3], c=[1]), progress=told.append)
    assert sum(told) == 4 * (3 + 4)


# ---- against a net


NET = net(
    data(1, 3, 8, 8),
    conv("a", "data", 4, 3),
    fc("b", "a", 5),
    relu("b"),
    fc("c", "b", 2),
    layer("prob", "Softmax", "c"),
)


@pytest.fixture
def own(tmp_path):
    """The net's own weights."""
    return weights(NET, tmp_path / "w.caffemodel")


def test_a_nets_own_weights_fit_it_and_none_is_read(own, monkeypatch):
    monkeypatch.setattr(blobs_module.Blob, "pieces", lambda self: pytest.fail("it was read"))
    found = compare(own, NET)
    assert found.equal and [row.verdict for row in found.rows] == [FITS] * 6
    assert found.table() == "6 blobs fitting\n"


def test_a_table_against_a_net(own):
    other = net(NET.text.replace("num_output: 2", "num_output: 3"), layer("d", "PReLU", "prob"))
    weights = own.reshape("b", 0, (5, 4, 6, 6)).put("a", [own["a"][0]]).put("e", [[1.0]])
    found = compare(weights, other)
    assert not found.equal
    assert found.table(every=True).replace(own.path, "w") == textwrap.dedent("""\
        a 0  fits      4 x 3 x 3 x 3
        a 1  missing   4
        b 0  reshape   5 x 4 x 6 x 6 -> 5 x 144
        b 1  fits      5
        c 0  MISMATCH  2 x 5 -> 3 x 5
        c 1  MISMATCH  2 -> 3
        d 0  missing   3
        e 0  extra     1
        2 blobs fitting, 1 to reshape, 2 mismatched, 2 missing, 1 extra
        missing: not in w
        extra: not in sketch.prototxt
        """)


def test_it_says_what_inspect_says(own):
    conv_net = fk.convolutionalize(NET).net
    rows = {row.name: row.weights for row in fk.inspect(conv_net, weights=own).rows}
    found = verdicts(compare(own, conv_net))
    assert rows["a"] == found["a", 0] == FITS and rows["b"].split()[0] == found["b", 0] == RESHAPE


def test_names_against_a_net(own):
    renamed = own.rename({"b": "x"})
    assert verdicts(compare(renamed, NET))["x", 0] == EXTRA
    found = compare(renamed, NET, names={"x": "b"})
    assert found.equal and "x -> b 0  fits" in found.table(every=True)
    with pytest.raises(WeightsError, match='has no layer "y", which "x" is mapped to'):
        compare(renamed, NET, names={"x": "y"})


PHASES = net(
    layer("data", "Data", top="data", more='include { phase: TRAIN } data_param { source: "a" }'),
    layer(
        "data", "Input", more="input_param { shape { dim: [1, 3, 8, 8] } } include { phase: TEST }"
    ),
    conv("a", "data", 4, 3),
    layer(
        "t",
        "InnerProduct",
        "a",
        more="inner_product_param { num_output: 2 } include { phase: TRAIN }",
    ),
    layer("s", "Scale", "a", "a", more="scale_param { axis: 0 } include { phase: TRAIN }"),
    layer(
        "u",
        "Convolution",
        "a",
        more="convolution_param { num_output: 2 kernel_size: 1 } include { phase: TEST }",
    ),
)


def test_every_state_of_a_net_counts():
    shapes = {"a": [(4, 3, 3, 3), (4,)], "t": [(2, 144), (2,)], "u": [(2, 4, 1, 1), (2,)]}
    blobs = {name: [np.ones(shape) for shape in each] for name, each in shapes.items()}
    whole = store.create().put_all(blobs)
    assert compare(whole, PHASES).equal
    found = compare(whole.drop("t", "u").rename({"a": "b"}), PHASES, names={"b": "a"})
    assert verdicts(found) == {
        ("b", 0): FITS,
        ("b", 1): FITS,
        ("u", 0): MISSING,
        ("u", 1): MISSING,
        ("t", 0): MISSING,
    }
    assert "t 0  missing  its size is not known; give the shape of its input" in found.table()
    sized = compare(whole.drop("t"), PHASES, inputs={"data": (1, 3, 8, 8)})
    assert [row.new for row in sized.of(MISSING)] == [(2, 144), (2,)]
    assert compare(whole.rename({"t": "x"}), PHASES, names={"x": "t"}).equal
    with pytest.raises(NetError, match='"dato"'):
        compare(whole, PHASES, inputs={"dato": (1,)})


def test_sizes_that_cannot_be_whatever_the_input():
    found = compare(
        store.create().put_all({"a": [np.ones((4, 3, 3, 3)), [1] * 4], "t": [[1.0] * 7]}), PHASES
    )
    row = next(row for row in found.rows if row.layer == "t")
    assert row.verdict == MISMATCH and "the layer takes 2 outputs" in row.why
    assert "the layer takes 2" in " ".join(found.table().split())


# ---- real files


@pytest.mark.parametrize("model", MODELS)
def test_real_files(shared, tmp_path, model):
    first = store.open(shared / "models" / model)
    found = compare(first, first)
    assert found.equal and len(found.rows) == sum(map(len, first.values()))
    name = [name for name in first if first[name]][-1]
    array = first[name][0].array().astype("f4")
    array.reshape(-1)[-1] += 0.5
    first.put(name, [array, *first[name][1:]]).save(tmp_path / "changed")
    row, *others = compare(first, store.open(tmp_path / "changed")).different
    assert not others and (row.verdict, row.layer, row.blob, row.change.differing) == (
        CHANGED,
        name,
        0,
        1,
    )
    old = first[name][0].array().astype("f8")
    gap = np.abs(array.astype("f8") - old).max()
    assert row.change.largest == gap and row.change.relative == gap / np.abs(old).max()


@pytest.mark.parametrize(
    "folder, prototxt, spare",
    [
        ("lenet_v2", "lenet.prototxt", ()),
        ("lenet_v2", "lenet_train_test.prototxt", ()),
        ("age_net_v1", "deploy_age.prototxt", ()),
        ("age_net_v1", "train_val_test_fold_is_0.prototxt", ()),
        ("cifar10_full_v1", "cifar10_full_train_test.prototxt", ()),
        ("open_nsfw_resnet50_v2", "deploy.prototxt", ()),
        ("squeezenet_v1.0_imagenet", "SqueezeNet_deploy.prototxt", ()),
        ("mtcnn_v2", "det2.prototxt", ["conv5-3"]),
        ("nvcaffe_raw", "HorizonalFinemapping.prototxt", ()),
    ],
)
def test_real_files_fit_their_nets(shared, folder, prototxt, spare):
    path = shared / "models" / folder
    model = path / "det2.caffemodel" if folder == "mtcnn_v2" else next(path.glob("*.caffemodel"))
    found = compare(store.open(model), fk.read(path / prototxt))
    assert {(row.layer, row.verdict) for row in found.different} == {
        (name, EXTRA) for name in spare
    }


def test_lenet_of_the_two_generations(shared):
    files = (
        shared / "models" / name / "lenet_iter_10000.caffemodel"
        for name in ("lenet_v1", "lenet_v2")
    )
    one, other = map(store.open, files)
    found = compare(one, other)
    assert [row.verdict for row in found.rows] == [CHANGED] * 8
    assert compare(one, template("lenet")).equal
