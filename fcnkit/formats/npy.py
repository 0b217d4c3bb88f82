"""Reads .npy files: a header of numpy's, then plain numbers.  Nothing is unpickled.

numpy.load is not used: it gives the header to Python's parser, which a hostile
one ends with MemoryError, RecursionError or TokenError, and asks for memory
before it has compared the shape with the size of the file.
"""

import math
import os
import re
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from fcnkit.shape import Shape
from fcnkit.shape import show as shape_text

if TYPE_CHECKING:
    import numpy

# As numpy and its kin write it; a header that needs Python's parser may be made to need a lot of
# it.
_DIM = rb"(?:0|[1-9]\d{0,18})L?"
_HEADER = re.compile(
    rb"\{\s*'descr':\s*'([^'\\]{1,16})',\s*'fortran_order':\s*(True|False),\s*"
    rb"'shape':\s*\(((?:%s,\s*)*(?:%s)?)\),?\s*\}\s*" % (_DIM, _DIM)
)
_NUMBERS = re.compile("[<>|=]?[biuf][1248]")


class Header(NamedTuple):
    """What stands before the values: their shape, numpy's code of their type, and the bytes."""

    shape: Shape
    code: str
    fortran: bool
    text: bytes


def header(file: BinaryIO) -> Header:
    """The header at the file's place; ValueError where it is not as numpy writes it."""
    head = file.read(10)
    if len(head) < 10 or head[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError(f"it begins with {head[:8]!r}, not as numpy's files of version 1 do")
    text = file.read(int.from_bytes(head[8:], "little"))
    found = _HEADER.fullmatch(text)
    if not found or found[3].isalnum():  # (3) is no tuple
        raise ValueError(f"it is {text[:60]!r}, not what numpy writes")
    shape = tuple(int(dim.rstrip(b"L")) for dim in re.findall(rb"\d+L?", found[3]))
    return Header(shape, found[1].decode("ascii", "replace"), found[2] == b"True", head + text)


def looks_like(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins as numpy's files do; raises OSError."""
    with open(path, "rb") as file:
        return file.read(6) == b"\x93NUMPY"


def shape_of(path: str | os.PathLike[str]) -> Shape:
    """The shape that a file's header says; raises as `read` does."""
    with open(path, "rb") as file:
        return header(file).shape


def read(path: str | os.PathLike[str]) -> "numpy.ndarray":
    """The array in a file of numbers.

    Raises ValueError, which says what is wrong with it, before there is memory
    asked for; and OSError.
    """
    import numpy as np

    with open(path, "rb") as file:
        found = header(file)
        if not _NUMBERS.fullmatch(found.code):
            raise ValueError(f"it holds values of type {found.code}, not numbers")
        try:
            dtype = np.dtype(found.code)
        except TypeError:
            raise ValueError(f"it holds values of type {found.code}, not numbers") from None
        needed = math.prod(found.shape) * dtype.itemsize
        stored = os.fstat(file.fileno()).st_size - len(found.text)
        if stored != needed or len(found.shape) > 32:
            shape = shape_text(found.shape)
            raise ValueError(f"it has {stored:,} bytes of values, and {needed:,} for {shape}")
        values = np.frombuffer(file.read(), dtype)
    return values.reshape(found.shape, order="F" if found.fortran else "C")
