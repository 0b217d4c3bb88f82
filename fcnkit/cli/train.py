"""The command `train`: trains nets with real Caffe or with PyTorch."""

import os
import re
import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import click

from fcnkit.cli.arguments import WEIGHTS, Number
from fcnkit.cli.preprocessing import as_trained
from fcnkit.cli.progress import ITERATIONS, progress
from fcnkit.cli.text import say
from fcnkit.errors import quoted
from fcnkit.plural import number_of
from fcnkit.training.trainers import PRECISIONS, TRAINERS, Caffe, Torch, first_installed

STOPPED, AUTO = 130, "auto"


class Gpus(click.ParamType):
    """all, or numbers with commas."""

    name = "0 | 0,1 | all"

    def convert(self, value, param, ctx):
        """The text as Caffe takes it."""
        if not re.fullmatch(r"all|\d+(,\d+)*", value):
            self.fail(f"{quoted(value)}: write it as 0, as 0,1 or as all", param, ctx)
        return value


class WeightsFiles(click.ParamType):
    """Files with commas between, as Caffe takes them, or model:NAME."""

    name = "file,..."

    def convert(self, value, param, ctx):
        """The files' paths; a file whose name has commas is one."""
        if not isinstance(value, str):
            return value
        names = [value] if os.path.exists(value) else value.split(",")
        return [WEIGHTS.convert(name, param, ctx) for name in names if name]


@click.command(short_help="Train FCNs with Caffe or PyTorch, or resume.")
@click.argument("folders", metavar="DIR...", nargs=-1, required=True)
@click.option(
    "--data", metavar="DATASET", help="Folder of train_image_lmdb, train_label_lmdb, val_..."
)
@click.option(
    "--weights",
    type=WeightsFiles(),
    metavar="FILE,...",
    help="Weights to start the first DIR from; later files win; its init.caffemodel by default.",
)
@click.option(
    "--engine",
    type=click.Choice((AUTO, *TRAINERS)),
    default=AUTO,
    show_default=True,
    help="What trains; auto takes Caffe if it is installed, else PyTorch.",
)
@click.option("--gpu", "gpus", type=Gpus(), metavar="N|all", help="Train on these GPUs.")
@click.option("--cpu", is_flag=True, help="Train on the CPU.")
@click.option(
    "--device",
    metavar="DEVICE",
    help="PyTorch's device, such as cpu or cuda:0.  [default: a GPU if any]",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Precision of PyTorch's multiplications.  [default: fp32]",
)
@click.option("--compile", "compiled", is_flag=True, help="Let PyTorch compile the net.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    metavar="N",
    help="Train with N PyTorch processes; a step takes N times as many images.",
)
@click.option(
    "--iterations",
    type=click.IntRange(1),
    metavar="N",
    help="Stop after N iterations, instead of the solver's max_iter.",
)
@click.option("--snapshot", type=click.IntRange(1), metavar="N", help="Save every N iterations.")
@click.option(
    "--display", type=click.IntRange(1), metavar="N", help="Show the loss every N iterations."
)
@click.option("--test", type=click.IntRange(1), metavar="N", help="Validate every N iterations.")
@click.option(
    "--loss",
    type=click.Choice(["normalized", "unnormalized"]),
    help="normalized: the mean over pixels; unnormalized: their sum; each with its published rate.",
)
@click.option(
    "--loss-weights",
    metavar="median|FILE",
    help="Weigh the classes by median frequency, or with a file of one weight per line.",
)
@click.option(
    "--rate",
    type=Number(0, min_open=True),
    metavar="R",
    help="Learning rate, instead of the solver's base_lr.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    help="Seed of Caffe's random numbers; by default the clock.",
)
@click.option(
    "--run", "name", default="run", show_default=True, metavar="NAME", help="The run's folder."
)
@click.option(
    "--one-class",
    is_flag=True,
    help="Train even if the labels leave fewer than two classes to learn.",
)
@click.option("--restart", is_flag=True, help="Start over; needs --force if there is a run.")
@click.option("--force", is_flag=True, help="Let --restart delete an existing run.")
@click.option("--tensorboard", is_flag=True, help="Also write DIR/run/events... for TensorBoard.")
@click.option("--dry-run", is_flag=True, help="Print the commands, and write nothing.")
def train(
    folders,
    data,
    weights,
    engine,
    gpus,
    cpu,
    device,
    precision,
    compiled,
    processes,
    iterations,
    snapshot,
    display,
    test,
    loss,
    loss_weights,
    rate,
    seed,
    name,
    one_class,
    restart,
    force,
    tensorboard,
    dry_run,
) -> None:
    """Train the FCN in DIR with real Caffe or PyTorch; the same command again resumes.

    DIR is what `fcnkit fcn -o DIR` writes. DIR/run gets the solver and the net that are
    run, caffe.log, train.jsonl (losses and scores), curve.png, the snapshots, and index.html, a
    page that shows the progress. Several DIRs are stages: each starts from the last caffemodel of
    the one before, matched by the names of layers.

    With --loss-weights the loss of each pixel is multiplied by the weight of its class:
    SoftmaxWithLoss becomes an InfogainLoss, which Caffe computes on the CPU, with the matrix
    infogain.binaryproto in the run's folder. "median" counts the training labels and takes the
    weights that `fcnkit dataset inspect` prints, and 1 for a class that does not occur. A FILE has
    one weight per line, or a class's name and its weight. To resume, give the same weights.

    PyTorch computes what Caffe would, and needs no Caffe; a run may be started with one and resumed
    with the other. Without --engine, Caffe trains if it is installed (for --gpu, with GPU support)
    and no option is for PyTorch only; the output says which of the two trains. A Caffe without GPU
    support trains on the CPU, and so does PyTorch without a GPU. With several GPUs, or --processes,
    each process reads other images, and a step equals that of a single process with iter_size
    multiplied by the number of processes. --precision tf32 and bf16 are faster and less exact than
    Caffe, on GPUs that have them.

    Ctrl-C saves a snapshot and stops, a second one stops at once. A resumed run continues from the
    newest complete snapshot, and reads the database from its start. Exit status: 0 done, 2 bad
    input or the engine failed, 130 stopped.

    \b
    fcnkit train voc-fcn32s --data voc --gpu 0
    fcnkit train fcn32s fcn16s fcn8s --data voc --weights net.caffemodel --gpu all
    fcnkit train fcn32s --data voc --engine torch --precision tf32
    fcnkit train fcn32s --data camvid --loss-weights median
    fcnkit train fcn32s --data voc --cpu --iterations 100 --dry-run
    """
    from fcnkit.training import sequence
    from fcnkit.training.recipe import Options

    trainer = _trainer(engine, gpus, cpu, device, precision, compiled, processes)
    if rate and loss:
        raise click.UsageError("--loss sets the published rate; leave out --rate or --loss")
    _check_name(name)
    options = Options(
        Path(data) if data else None,
        _on_cpu(gpus, cpu, device, trainer),
        trainer,
        iterations,
        snapshot,
        display,
        test,
        loss,
        loss_weights,
        seed,
        rate,
    )
    found = sequence.stages([Path(folder) for folder in folders], name, options, weights or ())
    if restart:
        sequence.check_restart(found, force=force)
    else:
        sequence.check_runs(found)
    for stage in found:
        _say_weights(stage)
    for doubt in sequence.check_words(found):
        _say(f"warning: {doubt}")
    if dry_run:
        for stage in found:
            say(_shown(stage, stage.command(restart=restart)))
        return
    sequence.check(
        found,
        on_database=lambda path, count: _say(f"{path}: checking {number_of(count, 'label')}"),
        on_warning=lambda words: _say(f"warning: {words}"),
        one_class=one_class,
    )
    try:
        for stage in found:
            _train(stage, restart, tensorboard)
    except KeyboardInterrupt:  # between two stages, where no Caffe is at work
        sys.exit(STOPPED)


def _trainer(engine, gpus, cpu, device, precision, compiled, processes):
    """What trains; UsageError for options that do not go together."""
    given = {"--gpu": gpus, "--cpu": cpu, "--device": device}
    places = [name for name, value in given.items() if value]
    if len(places) > 1:
        raise click.UsageError(f"{' and '.join(places)} exclude each other; give one of them")
    own = {
        "--device": device,
        "--precision": precision,
        "--compile": compiled,
        "--processes": processes,
    }
    if engine == AUTO:
        engine = "torch" if any(own.values()) else first_installed(gpu=bool(gpus))
    if TRAINERS[engine] is Torch:
        return Torch(
            gpus or "",
            "cpu" if cpu else device or "",
            precision or "fp32",
            compiled,
            processes or 1,
        )
    for name, value in own.items():
        if value:
            raise click.UsageError(f"{name} is for --engine torch only")
    return Caffe(gpus or "")


def _on_cpu(gpus, cpu, device, trainer) -> bool | None:
    """Whether the solver as run asks for the CPU; None where nothing says it."""
    if device or gpus:
        return device == "cpu"
    return True if cpu or not trainer.knows_gpus() else None


def _check_name(name: str) -> None:
    if not name or Path(name).name != name or name.startswith("."):
        raise click.BadParameter(
            f"{quoted(name)}: is a folder in DIR; give a name without /", param_hint="--run"
        )


def _say(text: str) -> None:
    say(text, err=True)


def _say_weights(stage) -> None:
    from fcnkit.training.weighting import described

    for line in described(stage.recipe):
        _say(f"{stage.folder}: {line}")


def _shown(stage, command) -> str:
    return f"cd {shlex.quote(str(stage.folder))} && {' '.join(map(shlex.quote, command))}"


def _train(stage, restart: bool, tensorboard: bool) -> None:
    """One stage is trained, or has been; the process ends with 130 where it was asked to stop."""
    from fcnkit.reporting.live import followers
    from fcnkit.training.train import Begun, Ended, Warned, finished, train

    recipe, name = stage.recipe, str(stage.folder)
    last = None if restart else finished(recipe.run, recipe.iterations)
    if last:
        say(f"{name}: already trained {number_of(last.iteration, 'iteration')}: {last.weights}")
        return
    weights = stage.weights()
    with ExitStack() as stack:
        displays: list = []
        on_signal = partial(_stopping, displays, recipe.trainer.name)
        warn = partial(_warn, displays)
        followed = stack.enter_context(followers(recipe.run, warn, tensorboard=tensorboard))
        events = train(recipe, weights, restart=restart, force=True, on_signal=on_signal)
        for event in stack.enter_context(closing(events)):
            if isinstance(event, Begun):
                displays.append(stack.enter_context(_begun(event, stage, weights)))
            elif isinstance(event, Ended):
                end = event
            elif isinstance(event, Warned):
                warn(event.words)
            else:
                _follow(displays[0], event)
            followed(event)
    _ended(end, stage)


def _warn(displays, words: str) -> None:
    line = f"warning: {words}"
    if displays:
        displays[0].say(line)
    else:
        _say(line)


def _begun(event, stage, weights):
    """Says what the training goes on from; the progress that is shown from now on."""
    from fcnkit.training.sequence import unfilled

    name = str(stage.folder)
    trainer = stage.recipe.trainer
    place = "" if trainer.gpus or trainer.knows_gpus() else " on the CPU"
    _say(f"{name}: training with {trainer.name}{place}")
    for snapshot, why in event.passed:
        _say(f"{name}: skips the snapshot of iteration {snapshot.iteration}: {why}")
    if event.snapshot:
        _say(f"{name}: resumes from iteration {event.snapshot.iteration} ({event.snapshot.state})")
    else:
        _say(f"{name}: starts from {', '.join(map(str, weights)) or 'its fillers'}")
        for layer in unfilled(stage.recipe, weights):
            _say(f'{name}: layer "{layer}": has no weights, and starts from its filler')
    first = event.snapshot.iteration if event.snapshot else 0
    # The whole path would leave a bar no room.
    label = Path(os.path.realpath(stage.folder)).name if sys.stderr.isatty() else name
    return progress(label, stage.recipe.iterations, first=first, unit=ITERATIONS, logged=True)


def _follow(display, event) -> None:
    from fcnkit.training.log import Device, Loss, Saved, Validation

    if isinstance(event, Loss):
        rate = "" if event.rate is None else f", rate {event.rate:g}"
        display.at(event.iteration, f"loss {event.loss:.4g}{rate}")
    elif isinstance(event, Validation):
        display.result(f"validation at {event.iteration}: {figures(event.values)}")
    elif isinstance(event, Saved):
        display.say(f"saved {event.path}")
    elif isinstance(event, Device):
        display.say(event.words)


def figures(values: Mapping[str, object]) -> str:
    """Scores in a few words; those of several classes by how many they are."""
    return ", ".join(f"{name} {_figure(value)}" for name, value in values.items())


def _figure(value: object) -> str:
    return f"of {number_of(len(value), 'class')}" if isinstance(value, list) else f"{value:.4g}"


def _stopping(displays, trainer: str, count: int) -> None:
    first = f"{trainer} saves a snapshot and stops; Ctrl-C again to stop at once"
    text = first if count == 1 else "stops at once"
    if displays:
        displays[0].say(text)
    else:
        _say(text)


def _ended(event, stage) -> None:
    run, last = stage.recipe.run, event.snapshot
    if last:
        as_trained(stage.recipe, stage.folder)
    if event.done and last is None:
        say(f"{stage.folder}: trained 0 iterations, as max_iter asks; nothing is saved")
        return
    if event.done:
        say(
            f"{stage.folder}: trained {number_of(last.iteration, 'iteration')}; {last.weights}; "
            f"{run.page}"
        )
        return
    saved = f"iteration {last.iteration} is saved" if last else "nothing is saved yet"
    _say(f"{stage.folder}: stopped; {saved}; the same command continues from there")
    sys.exit(STOPPED)
