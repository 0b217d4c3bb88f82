"""The page of a net in a browser: its drawing, what its layers see, weights and activations."""

import hashlib
import io
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sketches import conv, data, fc, net, pool, relu
from test_verify import random_weights

import fcnkit as fk
from fcnkit import templates
from fcnkit.engines.engine import choose
from fcnkit.errors import DatasetError, NetError
from fcnkit.preprocessing import Preprocessing, place
from fcnkit.reporting.words import figure

SMALL = net(
    data(1, 3, 16, 16), conv("c", "data", 6, 5), relu("c"), pool("p", "c", 2, 2), fc("f", "p", 5)
)


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("images") / "gradient.png"
    rows, columns = np.mgrid[:40, :80]
    pixels = np.stack([rows * 6, columns * 3, 255 - columns * 3], 2).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def resnet(folder) -> Path:
    fk.report(fk.template("resnet152")).save(folder / "resnet.html")
    return folder / "resnet.html"


@pytest.fixture(scope="module")
def small(folder, image) -> Path:
    weights = random_weights(SMALL)
    fk.report(SMALL, weights, images=[image], mean=(104, 117, 123)).save(folder / "small.html")
    return folder / "small.html"


def pixels(url: str) -> np.ndarray:
    """The picture in a data URL."""
    return np.asarray(Image.open(io.BytesIO(b64decode(url.partition(",")[2]))).convert("RGB"))


# ---- the drawing


def test_layers_are_found_by_name_and_by_type(browser, resnet):
    page = browser.open(resnet)
    assert page.js("document.querySelector('.viewer.whole').offsetParent") is None
    page.click("#find-layer")
    page.type("res4b7_")
    # By name: three convolutions with their BatchNorms, Scales and ReLUs are the block's boxes.
    names = [row.name for row in fk.inspect(fk.template("resnet152")).rows]
    assert page.texts(".found") == [f"{sum('res4b7_' in name for name in names)} layers"]
    assert page.js("document.querySelector('.viewer.folded').offsetParent") is None
    first = page.texts(".match.current title")[0].splitlines()[0]
    assert first.startswith("res4b7_branch2a: Convolution 1 × 1")
    assert page.js("(() => { const b = document.querySelector('.match.current')"
                   ".getBoundingClientRect(), f = document.querySelector('.viewer.whole')"
                   ".getBoundingClientRect(); return b.x > f.x && b.right < f.right"
                   " && b.y > f.y && b.bottom < f.bottom; })()")  # fmt: skip
    page.press("Enter")
    assert page.texts(".match.current title")[0].startswith("res4b7_branch2b: ")
    page.js("document.querySelector('#find-layer').value = ''")
    page.type("softmax")
    assert page.texts(".found") == ["1 layer"] and page.count(".match") == 1
    page.js("document.querySelector('#find-layer').value = ''")
    page.type("no such layer")
    assert page.texts(".found") == ["0 layers"] and page.count(".match") == 0


def test_a_drawing_is_zoomed(browser, resnet):
    page = browser.open(resnet)
    width = "document.querySelector('.viewer.folded svg').getBoundingClientRect().width"
    before = page.js(width)
    page.click("button.zoom[data-by='1.25']")
    assert page.js(width) == pytest.approx(1.25 * before, rel=0.01)
    page.js("document.querySelector('.viewer.folded').focus()")
    page.type_key("-")
    assert page.js(width) == pytest.approx(before, rel=0.01)
    page.click("button.zoom[data-by='0']")
    assert page.js(width) <= page.js("document.querySelector('.viewer.folded').clientWidth")


def test_a_folded_block_leads_to_its_layers(browser, resnet):
    page = browser.open(resnet)
    assert page.count(".viewer.folded a") == page.count("details.block") == 8
    assert page.count(".viewer.folded g:not(.wire) > rect") == 14
    page.click(".viewer.folded a:nth-of-type(1)")
    page.js("new Promise(done => setTimeout(done, 100))")
    opened = page.js("[...document.querySelectorAll('details.block')].map(d => d.open)")
    assert opened == [True] + [False] * 7
    assert "res2a_branch2b" in page.texts("details.block[open] text")
    assert page.problems == []


def test_every_layer_is_shown_on_request(browser, resnet):
    page = browser.open(resnet)
    page.click("button.view[data-view='whole']")
    layers = page.js("[...document.querySelectorAll('.viewer.whole g:not(.wire) > title')]"
                     ".flatMap(t => t.textContent.split('\\n')).length")  # fmt: skip
    assert layers == len(fk.inspect(fk.template("resnet152")).rows)
    # Letters are large enough to be read.
    height = "document.querySelector('.viewer.whole g text').getBoundingClientRect().height"
    assert page.js(height) >= 8


def test_shapes_are_on_the_lines(browser, small):
    page = browser.open(small)
    assert page.texts(".viewer.whole text.shape") == ["3 × 16 × 16", "6 × 12 × 12", "6 × 6 × 6"]


def test_without_pygraphviz_the_page_says_so(monkeypatch, browser, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    fk.report(SMALL).save(tmp_path / "page.html")
    page = browser.open(tmp_path / "page.html")
    assert "pygraphviz" in page.texts("#drawing .omitted")[0] and page.problems == []


# ---- what layers see


def test_a_layer_s_field_is_drawn_where_it_lies(browser, tmp_path, image):
    made = net(data(1, 3, 15, 15), conv("c", "data", 6, 5), pool("p", "c", 2, 2))
    fk.report(made, images=[image]).save(tmp_path / "page.html")
    page = browser.open(tmp_path / "page.html")
    rows = [row.split() for row in page.texts(".sees tbody tr")]
    assert [row[0] for row in rows] == ["c", "p"]
    box = "document.querySelector('.sight.chosen .field').getBBox()"
    # The middle is pixel 7.  c's cell number 5 lies there, and sees 5 to 9; p's number 2, of c's
    # cells 4 and 5, is nearest and sees 4 to 9.  Pixel 0 is from -0.5 to 0.5.
    assert page.js(f"[{box}.x, {box}.y, {box}.width, {box}.height]") == [3.5, 3.5, 6, 6]
    page.js("document.querySelector('.sees input').click()")
    assert page.js(f"[{box}.x, {box}.y, {box}.width, {box}.height]") == [4.5, 4.5, 5, 5]
    assert page.count(".plane image") == 1 and page.count(".sight.chosen") == 1


# ---- weights and activations


def test_figures_of_weights_are_those_of_statistics(browser, small):
    weights = random_weights(SMALL)
    page = browser.open(small)
    rows = page.js("[...document.querySelectorAll('#layers table')].at(-1).innerText")
    for row in fk.statistics(weights).rows:
        values = weights[row.layer][row.blob].array()
        for number in (values.min(), values.max(), values.mean(), values.std()):
            assert figure(float(number)) in rows
        assert hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()[:12] in rows


def test_activations_are_those_of_the_engine(browser, small, image):
    resized = np.asarray(Image.open(image).resize((16, 16), Image.Resampling.BILINEAR))
    array = (
        np.float32(np.moveaxis(resized, 2, 0)[::-1]) - np.float32([104, 117, 123])[:, None, None]
    )
    weights = random_weights(SMALL)
    found = choose("torch").run_all(SMALL, weights, [{"data": array[None]}], ["data", "c", "p"])
    page = browser.open(small)
    for blob, values in next(iter(found)).items():
        sheet = page.js(
            "[...document.querySelectorAll('.sheet')].find(s => "
            f"s.querySelector('h4').textContent.startsWith('Activations {blob} ')).innerText"
        )
        for number in (values.min(), values.max(), values.mean(), values.std()):
            digits = f"{float(number) + 0:.3g}"
            assert any(f"{float(word):.3g}" == digits for word in _numbers(sheet)), (blob, digits)
    assert "after relu_c, the last layer that changes it in place" in " ".join(page.texts(".sheet"))


def _numbers(text: str) -> list[str]:
    return re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])", text)


def test_the_first_layer_s_filters_are_in_colour(browser, tmp_path):
    # Each filter wants one colour: blue, green and red, in the order of Caffe's channels.
    made = net(data(1, 3, 8, 8), conv("c", "data", 3, 2, "bias_term: false"))
    values = np.zeros((3, 3, 2, 2), np.float32)
    values[[0, 1, 2], [0, 1, 2]] = 1
    from fcnkit.weights import store

    fk.report(made, store.create().put("c", [values])).save(tmp_path / "page.html")
    page = browser.open(tmp_path / "page.html")
    (url,) = page.js("[...document.querySelectorAll('.sheet .grid img')].map(i => i.src)")
    shown = pixels(url)
    assert [tuple(shown[0, 3 * number]) for number in range(3)] == [
        (0, 0, 255), (0, 255, 0), (255, 0, 0),
    ]  # fmt: skip
    assert "in colour" in page.texts(".sheet .grid p")[0]


def test_rgb_nets_have_their_colours_too(tmp_path, browser):
    made = net(data(1, 3, 8, 8), conv("c", "data", 3, 2, "bias_term: false"))
    made.save(tmp_path / "net.prototxt")
    Preprocessing("rgb").save(place(tmp_path / "net.prototxt"))
    values = np.zeros((3, 3, 2, 2), np.float32)
    values[[0, 1, 2], [0, 1, 2]] = 1
    from fcnkit.weights import store

    weights = store.create().put("c", [values])
    fk.report(tmp_path / "net.prototxt", weights).save(tmp_path / "page.html")
    page = browser.open(tmp_path / "page.html")
    (url,) = page.js("[...document.querySelectorAll('.sheet .grid img')].map(i => i.src)")
    assert tuple(pixels(url)[0, 0]) == (255, 0, 0)


def test_nan_is_said_and_seen(browser, tmp_path):
    from fcnkit.weights import store

    made = net(data(1, 1, 8, 8), conv("c", "data", 4, 2, "bias_term: false"))
    values = np.ones((4, 1, 2, 2), np.float32)
    values[0, 0, 0, 0], values[1, 0, 0, 0] = np.nan, np.inf
    fk.report(made, store.create().put("c", [values])).save(tmp_path / "page.html")
    page = browser.open(tmp_path / "page.html")
    assert page.texts("#layers table .bad") == ["1 NaN", "1 infinite"]
    (url,) = page.js("[...document.querySelectorAll('.sheet .grid img')].map(i => i.src)")
    assert (pixels(url) == (0, 255, 0)).all(2).sum() == 2


def test_the_likeliest_classes_have_their_names(browser, tmp_path):
    held = np.load(templates.path("digits").parent / "heldout.npz")
    name = next(iter(held.files))
    picture = tmp_path / "digit.png"
    Image.fromarray(held[name][3].reshape(held[name].shape[-2:])).save(picture)
    count = len((templates.path("digits").parent / "classes.txt").read_text().splitlines())
    names = [f"class number {number}" for number in range(count)]
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"{name}\n" for name in names))
    net_, weights = templates.path("digits"), templates.path("digits").parent / "digits.caffemodel"
    fk.report(net_, weights, images=[picture], labels=labels).save(tmp_path / "page.html")
    page = browser.open(tmp_path / "page.html")
    rows = page.texts(".guess tbody th")
    assert len(set(rows)) == 5 and set(rows) <= set(names)
    scores = [float(value) for value in page.texts(".guess tbody td")]
    assert scores == sorted(scores, reverse=True)
    few = tmp_path / "few.txt"
    few.write_text("one\ntwo\n")
    with pytest.raises(DatasetError, match=f"has 2 names, and .* {count} classes"):
        fk.report(net_, weights, images=[picture], labels=few)


def test_an_image_needs_a_net_that_takes_pictures(tmp_path, image):
    made = net(data(1, 5, 8, 8), conv("c", "data", 4, 2))
    with pytest.raises(NetError, match="no picture"):
        fk.report(made, random_weights(made), images=[image])
    with pytest.raises(DatasetError, match="no such file"):
        fk.report(SMALL, random_weights(SMALL), images=[tmp_path / "none.png"])


def test_age_net_s_conv1_and_alexnet_s_fc6(browser, shared, tmp_path):
    """What figures 6 and 8 of the walk-through show."""
    model = shared / "models" / "age_net_v1"
    cat = shared / "photos" / "bvlc_cat.jpg"
    found = fk.report(model / "deploy_age.prototxt", model / "age_net.caffemodel", images=[cat])
    found.save(tmp_path / "age.html")
    assert len(found.html) < 10_000_000
    page = browser.open(tmp_path / "age.html", 360)
    assert page.problems == [] and page.requests == [] and page.overflow <= 0
    sheets = page.texts("#layer-1 .sheet h4")
    assert sheets[0].split("\n")[0].startswith("Weights 0 96 × 3 × 7 × 7")
    assert page.texts("#layer-1 .sheet .grid p")[0].startswith("Filters: 96, in colour")
    assert page.texts(".card > summary")[1].startswith("conv1 Convolution, 14,208 parameters")
    fk.report(fk.template("alexnet")).save(tmp_path / "alexnet.html")
    row = next(
        row
        for row in browser.open(tmp_path / "alexnet.html").texts("#net tbody tr")
        if "fc6" in row.split() and "InnerProduct" in row
    )
    assert "37,752,832" in row


def test_a_net_of_thousands_of_layers_has_a_page(browser, tmp_path):
    layers = [data(1, 1, 4, 4)]
    for number in range(3500):
        below = f"c{number - 1}" if number else "data"
        # No two that follow one another are alike, so that none of them folds.
        layers.append(conv(f"c{number}", below, 1, 1, "group: 1" * (number % 7 == number % 5)))
    made = net(*layers)
    found = fk.report(made, random_weights(made))
    assert len(found.html) < 10_000_000
    found.save(tmp_path / "page.html")
    page = browser.open(tmp_path / "page.html")
    assert page.problems == [] and page.overflow <= 0
    assert page.texts("#net > p.soft") == [
        "And 501 layers more; fcnkit inspect lists them all.",
    ]
    assert page.texts("#layers > p.soft")[-1].startswith("And 2,500 layers more")
    assert page.count("#net tbody tr") == 3000 and page.count("details.card") == 1000


def test_pictures_make_room_where_the_text_is_long(monkeypatch, image):
    from fcnkit.reporting import report

    weights = random_weights(SMALL)
    whole = fk.report(SMALL, weights, images=[image])
    most = len(whole.html.encode()) - 2_000
    monkeypatch.setattr(report, "BUDGET", sum(map(len, re.findall('data:image/[^"]+', whole.html))))
    monkeypatch.setattr(report, "LARGEST", most)
    assert len(fk.report(SMALL, weights, images=[image]).html.encode()) <= most
    assert len(fk.report(SMALL, weights, images=[image], full=True).html.encode()) > most


def test_a_net_that_is_too_long_to_draw_is_drawn_folded(monkeypatch, browser, tmp_path):
    from fcnkit.reporting import drawing

    monkeypatch.setattr(drawing, "MOST", 20)
    fk.report(fk.template("resnet50")).save(tmp_path / "folded.html")
    page = browser.open(tmp_path / "folded.html")
    assert page.problems == [] and page.count(".viewer.folded") == 1
    assert page.count(".viewer.whole") == page.count("#find-layer") == 0
    page.click("button.zoom[data-by='1.25']")
    fk.report(fk.template("vgg19")).save(tmp_path / "none.html")
    page = browser.open(tmp_path / "none.html")
    assert "26 boxes" in page.texts("#drawing .omitted")[0] and page.problems == []


@pytest.mark.parametrize(
    "channels, order, said", [(3, "rgb", "RGB"), (3, "bgr", "BGR"), (1, "bgr", "gray")]
)
def test_a_page_says_the_order_in_which_the_net_got_the_image(
    channels, order, said, image, tmp_path
):
    """By a file that was written by hand, too; a net for gray images has no colours to order."""
    text = net(data(1, channels, 8, 8), conv("c", "data", 2, 3))
    text.save(tmp_path / "net.prototxt")
    if channels == 3:
        Preprocessing(order).save(place(tmp_path / "net.prototxt"))
    page = fk.report(tmp_path / "net.prototxt", random_weights(text), images=[image])
    assert f"images become {said}, " in page.html
