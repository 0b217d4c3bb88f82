"""Caffe's own C++ text-format parser, asked from the tests: one process reads many texts."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from fcnkit.engines import caffe_runtime

# The exported C++ functions are called by their mangled names, because
# pycaffe's Python parser is another one than that which reads Caffe's nets.
_CHILD = """
import ctypes, json, sys
caffe = ctypes.CDLL("libcaffe.so.1.0.0")
read = caffe._ZN5caffe21ReadProtoFromTextFileEPKcPN6google8protobuf7MessageE
read.restype = ctypes.c_bool
write = caffe._ZN5caffe22WriteProtoToBinaryFileERKN6google8protobuf7MessageEPKc
message, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
make = caffe["_ZN5caffe%d%sC1EPN6google8protobuf5ArenaE" % (len(message), message)]
accepted = []
for number in range(count):
    memory = ctypes.create_string_buffer(4096)
    make(memory, None)
    path = "%s/%d" % (folder, number)
    accepted.append(read(path.encode(), memory))
    if accepted[-1]:
        write(memory, (path + ".binary").encode())
print(json.dumps(accepted))
"""


def python(*arguments: str) -> str:
    """What a program prints that is run by the runtime's own Python."""
    interpreter = caffe_runtime.runtime() / "bin" / "python"
    if not interpreter.exists():
        pytest.skip(f"{interpreter} is not there; run `make caffe`")
    done = subprocess.run([interpreter, "-c", *arguments], capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:].decode(errors="replace")
    return done.stdout.decode()


def reads(texts: Sequence[bytes], message: str = "NetParameter") -> list[bytes | None]:
    """For each text the message that Caffe reads, in wire format; None where it refuses."""
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(texts):
            Path(folder, str(number)).write_bytes(text)
        accepted = json.loads(python(_CHILD, message, folder, str(len(texts))))
        return [
            Path(folder, f"{number}.binary").read_bytes() if yes else None
            for number, yes in enumerate(accepted)
        ]
