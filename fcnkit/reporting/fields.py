"""The section of offsets and receptive fields: what a cell of each layer sees of an image."""

from typing import NamedTuple

from fcnkit.drawing.draw import Drawing
from fcnkit.drawing.fields import draw_fields, layers_of
from fcnkit.errors import NetError
from fcnkit.inspection import LayerRow
from fcnkit.reporting.pictures import Album
from fcnkit.reporting.runs import images_of
from fcnkit.reporting.section import Section
from fcnkit.reporting.subject import Subject
from fcnkit.reporting.words import brief, seen

# Cells nearer than this part of the image's width are not drawn one by one.
_APART = 1 / 120


class Seen(NamedTuple):
    """What the cell nearest to the middle of the image sees, in pixels of the image: its rectangle,
    and where the first cell lies and how far the next one, on each axis, y before x.
    """

    name: str
    cells: tuple[int, int]
    first: tuple[float, float]
    step: tuple[float, float]
    field: tuple[int, int]
    corner: tuple[float, float]
    middle: tuple[float, float]
    dotted: bool


def section(of: Subject, album: Album) -> Section | None:
    """What each layer sees; None where no layer has cells that lie over an image."""
    if of.net is None:
        return None
    try:
        rows = [row for row, _ in layers_of(of.net, inputs=of.wishes.inputs)]
        wide = draw_fields(of.net, inputs=of.wishes.inputs)
    except NetError:
        return None
    height, width = _size(rows[0])
    found = [_seen(row, (height, width)) for row in rows[1:]]
    layers = [each for each in found if each is not None]
    if not layers:
        return None
    images = images_of(of)
    values = {
        "layers": layers,
        "view": _view(layers, height, width),
        "height": height,
        "width": width,
        "image": album.photo(images[0].pixels, f"The image {images[0].said}") if images else None,
        "wide": _svg(wide),
    }
    summary = "The red frame is what the marked cell sees; the dots are the centres of the cells."
    return Section("fields", "Receptive fields", values, summary)


def _size(row: LayerRow) -> tuple[int, int]:
    shape = (1, 1, *(row.shape or (1,)))
    return shape[-2], shape[-1]


def _view(layers: list[Seen], height: int, width: int) -> str:
    """The part of the plane that is shown: the image, and what is seen around it, up to a half."""
    ends = []
    for axis, size in ((1, width), (0, height)):
        out = max(
            max(-each.corner[axis], each.corner[axis] + each.field[axis] - size) for each in layers
        )
        ends.append((size, min(max(out, 0), size / 2) + size / 50))
    (wide, left), (tall, top) = ends
    return f"{-0.5 - left:.1f} {-0.5 - top:.1f} {wide + 2 * left:.1f} {tall + 2 * top:.1f}"


def _seen(row: LayerRow, size: tuple[int, int]) -> Seen | None:
    """The cells of a layer over an image of this size; None where they lie on one axis alone."""
    if row.scale is None or row.offset is None or row.field is None or len(row.scale) < 2:
        return None
    cells = _size(row)
    axes = [
        _axis(cells[axis], float(row.scale[axis - 2]), float(row.offset[axis - 2]), size[axis])
        for axis in (0, 1)
    ]
    field = (row.field[-2], row.field[-1])
    first, step, middle = zip(*axes, strict=True)
    corner = tuple(at - (field[axis] - 1) / 2 - 0.5 for axis, at in enumerate(middle))
    dotted = min(step[axis] / size[axis] for axis in (0, 1)) >= _APART
    return Seen(
        brief(seen(row.name), 60), cells, first, step, field, (corner[0], corner[1]), middle, dotted
    )


def _axis(cells: int, scale: float, offset: float, size: int) -> tuple[float, float, float]:
    """Where the first cell lies, how far the next, and the one nearest to the image's middle."""
    step = 1 / scale
    first = -offset * step
    nearest = min(max(round(((size - 1) / 2 - first) / step), 0), cells - 1)
    return first, step, first + nearest * step


def _svg(drawing: Drawing) -> str:
    from markupsafe import Markup

    return Markup(seen(drawing.text))
