"""Which of ONNX's operators are imported, by ONNX's own node tests, in real Caffe.

Prints a table; with --write it takes the place of the one in docs/onnx-operators.md.
Some minutes for all operators, of which a few can be named.
"""

import argparse
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

import fcnkit as fk
from fcnkit.engines import caffe
from fcnkit.engines.caffe import Question
from fcnkit.errors import NetError
from fcnkit.importing.imported import Imported
from fcnkit.importing.operators import OPERATORS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "onnx-operators.md"
BEGIN, END = "<!-- scripts/onnx_operators.py writes this table -->\n", "<!-- end of the table -->\n"
HEAD = "| operator | versions | equal in Caffe | refused, and why |\n|---|---|---|---|\n"
EQUAL, REFUSED = "equal", "refused"
# So many nets are asked about at once.
BATCH = 100
# So many reasons are told of one operator.
MOST = 4
# Largest difference, of the largest value that is expected.
TOLERANCE = 1e-4
# Their values are written with four decimals in ONNX's sources: ONNX's own tolerance holds.
SHORT = ("test_averagepool_2d_ceil_last_window_starts_on_pad",)


class Outcome(NamedTuple):
    """What became of a node test: `word` is EQUAL, REFUSED or what is wrong; `why` it is refused.

    `operator` is "" for a test of several nodes, which write an operator out.
    """

    name: str
    operator: str
    word: str
    why: str = ""


class Trial(NamedTuple):
    """A node test that is imported: the net, and what it is given and to give."""

    outcome: Outcome
    made: Imported
    given: Mapping[str, Any]
    expected: Sequence[Any]
    rtol: float


def cases(operators: Iterable[str] = ()) -> list[Any]:
    """ONNX's node tests, all or those of these operators, each with its data."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy: that a test divides by zero is its point
        found = list(collect_testcases(None))
    wanted = set(operators)
    return [case for case in found if not wanted or operator_of(case) in wanted]


def operator_of(case: Any) -> str:
    """The operator that the test is of; "" for one that is written out in several nodes."""
    nodes = case.model.graph.node
    return nodes[0].op_type if len(nodes) == 1 and nodes[0].domain in ("", "ai.onnx") else ""


def outcomes(several: Sequence[Any]) -> Iterator[Outcome]:
    """What becomes of each test, in real Caffe."""
    for start in range(0, len(several), BATCH):
        with tempfile.TemporaryDirectory() as folder:
            found = [_tried(case, Path(folder)) for case in several[start : start + BATCH]]
            trials = [each for each in found if isinstance(each, Trial)]
            answers = iter(caffe.ask([_question(each) for each in trials]))
            for each in found:
                yield each if isinstance(each, Outcome) else _judged(each, next(answers))


def _tried(case: Any, folder: Path) -> Trial | Outcome:
    """The test imported: all its inputs computed, or all but the first in the weights.

    ONNX's tests give a node everything as an input, and a Convolution's weights are none.
    """
    inputs, expected = case.data_sets[0]
    outcome = Outcome(case.name, operator_of(case), EQUAL)
    names = [port.name for port in case.model.graph.input]
    inputs, expected = [_array(each) for each in inputs], [_array(each) for each in expected]
    values = dict(zip(names, inputs, strict=False))
    if any(not isinstance(each, np.ndarray) for each in [*values.values(), *expected]):
        return outcome._replace(word=REFUSED, why="its values are not a tensor of numbers")
    if not all(each.size for each in (*inputs[:1], *expected)):
        return outcome._replace(word=REFUSED, why="it computes with empty tensors")
    whys = []
    # What is tried first is all computed, then what are no real numbers fixed.
    for fixed in ([], _not_real(values), names[1:]):
        path = folder / f"{case.name}_{len(whys)}.onnx"
        onnx.save(_fixed(case.model, {name: values[name] for name in fixed}), path)
        given = {name: each for name, each in values.items() if name not in fixed}
        try:
            return Trial(outcome, fk.from_onnx(path), given, expected, case.rtol)
        except NetError as error:
            whys.append(_why(str(error)))
    return outcome._replace(word=REFUSED, why=whys[-1])


def _array(value: Any) -> Any:
    """A number or a tensor of numbers as an array."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.generic) else value


def _not_real(values: Mapping[str, Any]) -> list[str]:
    """The inputs behind the first that hold sizes and places."""
    return [name for name, each in list(values.items())[1:] if each.dtype.kind != "f"]


def _fixed(model: Any, values: Mapping[str, Any]) -> Any:
    """The model with these inputs as its own constants."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    left = [port for port in made.graph.input if port.name not in values]
    del made.graph.input[:]
    made.graph.input.extend(left)
    made.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(each), name) for name, each in values.items()
    )
    return made


def _why(text: str) -> str:
    """The reason in an error that names one node or more."""
    lines = [line for line in text.splitlines() if line.startswith("  ")]
    return lines[0].partition("): ")[2] if lines else text.partition(".onnx: ")[2]


def _question(trial: Trial) -> Question:
    made = trial.made
    data = {
        made.blobs[name].blob: made.blobs[name].to_blob(np.asarray(each, np.float32))
        for name, each in trial.given.items()
        if name in made.blobs
    }
    outputs = list(dict.fromkeys(each.blob for each in made.outputs))
    return Question("run", made.net, made.weights or None, data, outputs)


def _judged(trial: Trial, answer: Any) -> Outcome:
    if isinstance(answer, Exception):
        return trial.outcome._replace(word=f"Caffe: {str(answer)[-300:]}")
    for tensor, expected in zip(trial.made.outputs, trial.expected, strict=True):
        found = tensor.of_blob(answer[tensor.blob], 0)
        tolerance = trial.rtol if trial.outcome.name in SHORT else TOLERANCE
        word = _compared(found, np.asarray(expected, np.float64), tolerance)
        if word != EQUAL:
            return trial.outcome._replace(word=word)
    return trial.outcome


def _compared(found: Any, expected: Any, tolerance: float) -> str:
    if found.size != expected.size:
        return f"{found.shape} in place of {expected.shape}"
    found = found.reshape(expected.shape)
    finite = expected[np.isfinite(expected)]
    largest = np.abs(finite).max(initial=0)
    if np.allclose(found, expected, rtol=0, atol=tolerance * largest, equal_nan=True):
        return EQUAL
    return f"differs by {np.abs(found - expected).max():.2g} of {largest:.2g}"


# ---- the table


def rows(found: Sequence[Outcome]) -> list[str]:
    """A line for each operator of ONNX, those that have no test too."""
    tried: dict[str, list[Outcome]] = {}
    for each in found:
        tried.setdefault(each.operator, []).append(each)
    versions: dict[str, set[int]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.domain:
            versions.setdefault(schema.name, set()).add(schema.since_version)
    return [
        row(name, sorted(versions[name]), tried.get(name, ()))
        for name in sorted(versions, key=str.lower)
    ]


def summary(found: Sequence[Outcome]) -> str:
    """How many tests there are, and what became of them."""
    words = Counter(each.word for each in found)
    wrong = len(found) - words[EQUAL] - words[REFUSED]
    counts = f"{words[EQUAL]} equal, {words[REFUSED]} refused" + f", {wrong} WRONG" * bool(wrong)
    return f"onnx {onnx.__version__}: {len(found)} node tests, {counts}."


def row(name: str, versions: Sequence[int], found: Sequence[Outcome]) -> str:
    """An operator's line."""
    good = sum(each.word == EQUAL for each in found)
    wrong = [each.word for each in found if each.word not in (EQUAL, REFUSED)]
    count = f"{good} of {len(found)}" if found else "no test"
    if not found:
        whys = "" if name in OPERATORS else "Caffe has no layer that computes it"
    else:
        reasons = Counter(each.why for each in found if each.word == REFUSED).most_common()
        told = [(why, count) for why, count in reasons[:MOST]]
        rest = sum(count for _, count in reasons[MOST:])
        told += [("for other reasons", rest)] * bool(rest)
        whys = "; ".join(why if count == len(found) else f"{count}: {why}" for why, count in told)
    whys += f" WRONG: {len(wrong)}" if wrong else ""
    return f"| {name} | {', '.join(map(str, versions))} | {count} | {_cell(whys)} |\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def shown(page: str) -> str:
    """The table in the page."""
    return page.partition(BEGIN)[2].partition(END)[0]


def written(page: str, table: str) -> str:
    """The page with this table."""
    before, begin, rest = page.partition(BEGIN)
    return before + begin + table + rest[rest.index(END) :]


def main() -> None:
    """The table is printed, or written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operators", nargs="*", help="those to try; all if none is named")
    parser.add_argument("--write", action="store_true", help="put the table into the page")
    options = parser.parse_args()
    if options.write and options.operators:
        parser.error("--write tries all operators")
    found = list(outcomes(cases(options.operators)))
    lines = rows(found)
    if options.operators:
        lines = [line for line in lines if line.split()[1] in options.operators]
    table = f"{summary(found)}\n\n{HEAD}{''.join(lines)}"
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(written(text, table), encoding="utf-8", newline="\n")
    else:
        print(table, end="")
    for each in found:
        if each.word not in (EQUAL, REFUSED):
            print(f"WRONG {each.name}: {each.word}")


if __name__ == "__main__":
    main()
