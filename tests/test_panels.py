"""Pictures of several class maps beside their image: what is where, and what is refused."""

import io

import numpy as np
import pytest

from fcnkit.errors import DatasetError
from fcnkit.inference.panels import PanelRow, panels

RED, BLUE = (255, 0, 0), (0, 0, 255)


def drawn(rows, heads, **options):
    images = pytest.importorskip("PIL.Image")
    data = panels(rows, heads, ("left", "right"), (RED, BLUE), **options)
    return np.asarray(images.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_each_map_lies_over_the_image_in_its_column():
    image = np.full((20, 40, 3), 200, np.uint8)
    found = np.zeros((20, 40), np.uint8)
    found[:, 20:] = 1
    found[10:, :20] = 255
    picture = drawn(
        [PanelRow(image, [found]), PanelRow(image, [1 - found % 2])],
        ["input", "net"],
        opacity=1,
        width=80,
    )
    assert picture.shape[1] == 2 * 86 + 6
    # The rows begin below the heads, 30 pixels, and are 40 high with 6 between.
    for row, column, colour in (
        (40, 40, (200,) * 3),
        (40, 110, RED),
        (40, 155, BLUE),
        (62, 110, (200,) * 3),
        (86, 110, BLUE),
        (86, 155, RED),
    ):
        assert abs(picture[row, column] - colour).max() < 30, (row, column)


def test_a_long_legend_takes_several_lines():
    rows = [PanelRow(np.zeros((4, 4, 3), np.uint8), [np.zeros((4, 4), np.uint8)])]
    images = pytest.importorskip("PIL.Image")
    few, many = (
        images.open(
            io.BytesIO(
                panels(rows, ("a", "b"), [f"class {n}" for n in range(count)], [RED] * count)
            )
        )
        for count in (2, 12)
    )
    assert many.width == few.width and many.height > few.height


@pytest.mark.parametrize("maps", [None, 0, 2])
def test_a_map_for_each_head(maps):
    row = PanelRow(np.zeros((4, 4, 3), np.uint8), [np.zeros((4, 4), np.uint8)] * (maps or 0))
    with pytest.raises(DatasetError, match="below 2 heads; give a map for each head but the first"):
        panels([] if maps is None else [row], ("input", "net"), ("a",), (RED,))


def test_a_row_has_the_name_of_its_file(monkeypatch):
    drawing = pytest.importorskip("PIL.ImageDraw")
    written = []
    text = drawing.ImageDraw.text
    monkeypatch.setattr(
        drawing.ImageDraw,
        "text",
        lambda self, place, words, *more, **named: (
            written.append(words),
            text(self, place, words, *more, **named),
        ),
    )
    row = PanelRow(np.zeros((4, 8, 3), np.uint8), [np.zeros((4, 8), np.uint8)], "street\n1")
    named = drawn([row, row._replace(name="")], ["input", "net"])
    assert written == ["input", "net", r"street\n1", "", "left", "right"]
    plain = drawn([row._replace(name="")] * 2, ["input", "net"])
    assert named.shape[0] > plain.shape[0]
