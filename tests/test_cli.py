"""The command line: what it prints, what it writes, how it fails;
nothing is left behind after a failure.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sketches import conv, crop, data, deconv, fc, layer, net, pool, relu, weights

import fcnkit as fk
from fcnkit import families
from fcnkit.cli.arguments import load
from fcnkit.cli.main import main
from fcnkit.formats import prototxt
from fcnkit.nets.graph import build
from fcnkit.weights import store

COMMANDS = (
    "inspect",
    "convolutionalize",
    "fcn",
    "align",
    "surgery",
    "diff",
    "verify",
    "dataset",
    "score",
    "infer",
    "templates",
)
SMALL = net(
    data(1, 2, 24, 24),
    conv("conv1", "data", 4, 3),
    relu("conv1"),
    pool("pool1", "conv1", 2, 2),
    conv("conv2", "pool1", 6, 3),
    pool("pool2", "conv2", 2, 2),
    fc("fc3", "pool2", 8),
    relu("fc3"),
    fc("fc4", "fc3", 10),
    layer("prob", "Softmax", "fc4"),
)
CROPPED = net(
    data(1, 1, 40, 40),
    conv("c", "data", 1, 3, "pad: 12"),
    pool("p", "c", 2, 2),
    deconv("u", "p", 1, 4, 2),
    crop("score", "u", "data", 3),
)


def run(*words, stdin=None):
    return CliRunner().invoke(main, [str(word) for word in words], input=stdin)


@pytest.fixture
def folder(tmp_path):
    """A small classifier and its weights, and the working folder of the test."""
    SMALL.save(tmp_path / "net.prototxt")
    weights(SMALL, tmp_path / "net.caffemodel")
    CROPPED.save(tmp_path / "cropped.prototxt")
    return tmp_path


def listing(folder):
    return {
        path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))
    }


# ---- help


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help_with_an_example(command, flag):
    result = run(command, flag)
    assert result.exit_code == 0 and f"fcnkit {command}" in result.output


def test_the_whole_has_help_and_a_version():
    assert all(command in run("--help").output for command in COMMANDS)
    assert run("--version").exit_code == 0


# ---- printing without writing


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("inspect", "net.prototxt"), "fc3"),
        (("inspect", "net.prototxt", "--weights", "net.caffemodel"), "fits"),
        (("inspect", "net.prototxt", "--input", "data=1,2,48,30", "--to", "pool1"), '"pool1"'),
        (("convolutionalize", "net.prototxt"), "InnerProduct -> Convolution"),
        (
            ("convolutionalize", "net.prototxt", "--rename", "{name}-conv", "--diff"),
            '+  name: "fc3-conv"',
        ),
        (
            ("convolutionalize", "net.prototxt", "--rename", "fc3=c3,fc4=c4", "--diff"),
            '+  name: "c4"',
        ),
        (("fcn", "net.prototxt", "--classes", 5, "--stride", 2), "upscore"),
        (("align", "cropped.prototxt"), "offset 3 -> 12"),
        (("inspect", "template:alexnet"), "60,965,224 parameters"),
        (("inspect", "template:vgg16"), "138,357,544 parameters"),
        (("convolutionalize", "template:lenet"), "kernel 4"),
    ],
)
def test_without_output_nothing_is_written(words, shown, folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = listing(folder)
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert shown in result.output and listing(folder) == before


@pytest.mark.parametrize(
    ("words", "crops"),
    [
        (("fcn", "net.prototxt", "--classes", 5, "--stride", 1, "--json"), 3),
        (("fcn", "net.prototxt", "--classes", 5, "--stride", 4, "--json"), 1),
        (("align", "cropped.prototxt", "--json"), 1),
        (("convolutionalize", "net.prototxt", "--json"), 0),
    ],
)
def test_json_holds_every_offset(words, crops, folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = json.loads(run(*words).stdout)
    assert len(found["offsets"]) == crops and found["steps"] and found["changed"]
    assert all(isinstance(value, int) for each in found["offsets"] for value in each["offset"])


def test_a_template_is_parsed_once_and_called_by_its_name(monkeypatch):
    parsed, parse = [], prototxt.parse
    monkeypatch.setattr(
        prototxt, "parse", lambda text, path: parsed.append(path) or parse(text, path)
    )
    assert load("template:lenet").path == "template:lenet" and parsed == ["template:lenet"]


def test_inspect_as_json(folder):
    found = json.loads(
        run(
            "inspect", folder / "net.prototxt", "--json", "--weights", folder / "net.caffemodel"
        ).stdout
    )
    assert [row["name"] for row in found["layers"]][0] == "data"
    assert found["parameters"] == sum(row["params"] for row in found["layers"])


# ---- the list of templates

# Receptive fields: the first three as in the FCN paper's table.
FIELDS = {
    "alexnet": 355,
    "vgg16": 404,
    "googlenet": 907,
    "caffenet": 355,
    "vgg19": 460,
    "resnet50": 675,
    "squeezenet": 207,
    "nin": 195,
    "lenet": 28,
    "digits": 28,
    "densenet121": 2263,
    "densenet161": 3159,
    "densenet169": 3543,
    "densenet201": 4055,
    "mobilenet": 507,
    "mobilenet_v2": 619,
    "resnet18": 627,
    "resnet34": 1091,
    "resnet101": 1219,
    "resnet152": 1699,
    "vgg11": 342,
    "vgg13": 348,
}


def test_templates_are_listed_a_line_each_within_80_columns():
    head, *lines = run("templates").stdout.splitlines()
    assert " ".join(head.split()) == "template input parameters multiply-adds field what it is"
    assert [line.split()[0] for line in lines] == list(families.ABOUT)
    assert max(map(len, (head, *lines))) <= 80
    assert next(line for line in lines if line.startswith("googlenet")).split()[:5] == [
        "googlenet",
        "3x224x224",
        "6,998,552",
        "1,582,671,872",
        "907",
    ]


def test_the_list_of_templates_as_json_is_what_inspect_says():
    found = json.loads(run("templates", "--json").stdout)
    assert {each["name"]: each["field"] for each in found} == {
        name: [size, size] for name, size in FIELDS.items()
    }
    for each in found:
        seen = json.loads(run("inspect", f"template:{each['name']}", "--json").stdout)
        assert (each["parameters"], each["macs"]) == (seen["parameters"], seen["macs"])
        assert each["input"] == seen["layers"][0]["shape"][1:] and each["about"]


# ---- writing


def test_convolutionalize_writes_both_files(folder):
    result = run(
        "convolutionalize",
        folder / "net.prototxt",
        "-o",
        folder / "out.prototxt",
        "--weights",
        folder / "net.caffemodel",
        "--weights-out",
        folder / "out.caffemodel",
    )
    assert result.exit_code == 0 and "wrote" in result.stderr
    assert (folder / "out.prototxt").read_text() == fk.convolutionalize(SMALL).net.text
    assert fk.weights(folder / "out.caffemodel")["fc3"][0].shape == (8, 6, 5, 5)


def test_fcn_writes_a_folder(folder):
    out = folder / "deep" / "fcn"
    words = (
        "fcn",
        folder / "net.prototxt",
        "--classes",
        5,
        "--stride",
        2,
        "-o",
        out,
        "--weights",
        folder / "net.caffemodel",
    )
    assert run(*words).exit_code == 0
    assert {path.name for path in out.iterdir()} == {
        "deploy.prototxt",
        "train_val.prototxt",
        "solver.prototxt",
        "init.caffemodel",
        "deploy.preprocessing.json",
        "plan.json",
    }
    assert build(fk.read(out / "deploy.prototxt")).outputs[0].blob == "score"
    before = listing(out)
    refused = run(*words)
    assert refused.exit_code == 2 and "exists" in refused.output and listing(out) == before
    assert run(*words, "--force").exit_code == 0 and listing(out) == before


def test_without_weights_there_is_no_caffemodel(folder):
    assert (
        run(
            "fcn", folder / "net.prototxt", "--classes", 5, "--stride", 4, "-o", folder / "out"
        ).exit_code
        == 0
    )
    assert len(list((folder / "out").iterdir())) == 5


def test_berkeley_style_has_a_folder_for_its_snapshots(tmp_path):
    out = tmp_path / "out"
    words = (
        "fcn",
        "template:vgg16",
        "--classes",
        21,
        "--stride",
        32,
        "--style",
        "berkeley",
        "-o",
        out,
    )
    assert run(*words).exit_code == 0
    solver = fk.read(out / "solver.prototxt").root
    assert (out / solver.last("snapshot_prefix").string).parent.is_dir()
    assert (out / solver.last("train_net").string).is_file()


def test_fcn_writes_the_solver_that_is_asked_for(folder):
    words = ("fcn", folder / "net.prototxt", "--classes", 5, "--stride", 4, "--solver", "adam")
    assert run(*words, "-o", folder / "out").exit_code == 0
    assert fk.read(folder / "out" / "solver.prototxt").root.last("type").string == "Adam"
    refused = run(*words, "--style", "berkeley")
    assert (
        refused.exit_code == 2
        and "the solvers published for it, not --solver adam" in refused.output
    )


def test_fcn_lets_biases_learn_faster(folder):
    words = ("fcn", folder / "net.prototxt", "--classes", 5, "--stride", 4, "--bias-rate", 20)
    assert run(*words, "-o", folder / "out").exit_code == 0
    text = (folder / "out" / "train_val.prototxt").read_text()
    assert (
        "lr_mult: 20\n" in text and "lr_mult: 2\n" in text
    )  # the trunk's, and those of new scores
    refused = run(*words, "--style", "berkeley")
    assert (
        refused.exit_code == 2 and "the rates published for it, not --bias-rate" in refused.output
    )


def test_align_corrects_and_checks(folder):
    assert run("align", folder / "cropped.prototxt", "--check").exit_code == 1
    assert run("align", folder / "cropped.prototxt", "-o", folder / "right.prototxt").exit_code == 0
    assert run("align", folder / "right.prototxt", "--check").exit_code == 0


def test_standard_input_and_output(folder):
    result = run("convolutionalize", "-", "-o", "-", stdin=SMALL.text)
    assert result.exit_code == 0 and result.stdout == fk.convolutionalize(SMALL).net.text
    again = run("align", "-", "-o", "-", stdin=CROPPED.text)
    assert "offset: 12" in again.stdout


def test_a_file_may_be_its_own_output(folder):
    path = folder / "net.prototxt"
    assert run("convolutionalize", path, "-o", path).exit_code == 2
    assert run("convolutionalize", path, "-o", path, "--force").exit_code == 0
    assert path.read_text() == fk.convolutionalize(SMALL).net.text


@pytest.mark.parametrize("tail", ["\n", "", "\r\n"])
def test_the_diff_is_one_that_patch_applies(tail, folder):
    if not shutil.which("patch"):
        pytest.skip("no `patch` program here")
    text = SMALL.text.rstrip("\n")
    text = (text.replace("\n", "\r\n") if tail == "\r\n" else text) + tail
    (folder / "p.prototxt").write_bytes(text.encode())
    result = run("fcn", folder / "p.prototxt", "--classes", 5, "--stride", 4, "--diff")
    patched = subprocess.run(
        ["patch", "--binary", folder / "p.prototxt"], input=result.stdout_bytes, capture_output=True
    )
    assert patched.returncode == 0, patched.stdout + patched.stderr
    assert (folder / "p.prototxt").read_bytes().decode() == fk.fcn(
        fk.parse(text), classes=5, stride=4
    ).net.text


def test_surgery_and_verify(folder):
    fk.convolutionalize(SMALL, rename={"fc3": "c3"}).net.save(folder / "new.prototxt")
    words = [folder / "net.prototxt", folder / "net.caffemodel", folder / "new.prototxt"]
    made = run("surgery", *words, "-o", folder / "new.caffemodel", "--map", "fc3=c3")
    assert made.exit_code == 0, made.output
    result = run("verify", *words, folder / "new.caffemodel", "--engine", "opencv")
    assert result.exit_code == 0, result.output
    rng = weights(SMALL, folder / "other.caffemodel", seed=5)
    wrong = fk.transplant(fk.convolutionalize(SMALL, rename={"fc3": "c3"}), rng)
    wrong.save(folder / "wrong.caffemodel")
    assert run("verify", *words, folder / "wrong.caffemodel", "--engine", "opencv").exit_code == 1


def test_a_layer_that_the_weights_do_not_hold_is_named(folder):
    fk.weights(folder / "net.caffemodel").drop("conv2").save(folder / "less.caffemodel")
    words = "--weights", folder / "less.caffemodel", "--weights-out", folder / "new.caffemodel"
    result = run("convolutionalize", folder / "net.prototxt", *words)
    assert result.exit_code == 0 and 'layer "conv2": left to the filler' in result.stderr, (
        result.output
    )


# ---- failing


HTML = b"<!DOCTYPE html><html><body>Not found</body></html>"


def broken(folder):
    """Files with something wrong with them."""
    whole = (folder / "net.caffemodel").read_bytes()
    (folder / "cut.caffemodel").write_bytes(whole[: len(whole) // 2])
    (folder / "page.caffemodel").write_bytes(HTML)
    (folder / "empty.caffemodel").write_bytes(b"")
    (folder / "page.prototxt").write_bytes(HTML)
    (folder / "binary.prototxt").write_bytes(bytes(range(256)))
    (folder / "bottom.prototxt").write_text(
        SMALL.text.replace('bottom: "pool2"', 'bottom: "pool9"')
    )
    (folder / "typo.prototxt").write_text(SMALL.text.replace("num_output: 8", "num_output: eight"))
    other = net(SMALL.text.replace("num_output: 8", "num_output: 9"))
    weights(other, folder / "counts.caffemodel")
    weights(net(data(1, 2, 24, 24), conv("conv1", "data", 4, 3)), folder / "less.caffemodel")
    weights(net(SMALL.text.replace("dim: 2 ", "dim: 1 ", 1)), folder / "gray.caffemodel")
    (folder / "old.prototxt").write_text("layers { layer { name: 'd' type: 'data' } }")
    (folder / "isfile").write_text("")


CONVERT = (
    "convolutionalize",
    "net.prototxt",
    "-o",
    "o.prototxt",
    "--weights-out",
    "o.caffemodel",
    "--weights",
)
FCN = ("fcn", "net.prototxt", "--classes", "3", "--stride", "2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("inspect", "nothing.prototxt"), "nothing.prototxt: cannot be read: No such file"),
        (("inspect", "."), "found a folder"),
        (("inspect", "template:nothing"), "nothing"),
        (
            ("inspect", "page.prototxt"),
            "page.prototxt: byte 0: expected a prototxt, found an HTML page",
        ),
        (("inspect", "binary.prototxt"), "binary.prototxt: byte 0: expected a field number"),
        (("inspect", "net.prototxt", "--input", "dato=1,2,3,4"), "dato"),
        (("inspect", "net.prototxt", "--to", "dato"), 'no blob "dato"'),
        (("inspect", "net.prototxt", "--weights", "page.caffemodel"), "HTML"),
        (("convolutionalize", "bottom.prototxt", "-o", "o"), 'layer "fc3": bottom "pool9"'),
        (("convolutionalize", "typo.prototxt", "-o", "o"), "eight"),
        (("convolutionalize", "old.prototxt", "-o", "o"), "fcnkit upgrade"),
        (("convolutionalize", "net.prototxt", "-o", "net.prototxt"), "exists"),
        (("convolutionalize", "net.prototxt", "-o", "o.caffemodel"), "is for weights, and a proto"),
        (("convolutionalize", "net.prototxt", "-o", "new/"), "not the name of a file"),
        (("convert", "net.caffemodel", "o.onnx"), "`fcnkit export` writes ONNX"),
        (("convert", "net.caffemodel", "o.prototxt"), "is for a prototxt, and weights would"),
        (("convert", "net.caffemodel", "o.pth"), "is for a model of another framework"),
        (("convert", "net.caffemodel", "o.npy"), "end the name in .caffemodel, .h5"),
        (("convolutionalize", "net.prototxt", "-o", "no/folder/o"), "cannot be written"),
        (("convolutionalize", "net.prototxt", "-o", "."), "."),
        (("convolutionalize", "net.prototxt", "-o", "o", "--rename", "conv9=x"), 'rename "conv9"'),
        (
            ("convolutionalize", "net.prototxt", "-o", "o", "--input", "data=1,2,3,3"),
            'layer "conv2"',
        ),
        ((*CONVERT, "nothing.caffemodel"), "nothing.caffemodel: cannot be read"),
        ((*CONVERT, "cut.caffemodel"), "cut.caffemodel"),
        ((*CONVERT, "page.caffemodel"), "HTML"),
        ((*CONVERT, "empty.caffemodel"), "empty.caffemodel"),
        ((*CONVERT, "counts.caffemodel"), 'layer "fc3"'),
        ((*CONVERT, "less.caffemodel"), 'no layer "fc3"'),
        ((*CONVERT, "gray.caffemodel"), 'gray.caffemodel: layer "conv1": MISMATCH: blob 0 is '),
        ((*FCN, "-o", "out", "--weights", "gray.caffemodel"), 'layer "conv1": MISMATCH'),
        (
            (*FCN, "-o", "out", "--mean", "1,2,3"),
            "3 mean values for images of 2 channels; give one",
        ),
        ((*FCN, "-o", "out", "--mean", "1,2,3", "--style", "berkeley"), "3 mean values for images"),
        ((*CONVERT, "."), "found a folder"),
        ((*FCN, "-o", "isfile"), "isfile"),
        ((*FCN, "-o", "isfile/deeper"), "isfile"),
        ((*FCN, "-o", "out", "--weights", "cut.caffemodel"), "cut.caffemodel"),
        ((*FCN, "-o", "out", "--weights", "less.caffemodel"), 'no layer "fc3"'),
        ((*FCN, "-o", "out", "--head", "fc9"), 'no layer "fc9"'),
        ((*FCN, "-o", "out", "--pad", "keep"), 'pad layer "conv1"'),
        (("align", "net.caffemodel"), "found a caffemodel, which holds weights"),
        (
            ("surgery", "net.prototxt", "cut.caffemodel", "net.prototxt", "-o", "o"),
            "cut.caffemodel",
        ),
        (("surgery", "net.prototxt", "net.caffemodel", "bottom.prototxt", "-o", "o"), "pool9"),
        (
            (
                "verify",
                "net.prototxt",
                "nothing",
                "net.prototxt",
                "net.caffemodel",
                "--engine",
                "opencv",
            ),
            "nothing",
        ),
    ],
)
def test_bad_input_is_an_error_that_leaves_nothing(words, message, folder, monkeypatch):
    monkeypatch.chdir(folder)
    broken(folder)
    before = listing(folder)
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit) and "Traceback" not in result.output
    assert message in result.stderr and not result.stdout
    assert listing(folder) == before


@pytest.mark.parametrize(
    "words",
    [
        ("nothing",),
        ("inspect",),
        ("inspect", "net.prototxt", "--phase", "SOME"),
        ("inspect", "n", "--input", "data"),
        ("inspect", "n", "--input", "data=1,x"),
        ("inspect", "n", "--input", "data=0,1"),
        ("inspect", "n", "--input", "=1"),
        ("fcn", "n", "--classes", 3),
        ("fcn", "n", "--stride", 3),
        ("fcn", "n", "--classes", 0, "--stride", 8),
        ("fcn", "n", "--classes", "a=2,a=3", "--stride", 8),
        ("fcn", "net.prototxt", "--classes", 3, "--stride", 8, "--pad", "many"),
        ("fcn", "net.prototxt", "--classes", 3, "--stride", 8, "--pad", "\u00b2"),
        ("fcn", "net.prototxt", "--classes", 3, "--stride", 4, "--mean", "a,b", "-o", "x"),
        ("convolutionalize", "n", "--weights", "w"),
        ("convolutionalize", "n", "--rename", "fc6"),
        ("surgery", "a", "b"),
        ("verify", "a", "b", "c", "d", "--engine", "tensorflow"),
    ],
)
def test_wrong_usage_is_exit_2(words, folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = listing(folder)
    result = run(*words)
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit), result.output
    assert listing(folder) == before


def test_a_second_file_that_fails_takes_the_first_with_it(folder):
    (folder / "here").mkdir()
    result = run(
        "convolutionalize",
        folder / "net.prototxt",
        "-o",
        folder / "no" / "o.prototxt",
        "--weights",
        folder / "net.caffemodel",
        "--weights-out",
        folder / "here" / "o.caffemodel",
    )
    assert result.exit_code == 2 and not list((folder / "here").iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(folder):
    (folder / "locked").mkdir(mode=0o500)
    result = run("convolutionalize", folder / "net.prototxt", "-o", folder / "locked" / "o")
    assert result.exit_code == 2 and "cannot be written" in result.stderr


# ---- processes


def process(*words, **options):
    command = [sys.executable, "-c", "from fcnkit.cli.main import main; main()", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_a_process_shows_a_mistake_without_a_traceback(folder):
    done = process("convolutionalize", folder / "nothing", "-o", folder / "out")
    assert done.returncode == 2 and done.stdout == ""
    assert (
        done.stderr.startswith(f"fcnkit: {folder / 'nothing'}: cannot be read")
        and done.stderr.count("\n") == 1
    )


def test_bytes_that_are_not_utf8_pass_through(folder):
    path = folder / "latin.prototxt"
    path.write_bytes(b"# caf\xe9\n" + SMALL.text.encode())
    done = process("convolutionalize", path, "-o", folder / "out.prototxt")
    assert done.returncode == 0 and (folder / "out.prototxt").read_bytes().startswith(
        b"# caf\xe9\n"
    )
    for flag in ("--diff", "--json"):
        assert process("convolutionalize", path, flag).returncode == 0


@pytest.mark.parametrize("words", [["--help"], ["convolutionalize", "template:alexnet", "--json"]])
def test_nets_are_changed_without_anything_heavy(words):
    code = (
        "import atexit, sys; from fcnkit.cli.main import main; "
        "atexit.register(lambda: print(sorted({'numpy', 'h5py', 'cv2', 'google'} & "
        "set(sys.modules)))); "
        f"main({words})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize(
    "text, fact",
    [
        ("", "is an empty file; download or export it again"),
        ('net: "train_val.prototxt" base_lr: 0.1\n', "is a solver"),
        ('name: "nothing"\n', "has no layers"),
    ],
)
@pytest.mark.parametrize(
    "words", [["inspect"], ["convolutionalize", "-o", "out"], ["align", "-o", "out"]]
)
def test_a_file_without_layers_is_no_net(tmp_path, monkeypatch, words, text, fact):
    monkeypatch.chdir(tmp_path)
    Path("solver.prototxt").write_text(text)
    done = CliRunner().invoke(main, [words[0], "solver.prototxt", *words[1:]])
    assert done.exit_code == 2
    assert "solver.prototxt: it " + fact in done.output
    assert not Path("out").exists()


def help_of(command, words=()):
    """Every command's help, those of groups' commands too."""
    yield words, run(*words, "--help").output
    for name in getattr(command, "list_commands", lambda _: ())(None):
        yield from help_of(command.get_command(None, name), (*words, name))


def test_help_fits_a_terminal_and_every_example_is_a_command():
    for words, text in help_of(main):
        assert max(map(len, text.splitlines())) <= 80, words
        examples = [line.split() for line in text.splitlines() if line.startswith("  fcnkit ")]
        assert {name for _, name, *_ in examples} <= set(main.list_commands(None)), words
        assert not re.search(r"\S fcnkit [a-z]+ \S+\.(prototxt|caffemodel)", text), words


@pytest.mark.parametrize("command", COMMANDS)
def test_no_help_speaks_of_none(command):
    assert "None]" not in run(command, "--help").output


def test_weights_of_another_net_start_no_fcn(tmp_path):
    """What none of the layers of the net would take is not left unsaid."""
    other = tmp_path / "other.caffemodel"
    store.create().put("other", [np.ones((2, 2), "f4")]).save(other)
    words = ["fcn", "template:lenet", "--classes", "2", "--stride", "4", "--weights", str(other)]
    result = CliRunner().invoke(main, [*words, "-o", str(tmp_path / "out")])
    assert result.exit_code == 2 and "it has no layer of template:lenet" in result.output
    assert not (tmp_path / "out").exists()


def test_a_tolerance_below_zero_is_a_mistake():
    words = ["verify", "template:lenet", "a.npz", "template:lenet", "a.npz", "--tolerance", "-1"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2 and "x>=0" in result.output


def test_a_net_s_name_for_weights_and_weights_for_a_net(tmp_path):
    """Both are easily given in the other's place."""
    done = run("draw", "model:digits", "-o", tmp_path / "net.svg")
    assert done.exit_code == 2 and "names weights, not a net" in done.output
    done = run("inspect", "template:digits", "--weights", "template:digits")
    assert done.exit_code == 2 and "template:digits is a net; give a weights file" in done.output
    assert run("diff", "model:digits", "template:digits").exit_code == 0
