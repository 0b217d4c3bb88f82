"""The look at notebooks sees what is wrong with them: without Jupyter, on pages of its kind."""

import base64
import importlib.util
from pathlib import Path

import pytest

from fcnkit import notebook

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("nbclient", "nbformat")),
    reason="not installed: nbclient, nbformat",
)
DARK, LIGHT = "background:#111;color:#eee", "background:#fff;color:#111"
SQUARE = base64.b64encode(
    b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
).decode()


@pytest.fixture
def faults(browser, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import notebooks_seen as seen

    def look(output: str, style: str = LIGHT) -> list[str]:
        path = tmp_path / "page.html"
        page = f"<body style='{style}'><div class='jp-OutputArea-output'>{output}</div></body>"
        path.write_text(f"<!doctype html><meta charset='utf-8'>{page}", encoding="utf-8")
        return browser.open(path).js(seen.LOOK % seen.LEAST_CONTRAST)

    return look


@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
def test_displays_can_be_read_in_both_themes(faults, style):
    words = [notebook.badge(tone, tone) for tone in ("bad", "warn", "note", "good")]
    shown = notebook.table([words], caption="a", head=tuple("abcd"), note="b")
    shown += notebook.diff("--- a\n+++ b\n@@ -1 +1 @@\n-a: 1\n+a: 2\n c\n")
    shown += notebook.prototxt('# comment\nname: "net" layer { dim: 12 kind: MAX }', "net.prototxt")
    assert faults(shown, style) == []


@pytest.mark.parametrize(
    "output, fault",
    [
        ("<span style='color:#ccc'>pale</span>", '1.6 between ground and "pale"'),
        ("<p style='background:#fff'>lost</p>", '1.2 between ground and "lost"'),
        ("<span style='background:rgba(0,0,0,0.5)'>dim</span>", ""),
        ("<img alt='gone' src='data:image/png;base64,AA'>", "a picture is missing: gone"),
        ("<div style='width:9000px'>wide</div>", "an output is 9000 wide, for "),
        (f"<img src='data:image/svg+xml;base64,{SQUARE}'>", ""),
        ("<details><summary>more</summary><i style='color:#eee'>in it</i></details>", '"in it"'),
    ],
)
def test_what_is_wrong_is_seen(faults, output, fault):
    found = faults(output, DARK if "lost" in output else LIGHT)
    assert (fault in "".join(found)) if fault else found == []
