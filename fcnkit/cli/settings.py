"""The options --config and --save-config: a command's options kept in a TOML file.

The file has a line for each option, by its name without the dashes:

    classes = 21
    stride = 8
    mean = [104, 117, 123]          # --mean 104,117,123
    input = ["data=1,3,500,500"]    # --input, which may be repeated: a list of its values
    one-class = true                # --one-class, which takes no value

A value is what stands behind the option on the command line.  click's default_map takes it from
here, so that an option on the command line wins, and an error names the option in both.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from math import isfinite
from pathlib import Path
from typing import Any

import click

from fcnkit.cli.text import say
from fcnkit.errors import OutputError, quoted
from fcnkit.foreign import reason
from fcnkit.libraries import toml

_OWN = ("config", "save_config")
_PATH = f"{__name__}.path"
GIVEN = f"{__name__}.given"
"""Where a context's meta has the words that the command was given."""
# What overwrites files is said each time.
_NEVER = ("force",)


def with_settings(command: click.Command) -> click.Command:
    """The command, and all below it, have --config and --save-config."""
    below = getattr(command, "commands", None)
    if below is not None:
        for each in below.values():
            with_settings(each)
    elif not any(param.name == _OWN[0] for param in command.params):
        command.params = [*command.params, _config(), _save_config()]
        _keep_words(command)
        command.callback = _or_save(command.callback)
    return command


def _config() -> click.Option:
    return click.Option(
        ["--config"],
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_read,
        help="Take options from this TOML file; the command line wins.",
    )


def _save_config() -> click.Option:
    return click.Option(
        ["--save-config"],
        metavar="FILE",
        expose_value=False,
        callback=_ask,
        help="Write the options given here into a file for --config, and do nothing else.",
    )


# ---- reading


def _read(ctx: click.Context, param: click.Parameter, path: str | None) -> None:
    """The context's defaults are those of the file."""
    if path and not ctx.resilient_parsing:
        ctx.default_map = {
            option.name: _words(option, value, path) for option, value in _settings(ctx, path)
        }


def _settings(ctx: click.Context, path: str) -> list[tuple[click.Option, Any]]:
    known = {_key(option): option for option in _options(ctx.command)}
    found = []
    for key, value in _parsed(path).items():
        option = known.get(key.replace("_", "-"))
        if option is None:
            raise _wrong(path, key, _unknown(ctx, key, known))
        if option.name in _NEVER:
            raise _wrong(path, key, f"can be given on the command line only: --{key}")
        found.append((option, value))
    return found


def _parsed(path: str) -> dict[str, Any]:
    try:
        return toml().loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # TOML's errors are ValueErrors
        fact = f"{path}: cannot be read: {reason(error)}"
        raise click.BadParameter(fact, param_hint="--config") from None


def _words(option: click.Option, value: Any, path: str) -> Any:
    """The value as click has it of the command line: text, a list of texts, or a truth."""
    key = _key(option)
    if option.is_flag:
        if isinstance(value, bool):
            return value
        raise _wrong(path, key, "takes no value: write true or false")
    if option.multiple or option.nargs != 1:
        values = value if isinstance(value, list) else [value]
        return [_word(each, path, key) for each in values]
    if isinstance(value, list):
        return ",".join(_word(each, path, key) for each in value)
    return _word(value, path, key)


def _word(value: Any, path: str, key: str) -> str:
    if isinstance(value, bool | Mapping | list) or not isinstance(value, str | int | float):
        raise _wrong(path, key, "write text, a number, or a list of them")
    return str(value)


def _unknown(ctx: click.Context, key: str, known: Mapping[str, click.Option]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key.replace("_", "-"), known, n=1)
    return f"is not an option of `{_called(ctx)}`" + (f"; {near[0]} is" if near else "")


def _called(ctx: click.Context) -> str:
    """The command's words, however fcnkit was started."""
    return " ".join(["fcnkit", *ctx.command_path.split()[1:]])


def _wrong(path: str, key: str, fact: str) -> click.BadParameter:
    return click.BadParameter(f"{path}: {quoted(key)} {fact}", param_hint="--config")


# ---- writing


def _ask(ctx: click.Context, param: click.Parameter, path: str | None) -> None:
    """The file is written once all options are known to be right, in place of the command."""
    if path and not ctx.resilient_parsing:
        ctx.meta[_PATH] = path


def _keep_words(command: click.Command) -> None:
    """The command line is there when the file is written, as it was given."""
    parse = command.parse_args

    def parse_args(ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[GIVEN] = [*args]
        return parse(ctx, args)

    command.parse_args = parse_args  # type: ignore[method-assign]


def _or_save(callback: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """The command's function, or with --save-config what writes the file in its place."""

    if callback is None:
        return None

    @wraps(callback)
    def called(*args: Any, **options: Any) -> Any:
        ctx = click.get_current_context()
        if _PATH not in ctx.meta:
            return callback(*args, **options)
        return _save(ctx, ctx.meta[_PATH])

    return called


def _save(ctx: click.Context, path: str) -> None:
    """The file has the options that were given, here or in the file of --config.

    Raises OutputError where it exists.
    """
    from fcnkit import files

    given = {option.name: option for option in _options(ctx.command)}
    words, _, _ = ctx.command.make_parser(ctx).parse_args(args=[*ctx.meta[GIVEN]])
    values = {**(ctx.default_map or {}), **{key: value for key, value in words.items() if value}}
    lines = [
        f"{_key(given[name])} = {_toml(value)}\n"
        for name, value in values.items()
        if name in given and name not in _NEVER
    ]
    head = f"# {_called(ctx)}; paths are relative to the folder where it is run\n"
    try:
        data = "".join([head, *lines]).encode("utf-8")
    except UnicodeEncodeError:
        fact = "an option has bytes that are not UTF-8, which TOML does not take"
        raise OutputError(f"{path}: {fact}; leave it out") from None
    try:
        files.write(path, data)
    except OutputError as error:  # no --force writes over a file of settings
        raise OutputError(str(error).replace(", or --force to overwrite it", "")) from None
    say(f"wrote {path}", err=True)


def _toml(value: Any) -> str:
    """A value of the command line in TOML: numbers without quotes where they come back the same."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    with suppress(ValueError):
        if str(int(value)) == value:
            return value
    with suppress(ValueError):
        if str(float(value)) == value and isfinite(float(value)):
            return value
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


# ---- options


def _options(command: click.Command) -> list[click.Option]:
    """The options that may be in a file: those that have a value or set a flag."""
    return [
        param
        for param in command.params
        if isinstance(param, click.Option) and param.name not in _OWN and param.expose_value
    ]


def _key(option: click.Option) -> str:
    """An option's name in the file: its long one."""
    return max(option.opts, key=len).lstrip("-")
