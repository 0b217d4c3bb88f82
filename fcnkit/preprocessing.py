"""What a net wants of an image, and the file beside the net that says so.

A deploy net does not say which mean was taken off its images, in which order
their channels came, or what its classes are called.  `NET.preprocessing.json`
beside `NET.prototxt` does, with where each of these is from.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

from fcnkit import files, templates
from fcnkit.errors import NetError, error_text, quoted
from fcnkit.foreign import json_of
from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.schema import View
from fcnkit.nets.graph import Layer, graphs
from fcnkit.nets.layers.table import of as of_type
from fcnkit.plural import number_of

BGR, RGB, GRAY = "bgr", "rgb", "gray"
# The channels as they stand in the file of an image that is no picture.
STORED = "stored"
ORDERS = (BGR, RGB, GRAY, STORED)
MOST_CHANNELS = 4096
END = ".preprocessing.json"
Scale: TypeAlias = float | tuple[float, ...]
_FORMAT = 1
_LONGEST = 1 << 22  # bytes of a file: of 20,000 long names
_KEYS = ("format", "order", "mean", "scale", "size", "classes", "origins")


@dataclass(frozen=True)
class Preprocessing:
    """How an image is prepared for a net: (value - mean) * scale, with its channels in `order`.

    `mean` is one number, or one for each channel in `order`; () subtracts nothing, and None
    means that the mean is not known. `scale` is one number, or one for each channel. `size` is
    the height and width that the net's file gives. `classes` are the names of the classes.
    `origins` says for each of these where it is from.
    """

    order: str = BGR
    mean: tuple[float, ...] | None = None
    scale: Scale = 1.0
    size: tuple[int, int] | None = None
    classes: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """The content of the file as plain dicts, lists, strings and numbers."""
        return {
            "format": _FORMAT,
            "order": self.order,
            "mean": None if self.mean is None else list(self.mean),
            "scale": list(self.scale) if isinstance(self.scale, tuple) else self.scale,
            "size": None if self.size is None else list(self.size),
            "classes": list(self.classes),
            "origins": dict(self.origins),
        }

    @property
    def text(self) -> str:
        """The text of the file."""
        import json

        return json.dumps(self.json(), indent=2, ensure_ascii=False) + "\n"

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Writes the file at `path`; `force` replaces an existing one. Raises OutputError
        otherwise.
        """
        files.write(path, self.text.encode("utf-8", "surrogateescape"), force=force)

    def with_origin(self, origin: str, **values: Any) -> "Preprocessing":
        """A copy with these values, and `origin` as the place where they are from."""
        return replace(self, **values, origins={**self.origins, **dict.fromkeys(values, origin)})

    def __str__(self) -> str:
        if self.mean is None:
            less = "mean not known, nothing subtracted"
        else:
            less = f"minus {shown(self.mean)}" if any(self.mean) else "no mean subtracted"
        scale = self.scale if isinstance(self.scale, tuple) else (self.scale,)
        times = f", times {shown(scale)}" if set(scale) != {1} else ""
        order = self.order.upper() if self.order in (BGR, RGB) else self.order
        return f"{'channels as stored' if order == STORED else order}, {less}{times}"


def shown(values: Sequence[float]) -> str:
    """The numbers as --mean takes them."""
    return ",".join(f"{value:g}" for value in values)


def place(net: str | Path) -> Path:
    """The path of the preprocessing file for the net at this path, or for a template:NAME."""
    template = str(net).removeprefix(templates.PREFIX)
    if template != str(net):
        name, _, file = template.partition("/")
        net = Path(templates.__file__).with_name(name) / (file or "deploy.prototxt")
    folder, name = os.path.split(net)
    return Path(folder, name.removesuffix(".prototxt") + END)


def beside(net: Prototxt) -> Preprocessing | None:
    """Reads the file beside a net that says how to prepare images; None if there is none.

    Raises NetError if the file cannot be understood.
    """
    path = place(net.path)
    return read(path) if os.path.lexists(path) else None


def read(path: str | Path) -> Preprocessing:
    """What such a file says; NetError where it is damaged, or another kind of JSON."""
    if os.path.lexists(path) and not os.path.isfile(path):
        raise NetError(f"{path}: is not a file; write it again, or remove it")
    try:
        with open(path, "rb") as file:
            data = file.read(_LONGEST + 1)
        if len(data) > _LONGEST:
            raise ValueError(f"it has more than {_LONGEST:,} bytes")
        found = json_of(data.decode())
    except OSError as error:
        raise NetError(f"{path}: cannot be read: {error_text(error)}; name a file") from None
    except ValueError as error:
        raise NetError(
            f"{path}: cannot be read as JSON: {error}; write it again, or remove it"
        ) from None
    if not isinstance(found, dict):
        raise NetError(f"{path}: is not a JSON object; write it again, or remove it")
    _check(path, found)
    mean, size = found.get("mean"), found.get("size")
    return Preprocessing(
        found.get("order", BGR),
        None if mean is None else tuple(map(float, mean)),
        _scale(found.get("scale", 1.0)),
        None if size is None else (size[0], size[1]),
        tuple(found.get("classes", ())),
        found.get("origins", {}),
    )


def _scale(value: Any) -> Scale:
    return tuple(map(float, value)) if isinstance(value, list) else float(value)


def _check(path: str | Path, found: Mapping[str, Any]) -> None:
    most = MOST_CHANNELS if found.get("order") == STORED else 4
    rules = {
        "format": (found.get("format") is not True and found.get("format") == _FORMAT, "be 1"),
        "order": (found.get("order", BGR) in ORDERS, f"be one of {', '.join(ORDERS)}"),
        "mean": (
            _none_or_numbers(found, "mean", range(most + 1)),
            f"be null or up to {number_of(most, 'number')}",
        ),
        "scale": (
            _factors(found.get("scale", 1), most),
            "be a number, or one for each channel, and not 0",
        ),
        "size": (_none_or_numbers(found, "size", (2,), whole=True), "be height and width"),
        "classes": (_names(found.get("classes", [])), "be a list of names, each on one line"),
        "origins": (_origins(found.get("origins", {})), "be an object of texts"),
    }
    for name in found:
        if name not in _KEYS:
            raise NetError(f'{path}: "{name}" is not known; there are {", ".join(_KEYS)}')
    for name, (right, remedy) in rules.items():
        if not right:
            value = repr(found.get(name))[:60]
            raise NetError(f'{path}: "{name}" is {value}; it is to {remedy}')
    for name, times in Counter(found.get("classes", ())).most_common(1):
        if times > 1:
            fact = f'"classes" has {quoted(name)} {times} times'
            raise NetError(f"{path}: {fact}; give each class a name of its own")


def _factors(value: Any, most: int) -> bool:
    several = value if isinstance(value, list) else [value]
    return _numbers(several, range(1, most + 1)) and all(abs(each) > 1e-9 for each in several)


def _numbers(values: object, counts: Sequence[int], *, whole: bool = False) -> bool:
    kinds = int if whole else (int, float)
    return (
        isinstance(values, list)
        and len(values) in counts
        and all(isinstance(each, kinds) and not isinstance(each, bool) for each in values)
        and all(abs(each) < 1e9 and isfinite(each) for each in values)
        and not (whole and min(values) < 1)
    )


def _none_or_numbers(
    found: Mapping[str, Any], name: str, counts: Sequence[int], *, whole: bool = False
) -> bool:
    return found.get(name) is None or _numbers(found[name], counts, whole=whole)


def _names(values: object) -> bool:
    """Each as a file of names has it: on one line, without spaces around it."""
    return isinstance(values, list) and all(
        isinstance(each, str) and each.isprintable() and each and each == each.strip()
        for each in values
    )


def _origins(values: object) -> bool:
    return isinstance(values, dict) and all(isinstance(each, str) for each in values.values())


def _count(scale: Scale) -> int:
    return len(scale) if isinstance(scale, tuple) else 1


def orders(channels: int) -> tuple[str, ...]:
    """The orders that images of so many channels may have, the usual one first."""
    known = {1: (GRAY,), 3: (BGR, RGB), 4: (BGR, RGB)}
    return (*known.get(channels, ()), STORED)


def order_for(said: str | None, channels: int) -> str:
    """The order of an image's channels: what is said of it, else the usual; one has no order."""
    if said == STORED or (said and channels != 1):
        return said
    return orders(channels)[0]


def check(made: Preprocessing, channels: int, classes: int, path: str | Path) -> None:
    """The file at `path` goes with a net of so many channels and classes; NetError otherwise."""
    facts = {
        f'"order" is {made.order}, but the net takes images of {channels} channels': (
            made.order not in orders(channels)
        ),
        f'"scale" has {number_of(_count(made.scale), "number")}, and the net takes {channels} '
        "channels": (_count(made.scale) not in (1, channels)),
        f"has {number_of(len(made.classes), 'name')}, and the net {number_of(classes, 'class')}": (
            len(made.classes) not in (0, classes)
        ),
    }
    for fact, wrong in facts.items():
        if wrong:
            raise NetError(f"{path}: {fact}; correct the file for this net, or remove it")


def of_data(net: Prototxt) -> Preprocessing | None:
    """What the net's own data layers do to their images; None where it has none for images.

    A mean file has one fixed size, and an FCN's images have many: its values are
    not read, and the mean is not known then.
    """
    for layer in (layer for graph in graphs(net) for layer in graph.layers):
        made = _of_layer(net, layer)
        if made:
            return made
    return None


def _of_layer(net: Prototxt, layer: Layer) -> Preprocessing | None:
    values, factor, file = (_says(layer, name) for name in ("mean_value", "scale", "mean_file"))
    if layer.bottoms or not (values or factor or file):
        return None
    where = f'{net.path}:{layer.line}: layer "{layer.name}"'
    mean: tuple[float, ...] | None = tuple(values.list("mean_value")) if values else ()
    scale, origin = factor.get("scale") if factor else 1.0, where
    if file:
        mean, origin = None, f'the mean file "{file.get("mean_file")}" that {where} names'
    made = Preprocessing(mean=mean, scale=scale).with_origin(where, scale=scale)
    return made.with_origin(origin, mean=mean)


def _says(layer: Layer, name: str) -> View | None:
    """The message in which a source says this; old nets say it among its own parameters."""
    messages = dict.fromkeys(("transform_param", of_type(layer).message))
    views = [layer.param(message) for message in messages if message]
    return next((view for view in views if view.knows(name) and view.has(name)), None)


def of(net: Prototxt) -> Preprocessing | None:
    """What is known of the images that the net wants: by the file beside it,
    or by its own data layers.
    """
    return beside(net) or of_data(net)
