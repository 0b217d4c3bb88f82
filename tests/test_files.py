"""Files are written whole or not at all, whatever happens on the way."""

import mmap
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fcnkit import files
from fcnkit.errors import FcnkitError, OutputError

ROOT = Path(files.__file__).parent.parent


@pytest.fixture
def target(tmp_path) -> Path:
    """A file that stands alone in its folder and holds b'old'."""
    path = tmp_path / "net.prototxt"
    path.write_bytes(b"old")
    return path


def alone(path: Path) -> bool:
    return os.listdir(path.parent) == [path.name]


# ---- what is true afterwards


def test_a_new_file_holds_what_was_written(tmp_path):
    path = tmp_path / "net.prototxt"
    files.write(path, b"new\r\n\0")
    assert path.read_bytes() == b"new\r\n\0" and alone(path)


def test_pieces_are_written_in_order(tmp_path):
    path = tmp_path / "big"
    with files.atomic(path) as file:
        for piece in (b"a", memoryview(b"bc"), b"", bytearray(b"d")):
            file.write(piece)
    assert path.read_bytes() == b"abcd"


def test_nothing_stands_there_before_all_is_written(target):
    with files.atomic(target, force=True) as file:
        file.write(b"new" * 100_000)
        assert target.read_bytes() == b"old"
    assert target.stat().st_size == 300_000 and alone(target)


@pytest.mark.parametrize("name", ["with space", "-", "ä", ".hidden", "x" * 255])
def test_any_name_will_do(tmp_path, name):
    files.write(tmp_path / name, b"new")
    assert (tmp_path / name).read_bytes() == b"new" and alone(tmp_path / name)


def test_names_are_taken_as_text_and_relative_to_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.write("net.prototxt", b"new")
    assert (tmp_path / "net.prototxt").read_bytes() == b"new"


def test_a_file_that_is_mapped_can_be_written_over(target):
    target.write_bytes(b"0123456789" * 1000)
    with (
        target.open("rb") as source,
        mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        with files.atomic(target, force=True) as file:
            file.write(memoryview(mapped)[5:])
            file.write(b"end")
        assert mapped[:3] == b"012"
    assert target.read_bytes() == (b"0123456789" * 1000)[5:] + b"end"


def test_a_link_stays_a_link_and_its_target_is_written(tmp_path, target):
    link = tmp_path / "link"
    link.symlink_to(target.name)
    files.write(link, b"new", force=True)
    assert link.is_symlink() and target.read_bytes() == b"new"


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o664, 0o755, 0o444])
def test_the_permissions_of_an_overwritten_file_stay(target, mode):
    target.chmod(mode)
    files.write(target, b"new", force=True)
    assert stat.S_IMODE(target.stat().st_mode) == mode and target.read_bytes() == b"new"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_of_an_overwritten_file_stays(target):
    target.write_bytes(b"old")
    os.chown(target, 12345, 54321)
    target.chmod(0o4755)
    files.write(target, b"new", force=True)
    its = target.stat()
    assert (its.st_uid, its.st_gid, its.st_mode & 0o7777) == (12345, 54321, 0o4755)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_that_new_files_have(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        files.write(tmp_path / "new", b"new")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode


@pytest.fixture(params=["no such flag", "no such file system", "no /proc"])
def named(request, monkeypatch):
    """A system on which a file on its way has a temporary name."""
    if request.param == "no such flag":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif request.param == "no such file system":
        monkeypatch.setattr(os, "O_TMPFILE", 1 << 30, raising=False)
    else:
        exists = os.path.exists
        monkeypatch.setattr(
            os.path, "exists", lambda path: not str(path).startswith("/proc") and exists(path)
        )


@pytest.mark.parametrize("old", [True, False])
def test_a_temporary_name_where_there_must_be_one(target, named, old):
    if not old:
        target.unlink()
    with files.atomic(target, force=old) as file:
        file.write(b"new")
        assert len(os.listdir(target.parent)) == 1 + old
    assert target.read_bytes() == b"new" and alone(target)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ZeroDivisionError), files.atomic(target, force=True) as file:
        _ = 1 / 0
    assert target.read_bytes() == b"new" and alone(target)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="a file has a name from the start")
def test_a_file_that_came_meanwhile_is_not_overwritten(tmp_path):
    target = tmp_path / "new"
    with (
        pytest.raises(OutputError, match="new: cannot be written: File exists"),
        files.atomic(target) as file,
    ):
        file.write(b"ours")
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs" and alone(target)


# ---- refusals


def test_an_existing_file_is_refused_without_force(target):
    with pytest.raises(
        OutputError, match=r"net.prototxt: exists; give another name, or --force"
    ) as caught:
        files.write(target, b"new")
    assert target.read_bytes() == b"old" and alone(target)
    assert isinstance(caught.value, FcnkitError) and isinstance(caught.value, OSError)


def test_existing_is_refused_before_anything_is_computed(target):
    with pytest.raises(OutputError), files.atomic(target):
        pytest.fail("the body was entered")


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_is_refused(tmp_path, force):
    with pytest.raises(OutputError, match=": is a folder; name a file in it"):
        files.write(tmp_path, b"new", force=force)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(
        OutputError, match="out/net.prototxt: cannot be written: No such file or directory"
    ):
        files.write(tmp_path / "out" / "net.prototxt", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_refused(target):
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        files.write(target / "net.prototxt", b"new")
    assert target.read_bytes() == b"old" and alone(target)


def test_a_name_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(
        OutputError, match="x: cannot be written: File name too long; give a shorter"
    ):
        files.write(tmp_path / ("x" * 256), b"new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("force", [False, True])
def test_a_device_or_a_pipe_is_not_replaced_by_a_file(tmp_path, force):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="pipe: is a device or a pipe; name a file"):
        files.write(tmp_path / "pipe", b"new", force=force)
    assert (tmp_path / "pipe").is_fifo() and alone(tmp_path / "pipe")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written: Permission denied"):
        files.write(tmp_path / "net.prototxt", b"new")


ERRORS = [ValueError("ours"), KeyboardInterrupt(), SystemExit(3), OutputError("theirs")]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_on_the_way_leaves_the_old_file_and_passes_through(target, error):
    with pytest.raises(type(error)) as caught, files.atomic(target, force=True) as file:
        file.write(b"half")
        raise error
    assert caught.value is error
    assert target.read_bytes() == b"old" and alone(target)


def test_an_error_of_the_system_on_the_way_says_which_file(target):
    with (
        pytest.raises(
            OutputError, match=r"net.prototxt: cannot be written: No space left on device"
        ),
        files.atomic(target, force=True),
    ):
        raise OSError(28, os.strerror(28))
    assert target.read_bytes() == b"old" and alone(target)


def test_an_error_without_a_number_keeps_its_words(tmp_path):
    with (
        pytest.raises(OutputError, match="cannot be written: nothing more"),
        files.atomic(tmp_path / "x"),
    ):
        raise OSError("nothing more")
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_no_new_file(tmp_path):
    with pytest.raises(ZeroDivisionError), files.atomic(tmp_path / "net.prototxt"):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


# ---- in a process of its own


def program(code: str, *arguments: str | Path) -> subprocess.Popen:
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys\nfrom fcnkit import files\n{code}",
            *map(str, arguments),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    files.write(sys.argv[1], bytes(10_000_000), force=True)
except OSError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("old", [b"old", None])
def test_a_disk_that_is_full_leaves_what_was_there(target, old):
    if old is None:
        target.unlink()
    said, wrong = program(FULL, target).communicate(timeout=60)
    assert said == f"OutputError {target}: cannot be written: File too large\n", wrong
    assert os.listdir(target.parent) == ([target.name] if old else [])
    assert old is None or target.read_bytes() == old


SAVE_UNTIL_KILLED = """
print("ready", flush=True)
for letter in iter("abcdefgh" * 100_000):
    with files.atomic(sys.argv[1], force=True) as file:
        for _ in range(64):
            file.write(letter.encode() * 10_000)
"""


@pytest.mark.parametrize("after", [0.0, 0.003, 0.01, 0.03, 0.1])
def test_a_kill_in_the_middle_leaves_a_whole_file(target, after):
    process = program(SAVE_UNTIL_KILLED, target)
    assert process.stdout.readline() == "ready\n"
    with process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(after)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    data = target.read_bytes()
    assert data == b"old" or (len(data) == 640_000 and len(set(data)) == 1)


# In the background of a shell SIGINT is ignored, and the process would inherit that.
STOP_HALFWAY = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
with files.atomic(sys.argv[1], force=True) as file:
    file.write(b"half")
    file.flush()
    print("ready", flush=True)
    import time
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_stopped_halfway_leaves_the_old_file(target, number):
    process = program(STOP_HALFWAY, target)
    assert process.stdout.readline() == "ready\n"
    with process:
        process.send_signal(number)
        process.wait(30)
    assert process.returncode != 0 and target.read_bytes() == b"old"
    if number == signal.SIGINT or hasattr(os, "O_TMPFILE"):
        assert alone(target)


# ---- writing behind


@pytest.mark.parametrize("sizes", [[0], [1, 2, 3], [9 << 20, 0, 1, 5 << 20, 5 << 20]])
def test_what_is_written_behind_is_what_was_given(tmp_path, sizes):
    parts = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    target = tmp_path / "big"
    target.write_bytes(b"old")
    for size in (0, sum(sizes), sum(sizes) + (20 << 20)):
        with files.atomic(target, force=True, size=size) as file:
            for part in parts:
                file.write(memoryview(part))
        assert target.read_bytes() == b"".join(parts)


def synced(monkeypatch):
    calls = []
    monkeypatch.setattr(os, "fsync", lambda file: calls.append(os.fstat(file).st_size))
    return calls


@pytest.mark.parametrize(
    ("size", "old", "waits"),
    [(10, False, True), (10, True, True), (65 << 20, False, False), (65 << 20, True, True)],
)
def test_the_disk_is_waited_for_unless_a_large_file_is_new(tmp_path, monkeypatch, size, old, waits):
    target, calls = tmp_path / "file", synced(monkeypatch)
    if old:
        target.write_bytes(b"old")
    with files.atomic(target, force=True, size=size) as file:
        file.write(bytes(size))
    assert calls == [size] * waits
    assert target.stat().st_size == size
