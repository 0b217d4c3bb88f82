"""Several processes of one command: what each is told, and how they end."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fcnkit.training.torch.program.launch import Place, place, run_in_processes

SAY = """
import os, sys
from fcnkit.training.torch.program.launch import place
at = place()
open(f"{sys.argv[1]}/{at.rank}", "w").write(f"{tuple(at)} {os.environ['MASTER_ADDR']}")
"""
LAUNCH = (
    "import sys; from fcnkit.training.torch.program.launch import run_in_processes; "
    "sys.exit(run_in_processes(sys.argv[1:], 2))"
)


@pytest.fixture
def heard():
    """The handler of SIGINT, as it was before, is put back."""
    was = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, was)


def test_each_process_knows_its_place(tmp_path, heard):
    assert run_in_processes([sys.executable, "-c", SAY, str(tmp_path)], 3) == 0
    for rank in range(3):
        assert (tmp_path / str(rank)).read_text() == f"({rank}, 3, {rank}, 3) 127.0.0.1"


def test_a_process_alone_has_no_place(monkeypatch):
    for name, value in {
        "RANK": "3",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
    }.items():
        monkeypatch.setenv(name, value)
    assert place() == Place(3, 4, 1, 2)
    monkeypatch.delenv("RANK")
    assert place() is None


def test_where_one_fails_all_end(tmp_path, heard):
    code = "import os, time, sys; time.sleep(0 if os.environ['RANK'] == '1' else 600); sys.exit(7)"
    assert run_in_processes([sys.executable, "-c", code], 2) == 7


def test_a_stop_reaches_all_and_they_go_with_their_parent(tmp_path):
    code = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(0))\n"
        "open(f\"{sys.argv[1]}/{os.environ['RANK']}\", 'w').write(str(os.getpid()))\n"
        "time.sleep(600)"
    )
    for number in (signal.SIGINT, signal.SIGKILL):
        command = [sys.executable, "-c", LAUNCH, sys.executable, "-c", code, str(tmp_path)]
        with subprocess.Popen(command) as process:
            pids = [_pid(tmp_path / str(rank)) for rank in (0, 1)]
            process.send_signal(number)
            assert process.wait(timeout=120) == (0 if number == signal.SIGINT else -number)
        for pid in pids:
            _until_gone(pid)


def _pid(path):
    end = time.monotonic() + 120
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end
        time.sleep(0.02)
    found = int(path.read_text())
    path.unlink()
    return found


def _until_gone(pid):
    stat = Path(f"/proc/{pid}/stat")
    end = time.monotonic() + 120
    while sys.platform == "linux" and stat.exists() and stat.read_text().split()[2] != "Z":
        assert time.monotonic() < end
        time.sleep(0.02)
