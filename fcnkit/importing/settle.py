"""A tensor that stands in a blob in another arrangement becomes a blob of its own."""

from collections.abc import Sequence
from math import prod
from typing import Any

from fcnkit.importing.held import Held
from fcnkit.importing.site import Refusal, Site
from fcnkit.shape import Shape


def plain(site: Site, at: int = 0) -> Held:
    """An input as a blob that is the tensor itself; layers are added where it takes them."""
    found = site.held[site.input(at)] = settled(site, site.x(at))
    return found


def settled(site: Site, held: Held) -> Held:
    """A blob that is the tensor itself, by the fewest layers of stock Caffe.

    Raises Refusal where none makes it.
    """
    if not held.moves:
        return held
    shapes = [tuple(held.indices(trial).shape) for trial in range(len(held.sizes))]
    if held.flat:
        dims = _reshape(held.sizes, shapes)
        if dims == [0, -1] and len(held.sizes[0]) > 1:
            return site.add("Flatten", [held], shapes=shapes, part="flat")
        fields = [("reshape_param", [("shape", [("dim", size) for size in dims])])]
        return site.add("Reshape", [held], fields, shapes=shapes, part="reshape")
    for form in (_channels, _to_space, _to_depth):
        found = form(site, held, shapes)
        if found is not None:
            return found
    axes = held.transposition
    if axes is not None and site.has("Permute"):
        orders = [("order", axis) for axis in axes]
        return site.add(
            "Permute", [held], [("permute_param", orders)], shapes=shapes, part="permute"
        )
    raise Refusal(
        "it needs its input's axes in another order, for which only forks have a layer "
        "(Permute, --for ssd)"
    )


def _reshape(old: Sequence[Shape], new: Sequence[Shape]) -> list[int]:
    """The sizes of a Reshape that gives these shapes at every size that was tried.

    A size is copied where it is its bottom's, and at most one is left to Caffe.
    """
    dims: list[int | None] = []
    for axis in range(len(new[0])):
        sizes = {shape[axis] for shape in new}
        copied = all(
            axis < len(was) and was[axis] == its[axis] for was, its in zip(old, new, strict=True)
        )
        dims.append(0 if copied else sizes.pop() if len(sizes) == 1 else None)
    free = [axis for axis, size in enumerate(dims) if size is None]
    if len(free) > 1:
        raise Refusal(
            "it makes a shape with two sizes that depend on the input; fix them with --input"
        )
    if not free:
        named = [axis for axis, size in enumerate(dims) if size]
        free = named[-1:]  # Caffe's own habit, and right at other batches too
    return [-1 if axis in free else size or 0 for axis, size in enumerate(dims)]


def one_hot(chosen: Sequence[tuple[int, ...]], shape: Shape) -> Any:
    """Weights that are zero but for a one at each of these places."""
    import numpy as np

    weights = np.zeros(shape, np.float32)
    for place in chosen:
        weights[place] = 1
    return weights


def _four(held: Held, shapes: Sequence[Shape]) -> bool:
    return all(len(sizes) == 4 for sizes in (*held.sizes, *shapes))


def _channels(site: Site, held: Held, shapes: Sequence[Shape]) -> Held | None:
    """The channels in another order: a 1 x 1 Convolution of ones and zeros."""
    if not _four(held, shapes) or tuple(shapes) != held.sizes:
        return None
    order = [int(index) // prod(held.sizes[0][2:]) for index in held.indices(0)[0, :, 0, 0]]
    for trial, sizes in enumerate(held.sizes):
        if not _is(held, trial, _plain(sizes)[:, order]):
            return None
    weights = one_hot([(at, its, 0, 0) for at, its in enumerate(order)], (*[len(order)] * 2, 1, 1))
    site.say("a 1 x 1 Convolution", "it puts the channels in another order")
    return convolution(site, held, weights, shapes=shapes, part="shuffle")


def _plain(sizes: Shape) -> Any:
    import numpy as np

    return np.arange(prod(sizes)).reshape(sizes)


def _is(held: Held, trial: int, wanted: Any) -> bool:
    index = held.indices(trial)
    return index.shape == wanted.shape and bool((index == wanted).all())


def _to_space(site: Site, held: Held, shapes: Sequence[Shape]) -> Held | None:
    """Channels become the pixels of a block: a Deconvolution of ones and zeros."""
    ratio = _ratio(held.sizes, shapes)
    if ratio is None:
        return None
    tall, wide = ratio
    first = held.indices(0)
    area = prod(held.sizes[0][2:])
    count, inputs = shapes[0][1], held.sizes[0][1]
    chosen = [
        (int(first[0, channel, y, x]) // area, channel, y, x)
        for channel in range(count)
        for y in range(tall)
        for x in range(wide)
    ]
    for trial, (sizes, made) in enumerate(zip(held.sizes, shapes, strict=True)):
        import numpy as np

        plain, wanted = _plain(sizes), np.empty(made, int)
        for source, channel, y, x in chosen:
            if source >= inputs:
                return None
            wanted[:, channel, y::tall, x::wide] = plain[:, source]
        if not _is(held, trial, wanted):
            return None
    weights = one_hot(chosen, (inputs, count, tall, wide))
    site.say("a Deconvolution", "it turns channels into blocks of pixels")
    return _windowed(site, "Deconvolution", held, weights, ratio, shapes, "to_space")


def _to_depth(site: Site, held: Held, shapes: Sequence[Shape]) -> Held | None:
    """The pixels of a block become channels: a Convolution of ones and zeros."""
    ratio = _ratio(shapes, held.sizes)
    if ratio is None:
        return None
    tall, wide = ratio
    first = held.indices(0)
    _, inputs, height, width = held.sizes[0]
    count = shapes[0][1]
    chosen = []
    for channel in range(count):
        index = int(first[0, channel, 0, 0])
        source, y, x = index // (height * width), index // width % height, index % width
        if y >= tall or x >= wide or source >= inputs:
            return None
        chosen.append((channel, source, y, x))
    for trial, (sizes, made) in enumerate(zip(held.sizes, shapes, strict=True)):
        import numpy as np

        plain, wanted = _plain(sizes), np.empty(made, int)
        for channel, source, y, x in chosen:
            wanted[:, channel] = plain[:, source, y::tall, x::wide]
        if not _is(held, trial, wanted):
            return None
    weights = one_hot(chosen, (count, inputs, tall, wide))
    site.say("a Convolution", "it turns blocks of pixels into channels")
    return _windowed(site, "Convolution", held, weights, ratio, shapes, "to_depth")


def _ratio(small: Sequence[Shape], large: Sequence[Shape]) -> tuple[int, int] | None:
    """How many times as high and as wide, in whole numbers that are the same at every size."""
    if any(len(sizes) != 4 for sizes in (*small, *large)):
        return None
    pairs = list(zip(small, large, strict=True))
    found = {(big[2] // its[2], big[3] // its[3]) for its, big in pairs}
    whole = all(big[axis] % its[axis] == 0 for its, big in pairs for axis in (2, 3))
    if len(found) != 1 or not whole or (ratio := found.pop()) == (1, 1):
        return None
    return ratio


def _windowed(
    site: Site,
    kind: str,
    held: Held,
    weights: Any,
    stride: tuple[int, int],
    shapes: Sequence[Shape],
    part: str,
) -> Held:
    outputs = weights.shape[0 if kind == "Convolution" else 1]
    fields = [
        ("num_output", outputs),
        ("bias_term", False),
        *sizes_of(("kernel_size", "kernel"), stride),
        *sizes_of(("stride", "stride"), stride),
    ]
    return site.add(
        kind, [held], [("convolution_param", fields)], blobs=[weights], shapes=shapes, part=part
    )


def convolution(
    site: Site, x: Held, weights: Any, *, shapes: Sequence[Shape] | None = None, part: str
) -> Held:
    """A 1 x 1 Convolution with these weights, without a bias."""
    count = weights.shape[0]
    shapes = shapes or [(sizes[0], count, *sizes[2:]) for sizes in x.sizes]
    fields = [("num_output", count), ("bias_term", False), ("kernel_size", 1)]
    return site.add(
        "Convolution",
        [x],
        [("convolution_param", fields)],
        blobs=[weights],
        shapes=shapes,
        part=part,
    )


def sizes_of(names: tuple[str, str], values: Sequence[int]) -> list[tuple[str, object]]:
    """kernel_size, stride or pad: one number, height and width, or one for each axis."""
    one, two = names
    if len(set(values)) == 1:
        return [(one, values[0])]
    if len(values) == 2:
        return [(f"{two}_h", values[0]), (f"{two}_w", values[1])]
    return [(one, value) for value in values]
