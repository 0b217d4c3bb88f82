"""The page: sections in one HTML file that needs nothing else."""

import base64
import hashlib
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnkit import files
from fcnkit.reporting import words
from fcnkit.reporting.section import Section

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Report:
    """A page as HTML text, which a notebook shows in a frame."""

    title: str
    html: str

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Writes the page to `path`, completely or not at all; `force` replaces an existing
        file. Raises OutputError otherwise.
        """
        files.write(path, self.html.encode(), force=force)

    def _repr_html_(self) -> str:
        import html

        # In a sandbox: what is in the page sees nothing of the notebook.
        page = html.escape(self.html, quote=True)
        return (
            f'<iframe title="{html.escape(words.seen(self.title))}" sandbox="allow-scripts" '
            f'style="width:100%;height:640px;border:1px solid #8886" srcdoc="{page}"></iframe>'
        )

    def __repr__(self) -> str:
        return f"<Report of {self.title}: {len(self.html):,} characters>"


def page(
    title: str,
    kind: str,
    sections: Sequence[Section],
    *,
    notes: Sequence[str] = (),
    refresh: int = 0,
) -> Report:
    """The page of these sections, in their order.

    `kind` says what it is of, `notes` what else is to be known of the page; with `refresh`
    a browser reads it anew after so many seconds.
    """
    from importlib.metadata import version

    script = "\n".join(_beside(sections, "js"))
    html = (
        _environment()
        .get_template("page.html")
        .render(
            title=title,
            kind=kind,
            sections=sections,
            notes=notes,
            refresh=refresh,
            version=version("fcnkit"),
            style="\n".join(_beside(sections, "css")),
            script=script,
            digest=_digest(script),
        )
    )
    return Report(title, html)


def _beside(sections: Sequence[Section], end: str) -> Iterator[str]:
    """The page's own style or script, those of its sections, and of what they are made of."""
    names = [name for section in sections for name in (*section.parts, section.name)]
    for name in dict.fromkeys(["page", *names]):
        path = _TEMPLATES / f"{name}.{end}"
        if os.path.isfile(path):
            yield path.read_text(encoding="utf-8").strip()


def _digest(script: str) -> str:
    """How the page's policy names the one script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_final,
    )
    made.filters |= {
        "brief": words.brief,
        "grouped": words.grouped,
        "figure": words.figure,
        "bytes": words.bytes_text,
        "shell": shlex.join,
    }
    return made


def _final(value: Any) -> Any:
    """What stands in a template's braces, before it is escaped."""
    from markupsafe import Markup

    return words.seen(value) if isinstance(value, str) and not isinstance(value, Markup) else value
