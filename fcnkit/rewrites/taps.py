"""The taps of a kernel, and the words that say a window."""

from collections.abc import Sequence

from fcnkit.formats.prototxt import Field
from fcnkit.nets.graph import Layer
from fcnkit.shape import Shape

# Along one axis of the weights, what each new slice is made of; see Move's "mix".
Rows = tuple[int, tuple[tuple[tuple[int, float], ...], ...]]


def each_axis(name: str, values: Sequence[int], *, axes: str = "") -> list[tuple[str, object]]:
    """One value for all axes where they agree; else name_h and name_w, or one for each.

    `axes` is what comes before _h and _w where that is not the name, as in kernel_size.
    """
    if len(set(values)) == 1:
        return [(name, values[0])]
    if len(values) == 2:
        return [(f"{axes or name}_h", values[0]), (f"{axes or name}_w", values[1])]
    return [(name, value) for value in values]


def kernel_fields(kernel: Sequence[int]) -> list[tuple[str, object]]:
    """kernel_size where it is the same on each axis; kernel_h and kernel_w, or one for each."""
    return each_axis("kernel_size", kernel, axes="kernel")


def shifted(old: Shape, new: Shape, first: Sequence[int]) -> tuple[Rows, ...]:
    """Where a kernel's taps go in a larger one, whose first taps are so many zeros, by axis.

    For a move "mix" of weights that have the kernel behind two axes.
    """
    return tuple(
        (2 + axis, tuple(((at - start, 1.0),) if 0 <= at - start < size else ()
                         for at in range(larger)))
        for axis, (size, larger, start) in enumerate(zip(old, new, first, strict=True))
    )  # fmt: skip


def bilinear_fillers(layer: Layer) -> list[Field]:
    """The layer's fillers that make a tent of its kernel: another kernel is none of theirs."""
    return [
        field
        for param in layer.field.all("convolution_param")
        for field in param.all("weight_filler")
        if (kind := field.last("type")) is not None and kind.string == "bilinear"
    ]
