"""Contact sheets: colours of images and classes, the names under them, the legend below."""

import io
import re

import numpy as np
import pytest

from fcnkit.datasets.colours import voc_palette
from fcnkit.datasets.records import Picture
from fcnkit.datasets.samples import Sample, samples
from fcnkit.errors import DatasetError
from fcnkit.inference import legend
from fcnkit.inference.legend import Legend, fitted, font
from fcnkit.scoring.pictures import gallery, sheet

pictures = pytest.importorskip("PIL.Image")
ImageDraw = pytest.importorskip("PIL.ImageDraw")
BLACK, DARK, CREAM = (0, 0, 0), (9, 8, 7), (224, 224, 192)


def opened(data: bytes):
    return pictures.open(io.BytesIO(data)).convert("RGB")


def colours(picture) -> set:
    return {colour for _, colour in picture.getcolors(1 << 20)}


@pytest.fixture
def written(monkeypatch) -> list[str]:
    """All texts that are drawn."""
    found = []
    draw = ImageDraw.ImageDraw.text

    def text(self, place, words, *more, **named):
        found.append(words)
        return draw(self, place, words, *more, **named)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return found


@pytest.mark.parametrize("order, red", [("bgr", 2), ("rgb", 0)])
def test_a_sheet_shows_the_colours_of_the_images(order, red):
    image = np.zeros((3, 4, 4), np.uint8)
    image[red] = 255
    drawn = sheet([Sample(image, np.full((4, 4), 1, np.uint8))], [BLACK, DARK], order=order)
    assert colours(opened(drawn)) == {(255, 0, 0), DARK, (255, 255, 255)}


def test_a_sheet_of_nothing_is_refused():
    with pytest.raises(DatasetError, match="no images"):
        sheet([], voc_palette(2))


def test_a_sheet_has_names_and_a_legend(written):
    label = np.zeros((4, 4), np.uint8)
    label[0] = 255
    found = [Sample(np.zeros((3, 4, 4), np.uint8), label, key) for key in ("00000007_a/b", "c")]
    drawn = opened(sheet(found, [BLACK, DARK], names=("road", "car")))
    assert written == ["0  road", "1  car", "ignored", "a/b", "c"]
    assert {DARK, CREAM} <= colours(drawn)
    whole = [each._replace(label=label * 0) for each in found]
    written.clear()
    sheet(whole, [BLACK, DARK], names=("road", "car"))
    assert "ignored" not in written
    plain = opened(sheet([each._replace(key="") for each in whole], [BLACK, DARK]))
    assert plain.size[0] == drawn.size[0] and plain.size[1] < drawn.size[1]


def test_of_many_classes_the_legend_has_those_that_are_shown(written):
    names = [f"class {number}" for number in range(60)]
    sample = Sample(np.zeros((3, 4, 4), np.uint8), np.full((4, 4), 57, np.uint8), "a")
    sheet([sample], voc_palette(60), names=names)
    assert written == ["57  class 57", "a"]


def test_a_gallery_says_keys_numbers_and_names(written):
    found = [
        Picture("00000001_a", 1, np.zeros((3, 8, 8), np.uint8)),
        Picture("k\x1b[31m", 7, np.zeros((3, 8, 8), np.uint8)),
        Picture("b", None, np.zeros((1, 8, 8), np.uint8)),
    ]
    gallery(found, names=("cat", "dog"))
    assert written == ["00000001_a", "1  dog", r"k\x1b[31m", "7", "b", ""]


def test_a_gallery_of_labels_has_the_legend_of_their_values(written):
    label = np.zeros((1, 8, 8), np.uint8)
    label[0, 0] = 2
    drawn = gallery([Picture("a", 0, label)], classes=True, names=("sky", "road", "car"))
    assert written == ["0  sky", "2  car", "a"]
    assert {voc_palette()[2], BLACK} <= colours(opened(drawn))


def test_samples_say_what_their_files_were_called(tmp_path):
    from small_training import write_data

    found = list(samples(write_data(tmp_path), 4))
    assert [each.key for each in found] == ["00000000", "00000003", "00000000", "00000001"]
    assert found[0].name == "00000000" and found[0].image.shape == (3, 8, 8)
    assert Sample(found[0].image, found[0].label, "00000003_x\ny").name == "x\ny"


def test_a_text_is_cut_where_it_is_too_long():
    name = "0" * 30 + "_last"
    for ends, shape in ((False, r"0+\.\.\."), (True, r"0+\.\.\..*_last")):
        cut = fitted(name, 120, ends=ends)
        assert font().getlength(cut) <= 120 and len(cut) > 8
        assert re.fullmatch(shape, cut), cut
    assert fitted("short", 120) == "short" and fitted("a\nb", 120) == r"a\nb"
    assert fitted("x" * 300 + "end", 400, ends=True).endswith("end")
    assert fitted("wide", 1) == "..."


def test_a_legend_takes_the_lines_that_it_needs():
    names = [f"a class called {number}" for number in range(9)]
    wide, narrow = (Legend(names, [DARK] * 9, across) for across in (2000, 300))
    assert wide.height < narrow.height and Legend((), (), 300).height == 0
    for left, line, text in narrow.places():
        assert left + legend._SWATCH + 8 + font().getlength(text) <= 300 and line < 9
