"""Shows values in a notebook: tables and text as escaped HTML."""

from collections.abc import Iterable, Sequence


def table(
    rows: Iterable[Iterable[object]],
    *,
    caption: str,
    head: Sequence[str] = (),
    note: str = "",
    left: bool = False,
) -> str:
    """A table with a line of text over it and one under it;
    cells at the right, as numbers are, or `left`.
    """
    style = " style='text-align:left'" if left else ""
    lines = [_row("th", head, style)] if head else []
    lines += [_row("td", row, style) for row in rows]
    below = f"<p>{_escaped(note)}</p>" if note else ""
    return f"<table><caption>{_escaped(caption)}</caption>{''.join(lines)}</table>{below}"


def text(lines: str) -> str:
    """Lines as they are in a terminal."""
    return f"<pre style='font-family:monospace'>{_escaped(lines)}</pre>"


def _row(kind: str, cells: Iterable[object], style: str) -> str:
    return "<tr>" + "".join(f"<{kind}{style}>{_escaped(cell)}</{kind}>" for cell in cells) + "</tr>"


def _escaped(cell: object) -> str:
    import html  # only where a notebook asks: every command would wait for it

    return html.escape(str(cell))
