"""The public names have types: mypy reads a user's script as it reads one of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "tests" / "typed_user.py"
# As where fcnkit is installed: its own source is read for its types, and not judged.
STRICT = ("--strict", "--follow-imports", "silent", "--config-file", "", "--no-error-summary")


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """What mypy says of a script."""
    cache = tmp_path_factory.mktemp("mypy")

    def said(script: Path) -> str:
        command = [sys.executable, "-m", "mypy", *STRICT, "--cache-dir", cache, script]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
        assert not done.stderr and done.returncode in (0, 1), done.stderr
        return done.stdout

    return said


def test_a_users_script_passes(mypy):
    assert mypy(SCRIPT) == ""


@pytest.mark.parametrize(
    ("line", "wrong", "says"),
    [
        ("net: fk.Prototxt = fk.read(path)", "net: fk.Plan = fk.read(path)", "Prototxt"),
        ("fk.fcn(net, classes=21, stride=8)", "fk.fcn(net, clases=21)", '"clases" for "fcn"'),
        ("each.largest for each", "each.biggest for each", 'no attribute "biggest"'),
        ("fk.transplant(scores, weights)", "fk.transplant(scores, net)", '"transplant"'),
        ("shares: dict[str, float]", "shares: dict[str, str]", "dict[str, float]"),
        ("fk.verify(", "fk.verifi(", "verifi"),
        ("kernel_size=3", "kernal_size=3", '"kernal_size" for "Convolution"'),
        ("num_output=8", 'num_output="8"', 'incompatible type "str"; expected "int"'),
        ("P.Data.LMDB", "P.Data.LDMB", "LDMB"),
    ],
)
def test_a_slip_in_it_is_found(mypy, tmp_path, line, wrong, says):
    text = SCRIPT.read_text()
    assert line in text
    (tmp_path / "slip.py").write_text(text.replace(line, wrong))
    found = mypy(tmp_path / "slip.py")
    assert "error:" in found and says in found
