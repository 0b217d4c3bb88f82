"""Every type of the table through every rewrite: what is tried, and what becomes of it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from itertools import product
from typing import NamedTuple

from type_deeds import DEEDS
from type_nets import POSITIONS, X, planned
from type_oracle import Asked, asked
from type_text import LAYOUTS, fields_of, generations, written
from type_tried import EQUAL, Answer, Tried, start

from fcnkit.engines.caffe import Question
from fcnkit.errors import EngineError, FcnkitError, WeightsError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.layers.table import TYPES
from fcnkit.plan import Plan

REFUSED = "refused"
# Types that make one value of one value, each by itself: what rewrites do to one they do to all.
_OF_CAFFE = "ReLU ELU Sigmoid TanH Swish Clip AbsVal BNLL Power Exp Log Threshold Dropout"
_OF_FORKS = "ReLU6 HardSwish HardSigmoid Mish"
VALUE_WISE = (*_OF_CAFFE.split(), *_OF_FORKS.split())


class Case(NamedTuple):
    """A layer type in a position of a net, written in some way, and the rewrite of that net."""

    kind: str
    deed: str
    position: str
    generation: str
    layout: str


# ---- which cases


def cases() -> Iterator[Case]:
    """The full product."""
    for kind, deed in product(TYPES, DEEDS):
        for position, generation, layout in product(POSITIONS, generations(kind), LAYOUTS):
            if planned(kind, position):
                yield Case(kind, deed, position, generation, layout)


@lru_cache(maxsize=1)
def cover() -> tuple[Case, ...]:
    """Every type with every rewrite, and every other pair of what makes a case, at least once."""
    todo = {pair for case in cases() for pair in _pairs(case)}
    chosen: list[Case] = []
    for kind, deed in product(TYPES, DEEDS):
        chosen.append(_best(kind, deed, todo))
        todo.difference_update(_pairs(chosen[-1]))
    for case in cases():
        if todo.intersection(_pairs(case)):
            chosen.append(case)
            todo.difference_update(_pairs(case))
    return tuple(chosen)


def _pairs(case: Case) -> list[tuple]:
    return [(a, b, case[a], case[b]) for a in range(5) for b in range(a)]


def _best(kind: str, deed: str, todo: set) -> Case:
    """The way of trying these two that covers the most new pairs; among equals they take turns."""
    turn = list(TYPES).index(kind) * 5 + list(DEEDS).index(deed) * 3
    ways = [
        Case(kind, deed, *way)
        for way in product(POSITIONS, generations(kind), LAYOUTS)
        if planned(kind, way[0])
    ]
    turned = ways[turn % len(ways) :] + ways[: turn % len(ways)]
    return max(turned, key=lambda case: sum(pair in todo for pair in _pairs(case)))


# ---- what becomes of them


class Fate(NamedTuple):
    """A case and its word: EQUAL, "kept: why", "refused: why", or what is wrong."""

    case: Case
    word: str

    @property
    def wrong(self) -> bool:
        """Whether it is none of what may be."""
        return not self.word.startswith((EQUAL, "kept", REFUSED))


def fates(tried: Iterable[Case], caffe) -> list[Fate]:
    """What becomes of each case, for two starts of Caffe.

    Nets that read the same, whatever their layout, are asked about once.
    """
    tried = list(tried)
    plans = [_planned(case) for case in tried]
    keys = {
        at: _reading(tried[at], plan) for at, plan in enumerate(plans) if isinstance(plan, Plan)
    }
    new = {key: at for at, key in keys.items() if key not in _words}
    _ask_before([tried[at] for at in new.values()], caffe)
    answers = {key: _judged(tried[at], plans[at]) for key, at in new.items()}
    posed = [one for each in answers.values() if isinstance(each, Answer) for one in each.asked]
    found = iter(caffe.ask([_question(one) for one in posed]))
    for key, one in answers.items():
        answered = isinstance(one, Answer)
        _words[key] = _word(one, [next(found) for _ in one.asked]) if answered else one
    return [
        Fate(case, _words[keys[at]] if at in keys else plans[at]) for at, case in enumerate(tried)
    ]


_words: dict[tuple, str] = {}


def _reading(case: Case, plan: Plan) -> tuple:
    """What the plan comes to: its net, however it is laid out, and its moves."""
    digest = blake2b(repr((fields_of(plan.net.root), plan.moves, plan.offsets)).encode())
    return case.kind, case.position, case.deed, digest.digest()


def _planned(case: Case) -> Plan | str:
    """The plan, or the word where there is none."""
    begin = started(case.kind, case.position)
    try:
        plan = DEEDS[case.deed].act(begin, _text(case))
    except FcnkitError as error:
        return _refusal(case, error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if not plan.changed and not plan.moves and DEEDS[case.deed].before is None:
        return _unlike_relu(case, plan) or _unchanged(plan)
    return _unlike_relu(case, plan) or plan


def _unchanged(plan: Plan) -> str:
    kept = [step.why for step in plan.steps if step.verb == "keep"]
    return f"kept: {kept[0]}" if kept else f"{EQUAL}: nothing changed"


def _text(case: Case) -> Prototxt:
    return written(planned(case.kind, case.position).specs, case.generation, case.layout)


@cache
def started(kind: str, position: str) -> Tried:
    """The net of a type in a position, before any rewrite."""
    return start(planned(kind, position))


def _refusal(case: Case, error: FcnkitError) -> str:
    if isinstance(error, EngineError) or not _PLACE.match(str(error)):
        return f"{type(error).__name__} without a place and a reason: {error}"
    return _unlike_relu(case, error) or f"{REFUSED}: {error}"


_PLACE = re.compile(r"(net\.prototxt(:\d+)?|new weights): .{20}")


def _unlike_relu(case: Case, outcome: "Plan | FcnkitError") -> str:
    """What a rewrite does to a ReLU and not to another type that makes one value of one."""
    if case.kind not in VALUE_WISE or case.kind == "ReLU" or not planned("ReLU", case.position):
        return ""
    wanted, found = _relu(case.deed, case.position, case.generation), _done(outcome)
    return "" if wanted == found else f"it is {found}, and with a ReLU {wanted}"


@cache
def _relu(deed: str, position: str, generation: str) -> str:
    net = written(planned("ReLU", position).specs, generation, "lines")
    try:
        return _done(DEEDS[deed].act(started("ReLU", position), net))
    except FcnkitError as error:
        return _done(error)


def _done(outcome: "Plan | FcnkitError") -> str:
    if not isinstance(outcome, Plan):
        return "a refusal"
    done = Counter(f"{step.verb} {step.layer}" for step in outcome.steps if step.layer != X)
    return ", ".join(sorted(done.elements())) or "nothing"


# ---- Caffe


_before: dict[tuple, object] = {}


def _key(case: Case) -> tuple:
    return case.kind, case.position, DEEDS[case.deed].before and case.deed


def _ask_before(tried: Sequence[Case], caffe) -> None:
    """What Caffe computes of each net before is known; asked once for all rewrites."""
    new = {_key(case): case for case in tried if _key(case) not in _before}
    found = caffe.ask([_asked_before(case) for case in new.values()])
    _before.update(zip(new, found, strict=True))


def _asked_before(case: Case) -> Question:
    begin, change = started(case.kind, case.position), DEEDS[case.deed].before
    found = asked(begin.net, begin.weights, begin.values, begin.given)
    return _question(change(begin, found) if change else found)


def _judged(case: Case, plan: Plan) -> "Answer | str":
    """What to ask of the net after; or the word where that is known."""
    before = _before[_key(case)]
    if isinstance(before, Exception):
        return f"Caffe refuses the net before: {before}"
    try:
        answer = DEEDS[case.deed].judge(started(case.kind, case.position), plan, before)
        return answer if any(one.blobs for one in answer.asked) else answer.verdict({})
    except WeightsError as error:
        return _refusal(case, error)
    except FcnkitError as error:
        return f"the net after is none: {error}"
    except Exception as error:
        raise RuntimeError(f"{case}") from error


def _question(found: Asked) -> Question:
    return Question("run", found.net, found.weights, found.values, found.blobs)


def _word(answer: Answer, found: Sequence[object]) -> str:
    for one in found:
        if isinstance(one, Exception):
            return f"Caffe refuses the net after: {one}"
    return answer.verdict(*found)
