"""Small caffemodels as bytes, written by hand from the wire format,
for tests of what reads them.
"""

import struct


def number(value: int) -> bytes:
    """A varint."""
    out = []
    while value > 127:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def whole(field: int, value: int) -> bytes:
    """A field that holds a number."""
    return number(field * 8) + number(value % 2**64)


def message(field: int, *content: bytes) -> bytes:
    """A field that holds bytes: a message, a string, packed numbers."""
    body = b"".join(content)
    return number(field * 8 + 2) + number(len(body)) + body


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def doubles(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def dims(*shape: int) -> bytes:
    """BlobProto.shape."""
    return message(7, message(1, *(number(dim % 2**64) for dim in shape)) if shape else b"")


def legacy(*shape: int) -> bytes:
    """BlobProto.num, channels, height, width."""
    return b"".join(whole(field, dim) for field, dim in enumerate(shape, 1))


def modern_blob(shape, values) -> bytes:
    return message(5, floats(*values)) + dims(*shape)


def old_blob(shape, values) -> bytes:
    return legacy(*shape) + message(5, floats(*values))


def v2_layer(name: str, *blobs: bytes, type: str = "InnerProduct", after: bytes = b"") -> bytes:
    fields = [
        message(1, name.encode()),
        message(2, type.encode()),
        message(3, b"data"),
        message(4, name.encode()),
    ]
    return message(100, *fields, *(message(7, blob) for blob in blobs), after)


def v1_layer(name: str, *blobs: bytes, type: int = 14) -> bytes:
    fields = [
        message(2, b"data"),
        message(3, name.encode()),
        message(4, name.encode()),
        whole(5, type),
    ]
    rates = number(7 * 8 + 5) + floats(1) if blobs else b""
    return message(2, *fields, *(message(6, blob) for blob in blobs), rates)


WEIGHTS, BIAS = (1, 2, 3, 4, 5, 6), (7, 8)

V2 = (
    message(1, b"small")
    + v2_layer("data", type="Data", after=whole(10, 0))
    + v2_layer("fc", modern_blob((2, 3), WEIGHTS), modern_blob((2,), BIAS), after=whole(10, 1))
    + v2_layer("top", modern_blob((1, 2), (9, 10)))
)
V1 = (
    message(1, b"small")
    + v1_layer("data", type=5)
    + v1_layer("fc", old_blob((1, 1, 2, 3), WEIGHTS), old_blob((1, 1, 1, 2), BIAS))
    + v1_layer("top", old_blob((1, 1, 1, 2), (9, 10)))
)
