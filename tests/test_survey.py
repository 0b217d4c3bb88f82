"""Any LMDB of Datums is looked into: those of Caffe's tools, of DIGITS, of others; faults named."""

import io
import json
import subprocess

import lmdb
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from sketches import conv, fc, layer, net, weights

from fcnkit.cli.main import main
from fcnkit.datasets import survey as figures
from fcnkit.datasets.records import pictures, survey
from fcnkit.datasets.survey import Kind
from fcnkit.engines import caffe_runtime
from fcnkit.errors import DatasetError
from fcnkit.formats import datum, schema
from fcnkit.formats.lmdbs import Database


def fill(folder, pairs):
    """An LMDB of these pairs of key and Datum."""
    with lmdb.open(str(folder), map_size=1 << 26) as store, store.begin(write=True) as transaction:
        for key, value in pairs:
            data = value if isinstance(value, bytes) else value.SerializeToString()
            transaction.put(key, data)
    return folder


def entry(**values):
    return schema.message("Datum")(**values)


def raw(array, label=None):
    labelled = {} if label is None else {"label": label}
    channels, height, width = array.shape
    return entry(channels=channels, height=height, width=width, data=array.tobytes(), **labelled)


def encoded(array, kind="PNG", label=0):
    """A picture file of (height, width) or (height, width, 3)."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return entry(encoded=True, data=file.getvalue(), label=label)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def run(*words):
    return CliRunner().invoke(main, ["dataset", "inspect", *map(str, words)])


# ---- figures


def test_bytes(tmp_path):
    arrays = [noise(3, 4 + number % 2, 5, seed=number) for number in range(7)]
    pairs = [(b"%08d_a/%d.jpg" % (n, n), raw(each, n % 3)) for n, each in enumerate(arrays)]
    found = survey(fill(tmp_path / "db", pairs))
    assert found.records == 7 and found.faulty == found.unlabelled == 0
    assert dict(found.kinds) == {Kind("bytes", (3, 4, 5)): 4, Kind("bytes", (3, 5, 5)): 3}
    assert dict(found.labels) == {0: 3, 1: 2, 2: 2} and found.label_range == (0, 2)
    assert dict(found.key_forms) == {"8 digits, _ and a name": 7}
    every = np.concatenate([each.reshape(3, -1) for each in arrays], axis=1)
    assert found.values.mean == pytest.approx(every.mean(axis=1))
    assert (found.values.least, found.values.greatest) == (every.min(), every.max())


def test_pictures_are_decoded_blue_to_red(tmp_path):
    """As DIGITS stores them: PNG or JPEG, its label behind the number in the key."""
    colour, gray = noise(6, 5, 3), noise(6, 5)
    kinds = {
        b"00000000_4": encoded(colour, label=4),
        b"00000001_4": encoded(gray, label=4),
        b"00000002_5": encoded(colour, "JPEG", 5),
    }
    found = survey(fill(tmp_path / "db", kinds.items()))
    assert dict(found.kinds) == {
        Kind("PNG, colour", (3, 6, 5)): 1,
        Kind("PNG, gray", (1, 6, 5)): 1,
        Kind("JPEG, colour", (3, 6, 5)): 1,
    }
    assert dict(found.key_forms) == {"8 digits, _ and a number": 3}
    one = survey(fill(tmp_path / "one", [(b"0", encoded(colour))]))
    assert one.values.mean == pytest.approx(colour.reshape(-1, 3).mean(axis=0)[::-1])
    (drawn,) = pictures(tmp_path / "one", 4)
    assert np.array_equal(drawn.array, np.moveaxis(colour, 2, 0)[::-1])


def test_a_palette_is_decoded_as_opencv_does(tmp_path):
    image, file = Image.fromarray(noise(4, 4) % 4, "P"), io.BytesIO()
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(file, "PNG")
    found = survey(fill(tmp_path, [(b"0", entry(encoded=True, data=file.getvalue()))]))
    assert dict(found.kinds) == {Kind("PNG, colour", (3, 4, 4)): 1}


def test_features_are_floats_without_labels(tmp_path):
    values = np.random.default_rng(1).normal(size=(5, 64)).astype(np.float32)
    values[2, 3] = np.inf
    pairs = [
        (b"%010d" % number, entry(channels=64, height=1, width=1, float_data=each))
        for number, each in enumerate(values)
    ]
    found = survey(fill(tmp_path, pairs))
    assert dict(found.kinds) == {Kind("floats", (64, 1, 1)): 5}
    assert found.unlabelled == 5 and found.label_range is None
    finite = np.where(np.isfinite(values), values, 0)
    assert found.values.not_finite == 1 and found.values.mean == pytest.approx((finite.mean(),))
    assert "none in all 5 records; Caffe reads 0" in found.table()
    assert "1 infinite or NaN" in found.table()


def test_labels_images_say_their_classes(tmp_path):
    array = np.array([[[0, 1, 2, 255]], [[3, 3, 7, 0]]], np.uint8)
    found = survey(fill(tmp_path, [(b"%d" % n, raw(each[None])) for n, each in enumerate(array)]))
    assert found.values.distinct == (0, 1, 2, 3, 7, 255)
    assert "6 different: 0-3, 7, 255" in found.table()


def test_numbers_that_are_not_padded_are_told(tmp_path):
    pairs = [(b"%d" % number, raw(noise(1, 2, 2), 0)) for number in range(12)]
    found = survey(fill(tmp_path / "db", pairs))
    assert found.unpadded and (found.first_key, found.last_key) == ("0", "9")
    assert "which Caffe sorts as text, 10 before 2" in found.table()
    padded = fill(tmp_path / "two", [(b"%02d" % n, value) for n, (_, value) in enumerate(pairs)])
    assert not survey(padded).unpadded


def test_many_labels_are_counted_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("fcnkit.datasets.records.MOST_NUMBERS", 50)
    monkeypatch.setattr(figures, "MOST_NUMBERS", 50)
    pairs = [(b"%04d" % number, raw(noise(1, 1, 2), 3 * number - 9)) for number in range(60)]
    found = survey(fill(tmp_path, pairs))
    assert not found.labels and found.label_range == (-9, 168)
    assert "more than 50 different, from -9 to 168" in found.table()


def test_one_record_is_read_at_a_time(tmp_path, monkeypatch):
    fill(tmp_path, [(b"%04d" % number, raw(noise(1, 8, 8), 1)) for number in range(9)])
    open_now = []
    read = datum.read

    def counted(data):
        open_now.append(len(data))
        return read(data)

    monkeypatch.setattr(datum, "read", counted)
    progress = []
    found = survey(tmp_path, progress=lambda more: progress.append((more, len(open_now))))
    assert progress == [(1, number) for number in range(1, 10)] and found.records == 9


# ---- faults


def broken():
    """Ten records, four of them no Datums."""
    pairs = [(b"%08d" % number, raw(noise(3, 4, 4), 1).SerializeToString()) for number in range(10)]
    pairs[3] = pairs[3][0], pairs[3][1][:-5]
    pairs[5] = pairs[5][0], b"hello"
    pairs[7] = pairs[7][0], entry(channels=3, height=8, width=9, data=b"x").SerializeToString()
    cut = encoded(noise(40, 40, 3), "JPEG")
    cut.data = cut.data[:400]
    pairs[8] = pairs[8][0], cut.SerializeToString()
    return pairs


def test_faulty_records_are_named_with_status_1(tmp_path):
    fill(tmp_path, broken())
    result = run(tmp_path)
    assert result.exit_code == 1
    for words in (
        "faulty   4 of 10 records:",
        "00000003: is not a Datum (",
        "00000005: is not a Datum (",
        "00000007: has 1 value for 3 x 8 x 9",
        "00000008: is an encoded Datum, but its picture: cannot be read",
    ):
        assert words in result.stdout
    said = json.loads(run(tmp_path, "--json").stdout)
    assert said["faulty"] == 4
    assert [each["key"] for each in said["faults"]] == [f"0000000{n}" for n in (3, 5, 7, 8)]


def test_only_some_faults_are_named(tmp_path):
    pairs = [(b"%04d" % n, b"\xff") for n in range(100)] + [(b"9999", raw(noise(1, 2, 2), 0))]
    found = survey(fill(tmp_path, pairs))
    assert found.faulty == 100 and len(found.faults) == 20
    assert "and 80 more" in found.table()


def test_an_lmdb_of_something_else_is_refused(tmp_path):
    fill(tmp_path, [(b"a", b"x"), (b"b\n", b"yy")])
    result = run(tmp_path)
    assert result.exit_code == 2
    assert "none of its 2 records is a Datum; record 'a' is not a Datum (" in result.output
    with pytest.raises(DatasetError, match="the database of another tool"):
        survey(tmp_path)


def test_an_empty_one_has_nothing(tmp_path):
    result = run(fill(tmp_path / "db", []))
    assert result.exit_code == 0 and result.stdout.startswith("records  0; ")


def test_a_damaged_one_is_refused(tmp_path):
    fill(tmp_path / "db", [(b"%04d" % n, raw(noise(3, 40, 40), 0)) for n in range(20)])
    file = tmp_path / "db" / "data.mdb"
    file.write_bytes(file.read_bytes()[:-4096])
    result = run(tmp_path / "db")
    assert result.exit_code == 2 and "is cut off" in result.output


# ---- the command


def test_its_lines_fit_80_columns(tmp_path):
    pairs = [
        (b"%d_%s" % (n, b"long/name" * 20), raw(noise(1 + n % 2, 2 + n, 3), n * 7))
        for n in range(90)
    ]
    result = run(fill(tmp_path, pairs + [(b"~" * 300, b"\xff")]))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("82 other shapes, within 1-2 x " in line for line in lines)
    assert any("0 most often, once" in line for line in lines)


def test_labels_have_names(tmp_path):
    db = fill(tmp_path / "db", [(b"%d" % n, raw(noise(1, 2, 2), n % 2)) for n in range(5)])
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    result = run(db, "--classes", tmp_path / "names.txt")
    assert result.exit_code == 0 and "0 cat: 3; 1 dog: 2" in result.stdout


def test_it_may_be_named_by_its_file(tmp_path):
    fill(tmp_path, [(b"0", raw(noise(1, 2, 2), 0))])
    assert run(tmp_path / "data.mdb").stdout == run(tmp_path).stdout


def test_a_folder_of_others_says_which(tmp_path):
    for name in ("train_db", "val_db"):
        (tmp_path / name).mkdir()
        fill(tmp_path / name, [(b"0", raw(noise(1, 2, 2), 0))])
    result = run(tmp_path)
    assert result.exit_code == 2 and "holds train_db, val_db; name one of these" in result.output
    assert run(tmp_path / "train_db").exit_code == 0


def test_ignore_is_not_for_it(tmp_path):
    result = run(fill(tmp_path, [(b"0", raw(noise(1, 2, 2), 0))]), "--ignore", 3)
    assert result.exit_code == 2 and "--ignore is for a dataset of images and" in result.output


def test_a_sheet_has_colours_labels_and_classes(tmp_path):
    blue = np.zeros((3, 8, 8), np.uint8)
    blue[0] = 200
    classes = np.full((1, 8, 8), 1, np.uint8)
    depth = entry(channels=1, height=2, width=2, float_data=[0, 1, 2, 4])
    pairs = [(b"0", raw(blue, 3)), (b"1", raw(classes)), (b"2", depth), (b"3", b"\xff")]
    db, file = fill(tmp_path / "db", pairs), tmp_path / "sheet.png"
    assert run(db, "--sheet", file).exit_code == 1
    with Image.open(file) as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 20)}
    assert {(0, 0, 200), (128, 0, 0), (63, 63, 63), (255, 255, 255), (0, 0, 0)} <= colours
    again = run(db, "--sheet", file)
    assert again.exit_code == 2 and "exists" in again.output


def test_a_gray_picture_of_few_values_among_many_is_gray(tmp_path):
    """A digit has few grays, and all digits together have many: they are no classes."""
    flat = np.full((1, 8, 8), 200, np.uint8)
    db = fill(tmp_path / "db", [(b"0", raw(flat, 1)), (b"1", raw(noise(1, 20, 20), 2))])
    assert run(db, "--sheet", tmp_path / "sheet.png").exit_code == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    # Ink is not quite gray; a class's colour would be far from it.
    assert np.ptp(pixels, axis=2).max() < 16 and (pixels == 200).all(2).sum() > 1000


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (entry(channels=64, height=1, width=1, float_data=[0] * 64), "is 64 x 1 x 1, and a pict"),
        (raw(noise(2, 8, 8)), "is 2 x 8 x 8, and a picture has 1, 3 or 4 channels"),
    ],
)
def test_what_is_no_picture_is_not_drawn(tmp_path, record, words):
    db, file = fill(tmp_path / "db", [(b"0", record)]), tmp_path / "sheet.png"
    refused = run(db, "--sheet", file)
    assert refused.exit_code == 2 and words in refused.output and not file.exists()
    assert run(db).exit_code == 0


def test_a_sheet_reads_the_records_that_it_draws(tmp_path, monkeypatch):
    fill(tmp_path, [(b"%04d" % n, raw(noise(1, 4, 4), n)) for n in range(40)])
    asked, entries = [], Database.entries

    def counted(self):
        for key, read in entries(self):
            yield key, lambda key=key, read=read: asked.append(key) or read()

    monkeypatch.setattr(Database, "entries", counted)
    assert [each.label for each in pictures(tmp_path, 4)] == [0, 10, 20, 30]
    assert asked == [b"0000", b"0010", b"0020", b"0030"]


# ---- Caffe's own tools


def tool(name, *words):
    """One of Caffe's tools has done its work."""
    if not (caffe_runtime.runtime() / "bin" / name).is_file():
        pytest.skip(f"this Caffe has no {name}")
    command = [*caffe_runtime.command(name), *map(str, words)]
    done = subprocess.run(
        command, env=caffe_runtime.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_extract_features_writes(caffe, tmp_path):
    db = fill(tmp_path / "db", [(b"%02d" % n, raw(noise(1, 9, 9), n)) for n in range(10)])
    data_param = f'data_param {{ source: "{db}" batch_size: 5 backend: LMDB }}'
    feed = layer("data", "Data", more=f'top: "label" {data_param}')
    text = net(feed + conv("c", "data", 4, 3) + fc("f", "c", 20))
    weights(text, tmp_path / "net.caffemodel", inputs={"data": (5, 1, 9, 9)})
    (tmp_path / "net.prototxt").write_text(text.text)
    outs = f"{tmp_path / 'f'},{tmp_path / 'c'}"
    tool(
        "extract_features",
        tmp_path / "net.caffemodel",
        tmp_path / "net.prototxt",
        "f,c",
        outs,
        2,
        "lmdb",
    )
    for name, shape in (("f", (20, 1, 1)), ("c", (4, 7, 7))):
        found = survey(tmp_path / name)
        assert dict(found.kinds) == {Kind("floats", shape): 10} and found.unlabelled == 10
        assert dict(found.key_forms) == {"10 digits": 10} and not found.faulty


@pytest.mark.parametrize("options", [[], ["-encoded", "-encode_type=jpg"], ["-gray"]])
def test_what_convert_imageset_writes(caffe, tmp_path, options):
    lines = []
    for number in range(6):
        Image.fromarray(noise(9 + number % 2, 12, 3, seed=number)).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png {number % 3}\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    listed = tmp_path / "list.txt"
    tool("convert_imageset", *options, f"{tmp_path}/", listed, tmp_path / "db")
    found = survey(tmp_path / "db")
    stored = "JPEG, colour" if "-encoded" in options else "bytes"
    channels = 1 if "-gray" in options else 3
    shapes = {Kind(stored, (channels, height, 12)): 3 for height in (9, 10)}
    assert dict(found.kinds) == shapes and dict(found.labels) == {0: 2, 1: 2, 2: 2}
    assert dict(found.key_forms) == {"8 digits, _ and a name": 6}
    assert found.first_key == "00000000_0.png" and not found.faulty
