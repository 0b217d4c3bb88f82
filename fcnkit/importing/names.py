"""What the layers of an imported net are called: after the parameters that they hold."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from fcnkit.importing.model import Constant

_NUMBERED = re.compile(r"^(onnx::|_v_|val_|constant|Constant|weight|bias|\d+$)")
_ENDS = (".weight", ".bias", ".running_mean", ".running_var", "_weight", "_bias", "/kernel")
# What exporters put around a tensor's name.
_DRESS = re.compile(r"(:\d+|/ReadVariableOp|/Conv2D|/BiasAdd)$")


def labels(nodes: Sequence[Any], known: Sequence[dict[str, Constant]]) -> list[str]:
    """A name for each node: of its parameters, else of its module, else of what it does.

    PyTorch calls a node "/layer1/layer1.0/conv1/Conv", and a parameter
    "layer1.0.conv1.weight"; both are layer1.0.conv1.
    """
    scopes = [_scope(node.name) for node in nodes]
    inner = Counter(scope[:end] for scope in scopes for end in range(1, len(scope)))
    same = Counter(scopes)
    found = []
    for node, scope in zip(nodes, scopes, strict=True):
        name = _of_parameters(node, known[0])
        if not name and scope:
            name = _joined(scope)
            if inner[scope] or same[scope] > 1:
                name += f".{node.op_type.lower()}"
        found.append(_clean(name or _of_output(node)))
    return found


def _of_parameters(node: Any, known: dict[str, Constant]) -> str:
    """The module that the node's parameters belong to."""
    for name in node.input[1:]:
        its = known[name].name if name in known else ""
        for end in _ENDS:
            if its.endswith(end) and not _NUMBERED.match(its):
                return its.removesuffix(end)
    return ""


def _scope(name: str) -> tuple[str, ...]:
    """The modules that lead to a node, by PyTorch's names; () for others' names."""
    parts = name.split("/")
    return tuple(parts[1:-1]) if name.startswith("/") else ()


def _joined(scope: Sequence[str]) -> str:
    """ "layer1", "layer1.0", "conv1" as layer1.0.conv1: a part may repeat what is before it."""
    found = ""
    for part in scope:
        repeats = found and (part == found or part.startswith(f"{found}."))
        last = found.rpartition(".")[2]
        if repeats or (last and part.startswith(f"{last}.")):
            found = part if repeats else found[: len(found) - len(last)] + part
        else:
            found = f"{found}.{part}" if found else part
    return found


def _of_output(node: Any) -> str:
    name = node.output[0]
    return node.op_type.lower() if _NUMBERED.match(name) or not name else _DRESS.sub("", name)


def _clean(name: str) -> str:
    """A name that a prototxt, a file name and a terminal take."""
    return re.sub(r"[^\w./-]+", "_", name).strip("/") or "layer"
