"""Poolings whose last window holds no number: every small one, in real Caffe and on PyTorch."""

from itertools import product

import numpy as np
import pytest

import fcnkit as fk
from fcnkit.engines.engine import choose
from fcnkit.linting.walk import lint
from fcnkit.nets.layers.windows import beyond
from fcnkit.nets.shapes import shapes_of

LARGEST = 3.4028235e38
WINDOWS = [
    (size, kernel, stride, pad)
    for size, kernel, stride in product(range(1, 6), range(1, 4), range(1, 5))
    for pad in range(kernel)
    if size + 2 * pad >= kernel
]


def _net(windows, pool, more=""):
    sizes = sorted({size for size, *_ in windows})
    text = "".join(
        f'layer {{ name: "i{size}" type: "Input" top: "i{size}" input_param {{ '
        f"shape {{ dim: 1 dim: 1 dim: {size} dim: 9 }} }} }}\n"
        for size in sizes
    )
    for size, kernel, stride, pad in windows:
        text += (
            f'layer {{ name: "{(size, kernel, stride, pad)}" type: "Pooling" bottom: "i{size}" '
            f'top: "{(size, kernel, stride, pad)}" pooling_param {{ pool: {pool} {more} '
            f"kernel_size: {kernel} stride: {stride} pad: {pad} }} }}\n"
        )
    random = np.random.default_rng(0)
    return fk.parse(text), {
        f"i{size}": random.uniform(1, 2, (1, 1, size, 9)).astype("f4") for size in sizes
    }


def _run(engine, net, inputs):
    names = [layer.name for layer in fk.build(net).layers if layer.bottoms]
    return next(iter(engine.run_all(net, None, [inputs], names)))


def _told(net) -> set[str]:
    lines = {layer.line: layer.name for layer in fk.build(net).layers}
    return {lines[each.line] for each in lint(net) if each.name == "empty-window"}


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
def test_where_no_number_is_taken(caffe, pool):
    net, inputs = _net(WINDOWS, pool)
    values = _run(caffe, net, inputs)
    graph = fk.build(net)
    sizes, empty = shapes_of(graph), {}
    for layer in graph.layers:
        if not layer.bottoms:
            continue
        bottom, top = inputs[layer.bottoms[0].blob], sizes.tops[layer.tops[0]]
        empty[layer.name] = beyond(layer, bottom.shape, top)
        none = np.zeros(top, bool)
        for axis, start in empty[layer.name]:
            last = np.moveaxis(none, axis, 0)[-1]
            last[...] = True
            if pool == "AVE":
                made = np.moveaxis(values[layer.name], axis, 0)[-1]
                assert np.isnan(made).all() or start > bottom.shape[axis]
        found = values[layer.name]
        # Every number is at least 1 and at most 2 but for zeros of padding.
        strange = np.isnan(found) | (found <= 0) | (found == -LARGEST)
        assert np.array_equal(strange, none), layer.name
    assert 10 < sum(map(bool, empty.values())) < 50

    told = _told(net)
    assert told == {name for name, where in empty.items() if where}

    torch = choose("torch") if fk.installed_engines().count("torch") else None
    for name, found in _run(torch, net, inputs).items() if torch else ():
        np.testing.assert_allclose(found, values[name], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
def test_the_cure_leaves_the_other_windows_as_they_are(caffe, pool):
    net, inputs = _net(WINDOWS, pool)
    told = _told(net)
    cured, same = _net([each for each in WINDOWS if str(each) in told], pool, "round_mode: FLOOR")
    assert not _told(cured)
    before = _run(caffe, net, inputs)
    for name, found in _run(caffe, cured, {name: inputs[name] for name in same}).items():
        rows, columns = found.shape[2:]
        assert np.array_equal(found, before[name][:, :, :rows, :columns]) and found.min() > 0
