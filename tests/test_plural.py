"""Numbers with their nouns, as messages give them."""

import re
from pathlib import Path

import pytest

from fcnkit.plural import number_of, plural_of

PACKAGE = Path(__file__).resolve().parent.parent / "fcnkit"


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "image", "0 images"),
        (1, "image", "1 image"),
        (2, "class", "2 classes"),
        (1, "class", "1 class"),
        (3, "box", "3 boxes"),
        (2, "entry", "2 entries"),
        (2, "array", "2 arrays"),
        (1234, "parameter blob", "1,234 parameter blobs"),
    ],
)
def test_a_noun_is_plural_but_for_one(count, noun, text):
    assert number_of(count, noun) == text


def test_no_message_makes_its_own_plural():
    """Of counts; lists of names and a page's sentences about several have their own."""
    known = {"absent.py", "unseen.py", "predictions.py"}
    made = re.compile(r"""['"]e?s['"] \* \((?!'|"| |\(least)""")
    found = [file.name for file in PACKAGE.rglob("*.py") if made.search(file.read_text())]
    assert {*found} <= known, "fcnkit.plural does it"


def test_a_plural_of_its_own_is_given():
    assert number_of(1, "axis", "axes") == "1 axis" and number_of(4, "axis", "axes") == "4 axes"
    assert plural_of("match") == "matches"
