"""The module ConfigParser."""

import configparser as _configparser
from collections.abc import Iterable
from configparser import *  # noqa: F403


class _Parser(_configparser.RawConfigParser):
    """As it was, with readfp; values that are set need not be text."""

    def readfp(self, file: Iterable[str], name: str | None = None) -> None:
        """The file is read."""
        self.read_file(file, name or "<file>")

    def set(self, section: str, option: str, value: object = None) -> None:
        """The option has this value."""
        super().set(section, option, value if value is None else str(value))


class RawConfigParser(_Parser):  # type: ignore[no-redef]
    """Values as they stand."""


class ConfigParser(_Parser, _configparser.ConfigParser):  # type: ignore[no-redef]
    """Values in which %(name)s is replaced."""


class SafeConfigParser(ConfigParser):  # type: ignore[no-redef]
    """The same."""
