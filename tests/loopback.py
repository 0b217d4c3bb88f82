"""A web server on loopback that serves bytes well or badly, as a test asks of each request."""

import re
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ETAG = '"one"'


class Handler(BaseHTTPRequestHandler):
    """Answers each request as the next of the server's `ways` says, and when there is none well."""

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        way = self.server.ways.pop(0) if self.server.ways else well
        data = self.server.files.get(self.path)
        with suppress(BrokenPipeError, ConnectionResetError):  # the client may have gone
            (missing if data is None and way is well else way)(self, data or b"")
        self.close_connection = True

    def head(self, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, *words):
        pass


def well(request, data):
    """All of it, or the range that is asked for if it is of the same version."""
    start = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    etag = request.server.etag
    if not start or request.headers.get("If-Range", etag) != etag:
        request.head(Content_Length=len(data), ETag=etag)
        request.wfile.write(data)
        return
    at = int(start[1])
    if at >= len(data):
        request.head(416, Content_Range=f"bytes */{len(data)}")
        return
    request.head(
        206,
        Content_Length=len(data) - at,
        Content_Range=f"bytes {at}-{len(data) - 1}/{len(data)}",
        ETag=etag,
    )
    request.wfile.write(data[at:])


def missing(request, data):
    request.send_error(404, "Not Found")


def whole(request, data):
    """All of it, whatever is asked for."""
    request.head(Content_Length=len(data), ETag=request.server.etag)
    request.wfile.write(data)


def cut(count: int) -> Callable:
    """Announces all that is asked for, and sends so many bytes of it."""

    def way(request, data):
        at = int((request.headers.get("Range") or "bytes=0-")[6:-1])
        if at:
            request.head(
                206, Content_Length=len(data) - at, Content_Range=f"bytes {at}-/*", ETag=ETAG
            )
        else:
            request.head(Content_Length=len(data), ETag=ETAG)
        request.wfile.write(data[at : at + count])

    return way


def stalls(count: int) -> Callable:
    """Sends so many bytes, and then nothing until the server is closed."""

    def way(request, data):
        request.head(Content_Length=len(data), ETag=ETAG)
        request.wfile.write(data[:count])
        request.wfile.flush()
        request.server.closing.wait(60)

    return way


def silent(request, data):
    """Says nothing at all."""
    request.server.closing.wait(60)


def announces(count: int) -> Callable:
    """Sends all, and announces another number of bytes."""

    def way(request, data):
        request.head(Content_Length=count, ETag=ETAG)
        request.wfile.write(data)

    return way


def endless(request, data):
    """Announces nothing, and never ends."""
    request.head()
    while not request.server.closing.is_set():
        request.wfile.write(data)


def unannounced(request, data):
    """Says no length; the end is where the connection ends."""
    request.head()
    request.wfile.write(data)


def chunk_cut(request, data):
    """A chunk that ends before its end."""
    request.protocol_version = "HTTP/1.1"
    request.head(Transfer_Encoding="chunked", ETag=ETAG)
    request.wfile.write(b"%x\r\n" % len(data) + data[: len(data) // 2])


def page(request, data):
    text = b"<!DOCTYPE html><html><body>Log in first</body></html>"
    request.head(Content_Type="text/html; charset=utf-8", Content_Length=len(text))
    request.wfile.write(text)


def disguised_page(request, data):
    """A page that says it is something else, of the right length."""
    text = b"<!DOCTYPE html><html>".ljust(len(data))
    request.head(Content_Type="application/octet-stream", Content_Length=len(text))
    request.wfile.write(text)


def other_range(request, data):
    """Sends another part than was asked for."""
    request.head(
        206, Content_Length=len(data) - 1, Content_Range=f"bytes 1-{len(data) - 1}/{len(data)}"
    )
    request.wfile.write(data[1:])


def no_range(request, data):
    request.head(416, Content_Range=f"bytes */{len(data)}")


def to(address: str, code: int = 302) -> Callable:
    """Sends the client to another address."""

    def way(request, data):
        request.head(code, Location=address, Content_Length=0)

    return way


def status(code: int) -> Callable:
    def way(request, data):
        request.send_error(code, "No such luck")

    return way


class Server(ThreadingHTTPServer):
    """`files` by path, `ways` for the next requests;
    `asked` is every request's path and headers.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.ways, self.asked, self.etag = {}, [], [], ETAG
        self.closing = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving():
    """A server at work, closed afterwards."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()
