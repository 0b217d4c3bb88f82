"""Numbers with their nouns as messages give them: 1 image, 2 images, 1,234 classes."""


def number_of(count: int, noun: str, plural: str = "") -> str:
    """The count and its noun, which is plural unless the count is 1.

    `plural` is that of a noun whose ending does not tell it, such as "axes".
    """
    return f"{count:,} {noun if count == 1 else plural or plural_of(noun)}"


def plural_of(noun: str) -> str:
    """The plural of a regular English noun: images, classes, entries."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and not noun.endswith(("ay", "ey", "oy", "uy")):
        return f"{noun[:-1]}ies"
    return f"{noun}s"
