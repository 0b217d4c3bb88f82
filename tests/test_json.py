"""What every command prints with --json is as docs/schemas says."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import fcnkit as fk
from fcnkit import preprocessing, templates
from fcnkit.cli.main import main
from fcnkit.foreign import json_text
from fcnkit.training import record
from fcnkit.training.log import Loss, Validation
from fcnkit.weights import store

jsonschema = pytest.importorskip("jsonschema", reason="pip install 'fcnkit[docs]'")
referencing = pytest.importorskip("referencing", reason="pip install 'fcnkit[docs]'")

SCHEMAS = Path(__file__).resolve().parent.parent / "docs" / "schemas"
NAMES = sorted(file.stem for file in SCHEMAS.glob("*.json"))
DEPLOY = str(templates.path("digits"))
WEIGHTS = str(Path(DEPLOY).with_name("digits.caffemodel"))
ONNX = ("--engine", "onnx")
PAIR = (DEPLOY, WEIGHTS, "conv.prototxt", "conv.caffemodel")

# The words of a command, and the schema of what it prints.
CASES = (
    ("inspect", ("inspect", DEPLOY)),
    ("inspect", ("inspect", "template:alexnet", "--memory")),
    ("inspect", ("inspect", "conv.prototxt", "--weights", WEIGHTS)),
    ("inspect", ("inspect", "unknown.prototxt")),
    ("weights", ("inspect", WEIGHTS)),
    ("weights", ("inspect", "odd.caffemodel")),
    ("lint", ("lint", DEPLOY, "wrong.prototxt")),
    ("lint", ("lint", "template:googlenet", "--target", "nnie", "--target", "ncnn")),
    ("plan", ("upgrade", "old.prototxt")),
    ("plan", ("convolutionalize", DEPLOY)),
    ("plan", ("fcn", DEPLOY, "--classes", "3", "--stride", "2")),
    ("plan", ("align", "wrong-crop.prototxt")),
    ("plan", ("deploy", "template:digits/train_val.prototxt", "--input", "data=1,1,28,28")),
    ("plan", ("surgery", DEPLOY, WEIGHTS, "--do", "classes=ip2:0,new", "--do", "conv")),
    ("plan", ("surgery", DEPLOY, WEIGHTS, "--do", "conv", "--verify", *ONNX)),
    ("match", ("surgery", DEPLOY, WEIGHTS, "conv.prototxt")),
    ("match", ("surgery", DEPLOY, WEIGHTS, "template:lenet")),
    ("diff", ("diff", WEIGHTS, "conv.caffemodel")),
    ("diff", ("diff", WEIGHTS, "odd.caffemodel")),
    ("diff", ("diff", WEIGHTS, "conv.prototxt")),
    ("diff", ("diff", WEIGHTS, "template:lenet")),
    ("export", ("export", "conv.prototxt", "conv.caffemodel")),
    ("import", ("import", "conv.onnx")),
    ("verify", ("verify", *PAIR, *ONNX)),
    ("verify", ("verify", *PAIR, "--layers", *ONNX)),
    ("verify", ("verify", *PAIR, "--slide", *ONNX)),
    ("verify", ("verify", DEPLOY, WEIGHTS, DEPLOY, "odd.caffemodel", *ONNX)),
    ("verify", ("verify", DEPLOY, WEIGHTS, DEPLOY, "odd.caffemodel", "--layers", *ONNX)),
    (
        "dataset",
        ("dataset", "create", "images", "labels", "-o", "made", "--classes", "4", "--split", "0"),
    ),
    ("dataset", ("dataset", "inspect", "data")),
    ("lmdb", ("dataset", "inspect", "data/train_image_lmdb")),
    ("lmdb", ("dataset", "inspect", "data/train_label_lmdb")),
    ("score", ("score", "labels", "labels", "--classes", "4")),
    ("infer", ("infer", "conv.prototxt", "conv.caffemodel", "grays", "-o", "seen", *ONNX)),
    ("infer", ("infer", "scores.prototxt", "scores.caffemodel", "grays", "-o", "out", *ONNX)),
    ("templates", ("templates",)),
    ("models", ("models", "list")),
    ("model", ("models", "show", "vgg16")),
    ("doctor", ("doctor",)),
)


@pytest.fixture(scope="module")
def schemas() -> dict:
    return {name: json.loads((SCHEMAS / f"{name}.json").read_text()) for name in NAMES}


@pytest.fixture(scope="module")
def check(schemas):
    """A text is the JSON of this schema, without the words NaN and Infinity that JSON lacks."""
    resource = referencing.Resource.from_contents
    resources = [(f"{name}.json", resource(each)) for name, each in schemas.items()]
    registry = referencing.Registry().with_resources(resources)

    def check(name: str, text: str) -> object:
        def refuse(word: str) -> None:
            raise AssertionError(f"{word} is not JSON")

        value = json.loads(text, parse_constant=refuse)
        jsonschema.Draft202012Validator({"$ref": f"{name}.json"}, registry=registry).validate(value)
        return value

    return check


def run(*words: str) -> str:
    """What a command prints; with status 2 too, where it says so of what it printed before."""
    done = CliRunner().invoke(main, list(words), catch_exceptions=False)
    assert done.exit_code in (0, 1) or done.exit_code == 2 and done.stdout, done.output
    return done.stdout


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A folder with nets, weights, images and a data set."""
    folder = tmp_path_factory.mktemp("json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        _nets(folder)
        _images(folder)
        yield folder


def _nets(folder: Path) -> None:
    net = fk.read(DEPLOY)
    conv = ("convolutionalize", DEPLOY, "-o", "conv.prototxt", "--weights", WEIGHTS)
    run(*conv, "--weights-out", "conv.caffemodel")
    run("export", "conv.prototxt", "conv.caffemodel", "-o", "conv.onnx")
    blobs = {name: [blob.array() for blob in found] for name, found in fk.weights(WEIGHTS).items()}
    blobs["conv2"] = [np.full_like(blobs["conv2"][0], np.nan), np.zeros_like(blobs["conv2"][1])]
    blobs["ip1"][1][:3] = np.inf
    store.create().put_all(blobs).save(folder / "odd.caffemodel")
    scores = fk.fcn(net, classes=4, stride=2)
    scores.net.save(folder / "scores.prototxt")
    fk.transplant(scores, WEIGHTS).save(folder / "scores.caffemodel")
    text = scores.net.text
    assert "offset: 4" in text
    (folder / "wrong-crop.prototxt").write_text(text.replace("offset: 4", "offset: 3"))
    (folder / "wrong.prototxt").write_text(net.text.replace("num_output: 16", "num_outputs: 16"))
    (folder / "old.prototxt").write_text(
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n'
        'layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" '
        "convolution_param { num_output: 2 kernel_size: 3 } }\n"
    )
    (folder / "unknown.prototxt").write_text(
        'layer { name: "d" type: "Data" top: "d" top: "l" data_param { source: "x" } }\n'
        'layer { name: "r" type: "ReLU" bottom: "d" top: "r" }\n'
    )


def _images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("images", "labels", "grays"):
        (folder / name).mkdir()
    for number in range(3):
        colours = rng.integers(0, 255, (48, 40, 3), dtype=np.uint8)
        Image.fromarray(colours).save(folder / "images" / f"{number}.png")
        Image.fromarray(colours[..., 0]).save(folder / "grays" / f"{number}.png")
        # Class 3 is nowhere, so that it has no weight, no accuracy and no IU.
        classes = rng.integers(0, 3, (48, 40), dtype=np.uint8)
        Image.fromarray(classes).save(folder / "labels" / f"{number}.png")
    create = ("dataset", "create", "images", "labels", "-o", "data", "--classes", "4")
    run(*create, "--split", "0.4")


def called(words: tuple[str, ...]) -> str:
    """The words of a command, with the names of files alone."""
    return " ".join(Path(word).name for word in words)


@pytest.mark.parametrize("name, words", CASES, ids=[called(words) for _, words in CASES])
def test_a_command_prints_what_its_schema_says(check, work, name, words):
    check(name, run(*words, "--json"))


@pytest.mark.parametrize("words", [("export", "conv.prototxt", "conv.caffemodel"),
                                   ("import", "conv.onnx")], ids=lambda each: each[0])  # fmt: skip
def test_a_verified_model(check, work, caffe, words, tmp_path):
    out = tmp_path / ("o.onnx" if words[0] == "export" else "o.prototxt")
    found = check(words[0], run(*words, "-o", str(out), "--verify", "--json"))
    assert found["verify"]


def test_the_files_that_commands_write(check, work, tmp_path):
    made = tmp_path / "fcn"
    fcn = ("fcn", DEPLOY, "--classes", "4", "--stride", "2", "-o", str(made), "--mean", "33")
    run(*fcn, "--weights", WEIGHTS, "--verify", *ONNX)
    check("record", (made / "plan.json").read_text())
    check("verify", (made / "proof.json").read_text())
    check("preprocessing", preprocessing.place(made / "deploy.prototxt").read_text())
    check("dataset", (work / "data" / "report.json").read_text())
    for net in ("conv", "scores"):
        out = tmp_path / net
        run("infer", f"{net}.prototxt", f"{net}.caffemodel", "grays", "-o", str(out), *ONNX)
        check("image", (out / "1.json").read_text())


def test_a_training_s_record(check):
    losses = (
        Loss(20, 1.5, 0.1, {"loss": [1.25]}),
        Loss(40, math.nan, None, {"a": [1.0], "b": [2.0]}),
    )
    rows = [record.row(each, 2.5) for each in losses]
    tests = (
        Validation(20, {"accuracy": 0.5, "each": [0.1, math.inf]}),
        Validation(20, {"b": 1.0}, 1),
    )
    for row in (*rows, *(record.row(each, 2.5) for each in tests)):
        check("training", record.line(row).decode())


def with_json(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every command that has --json, by its words."""
    if any("--json" in param.opts for param in command.params):
        yield path
    for name, each in getattr(command, "commands", {}).items():
        yield from with_json(each, (*path, name))


def test_every_command_that_prints_json_is_here():
    tried = [words for _, words in CASES]
    missing = [
        path
        for path in with_json(main, ())
        if not any(words[: len(path)] == path for words in tried)
    ]
    assert missing == []


def test_every_schema_is_used():
    used = {name for name, _ in CASES} | {
        "preprocessing",
        "image",
        "record",
        "training",
        "difference",
    }
    assert used == set(NAMES)


def parts(schema: object) -> Iterator[dict]:
    """Every schema within a schema."""
    if isinstance(schema, dict):
        yield schema
        for key, each in schema.items():
            if key not in ("enum", "const", "required", "dependentRequired"):
                yield from parts(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from parts(each)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one_and_says_what_each_field_is(schemas, name):
    schema = schemas[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    for part in parts(schema):
        if isinstance(part.get("properties"), dict):
            fields = part["properties"]
            assert [key for key, each in fields.items() if not each.get("description")] == []
            assert part["additionalProperties"] is False and set(part["required"]) <= set(fields)


def test_json_has_no_words_of_pythons_own():
    value = {"a": [float("nan"), 1.5], "b": (float("inf"), None, True), "c": -float("inf")}
    assert json.loads(json_text(value)) == {"a": [None, 1.5], "b": [None, None, True], "c": None}
