"""Hostile and broken weights files: refused, or read as the format's own library reads them."""

import hashlib
import os
import random
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from make_attacks import ATTACKS
from memory_peak import PEAK
from readings import ours, reading
from small_files import SOLVERSTATE, hdf5, npz
from small_models import V1, V2, dims, floats, message, whole

from fcnkit.errors import WeightsError
from fcnkit.weights import store

FOLDER = Path(__file__).with_name("attacks")
FILES = sorted(path.name for path in FOLDER.iterdir())
# As small as they can be: these are broken at every byte.
TINY = {"fc": [np.array([[1, 2]], "<f4")]}
SMALL = {
    "V1": V1,
    "V2": V2,
    "solverstate": SOLVERSTATE,
    "npz": npz(),
    "hdf5": hdf5(TINY),
    "hdf5-1.8": hdf5(TINY, libver=("v108", "v108")),
}


@pytest.fixture
def check(tmp_path):
    """A file of these bytes is refused, or read as its own library reads it;
    what was read, or None.
    """
    path = tmp_path / "file"

    def check(data: bytes):
        path.write_bytes(data)
        try:
            weights = store.open(path)
            found = ours(weights)
        except WeightsError as error:
            assert (
                str(error).startswith(f"{path}: ") and ";" in str(error) and "\n" not in str(error)
            )
            assert re.search(r"byte \d+|blobs numbered", str(error)) and len(str(error)) < 1000
            return None
        assert found == reading(data, weights.kind)
        return found

    return check


# files that were made or found


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_folder(check, name):
    check((FOLDER / name).read_bytes())


@pytest.mark.parametrize("name", [name for name, (_, words) in ATTACKS.items() if words])
def test_the_refusal_says_what_is_wrong(name):
    with pytest.raises(WeightsError, match=ATTACKS[name][1]):
        ours(store.open(FOLDER / name))


def test_every_file_made_by_hand_is_there():
    assert set(FILES) >= set(ATTACKS) and all(
        name in ATTACKS or name.startswith("found-") for name in FILES
    )


def test_what_is_right_is_read(check):
    for data in SMALL.values():
        assert check(data)
    assert check((FOLDER / "v2-a-layer-twice").read_bytes())["fc"][0][0] == (2, 3)
    for name in ("v2-empty-doubles-before-floats", "v2-signalling-nan"):
        assert check((FOLDER / name).read_bytes())


# every byte


@pytest.mark.parametrize("kind", SMALL)
def test_cut_at_every_byte(check, kind):
    data = SMALL[kind]
    for length in range(len(data)):
        found = check(data[:length])
        assert found is None or kind in ("V1", "V2", "solverstate")  # may end after any layer


@pytest.mark.parametrize("kind", SMALL)
def test_every_byte_broken(check, kind):
    data, generator = SMALL[kind], random.Random(kind)
    for at in range(len(data)):
        for wrong in {data[at] ^ 1 << generator.randrange(8), data[at] ^ 255}:
            if (
                kind != "hdf5" or data[at] or generator.random() < 0.2
            ):  # four in five are zeros that say nothing
                check(data[:at] + bytes([wrong]) + data[at + 1 :])


# the fuzzer


SEEDS = [*SMALL.values(), *((FOLDER / name).read_bytes() for name in FILES)]
MAGIC = re.compile(rb"\x89HDF|PK|")
EXAMPLES = int(os.environ.get("FCNKIT_FUZZ") or 800)
NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1]


@st.composite
def broken(draw, seeds) -> bytes:
    """A file with a few things wrong: bits, bytes, numbers, cuts, and pieces from elsewhere."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        what = draw(st.sampled_from(("flip", "byte", "number", "splice", "delete", "cut")))
        if what == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "byte":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif what == "number":
            size = draw(st.sampled_from((2, 4, 8)))
            value = draw(st.sampled_from([*NUMBERS, len(data), at]))
            data[at : at + size] = (value % 256**size).to_bytes(size, "little")
        elif what == "splice":
            other = draw(st.sampled_from(seeds))
            start = draw(st.integers(0, len(other)))
            replaced = draw(st.integers(0, 64))
            data[at : at + replaced] = other[start : start + draw(st.integers(0, 64))]
        elif what == "delete":
            del data[at : at + draw(st.integers(1, 16))]
        elif what == "cut" and at > 16:
            del data[at:]
    return bytes(data)


def kept(data: bytes) -> Path:
    """The smallest file that fails is in the folder from now on."""
    path = FOLDER / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("magic", [b"\x89HDF", b"PK", b""])
def test_fuzz(check, magic):
    """What fails is kept; give it a name that says
    what it is.  FCNKIT_FUZZ=100000 looks for longer.
    """
    failed, seeds = [], [seed for seed in SEEDS if MAGIC.match(seed)[0] == magic]

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(broken(seeds))
    def attack(data):
        try:
            check(data)
        except BaseException:
            failed.append(data)
            raise

    try:
        attack()
    except BaseException:
        if failed:
            print(f"kept as {kept(failed[-1])}")
        raise


# bombs


BOMBS = {
    "nested": lambda: nested(10_000),
    "unknown fields": lambda: V2 + whole(900, 1) * 50_000,
    "layers": lambda: b"\xa2\x06\x00" * 200_000,
    "blobs": lambda: message(100, message(7, dims(0)) * 150_000),
    "stretches": lambda: message(
        100, message(7, (message(5, floats(1)) + whole(9, 0)) * 1000 + dims(1000)) * 50
    ),
    "shapes": lambda: message(100, message(7, whole(1, 1) * 500_000)),
    "history": lambda: whole(1, 1) + message(3, dims(0)) * 150_000,
    "entries": lambda: many_entries(5000),
    "groups": lambda: hdf5({f"layer{number}": [] for number in range(500)}),
}


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = message(2, data)
    return data


def many_entries(count: int) -> bytes:
    """An .npz whose directory names one array many times."""
    data = npz(TINY)
    start = data.index(b"PK\1\2")
    entry, end = data[start:-22], data[-22:]
    ends = (
        end[:8]
        + 2 * count.to_bytes(2, "little")
        + (count * len(entry)).to_bytes(4, "little")
        + end[16:]
    )
    return data[:start] + entry * count + ends


MEASURE = """
    import os, resource, sys, time
    from fcnkit.errors import WeightsError
    from fcnkit.weights import store
    import h5py, zipfile
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20),) * 2)
    before = peak()
    for path in sys.argv[1:]:
        began = time.process_time()
        try:
            for blobs in store.open(path).values():
                for blob in blobs:
                    blob.array()
        except WeightsError as error:
            assert "emory" not in str(error), error
        print(time.process_time() - began, path, file=sys.stderr)
    print(peak() - before)
"""


def growth(*paths: Path) -> int:
    """How many KB a process grows that opens these files
    and reads their values, in little memory.
    """
    words = [sys.executable, "-c", PEAK + textwrap.dedent(MEASURE), *map(str, paths)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="measured by Linux's means")
def test_no_file_takes_memory_for_what_it_claims():
    assert growth(*(FOLDER / name for name in FILES)) < 8 << 10


@pytest.mark.skipif(sys.platform != "linux", reason="measured by Linux's means")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_small_parts(tmp_path, name):
    path = tmp_path / "bomb"
    path.write_bytes(BOMBS[name]())
    assert growth(path) < 40 << 10


def test_damage_in_an_npz_is_found_when_it_is_read(tmp_path):
    """Its checksums are of the values too: a copy is refused as well as an array."""
    (tmp_path / "bad").write_bytes((FOLDER / "npz-wrong-checksum").read_bytes())
    weights = store.open(tmp_path / "bad")
    with pytest.raises(
        WeightsError, match='layer "fc", blob 0, byte .* expected values with checksum'
    ):
        weights.to("layer").save(tmp_path / "out")
    assert os.listdir(tmp_path) == ["bad"]
