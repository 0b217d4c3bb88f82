"""A part of a page: its values, which a template of its name shows."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Section(NamedTuple):
    """`templates/NAME.html` shows `values`, which it sees as variables.

    `name` is the section's anchor as well; `NAME.css` and `NAME.js` beside the template
    are in the page where they are there, and so are those of the `parts` that the template
    is made of.  `summary` is one line below the title.
    """

    name: str
    title: str
    values: Mapping[str, Any]
    summary: str = ""
    parts: tuple[str, ...] = ()
