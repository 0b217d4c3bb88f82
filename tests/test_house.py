"""The rules of the house, checked on the source itself."""

import ast
import importlib.metadata
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import fcnkit
from fcnkit.rewrites import REWRITES

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "fcnkit"
FILES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))

# Who may import whom: a module imports its own room and rooms of a lower level.
LEVELS = (
    ("annotations", "errors", "plural"),
    ("foreign",),
    (
        "ahead",
        "edits",
        "expected",
        "files",
        "libraries",
        "locks",
        "notebook",
        "progress",
        "shape",
        "system",
        "tables",
        "templates",
        "ticks",
    ),
    ("formats",),
    (
        "nets",
        "weights.store",
        "weights.containers",
        "weights.caffemodel_edits",
        "weights.blobs",
        "models",
    ),
    ("plan", "inspection", "preprocessing"),
    ("drawing",),
    ("rewrites", "weights", "exporting"),
    ("importing", "targets"),
    ("engines",),
    ("verifying", "linting"),
    ("datasets",),
    ("training", "inference"),
    ("scoring",),
    ("pycaffe",),
    ("families",),
    ("reporting",),
    ("cli",),
)
# A plan mentions weights only as data, so rewrites know of no file and no engine.
APART = {"rewrites": ("weights",)}
# prototxt is made of spans, schema gives Caffe's types to its fields, and what Caffe's
# weights and the compiled schema are made of is protobuf on the wire; a reader asks signature
# what a file is that it cannot take; nothing else is joined.
FORMATS_JOINED = {
    ("formats.blobproto", "formats.wire"),
    ("formats.binaryproto", "formats.wire"),
    ("formats.binaryproto", "formats.blobproto"),
    ("formats.binaryproto", "formats.schema"),
    ("formats.caffemodel", "formats.wire"),
    ("formats.caffemodel", "formats.blobproto"),
    ("formats.with_forks", "formats.schema"),
    ("formats.with_forks", "formats.values"),
    ("formats.with_forks", "formats.descriptors"),
    ("formats.binary", "formats.wire"),
    ("formats.binary", "formats.prototxt"),
    ("formats.binary", "formats.schema"),
    ("formats.binary", "formats.values"),
    ("formats.solverstate", "formats.wire"),
    ("formats.solverstate", "formats.blobproto"),
    ("formats.datum", "formats.schema"),
    ("formats.npz", "formats.npy"),
    ("formats.hdf5_frame", "formats.hdf5"),
    ("formats.schema", "formats.prototxt"),
    ("formats.schema", "formats.values"),
    ("formats.schema", "formats.descriptors"),
    ("formats.descriptors", "formats.wire"),
    ("formats.values", "formats.prototxt"),
    ("formats.prototxt", "formats.spans"),
    ("formats.signature", "formats.wire"),
    ("formats.prototxt", "formats.signature"),
    ("formats.binaryproto", "formats.signature"),
    ("formats.lmdbs", "formats.signature"),
}
HEAVY = (
    "numpy",
    "h5py",
    "cv2",
    "matplotlib",
    "PIL",
    "google",
    "lmdb",
    "pygraphviz",
    "rich",
    "torch",
    "onnx",
    "onnxruntime",
    "jinja2",
    "markupsafe",
)
_TORCH_FILES = ("forward", "module", "net", "parameters", "wiring")
# Made of PyTorch and numpy, and imported when a net is run or trained on them.
_PYCAFFE_FILES = (
    "building", "memory", "messages", "net", "net_parts", "running", "solver", "sources", "wiring",
    "classifier", "detector", "io", "picture_net", "resizing",
)  # fmt: skip
TORCH = {
    *(PACKAGE / "engines" / "torch" / "layers").glob("[!_]*.py"),
    *(PACKAGE / "engines" / "torch" / f"{name}.py" for name in _TORCH_FILES),
    *(PACKAGE / "training" / "torch" / "reading").glob("[!_]*.py"),
    *(PACKAGE / "training" / "torch" / "solving").glob("[!_]*.py"),
    *(PACKAGE / "training" / "torch" / "program" / f"{name}.py" for name in ("processes", "train")),
    *(PACKAGE / "pycaffe" / f"{name}.py" for name in _PYCAFFE_FILES),
}
# Imported by a script in lmdb's place.
LMDB = PACKAGE / "pycaffe" / "python2" / "modules" / "lmdb.py"
# Runs inside Caffe's own Python, never inside ours.
WORKER = "_caffe_worker.py"


def name_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def level(module: str) -> int:
    rooms = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
    found = [rooms[room] for room in (module, module.split(".")[0]) if room in rooms]
    assert found, f"fcnkit.{module}: say in LEVELS where it belongs"
    return found[0]


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules of fcnkit that a source imports, without the leading "fcnkit."."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            full = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if is_module(name) else base for name in full]
        else:
            continue
        yield from (
            name.partition(".")[2] for name in names if name.partition(".")[0] in ("fcnkit", "")
        )


def is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    templates = name == "fcnkit.templates"
    return templates or place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def wrong_imports(module: str, tree: ast.AST) -> list[str]:
    return [
        f"{module} imports {other or 'fcnkit'}"
        for other in imported(tree)
        if not may(module, other)
    ]


def may(module: str, other: str) -> bool:
    if not module or module.startswith("cli"):
        return True
    if not other:
        return False
    room, other_room = module.split(".")[0], other.split(".")[0]
    if other_room in APART.get(room, ()):
        return False
    if room == other_room == "formats":
        return (module, other) in FORMATS_JOINED
    return room == other_room and level(module) >= level(other) or level(other) < level(module)


def circle(needs: dict[str, set[str]]) -> list[str]:
    """Modules of which each imports the next and the last is the first;
    none where imports make no circle.
    """
    clear: set[str] = set()

    def below(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in clear:
            return []
        found = (below(other, [*path, module]) for other in sorted(needs.get(module, ())))
        round_trip = next(filter(None, found), [])
        if not round_trip:
            clear.add(module)
        return round_trip

    return next(filter(None, (below(module, []) for module in sorted(needs))), [])


def top_level(tree: ast.Module) -> Iterator[str]:
    """What a module imports as soon as it is imported itself."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def undocumented(node: ast.AST, inside: str = "") -> Iterator[str]:
    """The public functions, classes and methods that have no docstring."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if child.name.startswith("_") or is_stub(child):
            continue
        if not ast.get_docstring(child):
            yield f"{inside}{child.name}"
        if isinstance(child, ast.ClassDef):
            yield from undocumented(child, f"{child.name}.")


def is_stub(node: ast.AST) -> bool:
    """Whether its body is `...` alone, as in a Protocol: the class says what it is."""
    return [ast.unparse(statement) for statement in node.body] == ["..."]


def printed(tree: ast.AST) -> list[int]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [
        call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"
    ]


def each(files):
    return pytest.mark.parametrize("file", files, ids=lambda file: str(file.relative_to(ROOT)))


@each(FILES)
def test_imports_point_one_way(file):
    assert wrong_imports(name_of(file), ast.parse(file.read_text())) == []


def test_no_module_needs_itself():
    needs = {name_of(file): set(imported(ast.parse(file.read_text()))) for file in FILES}
    assert circle(needs) == []


@pytest.mark.parametrize(
    "needs, found",
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, ["b", "c", "b"]),
        ({"a": {"a"}}, ["a", "a"]),
    ],
)
def test_a_circle_is_found(needs, found):
    assert circle(needs) == found


@each([file for file in FILES if file not in TORCH])
def test_what_is_made_of_pytorch_is_imported_where_it_is_used(file):
    within = {f"fcnkit.{name_of(torch)}" for torch in TORCH}
    assert within.isdisjoint(top_level(ast.parse(file.read_text())))


@each([file for file in FILES if file.name != WORKER and file not in {*TORCH, LMDB}])
def test_heavy_modules_are_imported_where_they_are_used(file):
    names = {name.split(".")[0] for name in top_level(ast.parse(file.read_text()))}
    assert names.isdisjoint(HEAVY)


@each(FILES)
def test_no_assert_on_input(file):
    found = [
        node.lineno
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


@each([file for file in FILES if not file.name.startswith("_") or file.name == "__init__.py"])
def test_public_names_have_docstrings(file):
    assert list(undocumented(ast.parse(file.read_text()))) == []


@each([file for file in FILES if file.parent.name != "cli" and file.name != WORKER])
def test_only_the_command_line_prints(file):
    assert printed(ast.parse(file.read_text())) == []


@each(FILES + SCRIPTS)
def test_files_are_short(file):
    assert len(file.read_text().splitlines()) <= 400


@pytest.mark.parametrize("module", ["fcnkit", "fcnkit.cli.main"])
def test_start_up_is_light(module):
    if not is_module(module):
        pytest.skip(f"{module} is not there yet")
    # What the interpreter itself loads (a .pth file may) is not ours.
    assert (loaded_by(module) - loaded_by("sys")).isdisjoint(HEAVY)


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_there_is_something_to_check():
    assert {"errors", "edits", "formats.prototxt"} <= {name_of(file) for file in FILES}


@pytest.mark.parametrize(
    "module, source",
    [
        ("errors", "from fcnkit.edits import Edit\nfrom fcnkit import plan"),
        ("formats.caffemodel", "from fcnkit.formats import schema"),
        ("formats.prototxt", "import fcnkit.formats.schema"),
        ("nets.shapes", "from fcnkit.plan import Plan"),
        ("nets.shapes", "from fcnkit.weights import blobs"),
        ("weights.store", "from fcnkit.nets.graph import Graph"),
        ("weights.store", "from fcnkit.weights.surgery import transplant"),
        ("weights.blobs", "from fcnkit.plan import Move"),
        ("inspection", "from fcnkit.plan import Plan"),
        ("plan", "def late():\n    from fcnkit.rewrites.fcn import fcn"),
        ("rewrites.fcn", "from fcnkit.weights import store"),
        ("rewrites.fcn", "from fcnkit.engines.caffe import run"),
        ("engines.caffe", "from fcnkit.verifying import verify"),
        ("verifying.verify", "import fcnkit"),
        ("verifying.verify", "from fcnkit.cli import main"),
    ],
)
def test_a_wrong_import_is_found(module, source):
    assert wrong_imports(module, ast.parse(source))


@pytest.mark.parametrize(
    "module, source",
    [
        ("formats.schema", "from fcnkit.formats.prototxt import Field"),
        (
            "nets.shapes",
            "from fcnkit.nets.layers import table\nfrom fcnkit.formats.prototxt import read",
        ),
        (
            "weights.surgery",
            "from fcnkit.weights.store import Weights\nfrom fcnkit.plan import Plan",
        ),
        ("rewrites.fcn", "from fcnkit.rewrites.upsample import upsample\nimport numpy"),
        ("cli.main", "import fcnkit\nfrom fcnkit.verifying.verify import verify"),
        ("", "from fcnkit.verifying.verify import verify"),
    ],
)
def test_a_right_import_is_let_through(module, source):
    assert wrong_imports(module, ast.parse(source)) == []


def test_every_public_name_is_there():
    assert all(hasattr(fcnkit, name) for name in fcnkit.__all__)
    assert set(dir(fcnkit)) == {*fcnkit.__all__, "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'fcm'"):
        fcnkit.fcm  # noqa: B018


def test_names_of_the_version_before_still_work():
    with pytest.warns(DeprecationWarning, match="fcnkit.train is called fcnkit.to_train") as said:
        old = fcnkit.train
    assert old is fcnkit.to_train and "train" not in dir(fcnkit)
    assert said[0].filename == __file__


def test_the_version_is_that_of_the_package():
    assert fcnkit.__version__ == importlib.metadata.version("fcnkit")


FIRST = (
    *("read", "inspect", "convolutionalize", "fcn", "weights", "transplant", "verify", "infer"),
    "module",
)


@pytest.mark.parametrize("name", FIRST)
def test_help_has_an_example_and_every_argument(name):
    """What `help(fk.fcn)` shows: a call that can be copied, and each argument by its name."""
    shown = inspect.getdoc(getattr(fcnkit, name))
    assert f"fk.{name}(" in shown
    told = re.findall(r"`(\w+)`", shown)
    named = set(inspect.signature(getattr(fcnkit, name)).parameters) - {"net"}
    assert named <= set(told), f"help(fk.{name}) does not tell what these are: {named - set(told)}"


def test_the_stub_is_what_make_stubs_writes(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import make_stubs

    assert make_stubs.STUB.read_text() == make_stubs.stub()


def test_the_stub_says_where_each_name_is():
    stub = ast.parse(Path(fcnkit.__file__).with_suffix(".pyi").read_text())
    homes = {
        alias.asname or alias.name: getattr(import_module(node.module), alias.name)
        for node in stub.body
        if isinstance(node, ast.ImportFrom) and node.module.startswith("fcnkit.")
        for alias in node.names
    }
    assert set(fcnkit.__all__) == homes.keys() | {"coords", "template"}
    assert all(getattr(fcnkit, name) is each for name, each in homes.items())


def test_every_rewrite_is_in_the_list():
    files = {file.stem: file.read_text() for file in (PACKAGE / "rewrites").glob("[!_]*.py")}
    worded = {name for name, text in files.items() if "\nOPERATIONS = (" in text}
    assert worded <= REWRITES.keys() <= files.keys()
    public = {name for names in REWRITES.values() for name in names}
    assert public == {
        name
        for name in fcnkit.__all__
        if getattr(fcnkit, name).__module__.startswith("fcnkit.rewrites.")
    }


def test_no_module_takes_the_place_of_a_public_name():
    # Python binds a submodule to its name in the package; a name that is imported late would be
    # lost to it.
    beside = {file.stem for file in PACKAGE.iterdir()} & set(fcnkit.__all__)
    assert beside == {"weights"}
    code = "import fcnkit.weights.store; fcnkit.weights.__code__"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_page_on_the_house_names_every_room_and_no_other():
    page = (ROOT / "docs" / "architecture.md").read_text()
    rooms = page[page.index("## The rooms") : page.index("## One command")]
    first = [line.split("|")[1] for line in rooms.splitlines() if line.startswith("| `")]
    named = {name.rstrip("/") for cell in first for name in re.findall(r"`([^`]+)`", cell)}
    folders = {file.parent.relative_to(PACKAGE).as_posix() for file in FILES} - {"."}
    top = {file.name for file in PACKAGE.glob("[!_]*.py")}
    assert named <= folders | top
    assert named >= {folder for folder in folders if "/" not in folder} | top


@pytest.mark.parametrize(
    "page", ["README.md", "docs/accuracy.md", "docs/architecture.md", "docs/security.md"]
)
def test_files_that_a_page_names_are_there(page):
    text = (ROOT / page).read_text()
    names = re.findall(r"`((?:fcnkit|tests|docs|scripts|[a-z]+)/[\w/]+\.\w+)`", text)
    assert [
        name for name in names if not (ROOT / name).exists() and not [*PACKAGE.rglob(name)]
    ] == []


def test_missing_docstrings_are_found():
    methods = (
        "def m(self): pass\n def _p(self): pass\n def s(self): ...\n def __len__(self): pass\n"
    )
    source = f"def f(): pass\ndef _g(): pass\nclass C:\n 'c'\n {methods}"
    assert list(undocumented(ast.parse(source))) == ["f", "C.m"]


def test_prints_are_found():
    assert printed(ast.parse("def f():\n    print('x')\n")) == [2]


@each(FILES)
def test_a_name_that_no_file_can_have_is_asked_about_safely(file):
    """Path.is_file() and its like raise for a name that is too long; os.path's say False."""
    assert not re.findall(r"\.(?:is_file|is_dir|exists)\(\)", file.read_text())
