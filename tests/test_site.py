"""The documentation as a site: it builds without a warning, asks no other server for anything,
and is read from a disk.
"""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BUILDERS = ("sphinx", "myst_parser", "furo")
# What a browser loads by itself, and not what a reader may click at.
LOADED = re.compile(r'<(?:script|img|iframe|source)[^>]*\bsrc="([^"]+)"|<link[^>]*\bhref="([^"]+)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as `make docs` builds it."""
    missing = [name for name in BUILDERS if find_spec(name) is None]
    if missing:
        lacking = ", ".join(missing)
        pytest.skip(f"the site needs {lacking}: pip install 'fcnkit[docs]'")
    folder = tmp_path_factory.mktemp("docs")
    command = [
        *(sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going"),
        *("--nitpicky", "--quiet", "--doctree-dir", folder / "read", DOCS, folder / "html"),
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "html"


def test_the_site_builds_and_every_page_is_in_it(site):
    pages = {
        file.relative_to(DOCS).with_suffix(".html").as_posix()
        for file in DOCS.rglob("*.md")
        if "_ext" not in file.parts
    }
    assert "index.html" in pages
    assert [page for page in sorted(pages) if not (site / page).is_file()] == []


def test_no_page_loads_anything_from_elsewhere(site):
    loaded = {
        (page.name, address)
        for page in site.rglob("*.html")
        for match in LOADED.finditer(page.read_text())
        for address in match.groups()
        if address
    }
    assert loaded
    assert [each for each in loaded if re.match(r"(?:\w+:)?//", each[1])] == []


def test_the_search_needs_no_server(site):
    """Its index is a script: a page that is opened from a disk may load no file in another way."""
    page = (site / "search.html").read_text()
    assert re.search(r'<script src="searchindex\.js"', page)
    assert (site / "searchindex.js").read_text().startswith("Search.setIndex(")
