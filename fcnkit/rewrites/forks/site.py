"""One layer with words of a fork: what is known of it in all states, and how it is written anew."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fcnkit.edits import Edit
from fcnkit.formats.prototxt import Field, Prototxt, Word
from fcnkit.nets.graph import Layer
from fcnkit.plan import Move
from fcnkit.rewrites import changes
from fcnkit.rewrites.states import Known, States
from fcnkit.shape import Shape

Fields = list[tuple[str, object]]


class Kept(Exception):
    """A layer or a word that cannot be said in BVLC's words: the reason."""


class Change(NamedTuple):
    """What becomes of one layer; `others` are layers that are edited too, by where they stand."""

    edits: list[Edit]
    what: str
    why: str
    moves: Sequence[Move] = ()
    others: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class Site:
    """A layer in all the states that have it, and which words this Caffe has beside 1.0's."""

    work: States
    layer: Layer
    words: frozenset[str]
    names: set[str] = field(default_factory=set)

    @property
    def net(self) -> Prototxt:
        """The net that the layer stands in."""
        return self.work.net

    @property
    def bottom(self) -> str:
        """Its first bottom's name."""
        return self.layer.bottoms[0].blob

    @property
    def top(self) -> str:
        """Its first top's name."""
        return self.layer.tops[0].blob

    def states(self) -> list[tuple[Known, Layer]]:
        """The states that have the layer, and the layer as each of them has it."""
        return [
            (known, each)
            for known in self.work.each
            for each in known.graph.layers
            if each.field.start == self.layer.field.start
        ]

    def shape(self, number: int = 0) -> Shape:
        """The shape of a bottom, its batch aside the same in every state.

        Raises Kept where that is not known.
        """
        found = {known.shape(each.bottoms[number]) for known, each in self.states()}
        if None in found or len({shape[1:] for shape in found if shape}) != 1:
            raise Kept("the size of its input is not known; give it with --input")
        return next(shape for shape in found if shape is not None)

    def channels(self) -> int:
        """How many channels its first bottom has; Kept where that is not known."""
        found = {known.shapes.channels(each.bottoms[0]) for known, each in self.states()}
        if len(found) != 1 or None in found:
            raise Kept(
                "the number of its input channels is not known; give the input's shape with --input"
            )
        return next(count for count in found if count is not None)

    def readers(self, number: int = 0) -> list[Layer]:
        """The layers that read a top of it, in any state, each once."""
        found = {
            user.field.start: user
            for known, each in self.states()
            for user in known.graph.consumers[each.tops[number]]
        }
        return list(found.values())

    def producers(self, number: int = 0) -> list[Layer]:
        """The layers that make a bottom of it, in any state, each once."""
        found = [known.graph.producer(each.bottoms[number]) for known, each in self.states()]
        return list({layer.field.start: layer for layer in found}.values())

    def fresh(self, part: str) -> str:
        """A name for a new layer and its blob that nothing in the net has."""
        name = f"{self.layer.name}_{part}"
        while name in self._taken:
            name += "_"
        self.names.add(name)
        return name

    @property
    def _taken(self) -> set[str]:
        layers = self.work.layers
        blobs = {top.blob for layer in layers for top in layer.tops}
        return blobs | {layer.name for layer in layers} | self.names

    # ---- layers as they are written

    def made(
        self, part: str, kind: str, bottoms: Iterable[str], *more: tuple[str, object],
        tops: Sequence[str] = ()
    ) -> Fields:  # fmt: skip
        """A new layer, in the states of this one; its blob has its name unless `tops` say other."""
        name = self.fresh(part)
        found: Fields = [("name", name), ("type", kind)]
        found += [("bottom", bottom) for bottom in bottoms]
        found += [("top", top) for top in tops or (name,)]
        found += [(rule.name, plain(rule)) for rule in self.layer.field.all("include", "exclude")]
        return found + list(more)

    def retyped(self, kind: str, *new: tuple[str, object], gone: Sequence[str] = ()) -> list[Edit]:
        """The layer has another type; these fields stand in place of its fields called `gone`."""
        why, style = f'"{self.layer.name}" in BVLC\'s words', self.net.style
        word = self.layer.field.last("type")
        if word is None:
            raise Kept("it has no type")
        edits = [] if self.layer.type == kind else [changes.set_value(word, kind, why)]
        old = self.layer.field.all(*gone) if gone else []
        if any(one.listed for one in old):
            raise Kept(f'its "{old[0].name}" is written as a list; write it as one message')
        if new and old:
            edits.append(changes.in_place(old[0], new, style, why))
        elif new:
            edits.append(changes.inside(self.layer.field, new, style, why))
        return edits + [changes.taken_out(one, why) for one in old[1 if new else 0 :]]

    def reading(self, *bottoms: str) -> list[Edit]:
        """The layer reads these in place of what it read."""
        fields = self.layer.field.all("bottom")
        if any(one.listed for one in fields):
            raise Kept("its bottoms are written as a list; write one bottom on each line")
        edits = [
            changes.set_value(one, blob)
            for one, blob in zip(fields, bottoms, strict=False)
            if one.string != blob
        ]
        edits += [changes.removed(one) for one in fields[len(bottoms) :]]
        more = [("bottom", blob) for blob in bottoms[len(fields) :]]
        return edits + ([changes.beside(fields[-1], more, self.net.style)] if more else [])

    def making(self, top: str) -> list[Edit]:
        """The layer writes its first top under this name."""
        return [changes.set_value(self.layer.field.all("top")[0], top)]

    def ahead(self, *layers: Fields) -> Edit:
        """New layers before this one."""
        return changes.before(self.net, self.layer.field, layers, f'before "{self.layer.name}"')

    def behind(self, *layers: Fields) -> Edit:
        """New layers behind this one."""
        return changes.appended(self.net, self.layer.field, layers, f'behind "{self.layer.name}"')

    def apart(self) -> tuple[str, list[Edit], frozenset[int]]:
        """What the layer reads under a name of its own, where it works in place.

        Caffe lets one layer alone read a blob that is overwritten.
        """
        if self.bottom != self.top:
            return self.bottom, [], frozenset()
        name, blob = self.fresh("before"), self.bottom
        earlier = {
            each.field.start: each
            for known, own in self.states()
            for each in known.graph.layers[: own.index]
            if any(top.blob == blob for top in (*each.tops, *each.bottoms))
        }
        if any(layer.field.name != "layer" for layer in earlier.values()):
            raise Kept("it works in place on an input of the net; give its top another name")
        edits = changes.renamed_blob(earlier.values(), blob, name)
        return name, edits, frozenset(earlier)


def plain(one: Field) -> object:
    """A field's value as `render` takes it."""
    if one.fields is None:
        return Word(one.raw)
    return [(each.name, plain(each)) for each in one.fields]


def given(layer: str, blob: int, shape: Shape, values: Sequence[float], kind: str) -> Move:
    """A blob of these values, for a new layer of this type."""
    return Move(layer, blob, shape, None, "given", (tuple(values), kind))


def placed(layer: str, shape: Shape, ones: Sequence[int], kind: str) -> Move:
    """Weights of zero, but for ones at these places."""
    return Move(layer, 0, shape, None, "placed", (tuple(ones), kind))


FIXED: tuple[str, object] = ("param", [("lr_mult", 0), ("decay_mult", 0)])
"""What keeps weights as they are made."""
