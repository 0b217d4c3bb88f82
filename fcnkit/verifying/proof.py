"""What a comparison was made with: the engine and its version, the input, the files."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fcnkit.engines.engine import Engine
from fcnkit.errors import WeightsError, error_text
from fcnkit.formats.prototxt import Prototxt
from fcnkit.verifying.differences import Difference, proven

_SHOWN = 16  # digits of a digest in text; JSON has all
_PIECE = 1 << 20


@dataclass(frozen=True)
class Proof:
    """The comparisons of two nets by one or several engines.

    `rows` are the Differences by the engine's name, `versions` the engines' own;
    `files` the SHA-256 of each file that was read, by its name; `given` what the nets
    were given, as "noise, seed 0".
    """

    rows: Mapping[str, Sequence[Difference]]
    versions: Mapping[str, str]
    given: str
    tolerance: float
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def proven(self) -> bool:
        """Whether each engine shows that nothing differs."""
        return all(map(proven, self.rows.values()))

    def json(self) -> dict[str, Any]:
        """The proof as plain lists, dicts, strings and numbers."""
        return {
            "proven": self.proven,
            "given": self.given,
            "tolerance": self.tolerance,
            "files": dict(self.files),
            "engines": [
                {
                    "engine": name,
                    "version": self.versions[name],
                    "outputs": [row._asdict() | {"ok": row.ok, "shows": row.shows} for row in rows],
                }
                for name, rows in self.rows.items()
            ],
        }

    @property
    def record(self) -> str:
        """The lines that say what it was made with."""
        engines = ", ".join(f"{name} {self.versions[name]}".strip() for name in self.rows)
        lines = [f"by {engines}; on {self.given}; tolerance {self.tolerance:g}"]
        lines += [f"sha256 {digest[:_SHOWN]}  {name}" for name, digest in self.files.items()]
        return "".join(f"{line}\n" for line in lines)


def versions_of(engines: Sequence[Engine]) -> dict[str, str]:
    """The version of each engine by its name."""
    return {engine.name: engine.version for engine in engines}


def digest(content: "str | os.PathLike[str] | Prototxt") -> str:
    """The SHA-256 of a file's bytes, or of a net's text.

    Raises WeightsError for a file that cannot be read.
    """
    if isinstance(content, Prototxt):
        return hashlib.sha256(content.text.encode("utf-8", "surrogateescape")).hexdigest()
    found = hashlib.sha256()
    try:
        with open(content, "rb") as file:
            while piece := file.read(_PIECE):
                found.update(piece)
    except OSError as error:
        name = os.fspath(content)
        raise WeightsError(f"{name}: cannot be read: {error_text(error)}; check it") from error
    return found.hexdigest()
