"""Runs real Caffe in a process of its own: when one of Caffe's checks fails, ours goes on.

Caffe is this Python's `import caffe` where that is pycaffe, and otherwise the
runtime that `fcnkit caffe install` installs.  Questions that are asked at
once share one start of Caffe (`ask`).
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from fcnkit.engines.caffe_runtime import INSTALL, command, environment, last_words, tail
from fcnkit.engines.caffe_runtime import available as available
from fcnkit.engines.caffe_runtime import installable as installable
from fcnkit.engines.engine import TEST, Job, instead, single
from fcnkit.engines.fields import not_parsed
from fcnkit.errors import EngineError, WeightsError
from fcnkit.formats import hdf5, npz
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import State
from fcnkit.nets.layers.table import CAFFE
from fcnkit.shape import Shape
from fcnkit.weights.store import GivenWeights

WORKER = Path(__file__).with_name("_caffe_worker.py")
# Bytes of input that one start of Caffe gets in `run_all`: about ten images of VOC's size, whose
# scores for 21 classes are seven times as large.
GROUP = 32 << 20


class Question(NamedTuple):
    """One thing to ask Caffe about one net in one state.

    `action` is "run" (an array per output), "shapes" (the shape of every blob),
    "params" (the parameter blobs of every layer: arrays, or shapes where
    `values` is False), "gradients" (Gradients) or "load" (nothing but whether
    it loads).  `inputs` holds an array, or for all but "run" and "gradients" a
    shape, per input blob.  Gradients are those of `passes` passes, as iter_size makes them.
    """

    action: str
    net: Prototxt
    weights: GivenWeights = None
    inputs: Mapping[str, Any] = {}
    outputs: Sequence[str] | None = None
    state: State = TEST
    values: bool = True
    seed: int = 1
    passes: int = 1


class Gradients(NamedTuple):
    """One pass forward and backward, or several: the outputs of the last,
    the loss's gradients, and the parameters after it.

    `inputs` has the gradient of each input blob, 0 where Caffe makes none
    (`force_backward: true` in the net asks for it), in the last pass; `params` those of each
    layer's parameters, of all passes, `values` the parameters themselves.
    """

    outputs: dict[str, Any]
    inputs: dict[str, Any]
    params: dict[str, list]
    values: dict[str, list]


# What each Caffe said: it takes a second to start.
_VERSIONS: dict[tuple[str, ...], str] = {}


def version() -> str:
    """The version that pycaffe says; "" where it does not start."""
    words = tuple(map(str, command("python")))
    if not _VERSIONS.get(words):
        asked = [*words, "-c", "import caffe; print(caffe.__version__)"]
        done = subprocess.run(asked, env=environment(), capture_output=True, text=True, check=False)
        _VERSIONS[words] = done.stdout.strip()
    return _VERSIONS[words]


def runs(type_name: str) -> bool:
    """Whether BVLC Caffe has this layer type."""
    return type_name in CAFFE


def run_all(
    net: Prototxt,
    weights: GivenWeights,
    many: Iterable[Mapping[str, Any]],
    outputs: Sequence[str] | None = None,
    *,
    state: State = TEST,
) -> Iterator[dict[str, Any]]:
    """What Caffe computes of each of many inputs in turn: a float32 array per output blob.

    `weights` is a path, a Weights or None (Caffe's fillers).  Every input blob
    takes its array's shape.  `outputs` may name any blob; they are the net's
    own outputs when not given.  A blob that layers change in place is as the
    last of them leaves it.  Caffe starts once for some GROUP bytes of inputs.

    Raises EngineError with Caffe's own words when Caffe refuses the net.
    """
    for group in _groups(many):
        yield from run_jobs([Job(net, weights, inputs, outputs, state) for inputs in group])


run = single(run_all)


def run_jobs(jobs: Sequence[Job]) -> Iterator[dict[str, Any]]:
    """The outputs of each job, for one start of Caffe; raises as `run_all` does."""
    for answer in ask([Question("run", *job) for job in jobs]):
        if isinstance(answer, EngineError):
            raise answer
        yield answer


def _groups(many: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """The inputs in order; no group but of one is larger than GROUP."""
    group: list[Mapping[str, Any]] = []
    size = 0
    for inputs in many:
        here = sum(getattr(array, "nbytes", 0) for array in inputs.values())
        if group and size + here > GROUP:
            yield group
            group, size = [], 0
        group.append(inputs)
        size += here
    if group:
        yield group


def shapes(
    net: Prototxt, inputs: Mapping[str, Sequence[int]] = {}, *, state: State = TEST
) -> dict[str, Shape]:
    """The shape of every blob, as Caffe makes them; `inputs` gives input blobs other shapes.

    Raises EngineError as `run` does.
    """
    return _one(Question("shapes", net, None, inputs, None, state))


def params(
    net: Prototxt,
    weights: GivenWeights = None,
    *,
    values: bool = True,
    state: State = TEST,
    seed: int = 1,
) -> dict[str, list]:
    """The parameter blobs of every layer that has any, as Caffe loads or fills them.

    Each is a float32 array, or its shape when `values` is False.  `seed` is
    for the fillers.  Raises EngineError as `run` does.
    """
    return _one(Question("params", net, weights, {}, None, state, values, seed))


def load(net: Prototxt, weights: GivenWeights = None, *, state: State = TEST) -> None:
    """Caffe has built the net and taken the weights; EngineError with its words otherwise."""
    _one(Question("load", net, weights, {}, None, state))


def ask(questions: Sequence[Question]) -> list[Any]:
    """An answer, or the EngineError, to each question, for one start of Caffe.

    One that Caffe refuses, and ends its process for, leaves the others alone.
    Raises EngineError when Caffe itself does not start.
    """
    questions = list(questions)
    start = command("python")
    with tempfile.TemporaryDirectory(prefix="fcnkit-") as name:
        top = Path(name)
        request = {
            "whole": any(_has_python_layer(question.net) for question in questions),
            "questions": _posed(questions, top),
        }
        (top / "request.json").write_text(json.dumps(request))
        # In the folder that goes: Caffe makes the databases that a net names and it does not find.
        done = subprocess.run(
            [*start, str(WORKER), name],
            capture_output=True,
            text=True,
            errors="replace",
            env=environment(),
            cwd=name,
        )
        if done.returncode:
            words = tail(done.stderr)
            remedy = f"install it again with `{INSTALL}` in fcnkit's sources"
            raise EngineError(f"Caffe: does not start: {words}; {remedy}")
        return [_answer(question, top / f"{n}") for n, question in enumerate(questions)]


def _one(question: Question) -> Any:
    answer = ask([question])[0]
    if isinstance(answer, EngineError):
        raise answer
    return answer


def _has_python_layer(net: Prototxt) -> bool:
    return re.search(r"""type\s*:\s*['"]Python['"]""", net.text) is not None


def _again(before: Question, question: Question) -> bool:
    """Whether only the inputs and the blobs asked for differ, so that the net before will do.

    Not in training, where a pass changes the net that the next one runs on.
    """
    return (
        before.action == question.action == "run"
        and before.net is question.net
        and before.weights is question.weights
        and before.state == question.state
        and question.state.phase == "TEST"
        and before.seed == question.seed
    )


def _posed(questions: Sequence[Question], top: Path) -> list[dict[str, Any]]:
    """The questions as JSON; the net,
    weights and arrays of each as files in its folder of `top`.
    """
    posed: list[dict[str, Any]] = []
    for number, question in enumerate(questions):
        folder = top / f"{number}"
        folder.mkdir()
        again = number > 0 and _again(questions[number - 1], question)
        posed.append(
            {
                "action": question.action,
                "again": again,
                "net": posed[-1]["net"] if again else _net(question.net, folder),
                "weights": posed[-1]["weights"] if again else _weights(question.weights, folder),
                "shapes": {
                    name: _input(folder / f"in{n}.npy", name, value)
                    for n, (name, value) in enumerate(question.inputs.items())
                },
                "outputs": None if question.outputs is None else list(question.outputs),
                "phase": question.state.phase,
                "level": question.state.level,
                "stages": list(question.state.stages),
                "values": question.values,
                "seed": question.seed,
                "passes": question.passes,
            }
        )
    return posed


def _net(net: Prototxt, folder: Path) -> str:
    """The path of a file with the net's text."""
    (folder / "net.prototxt").write_bytes(net.text.encode("utf-8", "surrogateescape"))
    return str(folder / "net.prototxt")


def _weights(weights: GivenWeights, folder: Path) -> str | None:
    """The path of a file that holds these weights, and that Caffe reads:
    it tells HDF5 by the name alone.
    """
    if weights is None:
        return None
    if isinstance(weights, str | os.PathLike):
        if not os.path.isfile(weights):
            raise EngineError(
                f"Caffe: {weights}: there is no such weights file; name one that exists"
            )
        if not _read_by_fcnkit_alone(Path(weights)):
            return os.path.realpath(weights)
        from fcnkit.weights import store

        weights = store.open(weights)
    path = weights.unchanged_file
    if path and not _read_by_fcnkit_alone(path):
        return os.path.realpath(path)
    binary = (weights if weights.kind == "layers" else weights.to("layer")).readable()
    binary.save(folder / "weights.caffemodel")
    return str(folder / "weights.caffemodel")


def _read_by_fcnkit_alone(path: Path) -> bool:
    """Whether it is an .npz, NVCaffe's raw data, or HDF5 under a name that hides it from Caffe."""
    from fcnkit.weights import store

    with open(path, "rb") as file:
        head = file.read(8)
    if head.startswith(npz.MAGIC) or head == hdf5.MAGIC:
        return head != hdf5.MAGIC or path.suffix != ".h5"
    with suppress(WeightsError):  # of which Caffe has the word
        return bool(store.open(path).raw)
    return False


def _input(path: Path, name: str, value: Any) -> list[int]:
    """The shape of an input; an array is written to `path`."""
    import numpy as np

    if isinstance(value, tuple | list) and all(isinstance(size, int) for size in value):
        return list(value)
    array = np.asarray(value, dtype=np.float32)
    if array.size == 0:
        raise EngineError(
            f'Caffe: input "{name}" has the shape {array.shape}: no values; give at least one'
        )
    np.save(path, array)
    return list(array.shape)


def _answer(question: Question, folder: Path) -> Any:
    """The answer that a question's process left, or the EngineError that says why it left none."""
    log = (
        (folder / "log.txt").read_text(errors="replace")
        if os.path.exists(folder / "log.txt")
        else ""
    )
    answer = folder / "answer.json"
    if not os.path.exists(answer):
        ended = int((folder / "status").read_text() or 0)
        return _refusal(question, folder, last_words(log, -ended))
    result = json.loads(answer.read_text())
    if "error" in result:
        return _refusal(question, folder, result["error"].strip())
    return _VALUES[question.action](result["answer"], folder, question)


def _refusal(question: Question, folder: Path, words: str) -> EngineError:
    words = re.sub(
        rf"{re.escape(str(folder.parent))}/\d+/net\.prototxt", lambda _: question.net.path, words
    )
    remedy = not_parsed(question.net, words)
    type_name = re.search(r"Unknown layer type: (\w+)", words)
    if type_name:
        remedy = instead(type_name[1], but="caffe")
    words += f"; {remedy}" if remedy else ""
    return EngineError(f"{question.net.path}: Caffe ({question.state.phase}): {words}")


def _arrays(names: Sequence[str], folder: Path, question: Question) -> dict[str, Any]:
    import numpy as np

    return {name: np.load(folder / f"out{n}.npy") for n, name in enumerate(names)}


def _shapes(found: Mapping[str, list], folder: Path, question: Question) -> dict[str, Shape]:
    return {name: tuple(shape) for name, shape in found.items()}


def _params(found: Mapping[str, list], folder: Path, question: Question) -> dict[str, list]:
    import numpy as np

    def blob(n: int, index: int, shape: list) -> Any:
        return np.load(folder / f"param{n}_{index}.npy") if question.values else tuple(shape)

    return {
        name: [blob(n, index, shape) for index, shape in enumerate(blobs)]
        for n, (name, blobs) in enumerate(found.items())
    }


def _gradients(found: Mapping, folder: Path, question: Question) -> Gradients:
    import numpy as np

    inputs = {name: np.load(folder / f"in{n}.npy") for n, name in enumerate(question.inputs)}
    values = _params(found["params"], folder, question)
    diffs = {
        name: [np.load(folder / f"diff{n}_{index}.npy") for index in range(len(blobs))]
        for n, (name, blobs) in enumerate(values.items())
    }
    return Gradients(_arrays(found["outputs"], folder, question), inputs, diffs, values)


def _nothing(found: Mapping, folder: Path, question: Question) -> None:
    return None


_VALUES: dict[str, Callable[[Any, Path, Question], Any]] = {
    "run": _arrays,
    "shapes": _shapes,
    "params": _params,
    "gradients": _gradients,
    "load": _nothing,
}
