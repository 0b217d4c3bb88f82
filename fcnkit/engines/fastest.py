"""The fastest installed engine that runs a net.

On two cores, an FCN of stride 4 on images of 480 x 360: `make bench` has the
figures.  What one refuses, the next is asked for.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from fcnkit.engines.engine import ENGINES, Engine, how_to_install, names
from fcnkit.errors import EngineError, NetError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.weights.store import GivenWeights

AUTO = "auto"
ORDER = ("onnx", "opencv", "torch", "caffe")
# Where the driver of a GPU puts the first of them.
_GPU = "/dev/nvidia0"


def installed() -> list[Engine]:
    """The installed engines, the fastest first; one that computes on a GPU where there is one."""
    known = {engine.name: engine for engine in ENGINES}
    order = dict.fromkeys((*ORDER, *known))
    found = [known[name] for name in order if name in known and known[name].available()]
    if os.path.exists(_GPU):
        found.sort(key=lambda engine: not engine.devices)
    return found


def run_fastest(
    net: Prototxt,
    weights: GivenWeights,
    many: Iterable[Mapping[str, Any]],
    outputs: Sequence[str] | None = None,
    *,
    told: Callable[[Engine], None] = lambda engine: None,
    thrifty: bool = False,
) -> Iterator[dict[str, Any]]:
    """As an engine's `run_all`, by the fastest installed engine that takes the net, with `thrifty`
    first by those that hold the weights once.

    An engine that refuses, at whichever input, makes room for the next one, which goes
    on from there.  `told` is called with each that gives a result.

    Raises EngineError where no engine is installed, and what the last one raises.
    """
    engines = installed()
    if thrifty:
        engines.sort(key=lambda engine: not engine.thrifty)
    if not engines:
        raise EngineError(f"no engine is installed; {how_to_install(names())}")
    source = iter(many)
    waiting: deque[Mapping[str, Any]] = deque()

    def given() -> Iterator[Mapping[str, Any]]:
        """Inputs without a result yet, then new ones."""
        yield from tuple(waiting)
        for each in source:
            waiting.append(each)
            yield each

    for number, engine in enumerate(engines):
        results = 0
        try:
            for found in engine.run_all(net, weights, given(), outputs):
                waiting.popleft()
                if not results:
                    told(engine)
                results += 1
                yield found
            return
        except (EngineError, NetError):
            if number + 1 == len(engines):
                raise
