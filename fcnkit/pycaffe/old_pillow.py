"""Pillow as scripts of pycaffe's years know it, while one of them runs.

Image.fromarray(labels, mode="P") had a palette of grays then.  Today it has none, and a PNG of
it keeps one bit of each label: label images are spoilt without a word.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

# Names that Pillow 10 dropped, and what it calls them now.
_NAMES = {"ANTIALIAS": "LANCZOS", "CUBIC": "BICUBIC", "LINEAR": "BILINEAR"}
# What makes images, which are given a palette where they have none.
_MAKERS = ("fromarray", "new")
_GRAYS = bytes(level for level in range(256) for _ in range(3))


@contextmanager
def old_pillow() -> Iterator[None]:
    """In the block PIL.Image has the names that it dropped, and palettes; where it is installed."""
    if find_spec("PIL") is None:
        yield
        return
    from PIL import Image

    before = {name: getattr(Image, name) for name in (*_MAKERS, *_NAMES) if hasattr(Image, name)}
    for name in _MAKERS:
        setattr(Image, name, _with_palette(before[name]))
    for name, today in _NAMES.items():
        setattr(Image, name, getattr(Image, today))
    try:
        yield
    finally:
        for name in (*_MAKERS, *_NAMES):
            delattr(Image, name)
        for name, value in before.items():
            setattr(Image, name, value)


def _with_palette(make: Any) -> Any:
    @wraps(make)
    def made(*words: Any, **named: Any) -> "Image":
        image: Image = make(*words, **named)
        if image.mode == "P" and not image.getpalette():
            image.putpalette(_GRAYS)
        return image

    return made
