"""The command `infer`: runs a trained net on images and draws what it sees."""

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click

from fcnkit.ahead import ahead
from fcnkit.cli.arguments import IMAGE, WEIGHTS, Means, Number, load_net, show_json
from fcnkit.cli.engines import engine_options
from fcnkit.cli.infer_images import ImageFile, Reading, check_all, pictures_of
from fcnkit.cli.infer_lines import lines
from fcnkit.cli.labels import LabelValues
from fcnkit.cli.outputs import write_all
from fcnkit.cli.preprocessing import for_images, note
from fcnkit.cli.progress import counted
from fcnkit.cli.text import say
from fcnkit.errors import DatasetError, OutputError
from fcnkit.foreign import json_text
from fcnkit.formats.suffixes import check_folder
from fcnkit.plural import number_of
from fcnkit.preprocessing import BGR, RGB, STORED

LEGEND = "legend.png"
# Images, and scores, that wait to be worked on.
_AHEAD = 2


@click.command(short_help="Run a net on images: class maps, overlays, heat.")
@click.argument("net", metavar="NET")
@click.argument("weights", type=WEIGHTS, metavar="WEIGHTS")
@click.argument("images", metavar="IMAGE|FOLDER|DATASET...", nargs=-1, required=True, type=IMAGE)
@click.option("-o", "--output", required=True, metavar="DIR", help="Where the results go.")
@engine_options
@click.option(
    "--blob",
    metavar="BLOB",
    help="The blob of the scores; by default the last output that is a map.",
)
@click.option(
    "--mean",
    type=Means(),
    default=(),
    metavar="B,G,R",
    help="The mean to subtract: one value, or one per channel in --order.",
)
@click.option(
    "--mean-file",
    metavar="FILE",
    help="A mean image, .binaryproto or .npy; for images of another size its mean colour is used.",
)
@click.option(
    "--scale", type=Number(), help="Factor to apply after the mean is subtracted; 1 by default."
)
@click.option(
    "--order",
    type=click.Choice([BGR, RGB, STORED]),
    help="Channels of the net's input; bgr, as Caffe's models have, by default. stored: as they "
    "are in .npy files of (height, width, channels).",
)
@click.option(
    "--exif",
    type=click.Choice(["apply", "ignore"]),
    default="apply",
    show_default=True,
    help="Rotate images as their EXIF data says, or not.",
)
@click.option(
    "--alpha",
    type=click.Choice(["refuse", "ignore"]),
    default="refuse",
    show_default=True,
    help="What to do with an alpha channel that is not opaque, if the net takes none.",
)
@click.option(
    "--classes", "--labels", "classes", metavar="FILE", help="Names of the classes, one per line."
)
@click.option(
    "--colours",
    "--colors",
    "colours",
    metavar="FILE|voc",
    help="The colour of each class: lines R G B in order, or name R G B; VOC's by default.",
)
@click.option(
    "--opacity",
    type=Number(0, 1),
    default=0.5,
    show_default=True,
    help="How opaque the colours over the image are.",
)
@click.option(
    "--overlay/--no-overlay",
    default=True,
    show_default=True,
    help="Write the overlays, the heat maps and the legend.",
)
@click.option("--confidence", is_flag=True, help="Draw how probable each pixel's class is.")
@click.option(
    "--top",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="For coarse scores: how many classes to list for each window, and to draw heat maps of.",
)
@click.option(
    "--heat",
    type=LabelValues(),
    metavar="V,...",
    help="Numbers of the classes to draw heat maps of.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def infer(
    net,
    weights,
    images,
    output,
    engine,
    device,
    blob,
    mean,
    mean_file,
    scale,
    order,
    exif,
    alpha,
    classes,
    colours,
    as_json,
    force,
    **options,
) -> None:
    """Run NET on images, each at its own size, and draw what it sees.

    For each image DIR gets NAME.png, a palette image of class numbers; NAME.json, the share of
    each class; NAME.overlay.png, the classes' colours over the image; and with --confidence
    NAME.confidence.png. legend.png explains the colours. `fcnkit score` reads DIR as
    predictions and ignores the other pictures.

    Of a dataset made by `fcnkit dataset create`, only the validation images are run, so that `score
    DIR DATASET` tells what was learned.

    Images are prepared as NET.preprocessing.json says, which `fcnkit fcn` writes beside
    deploy.prototxt: mean, scale, order of channels and names of classes. Options override it.
    Without such a file images are BGR, and no mean is subtracted. They are never resized. The
    transform_param of a train_val.prototxt (mean_value, mean_file, scale) shows what was
    subtracted in training.

    A convolutionalized classifier has coarse scores, one for each window. Then NAME.json has the
    most likely classes of each window, and NAME.heat.CLASS.png shows where a class is. NAME.png has
    255 where no window is centred nearby, and is not written for nets of more than 255 classes.

    \b
    fcnkit infer fcn8s/deploy.prototxt fcn8s.caffemodel photos -o seen \\
        --mean 104,117,123 --colours voc
    fcnkit infer conv.prototxt conv.caffemodel cat.jpg -o seen \\
        --labels synset_words.txt --top 5
    """
    import tempfile  # slow to load

    from fcnkit.inference.score_maps import head

    check_folder(output, "pictures")
    found = head(load_net(net), blob)
    known = for_images(
        found.graph.prototxt,
        weights,
        channels=found.shape[1],
        classes=found.classes,
        mean=mean,
        mean_file=mean_file,
        scale=scale,
        order=order,
    )
    prepared = _preparation(found, known, mean, mean_file)
    wanted = _wanted(found, classes, known.classes, colours, options)
    stored = prepared.order == STORED
    read = Reading(prepared.channels, exif, alpha, stored)
    with (
        tempfile.TemporaryDirectory(prefix="fcnkit-") as folder,
        tempfile.TemporaryDirectory(prefix="fcnkit-") as spare,
    ):
        pictures = pictures_of(images, Path(spare), stored=stored)
        with counted(len(pictures), "reading") as progress:
            check_all(pictures, found, read, progress)
        _free(pictures, Path(output), wanted, force)
        job = _Inference(found, weights, (engine, device), prepared, wanted, read)
        made = _run(job, pictures, Path(folder))
        outputs = [(Path(output) / name, partial(_copy, path)) for name, path in made.items()]
        write_all(outputs, force=force, folder=Path(output))
        _show([made[f"{picture.name}.json"] for picture in pictures], as_json)
    say(f"wrote {number_of(len(outputs), 'file')} in {output}", err=True)


def _preparation(found, known, mean, mean_file):
    from fcnkit.inference.preparation import Preparation, read_mean

    if mean and mean_file:
        raise click.UsageError("--mean and --mean-file exclude each other; give one of them")
    image = read_mean(mean_file) if mean_file else None
    prepared = Preparation(found.shape[1], known.mean or (), image, known.scale, known.order)
    prepared.check()
    return prepared


def _wanted(found, classes, default, colours, options):
    """Names and colours for as many classes as the net has; `default` are names that it has."""
    from fcnkit.datasets.colours import VOC, read_classes, read_colours, voc, voc_palette
    from fcnkit.inference.results import Wanted

    known = voc() if colours == VOC else read_colours(colours) if colours else None
    names = read_classes(classes, unique=False) if classes else known.names if known else ()
    count = found.classes
    names = names or default
    for what, given in ((classes or colours, names), (colours, known.colours if known else ())):
        if given and len(given) != count:
            fact = (
                f'has {number_of(len(given), "class")}, "{found.scores.blob}" of '
                f"{found.graph.prototxt.path} {count}"
            )
            raise DatasetError(f"{what}: {fact}; name the file that belongs to this net")
    hot = options.pop("heat")
    lost = [number for number in hot or () if not 0 <= number < count]
    if lost:
        raise click.BadParameter(
            f"{lost[0]} is not a class of the net; they are 0 to {count - 1}", param_hint="--heat"
        )
    shown = known.colours if known else voc_palette(min(count, 256))
    return Wanted(tuple(names or map(str, range(count))), shown, hot=hot, **options)


def _free(pictures: Sequence[ImageFile], output: Path, wanted, force: bool) -> None:
    """The results may have the names that they get; OutputError before anything is run."""
    taken = {os.path.realpath(picture.path) for picture in pictures}
    ends = [".json", *_ends(wanted)]
    legend = [LEGEND] if ".overlay.png" in ends else []
    for name in [*legend, *(f"{picture.name}{end}" for picture in pictures for end in ends)]:
        path = output / name
        if os.path.realpath(path) in taken:
            raise OutputError(f"{path}: is one of the images; name another folder with -o")
        if os.path.exists(path) and not force:
            raise OutputError(f"{path}: exists; give another name, or --force to overwrite it")


def _ends(wanted) -> list[str]:
    """What the names of an image's class map and of the pictures of it end in."""
    from fcnkit.inference.results import MOST

    if len(wanted.names) > MOST:
        return []
    return [".png", *[".overlay.png"] * wanted.overlay, *[".confidence.png"] * wanted.confidence]


class _Inference(NamedTuple):
    """What is run, and what is made of it."""

    head: Any
    weights: str
    engine: tuple[str | None, str | None]
    prepared: Any
    wanted: Any
    read: Reading


def _run(job: _Inference, pictures: Sequence[ImageFile], folder: Path) -> dict[str, Path]:
    """The name of each result, and the file in `folder` that waits to be it."""
    from fcnkit.inference.overlay import legend_png
    from fcnkit.inference.score_maps import scores

    made: dict[str, Path] = {}
    engine, device = job.engine
    # The next images are prepared, and the results of the last ones written, while the net runs.
    with (
        counted(len(pictures), "running") as progress,
        ahead((_input(job, picture) for picture in pictures), _AHEAD) as inputs,
        ahead(
            scores(job.head, job.weights, inputs, engine=engine, device=device, told=_say_engine),
            _AHEAD,
        ) as found,
    ):
        for picture, each in zip(pictures, found, strict=True):
            for end, data in _results(job, picture, each).items():
                _keep(made, f"{picture.name}{end}", data, folder)
            progress(1)
    if ".overlay.png" in _ends(job.wanted):
        _keep(made, LEGEND, legend_png(job.wanted.names, job.wanted.colours), folder)
    return made


def _say_engine(engine) -> None:
    note(f"run by {engine.name} {engine.version}".rstrip())


def _keep(made: dict[str, Path], name: str, data: bytes, folder: Path) -> None:
    if name in made:
        raise DatasetError(f"two results would be named {name}; rename one of the images")
    made[name] = folder / str(len(made))
    made[name].write_bytes(data)


def _input(job: _Inference, picture: ImageFile):
    import numpy as np

    return job.prepared(np.asarray(job.read.net(picture)))


def _results(job: _Inference, picture: ImageFile, scores) -> dict[str, bytes]:
    """The files of one image, its record among them, by what their names end in."""
    import numpy as np

    from fcnkit.inference.results import result

    image = np.asarray(job.read.shown(picture))
    record, files = result(job.head, scores, image, job.wanted)
    record = {
        "image": picture.source or str(picture.path),
        "width": image.shape[1],
        "height": image.shape[0],
        **record,
    }
    return {**files, ".json": f"{json_text(record, indent=2)}\n".encode()}


def _copy(source: Path, path, *, force: bool) -> None:
    from fcnkit import files

    files.write(path, source.read_bytes(), force=force)


def _show(records: Sequence[Path], as_json: bool) -> None:
    """Prints the records of all images, read one by one unless they are to be one JSON."""
    each = (json.loads(path.read_text()) for path in records)
    if as_json:
        show_json(list(each))
        return
    for record in each:
        size = f"{record['width']} x {record['height']} pixels"
        say(f"{record['image']}: {size}")
        for line in lines(record):
            say(f"  {line}")
