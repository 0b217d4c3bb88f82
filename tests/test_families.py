"""The table of families in docs/accuracy.md: what its script prints, and how families are told."""

from pathlib import Path

import pytest
import sweeps

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
PAGE = SCRIPTS.parent / "docs" / "accuracy.md"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import families

    return families


@pytest.fixture
def lines(script):
    """The lines of the page's table below its head, and without what is wrong."""
    text = script.shown(PAGE.read_text(encoding="utf-8"))
    assert text.startswith(script.HEAD)
    found = text.removeprefix(script.HEAD).splitlines(keepends=True)
    return [line for line in found if not line.startswith("WRONG ")]


# ---- the page


def test_the_page_has_what_the_script_prints(script, lines):
    rows = [script.parsed(line) for line in lines]
    assert [str(row) for row in rows] == lines
    assert [row.name for row in rows] == [
        *(name for name, _ in script.FAMILIES),
        script.OTHERS,
        "all",
    ]
    assert rows[-1] == script.added(rows[:-1])
    assert all(len(line.rstrip()) <= 90 for line in (*lines, *script.HEAD.splitlines()))


def test_no_net_is_counted_twice(script, lines):
    for row in map(script.parsed, lines):
        assert row.read <= row.nets
        assert all(
            sum(each) <= row.nets for each in (row.shapes, row.bvlc, row.converted, *row.fcn)
        )


def test_others_are_few(script, lines):
    *_, others, whole = map(script.parsed, lines)
    assert others.nets <= 0.06 * whole.nets


def test_the_table_counts_the_corpus(script, lines, shared):
    found = {name: len(paths) for name, paths in script.families(shared).items()}
    assert {row.name: row.nets for row in map(script.parsed, lines[:-1])} == found


# ---- the script


@pytest.mark.parametrize(
    ("path", "name", "types", "family"),
    [
        ("prototxts/history/a+caffe/lenet.prototxt@2013-10-16_4e2328ca.prototxt", "", (), "LeNet"),
        ("prototxts/repos/a+caffe-segnet/examples/deploy.prototxt", '"CaffeNet"', (), "AlexNet"),
        ("prototxts/repos/a+resnet-cifar10-caffe/vgg16/trainval.prototxt", "", (), "VGG"),
        ("prototxts/repos/a+b/cifar/resnet32.prototxt", "", (), "ResNet"),
        ("prototxts/repos/a+b/models/VGG16/train.prototxt", "", ('"ROIPooling"',), "detectors"),
        ("prototxts/repos/a+b/train.prototxt", "", ("CONVOLUTION3D", "DATA"), "video"),
        ("prototxts/repos/a+b/voc-fcn8s/train.prototxt", '"VGG"', (), "segmentation"),
        ("models/mtcnn_v2/det2.prototxt", '"RNet"', (), "faces"),
        ("models/plates/net.prototxt", "", ('"Convolution"',), "others"),
    ],
)
def test_what_a_net_is_for_comes_before_what_it_is_made_of(script, path, name, types, family):
    assert script.family(path, name, types) == family


def fates(script):
    good = ("good",) * len(sweeps.STRIDES)
    return [
        script.Fate(Path("a"), True, sweeps.EQUAL, sweeps.BUILT_NOW, sweeps.EQUAL, good),
        script.Fate(
            Path("b"),
            True,
            sweeps.NO_CAFFE,
            sweeps.LEFT,
            sweeps.KEPT,
            (sweeps.REFUSED,) * len(good),
        ),
        script.Fate(
            Path("c"),
            True,
            sweeps.EQUAL,
            sweeps.BUILT,
            "top differs by 1 of 2",
            ("good", "odd", "good", "good"),
        ),
        script.Fate(Path("d"), False),
    ]


def test_words_become_numbers(script):
    row = script.row("nets", fates(script))
    assert (row.nets, row.read, row.shapes, row.converted) == (4, 3, (2, 1), (1, 0, 1))
    assert row.bvlc == (1, 1)
    assert row.fcn == ((2, 1), (1, 1), (2, 1), (2, 1))
    assert script.parsed(str(row)) == row
    assert script.row("none", []).fcn == ((0, 0),) * 4


def test_what_is_wrong_stands_below(script):
    text = script.table({"nets": fates(script)})
    assert text.splitlines()[-2:] == [
        "WRONG c: convolutionalize: top differs by 1 of 2",
        "WRONG c: fcn at 16: odd",
    ]


def test_the_table_is_written_between_its_marks(script):
    text = script.written(f"above\n{script.BEGIN}old\n{script.END}below\n", "new\n")
    assert text == f"above\n{script.BEGIN}new\n{script.END}below\n"
    assert script.shown(text) == "new\n"
    with pytest.raises(ValueError, match="no marks"):
        script.written("above\n", "new\n")
