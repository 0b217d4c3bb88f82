"""Compiles fcnkit/formats/caffe.proto to the descriptor set that fcnkit loads.

Run by `make schema` after a change to caffe.proto; needs grpcio-tools, which
brings protobuf's own compiler.
"""

import sys
from pathlib import Path

FORMATS = Path(__file__).resolve().parent.parent / "fcnkit" / "formats"


def compile_schema(target: Path) -> None:
    """The file at `target` is the descriptor set of caffe.proto.

    Raises SystemExit when the compiler refuses caffe.proto.
    """
    from grpc_tools import protoc

    arguments = ["protoc", f"-I{FORMATS}", f"--descriptor_set_out={target}", str(FORMATS / "caffe.proto")]
    if protoc.main(arguments):
        raise SystemExit("caffe.proto: not compiled; see the compiler's message above")


if __name__ == "__main__":
    compile_schema(Path(sys.argv[1]) if len(sys.argv) > 1 else FORMATS / "caffe.desc")
