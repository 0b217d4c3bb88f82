"""caffe.io, Classifier and Detector beside real pycaffe: the same arrays within rounding.

Two things of Debian's pycaffe fail with the libraries beside it: load_image asks scikit-image
for `as_grey`, and a Detector with context slices by floats.  For the real one `REPAIRS` gives
them the old word and whole numbers; nothing that they compute is changed.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

import fcnkit.pycaffe as caffe
from fcnkit.engines import caffe_runtime
from fcnkit.errors import EngineError
from fcnkit.pycaffe import io

images = pytest.importorskip("PIL.Image")
pytest.importorskip("torch")

REPAIRS = """
import numpy, skimage.io
read = skimage.io.imread
skimage.io.imread = lambda name, as_grey=False: read(name, as_gray=as_grey)
import caffe.detector

class Whole:
    def __getattr__(self, name):
        return getattr(numpy, name)
    def clip(self, *words):
        return numpy.clip(*words).astype(int)

caffe.detector.np = Whole()
caffe.detector.round = lambda value: int(numpy.round(value))
"""

WORK = """
import numpy as np
import caffe
from caffe.proto import caffe_pb2

found = {}
image = np.load("image.npy")
many = np.load("many.npy")
for size in [(8, 8), (40, 32), (22, 32), (12, 52), (1, 1)]:  # no pixel halfway between two
    for order in (0, 1, 3):
        found["%s order %d" % (size, order)] = caffe.io.resize_image(image, size, order)
    for order in (0, 1):
        if size != (1, 1):
            found["many %s order %d" % (size, order)] = caffe.io.resize_image(many, size, order)
found["grey"] = caffe.io.resize_image(image[..., :1], (13, 40))
found["bytes"] = caffe.io.resize_image((255 * image).astype(np.uint8), (13, 40))
found["many bytes"] = caffe.io.resize_image((255 * many).astype(np.uint8), (13, 40))
found["constant"] = caffe.io.resize_image(np.full((3, 4, 3), 0.25), (5, 6))

def transformer(shape, mean):
    made = caffe.io.Transformer({"data": shape})
    made.set_transpose("data", (2, 0, 1))
    made.set_channel_swap("data", (2, 1, 0))
    made.set_raw_scale("data", 255)
    if mean is not None:
        made.set_mean("data", mean)
    made.set_input_scale("data", 0.017)
    return made

high, wide = image.shape[:2]
means = {
    "none": None,
    "channels": np.array([104.0, 117.0, 123.0]),
    "1 x 1": np.array([[[104.0]], [[117.0]], [[123.0]]]),
    "image": 100 * np.load("mean.npy"),
}
for name, mean in means.items():
    for size in [(high, wide), (11, 13)]:
        made = transformer((1, 3) + size, mean)
        key = "%s %s" % (name, size)
        found["ready " + key] = made.preprocess("data", image.copy())
        found["back " + key] = made.deprocess("data", found["ready " + key][None])
plain = caffe.io.Transformer({"data": (1, 3, high, wide)})
plain.set_raw_scale("data", 2.0)
written = image.copy()
plain.preprocess("data", written)
found["written over"] = written
listed = caffe.io.Transformer({"data": [1, 3, high, wide]})
found["list of sizes"] = listed.preprocess("data", image)

found["crops"] = caffe.io.oversample([image, image[::-1]], (10, 9))

for kind in ("rgb", "rgba", "grey", "palette", "bit", "deep", "jpeg"):
    name = kind + (".jpg" if kind == "jpeg" else ".png")
    found["load " + kind] = caffe.io.load_image(name)
    if kind not in ("bit", "rgba"):
        found["load without colour " + kind] = caffe.io.load_image(name, False)

blob = caffe.io.array_to_blobproto(image, 2 * image)
found["blob"] = caffe.io.blobproto_to_array(blob)
found["diff"] = caffe.io.blobproto_to_array(blob, True)
text = caffe.io.arraylist_to_blobprotovector_str([image, many])
found["blobs"] = caffe.io.blobprotovector_str_to_arraylist(text)[1]
found["blobs as bytes"] = np.array(bytearray(text))
for name, values in (("bytes", (255 * many).astype(np.uint8)), ("floats", many)):
    datum = caffe.io.array_to_datum(values, 7)
    assert isinstance(datum, caffe.io.caffe_pb2.Datum)
    found["datum of " + name] = caffe.io.datum_to_array(datum)
    found["datum as " + name] = np.array(bytearray(datum.SerializeToString()))

words = dict(raw_scale=255, channel_swap=(2, 1, 0), mean=means["channels"])
for dims in (None, (20, 18)):
    net = caffe.Classifier("net.prototxt", "net.caffemodel", image_dims=dims, **words)
    for crops in (True, False):
        key = "classes %s %s" % (dims, crops)
        found[key] = net.predict([image, image[::-1]], oversample=crops)
windows = np.array([[0, 0, 20, 15], [5, 6, 25, 28], [10, 3, 30, 9]])
for pad in (None, 3):
    net = caffe.Detector("net.prototxt", "net.caffemodel", context_pad=pad, **words)
    detected = net.detect_windows([("rgb.png", windows), ("grey.png", windows[:1])])
    found["detected %s" % pad] = np.stack([each["prediction"] for each in detected])
    found["crop %s" % pad] = net.crop(image, windows[1])

np.savez("found.npz", **{key: np.asarray(value) for key, value in found.items()})
"""

IMAGE = np.zeros((2, 2, 3))
MISTAKES = [
    (lambda made: made.preprocess("label", IMAGE), Exception, "label is not one of the net inputs"),
    (lambda made: made.set_transpose("data", (1, 0)), Exception, "Transpose order needs"),
    (lambda made: made.set_channel_swap("data", (1, 0)), Exception, "Channel swap needs"),
    (lambda made: made.set_mean("data", np.zeros(4)), ValueError, "Mean channels incompatible"),
    (lambda made: made.set_mean("data", np.zeros((1, 1, 1, 3))), ValueError, "Mean shape invalid"),
    (lambda made: made.set_mean("data", [1, 2, 3]), AttributeError, "ndim"),
    (lambda made: io.resize_image(IMAGE + np.eye(2)[..., None], (4, 4), 2), ValueError, "order 2"),
    (lambda made: io.resize_image(IMAGE[..., :2], (4, 4), 3), ValueError, "of 2 channels"),
    (lambda made: io.array_to_datum(IMAGE[0]), ValueError, "Incorrect array shape"),
]


@pytest.mark.parametrize("work, kind, words", MISTAKES)
def test_mistakes(work, kind, words):
    with pytest.raises(kind, match=words):
        work(io.Transformer({"data": (1, 3, 2, 2)}))


def test_without_pillow_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(EngineError, match=r"PIL is needed, .*pip install 'fcnkit\[pycaffe\]'"):
        io.load_image("a.png")


def test_a_grey_picture_with_alpha_is_grey(tmp_path):
    images.new("LA", (3, 2), (51, 7)).save(tmp_path / "a.png")
    assert (
        io.load_image(tmp_path / "a.png").tolist() == np.full((2, 3, 3), np.float32(0.2)).tolist()
    )


def test_selective_search_says_what_it_needs(folder):
    net = caffe.Detector(folder / "net.prototxt", folder / "net.caffemodel")
    with pytest.raises(EngineError, match="MATLAB .*; give your windows to detect_windows"):
        net.detect_selective_search(["a.png"])
    assert net.detect_windows([("a.png", [])]) == []


def test_a_window_outside_of_the_image(folder):
    net = caffe.Detector(folder / "net.prototxt", folder / "net.caffemodel", context_pad=2)
    with pytest.raises(ValueError, match=r"window \(90, 90, 95, 95\) lies outside .*\(30, 28\)"):
        net.crop(np.zeros((30, 28, 3), np.float32), (90, 90, 95, 95))


def test_nothing_heavy_is_imported_until_it_is_used():
    code = (
        "import sys, fcnkit.pycaffe; sys.exit(bool({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


NET = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 4 dim: 3 dim: 16 dim: 14 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 5 stride: 2 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.001 } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What both pycaffes read: images, arrays, a net and its weights."""
    made = tmp_path_factory.mktemp("io")
    chance = np.random.default_rng(0)
    image = chance.random((30, 28, 3), np.float32)
    np.save(made / "image.npy", image)
    np.save(made / "many.npy", chance.random((20, 24, 4), np.float32))
    np.save(made / "mean.npy", chance.random((3, 40, 36)))
    bytes_ = (255 * image).astype(np.uint8)
    rgb = images.fromarray(bytes_)
    rgb.save(made / "rgb.png")
    rgb.save(made / "jpeg.jpg")
    images.fromarray(np.dstack([bytes_, bytes_[..., 0]])).save(made / "rgba.png")
    rgb.convert("L").save(made / "grey.png")
    rgb.convert("P").save(made / "palette.png")
    rgb.convert("1").save(made / "bit.png")
    images.fromarray((60000 * image[..., 0]).astype(np.uint16)).save(made / "deep.png")
    (made / "net.prototxt").write_text(NET)
    caffe.set_random_seed(1)
    caffe.Net(made / "net.prototxt", caffe.TEST).save(made / "net.caffemodel")
    return made


def test_real_pycaffe_computes_the_same(caffe, folder):
    del caffe  # real Caffe is there
    (folder / "real.py").write_text(REPAIRS + WORK)
    (folder / "ours.py").write_text(WORK)
    words = [*caffe_runtime.command("python"), "real.py"]
    real = _found(folder, words, caffe_runtime.environment())
    code = "from fcnkit.cli.main import run; run()"
    ours = _found(folder, [sys.executable, "-c", code, "run", "ours.py"], dict(os.environ))
    assert ours.keys() == real.keys()
    for key, expected in real.items():
        assert (ours[key].dtype, ours[key].shape) == (expected.dtype, expected.shape), key
        scale = max(1, np.nanmax(np.abs(expected)))
        np.testing.assert_allclose(ours[key] / scale, expected / scale, atol=1e-5, err_msg=key)


def _found(folder, words, environment):
    done = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "found.npz") as found:
        return dict(found)
