"""What messages tell people to do can be done: commands, options, operations, engines, installs."""

import ast
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.engines import caffe_runtime
from fcnkit.engines.engine import how_to_install, names
from fcnkit.rewrites.operations import every

ROOT = Path(__file__).resolve().parent.parent
# What the same words are to other programs than fcnkit's command line.
_CAFFE = {"--solver", "--snapshot", "--weights", "--gpu", "--log"}


def literals():
    """(file:line, text) of every string of fcnkit that is no docstring; a value in it is {}."""
    for file in sorted((ROOT / "fcnkit").rglob("*.py")):
        tree = ast.parse(file.read_text())
        inner = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            for part in node.values
        }
        lines = documented(tree)
        for node in ast.walk(tree):
            if id(node) in inner or getattr(node, "lineno", 0) in lines:
                continue
            if isinstance(node, ast.JoinedStr):
                yield (
                    f"{file.name}:{node.lineno}",
                    "".join(
                        str(part.value) if isinstance(part, ast.Constant) else "{}"
                        for part in node.values
                    ),
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{file.name}:{node.lineno}", node.value


def documented(tree):
    """The lines on which docstrings begin."""
    return {
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def commands(group, words=()):
    """{words: command} of every command, those of groups too."""
    found = {words: group}
    for name in getattr(group, "list_commands", lambda _: ())(None):
        found |= commands(group.get_command(None, name), (*words, name))
    return found


COMMANDS = commands(main)
TEXTS = list(literals())


def options(command):
    named = (word for each in command.params for word in (*each.opts, *each.secondary_opts))
    return {word for word in named if word.startswith("-")} | {"--help", "--version"}


ALL = {word for command in COMMANDS.values() for word in options(command)}


def wrong_command(text):
    """What is not so of a command as a message quotes it, `fcnkit convert IN OUT`."""
    words = text.split()[1:]
    known = [size for size in (1, 2) if tuple(words[:size]) in COMMANDS]
    if not known and words[0] != "{}":
        return f"there is no command {words[0]}"
    if not known:
        return ""
    has = options(COMMANDS[tuple(words[: known[-1]])])
    return ", ".join(word for word in words if word.startswith("--") and word not in has)


def test_commands_that_messages_name_are_there():
    quoted = [
        (place, found) for place, text in TEXTS for found in re.findall(r"`(fcnkit [^`]+)`", text)
    ]
    assert len(quoted) > 20
    assert [row for row in quoted if wrong_command(row[1])] == []


@pytest.mark.parametrize(
    "text", ["fcnkit mend x", "fcnkit convert a b --into", "fcnkit models fetch x --deep"]
)
def test_a_command_that_is_not_there_is_seen(text):
    assert wrong_command(text)


def test_options_that_messages_name_are_there():
    found = [
        (place, word)
        for place, text in TEXTS
        for word in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)
    ]
    assert len(found) > 100
    # launch.py and main.py speak of the program that trains, caffe.py to Caffe's own.
    assert {word for _, word in found} - ALL - _CAFFE - PROGRAM - SYSTEM == set()


# Options of the system's programs, which fcnkit starts: a loader, apt-get and nvidia-smi; and of
# fish's `complete`.
SYSTEM = {"--library-path", "--download-only", "--query-gpu", "--format"}
SYSTEM |= {"--no-files", "--command", "--arguments"}
# Options of the program that trains on PyTorch, which fcnkit itself starts.
PROGRAM = set(
    re.findall(
        r'"(--[a-z-]+)',
        "".join(path.read_text() for path in (ROOT / "fcnkit/training/torch/program").glob("*.py")),
    )
)


def test_operations_that_messages_name_are_there():
    known = {each.name for each in every()}
    found = {word for _, text in TEXTS for word in re.findall(r"--do (?!makes|what)([a-z]+)", text)}
    assert found and found <= known


def test_engines_that_messages_name_are_there():
    found = {
        word for _, text in TEXTS for word in re.findall(r"(?:--engine|the engine) ([a-z]+)", text)
    }
    assert found and found <= set(names())


def test_what_messages_install_is_there():
    """A target of the Makefile helps who has fcnkit's sources, so the message names them."""
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    extras = set(re.findall(r'"(\w+)":', (ROOT / "setup.py").read_text()))
    extras |= set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.M))
    targets = {
        word for _, text in TEXTS for word in re.findall(r"^make ([a-z]+)$|`make ([a-z]+)`", text)
    }
    for pair in targets:
        assert "".join(pair) in made
    for place, text in TEXTS:
        for extra in re.findall(r"fcnkit\[(\w+)\]", text):
            assert extra in extras, place
        assert "`make " not in text or "sources" in text, place
        assert "scripts/" not in text, place


# ---- remedies carried out

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }\n'  # noqa: E501
OPEN = 'layer { name: "data" type: "Data" top: "data" data_param { source: "x" batch_size: 1 } }\n'
V0 = 'input: "data" input_dim: 1 input_dim: 3 input_dim: 9 input_dim: 9\nlayers { layer { name: "fc" type: "innerproduct" num_output: 2 } bottom: "data" top: "fc" }\n'  # noqa: E501
FC = 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 } }\n'  # noqa: E501
POOL = 'layer { name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param { kernel_size: 2 stride: 2 %s } }\n'  # noqa: E501
CONV = 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 2 kernel_size: 3 %s } }\n'  # noqa: E501
BN = 'layer { name: "b" type: "BatchNorm" bottom: "data" top: "b" batch_norm_param { %s } }\n'
SCALE = 'layer { name: "s" type: "Scale" bottom: "b" top: "b" scale_param { bias_term: true } }\n'
TRAIN = OPEN.replace("data_param", "include { phase: TRAIN } data_param")
# A net, a command, what it says, and the net and command that it asks for.
REMEDIES = {
    "old": (V0, "convolutionalize n", "fcnkit upgrade", V0, "upgrade n -o n --force"),
    "open": (
        OPEN + FC,
        "convolutionalize n",
        "data=1,3,227,227",
        OPEN + FC,
        "convolutionalize n --input data=1,3,9,9",
    ),
    "there": (
        DATA + FC,
        "convolutionalize n -o n",
        "--force",
        DATA + FC,
        "convolutionalize n -o n --force",
    ),
    "fields": (
        DATA + POOL % "ceil_mode: false",
        "lint n",
        "round_mode: FLOOR",
        DATA + POOL % "round_mode: FLOOR",
        "lint n",
    ),
    "torch": (
        DATA + POOL % "torch_pooling: true",
        "lint n",
        "round_mode: FLOOR",
        DATA + POOL % "round_mode: FLOOR",
        "lint n",
    ),
    "hole": (
        DATA + CONV % "hole: 2",
        "lint n",
        "write dilation in its place",
        DATA + CONV % "dilation: 2",
        "lint n",
    ),
    "filler": (
        DATA + BN % "scale_filler { value: 1 }",
        "lint n",
        "which the NVCaffe fork has; to run the net in Caffe, use that fork, or put a Scale layer",
        DATA + BN % "" + SCALE,
        "lint n",
    ),
    "relu": (
        DATA + CONV % "relu: true",
        "lint n",
        "which the Intel fork has; to run the net in Caffe, use that fork, or put a ReLU layer",
        DATA + CONV % "" + 'layer { name: "r" type: "ReLU" bottom: "c" top: "c" }\n',
        "lint n",
    ),
    "scale": (
        DATA + BN % "scale_bias: true",
        "lint n",
        "put a Scale layer with bias_term: true",
        DATA + BN % "" + SCALE,
        "lint n",
    ),
    "inner": (
        DATA
        + 'layer { name: "x" type: "Foo" bottom: "data" top: "x" }\n'
        + FC.replace('"data"', '"x"'),
        "convolutionalize n",
        "--input x=N,C,H,W",
        DATA
        + 'layer { name: "x" type: "Foo" bottom: "data" top: "x" }\n'
        + FC.replace('"data"', '"x"'),
        "convolutionalize n --input x=1,3,9,9",
    ),
    "train": (
        TRAIN,
        "inspect n",
        "look at --phase TRAIN",
        TRAIN,
        "inspect n --phase TRAIN --input data=1,3,9,9",
    ),
    "train only": (
        TRAIN + FC,
        "inspect n",
        "look at --phase TRAIN",
        TRAIN + FC,
        "inspect n --phase TRAIN --input data=1,3,9,9",
    ),
    "outputs": (
        DATA + FC.replace("2", "0"),
        "inspect n",
        "num_output is 0",
        DATA + FC,
        "inspect n",
    ),
    "no outputs": (
        DATA + FC.replace("num_output: 2", ""),
        "inspect n",
        "it has no num_output",
        DATA + FC,
        "inspect n",
    ),
    "solver": (
        'net: "n" base_lr: 0.1\n',
        "inspect n",
        "name the prototxt of a net",
        DATA + FC,
        "inspect n",
    ),
}


def run(words):
    return CliRunner().invoke(main, words.split())


@pytest.mark.parametrize("name", REMEDIES)
def test_a_remedy_helps_in_the_case_that_raised_it(name, tmp_path, monkeypatch):
    net, command, says, mended, again = REMEDIES[name]
    monkeypatch.chdir(tmp_path)
    Path("n").write_text(net)
    done = run(command)
    assert says in done.output, done.output
    Path("n").write_text(mended)
    found = run(again)
    assert says not in found.output
    assert found.exit_code == 0 or command.startswith("lint"), found.output


@pytest.mark.parametrize(
    "words, fork",
    [
        ("slope_filler { value: 1 }", "PSPNet"),
        ("shift_filler { value: 1 }", "SegNet"),
        ("", "SegNet"),
    ],
)
def test_a_type_that_two_forks_have_is_of_the_one_whose_words_it_has(words, fork):
    net = DATA + f'layer {{ name: "b" type: "BN" bottom: "data" top: "b" bn_param {{ {words} }} }}'
    found = [one.text for one in fk.lint(fk.parse(net)) if one.name == "fork-type"]
    told = f'layer "b": BVLC Caffe has no layer type "BN", which the {fork} fork has'
    assert found == [f"{told}; to run the net in Caffe, use that fork"]


def test_what_is_not_known_of_a_type_is_said():
    net = DATA + 'layer { name: "b" type: "FixedNeuron" bottom: "data" top: "b" }'
    assert any("does not know what it computes" in one.text for one in fk.lint(fk.parse(net)))


@pytest.mark.parametrize(
    "obstacle, words",
    [
        ("", "run `fcnkit caffe install`, or `pip install 'fcnkit[torch]'`"),
        ("this system is Windows", "run `pip install 'fcnkit[torch]'`"),
    ],
)
def test_what_a_machine_cannot_have_is_not_what_it_is_told_to_install(monkeypatch, obstacle, words):
    monkeypatch.setattr(caffe_runtime, "obstacle", lambda: obstacle)
    assert how_to_install(["caffe", "torch"]) == words
