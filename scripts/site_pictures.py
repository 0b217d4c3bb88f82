"""The pictures of docs/why.md and docs/ten-minutes.md, drawn by fcnkit itself.

    python scripts/site_pictures.py

leaves them in docs/pictures.  All are of the digits net, which ships with fcnkit.
"""

from pathlib import Path

import fcnkit as fk
from fcnkit import templates

OUT = Path(__file__).resolve().parent.parent / "docs" / "pictures"
CANVAS = templates.path("digits", "canvas.png")
SIZE = {"data": (1, 1, 240, 312)}  # of the canvas


def main() -> None:
    """Draws them all."""
    OUT.mkdir(exist_ok=True)
    classifier = fk.template("digits")
    weights = fk.weights(templates.path("digits", "digits.caffemodel"))
    convolutional = fk.convolutionalize(classifier)
    fcn = fk.fcn(classifier, classes=11, stride=1)
    for name, net, inputs in (
        ("classifier", classifier, None),
        ("convolutional", convolutional.net, SIZE),
        ("skips", fcn.net, None),
    ):
        fk.draw(net, inputs=inputs).save(OUT / f"{name}.svg", force=True)
    small = {"data": (1, 1, 60, 90)}
    fk.draw_fields(convolutional.net, inputs=small).save(OUT / "fields.svg", force=True)
    seen = fk.infer(
        convolutional.net,
        fk.transplant(convolutional, weights),
        CANVAS,
        colours=templates.path("digits", "colours.txt"),
    )
    panels = {"the image": seen.image, "the class of each window": seen.overlay(zoom=2)}
    fk.beside(panels, zoom=2).save(OUT / "canvas.png", force=True)


if __name__ == "__main__":
    main()
