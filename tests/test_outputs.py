"""Files are written all or none, under names that say what they are; others' files stay."""

import os
import subprocess
import sys

import click
import numpy as np
import pytest
from click.testing import CliRunner

import fcnkit as fk
from fcnkit import files
from fcnkit.cli.arguments import WeightsFile
from fcnkit.cli.main import main
from fcnkit.cli.outputs import Saver, write_all
from fcnkit.errors import OutputError
from fcnkit.formats.suffixes import NET, SUFFIXES, WEIGHTS, check_suffix
from fcnkit.weights import store


def writes(text):
    return lambda path, force: path.write_text(text)


def fails(path, force):
    raise OutputError(f"{path}: no room")


def test_what_was_written_goes_where_a_later_one_fails(tmp_path):
    outputs = [(tmp_path / "a", writes("a")), (tmp_path / "b", fails)]
    with pytest.raises(OutputError, match="no room"):
        write_all(outputs, force=False)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("link", [False, True])
def test_what_another_put_there_meanwhile_stays(tmp_path, link):
    """Two commands with one output: the one that is refused removes nothing of the other's."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    if link:
        other.symlink_to(tmp_path / "nowhere")

    def loses(path, force):
        if not link:
            path.write_text("another's")
        raise OutputError(f"{path}: File exists")

    with pytest.raises(OutputError, match="File exists"):
        write_all([(mine, writes("mine")), (other, loses)], force=False)
    assert not mine.exists() and os.path.lexists(other)


def test_what_another_put_in_its_place_stays(tmp_path):
    mine = tmp_path / "mine"

    def replaces(path, force):
        mine.unlink()
        mine.write_text("another's")
        raise OutputError("no room")

    with pytest.raises(OutputError):
        write_all([(mine, writes("mine")), (tmp_path / "b", replaces)], force=False)
    assert mine.read_text() == "another's"


@pytest.mark.parametrize("second", ["a", "./a", "sub/../a", "link"])
def test_two_results_of_one_name(tmp_path, second, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("a")
    with pytest.raises(OutputError, match="two results would be written there"):
        write_all([("a", fails), (second, fails)], force=True)


def test_suffixes_mean_one_thing():
    every = [suffix for known in SUFFIXES.values() for suffix in known]
    assert len(every) == len(set(every))


@pytest.mark.parametrize("name", ["a.caffemodel", "a.CAFFEMODEL", "a.caffemodel.h5", "a", "a.v2"])
def test_names_of_weights(name):
    check_suffix(name, WEIGHTS)


@pytest.mark.parametrize(
    "name",
    [
        "a.onnx",
        "A.ONNX",
        "a.prototxt",
        "a.pth",
        "a/",
        "",
        "a.npz.zip",
        "a.mat",
        "a.pkl",
        "a.lmdb",
        "a.txt",
        "a.log",
        "a.tif",
        "a.7z",
    ],
)
def test_names_of_something_else(name):
    with pytest.raises(OutputError):
        check_suffix(name, WEIGHTS)


def _options(command, words=()):
    """Each option of the command and of those below it that takes text, with the words before."""
    for param in command.params:
        text = isinstance(param.type, click.types.StringParamType | WeightsFile)
        if isinstance(param, click.Option) and text and param.default != "":
            yield (*words, param.opts[0])
    for name, below in getattr(command, "commands", {}).items():
        yield from _options(below, (*words, name))


@pytest.mark.parametrize("words", list(_options(main)), ids=" ".join)
def test_an_empty_value_is_a_mistake(words):
    """As that of a variable that is not set: --weights "" would start from fillers."""
    result = CliRunner().invoke(main, [*words, ""])
    assert result.exit_code == 2
    assert "is empty; give it a value" in result.output or "Missing argument" in result.output


def test_an_empty_argument_is_a_mistake():
    for words in (["inspect"], ["train"], ["surgery", "template:lenet"], ["convert", "a.npz"]):
        result = CliRunner().invoke(main, [*words, ""])
        assert result.exit_code == 2 and "is empty; give it a value" in result.output


def test_weights_of_which_none_are_left_are_not_left_unwritten(tmp_path):
    """Nor does an older file stay there as if it were theirs."""
    net = fk.parse(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }\n'
        'layer { name: "p" type: "Power" bottom: "data" top: "p" }\n'
        'layer { name: "fc" type: "InnerProduct" bottom: "p" top: "fc" inner_product_param { '
        "num_output: 3 bias_term: false } }\n"
    )
    net.save(tmp_path / "net.prototxt")
    store.create().put("fc", [np.ones((3, 2), "f4")]).save(tmp_path / "old.caffemodel")
    words = ["surgery", *(str(tmp_path / each) for each in ("net.prototxt", "old.caffemodel"))]
    out = str(tmp_path / "new.caffemodel")
    result = CliRunner().invoke(main, [*words, "--do", "drop=fc", "-o", out])
    assert result.exit_code == 2 and "no layer with weights is left" in result.output


def test_standard_output_takes_no_weights():
    with pytest.raises(OutputError, match="standard output takes text, not weights"):
        write_all([("-", Saver(WEIGHTS, fails))], force=False)


@pytest.mark.parametrize("late", [False, True])
def test_through_a_dangling_link_what_was_made_goes_and_the_link_stays(tmp_path, late):
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    outputs = [(link, lambda path, force: files.write(path, b"mine", force=force))]
    with pytest.raises(OutputError, match="no room"):
        write_all([*outputs, (tmp_path / "b", fails)], force=late)
    assert link.is_symlink() and not target.exists()


@pytest.mark.parametrize("end", ["made.onnx", "made.prototxt"])
def test_a_link_does_not_lead_around_suffixes(tmp_path, end):
    (tmp_path / "x.caffemodel").symlink_to(tmp_path / end)
    with pytest.raises(OutputError, match=rf"x.caffemodel: is a link to .*{end}: .* is for"):
        write_all([(tmp_path / "x.caffemodel", Saver(WEIGHTS, fails))], force=True)
    (tmp_path / "y.caffemodel").symlink_to(tmp_path / "made.npz")
    write_all(
        [(tmp_path / "y.caffemodel", Saver(WEIGHTS, lambda path, force: None))][:0], force=True
    )


SMALL = """\
name: "n"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 2 kernel_size: 3 } }
"""  # noqa: E501
DYING = """
import os, sys
import fcnkit.files as files
count, real = int(sys.argv[1]), os.link
def named(*words, **options):
    global count
    count -= 1
    if count < 0:
        os._exit(9)
    return real(*words, **options)
os.link = named
from fcnkit.cli.main import run
sys.argv[1:] = sys.argv[2:]
run()
"""


@pytest.mark.parametrize("over", [False, True])
def test_killed_at_any_file_a_folder_does_not_look_whole(tmp_path, over):
    """What `train` needs, the solver, is there only when all the rest is, of the same command."""
    (tmp_path / "n.prototxt").write_text(SMALL)
    weights = [np.ones((2, 3, 3, 3), "f4"), np.ones(2, "f4")]
    store.create().put("c", weights).save(tmp_path / "w.caffemodel")
    for count in range(7):
        folder = tmp_path / f"fcn{count}"
        words = ["fcn", "n.prototxt", "--stride", "1", "-o", folder.name, "--weights"]
        if over:
            old = [*words, "w.caffemodel", "--classes", "3"]
            subprocess.run([sys.executable, "-c", DYING, "99", *old], cwd=tmp_path, check=True)
        new = [*words, "w.caffemodel", "--classes", "4", *["--force"] * over]
        done = subprocess.run([sys.executable, "-c", DYING, str(count), *new], cwd=tmp_path)
        there = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
        if done.returncode == 0:
            assert count == 6 and len(there) == 6
            continue
        assert done.returncode == 9 and count < 6
        assert "solver.prototxt" not in there, count


def test_an_error_at_the_first_file_leaves_the_old_set(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    outputs = [(tmp_path / "a", fails), (tmp_path / "b", Saver(NET, writes("new")))]
    with pytest.raises(OutputError, match="no room"):
        write_all(outputs, force=True, folder=tmp_path)
    assert [(tmp_path / name).read_text() for name in "ab"] == ["a", "b"]


def test_other_names_of_a_file_are_spoken_of(tmp_path):
    (tmp_path / "n.prototxt").write_text(SMALL)
    (tmp_path / "out.prototxt").write_text("old")
    os.link(tmp_path / "out.prototxt", tmp_path / "other")
    words = ["upgrade", tmp_path / "n.prototxt", "-o", tmp_path / "out.prototxt", "--force"]
    found = CliRunner().invoke(main, [str(word) for word in words])
    assert found.exit_code == 0 and "out.prototxt: has another name (hard links)" in found.stderr
    assert (tmp_path / "other").read_text() == "old"
