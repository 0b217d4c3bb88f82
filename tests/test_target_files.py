"""Targets that users describe: taken from files, and refused at the line of what is wrong."""

import re

import pytest
from click.testing import CliRunner
from target_nets import DATA

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.errors import TargetError
from fcnkit.targets.index import target

OWN = """\
name = "mine"
title = "My chip"
versions = "1"
date = 2026-11-30

[[sources]]
key = "manual"
title = "Manual"
url = "https://example.com/manual"
version = "1"
date = 2026-10-01

[[taken]]
source = "manual"
types = ["Convolution", "Pooling"]
others = ["Magic"]

[untaken]
verdict = "refused"
because = "it is not in the list"
source = "manual"

[[rules]]
types = ["Convolution"]
quantity = "kernel"
max = 11
verdict = "refused"
because = "windows are small"
source = "manual"

[[rules]]
types = ["Pooling"]
field = "pool"
allowed = ["MAX"]
verdict = "misread"
because = "it takes the greatest"
source = "manual"
mend = ["floor"]
"""
CONV = (
    'layer { name: "big" type: "Convolution" bottom: "data" top: "big"\n'
    "  convolution_param { num_output: 1 kernel_size: 13 } }\n"
)


def run(*words):
    return CliRunner().invoke(main, ["lint", *map(str, words)])


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(OWN)
    return path


def test_a_file_of_ones_own_is_a_target(own, tmp_path):
    net = tmp_path / "net.prototxt"
    net.write_text(DATA + CONV)
    (hit,) = (hit for hit in fk.lint(net, target=own) if hit.about)
    assert (hit.about.target, hit.about.value, hit.line) == ("mine", "13, 13", 2)
    done = run(net, "--target", own)
    assert done.exit_code == 1 and "mine does not support kernel 13, 13" in done.output
    own.write_text(OWN.replace("max = 11", "max = 13"))  # read anew each time
    assert run(net, "--target", own).exit_code == 0


def damaged(old, new, line, *says):
    return pytest.param(old, new, line, says, id=says[0][:40])


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        damaged('name = "mine"', 'name = "mine', 1, "not valid TOML"),
        damaged('name = "mine"', "name = 3", 1, "name is 3", "give a text"),
        damaged('name = "mine"', 'name = "My Chip"', 1, "small letters"),
        damaged('title = "My chip"', "", 1, "title is missing"),
        damaged('versions = "1"', 'version = "1"', 3, 'no key "version"', 'mean "versions"'),
        damaged("date = 2026-11-30", 'date = "today"', 4, "give a day"),
        damaged('url = "https://example.com/manual"', 'url = "a friend"', 9, "of a web page"),
        damaged("date = 2026-10-01", "", 6, "[[sources]] 1: date is missing"),
        damaged('"Pooling"]', '"Poling"]', 15, 'no layer type "Poling"', 'did you mean "Pooling"'),
        damaged('others = ["Magic"]', 'others = "Magic"', 16, "give a list of texts"),
        damaged('others = ["Magic"]', 'others = ["Pooling"]', 15, "is named twice"),
        damaged('verdict = "refused"\nbecause = "it is not', 'verdict = "no"\nbecause = "it is not',
                19, 'verdict is "no"', "refused"),
        damaged('because = "windows are small"\nsource = "manual"\n', 'because = "x"\n', 23,
                "[[rules]] 1 has no source"),
        damaged('because = "windows are small"\nsource = "manual"\n',
                'because = "x"\nsource = "book"\n', 29, 'source is "book"', "manual"),
        damaged('because = "windows are small"\n', "", 23, "because is missing"),
        damaged('quantity = "kernel"', 'quantity = "kernels"', 25, 'did you mean "kernel"'),
        damaged("max = 11", 'max = "11"', 26, "give a number"),
        damaged("max = 11", "", 25, "quantity kernel has no condition"),
        damaged("max = 11", "maximum = 11", 26, 'no key "maximum"'),
        damaged('quantity = "kernel"', 'quantity = "kernel"\nfield = "pad"', 26, "is about"),
        damaged('field = "pool"', 'field = "pol"', 33, 'has no field "pol"', 'mean "pool"'),
        damaged('allowed = ["MAX"]', 'allowed = "MAX"', 34, "give a list of values"),
        damaged('mend = ["floor"]', 'mend = ["flor"]', 38, 'no --do "flor"', 'mean "floor"'),
        damaged('mend = ["floor"]', "when = 3", 38, "when is 3"),
        damaged('mend = ["floor"]', 'when = { quantity = "stride" }', 38, "has no condition"),
        damaged('types = ["Pooling"]\n', "", 31, "types names nothing"),
        damaged("max = 11", "max = nan", 26, "max is nan", "give a number"),
        damaged('"kernel"\nmax = 11', '"grouping"\nmax = 1', 26, "grouping is a text", "no max"),
        damaged('"kernel"\nmax = 11', '"grouping"\nallowed = ["no"]', 26, 'never "no"', "none"),
        damaged('types = ["Convolution"]\nquantity = "kernel"\nmax = 11',
                'net = "format"\nallowed = ["V1"]\nwhen = { quantity = "group", max = 1 }', 26,
                "when is about a layer"),
        damaged('"kernel"\nmax = 11', '"kernel"\nallowed = ["3"]', 26, '"3" is not'),
        damaged('quantity = "kernel"\nmax = 11', 'field = "bias_term"\nallowed = ["true"]', 26,
                "bias_term is true or false", '"true" is not'),
        damaged('quantity = "kernel"\nmax = 11', 'field = "stride"\nsequences = [[1, true]]', 26,
                "stride is a number", "true is not"),
        damaged('quantity = "kernel"\nmax = 11', 'field = "weight_filler"\nalike = true', 26,
                "is a message", "ask least, most or given"),
        damaged('types = ["Convolution"]\nquantity = "kernel"\nmax = 11', 'net = "format"\nmax = 1',
                25, "format is a text", "no max"),
        damaged('allowed = ["MAX"]', "min = 1", 34, "pool is a text", "no min"),
        damaged('allowed = ["MAX"]', 'allowed = ["max"]', 34, 'never "max"', "MAX, AVE"),
        damaged('types = ["Pooling"]\nfield', 'types = ["*"]\nfield', 33, "name the types"),
        damaged("[untaken]", "[other]", 18, 'no key "other"'),
        damaged("[[taken]]", "[taken]", 13, "taken is", "give tables"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_at_its_line(own, old, new, line, says):
    assert old in OWN
    own.write_text(OWN.replace(old, new, 1))
    with pytest.raises(TargetError) as caught:
        target(own)
    message = str(caught.value)
    assert re.match(rf"{re.escape(str(own))}:{line}:", message)
    assert all(word in message for word in says), message


def test_what_is_no_file_or_no_text_is_refused(own, tmp_path):
    for path in (tmp_path / "none.toml", tmp_path / "a\0b.toml"):
        with pytest.raises(TargetError, match="cannot be read"):
            target(path)
    own.write_bytes(b'name = "x"\ntitle = "\xff"\n')
    with pytest.raises(TargetError, match=r"mine\.toml:2: a byte that is not UTF-8"):
        target(own)
    own.write_text("x = " + "[" * 100_000)
    with pytest.raises(TargetError):
        target(own)
    own.write_text("#" * (1 << 21))
    with pytest.raises(TargetError, match="more than"):
        target(own)
