"""The notebooks, executed again where they are; `make notebooks` runs it.

Each runs in a fresh kernel of this Python.  Times and versions are not kept, so that a
notebook changes only where its cells do.  The tests run them in the same way.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
TIMEOUT = 600
"""Seconds that a kernel may take to start, and a cell to end, on a slow machine."""
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def paths() -> list[Path]:
    """The notebooks in their order."""
    return sorted(FOLDER.glob("*.ipynb"))


def executed(path: Path, folder: Path | None = None) -> nbformat.NotebookNode:
    """The notebook with what its cells give now, run in its own folder or in another.

    Raises nbclient's CellExecutionError where a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    quiet = ["--log-level=40"]
    kernel = {"kernel_name": "python3", "startup_timeout": TIMEOUT, "extra_arguments": quiet}
    kept = {"record_timing": False, "coalesce_streams": True}
    client = NotebookClient(notebook, timeout=TIMEOUT, **kernel, **kept)
    client.execute(cwd=str(folder or path.parent))
    notebook.metadata = nbformat.from_dict(_METADATA)
    return notebook


def main() -> None:
    """The notebooks that are named, or all, hold what their cells give now."""
    for path in [Path(name) for name in sys.argv[1:]] or paths():
        print(path.name, flush=True)
        nbformat.write(executed(path), path)


if __name__ == "__main__":
    main()
