"""Nothing that is of POSIX alone is needed to import fcnkit, or to use it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fcnkit import locks, system

ROOT = Path(__file__).resolve().parent.parent
# Modules that Windows lacks; for fcnkit's own imports they are not there.
POSIX = (
    "fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix", "spwd", "nis",
    "crypt", "readline", "curses", "_posixsubprocess", "_curses",
)  # fmt: skip
# Functions and numbers of os and signal that Windows lacks.
ABSENT = {
    "os": (
        "fchmod", "fchown", "chown", "pread", "preadv", "pwrite", "pwritev", "fork", "forkpty",
        "getuid", "geteuid", "getgid", "getegid", "getpgid", "setsid", "setpgid", "killpg",
        "posix_fadvise", "posix_fallocate", "register_at_fork", "sched_getaffinity", "statvfs",
        "uname", "mkfifo", "waitid", "wait3", "wait4", "WNOHANG", "O_CLOEXEC", "O_NONBLOCK",
        "O_TMPFILE", "O_DIRECTORY", "O_NOFOLLOW", "nice", "sysconf", "getloadavg",
    ),
    "signal": (
        "SIGHUP", "SIGKILL", "SIGALRM", "SIGUSR1", "SIGCHLD", "SIGPIPE", "pthread_sigmask",
        "setitimer",
    ),
}  # fmt: skip

HIDE = f"""
import importlib.abc, os, sys

class Hidden(importlib.abc.MetaPathFinder):
    names, asked = {POSIX!r}, []

    def find_spec(self, name, path=None, target=None):
        if name in self.names and self.who().startswith("fcnkit"):
            self.asked.append((self.who(), name))
            raise ModuleNotFoundError(f"no module named {{name!r}}", name=name)

    def who(self):
        frame = sys._getframe(2)
        while "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        return frame.f_globals.get("__name__", "")

def hide():
    for name in Hidden.names:  # what the interpreter and other libraries have is theirs
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Hidden())
"""
EVERY = """
import pkgutil, signal
WORKER = "fcnkit.engines._caffe_worker"  # runs in the Python that Caffe was built for

def modules():
    import fcnkit
    return [each.name for each in pkgutil.walk_packages(fcnkit.__path__, "fcnkit.")
            if each.name != WORKER and not each.name.startswith(LEFT)]

def imported():
    for name in modules():
        try:
            __import__(name)
        except ModuleNotFoundError as error:
            if error.name in Hidden.names:
                raise
            print("left out", name, error.name)
"""
# Python 2's modules are for scripts of their own, and lmdb's place is taken there on purpose.
LEFT = ("fcnkit.pycaffe.python2.modules",)


def run(code, *words, cwd=ROOT):
    code = f"LEFT = {LEFT!r}\n{HIDE}{EVERY}{code}"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_every_module_is_imported_without_modules_of_posix():
    out = run("hide(); imported(); print('all', len(modules()))")
    assert int(out.split("all ")[1]) > 300
    assert "left out fcnkit.files" not in out


def test_an_import_of_posix_would_be_found():
    code = "hide(); exec('import fcntl', {'__name__': 'fcnkit.runs'})"
    with pytest.raises(AssertionError, match="no module named 'fcntl'"):
        run(code)


# Other libraries are loaded with all that this system has, and fcnkit then without it.
WITHOUT = f"""
imported()
for name in [name for name in sys.modules if name.split(".")[0] == "fcnkit"]:
    del sys.modules[name]
import os, signal
for module, names in {ABSENT!r}.items():
    for name in names:
        vars(sys.modules[module]).pop(name, None)
hide()
"""


def test_every_module_is_imported_without_functions_of_posix():
    assert "all" in run(f"{WITHOUT}\nimported(); print('all')")


def test_nets_and_weights_are_changed_without_functions_of_posix(tmp_path):
    words = [
        ["fcn", "template:digits", "--classes", "3", "--stride", "4", "-o", "fcn"],
        ["convert", str(ROOT / "prototxt_templates/digits/digits.caffemodel"), "a.npz"],
        ["convert", "a.npz", "b.caffemodel"],
        ["convert", "a.npz", "b.caffemodel", "--force"],
        ["diff", "a.npz", "b.caffemodel"],
    ]
    code = f"""{WITHOUT}
from click.testing import CliRunner
from fcnkit.cli.main import main
for words in {words!r}:
    done = CliRunner().invoke(main, words)
    if done.exit_code:
        raise SystemExit(f"{{words}}: {{done.output}} {{done.exception!r}}")
"""
    run(code, cwd=tmp_path)
    assert (tmp_path / "fcn" / "train_val.prototxt").exists()


# ---- the parts that stand in


def test_a_file_is_read_from_a_place_with_and_without_pread(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(bytes(range(100)))
    with open(tmp_path / "file", "rb") as file:
        for lacks in ((), ("pread",), ("pread", "preadv")):
            for name in lacks:
                monkeypatch.delattr(system.os, name, raising=False)
            assert system.read_at(file.fileno(), 5, 90) == bytes(range(90, 95))
            assert system.read_at(file.fileno(), 20, 95) == bytes(range(95, 100))
            buffer = bytearray(8)
            assert system.read_into(file.fileno(), memoryview(buffer), 96) == 4
            assert buffer == bytes([96, 97, 98, 99, 0, 0, 0, 0])


HOLD = """
import sys
from fcnkit import locks
lock = locks.taken(sys.argv[1])
print(lock is not None, flush=True)
input()
"""


def test_a_lock_is_of_one_process_and_goes_with_it(tmp_path):
    lock = tmp_path / "lock"
    words = [sys.executable, "-c", HOLD, str(lock)]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(words, **options) as other:
        assert other.stdout.readline() == "True\n"
        assert locks.taken(lock) is None
        other.kill()
        other.wait()
    ours = locks.taken(lock)
    assert ours is not None and locks.taken(lock) is None
    ours.release()
    again = locks.taken(lock)
    assert again is not None
    again.release()


def test_a_lock_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        locks.taken(tmp_path / "file" / "lock")
