"""Label files for tests, of kinds that image libraries do not write, and small folders of pairs."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(path, array, depth: int, kind: int, filtered: int = 0, size=None, palette=None) -> Path:
    """A PNG of (height, width) or (height, width, channels), of 1 to 16 bits a value.

    With `filtered` 2 every row is stored as its difference from the one above.
    `size` is what the header says, where that is not the truth.
    """
    array = np.asarray(array)
    rows = array.reshape(len(array), -1)
    if depth == 16:
        packed = rows.astype(">u2").view(np.uint8)
    else:
        bits = (rows[..., None] >> np.arange(depth - 1, -1, -1) & 1).reshape(len(rows), -1)
        packed = np.packbits(bits.astype(np.uint8), axis=1)
    if filtered == 2:
        packed = np.diff(packed, axis=0, prepend=np.zeros((1, packed.shape[1]), np.uint8))
    lines = b"".join(bytes([filtered]) + row.tobytes() for row in packed)
    width, height = size or array.shape[1::-1]
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))]
    if kind == PALETTE:
        colours = range(3 * 2**depth) if palette is None else np.ravel(palette)
        parts.append(chunk(b"PLTE", bytes(int(value) % 256 for value in colours)))
    parts += [chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return Path(path)


def save(path, array, palette=None) -> Path:
    """An image file by Pillow, its kind told by the name; with `palette` a palette image."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(array))
    if palette is not None:
        image.putpalette(np.asarray(palette, np.uint8).ravel().tolist())
    image.save(path)
    return path


def folders(top, count: int = 6, size=(7, 5), classes: int = 3, seed: int = 0) -> dict[str, tuple]:
    """Images (PNG) and gray labels in top/images and top/labels;
    the arrays by name, RGB and index.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    made = {}
    for number in range(count):
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        label = rng.integers(0, classes, (height, width)).astype(np.uint8)
        label[0, 0] = 255
        name = f"street_{number:02d}"
        save(Path(top) / "images" / f"{name}.png", image)
        save(Path(top) / "labels" / f"{name}.png", label)
        made[name] = image, label
    return made
