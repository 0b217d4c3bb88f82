"""What a comparison gives: its Differences, and with what they were found."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fcnkit.engines.engine import Engine
from fcnkit.errors import WeightsError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.tables import fold
from fcnkit.verifying.differences import Difference, proven, shown
from fcnkit.verifying.proof import digest
from fcnkit.weights.store import GivenWeights, Weights

_DIGITS = 16  # of a digest, as `fcnkit verify` shows it


class Read(NamedTuple):
    """A net or a weights file that was compared, under its name.

    `stamp` is the size and the time of a file when it was read: what is there later may be another.
    `side` is "old" or "new" where two nets were compared.
    """

    name: str
    content: Prototxt | str
    stamp: tuple[int, int] | None = None
    side: str = ""

    @classmethod
    def of(cls, content: "Prototxt | GivenWeights") -> "Read | None":
        """What there is to say of a net or of weights; None where none were given."""
        if content is None:
            return None
        if isinstance(content, Prototxt):
            return cls(content.path, content)
        if isinstance(content, Weights):
            file = content.unchanged_file
            if file is None:
                return cls(f"weights computed from {content.path}, in no file", "")
            return cls(content.path, str(file), content.source.stamp if content.source else None)
        name = os.fspath(content)
        return cls(name, name, _stamp(name))

    @property
    def digest(self) -> str:
        """The first digits of its SHA-256, or why there is none; "" for weights in no file."""
        if isinstance(self.content, Prototxt):
            return f"sha256 {digest(self.content)[:_DIGITS]}"
        if not self.content:
            return ""
        try:
            found = f"sha256 {digest(self.content)[:_DIGITS]}"
        except WeightsError:
            return "which is gone"
        return found if _stamp(self.content) == self.stamp else "which has changed since"


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


class Made(NamedTuple):
    """With what a comparison was made: the engine, what the nets were given, and the files."""

    engine: str
    version: str
    given: str
    tolerance: float
    files: tuple[Read, ...] = ()

    @classmethod
    def by(
        cls,
        engine: Engine,
        given: str,
        tolerance: float,
        *contents: "Prototxt | GivenWeights",
    ) -> "Made":
        """The same of an engine, and of the nets and weights that it has run."""
        sides = ("old", "old", "new", "new") if len(contents) == 4 else ("",) * len(contents)
        found = [
            read._replace(side=side)
            for read, side in zip(map(Read.of, contents), sides, strict=True)
            if read
        ]
        return cls(engine.name, engine.version, given, tolerance, tuple(found))

    @property
    def text(self) -> str:
        """The lines that say so."""
        head = f"by {self.engine} {self.version}".rstrip()
        lines = [f"{head}; on {self.given}; tolerance {self.tolerance:g}"]
        for each in self.files:
            words = ", ".join(filter(None, (each.name, each.digest)))
            lines.append(f"{each.side}: {words}" if each.side else words)
        return "\n".join(lines)


def given_words(inputs: Mapping[str, Any], seed: int) -> str:
    """What the nets were given: noise, or the arrays of some inputs."""
    arrays = [name for name, value in inputs.items() if not isinstance(value, tuple)]
    return f"the arrays of {', '.join(arrays)}" if arrays else f"noise of seed {seed}"


class Differences(tuple[Difference, ...]):
    """The result of one comparison: a tuple of Differences, which a notebook shows as a table.

    `made` says how the comparison was made (engine, input, files); None if that is not known.
    """

    made: Made | None = None

    @classmethod
    def of(cls, rows: Iterable[Difference], made: Made) -> "Differences":
        """Makes the result of these rows and of how they were found."""
        found = cls(rows)
        found.made = made
        return found

    @property
    def proven(self) -> bool:
        """Whether all outputs are equal, and no layer is without an effect on what was compared."""
        return proven(self)

    def __str__(self) -> str:
        """A paragraph for each output, and how it was made, in lines of at most 80 columns."""
        lines = [line for row in self for line in (row.head, *(f"  {note}" for note in row.notes))]
        return fold("\n".join([*lines, *([self.made.text] if self.made else [])]), 80)

    def _repr_html_(self) -> str:
        return shown(self, self.made.text if self.made else "")
