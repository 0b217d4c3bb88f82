"""The page: one file that asks for nothing, on every screen, whatever a net is called."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from sketches import conv, data, fc, layer, net, pool
from test_verify import random_weights

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.errors import NetError, OutputError

SMALL = net(data(1, 3, 32, 32), conv("c", "data", 4, 3), pool("p", "c", 2, 2), fc("f", "p", 5))
WIDTHS = (360, 800, 1400)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "net.html"
    fk.report(fk.template("vgg16")).save(path)
    return path


# ---- in a browser


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_asks_for_nothing_and_fits_the_window(browser, saved, width, dark):
    page = browser.open(saved, width, dark=dark)
    assert page.problems == [] and page.requests == []
    assert page.overflow == 0
    ground = page.js("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == dark


def test_the_contents_lead_to_each_section(browser, saved):
    page = browser.open(saved)
    titles = page.texts("main > section > h2")
    assert page.texts(".contents a") == titles and len(titles) >= 1
    assert page.js("[...document.querySelectorAll('.contents a')].every(a => "
                   "document.getElementById(a.hash.slice(1)).matches('section'))")  # fmt: skip


def test_the_first_key_leads_past_the_contents(browser, saved):
    page = browser.open(saved)
    page.press("Tab")
    assert page.js("document.activeElement.textContent") == "Skip to the content"
    page.press("Enter")
    assert page.js("location.hash") == "#content"


def test_the_section_that_is_read_is_marked(browser, saved):
    page = browser.open(saved, 360)
    page.js("document.querySelector('#proof').scrollIntoView({behavior: 'instant'})")
    page.js("new Promise(done => setTimeout(done, 200))")
    assert page.texts(".contents a[aria-current]") == ["Proof"]
    left, right = page.js("(() => { const b = document.querySelector('[aria-current]')"
                          ".getBoundingClientRect(); return [b.left, b.right]; })()")  # fmt: skip
    assert left >= 0 and right <= 360


def test_all_is_done_by_keyboard(browser, saved):
    page = browser.open(saved)
    page.js("document.querySelector('.sees input').focus()")
    before = page.texts(".sees tr:has(input:checked) th")
    page.press("ArrowDown")
    assert page.texts(".sees tr:has(input:checked) th") != before
    assert page.count(".sight.chosen") == 1
    page.js("document.querySelector('#fields details summary').focus()")
    page.press("Enter")
    assert page.js("document.querySelector('#fields details').open")
    # What scrolls takes the focus, and says what it is.
    assert page.js("[...document.querySelectorAll('.scroll, .viewer')].every(e => "
                   "e.tabIndex === 0 && e.getAttribute('aria-label'))")  # fmt: skip


def test_every_picture_says_what_it_shows(browser, saved):
    page = browser.open(saved)
    assert page.js("[...document.querySelectorAll('img')].every(i => i.alt.trim())")
    assert page.js("[...document.querySelectorAll('svg[role=img]')]"
                   ".every(i => i.getAttribute('aria-label'))")  # fmt: skip


def test_the_table_is_that_of_inspect(browser, saved):
    page = browser.open(saved)
    found = fk.inspect(fk.template("vgg16"))
    assert page.texts("#net tbody th") == [row.name for row in found.rows]
    assert f"{found.params:,}" in page.texts("#net .facts dd")


def test_a_page_is_printed(browser, saved, tmp_path):
    page = browser.open(saved)
    page.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


# ---- the command, and Python


def test_a_page_is_not_overwritten(tmp_path):
    path = tmp_path / "net.html"
    made = fk.report(SMALL)
    made.save(path)
    with pytest.raises(OutputError, match="exists"):
        made.save(path)
    made.save(path, force=True)


def test_a_notebook_shows_the_page_in_a_frame(tmp_path):
    shown = fk.report(SMALL)._repr_html_()
    assert shown.startswith("<iframe ") and 'sandbox="allow-scripts"' in shown
    assert "&lt;!doctype html&gt;" in shown and "<script" not in shown


def test_the_command_writes_the_page(tmp_path):
    path = tmp_path / "net.html"
    done = CliRunner().invoke(main, ["report", "template:lenet", "-o", str(path)])
    assert done.exit_code == 0, done.output
    assert f"wrote {path}" in done.output and "<!doctype html>" in path.read_text()
    again = CliRunner().invoke(main, ["report", "template:lenet", "-o", str(path)])
    assert again.exit_code == 2 and "--force" in again.output


@pytest.mark.parametrize("name", ["net.svg", "net.prototxt"])
def test_a_page_has_a_page_s_name(tmp_path, name):
    done = CliRunner().invoke(main, ["report", "template:lenet", "-o", str(tmp_path / name)])
    assert done.exit_code == 2 and ".html" in done.output
    assert not (tmp_path / name).exists()


TRAINED = layer("c", "Convolution", more="include { phase: TRAIN }")


@pytest.mark.parametrize("text", ["", "net: 'a.prototxt' base_lr: 1", TRAINED])
def test_a_file_without_layers_to_test_is_refused(tmp_path, text):
    (tmp_path / "deploy.prototxt").write_text(text)
    for source in (tmp_path, tmp_path / "deploy.prototxt"):
        with pytest.raises(NetError, match="no layers in state TEST; name the net to deploy"):
            fk.report(source)


def test_a_folder_that_holds_nothing_is_refused(tmp_path):
    with pytest.raises(NetError, match="holds no deploy.prototxt"):
        fk.report(tmp_path)


def test_a_path_is_as_good_as_what_is_read_from_it(tmp_path):
    net_, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    SMALL.save(net_)
    random_weights(SMALL).save(weights)
    whole = fk.report(fk.read(net_), fk.weights(weights)).html
    assert fk.report(str(net_), str(weights)).html == whole == fk.report(net_, weights).html
    with pytest.raises(TypeError, match="source: 7 is not what it takes; give a path"):
        fk.report(7)


def test_jinja_is_loaded_by_the_report_alone():
    code = "import sys, fcnkit.cli.main, fcnkit; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_engine_that_is_named_and_missing_is_said(tmp_path, monkeypatch):
    """A page without what was asked for would look as if the net refused it."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    Image.new("RGB", (6, 6)).save(tmp_path / "a.png")
    SMALL.save(tmp_path / "net.prototxt")
    random_weights(SMALL).save(tmp_path / "net.caffemodel")
    files = [str(tmp_path / name) for name in ("net.prototxt", "net.caffemodel")]
    more = ["--image", str(tmp_path / "a.png"), "-o", str(tmp_path / "net.html")]
    done = CliRunner().invoke(main, ["report", *files, *more, "--engine", "opencv"])
    assert done.exit_code == 2 and 'the engine "opencv"' in done.output
    assert not (tmp_path / "net.html").exists()
