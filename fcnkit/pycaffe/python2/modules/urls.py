"""What the modules urllib, urllib2 and urlparse had."""

from typing import Any
from urllib import request as _request
from urllib.error import *  # noqa: F403
from urllib.parse import *  # noqa: F403
from urllib.request import *  # noqa: F403

from fcnkit.pycaffe.python2.byte_strings import as_bytes


def urlopen(url: Any, data: Any = None, *args: Any, **named: Any) -> Any:  # type: ignore[no-redef]
    """The answer to the address."""
    return _request.urlopen(url, as_bytes(data), *args, **named)
