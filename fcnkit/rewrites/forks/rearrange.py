"""The same numbers elsewhere in BVLC's words: shuffled channels, axes in another order, crops."""

from math import prod

from fcnkit.errors import AlignError, NetError
from fcnkit.nets import coords
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import canonical, show
from fcnkit.nets.layers.forks import CHANNELS_FIRST, PLACES_FIRST, permute_order
from fcnkit.nets.layers.table import axis_of, of, transposes
from fcnkit.nets.layers.traits import Trait
from fcnkit.plan import Move
from fcnkit.rewrites.changes import removed, set_value, taken_out
from fcnkit.rewrites.forks.site import FIXED, Change, Fields, Kept, Site, placed
from fcnkit.shape import Shape

MADE = "its weights are computed, so it needs a weights file"


def shuffle_channel(site: Site) -> Change:
    """1 x 1 Convolution of zeros and ones; it needs a weights file."""
    channels, group = site.channels(), site.layer.param("shuffle_channel_param").get("group")
    if site.bottom == site.top:
        raise Kept("it works in place, which a Convolution cannot; give its top another name")
    if len(site.shape()) != 4:
        raise Kept("its input does not have 4 axes, which a Convolution needs")
    each = channels // group
    ones = [new * channels + (new % group) * each + new // group for new in range(channels)]
    fields = [("num_output", channels), ("bias_term", False), ("kernel_size", 1)]
    edits = site.retyped(
        "Convolution", FIXED, ("convolution_param", fields), gone=("shuffle_channel_param",)
    )
    moves = [placed(site.layer.name, (channels, channels, 1, 1), ones, "Convolution")]
    what = "ShuffleChannel -> 1 x 1 Convolution of 0 and 1"
    return Change(edits, what, f"BVLC has no permutation of channels; {MADE}", moves)


def depth_to_space(site: Site) -> Change:
    """Deconvolution of zeros and ones, if its channels are the second axis; it needs a weights
    file.
    """
    param = site.layer.param("depth_to_space_param")
    order = param.get("data_format")
    if order not in PLACES_FIRST + CHANNELS_FIRST:
        raise Kept("its channels are the last axis, or in an unknown order")
    return _finer(site, param.get("block_size"), order in PLACES_FIRST)


def pixel_shuffle(site: Site) -> Change:
    """As DepthToSpace; the values of a block lie in consecutive channels."""
    block = site.layer.param("reshape_param").get("pixelshuffler")
    if block == 1:
        gone = [
            taken_out(one)
            for param in site.layer.field.all("reshape_param")
            for one in param.all("pixelshuffler")
        ]
        return Change(gone, "pixelshuffler taken out", "blocks of 1 change nothing")
    return _finer(site, block, places_first=False)


def _finer(site: Site, block: int, places_first: bool) -> Change:
    """Channel p D + d, or d P + p, goes to place p of P in each block of channel d of D."""
    kind, channels = site.layer.type, site.channels()
    if site.bottom == site.top:
        raise Kept("it works in place, which a Deconvolution cannot; give its top another name")
    area = block**2
    depth = channels // area
    ones = [
        (source * depth + channel) * area + place
        for place in range(area)
        for channel in range(depth)
        for source in (place * depth + channel if places_first else channel * area + place,)
    ]
    fields = [("num_output", depth), ("bias_term", False), ("kernel_size", block)]
    fields += [("stride", block)]
    edits = site.retyped(
        "Deconvolution", FIXED, ("convolution_param", fields), gone=(of(site.layer).message,)
    )
    moves = [placed(site.layer.name, (channels, depth, block, block), ones, "Deconvolution")]
    what = f"{kind} -> Deconvolution of 0 and 1"
    return Change(edits, what, f"each channel becomes a place of each block; {MADE}", moves)


def squeeze(site: Site) -> Change:
    """Reshape without the axes of size 1."""
    shape = site.shape()
    named = {canonical(site.layer, axis, len(shape))
             for axis in site.layer.param("squeeze_param").list("axis")}  # fmt: skip
    axes = [at for at, size in enumerate(shape) if (at not in named if named else size != 1)]
    return _reshaped(site, shape, axes, "axes of 1 are left out", ("squeeze_param",))


def _reshaped(site: Site, shape: Shape, axes: list[int], why: str, gone: tuple[str, ...]) -> Change:
    """The axes of a shape that stay, in their order: as a Reshape, the first that moves free."""
    if not axes:
        raise Kept("it has only axes of size 1, and Reshape cannot make a blob without axes")
    dims, free = list[tuple[str, object]](), True
    for new, old in enumerate(axes):
        if new == old:
            dims.append(("dim", 0))
        else:
            dims.append(("dim", -1 if free else shape[old]))
            free = False
    fields = ("reshape_param", [("shape", dims)])
    edits = site.retyped("Reshape", fields, gone=gone)
    return Change(edits, f"{site.layer.type} -> Reshape", why)


def permute(site: Site) -> Change:
    """Reshape, if no value moves; else the weights of the next InnerProduct are permuted, if at
    most a Flatten lies between them.
    """
    shape = site.shape()
    order = permute_order(site.layer, len(shape))
    if order == tuple(range(len(shape))):
        return _reshaped(site, shape, list(order), "every axis stays", ("permute_param",))
    moving = [axis for axis in order if axis == 0 or shape[axis] != 1]
    if moving == sorted(moving) and order[0] == 0:
        dims = [("dim", 0), *(("dim", shape[axis]) for axis in order[1:])]
        edits = site.retyped("Reshape", ("reshape_param", [("shape", dims)]),
                             gone=("permute_param",))  # fmt: skip
        return Change(edits, "Permute -> Reshape", "only axes of size 1 move, at this input size")
    return _absorbed(site, order, shape)


def _absorbed(site: Site, order: tuple[int, ...], shape: Shape) -> Change:
    """The Permute is gone, and the InnerProduct behind it has its weights in the other order."""
    chain = _to_product(site, order)
    product = chain[-1]
    (outputs, inputs), *rest = site.work.blobs(product)
    if inputs != prod(shape[1:]):
        raise Kept(_NO_TRANSPOSE)
    if site.work.sharing(product):
        raise Kept(site.work.sharing(product))
    rows = tuple(((place, 1.0),) for place in _places(order, shape))
    edits = [removed(site.layer.field, "permute"), *_reads(site, chain[0])]
    move = Move(product.name, 0, (outputs, inputs), product.name, "mix",
                ((outputs, inputs), ((1, rows),), ()))  # fmt: skip
    bias = [Move(product.name, at, size, product.name) for at, size in enumerate(rest, 1)]
    others = frozenset(layer.field.start for layer in chain)
    why = f'the weights of "{product.name}" are in the other order'
    return Change(edits, f'Permute taken into "{product.name}"', why, [move, *bias], others)


_NO_TRANSPOSE = (
    "BVLC has no layer that reorders axes, and the next layer is not an "
    "InnerProduct, whose weights could be reordered instead"
)


def _to_product(site: Site, order: tuple[int, ...]) -> list[Layer]:
    """The layers behind the Permute as far as an InnerProduct that takes all of each item."""
    if order[0] != 0 or site.bottom == site.top:
        raise Kept(_NO_TRANSPOSE)
    chain: list[Layer] = []
    layer = site.layer
    while True:
        readers = Site(site.work, layer, site.words).readers()
        if len(readers) != 1:
            raise Kept(_NO_TRANSPOSE)
        layer = readers[0]
        chain.append(layer)
        kind = of(layer)
        if kind.message == "inner_product_param":
            if axis_of(layer) != 1 or transposes(layer):
                raise Kept(_NO_TRANSPOSE)
            return chain
        whole = kind.trait is Trait.ARRANGES and kind.message == "flatten_param"
        if not whole or axis_of(layer) != 1 or layer.param("flatten_param").get("end_axis") != -1:
            raise Kept(_NO_TRANSPOSE)


def _places(order: tuple[int, ...], shape: Shape) -> list[int]:
    """Where each value of an item, in its own order, was among the permuted ones."""
    sizes = [shape[axis] for axis in order[1:]]
    steps = {axis: prod(sizes[at + 1 :]) for at, axis in enumerate(order[1:])}
    found = [0]
    for axis in range(1, len(shape)):
        found = [place + at * steps[axis] for place in found for at in range(shape[axis])]
    return found


def _reads(site: Site, layer: Layer) -> list:
    """The layer reads what the Permute read."""
    fields = [one for one in layer.field.all("bottom") if one.string == site.top]
    return [set_value(one, site.bottom) for one in fields]


def crop(site: Site) -> Change:
    """Crop, with the offset that aligns its bottoms."""
    found = set()
    for known, each in site.states():
        try:
            cropped, reference = each.bottoms
            exact = coords.offset(known.graph, cropped, reference)
            found.add(coords.whole(known.graph, cropped, reference, exact))
        except (AlignError, NetError) as error:
            raise Kept(f"its offset is not known: {error}") from error
    if len(found) != 1:
        raise Kept("its offset differs between states")
    (offset,) = found
    values = offset[:1] if len(set(offset)) == 1 else offset
    fields: Fields = [("axis", 2), *(("offset", value) for value in values)]
    edits = site.retyped("Crop", ("crop_param", fields), gone=("crop_param",))
    why = "computed from the strides and paddings of both"
    return Change(edits, f"{site.layer.type} -> Crop, offset {show(offset)}", why)
