"""The whole job on the digits network that ships with fcnkit; `make demo` runs it.

Converts the trained classifier, moves its weights, checks both on the same
input, slides the result over a canvas of digits it was not trained on, and draws
the class map beside it (demo/digits.png).  Ends with AlexNet as an FCN.
"""

import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from canvas import Placed, scatter
from PIL import Image, ImageDraw, ImageFont

import fcnkit as fk
from fcnkit import templates
from fcnkit.datasets.colours import read_colours
from fcnkit.engines import opencv
from fcnkit.verifying.differences import proven
from fcnkit.verifying.verify import verify
from fcnkit.verifying.windows import slide

OUT = Path("demo")
SCALE = 3
STRIDE = 4  # of the digits network: two poolings by two
MARGIN = 24
BACKGROUND = 10
INK, PAPER, FAINT = (32, 33, 36), (255, 255, 255), (110, 113, 120)
COLOURS = np.array(read_colours(templates.path("digits", "colours.txt")).colours, np.uint8)


def stage(number: int, title: str) -> None:
    print(f"\n{number}. {title}\n{'-' * (len(title) + 3)}")


def fcnkit(*words: str) -> None:
    """Runs the fcnkit command as a user would, and shows what was typed."""
    print("$ fcnkit", shlex.join(words), flush=True)
    subprocess.run([Path(sys.executable).with_name("fcnkit"), *words], check=True)


def convert() -> tuple:
    """The classifier's net and weights, and those of its convolutional twin."""
    net = fk.read(templates.path("digits"))
    old = fk.weights(templates.path("digits", "digits.caffemodel"))
    plan = fk.convolutionalize(net)
    print(plan)
    plan.net.save(OUT / "digits-conv.prototxt", force=True)
    fk.transplant(plan, old).save(OUT / "digits-conv.caffemodel", force=True)
    print(f"written: {OUT}/digits-conv.prototxt, {OUT}/digits-conv.caffemodel")
    return net, old, plan.net, fk.weights(OUT / "digits-conv.caffemodel")


def at_pixels(
    probabilities: np.ndarray, shape: tuple[int, int], stride: float, first: float
) -> np.ndarray:
    """The most probable class at every pixel of the canvas, bilinear between windows.

    The window of cell (i, j) has its middle at pixel first + stride * (i, j).
    Pixels outside all middles are background: no window was centred there.
    """
    rows, columns = ((np.arange(n) - first) / stride for n in shape)
    limits = np.array(probabilities.shape[1:]) - 1
    between = _along(_along(probabilities, rows, 1), columns, 2)
    classes = between.argmax(0)
    outside = ((rows < 0) | (rows > limits[0]))[:, None] | ((columns < 0) | (columns > limits[1]))[
        None
    ]
    classes[outside] = BACKGROUND
    return classes


def _along(values: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    places = places.clip(0, values.shape[axis] - 1)
    low = np.minimum(places.astype(int), values.shape[axis] - 2)
    share = np.expand_dims(places - low, [k for k in range(values.ndim) if k != axis])
    return values.take(low, axis) * (1 - share) + values.take(low + 1, axis) * share


def draw(
    canvas: np.ndarray, classes: np.ndarray, captions: tuple[str, str], note: str
) -> Image.Image:
    """Canvas and class map side by side at the same scale, the legend below."""
    height, width = (SCALE * n for n in canvas.shape)
    top = MARGIN + 34
    picture = Image.new("RGB", (2 * width + 3 * MARGIN, top + height + 104), PAPER)
    pen = ImageDraw.Draw(picture)
    panels = (np.repeat(canvas[..., None], 3, 2), _blended(canvas, classes))
    for k, (panel, caption) in enumerate(zip(panels, captions, strict=True)):
        left = MARGIN + k * (width + MARGIN)
        picture.paste(Image.fromarray(panel).resize((width, height), Image.NEAREST), (left, top))
        pen.text((left, top - 10), caption, INK, ImageFont.load_default(20), anchor="ls")
    _legend(pen, MARGIN, top + height + 20, picture.width - 2 * MARGIN)
    pen.text((MARGIN, picture.height - 20), note, FAINT, ImageFont.load_default(17), anchor="ls")
    return picture


def _blended(canvas: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The classes' colours with the digits shining through."""
    share = canvas[..., None] / 255 * 0.55
    return (COLOURS[classes] * (1 - share) + 255 * share).astype(np.uint8)


def _legend(pen: ImageDraw.ImageDraw, left: int, top: int, width: int) -> None:
    names = templates.path("digits", "classes.txt").read_text().split()
    step = width // (len(names) + 1)
    for k, (name, colour) in enumerate(zip(names, COLOURS, strict=True)):
        x = left + k * step
        pen.rectangle((x, top, x + 26, top + 26), tuple(int(c) for c in colour))
        pen.text((x + 34, top + 13), name, INK, ImageFont.load_default(20), anchor="lm")


def right(classes: np.ndarray, placed: list[Placed]) -> int:
    """How many digits have their own class at the pixel of their middle."""
    return sum(classes[digit.row, digit.column] == digit.digit for digit in placed)


def check(net, old, new_net, new, canvas: np.ndarray) -> None:
    """Prints how far the two networks are apart; ends the demo if they are."""
    at_nominal = verify(net, old, new_net, new, engine="opencv")
    windows = slide(net, old, new_net, new, canvas, stride=STRIDE, engine="opencv")
    print("28 x 28 pixels of noise", *at_nominal, sep="\n  ")
    print("every window of the canvas", windows, sep="\n  ")
    if not proven((*at_nominal, windows)):
        sys.exit("the two networks differ")


def paint(new_net, new, canvas: np.ndarray, data: np.ndarray, placed: list[Placed]) -> None:
    """Slides the network over the canvas, prints how it fared and draws demo/digits.png."""
    probabilities = opencv.run(new_net, new, {"data": data}, ["prob"])["prob"][0]
    to_data = fk.coords(new_net, "ip2", "data")
    stride, first = int(to_data.scale[-1]), float(to_data.shift[-1])
    classes = at_pixels(probabilities, canvas.shape, stride, first)
    windows, size = (
        " x ".join(map(str, shape)) for shape in (probabilities.shape[1:], canvas.shape)
    )
    note = f"{right(classes, placed)} of {len(placed)} digits have their own class at their middle"
    print(f"{windows} windows of 28 x 28, one every {stride} pixels: {note}")
    captions = (
        f"canvas, {size} pixels",
        f"class map from {windows} windows, one every {stride} pixels",
    )
    draw(canvas, classes, captions, note).save(OUT / "digits.png")
    print(f"the canvas and its class map: {OUT}/digits.png")


def main() -> None:
    OUT.mkdir(exist_ok=True)
    stage(1, "The trained classifier becomes convolutional, its weights move along")
    net, old, new_net, new = convert()

    stage(2, "Both networks compute the same, checked on OpenCV")
    held = np.load(templates.path("digits", "heldout.npz"))
    rng = np.random.default_rng(10)
    canvas, placed = scatter(rng, held["images"], held["labels"], shape=(240, 312), margin=12)
    data = canvas[None, None].astype(np.float32) / 256
    check(net, old, new_net, new, data)

    stage(3, f"One pass over a canvas of {len(placed)} digits that training never saw")
    paint(new_net, new, canvas, data, placed)

    stage(4, "AlexNet becomes FCN-AlexNet")
    folder = str(OUT / "fcn-alexnet")
    options = "--classes 21 --stride 32 --pad 100 --force"
    fcnkit("fcn", "template:alexnet", *options.split(), "-o", folder)
    fcnkit("inspect", f"{folder}/deploy.prototxt")


if __name__ == "__main__":
    main()
