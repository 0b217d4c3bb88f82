"""Pictures in a page: exact PNGs, and never more than the budget."""

import io
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from fcnkit.reporting.pictures import LEAST, Album, Shown, png
from fcnkit.reporting.tiles import activations, filters

NOISE = np.random.default_rng(0).integers(0, 256, (600, 900, 3), np.uint8)


def opened(shown: Shown) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(b64decode(shown.url.partition(",")[2]))))


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (7, 5), (7, 5, 3), (256, 3, 3)])
def test_a_png_has_each_pixel(shape):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    assert (np.asarray(Image.open(io.BytesIO(png(pixels)))) == pixels).all()


def test_what_fits_is_as_it_was():
    album = Album()
    shown = album.figure(NOISE[:100, :100], "noise")
    assert (opened(shown) == NOISE[:100, :100]).all() and album.notes == []


@pytest.mark.parametrize("side, longest", [(10, 5), (11, 5), (9, 2)])
def test_a_smaller_figure_has_the_mean_of_its_pixels(side, longest):
    pixels = np.arange(side * side, dtype=np.uint8).reshape(side, side)
    step = -(-side // longest)
    filled = np.pad(pixels, ((0, -side % step),) * 2, "edge").astype(float)
    blocks = filled.reshape(len(filled) // step, step, -1, step)
    small = opened(Album().figure(pixels, "ramp", longest=longest))
    assert np.abs(small - blocks.mean((1, 3))).max() <= 0.5


@pytest.mark.parametrize("kind", ["figure", "photo"])
@pytest.mark.parametrize("budget", [0, 1_000, 100_000, 3_000_000])
def test_all_pictures_together_keep_to_the_budget(kind, budget):
    album = Album(budget=budget)
    shown = [getattr(album, kind)(NOISE, "noise") for _ in range(12)]
    assert sum(len(each.url) for each in shown) <= budget
    assert all((each.width, each.height, each.alt) == (900, 600, "noise") for each in shown)
    assert album.omitted == sum(not each.url for each in shown)
    assert bool(album.notes) == (album.omitted + album.scaled > 0)
    assert all(max(opened(each).shape) >= LEAST / 2 for each in shown if each.url)


def test_pictures_that_share_are_about_alike():
    album = Album(budget=1_200_000)
    with album.sharing(12, part=0.5):
        sizes = [len(album.figure(NOISE, "noise").url) for _ in range(12)]
    assert min(sizes) > 0 and max(sizes) <= 2.5 * min(sizes) and sum(sizes) <= 600_000
    assert album.left >= 600_000 and album.figure(NOISE[:50, :50], "later").url


def test_with_full_nothing_is_scaled():
    album = Album(full=True, budget=10)
    assert (opened(album.figure(NOISE, "noise", longest=10)) == NOISE).all()
    assert opened(album.photo(NOISE, "noise", longest=10)).shape == NOISE.shape
    assert album.notes == []


# ---- what is drawn


def test_activations_are_in_one_scale():
    array = np.zeros((4, 3, 3), np.float32)
    array[2, 1, 1] = 5
    grid = activations(array)
    assert (grid.low, grid.high, grid.colours, grid.tiles, grid.of) == (0, 5, "plain", 4, 4)
    bright = (grid.pixels == (252, 253, 191)).all(2)
    assert bright.sum() == 1


def test_values_on_both_sides_of_zero_have_it_in_the_middle():
    grid = activations(np.float32([[[-1, 0, 4]]]))
    assert (grid.low, grid.high, grid.colours) == (-4, 4, "signed")
    left, middle, right = grid.pixels[0].astype(int)
    assert abs(middle - 247).max() <= 2 and right[0] > right[2] and left[2] > left[0]


@pytest.mark.parametrize(
    "shape, tiles", [((5,), 1), ((7, 1, 1), 1), ((300, 2, 2), 256), ((2, 3, 4, 5), 2)]
)
def test_tops_of_any_shape_are_drawn(shape, tiles):
    grid = activations(np.ones(shape, np.float32))
    assert grid.tiles == tiles and grid.pixels.dtype == np.uint8 and grid.pixels.ndim == 3


@pytest.mark.parametrize(
    "shape", [(512, 512, 3, 3), (64, 3, 7, 7), (1000, 512, 1, 1), (6, 1, 5, 5)]
)
@pytest.mark.parametrize("order", [None, "bgr"])
def test_filters_of_any_shape_are_no_larger_than_a_screen(shape, order):
    grid = filters(np.random.default_rng(0).normal(size=shape).astype(np.float32), order)
    assert max(grid.pixels.shape) <= 1100 and grid.tiles <= grid.of
    assert (grid.colours == "natural") == (order is not None and shape[1] == 3)
