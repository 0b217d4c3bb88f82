"""What lies at a web address: http and https alone,
with a time-out, and no way from https to http.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from fcnkit.errors import ModelError, OutputError, error_text
from fcnkit.models.address import check_address

# A range that the server does not have.
NO_RANGE = 416


class Cut(Exception):
    """The connection ended before the file did."""


class NoRange(Exception):
    """The server has nothing from there on."""


class _Redirects(request.HTTPRedirectHandler):
    """Follows an address to another as safe as itself."""

    def redirect_request(
        self,
        req: request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> request.Request | None:
        """The request to follow with;
        ModelError where the way leads out of the web, or out of https.
        """
        check_address(newurl, f"{req.full_url}: redirects to another address")
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise ModelError(
                f"{req.full_url}: redirects from https to {newurl}, which can be tampered with"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> request.OpenerDirector:
    """As urllib's own, but for files, ftp and data, which are no places on the web."""
    made = request.OpenerDirector()
    for handler in (
        request.ProxyHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        _Redirects,
        request.HTTPDefaultErrorHandler,
        request.HTTPErrorProcessor,
        request.UnknownHandler,
    ):
        made.add_handler(handler())
    return made


@contextmanager
def opened(address: str, timeout: float, headers: Mapping[str, str] = {}) -> Iterator[HTTPResponse]:
    """What the server answers: 200 or 206, its body unread.

    Raises ModelError where it answers anything else or nothing within
    `timeout` seconds, here and while the body is read; NoRange for status 416;
    Cut where the connection breaks.
    """
    check_address(address, address)
    asked = {"User-Agent": "fcnkit", "Accept-Encoding": "identity", **headers}
    try:
        with _opener().open(request.Request(address, headers=asked), timeout=timeout) as response:
            yield response
    except HTTPError as error:
        error.close()
        if error.code == NO_RANGE:
            raise NoRange from None
        reason = error_text(Exception(error.reason))
        raise ModelError(f"{address}: the server answers {error.code}: {reason}") from None
    except OutputError:  # of a file that is written meanwhile
        raise
    except (HTTPException, OSError) as error:
        raise _failure(address, error, timeout) from None


def _failure(address: str, error: Exception, timeout: float) -> Exception:
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return ModelError(f"{address}: nothing came for {timeout:g} seconds")
    if isinstance(error, URLError):
        return ModelError(f"{address}: cannot be reached: {error_text(Exception(cause))}")
    return Cut(error_text(error))


def read(address: str, limit: int, timeout: float) -> bytes:
    """The first `limit` bytes of what lies at an address; ModelError as `opened`."""
    try:
        with opened(address, timeout) as response:
            data = response.read(limit)
            if response.length and len(data) < limit:
                raise Cut(f"{len(data):,} bytes came")
            return data
    except (Cut, NoRange) as error:
        raise ModelError(
            f"{address}: the connection was cut: {error_text(error)}; try again"
        ) from None
