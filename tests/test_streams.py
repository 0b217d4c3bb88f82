"""What a command says reaches a reader, a full disk or nobody: no traceback, and a true status."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from fcnkit.cli.text import shown
from fcnkit.errors import NetError, OutputError, PrototxtError, visible

FCNKIT = f"{sys.executable} -c 'from fcnkit.cli.main import run; run()'"
NET = """\
name: "n"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "fcé→" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 5 } }
"""  # noqa: E501
# Commands that end with 0 where they can be heard, and print a lot or a little.
COMMANDS = (
    "inspect n.prototxt",
    "inspect n.prototxt --json",
    "lint n.prototxt",
    "convolutionalize n.prototxt",
    "convolutionalize n.prototxt --diff",
    "convolutionalize n.prototxt --json",
    "convolutionalize n.prototxt -o -",
    "draw n.prototxt -o -",
    "templates",
    "models list",
    "--help",
    "fcn --help",
    "--version",
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "n.prototxt").write_text(NET, encoding="utf-8")
    return tmp_path


def shell(folder: Path, line: str, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        errors="replace",
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_and_a_closed_stream_are_failures(folder, command):
    for where, reason in ((">/dev/full", "No space left"), (">&-", "Bad file descriptor")):
        done = shell(folder, f"{FCNKIT} {command} {where}")
        assert done.returncode == 2, (where, done)
        assert done.stderr.startswith(f"fcnkit: standard output cannot be written: {reason}")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_has_gone_is_none(folder, command):
    for reader in ("true", "head -1 >/dev/null"):
        done = shell(folder, f"set -o pipefail; {FCNKIT} {command} | {reader}")
        assert (done.returncode, done.stderr) == (0, ""), (reader, done)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "utf-8"])
def test_any_encoding(folder, encoding):
    for command in COMMANDS:
        done = shell(folder, f"{FCNKIT} {command}", PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, ""), (command, done)
    bad = shell(folder, f"{FCNKIT} lint → n.prototxt", PYTHONIOENCODING=encoding)
    assert bad.returncode == 2 and "Traceback" not in bad.stderr


def test_a_diff_can_be_applied_whatever_the_encoding(folder):
    for encoding in ("latin-1", "utf-8"):
        line = f"{FCNKIT} convolutionalize n.prototxt --diff > d && patch -s -o out n.prototxt d"
        done = shell(folder, line, PYTHONIOENCODING=encoding)
        assert done.returncode == 0, done
        assert 'name: "fcé→"' in (folder / "out").read_text(encoding="utf-8")


def test_the_work_is_done_though_nobody_reads(folder):
    line = "convolutionalize n.prototxt -o out.prototxt --json | true"
    done = shell(folder, f"set -o pipefail; {FCNKIT} {line}")
    assert done.returncode == 0, done
    assert "Convolution" in (folder / "out.prototxt").read_text()


def test_a_failed_output_leaves_no_other(folder):
    line = f"{FCNKIT} inspect n.prototxt >&- 2>&-"
    assert shell(folder, line).returncode == 2
    assert shell(folder, f"{FCNKIT} inspect nowhere 2>/dev/full").returncode == 2
    assert shell(folder, f"{FCNKIT} inspect - <&-").returncode == 2


def test_nothing_is_written_into_a_file_that_took_a_closed_stream(folder):
    """Where descriptor 1 is closed, the next file that is opened would have its number."""
    done = shell(folder, f"{FCNKIT} upgrade n.prototxt -o u.prototxt >&- 2>/dev/null")
    made = folder / "u.prototxt"
    assert not made.exists() or made.read_text(encoding="utf-8") == NET, done


# ---- names

ESCAPES = """\
name: "n\x1b]0;owned\x07"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "fc\x1b[2J\x1b[31m" type: "InnerProduct" bottom: "data" top: "o\x9b8m" inner_product_param { num_output: 2 } }
"""  # noqa: E501


def on_a_terminal(folder: Path, command: str) -> bytes:
    """What a terminal is sent, which click would strip from a pipe."""
    reader, writer = pty.openpty()
    line = f"{FCNKIT} {command} 2>&1"
    with subprocess.Popen(["bash", "-c", line], cwd=folder, stdout=writer) as process:
        os.close(writer)
        found = b""
        while True:
            try:
                data = os.read(reader, 4096)
            except OSError:  # Linux's way to say that the other side is closed
                break
            if not data:
                break
            found += data
    os.close(reader)
    assert process.returncode in (0, 1, 2)
    return found


@pytest.mark.parametrize(
    "command",
    [
        "inspect e.prototxt",
        "inspect bad.prototxt",
        "inspect broken.prototxt",
        "lint e.prototxt",
        "lint bad.prototxt",
        "convolutionalize e.prototxt",
        "convolutionalize e.prototxt --diff",
        "convolutionalize e.prototxt --json",
        "upgrade e.prototxt",
    ],
)
def test_names_do_not_reach_a_terminal_as_they_are(folder, command):
    for escaped in (False, True):
        text = ESCAPES
        if escaped:
            text = (
                text.replace("\x1b", "\\033").replace("\x07", "\\007").replace("\x9b", "\\302\\233")
            )
        (folder / "e.prototxt").write_text(text, encoding="utf-8")
        bad = text.replace('bottom: "data"', 'bottom: "no\x1b[31m"')
        (folder / "bad.prototxt").write_text(bad, encoding="utf-8")
        (folder / "broken.prototxt").write_text(text + 'name: "\x1b[31m', encoding="utf-8")
        found = on_a_terminal(folder, command)
        assert found and b"Traceback" not in found
        for each in (b"\x1b", b"\x07", b"\x9b", b"\xc2\x9b"):
            assert each not in found, found


def test_errors_say_names_visibly():
    for kind in (NetError, OutputError, PrototxtError):
        assert str(kind("a\x1b[31m\u202eb\r\n\tc")) == "a\\x1b[31m\\u202eb\\r\n\tc"
    assert visible("é→ \t\n") == "é→ \t\n"
    assert shown("\udcff\x7f") == "?\\x7f"


def test_paths_of_any_bytes(folder):
    name = b"n\xff\x1b.prototxt"
    Path(os.fsdecode(os.path.join(os.fsencode(folder), name))).write_text(NET, encoding="utf-8")
    for command in ("inspect n?*.prototxt", "lint n?*.prototxt", "convolutionalize n?*.prototxt"):
        done = shell(folder, f"{FCNKIT} {command}")
        assert done.returncode == 0, done
        assert "\x1b" not in done.stdout
    output = "$(printf 'out\\377.prototxt')"
    done = shell(folder, f"{FCNKIT} convolutionalize n.prototxt -o {output}")
    assert done.returncode == 0 and "wrote out" in done.stderr, done
    assert b"out\xff.prototxt" in os.listdir(os.fsencode(folder))


LONG = "x" * 300


@pytest.mark.parametrize(
    "command",
    [
        f"inspect {LONG}",
        f"lint {LONG}.prototxt",
        f"convolutionalize {LONG}",
        f"convolutionalize n.prototxt -o {LONG}.prototxt",
        f"convolutionalize n.prototxt -o {LONG}/a.prototxt",
        f"fcn n.prototxt --classes 3 --stride 1 -o {LONG}",
        f"draw n.prototxt -o {LONG}.svg",
        f"convert {LONG}.caffemodel a.npz",
        f"diff {LONG}.caffemodel n.prototxt",
        f"verify n.prototxt {LONG}.caffemodel n.prototxt",
        f"surgery n.prototxt {LONG}.caffemodel n.prototxt -o a.caffemodel",
        f"export n.prototxt {LONG}.caffemodel -o a.onnx",
        f"train {LONG}",
        f"infer n.prototxt {LONG}.caffemodel {LONG} -o out",
        f"score {LONG} {LONG}",
        f"dataset create {LONG} {LONG} -o d --classes 2",
        f"dataset inspect {LONG}",
        f"models show {LONG}",
        f"models fetch digits --from {LONG}",
        f"models list --index {LONG}",
    ],
)
def test_names_that_no_file_can_have(folder, command):
    done = shell(folder, f"{FCNKIT} {command}")
    assert done.returncode == 2 and "Traceback" not in done.stderr, done
