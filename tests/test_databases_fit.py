"""Labels against classes, before Caffe reads what lies beside its scores."""

import io

import numpy as np
import pytest
from small_training import NET, write_data, write_lmdb, write_net

from fcnkit.errors import DatasetError, NetError
from fcnkit.training import databases_fit
from fcnkit.training.recipe import Options, recipe


def made(folder, *, net: str = NET, **data):
    write_data(folder / "data", **data)
    return recipe(write_net(folder / "net", net=net), "run", Options(folder / "data"))


def test_labels_that_fit(tmp_path):
    heard = []
    databases_fit.check(made(tmp_path), lambda path, count: heard.append((path.name, count)))
    assert heard == [("train_label_lmdb", 6), ("val_label_lmdb", 3)]


def test_a_data_set_of_another_number_of_classes_is_warned_of(tmp_path):
    """Labels of fewer classes fit, and the others are never learned."""
    recipe, heard = made(tmp_path), []
    names = tmp_path / "data" / "classes.txt"
    names.write_text("road\ntree\nsky\nsign\nman\n")
    databases_fit.check(recipe, on_warning=heard.append)
    (words,) = heard
    assert words.startswith(f"{names}: has 5 classes, and layer") and "--classes 5" in words


def test_images_of_other_channels_than_the_net_that_is_deployed(tmp_path):
    """Caffe would train a net for them that deploy.prototxt does not take."""
    recipe = made(tmp_path)
    deploy = tmp_path / "net" / "deploy.prototxt"
    for channels, said in (
        (1, "--order gray`, or change the net with `fcnkit surgery --do colour`"),
        (4, "give images of that many"),
    ):
        deploy.write_text(
            f'layer {{ name: "in" type: "Input" top: "data" input_param {{ '
            f"shape {{ dim: 1 dim: {channels} dim: 4 dim: 4 }} }} }}"
        )
        with pytest.raises(DatasetError) as caught:
            databases_fit.check(recipe)
        wants = f"its images have 3 channels, and the net of deploy.prototxt takes {channels} "
        assert f"data/train_image_lmdb: {wants}channel" in str(caught.value)
        assert str(caught.value).endswith(said)
    deploy.write_text(deploy.read_text().replace("dim: 4 dim: 4 dim: 4", "dim: 3 dim: 4 dim: 4"))
    databases_fit.check(recipe)
    deploy.write_text("layer {")
    databases_fit.check(recipe)


def test_every_label_with_its_first_entry_and_pixels(tmp_path):
    images = [np.array([[[0, 0], [2, 255]]], np.uint8), np.array([[[0, 2], [2, 7]]], np.uint8)]
    write_lmdb(tmp_path / "l", images)
    assert [tuple(label) for label in databases_fit.labels(tmp_path / "l")] == [
        (0, "00000000", 3, None),
        (2, "00000000", 3, None),
        (7, "00000001", 1, None),
        (255, "00000000", 1, None),
    ]


def test_a_label_out_of_range(tmp_path):
    with pytest.raises(NetError) as caught:
        databases_fit.check(made(tmp_path, wrong=7))
    message = str(caught.value)
    place = f"{tmp_path}/data/train_label_lmdb: entry '00000002'"
    assert message.startswith(f"{place}: label 7 at 1 pixel, but ")
    assert 'layer "loss" (' in message and "knows 0 to 2 and ignores 255" in message
    assert message.endswith(
        "correct the labels, or make the net with --classes 8, or with --ignore 7"
    )


def test_a_label_that_nothing_ignores(tmp_path):
    with pytest.raises(NetError, match=r"label 255 at 1 pixel.*knows 0 to 2; .*--ignore 255"):
        databases_fit.check(made(tmp_path, net=NET.replace("ignore_label: 255", "")))


def test_images_and_labels_of_different_numbers(tmp_path):
    recipe = made(tmp_path)
    folder = tmp_path / "data" / "train_label_lmdb"
    folder.rename(tmp_path / "old")
    write_lmdb(folder, [np.zeros((1, 8, 8), np.uint8)] * 5)
    with pytest.raises(
        NetError, match=r"train_label_lmdb holds 5 entries, but .*train_image_lmdb 6"
    ):
        databases_fit.check(recipe)


def test_labels_as_floats_and_as_pictures(tmp_path):
    write_lmdb(tmp_path / "f", [np.zeros((1, 1, 2))], float_data=[3.0, -1.5])
    assert [label.value for label in databases_fit.labels(tmp_path / "f")] == [-1, 3]
    pictures = pytest.importorskip("PIL.Image")
    for mode, name in (("L", "gray"), ("P", "palette")):
        file = io.BytesIO()
        pictures.new(mode, (2, 2), 1).save(file, "PNG")
        write_lmdb(tmp_path / name, [np.zeros((1, 2, 2))], data=file.getvalue(), encoded=True)
    assert [tuple(label) for label in databases_fit.labels(tmp_path / "gray")] == [
        (1, "00000000", 4, None)
    ]
    with pytest.raises(NetError, match="mode P, which Caffe reads as colours"):
        databases_fit.labels(tmp_path / "palette")
    write_lmdb(tmp_path / "junk", [np.zeros((1, 2, 2))], data=b"junk", encoded=True)
    with pytest.raises(NetError, match="its picture: is not a PNG"):
        databases_fit.labels(tmp_path / "junk")


def test_what_is_no_database(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("text")
    for name in ("empty", "file"):
        with pytest.raises(DatasetError, match="is not an LMDB"):
            databases_fit.labels(tmp_path / name)
    import lmdb

    with lmdb.open(str(tmp_path / "odd")) as store, store.begin(write=True) as transaction:
        transaction.put(b"a", b"\xff\xff\xff")
    with pytest.raises(NetError, match="entry 'a': is not a Datum"):
        databases_fit.labels(tmp_path / "odd")


def test_a_database_that_is_cut_off_is_an_error_and_not_the_end_of_the_process(tmp_path):
    write_lmdb(tmp_path / "l", [np.zeros((1, 64, 64), np.uint8)] * 20)
    with open(tmp_path / "l" / "data.mdb", "r+b") as file:
        file.truncate(8192)
    with pytest.raises(DatasetError, match="is cut off: 8,192 of"):
        databases_fit.labels(tmp_path / "l")
