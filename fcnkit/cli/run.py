"""The command `run`: a script of pycaffe, without Caffe."""

import os

import click


@click.command(
    short_help="Run a pycaffe script without Caffe.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("-m", "module", is_flag=True, help="SCRIPT is a module's name, as of python -m.")
@click.argument("script", metavar="SCRIPT")
@click.argument("words", metavar="[ARG]...", nargs=-1, type=click.UNPROCESSED)
def run(script, words, module) -> None:
    """Run a Python script in which `import caffe` is fcnkit's.

    There is what makes nets: NetSpec, layers, params, to_proto, coord_map and
    proto.caffe_pb2.  Nets and solvers that run are not there yet.

    \b
    fcnkit run net.py
    fcnkit run -m pytest test_net.py
    """
    from fcnkit.pycaffe.run import run as run_script

    if not module and not os.path.isfile(script):
        raise click.UsageError(f"{script}: is no file; name a script, or a module with -m")
    run_script(script, words, module=module)
