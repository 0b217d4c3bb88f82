"""Pictures as values, and beside each other."""

import io

import numpy as np
import pytest

import fcnkit as fk
from fcnkit.errors import DatasetError, OutputError

Image = pytest.importorskip("PIL.Image")
CHECKS = (np.indices((3, 5)).sum(0) % 2 * 255).astype(np.uint8)


def opened(picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.png)))


def test_a_picture_is_its_array():
    assert np.array_equal(opened(fk.Picture.of(CHECKS)), CHECKS)
    colours = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    picture = fk.Picture.of(colours, zoom=3)
    assert picture.size == (18, 12) and repr(picture) == "<Picture of 18 x 12 pixels>"
    assert np.array_equal(opened(picture)[1::3, 1::3], colours)
    assert picture._repr_png_() == picture.png


def test_a_picture_is_saved_and_overwrites_nothing(tmp_path):
    fk.Picture.of(CHECKS).save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == fk.Picture.of(CHECKS).png
    with pytest.raises(OutputError):
        fk.Picture.of(CHECKS).save(tmp_path / "a.png")


def test_pictures_stand_beside_each_other_under_their_captions():
    red = np.zeros((40, 60, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    both = opened(fk.beside({"a": red, "b": fk.Picture.of(CHECKS)}, zoom=2))
    assert both.shape[0] == 26 + 80 and both.shape[1] >= 120 + 12 + 5
    assert (both[26:, :120] == [255, 0, 0]).all()
    assert (both[26:29, 132:137] == CHECKS[..., None]).all(), "a picture keeps its size"
    assert (both[:26] < 128).any() and (both[26:, 120:132] == 255).all()


def test_a_caption_has_the_room_that_it_needs():
    narrow, wide = (opened(fk.beside({text: CHECKS})).shape[1] for text in ("a", "a long caption"))
    assert wide > narrow >= 5


def test_there_must_be_something():
    with pytest.raises(DatasetError, match="no pictures"):
        fk.beside({})


def test_lines_of_a_caption_stay_lines():
    black = np.zeros((10, 200), np.uint8)
    one, two = (
        np.asarray(Image.open(io.BytesIO(fk.beside({text: black}).png))) for text in ("a", "a\nb")
    )
    assert two.shape[0] - one.shape[0] == 26, "the height of a line"
    assert np.array_equal(two[:26], one[:26]) and (two[26:52] < 128).any()
    both = np.asarray(Image.open(io.BytesIO(fk.beside({"a": black, "b\nc": black}).png)))
    assert not both[52:, :200].any(), "pictures begin at one height"
