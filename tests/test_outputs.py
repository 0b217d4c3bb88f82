"""Files are written all or none, under names that say what they are; others' files stay."""

import os

import pytest
from click.testing import CliRunner

from fcnkit.cli.main import main
from fcnkit.cli.outputs import Saver, write_all
from fcnkit.errors import OutputError
from fcnkit.formats.suffixes import SUFFIXES, WEIGHTS, check_suffix


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
    with pytest.raises(OutputError, match="two results would go there"):
        write_all([("a", fails), (second, fails)], force=True)


def test_suffixes_mean_one_thing():
    every = [suffix for known in SUFFIXES.values() for suffix in known]
    assert len(every) == len(set(every))


@pytest.mark.parametrize("name", ["a.caffemodel", "a.CAFFEMODEL", "a.caffemodel.h5", "a", "a.v2"])
def test_names_of_weights(name):
    check_suffix(name, WEIGHTS)


@pytest.mark.parametrize("name", ["a.onnx", "A.ONNX", "a.prototxt", "a.pth", "a/", "", "a.npz.zip"])
def test_names_of_something_else(name):
    with pytest.raises(OutputError):
        check_suffix(name, WEIGHTS)


@pytest.mark.parametrize("option", ["-o", "--weights-out"])
def test_an_empty_name_is_a_mistake(option):
    result = CliRunner().invoke(main, ["convolutionalize", "template:lenet", option, ""])
    assert result.exit_code == 2 and "is empty; name a file" in result.output


def test_standard_output_takes_no_weights():
    with pytest.raises(OutputError, match="standard output takes text, not weights"):
        write_all([("-", Saver(WEIGHTS, fails))], force=False)
