"""Numbers in commands and nets: each is read by one reader, and what is none is a usage error."""

import math

import pytest
from click.testing import CliRunner

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.formats.prototxt import parse
from fcnkit.rewrites.operations import finite_number, whole_number

NET = """\
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "fc" type: "InnerProduct" bottom: "c" top: "fc" inner_product_param { num_output: 2 } }
"""  # noqa: E501
DIGITS = "9" * 5000
STRANGE = ("²", "٣x", "½", "", " ", "1.5", "-1", "0x10", "1_0", "nan", "1e3", DIGITS)


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.prototxt").write_text(NET)


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize("word", STRANGE)
@pytest.mark.parametrize(
    "words",
    [
        "fcn n.prototxt --stride 1 --classes {}",
        "fcn n.prototxt --stride 1 --classes fc={}",
        "fcn n.prototxt --stride 1 --classes 2 --pad {}",
        "fcn n.prototxt --stride {} --classes 2",
        "inspect n.prototxt --input data=1,3,{},8",
        "surgery n.prototxt --do classes=fc:{}",
        "surgery n.prototxt --do classes=fc:0-{}",
        "surgery n.prototxt --do channels={}",
        "dataset create i l -o d --classes 2 --resize {}x8",
        "dataset create i l -o d --classes 2 --map {}=0",
        "dataset create i l -o d --classes 2 --void {}",
        "dataset create i l -o d --classes 2 --ignore {}",
        "score i l --classes {}",
    ],
)
def test_what_is_no_number(net, words, word):
    found = run(*(each.format(word) for each in words.split()))
    assert found.exit_code == 2, found.output
    assert isinstance(found.exception, SystemExit), found.exception
    assert "Traceback" not in found.output and len(found.output) < 12_000


@pytest.mark.parametrize("word", ["nan", "inf", "-inf", "1e999", "x", ""])
@pytest.mark.parametrize(
    "words",
    [
        "fcn n.prototxt --stride 1 --classes 2 --mean 1,{},3",
        "fcn n.prototxt --stride 1 --classes 2 --scale {}",
        "fcn n.prototxt --stride 1 --classes 2 --bias-rate {}",
        "infer n.prototxt w.caffemodel i -o o --mean {}",
        "infer n.prototxt w.caffemodel i -o o --scale {}",
        "verify n.prototxt w.caffemodel n.prototxt --tolerance {}",
        "dataset create i l -o d --classes 2 --split {}",
        "train . --rate {}",
    ],
)
def test_what_is_no_finite_number(net, words, word):
    found = run(*(each.format(word) for each in words.split()))
    assert found.exit_code == 2 and isinstance(found.exception, SystemExit), found.exception
    # Of an empty --mean there is none.
    assert "Error: Invalid value" in found.output or "no such" in found.output.lower() or not word


@pytest.mark.parametrize(
    "words",
    [
        "classes=fc:0-9999999999",
        "classes=fc:0-999999,0-999999",
        "channels=2147483647",
        "rename=c:x,c:y",
        "classes=fc:0,nwe",
        "classes=fc:0,new,xavier",
        "group=c:99999999999",
        f"decimate=c:{DIGITS}",
        f"filters=c:{DIGITS}",
    ],
)
def test_operations_that_ask_too_much_or_two_things(net, words):
    found = run("surgery", "n.prototxt", "--do", words)
    assert found.exit_code == 2 and isinstance(found.exception, SystemExit), found.exception
    assert len(found.output) < 700


def test_the_readers():
    assert whole_number("007") == 7 and finite_number("-1e3") == -1000
    for text in STRANGE:
        with pytest.raises(ValueError):
            whole_number(text)
    for text in ("nan", "inf", "x", ""):
        with pytest.raises(ValueError):
            finite_number(text)


# ---- numbers as protobuf's text format has them


def test_a_shape_in_octal_and_hexadecimal():
    """010 is 8 there."""
    text = NET.replace("dim: 8 dim: 8", "dim: 010 dim: 0x8").replace(
        "kernel_size: 3", "kernel_size: 03"
    )
    plain, strange = parse(NET, "n"), parse(text, "n")
    for rewrite in (
        lambda net: fk.fcn(net, classes=2, stride=1),
        fk.convolutionalize,
        lambda net: fk.add_channels(net, 4),
    ):
        same = [row.shape for row in fk.inspect(rewrite(plain).net).rows]
        assert [row.shape for row in fk.inspect(rewrite(strange).net).rows] == same


@pytest.mark.parametrize("written", ["104f", "- 5", "1e2", "-5.F", "- 5e0f"])
def test_a_mean_as_it_may_be_written(written):
    head = (
        'layer { name: "d" type: "Data" top: "data" top: "label" data_param '
        '{ source: "x" batch_size: 1 backend: LMDB } transform_param { mean_value: '
    )
    means = f"{written} mean_value: 1 mean_value: {written} }} }}\n"
    net = parse(head + means + NET.split("\n", 1)[1], "n")
    for rewrite in (fk.swap_channels, fk.to_gray):
        made = rewrite(net, inputs={"data": (1, 3, 8, 8)}).net
        view = fk.build(made).layers[0].param("transform_param")
        found = view.list("mean_value")
        assert found and all(map(math.isfinite, found))
    train = fk.fcn(net, classes=2, stride=1, inputs={"data": (1, 3, 8, 8)})
    assert train.steps
