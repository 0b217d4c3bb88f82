"""Weights that are open stay those of their file, whatever becomes of its name."""

import os

import numpy as np
import pytest
from click.testing import CliRunner
from sketches import conv, data, relu
from sketches import net as sketch
from test_verify import random_weights

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.engines.engine import ENGINES, choose
from fcnkit.errors import EngineError, WeightsError

NET = sketch(
    data(1, 3, 12, 12), conv("wide", "data", 1024, 7), relu("wide"), conv("s", "wide", 2, 1)
)
IMAGE = {"data": np.random.default_rng(3).normal(0, 50, (1, 3, 12, 12)).astype("f4")}


@pytest.fixture(params=[engine.name for engine in ENGINES])
def engine(request):
    found = choose(request.param)
    if not found.available():
        pytest.skip(f"{found.name} is not installed")
    return found


def _run(engine, weights):
    return next(iter(engine.run_all(NET, weights, [IMAGE])))["s"]


def _replaced(folder, path, content):
    """Another file under the name of the first, as a save puts it there."""
    other = folder / "other.caffemodel"
    content.save(other, force=True)
    os.replace(other, path)


def _linked(folder, path, content):
    content.save(folder / "other.caffemodel", force=True)
    path.unlink()
    path.symlink_to(folder / "other.caffemodel")


def _removed(folder, path, content):
    path.unlink()


@pytest.mark.parametrize("change", [_replaced, _linked, _removed])
def test_another_file_under_the_name_is_not_read(engine, tmp_path, change):
    path = tmp_path / "w.caffemodel"
    first, second = random_weights(NET, 1), random_weights(NET, 2)
    first.save(path)
    stored = fk.weights(path)
    expected = _run(engine, first)
    change(tmp_path, path, second)
    np.testing.assert_allclose(_run(engine, stored), expected, rtol=1e-4, atol=1e-2)
    # A blob of either file, mixed.
    if path.exists():
        mixed = stored.put("s", list(fk.weights(path)["s"]))
        made = random_weights(NET, 1).put("s", [blob.array() for blob in second["s"]])
        np.testing.assert_allclose(_run(engine, mixed), _run(engine, made), rtol=1e-4, atol=1e-2)


def test_another_folder_of_the_process(engine, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    first = random_weights(NET, 1)
    first.save(tmp_path / "w.caffemodel")
    random_weights(NET, 2).save(tmp_path / "other" / "w.caffemodel")
    monkeypatch.chdir(tmp_path)
    stored = fk.weights("w.caffemodel")
    monkeypatch.chdir(tmp_path / "other")
    np.testing.assert_allclose(_run(engine, stored), _run(engine, first), rtol=1e-4, atol=1e-2)


def test_a_file_that_is_changed_between_two_images(engine, tmp_path):
    path = tmp_path / "w.caffemodel"
    random_weights(NET, 1).save(path)
    results = engine.run_all(NET, fk.weights(path), [IMAGE, IMAGE])
    first = next(results)["s"]
    data = bytearray(path.read_bytes())
    data[-40:] = bytes(40)
    path.write_bytes(data)
    try:
        again = next(results)["s"]
    except WeightsError:
        return
    np.testing.assert_array_equal(again, first)


def test_verify_tells_a_file_from_what_was_saved_over_it(engine, tmp_path):
    path = tmp_path / "w.caffemodel"
    random_weights(NET, 1).save(path)
    old = fk.weights(path)
    new = old.put("s", [np.ones((2, 1024, 1, 1), "f4"), np.zeros(2, "f4")])
    new.save(path, force=True)
    rows = fk.verify(NET, old, NET, new, engine=engine.name)
    assert not all(row.ok for row in rows)


@pytest.mark.parametrize(
    "words",
    [
        ("surgery", "--do", "swap", "-o", "w.caffemodel", "--net-out", "new.prototxt"),
        ("surgery", "--do", "rename=s:t", "-o", "w.caffemodel", "--net-out", "net.prototxt"),
    ],
)
def test_what_is_written_over_the_weights_is_compared_with_them(tmp_path, monkeypatch, words):
    if not choose("onnx").available():
        pytest.skip("onnx is not installed")
    monkeypatch.chdir(tmp_path)
    NET.save("net.prototxt")
    random_weights(NET, 1).save("w.caffemodel")
    given = [words[0], "net.prototxt", "w.caffemodel", *words[1:], "--force", "--verify"]
    done = CliRunner().invoke(main, [*given, "--engine", "onnx"])
    assert done.exit_code == 0, done.output
    assert done.stdout.count("sha256") == 4  # both nets, and the weights before and after


def test_an_engine_that_is_missing_or_does_not_load_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    NET.save("net.prototxt")
    random_weights(NET, 1).save("w.caffemodel")
    opencv = choose("opencv")._module
    monkeypatch.setattr(opencv, "available", lambda: False)
    given = ["surgery", "net.prototxt", "w.caffemodel", "--do", "swap", "-o", "new.caffemodel"]
    done = CliRunner().invoke(main, [*given, "--verify", "--engine", "opencv"])
    assert done.exit_code == 2 and "is not installed: run `pip install" in done.stderr
    assert not (tmp_path / "new.caffemodel").exists()

    def broken(*args, **options):
        raise ImportError("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr(opencv, "available", lambda: True)
    monkeypatch.setattr(opencv, "run_all", broken)
    monkeypatch.setattr(opencv, "version", broken)
    for ask in (lambda: _run(choose("opencv"), None), lambda: choose("opencv").version):
        with pytest.raises(EngineError, match="does not load: libGL.so.1.*fcnkit doctor"):
            ask()
