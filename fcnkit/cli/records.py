"""What `fcn` keeps in its folder for `fcnkit report`: the plan, and the proof."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcnkit.cli.outputs import Output
from fcnkit.cli.settings import GIVEN
from fcnkit.plan import Plan
from fcnkit.reporting.records import PLAN, PROOF, PlanRecord, save_proof

if TYPE_CHECKING:
    from fcnkit.verifying.proof import Proof


def command() -> tuple[str, ...]:
    """The command as it was given, but for --force, which says nothing of its result."""
    context = click.get_current_context()
    words = [context.info_name or "", *context.meta.get(GIVEN, ())]
    return ("fcnkit", *(word for word in words if word != "--force"))


def kept(plan: Plan, folder: Path) -> Output:
    """How `write_all` writes the plan's record."""
    return folder / PLAN, PlanRecord.of(plan, plan.net, command()).save


def keep_proof(proof: "Proof", folder: Path) -> list[Output]:
    """The folder has the proof, in place of an older one; what was written, and how."""
    path = folder / PROOF

    def write(path: Path, *, force: bool) -> None:
        save_proof(proof.json(), command(), path, force=force)

    write(path, force=True)
    return [(path, write)]
