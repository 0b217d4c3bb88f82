"""subprocess, whose pipes give and take text."""

import subprocess as _subprocess
from subprocess import *  # noqa: F403
from typing import Any

from fcnkit.pycaffe.python2.byte_strings import as_bytes, as_text
from fcnkit.pycaffe.python2.strings import Pipe, Reader


class Popen(_subprocess.Popen):  # type: ignore[no-redef]
    """A process, which takes text and says strings."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._speaks_text: bool = self.text_mode  # type: ignore[attr-defined]
        if not self._speaks_text:
            self.stdin = self.stdin and Pipe(_raw(self.stdin))
            self.stdout = self.stdout and Reader(_raw(self.stdout))
            self.stderr = self.stderr and Reader(_raw(self.stderr))

    def communicate(self, input: Any = None, timeout: float | None = None) -> tuple[Any, Any]:
        """What it says, given the input."""
        given = input if self._speaks_text else as_bytes(input)
        out, error = super().communicate(given, timeout)
        return as_text(out), as_text(error)


def _raw(stream: Any) -> Any:
    return stream.detach() if hasattr(stream, "detach") else stream


def check_output(*args: Any, **named: Any) -> Any:  # type: ignore[no-redef]
    """What the command says."""
    return as_text(_subprocess.check_output(*args, **named))
