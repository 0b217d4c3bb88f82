"""LMDBs are read as LMDB reads them, and a damaged one is a DatasetError, never a signal."""

import os
import random
import struct
from itertools import islice, pairwise
from pathlib import Path

import lmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnkit.datasets import databases
from fcnkit.errors import DatasetError
from fcnkit.formats.lmdbs import Database

# An inline value, one that barely is, one that is not, and one of several pages.
SIZES = (0, 1, 700, 1985, 2100, 9000)


def fill(folder: Path, pairs) -> Path:
    """A database of these pairs."""
    with lmdb.open(str(folder), map_size=1 << 26) as store, store.begin(write=True) as transaction:
        for key, value in pairs:
            transaction.put(key, value)
    return folder


def taken(folder: Path) -> list[tuple[bytes, bytes]]:
    with Database(folder) as database:
        return [(key, read()) for key, read in database.entries()]


def by_lmdb(folder: Path) -> list[tuple[bytes, bytes]]:
    with lmdb.open(str(folder), readonly=True, lock=False) as store, store.begin() as transaction:
        return list(transaction.cursor())


def numbered(count: int) -> list[tuple[bytes, bytes]]:
    return [
        (b"%08d_x" % number, bytes([number % 251]) * SIZES[number % len(SIZES)])
        for number in range(count)
    ]


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.binary(min_size=1, max_size=511), st.binary(max_size=9000), max_size=40))
def test_entries_are_those_of_lmdb(tmp_path_factory, pairs):
    folder = fill(tmp_path_factory.mktemp("db"), pairs.items())
    assert taken(folder) == by_lmdb(folder) == sorted(pairs.items())


def test_a_deep_tree_with_pages_freed_and_used_again(tmp_path):
    pairs = numbered(3000)
    fill(tmp_path, pairs)
    with lmdb.open(str(tmp_path), map_size=1 << 26) as store:
        for first in range(0, 3000, 700):
            with store.begin(write=True) as transaction:
                for key, _ in pairs[first : first + 350]:
                    transaction.delete(key)
        assert store.stat()["depth"] > 2
    assert taken(tmp_path) == by_lmdb(tmp_path)
    with Database(tmp_path) as database:
        database.check()
        assert database.count == len(by_lmdb(tmp_path)) == 1400


def test_no_value_is_read_unasked(tmp_path, monkeypatch):
    fill(tmp_path, [(b"%08d" % number, bytes(1 << 16)) for number in range(100)])
    asked = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda *words: asked.append(words[1]) or pread(*words))
    with Database(tmp_path) as database:
        assert len(asked) == 2
        found = list(islice(database.entries(), 50))
        assert sum(asked) < 1 << 15
        assert found[7][1]() == bytes(1 << 16)
    assert sum(asked) < 1 << 17


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    folder = fill(tmp_path_factory.mktemp("whole"), numbered(260))
    with lmdb.open(str(folder), map_size=1 << 26) as store, store.begin(write=True) as transaction:
        transaction.delete(b"00000003_x")
        transaction.delete(b"00000029_x")
    return (folder / "data.mdb").read_bytes()


def mutants(whole: bytes, count: int):
    """The file with bytes changed, mostly where its numbers stand, or cut off, or a page moved."""
    chance = random.Random(count)
    pages = len(whole) // 4096
    for number in range(count):
        data = bytearray(whole)
        kind = number % 4
        page = chance.randrange(pages) * 4096
        if kind == 0:
            data[page + chance.randrange(160)] = chance.choice((0, 1, 127, 128, 255))
        elif kind == 1:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif kind == 2:
            other = chance.randrange(pages) * 4096
            data[page : page + 4096] = data[other : other + 4096]
        else:
            del data[chance.randrange(len(data)) :]
        yield bytes(data)


def test_damage_is_an_error_and_this_process_lives(tmp_path, whole):
    count = refused = 0
    for data in mutants(whole, 4000):
        (tmp_path / "data.mdb").write_bytes(data)
        count += 1
        try:
            found = taken(tmp_path)
            with Database(tmp_path) as database:
                database.check()
        except DatasetError as error:
            refused += 1
            assert len(str(error)) < 400, error
            continue
        assert all(before < after for (before, _), (after, _) in pairwise(found))
        assert sum(len(value) for _, value in found) < len(data)
    assert count == 4000 and refused > 500


def test_loops_end(tmp_path, whole):
    """A branch whose every child is one leaf, and a tree whose root leads to itself."""
    main = max((struct.unpack_from("<Q", whole, at + 16 + 128)[0], at) for at in (0, 4096))[1]
    depth, root = main + 16 + 24 + 48 + 6, main + 16 + 24 + 48 + 40
    (page,) = struct.unpack_from("<Q", whole, root)
    at = page * 4096
    (lower,) = struct.unpack_from("<H", whole, at + 12)
    places = struct.unpack_from(f"<{(lower - 16) // 2}H", whole, at + 16)
    for target in (struct.unpack_from("<I", whole, at + places[0])[0], page):
        data = bytearray(whole)
        for place in places:
            struct.pack_into("<IH", data, at + place, target, 0)
        struct.pack_into("<H", data, depth, 2 if target != page else 32)
        (tmp_path / "data.mdb").write_bytes(data)
        with pytest.raises(DatasetError, match="is damaged"):
            taken(tmp_path)


def test_a_file_cut_while_it_is_read(tmp_path, whole):
    (tmp_path / "data.mdb").write_bytes(whole)
    with Database(tmp_path) as database, pytest.raises(DatasetError, match="it ends before byte"):
        entries = database.entries()
        next(entries)
        os.truncate(tmp_path / "data.mdb", 8192)
        for _, read in entries:
            read()


@pytest.mark.parametrize("flags", [4, 8])
def test_keys_that_repeat_or_are_numbers(tmp_path, whole, flags):
    data = bytearray(whole)
    for at in (0, 4096):
        data[at + 16 + 24 + 48 + 4] = flags
    (tmp_path / "data.mdb").write_bytes(data)
    with pytest.raises(DatasetError, match="keys that are numbers or repeat"):
        taken(tmp_path)


def test_several_databases_in_one(tmp_path):
    with lmdb.open(str(tmp_path), map_size=1 << 26, max_dbs=2) as store:
        inner = store.open_db(b"inner")
        with store.begin(write=True, db=inner) as transaction:
            transaction.put(b"a", b"1")
    with pytest.raises(DatasetError, match="holds several databases"):
        taken(tmp_path)


def test_an_interrupted_database_is_checked_before_lmdb_maps_it(tmp_path, whole):
    """Its list of free pages too, which LMDB follows as it writes."""
    fine = tmp_path / "fine"
    fine.mkdir()
    (fine / "data.mdb").write_bytes(whole)
    databases.DatabaseWriter(fine).close()
    refused = 0
    for number, data in enumerate(mutants(whole, 200)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "data.mdb").write_bytes(data)
        try:
            store = databases.DatabaseWriter(folder)
        except DatasetError:
            refused += 1
            continue
        store.put([(b"00000999_new", b"value")])
        store.close()
    assert refused > 50


def test_a_key_that_no_create_wrote(tmp_path):
    fill(tmp_path, [(b"zebra", b"x")])
    store = databases.DatabaseWriter(tmp_path)
    with pytest.raises(DatasetError, match="its last key is 'zebra'; start over"):
        store.after()
    store.close()
