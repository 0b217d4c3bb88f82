"""What the pages of docs/ and README show: every command line has the options that it names, and
those behind a prompt run as they stand and print what stands behind them.
"""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from fcnkit.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(?:[a-z{}-]*)\n(.*?)^```", re.M | re.S)
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.M | re.S)
# Pages whose lines behind a prompt run, one after the other, in an empty folder.
RUN = ("ten-minutes.md", "why.md")


def lines(page):
    """The command lines of fcnkit that a page's code blocks have, a backslash joining lines."""
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            typed = line.removeprefix("$ ")
            words = shlex.split(typed, comments=True) if typed.startswith("fcnkit ") else ()
            if words:
                yield words[1 : words.index("&&")] if "&&" in words else words[1:]


def options(words):
    """The options of the command that the words call, and those that they name."""
    command, rest = main, list(words)
    while rest and not rest[0].startswith("-") and hasattr(command, "get_command"):
        command = command.get_command(None, rest.pop(0))
        assert command is not None, words
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    named = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    return known | {"-h", "--help", "--version"}, named


def test_pages_name_options_that_there_are():
    found = [(page.name, words) for page in PAGES for words in lines(page)]
    assert len(found) > 100
    for page, words in found:
        if words[:1] != ["run"]:  # what follows is the script's
            known, named = options(words)
            assert named <= known, (page, words, named - known)


def typed_and_printed(block):
    """The commands of a console block, each with the lines that it shows as their output."""
    lines = block.replace("\\\n", " ").splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield lines[start][2:], lines[start + 1 : end]


def shows(shown, printed):
    """Whether lines of a page are what was printed; "..." stands for anything, or any lines."""
    parts = ["(?s:.*)" if line == "..." else any_text(line) for line in shown]
    return re.fullmatch("\n".join(parts), printed.rstrip("\n")) is not None


def any_text(line):
    return ".*".join(map(re.escape, line.split("...")))


@pytest.mark.parametrize("page", RUN)
def test_what_stands_behind_a_prompt_runs(page, caffe, tmp_path, monkeypatch):
    """In a terminal of 80 columns, by the engines that commands take where all are installed."""
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("fcnkit.cli.nets.table_width", lambda: 80)
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = [each for block in CONSOLE.findall(text) for each in typed_and_printed(block)]
    assert found
    for line, shown in found:
        done = CliRunner().invoke(main, shlex.split(line)[1:])
        assert done.exit_code == 0, (line, done.output)
        assert not shown or shows(shown, done.output), (line, done.output)


RUN_HERE = re.compile(r"^<!-- run -->\n```(python)?\n(.*?)^```", re.M | re.S)


def test_readme_runs_as_it_stands(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    blocks = RUN_HERE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert {language for language, _ in blocks} == {"", "python"}
    for language, text in blocks:
        if language:
            exec(compile(text, "README.md", "exec"), {})  # noqa: S102
            continue
        for line in text.splitlines():
            done = CliRunner().invoke(main, shlex.split(line)[1:])
            assert done.exit_code == 0, (line, done.output)
    assert (tmp_path / "fcn32s.prototxt").exists()
    assert (tmp_path / "seen" / "canvas.overlay.png").exists()


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900


def test_every_notebook_is_linked_where_the_idea_is_told():
    text = (ROOT / "docs" / "why.md").read_text(encoding="utf-8")
    linked = re.findall(r"\(\.\./notebooks/(.+?)\)", text)
    assert linked == sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(notebooks/(.+?)\)", readme)) <= set(linked)


def test_no_two_pages_have_one_title():
    titles = [
        page.read_text(encoding="utf-8").splitlines()[0] for page in PAGES if page.parent != ROOT
    ]
    assert [title for title in titles if titles.count(title) > 1] == []
    assert all(title.startswith("# ") for title in titles)
