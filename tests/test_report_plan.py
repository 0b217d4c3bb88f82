"""The page of an FCN's folder: what the plan did and why, and what was proven of it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sketches import conv, data, fc, net, pool, relu
from test_verify import random_weights

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.errors import NetError
from fcnkit.formats import prototxt
from fcnkit.reporting.records import PLAN, PROOF, PlanRecord, plan_of, proof_of

SMALL = net(
    data(1, 3, 32, 32),
    conv("c", "data", 6, 3, "pad: 1"),
    relu("c"),
    pool("p", "c", 2, 2),
    fc("f", "p", 5),
)


def run(*words: object):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a classifier, and the FCN of it, proven."""
    folder = tmp_path_factory.mktemp("made")
    SMALL.save(folder / "net.prototxt")
    random_weights(SMALL).save(folder / "net.caffemodel")
    words = ("--classes", 3, "--stride", 2, "--weights", folder / "net.caffemodel")
    done = run("fcn", folder / "net.prototxt", *words, "-o", folder / "fcn", "--verify",
               "--engine", "torch")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert f"wrote {folder / 'fcn' / PLAN}" in done.output
    assert f"wrote {folder / 'fcn' / PROOF}" in done.output
    return folder


@pytest.fixture(scope="module")
def page_of(made, tmp_path_factory):
    """The page of a folder, as the command writes it."""
    out = tmp_path_factory.mktemp("out")

    def page(folder: Path, *options: object) -> Path:
        path = out / f"{len([*out.iterdir()])}.html"
        done = run("report", folder, *options, "-o", path)
        assert done.exit_code == 0, done.output
        return path

    return page


def test_the_plan_is_kept_as_it_was(made):
    plan = fk.fcn(fk.read(made / "net.prototxt"), classes=3, stride=2)
    kept = plan_of(made / "fcn")
    assert kept.before.text == SMALL.text and kept.before.path == str(made / "net.prototxt")
    assert kept.steps == plan.steps and kept.offsets == plan.offsets
    assert kept.command[:2] == ("fcnkit", "fcn") and "--stride" in kept.command


def test_a_text_that_is_no_utf_8_is_kept(tmp_path):
    odd = prototxt.of_bytes(b'name: "\xff"\n' + SMALL.text.encode(), "net.prototxt")
    plan = fk.convolutionalize(odd)
    PlanRecord.of(plan, plan.net, ("fcnkit",)).save(tmp_path / PLAN)
    assert plan_of(tmp_path).before.text == odd.text


def test_the_page_has_both_sides_and_the_reasons(browser, made, page_of):
    page = browser.open(page_of(made / "fcn"))
    assert page.problems == [] and page.requests == []
    titles = page.texts("main h2")
    assert titles[0] == "Before and after" and "Proof" in titles
    plan = fk.fcn(fk.read(made / "net.prototxt"), classes=3, stride=2)
    words = " ".join(" ".join(page.texts("#plan .sides tbody tr")).split())
    for step in plan.steps:
        assert all(" ".join(part.split()) in words for part in (step.layer, step.what, step.why))
    cells = page.js("[...document.querySelectorAll('#plan .sides tbody tr')]"
                    ".find(r => r.querySelector('bdi')?.textContent == 'f').innerText")  # fmt: skip
    assert "InnerProduct, 1 × 5, 7,685 parameters" in cells
    assert "now score_fr: Convolution, 1 × 3 ×" in cells


def test_the_diff_is_that_of_the_plan(browser, made, page_of):
    page = browser.open(page_of(made / "fcn"))
    old = SMALL.text.splitlines()
    new = fk.read(made / "fcn" / "deploy.prototxt").text.splitlines()
    gone, fresh = (
        page.js(f"[...document.querySelectorAll('.diff {kind}')].map(e => e.textContent)")
        for kind in ("del", "ins")
    )
    numbers = page.js(
        "[...document.querySelectorAll('.diff tr:not(.apart)')].slice(1)"
        ".map(r => [...r.cells].map(c => c.textContent))"
    )
    assert gone and fresh
    for left, one, right, other in numbers:
        assert not left or old[int(left) - 1] == one
        assert not right or new[int(right) - 1] == other
    kept = list(old)
    for line in gone:
        kept.remove(line)
    for line in fresh:
        new.remove(line)
    assert sorted(kept) == sorted(new)  # what no side marks is the same on both
    colours = page.js("[...document.querySelectorAll('.diff .change .old, .diff .new .fresh')]"
                      ".map(e => getComputedStyle(e).backgroundColor)")  # fmt: skip
    assert colours and all(colour != "rgba(0, 0, 0, 0)" for colour in colours)


def test_the_proof_is_on_the_page(browser, made, page_of):
    found = json.loads((made / "fcn" / PROOF).read_text())
    page = browser.open(page_of(made / "fcn"))
    assert page.texts("#proof .good")[0] == "proven" and page.count("#proof .odd.stale") == 0
    assert "of other files" not in " ".join(page.texts("#proof"))
    (engine,) = found["engines"]
    assert page.texts("#proof h3")[0] == f"torch {engine['version']}"
    assert page.texts("#proof tbody th")[: len(engine["outputs"])] == [
        row["output"] if row["output"] == row["new_output"]
        else f"{row['output']} → {row['new_output']}"
        for row in engine["outputs"]
    ]  # fmt: skip
    assert set(found["files"].values()) <= set(page.texts("#proof td.code"))
    assert "noise of seed 0" in page.texts("#proof .facts dd")
    assert "fcnkit fcn" in page.texts("#proof pre")[0] and "--verify" in page.texts("#proof pre")[0]


def test_a_proof_of_other_files_is_told_apart(browser, made, page_of, tmp_path):
    import shutil

    folder = tmp_path / "fcn"
    shutil.copytree(made / "fcn", folder)
    text = (folder / "deploy.prototxt").read_text()
    (folder / "deploy.prototxt").write_text(f"# another\n{text}")
    page = browser.open(page_of(folder))
    assert "changed since" in page.texts("#plan .odd")[0]
    assert "of other files" in page.texts("#proof .odd")
    random_weights(fk.read(folder / "deploy.prototxt"), seed=1).save(
        folder / "init.caffemodel", force=True
    )
    (folder / "deploy.prototxt").write_text(text)
    page = browser.open(page_of(folder))
    assert page.count("#plan .odd") == 0
    assert "init.caffemodel" in " ".join(page.texts("#proof p"))


def test_where_nothing_was_compared_the_page_says_not_run(browser, made, page_of):
    page = browser.open(page_of(made / "net.prototxt"))
    assert page.texts("#proof .odd") == ["not run"]


def test_a_proof_per_layer_is_given(browser, made, page_of, tmp_path):
    conv_ = fk.convolutionalize(SMALL)
    conv_.net.save(tmp_path / "conv.prototxt")
    fk.transplant(conv_, fk.weights(made / "net.caffemodel")).save(tmp_path / "conv.caffemodel")
    done = run(
        "verify", made / "net.prototxt", made / "net.caffemodel", tmp_path / "conv.prototxt",
        tmp_path / "conv.caffemodel", "--layers", "--engine", "torch", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (tmp_path / "layers.json").write_text(done.stdout)
    words = (tmp_path / "conv.caffemodel", "--proof", tmp_path / "layers.json")
    page = browser.open(page_of(tmp_path / "conv.prototxt", *words))
    assert page.texts("#proof tbody th")[:4] == ["c", "relu_c", "p", "f"]
    assert page.texts("#proof td .good") == ["equal"] * 4
    assert "--layers" in page.texts("#proof pre")[0]


def test_a_proof_of_a_plan_is_taken_out_of_its_json(made, tmp_path):
    done = run(
        "convolutionalize", made / "net.prototxt", "-o", tmp_path / "c.prototxt", "--weights",
        made / "net.caffemodel", "--weights-out", tmp_path / "c.caffemodel", "--verify",
        "--engine", "torch", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (tmp_path / "plan-and-proof.json").write_text(done.stdout)
    assert proof_of(tmp_path / "plan-and-proof.json").found["proven"] is True


def test_what_differs_is_said(browser, made, page_of, tmp_path):
    other = tmp_path / "other.caffemodel"
    random_weights(SMALL, seed=5).save(other)
    files = (made / "net.prototxt", made / "net.caffemodel", made / "net.prototxt", other)
    done = run("verify", *files, "--engine", "torch", "--json")
    assert done.exit_code == 1
    (tmp_path / "proof.json").write_text(done.stdout)
    words = (other, "--proof", tmp_path / "proof.json")
    page = browser.open(page_of(made / "net.prototxt", *words))
    assert page.texts("#proof .bad") == ["not proven", "DIFFERENT"]


def test_a_proof_is_not_overwritten_without_force(made):
    words = ("--classes", 3, "--stride", 2, "--weights", made / "net.caffemodel")
    out = made / "second"
    out.mkdir()
    (out / PROOF).write_text("{}")
    done = run("fcn", made / "net.prototxt", *words, "-o", out, "--verify", "--engine", "torch")
    assert done.exit_code == 2 and f"{out / PROOF}: exists" in done.output
    assert [path.name for path in out.iterdir()] == [PROOF]


@pytest.mark.parametrize(
    "name, text, fact",
    [
        (PLAN, "{", "it is not JSON"),
        (PLAN, "[]", "not a JSON object"),
        (PLAN, "{}", "before"),
        (PLAN, '{"before": {"text": 1, "path": ""}}', "text"),
        (
            PLAN,
            '{"before": {"text": "", "path": ""}, "steps": [1], "offsets": []}',
            "steps|line|no",
        ),
        (PROOF, "nothing", "it is not JSON"),
        (PROOF, '{"engines": [1]}', "no list of engines"),
    ],
)
def test_damaged_records_are_refused(made, tmp_path, name, text, fact):
    SMALL.save(tmp_path / "deploy.prototxt")
    (tmp_path / name).write_text(text)
    with pytest.raises(NetError, match=f"{name}: .*({fact})"):
        fk.report(tmp_path)


def test_a_proof_s_numbers_may_be_anything(tmp_path):
    row = {"output": "f", "absolute": float("nan"), "relative": float("inf"), "ok": False}
    (tmp_path / PROOF).write_text(json.dumps({"engines": [{"engine": "x", "outputs": [row]}]}))
    assert proof_of(tmp_path / PROOF).found["engines"][0]["engine"] == "x"
    SMALL.save(tmp_path / "deploy.prototxt")
    assert "DIFFERENT" in fk.report(tmp_path).html
