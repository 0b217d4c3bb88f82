"""Models from servers that cut, lie and stall, and from folders:
whole and verified, or not at all.
"""

import errno
import hashlib
import os
import socket
import urllib.request

import loopback
import numpy as np
import pytest
from loopback import cut

from fcnkit.errors import FcnkitError, ModelError, OutputError
from fcnkit.models import cache, web
from fcnkit.models import fetch as fetching
from fcnkit.models.fetch import fetch
from fcnkit.models.index import LARGEST, Model
from fcnkit.weights import store


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A small caffemodel's bytes."""
    path = tmp_path_factory.mktemp("model") / "m.caffemodel"
    values = np.random.default_rng(0).normal(size=(4, 5000)).astype(np.float32)
    store.create().put("ip", [values]).save(path)
    return path.read_bytes()


@pytest.fixture
def server(data, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with loopback.serving() as server:
        server.files["/m.caffemodel"] = data
        yield server


def model(server, data, **changes):
    known = {
        "place": f"{server.address}/m.caffemodel",
        "size": len(data),
        "digests": {
            "sha1": hashlib.sha1(data).hexdigest(),
            "sha256": hashlib.sha256(data).hexdigest(),
        },
    }
    return Model("mine", "m.caffemodel", **known | changes)


def left(folder):
    """What the cache has of the model, but for its lock."""
    return (
        sorted(set(os.listdir(folder / "mine")) - {".lock"}) if (folder / "mine").exists() else []
    )


WHOLE = ["m.caffemodel", "model.json"]
PART = ["m.caffemodel.part", "m.caffemodel.part.json"]


def ranges(server):
    return [headers.get("Range") for _, headers in server.asked]


# ---- what goes well


def test_a_model_comes_whole_and_once(server, data, tmp_path):
    heard = []
    found = fetch(
        model(server, data), tmp_path, progress=lambda done, size: heard.append((done, size))
    )
    assert found.path.read_bytes() == data and left(tmp_path) == WHOLE and not found.already
    assert found.digests["sha256"] == hashlib.sha256(data).hexdigest()
    assert (
        heard[0] == (0, len(data))
        and heard[-1] == (len(data), len(data))
        and heard == sorted(heard)
    )
    assert fetch(model(server, data), tmp_path).already and len(server.asked) == 1
    assert cache.recorded("mine", tmp_path).model.digests == model(server, data).digests


def test_a_connection_that_is_cut_is_taken_up_again(server, data, tmp_path):
    server.ways = [cut(30_000), cut(1), cut(20_000)]
    assert fetch(model(server, data), tmp_path).path.read_bytes() == data
    assert ranges(server) == [None, "bytes=30000-", "bytes=30001-", "bytes=50001-"]
    assert [headers.get("If-Range") for _, headers in server.asked] == [None] + [loopback.ETAG] * 3


def test_what_came_is_kept_for_the_next_time(server, data, tmp_path):
    server.ways = [cut(30_000), cut(0)]
    with pytest.raises(ModelError, match=r"cut \(30,000 of .*; the 30,000 bytes received are kept"):
        fetch(model(server, data), tmp_path)
    assert left(tmp_path) == PART
    assert fetch(model(server, data), tmp_path).path.read_bytes() == data
    assert ranges(server)[-1] == "bytes=30000-" and left(tmp_path) == WHOLE


def test_a_stalled_server_is_given_up_and_what_came_is_kept(server, data, tmp_path):
    server.ways = [loopback.stalls(30_000)]
    with pytest.raises(
        ModelError, match=r"m.caffemodel: nothing came for 3 seconds; the 30,000 bytes received"
    ):
        fetch(model(server, data), tmp_path, timeout=3)
    assert fetch(model(server, data), tmp_path).path.read_bytes() == data
    assert ranges(server) == [None, "bytes=30000-"]


def test_a_server_that_says_nothing(server, data, tmp_path):
    server.ways = [loopback.silent]
    with pytest.raises(ModelError, match=r"m.caffemodel: nothing came for 0.5 seconds$"):
        fetch(model(server, data), tmp_path, timeout=0.5)
    assert left(tmp_path) == []


def test_a_stop_keeps_what_came(server, data, tmp_path):
    def heard(done, size):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(model(server, data), tmp_path, progress=heard)
    size = (tmp_path / "mine" / "m.caffemodel.part").stat().st_size
    assert size > 0
    assert fetch(model(server, data), tmp_path).path.read_bytes() == data
    assert ranges(server) == ([None, f"bytes={size}-"] if size < len(data) else [None])


@pytest.mark.parametrize("way", [loopback.whole, loopback.other_range, loopback.no_range])
def test_a_server_that_knows_no_ranges_begins_anew(server, data, tmp_path, way):
    server.ways = [cut(30_000), way]
    assert fetch(model(server, data), tmp_path).path.read_bytes() == data


def test_another_version_begins_anew(server, data, tmp_path):
    server.ways = [cut(30_000), cut(0)]
    plain = model(server, data, digests={}, size=None)
    with pytest.raises(ModelError):
        fetch(plain, tmp_path)
    server.etag = '"two"'
    other = data[:-4] + b"\0\0\0\0"
    server.files["/m.caffemodel"] = other
    assert fetch(plain, tmp_path).path.read_bytes() == other
    assert server.asked[-1][1]["If-Range"] == loopback.ETAG


def test_without_digest_and_version_nothing_is_gone_on_from(server, data, tmp_path):
    server.ways = [cut(30_000), cut(0)]
    with pytest.raises(ModelError):
        fetch(model(server, data, digests={}), tmp_path)
    (tmp_path / "mine" / "m.caffemodel.part.json").write_text("{}")
    assert fetch(model(server, data, digests={}), tmp_path).path.read_bytes() == data
    assert ranges(server)[-1] is None


def test_without_a_digest_it_comes_each_time(server, data, tmp_path):
    plain = model(server, data, digests={}, size=None)
    server.ways = [loopback.unannounced]
    found = fetch(plain, tmp_path)
    assert fetching.described(found, plain).endswith(
        f"its SHA-1 is {hashlib.sha1(data).hexdigest()}"
    )
    assert not fetch(plain, tmp_path).already and len(server.asked) == 2


def test_a_redirect_is_followed_range_and_all(server, data, tmp_path):
    elsewhere = f"{server.address}/m.caffemodel"
    server.ways = [loopback.to(elsewhere), cut(30_000), loopback.to(elsewhere, 307)]
    found = fetch(model(server, data, place=f"{server.address}/old"), tmp_path)
    assert found.path.read_bytes() == data
    assert [path for path, _ in server.asked] == ["/old", "/m.caffemodel"] * 2
    assert ranges(server) == [None, None, "bytes=30000-", "bytes=30000-"]


# ---- what goes wrong


@pytest.mark.parametrize(
    ("ways", "changes", "message"),
    [
        ([loopback.status(404)], {}, "the server answers 404: No such luck"),
        ([loopback.status(503)], {}, "the server answers 503"),
        ([loopback.page], {}, "the server sends a web page, not weights; give another address"),
        ([loopback.disguised_page], {}, "found an HTML page; download the file itself"),
        ([loopback.disguised_page], {"digests": {}}, "found an HTML page"),
        ([loopback.announces(17)], {}, r"the server has 17 bytes, and mine 80,\d+"),
        ([loopback.announces(1 << 40)], {}, r"the server has 1,099,511,627,776 bytes, and mine"),
        ([loopback.announces(1 << 40)], {"size": None}, "Caffe reads 2,147,483,647 at most"),
        (
            [loopback.announces(17)],
            {"size": None},
            "SHA-1 is .*, and that of mine .* not what was published",
        ),
        ([loopback.endless], {}, r"the server sends more than 80,\d+ bytes; nothing is kept"),
        ([], {"digests": {"sha1": "0" * 40}}, "its SHA-1 is [0-9a-f]{40}, and that of mine 0{40}"),
        ([], {"digests": {"sha256": "1" * 64}}, "its SHA-256 is .*: it is not what was published"),
        ([], {"digests": {"sha384": "1" * 96}, "size": None}, "its SHA-384 is"),
        ([], {"size": 5}, r"the server has 80,\d+ bytes, and mine 5"),
        ([loopback.no_range], {}, "answers 416 to a request for all of it"),
        ([loopback.to("file:///etc/passwd")], {}, "302: .*'file:///etc/passwd' is not allowed"),
        ([loopback.to("ftp://127.0.0.1/m")], {}, "is not an http or https address"),
        ([loopback.to("/again")] * 20, {}, "the server answers 302"),
    ],
)
def test_what_is_not_the_model_leaves_nothing(server, data, tmp_path, ways, changes, message):
    server.ways = list(ways)
    with pytest.raises(FcnkitError, match=message):
        fetch(model(server, data, **changes), tmp_path)
    assert left(tmp_path) == []


def test_an_endless_stream_is_never_written_beyond_the_size(server, data, tmp_path):
    most = []
    server.ways = [loopback.endless]
    with pytest.raises(ModelError, match="sends more than"):
        fetch(model(server, data), tmp_path, progress=lambda done, size: most.append(done))
    assert max(most) <= len(data)


def test_a_stream_without_a_length_ends_where_it_should(server, data, tmp_path):
    server.ways = [loopback.unannounced]
    assert fetch(model(server, data), tmp_path).path.read_bytes() == data
    server.files["/m.caffemodel"] = data[:-7]
    server.ways = [loopback.unannounced, cut(0)]
    with pytest.raises(
        ModelError, match=r"has 80,017 bytes, and mine 80,024; give another address with --from$"
    ):
        fetch(model(server, data), tmp_path / "other")


def test_a_cut_chunk_is_a_cut(server, data, tmp_path):
    server.ways = [loopback.chunk_cut]
    assert fetch(model(server, data), tmp_path).path.read_bytes() == data
    assert ranges(server) == [None, f"bytes={len(data) // 2}-"]


def test_a_server_that_is_not_there(server, data, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # and nobody listens
        place = f"http://127.0.0.1:{free.getsockname()[1]}/m"
        with pytest.raises(ModelError, match="/m: cannot be reached: .*refused"):
            fetch(model(server, data, place=place), tmp_path)


def test_https_does_not_lead_to_http():
    ask = urllib.request.Request("https://a.example/m")
    for place, fits in (("https://b.example/m", True), ("http://b.example/m", False)):
        follow = web._Redirects()
        if fits:
            assert follow.redirect_request(ask, None, 302, "", {}, place).full_url == place
        else:
            with pytest.raises(
                ModelError, match=r"https://a.example/m: redirects from https to http://b.example"
            ):
                follow.redirect_request(ask, None, 302, "", {}, place)


def test_only_the_web_can_be_opened():
    kinds = {type(handler).__name__ for handler in web._opener().handlers}
    assert "HTTPSHandler" in kinds and not kinds & {"FileHandler", "FTPHandler", "DataHandler"}
    for address in (
        "file:///etc/passwd",
        "ftp://a.example/m",
        "data:text/plain,x",
        "http://",
        "http:///m",
        "http://a b/",
        "http://a.example:x/",
        "http://ü.example/",
        "//a.example/m",
    ):
        with (
            pytest.raises(ModelError, match="is not an http or https address"),
            web.opened(address, 1),
        ):
            pass
    with (
        pytest.raises(ModelError, match="holds a user's name"),
        web.opened("http://me:pass@a.example/", 1),
    ):
        pass


def test_a_full_disk_keeps_what_came(server, data, tmp_path, monkeypatch):
    def write(part, piece, target):
        raise fetching._refusal(target, OSError(errno.ENOSPC, "No space left on device"))

    monkeypatch.setattr(fetching, "_write", write)
    with pytest.raises(OutputError, match=r"m.caffemodel.part: cannot be written: No space left"):
        fetch(model(server, data), tmp_path)


# ---- the cache


def test_a_damaged_file_is_fetched_anew(server, data, tmp_path):
    found, told = fetch(model(server, data), tmp_path), []
    found.path.write_bytes(data[:-1] + b"\0")
    again = fetch(model(server, data), tmp_path, warn=told.append)
    assert again.path.read_bytes() == data and not again.already
    assert "its SHA-1 is" in told[0] and told[0].endswith("it is fetched again")


def test_another_model_of_the_name_is_left_alone(server, data, tmp_path):
    found = fetch(model(server, data), tmp_path)
    other = model(server, data, digests={"sha1": "0" * 40})
    with pytest.raises(OutputError, match="holds a different model of this name; move it away"):
        fetch(other, tmp_path)
    assert found.path.read_bytes() == data


def test_two_processes_do_not_fetch_one_model(server, data, tmp_path):
    one = model(server, data)
    with (
        cache.locked(cache.kept(one, tmp_path)),
        pytest.raises(OutputError, match="another process"),
    ):
        fetch(one, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written: .*name another folder with --cache"):
        fetch(one, tmp_path / "file")


def test_the_folder_can_be_moved(server, data, tmp_path, monkeypatch):
    fetch(model(server, data), tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    monkeypatch.setenv("FCNKIT_MODELS", str(tmp_path / "b"))
    assert cache.path("mine") == tmp_path / "b" / "mine" / "m.caffemodel"
    cache.path("mine").write_bytes(b"short")
    with pytest.raises(
        ModelError, match=r"is damaged: it has 5 bytes, and the model 80,\d+; fetch it with"
    ):
        cache.path("mine")
    for name in ("other", "../b/mine", "", "a/b"):
        with pytest.raises(ModelError, match="is not in .*/b; fetch it with|is not a name"):
            cache.path(name)
    monkeypatch.delenv("FCNKIT_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert str(cache.folder()) == "/x/fcnkit/models"


def test_a_damaged_record_is_said_to_be(server, data, tmp_path):
    fetch(model(server, data), tmp_path)
    for text, said in (
        ("{", "cannot be read as JSON"),
        ('{"models": []}', "is not about a single model"),
    ):
        (tmp_path / "mine" / "model.json").write_text(text)
        with pytest.raises(ModelError, match=f"model.json: {said}"):
            fetch(model(server, data), tmp_path)


# ---- from a file


def test_a_file_is_verified_and_copied(server, data, tmp_path):
    source = tmp_path / "here.caffemodel"
    source.write_bytes(data)
    found = fetch(model(server, data), tmp_path, place=str(source))
    assert found.path.read_bytes() == data and not server.asked
    found = fetch(model(server, data), tmp_path / "b", place=f"{server.address}/m.caffemodel")
    assert found.path.read_bytes() == data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x", r"here: has 1 byte, and mine 80,\d+"),
        (None, "here: is not a file"),
        ("gone", "here: cannot be read: No such file"),
        ("flipped", "here: its SHA-1 is"),
    ],
)
def test_files_that_are_not_the_model(server, data, tmp_path, content, message):
    source = tmp_path / "here"
    if content is None:
        source.mkdir()
    elif content != "gone":
        source.write_bytes(data[:-1] + b"\0" if content == "flipped" else content)
    with pytest.raises(ModelError, match=message):
        fetch(model(server, data), tmp_path / "cache", place=str(source))
    assert left(tmp_path / "cache") == []


def test_a_model_without_an_address(server, data, tmp_path):
    with pytest.raises(
        ModelError, match=r"mine: no program can fetch it; see http://p.example, and .*--from"
    ):
        fetch(model(server, data, place="", page="http://p.example"), tmp_path)
    assert LARGEST == 2**31 - 1
