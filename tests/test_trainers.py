"""What trains where no --engine says it: Caffe where it is installed, else PyTorch."""

import pytest
from click.testing import CliRunner

from fcnkit.cli.main import main
from fcnkit.engines import caffe_runtime
from fcnkit.engines.torch import engine as torch_engine
from fcnkit.errors import EngineError
from fcnkit.training.trainers import first_installed


@pytest.fixture
def has(monkeypatch, tmp_path):
    """A function that says what is installed."""

    def installed(*, caffe=False, gpu=False, torch=False):
        monkeypatch.setenv("FCNKIT_CAFFE", str(tmp_path / "caffe"))
        monkeypatch.setenv("FCNKIT_CAFFE_GPU", str(tmp_path / "caffe-gpu"))
        monkeypatch.setattr(torch_engine, "available", lambda: torch)
        monkeypatch.setattr(caffe_runtime, "obstacle", lambda: "")
        for there, folder, marker in (
            (caffe, "caffe", caffe_runtime.MARKER),
            (gpu, "caffe-gpu", caffe_runtime.GPU_MARKER),
        ):
            if there:
                (tmp_path / folder / "bin").mkdir(parents=True)
                (tmp_path / folder / "bin" / "caffe").touch()
                (tmp_path / folder / marker).touch()

    return installed


@pytest.mark.parametrize(
    "there, gpu, name",
    [
        ({"caffe": True, "torch": True}, False, "caffe"),
        ({"caffe": True}, False, "caffe"),
        ({"torch": True}, False, "torch"),
        ({"torch": True}, True, "torch"),
        ({"caffe": True, "torch": True}, True, "torch"),
        ({"caffe": True, "gpu": True, "torch": True}, True, "caffe"),
        ({"caffe": True}, True, "caffe"),
    ],
)
def test_the_first_that_is_installed_trains(has, there, gpu, name):
    has(**there)
    assert first_installed(gpu=gpu) == name


def test_where_nothing_trains_it_says_what_to_install(has):
    has()
    with pytest.raises(EngineError, match=r"run `fcnkit caffe install`, or `.*fcnkit\[torch\]'`"):
        first_installed()


@pytest.mark.parametrize(
    "words, program",
    [
        ((), "/bin/caffe train"),
        (("--gpu", "0"), "program.main train"),
        (("--device", "cpu"), "program.main train"),
        (("--precision", "tf32"), "program.main train"),
        (("--engine", "caffe", "--gpu", "0"), "/bin/caffe train"),
    ],
)
def test_options_that_are_pytorchs_alone_choose_it(has, tmp_path, words, program):
    has(caffe=True, torch=True)
    net = ["fcn", "template:lenet", "--classes", "3", "--stride", "4", "-o", str(tmp_path / "f")]
    assert CliRunner().invoke(main, net).exit_code == 0
    data = tmp_path / "data"
    for name in ("train_image", "train_label", "val_image", "val_label"):
        (data / f"{name}_lmdb").mkdir(parents=True)
    command = ["train", str(tmp_path / "f"), "--data", str(data), "--dry-run", *words]
    done = CliRunner().invoke(main, command)
    assert program in done.output, done.output
