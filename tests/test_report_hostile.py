"""A page of names that would do something: all of them are text, and nothing runs."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sketches import conv, data, fc, net, relu
from test_verify import random_weights

import fcnkit as fk
from fcnkit.formats import prototxt
from fcnkit.reporting.words import brief, seen

NAMES = {
    "a script": "<script>window.hit=1</script>",
    "the end of the script": "</script><script>window.hit=1</script>",
    "an image": "\"'><img src=x onerror=window.hit=1>",
    "an SVG": "</title></svg><svg onload=window.hit=1>",
    "a style": "</style><style>body{display:none}</style>",
    "a comment": "<!--",
    "CDATA": "]]><b>",
    "a template": "{{ 7 * 7 }}{% raw %}",
    "an entity": "&lt;b&gt;&#39;",
    "a link": "javascript:window.hit=1",
    "an escape code": "\x1b[31mred\x07",
    "an override": "safe\u202egnp.exe",
    "no width": "a\u200bb\ufeff",
    "Hebrew": "שכבה ראשונה",
    "Arabic": "طبقة(1)",
    "many letters": "x" * 20_000,
    "one letter after the other": "\u0301" * 300,
    "lines": "one\ntwo\r\n",
    "no UTF-8": "\udcff\udc80",
}


def quoted(name: str) -> str:
    """The name as a prototxt has it between its quotes."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return escaped.replace("\n", "\\n").replace("\r", "\\r")


def hostile(name: str):
    """A net all of whose names are this one, with another letter at the end."""
    here = quoted(name)
    layers = (
        data(1, 3, 12, 12, name=f"{here}0"),
        conv(f"{here}1", f"{here}0", 4, 3),
        relu(f"{here}1"),
        fc(f"{here}2", f"{here}1", 3),
    )
    return prototxt.parse(net(*layers).text, f"{name[:60]}.prototxt")


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("images") / "<img src=x onerror=window.hit=1>.png"
    Image.fromarray(np.arange(432, dtype=np.uint8).reshape(12, 12, 3)).save(path)
    return path


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_hostile_net_runs_nothing(browser, tmp_path, image, name):
    made = hostile(name)
    labels = tmp_path / "labels.txt"
    labels.write_text(
        "".join(f"{seen(name)[:200]}{end}\n".replace("\n", "") + "\n" for end in "abc")
    )
    page = tmp_path / "page.html"
    found = fk.report(made, random_weights(made), images=[image], labels=labels)
    assert seen(found.html) == found.html  # nothing that reorders, hides or controls
    found.save(page)
    shown = browser.open(page, 360)
    assert shown.problems == [] and shown.requests == []
    assert shown.js("window.hit") is None and shown.overflow <= 0
    assert shown.js("document.body.checkVisibility()")
    assert shown.count("script") == 1 and shown.count("style") == 1
    assert shown.js("[...document.images].every(i => i.src.startsWith('data:image/'))")
    assert shown.js("[...document.links].every(a => a.getAttribute('href').startsWith('#'))")
    assert shown.texts("#net tbody th") == [brief(seen(f"{name}{end}"), 60) for end in "01"] + [
        brief(seen(f"relu_{name}1"), 60),
        brief(seen(f"{name}2"), 60),
    ]


def test_a_notebook_s_frame_holds_the_page_whole(browser, tmp_path):
    found = fk.report(hostile(NAMES["an image"]))
    page = tmp_path / "notebook.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><title>n</title>{found._repr_html_()}")
    shown = browser.open(page)
    assert shown.js("document.querySelector('iframe').srcdoc") == found.html
    assert shown.js("window.hit") is None and shown.count("iframe") == 1


def test_a_hostile_folder_runs_nothing(browser, tmp_path):
    folder = tmp_path / "fcn"
    folder.mkdir()
    made = hostile("a")
    made.save(folder / "deploy.prototxt")
    all_of_them = " ".join(seen(name)[:300] for name in NAMES.values())
    step = {"verb": "<b>", "layer": all_of_them, "line": 1, "what": all_of_them, "why": all_of_them}
    offset = {"layer": "<i>", "cropped": all_of_them, "reference": "&", "offset": [10**30]}
    (folder / "plan.json").write_text(
        json.dumps(
            {
                "command": ["fcnkit", all_of_them],
                "before": {"path": all_of_them, "text": made.text.replace("4", "5")},
                "after": "<u>",
                "steps": [step],
                "offsets": [offset],
            }
        )
    )
    row = {"output": all_of_them, "shape": ["<b>"], "absolute": 10**400, "relative": "<b>"}
    engine = {"engine": all_of_them, "version": "<b>", "outputs": [row, "<b>"]}
    proof = {"proven": "<b>", "given": all_of_them, "files": {all_of_them: 1}, "engines": [engine]}
    (folder / "proof.json").write_text(json.dumps(proof))
    page = tmp_path / "page.html"
    found = fk.report(folder)
    assert seen(found.html) == found.html
    found.save(page)
    shown = browser.open(page, 360)
    assert shown.problems == [] and shown.requests == [] and shown.overflow <= 0
    assert shown.js("window.hit") is None and shown.count("main b, main i, main u") == 0
    assert "of other files" in shown.texts("#proof .odd")[0]
    assert shown.count("#plan .sides tbody tr") == 1


def test_what_got_in_would_be_kept_from_running(browser, tmp_path):
    """The policy of the page, should a name ever get through; and this file would tell."""
    text = fk.report(hostile("a")).html
    inside = (
        "<script>window.hit=1</script><img src=x onerror=window.hit=2>"
        "<img src='http://127.0.0.1:9/x.png'><iframe src='http://127.0.0.1:9/'></iframe>"
        "<link rel=stylesheet href='http://127.0.0.1:9/x.css'>"
        "<a href='javascript:window.hit=3'>x</a>"
    )
    page = tmp_path / "page.html"
    page.write_text(text.replace("</main>", f"{inside}</main>"))
    shown = browser.open(page)
    shown.click("a[href^=javascript]")
    assert shown.js("window.hit") is None
    assert len(shown.problems) >= 5 and all("Security" in each for each in shown.problems)


@pytest.mark.parametrize(
    "text, shown",
    [
        ("plain_1/x-2", "plain_1/x-2"),
        ("a\x1b[0m", "a\\x1b[0m"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u061cb\u200c", "a\\u061cb\\u200c"),
        ("\udcff", "\\udcff"),
        ("שלום", "שלום"),
    ],
)
def test_what_would_not_be_seen_is_written_out(text, shown):
    assert seen(text) == shown


@pytest.mark.parametrize("length", [4, 5, 96, 97, 1000])
def test_a_long_name_keeps_its_ends(length):
    text = "".join(chr(0x4E00 + number) for number in range(length))
    short = brief(text, 96)
    assert len(short) <= 96 and short[:40] == text[:40] and short[-40:] == text[-40:]
    assert (short == text) == (length <= 96)
