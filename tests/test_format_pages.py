"""What docs/formats says of the formats is so: its limits are the code's, its examples are run."""

import re
from pathlib import Path

import pytest

from fcnkit.datasets import databases
from fcnkit.datasets.labels import Reading
from fcnkit.errors import DatasetError, PrototxtError
from fcnkit.exporting import exported
from fcnkit.formats import blobproto, caffemodel, hdf5, lmdbs, npz, prototxt, schema, solverstate
from fcnkit.formats.wire import Damage
from fcnkit.models import index
from fcnkit.targets import reading
from fcnkit.weights import matrices

PAGES = Path(__file__).resolve().parent.parent / "docs" / "formats"
LIMIT = re.compile(r"^\| ([\d,]+) \| (.+?) \|$", re.M)

LIMITS = {
    "prototxt": [prototxt._LONGEST],
    "caffemodel": [
        caffemodel.LARGEST_FILE,
        blobproto.LARGEST_COUNT,
        blobproto.MOST_AXES,
        blobproto.MOST_CHUNKS,
        blobproto.MOST_PARTS,
    ],
    "hdf5": [hdf5.DEEPEST, hdf5._LARGEST_COUNT],
    "npz": [npz._MOST_AXES, npz._LARGEST_COUNT, 99_999],
    "solverstate": [4096, blobproto.MOST_PARTS],
    "binaryproto": [matrices._AXES, blobproto.MOST_AXES],
    "lmdb": [databases._LONGEST_KEY, lmdbs._DEEPEST, lmdbs._LARGEST],
    "labels": [255],
    "onnx": [exported.LIMIT],
    "target": [reading._LONGEST, 40],
    "index-of-models": [index._LONGEST, 80, index.LARGEST],
}


def limits(page: str) -> list[int]:
    text = (PAGES / f"{page}.md").read_text()
    return [int(number.replace(",", "")) for number, _ in LIMIT.findall(text)]


def test_every_page_says_its_limits():
    pages = {file.stem for file in PAGES.glob("*.md")} - {"index"}
    assert pages == LIMITS.keys()


@pytest.mark.parametrize("page", LIMITS)
def test_the_limits_of_a_page_are_the_codes(page):
    assert limits(page) == LIMITS[page]


def test_limits_that_have_no_name_in_the_code():
    name = bytes([2 << 3 | 2]) + b"\x81\x20" + b"x" * 4097
    with pytest.raises(Damage, match="4,097 bytes"):
        solverstate._state(name)
    Reading(255).check()
    with pytest.raises(DatasetError, match="1 to 255"):
        Reading(256).check()
    for text, most in ((reading._NAME, 40), (index._NAME, 80)):
        assert text.fullmatch("a" * most) and not text.fullmatch("a" * (most + 1))


def examples() -> list[tuple[str, str, str]]:
    text = (PAGES / "prototxt.md").read_text()
    row = r"^\| `(.+)` \| (\w+Parameter) \| (`.+`|refused|refused by Caffe) \|$"
    return [(found[1], found[2], found[3].strip("`")) for found in re.finditer(row, text, re.M)]


@pytest.mark.parametrize("text, message, value", examples())
def test_an_example_of_the_page_on_prototxts(text, message, value):
    def read():
        net = prototxt.parse(text)
        name = net.fields[0].name
        view = schema.View(message, net.root)
        return view.list(name) if view.knows(name) and view.repeats(name) else view.get(name)

    if value == "refused":
        with pytest.raises(PrototxtError):
            read()
        return
    if value == "refused by Caffe":
        root = prototxt.parse(text).root
        with pytest.raises(PrototxtError):
            schema.check(message, root)
        return
    assert repr(read()) == value
    schema.check(message, prototxt.parse(text).root)


def test_no_example_is_passed_over():
    rows = re.findall(r"^\| `.+Parameter \|", (PAGES / "prototxt.md").read_text(), re.M)
    assert len(examples()) == len(rows) > 20
