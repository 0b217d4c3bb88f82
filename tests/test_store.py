"""Weights as values: opened by headers, edited, saved without decoding what stays."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from memory_peak import PEAK
from small_models import (
    BIAS,
    V1,
    V2,
    WEIGHTS,
    dims,
    doubles,
    floats,
    message,
    modern_blob,
    number,
    old_blob,
    v1_layer,
    v2_layer,
    whole,
)
from test_caffemodel import BLOBS, MODELS

from fcnkit import files
from fcnkit.edits import splice
from fcnkit.errors import OutputError, WeightsError
from fcnkit.formats import prototxt, schema
from fcnkit.weights import blobs as blobs_module
from fcnkit.weights import store
from fcnkit.weights.store import Lazy, zeros

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 2 } }
layer { name: "new" type: "InnerProduct" bottom: "data" top: "new"
  inner_product_param { num_output: 2 } }
"""


@pytest.fixture(params=["V1", "V2"])
def small(request, tmp_path):
    """The path of a small file of either generation."""
    path = tmp_path / "small.caffemodel"
    path.write_bytes({"V1": V1, "V2": V2}[request.param])
    return path


def saved(weights, path) -> bytes:
    weights.save(path, force=True)
    return path.read_bytes()


def arrays(weights) -> dict:
    return {name: [blob.array().tolist() for blob in blobs] for name, blobs in weights.items()}


def parsed(data: bytes):
    return schema.message("NetParameter").FromString(data)


# laws


def test_saving_what_was_opened_changes_nothing(small, tmp_path):
    weights = store.open(small)
    assert weights.edits() == ()
    assert saved(weights, tmp_path / "out") == small.read_bytes()


def test_a_saved_file_is_its_source_spliced(small, tmp_path):
    weights = store.open(small).reshape("fc", 0, (2, 3, 1, 1)).rename({"fc": "fc-conv"}).drop("top")
    assert saved(weights, tmp_path / "out") == splice(small.read_bytes(), weights.edits())


def test_an_operation_and_its_inverse_give_the_file_back(tmp_path):
    path = tmp_path / "small"
    path.write_bytes(V2)
    weights = store.open(path)
    back = (
        weights.reshape("fc", 0, (6,))
        .reshape("fc", 0, (2, 3))
        .rename({"fc": "x"})
        .rename({"x": "fc"})
    )
    assert back.edits() == ()


def test_weights_are_values(small):
    weights = store.open(small)
    before = repr(weights)
    weights.reshape("fc", 0, (6,)).rename({"fc": "x"}).drop("top").put("y", [[1.0]])
    assert repr(weights) == before
    with pytest.raises(AttributeError):
        weights.path = "other"


def test_edits_in_any_order_give_the_same_file(small, tmp_path):
    weights = store.open(small)
    one = weights.reshape("fc", 0, (3, 2)).drop("top").rename({"fc": "x"})
    other = weights.rename({"fc": "x"}).reshape("x", 0, (3, 2)).drop("top")
    assert saved(one, tmp_path / "one") == saved(other, tmp_path / "other")


@pytest.mark.parametrize("data", [V1, V2])
def test_the_result_is_what_protobuf_would_write(tmp_path, data):
    (tmp_path / "small").write_bytes(data)
    weights = store.open(tmp_path / "small").reshape("fc", 0, (2, 3, 1, 1)).reshape("fc", 1, (2,))
    weights = weights.rename({"fc": "a-much-longer-name" * 10}).put(
        "new", [[1, 2, 3], zeros((2, 2))]
    )
    out = saved(weights, tmp_path / "out")
    assert parsed(out).SerializeToString() == out


def test_it_is_a_mapping(small):
    weights = store.open(small)
    assert list(weights) == ["data", "fc", "top"]
    assert (len(weights), weights.total) == (3, 10)
    assert weights["data"] == () and "nothing" not in weights
    assert [blob.count for blob in weights["fc"]] == [6, 2]
    with pytest.raises(KeyError):
        weights["nothing"]


# reading


def test_arrays_are_new_aligned_and_little_endian(small):
    weights, bias = store.open(small)["fc"]
    assert weights.array().ravel().tolist() == list(WEIGHTS)
    assert bias.array().ravel().tolist() == list(BIAS)
    array = weights.array()
    assert array.flags.aligned and array.flags.writeable and array.shape == weights.shape
    array[:] = 0
    assert weights.array().ravel().tolist() == list(WEIGHTS)


@pytest.mark.parametrize("name", BLOBS)
def test_every_way_of_storing_values(tmp_path, name):
    blob, shape, dtype, expected = BLOBS[name]
    (tmp_path / "file").write_bytes(v2_layer("fc", blob))
    found = store.open(tmp_path / "file")["fc"][0]
    assert found.array().shape == shape and found.dtype == dtype == found.array().dtype.name
    assert found.array().ravel().tolist() == list(expected)
    assert found.nbytes == found.array().nbytes


def test_values_are_read_across_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(blobs_module, "PIECE", 12)
    run = b"".join(number(5 * 8 + 5) + floats(each) for each in range(50))
    (tmp_path / "file").write_bytes(v2_layer("a", modern_blob((50,), range(50)), run + dims(50)))
    weights = store.open(tmp_path / "file")
    assert [blob.array().tolist() for blob in weights["a"]] == [list(range(50))] * 2
    assert saved(weights, tmp_path / "out") == (tmp_path / "file").read_bytes()


def test_what_it_looks_like(small):
    weights = store.open(small)
    text = repr(weights)
    assert "3 layers, 10 values" in text and ("V1" in text or "V2" in text)
    assert any(
        line.split()[:2] == ["fc", "0"] and line.split()[-2:] == ["6", "24"]
        for line in text.splitlines()
    )
    page = store.open(small).rename({"fc": "<b>"})._repr_html_()
    assert "&lt;b&gt;" in page and page.count("<tr>") == 1 + 3


# edits


def test_a_reshape_changes_headers_only(small, tmp_path):
    weights = store.open(small).reshape("fc", 0, (2, 3, 1, 1))
    out = saved(weights, tmp_path / "out")
    again = store.open(tmp_path / "out")
    assert again["fc"][0].shape == (2, 3, 1, 1) and not again["fc"][0].legacy
    assert sum(len(edit.new) for edit in weights.edits()) < 20
    assert again["fc"][0].array().ravel().tolist() == list(WEIGHTS)
    assert again["fc"][1].legacy == (small.read_bytes() == V1)
    assert len(parsed(out).SerializeToString()) == len(out)


def test_a_reshape_to_the_same_legacy_shape_makes_it_modern(tmp_path):
    (tmp_path / "file").write_bytes(V1)
    weights = store.open(tmp_path / "file").reshape("fc", 0, (1, 1, 2, 3))
    out = saved(weights, tmp_path / "out")
    blob = parsed(out).layers[1].blobs[0]
    assert not blob.HasField("num") and tuple(blob.shape.dim) == (1, 1, 2, 3)


def test_no_tensor_is_decoded_and_no_byte_read_twice(small, tmp_path, monkeypatch):
    weights = store.open(small).reshape("fc", 0, (6,)).rename({"fc": "fc-conv"}).drop("top")
    read = []
    original = blobs_module.OpenFile.read_into

    def counting(self, buffer, start):
        read.append((start, start + len(buffer)))
        original(self, buffer, start)

    def refuse(self):
        raise AssertionError("a blob was decoded")

    monkeypatch.setattr(blobs_module.OpenFile, "read_into", counting)
    monkeypatch.setattr(blobs_module.Blob, "pieces", refuse)
    monkeypatch.setattr(blobs_module.Blob, "array", refuse)
    weights.save(tmp_path / "out")
    assert all(left[1] <= right[0] for left, right in zip(read, read[1:], strict=False))
    assert sum(stop - start for start, stop in read) < small.stat().st_size


@pytest.mark.parametrize(
    "shapes", [[(1, 1, 1, 6)], [(6,)], [(3, 2)], [(1,) * 10 + (6,)], [(3, 2), (6, 1, 1)]]
)
def test_reshapes(small, tmp_path, shapes):
    weights = store.open(small)
    for shape in shapes:
        weights = weights.reshape("fc", 0, shape)
    saved(weights, tmp_path / "out")
    assert store.open(tmp_path / "out")["fc"][0].shape == shapes[-1]


@pytest.mark.parametrize(
    "layer, blob, shape, words",
    [
        ("fc", 0, (2, 4), r'layer "fc", blob 0, byte \d+: .* is 6 values, 2 x 4 would be 8'),
        ("fc", 0, (-2, -3), "would be 6"),
        ("fc", 0, (), "would be 1"),
        ("fc", 2, (2,), "2 blobs, no blob 2"),
        ("fc", -1, (2,), "no blob -1"),
        ("fcc", 0, (6,), 'no layer "fcc"; near it: fc'),
        ("data", 0, (6,), "0 blobs"),
    ],
)
def test_reshapes_that_cannot_be(small, layer, blob, shape, words):
    with pytest.raises(WeightsError, match=words):
        store.open(small).reshape(layer, blob, shape)


def test_a_shape_in_many_pieces_becomes_one(tmp_path):
    blob = dims(2) + message(5, floats(*WEIGHTS)) + dims(3) + whole(900, 1)
    (tmp_path / "file").write_bytes(v2_layer("fc", blob))
    out = saved(store.open(tmp_path / "file").reshape("fc", 0, (6, 1)), tmp_path / "out")
    assert tuple(parsed(out).layer[0].blobs[0].shape.dim) == (6, 1)


def test_names(small, tmp_path):
    weights = store.open(small)
    assert list(weights.rename({"fc": "x", "top": "fc"})) == ["data", "x", "fc"]
    swapped = weights.rename({"fc": "top", "top": "fc"})
    saved(swapped, tmp_path / "out")
    again = store.open(tmp_path / "out")
    assert (
        arrays(again)["top"] == arrays(weights)["fc"]
        and arrays(again)["fc"] == arrays(weights)["top"]
    )
    with pytest.raises(WeightsError, match='no layer "x"'):
        weights.rename({"x": "y"})
    with pytest.raises(WeightsError, match='two layers would be named "top"'):
        weights.rename({"fc": "top"})
    with pytest.raises(WeightsError, match='two layers would be named "x"'):
        weights.rename({"fc": "x", "top": "x"})


def test_a_layer_without_a_name_can_get_one(tmp_path):
    (tmp_path / "file").write_bytes(message(100, message(7, modern_blob((2,), BIAS))))
    saved(store.open(tmp_path / "file").rename({"": "fc"}), tmp_path / "out")
    assert arrays(store.open(tmp_path / "out")) == {"fc": [list(BIAS)]}


def test_dropped_layers_are_gone(small, tmp_path):
    weights = store.open(small).drop("data", "fc")
    out = saved(weights, tmp_path / "out")
    assert list(store.open(tmp_path / "out")) == ["top"]
    assert len(out) < small.stat().st_size
    with pytest.raises(WeightsError, match="no layer"):
        weights.drop("fc")
    with pytest.raises(WeightsError, match="no layers"):
        weights.drop("top").save(tmp_path / "none")


@pytest.mark.parametrize(
    "given",
    [
        [np.arange(6.0).reshape(2, 3)],
        [np.arange(6).reshape(2, 3), [1, 2]],
        [np.float64(3)],
        [],
        [zeros((2, 3)), zeros((2,))],
        [np.arange(12.0).reshape(3, 4).T],
        [np.arange(6, dtype=">f4")],
        [Lazy((2, 2), lambda: [floats(1), floats(2, 3), b"", floats(4)])],
        [Lazy((2,), lambda: [doubles(1.5, 2.5)], "float64")],
        [np.ones((2, 2))] * 5,
    ],
)
@pytest.mark.parametrize("layer", ["new", "fc", "data"])
def test_put(small, tmp_path, layer, given):
    weights = store.open(small).put(layer, given)
    expected = arrays(weights)
    out = saved(weights, tmp_path / "out")
    assert arrays(store.open(tmp_path / "out")) == expected
    assert parsed(out).SerializeToString() == out
    for value, blob in zip(given, weights[layer], strict=True):
        if not isinstance(value, Lazy):
            np.testing.assert_array_equal(blob.array(), np.asarray(value, np.float32))


def test_put_keeps_the_other_fields_of_a_layer(small, tmp_path):
    before, after = (
        parsed(small.read_bytes()),
        parsed(saved(store.open(small).put("fc", [[9]]), tmp_path / "out")),
    )
    for net in before, after:
        del (net.layers or net.layer)[1].blobs[:]
    assert before == after


def test_arrays_that_are_put_are_copied():
    array = np.ones(3, np.float32)
    weights = store.create().put("a", [array])
    array[:] = 5
    assert weights["a"][0].array().tolist() == [1, 1, 1]


def test_blobs_of_one_file_go_into_another(small, tmp_path):
    donor = store.open(small)
    weights = store.create().put("x", donor["fc"]).put("y", donor["top"]).put("z", donor["fc"])
    saved(weights, tmp_path / "out")
    again = arrays(store.open(tmp_path / "out"))
    assert again["x"] == again["z"] == arrays(donor)["fc"] and again["y"] == arrays(donor)["top"]


def test_half_precision_becomes_float32_where_it_is_written_anew(tmp_path):
    blob = BLOBS["raw half"][0]
    (tmp_path / "file").write_bytes(v2_layer("fc", blob))
    weights = store.open(tmp_path / "file")
    assert (
        saved(weights.reshape("fc", 0, (6,)), tmp_path / "out").count(b"\x62\x0c") == 1
    )  # raw_data, 12 bytes
    saved(weights.put("again", weights["fc"]), tmp_path / "out")
    first, again = (store.open(tmp_path / "out")[name][0] for name in ("fc", "again"))
    assert (first.dtype, again.dtype) == ("float16", "float32")
    assert first.array().tolist() == again.array().tolist()


def test_equal_new_blobs_are_all_written(tmp_path):
    weights = store.create().put("a", [[1.0], [1.0]]).put("b", [[1.0], [1.0]])
    saved(weights, tmp_path / "out")
    assert arrays(store.open(tmp_path / "out")) == {"a": [[1], [1]], "b": [[1], [1]]}


@pytest.mark.parametrize("kind", ["layer", "layers"])
def test_a_file_can_be_made_from_nothing(tmp_path, kind):
    weights = store.create(kind=kind).put("fc", [np.ones((2, 3)), [1, 2]], type="InnerProduct")
    out = saved(weights, tmp_path / "out")
    net = parsed(out)
    assert [layer.name for layer in getattr(net, {"layer": "layer", "layers": "layers"}[kind])] == [
        "fc"
    ]
    assert store.open(tmp_path / "out").kind == kind
    with pytest.raises(WeightsError, match="no layers"):
        store.create().save(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("chunks", [[floats(1)], [floats(1, 2, 3)], []])
def test_lazy_values_of_another_number(tmp_path, chunks):
    weights = store.create().put("a", [Lazy((2,), lambda: chunks)])
    with pytest.raises(WeightsError, match='layer "a", new blob 0: expected 8 bytes'):
        weights.save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# a name that a file gives twice


DOUBLE = v2_layer("fc", modern_blob((2, 3), [0] * 6), modern_blob((2,), (0, 0)), type="A") + V2


def test_the_last_layer_of_a_name_counts(tmp_path):
    (tmp_path / "file").write_bytes(DOUBLE)
    weights = store.open(tmp_path / "file")
    assert arrays(weights)["fc"][0] == [[1, 2, 3], [4, 5, 6]] and len(weights) == 3
    assert saved(weights, tmp_path / "out") == DOUBLE
    for changed in (weights.reshape("fc", 0, (6,)), weights.put("fc", [[1]])):
        assert [layer.name for layer in parsed(saved(changed, tmp_path / "out")).layer] == [
            "data",
            "fc",
            "top",
        ]
    assert "fc" not in weights.drop("fc")
    assert [
        layer.name for layer in parsed(saved(weights.rename({"fc": "x"}), tmp_path / "out")).layer
    ].count("x") == 2


def test_caffe_too_takes_the_last_layer_of_a_name(caffe, tmp_path):
    (tmp_path / "twice.caffemodel").write_bytes(DOUBLE)
    params = caffe.params(prototxt.parse(NET, "net"), tmp_path / "twice.caffemodel")
    assert params["fc"][0].tolist() == arrays(store.open(tmp_path / "twice.caffemodel"))["fc"][0]


# real Caffe


@pytest.mark.parametrize("data", [V1, V2])
def test_caffe_loads_what_is_written(caffe, tmp_path, data):
    (tmp_path / "small").write_bytes(data)
    weights = store.open(tmp_path / "small").reshape("fc", 0, (2, 3)).reshape("fc", 1, (2,))
    weights = weights.put("new", [np.arange(6).reshape(2, 3), zeros((2,))])
    weights.save(tmp_path / "out.caffemodel")
    params = caffe.params(prototxt.parse(NET, "net"), tmp_path / "out.caffemodel")
    for name in ("fc", "new"):
        for loaded, blob in zip(params[name], weights[name], strict=True):
            np.testing.assert_array_equal(loaded, blob.array())


def test_caffe_reads_the_same_values(caffe, tmp_path):
    shapes = ((2, 3), (1, 1, 2, 3))
    names = [
        name for name in BLOBS if BLOBS[name][1] in shapes and "raw" not in name
    ]  # raw is NVCaffe's
    for name in names:
        (tmp_path / name).write_bytes(v2_layer("fc", BLOBS[name][0], modern_blob((2,), BIAS)))
    net = prototxt.parse(NET, "net")
    answers = caffe.ask([caffe.Question("params", net, tmp_path / name) for name in names])
    for name, params in zip(names, answers, strict=True):
        expected = store.open(tmp_path / name)["fc"][0].array().ravel()
        assert params["fc"][0].ravel().tolist() == expected.tolist(), name


# real files


@pytest.mark.parametrize("model", MODELS)
def test_real_files(shared, tmp_path, model):
    path = shared / "models" / model
    weights = store.open(path)
    assert saved(weights, tmp_path / "out") == path.read_bytes()
    net = parsed(path.read_bytes())
    for layer in net.layers or net.layer:
        for found, blob in zip(weights[layer.name], layer.blobs, strict=True):
            if not blob.raw_data:
                np.testing.assert_array_equal(
                    found.array().ravel(), np.array(blob.data, np.float32)
                )
            assert found.count == found.array().size
    learned = [name for name in weights if weights[name]]
    changed = weights.reshape(learned[0], 0, (weights[learned[0]][0].count,)).rename(
        {learned[-1]: "last"}
    )
    out = saved(changed, tmp_path / "out")
    assert parsed(out).SerializeToString() == out or "raw" in model


@pytest.mark.parametrize(
    "model, total",
    [("age_net_v1/age_net.caffemodel", 11415048), ("lenet_v2/lenet_iter_10000.caffemodel", 431080)],
)
def test_known_totals(shared, model, total):
    assert store.open(shared / "models" / model).total == total


def test_half_precision_is_read(shared):
    weights = store.open(
        shared / "models" / "fp16_raw_ssd" / "res10_300x300_ssd_iter_140000_fp16.caffemodel"
    )
    blob = weights["conv1_h"][0]
    assert (blob.dtype, blob.shape) == ("float16", (32, 3, 7, 7))
    assert 0.01 < np.abs(blob.array().astype(np.float32)).mean() < 1


# hostile surroundings


@pytest.mark.parametrize("length", [0, 1, 50, len(V2) - 1])
def test_damaged_files_are_refused(tmp_path, length):
    (tmp_path / "cut").write_bytes(V2[:length])
    with pytest.raises(WeightsError, match="cut: .*byte"):
        store.open(tmp_path / "cut")


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path, words in (
        ("none", "cannot be read: No such file"),
        (".", "found a folder"),
        ("fifo", "is not a file"),
    ):
        with pytest.raises(WeightsError, match=words):
            store.open(tmp_path / path)


def test_no_output_is_overwritten_unasked(small, tmp_path):
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        store.open(small).save(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"mine"


def test_the_source_can_be_the_target(small):
    weights = store.open(small)
    changed = weights.reshape("fc", 0, (6,)).rename({"top": "a-longer-name"})
    changed.save(small, force=True)
    assert list(store.open(small)) == ["data", "fc", "a-longer-name"]
    assert (
        weights["fc"][0].array().size == 6
    )  # the old file lives on under the values opened from it
    assert weights["top"][0].array().ravel().tolist() == [9, 10]


@pytest.mark.parametrize("change", ["append", "cut", "rewrite"])
def test_a_file_that_changes_while_it_is_open(small, tmp_path, change):
    weights = store.open(small)
    size = small.stat().st_size
    time.sleep(0.02)
    if change == "cut":
        os.truncate(small, size - 1)
    else:
        with open(small, "r+b") as file:
            file.seek(0, 2 if change == "append" else 0)
            file.write(b"x")
    with pytest.raises(WeightsError, match="changed after it was opened"):
        weights["fc"][0].array()
    with pytest.raises(WeightsError, match="changed|ends at byte"):
        weights.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_full_or_broken_disk(small, tmp_path, monkeypatch, error):
    target = tmp_path / "folder" / "out"
    target.parent.mkdir()
    target.write_bytes(b"before")
    monkeypatch.setattr(
        os, "fsync", lambda file: (_ for _ in ()).throw(OSError(error, os.strerror(error)))
    )
    with pytest.raises(OutputError, match=os.strerror(error)):
        store.open(small).drop("top").save(target, force=True)
    assert [path.name for path in target.parent.iterdir()] == [
        "out"
    ] and target.read_bytes() == b"before"


def test_a_really_full_disk(tmp_path):
    """A limit on the size of files stands in for the disk: writing fails in the middle."""
    script = f"""
        import resource, signal
        from fcnkit.errors import OutputError
        from fcnkit.weights import store
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
        weights = store.create().put("a", [store.zeros((2 << 20,))])
        try:
            weights.save({str(tmp_path / "out")!r})
        except OutputError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True
    )
    assert "cannot be written: File too large" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written(small, tmp_path, monkeypatch):
    def refuse(target):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    if os.geteuid() == 0:  # root may write anywhere
        monkeypatch.setattr(files, "_begun", refuse)
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        store.open(small).save(tmp_path / "locked" / "out")


def test_a_folder_that_is_not_there(small, tmp_path):
    with pytest.raises(OutputError, match="No such file"):
        store.open(small).save(tmp_path / "none" / "out")


def test_a_kill_in_the_middle_leaves_the_old_file(small, tmp_path):
    """The process is stopped while it writes, then killed: the target is as it was."""
    target = tmp_path / "out"
    target.write_bytes(b"before")
    script = f"""
        import time
        from fcnkit.weights import store
        def chunks():
            yield bytes(4 << 20)
            print("writing", flush=True)
            time.sleep(600)
        weights = store.open({str(small)!r}).put("a", [store.Lazy((2 << 20,), chunks)])
        weights.save({str(target)!r}, force=True)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"writing\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert target.read_bytes() == b"before"
    assert store.open(small)["fc"][0].array().size == 6


def test_two_saves_at_once_leave_one_whole_file(small, tmp_path):
    target = tmp_path / "out"
    versions = [store.open(small).put("a", [np.full(1 << 16, number)]) for number in range(4)]
    threads = [
        threading.Thread(target=version.save, args=(target,), kwargs={"force": True})
        for version in versions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    array = store.open(target)["a"][0].array()
    assert len(set(array.tolist())) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", small.name]


def test_more_than_caffe_can_read_is_refused_before_anything_is_written(tmp_path):
    weights = store.create().put("a", [zeros((1 << 28,))]).put("b", [zeros((1 << 28,))])
    with pytest.raises(WeightsError, match="at most 2147483647"):
        weights.save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_large_new_layer_takes_no_memory(tmp_path):
    script = f"""
        from fcnkit.weights import store
        before = peak()
        store.create().put("a", [store.zeros((25 << 20,))]).save({str(tmp_path / "out")!r})
        weights = store.open({str(tmp_path / "out")!r}).reshape("a", 0, (25, 1 << 20))
        weights.save({str(tmp_path / "again")!r})
        print(peak() - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", PEAK + textwrap.dedent(script)], capture_output=True, text=True
    )
    assert int(done.stdout) < 16 << 10, done.stderr  # KiB, of files of 100 MiB


def test_files_are_closed(small):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        store.open(small).rename({"fc": "x"})
    assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_the_disk_is_asked_to_begin_early_where_it_is_waited_for(tmp_path, monkeypatch):
    asked = []
    (tmp_path / "out").write_bytes(b"old")
    monkeypatch.setattr(
        os, "posix_fadvise", lambda file, start, length, advice: asked.append((start, length))
    )
    store.create().put("a", [zeros((10 << 20,))]).save(tmp_path / "out", force=True)
    assert len(asked) >= 4 and all(start + length <= 41 << 20 for start, length in asked)
    assert [start for start, _ in asked][1:] == [start + length for start, length in asked][:-1]


@pytest.mark.parametrize("start, place", [(0, 0), (5, 3), (7, 12), (0, 24)])
def test_pieces_fall_on_round_offsets_of_the_new_file(small, monkeypatch, start, place):
    monkeypatch.setattr(blobs_module, "PIECE", 12)
    found = [bytes(piece) for piece in store.open(small).source.pieces(start, start + 50, place)]
    assert b"".join(found) == small.read_bytes()[start : start + 50]
    ends = np.cumsum([len(piece) for piece in found]) + place
    assert all(end % 12 == 0 for end in ends[:-1]) and max(map(len, found)) <= 12


def test_v1_files_get_v1_layers(tmp_path):
    (tmp_path / "file").write_bytes(v1_layer("fc", old_blob((1, 1, 1, 2), BIAS)))
    net = parsed(saved(store.open(tmp_path / "file").put("new", [[1.0]]), tmp_path / "out"))
    assert [layer.name for layer in net.layers] == ["fc", "new"] and not net.layer
