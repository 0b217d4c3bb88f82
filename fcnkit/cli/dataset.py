"""The commands `dataset create` and `dataset inspect`: make datasets and describe them."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcnkit.cli.arguments import Number, show_json
from fcnkit.cli.labels import JOBS, class_names, cores, label_options, meaning, warn_absent
from fcnkit.cli.outputs import write_all
from fcnkit.cli.progress import counted
from fcnkit.cli.text import say
from fcnkit.errors import DatasetError, quoted
from fcnkit.formats.suffixes import check_folder
from fcnkit.rewrites.operations import whole_number

if TYPE_CHECKING:
    from fcnkit.datasets.pairs import Pair


# The largest side of a PNG or JPEG that others read too.
LARGEST_SIDE = 65_535


class _Size(click.ParamType):
    """WxH."""

    name = "wxh"

    def convert(self, value, param, ctx):
        """(width, height)."""
        if isinstance(value, tuple):
            return value
        width, _, height = value.lower().partition("x")
        try:
            size = whole_number(width, LARGEST_SIDE), whole_number(height, LARGEST_SIDE)
        except ValueError as error:
            self.fail(f"{error}; write width x height, as 480x360", param, ctx)
        if not all(size):
            self.fail(f"{quoted(value)}: write width x height, as 480x360", param, ctx)
        return size


@click.group(short_help="Make or inspect a dataset that Caffe trains on.")
def dataset() -> None:
    """Make a dataset that Caffe trains an FCN on, or say what one holds.

    \b
    fcnkit dataset create images labels -o data --classes classes.txt --split 0.1
    fcnkit dataset inspect data --sheet sheet.png
    """


@dataset.command()
@click.argument("images", metavar="IMAGES")
@click.argument("labels", metavar="LABELS")
@click.option("-o", "--output", required=True, metavar="DIR", help="The folder to make.")
@click.option(
    "--split",
    "share",
    type=Number(0, 1, max_open=True),
    metavar="SHARE",
    help="Share of the pairs to validate with, such as 0.1; 0 for none.",
)
@click.option(
    "--val-images", metavar="DIR", help="Images to validate with, in a folder of their own."
)
@click.option("--val-labels", metavar="DIR", help="Labels of --val-images.")
@click.option(
    "--list", "train_list", metavar="FILE", help="File of names to train on, like VOC's train.txt."
)
@click.option(
    "--val-list", metavar="FILE", help="File of names to validate with, like VOC's val.txt."
)
@label_options
@click.option(
    "--ignore",
    type=click.IntRange(0, 255),
    default=255,
    show_default=True,
    help="The label value of pixels that training ignores.",
)
@click.option(
    "--resize",
    type=_Size(),
    metavar="WxH",
    help="Scale images to this size; labels take the nearest pixel.",
)
@click.option(
    "--pad",
    type=_Size(),
    metavar="WxH",
    help="Pad smaller images to this size on the right and below: black, and ignored.",
)
@click.option(
    "--crop", type=_Size(), metavar="WxH", help="Crop to the middle, after --resize and --pad."
)
@click.option(
    "--flip", is_flag=True, help="Train on every pair twice, once mirrored left to right."
)
@click.option(
    "--order",
    type=click.Choice(["bgr", "rgb", "gray", "stored"]),
    default="bgr",
    show_default=True,
    help="Channels of the images; Caffe's models have bgr. stored: as they are in .npy files of "
    "(height, width, channels).",
)
@click.option(
    "--alpha",
    type=click.Choice(["refuse", "ignore", "keep"]),
    default="refuse",
    show_default=True,
    help="What to do with an alpha channel that is not opaque everywhere; keep stores it too.",
)
@click.option(
    "--exif",
    type=click.Choice(["apply", "ignore"]),
    help="Rotate images as their EXIF data says, or not.",
)
@click.option(
    "--image-tail",
    default="",
    metavar="TEXT",
    help="Ending of image names that labels lack, such as _leftImg8bit.",
)
@click.option(
    "--label-tail",
    default="",
    metavar="TEXT",
    help="Ending of label names that images lack, such as _gtFine_labelIds.",
)
@click.option("--labelled-only", is_flag=True, help="Leave out images that have no label.")
@click.option("--skip-bad", is_flag=True, help="Leave out bad pairs, and report them.")
@click.option("--keep-empty", is_flag=True, help="Keep labels whose every pixel is ignored.")
@click.option(
    "--encode",
    type=click.Choice(["raw", "png"]),
    default="raw",
    show_default=True,
    help="raw: fast; png: smaller, and Caffe needs OpenCV to read it.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Seed of the random split and training order.",
)
@click.option("--no-shuffle", is_flag=True, help="Train in the order of names.")
@JOBS
@click.option("--resume", is_flag=True, help="Continue an interrupted create.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--force", is_flag=True, help="Replace a dataset that exists, or an interrupted one.")
def create(images, labels, output, jobs, resume, as_json, force, **options) -> None:
    """Make the LMDBs that a training net reads, from folders of images and labels.

    DIR then holds train_image_lmdb, train_label_lmdb, val_image_lmdb, val_label_lmdb,
    classes.txt, colours.txt, report.json and, if all images have one size, mean.binaryproto. An
    image and its label must have the same name. Labels are gray, palette or 1-bit images of
    class numbers; with --colours, images in colours; with --channel, 16-bit images. Every file
    is checked. If any is bad, all bad files are named and nothing is written.

    \b
    fcnkit dataset create JPEGImages SegmentationClass -o voc --classes 21 \\
        --list train.txt --val-list val.txt
    fcnkit dataset create train/images train/labels -o camvid \\
        --classes classes.txt --void 11 \\
        --val-images val/images --val-labels val/labels
    fcnkit dataset create RGB GT -o synthia --colours colours.txt --split 0.1 \\
        --resize 640x380
    """
    from fcnkit.datasets.create import create as make

    check_folder(output, "databases")
    task = _task(images, labels, **options)
    total = sum(map(len, task.splits.values()))
    try:
        with counted(total, "reading") as progress:
            summary = make(
                task, output, jobs=jobs or cores(), resume=resume, force=force, progress=progress
            )
    except KeyboardInterrupt:
        say("fcnkit: interrupted; continue with --resume", err=True)
        raise
    warn_absent(output, summary.absent)
    if as_json:
        show_json(summary.json())
    else:
        say(summary.table(), nl=False)
        say(f"wrote {output}", err=True)


def _task(
    images, labels, *, classes, colours, ignore, unknown, void, numbers, channel, palette, **options
):
    from fcnkit.datasets.create import Task
    from fcnkit.datasets.geometry import Geometry
    from fcnkit.datasets.prepare import PairOptions

    names, reading = meaning(
        classes,
        colours,
        ignore,
        unknown or "error",
        void=void,
        numbers=numbers,
        channel=channel,
        palette=palette,
    )
    turn = {"apply": True, "ignore": False, None: None}[options["exif"]]
    reading = replace(reading, as_stored=turn is False)
    sizes = Geometry(options["resize"], options["pad"], options["crop"])
    png = options["encode"] == "png"
    recipe = PairOptions(
        reading,
        sizes,
        options["order"],
        turn,
        options["keep_empty"],
        png,
        options["alpha"],
    )
    known = reading.colours.colours if reading.colours else ()
    return Task(
        _splits(images, labels, options), recipe, names, known[: len(names)], options["skip_bad"]
    )


def _splits(images, labels, options) -> dict:
    """The pairs of train and of val."""
    from fcnkit.datasets.pairs import Tails, find, read_names, shuffled, split, with_flips
    from fcnkit.datasets.stacks import SUFFIX
    from fcnkit.preprocessing import STORED

    own = options["val_images"], options["val_labels"]
    ways = [options["share"] is not None, any(own) or bool(options["val_list"])]
    if ways.count(True) != 1 or any(own) and not all(own):
        raise click.UsageError(
            "choose one way to validate: --split 0.1 (0 for nothing), --val-list FILE, or "
            "--val-images DIR and --val-labels DIR"
        )
    tails = Tails(options["image_tail"], options["label_tail"])

    def found(folders, listed):
        names = read_names(listed) if listed else None
        more = (SUFFIX,) * (options["order"] == STORED)
        labelled = options["labelled_only"]
        return find(*folders, names=names, tails=tails, labelled_only=labelled, more=more)

    train = found((images, labels), options["train_list"])
    val: tuple[Pair, ...] = ()
    if options["share"]:
        train, val = split(train, options["share"], options["seed"])
    elif options["share"] is None:
        val = found(own if all(own) else (images, labels), options["val_list"])
    train = with_flips(train) if options["flip"] else train
    train = train if options["no_shuffle"] else shuffled(train, options["seed"])
    return {"train": train, "val": val} if val else {"train": train}


@dataset.command()
@click.argument("folder", metavar="DIR|LMDB")
@click.option(
    "--classes",
    metavar="N|FILE",
    help="How many classes, or a file of their names; DIR/classes.txt by default.",
)
@click.option(
    "--ignore",
    type=click.IntRange(0, 255),
    help="The label value that is ignored; by default that in report.json, or 255.",
)
@click.option("--sheet", metavar="OUT.png", help="Draw images beside their coloured labels.")
@click.option(
    "--count", type=click.IntRange(1), default=12, show_default=True, help="How many to draw."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--force", is_flag=True, help="Overwrite a file that exists.")
def inspect(folder, classes, ignore, sheet, count, as_json, force) -> None:
    """Show what a dataset holds, counting every pixel; or any LMDB that Caffe reads.

    For a dataset it prints each class's share of pixels, the number of images that show it, and
    its median-frequency weight; the accuracy of always predicting the most frequent class; and
    the mean colour. Any folder that holds train_image_lmdb and train_label_lmdb is a dataset.

    For a single LMDB, whoever made it, it prints the keys, how the records are stored, and
    their shapes, labels and values. A record that is not a Datum is named, and makes the exit
    status 1. --sheet draws records with their labels and keys.

    \b
    fcnkit dataset inspect data --sheet sheet.png
    fcnkit dataset inspect data --json
    fcnkit dataset inspect mnist_train_lmdb --classes digits.txt
    """
    from fcnkit.datasets.summary import records_in, summarize

    names = class_names(classes) if classes else ()
    database = _database(folder)
    if database:
        if ignore is not None:
            raise click.UsageError(
                "--ignore is for a dataset of images and labels, not for a single LMDB"
            )
        return _inspect_database(database, names, sheet, count, as_json, force)
    with counted(records_in(Path(folder)), "reading") as progress:
        summary = summarize(folder, classes=names, ignore=ignore, progress=progress)
    warn_absent(folder, summary.absent)
    write_all([(sheet, _sheet(summary, count))] if sheet else [], force=force)
    if as_json:
        show_json(summary.json())
    else:
        say(summary.table(), nl=False)
        if sheet:
            say(f"wrote {sheet}", err=True)


def _database(path: str) -> Path | None:
    """The folder of an LMDB, which may be named by its data.mdb; None for that of a dataset.

    Raises DatasetError for a folder of other LMDBs, such as those of DIGITS.
    """
    named = Path(path)
    if named.name == "data.mdb" and os.path.isfile(named):
        return named.parent
    if os.path.isfile(named / "data.mdb"):
        return named
    found = named.glob("*/data.mdb") if os.path.isdir(named) else ()
    inner = sorted(each.parent.name for each in found)
    if inner and not any(name.endswith("_image_lmdb") for name in inner):
        fact = f"is not a dataset of `fcnkit dataset create`, and holds {', '.join(inner[:8])}"
        raise DatasetError(f"{named}: {fact}; name one of these LMDBs")
    return None


def _inspect_database(folder: Path, names, sheet, count, as_json, force) -> None:
    from fcnkit import files
    from fcnkit.datasets.databases import count as count_of
    from fcnkit.datasets.records import pictures, survey
    from fcnkit.scoring.pictures import gallery

    with counted(count_of(folder), "reading") as progress:
        found = survey(folder, names=names, progress=progress)

    # Where gray bytes have few values in all, they are the classes of label images.
    classes = found.values is not None and bool(found.values.distinct)

    def save(path, *, force):
        drawn = gallery(pictures(folder, count), classes=classes, names=names)
        files.write(path, drawn, force=force)

    write_all([(sheet, save)] if sheet else [], force=force)
    if as_json:
        show_json(found.json())
    else:
        say(found.table(), nl=False)
        if sheet:
            say(f"wrote {sheet}", err=True)
    if found.faulty:
        raise SystemExit(1)


def _sheet(summary, count: int):
    """How `write_all` writes the contact sheet: the first images of each split."""
    from fcnkit import files
    from fcnkit.datasets.samples import samples
    from fcnkit.scoring.pictures import sheet

    def save(path, *, force):
        drawn = sheet(
            samples(Path(summary.folder), count),
            summary.colours,
            names=summary.names,
            ignore=summary.ignore,
            order=summary.order,
        )
        files.write(path, drawn, force=force)

    return save
