"""What the tests need from outside: the data folder and real Caffe;
how many went without is said loudly.
"""

import importlib
import os
from pathlib import Path

import pytest

from fcnkit.engines import caffe_runtime

NO_DATA = "no shared data"
NO_CAFFE = "no Caffe"
NO_CHROMIUM = "no Chromium"


def pytest_addoption(parser):
    parser.addoption(
        "--corpus", action="store_true", help="try every net of the shared corpus, not a part"
    )
    parser.addoption(
        "--golden", action="store_true", help="write the golden files of tests/cases again"
    )
    parser.addoption(
        "--promises", action="store_true", help="write what this version promises to tests/promised"
    )


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real networks and images:
    $FCNKIT_DATA, or ../shared/data beside the repository.
    """
    folder = Path(os.environ.get("FCNKIT_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"{NO_DATA}: {folder} is not a folder; name it in FCNKIT_DATA")
    return folder


@pytest.fixture(scope="session")
def caffe():
    """The engine that asks real Caffe;
    without Caffe a skip, or with FCNKIT_REQUIRE_CAFFE=1 a failure.
    """
    engine = importlib.import_module("fcnkit.engines.caffe")
    if engine.available():
        return engine
    reason = (
        f"{NO_CAFFE}: no pycaffe in this Python and no runtime in {caffe_runtime.runtime()}; run "
        f"`make caffe`"
    )
    if os.environ.get("FCNKIT_REQUIRE_CAFFE") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def one_thread():
    """PyTorch computes in one thread:
    for small nets on a busy machine two take many times as long.
    """
    torch = pytest.importorskip(
        "torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'"
    )
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A headless Chromium, one for all tests of a process; a skip where there is none."""
    import chromium

    if not chromium.program():
        pytest.skip(f"{NO_CHROMIUM}: none is in the path; run `make chromium`")
    made = chromium.Browser(tmp_path_factory.mktemp("chromium"))
    yield made
    made.close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    result = yield  # so that these are the last lines
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    lacks = (
        (NO_CAFFE, "make caffe"),
        (NO_CHROMIUM, "make chromium"),
        (NO_DATA, "set FCNKIT_DATA"),
    )
    for lack, remedy in lacks:
        count = sum(lack in reason for reason in reasons)
        if count:
            line = f"{count} TESTS WERE SKIPPED: {lack.upper()} HERE; {remedy}"
            terminalreporter.write_sep("!", line, red=True, bold=True)
    return result
