"""What the caffe.proto of a fork has that neither Caffe nor fcnkit/formats/forks.proto has.

    python scripts/fork_words.py path/to/caffe.proto ...

Prints MESSAGE.FIELD, or MESSAGE.FIELD: WORD of an enum, one on each line, and ends with 1
where there are any.  Messages that no net and no solver can hold are left out.  Needs
grpcio-tools, which brings protobuf's own compiler.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fcnkit.formats.descriptors import DeclaredField, Descriptors
from fcnkit.formats.schema import fork_of, fork_of_word, slots

ROOTS = ("NetParameter", "SolverParameter")


def beyond(proto: Path) -> Iterator[str]:
    """The fields and words of this caffe.proto that fcnkit does not know."""
    schema = _compiled(proto)
    seen, left = set(ROOTS), list(ROOTS)
    while left:
        message = left.pop()
        for field in schema.fields(message):
            kind = field.type.removeprefix(f".{schema.package}.")
            yield from _unknown(schema, message, field, kind)
            if field.kind == "message" and "." not in kind and kind not in seen:
                seen.add(kind)
                left.append(kind)


def _unknown(schema: Descriptors, message: str, field: DeclaredField, kind: str) -> Iterator[str]:
    try:
        known = slots(message)
    except KeyError:
        known = {}
    if field.name not in known:
        if fork_of(message, field.name) is None:
            yield f"{message}.{field.name}"
    elif field.kind == "enum":
        for word in schema.enum(kind):
            if word not in known[field.name].enum and not fork_of_word(message, field.name, word):
                yield f"{message}.{field.name}: {word}"


def _compiled(proto: Path) -> Descriptors:
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "out.desc")
        arguments = [f"-I{proto.parent}", f"--descriptor_set_out={target}", str(proto)]
        if protoc.main(["protoc", *arguments]):
            raise SystemExit(f"{proto}: not compiled; see the compiler's message above")
        return Descriptors(target.read_bytes())


if __name__ == "__main__":
    found = [word for name in sys.argv[1:] for word in beyond(Path(name))]
    print("".join(f"{word}\n" for word in dict.fromkeys(found)), end="")
    raise SystemExit(bool(found))
