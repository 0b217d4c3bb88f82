"""Values that are ignored and classes: none swallows the other without a word."""

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import GRAY, png, save

from fcnkit.cli.main import main
from fcnkit.datasets.absent import absent
from fcnkit.datasets.colours import ColourMap, voc
from fcnkit.datasets.labels import Reading, read_label
from fcnkit.errors import DatasetError
from fcnkit.scoring.metrics import score as scored

BLACK_WHITE = "0 0 0 off\n255 255 255 on\n"


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def masks(top, *values, name="labels"):
    """Three images, masks of these values, and predictions of 0 everywhere."""
    label = np.resize(np.array(values, np.uint8), (4, 6))
    for number in range(3):
        for folder, array in (
            ("images", np.full((4, 6, 3), number, np.uint8)),
            (name, label),
            ("zeros", label * 0),
        ):
            (top / folder).mkdir(exist_ok=True)
            save(top / folder / f"{number}.png", array)
    (top / "colours.txt").write_text(BLACK_WHITE)
    return top


def create(top, *words):
    return run(
        "dataset",
        "create",
        top / "images",
        top / "labels",
        "-o",
        top / "data",
        "--split",
        0,
        *words,
    )


TABLE = [
    ((0, 255), ("--classes", 2), "255", "if 255 means class 1, give --map 0=0,255=1"),
    ((1, 255), ("--classes", 2), "255", "if 255 means class 0, give --map 1=1,255=0"),
    ((0, 254), ("--classes", 2, "--ignore", 254), "254", "give --map 0=0,254=1"),
    ((0, 200), ("--classes", 2, "--unknown", "ignore"), "200", "give --map 0=0,200=1"),
    ((0, 128, 255, 255), ("--classes", 2, "--unknown", "ignore"), "255 and 128", "0=0,255=1"),
    ((0, 255), ("--classes", 3), "255", "give --map 0=0,255=1"),
    ((0, 255), ("--classes", 21), "255", "give a --map of all values, with 255=1 among them"),
]


@pytest.mark.parametrize("values, words, shown, remedy", TABLE)
def test_a_class_that_is_swallowed_is_refused(tmp_path, values, words, shown, remedy):
    masks(tmp_path, *values)
    found = create(tmp_path, *words)
    assert found.exit_code == 2
    message = found.output
    assert " no pixel, and " in message
    assert f"value{'s' * (' ' in shown)} {shown} are ignored" in message
    assert (
        remedy in message
        and f"if it is not a class, give --void {shown.replace(' and ', ',')}" in message
    )
    assert not (tmp_path / "data").exists()
    if "--ignore" not in words:
        found = run("score", tmp_path / "zeros", tmp_path / "labels", *words)
        assert found.exit_code == 2 and remedy in found.output


def test_the_remedy_helps(tmp_path):
    masks(tmp_path, 0, 255)
    words = ("--classes", 2, "--map", "0=0,255=1")
    assert create(tmp_path, *words).exit_code == 0
    found = run("score", tmp_path / "zeros", tmp_path / "labels", *words)
    assert found.exit_code == 0 and "pixel accuracy         50.00%" in found.output


@pytest.mark.parametrize(
    "values, words, status, warned",
    [
        ((0, 1, 255), (), 0, False),
        ((0, 1), (), 0, False),
        ((0,), (), 0, False),  # nothing is ignored
        ((0, 255), ("--void", "255"), 0, True),
        ((0, 255), ("--map", "0=0,255=ignore"), 0, True),
        ((0, 1, 255), ("--void", "1"), 2, False),
    ],
)
def test_what_the_user_has_said_is_done_and_warned_of(tmp_path, values, words, status, warned):
    masks(tmp_path, *values)
    found = create(tmp_path, "--classes", 2, *words)
    assert found.exit_code == status, found.output
    assert ("warning: " in found.output) == warned
    if not status:
        again = run("dataset", "inspect", tmp_path / "data")
        assert again.exit_code == 0 and ("warning: " in again.output) == warned


def test_a_third_class_is_warned_of(tmp_path):
    masks(tmp_path, 0, 1, 255)
    fact = "class 2 has no pixel, and 24 pixels of value 255 are ignored"
    remedy = "if 255 means class 2, give --map 0=0,1=1,255=2"
    found = create(tmp_path, "--classes", 3)
    assert found.exit_code == 0 and f"data: {fact}; {remedy}\n" in found.output
    for words in (
        ("dataset", "inspect", tmp_path / "data"),
        ("score", tmp_path / "zeros", tmp_path / "labels", "--classes", 3),
    ):
        found = run(*words)
        assert found.exit_code == 0 and f": {fact}; {remedy}\n" in found.output


def test_of_coloured_masks_the_remedy_is_a_colour(tmp_path):
    """No value says what a void colour is."""
    masks(tmp_path, 0, 1)
    colours = tmp_path / "three.txt"
    colours.write_text("ground 0 0 0\nroad 255 0 0\nvoid 255 255 255\n")
    labels = tmp_path / "labels"
    mask = np.resize(np.array((0, 255), np.uint8), (4, 6))
    for path in labels.iterdir():
        save(path, np.repeat(mask[..., None], 3, 2))
    fact = "class 1 (road) has no pixel, and 36 pixels are ignored; if class 1 (road) is"
    for words in (
        ("dataset", "create", tmp_path / "images", labels, "-o", tmp_path / "data", "--split", 0),
        ("score", labels, labels),
    ):
        found = run(*words, "--colours", colours)
        assert fact in found.output and "in --colours" in found.output, found.output


def test_scores_say_so_without_the_command():
    zeros, label = np.zeros((2, 2), int), np.array([[0, 255], [0, 255]])
    table = scored([zeros], [label], 2).table()
    assert table.endswith("class 1 has no pixel, and 2 pixels are ignored\n")
    assert "has no pixel" not in scored([zeros], [label == 255], 2).table()


def test_a_score_with_ignore_said(tmp_path):
    masks(tmp_path, 0, 255)
    words = ("score", tmp_path / "zeros", tmp_path / "labels", "--classes", 2)
    found = run(*words, "--ignore", 255)
    assert found.exit_code == 0 and "warning: " in found.output


# ---- colours of gray masks

TWO = ColourMap("c.txt", ((0, 0, 0), (255, 255, 255)))
TURNED = ColourMap("c.txt", ((255, 255, 255), (0, 0, 0)))
VOID = ColourMap("c.txt", ((0, 0, 0), (128, 128, 128)), (), ((255, 255, 255),))


@pytest.mark.parametrize(
    "colours, values, found",
    [
        (TWO, [0, 255], [0, 1]),
        (TWO, [0, 0], [0, 0]),
        (TWO, [255, 255], [1, 1]),
        (TWO, [0, 1], [0, 1]),  # numbers, since 1 1 1 is no colour of the map
        (TWO, [0, 1, 255], [0, 1, 255]),
        (TURNED, [0, 255], None),
        (TURNED, [255, 255], [0, 0]),
        (VOID, [0, 128, 255], [0, 1, 255]),
        (voc(), [0, 1, 20, 255], [0, 1, 20, 255]),
        (voc(), [0, 128], [0, 7]),
    ],
)
def test_gray_values_are_colours_too(tmp_path, colours, values, found):
    path = save(tmp_path / "a.png", np.array([values], np.uint8))
    reading = Reading(len(colours.colours), colours=colours)
    if found is None:
        with pytest.raises(DatasetError, match="choose with --palette index or"):
            read_label(path, reading)
    else:
        assert read_label(path, reading).tolist() == [found]


def test_palette_decides(tmp_path):
    path = save(tmp_path / "a.png", np.array([[0, 255]], np.uint8))
    for palette, found in (("index", [0, 255]), ("colour", [1, 0])):
        assert read_label(path, Reading(2, colours=TURNED, palette=palette)).tolist() == [found]


def test_a_value_said_to_be_ignored_that_is_a_listed_colour(tmp_path):
    path = save(tmp_path / "a.png", np.array([[0, 255]], np.uint8))
    with pytest.raises(DatasetError, match="x 1, y 0, 255, is ignored as a number, and class 1"):
        read_label(path, Reading(2, colours=TWO, void=(255,)))


def test_unknown_grays_do_not_hide_colours(tmp_path):
    path = save(tmp_path / "a.png", np.array([[0, 7, 255, 255]], np.uint8))
    found = read_label(path, Reading(2, colours=TWO, unknown="ignore"))
    assert found.tolist() == [[0, 255, 1, 1]]


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_white_of_few_bits(tmp_path, depth):
    white = 2**depth - 1
    path = png(tmp_path / "a.png", [[0, white]], depth, GRAY)
    assert read_label(path, Reading(2, colours=TWO, palette="colour")).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    "pixels, ignored, told",
    [
        ((3, 0), 0, False),
        ((3, 1), 9, False),
        ((3, 0), 9, True),
        ((0, 0), 9, True),
        ((0,), 9, False),
    ],
)
def test_when_there_is_something_to_say(pixels, ignored, told):
    assert (absent([str(each) for each in range(len(pixels))], pixels, ignored) is not None) == told
