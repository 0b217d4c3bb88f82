"""Weights from one format into another:
bit-equal tensors, shapes that Caffe takes, what is refused.
"""

import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sketches import conv, data, fc, net, weights
from small_models import V1, V2, v2_layer
from test_caffemodel import BLOBS, MODELS

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.errors import WeightsError
from fcnkit.formats import schema
from fcnkit.weights import store
from fcnkit.weights.convert import FORMATS, convert, legacy, modern

SMALL = net(data(1, 2, 6, 6), conv("a/b", "data", 3, 3), fc("fc", "a/b", 4), path="small.prototxt")
NAMED = net(
    data(1, 2, 6, 6), conv("conv", "data", 3, 3), fc("fc", "conv", 4), path="small.prototxt"
)
SUFFIX = {"v2": ".caffemodel", "bvlc": ".caffemodel", "h5": ".caffemodel.h5", "npz": ".npz"}


def written(weights, to, folder, **options):
    """The file of a conversion, opened again."""
    path = folder / f"{len(os.listdir(folder))}{SUFFIX[to]}"
    convert(weights, to, **options).save(path)
    return store.open(path)


def tensors(weights):
    """The bits of every tensor, float32 where the
    format has no smaller type, whatever its shape.
    """
    kinds = {"float64": "<f8"}
    return {
        name: [blob.array().astype(kinds.get(blob.dtype, "<f4")).tobytes() for blob in blobs]
        for name, blobs in weights.items()
        if blobs
    }


@pytest.fixture
def small(tmp_path):
    return weights(SMALL, tmp_path / "small.caffemodel")


@pytest.fixture(params=["V1", "V2"])
def file(request, tmp_path):
    path = tmp_path / "in.caffemodel"
    path.write_bytes({"V1": V1, "V2": V2}[request.param])
    return store.open(path)


# ---- laws


@pytest.mark.parametrize(
    "way", [("v2", "h5", "v2"), ("npz", "v2"), ("h5", "npz", "bvlc"), ("h5", "h5")]
)
def test_any_way_around_gives_bit_equal_tensors(file, tmp_path, way):
    found = file
    for to in way:
        found = written(found, to, tmp_path)
    assert tensors(found) == tensors(file)


@pytest.mark.parametrize("to", ["v2", "bvlc"])
def test_a_modern_caffemodel_is_copied_byte_for_byte(small, tmp_path, to):
    found = written(store.open(tmp_path / "small.caffemodel"), to, tmp_path)
    assert Path(found.path).read_bytes() == (tmp_path / "small.caffemodel").read_bytes()


@pytest.mark.parametrize("to", FORMATS)
def test_every_way_of_storing_values(tmp_path, to):
    for name, (blob, _, _, expected) in BLOBS.items():
        path = tmp_path / f"{name}.caffemodel"
        path.write_bytes(v2_layer("x", blob))
        (blobs,) = written(store.open(path), to, tmp_path).values()
        assert blobs[0].array().ravel().tolist() == list(expected), name
        assert blobs[0].dtype in ("float32", "float64")


def test_names_with_a_slash_come_back(small, tmp_path):
    assert [*written(small, "h5", tmp_path)] == ["a/b", "fc"]
    assert [*written(small, "npz", tmp_path)] == ["a/b", "fc"]


def test_hdf5_and_npz_are_what_h5py_and_numpy_read(small, tmp_path):
    import h5py

    expected = {
        f"{name}/{n}": blob.array() for name, blobs in small.items() for n, blob in enumerate(blobs)
    }
    with h5py.File(written(small, "h5", tmp_path).path) as found:
        assert all((found[f"data/{key}"][()] == value).all() for key, value in expected.items())
    with np.load(written(small, "npz", tmp_path).path, allow_pickle=False) as found:
        assert sorted(found) == sorted(expected)
        assert all((found[key] == value).all() for key, value in expected.items())


def test_layers_without_blobs_stay_where_they_stand_in_nobodys_way(tmp_path):
    """In HDF5 a group without blobs may stand in another layer's, or has no name."""
    made = store.create().put("", []).put("conv", [[1.0]]).put("relu", []).put("conv/relu", [])
    assert [*written(made, "h5", tmp_path)] == ["conv"]
    made = store.create().put("conv", [[1.0]]).put("relu", [])
    assert [*written(made, "v2", tmp_path)] == ["conv", "relu"]
    assert [*written(made, "npz", tmp_path)] == ["conv"]


# ---- shapes


@pytest.mark.parametrize(
    ("number", "type_", "old", "new"),
    [
        (0, "InnerProduct", (1, 1, 4, 6), (4, 6)),
        (0, "InnerProduct", (1, 1, 1, 6), (1, 6)),
        (1, "InnerProduct", (1, 1, 1, 4), (4,)),
        (0, "Convolution", (1, 1, 5, 5), (1, 1, 5, 5)),
        (0, "Deconvolution", (1, 1, 4, 4), (1, 1, 4, 4)),
        (0, "Convolution", (8, 3, 5, 5), (8, 3, 5, 5)),
        (1, "Convolution", (1, 1, 1, 8), (8,)),
        (0, "PReLU", (1, 1, 1, 8), (8,)),
        (0, "", (1, 1, 1, 8), (8,)),
    ],
)
def test_legacy_shapes_become_those_of_today(number, type_, old, new):
    blob = replace(store.create().put("x", [np.zeros(old)])["x"][0], legacy=True)
    found = modern(blob, number, type_)
    assert (found.shape, found.legacy) == (new, False)
    assert modern(found, number, type_) is found
    back = legacy(found, number, type_)
    assert (back.shape, back.legacy) == (old, True) and legacy(back, number, type_) is back


def test_the_legacy_layout_and_back(file, tmp_path):
    old = written(file, "v2", tmp_path, layout="legacy")
    shapes = {name: [blob.shape for blob in blobs] for name, blobs in old.items() if blobs}
    assert shapes == {"fc": [(1, 1, 2, 3), (1, 1, 1, 2)], "top": [(1, 1, 1, 2)]}
    assert all(blob.legacy for blobs in old.values() for blob in blobs)
    new = written(old, "v2", tmp_path)
    shapes = {name: [blob.shape for blob in blobs] for name, blobs in new.items() if blobs}
    assert shapes == {"fc": [(2, 3), (2,)], "top": [(1, 2)]}
    assert tensors(new) == tensors(old) == tensors(file)


def test_a_v1_file_stays_one_for_bvlc_and_gets_types_as_v2(tmp_path):
    (tmp_path / "in").write_bytes(V1)
    opened = store.open(tmp_path / "in")
    assert written(opened, "bvlc", tmp_path).kind == "layers"
    found = written(opened, "v2", tmp_path)
    assert found.kind == "layer"
    assert [layer.type for layer in found.layers] == ["Data", "InnerProduct", "InnerProduct"]


# ---- what is refused


@pytest.mark.parametrize(
    ("shape", "legacy_", "to", "layout", "words"),
    [
        (
            (1, 1, 5, 5),
            True,
            "v2",
            "shape",
            "a window or a matrix.*; write a caffemodel, which keeps it",
        ),
        ((1, 1, 1, 5, 5), False, "v2", "legacy", "more than four axes"),
        ((5,), False, "h5", "legacy", "h5 has no legacy layout"),
        ((5,), False, "onnx", "shape", "no such format; there are v2, h5, npz, bvlc"),
    ],
)
def test_what_cannot_be_converted(shape, legacy_, to, layout, words):
    made = store.create().put("x", [np.zeros(shape)])
    made = made.put("x", [replace(made["x"][0], legacy=legacy_)])
    with pytest.raises(WeightsError, match=words):
        convert(made, to, layout=layout)


@pytest.mark.parametrize("name", ["", "a//b", "a/", ".", "a/./b"])
def test_a_name_that_cannot_be_a_group_of_hdf5(tmp_path, name):
    made = store.create().put(name, [[1.0]])
    with pytest.raises(WeightsError, match="cannot be that of a group"):
        convert(made, "h5").save(tmp_path / "x.h5")
    assert not list(tmp_path.iterdir())


def test_names_that_collide_in_hdf5(tmp_path):
    made = store.create().put("b/a", [[1.0]]).put("b/a/0", [[1.0]])
    with pytest.raises(WeightsError, match="rename one of the layers"):
        convert(made, "h5").save(tmp_path / "x.h5")
    assert not list(tmp_path.iterdir())


def test_over_two_gigabytes_go_to_hdf5_alone(tmp_path):
    shape = (1 << 20, 300)
    made = store.create().put("a", [store.zeros(shape)]).put("b", [store.zeros(shape)])
    with pytest.raises(WeightsError, match=r"Caffe reads at most 2147483647; write HDF5"):
        convert(made, "v2").save(tmp_path / "x.caffemodel")
    assert not list(tmp_path.iterdir())


# ---- counting in place of timing


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it asks Linux for the peak")
def test_nothing_is_decoded_and_memory_stays_small(tmp_path):
    """Half precision to float32 and HDF5 out of 200 MB, in a process of its own."""
    shape = (25, 1 << 20)
    code = f"""
import re, sys
from fcnkit.weights import store
from fcnkit.weights.blobs import Lazy
from fcnkit.weights.convert import convert
half = Lazy({shape}, lambda: (bytes(1 << 20) for _ in range(50)), "float16")
convert(store.create().put("a", [half]), sys.argv[1]).save(sys.argv[2])
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""
    for to in ("v2", "h5", "npz"):
        words = [sys.executable, "-c", code, to, str(tmp_path / f"out{SUFFIX[to]}")]
        kilobytes = int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        assert kilobytes < 100_000
        assert (tmp_path / f"out{SUFFIX[to]}").stat().st_size > 100 << 20


# ---- real Caffe and real models


@pytest.mark.parametrize("to", ["v2", "h5", "npz", "bvlc"])
def test_caffe_reports_the_same_parameters(caffe, tmp_path, to):
    old = weights(NAMED, tmp_path / "small.caffemodel")
    found = written(convert(old, "v2", layout="legacy"), to, tmp_path)
    answers = caffe.ask(
        [caffe.Question("params", NAMED, each) for each in (old, found, found.path)]
    )
    for answer in answers:
        assert answer.keys() == answers[0].keys() == {"conv", "fc"}
        for name, blobs in answer.items():
            for blob, other in zip(blobs, answers[0][name], strict=True):
                np.testing.assert_array_equal(blob, other)


PAIRS = {
    "age_net_v1/age_net.caffemodel": "deploy_age.prototxt",
    "lenet_v1/lenet_iter_10000.caffemodel": "lenet.prototxt",
    "lenet_v2/lenet_iter_10000.caffemodel": "lenet.prototxt",
    "cifar10_full_v1/cifar10_full_iter_70000.caffemodel": "cifar10_full.prototxt",
    "cifar10_quick_v2/cifar10_quick_iter_5000.caffemodel": "cifar10_quick.prototxt",
    "open_nsfw_resnet50_v2/resnet_50_1by2_nsfw.caffemodel": "deploy.prototxt",
    "mtcnn_v2/det2.caffemodel": "det2.prototxt",
    "mtcnn_v2/det3.caffemodel": "det3.prototxt",
    "concat_into_fc_v2/1_F.caffemodel": "1_F.prototxt",
    "squeezenet_v1.0_imagenet/squeezenet_v1.0_deepcompressed.caffemodel": (
        "SqueezeNet_deploy.prototxt"
    ),
}


@pytest.mark.parametrize("model", PAIRS)
def test_real_models_are_what_pycaffe_reads_before_and_after(shared, caffe, tmp_path, model):
    """Bit for bit; as V2 and as HDF5, where no layer's name has a slash."""
    opened = store.open(shared / "models" / model)
    read = fk.read((shared / "models" / model).with_name(PAIRS[model]))
    ways = ["v2"] + ["h5"] * (not any("/" in name for name in opened))
    files = [opened.path, *(written(opened, way, tmp_path).path for way in ways)]
    for answer in caffe.ask([caffe.Question("params", read, file) for file in files]):
        assert not isinstance(answer, Exception), answer
        for name, blobs in answer.items():
            for ours, theirs in zip(opened[name], blobs, strict=True):
                assert ours.array().tobytes() == theirs.tobytes(), name


def test_the_hdf5_of_somebody_else_is_what_pycaffe_reads(shared, caffe):
    path = shared / "models" / "cifar10_quick_h5" / "cifar10_quick_iter_5000.caffemodel.h5"
    read = fk.read(shared / "models" / "cifar10_quick_v2" / "cifar10_quick.prototxt")
    for name, blobs in caffe.params(read, path).items():
        assert [blob.array().tobytes() for blob in store.open(path)[name]] == [
            b.tobytes() for b in blobs
        ]


@pytest.mark.parametrize("model", [each for each in MODELS if "raw" in each])
def test_nvcaffes_raw_blobs_become_what_bvlc_caffe_loads(shared, caffe, tmp_path, model):
    opened = store.open(shared / "models" / model)
    found = written(opened, "bvlc", tmp_path)
    for name, blobs in opened.items():
        for old, new in zip(blobs, found[name], strict=True):
            np.testing.assert_array_equal(old.array().astype("f4"), new.array())
    parsed = schema.message("NetParameter").FromString(Path(found.path).read_bytes())
    assert not any(blob.raw_data for layer in parsed.layer for blob in layer.blobs)
    assert any(len(blob.data) for layer in parsed.layer for blob in layer.blobs)


def test_bvlc_caffe_runs_a_net_of_nvcaffe_after_conversion(shared, caffe, tmp_path):
    folder = shared / "models" / "nvcaffe_raw"
    read = fk.read(folder / "HorizonalFinemapping.prototxt")
    before = folder / "HorizonalFinemapping.caffemodel"
    after = written(store.open(before), "bvlc", tmp_path)
    old, new = caffe.ask([caffe.Question("params", read, each) for each in (before, after)])
    for name, blobs in new.items():  # what Caffe is given of the raw file is converted, too
        assert all((one == other).all() for one, other in zip(old[name], blobs, strict=True))
    learned = {name: blobs for name, blobs in store.open(before).items() if blobs}
    assert {name: [b.array().tolist() for b in blobs] for name, blobs in learned.items()} == {
        name: [b.ravel().reshape(b.shape).tolist() for b in new[name]] for name in learned
    }


# ---- the command


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize(
    ("name", "kind"),
    [("x.caffemodel", "layer"), ("x.caffemodel.h5", "hdf5"), ("x.npz", "npz"), ("x", "layer")],
)
def test_the_name_tells_the_format(small, tmp_path, name, kind):
    assert run("convert", small.path, tmp_path / name).exit_code == 0
    assert store.open(tmp_path / name).kind == kind


@pytest.mark.parametrize(
    ("name", "kind"), [("x.caffemodel", "layer"), ("x.caffemodel.h5", "hdf5"), ("x.npz", "npz")]
)
@pytest.mark.parametrize("source", ["v2", "h5", "npz"])
def test_surgery_too_writes_what_the_name_tells(small, tmp_path, source, name, kind):
    SMALL.save(tmp_path / "net.prototxt")
    given = written(small, source, tmp_path).path
    words = [
        "surgery",
        tmp_path / "net.prototxt",
        given,
        tmp_path / "net.prototxt",
        "-o",
        tmp_path / name,
    ]
    assert run(*words).exit_code == 0
    found = store.open(tmp_path / name)
    assert found.kind == kind and tensors(found) == tensors(small)


def test_what_caffe_would_not_read_is_said(small, tmp_path):
    result = run("convert", small.path, tmp_path / "x.hdf5")
    assert result.exit_code == 0
    assert 'the first "a/b"; Caffe leaves such layers of HDF5 out: ' in result.stderr
    assert "only if its name ends in .h5" in result.stderr


def test_nothing_is_overwritten_unasked(small, tmp_path):
    before = Path(small.path).read_bytes()
    result = run("convert", small.path, small.path, "--to", "npz")
    assert result.exit_code == 2 and "--force" in result.output
    assert Path(small.path).read_bytes() == before
    assert run("convert", small.path, small.path, "--to", "npz", "--force").exit_code == 0
    assert tensors(store.open(small.path)) == tensors(small)


def seen(words, folder):
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(
        words, stdout=subprocess.DEVNULL, stderr=theirs, cwd=folder, check=True, env=environment
    )
    os.close(theirs)
    assert done.returncode == 0
    shown = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        while True:
            try:
                shown += terminal.read(4096)
            except OSError:  # the terminal is gone
                return shown.decode()


def test_long_work_has_a_bar_on_a_terminal_and_none_in_a_pipe(tmp_path):
    store.create().put("a", [store.zeros((20, 1 << 20))]).save(tmp_path / "in")
    words = [str(Path(sys.executable).with_name("fcnkit")), "convert", "in"]
    assert "83.9 of 83.9 MB" in seen([*words, "bar.npz"], tmp_path)
    piped = subprocess.run(
        [*words, "pipe.npz"], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert piped.stderr == "wrote pipe.npz\n" and not piped.stdout
