"""What `infer` prints of one image: the share of each class, and the windows of coarse scores."""

from collections.abc import Iterator, Sequence

# Lines about the classes and the windows of one image; the JSON has all.
_LINES = 12


def lines(record: dict) -> Iterator[str]:
    """The lines about an image's record, as the JSON file has it."""
    yield from _shares(record)
    yield from _windows(record)


def _shares(record: dict) -> Iterator[str]:
    classes = record.get("classes", ())
    if classes:
        yield "share of the pixels for which each class is the most likely:"
    for each in classes[:_LINES]:
        yield f"{each['share']:7.2%}  {_named(each)}"
    rest = classes[_LINES:]
    if rest:
        yield f"{sum(each['share'] for each in rest):7.2%}  {len(rest)} more"
    bare = 1 - sum(each["share"] for each in classes)
    if classes and bare > 0.00005:
        yield f"{bare:7.2%}  without a score: no window of the net has its centre near them"


def _windows(record: dict) -> Iterator[str]:
    """The classes of the whole image, then its windows, those first that are surest."""
    windows = record.get("windows", ())
    if not windows:
        return
    count = f"{record['rows']} x {record['columns']} windows"
    yield f"{count}; the mean probability of the most likely classes:"
    for guess in record["top"]:
        yield f"{guess['probability']:7.2%}  {_named(guess)}"
    yield "for each class, the window that is surest of it: x and y of its centre, and its classes:"
    shown = _surest(windows)[:_LINES]
    for window in shown:
        first, *others = window["top"]
        # A class that would be printed as 0% says nothing.
        likely = [first, *(guess for guess in others if guess["probability"] >= 0.005)]
        top = "; ".join(f"{guess['probability']:4.0%} {_short(guess)}" for guess in likely)
        yield f"{window['x']:6.1f} {window['y']:6.1f}  {top}"
    if len(windows) > len(shown):
        yield f"and {len(windows) - len(shown):,} more, in the JSON file"


def _surest(windows: Sequence[dict]) -> list[dict]:
    """Of each class that is the likeliest of a window,
    the one most sure of it; the most sure first.
    """
    found: dict[int, dict] = {}
    for window in sorted(windows, key=lambda window: -window["top"][0]["probability"]):
        found.setdefault(window["top"][0]["class"], window)
    return list(found.values())


def _named(each: dict) -> str:
    number, name = str(each["class"]), each["name"]
    return name if name == number else f"{number} {name}"


def _short(each: dict) -> str:
    """Number and name as they fit beside others: of synonyms the first."""
    return _named({**each, "name": each["name"].split(",")[0][:32]})
