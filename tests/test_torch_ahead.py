"""Batches for PyTorch: the blobs of Caffe's own data layers, bit for bit."""

import os
import threading

import numpy as np
import pytest
from small_training import write_lmdb

from fcnkit.engines.caffe import Question
from fcnkit.errors import DatasetError, EngineError
from fcnkit.formats import prototxt, schema
from fcnkit.nets.graph import State, build

pytest.importorskip("torch")
pytest.importorskip("lmdb")
cv2 = pytest.importorskip("cv2")
h5py = pytest.importorskip("h5py")

from fcnkit.ahead import ahead  # noqa: E402
from fcnkit.training.torch.reading.ahead import batches  # noqa: E402
from fcnkit.training.torch.reading.draws import Draws  # noqa: E402

TRAIN, TEST = State("TRAIN"), State("TEST")
RANDOM = np.random.default_rng(5)
IMAGES = [RANDOM.integers(0, 256, (3, 7, 9), dtype=np.uint8) for _ in range(5)]
GRAYS = [RANDOM.integers(0, 256, (1, 7, 9), dtype=np.uint8) for _ in range(5)]


def layer(name, kind, more, tops=("",), transform=""):
    said = " ".join(f'top: "{name}{top}"' for top in tops)
    more = f"{more} transform_param {{ {transform} }}"
    return f'layer {{ name: "{name}" type: "{kind}" {said} {more} }}\n'


def data(name, source, size, transform="", tops=("", "_label"), more=""):
    param = f'data_param {{ source: "{source}" batch_size: {size} backend: LMDB {more} }}'
    return layer(name, "Data", param, tops, transform)


def read(text, *, count=1, state=TRAIN, **options):
    """So many batches, one behind the other."""
    graph = build(prototxt.parse(text), state)
    with batches(graph, **options) as found:
        each = [next(found) for _ in range(count)]
    return {name: np.concatenate([one[name] for one in each]) for name in each[0]}


def write_entries(folder, datums):
    import lmdb

    folder.mkdir()
    with lmdb.open(str(folder), map_size=1 << 22) as store, store.begin(write=True) as transaction:
        for number, datum in enumerate(datums):
            transaction.put(b"%08d" % number, schema.message("Datum")(**datum).SerializeToString())


def picture(array, suffix):
    return cv2.imencode(suffix, array)[1].tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Databases, files and lists of every kind."""
    top = tmp_path_factory.mktemp("data")
    write_lmdb(top / "raw", IMAGES)
    write_lmdb(top / "gray", GRAYS)
    write_entries(
        top / "floats",
        [
            {
                "channels": 2,
                "height": 3,
                "width": 2,
                "label": n,
                "float_data": RANDOM.normal(size=12).tolist(),
            }
            for n in (7, -1)
        ],
    )
    smooth = [
        cv2.resize(RANDOM.integers(0, 256, (4, 5, 3), dtype=np.uint8), (20, 16)) for _ in range(3)
    ]
    palette = _palette_png(top / "palette.png")
    alpha = np.dstack([smooth[0], smooth[1][:, :, 0]])
    each = [
        picture(smooth[0], ".png"),
        picture(smooth[1], ".jpg"),
        picture(smooth[2], ".bmp"),
        palette,
    ]
    write_entries(top / "colours", [{"encoded": True, "data": one, "label": 3} for one in each])
    grays = [picture(cv2.cvtColor(one, cv2.COLOR_BGR2GRAY), ".png") for one in smooth]
    write_entries(top / "grays", [{"encoded": True, "data": one} for one in grays])
    write_entries(top / "alpha", [{"encoded": True, "data": picture(alpha, ".png")}])
    names = []
    for number, one in enumerate(each):
        names.append(f"image {number}.{['png', 'jpg', 'bmp', 'png'][number]}")
        (top / names[-1]).write_bytes(one)
    (top / "list.txt").write_text("".join(f"{name} {n * 3}\n" for n, name in enumerate(names)))
    blob = schema.message("BlobProto")(num=1, channels=3, height=7, width=9)
    blob.data.extend(RANDOM.uniform(0, 255, 3 * 7 * 9).tolist())
    (top / "mean.binaryproto").write_bytes(blob.SerializeToString())
    for number, rows in enumerate((2, 3)):
        with h5py.File(top / f"{number}.h5", "w") as file:
            file["rows"] = RANDOM.normal(size=(rows, 2, 3))
            file["rows_label"] = np.arange(rows, dtype=np.int32) + 10 * number
    (top / "h5.txt").write_text(f"{top}/0.h5\n{top}/1.h5\n")
    return top


def _palette_png(path):
    from PIL import Image

    image = Image.fromarray(RANDOM.integers(0, 4, (16, 20), dtype=np.uint8), "P")
    image.putpalette(RANDOM.integers(0, 256, 12, dtype=np.uint8).tobytes())
    image.save(path)
    return path.read_bytes()


def everything(top):
    """A net of data layers alone: every way in which they are read and changed."""
    means = "mean_value: 10.1 mean_value: 20 mean_value: 33.3"
    listed = f'source: "{top}/list.txt" root_folder: "{top}/"'
    return "".join(
        [
            data("plain", top / "raw", 7),
            data("ordered", top / "gray", 3, tops=("",)),
            data("scaled", top / "raw", 5, "scale: 0.0078125"),
            data("means", top / "raw", 5, f"{means} scale: 0.017"),
            data("one", top / "raw", 5, "mean_value: 99.9"),
            data("file", top / "raw", 5, f'mean_file: "{top}/mean.binaryproto"'),
            data(
                "cut",
                top / "raw",
                9,
                f'mean_file: "{top}/mean.binaryproto" crop_size: 4 scale: 0.1',
            ),
            data("turned", top / "gray", 9, "mirror: true crop_size: 7"),
            data("flipped", top / "raw", 9, "mirror: true"),
            data("floats", top / "floats", 3, "scale: 3 mean_value: 0.5"),
            data("coloured", top / "colours", 6),
            data("grayed", top / "colours", 4, "force_gray: true"),
            data("forced", top / "grays", 4, "force_color: true crop_size: 5 mirror: true"),
            data("alone", top / "grays", 4),
            data("alpha", top / "alpha", 1),
            data("skipped", top / "raw", 2, more="rand_skip: 3"),
            layer(
                "listed",
                "ImageData",
                f"image_data_param {{ {listed} batch_size: 6 }}",
                ("", "_label"),
            ),
            layer(
                "resized",
                "ImageData",
                f"image_data_param "
                f"{{ {listed} batch_size: 5 new_height: 9 new_width: 31 is_color: false }}",
                ("", "_label"),
                "mirror: true",
            ),
            layer(
                "mixed",
                "ImageData",
                f"image_data_param {{ {listed} batch_size: 9 shuffle: true }}",
                ("", "_label"),
                "crop_size: 3",
            ),
            layer(
                "later",
                "ImageData",
                f"image_data_param {{ {listed} batch_size: 2 rand_skip: 3 }}",
                ("", "_label"),
            ),
            f'layer {{ name: "h5" type: "HDF5Data" top: "rows" top: "rows_label" '
            f'hdf5_data_param {{ source: "{top}/h5.txt" batch_size: 7 }} }}\n',
        ]
    )


# Laws


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_the_blobs_are_caffes(caffe, folder, phase):
    text, state = everything(folder), State(phase)
    (theirs,) = caffe.ask([Question("run", prototxt.parse(text), None, state=state, seed=11)])
    assert not isinstance(theirs, EngineError), theirs
    ours = read(text, state=state, chance=Draws(11))
    assert set(ours) == set(theirs)
    for name, array in theirs.items():
        assert ours[name].dtype == np.float32 and np.array_equal(ours[name], array), name


def test_batches_go_on_where_the_last_one_ended(folder):
    text = data("x", folder / "raw", 14, "mirror: true crop_size: 3")
    whole = read(text, chance=Draws(3))
    parts = read(text.replace("batch_size: 14", "batch_size: 2"), count=7, chance=Draws(3))
    assert np.array_equal(whole["x"], parts["x"])


def test_processes_share_the_training_items_alone(folder):
    listed = (
        f'image_data_param {{ source: "{folder}/list.txt" root_folder: "{folder}/" batch_size: 1 }}'
    )
    rows = f'hdf5_data_param {{ source: "{folder}/h5.txt" batch_size: 1 }}'
    text = (
        data("x", folder / "raw", 1)
        + layer("y", "ImageData", listed)
        + (f'layer {{ name: "h5" type: "HDF5Data" top: "rows" top: "rows_label" {rows} }}')
    )
    one = read(text, count=12)
    shares = [read(text, count=6, rank=rank, ranks=2) for rank in (0, 1)]
    for name, array in one.items():
        assert np.array_equal(
            np.stack([share[name] for share in shares], 1).reshape(array.shape), array
        )
    test = read(text, count=6, state=TEST, rank=1, ranks=2)
    assert np.array_equal(test["x"], one["x"][:6])


def test_images_of_several_sizes_come_one_at_a_time(tmp_path):
    write_lmdb(tmp_path / "d", [IMAGES[0], IMAGES[0][:, :5]])
    graph = build(prototxt.parse(data("x", tmp_path / "d", 1)), TRAIN)
    with batches(graph) as found:
        assert [next(found)["x"].shape for _ in range(3)] == [
            (1, 3, 7, 9),
            (1, 3, 5, 9),
            (1, 3, 7, 9),
        ]
    with pytest.raises(EngineError, match="an image is 3 x 5 x 9 in a batch of 3 x 7 x 9"):
        read(data("x", tmp_path / "d", 2))


def test_old_files_say_the_transformation_elsewhere(folder):
    old = f"""layers {{ name: "x" type: DATA top: "x" 
  data_param {{ source: "{folder}/raw" batch_size: 5
      backend: LMDB scale: 0.5 crop_size: 5 mean_file: "{folder}/mean.binaryproto" }} }}"""
    new = data(
        "x", folder / "raw", 5, f'scale: 0.5 crop_size: 5 mean_file: "{folder}/mean.binaryproto"'
    )
    assert np.array_equal(read(old, state=TEST)["x"], read(new, state=TEST)["x"])


def test_a_seed_says_what_is_drawn(folder):
    text = data("x", folder / "raw", 9, "mirror: true crop_size: 3")
    one, same, other = (read(text, chance=Draws(seed))["x"] for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert not np.array_equal(read(text)["x"], read(text)["x"])


# Reading ahead


def test_reading_ahead_is_bounded_and_ends_with_its_block():
    made, before = [], threading.active_count()
    enough = threading.Semaphore(0)

    def items():
        while True:
            made.append(len(made))
            enough.release()
            yield made[-1]

    with ahead(items(), 2) as found:
        for _ in range(3):  # two in the queue, one in the thread's hand
            assert enough.acquire(timeout=60)
        assert not enough.acquire(timeout=0.3)
        assert [next(found) for _ in range(5)] == [0, 1, 2, 3, 4]
        assert len(made) <= 8
    assert threading.active_count() == before


def test_what_goes_wrong_in_the_thread_is_said_where_it_is_asked_for():
    def items():
        yield 1
        raise EngineError("two")

    with ahead(items(), 3) as found:
        assert next(found) == 1
        with pytest.raises(EngineError, match="two"):
            next(found)
    with ahead(iter_of([]), 1) as found:
        assert list(found) == []


def iter_of(items):
    yield from items


# Refusals


@pytest.mark.parametrize(
    "text, message",
    [
        (
            'layer { name: "x" type: "Data" top: "x" data_param { source: "a" batch_size: 1 } }',
            'x.prototxt:1: layer "x": PyTorch engine: its backend is LEVELDB; make an LMDB of it',
        ),
        (
            'layer { name: "x" type: "Input" top: "x" }',
            "of the type Input, whose data comes from outside",
        ),
        ('layer { name: "x" type: "MemoryData" top: "x" top: "y" }', "of the type MemoryData"),
        (
            'layer { name: "x" type: "Data" top: "x" data_param { backend: LMDB } }',
            "it names no source",
        ),
        (
            'layer { name: "x" type: "ImageData" top: "x" image_data_param { source: "none" } }',
            "its source 'none' cannot be read: No such file",
        ),
        (
            'layer { name: "x" type: "HDF5Data" top: "x" hdf5_data_param { source: "none" '
            "batch_size: 1 } }",
            "its source 'none' cannot be read",
        ),
    ],
)
def test_what_is_not_read(text, message):
    graph = build(prototxt.parse(text, "x.prototxt"), TRAIN)
    with pytest.raises(EngineError) as caught, batches(graph):
        pass
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda top: data("x", top / "none", 1), "is not an LMDB"),
        (lambda top: data("x", top / "raw", 0), "its batch_size is 0"),
        (
            lambda top: data("x", top / "raw", 1, more="seed: 1"),
            r'Caffe has no field "seed" \(line 1\)',
        ),
        (
            lambda top: data("x", top / "raw", 1, "crop_size: 8"),
            "an image is 7 x 9; crop_size 8 is larger",
        ),
        (
            lambda top: data("x", top / "raw", 1, "mean_value: 1 mean_value: 2"),
            "2 mean_value for 3 channels",
        ),
        (
            lambda top: data("x", top / "gray", 1, f'mean_file: "{top}/mean.binaryproto"'),
            "its mean is 3 x 7 x 9 and an image 1 x 7 x 9",
        ),
        (
            lambda top: data("x", top / "raw", 1, 'mean_file: "none"'),
            "its mean_file 'none' cannot be read",
        ),
        (
            lambda top: data("x", top / "raw", 1, 'mean_file: "a" mean_value: 1'),
            "both mean_file and",
        ),
        (lambda top: data("x", top / "raw", 1, "force_color: true force_gray: true"), "keep one"),
        (lambda top: data("x", top / "short", 1), "entry 00000000 has 5 values for 1 x 2 x 3"),
        (
            lambda top: data("x", top / "junk", 1),
            "entry 00000000 is not a picture that OpenCV knows",
        ),
        (lambda top: data("x", top / "deep", 1), "entry 00000000 has values of uint16"),
        (lambda top: data("x", top / "empty", 1), "is empty; fill it"),
    ],
)
def test_data_that_is_not_right(folder, make, message):
    if not (folder / "short").exists():
        write_entries(
            folder / "short", [{"channels": 1, "height": 2, "width": 3, "data": b"12345"}]
        )
        write_entries(folder / "junk", [{"encoded": True, "data": b"12345"}])
        deep = picture(np.ones((3, 3), np.uint16), ".png")
        write_entries(folder / "deep", [{"encoded": True, "data": deep}])
        write_entries(folder / "empty", [])
    before = threading.active_count()
    with pytest.raises((EngineError, DatasetError), match=message):
        read(make(folder))
    assert threading.active_count() == before


def test_sources_are_relative_to_the_working_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    text = data("x", "raw", 1, 'mean_file: "mean.binaryproto"')
    assert np.array_equal(read(text)["x"], read(text.replace("raw", f"{os.getcwd()}/raw"))["x"])
