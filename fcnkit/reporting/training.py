"""The section of trainings: losses, rates and scores, what was trained and from what."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from fcnkit import preprocessing
from fcnkit.errors import FcnkitError
from fcnkit.reporting.chart import Chart, Series, chart
from fcnkit.reporting.pictures import Album
from fcnkit.reporting.section import Section
from fcnkit.reporting.subject import Subject
from fcnkit.reporting.trained import Trained, trained
from fcnkit.reporting.words import bytes_text, duration, figure, grouped
from fcnkit.weights import matrices

# A table of all validations has so many lines at most, the last ones.
_LISTED = 200
_GOOD, _ODD, _BAD = "good", "odd", "bad"


class Shown(NamedTuple):
    """A run as the page has it: what it did, the files that it left, its solver as run."""

    name: str
    colour: int
    state: str
    mark: str
    facts: list[tuple[str, str]]
    data: list[tuple[str, str, str]]
    snapshots: list[tuple[str, str, str, str]]
    solver: str


def section(of: Subject, album: Album) -> Section | None:
    """The trainings that a folder holds, one or several; None where it holds none."""
    found = [trained(run) for run in of.runs]
    found = [each for each in found if each.rows or each.running]
    if not found:
        return None
    several = len(found) > 1
    names = _names(found)
    values = {
        "runs": [
            _shown(each, name, number)
            for number, (each, name) in enumerate(zip(found, names, strict=True))
        ],
        "charts": _charts(found, names),
        "compared": _compared(found, names) if several else None,
        "tested": None if several else _tested(found[0]),
        "classes": None if several else _by_class(found[0]),
        "weights": None if several else _weights(found[0]),
    }
    title = "The trainings" if several else "The training"
    return Section("training", title, values, _summary(found, names), ("chart",))


def _names(found: Sequence[Trained]) -> list[str]:
    """The runs' names, with their net's folder where that tells them apart."""
    folders = {os.path.realpath(each.run.folder) for each in found}
    if len(folders) == 1:
        return [each.run.name for each in found]
    own = [os.path.basename(os.path.realpath(each.run.folder)) for each in found]
    runs = {each.run.name for each in found}
    short = len(runs) == 1 and len(set(own)) == len(own)
    return (
        own if short else [f"{name}/{each.run.name}" for name, each in zip(own, found, strict=True)]
    )


def _summary(found: Sequence[Trained], names: Sequence[str]) -> str:
    if len(found) > 1:
        return f"{len(found)} runs beside each other; each has one colour in all curves."
    running = f", as of {time.strftime('%Y-%m-%d %H:%M:%S %Z')}" if found[0].running else ""
    return f"The training {names[0]} of the net in {found[0].run.folder}{running}."


def _state(of: Trained) -> tuple[str, str]:
    """What has become of a run, and the mark of that."""
    of_all = f" of {grouped(of.iterations)}" if of.iterations else ""
    if of.running:
        return f"running, iteration {grouped(of.iteration)}{of_all}", _ODD
    if of.iterations and of.iteration >= of.iterations:
        return f"finished, {grouped(of.iteration)} iterations", _GOOD
    if of.iterations:
        return f"ended at iteration {grouped(of.iteration)}{of_all}", _BAD
    return f"iteration {grouped(of.iteration)}", _ODD


def _shown(of: Trained, name: str, number: int) -> Shown:
    state, mark = _state(of)
    return Shown(
        name,
        number,
        state,
        mark,
        [*_facts(of)],
        [(each.layer, each.source, grouped(each.batch)) for each in of.data],
        [
            (
                grouped(each.iteration),
                each.weights.name,
                bytes_text(_size(each.weights)),
                bytes_text(_size(each.state)),
            )
            for each in of.run.snapshots()
        ],
        of.solver,
    )


def _size(path: os.PathLike[str]) -> int | None:
    return os.path.getsize(path) if os.path.isfile(path) else None


def _facts(of: Trained) -> Iterator[tuple[str, str]]:
    losses = [each for each in of.rows if each.get("loss") is not None]
    if losses:
        yield "last loss", f"{figure(losses[-1]['loss'])} at {grouped(losses[-1]['iteration'])}"
    for name, line in of.scores().items():
        known = [(value, x) for x, value in line if value is not None]
        best = (min if "loss" in name else max)(known, default=None, key=lambda each: each[0])
        if best:
            what = "least" if "loss" in name else "best"
            yield f"{what} {name} in validation", f"{figure(best[0])} at {grouped(int(best[1]))}"
    if of.seconds:
        yield "trained for", duration(of.seconds)
        one = of.seconds / max(1, of.iteration)
        yield "time of an iteration", duration(one)
        if of.running and of.iterations > of.iteration:
            yield "time left", duration(one * (of.iterations - of.iteration))
    yield from of.solver_facts()
    if of.engine:
        yield "trained by", of.engine
    if of.weights:
        yield "started from", ", ".join(of.weights)
    if of.run.matrices():
        yield "loss weighed by", ", ".join(path.name for path in of.run.matrices())


# ---- curves


def _charts(found: Sequence[Trained], names: Sequence[str]) -> list[Chart]:
    """Loss, scores and rate; of several runs each has its colour, else each line has."""
    several = len(found) > 1
    last = max(each.iteration for each in found)
    losses = _losses(found[0]) if not several else [*_all_losses(found, names)]
    made = [chart("Loss", losses, logarithmic=True, last=last)]
    scores = [each.scores() for each in found]
    for name in dict.fromkeys(name for each in scores for name in each if "loss" not in name):
        lines = [
            Series(run if several else f"validation: {name}", each[name], number)
            for number, (run, each) in enumerate(zip(names, scores, strict=True))
            if name in each
        ]
        made.append(chart(f"Validation: {name}", lines, last=last))
    rates = [
        Series(name if several else "rate", each.line("rate"), number)
        for number, (name, each) in enumerate(zip(names, found, strict=True))
    ]
    made.append(chart("Learning rate", rates, logarithmic=True, last=last))
    return [each for each in made if each is not None]


def _losses(of: Trained) -> list[Series]:
    """The loss, that of validation, and the outputs of a net that has several."""
    lines = {"training": of.line("loss")}
    lines |= {f"training: {name}": line for name, line in of.outputs().items()}
    tests = {f"validation: {name}": line for name, line in of.scores().items() if "loss" in name}
    both = [*((name, line, False) for name, line in lines.items())]
    both += [(name, line, True) for name, line in tests.items()]
    return [Series(name, line, number, dashed) for number, (name, line, dashed) in enumerate(both)]


def _all_losses(found: Sequence[Trained], names: Sequence[str]) -> Iterator[Series]:
    for number, (name, each) in enumerate(zip(names, found, strict=True)):
        yield Series(name, each.line("loss"), number)
        for score, line in each.scores().items():
            if "loss" in score:
                yield Series(f"{name}, validation: {score}", line, number, dashed=True)


# ---- tables


def _compared(found: Sequence[Trained], names: Sequence[str]) -> dict[str, Any]:
    """The facts of the runs beside each other, those that any of them has."""
    facts = [dict(_facts(each)) for each in found]
    heads = list(dict.fromkeys(head for each in facts for head in each))
    rows = [(head, [each.get(head, "-") for each in facts]) for head in heads]
    states = [_state(each)[0] for each in found]
    return {"names": names, "rows": [("state", states), *rows]}


def _tested(of: Trained) -> dict[str, Any] | None:
    """Every validation, a line each."""
    scores = of.scores()
    places = sorted({x for line in scores.values() for x, _ in line})[-_LISTED:]
    if not places:
        return None
    values = {name: dict(line) for name, line in scores.items()}
    rows = [(grouped(int(x)), [figure(values[name].get(x)) for name in scores]) for x in places]
    return {"names": [*scores], "rows": rows}


def _by_class(of: Trained) -> dict[str, Any] | None:
    """The last value of each class, where a test net gives one for each."""
    last = next((row for row in reversed(of.rows) if _lists(row)), None)
    if last is None:
        return None
    lists = _lists(last)
    count = max(map(len, lists.values()))
    names = _named(of, count)
    rows = [
        (names[number], [figure(_at(values, number)) for values in lists.values()])
        for number in range(count)
    ]
    return {"names": [*lists], "rows": rows, "iteration": grouped(last["iteration"])}


def _lists(row: Mapping[str, Any]) -> dict[str, list[float | None]]:
    return {name: value for name, value in row.get("test", {}).items() if isinstance(value, list)}


def _weights(of: Trained) -> dict[str, Any] | None:
    """The weight of each class in the losses, where they are weighed; none that cannot be read."""
    found: dict[str, list[float]] = {}
    for path in of.run.matrices():
        with suppress(FcnkitError):
            values = matrices.read(path).values
            side = values.shape[-1] if values.ndim else 0
            if values.size == side**2:
                found[path.name] = values.reshape(side, side).diagonal().tolist()
    if not found:
        return None
    count = max(map(len, found.values()))
    names = _named(of, count)
    rows = [
        (names[number], [figure(_at(values, number)) for values in found.values()])
        for number in range(count)
    ]
    return {"names": [*found], "rows": rows}


def _at(values: Sequence[float | None], number: int) -> float | None:
    return values[number] if number < len(values) else None


def _named(of: Trained, count: int) -> tuple[str, ...]:
    """What so many classes are called; their numbers where the net's folder does not say it."""
    known = _classes(of)
    return known if len(known) == count else tuple(map(str, range(count)))


def _classes(of: Trained) -> tuple[str, ...]:
    """What the net's classes are called, where its folder says it."""
    path = preprocessing.place(of.run.folder / "deploy.prototxt")
    try:
        return preprocessing.read(path).classes if os.path.isfile(path) else ()
    except FcnkitError:
        return ()
