"""What the columns of each command's tables say, as its help explains them."""

from collections.abc import Mapping, Sequence

import click

Columns = Mapping[str, Sequence[tuple[str, str]]]

_PLAN = {
    "Columns of the plan": (
        ("1", "the layer's line in the old file; + if it has none there: a new layer, or a "
         "change of the whole net; empty for several layers"),
        ("2", "the layer; or the number of layers, if eight or more change in the same way; "
         "\"...\" in column 3 then stands for their different names"),
        ("3", "what happens to it, and below that the reason; keep: it stays as it is; skip: "
         "what was asked for cannot be done"),
    )
}  # fmt: skip
_LAYERS = (
    ("line", "the layer's line in the file"),
    ("layer", "its name"),
    ("type", "its type, in Caffe's words"),
    ("shape", "of its first top: images x channels x height x width"),
    ("parameters", "how many numbers its blobs hold"),
    ("multiply-adds", "of one pass"),
    ("scale", "pixels of its top for each pixel of the input"),
    ("own", "the shift that this layer itself adds, in pixels of its top"),
    ("offset", "pixel p of the input lies at scale * p + offset in its top"),
    ("back", "the offset from its bottom to the last upsampled top of the net"),
    ("field", "its receptive field: the side, in input pixels, of what one value depends on"),
    ("memory", "with --memory: bytes of all tops up to here, as Caffe's log counts them"),
    ("weights", "with --weights: fits, reshape (the same values in another shape), or MISMATCH"),
)
_BLOBS = (
    ("layer", "the layer that the blob belongs to"),
    ("blob", "its number: usually 0 for weights, 1 for the bias"),
    ("shape", "its axes"),
    ("bytes", "the size of its values in the file"),
    ("minimum", "its smallest value, NaN excluded"),
    ("maximum", "its largest"),
    ("mean", "their mean"),
    ("zeros", "how many of its values are 0; then what is unusual, such as all zero or NaN"),
)
_VERIFIED = (
    ("line", "the layer's line in NEW_NET"),
    ("layer", "its name; OLD -> NEW if the nets name it differently"),
    ("values", "the shape of what is compared"),
    ("|difference|", "the largest difference between two values"),
    ("relative", "that difference, divided by the usual size of the old net's values"),
    ("(no name)", "DIFFERENT, or another number of values; empty if equal"),
)
_SIDE_BY_SIDE = (
    ("relative difference", "the output's name"),
    ("an engine's name", "the relative difference on that engine; DIFFERENT if it is too large, "
     "(hidden) if the values could not show one"),
)  # fmt: skip
_DATASET = (
    ("class", "its number in the labels"),
    ("name", "its name"),
    ("train share", "its share of the pixels that are not ignored; likewise for val"),
    ("train images", "number of images that contain it; likewise for val"),
    ("weight", "by median frequency, for a loss that weighs classes"),
)
_SCORES = (
    ("class", "its number"),
    ("name", "its name"),
    ("pixels", "number of pixels labelled with it"),
    ("accuracy", "share of these that are predicted correctly"),
    ("IU", "intersection over union: pixels that have it in both labels and predictions, divided "
     "by pixels that have it in either"),
)  # fmt: skip
_TEMPLATES = (
    ("template", "its name, to be written after template:"),
    ("input", "channels x height x width"),
    ("parameters", "how many numbers its blobs hold"),
    ("multiply-adds", "of one image"),
    ("field", "the receptive field of one score, in pixels a side"),
    ("what it is", "in a few words"),
)
_MODELS = (
    ("model", "its name, to be written after model:"),
    ("size", "of the file; ~ if the exact size is not published"),
    ("licence", "of the weights, in short; in full with `models show`"),
    ("verified by", "the digests that a downloaded file is checked against"),
    ("here", "whether it is in the cache"),
)
_DIFFERENCES = (
    ("1", "the layer, and the number of its blob"),
    ("2", "equal, close (within --tolerance), changed, reshaped (the same number of values in "
     "another shape), missing (in the first only), extra (in the second only); for a net: fits, "
     "reshape, MISMATCH"),
    ("3", "shapes and differences: absolute, and relative to the largest value"),
)  # fmt: skip
_MATCH = (
    ("1", "the layer; OLD -> NEW if it is renamed"),
    ("2", "copied, reshaped, renamed, left to the filler, unused, MISMATCH or ORDER DIFFERS"),
    ("3", "the shapes of its blobs, and the reason for column 2"),
)
_LIBRARIES = (
    ("library", "a package, by its name for pip"),
    ("engine", "what runs nets"),
    ("version", "what is installed"),
    ("state", "ok; missing: not installed; broken: installed, and does not work"),
    ("(the last)", "what it is for, or what is wrong"),
    ("kept", "what the folder is for"),
    ("used", "how much is stored in it"),
    ("free", "free space on its disk"),
    ("folder", "where it is"),
)

COLUMNS: dict[str, Columns] = {
    "inspect": {"Columns, of a net": _LAYERS, "Columns, of weights": _BLOBS},
    **dict.fromkeys(("upgrade", "convolutionalize", "fcn", "align", "deploy"), _PLAN),
    "surgery": {"Columns, with NEW_NET": _MATCH, **_PLAN},
    "diff": {"Columns": _DIFFERENCES},
    "verify": {"Columns, with --layers": _VERIFIED, "Columns, with several engines": _SIDE_BY_SIDE},
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
