"""The notebooks run as they are, anywhere; what they show in the repository is what they give."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

import fcnkit as fk

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LACKING = [
    name
    for name in (
        "nbclient",
        "nbformat",
        "ipykernel",
        "cv2",
        "PIL",
        "lmdb",
        "matplotlib",
        "pygraphviz",
    )
    if importlib.util.find_spec(name) is None
]
needs_jupyter = pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}")
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# What depends on the machine, and has no place in a stored notebook.
MACHINE = re.compile(r"/(home|root|Users|tmp|work|opt)/|0x[0-9a-f]{8}|\b\d\d:\d\d:\d\d\b")
SIZE = 400_000
# What a notebook takes from fcnkit beside the names that `fk` has.
PUBLIC = ("fcnkit.templates", "fcnkit.pycaffe")


@pytest.fixture
def notebooks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import notebooks

    return notebooks


def read(path):
    import nbformat

    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell) -> list:
    """What a cell gives, of pictures too, without its counter."""
    return [
        {
            name: value
            for name, value in output.items()
            if name not in ("execution_count", "metadata")
        }
        for output in cell.outputs
    ]


def stale(stored, fresh) -> list[str]:
    """The cells said to be exact, whatever the machine, that give something else now."""
    return [
        old.source
        for old, new in zip(code(stored), code(fresh), strict=True)
        if "exact" in old.metadata.get("tags", ()) and shown(old) != shown(new)
    ]


def text(output) -> str:
    """The words of an output; not its pictures."""
    data = output.get("data", {})
    return str(output.get("text", "")) + "".join(
        value for kind, value in data.items() if kind.startswith("text/") or "svg" in kind
    )


def tree(notebook) -> ast.Module:
    return ast.parse("\n".join(cell.source for cell in code(notebook)))


def modules(tree: ast.Module) -> set[str]:
    """What is imported, by whole names."""
    nodes = list(ast.walk(tree))
    names = {each.name for node in nodes if isinstance(node, ast.Import) for each in node.names}
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return names | {f"{node.module}.{each.name}" for node in froms for each in node.names}


@needs_jupyter
@each
def test_a_notebook_runs_without_caffe_and_gives_what_it_shows(
    notebooks, path, tmp_path, monkeypatch
):
    """Its own assertions hold: a cell that fails is an error here.  The training is a short one."""
    if modules(tree(read(path))) & {"torch", "fcnkit.pycaffe"}:
        pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")
    if "fk.from_torch" in path.read_text(encoding="utf-8"):
        for name in ("onnx", "onnxruntime"):
            pytest.importorskip(name, reason=f"{name} is not installed: pip install 'fcnkit[onnx]'")
    monkeypatch.setenv("FCNKIT_CAFFE", str(tmp_path / "none"))
    monkeypatch.setenv("FCNKIT_QUICK_NOTEBOOKS", "1")
    folder = tmp_path / "here"
    folder.mkdir()
    fresh = notebooks.executed(path, folder)
    assert stale(read(path), fresh) == [], "run `make notebooks` and review the difference"
    assert list(folder.iterdir()) == [], "it leaves nothing where it is run"


@needs_jupyter
@each
def test_a_notebook_uses_what_is_public(path):
    source = tree(read(path))
    ours = {name for name in modules(source) if name.split(".")[0] == "fcnkit"}
    assert {name for name in ours if not name.startswith(PUBLIC)} == {"fcnkit"}
    used = {
        node.attr
        for node in ast.walk(source)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "fk"
    }
    assert used and used <= set(fk.__all__)


@needs_jupyter
def test_the_stored_training_shows_what_its_text_says():
    """It was not a short one: each stride is better than the one before."""
    (path,) = (path for path in NOTEBOOKS if "8s" in path.stem)
    words = "".join(text(output) for cell in code(read(path)) for output in cell.outputs)
    rows = re.findall(r"^FCN-(\d+)s +([\d.]+)% +([\d.]+)", words, re.M)
    assert [row[0] for row in rows] == ["32", "16", "8"]
    for column in (1, 2):
        figures = [float(row[column]) for row in rows]
        assert figures == sorted(figures) and figures[0] < figures[-1]
    assert float(rows[-1][1]) > 85


@needs_jupyter
@each
def test_a_notebook_is_stored_whole_and_small(path):
    notebook = read(path)
    assert path.stat().st_size < SIZE
    assert [cell.execution_count for cell in code(notebook)] == list(
        range(1, len(code(notebook)) + 1)
    )
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    assert "error" not in {output.output_type for output in outputs}
    assert any("image/png" in output.get("data", {}) for output in outputs), "it has a picture"
    for output in outputs:
        if "image/svg+xml" in output.get("data", {}):
            assert "data:image/svg+xml;base64," in output.data["text/html"], (
                "seen before it is trusted"
            )
    assert [found for output in outputs if (found := MACHINE.search(text(output)))] == []


@needs_jupyter
@each
def test_a_notebook_says_what_holds(path):
    cells = code(read(path))
    asserted = sum(bool(re.search(r"^\s*(assert|raise) ", cell.source, re.M)) for cell in cells)
    exact = sum("exact" in cell.metadata.get("tags", ()) for cell in cells)
    assert asserted >= 2 and asserted + exact >= 4


@needs_jupyter
def test_a_cell_that_gives_something_else_is_seen():
    import nbformat

    def notebook(given, **metadata):
        output = nbformat.v4.new_output("stream", name="stdout", text=given)
        return nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell("print(x)", outputs=[output], metadata=metadata)]
        )

    stored = notebook("3\n", tags=["exact"])
    assert stale(stored, notebook("2\n")) == ["print(x)"] and stale(stored, notebook("3\n")) == []
    assert stale(notebook("3\n"), notebook("2\n")) == [], "it is not said to be exact"


@needs_jupyter
def test_a_cell_that_fails_is_an_error(notebooks, tmp_path):
    import nbformat
    from nbclient.exceptions import CellExecutionError

    wrong = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert 1 + 1 == 3")])
    nbformat.write(wrong, tmp_path / "wrong.ipynb")
    with pytest.raises(CellExecutionError):
        notebooks.executed(tmp_path / "wrong.ipynb")
