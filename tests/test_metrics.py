"""The four metrics are the FCN authors', on hand-worked cases and against their own lines."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pictures import folders, save
from PIL import Image

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.datasets.colours import painted, voc_palette
from fcnkit.errors import DatasetError
from fcnkit.scoring.metrics import METRICS
from fcnkit.scoring.pictures import picture

LABELS = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.just(n),
        arrays(np.uint8, (4, 5), elements=st.sampled_from([*range(n), n, 17, 255])),
        arrays(np.uint8, (4, 5), elements=st.integers(0, n - 1)),
    )
)


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def authors(label, prediction, n: int) -> list[float]:
    """What fcn.berkeleyvision.org's score.py computes:
    its fast_hist, and the lines of do_seg_tests.
    """
    a, b = label.flatten(), prediction.flatten()
    k = (a >= 0) & (a < n)
    hist = np.bincount(n * a[k].astype(int) + b[k], minlength=n**2).reshape(n, n)
    with np.errstate(invalid="ignore", divide="ignore"):
        overall = np.diag(hist).sum() / hist.sum()
        accuracies = np.diag(hist) / hist.sum(1)
        iu = np.diag(hist) / (hist.sum(1) + hist.sum(0) - np.diag(hist))
        freq = hist.sum(1) / hist.sum()
    means = [
        np.mean(each[~np.isnan(each)]) if (~np.isnan(each)).any() else math.nan
        for each in (accuracies, iu)
    ]
    return [overall, *means, (freq[freq > 0] * iu[freq > 0]).sum() if hist.sum() else math.nan]


def metrics(scores) -> list[float]:
    return [getattr(scores, name) for name in METRICS]


# ---- the definition


def test_a_case_worked_by_hand():
    """Label 0 0 1 / 1 2 ignored, predicted 0 1 1 / 1 1 0.

    n = [[1,1,0], [0,2,0], [0,1,0]]; right 1 + 2 + 0 of 5; accuracies 1/2, 1, 0;
    IU 1/(2+1-1) = 1/2, 2/(2+4-2) = 1/2, 0/(1+0-0) = 0; frequencies 2/5, 2/5, 1/5.
    """
    found = fk.score([np.array([[0, 1, 1], [1, 1, 0]])], [np.array([[0, 0, 1], [1, 2, 255]])], 3)
    assert found.confusion == ((1, 1, 0), (0, 2, 0), (0, 1, 0))
    assert found.accuracies == (1 / 2, 1, 0) and found.ius == (1 / 2, 1 / 2, 0)
    assert metrics(found) == pytest.approx([3 / 5, 1 / 2, 1 / 3, 2 / 5])
    assert (found.ignored, found.images, found.labelled, found.predicted) == (
        1,
        1,
        (2, 2, 1),
        (1, 4, 0),
    )


@pytest.mark.parametrize(
    "label, predicted, values",
    [
        ([[0, 1]], [[0, 1]], [1, 1, 1, 1]),
        ([[0, 1]], [[1, 0]], [0, 0, 0, 0]),
        ([[0, 0, 0, 1]], [[0, 0, 0, 0]], [3 / 4, 1 / 2, 3 / 8, 9 / 16]),
        # Class 2 is nowhere: it is left out of both means.
        ([[0, 0, 1, 1]], [[0, 0, 1, 0]], [3 / 4, 3 / 4, (2 / 3 + 1 / 2) / 2, 1 / 3 + 1 / 4]),
        # Class 2 is predicted and not labelled: its accuracy is left out, its IU is 0.
        ([[0, 0, 1, 1]], [[0, 2, 1, 1]], [3 / 4, 3 / 4, (1 / 2 + 1 + 0) / 3, 1 / 4 + 1 / 2]),
    ],
)
def test_other_cases_worked_by_hand(label, predicted, values):
    found = fk.score([np.array(predicted)], [np.array(label)], 3)
    assert metrics(found) == pytest.approx(values)


@given(LABELS)
def test_the_metrics_are_the_authors(case):
    classes, label, prediction = case
    found = fk.score([prediction], [label], classes)
    assert metrics(found) == pytest.approx(authors(label, prediction, classes), nan_ok=True)


@given(LABELS, st.integers(1, 3))
def test_scores_of_parts_are_scores_of_the_whole(case, cut):
    classes, label, prediction = case
    whole = fk.score([prediction], [label], classes)
    parts = fk.score([prediction[:cut], prediction[cut:]], [label[:cut], label[cut:]], classes)
    assert whole.confusion == parts.confusion and whole.ignored == parts.ignored


@given(LABELS)
def test_a_prediction_that_is_the_label_is_all_right(case):
    classes, label, _ = case
    scores = fk.score([np.where(label < classes, label, 0)], [label], classes)
    assert all(value == pytest.approx(1) for value in metrics(scores) if not math.isnan(value))


def test_nothing_to_score():
    found = fk.score([], [], 2)
    assert all(map(math.isnan, metrics(found))) and "0 images" in found.table()
    assert json.loads(json.dumps(found.json()))["mean_iu"] is None


@pytest.mark.parametrize(
    "predictions, labels, message",
    [
        ([[[0, 1]]], [[[0], [1]]], "the prediction is 1 x 2, but the label 2 x 1"),
        ([[[0, 2]]], [[[0, 1]]], r"1 pixel predicted as 2, which is not a class, 0 to 1"),
        ([[[0, -1]]], [[[0, 1]]], "predicted as -1"),
        ([[[0]], [[0]]], [[[0]]], "more predictions than the 1 pair"),
        ([[[0]]], [[[0]], [[0]]], "more labels than the 1 pair"),
        ([[[0.5]]], [[[0]]], "the prediction holds float64"),
    ],
)
def test_what_does_not_fit(predictions, labels, message):
    with pytest.raises(DatasetError, match=message):
        fk.score(map(np.array, predictions), map(np.array, labels), 2)


def test_a_prediction_does_not_count_where_the_label_is_ignored():
    assert fk.confusion(np.array([255, 1]), np.array([99, 1]), 2).tolist() == [[0, 0], [0, 1]]


# ---- files


@pytest.fixture
def top(tmp_path):
    """Labels of six images, and predictions of which every second one is wrong in the first row."""
    for number, (name, (_, label)) in enumerate(folders(tmp_path).items()):
        found = np.where(label == 255, 0, label)
        found[0] = (found[0] + number % 2) % 3
        save(tmp_path / "found" / f"{name}.png", found)
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\n")
    return tmp_path


def arrays_of(folder):
    return [np.array(Image.open(path)) for path in sorted(folder.glob("*.png"))]


def test_folders_give_what_their_arrays_give(top):
    result = run(
        "score",
        top / "found",
        top / "labels",
        "--classes",
        top / "classes.txt",
        "--jobs",
        1,
        "--json",
    )
    assert result.exit_code == 0, result.output
    wanted = fk.score(arrays_of(top / "found"), arrays_of(top / "labels"), ["sky", "road", "car"])
    assert json.loads(result.stdout) == wanted.json() and 0.8 < wanted.pixel_accuracy < 1


def test_a_dataset_gives_what_its_folders_give(top):
    words = ["dataset", "create", top / "images", top / "labels", "-o", top / "data", "--split", 0]
    assert run(*words, "--classes", top / "classes.txt", "--jobs", 1).exit_code == 0
    ours = run("score", top / "found", top / "data", "--split", "train", "--json")
    theirs = run("score", top / "found", top / "labels", "--classes", top / "classes.txt", "--json")
    assert ours.exit_code == 0 and ours.stdout == theirs.stdout
    for name in ("street_01.overlay", "street_01.confidence", "street_02.heat.7", "legend"):
        save(top / "found" / f"{name}.png", np.zeros((2, 2, 3), np.uint8))
    again = run("score", top / "found", top / "data", "--split", "train", "--json")
    assert again.stdout == ours.stdout
    again = run("score", top / "found", top / "labels", "--classes", top / "classes.txt", "--json")
    assert again.stdout == ours.stdout
    (top / "found" / "street_01.png").unlink()
    save(top / "found" / "street_02.png", np.zeros((1, 1), np.uint8))
    save(top / "found" / "other.png", np.zeros((1, 1), np.uint8))
    result = run("score", top / "found", top / "data", "--split", "train")
    assert result.exit_code == 2 and "3 bad files" in result.output
    for fact in (
        "has no prediction for",
        "street_02.png: the prediction is 1 x 1",
        "has no label for it",
    ):
        assert fact in result.output
    missing = run("score", top / "found", top / "data")
    assert missing.exit_code == 2 and "val_label_lmdb: is not an LMDB" in missing.output


def test_files_of_other_kinds_and_single_files(top):
    label = arrays_of(top / "labels")[0]
    found = np.where(label == 255, 0, label)
    kinds = {"a.npy": None, "b.png": painted(found, voc_palette(3)), "c.png": found}
    np.save(top / "a.npy", found.astype(np.int64))
    for name, array in kinds.items():
        if array is not None:
            save(top / name, array)
        colours = ["--colours", "voc", "--classes", 3] if name == "b.png" else ["--classes", 3]
        result = run("score", top / name, top / "labels" / "street_00.png", *colours)
        assert result.exit_code == 0 and result.output.count("100.00%") == 10, result.output


def test_the_table_and_the_picture(top):
    words = ["score", top / "found", top / "labels", "--classes", top / "classes.txt"]
    result = run(*words, "--picture", top / "scores.png")
    assert (
        result.exit_code == 0
        and "frequency-weighted IU" in result.output
        and "road" in result.output
    )
    with Image.open(top / "scores.png") as image:
        assert min(image.size) > 300
    assert run(*words, "--picture", top / "scores.png").exit_code == 2


@pytest.mark.parametrize("count", [1, 40])
def test_pictures_of_few_and_of_many_classes(count):
    names = [f"$class_{number}$" for number in range(count)]
    label = np.arange(count)[None]
    assert picture(fk.score([label], [label], names)).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "change, words, message",
    [
        (lambda top: (top / "found" / "street_03.png").unlink(), [], "has no prediction for"),
        (lambda top: (top / "labels" / "street_03.png").unlink(), [], "has no label for"),
        (
            lambda top: save(top / "found" / "street_03.png", np.zeros((7, 5), np.uint8)),
            [],
            "labels/street_03.png: the prediction is 7 x 5, but the label 5 x 7",
        ),
        (
            lambda top: save(top / "found" / "street_03.png", np.full((5, 7), 9, np.uint8)),
            [],
            "34 pixels predicted as 9, which is not a class, 0 to 2",
        ),
        (
            lambda top: (top / "found" / "street_03.png").write_bytes(b"x"),
            [],
            "expected an image, found text",
        ),
        (
            lambda top: save(top / "labels" / "street_03.png", np.full((5, 7), 9, np.uint8)),
            ["--ignore", 255],
            "is 9, which is not a class, 0 to 2, nor 255",
        ),
        (lambda top: None, ["--ignore", 1], "ignore 1: must be above the 3 classes"),
        (lambda top: None, ["--classes", 0], "0 classes"),
    ],
)
def test_bad_files_are_named(top, change, words, message):
    change(top)
    result = run("score", top / "found", top / "labels", "--classes", 3, "--jobs", 1, *words)
    assert result.exit_code == 2 and message in result.output, result.output


def test_all_bad_files_are_named(top):
    for number in (1, 4):
        (top / "found" / f"street_0{number}.png").write_bytes(b"x")
    result = run("score", top / "found", top / "labels", "--classes", 3)
    assert (
        result.exit_code == 2
        and "2 bad files" in result.output
        and result.output.count("expected an image, found text") == 2
    )


def test_folders_that_are_not_there(top):
    assert "is not a folder" in run("score", top / "none", top / "labels", "--classes", 3).output
    assert "give the classes: " in run("score", top / "found", top / "labels").output
    (top / "empty").mkdir()
    assert (
        "holds no predictions" in run("score", top / "empty", top / "empty", "--classes", 3).output
    )


# ---- real data


def test_the_authors_own_demo(shared):
    """The result of the FCN repository's demo,
    painted in VOC's colours, against its palette label.
    """
    demo = shared / "voc" / "fcn-demo"
    result = run("score", demo / "output.png", demo / "label.png", "--colours", "voc", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    seen = {each["name"] for each in found["classes"] if each["labelled"]}
    assert seen == {"background", "bicycle", "person"}
    painted_result, label = (
        np.array(Image.open(demo / "output.png")),
        np.array(Image.open(demo / "label.png")),
    )
    numbers = {colour: number for number, colour in enumerate(voc_palette(21))}
    result = np.array([numbers[tuple(pixel)] for pixel in painted_result.reshape(-1, 3).tolist()])
    wanted = authors(label, result.reshape(label.shape), 21)
    assert [found[name] for name in METRICS] == pytest.approx(wanted)
    assert found["pixel_accuracy"] == pytest.approx(0.84251, abs=1e-5)


def test_predictions_of_the_majority_have_the_baseline(shared, tmp_path):
    labels = shared / "camvid" / "val" / "labels"
    for path in sorted(labels.glob("*.png"))[:10]:
        label = np.array(Image.open(path))
        save(tmp_path / "found" / path.name, np.full(label.shape, 3, np.uint8))
        save(tmp_path / "labels" / path.name, label)
    result = run(
        "score",
        tmp_path / "found",
        tmp_path / "labels",
        "--classes",
        shared / "camvid" / "classes.txt",
        "--json",
    )
    stack = np.stack(arrays_of(tmp_path / "labels"))
    assert json.loads(result.stdout)["pixel_accuracy"] == pytest.approx(
        (stack == 3).sum() / (stack != 11).sum()
    )
