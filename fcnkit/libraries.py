"""Imports the libraries of fcnkit[segmentation] when they are first used."""

import importlib
from types import ModuleType

from fcnkit.errors import EngineError


def load(module: str) -> ModuleType:
    """The module of this name, such as "PIL.Image".

    Raises EngineError where it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EngineError(
            f"segmentation needs {module.split('.')[0]}, which does not load ({error}): "
            "pip install 'fcnkit[segmentation]'"
        ) from None
