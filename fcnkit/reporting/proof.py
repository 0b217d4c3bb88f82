"""The section of the proof: what `verify` and `--verify` found, and by what."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fcnkit.reporting.pictures import Album
from fcnkit.reporting.records import PROOF, ProofRecord, proof_of
from fcnkit.reporting.section import Section
from fcnkit.reporting.subject import START, Subject
from fcnkit.verifying.proof import digest


class Row(NamedTuple):
    """One comparison: of an output, or of a layer's top; None where there is no such figure."""

    name: str
    shape: str
    absolute: float | None
    relative: float | None
    verdict: str
    why: str


class Run(NamedTuple):
    """What one engine found."""

    engine: str
    version: str
    rows: tuple[Row, ...]
    layers: bool


class Shown(NamedTuple):
    """One proof; `stale` are files of the folder that are no longer what was compared."""

    path: str
    command: tuple[str, ...]
    given: str
    tolerance: float | None
    proven: bool | None
    files: tuple[tuple[str, str], ...]
    runs: tuple[Run, ...]
    stale: tuple[str, ...]


def section(of: Subject, album: Album) -> Section | None:
    """The proofs that there are, or that there is none; None where the page is of no net."""
    if of.net is None:
        return None
    paths = [str(path) for path in of.wishes.proofs]
    own = of.folder / PROOF if of.folder else None
    if own and os.path.isfile(own):
        paths = [os.fspath(own), *paths]
    shown = [_shown(proof_of(path), of, path == str(own)) for path in paths]
    return Section("proof", "Proof", {"proofs": shown, "fcn": of.folder is not None})


def _shown(record: ProofRecord, of: Subject, own: bool) -> Shown:
    found = record.found
    files = found.get("files")
    known = (
        {str(name): str(value) for name, value in files.items()} if isinstance(files, dict) else {}
    )
    proven = found.get("proven")
    return Shown(
        record.path,
        record.command,
        str(found.get("given", "")),
        _number(found.get("tolerance")),
        proven if isinstance(proven, bool) else None,
        tuple(known.items()),
        tuple(_run(each) for each in found["engines"]),
        tuple(_stale(known, of, own)),
    )


def _stale(known: Mapping[str, str], of: Subject, own: bool) -> Iterator[str]:
    """The net and the weights that are other files than those compared: those of the page, or of
    the folder's own proof its first weights.
    """
    if of.net and digest(of.net) not in known.values():
        yield Path(of.net.path).name
    weights = of.weights.path if of.weights else ""
    if own and of.folder:
        weights = os.fspath(of.folder / START)
    if weights and os.path.isfile(weights) and digest(weights) not in known.values():
        yield Path(weights).name


def _run(found: Mapping[str, Any]) -> Run:
    layers = found.get("layers")
    listed = layers if isinstance(layers, list) else found.get("outputs")
    rows = tuple(_row(each) for each in listed or () if isinstance(each, dict))
    return Run(
        str(found.get("engine", "")), str(found.get("version", "")), rows, layers is not None
    )


def _row(found: Mapping[str, Any]) -> Row:
    """A row of `outputs`, or of `layers`, whose figures are in `found`."""
    inner = found.get("found", found)
    figures = inner if isinstance(inner, dict) else {}
    name = str(found.get("layer", found.get("output", "")))
    new = str(found.get("new_layer", found.get("new_output", name)))
    shape = found.get("new_shape") or figures.get("new_shape") or ()
    ok = bool(found.get("ok"))
    shows = bool(found.get("shows", not figures.get("hidden")))
    verdict = "DIFFERENT" if not ok else "equal" if shows else "hidden"
    return Row(
        name if new in ("", name) else f"{name} → {new}",
        " × ".join(map(str, shape)) if isinstance(shape, list) else "",
        _number(figures.get("absolute")),
        _number(figures.get("relative")),
        verdict if figures else "another count",
        " ".join(str(figures[why]) for why in ("hidden", "unseen") if figures.get(why)),
    )


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > 1e300:
        return None
    return float(value)
