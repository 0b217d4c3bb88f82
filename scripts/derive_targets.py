"""Holds the layer types of a target against the public source that they are from.

    python scripts/derive_targets.py ncnn path/to/caffe2ncnn.cpp
    python scripts/derive_targets.py tensorrt8 opParsers.h caffeParser.cpp

Fetch the file at the version that you want to cover.  The types that it names are printed beside
those of fcnkit/targets/NAME.toml; where they differ the exit status is 1.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from fcnkit.targets.index import FOLDER
from fcnkit.targets.reading import read


class Place(NamedTuple):
    """How a file names types: the key of the source in the TOML file, and what finds them."""

    key: str
    find: Callable[[str], set[str]]
    fold: bool = False  # whether the source compares types in small letters


def named(*patterns: str) -> Callable[[str], set[str]]:
    """What finds the words that the patterns' only group matches."""

    def find(text: str) -> set[str]:
        return {word for pattern in patterns for word in re.findall(pattern, text, re.M)}

    return find


def in_block(start: str, stop: str, pattern: str, *more: str) -> Callable[[str], set[str]]:
    """What finds the words between two marks, and those that `more` finds anywhere."""

    def find(text: str) -> set[str]:
        _, _, after = text.partition(start)
        return named(pattern)(after.partition(stop)[0]) | named(*more)(text)

    return find


# By target and by the name of the file.
PLACES = {
    ("ncnn", "caffe2ncnn.cpp"): Place("code", named(r'layer\.type\(\) == "(\w+)"')),
    ("tensorrt8", "opParsers.h"): Place(
        "table", in_block("gParseTable", "};", r'\{"(\w+)", parse')
    ),
    ("tensorrt8", "caffeParser.cpp"): Place("parser", named(r'layerMsg\.type\(\) == "(\w+)"')),
    ("tpu-mlir", "CaffeConverter.py"): Place(
        "code", in_block("self.caffeop_factory = {", "\n        }", r"""["'](\w+)["']: lambda""")
    ),
    ("mace", "caffe_converter.py"): Place(
        "code",
        in_block("self._op_converters = {", "}", r"'(\w+)': self", r"layer\.type == '(\w+)'"),
    ),
    ("tengine", "caffe2tengine.cpp"): Place(
        "code", named(r'^ +op_load_map\["(\w+)"\] = ', r'caffe_op_name == "(Input)"')
    ),
    ("armnn", "CaffeParser.cpp"): Place(
        "list", in_block("ms_CaffeLayerNameToParsingFunctions", "};", r'\{ "(\w+)",')
    ),
    ("vitis", "caffe_translator.py"): Place(
        "translator",
        in_block(
            "if op_type in [",
            "]",
            r'"(\w+)"',
            r'^ +elif op_type == "(\w+)":$',
            r'type\.lower\(\) == "(\w+)"',
        ),
        fold=True,
    ),
    ("openvino", "Supported_Frameworks_Layers.md"): Place(
        "list", in_block("Caffe", "MXNet", r"^\| *(\w+) *\|")
    ),
    ("mindspore-lite", "caffe_model_parser.cc"): Place(
        "parser", named(r'layer\.type\(\) == "(\w+)"')
    ),
    ("opencv4", "init.cpp"): Place("factory", named(r"REGISTER_LAYER_CLASS\((\w+),")),
}
# What a file registers beside the types of Caffe's nets: only whether it still has ours is asked.
WIDER = {("opencv4", "init.cpp")}


def compared(target: str, file: Path) -> tuple[set[str], set[str]]:
    """The types that the file alone names, and those that the TOML file alone has from it."""
    place = PLACES[target, file.name]
    types = read(FOLDER / f"{target}.toml").types
    ours = {name for name, source in types.items() if source.key == place.key}
    theirs = place.find(file.read_text(encoding="utf-8", errors="replace"))
    if place.fold:
        ours, theirs = {name.lower() for name in ours}, {name.lower() for name in theirs}
    others = {name.lower() if place.fold else name for name in types} - ours
    missing = set() if (target, file.name) in WIDER else theirs - ours - others
    return missing, ours - theirs


def show(target: str, file: Path) -> bool:
    """Prints how the two differ; whether they do."""
    alone, gone = compared(target, file)
    for name in sorted(alone):
        print(f"{target}: {file.name} has {name}, {target}.toml has not")
    for name in sorted(gone):
        print(f"{target}: {target}.toml has {name}, {file.name} has not")
    if not alone and not gone:
        print(f"{target}: {file.name} and {target}.toml name the same types")
    return bool(alone or gone)


def main(words: Iterable[str] | None = None) -> int:
    """Compares each file that is named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("target", choices=sorted({target for target, _ in PLACES}))
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    asked = parser.parse_args(None if words is None else list(words))
    for file in asked.files:
        if (asked.target, file.name) not in PLACES:
            names = ", ".join(name for target, name in PLACES if target == asked.target)
            parser.error(f"{file}: of {asked.target} it reads {names}")
    return int(any([show(asked.target, file) for file in asked.files]))


if __name__ == "__main__":
    sys.exit(main())
