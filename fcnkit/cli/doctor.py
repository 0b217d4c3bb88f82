"""The command `doctor`: what of fcnkit works on this machine."""

import sys

import click

from fcnkit.cli.arguments import show_json
from fcnkit.cli.text import say


@click.command(short_help="Show what works on this machine and what is missing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json) -> None:
    """Show what of fcnkit works on this machine, and how to install the rest.

    Every library is imported, and every engine computes a small net whose scores
    are known; each in a process of its own.  Nothing is changed, and nothing is fetched.

    Exit status: 0 nothing that is installed is broken, 1 something is.

    \b
    fcnkit doctor
    fcnkit doctor --json
    """
    from fcnkit.cli.machine import examine
    from fcnkit.cli.progress import waiting

    with waiting("trying libraries and engines"):
        found = examine()
    if as_json:
        show_json(found.json())
    else:
        say(_page(found), nl=False)
    if found.broken:
        sys.exit(1)


def _page(found) -> str:
    parts = (
        f"fcnkit {found.fcnkit}, {found.python}\n{found.system}\n",
        _table("library", "what it is for", found.libraries),
        _table("engine", "what it computes of a small net", found.engines),
        _gpus(found),
        _places(found.places),
        _advice(found),
    )
    return "\n".join(filter(None, parts))


def _table(name: str, last: str, parts) -> str:
    from fcnkit.tables import folded

    heads = [((name, "version", "state"), (last,))]
    return folded([*heads, *((part[:3], (_note(part),)) for part in parts)])


def _note(part) -> str:
    from fcnkit.cli.machine import MISSING

    if part.note or part.state == MISSING:
        return part.note
    return f"the right scores{f', on {part.devices[0]} too' if part.devices else ''}"


def _gpus(found) -> str:
    gpus = "".join(f"GPU: {each}\n" for each in found.gpus) or "GPU: none found\n"
    caffe = found.caffe["folder"] or "none"
    built = found.caffe["gpu_folder"]
    return f"{gpus}Caffe: {caffe}\n" + (f"Caffe for GPUs: {built}\n" if built else "")


def _places(places) -> str:
    from fcnkit.tables import aligned

    rows = [
        {
            "kept": place.what,
            "used": f"{place.bytes / 1e6:,.0f} MB",
            "free": f"{place.free / 1e9:,.0f} GB",
            "folder": place.folder,
        }
        for place in places
    ]
    return aligned(("kept", "used", "free", "folder"), rows, ("kept", "folder"))


def _advice(found) -> str:
    lines = [f"broken: {part.name}: {part.note}" for part in found.broken]
    commands = found.commands()
    lines += ["To install what is missing:"] * bool(commands)
    lines += [f"  {command}" for command in commands]
    return "".join(f"{line}\n" for line in lines or ["Nothing is missing."])
