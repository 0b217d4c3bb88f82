"""The page of a data set has the figures of `dataset inspect`, and images under their labels."""

import json

import numpy as np
import pytest
from pictures import save
from small_fcn import CLASSES, call, drawn, write_data, write_images

import fcnkit as fk
from fcnkit.datasets.summary import summarize
from fcnkit.reporting.dataset import section
from fcnkit.reporting.pictures import Album
from fcnkit.reporting.subject import Wishes, subject

pytest.importorskip("PIL.Image")
pytest.importorskip("lmdb")
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def top(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    write_data(folder)
    return folder


def opened(browser, source, path, width=1400, **more):
    fk.report(source, **more).save(path, force=True)
    page = browser.open(path, width)
    drawn(page)
    return page


def cells(page, selector):
    return page.js(
        f"[...document.querySelectorAll({json.dumps(selector)})]"
        ".map(r => [...r.children].map(c => c.textContent.trim()))"
    )


@pytest.mark.parametrize("width", [360, 1400])
def test_the_figures_are_those_of_inspect(browser, top, tmp_path, width):
    page = opened(browser, top / "data", tmp_path / "d.html", width)
    assert page.problems == [] and page.requests == [] and page.overflow == 0
    told = json.loads(call("dataset", "inspect", top / "data", "--json").stdout)
    train, val = (told["splits"][name] for name in ("train", "val"))
    for number, row in enumerate(cells(page, ".scores tbody tr")):
        assert row[:2] == [str(number), CLASSES[number]]
        for each, part in ((train, row[2:6]), (val, row[6:10])):
            assert part == [
                f"{each['pixels'][number]:,}", f"{each['shares'][number]:.2%}", "",
                f"{each['images_with'][number]:,}",
            ]  # fmt: skip
        weight = train["median_frequency_weights"][number]
        assert row[10] == ("-" if weight is None else f"{weight:.4f}")
    parts = cells(page, "#dataset .scroll:first-of-type tbody tr")
    for row, each in zip(parts, (train, val), strict=True):
        total = sum(each["pixels"]) + each["ignored_pixels"]
        assert row[1:5] == [
            f"{each['images']:,}", "12 x 8", f"{total:,}",
            f"{each['ignored_pixels'] / total:.2%}",
        ]  # fmt: skip
        assert row[5].startswith(f"{each['majority_baseline']['pixel_accuracy']:.2%}")
    facts = dict(zip(page.texts("#dataset dt"), page.texts("#dataset dd"), strict=True))
    assert facts["first loss of an untrained net"] == f"{np.log(3):.4f}"


def test_the_sheet_has_names_labels_and_every_class(browser, top, tmp_path):
    page = opened(browser, top / "data", tmp_path / "d.html")
    assert set(page.texts(".seen figcaption bdi")[:2]) == {"street_00", "street_01"}
    assert page.texts(".seen .soft") == ["train"] * 2 + ["val"] * 8
    assert page.texts(".legend label") == [*CLASSES, "ignored (255)"]
    seen = page.js(
        "(() => { const found = new Set(); for (const c of document.querySelectorAll('canvas')) {"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "for (let k = 0; k < d.length; k += 4) found.add([d[k], d[k+1], d[k+2]].join()); }"
        "return [...found]; })()"
    )
    colours = page.js("JSON.parse(document.querySelector('.overlays').dataset.colours)")
    assert set(seen) == {",".join(map(str, each)) for each in colours}
    assert page.count(".view") == 0 and page.count(".opacity") == 1


def test_the_mean_image(top):
    found = summarize(top / "data")
    values = section(subject(top / "data", None, Wishes()), Album()).values
    assert found.mean_file and values["mean"].url.startswith("data:image/jpeg")
    assert (values["mean"].width, values["mean"].height) == (12, 8)
    (top / "data" / "mean.binaryproto").rename(top / "data" / "away")
    assert section(subject(top / "data", None, Wishes()), Album()).values["mean"] is None
    (top / "data" / "away").rename(top / "data" / "mean.binaryproto")


def test_as_many_images_as_are_asked_for(top):
    for count in (1, 5, 100):
        values = section(subject(top / "data", None, Wishes(count=count)), Album()).values
        assert len(values["cards"]) == min(count, 16)


def test_what_was_left_out_and_how_labels_were_read(browser, tmp_path):
    write_images(tmp_path, 4)
    save(tmp_path / "labels" / "street_02.png", np.zeros((3, 3), np.uint8))
    (tmp_path / "classes.txt").write_text("road\ncar\nsky\n")
    call("dataset", "create", tmp_path / "images", tmp_path / "labels", "-o", tmp_path / "data",
         "--classes", tmp_path / "classes.txt", "--split", 0, "--skip-bad",
         "--void", 7, "--jobs", 1)  # fmt: skip
    page = opened(browser, tmp_path / "data", tmp_path / "d.html")
    (problem,) = page.texts(".problems li")
    assert "street_02.png" in problem
    assert "7" in dict(zip(page.texts("details dt"), page.texts("details dd"), strict=True)).get(
        "void", ""
    )


def test_hostile_names_are_text(browser, tmp_path):
    classes = (HOSTILE, "</script><b>", "\u202eabc")
    write_data(tmp_path, 3, classes=classes, names=[f"{HOSTILE}{number}"[:-1] + str(number)
                                                    for number in range(3)])  # fmt: skip
    page = opened(browser, tmp_path / "data", tmp_path / "d.html")
    assert page.problems == [] and page.requests == []
    assert page.count("script") == 1 and page.count("main b") == 0
    assert page.texts(".legend bdi")[:3] == [HOSTILE, "</script><b>", r"\u202eabc"]
