"""The page of trainings: curves, facts and tables are those of the run's files."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from small_training import NET, SOLVER

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.errors import NetError
from fcnkit.formats import binaryproto
from fcnkit.preprocessing import Preprocessing
from fcnkit.reporting.subject import RUNS, Wishes, subject
from fcnkit.reporting.trained import trained
from fcnkit.reporting.words import duration
from fcnkit.training.runs import Run, in_use, locked

HOSTILE = "<img src=x onerror=alert(1)>"
LOG = """I0101 00:00:00.000000 1 caffe.cpp:1] Finetuning from {0}/init.caffemodel
I0101 00:00:00.000000 1 caffe.cpp:1] Iteration 0, loss = 2
I0101 00:00:00.000000 1 caffe.cpp:1] Finetuning from other<b>.caffemodel
"""


def rows(count: int = 40, name: str = "accuracy") -> list[dict]:
    found = []
    for number in range(count + 1):
        iteration = 10 * number
        if number % 10 == 5:
            test = {name: 0.5 + number / 200, "loss": 2.0 - number / 50, "each": [0.25, None, 1]}
            found.append({"iteration": iteration, "test": test})
        loss = {"loss": 2.5 - number / 20, "rate": 1e-3 / (1 + number), "seconds": 2.0 * number}
        found.append({"iteration": iteration, **loss})
    return found


def write_run(folder: Path, found: list[dict], *, log: str = LOG, last: int = 400) -> Path:
    """A run's folder as a training leaves it, in the folder of its net."""
    folder.mkdir(parents=True)
    path = folder.resolve().parent
    (folder / "train.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in found))
    net = f'net: "{folder.name}/train_val.prototxt"'
    solver = SOLVER.replace('net: "train_val.prototxt"', net).replace("90", str(last))
    (folder / "solver.prototxt").write_text(solver)
    (folder / "train_val.prototxt").write_text(NET)
    (folder / "caffe.log").write_text(log.format(path))
    (folder / "fcn_iter_300.caffemodel").write_bytes(b"x" * 1500)
    (folder / "fcn_iter_300.solverstate").write_bytes(b"x" * 2500)
    return folder


@pytest.fixture
def run(tmp_path) -> Path:
    return write_run(tmp_path / "net" / "run", rows())


def opened(browser, source, tmp_path, width=1400, **more):
    path = tmp_path / "page.html"
    fk.report(source).save(path, force=True)
    return browser.open(path, width, **more)


# ---- the values


def test_what_a_run_has_left(run):
    found = trained(subject(run, None, Wishes()).runs[0])
    assert (found.iteration, found.iterations, found.seconds) == (400, 400, 80.0)
    assert found.weights == ("init.caffemodel", "other<b>.caffemodel") and found.engine == "Caffe"
    assert [(each.layer, each.source, each.batch) for each in found.data] == [
        ("data", "train_image_lmdb", 1),
        ("label", "train_label_lmdb", 1),
    ]
    assert found.line("loss")[0] == (0, 2.5) and found.scores()["accuracy"][-1] == (350, 0.675)
    assert dict(found.solver_facts()) | {"solver": "SGD"} == {
        **{"solver": "SGD", "base_lr": "0.05", "rate": "fixed", "momentum": "0.9"},
        **{"weight_decay": "0.0005", "random_seed": "1", "iter_size": "2"},
    }


def test_a_folder_with_a_record_alone_will_do(tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "train.jsonl").write_text(json.dumps(rows(1)[0]) + "\n")
    found = trained(subject(folder, None, Wishes()).runs[0])
    assert found.engine == "" and found.data == () and not [*found.solver_facts()]
    assert "<!doctype html>" in fk.report(folder).html


def test_runs_are_found_wherever_they_are(tmp_path, run, monkeypatch):
    write_run(tmp_path / "net" / "again", rows(10))
    write_run(tmp_path / "other" / "run", rows(10))
    (tmp_path / "empty").mkdir()
    for source, names in (
        (run, ["net/run"]),
        (tmp_path / "net", ["net/again", "net/run"]),
        (tmp_path, ["net/again", "net/run", "other/run"]),
        ([run, tmp_path / "other"], ["net/run", "other/run"]),
        ([run, run], ["net/run"]),
    ):
        found = subject(source, None, Wishes())
        assert found.kind == RUNS
        assert [f"{each.folder.name}/{each.name}" for each in found.runs] == names
    monkeypatch.chdir(run)
    assert subject(".", None, Wishes()).runs[0].name == "run"
    with pytest.raises(NetError, match=r"empty: holds no train.jsonl, and several folders"):
        subject([run, tmp_path / "empty"], None, Wishes())


def test_whether_a_run_is_in_use(run):
    made = Run(run.parent, "run")
    assert not in_use(made)
    with locked(made):
        assert in_use(made)
    os.unlink(made.log)
    assert not in_use(made)


@pytest.mark.parametrize(
    "seconds, words",
    [
        *((0.0123, "12.3 ms"), (5, "5 s"), (59.94, "59.9 s"), (80, "1 min 20 s")),
        *((3900, "1 h 05 min"), (200_000, "2 days 7 h")),
    ],
)
def test_times_in_words(seconds, words):
    assert duration(seconds) == words


# ---- the page


@pytest.mark.parametrize("width", [360, 1400])
def test_the_page_of_a_run(browser, run, tmp_path, width):
    page = opened(browser, run, tmp_path, width)
    assert page.problems == [] and page.requests == [] and page.overflow == 0
    assert page.texts("h1") == ["net/run"] and page.texts(".kind") == ["A training"]
    assert page.texts(".chart h4") == [
        "Loss (logarithmic)", "Validation: accuracy", "Learning rate (logarithmic)",
    ]  # fmt: skip
    facts = dict(zip(page.texts("#training dt"), page.texts("#training dd"), strict=True))
    assert facts["last loss"] == "0.5 at 400"
    assert facts["best accuracy in validation"] == "0.675 at 350"
    assert facts["least loss in validation"] == "1.3 at 350"
    assert facts["trained for"] == "1 min 20 s" and facts["time of an iteration"] == "200 ms"
    assert facts["started from"] == "init.caffemodel, other<b>.caffemodel"
    assert page.texts("#training .good") == ["finished, 400 iterations"]
    assert page.js("document.querySelector('#training pre').textContent").count("max_iter: 400")
    assert "300fcn_iter_300.caffemodel1.5 kB2.5 kB" in [
        "".join(text.split()).replace("kB", " kB") for text in page.texts("#training details tr")
    ]


def test_a_curve_tells_its_values(browser, run, tmp_path):
    page = opened(browser, run, tmp_path)
    assert page.texts(".chart:first-child .keys b") == ["0.5", "1.3"]
    x, y = page.middle(".chart .plot")
    page.mouse("mouseMoved", x, y)
    assert page.texts(".chart:first-child output") == ["at iteration 200"]
    assert page.texts(".chart:first-child .keys b") == ["1.5", "1.7"]
    page.mouse("mouseMoved", 1, 1)
    assert page.texts(".chart:first-child .keys b") == ["0.5", "1.3"]
    page.js("document.querySelector('.chart .plot').focus()")
    page.press("Home", "ArrowRight")
    assert page.texts(".chart:first-child output") == ["at iteration 10"]
    assert page.texts(".chart:first-child .keys b") == ["2.45", "-"]


def test_the_last_validation_of_each_class(browser, run, tmp_path):
    page = opened(browser, run, tmp_path)
    rows = (
        "[...[...document.querySelectorAll('details')].find(e => e.textContent.includes("
        "'Each class in the validation at 350')).querySelectorAll('tbody tr')]"
    )
    cells = page.js(f"{rows}.map(r => [...r.children].map(c => c.textContent.trim()))")
    assert cells == [["0", "0.25"], ["1", "-"], ["2", "1"]]


def test_the_weights_of_the_classes(browser, run, tmp_path):
    weights = np.array([0.5, 2.0, 1.25])
    (run / "infogain.binaryproto").write_bytes(binaryproto.written(np.diag(weights)))
    (run / "infogain_2.binaryproto").write_bytes(b"damaged")
    known = Preprocessing(mean=(), classes=("<b>road", "car", "sky"))
    known.save(run.parent / "deploy.preprocessing.json")
    page = opened(browser, run, tmp_path)
    assert page.problems == []
    cells = page.js(
        "[...[...document.querySelectorAll('details')].find(e => e.textContent.includes("
        "'The weights of the classes')).querySelectorAll('tbody tr')]"
        ".map(r => [...r.children].map(c => c.textContent.trim()))"
    )
    assert cells == [["<b>road", "0.5"], ["car", "2"], ["sky", "1.25"]]


def test_runs_beside_each_other(browser, tmp_path):
    for name, count in (("one", 40), ("two", 20)):
        write_run(tmp_path / name / "run", rows(count))
    page = opened(browser, [tmp_path / "one", tmp_path / "two"], tmp_path)
    assert page.problems == []
    assert page.texts(".chart:nth-child(2) .keys bdi") == ["one", "two"]
    assert page.texts("#training thead th")[:2] == ["one", "two"]
    assert page.texts("#training h3 span") == [
        "finished, 400 iterations",
        "ended at iteration 300 of 400",
    ]
    colours = page.js(
        "[...document.querySelectorAll('.chart:nth-child(2) .line path')]"
        ".map(e => getComputedStyle(e).stroke)"
    )
    assert len(set(colours)) == 2


def test_hostile_names_are_text(browser, tmp_path):
    name = f"{HOSTILE}{{{{ 7 * 7 }}}}"
    folder = write_run(tmp_path / "<b>net" / "<i>run", rows(20, name), log=LOG + HOSTILE)
    (folder / "solver.prototxt").write_text(f"# </pre><script>alert(1)</script>\n{SOLVER}")
    page = opened(browser, folder, tmp_path)
    assert page.problems == [] and page.requests == []
    assert page.count("script") == 1 and page.count("main img") == 0 and page.count("main b i") == 0
    assert page.texts("h1") == ["<b>net/<i>run"]
    assert f"Validation: {name}" in page.texts(".chart h4")
    assert "</pre><script>alert(1)</script>" in page.texts("pre")[0]


def test_a_damaged_record_is_no_bug(tmp_path):
    folder = write_run(tmp_path / "net" / "run", [])
    lines = [
        {"iteration": 0, "loss": "<b>", "rate": [1], "seconds": {}},
        {"iteration": 10**30, "loss": 1.0, "seconds": True},
        {"iteration": -5, "test": {"accuracy": {"a": 1}, "x": [1, "2", None]}, "net": "<i>"},
        {"iteration": 5, "loss": float("nan"), "rate": float("inf"), "outputs": [1]},
        {"iteration": 6, "loss": 10**400, "rate": -1, "test": {"accuracy": 1e40}},
        {"iteration": 7, "loss": 0.5, "rate": 0.1, "test": None},
    ]
    (folder / "train.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    (folder / "solver.prototxt").write_text('max_iter: "many" type: 3 { }')
    html = fk.report(folder).html
    assert "0.5" in html and "<i>" not in html and "<b><" not in html


def test_a_running_training_is_said_and_read_anew(run):
    from fcnkit.reporting.live import LivePage

    made = Run(run.parent, "run")
    told: list[str] = []
    page = LivePage(made, told.append)
    with locked(made):
        page.keep()
        assert 'http-equiv="refresh"' in made.page.read_text()
        assert "running, iteration 400 of 400" in made.page.read_text()
        before = made.page.read_bytes()
        (run / "train.jsonl").write_text("")
        page.keep()  # too soon
        assert made.page.read_bytes() == before
    page.write()
    assert "refresh" not in made.page.read_text() and told == []


def test_a_page_that_cannot_be_written_is_said_once(run):
    from fcnkit.reporting.live import LivePage

    made = Run(run.parent, "run")
    made.page.mkdir()
    told: list[str] = []
    page = LivePage(made, told.append)
    page.write()
    page.write()
    assert len(told) == 1 and "index.html: is a folder" in told[0] and "goes on" in told[0]


def test_a_defect_of_the_page_is_no_end_of_a_training(run, monkeypatch):
    from fcnkit.reporting import live

    monkeypatch.setattr(live, "report_of", lambda *more, **named: 1 / 0)
    told: list[str] = []
    live.LivePage(Run(run.parent, "run"), told.append).keep()
    assert len(told) == 1 and "division by zero" in told[0]


# ---- the command


def test_the_command_takes_runs(tmp_path, run):
    def call(*words):
        return CliRunner().invoke(main, ["report", *map(str, words), "--force"])

    write_run(tmp_path / "other" / "run", rows())
    out = tmp_path / "page.html"
    assert call(run, tmp_path / "other", "-o", out).exit_code == 0
    assert "Side by side" in out.read_text()
    for words in ((run, run / "train_val.prototxt"), (run, "a", "b")):
        done = call(*words, "-o", out)
        assert done.exit_code == 2, done.output


def test_a_narrow_chart_has_every_other_tick(browser, run, tmp_path):
    ticks = (
        "[...document.querySelectorAll('.chart:first-child .across')]"
        ".filter(e => e.offsetParent).map(e => e.textContent)"
    )
    assert opened(browser, run, tmp_path).js(ticks) == ["0", "100", "200", "300", "400"]
    assert opened(browser, run, tmp_path, 360).js(ticks) == ["0", "200", "400"]
