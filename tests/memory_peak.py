"""How much memory a program of a test has held, for programs that are given to Python as text."""

PEAK = r"""
import re

def peak():
    # KiB.  getrusage's ru_maxrss begins with what the process had that started the program.
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1])
"""
