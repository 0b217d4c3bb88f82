"""A process of its own that tries libraries or an engine for `doctor`: what ends it ends not ours.

It writes lines of JSON: before it tries a library its name, and afterwards what it found.
"""

import importlib
import importlib.util
import json
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata

from fcnkit.errors import error_text
from fcnkit.libraries import LIBRARIES, Library

_COMPARED = {
    ">=": lambda have, bound: have >= bound,
    "<": lambda have, bound: have < bound,
    "!=": lambda have, bound: have != bound,
}


def main(words: list[str]) -> None:
    """Tries the "libraries" of the names behind that word, or the engine of this name."""
    warnings.simplefilter("ignore")
    for found in libraries(words[1:]) if words[0] == "libraries" else engine(words[0]):
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


# ---- libraries


def libraries(names: list[str]) -> Iterator[dict]:
    """Of each library its name, and then with it its version and what is wrong."""
    for library in LIBRARIES:
        if library.package not in names:
            continue
        name = {"name": library.package}
        yield name
        yield {**name, **_library(library)}


def _library(library: Library) -> dict:
    with suppress(ModuleNotFoundError):
        if importlib.util.find_spec(library.module) is not None:
            try:
                module = importlib.import_module(library.module)
            except Exception as error:  # whatever a broken library raises
                return {"version": "", "fault": f"does not load: {error_text(error)}"}
            version = getattr(module, "__version__", "") or _version(library.package)
            return {"version": version, "fault": unfit(version, *_bounds(library))}
    return {"version": "", "fault": None}


def _version(package: str) -> str:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return ""


def _bounds(library: Library) -> list[str]:
    """What fcnkit asks of the library's version, such as ">=4.5" and "<5"."""
    with suppress(metadata.PackageNotFoundError):
        for line in metadata.requires("fcnkit") or ():
            asked, _, rest = line.partition(";")
            extra = re.search(r"extra == ['\"](\w+)", rest)
            name = re.split(r"[^\w.-]", asked)[0]
            if name == library.package and (extra[1] if extra else "") == library.extra:
                return re.findall(r"[<>!]=?[\d.]+", asked)
    return []


def unfit(version: str, *bounds: str) -> str:
    """Why fcnkit does not work with this version; "" where it is within all the bounds."""
    for bound in bounds:
        sign = bound.rstrip("0123456789.")
        number = bound.removeprefix(sign)
        if not _COMPARED[sign](_numbers(version), _numbers(number)):
            return f"is {version}, and fcnkit needs {bound}"
    return ""


def _numbers(version: str) -> list[int]:
    """The numbers of a version without the zeros at its end: 3.0 and 3 are equal."""
    found = [int(part) for part in re.split(r"[^\d.]", version)[0].split(".") if part]
    while found and not found[-1]:
        del found[-1]
    return found


# ---- engines


def engine(name: str) -> Iterator[dict]:
    """The engine's version, its devices, and what is wrong with what it computes.

    The fault is None where it is not installed.
    """
    from fcnkit.engines.engine import choose
    from fcnkit.engines.trial import fault

    chosen = choose(name)
    if not chosen.available():
        yield {"name": name, "version": "", "fault": None}
        return
    devices = [] if name != "torch" else _devices()
    faults = [fault(chosen)]
    if devices:  # without a device it is the GPU, and with "cpu" the other
        faults.append(fault(chosen._replace(device="cpu")))
    said = "; ".join(filter(None, faults))
    yield {"name": name, "version": chosen.version, "fault": said, "devices": devices}


def _devices() -> list[str]:
    """The names of the GPUs that PyTorch can use."""
    import torch

    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(each) for each in range(torch.cuda.device_count())]


if __name__ == "__main__":
    main(sys.argv[1:])
