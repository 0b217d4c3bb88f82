"""Progress: on a terminal, of long work; elsewhere only what is a log."""

import io
import re
import sys

import pytest

from fcnkit.cli import progress as module
from fcnkit.cli.progress import MEGABYTES, clock, counted, measured, progress, waiting


class Terminal(io.StringIO):
    """What says that it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


@pytest.mark.parametrize(
    ("stream", "length", "shown"),
    [(Terminal, 500 << 20, True), (Terminal, 1 << 20, False), (io.StringIO, 500 << 20, False)],
)
def test_long_work_shows_a_bar_on_a_terminal_alone(stream, length, shown, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream())
    with measured(length, "reading [1]") as advance:
        for _ in range(1000):
            advance(length // 1000)
    text = sys.stderr.getvalue()
    assert ("reading [1]" in text and "524.3 of 524.3 MB" in text) == shown == bool(text)
    assert len(text) < 20_000


def test_a_log_has_a_line_now_and_then(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with progress("reading", 300, logged=True) as display:
        for _ in range(30):
            now[0] += 1
            display.advance(10)
    assert capsys.readouterr().err.splitlines() == [
        "reading: 10 of 300, 10/s, 0:00:29 left",
        "reading: 110 of 300, 10/s, 0:00:19 left",
        "reading: 210 of 300, 10/s, 0:00:09 left",
        "reading: 300 of 300",
    ]


def test_work_that_goes_on_has_its_own_pace(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    options = {"first": 6 * 10**8, "unit": MEGABYTES, "logged": True}
    with progress("fetching", 10**9, **options) as display:
        now[0] = 20
        display.at(8 * 10**8)
    assert capsys.readouterr().err == ("fetching: 800.0 of 1000.0 MB, 10 MB/s, 0:00:20 left\n")


def test_in_a_pipe_nothing_is_shown(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with counted(300, "reading") as advance, measured(1 << 40, "writing") as other:
        for _ in range(300):
            now[0] += 60
            advance(1)
            other(1 << 30)
    with waiting("comparing"):
        pass
    assert capsys.readouterr() == ("", "")


COLOUR = re.compile(r"\x1b\[[0-9;]*\b(?:3[0-8]|4[0-8]|9[0-7])[;m0-9]*")


@pytest.mark.parametrize("given, coloured", [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_that_wants_no_colours_gets_none(monkeypatch, given, coloured):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with counted(10, "reading") as advance:
        advance(10)
    with waiting("comparing"):
        pass
    text = sys.stderr.getvalue()
    assert "reading" in text and "comparing" in text
    assert bool(COLOUR.search(text)) == coloured


def test_clock():
    assert clock(3725.4) == "1:02:05"
