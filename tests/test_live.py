"""While a net is trained its page is kept up to date, and with --tensorboard its event file."""

import importlib.util

import pytest
from click.testing import CliRunner
from small_training import write_data, write_net

from fcnkit.cli.main import main
from fcnkit.preprocessing import Preprocessing
from fcnkit.reporting import live
from fcnkit.training import record
from fcnkit.training.runs import EVENTS
from fcnkit.training.tensorboard import records

DEPLOY = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
  convolution_param { num_output: 3 kernel_size: 1 } }
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    pytest.importorskip("lmdb")
    return write_data(tmp_path_factory.mktemp("live") / "data")


@pytest.fixture(params=["torch", "caffe"])
def train(request, data, tmp_path):
    """Runs `fcnkit train` with each trainer on a net of its own; what it said."""
    if request.param == "caffe":
        request.getfixturevalue("caffe")
    else:
        pytest.importorskip("torch")
    net = write_net(tmp_path / "net")
    (net / "deploy.prototxt").write_text(DEPLOY)
    known = Preprocessing(mean=(), scale=0.01, classes=("<b>one", "two", "three"))
    known.save(net / "deploy.preprocessing.json")

    def call(*words):
        words = ("train", net, "--data", data, "--engine", request.param, "--cpu", *words)
        done = CliRunner().invoke(main, list(map(str, words)))
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    call.run = net / "run"
    return call


@pytest.fixture
def written(monkeypatch):
    """The pages as they are written, and after how many seconds a browser reads them anew."""
    pages = []
    made = live.report_of

    def report_of(of, *, refresh=0):
        found = made(of, refresh=refresh)
        pages.append((refresh, found.html))
        return found

    monkeypatch.setattr(live, "report_of", report_of)
    monkeypatch.setattr(live, "_EVERY", 0.0)
    monkeypatch.setattr(live, "_PART", 1e9)
    return pages


def test_the_page_follows_the_training(train, written):
    done = train()
    assert done.exit_code == 0, done.output
    assert str(train.run / "index.html") in done.stdout
    *before, (refresh, last) = written
    assert {each for each, _ in before} == {live.REFRESH} and refresh == 0
    assert "running, iteration 0 of 90" in before[0][1]
    assert len({html for _, html in before}) > 2
    assert 'http-equiv="refresh"' in before[-1][1] and 'http-equiv="refresh"' not in last
    assert "finished, 90 iterations" in last and (train.run / "index.html").read_text() == last
    losses = [row["loss"] for row in record.read(train.run / "train.jsonl") if "loss" in row]
    assert f"<b>{losses[-1]:.4g}</b>" in last or f"<b>{float(f'{losses[-1]:.4g}')}</b>" in last


def test_a_page_is_not_written_at_each_event(train, written, monkeypatch):
    monkeypatch.setattr(live, "_EVERY", 600.0)
    assert train().exit_code == 0
    assert [refresh for refresh, _ in written] == [live.REFRESH, 0]


def test_a_page_that_cannot_be_written_stops_nothing(train):
    (train.run / "index.html").mkdir(parents=True)
    done = train()
    assert done.exit_code == 0 and "trained 90 iterations" in done.stdout
    assert done.stderr.count("warning: ") == 1 and "index.html: is a folder" in done.stderr


def test_a_start_that_fails_leaves_no_page(train):
    solver = train.run.parent / "solver.prototxt"
    solver.write_text(solver.read_text().replace("base_lr: 0.05", "base_lr: 1e30"))
    done = train()
    assert done.exit_code == 2
    if not record.read(train.run / "train.jsonl"):
        assert not (train.run / "index.html").exists()


def test_tensorboard_gets_the_record_and_what_the_net_sees(train):
    if importlib.util.find_spec("tensorboard") is None:
        pytest.skip("TensorBoard is not installed: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def found():
        made = EventAccumulator(str(train.run), size_guidance={"scalars": 0, "images": 0})
        made.Reload()
        return made

    def check(last):
        rows, told = record.read(train.run / "train.jsonl"), found()
        for name in ("loss", "rate"):
            wanted = [(row["iteration"], row[name]) for row in rows if name in row]
            assert [(each.step, each.value) for each in told.Scalars(name)] == [
                (step, pytest.approx(value, rel=1e-6)) for step, value in wanted
            ]
        accuracy = [(row["iteration"], row["test"]["accuracy"]) for row in rows if "test" in row]
        assert [(each.step, each.value) for each in told.Scalars("validation/accuracy")] == [
            (step, pytest.approx(value, rel=1e-6)) for step, value in accuracy
        ]
        (first, *_) = sorted(told.Tags()["images"])
        assert first.startswith("overlay/") and len(told.Tags()["images"]) == 3
        steps = [each.step for each in told.Images(first)]
        assert steps == list(range(30, last + 1, 30))
        image = told.Images(first)[0]
        assert (image.width, image.height) == (8, 8)
        assert image.encoded_image_string.startswith(b"\x89PNG")

    assert train("--tensorboard", "--iterations", 60).exit_code == 0
    check(60)
    done = train("--tensorboard")
    assert done.exit_code == 0 and "warning" not in done.stderr, done.stderr
    check(90)
    (path,) = train.run.glob(f"{EVENTS}*")
    assert sum(1 for _ in records(path.read_bytes())) > 10


def test_what_tensorboard_lacks_is_said_once_and_stops_nothing(train, monkeypatch):
    monkeypatch.setattr(live.Overlays, "draw", lambda self, weights: 1 / 0)
    done = train("--tensorboard")
    assert done.exit_code == 0
    assert done.stderr.count("warning: ") == 1 and "TensorBoard gets no overlays" in done.stderr
