"""Images at another size as scikit-image 0.17 and SciPy compute them, without either."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Rows that are computed together: a band of the image times a small matrix.
_TOGETHER = 64


class Taps(NamedTuple):
    """What each new row is made of: rows of the image (new rows x taps), and how much of each."""

    rows: np.ndarray
    shares: np.ndarray


def resized(image: np.ndarray, size: tuple[int, int], order: int) -> np.ndarray:
    """The image (height, width, channels) as skimage.transform.resize(mode="constant") has it.

    Pixels are areas, the corners of both images coincide, and 0 lies around the image.  An
    axis that shrinks by a factor f is smoothed first, by a Gaussian of deviation (f - 1) / 2.
    `order` is 0 (nearest), 1 (linear) or 3 (Catmull-Rom).

    Raises ValueError for another order.
    """
    if order not in _WEIGHTS:
        raise ValueError(f"interp_order {order}: give 0 (nearest), 1 (linear) or 3 (cubic)")
    smooth = image
    for axis in (0, 1):
        factor = image.shape[axis] / size[axis]
        if factor > 1:
            smooth = _made(smooth, _gaussian(image.shape[axis], (factor - 1) / 2), axis)
    found = smooth
    for axis in (0, 1):
        found = _made(found, _taps(_centres(image.shape[axis], size[axis]), order), axis)
    return found if order == 0 else found.clip(smooth.min(), smooth.max())


def zoomed(image: np.ndarray, size: tuple[int, int], order: int) -> np.ndarray:
    """The image as scipy.ndimage.zoom has it: the centres of its corner pixels stay corners.

    Raises ValueError for an order above 1, for which SciPy's splines would be needed.
    """
    if order not in (0, 1):
        channels = f"an image of {image.shape[-1]} channels"
        raise ValueError(f"interp_order {order} of {channels}: give 0 or 1, or use SciPy's zoom")
    found = image.astype(np.float64)
    for axis in (0, 1):
        found = _made(found, _taps(_corners(image.shape[axis], size[axis]), order), axis)
    return np.floor(found + 0.5) if image.dtype.kind in "iu" else found


def _centres(old: int, new: int) -> np.ndarray:
    """Where the new pixels' centres lie among the old ones, areas of both being equal."""
    return (np.arange(new) + 0.5) * (old / new) - 0.5


def _corners(old: int, new: int) -> np.ndarray:
    """Where the new pixels lie, the first and last of both being one."""
    return np.linspace(0, old - 1, new) if new > 1 else np.zeros(1)


def _nearest(at: np.ndarray) -> Taps:
    return Taps(np.floor(at + 0.5).astype(int)[:, None], np.ones((len(at), 1)))


def _linear(at: np.ndarray) -> Taps:
    first = np.floor(at)
    part = at - first
    return Taps(first.astype(int)[:, None] + [0, 1], np.stack([1 - part, part], 1))


def _cubic(at: np.ndarray) -> Taps:
    first = np.floor(at)
    x = at - first
    shares = [
        -x + 2 * x**2 - x**3,
        2 - 5 * x**2 + 3 * x**3,
        x + 4 * x**2 - 3 * x**3,
        -(x**2) + x**3,
    ]
    return Taps(first.astype(int)[:, None] + [-1, 0, 1, 2], np.stack(shares, 1) / 2)


_WEIGHTS: dict[int, Callable[[np.ndarray], Taps]] = {0: _nearest, 1: _linear, 3: _cubic}


def _taps(at: np.ndarray, order: int) -> Taps:
    return _WEIGHTS[order](at)


def _gaussian(count: int, deviation: float) -> Taps:
    """Each row made of those up to four deviations away, as scipy.ndimage.gaussian_filter."""
    reach = int(4 * deviation + 0.5)
    away = np.arange(-reach, reach + 1)
    shares = np.exp(-0.5 * (away / deviation) ** 2)
    rows = np.arange(count)[:, None] + away
    return Taps(rows, np.broadcast_to(shares / shares.sum(), rows.shape))


def _made(image: np.ndarray, taps: Taps, axis: int) -> np.ndarray:
    """The image whose rows along `axis` are made of its own; rows outside of it are 0."""
    front = np.moveaxis(image, axis, 0)
    old = np.ascontiguousarray(front).reshape(len(front), -1)
    new = np.empty((len(taps.rows), old.shape[1]), old.dtype)
    for first in range(0, len(new), _TOGETHER):
        part = slice(first, first + _TOGETHER)
        low, matrix = _matrix(taps.rows[part], taps.shares[part], len(old))
        new[part] = matrix.astype(old.dtype) @ old[low : low + matrix.shape[1]]
    return np.moveaxis(new.reshape(-1, *front.shape[1:]), 0, axis)


def _matrix(rows: np.ndarray, shares: np.ndarray, count: int) -> tuple[int, np.ndarray]:
    """The first row of the image that is used, and what makes the new rows of those from there."""
    inside = (rows >= 0) & (rows < count)
    used = rows[inside]
    low = used.min()
    matrix = np.zeros((len(rows), used.max() + 1 - low))
    np.add.at(matrix, (np.nonzero(inside)[0], used - low), shares[inside])
    return low, matrix
