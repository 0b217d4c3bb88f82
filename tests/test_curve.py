"""The curves of several runs in one picture."""

import pytest

from fcnkit.training import curve

ROWS = [
    {"iteration": 0, "loss": 2.0, "rate": 0.1},
    {"iteration": 5, "test": {"accuracy": 0.5, "loss": 1.0}},
    {"iteration": 5, "loss": 1.5, "rate": 0.1},
]


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn."""
    pytest.importorskip("matplotlib")
    found = []
    save = curve._save
    monkeypatch.setattr(
        curve, "_save", lambda figure, path: (found.append(figure), save(figure, path))
    )
    return found


def test_runs_share_a_picture_and_keep_their_colours(tmp_path, figures):
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


def ticks(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels(which="both")]


def test_ticks_are_plain_numbers(tmp_path, figures):
    rows = [
        {"iteration": number * 1000, "loss": 2.1 + number / 400, "rate": 0.1}
        for number in range(101)
    ]
    test = {"iteration": 100_000, "test": {"accuracy": 0.5, "loss": 2.3}}
    curve.draw([*rows, test], tmp_path / "c.png", "net/run")
    curve.compare({"one": rows}, tmp_path / "d.png", "runs")
    for axes in (figures[0].axes[0], figures[1].axes[0]):
        assert ticks(axes.yaxis) == ["2.1", "2.15", "2.2", "2.25", "2.3", "2.35"]
    # Of axes that share a side the lowest says its ticks.
    for axes in (figures[0].axes[-1], figures[1].axes[0]):
        assert ticks(axes.xaxis) == ["0", "20,000", "40,000", "60,000", "80,000", "100,000"]


def test_a_name_is_shown_as_it_is(tmp_path, figures):
    names = ("_hidden", "$x_1$", "a\x1b[31m\n")
    curve.compare(dict.fromkeys(names, ROWS), tmp_path / "c.png", "$runs$")
    shown = [each.get_text() for each in figures[0].axes[0].get_legend().get_texts()]
    assert shown == [" _hidden", r"\$x_1\$", r"a\x1b[31m\n"]
    assert figures[0].get_suptitle() == r"\$runs\$"
