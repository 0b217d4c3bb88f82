"""A save of any format leaves the old file or the whole new one,
whatever happens, and nothing else.
"""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from readings import ours

from fcnkit.cli.main import main
from fcnkit.errors import OutputError, WeightsError
from fcnkit.weights import store

ROOT = Path(store.__file__).parents[2]
KINDS = {"layer": "caffemodel", "layers": "caffemodel", "hdf5": "caffemodel.h5", "npz": "npz"}


def weights_of(kind: str, value: float = 1, count: int = 40_000):
    """Weights that are told from others by their values."""
    weights = store.create().put("fc", [np.full((2, count), value), np.full(7, value)])
    return weights.put("top", [np.full((3, 3), value)]).to(kind)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def target(tmp_path, kind) -> Path:
    """An old file of this kind, alone in its folder."""
    path = tmp_path / "folder" / f"net.{KINDS[kind]}"
    path.parent.mkdir()
    weights_of(kind, 0).save(path)
    return path


def alone(path: Path) -> bool:
    return os.listdir(path.parent) == [path.name]


def run(code: str, *arguments) -> str:
    """What a program says that knows `store`, `files` and the like."""
    head = (
        "import os, resource, signal, sys, time\nimport numpy as np\nfrom fcnkit.weights "
        "import store\n"
    )
    words = [sys.executable, "-c", head + textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


KILLED = """
    import random
    target, versions = sys.argv[1], [store.open(path) for path in sys.argv[2:]]
    whole = [open(path, "rb").read() for path in sys.argv[2:]]
    others = [
        version.put("other", [[number]]).drop("other")
        for number, version in enumerate(versions)
    ]
    import h5py, zipfile
    generator, seen, left = random.Random(3), set(), 0
    for _ in range(200):
        child = os.fork()
        if child == 0:
            while True:
                for version in others:
                    version.save(target, force=True)
        time.sleep(generator.uniform(0, 0.012))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with open(target, "rb") as file:
            data = file.read()
        assert data in whole, len(data)
        seen.add(whole.index(data))
        for name in os.listdir(os.path.dirname(target)):
            if name != os.path.basename(target):
                with open(os.path.join(os.path.dirname(target), name), "rb") as file:
                    assert file.read() in whole, name  # between its name and its place
                os.unlink(file.name)
                left += 1
    print(len(seen), left)
"""


@pytest.mark.skipif(
    not hasattr(os, "O_TMPFILE"), reason="elsewhere a temporary file is left by a kill"
)
def test_200_kills_leave_whole_files(tmp_path, target, kind):
    paths = [tmp_path / f"{number}.{KINDS[kind]}" for number in range(3)]
    for number, path in enumerate(paths):
        weights_of(kind, number).save(path)
    seen, left = map(int, run(KILLED, target, *paths).split())
    assert seen > 1 and left < 10


FULL = """
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    kind, target, full = sys.argv[1:]
    weights = store.create().put("fc", [np.ones((2, 40_000)), np.ones(7)]).to(kind)
    for limit in (0, 100, 1500, 4096, 100_000, int(full) - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            weights.save(target, force=True)
        except OSError as error:
            print(type(error).__name__, error)
    print("end")
"""


@pytest.mark.parametrize("old", [True, False])
def test_a_full_disk(tmp_path, target, kind, old):
    """Wherever in the file the room ends:
    an error, what was there before, and a process that goes on.
    """
    before = target.read_bytes()
    store.create().put("fc", [np.ones((2, 40_000)), np.ones(7)]).to(kind).save(tmp_path / "whole")
    if not old:
        target.unlink()
    said = run(FULL, kind, target, (tmp_path / "whole").stat().st_size).splitlines()
    assert said == [f"OutputError {target}: cannot be written: File too large"] * 6 + ["end"]
    assert os.listdir(target.parent) == [target.name] * old
    assert not old or target.read_bytes() == before


LOCKED = """
    target = sys.argv[1]
    weights = store.open(target).put("fc", [[1.0]])
    import zipfile, h5py, numpy.lib.format
    if os.getuid() == 0:
        os.setgid(65534), os.setuid(65534)
    for path in (target, target + ".new"):
        try:
            weights.save(path, force=True)
        except OSError as error:
            print(type(error).__name__, str(error).partition(": ")[2])
"""


def test_a_folder_that_may_not_be_written(target):
    before = target.read_bytes()
    folder = Path(tempfile.mkdtemp())  # where others than root may look
    try:
        moved = folder / target.name
        shutil.copy(target, moved)
        folder.chmod(0o555)
        assert (
            run(LOCKED, moved)
            == "OutputError cannot be written: Permission denied; write into a folder of your own\n"
            * 2
        )
        assert moved.read_bytes() == before and alone(moved)
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_the_source_can_be_the_target(target, kind):
    weights = store.open(target)
    changed = weights.put("fc", [blob.array() + 1 for blob in weights["fc"]]).rename(
        {"top": "last"}
    )
    expected = ours(changed)
    changed.save(target, force=True)
    assert ours(store.open(target)) == expected and alone(target)
    assert float(weights["fc"][0].array()[0, 0]) == 0  # the old file lives on under what was opened


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o444])
def test_permissions_stay(target, mode):
    target.chmod(mode)
    store.open(target).put("fc", [[1.0]]).save(target, force=True)
    assert stat.S_IMODE(target.stat().st_mode) == mode


@pytest.mark.parametrize("force", [True, False])
def test_saves_at_once(target, kind, force):
    """With force one of them is there; without it the first, and the others are told."""
    if not force:
        target.unlink()
    refused = []

    def save(version):
        try:
            version.save(target, force=force)
        except OutputError as error:
            refused.append(str(error))

    versions = [weights_of(kind, value) for value in range(1, 6)]
    threads = [threading.Thread(target=save, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ours(store.open(target)) in [ours(version) for version in versions] and alone(target)
    assert len(refused) == (0 if force else 4) and all("exist" in each for each in refused)


def test_an_error_while_values_are_made_leaves_the_old_file(target, kind):
    before = target.read_bytes()

    def chunks():
        yield bytes(4)
        raise KeyboardInterrupt

    weights = store.open(target).put("new", [store.Lazy((2,), chunks)])
    with pytest.raises(KeyboardInterrupt):
        weights.save(target, force=True)
    with pytest.raises(WeightsError, match="expected 8 bytes of values, found 4"):
        store.open(target).put("new", [store.Lazy((2,), lambda: [bytes(4)])]).save(
            target, force=True
        )
    assert target.read_bytes() == before and alone(target)


def test_a_source_that_changes_while_it_is_read_gives_no_file(target, kind):
    """It is changed when its last blob has been begun."""
    source = target.parent.parent / "source"
    shutil.copy(target, source)
    weights, before = store.open(source), target.read_bytes()

    def chunks():
        os.utime(source, (1, 1))
        yield bytes(4)

    with pytest.raises(WeightsError, match="changed after it was opened"):
        weights.put("aaa", [store.Lazy((1,), chunks)]).put("zzz", weights["fc"]).save(
            target, force=True
        )
    assert target.read_bytes() == before and alone(target)


# the command line


def convert(*words) -> "object":
    return CliRunner().invoke(main, ["convert", *map(str, words)])


@pytest.mark.parametrize("end", ["caffemodel.h5", "npz", "caffemodel"])
def test_convert_in_place(target, kind, end):
    """Into its own format or another, over itself: the source is read while it is replaced."""
    before, target = ours(store.open(target)), target.rename(target.with_name(f"own.{end}"))
    data = target.read_bytes()
    refused = convert(target, target)
    assert refused.exit_code == 2 and "exists" in refused.output
    assert target.read_bytes() == data and alone(target)
    done = convert(target, target, "--force")
    assert done.exit_code == 0, done.output
    assert ours(store.open(target)) == before and alone(target)


def test_convert_round_and_back(target, tmp_path):
    before, folder = ours(store.open(target)), tmp_path / "all"
    folder.mkdir()
    last = target
    for end in ("caffemodel.h5", "npz", "caffemodel", "npz", "caffemodel.h5", "caffemodel"):
        done = convert(last, folder / f"net.{end}", "--force")
        assert done.exit_code == 0, done.output
        last = folder / f"net.{end}"
        assert ours(store.open(last)) == before
    assert sorted(os.listdir(folder)) == ["net.caffemodel", "net.caffemodel.h5", "net.npz"]


def test_convert_of_a_damaged_file_writes_nothing(target, tmp_path):
    target.write_bytes(target.read_bytes()[:-5])
    for end in ("caffemodel.h5", "npz", "caffemodel"):
        done = convert(target, tmp_path / f"out.{end}")
        assert done.exit_code == 2 and "byte" in done.output
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="elsewhere it has a temporary name")
def test_it_is_without_a_name_until_it_is_whole(target):
    """Nothing is seen in the folder while a file is on its way."""
    seen = []

    def chunks():
        seen.append(os.listdir(target.parent))
        yield bytes(4)

    store.open(target).put("new", [store.Lazy((1,), chunks)]).save(target, force=True)
    assert seen == [[target.name]]
