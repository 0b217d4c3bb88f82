"""scripts/speed.py on a small image:
fcnkit's net and the hand-written one are the same, and are timed.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


def test_the_nets_are_equal_and_the_report_has_their_times(tmp_path):
    words = [
        "--device",
        "cpu",
        "--nets",
        "FCN-AlexNet",
        "--size",
        "48",
        "--turns",
        "1",
        "--passes",
        "1",
    ]
    done = subprocess.run(
        [
            sys.executable,
            SCRIPTS / "speed.py",
            *words,
            "--without-caffe",
            "-o",
            tmp_path / "gpu.md",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for way in ("grouped", "dense"):
        assert re.search(rf"scores differ by \S+, {way} by hand", done.stdout)
    report = (tmp_path / "gpu.md").read_text()
    for what in ("inference", "training step"):
        row = (
            rf"\| FCN-AlexNet, fp32, {what} \| [\d,]+ \| [\d,]+, (grouped|dense) \| \d\.\d\d \|  \|"
        )
        assert re.search(row, report)
    assert re.search(r"during training: \d+\.\d ms for an\s+image", report)
