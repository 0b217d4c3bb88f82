"""Compiles fcnkit/formats/caffe.proto and forks.proto to the descriptor sets that fcnkit loads.

Run by `make schema` after a change to either; needs grpcio-tools, which
brings protobuf's own compiler.
"""

import sys
from pathlib import Path

FORMATS = Path(__file__).resolve().parent.parent / "fcnkit" / "formats"


def compile_schema(target: Path) -> None:
    """The file at `target`, NAME.desc, is the descriptor set of NAME.proto.

    Raises SystemExit when the compiler refuses it.
    """
    from grpc_tools import protoc

    source = FORMATS / f"{target.stem}.proto"
    if protoc.main(["protoc", f"-I{FORMATS}", f"--descriptor_set_out={target}", str(source)]):
        raise SystemExit(f"{source.name}: not compiled; see the compiler's message above")


if __name__ == "__main__":
    targets = (
        map(Path, sys.argv[1:])
        if sys.argv[1:]
        else (FORMATS / "caffe.desc", FORMATS / "forks.desc")
    )
    for one in targets:
        compile_schema(one)
