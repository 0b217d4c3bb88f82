"""Indexes of models: fcnkit's own, those of users, and hostile ones."""

import json

import loopback
import pytest

from fcnkit import templates
from fcnkit.errors import ModelError
from fcnkit.formats import prototxt
from fcnkit.inspection import inspect
from fcnkit.models.address import check_address
from fcnkit.models.index import DIGESTS, LARGEST, check_name, known, one, parse, read


def entry(**changes):
    return {"name": "mine", "file": "mine.caffemodel"} | changes


def parsed(*entries):
    return parse(json.dumps({"models": entries}), "i", lambda file: f"/here/{file}")


# ---- fcnkit's own


def test_each_template_with_published_weights_has_them():
    found = {model.template for model in known()} - {""}
    assert found == set(templates.NAMES) - {"lenet", "digits"}
    assert {model.name for model in known() if model.template} == found


def test_what_is_known_is_what_caffes_model_zoo_says():
    # models/*/readme.md of BVLC/caffe
    zoo = {
        "alexnet": ("bvlc_alexnet", "9116a64c0fbe4459d18f4bb6b56d647b63920377", "unrestricted"),
        "caffenet": (
            "bvlc_reference_caffenet",
            "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
            "unrestricted",
        ),
        "googlenet": ("bvlc_googlenet", "405fc5acd08a3bb12de8ee5e23a96bec22f08204", "unrestricted"),
        "rcnn-ilsvrc13": (
            "bvlc_reference_rcnn_ilsvrc13",
            "bdd8abb885819cba5e2fe1eb36235f2319477e64",
            "unrestricted",
        ),
        "flickr-style": (
            "finetune_flickr_style",
            "443ad95a61fb0b5cd3cee55951bcc1f299186b5e",
            "non-commercial",
        ),
    }
    for name, (file, sha1, licence) in zoo.items():
        model = one(known(), name)
        assert (model.file, model.digests["sha1"], model.licence) == (
            f"{file}.caffemodel",
            sha1,
            licence,
        )
        assert model.place == f"http://dl.caffe.berkeleyvision.org/{file}.caffemodel"


def test_sizes_are_those_of_the_templates_parameters():
    # A caffemodel is its parameters, of 4 bytes each, and some words.  GoogLeNet's has its two
    # other heads.
    others = {"googlenet": 13_378_280}
    for model in known():
        if model.template and model.size:
            net = prototxt.read(templates.path(model.template))
            count = others.get(model.name) or inspect(net).params
            assert count * 4 < model.size < count * 4 + 100_000, model.name


def test_facts_say_where_they_are_from():
    for model in known():
        assert model.sources and model.licence and model.about and model.page
        assert model.place or model.page
        said = " ".join(model.sources)
        assert all(f"SHA-{name[3:]}" in said for name in model.digests)
        assert ("size" in said) == bool(model.size or model.roughly)


# ---- a user's


def test_an_index_in_a_folder(tmp_path):
    digests = {name: "0" * count for name, count in DIGESTS.items()}
    full = entry(
        size=5, licence="mine", about="a", template="vgg16", use=["x"], sources=["y"], **digests
    )
    away = entry(name="b", address="https://example.org/b")
    (tmp_path / "models.json").write_text(json.dumps({"models": [full, away]}))
    found = read(str(tmp_path), 1)
    assert found[0].place == str(tmp_path / "mine.caffemodel") and found[0].digests == digests
    assert found[1].place == "https://example.org/b" and found[1].size is None
    assert read(str(tmp_path / "models.json"), 1) == found
    assert found[0].json() == full | {"address": found[0].place}


def test_an_index_on_the_web(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with loopback.serving() as server:
        text = json.dumps({"models": [entry(file="a+b.caffemodel")]})
        server.files = {"/deep/models.json": text.encode(), "/own.json": text.encode()}
        for place, beside in (("/deep", "/deep/"), ("/deep/", "/deep/"), ("/own.json", "/")):
            (model,) = read(server.address + place, 5)
            assert model.place == f"{server.address}{beside}a%2Bb.caffemodel"
        for place, said in (
            ("/none", "/none/models.json: the server answers 404"),
            ("/deep/x.json", "404"),
        ):
            with pytest.raises(ModelError, match=said):
                read(server.address + place, 5)
        server.ways = [loopback.cut(3)]
        with pytest.raises(ModelError, match="the connection was cut"):
            read(f"{server.address}/deep", 5)
        server.ways = [loopback.endless]
        with pytest.raises(ModelError, match=r"is longer than 1,048,576 bytes"):
            read(f"{server.address}/deep", 5)
        server.ways = [loopback.silent]
        with pytest.raises(ModelError, match=r"nothing came for 0.2 seconds"):
            read(f"{server.address}/deep", 0.2)
        server.files["/deep/models.json"] = json.dumps(
            {"models": [entry(address="file:///x")]}
        ).encode()
        with pytest.raises(
            ModelError, match=r'address: "file:///x" is not an http or https address'
        ):
            read(f"{server.address}/deep", 5)


# ---- hostile ones


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "i: cannot be read as JSON"),
        ("[" * 100_000, "i: cannot be read as JSON"),
        ("[]", r'i: is not an index; it is to be {"models": \[...\]}'),
        ('{"models": {}}', "is not an index"),
        ('{"models": [3]}', "i: model 1: is not an object"),
        ('{"models": [{}]}', "i: model 1: has no name"),
        (
            '{"models": [{"name": "a", "file": "f", "size": 1e3}]}',
            "size 1000.0 is not a number of bytes",
        ),
        (
            '{"models": [{"name": "a", "file": "f", "size": NaN}]}',
            "size nan is not a number of bytes",
        ),
        (
            '{"models": [{"name": "a", "file": "f", "size": ' + "9" * 6000 + "}]}",
            "cannot be read as JSON|is not a number",
        ),
        ("<!DOCTYPE html>", "i: cannot be read as JSON"),
    ],
)
def test_what_is_no_index(text, message):
    with pytest.raises(ModelError, match=message):
        parse(text, "i", str)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a/b"}, r'model 1: "a/b" is not a name: letters, digits'),
        ({"name": "../../etc"}, "is not a name"),
        ({"name": ".hidden"}, "is not a name"),
        ({"name": "a\nb"}, "name is not plain text"),
        ({"name": "é"}, "is not a name"),
        ({"name": "a" * 81}, "is not a name"),
        ({"name": ["a"]}, "name is not plain text"),
        ({"file": "/etc/passwd"}, r'model 1 \(mine\): file: "/etc/passwd" is not a name'),
        ({"file": ".."}, "is not a name"),
        ({"file": "a\\b"}, "is not a name"),
        ({"file": "models.json"}, "file models.json is an index; name the weights"),
        ({"file": "model.json"}, "file model.json is an index"),
        ({"file": ""}, "has no file"),
        (
            {"size": 0},
            "size 0 is not a number of bytes from 1 to 2,147,483,647, the most that Caffe reads",
        ),
        ({"size": -1}, "size -1 is not a number"),
        ({"size": LARGEST + 1}, "size 2147483648 is not a number"),
        ({"size": 10**400}, "size 1000"),
        ({"size": True}, "size True is not a number"),
        ({"size": "5"}, "size 5 is not a number"),
        ({"sha1": "abc"}, "sha1 is not 40 hexadecimal digits; correct it or leave it out"),
        ({"sha256": "0" * 40}, "sha256 is not 64"),
        ({"sha1": 5}, "sha1 is not plain text"),
        ({"sha-1": "0" * 40}, 'says "sha-1"; there are name, file, address'),
        (
            {"address": "file:///etc/passwd"},
            'address: "file:///etc/passwd" is not an http or https address',
        ),
        ({"address": "ftp://example.org/x"}, "is not an http or https address"),
        ({"address": "javascript:x"}, "is not an http or https address"),
        ({"address": "https://example.org/a b"}, "is not an http or https address"),
        ({"address": "https://me:secret@example.org/x"}, "the address holds a user's name"),
        ({"address": "https://[::1/x"}, "is not an http or https address"),
        ({"licence": "\x1b[2J"}, "licence is not plain text"),
        ({"about": "x" * 2001}, "about is not plain text of at most 2000"),
        ({"use": "rm"}, "use is not a list"),
        ({"use": [1]}, "use is not plain text"),
    ],
)
def test_hostile_entries(changes, message):
    with pytest.raises(ModelError, match=message):
        parsed(entry(**changes))


def test_names_are_there_once():
    with pytest.raises(ModelError, match='i: "mine" appears twice'):
        parsed(entry(), entry())
    with pytest.raises(ModelError, match="nine: no such model; there are mine"):
        one(parsed(entry()), "nine")


def test_no_index_at_all(tmp_path):
    with pytest.raises(ModelError, match="models.json: cannot be read: No such file"):
        read(str(tmp_path), 1)
    (tmp_path / "models.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match="is not UTF-8 text"):
        read(str(tmp_path), 1)
    (tmp_path / "models.json").write_bytes(b" " * (1 << 20) + b"  ")
    with pytest.raises(ModelError, match="is longer than 1,048,576 bytes"):
        read(str(tmp_path), 1)
    for place in ("file:///etc", "ftp://example.org", "https://"):
        with pytest.raises(ModelError, match="is not an http or https address"):
            read(place, 1)


def test_names_and_addresses_that_are_fine():
    for name in ("a", "VGG_ILSVRC_16_layers.caffemodel", "voc-fcn8s", "squeezenet1.0", "a+b"):
        check_name(name, "")
    for address in (
        "http://a",
        "https://a.example:8443/x?y=1&z#f",
        "http://127.0.0.1:80/~v/x",
        "http://[::1]/",
    ):
        check_address(address, "")
