"""What the columns of each command's tables say, as its help explains them."""

from collections.abc import Mapping, Sequence

import click

Columns = Mapping[str, Sequence[tuple[str, str]]]

_PLAN = {
    "Columns of the plan": (
        ("1", "the layer's line in the file; + for a layer that is new"),
        ("2", "the layer"),
        ("3", "what becomes of it, and below it why"),
    )
}
_LAYERS = (
    ("line", "the layer's line in the file"),
    ("layer", "its name"),
    ("type", "its type, in Caffe's words"),
    ("shape", "of its first top: images x channels x height x width"),
    ("parameters", "the numbers in its blobs"),
    ("multiply-adds", "of one pass"),
    ("scale", "pixels of its top for each pixel of the input"),
    ("own", "by how many pixels of its top the layer itself moves what it reads"),
    ("offset", "pixel p of the input lies at scale * p + offset of its top"),
    ("back", "the offset from what it reads on to the last upsampled top"),
    ("field", "its receptive field: the pixels of the input that one value depends on, a side"),
    ("memory", "with --memory: the bytes of all tops so far, as Caffe's log counts them"),
    ("weights", "with --weights: fits, reshape (the same values in another shape), or MISMATCH"),
)
_BLOBS = (
    ("layer", "the layer that the blob belongs to"),
    ("blob", "its number: 0 is mostly the weights, 1 the bias"),
    ("shape", "its axes"),
    ("bytes", "its values in the file"),
    ("minimum", "its least value that is a number"),
    ("maximum", "its largest"),
    ("mean", "their mean"),
    ("zeros", "how many of its values are 0; behind it what is odd, as all zero or NaN"),
)
_VERIFIED = (
    ("line", "the layer's line in NEW_NET"),
    ("layer", "its name; OLD -> NEW where the nets call it otherwise"),
    ("values", "the shape of what is compared"),
    ("|difference|", "the largest difference of two values"),
    ("relative", "that, divided by the largest value of the old net's"),
    ("last", "DIFFERENT, or another count of values; empty where they are equal"),
)
_SIDE_BY_SIDE = (
    ("relative difference", "the output's name"),
    ("an engine's name", "the relative difference by that engine; DIFFERENT where it is too "
     "large, (hidden) where the values would not show one"),
)  # fmt: skip
_DATASET = (
    ("class", "its number in the labels"),
    ("name", "its name"),
    ("train share", "of the pixels that are not ignored, those of the class; so for val"),
    ("train images", "in how many images it is; so for val"),
    ("weight", "by median frequency, for a loss that weighs classes"),
)
_SCORES = (
    ("class", "its number"),
    ("name", "its name"),
    ("pixels", "the pixels that have it in the labels"),
    ("accuracy", "the share of these that are predicted"),
    ("IU", "intersection over union: the pixels that have it in both, divided by those that have "
     "it in either"),
)  # fmt: skip
_TEMPLATES = (
    ("template", "its name, behind template:"),
    ("input", "channels x height x width"),
    ("parameters", "the numbers in its blobs"),
    ("multiply-adds", "of one image"),
    ("field", "the receptive field of one score, in pixels a side"),
    ("what it is", "in a few words"),
)
_MODELS = (
    ("model", "its name, behind model:"),
    ("size", "of the file; ~ where nobody states it to the byte"),
    ("licence", "of the weights, in a few words; models show has all"),
    ("verified by", "the digests that a fetched file is compared with"),
    ("here", "whether it is in the cache"),
)
_DIFFERENCES = (
    ("1", "the layer, and the number of its blob"),
    ("2", "equal, close (within --tolerance), changed, reshaped (the same number of values in "
     "another shape), missing (of the first alone), extra (of the second); of a net fits, "
     "reshape, MISMATCH"),
    ("3", "shapes and differences: absolute, and relative to the largest value"),
)  # fmt: skip
_MATCH = (
    ("1", "the layer; OLD -> NEW under another name"),
    ("2", "copied, reshaped, renamed, left to the filler, unused, MISMATCH or ORDER DIFFERS"),
    ("3", "the shapes of its blobs, and why"),
)
_LIBRARIES = (
    ("library", "a package, as pip calls it"),
    ("engine", "what runs nets"),
    ("version", "what is installed"),
    ("state", "ok; missing: not installed; broken: installed, and does not work"),
    ("last", "what it is for, or what is wrong"),
    ("kept", "what a folder is for"),
    ("used", "the size of what is in it"),
    ("free", "the room on its disk"),
    ("folder", "where it is"),
)

COLUMNS: dict[str, Columns] = {
    "inspect": {"Columns, of a net": _LAYERS, "Columns, of weights": _BLOBS},
    **dict.fromkeys(("upgrade", "convolutionalize", "fcn", "align", "deploy"), _PLAN),
    "surgery": {"Columns, with NEW_NET": _MATCH, **_PLAN},
    "diff": {"Columns": _DIFFERENCES},
    "verify": {"Columns, with --layers": _VERIFIED, "Columns, by several engines": _SIDE_BY_SIDE},
    "dataset inspect": {"Columns": _DATASET},
    "score": {"Columns": _SCORES},
    "templates": {"Columns": _TEMPLATES},
    "models list": {"Columns": _MODELS},
    "doctor": {"Columns": _LIBRARIES},
}
"""By the words of a command, the sections of its help: each column's name and what it says."""


def sections(ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """The sections of the command of this context are written."""
    for title, rows in COLUMNS.get(" ".join(ctx.command_path.split()[1:]), {}).items():
        with formatter.section(title):
            formatter.write_dl(list(rows))
