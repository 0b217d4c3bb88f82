"""The command `lint`: says what is wrong with a net."""

import sys
from collections import Counter
from functools import partial

import click

from fcnkit.cli.arguments import WEIGHTS, load, open_weights, shape_option, show_json
from fcnkit.cli.text import say, terminal_width
from fcnkit.errors import quoted
from fcnkit.linting.findings import NOTE
from fcnkit.plural import number_of
from fcnkit.tables import columns


def _show_kinds(ctx, param, value) -> None:
    """Prints every name that a finding may have, and ends."""
    if not value or ctx.resilient_parsing:
        return
    from fcnkit.linting.walk import KINDS

    rows = ((name, kind.level, kind.meaning) for name, kind in sorted(KINDS.items()))
    say("\n".join(columns(rows, left=(0, 1, 2))))
    ctx.exit()


def _show_targets(ctx, param, value) -> None:
    """Prints every target, its versions and where its rules are from, and ends."""
    if not value or ctx.resilient_parsing:
        return
    from fcnkit.cli.target_list import targets_text
    from fcnkit.targets.index import every

    say(targets_text(every()), nl=False)
    ctx.exit()


@click.command(short_help="Say what is wrong with a net, and how to mend it.")
@click.argument("nets", metavar="NET...", nargs=-1, required=True)
@click.option(
    "--weights",
    type=WEIGHTS,
    metavar="FILE",
    help="A caffemodel: show which layers it leaves untrained or does not fit.",
)
@click.option(
    "--solver",
    metavar="FILE",
    help="The solver: check it, too, and whether its rate suits the loss.",
)
@click.option("--phase", type=click.Choice(["TEST", "TRAIN"]), help="Look at this phase only.")
@click.option("--stage", "stages", multiple=True, help="Look at this stage; may be repeated.")
@shape_option
@click.option(
    "--ignore",
    multiple=True,
    metavar="NAME",
    help="Leave out findings of this name; may be repeated.",
)
@click.option(
    "--names",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_kinds,
    help="List the names that findings have, and exit.",
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    help=(
        "Show what this tool chain does not support, or misreads; may be repeated.  A TOML "
        "file describes your own target."
    ),
)
@click.option(
    "--targets",
    "list_targets",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_targets,
    help="List the targets, with their sources, and exit.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def lint(nets, weights, solver, phase, stages, inputs, ignore, targets, as_json) -> None:
    """Say what is wrong with a net, one line for each thing, and how to put it right.

    An error is something that Caffe refuses; a warning is something that Caffe accepts but
    probably reads in another way than you mean. Either makes the exit status 1. A note is about
    something that lint could not check. With --target, lint also says what a tool chain does
    not support. A terminal folds the lines; in a pipe each stays one line.

    \b
    fcnkit lint train_val.prototxt
    fcnkit lint train_val.prototxt --solver solver.prototxt \\
        --weights init.caffemodel
    fcnkit lint deploy.prototxt --target ncnn --target tensorrt8
    """
    from fcnkit.linting.walk import KINDS
    from fcnkit.linting.walk import lint as lint_net

    for name in ignore:
        if name not in KINDS:
            raise click.BadParameter(
                f"{quoted(name)}: see the names with `fcnkit lint --names`", param_hint="--ignore"
            )
    look = partial(
        lint_net,
        inputs=dict(inputs),
        phase=phase,
        stages=stages,
        weights=open_weights(weights) if weights else None,
        solver=load(solver) if solver else None,
        target=targets,
    )
    found = [finding for net in nets for finding in look(load(net)) if finding.name not in ignore]
    if as_json:
        show_json({"findings": [finding.plain() for finding in found], **_counts(found)})
    else:
        # A line for each finding where another program reads them, as compilers do.
        width = terminal_width() if sys.stdout.isatty() else 0
        lines = "".join(f"{finding}\n" for finding in found)
        say(lines + _summary(found, len(nets), targets), nl=False, width=width)
    if any(finding.level != NOTE for finding in found):
        sys.exit(1)


def _counts(found) -> dict[str, int]:
    levels = Counter(finding.level for finding in found)
    return {f"{level}s": levels[level] for level in ("error", "warning", "note")}


def _summary(found, nets: int, targets) -> str:
    counts = [
        number_of(count, name.removesuffix("s")) for name, count in _counts(found).items() if count
    ]
    spoken = {finding.about.target for finding in found if finding.about}
    kept = "".join(f"; {each}: no rule is broken" for each in targets if each not in spoken)
    return f"{number_of(nets, 'net')}: {', '.join(counts) or 'nothing found'}{kept}\n"
