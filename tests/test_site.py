"""The documentation as a site: it builds without a warning, asks no other server for anything,
and is read from a disk.
"""

import html
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

import fcnkit
from fcnkit.cli.main import main
from fcnkit.rewrites.operations import every

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


def test_every_link_within_the_site_leads_to_a_place(site):
    texts = {page: page.read_text() for page in site.rglob("*.html")}
    places = {page: set(re.findall(r'\bid="([^"]+)"', text)) for page, text in texts.items()}
    broken = []
    for page, text in texts.items():
        for link in map(html.unescape, re.findall(r'<a [^>]*\bhref="([^"]+)"', text)):
            address, _, anchor = link.partition("#")
            target = (page.parent / unquote(address)).resolve() if address else page
            there = unquote(anchor) in places.get(target, ()) if anchor else target.is_file()
            if not there and not re.match(r"\w+:", link):
                broken.append((page.name, link))
    assert sum(map(len, places.values())) > 1000 and broken == []


def test_the_search_needs_no_server(site):
    """Its index is a script: a page that is opened from a disk may load no file in another way."""
    page = (site / "search.html").read_text()
    assert re.search(r'<script src="searchindex\.js"', page)
    assert (site / "searchindex.js").read_text().startswith("Search.setIndex(")


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    """This command and all below it, each under its whole name."""
    yield " ".join(path), command
    for name, each in getattr(command, "commands", {}).items():
        yield from commands(each, (*path, name))


def words(page: str) -> str:
    """What a page says, without its markup, with single spaces."""
    text = html.unescape(re.sub(r"<[^>]+>", "", page[page.index("<h1>") :]))
    return " ".join(text.split())


def said(command: click.Command, name: str) -> Iterator[str]:
    """All that the help says in a terminal that cuts nothing short: paragraphs, options, words."""
    ctx = click.Context(
        command,
        info_name=name,
        max_content_width=10_000,
        terminal_width=10_000,
        help_option_names=["-h", "--help"],
    )
    for line in command.get_help(ctx).replace("`", "").splitlines():
        for part in re.split(r" {2,}", line.strip().removeprefix("Usage: ")):
            if part.startswith("-"):  # a page repeats the value after each name of an option
                yield from re.findall(r"(?:^|(?<=, ))-[\w-]+", part)
            elif part.startswith("[") and part.endswith("]"):
                yield from (fact.removeprefix("default: ") for fact in part[1:-1].split("; "))
            else:
                yield part.removesuffix(":")


def test_every_command_is_on_its_page_with_all_that_its_help_says(site):
    missing = []
    for name, command in commands(main, ("fcnkit",)):
        first = (name.split() + ["index"])[1]
        page = words((site / "commands" / f"{first}.html").read_text())
        missing += [(name, part) for part in said(command, name) if part not in page]
    assert missing == []


def test_every_public_name_is_documented_once(site):
    pages = [page.read_text() for page in (site / "python").glob("*.html")]
    found = Counter(re.findall(r'<dt class="[^"]*" id="fcnkit\.(\w+)">', "".join(pages)))
    assert found == Counter(fcnkit.__all__)


def test_every_operation_is_on_its_page():
    page = (DOCS / "operations.md").read_text().replace("\\|", "|")
    rows = re.findall(r"^\| `([^`]+)` \| \{py:func\}`~fcnkit\.(\w+)` \|", page, re.M)
    functions = {name: getattr(fcnkit, name).__module__ for _, name in rows}
    assert [form for form, _ in rows if form not in {each.form for each in every()}] == []
    for operation in every():
        names = [name for form, name in rows if form == operation.form]
        assert [functions[name] for name in names] == [operation.rewrite.__module__], operation.name


# ---- in a browser, from the disk

# Wide tables, long lines, signatures, pictures: what could be wider than a telephone.
WIDE = ("index", "accuracy", "targets", "json", "python/rewrite", "commands/fcn", "formats/lmdb")


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("width, dark", [(360, True), (1400, False)])
def test_a_page_fits_the_window_and_asks_no_server(browser, site, name, width, dark):
    page = browser.open(site / f"{name}.html", width, dark=dark)
    assert page.overflow == 0
    assert [each for each in page.requests if not each.startswith("file:")] == []
    ground = page.js("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == dark


@pytest.mark.parametrize("dark", [False, True])
def test_pictures_lie_on_a_light_card_in_the_dark(browser, site, dark):
    page = browser.open(site / "why.html", dark=dark)
    grounds = page.js(
        "[...document.querySelectorAll('article img')]"
        ".map(e => getComputedStyle(e).backgroundColor + ' ' + getComputedStyle(e).paddingLeft)"
    )
    assert set(grounds) == {"rgb(255, 255, 255) 8px" if dark else "rgba(0, 0, 0, 0) 0px"}


def test_what_is_wider_than_a_phone_scrolls_in_its_own_box(browser, site):
    page = browser.open(site / "why.html", 360)
    boxes = (
        "[...document.querySelectorAll('.table-wrapper, section > p:has(> img[src$=\".svg\"])')]"
    )
    wide = page.js(
        f"{boxes}.filter(e => e.scrollWidth > e.clientWidth)"
        ".map(e => getComputedStyle(e).overflowX)"
    )
    assert len(wide) >= 3 and set(wide) == {"auto"} and page.overflow == 0


def test_a_word_is_found_without_a_server(browser, site):
    page = browser.open(site / "search.html")
    page.js("setTimeout(() => { location.search = '?q=decimate' })")
    links = "[...document.querySelectorAll('#search-results a')].map(a => a.getAttribute('href'))"
    found, until = [], time.monotonic() + 30
    while not found and time.monotonic() < until:
        time.sleep(0.2)
        with suppress(RuntimeError):  # the page is on its way
            found = page.js(links)
    assert any("operations.html" in link for link in found)
