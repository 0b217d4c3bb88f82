"""hashlib, which takes text."""

import hashlib as _hashlib
from collections.abc import Callable
from typing import Any

from fcnkit.pycaffe.python2.byte_strings import ByteString, as_bytes


class _Digest:
    """A digest that is fed text or bytes."""

    def __init__(self, held: Any) -> None:
        self._held = held
        self.name, self.digest_size = held.name, held.digest_size

    def update(self, data: Any) -> None:
        """The data follow what it was of."""
        self._held.update(as_bytes(data))

    def digest(self) -> ByteString:
        """The digest as bytes."""
        return ByteString(self._held.digest())

    def hexdigest(self) -> str:
        """The digest as text."""
        found: str = self._held.hexdigest()
        return found

    def copy(self) -> "_Digest":
        """Another one of the same data."""
        return _Digest(self._held.copy())


def new(name: str, data: Any = b"") -> _Digest:
    """The digest of this name, of the data."""
    return _Digest(_hashlib.new(name, as_bytes(data)))


def _of(name: str) -> Callable[..., _Digest]:
    return lambda data=b"": new(name, data)


md5, sha1, sha224 = map(_of, ("md5", "sha1", "sha224"))
sha256, sha384, sha512 = map(_of, ("sha256", "sha384", "sha512"))
