"""The command `run`: a script of pycaffe, without Caffe."""

import os
import sys
import traceback
from types import TracebackType

import click


@click.command(
    short_help="Run a pycaffe script without Caffe.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option(
    "-m", "module", is_flag=True, help="SCRIPT is the name of a module, as with python -m."
)
@click.option("--cpu", is_flag=True, help="Compute on the CPU, whatever the script says.")
@click.option(
    "--python2",
    "old",
    is_flag=True,
    help="Run a script as Python 2 even if it is valid in Python 3.",
)
@click.option(
    "--keep-2to3",
    "keep",
    metavar="FILE",
    help="Write the converted script here, if it was for Python 2.",
)
@click.argument("script", metavar="SCRIPT")
@click.argument("words", metavar="[ARG]...", nargs=-1, type=click.UNPROCESSED)
def run(script, words, module, cpu, old, keep) -> None:
    """Run a Python script in which `import caffe` imports fcnkit's pycaffe.

    A script for Python 2 is converted in memory and run, and so are the modules beside it that
    it imports; a line on stderr says so. The files stay as they are. A script that is valid in
    Python 2 and 3 and uses no name that only Python 2 has is run as Python 3; with --python2 it
    is run as Python 2, where whole numbers divide to whole numbers.

    \b
    fcnkit run net.py
    fcnkit run --cpu solve.py 0
    fcnkit run -m pytest test_net.py
    """
    from fcnkit.pycaffe import modes
    from fcnkit.pycaffe.run import run as run_script

    if not module and not os.path.isfile(script):
        raise click.UsageError(f"{script}: is not a file; name a script, or a module with -m")
    if script.endswith(".ipynb"):
        hook = "import fcnkit.pycaffe; fcnkit.pycaffe.install()"
        raise click.UsageError(f"{script}: is a notebook; open it, and add a first cell: {hook}")
    if module and keep:
        raise click.UsageError("--keep-2to3 is for a script, not for a module")
    if cpu:
        modes.stay_on_cpu()
    try:
        run_script(script, words, module=module, tell=_tell, keep=keep, old=old)
    except Exception as error:
        found = _of_script(error.__traceback__)
        if found is None and not isinstance(error, (ImportError, SyntaxError)):
            raise
        traceback.print_exception(type(error), error, found)
        sys.exit(1)


def _of_script(trace: TracebackType | None) -> TracebackType | None:
    """What Python would show of the script's error: not how fcnkit came to run it."""
    ours = os.path.dirname(os.path.dirname(__file__))
    while trace and trace.tb_frame.f_code.co_filename.startswith((ours, "<frozen ")):
        trace = trace.tb_next
    return trace


def _tell(line) -> None:
    click.echo(f"fcnkit: {line}", err=True)
