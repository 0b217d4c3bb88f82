"""Predictions on a page: they are the net's, their scores are `fcnkit score`'s, and what lies over
an image does what the page's controls say.
"""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from small_fcn import CLASSES, call, drawn, expected, write_data, write_fcn

import fcnkit as fk
from fcnkit.errors import DatasetError
from fcnkit.reporting.held_out import HeldOut
from fcnkit.reporting.page import page
from fcnkit.reporting.pictures import Album
from fcnkit.reporting.predictions import awaited, distinct, predictions, section, shown
from fcnkit.reporting.section import Section
from fcnkit.reporting.subject import Wishes, subject

pytest.importorskip("PIL.Image")
pytest.importorskip("lmdb")
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def top(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predictions")
    write_fcn(folder / "net")
    return folder


@pytest.fixture(scope="module")
def images(top):
    return write_data(top)


@pytest.fixture(scope="module")
def scored(top, images):
    """What `fcnkit score` says of what `fcnkit infer` wrote."""
    net = top / "net"
    words = (net / "deploy.prototxt", net / "init.caffemodel", top / "data", "-o", top / "seen")
    call("infer", *words, "--confidence")
    return json.loads(call("score", top / "seen", top / "data", "--json").stdout)


def found(top, **more):
    wishes = Wishes(data=top / "data", **more)
    return predictions(subject(top / "net", None, wishes))


def opened(browser, top, path, width=1400, **more):
    fk.report(top / "net", data=top / "data", **more).save(path, force=True)
    page = browser.open(path, width)
    drawn(page)
    return page


# ---- the values


def test_the_classes_are_the_net_s(top, images):
    made = found(top, count=50)
    assert made.of == len(made.seen) == 14 and made.names == CLASSES
    for each in made.seen:
        image, label = images[each.name]
        classes, confidence = expected(image)
        assert np.array_equal(each.image, image) and np.array_equal(each.truth, label)
        assert np.array_equal(each.classes, classes)
        np.testing.assert_allclose(each.confidence, confidence, atol=1e-5)


def test_the_scores_are_those_of_score(top, scored):
    run, written = found(top, count=50), found(top, predictions=top / "seen")
    assert written.scores.images == 14 and len(written.seen) == 10
    for made in (run, written):
        told = made.scores.json()
        assert told == scored
    assert written.by.endswith("seen") and not run.by.endswith("seen")
    assert all(each.confidence is not None for each in written.seen)


@pytest.mark.parametrize("count", [3, 10])
def test_every_class_is_seen(top, images, count):
    made = found(top, count=count)
    assert len(made.seen) == count
    there = {int(each) for one in made.seen for each in np.unique(one.truth)}
    assert {0, 1, 2} <= there
    assert made.scores.images == count


def test_of_written_predictions_the_worst_and_the_best_are_seen(top, scored):
    made = found(top, predictions=top / "seen", count=4)
    every = {each.name: each.scores.mean_iu for each in found(top, count=50).seen}
    names = {each.name for each in made.seen}
    assert {min(every, key=every.get), max(every, key=every.get)} <= names
    assert any((each.truth == 2).any() for each in made.seen)
    cards = section_of(top, predictions=top / "seen", count=4).values["cards"]
    assert [card.mark for card in cards] == ["worst", "worst", "best", "best"]
    ius = [every[card.name] for card in cards]
    assert ius[0] == min(ius) and ius[2] == max(ius)


def section_of(top, **more):
    wishes = Wishes(data=top / "data", **more)
    return section(subject(top / "net", None, wishes), Album())


def test_the_newest_written_predictions_are_found(top, tmp_path):
    net = write_fcn(tmp_path / "net")
    call(
        "infer", net / "deploy.prototxt", net / "init.caffemodel", top / "data", "-o", net / "seen"
    )
    made = predictions(subject(net, None, Wishes(data=top / "data")))
    assert made.by == f"the class maps in {net / 'seen'}"
    of = subject(net, None, Wishes(data=top / "data"))
    assert "older" not in section(of, Album()).summary
    os.utime(net / "seen", (0, 0))
    assert "older than the newest weights" in section(of, Album()).summary


def test_the_names_that_are_given_are_shown(top, scored, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("street\nvehicle\nair\n")
    for more in ({}, {"predictions": top / "seen"}):
        assert found(top, labels=names, **more).names == ("street", "vehicle", "air")
    names.write_text("street\nvehicle\n")
    for more, words in (({}, "and the net 3"), ({"predictions": top / "seen"}, "has 3 classes")):
        with pytest.raises(DatasetError, match=words):
            found(top, labels=names, **more)


def test_images_without_a_truth(top, images):
    paths = [top / "images" / f"street_{number:02}.png" for number in (3, 1)]
    made = found(top, images=paths)
    assert [each.name for each in made.seen] == ["street_03.png", "street_01.png"]
    assert made.scores is None and made.seen[0].truth is None
    one = section_of(top, images=paths[:1])
    assert one.summary.startswith("1 image, run by ") and not one.values["compared"]
    assert np.array_equal(made.seen[0].classes, expected(images["street_03"][0])[0])


@pytest.fixture
def misfit(top, tmp_path):
    """A net of four classes, whose training read a data set of three."""
    net = write_fcn(tmp_path / "net")
    text = (net / "deploy.prototxt").read_text().replace("num_output: 3", "num_output: 4")
    (net / "deploy.prototxt").write_text(text)
    (net / "deploy.preprocessing.json").unlink()
    source = top / "data" / "train_image_lmdb"
    (net / "run").mkdir()
    (net / "run" / "train.jsonl").write_text('{"iteration": 0, "loss": 1.0}\n')
    (net / "run" / "solver.prototxt").write_text('net: "run/train_val.prototxt"\n')
    (net / "run" / "train_val.prototxt").write_text(
        f"""layer {{ name: "data" type: "Data" top: "data"
          data_param {{ source: "{source}" batch_size: 1 }} }}"""
    )
    return net


def test_what_cannot_be_run_is_said(misfit, top):
    page = fk.report(misfit).html
    assert "not run" in page and "has 3 classes, and the net 4" in page
    with pytest.raises(DatasetError, match="has 3 classes, and the net 4"):
        fk.report(misfit, data=top / "data")


def test_the_data_are_those_that_were_trained_on(misfit, top, images):
    text = (misfit / "deploy.prototxt").read_text().replace("num_output: 4", "num_output: 3")
    (misfit / "deploy.prototxt").write_text(text)
    made = predictions(subject(misfit, None, Wishes()))
    assert made.of == 14 and made.names == CLASSES


def test_a_missing_prediction_is_named(top, tmp_path, scored):
    with pytest.raises(DatasetError, match="has no prediction for street_00"):
        (tmp_path / "seen").mkdir()
        found(top, predictions=tmp_path / "seen")


def test_a_classifier_has_no_predictions():
    of = subject(fk.template("lenet"), None, Wishes())
    assert predictions(of) is None and awaited(of) == (0, "")


def test_progress_is_told(top, scored, images):
    for more, work in (
        ({"count": 5}, (5, "running")),
        ({"predictions": top / "seen"}, (14, "scoring")),
        ({"images": [top / "images" / "street_00.png"]}, (1, "running")),
    ):
        told: list[int] = []
        wishes = Wishes(data=top / "data", progress=told.append, **more)
        of = subject(top / "net", None, wishes)
        assert awaited(of) == work
        predictions(of)
        assert sum(told) == work[0]


def test_colours_are_told_apart():
    same = [(0, 0, 0), (0, 0, 0), (255, 255, 255), (255, 255, 255), (0, 0, 1)]
    made = distinct(same)
    assert made[0] == (0, 0, 0) and len(set(made)) == 5
    assert distinct([(1, 2, 3), (4, 5, 6)]) == [(1, 2, 3), (4, 5, 6)]


def test_a_data_set_of_other_channels_is_refused(top):
    data = HeldOut(top / "data")
    (sample,) = data.samples({0})
    with pytest.raises(DatasetError, match="3 channels of uint8, and the net takes 1 of uint8"):
        data.given(sample, 1)


# ---- the page


@pytest.mark.parametrize("width", [360, 1400])
def test_the_page_of_predictions(browser, top, images, scored, tmp_path, width):
    page = opened(browser, top, tmp_path / "p.html", width, predictions=top / "seen")
    assert page.problems == [] and page.requests == [] and page.overflow == 0
    assert page.count(".seen canvas") == 10
    facts = dict(zip(page.texts("#predictions dt"), page.texts("#predictions dd"), strict=True))
    assert facts["mean IU"] == f"{scored['mean_iu']:.2%}"
    assert facts["pixel accuracy"] == f"{scored['pixel_accuracy']:.2%}"
    rows = page.js("[...document.querySelectorAll('.scores tbody tr')]"
                   ".map(r => [...r.children].map(c => c.textContent.trim()))")  # fmt: skip
    assert [row[1:6] for row in rows] == [
        [
            each["name"], f"{each['labelled']:,}", f"{each['predicted']:,}",
            f"{each['accuracy']:.2%}", f"{each['iu']:.2%}",
        ]
        for each in scored["classes"]
    ]  # fmt: skip
    cells = page.js("[...document.querySelectorAll('.matrix tbody tr')]"
                    ".map(r => [...r.querySelectorAll('td')].map(c => c.textContent))")  # fmt: skip
    for line, row in zip(scored["confusion"], cells, strict=True):
        parts = [100 * pixels / sum(line) for pixels in line]
        assert row == [f"{part:.0f}" if part >= 0.5 else "" for part in parts]
    assert page.texts(".seen .bad, .seen .good") == ["worst"] * 3 + ["best"] * 3


def pixel(page, x, y, card=1):
    """What a canvas has at a pixel of the image."""
    return page.js(f"[...document.querySelectorAll('.seen canvas')[{card - 1}].getContext('2d')"
                   f".getImageData({x}, {y}, 1, 1).data]")  # fmt: skip


def choose(page, view):
    page.js(f"(() => {{ const v = document.querySelector('.view'); v.value = '{view}';"
            "v.dispatchEvent(new Event('change')); })()")  # fmt: skip


def test_the_controls(browser, top, images, tmp_path):
    page = opened(browser, top, tmp_path / "p.html", count=14)
    name = page.texts(".seen figcaption bdi")[0]
    image, label = images[name]
    classes, sure = expected(image)
    colours = page.js("JSON.parse(document.querySelector('.overlays').dataset.colours)")
    y, x = 5, 7
    assert pixel(page, x, y) == [*colours[classes[y, x]], 255]
    # The class is switched off, and on again.
    box = f".legend label:nth-of-type({classes[y, x] + 1}) input"
    page.click(box)
    assert pixel(page, x, y)[3] == 0 and not page.js(f"document.querySelector('{box}').checked")
    other = next((v, u) for v, u in np.ndindex(8, 12) if classes[v, u] != classes[y, x])
    assert pixel(page, other[1], other[0])[3] == 255
    page.click("[data-all='1']")
    assert pixel(page, x, y)[3] == 255
    page.click("[data-all='']")
    assert pixel(page, x, y)[3] == pixel(page, other[1], other[0])[3] == 0
    page.click("[data-all='1']")
    # What is shown.
    choose(page, "truth")
    assert pixel(page, x, y)[:3] == colours[label[y, x]]
    assert pixel(page, 0, 0) == [*colours[-1], 255]
    choose(page, "wrong")
    for v, u in np.ndindex(8, 12):
        wrong = label[v, u] not in (255, classes[v, u])
        assert (pixel(page, u, v)[3] == 255) == wrong
    choose(page, "sure")
    assert pixel(page, x, y)[3] == min(255, round(5.1 * (100 - round(100 * sure[y, x]))))
    assert page.problems == []


def test_the_slider_changes_the_opacity(browser, top, images, tmp_path):
    page = opened(browser, top, tmp_path / "p.html")
    opacity = "getComputedStyle(document.querySelector('.seen canvas')).opacity"
    assert page.js(opacity) == "0.6"
    page.js("document.querySelector('.opacity').focus()")
    page.press("End")
    assert page.js(opacity) == "1"
    page.press("Home", "ArrowRight")
    assert page.js(opacity) == "0.01"


def test_the_pointer_and_the_keys_say_the_class(browser, top, images, tmp_path):
    page = opened(browser, top, tmp_path / "p.html", count=14)
    image, label = images[page.texts(".seen figcaption bdi")[0]]
    classes, sure = expected(image)

    def told(x, y):
        right = label[y, x]
        truth = "not scored" if right == 255 else "right" if right == classes[y, x] else ""
        words = truth or f"in truth {CLASSES[right]}"
        return f"{x}, {y}: {CLASSES[classes[y, x]]} {round(100 * sure[y, x])} %; {words}"

    page.js("document.querySelector('.stack').scrollIntoView({block: 'center', behavior: "
            "'instant'})")  # fmt: skip
    left, upper, width, height = page.js(
        "(({x, y, width, height}) => [x, y, width, height])"
        "(document.querySelector('.stack').getBoundingClientRect())"
    )
    for x, y in ((0, 0), (3, 2), (11, 7), (7, 5)):
        page.mouse("mouseMoved", left + (x + 0.5) * width / 12, upper + (y + 0.5) * height / 8)
        assert page.texts(".seen output")[0] == told(x, y)
    page.js("document.querySelector('.stack').focus()")
    page.press("ArrowRight")
    assert page.texts(".seen output")[0] == told(8, 5)
    page.press("ArrowLeft", "ArrowLeft")
    assert page.texts(".seen output")[0] == told(6, 5)
    assert page.js("document.querySelector('.cross').hidden") is False


def test_maps_of_several_sizes_lie_over_each_other(browser, tmp_path):
    """Where the page has no room, the map of noise is smaller than the one of two halves."""
    write_data(tmp_path, 3, size=(120, 160))
    of = subject(write_fcn(tmp_path / "net"), None, Wishes(data=tmp_path / "data"))
    found = predictions(of)
    half = np.repeat([[0] * 80 + [1] * 80], 120, axis=0).astype(np.uint8)
    noise = np.random.default_rng(0).random((120, 160))
    seen = [each._replace(truth=half, confidence=noise) for each in found.seen]
    album = Album(budget=150_000)
    values = shown(replace(found, seen=tuple(seen)), album)
    page("t", "k", [Section("predictions", "P", values, "", ("overlays", "scores"))]).save(
        tmp_path / "p.html"
    )
    made = browser.open(tmp_path / "p.html")
    drawn(made)
    sizes = made.js(
        "[...document.querySelectorAll('.seen:first-child img')].map(i => i.naturalWidth)"
    )
    assert len(set(sizes)) > 1 and album.scaled
    choose(made, "truth")
    colours = made.js("JSON.parse(document.querySelector('.overlays').dataset.colours)")
    width, height = made.js(
        "(({width, height}) => [width, height])(document.querySelector('.seen canvas'))"
    )
    for place in (0, 0.25, 0.49, 0.51, 0.75, 0.99):
        found_ = pixel(made, int(place * width), height // 2)
        assert found_ == [*colours[int(place > 0.5)], 255]
    choose(made, "sure")
    assert made.problems == []


def test_hostile_names_are_text(browser, tmp_path):
    classes = (HOSTILE, "</script><script>alert(2)</script>", "שלום\u202e{{ 7 * 7 }}")
    names = [f"a'\"><svg onload=alert({number})>" for number in range(3)]
    write_data(tmp_path, 3, classes=classes[:2] + ("x" * 400,), names=names)
    write_fcn(tmp_path / "net", (*classes[:2], "x" * 400))
    page = opened(browser, tmp_path, tmp_path / "p.html")
    assert page.problems == [] and page.requests == []
    assert page.count("script") == 1 and page.count("main svg[onload]") == 0
    assert page.js(
        "[...document.querySelectorAll('main img')].every(i => i.src.startsWith('data:'))"
    )
    assert set(page.texts(".seen figcaption bdi")) == set(names)
    assert page.texts(".legend bdi")[:2] == list(classes[:2])
    assert page.overflow == 0
    page.js("document.querySelector('.stack').focus()")
    page.press("ArrowRight")
    told = page.texts(".seen output")[0]
    assert any(f": {name[:40]}" in told for name in (*classes[:2], "x" * 10))
