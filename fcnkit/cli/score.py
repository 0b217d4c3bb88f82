"""The command `score`: compares predictions with labels."""

import os
from pathlib import Path

import click

from fcnkit.cli.arguments import show_json
from fcnkit.cli.labels import JOBS, cores, label_options, meaning, warn_absent
from fcnkit.cli.outputs import write_all
from fcnkit.cli.progress import counted
from fcnkit.cli.text import say
from fcnkit.plural import number_of


@click.command(short_help="Score predictions against labels.")
@click.argument("predictions", metavar="PREDICTIONS")
@click.argument("labels", metavar="LABELS")
@label_options
@click.option(
    "--ignore",
    type=click.IntRange(0, 255),
    help="The one label value to ignore; by default all that are not classes are ignored.",
)
@click.option(
    "--split",
    type=click.Choice(["train", "val"]),
    default="val",
    show_default=True,
    help="Which labels of a dataset to score against.",
)
@click.option(
    "--picture", metavar="OUT.png", help="Draw the confusion matrix and the IU of each class."
)
@JOBS
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the confusion matrix.")
@click.option("--force", is_flag=True, help="Overwrite a file that exists.")
def score(predictions, labels, split, picture, jobs, as_json, force, **options) -> None:
    """Score PREDICTIONS against LABELS: pixel accuracy,
    mean accuracy, mean IU, frequency-weighted IU.

    Both are folders whose files have the same names, or two files. The files are images of
    class numbers, palette images, images in colours with --colours, or .npy arrays. LABELS may
    also be a dataset made by `fcnkit dataset create`. --map, --void, --channel and --unknown
    apply to labels only. Without --ignore, --colours or --map, pixels whose label is not a
    class are left out. The scores are defined as the FCN authors define them.

    \b
    fcnkit score predictions labels --classes 21
    fcnkit score predictions labels --classes classes.txt --ignore 255 \\
        --picture scores.png
    fcnkit score predictions data --json
    """
    of = _of_dataset if _is_dataset(labels) else _of_files
    scores, found = of(labels, predictions, split, jobs or cores(), options)
    warn_absent(labels, found)
    write_all([(picture, _picture(scores))] if picture else [], force=force)
    if as_json:
        show_json(scores.json())
    else:
        say(scores.table(), nl=False)
        if picture:
            say(f"wrote {picture}", err=True)


def _is_dataset(labels: str) -> bool:
    return os.path.isdir(labels) and any(Path(labels).glob("*_label_lmdb"))


def _of_dataset(labels, predictions, split, jobs, options):
    from fcnkit.datasets.absent import absent
    from fcnkit.datasets.databases import count
    from fcnkit.datasets.summary import CLASSES_FILE, report
    from fcnkit.scoring.files import check_scored, others, score_dataset

    if options["void"] or options["numbers"] or options["channel"] or options["unknown"]:
        raise click.UsageError(
            "--void, --map, --channel and --unknown are for label files; a dataset has its classes"
        )
    folder = Path(labels)
    classes = options["classes"] or str(folder / CLASSES_FILE)
    ignore = (
        options["ignore"] if options["ignore"] is not None else report(folder).get("ignore", 255)
    )
    names, reading = meaning(
        classes, options["colours"], ignore, "keep", palette=options["palette"]
    )
    database = folder / f"{split}_label_lmdb"
    with counted(count(database), "scoring") as progress:
        scores = score_dataset(predictions, database, names, reading, progress=progress)
    if left := others(predictions, database):
        say(
            f"{predictions}: left out {number_of(left, 'prediction')} of another split of {labels}",
            err=True,
        )
    found = absent(names, scores.labelled, scores.ignored, (ignore,))
    if options["ignore"] is None:
        check_scored(database, found, "make the dataset again: ")
    return scores, found


def _of_files(labels, predictions, split, jobs, options):
    from fcnkit.datasets.absent import absent, explicit, ignored_values
    from fcnkit.scoring.files import Readings, check_scored, paired, score_files

    ignore = 255 if options["ignore"] is None else options["ignore"]
    strict = options["ignore"] is not None or options["colours"] or options["numbers"]
    unknown = options["unknown"] or ("error" if strict else "ignore")
    colours = options["classes"], options["colours"], ignore
    more = {name: options[name] for name in ("void", "numbers", "channel")}
    names, wanted = meaning(*colours, unknown, palette=options["palette"], **more)
    _, found = meaning(*colours, "keep", palette=options["palette"])
    pairs = paired(predictions, labels)
    with counted(len(pairs), "scoring") as progress:
        scores = score_files(pairs, names, Readings(found, wanted), jobs=jobs, progress=progress)
    values = ignored_values([pair.label for pair in pairs], wanted) if scores.ignored else ()
    coloured = wanted.colours is not None and not values
    lacking = absent(names, scores.labelled, scores.ignored, values, coloured=coloured)
    if options["ignore"] is None and not explicit(wanted, values):
        check_scored(labels, lacking)
    return scores, lacking


def _picture(scores):
    from fcnkit import files
    from fcnkit.scoring.pictures import picture

    def save(path, *, force):
        files.write(path, picture(scores), force=force)

    return save
