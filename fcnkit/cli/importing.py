"""The command `import`: writes an ONNX model as a net of Caffe and its weights."""

from typing import TYPE_CHECKING

import click

from fcnkit.cli.arguments import Number, shape_option, show_json
from fcnkit.cli.export import OTHERS
from fcnkit.cli.outputs import file_saver, saver, say_written, write_all
from fcnkit.cli.text import say, terminal_width
from fcnkit.formats import suffixes
from fcnkit.importing.caffes import CAFFES, MASTER
from fcnkit.plural import number_of

if TYPE_CHECKING:
    from fcnkit.verifying.verify import Difference


@click.command("import", short_help="Write an ONNX model as a Caffe net and its weights.")
@click.argument("model", metavar="MODEL.onnx")
@click.option("-o", "--output", metavar="NET.prototxt", help="Write the net here.")
@click.option(
    "--weights-out",
    metavar="NET.caffemodel",
    help="Write the weights here; by default NET.caffemodel.",
)
@shape_option
@click.option(
    "--outputs",
    metavar="A,B",
    help="Tensors of the model to end at, instead of its own outputs.",
)
@click.option(
    "--fold/--no-fold",
    default=True,
    show_default=True,
    help="Merge BatchNorm and the like into the convolution before them.",
)
@click.option(
    "--for",
    "caffe",
    type=click.Choice([*CAFFES]),
    default=MASTER,
    show_default=True,
    help="The Caffe that runs the net. 1.0: without round_mode and Clip, which BVLC added "
    "later; ssd: with Permute and Normalize; deeplab: with Interp.",
)
@click.option(
    "--names",
    type=click.Choice(["model", "caffe"]),
    default="model",
    show_default=True,
    help="caffe: name the layers of a chain as in Caffe's model zoo, conv1_1 and fc6.",
)
@click.option(
    "--verify",
    "verified",
    is_flag=True,
    help="Run ONNX Runtime beside Caffe, or PyTorch, and compare every blob; exit with 1 if "
    "not equal.",
)
@click.option("--engine", type=click.Choice(OTHERS), help="What --verify compares with.")
@click.option(
    "--tolerance",
    type=Number(0),
    default=1e-4,
    show_default=True,
    help="Largest relative difference that --verify allows.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def import_(
    model,
    output,
    weights_out,
    inputs,
    outputs,
    fold,
    caffe,
    names,
    verified,
    engine,
    tolerance,
    as_json,
    force,
) -> None:
    """Write an ONNX model as a net of stock Caffe that computes the same, and its weights.

    PyTorch, TensorFlow, Keras and PaddlePaddle export ONNX. Without -o, the command prints what
    the net would be. Sizes that the model leaves free stay free: at every size the net computes
    what the model computes, and --input says which size is written into its file.

    \b
    fcnkit import resnet18.onnx
    fcnkit import resnet18.onnx -o resnet18.prototxt --verify
    fcnkit import detector.onnx --outputs feats_1,feats_2 -o trunk.prototxt
    """
    from fcnkit.importing.from_onnx import from_onnx
    from fcnkit.importing.imported import check_none_beside, weights_place

    if weights_out and not output:
        raise click.UsageError("--weights-out goes with -o: the weights belong to a net")
    made = from_onnx(
        model,
        inputs=dict(inputs),
        outputs=[name for name in outputs.split(",") if name] if outputs else None,
        fold=fold,
        caffe=caffe,
        names=names,
    )
    files = []
    if output:
        beside = weights_out or str(weights_place(output))
        # The net last: where it is, its weights are.
        weights = [(beside, file_saver(made.weights, suffixes.WEIGHTS))] if made.weights else []
        if not weights:
            check_none_beside(beside)
        files = [*weights, (output, saver(made.net))]
    write_all(files, force=force)
    rows: tuple[Difference, ...] = ()
    if verified:
        from fcnkit.cli.progress import waiting
        from fcnkit.verifying.imports import verify_import

        with waiting("comparing the model and the net"):
            rows = verify_import(made, engine=engine, tolerance=tolerance)
    if as_json:
        verdicts = [row._asdict() | {"ok": row.ok} for row in rows]
        show_json(made.json() | ({"verify": verdicts} if verified else {}))
    else:
        say(made.table(terminal_width()), nl=False)
        if verified:
            say(_verdict(rows), nl=False, width=terminal_width())
    say_written(files, as_json)
    if output and not made.weights:
        say(f"fcnkit: {beside} is not written: no layer of the net has weights", err=True)
    if verified and not (all(row.ok for row in rows) and any(row.shows for row in rows)):
        raise SystemExit(1)


def _verdict(rows: "tuple[Difference, ...]") -> str:
    """The worst of all blobs, and the first that differs."""
    from fcnkit.verifying.imports import first_different

    if not any(row.shows for row in rows):
        return "NOT COMPARED: no blob has values that could show a difference\n"
    first = first_different(rows)
    worst = max(rows, key=lambda row: (row.relative != row.relative, row.relative))
    lines = [f"{number_of(len(rows), 'blob')} compared; the largest difference:", str(worst)]
    if first:
        lines = [*lines, "the first blob that differs, in the model's order:", str(first)]
    return "".join(f"{line}\n" for line in lines)
