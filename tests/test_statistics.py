"""What a weights file holds:
figures equal to numpy's own, each value read once, in bounded memory.
"""

import json
import math
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_peak import PEAK
from small_models import V1, V2, dims, doubles, message, modern_blob, v2_layer
from test_caffemodel import BLOBS, MODELS

import fcnkit as fk
from fcnkit.weights import blobs as blobs_module
from fcnkit.weights import statistics as module
from fcnkit.weights import store
from fcnkit.weights.statistics import BlobStatistics, share, statistics
from fcnkit.weights.store import Lazy, zeros

NAN, INF = float("nan"), float("inf")


def opened(tmp_path, data: bytes) -> store.Weights:
    (tmp_path / "file").write_bytes(data)
    return store.open(tmp_path / "file")


def figures(values, dtype: str = "float32") -> BlobStatistics:
    """The row of one blob that holds these values."""
    array = np.asarray(values, np.dtype(dtype).newbyteorder("<"))
    lazy = Lazy(array.shape, lambda: [array.reshape(-1)], dtype)
    return statistics(store.create().put("a", [lazy])).rows[0]


def check(row: BlobStatistics, array) -> None:
    """The row has numpy's own figures of the array, computed at once, in float64."""
    wide = np.asarray(array).astype(np.float64).ravel()
    finite = wide[np.isfinite(wide)]
    assert row.count == wide.size and row.shape == array.shape and row.dtype == array.dtype.name
    assert row.bytes == array.nbytes
    assert row.zeros == np.sum(wide == 0) and row.nans == np.isnan(wide).sum()
    assert row.infinities == np.isinf(wide).sum()
    if not finite.size:
        assert row.minimum is row.maximum is row.mean is row.deviation is None
        return
    assert (row.minimum, row.maximum) == (finite.min(), finite.max())
    largest = np.abs(finite).max()
    assert row.mean == pytest.approx(finite.mean(), rel=1e-12, abs=1e-14 * largest)
    assert row.deviation == pytest.approx(finite.std(), rel=1e-10, abs=1e-14 * largest)


# laws


@given(st.lists(st.floats(width=32), max_size=30), st.integers(1, 7))
def test_the_figures_are_numpys_however_the_values_are_cut(values, run):
    array = np.asarray(values, "f4")
    before, module.RUN = module.RUN, run
    try:
        check(figures(array), array)
    finally:
        module.RUN = before


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int32", "uint32"])
def test_every_type(dtype):
    values = np.arange(-50 if dtype != "uint32" else 0, 50).reshape(5, -1)
    check(figures(values, dtype), values.astype(dtype))


@pytest.mark.parametrize("name", BLOBS)
def test_every_way_of_storing_values(tmp_path, name):
    weights = opened(tmp_path, v2_layer("fc", BLOBS[name][0]))
    check(statistics(weights).rows[0], weights["fc"][0].array())


def test_a_signalling_nan_is_one_like_another(recwarn):
    row = figures(np.array([0x7F800001, 0x3F800000], "u4").view("f4"))
    assert (row.nans, row.minimum, row.mean) == (1, 1, 1) and not recwarn


def test_the_mean_of_values_far_from_zero_is_exact():
    row = figures(np.tile([1e9 + 1, 1e9 - 1], 50_000), "float64")
    assert row.mean == 1e9 and row.deviation == pytest.approx(1, rel=1e-9)


def test_a_wide_blob_of_many_runs():
    array = np.random.default_rng(0).normal(3, 0.1, 5 * module.RUN + 17).astype("f4")
    check(figures(array), array)


# tables


@pytest.mark.parametrize(
    "values, flags, zeros, nans, infinities",
    [
        ([1, 2], (), 0, 0, 0),
        ([0, -0.0], ("all zero",), 2, 0, 0),
        ([0, 1], (), 1, 0, 0),
        ([NAN, 0], ("NaN",), 1, 1, 0),
        ([INF, -INF, 1], ("infinite",), 0, 0, 2),
        ([NAN, INF], ("NaN", "infinite"), 0, 1, 1),
        ([], (), 0, 0, 0),
        (0.0, ("all zero",), 1, 0, 0),
    ],
)
def test_flags(values, flags, zeros, nans, infinities):
    row = figures(values)
    assert (row.flags, row.zeros, row.nans, row.infinities) == (flags, zeros, nans, infinities)


@pytest.mark.parametrize("values", [[1e308, 1e308, 1e308], [-1.7e308, 1.7e308]])
def test_sums_that_float64_cannot_hold_are_no_crash(values, recwarn):
    row = figures(values, "float64")
    assert (row.minimum, row.maximum) == (min(values), max(values)) and not recwarn


@pytest.mark.parametrize(
    "part, whole, said",
    [
        (0, 9, "0%"),
        (9, 9, "100%"),
        (0, 0, "0%"),
        (1, 2, "50.0%"),
        (1, 10**6, "0.1%"),
        (9999, 10**4, "99.9%"),
    ],
)
def test_none_and_all_are_said_of_none_and_all_alone(part, whole, said):
    assert share(part, whole) == said


def odd() -> store.Weights:
    """Weights in which each thing is odd that may be."""
    weights = store.create().put("conv1", [np.ones((2, 3, 5, 5)), zeros((2,))])
    return weights.put("a-rather-long-name/of_a_layer", [[NAN, NAN, 1, INF], [[-0.5, 2.0]]]).put(
        "none", []
    )


def test_what_it_looks_like():
    assert statistics(odd()).table() == textwrap.dedent("""\
        new weights
        layer                          blob  shape    bytes  minimum  maximum  mean  zeros
        conv1                             0  2x3x5x5    600        1        1     1     0%
        conv1                             1  2            8        0        0     0   100%  all zero
        a-rather-long-name/of_a_layer     0  4           16        1        1     1     0%  2 NaN, 1 infinite
        a-rather-long-name/of_a_layer     1  1x2          8     -0.5        2  0.75     0%
        4 blobs of 2 layers, 158 values
        632 bytes, float32; zeros 1.3%
        1 blob all zero
        1 blob with NaN
        1 blob with infinity
        """)  # noqa: E501


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_name_without_room_stands_above_its_blobs_once(width):
    lines = statistics(odd()).table(width).splitlines()
    assert max(map(len, lines)) <= max(width, 60)
    assert sum("a-rather" in line for line in lines) == (1 if width < 100 else 2)


def test_types_are_said_where_there_are_several():
    rows = [Lazy((2,), lambda: [struct.pack("<2e", 1, 2)], "float16"), [1.0], [2.0]]
    found = statistics(store.create().put("a", rows))
    assert found.types == ("float32", "float16") and "float32 and float16; zeros" in found.table()
    assert [line.split()[-1] for line in found.table().splitlines()[2:5]] == [
        "float16",
        "float32",
        "float32",
    ]


def test_no_blobs_at_all():
    assert (
        statistics(store.create())
        .table()
        .endswith("0 blobs of 0 layers, 0 values\n0 bytes; zeros 0%\n")
    )


def test_as_json_and_in_a_notebook():
    found = fk.statistics(odd().rename({"conv1": "<b>"}))
    plain = json.loads(json.dumps(found.json(), allow_nan=False))
    assert (plain["values"], plain["bytes"], len(plain["blobs"])) == (158, 632, 4)
    assert [blob["flags"] for blob in plain["blobs"]] == [[], ["all zero"], ["NaN", "infinite"], []]
    page = found._repr_html_()
    assert "&lt;b&gt;" in page and "<b>" not in page and page.count("<tr>") == 1 + 4
    assert [row.layer for row in found.flagged] == ["<b>", "a-rather-long-name/of_a_layer"]
    assert str(found) == repr(found) == found.table()


def test_a_figure_that_is_not_finite_is_null_in_json():
    found = statistics(
        store.create().put("a", [Lazy((2,), lambda: [doubles(1.7e308, 1.7e308)], "float64")])
    )
    assert math.isinf(found.rows[0].mean) and found.json()["blobs"][0]["mean"] is None


# counting


@pytest.mark.parametrize("data", [V1, V2])
def test_each_value_is_read_once_in_pieces(tmp_path, monkeypatch, data):
    monkeypatch.setattr(blobs_module, "PIECE", 8)
    weights, read, told = opened(tmp_path, data), [], []
    original = blobs_module.OpenFile.read_into

    def counting(self, buffer, start):
        read.append((start, start + len(buffer)))
        original(self, buffer, start)

    monkeypatch.setattr(blobs_module.OpenFile, "read_into", counting)
    monkeypatch.setattr(
        blobs_module.Blob, "array", lambda self: pytest.fail("a blob was read whole")
    )
    statistics(weights, progress=told.append)
    assert all(left[1] <= right[0] for left, right in zip(read, read[1:], strict=False))
    assert sum(stop - start for start, stop in read) == sum(told) == 4 * weights.total
    assert max(stop - start for start, stop in read) <= 8


def test_a_large_blob_takes_no_memory():
    script = """
        import numpy
        from fcnkit.weights import statistics, store
        statistics.statistics(store.create().put("a", [store.zeros((100,))]))
        before = peak()
        found = statistics.statistics(store.create().put("a", [store.zeros((10 << 20,))]))
        assert found.rows[0].zeros == 10 << 20
        print(peak() - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", PEAK + textwrap.dedent(script)], capture_output=True, text=True
    )
    assert int(done.stdout) < 8 << 10, done.stderr  # KiB, of a blob of 40 MiB


# real files


@pytest.mark.parametrize("model", MODELS)
def test_real_files_have_numpys_figures(shared, model):
    weights = store.open(shared / "models" / model)
    found = statistics(weights)
    blobs = [(name, number, blob) for name in weights for number, blob in enumerate(weights[name])]
    assert [(row.layer, row.blob) for row in found.rows] == [
        (name, number) for name, number, _ in blobs
    ]
    for row, (_, _, blob) in zip(found.rows, blobs, strict=True):
        check(row, blob.array())
    assert found.count == weights.total
    assert max(map(len, found.table(80).splitlines()[1:])) <= 80


def test_half_precision_of_a_real_file(shared):
    weights = store.open(
        shared / "models" / "fp16_raw_ssd" / "res10_300x300_ssd_iter_140000_fp16.caffemodel"
    )
    found = statistics(weights)
    assert set(found.types) == {"float16", "float32"} and not found.flagged
    assert found.bytes < 4 * found.count


def test_an_old_blob_and_one_of_doubles(tmp_path):
    data = v2_layer("a", modern_blob((2,), (1, 2)), message(8, doubles(1.5, 2.5, 1e300)) + dims(3))
    rows = statistics(opened(tmp_path, data)).rows
    assert [(row.dtype, row.maximum) for row in rows] == [("float32", 2), ("float64", 1e300)]
