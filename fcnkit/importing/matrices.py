"""Gemm and MatMul by constants: InnerProduct."""

from math import prod
from typing import Any

from fcnkit.importing.held import Held
from fcnkit.importing.model import Constant
from fcnkit.importing.settle import convolution, plain
from fcnkit.importing.site import Refusal, Site
from fcnkit.importing.windows import stored
from fcnkit.weights.blobs import Lazy


def gemm(site: Site) -> Held:
    """Gemm: alpha A B + beta C, where B and C are constants."""
    if site.given("transA", 0):
        raise Refusal("its first matrix is transposed (transA)")
    weights = _matrix(site, 1)
    bias = site.constant(2) if site.input(2) else None
    if site.input(2) and bias is None:
        raise Refusal(f'its summand "{site.input(2)}" is computed; add that with a separate Add')
    rows = bool(site.given("transB", 0))
    alpha, beta = site.given("alpha", 1.0), site.given("beta", 1.0)
    return _product(site, weights, rows, alpha, bias, beta)


def matmul(site: Site) -> Held:
    """MatMul by a constant matrix."""
    if site.constant(1) is None:
        if site.constant(0) is not None:
            raise Refusal("the constant matrix comes first, but Caffe's InnerProduct has it second")
        raise Refusal("it multiplies two computed matrices, which no layer of Caffe does")
    weights = _matrix(site, 1)
    x = site.x()
    if len(x.sizes[0]) == 4 and x.moves and (x.transposition or ())[-1:] == (1,):
        # The channels of an image stand last: each pixel by itself is a 1 x 1 Convolution.
        rows = _arranged(weights, False, 1, None)
        kernel = Lazy((*rows.shape, 1, 1), rows.chunks)
        made = convolution(site, Held(x.blob, x.sizes), kernel, part="")
        return Held(made.blob, made.sizes, x.moves)
    return _product(site, weights, False, 1.0, None, 1.0)


def _matrix(site: Site, at: int) -> Constant:
    found = site.constant(at)
    if found is None:
        raise Refusal(f'its matrix "{site.input(at)}" is computed, but Caffe stores it in a file')
    if len(found.shape) != 2 or found.dtype != "float32":
        raise Refusal(f"it multiplies by {found.shape} of {found.dtype}, not by a float32 matrix")
    return found


def _product(
    site: Site, weights: Constant, rows: bool, alpha: float, bias: Constant | None, beta: float
) -> Held:
    """An InnerProduct over the last axis; `rows` says that the matrix has a row for each output."""
    outputs, inputs = weights.shape if rows else weights.shape[::-1]
    x, axis, order = _summed(site, inputs)
    fields: list[tuple[str, object]] = [("num_output", outputs)]
    blobs = [_arranged(weights, rows, alpha, order)]
    if bias is None or beta == 0:
        fields.append(("bias_term", False))
    else:
        blobs.append(_summand(bias, outputs, beta))
    if axis != 1:
        fields.append(("axis", axis))
    return site.add(
        "InnerProduct",
        [x],
        [("inner_product_param", fields)],
        blobs=blobs,
        shapes=site.shapes(site.out),
    )


def _summed(site: Site, inputs: int) -> tuple[Held, int, Any]:
    """The blob to sum over, from which axis on, and the order in which its numbers are meant.

    An InnerProduct flattens its bottom by itself, and its matrix can take the
    order of a transposition before it.
    """
    x = site.x()
    shapes = site.shapes(site.input(0))
    whole = len(shapes[0]) == 2 and all(
        sizes[0] == shape[0] and prod(sizes[1:]) == shape[1] == inputs
        for sizes, shape in zip(x.sizes, shapes, strict=True)
    )
    if x.moves and whole:
        first = x.indices(0)
        order = first[0]
        same = all(
            (x.indices(trial) == order + _begins(x, trial)).all() for trial in range(len(x.sizes))
        )
        if same:
            straight = bool((order[1:] > order[:-1]).all())
            return Held(x.blob, x.sizes), 1, None if straight else order
    x = plain(site)
    return x, len(shapes[0]) - 1, None


def _begins(x: Held, trial: int) -> Any:
    """Where each image's numbers begin in the blob, as a column."""
    import numpy as np

    count = x.sizes[trial][0]
    return np.arange(count)[:, None] * prod(x.sizes[trial][1:])


def _arranged(weights: Constant, rows: bool, alpha: float, order: Any) -> Any:
    """The matrix with a row for each output, its columns in the blob's order."""
    if rows and alpha == 1 and order is None:
        return stored(weights)
    shape = weights.shape if rows else weights.shape[::-1]

    def made() -> Any:
        import numpy as np

        found = weights.read()
        found = found if rows else found.T
        if order is not None:
            back = np.empty_like(order)
            back[order] = np.arange(len(order))
            found = found[:, back]
        found = found if alpha == 1 else found * np.float32(alpha)
        return np.ascontiguousarray(found, "<f4").reshape(-1)

    return Lazy(shape, lambda: [made()])


def _summand(bias: Constant, outputs: int, beta: float) -> Any:
    if prod(bias.shape) not in (1, outputs):
        raise Refusal(f"it adds {bias.shape} numbers, but Caffe adds only one to each output")
    if beta == 1 and bias.shape == (outputs,):
        return stored(bias)

    def made() -> Any:
        import numpy as np

        found = np.broadcast_to(bias.read().reshape(-1), (outputs,)) * np.float32(beta)
        return np.ascontiguousarray(found, "<f4")

    return Lazy((outputs,), lambda: [made()])
