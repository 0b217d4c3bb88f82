"""Which web addresses fcnkit opens: http and https alone, without a password."""

import re

from fcnkit.errors import ModelError, printable

_ADDRESS = re.compile(r"https?://[!-~]{1,2000}")


def check_address(address: str, where: str) -> None:
    """An address is of http or https, and holds no password; ModelError otherwise."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(address)
        fits = _ADDRESS.fullmatch(address) and parts.hostname and (parts.port or 1)
    except ValueError:
        fits = None
    if not fits:
        raise ModelError(f'{where}: "{printable(address)}" is not an http or https address')
    if parts.username is not None:
        raise ModelError(f"{where}: the address holds a user's name; fcnkit sends none")
