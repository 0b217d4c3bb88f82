"""Makes text printable on any stream, also where it holds bytes that are not UTF-8."""


def encodable(text: str) -> str:
    """The text with bytes that were not UTF-8 shown as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
