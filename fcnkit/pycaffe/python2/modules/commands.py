"""The module commands."""

import os
import subprocess


def getstatusoutput(command: str) -> tuple[int, str]:
    """How the shell's command ended, as wait says it, and what it said."""
    status, said = subprocess.getstatusoutput(command)
    return (status << 8 if status >= 0 else -status), said


def getoutput(command: str) -> str:
    """What the shell's command said."""
    return getstatusoutput(command)[1]


def getstatus(file: str) -> str:
    """The file's line as ls -ld has it."""
    return getoutput(f"ls -ld {os.fspath(file)}")
