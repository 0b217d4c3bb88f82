"""The curves of several runs in one picture."""

import pytest

from fcnkit.training import curve

ROWS = [
    {"iteration": 0, "loss": 2.0, "rate": 0.1},
    {"iteration": 5, "test": {"accuracy": 0.5, "loss": 1.0}},
    {"iteration": 5, "loss": 1.5, "rate": 0.1},
]


def test_runs_share_a_picture_and_keep_their_colours(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figures = []
    save = curve._save
    monkeypatch.setattr(
        curve, "_save", lambda figure, path: (figures.append(figure), save(figure, path))
    )
    curve.compare({"one": ROWS, "two": ROWS[:1], "three": ROWS}, tmp_path / "c.png", "runs")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    left, right = figures[0].axes
    shown = [{line.get_label(): line for line in axes.lines} for axes in (left, right)]
    assert set(shown[0]) == {"one", "two", "three"} and set(shown[1]) == {"one", "three"}
    assert list(shown[0]["one"].get_ydata()) == [2.0, 1.5] and list(
        shown[1]["one"].get_ydata()
    ) == [0.5]
    for name in shown[1]:
        assert shown[0][name].get_color() == shown[1][name].get_color()
