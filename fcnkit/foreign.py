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
from collections import Counter
from collections.abc import Callable, Iterator

from fcnkit.errors import FcnkitError, error_text, quoted
from fcnkit.plural import number_of


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
    """The value that a JSON text says; ValueError, for whatever is wrong with it.

    An object that says a key twice is wrong: json itself takes the last one.
    """
    import json  # slow to load, for what most commands do not read

    try:
        return json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise ValueError(error_text(error)) from None


def json_text(value: object, *, indent: int | None = None) -> str:
    """The JSON text of a value: null where a number is infinite or none, which JSON cannot say."""
    import json

    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and value - value != 0 else value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        ((name, times),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{quoted(name)} appears {number_of(times, 'time')} in one object")
    return made
