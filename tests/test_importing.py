"""Imported models compute in Caffe what ONNX Runtime computes, and say why where they cannot."""

import re
from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'fcnkit[onnx]'")
pytest.importorskip("onnxruntime", reason="pip install 'fcnkit[onnx]'")

from onnx_arrangements import EVERY_CASE as CASES  # noqa: E402
from onnx_models import Case, W, array, conv, save  # noqa: E402

from fcnkit.cli.main import main  # noqa: E402
from fcnkit.errors import NetError, OutputError  # noqa: E402
from fcnkit.formats.prototxt import read  # noqa: E402
from fcnkit.importing import trace  # noqa: E402
from fcnkit.importing.from_onnx import from_onnx  # noqa: E402
from fcnkit.importing.from_torch import from_torch, preprocessing_of  # noqa: E402
from fcnkit.nets import graph  # noqa: E402
from fcnkit.plan import Step  # noqa: E402
from fcnkit.verifying.imports import verify_imports  # noqa: E402
from fcnkit.weights import blobs, store  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def small():
    """Sizes that are tried of those that a model leaves free, odd ones too."""
    before = trace.SIZES
    trace.SIZES = ((12, 13), (16, 14), (17, 19))
    yield
    trace.SIZES = before


@pytest.fixture(scope="module")
def compared(caffe, small, tmp_path_factory):
    """Every case, imported and run in real Caffe beside ONNX Runtime, by its name."""
    folder = tmp_path_factory.mktemp("onnx")
    made = {case.name: from_onnx(save(case, folder)) for case in CASES}
    rows = verify_imports(list(made.values()), engine="caffe")
    return {name: (one, its) for (name, one), its in zip(made.items(), rows, strict=True)}


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_every_blob_is_equal_in_caffe(name, compared):
    """At each of the sizes, within float32's rounding."""
    made, rows = compared[name]
    assert {row.new_output for row in rows} >= {each.blob for each in made.outputs}
    assert rows and not [str(row) for row in rows if not row.ok]
    assert any(row.largest > 0 for row in rows)


# ---- what is written


def texts(name: str, tmp_path, **options) -> str:
    """The prototxt of a case."""
    case = next(case for case in CASES if case.name == name)
    return from_onnx(save(case, tmp_path), **options).net.text


def types(text: str) -> list[str]:
    """The layer types in order, the input's left out."""
    return re.findall(r'type: "(\w+)"', text)[1:]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("flatten and gemm", ["InnerProduct"]),
        ("nhwc and gemm", ["Convolution", "InnerProduct"]),
        ("batch norm", ["Convolution"]),
        ("batch norm first", ["BatchNorm", "Scale"]),
        ("nhwc within", ["Convolution", "ReLU", "Power"]),
        ("conv pads differ", ["Convolution"]),
        ("shuffle", ["Convolution"]),
        ("halves of a shuffle", ["Convolution", "Slice", "Concat"]),
        ("depth to space", ["Deconvolution"]),
        ("squeeze and excite", ["Pooling", "Convolution", "Sigmoid", "Flatten", "Scale"]),
        ("dropout", ["ReLU"]),
        ("pooling of a point", ["ReLU"]),
    ],
)
def test_the_fewest_layers(name, expected, tmp_path):
    """What has a layer of its own is one layer, and what moves no number is none."""
    assert types(texts(name, tmp_path)) == expected


def test_normalisation_stays_where_it_is_asked_for(tmp_path):
    """--no-fold."""
    text = texts("batch norm", tmp_path, fold=False)
    assert types(text) == ["Convolution", "BatchNorm", "Scale"]
    assert text.count('bottom: "c"') == 2 and "eps: 0.001" in text


def test_a_normalised_blob_that_another_reads_is_not_written_over(tmp_path):
    """An Add reads the convolution as it was before."""
    text = texts("batch norm read twice", tmp_path)
    assert types(text) == ["Convolution", "BatchNorm", "Scale", "ReLU", "Eltwise"]
    assert 'bottom: "c"\n  top: "n"' in text


@pytest.mark.parametrize("name", ["max pool", "clip", "hard swish of parts", "one HardSwish"])
def test_caffe_1_0_gets_no_word_that_it_lacks(name, tmp_path):
    """round_mode and Clip came later."""
    text = texts(name, tmp_path, caffe="1.0")
    assert "round_mode" not in text and "Clip" not in text
    later = texts(name, tmp_path)
    assert "round_mode" in later or "Clip" in later


def test_caffe_1_0_is_equal_too(caffe, tmp_path):
    """A Crop to a convolution's size, and ReLUs for a Clip."""
    names = ("max pool", "max pool padded", "average without padding", "clip", "one HardSwish")
    chosen = [case for case in CASES if case.name in names]
    made = [from_onnx(save(case, tmp_path), caffe="1.0") for case in chosen]
    for rows in verify_imports(made, engine="caffe"):
        assert rows and not [str(row) for row in rows if not row.ok]


def test_the_comment_says_where_the_net_is_from(tmp_path):
    """The file, its opset and its digest."""
    path = save(CASES[0], tmp_path)
    text = from_onnx(path).net.text
    digest = sha256(path.read_bytes()).hexdigest()
    assert text.startswith(f"# conv.onnx, opset 17, by fcnkit import\n# sha256 {digest}\n")


def test_large_weights_are_not_decoded(tmp_path, monkeypatch):
    """They are copied from the model's file, as they lie in it."""
    case = Case("large", conv(), {"w": (64, 3, 7, 7)})
    path = save(case, tmp_path)
    reads = []
    monkeypatch.setattr(blobs.Blob, "array", lambda blob: reads.append(blob))
    made = from_onnx(path)
    made.weights.save(tmp_path / "large.caffemodel")
    monkeypatch.undo()
    assert not reads
    stored = store.open(tmp_path / "large.caffemodel")["y"][0].array()
    assert (stored == array((64, 3, 7, 7), 0)).all()


# ---- the names of Caffe's model zoo


def chain(*kinds: str) -> Case:
    """A net of these, one after the other: c and p, r for a ReLU, and f at its end."""
    weights = {"w": (3, 3, 1, 1), "k": (5, 3 * 6 * 6), "m": (5, 5)}
    words = {
        "c": "Conv(b{0}, w)",
        "p": "MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(b{0})",
        "r": "Relu(b{0})",
        "l": "LRN<size=3>(b{0})",
        "F": "Flatten(b{0})",
        "f": "Gemm<transB=1>(b{0}, k)",
        "g": "Gemm<transB=1>(b{0}, m)",
        "s": "Softmax(b{0})",
    }
    nodes = [f"b{at + 1} = {words[kind].format(at)}" for at, kind in enumerate(kinds)]
    inputs = "float[1,3,6,6] b0"
    return Case("chain", " ".join(nodes), weights, inputs, output=f"b{len(kinds)}")


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        (
            "crcrpcrcrpFfrgs",
            "conv1_1 relu1_1 conv1_2 relu1_2 pool1 conv2_1 relu2_1 conv2_2 relu2_2 pool2 fc3 relu3 "
            "fc4 prob",
        ),
        ("crlpcrccpFfgg", "conv1 relu1 norm1 pool1 conv2 relu2 conv3 conv4 pool4 fc5 fc6 fc7"),
        ("cpcrccpcs", "conv1 pool1 conv2_1 relu2_1 conv2_2 conv2_3 pool2 conv3 prob"),
        ("cppc", "conv1 pool1 pool1_2 conv2"),
        ("cc", "conv1_1 conv1_2"),
        ("pc", "pool1 conv1"),
    ],
)
def test_a_chain_has_the_zoos_names(kinds, names, tmp_path, monkeypatch):
    """A pooling ends a stage, and each fully connected layer is one."""
    path = save(chain(*kinds), tmp_path)
    made = from_onnx(path, names="caffe")
    assert re.findall(r'  name: "(.+)"', made.net.text) == ["data", *names.split()]
    graph.build(made.net)
    assert set(made.weights) == {each for each in names.split() if each[:2] in ("co", "fc")}
    (rows,) = verify_imports([made], engine="torch")
    assert rows and not [str(row) for row in rows if not row.ok]


def test_a_net_with_branches_keeps_its_names(tmp_path):
    """A step says where it branches."""
    path = save(next(case for case in CASES if case.name == "batch norm read twice"), tmp_path)
    made, plain = from_onnx(path, names="caffe"), from_onnx(path)
    assert made.net.text == plain.net.text
    assert [(step.verb, "it branches" in step.why) for step in made.steps[-2:]].count(
        ("keep", True)
    )
    with pytest.raises(ValueError, match="model, caffe"):
        from_onnx(path, names="zoo")


def test_folded_layers_have_the_zoos_names_before(tmp_path):
    """bn1 and scale1 with --no-fold."""
    text = texts("batch norm", tmp_path, fold=False, names="caffe")
    assert re.findall(r'  name: "(.+)"', text) == ["data", "conv1", "bn1", "scale1"]
    assert "conv1" in texts("batch norm", tmp_path, names="caffe")


# ---- refusals


@pytest.mark.parametrize(
    ("nodes", "weights", "words"),
    [
        ("y = Sin(x)", {}, ["Sin", "no layer"]),
        ("y = MaxPool<kernel_shape=[2,2], dilations=[2,2]>(x)", {}, ["dilated"]),
        ('y = Pad<mode="edge">(x, p)', {"p": [0, 0, 1, 1, 0, 0, -1, 1]}, ["edge", "cuts"]),
        ("r = RandomNormal<shape=[1,3,12,12]>() y = Add(x, r)", {}, ["RandomNormal", "random"]),
        ("a = Dropout(x, q, t) y = Relu(a)", {"q": 0.5, "t": True}, ["training_mode"]),
        ("a = Cast<to=6>(x) y = Relu(a)", {}, ["float32 to int32"]),
        ("a = ArgMax<axis=1>(x) y = Add(a, a)", {}, ["int64", "floating point"]),
        ("y = MatMul(x, x)", {}, ["two computed matrices"]),
        ("y = Transpose<perm=[0,2,3,1]>(x) z = Sin(y)", {}, ["Sin"]),
        (
            "s = Softmax<axis=1>(x) t = Transpose<perm=[0,2,1,3]>(s) y = Conv(t, w)",
            {"w": (2, 12, 1, 1)},
            ["Permute", "--for ssd"],
        ),
    ],
)
def test_what_has_no_form_is_refused_with_its_reason(nodes, weights, words, tmp_path):
    """The node, its operator, and why."""
    output = "z" if "z =" in nodes else "y"
    case = Case("refused", nodes, weights, output=output, opset=20, inputs="float[1,3,12,12] x")
    with pytest.raises(NetError) as raised:
        from_onnx(save(case, tmp_path))
    for word in words:
        assert word in str(raised.value)


def test_every_refused_node_is_named_at_once_and_what_comes_before_can_be_had(tmp_path):
    """Two branches, and a tail behind both."""
    nodes = "c = Conv(x, w) a = Cos(c) b = Sin(c) r = Relu(c) s = Add(a, b) y = Add(s, r)"
    path = save(Case("two", nodes, W), tmp_path)
    with pytest.raises(NetError) as raised:
        from_onnx(path)
    text = str(raised.value)
    assert "2 nodes of 6" in text and "(Cos)" in text and "(Sin)" in text
    outputs = text.rpartition("--outputs ")[2].split(",")
    assert set(outputs) == {"c", "r"}
    assert types(from_onnx(path, outputs=outputs).net.text) == ["Convolution", "ReLU"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not an ONNX model"),
        (b"layer { name: 'a' }\n" * 9, "prototxt"),
        (b"\x08\x08\x3a\xff\xff\xff\x7f", "byte"),
        (b"\x80\x02}q\x00.", "torch.onnx.export"),
    ],
)
def test_another_file_is_told_from_a_model(data, words, tmp_path):
    """By its content, with what helps."""
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(NetError, match=re.escape(words)):
        from_onnx(path)


def test_weights_beside_the_model_are_read_and_none_elsewhere(tmp_path):
    """A location with .. in it is refused."""
    case = Case("outside", conv(), {"w": (64, 3, 7, 7)})
    model = onnx.load(save(case, tmp_path))
    onnx.save(
        model,
        tmp_path / "apart.onnx",
        save_as_external_data=True,
        location="apart.bin",
        size_threshold=0,
    )
    made = from_onnx(tmp_path / "apart.onnx")
    assert (made.weights["y"][0].array() == array((64, 3, 7, 7), 0)).all()
    (tmp_path / "in").mkdir()
    outside = (tmp_path / "apart.onnx").read_bytes().replace(b"apart.bin", b"../ap.bin")
    (tmp_path / "in" / "outside.onnx").write_bytes(outside)
    (tmp_path / "ap.bin").write_bytes((tmp_path / "apart.bin").read_bytes())
    with pytest.raises(NetError, match="only files beside the model are read"):
        from_onnx(tmp_path / "in" / "outside.onnx")


# ---- the command


def test_the_command_writes_net_and_weights(tmp_path):
    """Both, or with a refusal neither."""
    path = save(next(case for case in CASES if case.name == "conv bias"), tmp_path)
    net = tmp_path / "out.prototxt"
    result = CliRunner().invoke(main, ["import", str(path), "-o", str(net)])
    assert result.exit_code == 0, result.output
    assert graph.build(read(net)) and store.open(tmp_path / "out.caffemodel")["y"]
    again = CliRunner().invoke(main, ["import", str(path), "-o", str(net)])
    assert again.exit_code == 2 and "--force" in again.output
    bad = save(Case("bad", "y = Sin(x)"), tmp_path)
    refused = CliRunner().invoke(main, ["import", str(bad), "-o", str(tmp_path / "b.prototxt")])
    assert refused.exit_code == 2 and not list(tmp_path.glob("b.*"))


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_no_old_weights_stay_beside_a_net_that_has_none(force, tmp_path):
    path, net = save(Case("bare", "y = Relu(x)"), tmp_path), tmp_path / "out.prototxt"
    result = CliRunner().invoke(main, ["import", str(path), "-o", str(net)])
    assert result.exit_code == 0 and "no layer of the net has weights" in result.output
    assert net.exists() and not (tmp_path / "out.caffemodel").exists()
    net.unlink()
    (tmp_path / "out.caffemodel").write_text("of another net")
    result = CliRunner().invoke(main, ["import", str(path), "-o", str(net), *force])
    assert (
        result.exit_code == 2 and "would be mistaken for the weights of this net" in result.output
    )
    assert not net.exists()
    with pytest.raises(OutputError, match="weights"):
        from_onnx(path).save(net, force=True)


def test_a_trained_detector_of_any_size(caffe, shared, monkeypatch):
    """PP-OCR's, every blob: HardSigmoid, Resize, ConvTranspose."""
    monkeypatch.setattr(trace, "SIZES", ((64, 96), (96, 64), (57, 75)))
    made = from_onnx(shared / "onnx" / "ppocr_v4_det.onnx")
    (rows,) = verify_imports([made], engine="caffe")
    assert len(rows) > 300 and not [str(row) for row in rows if not row.ok]


# ---- PyTorch


class Weights:
    """As torchvision's weights are, whose ImageNet has two cranes."""

    meta = {"categories": ["crane", "hen", "crane"]}

    def transforms(self):
        """What images become, from 0 to 1."""
        return SimpleNamespace(mean=[0.5, 0.4, 0.2], std=[0.2, 0.1, 0.5], crop_size=[224])


def test_torchvision_says_what_images_become():
    """Of bytes: less 255 mean, by 255 std."""
    made = preprocessing_of(Weights())
    assert made.order == "rgb" and made.size == (224, 224)
    assert made.mean == pytest.approx((127.5, 102, 51))
    assert made.scale == pytest.approx((1 / 51, 1 / 25.5, 1 / 127.5))
    assert made.classes == ("crane", "hen", "crane (2)")
    with pytest.raises(NetError, match="no transforms"):
        preprocessing_of(object())


def test_steps_alike_are_told_together_and_layers_are_counted(one_thread):
    nn = pytest.importorskip("torch").nn
    blocks = [part for _ in range(6) for part in (nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU())]
    module = nn.Sequential(*blocks, nn.Conv2d(3, 2, 1)).eval()
    made = from_torch(module, pytest.importorskip("torch").zeros(1, 3, 8, 8))
    assert "14 layers; 80 weights in 7 of them" in made.table()
    steps = tuple(
        Step("change", f"conv{at}", at, f"absorbs bn{at} (BatchNorm); gets a bias", "a reason")
        for at in range(9)
    )
    text = replace(made, steps=(*steps, steps[0]._replace(verb="keep"))).table()
    assert text.count("absorbs BatchNorm; gets a bias") == 1
    assert "9 layers  change: absorbs BatchNorm" in text
    assert "conv0, conv1, conv2, conv3 and 5 more" in text
    assert "conv0     keep: absorbs bn0 (BatchNorm)" in text


def test_what_pytorch_asks_of_its_own_users_is_left_out(one_thread):
    torch = pytest.importorskip("torch")
    module = torch.nn.AdaptiveAvgPool2d(7).eval()
    step = from_torch(module, torch.zeros(1, 3, 14, 14)).steps[0]
    assert "PyTorch cannot export it with free sizes" in step.why
    assert "lease" not in step.why and "http" not in step.why


def test_a_module_of_pytorch(tmp_path, one_thread):
    """At its example's size, where its fc layer fixes that; saved with all that belongs to it."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(4 * 5 * 5, 5),
    ).eval()  # fmt: skip
    made = from_torch(module, torch.zeros(1, 3, 22, 22), weights=Weights())
    assert types(made.net.text) == ["Convolution", "ReLU", "Pooling", "InnerProduct"]
    assert [dict(each) for each in made.inputs] == [
        {"input": (1, 3, 22, 22)},
        {"input": (2, 3, 22, 22)},
    ]
    (rows,) = verify_imports([made], engine="torch")
    assert rows and not [str(row) for row in rows if not row.ok]
    made.save(tmp_path / "net.prototxt")
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "net.caffemodel", "net.preprocessing.json", "net.prototxt",
    ]  # fmt: skip


def test_what_is_exported_at_one_size_alone_has_any_batch(capfd, one_thread):
    """Adaptive pooling; PyTorch prints nothing of the export that failed, and a step says why."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(5), nn.Conv2d(4, 2, 1)).eval()
    made = from_torch(module, torch.zeros(1, 3, 12, 12))
    assert capfd.readouterr() == ("", "")
    assert [dict(each) for each in made.inputs][:2] == [
        {"input": (1, 3, 12, 12)},
        {"input": (2, 3, 12, 12)},
    ]
    assert made.steps[0].verb == "keep" and "adaptive_avg_pool2d" in made.steps[0].why
    already = from_torch(nn.AdaptiveAvgPool2d(5).eval(), torch.zeros(1, 3, 10, 10))
    assert types(already.net.text) == ["Pooling"]


def test_what_is_there_is_not_written_over(tmp_path):
    """One file of three is enough: nothing is written beside it."""
    made = from_onnx(save(CASES[0], tmp_path))
    (tmp_path / "net.prototxt").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        made.save(tmp_path / "net.prototxt")
    assert not (tmp_path / "net.caffemodel").exists()
    made.save(tmp_path / "net.prototxt", force=True)
    assert (tmp_path / "net.caffemodel").exists()
