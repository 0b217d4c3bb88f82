"""What Tab completes, asked as shells ask: by click's classes, and by the shells themselves."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete, get_completion_class
from click.testing import CliRunner

from fcnkit.cli import completion
from fcnkit.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
LENET = ["data", "conv1", "pool1", "conv2", "pool2", "ip1", "relu1", "ip2", "prob"]


def completed(*words):
    """(the values, the kinds of files) that complete the last of these words."""
    asked = ShellComplete(main, {}, "fcnkit", "_FCNKIT_COMPLETE")
    found = asked.get_completions(list(words[:-1]), words[-1])
    return [each.value for each in found if each.type == "plain"], {
        each.type for each in found if each.type != "plain"
    }


@pytest.mark.parametrize(
    "words, values, kinds",
    [
        (("ins",), ["inspect"], set()),
        (("models", ""), ["fetch", "list", "show"], set()),
        (("inspect", ""), [], {"file"}),
        (("inspect", "template:len"), ["template:lenet"], {"file"}),
        (("inspect", "tem"), None, {"file"}),
        (
            ("draw", "template:lenet/"),
            ["template:lenet/deploy.prototxt", "template:lenet/train_val.prototxt"],
            {"file"},
        ),
        (("fcn", "template:lenet", "--head", ""), LENET, set()),
        (("fcn", "template:lenet", "--head", "ip"), ["ip1", "ip2"], set()),
        (("fcn", "template:lenet", "--head=ip"), ["ip1", "ip2"], set()),
        (("inspect", "template:lenet", "--to", "conv"), ["conv1", "conv2"], set()),
        (("inspect", "template:lenet", "--input", ""), ["data="], set()),
        (("surgery", "template:lenet", "--do", "dr"), ["drop="], set()),
        (("surgery", "template:lenet", "--do", "fo"), ["fold", "fork="], set()),
        (("surgery", "template:lenet", "--do", "drop=ip"), ["drop=ip1", "drop=ip2"], set()),
        (
            ("surgery", "template:lenet", "--do", "drop=conv1,ip"),
            ["drop=conv1,ip1", "drop=conv1,ip2"],
            set(),
        ),
        (
            ("surgery", "template:lenet", "--do", "extract=conv1:ip"),
            ["extract=conv1:ip1", "extract=conv1:ip2"],
            set(),
        ),
        (("surgery", "template:lenet", "--do", "fold="), [], set()),
        (
            ("surgery", "template:lenet", "w", "--map", "ip1=x,ip"),
            ["ip1=x,ip1=", "ip1=x,ip2="],
            set(),
        ),
        (("models", "show", "vgg1"), ["vgg16", "vgg19"], set()),
        (("lint", "template:lenet", "--target", "nc"), ["ncnn"], {"file"}),
        (("verify", "a", "b", "c", "d", "--engine", "caffe,to"), ["caffe,torch"], set()),
        (("report", "template:len"), ["template:lenet"], {"file"}),
        (("report", "template:lenet", "--input", ""), ["data="], set()),
        (("train", "--device", "cu"), ["cuda", "cuda:0", "cuda:1"], set()),
        (("train", ""), [], {"dir"}),
        (("train", "--data", ""), [], {"dir"}),
        (("infer", "n", "w", "p", "-o", ""), [], {"dir"}),
        (("inspect", "template:lenet", "--phase", "T"), ["TEST", "TRAIN"], set()),
        (("inspect", "n", "--config", ""), [], {"file"}),
        (("train", "d", "--rate", ""), [], set()),
        (("completion", "b"), ["bash"], set()),
    ],
)
def test_what_completes_a_word(words, values, kinds):
    found, types = completed(*words)
    assert types == kinds
    if values is None:
        assert len(found) > 20 and all(each.startswith("template:") for each in found)
    else:
        assert found == values


def test_models_that_are_in_the_cache(tmp_path, monkeypatch):
    from example_files import Files, index

    (tmp_path / "files").mkdir()
    monkeypatch.setenv("FCNKIT_MODELS", str(tmp_path / "models"))
    place = index(tmp_path / "index", Files(tmp_path / "files"))
    for name in ("vgg16", "alexnet"):
        words = ["models", "fetch", name, "--index", str(place)]
        assert CliRunner().invoke(main, words).exit_code == 0
    (tmp_path / "models" / "other").mkdir()
    (tmp_path / "models" / "vgg16" / "thin.caffemodel").unlink()
    assert completed("inspect", "model:")[0] == ["model:digits", "model:alexnet"]
    assert completed("fcn", "n", "--weights", "mod")[0] == ["model:digits", "model:alexnet"]
    assert completed("infer", "n", "model:a")[0] == ["model:alexnet"]


@pytest.mark.parametrize(
    "words",
    [
        ("fcn", "nowhere.prototxt", "--head", ""),
        ("fcn", "--head", ""),
        ("surgery", "broken.prototxt", "--do", "drop="),
        ("surgery", "template:lenet", "--do", "nothing="),
        ("inspect", "--input", ""),
    ],
)
def test_where_nothing_is_known_nothing_is_said(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("broken.prototxt").write_text("layer {")
    assert completed(*words) == ([], set())
    assert capsys.readouterr() == ("", "")


def test_every_parameter_that_is_a_file_or_a_folder_is_known_as_one():
    for words, kind in (
        ("upgrade n -o", "file"),
        ("upgrade n --weights-out", "file"),
        ("dataset create", "file"),
        ("dataset create i", "file"),
        ("dataset create i l --val-images", "dir"),
        ("score", "file"),
        ("caffe install", "dir"),
        ("convert", "file"),
        ("run", "file"),
        ("infer n w", "file"),
    ):
        assert completed(*words.split(), "")[1] == {kind}, words


# ---- shells


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_shell_has_a_script(shell):
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0 and f"_FCNKIT_COMPLETE={shell}_complete" in done.output


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_shell_is_answered(shell, monkeypatch):
    completion.register()
    words = "fcnkit inspect template:lene"
    environment = {"COMP_WORDS": words, "COMP_CWORD": "2", "COMP_LINE": words, "COMP_POINT": "99"}
    if shell == "fish":
        environment["COMP_CWORD"] = "template:lene"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    asked = get_completion_class(shell)(main, {}, "fcnkit", "_FCNKIT_COMPLETE")
    assert "template:lenet" in asked.complete()


PRESS = """
eval "$(fcnkit completion bash)"
press() {
    COMP_LINE=$1 COMP_POINT=${#1}
    COMP_WORDS=($(sed 's/[:=]/ & /g' <<<"$1"))
    [[ $1 == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _fcnkit_completion fcnkit 2>/dev/null
    echo "${COMPREPLY[@]}"
}
"""


@pytest.fixture
def here(tmp_path):
    """A folder with a net of a bad name; beside it `fcnkit`, for a shell to start."""
    (tmp_path / "fcnkit").write_text(
        f"#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -c "
        "'from fcnkit.cli.main import run; run()' \"$@\"\n"
    )
    (tmp_path / "fcnkit").chmod(0o755)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "deep net.prototxt").touch()
    return tmp_path / "here"


def lines_of(here, *command):
    """What a shell prints in this folder."""
    path = f"{here.parent}:{os.environ['PATH']}"
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(here.parent), "PATH": path}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=here, env=environment, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_bash_itself(here):
    """To bash a word begins behind a ":" or "="; what it puts there must begin there too."""
    pressed = {
        "fcnkit inspect template:lene": "lenet",
        "fcnkit inspect template:lenet/": "lenet/deploy.prototxt lenet/train_val.prototxt",
        "fcnkit inspect dee": "deep net.prototxt",
        "fcnkit fcn template:lenet --head=i": "ip1 ip2",
        "fcnkit surgery template:lenet --do drop=ip": "ip1 ip2",
        "fcnkit surgery template:lenet --do drop=": " ".join(LENET),
        "fcnkit doc": "doctor",
    }
    lines = "".join(f"press {line!r}\n" for line in pressed)
    assert lines_of(here, "bash", "--norc", "-c", PRESS + lines) == list(pressed.values())


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish")
def test_fish_itself(here):
    """Fish compares the whole word, an option and its "=" included."""
    pressed = {
        "fcnkit inspect template:lene": "template:lenet",
        "fcnkit inspect dee": "deep net.prototxt",
        "fcnkit fcn template:lenet --head i": "ip1 ip2",
        "fcnkit fcn template:lenet --head=i": "--head=ip1 --head=ip2",
        "fcnkit fcn template:lenet --weights=dee": "--weights=deep net.prototxt",
        "fcnkit surgery template:lenet --do drop=conv1,ip": "drop=conv1,ip1 drop=conv1,ip2",
        "fcnkit inspect template:lenet --input ": "data=",
        "fcnkit doc": "doctor\tShow what works on this machine and what is missing.",
    }
    asked = "".join(f"echo (complete -C {line!r})\n" for line in pressed)
    found = lines_of(here, "fish", "--no-config", "-c", f"fcnkit completion fish | source\n{asked}")
    assert found == list(pressed.values())


# Keys go to a zsh of its own, where ^X writes down the line as it stands, and empties it.
ZSH = r"""
zmodload zsh/zpty
zpty -b inner zsh -f -i
zpty -w inner 'autoload -U compinit; compinit -D -u; eval "$(fcnkit completion zsh)"'
zpty -w inner 'dump() { print -r -- "$BUFFER|" >> ../dumped; BUFFER= }'
zpty -w inner 'zle -N dump; bindkey ^X dump'
for line in "${lines[@]}"; do zpty -w -n inner "$line"$'\t\x18'; done
for ((tries = 0; tries < 900; tries++)); do
    zpty -rt inner ignored
    [[ -f ../dumped && $(wc -l < ../dumped) -ge $#lines ]] && break
    sleep 0.1
done
zpty -d inner
cat ../dumped
"""


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh")
def test_zsh_itself(here):
    """Zsh writes what all answers begin with, and a space behind the only one."""
    pressed = {
        "fcnkit inspect template:lene": "fcnkit inspect template:lenet ",
        "fcnkit inspect dee": r"fcnkit inspect deep\ net.prototxt ",
        "fcnkit fcn template:lenet --head i": "fcnkit fcn template:lenet --head ip",
        "fcnkit fcn template:lenet --head=i": "fcnkit fcn template:lenet --head=ip",
        "fcnkit surgery template:lenet --do drop=conv1,i": (
            "fcnkit surgery template:lenet --do drop=conv1,ip"
        ),
        "fcnkit inspect template:lenet --input ": "fcnkit inspect template:lenet --input data=",
        "fcnkit doc": "fcnkit doctor ",
    }
    lines = "lines=(" + " ".join(map(shlex.quote, pressed)) + ")"
    found = lines_of(here, "zsh", "-f", "-c", lines + ZSH)
    assert found == [f"{line}|" for line in pressed.values()]
