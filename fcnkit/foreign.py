"""What other libraries raise on data that is damaged, in one place.

None of them promises a list, and none keeps to one.  Seen on damaged files:

- numpy.load: ValueError, EOFError, OSError, BadZipFile, MemoryError, TokenError,
  SyntaxError, RecursionError, UnpicklingError; `formats.npy` reads in its place
- h5py: OSError, KeyError, ValueError, TypeError, RuntimeError, MemoryError, OverflowError
- Pillow: SyntaxError, struct.error, IndexError, EOFError, AttributeError, zlib.error and others
- zipfile: BadZipFile, NotImplementedError, struct.error, OverflowError, UnicodeDecodeError
- protobuf: DecodeError, whose place moves between its versions
- json: ValueError, of it that for numbers of over 4,300 digits, and RecursionError
- cv2: cv2.error

So whatever comes out of such a library is taken for what it says of the data.
As little as possible of our own stands in the same block.
"""

import contextlib
from collections.abc import Callable, Iterator

from fcnkit.errors import FcnkitError, error_text


@contextlib.contextmanager
def refusing(refusal: Callable[[str], Exception]) -> Iterator[None]:
    """What a library raises in this block is the error that `refusal` makes of what it says.

    An error of fcnkit's own passes.
    """
    try:
        yield
    except FcnkitError:
        raise
    except Exception as error:
        raise refusal(reason(error)) from None


def reason(error: Exception) -> str:
    """What a library or the system says is wrong: one line, short."""
    if isinstance(error, MemoryError):
        return "it does not fit into memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return error_text(error)


def json_of(text: str | bytes) -> object:
    """The value that a JSON text says; ValueError, for whatever is wrong with it."""
    import json  # slow to load, for what most commands do not read

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(error_text(error)) from None
