"""Writes the lines of Caffe's log, so that what reads Caffe's log reads PyTorch's as well."""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TextIO


class Log:
    """Lines as Caffe writes them; of several processes
    the first alone says how it goes, each what fails.
    """

    def __init__(self, *, first: bool = True, stream: TextIO | None = None) -> None:
        self._first, self._stream = first, stream or sys.stderr

    def say(self, text: str) -> None:
        """One line, or several."""
        if self._first:
            self._write("I", text)

    def fail(self, text: str) -> None:
        """Why the training ends, as Caffe's failed checks say it."""
        self._write("F", text)

    def _write(self, kind: str, text: str) -> None:
        now = datetime.now().strftime("%m%d %H:%M:%S.%f")
        self._stream.write(f"{kind}{now} {os.getpid():>5} torch.py:1] {text}\n")
        self._stream.flush()


def outputs(phase: str, found: Iterable[tuple[str, Sequence[float], float]]) -> Iterable[str]:
    """The lines of a net's outputs: name, values and loss_weight of each."""
    number = 0
    for name, values, weight in found:
        for value in values:
            loss = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
            yield f"    {phase} net output #{number}: {name} = {value:g}{loss}"
            number += 1
