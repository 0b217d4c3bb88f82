"""Runs nets in ONNX Runtime: the net is exported, and the model is run."""

import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fcnkit.engines.engine import LARGE, TEST, single
from fcnkit.errors import EngineError, error_text
from fcnkit.exporting.export import export, own_outputs
from fcnkit.exporting.exported import Exported
from fcnkit.exporting.operators import OPERATORS
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import State, build
from fcnkit.weights.blobs import OpenFile
from fcnkit.weights.store import GivenWeights

INSTALL = "pip install 'fcnkit[onnx]'"


def available() -> bool:
    """Whether onnx and ONNX Runtime are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("onnx", "onnxruntime"))


def runs(type_name: str) -> bool:
    """Whether the export has an operator for this layer type."""
    return type_name in OPERATORS


def version() -> str:
    """ONNX Runtime's version."""
    import onnxruntime

    return onnxruntime.__version__


def run_all(
    net: Prototxt,
    weights: GivenWeights,
    many: Iterable[Mapping[str, Any]],
    outputs: Sequence[str] | None = None,
    *,
    state: State = TEST,
) -> Iterator[dict[str, Any]]:
    """What ONNX Runtime computes of each of many inputs in turn: a float32 array per output blob.

    It takes its arguments as the engine `caffe` does.  The net is exported once
    for inputs of one kind.  Raises as `export` does, and EngineError where ONNX
    Runtime refuses the model.
    """
    names = (
        [top.blob for top in own_outputs(build(net, state))] if outputs is None else list(outputs)
    )
    model = session = None
    for inputs in many:
        shapes = {blob: array.shape for blob, array in inputs.items()}
        if model is None or not model.takes(shapes):
            model = export(net, weights, inputs=shapes, outputs=names, state=state)
            session = _session(model, net.path)
        model.check()  # the session may still read them where they stand
        yield dict(zip(dict.fromkeys(names), ran(session, inputs, net.path).values(), strict=True))


run = single(run_all)


def _session(model: Exported, path: str) -> Any:
    """The session of an exported model, whose weights stay in their file where they can."""
    data, folder = model.pointing()
    if folder:
        # ONNX Runtime packs weights for speed, which is a second copy of them.
        # A weights file is no file that ONNX Runtime knows: what it does not take of it is copied.
        with suppress(EngineError):
            return opened(data, path, folder=folder, packed=model.nbytes < LARGE)
    return opened(model.bytes(), path)


def opened(model: Any, path: str, *, folder: str = "", packed: bool = True) -> Any:
    """ONNX Runtime's session of a model, which is its bytes or the path of its file.

    `folder` is where the files lie that a model given as bytes names.  With `packed` it keeps
    weights a second time, laid out for speed.

    Raises EngineError where it is not installed, or refuses the model.
    """
    if not available():
        raise EngineError(f"ONNX Runtime: not found: install it with `{INSTALL}`")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if folder:
        key = "session.model_external_initializers_file_folder_path"
        options.add_session_config_entry(key, folder)
    if not packed:
        options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _refusal(path, error) from error


def opened_with(source: OpenFile, outputs: Sequence[str]) -> Any:
    """ONNX Runtime's session of the model in an open file, which also gives these tensors.

    Raises EngineError as `opened` does.
    """
    if not available():
        raise EngineError(f"ONNX Runtime: not found: install it with `{INSTALL}`")
    import onnx

    data = b"".join(bytes(piece) for piece in source.pieces(0, source.stamp[0]))
    there = {port.name for port in onnx.ModelProto.FromString(data).graph.output}
    more = [onnx.ValueInfoProto(name=name) for name in outputs if name not in there]
    # Two messages of one kind, one after the other, are one whose lists are joined.
    data += onnx.ModelProto(graph=onnx.GraphProto(output=more)).SerializeToString()
    return opened(data, source.path, folder=str(Path(source.path).resolve().parent))


def ran(session: Any, inputs: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Every output of the session for these inputs, those that the model does not read left out."""
    import numpy as np

    taken = {port.name: _dtype(port.type) for port in session.get_inputs()}
    arrays = {
        name: np.ascontiguousarray(array, taken[name])
        for name, array in inputs.items()
        if name in taken
    }
    names = [port.name for port in session.get_outputs()]
    try:
        return dict(zip(names, session.run(names, arrays), strict=True))
    except Exception as error:
        raise _refusal(path, error) from error


def _dtype(kind: str) -> str:
    """numpy's name of what ONNX Runtime calls tensor(float), tensor(uint8) and so on."""
    name = kind.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(name, name)


def _refusal(path: str, error: Exception) -> EngineError:
    return EngineError(f"{path}: ONNX Runtime: {error_text(error)}; use the engine caffe")
