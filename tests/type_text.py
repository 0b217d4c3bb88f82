"""Nets as text, in each generation of Caffe's format and in each layout that people write."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Field, Prototxt
from fcnkit.nets.declared import V1_TYPES
from fcnkit.shape import Shape

# A field's name and its value, as written or as fields of its own.
Pairs = list[tuple[str, "str | list"]]


class Spec(NamedTuple):
    """A layer to be written; an Input has the shape of its top."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    params: str = ""
    shape: Shape = ()


# ---- generations


def generations(kind: str) -> tuple[str, ...]:
    """The generations of the format that have a word for this type."""
    if kind in _OLD_FORKS:
        return ("V1",)
    return ("V1", "V2", "V2 with input fields") if kind in _V1_WORDS else tuple(GENERATIONS[1:])


GENERATIONS = ("V1", "V2", "V2 with input fields")
_V1_WORDS = {new: old for old, new in V1_TYPES.items() if new}
# What V1 files of forks call their types.
_OLD_FORKS = ("INTERP", "PADDING", "IMAGE_SEG_DATA", "MAT_WRITE", "SEG_ACCURACY", "VIDEO_DATA")


def _file(specs: Iterable[Spec], generation: str) -> Pairs:
    inputs, layers = [], []
    for spec in specs:
        if spec.type == "Input" and spec.shape and generation != "V2":
            inputs.append(spec)
        else:
            layers.append(_layer(spec, generation))
    return [*_inputs(inputs, generation), *layers]


def _inputs(inputs: Sequence[Spec], generation: str) -> Iterator[tuple[str, "str | list"]]:
    """Net-level fields: all names, and sizes as the files of the time say them."""
    yield from (("input", f'"{spec.name}"') for spec in inputs)
    of_old = generation == "V1" and all(len(spec.shape) == 4 for spec in inputs)
    for spec in inputs:
        if of_old:
            yield from (("input_dim", f"{size}") for size in spec.shape)
        else:
            yield "input_shape", [("dim", f"{size}") for size in spec.shape]


def _layer(spec: Spec, generation: str) -> tuple[str, list]:
    old = generation == "V1"
    word = _V1_WORDS.get(spec.type, spec.type) if old else f'"{spec.type}"'
    if old and spec.type not in _V1_WORDS and spec.type not in _OLD_FORKS:
        raise KeyError(f"{spec.type} has no word in V1")
    params = spec.params or (spec.shape and f"input_param {{ shape {{ {_dims(spec.shape)} }} }}")
    return "layers" if old else "layer", [
        ("name", f'"{spec.name}"'),
        ("type", word),
        *(("bottom", f'"{blob}"') for blob in spec.bottoms),
        *(("top", f'"{blob}"') for blob in spec.tops),
        *_read(params or ""),
    ]


def _dims(shape: Shape) -> str:
    return " ".join(f"dim: {size}" for size in shape)


def _read(text: str) -> Pairs:
    return fields_of(prototxt.parse(text).root)


def fields_of(message: Field) -> Pairs:
    """What a message says, without how it is laid out."""
    return [
        (field.name, field.raw if field.fields is None else fields_of(field))
        for field in message.fields
    ]


# ---- layouts


def _inline(pairs: Pairs, brackets: str = "{}") -> str:
    return " ".join(
        f"{name}: {value}"
        if isinstance(value, str)
        else f"{name} {brackets[0]} {_inline(value, brackets)} {brackets[1]}"
        for name, value in pairs
    )


def _lines(pairs: Pairs, brackets: str = "{}", indent: str = "") -> str:
    text = ""
    for name, value in pairs:
        if isinstance(value, str):
            text += f"{indent}{name}: {value}\n"
        else:
            text += f"{indent}{name} {brackets[0]}\n{_lines(value, brackets, indent + '  ')}"
            text += f"{indent}{brackets[1]}\n"
    return text


def _a_layer_a_line(file: Pairs) -> str:
    return "".join(f"{_inline([pair])}\n" for pair in file)


def _three_a_line(file: Pairs) -> str:
    return "".join(f"{_inline(file[at : at + 3])}\n" for at in range(0, len(file), 3))


def _one_line(file: Pairs) -> str:
    return _inline(file)


def _lists(file: Pairs, colon: str = "") -> str:
    """Repeated fields and all layers in lists."""
    written = []
    for name, values in _runs(file):
        if isinstance(values[0], str):
            written.append(f"{name}: [{', '.join(values)}]\n")
        else:
            elements = ",\n".join(f"  {{ {_listed(value)} }}" for value in values)
            written.append(f"{name}{colon} [\n{elements}\n]\n")
    return "".join(written)


def _listed(pairs: Pairs) -> str:
    """The fields of a message on one line, those that repeat in lists."""
    words = []
    for name, values in _runs(pairs):
        if isinstance(values[0], str):
            several = f"[{', '.join(values)}]"
            words.append(f"{name}: {several if name in _REPEATED else values[0]}")
        else:
            words += [f"{name} {{ {_listed(value)} }}" for value in values]
    return " ".join(words)


# The repeated fields of scalars that these nets have.
_REPEATED = ("bottom", "top", "dim", "paddings", "order", "offset", "slice_point", "min_size")


def _runs(pairs: Pairs) -> Iterator[tuple[str, list]]:
    """The values of fields of one name that follow each other."""
    at = 0
    while at < len(pairs):
        end = at
        while end < len(pairs) and pairs[end][0] == pairs[at][0]:
            end += 1
        yield pairs[at][0], [value for _, value in pairs[at:end]]
        at = end


LAYOUTS: dict[str, Callable[[Pairs], str]] = {
    "lines": _lines,
    "a layer a line": _a_layer_a_line,
    "three a line": _three_a_line,
    "one line": _one_line,
    "lists": _lists,
    "lists with colons": lambda file: _lists(file, ":"),
    "angles": lambda file: _lines(file, "<>"),
    "angles on a line": lambda file: "".join(f"{_inline([pair], '<>')}\n" for pair in file),
}


def written(specs: Sequence[Spec], generation: str, layout: str) -> Prototxt:
    """The net's text."""
    return prototxt.parse(LAYOUTS[layout](_file(specs, generation)), "net.prototxt")
