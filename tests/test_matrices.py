"""Means from binaryproto to .npy and back, the same numbers."""

import numpy as np
import pytest
from click.testing import CliRunner

from fcnkit.cli.main import main
from fcnkit.errors import WeightsError
from fcnkit.formats import binaryproto
from fcnkit.weights import matrices


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize("shape", [(1, 3, 5, 6), (3, 5, 6), (4, 4), (7,)])
def test_there_and_back(shape, tmp_path):
    values = np.random.default_rng(0).standard_normal(shape).astype("f4")
    np.save(tmp_path / "a.npy", values)
    for old, new in (("a.npy", "b.binaryproto"), ("b.binaryproto", "c.npy")):
        result = run("convert", tmp_path / old, tmp_path / new)
        assert result.exit_code == 0 and "wrote" in result.stderr
    assert np.array_equal(np.load(tmp_path / "c.npy").ravel(), values.ravel())
    assert run("convert", tmp_path / "a.npy", tmp_path / "c.npy").exit_code == 2
    assert run("convert", tmp_path / "a.npy", tmp_path / "c.npy", "--force").exit_code == 0


def test_caffe_reads_what_is_written(tmp_path, shared):
    """A mean of the authors' of age_net, through .npy, byte for byte in its values."""
    mean = shared / "models" / "age_net_v1" / "age_gender_mean.binaryproto"
    assert run("convert", mean, tmp_path / "mean.npy").exit_code == 0
    assert run("convert", tmp_path / "mean.npy", tmp_path / "mean.binaryproto").exit_code == 0
    assert np.array_equal(binaryproto.read(tmp_path / "mean.binaryproto"), binaryproto.read(mean))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((1, 1, 1, 2, 2), "f4"), "up to four axes"),
        (np.float32(3), "up to four axes"),
        (np.array([1 / 3]), "float32 does not hold them exactly"),
        (np.array([2**24 + 1]), "float32 does not hold them exactly"),
    ],
)
def test_what_a_binaryproto_cannot_hold_is_refused(values, reason, tmp_path):
    np.save(tmp_path / "a.npy", values)
    result = run("convert", tmp_path / "a.npy", tmp_path / "b.binaryproto")
    assert result.exit_code == 2 and reason in " ".join(result.output.split())
    assert not (tmp_path / "b.binaryproto").exists()


def test_bytes_are_held_exactly(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(12, dtype="u1").reshape(3, 4))
    assert run("convert", tmp_path / "a.npy", tmp_path / "b.binaryproto").exit_code == 0
    assert binaryproto.read(tmp_path / "b.binaryproto").sum() == 66


def test_what_is_neither_is_refused(tmp_path):
    (tmp_path / "a.binaryproto").write_text("layer { }")
    with pytest.raises(WeightsError, match="is not a mean file"):
        matrices.read(tmp_path / "a.binaryproto")
    with pytest.raises(WeightsError, match="cannot be read"):
        matrices.read(tmp_path / "none.npy")
    result = run("convert", tmp_path / "a.binaryproto", tmp_path / "b.npy", "--to", "h5")
    assert result.exit_code == 2 and "is of weights" in result.output
