"""How much memory a page of large weights takes: no more of them than an engine holds."""

import subprocess
import sys

import numpy as np
import pytest
from memory_peak import PEAK
from PIL import Image
from sketches import data, fc, net

import fcnkit as fk
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.weights import store

PAGE = (
    PEAK
    + """
import sys
import fcnkit as fk
net, weights, engine, *images = sys.argv[1:]
page = fk.report(net, weights, images=images, engine=engine or None)
assert ("Not run" in page.html) is False and len(page.html) < 10_000_000
print(peak())
"""
)


def saved(folder, outputs: int):
    """A net with one large matrix, in two files."""
    made = net(data(1, 3, 32, 32), fc("f", "data", outputs))
    made.save(folder / f"{outputs}.prototxt")
    graph = build(made)
    (layer,) = (layer for layer in graph.layers if layer.name == "f")

    def noise(shape):
        part = np.random.default_rng(0).normal(0, 0.01, shape[-1]).astype("<f4").tobytes()
        count = int(np.prod(shape)) // shape[-1]
        return store.Lazy(shape, lambda: (part for _ in range(count)))

    blobs = [noise(tuple(shape)) for shape in shapes_of(graph).blobs(layer)]
    store.create().put_all({"f": blobs}, types={"f": "InnerProduct"}).save(
        folder / f"{outputs}.caffemodel"
    )
    return folder / f"{outputs}.prototxt", folder / f"{outputs}.caffemodel"


def peak(net, weights, *images, engine: str = "") -> int:
    """KiB that the page of these files takes at most."""
    words = map(str, (net, weights, engine, *images))
    done = subprocess.run([sys.executable, "-c", PAGE, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_weights_are_looked_at_in_pieces(tmp_path):
    small, large = saved(tmp_path, 16), saved(tmp_path, 12_000)
    assert large[1].stat().st_size > 140_000_000
    assert peak(*large) - peak(*small) < 20_000


@pytest.mark.parametrize("engine", ["", "onnx", "torch"])
def test_the_engine_holds_large_weights_once(tmp_path, engine):
    module = "torch" if engine == "torch" else "onnxruntime"
    pytest.importorskip(module, reason=f"{module} is not installed")
    image = tmp_path / "image.png"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(image)
    small, large = saved(tmp_path, 16), saved(tmp_path, 22_000)
    size = large[1].stat().st_size
    assert size > 256_000_000
    # What the engine itself takes, PyTorch 140 MB or 440 MB by its build, the small net takes too.
    own = peak(*small, image, engine=engine or "onnx")
    assert (peak(*large, image, engine=engine) - own) * 1024 < 1.2 * size
    assert fk.weights(large[1]).nbytes == pytest.approx(size, rel=0.01)
