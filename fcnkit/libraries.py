"""Imports libraries of fcnkit's extras when they are first used."""

import importlib
from types import ModuleType

from fcnkit.errors import EngineError


def load(module: str, extra: str = "segmentation") -> ModuleType:
    """The module of this name, such as "PIL.Image".

    Raises EngineError, which names the extra that has it, where it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EngineError(
            f"{extra} needs {module.split('.')[0]}, which does not load ({error}): "
            f"pip install 'fcnkit[{extra}]'"
        ) from None
