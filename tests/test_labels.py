"""Label files of every kind become class numbers exactly,
or an error that names file, pixel and value.
"""

import math

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import GRAY, GRAY_ALPHA, PALETTE, RGB, RGBA, png, save
from PIL import Image

from fcnkit.cli.main import main
from fcnkit.datasets.colours import (
    ColourMap,
    colour_text,
    painted,
    read_classes,
    read_colours,
    voc,
    voc_palette,
)
from fcnkit.datasets.geometry import Geometry
from fcnkit.datasets.images import read_image
from fcnkit.datasets.labels import CHANNELS, Reading, label_size, read_label
from fcnkit.errors import DatasetError

LABEL = np.array([[0, 1, 2, 1], [2, 2, 0, 255], [1, 0, 0, 3]], np.uint8)
COLOURS = ColourMap(
    "colours.txt", ((0, 0, 0), (128, 0, 0), (0, 128, 0), (7, 8, 9)), void=((255, 255, 255),)
)


def reading(classes=4, **options) -> Reading:
    found = Reading(classes, **options)
    found.check()
    return found


# ---- colours


@pytest.mark.parametrize(
    "number, colour",
    [
        (0, (0, 0, 0)),
        (1, (128, 0, 0)),
        (2, (0, 128, 0)),
        (3, (128, 128, 0)),
        (8, (64, 0, 0)),
        (15, (192, 128, 128)),
        (16, (0, 64, 0)),
        (20, (0, 64, 128)),
        (21, (128, 64, 128)),
        (255, (224, 224, 192)),
    ],
)
def test_the_voc_palette(number, colour):
    assert voc_palette()[number] == colour


def test_voc_colours_are_all_different():
    assert len(set(voc_palette())) == 256 and len(voc().names) == len(voc().colours) == 21


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=40, unique=True))
def test_a_colour_map_is_read_as_it_is_written(tmp_path_factory, colours):
    path = tmp_path_factory.mktemp("map") / "colours.txt"
    path.write_text(colour_text(colours))
    assert read_colours(path) == ColourMap(str(path), tuple(colours))


@pytest.mark.parametrize(
    "text, colours, names, void",
    [
        ("0 0 0\n128 0 0\n\n", 2, (), 0),
        ("sky 0 0 0\ncar 1,2,3\n", 2, ("sky", "car"), 0),
        ("64 128 64\tTraffic cone\r\n1 2 3\tVoid\r\n", 1, ("Traffic cone",), 1),
        ("0 0 0 sky\n1 1 1 void\n2 2 2 ignore\n", 1, ("sky",), 2),
        ("\ufeff0 0 0\n", 1, (), 0),
    ],
)
def test_colour_maps_of_other_kinds(tmp_path, text, colours, names, void):
    (tmp_path / "c.txt").write_text(text, encoding="utf-8")
    found = read_colours(tmp_path / "c.txt")
    assert (len(found.colours), found.names, len(found.void)) == (colours, names, void)


@pytest.mark.parametrize(
    "text, message",
    [
        ("0 0 0\n1 2\n", r'c\.txt:2: "1 2" is not a colour'),
        ("0 0 256\n", r"c\.txt:1: .* is not a colour"),
        ("0 0 0\n9 9 9\n0 0 0\n", r"c\.txt:3: the colour 0 0 0 is on line 1 too"),
        ("a 0 0 0\na 1 1 1\n", r"c\.txt:2: the name a is on line 1 too"),
        ("a 0 0 0\n1 1 1\n", r"c\.txt:2: has no name"),
        ("\n", "has no classes"),
        ("void 0 0 0\n", "has no classes"),
    ],
)
def test_a_wrong_colour_map_is_named_by_line(tmp_path, text, message):
    (tmp_path / "c.txt").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_colours(tmp_path / "c.txt")


def test_text_files_that_are_none(tmp_path):
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "twice.txt").write_text("a\nb\na\n")
    with pytest.raises(DatasetError, match="UTF-16; save it as UTF-8|not UTF-8"):
        read_classes(tmp_path / "c.txt")
    with pytest.raises(DatasetError, match="No such file"):
        read_colours(tmp_path / "none.txt")
    with pytest.raises(DatasetError, match='"a" appears twice'):
        read_classes(tmp_path / "twice.txt")


# ---- what is stored is what is read


def test_gray_palette_and_arrays(tmp_path):
    np.save(tmp_path / "array.npy", LABEL.astype(np.int64))
    files = [
        save(tmp_path / "gray.png", LABEL),
        save(tmp_path / "palette.png", LABEL, palette=voc_palette()),
        save(tmp_path / "gray.bmp", LABEL),
        save(tmp_path / "gray.tif", LABEL),
        png(tmp_path / "deep.png", LABEL, 16, GRAY),
        png(tmp_path / "deep2.png", LABEL, 16, GRAY, filtered=2),
        tmp_path / "array.npy",
    ]
    for path in files:
        found = read_label(path, reading())
        assert found.dtype == np.uint8 and np.array_equal(found, LABEL), path


@pytest.mark.parametrize("kind", [GRAY, PALETTE])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_every_depth_gives_the_stored_value(tmp_path, kind, depth):
    values = np.arange(2**depth).reshape(2, -1).repeat(3, axis=1)
    path = png(tmp_path / "a.png", values, depth, kind)
    assert np.array_equal(read_label(path, reading(min(2**depth, 255))), values)


@settings(max_examples=25, deadline=None)
@given(st.data(), st.sampled_from([0, 2]))
def test_sixteen_bits_a_channel_are_read_whole(tmp_path_factory, data, filtered):
    shape = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5)), 3
    count = math.prod(shape)
    values = data.draw(st.lists(st.integers(0, 255), min_size=count, max_size=count))
    array = np.array(values).reshape(shape) * [1, 257, 200]
    path = png(tmp_path_factory.mktemp("deep") / "a.png", array, 16, RGB, filtered)
    found = read_label(path, Reading(255, channel="class"))
    assert np.array_equal(found, array[..., 0])
    wide = Reading(255, channel="instance", unknown="ignore")
    assert np.array_equal(read_label(path, wide) == 255, array[..., 1] >= 255)


def test_sixteen_bits_with_alpha(tmp_path):
    array = np.array([[[3, 700, 0, 65535], [1, 2, 0, 65535]]])
    path = png(tmp_path / "a.png", array, 16, RGBA)
    assert read_label(path, reading(channel="class")).tolist() == [[3, 1]]


def test_one_bit(tmp_path):
    Image.fromarray(LABEL[:, :3] > 0).save(tmp_path / "a.png")
    assert np.array_equal(read_label(tmp_path / "a.png", reading(2)), LABEL[:, :3] > 0)


def test_colours_are_mapped_exactly(tmp_path):
    image = painted(LABEL, COLOURS.colours)
    image[LABEL == 255] = 255
    path = save(tmp_path / "a.png", image)
    assert np.array_equal(read_label(path, reading(colours=COLOURS)), LABEL)
    opaque = np.dstack([image, np.full(LABEL.shape, 255, np.uint8)])
    assert np.array_equal(
        read_label(save(tmp_path / "b.png", opaque), reading(colours=COLOURS)), LABEL
    )


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_painting_and_reading_are_inverse(tmp_path_factory, data):
    count = data.draw(st.integers(1, 60))
    label = np.array(
        data.draw(st.lists(st.integers(0, count - 1), min_size=6, max_size=6))
    ).reshape(2, 3)
    colours = ColourMap("voc", voc_palette(count))
    path = save(tmp_path_factory.mktemp("voc") / "a.png", painted(label, colours.colours))
    assert np.array_equal(read_label(path, Reading(count, colours=colours)), label)


def test_a_digits_map_of_256_lines(tmp_path):
    colours = ColourMap("c.txt", voc_palette())
    path = save(tmp_path / "a.png", painted(np.minimum(LABEL, 255), voc_palette(4)))
    assert np.array_equal(read_label(path, reading(colours=colours)), LABEL)


# ---- palettes


def test_a_palette_in_another_order(tmp_path):
    shuffled = [COLOURS.colours[number] for number in (2, 0, 1)]
    path = save(tmp_path / "a.png", np.array([[0, 1, 2]], np.uint8), palette=shuffled)
    with pytest.raises(
        DatasetError, match="index 0 is 0 128 0 in its palette, but 0 0 0 in colours.txt"
    ):
        read_label(path, reading(colours=COLOURS))
    assert read_label(path, reading(colours=COLOURS, palette="colour")).tolist() == [[2, 0, 1]]
    assert read_label(path, reading(colours=COLOURS, palette="index")).tolist() == [[0, 1, 2]]
    assert read_label(path, reading()).tolist() == [[0, 1, 2]]
    with pytest.raises(DatasetError, match="needs the colours of the classes"):
        read_label(path, reading(palette="colour"))


def test_an_index_beyond_the_palette(tmp_path):
    path = png(tmp_path / "a.png", [[0, 9]], 8, PALETTE, palette=COLOURS.colours)
    with pytest.raises(DatasetError, match="uses index 9, and its palette has"):
        read_label(path, reading(colours=COLOURS, palette="colour"))


# ---- what is no class


@pytest.mark.parametrize(
    "options, array, message",
    [
        (
            {},
            [[0, 1], [4, 9]],
            r"x 0, y 1 is 4, which is not a class, 0 to 3, nor 255 \(2 pixels of 2 values\)",
        ),
        ({"numbers": {0: 1}}, [[0, 1]], "x 1, y 0 is 1, which is not in the map"),
        (
            {"colours": COLOURS},
            [[[0, 0, 0], [1, 2, 3]]],
            r"x 1, y 0 is 1 2 3, which is not in colours.txt \(1 pixels? of 1 colour\)",
        ),
        ({}, [[[0, 0, 0], [1, 1, 1]]], "has three channels; give the colours"),
    ],
)
def test_the_file_the_pixel_and_the_value_are_named(tmp_path, options, array, message):
    path = save(tmp_path / "a.png", np.array(array, np.uint8))
    with pytest.raises(DatasetError, match=message) as caught:
        read_label(path, reading(**options))
    assert str(caught.value).startswith(f"{path}: ")


def test_what_is_no_class_may_be_ignored(tmp_path):
    path = save(tmp_path / "a.png", np.array([[0, 1], [4, 9]], np.uint8))
    assert read_label(path, reading(unknown="ignore")).tolist() == [[0, 1], [255, 255]]
    path = save(tmp_path / "b.png", np.array([[[0, 0, 0], [1, 2, 3]]], np.uint8))
    assert read_label(path, reading(colours=COLOURS, unknown="ignore")).tolist() == [[0, 255]]
    assert read_label(path, reading(colours=COLOURS, ignore=11, unknown="ignore")).tolist() == [
        [0, 11]
    ]
    path = save(tmp_path / "c.png", np.array([[0, 255]], np.uint8))
    assert read_label(path, reading(ignore=11, unknown="ignore")).tolist() == [[0, 11]]


@pytest.mark.parametrize(
    "options, found",
    [
        ({"void": (2,)}, [0, 1, 255, 255]),
        ({"numbers": {0: 3, 1: 0, 2: 255}}, [3, 0, 255, 255]),
        ({"numbers": {0: 1, 1: 1, 2: 2}, "void": (0,)}, [255, 1, 2, 255]),
        ({"ignore": 11, "numbers": {0: 0, 1: 1, 2: 2, 255: 11}}, [0, 1, 2, 11]),
    ],
)
def test_void_and_remapped_values(tmp_path, options, found):
    path = save(tmp_path / "a.png", np.array([[0, 1, 2, 255]], np.uint8))
    assert read_label(path, reading(**options)).tolist() == [found]


def test_a_wide_value_may_be_remapped(tmp_path):
    path = png(tmp_path / "a.png", [[7, 26000]], 16, GRAY)
    assert read_label(path, reading(numbers={7: 0, 26000: 1})).tolist() == [[0, 1]]
    with pytest.raises(DatasetError, match="x 1, y 0 is 26000"):
        read_label(path, reading(8))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"classes": 0}, "0 classes"),
        ({"classes": 256}, "256 classes"),
        ({"classes": 21, "ignore": 20}, "ignore 20: must be above the 21 classes"),
        ({"classes": 21, "ignore": 300}, "at most 255"),
        ({"classes": 3, "numbers": {1: 3}}, "map to 3: is not a class"),
    ],
)
def test_readings_that_cannot_be(options, message):
    with pytest.raises(DatasetError, match=message):
        reading(**options)


# ---- hostile files


def test_damage_is_named(tmp_path):
    whole = save(tmp_path / "whole.png", np.tile(LABEL, (40, 40))).read_bytes()
    files = {
        "cut.png": whole[: len(whole) // 2],
        "head.png": whole[:20],
        "empty.png": b"",
        "text.png": b"not an image at all",
        "flipped.png": whole[:60] + bytes([whole[60] ^ 255]) + whole[61:],
        "bad.npy": b"\x93NUMPY\x01\x00",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DatasetError, match=name):
            read_label(tmp_path / name, reading())
    with pytest.raises(DatasetError, match="No such file"):
        read_label(tmp_path / "none.png", reading())
    with pytest.raises(DatasetError, match="no such file"):
        read_image(tmp_path / "none.png")


@pytest.mark.parametrize("size", [(20000, 20000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, size):
    path = png(tmp_path / "bomb.png", LABEL, 8, GRAY, size=size)
    with pytest.raises(DatasetError, match="bomb.png: .*(Pillow's limit|cannot be read|no image)"):
        read_label(path, reading())


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.zeros((2, 2, 2), int), np.array([[-1]])])
def test_arrays_that_are_no_labels(tmp_path, values):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(DatasetError, match="a.npy"):
        read_label(tmp_path / "a.npy", reading())


def test_transparent_and_deep_alpha(tmp_path):
    clear = np.zeros((2, 2, 4), np.uint8)
    with pytest.raises(DatasetError, match="transparent"):
        read_label(save(tmp_path / "a.png", clear), reading(colours=COLOURS))
    with pytest.raises(DatasetError, match="16-bit gray with an alpha"):
        read_label(png(tmp_path / "b.png", np.zeros((2, 2, 2), int), 16, GRAY_ALPHA), reading())
    deep = png(tmp_path / "c.png", np.zeros((2, 2, 3), int), 16, RGB)
    with pytest.raises(DatasetError, match="16 bits, as SYNTHIA"):
        read_label(deep, reading())


def test_what_keeps_no_values_or_several(tmp_path):
    Image.fromarray(LABEL).save(tmp_path / "a.jpg")
    Image.fromarray(LABEL).save(
        tmp_path / "a.tif", save_all=True, append_images=[Image.fromarray(LABEL)]
    )
    with pytest.raises(DatasetError, match="a.jpg: is a JPEG"):
        read_label(tmp_path / "a.jpg", reading())
    with pytest.raises(DatasetError, match="a.tif: holds 2 pictures"):
        read_label(tmp_path / "a.tif", reading())


# ---- images


def test_images_of_other_kinds(tmp_path):
    gray = np.arange(12, dtype=np.uint8).reshape(3, 4)
    path = save(tmp_path / "a.png", gray)
    assert read_image(path).mode == "RGB" and read_image(path, mode="L").mode == "L"
    with pytest.raises(DatasetError, match="more than 8 bits"):
        read_image(png(tmp_path / "b.png", gray, 16, GRAY))


def test_a_picture_that_exif_turns(tmp_path):
    image = Image.fromarray(np.zeros((3, 5, 3), np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    with pytest.raises(DatasetError, match="orientation 6.*--exif apply if its label"):
        read_image(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg", turn=False).size == (5, 3)
    assert read_image(tmp_path / "a.jpg", turn=True).size == (3, 5)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_resized_labels_have_no_new_values(width, height, rows, columns):
    label = (np.arange(rows * columns).reshape(rows, columns) * 7 % 250).astype(np.uint8)
    found = Geometry(resize=(width, height)).label(label, 255)
    assert found.shape == (height, width) and set(found.ravel()) <= set(label.ravel())


def test_padding_then_the_middle():
    label = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert Geometry(pad=(4, 4)).label(label, 255)[:, 3].tolist() == [255] * 4
    assert Geometry(pad=(1, 1)).label(label, 255).tolist() == label.tolist()
    assert Geometry(crop=(1, 2)).label(label, 255).tolist() == [[1], [4]]
    assert Geometry(pad=(4, 4), crop=(2, 2)).label(label, 255).tolist() == [[4, 5], [255, 255]]
    with pytest.raises(DatasetError, match=r"is 3x2, smaller than the crop 4x1; add --pad 4x1"):
        Geometry(crop=(4, 1)).label(label, 255)


# ---- real files


def test_real_voc_labels(shared):
    folder = shared / "voc" / "SegmentationClass"
    for path in sorted(folder.glob("*.png")):
        found = read_label(path, Reading(21, colours=voc()))
        by_colour = read_label(path, Reading(21, colours=voc(), palette="colour"))
        assert np.array_equal(found, by_colour) and set(np.unique(found)) <= {*range(21), 255}


def test_real_camvid_labels(shared):
    path = min((shared / "camvid" / "val" / "labels").glob("*.png"))
    assert (read_label(path, Reading(11, void=(11,))) == 255).sum() == (
        np.array(Image.open(path)) == 11
    ).sum()
    with pytest.raises(DatasetError, match="is 11, which is not a class, 0 to 10"):
        read_label(path, Reading(11))


def test_the_command_offers_every_channel():
    shown = CliRunner().invoke(main, ["dataset", "create", "--help"]).output
    assert f"[{'|'.join(CHANNELS)}]" in shown


@pytest.mark.parametrize("value", [0.0, 1.7, float("nan")])
def test_a_label_of_fractions_is_refused(tmp_path, value):
    Image.fromarray(np.full((3, 4), value, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DatasetError, match=r"a.tif: has values with fractions; save one class"):
        read_label(tmp_path / "a.tif", reading())


@pytest.mark.parametrize("shape", [(1, 3, 4), (12,), ()])
def test_an_array_that_is_no_map_is_refused_by_its_shape(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    for read in (label_size, lambda path: read_label(path, reading())):
        with pytest.raises(DatasetError, match="no array of whole numbers, height by width; save"):
            read(tmp_path / "a.npy")


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_label_that_exif_would_turn(tmp_path, orientation):
    """It is taken as it is stored where that is said, as of its image with --exif ignore."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(LABEL).save(tmp_path / "a.png", exif=exif)
    assert (read_label(tmp_path / "a.png", reading(as_stored=True)) == LABEL).all()
    if orientation == 1:
        assert (read_label(tmp_path / "a.png", reading()) == LABEL).all()
        return
    with pytest.raises(
        DatasetError, match=rf"rotate it \(orientation {orientation}\); save the label"
    ):
        read_label(tmp_path / "a.png", reading())
