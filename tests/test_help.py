"""What every help text keeps to: 80 columns, and a word for every column of every table."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from example_files import Files
from test_examples import helps

from fcnkit.cli.columns import COLUMNS
from fcnkit.cli.main import main

DIGITS = Path(__file__).parents[1] / "prototxt_templates" / "digits"
COMMANDS = [" ".join(words) for words, _ in helps()]


def run(*words, **options):
    return CliRunner().invoke(main, [str(word) for word in words], **options)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("columns", ["80", "200"])
def test_a_help_text_has_80_columns_however_wide_the_terminal_is(command, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    text = run(*command.split(), "--help").output
    assert max(map(len, text.splitlines())) <= 80


def test_the_columns_are_those_of_commands_that_there_are():
    assert set(COLUMNS) <= set(COMMANDS)


@pytest.mark.parametrize("command", COLUMNS)
def test_the_help_of_a_command_says_what_its_columns_are(command):
    text = " ".join(run(*command.split(), "--help").output.split())
    for title, rows in COLUMNS[command].items():
        assert f"{title}: " in text
        for name, says in rows:
            assert f"{name} {says}" in text, name


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("files"))


def headed(output, first):
    """The names of the columns of the table whose first column this is."""
    line = next(line for line in output.splitlines() if line.split("  ")[0].strip() == first)
    return re.split(r" {2,}", line.strip())


def test_tables_have_the_columns_that_the_help_explains(files, monkeypatch):
    net, weights = DIGITS / "deploy.prototxt", DIGITS / "digits.caffemodel"
    inspected = COLUMNS["inspect"]
    known = [name for name, _ in inspected["Columns, of a net"]]
    found = run("inspect", net, "--weights", weights, "--memory").output
    assert headed(found, "line") == known
    found = run("inspect", weights).output
    assert headed(found, "layer") == [name for name, _ in inspected["Columns, of weights"]]
    (listed,) = COLUMNS["templates"].values()
    assert headed(run("templates").output, "template") == [name for name, _ in listed]
    (listed,) = COLUMNS["models list"].values()
    assert headed(run("models", "list").output, "model") == [name for name, _ in listed]


def test_tables_of_datasets_and_scores(files):
    (known,) = COLUMNS["dataset inspect"].values()
    names = headed(run("dataset", "inspect", files("data")).output, "class")
    assert [name for name in names if not name.startswith("val ")] == [name for name, _ in known]
    (known,) = COLUMNS["score"].values()
    found = run("score", files("predictions"), files("labels"), "--classes", "21").output
    assert headed(found, "class") == [name for name, _ in known]


def test_tables_of_proofs():
    net, weights = DIGITS / "deploy.prototxt", DIGITS / "digits.caffemodel"
    words = ("verify", net, weights, net, weights, "--engine", "opencv")
    known = [name for name, _ in COLUMNS["verify"]["Columns, with --layers"]]
    assert [*headed(run(*words, "--layers").output, "line"), "(no name)"] == known
    pytest.importorskip("onnxruntime")
    found = headed(run(*words[:-1], "opencv,onnx").output, "relative difference")
    assert found == ["relative difference", "opencv", "onnx"]


def test_tables_of_the_doctor(monkeypatch):
    from fcnkit.cli import machine

    fine = [{"name": each.package, "version": "1", "fault": ""} for each in machine.LIBRARIES]
    monkeypatch.setattr(machine, "_tried", lambda *names: fine if names[1:] else [{"fault": ""}])
    output = run("doctor").output
    (rows,) = COLUMNS["doctor"].values()
    known = {name for name, _ in rows}
    for first in ("library", "engine", "kept"):
        found = headed(output, first)
        assert {*found} - {"what it is for", "what it computes of a small net"} <= known


def test_a_reader_that_goes_away_is_no_failure():
    code = "from fcnkit.cli.main import run; run()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "templates"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(DIGITS.parents[1])},
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 0
