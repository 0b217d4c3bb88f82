"""The command `report`: a page of a net, an FCN's folder or a data set."""

import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import click

from fcnkit.cli.arguments import IMAGE, WEIGHTS, Means, load_net, shape_option
from fcnkit.cli.engines import engine_options
from fcnkit.cli.outputs import Saver, check_names, say_written, write_all
from fcnkit.cli.progress import counted
from fcnkit.engines.fastest import AUTO
from fcnkit.formats.suffixes import PAGE
from fcnkit.progress import no_progress


@click.command(short_help="Write an HTML page about a net, a training run or a data set.")
@click.argument("sources", metavar="NET [WEIGHTS]|DIR...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="OUT.html", required=True, help="Write the page here.")
@click.option(
    "--image",
    "images",
    multiple=True,
    type=IMAGE,
    metavar="FILE",
    help="Run the net on this image and show what its layers make of it; may be repeated.",
)
@click.option("--labels", metavar="FILE", help="Names of the classes, one per line.")
@click.option(
    "--mean",
    type=Means(),
    metavar="B,G,R",
    help="Mean to subtract from the image; by default that of NET.preprocessing.json.",
)
@click.option(
    "--data",
    metavar="DATASET",
    help="Data set to show predictions on; by default the one that was trained on.",
)
@click.option(
    "--predictions",
    metavar="DIR",
    help="Class maps that `fcnkit infer` wrote, instead of running the net.",
)
@click.option(
    "--count",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="How many images to show, with predictions or of a data set.",
)
@shape_option
@engine_options
@click.option(
    "--proof",
    "proofs",
    multiple=True,
    metavar="FILE.json",
    help="What `fcnkit verify --json` printed for this net; the folder of an FCN keeps its own.",
)
@click.option("--full", is_flag=True, help="Keep all pictures at full size.")
@click.option("--force", is_flag=True, help="Overwrite a file that exists.")
def report(
    sources, output, images, labels, mean, inputs, engine, device, full, force, **more
) -> None:
    """Write one HTML page about a net, a training run or a data set.

    Of a net: its drawing, its layers, memory, offsets; with WEIGHTS their statistics, and with
    --image what each layer computes from it. Of a folder that `fcnkit fcn` made: the plan, the
    proof, the training, the predictions. Of a data set: its classes and its images. Of several
    runs, or of a folder that holds some: their curves side by side. The page needs no network and
    no other file, and is smaller than 10 MB unless --full is given.

    \b
    fcnkit report fcn8s -o fcn8s.html
    fcnkit report deploy.prototxt net.caffemodel --image cat.jpg -o net.html
    fcnkit report template:vgg16 -o vgg16.html
    fcnkit report data -o data.html
    fcnkit report fcn32s/run fcn8s/run -o both.html
    """
    from fcnkit.reporting.report import report_of
    from fcnkit.reporting.subject import Wishes, subject

    source, weights = _split(sources)
    outputs = [(output, Saver(PAGE, lambda path, force: made.save(path, force=force)))]
    check_names(outputs, force)
    name = None if engine == AUTO else engine
    wishes = Wishes(images, labels, mean, name, device, dict(inputs), **more)
    of = subject(source, weights, wishes)
    with _working(of) as progress:
        made = report_of(replace(of, wishes=replace(wishes, progress=progress)), full=full)
    write_all(outputs, force=force)
    say_written(outputs, False)


def _working(of):
    """The display of how many images of a data set are done; none where there are none."""
    from fcnkit.datasets.summary import records_in
    from fcnkit.reporting.predictions import awaited
    from fcnkit.reporting.subject import DATA

    total, what = (records_in(of.folder), "reading") if of.kind == DATA else awaited(of)
    return counted(total, what) if total else nullcontext(no_progress)


def _split(sources):
    """The net, or the folder or folders, and the weights."""
    from fcnkit.reporting.subject import DEPLOY

    folders = [each for each in sources if os.path.isdir(each)]
    if len(folders) == len(sources) > 1:
        return folders, None
    source, *rest = sources
    if len(rest) > 1 or any(each in folders for each in rest):
        raise click.UsageError("name a net and its weights, a folder, or the folders of runs")
    weights = WEIGHTS.convert(rest[0], None, click.get_current_context()) if rest else None
    if source not in folders:
        return load_net(source), weights
    if weights and not os.path.isfile(Path(source, DEPLOY)):
        raise click.UsageError(f"{source} holds no net; weights are for a net")
    return source, weights
