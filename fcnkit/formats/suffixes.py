"""What the suffix of a file's name promises, so that nothing else is written under it."""

import os
from pathlib import Path

from fcnkit.errors import OutputError

NET, WEIGHTS, MODEL, DRAWING = "a prototxt", "weights", "an ONNX model", "a drawing"
MATRIX, PAGE = "a mean or a matrix", "a page"
SUFFIXES = {
    NET: (".prototxt", ".pbtxt", ".txt"),
    WEIGHTS: (".caffemodel", ".h5", ".hdf5", ".npz"),
    MODEL: (".onnx",),
    "a solver's state": (".solverstate",),
    MATRIX: (".binaryproto", ".npy"),
    DRAWING: (".svg",),
    PAGE: (".html", ".htm"),
    "a picture": (
        *(".png", ".jpg", ".jpeg", ".pdf", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff"),
        *(".webp", ".eps", ".ps"),
    ),
    "a database": (".lmdb", ".mdb", ".leveldb", ".ldb", ".sqlite", ".db"),
    "a model of another framework": (
        *(".pth", ".pt", ".ckpt", ".safetensors", ".pb", ".tflite", ".mlmodel", ".keras"),
        *(".param", ".bin", ".xml", ".engine", ".om", ".mat", ".pkl", ".pickle", ".joblib"),
        *(".params", ".t7", ".rknn", ".dlc", ".mlpackage", ".plan", ".trt", ".msgpack"),
    ),
    "a text of another kind": (
        *(".json", ".csv", ".yaml", ".yml", ".md", ".py", ".log", ".toml", ".ini"),
        *(".cfg", ".ipynb", ".sh", ".tsv", ".jsonl", ".c", ".h", ".cpp"),
    ),
    "an archive": (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst"),
}


def check_target(path: str | os.PathLike[str], kind: str) -> None:
    """Where the name is a link, a file of this kind may have its target's name too.

    Raises OutputError as `check_suffix` does.
    """
    target = os.path.realpath(path)
    if not os.path.islink(path):
        return
    try:
        check_suffix(target, kind)
    except OutputError as error:
        raise OutputError(f"{path}: is a link to {error}, or remove the link") from None


def check_suffix(path: str | os.PathLike[str], kind: str) -> None:
    """A file of this kind may have this name; a name without a known suffix may be anything.

    Raises OutputError for the suffix of something else, and for a folder's name.
    """
    if str(path).endswith(("/", os.sep)) or not str(path):
        raise OutputError(f'"{path}": is not the name of a file; add one')
    suffix = Path(path).suffix.lower()
    meant = next((each for each, known in SUFFIXES.items() if suffix in known), kind)
    if meant != kind:
        own = SUFFIXES[kind]
        names = f"{own[0]}" if len(own) == 1 else f"{', '.join(own[:-1])} or {own[-1]}"
        remedy = f"end the name in {names}"
        remedy += "; `fcnkit export` writes ONNX" * (meant == MODEL)
        raise OutputError(f"{path}: {suffix} is for {meant}, and {kind} would be written; {remedy}")


def check_folder(path: str | os.PathLike[str], holds: str) -> None:
    """A folder of this name may be made: it is there, or its name is none of a file.

    Raises OutputError for a name with the suffix of a kind of file; `holds` says what
    would be in the folder.
    """
    suffix = Path(path).suffix.lower()
    meant = next((each for each, known in SUFFIXES.items() if suffix in known), "")
    if meant and not os.path.isdir(path) and not str(path).endswith(("/", os.sep)):
        fact = f"{suffix} is for {meant}, but this would be a folder of {holds}"
        raise OutputError(f"{path}: {fact}; leave out {suffix}, or end the name with /")
