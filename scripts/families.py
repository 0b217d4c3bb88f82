"""What works for which family of networks:
a table of what was run, for docs/accuracy.md; `make families`.

Every net of the shared corpus is read, and real Caffe is asked about its
shapes, about its outputs before and after `convolutionalize`, and about the
scores of the FCN made of it at each stride, at odd sizes.
"""

import argparse
import csv
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fcnkit.engines import caffe
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # the sweeps are those of `make corpus`

import corpus  # noqa: E402
import sweeps  # noqa: E402

PAGE = ROOT / "docs" / "accuracy.md"
BEGIN, END = "<!-- families: written by `make families` -->\n```\n", "```\n<!-- families end -->\n"
OTHERS = "others"
# Each family and what tells it: in a net's path within its repository, in the name that it gives
# itself, or in the types of its layers.  The first that is found is its family, so that what a
# net is for comes before what it is made of.
FAMILIES = (
    (
        "detectors",
        r"r-?cnn|r-?fcn|\bssd|_ssd|yolo|retinanet|detectnet|pvanet|darknet|objdetect|"
        r"textbox|pascal.?finetun|finetune_pascal|pyramid.pooling|roipooling|priorbox|mnc_",
    ),
    ("video", r"ucf101|hmdb51|video_?data|conv(olution)?3d|lstm"),
    ("faces", r"face|mtcnn|age_net|gender|landmark|_68|/dan/|concat_into_fc"),
    ("segmentation", r"fcn|segnet|psp|icnet|voc12/|hed/|vnet/|dilation"),
    ("DenseNet", r"densenet"),
    ("MobileNet", r"mobilenet|shufflenet"),
    ("SqueezeNet", r"squeeze"),
    ("ResNet", r"resnet|resnext|residual|/air|nsfw"),
    ("Inception", r"googlenet|inception"),
    ("VGG", r"vgg"),
    ("LeNet", r"lenet|mnist|cifar|siamese"),
    ("AlexNet", r"alexnet|caffenet|imagenet"),
)


def family(path: str, name: str = "", types: Iterable[str] = ()) -> str:
    """The family of the net at a path of the corpus,
    by the name and the layer types that it gives.
    """
    place = re.sub(r"^(prototxts/)?(history|repos)/[^/]*/", "/", path).partition("@")[0]
    text = " ".join(["/" + place, name, *types]).lower()
    return next((one for one, words in FAMILIES if re.search(words, text)), OTHERS)


def families(shared: Path, step: int = 1) -> dict[str, list[Path]]:
    """The corpus's nets by family, in the order of FAMILIES, or every so manieth of them."""
    found: dict[str, list[Path]] = {name: [] for name, _ in FAMILIES} | {OTHERS: []}
    for path in corpus.files(shared)[::step]:
        file = prototxt.read(path)
        layers, name = file.root.all("layer", "layers"), file.root.last("name")
        types = {field.raw for layer in layers for field in layer.all("type")}
        if layers:
            place = str(path.relative_to(shared))
            found[family(place, name.raw if name else "", sorted(types))].append(path)
    return found


# ---- what is run


class Fate(NamedTuple):
    """What became of one net: the words of its trials; none where it could not be asked about."""

    path: Path
    read: bool
    shapes: str = ""
    bvlc: str = ""
    converted: str = ""
    fcn: tuple[str, ...] = ("",) * len(sweeps.STRIDES)

    @property
    def wrong(self) -> list[str]:
        """What is wrong with it."""
        words = (self.shapes, self.bvlc, self.converted, *self.fcn)
        what = (
            "shapes",
            "bvlc",
            "convolutionalize",
            *(f"fcn at {stride}" for stride in sweeps.STRIDES),
        )
        return [
            f"{one}: {word}"
            for one, word in zip(what, words, strict=True)
            if word and word not in sweeps.WORDS
        ]


def fates(paths: Sequence[Path]) -> Iterator[Fate]:
    """The fate of each net, several for one start of Caffe."""
    for start in range(0, len(paths), 8):
        nets = [(path, corpus.read(path), corpus.net(path)) for path in paths[start : start + 8]]
        words = iter(
            sweeps.verdicts((trial for _, _, net in nets if net for trial in _trials(net)), caffe)
        )
        for path, file, net in nets:
            read = file is not None and corpus.is_built(file)
            if net is None:
                yield Fate(path, read)
            else:
                first = (next(words), next(words), next(words))
                yield Fate(path, read, *first, tuple(next(words) for _ in sweeps.STRIDES))


def _trials(net: Prototxt) -> Iterator[sweeps.Trial]:
    yield sweeps.shapes(net)
    yield sweeps.in_bvlcs_words(net)
    yield sweeps.convolutionalized(net)
    yield from (sweeps.fcn(net, stride) for stride in sweeps.STRIDES)


# ---- the table

HEAD = (
    "              nets read shapes     bvlc   convolutionalize  fcn at stride: good/refused\n"
    "                       equal  no now/left equal none kept      32      16       8       4\n"
)


class Row(NamedTuple):
    """The numbers of one family."""

    name: str
    nets: int
    read: int
    shapes: tuple[int, int]
    bvlc: tuple[int, int]
    converted: tuple[int, int, int]
    fcn: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        strides = "".join(f"{f'{good}/{refused}':>8}" for good, refused in self.fcn)
        bvlc = "/".join(map(str, self.bvlc))
        every = (self.nets, self.read, *self.shapes, bvlc, *self.converted)
        numbers = zip(_WIDTHS, every, strict=True)
        columns = "".join(f"{number:>{width}}" for width, number in numbers)
        return f"{self.name:<14}{columns}{strides}\n"


_WIDTHS = (4, 5, 5, 4, 9, 6, 5, 5)


def row(name: str, found: Sequence[Fate]) -> Row:
    """The numbers of these nets."""
    shapes, bvlc, converted = (
        Counter(getattr(fate, which) for fate in found) for which in ("shapes", "bvlc", "converted")
    )
    strides = [Counter(words) for words in zip(*(fate.fcn for fate in found), strict=True)]
    strides = strides or [Counter()] * len(sweeps.STRIDES)
    kept = converted[sweeps.KEPT] + converted[sweeps.REFUSED]
    return Row(
        name,
        len(found),
        sum(fate.read for fate in found),
        (shapes[sweeps.EQUAL], shapes[sweeps.NO_CAFFE]),
        (bvlc[sweeps.BUILT_NOW], bvlc[sweeps.LEFT]),
        (converted[sweeps.EQUAL], converted[sweeps.NOTHING], kept),
        tuple((count[sweeps.GOOD], count[sweeps.REFUSED]) for count in strides),
    )


def parsed(line: str) -> Row:
    """The row that a line of the table shows.

    Raises ValueError for another line.
    """
    words = line[14:].split()
    nets, read, *shapes = map(int, words[:4])
    bvlc, *fcn = (tuple(map(int, word.split("/"))) for word in (words[4], *words[8:]))
    converted = tuple(map(int, words[5:8]))
    return Row(line[:14].rstrip(), nets, read, tuple(shapes), bvlc, converted, tuple(fcn))


def added(rows: Iterable[Row]) -> Row:
    """The row of all."""
    rows = list(rows)
    add = lambda *numbers: sum(numbers)  # noqa: E731
    return Row(
        "all",
        sum(one.nets for one in rows),
        sum(one.read for one in rows),
        tuple(map(add, *(one.shapes for one in rows))),
        tuple(map(add, *(one.bvlc for one in rows))),
        tuple(map(add, *(one.converted for one in rows))),
        tuple(tuple(map(add, *pairs)) for pairs in zip(*(one.fcn for one in rows), strict=True)),
    )


def table(found: dict[str, list[Fate]]) -> str:
    """The rows of all families, their sum, and what is wrong."""
    rows = [row(name, nets) for name, nets in found.items()]
    wrong = [
        f"{fate.path.name}: {word}"
        for nets in found.values()
        for fate in nets
        for word in fate.wrong
    ]
    return "".join([HEAD, *map(str, rows), str(added(rows)), *(f"WRONG {one}\n" for one in wrong)])


# ---- the file


def written(page: str, text: str) -> str:
    """The page with this table between its marks.

    Raises ValueError where it has none.
    """
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE}: there are no marks for the table; add\n{BEGIN}{END}")
    return before + BEGIN + text + END + after


def shown(page: str) -> str:
    """The table that the page has."""
    return page.partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """The table is printed, and on the page if it was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the table into docs/accuracy.md")
    parser.add_argument("--step", type=int, default=1, help="look at every so manieth net only")
    parser.add_argument("--details", type=Path, help="write each net's words here, as CSV")
    options = parser.parse_args()
    shared = Path(os.environ.get("FCNKIT_DATA") or ROOT.parent / "shared" / "data")
    if not (shared / "prototxts").is_dir():
        raise SystemExit(
            f"no corpus of real nets: {shared} has none; name its folder in FCNKIT_DATA"
        )
    found: dict[str, list[Fate]] = defaultdict(list)
    for name, paths in families(shared, options.step).items():
        found[name] = list(fates(paths))
        print(row(name, found[name]), end="", file=sys.stderr, flush=True)
    if options.details:
        _detail(found, options.details)
    print(table(found), end="")
    if options.write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), table(found)), encoding="utf-8")


def _detail(found: dict[str, list[Fate]], path: Path) -> None:
    with open(path, "w", newline="") as file:
        lines = csv.writer(file)
        for name, nets in found.items():
            lines.writerows([name, *fate[:-1], *fate.fcn] for fate in nets)


if __name__ == "__main__":
    main()
