"""Says what a file is that should be a caffemodel and is not, by its first bytes."""

from fcnkit.errors import WeightsError


def recognise(head: bytes, path: str) -> None:
    """A file that begins with `head` does not begin as some well-known other kind of file does.

    Raises WeightsError that says what the file is and what to do instead.
    """
    for start, what in _OTHER_FILES:
        if head.startswith(start):
            raise WeightsError(f"{path}: byte 0: expected a caffemodel, found {what}")
    if is_text(head):
        raise WeightsError(f"{path}: byte 0: expected a caffemodel, found {_text_kind(head)}")


_OTHER_FILES = (
    (b"\x1f\x8b", "a gzip archive; unpack it first (gunzip)"),
    (b"BZh", "a bzip2 archive; unpack it first (bunzip2)"),
    (b"\xfd7zXZ\x00", "an xz archive; unpack it first (unxz)"),
    (b"\x93NUMPY", "a numpy array; give a .caffemodel"),
    (b"\x80\x02", "a Python pickle; give a .caffemodel"),
    (b"\x80\x03", "a Python pickle; give a .caffemodel"),
    (b"\x80\x04", "a Python pickle; give a .caffemodel"),
    (b"\x80\x05", "a Python pickle; give a .caffemodel"),
    (b"\x08", "another Caffe file (a mean image); give the .caffemodel beside it"),
)


def is_text(head: bytes) -> bool:
    """Whether a file that begins so has no control characters there."""
    return not any(byte < 32 and byte not in b"\t\n\f\r" for byte in head)


def _text_kind(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "an empty file; get it again"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<!--")):
        return "an HTML page; download the file itself, not the page that shows it"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer; fetch the file itself (git lfs pull)"
    if b"layer" in text and b"{" in text:
        return "a prototxt; give the weights, not the net"
    return "text; give the binary .caffemodel"
