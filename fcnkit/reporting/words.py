"""Names and numbers as a page shows them: whatever a file calls its layers."""

import re

# What errors.visible writes out for a terminal, and what a page would not show either:
# marks that reorder or have no width, and bytes that were no UTF-8.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff]"
)
LONGEST = 96


def seen(text: str) -> str:
    """The text with all that would not be seen, or would reorder the rest, written out."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def brief(text: str, longest: int = LONGEST) -> str:
    """The text, of one that is too long its first and last characters."""
    if len(text) <= longest:
        return text
    kept = longest // 2 - 1
    return f"{text[:kept]}…{text[-kept:]}"


def grouped(number: int | None) -> str:
    """A whole number in groups of three digits; "?" for one that is not known."""
    return "?" if number is None else f"{number:,}"


def figure(number: float | None) -> str:
    """A number with four digits that count; "-" for one that there is not."""
    return "-" if number is None else f"{number + 0:.4g}"


def bytes_text(number: int | None) -> str:
    """A size in the unit that suits it, of 1000s as disks are sold."""
    if number is None:
        return "?"
    size = float(number)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{number:,} bytes" if unit == "bytes" else f"{size:.3g} {unit}"


def duration(seconds: float) -> str:
    """A time in the two units that suit it: 1 h 05 min."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} days {hours % 24} h"
