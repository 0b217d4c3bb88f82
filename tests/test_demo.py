"""The demo as `make demo` runs it, and the arithmetic of its picture."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


@pytest.fixture
def demo(monkeypatch):
    pytest.importorskip("cv2")
    monkeypatch.syspath_prepend(SCRIPTS)
    import demo

    return demo


def test_the_demo_runs_and_draws(tmp_path):
    pytest.importorskip("cv2")
    done = subprocess.run(
        [sys.executable, SCRIPTS / "demo.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    right, total = map(int, re.search(r"(\d+) of (\d+) digits", done.stdout).groups())
    assert total > 30 and right >= 0.9 * total
    assert done.stdout.count("equal") == 3 and "DIFFERENT" not in done.stdout
    assert "Crop, offset 18" in done.stdout
    assert (tmp_path / "demo" / "digits.png").read_bytes().startswith(b"\x89PNG")


def test_every_class_has_a_colour_of_its_own(demo):
    assert len({tuple(colour) for colour in demo.COLOURS}) == 11


def test_pixels_between_windows_take_the_nearer_class(demo):
    # Windows at pixels 2, 6 and 10 each way; at pixel 8 both classes are equal, and the lower one
    # is taken.
    probabilities = np.zeros((11, 3, 3))
    probabilities[3, :, :2] = probabilities[7, :, 2] = 1
    classes = demo.at_pixels(probabilities, (13, 13), 4, 2)
    assert list(classes[6]) == [10, 10, 3, 3, 3, 3, 3, 3, 3, 7, 7, 10, 10]


def test_pixels_outside_all_windows_are_background(demo):
    probabilities = np.zeros((11, 4, 5))
    probabilities[5] = 1
    classes = demo.at_pixels(probabilities, (40, 44), 4, 13.5)
    rows, columns = np.nonzero(classes == 5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (14, 25, 14, 29)
    assert set(np.unique(classes)) == {5, demo.BACKGROUND}


def test_digits_lie_where_the_canvas_says(demo):
    images = np.full((1, 8, 8), 16, np.uint8)
    canvas, placed = demo.scatter(np.random.default_rng(0), images, np.array([4]), shape=(96, 96))
    assert placed and all(canvas[digit.row, digit.column] > 200 for digit in placed)
    classes = np.full(canvas.shape, 4)
    assert demo.right(classes, placed) == len(placed)
    classes[placed[0].row, placed[0].column] = 3
    assert demo.right(classes, placed) == len(placed) - 1
