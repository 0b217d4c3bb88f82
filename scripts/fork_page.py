"""The tables of docs/forks.md, from the rules that `fk.bvlc` goes by.

Run by `make targets` after a rule was added or changed.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fcnkit.nets.layers.fork_table import FORKS
from fcnkit.nets.layers.old_names import FORK_NAMES
from fcnkit.rewrites.forks.types import TYPES
from fcnkit.rewrites.forks.words import COMPUTED, READING, WORDS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "forks.md"
REPLACES = "what replaces it"
BEGIN, END = "<!-- {}: written by `make targets` -->\n", "<!-- {} end -->\n"


def tables() -> dict[str, str]:
    """The text between the marks of each table, by its name."""
    stays = [name for name in FORKS if name not in TYPES and name not in FORK_NAMES]
    return {
        "types": _table("layer type", REPLACES, _rules(TYPES)),
        "words": _table("word", REPLACES, _rules(WORDS)),
        "gone": _table("word", "why it is not needed", _grouped({**COMPUTED, **READING})),
        "stays": ", ".join(f"`{name}`" for name in stays) + "\n",
    }


def _rules(rules: Mapping) -> Iterator[tuple[str, str]]:
    """The names of each rule, and what its function says of itself."""
    docs = {name: " ".join(rule.__doc__.split("\n\n")[0].split()) for name, rule in rules.items()}
    return _grouped(docs)


def _grouped(said: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for text in dict.fromkeys(said.values()):
        names = (f"`{name}`" for name, each in said.items() if each == text)
        yield ", ".join(names), text


def _table(head: str, meaning: str, rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| {head} | {meaning} |", "|---|---|"]
    return "".join(f"{line}\n" for line in [*lines, *(f"| {a} | {b} |" for a, b in rows)])


def written(page: str) -> str:
    """The page with the tables between their marks.

    Raises ValueError where it has no such marks.
    """
    for name, text in tables().items():
        before, begin, rest = page.partition(BEGIN.format(name))
        _, end, after = rest.partition(END.format(name))
        if not begin or not end:
            raise ValueError(f"{PAGE}: no marks for the table of {name}")
        page = before + begin + text + end + after
    return page


def main() -> None:
    """The page is written anew."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
