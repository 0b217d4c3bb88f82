"""An FCN of one layer with its weights, and a data set of small images for it."""

from pathlib import Path

import numpy as np
from click.testing import CliRunner
from pictures import save

from fcnkit.cli.main import main
from fcnkit.preprocessing import Preprocessing
from fcnkit.weights import store

CLASSES = ("road", "car", "sky")
WEIGHTS = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
BIAS = np.array([0.407, 0.0, -0.203], np.float32)
SCALE = 0.02
DEPLOY = """name: "small"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 8 dim: 12 } } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
  convolution_param { num_output: 3 kernel_size: 1 } }
"""


def call(*words):
    """`fcnkit` with these words, which must do."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


def write_fcn(folder: Path, classes=CLASSES) -> Path:
    """The folder of an FCN as `fcnkit fcn -o` and a training leave it."""
    folder.mkdir(parents=True)
    (folder / "deploy.prototxt").write_text(DEPLOY)
    known = Preprocessing(mean=(), scale=SCALE, classes=tuple(classes))
    known.save(folder / "deploy.preprocessing.json")
    blobs = [WEIGHTS.reshape(3, 3, 1, 1), BIAS]
    store.create().put("score", blobs).save(folder / "init.caffemodel")
    return folder


def expected(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class of each pixel of an RGB image, and its probability."""
    scores = (image[..., ::-1] * SCALE) @ WEIGHTS.T + BIAS
    likely = np.exp(scores - scores.max(axis=2, keepdims=True))
    likely /= likely.sum(axis=2, keepdims=True)
    return likely.argmax(axis=2).astype(np.uint8), likely.max(axis=2)


def write_images(
    top: Path, count: int, *, names=None, seed: int = 0, size=(8, 12)
) -> dict[str, tuple]:
    """Images and labels of `size`, height and width; the labels are what the net says, but for
    some of the pixels.

    The last class is in the label of one image alone.
    """
    rng = np.random.default_rng(seed)
    found = {}
    for number in range(count):
        name = names[number] if names else f"street_{number:02}"
        image = rng.integers(0, 256, (*size, 3), np.uint8)
        label = expected(image)[0]
        wrong = rng.random(label.shape) < number / (2 * count)
        label[wrong] = (label[wrong] + 1) % 3
        label[label == 2] = 2 if number == count // 2 else 1
        label[0, :2] = 255
        save(top / "images" / f"{name}.png", image)
        save(top / "labels" / f"{name}.png", label)
        found[name] = image, label
    return found


def write_data(top: Path, count: int = 14, *, classes=CLASSES, **more) -> dict[str, tuple]:
    """The data set top/data, its images all to validate with but two."""
    found = write_images(top, count, **more)
    write_images(top / "train", 2, seed=9)
    (top / "classes.txt").write_text("".join(f"{name}\n" for name in classes))
    call(
        *("dataset", "create", top / "train" / "images", top / "train" / "labels"),
        *("-o", top / "data", "--classes", top / "classes.txt"),
        *("--val-images", top / "images", "--val-labels", top / "labels", "--jobs", 1),
    )
    return found


def drawn(page) -> None:
    """The page has drawn what lies over its images; an error where it has not after 10 seconds."""
    page.js(
        "new Promise((done, fail) => { const end = Date.now() + 10000; const look = () => "
        "document.querySelector('.overlays[data-ready]') ? done() : Date.now() > end ? "
        "fail(new Error('nothing is drawn')) : setTimeout(look, 20); look(); })"
    )
