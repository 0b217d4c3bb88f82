"""`--verify` of the commands that have a plan: the net before and after is run and compared."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from fcnkit.cli.arguments import exit_unless_proven, open_weights
from fcnkit.cli.text import say, terminal_width
from fcnkit.formats.prototxt import Prototxt
from fcnkit.plan import Plan

if TYPE_CHECKING:
    from fcnkit.engines.engine import Engine
    from fcnkit.shape import Shape
    from fcnkit.verifying.differences import Difference
    from fcnkit.verifying.proof import Proof
    from fcnkit.weights.store import Weights


class Before(NamedTuple):
    """The weights before, opened and digested while nothing is written over them yet."""

    path: str
    weights: "Weights"
    digest: str


def check_verify(verified: bool, engine: str | None, weights: str | None) -> Before | None:
    """What --verify compares with: it needs weights, and an engine; --engine goes with it."""
    if verified and not weights:
        raise click.UsageError(
            "--verify runs the nets and needs their weights: name the weights file"
        )
    if engine and not verified:
        raise click.UsageError("give --verify with --engine")
    if not verified or not weights:
        return None
    from fcnkit.engines.engine import choose
    from fcnkit.verifying.proof import digest

    choose(engine).check()
    return Before(weights, open_weights(weights), digest(weights))


def proof_of_plan(
    plan: Plan,
    old: Before,
    new_weights: Any,
    *,
    engine: str | None,
    inputs: "Mapping[str, Shape]",
    net: str | None = None,
) -> "Proof":
    """The plan's net against the one before; `new_weights` are a path, or Weights.

    `net` is where the new net was written, None where it was not.
    """
    from fcnkit.cli.progress import waiting
    from fcnkit.engines.engine import choose
    from fcnkit.verifying.plans import verify_plan

    runner = choose(engine, nets=(plan.before, plan.net))
    with waiting(f"comparing by {runner.name}"):
        rows = verify_plan(plan, old.weights, new_weights, engine=runner.name, inputs=inputs)
    name = net if net and net != "-" else f"{plan.before.path} (fcnkit)"
    contents: dict[str, Any] = {plan.before.path: plan.before, old.path: old}
    contents[_apart(name, contents)] = plan.net
    if isinstance(new_weights, (str, os.PathLike)):
        contents[_apart(os.fspath(new_weights), contents)] = new_weights
    return proof_of({runner.name: rows}, [runner], "noise of seed 0", 1e-4, contents)


def _apart(name: str, others: Mapping[str, Any]) -> str:
    """The name of a file, told from one that it was written over."""
    return f"{name} (written)" if name in others else name


def proof_of(
    rows: "Mapping[str, Sequence[Difference]]",
    runners: "Sequence[Engine]",
    given: str,
    tolerance: float,
    contents: Mapping[str, Any],
) -> "Proof":
    """The comparisons, with the versions of the engines and the digests of the files."""
    from fcnkit.verifying.proof import Proof, digest, versions_of

    files = {}
    for name, content in contents.items():
        place = content if isinstance(content, str | os.PathLike) else name
        if isinstance(content, Before):
            files[name] = content.digest
        elif isinstance(content, Prototxt) or os.path.isfile(place):
            files[name] = digest(content if isinstance(content, Prototxt) else place)
    return Proof(rows, versions_of(runners), given, tolerance, files)


def show_rows(proof: "Proof", *, err: bool = False) -> None:
    """Prints the rows of each engine, side by side where there are several, and the record."""
    if len(proof.rows) == 1:
        (rows,) = proof.rows.values()
        say("".join(map(_shown, rows)), nl=False, err=err, width=terminal_width())
    else:
        say(_side_by_side(proof), nl=False, err=err)
    say(proof.record, nl=False, err=err)


def _shown(row: "Difference") -> str:
    """The comparison, and below it what it does not test."""
    return "".join(f"{line}\n" for line in (row.head, *(f"  {note}" for note in row.notes)))


def _side_by_side(proof: "Proof") -> str:
    from fcnkit.tables import aligned

    first = "relative difference"
    found: dict[str, dict[str, str]] = {}
    for name, rows in proof.rows.items():
        for row in rows:
            line = found.setdefault(row.output, {first: row.output})
            line[name] = f"{row.relative:.2g}{'' if row.ok else ' DIFFERENT'}"
            if row.ok and not row.shows:
                line[name] += " (hidden)"
    head = [first, *proof.rows]
    lines = [{name: line.get(name, "-") for name in head} for line in found.values()]
    return aligned(head, lines, (first,))


def end_with(proof: "Proof | None") -> None:
    """Ends with status 1 where the proof does not show that all is equal."""
    for rows in proof.rows.values() if proof else ():
        exit_unless_proven(
            rows, "compare both nets on real data, with `fcnkit verify --input BLOB=FILE.npy`"
        )
