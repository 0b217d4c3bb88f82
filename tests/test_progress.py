"""Progress: a bar on a terminal, a line now and then elsewhere, nothing where work is short."""

import io
import sys

import pytest

from fcnkit.cli import progress as module
from fcnkit.cli.progress import MEGABYTES, clock, counted, measured, progress


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


def test_elsewhere_a_line_comes_now_and_then(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with counted(300, "reading") as advance:
        for _ in range(30):
            now[0] += 1
            advance(10)
    assert capsys.readouterr().err.splitlines() == [
        "reading: 100 of 300, 10/s, 0:00:20 left",
        "reading: 200 of 300, 10/s, 0:00:10 left",
        "reading: 300 of 300",
    ]


def test_work_that_goes_on_has_its_own_pace(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with progress("fetching", 10**9, first=6 * 10**8, unit=MEGABYTES) as display:
        now[0] = 20
        display.at(8 * 10**8)
    assert capsys.readouterr().err == ("fetching: 800.0 of 1000.0 MB, 10 MB/s, 0:00:20 left\n")


def test_clock():
    assert clock(3725.4) == "1:02:05"
