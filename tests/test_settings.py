"""--config and --save-config: the options of any command in a TOML file."""

import re
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fcnkit import libraries
from fcnkit.cli import settings
from fcnkit.cli.main import main

FCN = ("fcn", "template:lenet", "--classes", "3", "--stride", "4")


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def leaves(command=main, words=()):
    """(words, command) of every command that is no group."""
    names = getattr(command, "list_commands", lambda _: ())(None)
    for name in names:
        yield from leaves(command.get_command(None, name), (*words, name))
    if not names:
        yield words, command


@pytest.mark.parametrize("words", [words for words, _ in leaves()], ids=" ".join)
def test_every_command_has_both(words):
    shown = run(*words, "--help").output
    assert shown.count("--config FILE") == shown.count("--save-config FILE") == 1


def test_options_come_from_the_file():
    Path("s.toml").write_text("classes = 3\nstride = 4\n")
    assert run("fcn", "template:lenet", "--config", "s.toml").output == run(*FCN).output


def test_the_command_line_wins_wherever_it_is():
    Path("s.toml").write_text("classes = 7\nstride = 4\n")
    for words in (
        ("--config", "s.toml", "--classes", "3"),
        ("--classes", "3", "--config", "s.toml"),
    ):
        assert run("fcn", "template:lenet", *words).output == run(*FCN).output


@pytest.mark.parametrize(
    "text, words",
    [
        ("mean = [33.3]", ("--mean", "33.3")),
        ("mean = 33.3", ("--mean", "33.3")),
        ('mean = "33.3"', ("--mean", "33.3")),
        ('swap = "x"', None),
        ("json = true", ("--json",)),
        ("json = false", ()),
        ('input = ["data=1,1,64,64"]', ("--input", "data=1,1,64,64")),
        ('input = "data=1,1,64,64"', ("--input", "data=1,1,64,64")),
    ],
)
def test_values_are_as_on_the_command_line(text, words):
    Path("s.toml").write_text(f"{text}\n")
    done = run(*FCN, "--config", "s.toml")
    if words is None:
        assert done.exit_code == 2
    else:
        assert (done.exit_code, done.output) == (0, run(*FCN, *words).output)


def test_options_of_several_values_and_of_groups():
    Path("s.toml").write_text('ignore = ["no-loss", "unread-top"]\njson = true\n')
    net = Path("n.prototxt")
    net.write_text('layer { name: "a" type: "DummyData" top: "b" dummy_data_param { num: 1 } }')
    given = run("lint", net, "--ignore", "no-loss", "--ignore", "unread-top", "--json")
    assert run("lint", net, "--config", "s.toml").output == given.output
    Path("t.toml").write_text("json = true\n")
    found = run("models", "list", "--config", "t.toml").output
    assert found == run("models", "list", "--json").output


@pytest.mark.parametrize(
    "text, words",
    [
        ("clases = 3", r"s\.toml: 'clases' is not an option of `fcnkit fcn`; classes is"),
        ("nothing_like_it = 3", r"'nothing_like_it' is not an option of `fcnkit fcn`$"),
        ("net = 'template:lenet'", "'net' is not an option"),
        ("config = 'other.toml'", "'config' is not an option"),
        ("force = true", "'force' can be given on the command line only: --force"),
        ("json = 'yes'", "'json' takes no value: write true or false"),
        ("classes = true", "'classes' write text, a number, or a list of them"),
        ("[classes]\nx = 1", "'classes' write text, a number, or a list of them"),
        ("classes = [[1]]", "'classes' write text, a number, or a list of them"),
        ("classes = 0", "--classes"),
        ("classes =", "s.toml: cannot be read: Invalid value"),
        ("output = ''", "is empty"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(text, words):
    Path("s.toml").write_text(f"{text}\n")
    done = run("fcn", "template:lenet", "--stride", "4", "--config", "s.toml")
    assert done.exit_code == 2 and re.search(words, done.output, re.M), done.output


def test_a_file_that_is_not_there():
    done = run(*FCN, "--config", "nowhere.toml")
    assert done.exit_code == 2 and "nowhere.toml: cannot be read: No such file" in done.output


def test_a_name_may_have_underscores_and_paths_are_from_here(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "s.toml").write_text('output = "out.prototxt"\n')
    done = run("convolutionalize", "template:lenet", "--config", "deep/s.toml")
    assert done.exit_code == 0 and (tmp_path / "out.prototxt").exists()
    Path("t.toml").write_text("dry_run = true\nloss_weights = 'median'\n")
    assert "no option" not in run("train", "x", "--config", "t.toml").output


# ---- saving


def test_what_is_saved_is_what_was_given_and_nothing_is_done():
    words = [*FCN, "--mean", "33.3", "--input", "data=1,1,64,64", "-o", "out", "--force"]
    done = run(*words, "--save-config", "s.toml")
    assert done.exit_code == 0 and done.output == "wrote s.toml\n" and not Path("out").exists()
    assert Path("s.toml").read_text().splitlines() == [
        "# fcnkit fcn; paths are relative to the folder where it is run",
        "classes = 3",
        "stride = 4",
        "mean = 33.3",
        'input = ["data=1,1,64,64"]',
        'output = "out"',
    ]
    assert run("fcn", "template:lenet", "--config", "s.toml").exit_code == 0
    assert Path("out", "train_val.prototxt").exists()


def test_a_file_is_never_overwritten():
    Path("s.toml").write_text("mine")
    done = run(*FCN, "--force", "--save-config", "s.toml")
    assert done.exit_code == 2 and "s.toml: exists; give another name\n" in done.output
    assert Path("s.toml").read_text() == "mine"


def test_what_is_wrong_is_not_saved():
    for words in (("verify", *"abcd", "--tolerance", "-1"), ("fcn",)):
        done = run(*words, "--save-config", "s.toml")
        assert done.exit_code == 2 and not Path("s.toml").exists()


def test_one_file_is_made_of_another():
    Path("s.toml").write_text("classes = 3\nstride = 4\njson = true\n")
    done = run(
        "fcn", "template:lenet", "--config", "s.toml", "--stride=2", "--save-config", "t.toml"
    )
    assert done.exit_code == 0, done.output
    lines = Path("t.toml").read_text().splitlines()[1:]
    assert lines == ["classes = 3", "stride = 2", "json = true"]


@pytest.mark.parametrize(
    "text",
    ['a "b" \\ c', "\t\n\x01\x7f", "é ☃ \U0001f600", "1e-10", "0.9", "007", "nan", "-", "1_0"],
)
def test_any_text_comes_back(text):
    loaded = libraries.toml().loads(f"a = {settings._toml(text)}")["a"]
    assert str(loaded) == text


def test_text_that_is_not_utf8():
    done = run(*FCN, "-o", "\udcff", "--save-config", "s.toml")
    assert done.exit_code == 2 and "bytes that are not UTF-8" in done.output
    assert not Path("s.toml").exists()


@pytest.mark.parametrize("words", [words for words, _ in leaves()], ids=" ".join)
def test_every_option_of_every_command_comes_back(words):
    """What click makes of the command line, it makes of the file."""
    command = dict(leaves())[words]
    options = [each for each in settings._options(command) if each.name not in settings._NEVER]
    for option in options:
        value = _value(option)
        ctx = click.Context(command, info_name="x", help_option_names=["-h", "--help"])
        raw = {option.name: [value] if option.multiple else value}
        text = f"{settings._key(option)} = {settings._toml(raw[option.name])}"
        Path("s.toml").write_text(text)
        settings._read(ctx, None, "s.toml")
        assert ctx.default_map == raw, (words, option.name)


def _value(option):
    if option.is_flag:
        return True
    return "7" if option.nargs == 1 else ["7"] * option.nargs


def test_python_3_10_has_the_reader_of_a_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tomllib", None)
    monkeypatch.setitem(sys.modules, "tomli", click)
    assert libraries.toml() is click
