"""fcnkit diff, and fcnkit inspect of a weights file:
exit status, what is printed; nothing is written.
"""

import json
import shutil

import numpy as np
import pytest
from sketches import weights
from test_cli import SMALL, broken, listing, process, run

import fcnkit as fk
from fcnkit.cli.arguments import holds_weights


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small net, its weights, and others that differ; the working folder of the test."""
    monkeypatch.chdir(tmp_path)
    SMALL.save("net.prototxt")
    fk.convolutionalize(SMALL).net.save("conv.prototxt")
    old = weights(SMALL, tmp_path / "old.caffemodel")
    array = old["fc4"][0].array()
    array[0, 0] += np.abs(array).max() / 4
    changed = old.put("fc4", [array, old["fc4"][1]])
    changed.save("changed.caffemodel")
    changed.rename({"fc4": "score"}).drop("conv2").reshape("fc3", 0, (8, 6, 5, 5)).save(
        "other.caffemodel"
    )
    shutil.copy("old.caffemodel", "weights.prototxt")
    shutil.copy("net.prototxt", "net.caffemodel")
    return tmp_path


# ---- diff


@pytest.mark.parametrize(
    ("words", "status", "shown"),
    [
        (("old.caffemodel", "old.caffemodel"), 0, "8 blobs equal\n"),
        (("old.caffemodel", "changed.caffemodel"), 1, "1 of 80 differ: largest"),
        (("old.caffemodel", "changed.caffemodel"), 1, "7 blobs equal, 1 changed\n"),
        (
            ("old.caffemodel", "changed.caffemodel", "--tolerance", 0.3),
            0,
            "7 blobs equal, 1 close\n",
        ),
        (("old.caffemodel", "changed.caffemodel", "--tolerance", 0.2), 1, "fc4 0  changed"),
        (
            ("old.caffemodel", "other.caffemodel"),
            1,
            "3 blobs equal, 1 reshaped, 4 missing, 2 extra",
        ),
        (
            ("changed.caffemodel", "other.caffemodel", "--map", "fc4=score"),
            1,
            "5 blobs equal, 1 reshaped, 2",
        ),
        (("old.caffemodel", "net.prototxt"), 0, "8 blobs fitting\n"),
        (
            ("old.caffemodel", "net.prototxt", "--input", "data=1,2,24,24", "--all"),
            0,
            "conv1 0  fits  4 x 2",
        ),
        (("old.caffemodel", "conv.prototxt"), 1, "fc3 0  reshape  8 x 150 -> 8 x 6 x 5 x 5"),
        (("other.caffemodel", "net.prototxt"), 1, "extra: not in net.prototxt"),
        (("weights.prototxt", "net.caffemodel"), 0, "8 blobs fitting\n"),
        (("old.caffemodel", "template:lenet"), 1, "mismatched"),
    ],
)
def test_status_and_summary(words, status, shown, folder):
    before = listing(folder)
    result = run("diff", *words)
    assert result.exit_code == status, result.output
    assert shown in result.stdout and not result.stderr and listing(folder) == before
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_equal_blobs_are_listed_with_all(folder):
    words = "diff", "old.caffemodel", "changed.caffemodel"
    assert "conv1 0" not in run(*words).stdout
    assert run(*words, "--all").stdout.count("  equal  ") == 7


def test_a_net_on_standard_input(folder):
    assert run("diff", "old.caffemodel", "-", stdin=SMALL.text).stdout == "8 blobs fitting\n"


@pytest.mark.parametrize(
    ("second", "status"), [("old.caffemodel", 0), ("other.caffemodel", 1), ("net.prototxt", 0)]
)
def test_diff_as_json(second, status, folder):
    result = run("diff", "old.caffemodel", second, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == status and found["equal"] == (status == 0)
    assert sum(found["counts"].values()) == len(found["blobs"]) == (10 if status else 8)
    assert (found["first"], found["second"]) == ("old.caffemodel", second)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing", "old.caffemodel"), "nothing: cannot be read"),
        (("old.caffemodel", "nothing"), "nothing: cannot be read"),
        (("old.caffemodel", "."), "found a folder"),
        (("net.prototxt", "old.caffemodel"), "found a prototxt; give the .caffemodel"),
        (("page.caffemodel", "old.caffemodel"), "HTML"),
        (("cut.caffemodel", "old.caffemodel"), "cut.caffemodel"),
        (("old.caffemodel", "cut.caffemodel"), "cut.caffemodel"),
        (("old.caffemodel", "empty.caffemodel"), "is an empty file; download or export it again"),
        (("old.caffemodel", "bottom.prototxt"), "pool9"),
        (("old.caffemodel", "template:nothing"), "nothing"),
        (("old.caffemodel", "old.caffemodel", "--map", "x=fc3"), 'no layer "x"'),
        (
            ("old.caffemodel", "net.prototxt", "--map", "fc3=x"),
            'no layer "x", which "fc3" is mapped to',
        ),
        (("old.caffemodel", "net.prototxt", "--input", "dato=1"), "dato"),
        (("old.caffemodel", "old.caffemodel", "--input", "data=1"), "--input for a net"),
        (
            ("old.caffemodel", "net.prototxt", "--tolerance", 0.1),
            "--tolerance is for two weights files",
        ),
        (("old.caffemodel", "old.caffemodel", "--tolerance", -1), "--tolerance"),
        (("old.caffemodel", "old.caffemodel", "--map", "x"), "--map"),
        (("old.caffemodel",), "WEIGHTS_OR_NET"),
    ],
)
def test_bad_input_is_2(words, message, folder):
    (folder / "net.caffemodel").write_bytes((folder / "old.caffemodel").read_bytes())
    broken(folder)
    before = listing(folder)
    result = run("diff", *words)
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit), result.output
    assert message in result.stderr and not result.stdout and listing(folder) == before


# ---- inspect


def test_inspect_tells_a_weights_file_by_its_content(folder):
    before = listing(folder)
    shown = run("inspect", "weights.prototxt").stdout
    assert (
        shown.replace("weights.prototxt", "old.caffemodel")
        == run("inspect", "old.caffemodel").stdout
    )
    assert run("inspect", "net.caffemodel").stdout.startswith("net.caffemodel, ")
    assert listing(folder) == before


def test_inspect_prints_a_line_for_each_blob_and_the_sums(folder):
    lines = run("inspect", "old.caffemodel").stdout.splitlines()
    assert lines[1].split() == [
        "layer",
        "blob",
        "shape",
        "bytes",
        "minimum",
        "maximum",
        "mean",
        "zeros",
    ]
    assert [line.split()[:2] for line in lines[2:10]] == [
        [name, blob] for name in ("conv1", "conv2", "fc3", "fc4") for blob in ("0", "1")
    ]
    assert (
        lines[10].startswith("8 blobs of 4 layers, 1,596 values")
        and "6,384 bytes, float32" in lines[11]
    )


def test_inspect_flags_what_is_odd(folder):
    odd = fk.weights("old.caffemodel").put("fc3", [np.full((8, 150), np.nan), np.zeros(8)])
    odd.put("fc4", [np.full((10, 8), np.inf), np.zeros(10)]).save("odd.caffemodel")
    shown = run("inspect", "odd.caffemodel")
    assert shown.exit_code == 0
    for text in (
        "1,200 NaN\n",
        "80 infinite\n",
        "100%  all zero\n",
        "2 blobs all zero\n",
        "blob with NaN\n",
    ):
        assert text in shown.stdout
    found = json.loads(run("inspect", "odd.caffemodel", "--json").stdout)
    flags = [blob["flags"] for blob in found["blobs"][4:]]
    assert flags == [["NaN"], ["all zero"], ["infinite"], ["all zero"]]
    assert found["blobs"][4]["mean"] is None and found["values"] == 1596


@pytest.mark.parametrize(
    "words", [["--phase", "TEST"], ["--to", "x"], ["--memory"], ["--weights", "w"]]
)
def test_inspect_refuses_what_only_a_net_has(words, folder):
    result = run("inspect", "old.caffemodel", *words)
    assert (
        result.exit_code == 2 and f"{words[0]} is for a net" in result.stderr and not result.stdout
    )


# ---- content and progress


def test_weights_and_nets_of_the_shared_data_are_told_apart(shared):
    for path in sorted((shared / "models").rglob("*")):
        if path.suffix in (".caffemodel", ".h5") and "not_models" not in path.parts:
            assert holds_weights(str(path)), path
    assert not any(holds_weights(str(path)) for path in shared.rglob("*.prototxt"))


def test_no_bar_in_a_pipe(folder):
    for words in (("inspect", "old.caffemodel"), ("diff", "old.caffemodel", "old.caffemodel")):
        done = process(*words)
        assert done.returncode == 0 and done.stderr == ""
