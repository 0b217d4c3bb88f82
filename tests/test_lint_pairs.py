"""Images and labels that two layers read: what parts them is found, and nothing else."""

import pytest

import fcnkit
from fcnkit.formats import prototxt


def data(name: str, more: str = "", *, transform: str = "", batch: int = 2, top: str = "") -> str:
    """A Data layer on one line."""
    return (
        f'layer {{ name: "{name}" type: "Data" top: "{top or name}" {more} '
        f"transform_param {{ {transform} }} "
        f'data_param {{ source: "{name}" batch_size: {batch} backend: LMDB }} }}\n'
    )


def listed(name: str, more: str = "", tops: str = 'top: "data" top: "label"') -> str:
    """An ImageData layer on one line."""
    return (
        f'layer {{ name: "{name}" type: "ImageData" {tops} '
        f'image_data_param {{ source: "{name}" batch_size: 2 {more} }} }}\n'
    )


DENSE = (
    'layer { name: "score" type: "Convolution" bottom: "data" top: "score" '
    'convolution_param { num_output: 5 kernel_size: 1 weight_filler { type: "xavier" } } }\n'
    'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }\n'
)
COARSE = DENSE.replace("Convolution", "InnerProduct").replace("kernel_size: 1 ", "")
COARSE = COARSE.replace("convolution_param", "inner_product_param")
JUDGED = DENSE.replace("SoftmaxWithLoss", "Accuracy").replace('"loss"', '"accuracy"')
TEST = "include { phase: TEST }"
OTHER = listed("label", "", 'top: "label" top: "unused"')
SILENT = 'layer { name: "silent" type: "Silence" bottom: "unused" }\n'
BOTH = 'top: "data" top: "label"'

JOINED = 'layer { name: "data" type: "Concat" bottom: "rgb" bottom: "depth" top: "data" }\n'
LATE = (
    'layer { name: "a" type: "InnerProduct" bottom: "rgb" top: "a" inner_product_param { '
    'num_output: 5 weight_filler { type: "xavier" } } }\n'
    'layer { name: "b" type: "InnerProduct" bottom: "depth" top: "b" inner_product_param { '
    'num_output: 5 weight_filler { type: "xavier" } } }\n'
    'layer { name: "data" type: "Eltwise" bottom: "a" bottom: "b" top: "data" }\n'
)
TWO = data("rgb", 'top: "label"', transform="mirror: true")
CUT = (
    'layer { name: "cut" type: "Slice" bottom: "labels" top: "label" top: "unused" '
    "slice_param { slice_point: 1 } }\n"
)

# The net, the lines of what is found, and words of the first finding.
PARTED = [
    # Two images of one scene; the label comes with the first.
    (TWO + data("depth") + JOINED + COARSE, [1], 'layer "depth" on line 2'),
    (TWO + data("depth", transform="mirror: true") + JOINED + COARSE, [1, 2], "draws apart"),
    (data("rgb", 'top: "label"', batch=4) + data("depth") + LATE + COARSE, [1], "batch_size is 4"),
    (
        data("rgb") + data("depth", transform="mirror: true") + data("label") + JOINED + COARSE,
        [2],
        'layer "rgb" on line 1',
    ),
    (
        data("rgb", transform="mirror: true") + data("depth") + data("label") + JOINED + DENSE,
        [1],
        "mirrors half",
    ),
    (data("data", transform="mirror: true") + data("labels") + CUT + SILENT + DENSE, [1], "not"),
    (data("data", transform="mirror: true") + data("label") + DENSE, [1], "does not"),
    (data("data") + data("label", transform="mirror: true") + DENSE, [2], "does not"),
    (
        data("data", transform="mirror: true") + data("label", transform="mirror: true") + DENSE,
        [1, 2],
        "draws apart",
    ),
    (data("data", transform="crop_size: 8") + data("label") + DENSE, [1], "does not crop"),
    (data("data") + data("label", transform="crop_size: 8") + DENSE, [2], "does not crop"),
    (
        data("data", transform="crop_size: 8") + data("label", transform="crop_size: 6") + DENSE,
        [1],
        "crops to 6",
    ),
    (
        data("data", transform="crop_size: 8") + data("label", transform="crop_size: 8") + DENSE,
        [1],
        "drawn by chance",
    ),
    (data("data", batch=4) + data("label") + DENSE, [2], "its batch_size is 2"),
    (data("data", batch=4) + data("label") + COARSE, [2], "give both 4"),
    (
        listed("data", "shuffle: true", 'top: "data" top: "unused"')
        + data("label")
        + SILENT
        + COARSE,
        [1],
        "shuffles its items",
    ),
    (
        data("data")
        + OTHER.replace("batch_size: 2", "batch_size: 2 shuffle: true")
        + SILENT
        + DENSE,
        [2],
        "shuffle both lists",
    ),
    (
        data("data", TEST, transform="mirror: true") + data("label", TEST) + JUDGED,
        [1],
        "at random",
    ),
    (
        data("data", transform="mirror: true")
        + data("label")
        + DENSE.replace("SoftmaxWithLoss", "EuclideanLoss"),
        [1],
        "mirror",
    ),
]
SCALED = [
    (data("data") + data("label", transform="scale: 0.5") + DENSE, "scale changes"),
    (data("data") + data("label", transform='mean_file: "m"') + COARSE, "mean_file changes"),
    (data("data") + data("label", transform="mean_value: 3") + COARSE, "mean_value changes"),
    (
        data("data") + data("labels", transform="scale: 0.5") + CUT + SILENT + DENSE,
        "scale changes",
    ),
    (
        data("data")
        + listed("labels", "new_height: 4 new_width: 4", 'top: "label" top: "unused"')
        + SILENT
        + DENSE,
        "new_height changes",
    ),
]
CLEAN = [
    data("data") + data("label") + DENSE,
    data("data", transform="scale: 0.5 mean_value: 104") + data("label") + DENSE,
    data("data", transform="mirror: false") + data("label", transform="scale: 1") + DENSE,
    # A label of the whole image stays what it is.
    data("data", transform="mirror: true crop_size: 8") + data("label") + COARSE,
    # Two images that meet as scores only.
    data("rgb", 'top: "label"', transform="mirror: true") + data("depth") + LATE + COARSE,
    # One layer reads both.
    listed("both", "shuffle: true new_height: 8 new_width: 8") + COARSE,
    data("both", 'top: "label"', transform="mirror: true crop_size: 8", top="data") + COARSE,
    # In the test phase a crop is taken from the middle.
    data("data", TEST, transform="crop_size: 8")
    + data("label", TEST, transform="crop_size: 8")
    + JUDGED,
    data("data", TEST, transform="crop_size: 8")
    + data("label", TEST, transform="crop_size: 8")
    + DENSE,
    # Phases may have batches of their own.
    "".join(
        data(name, f"include {{ phase: {phase} }}", batch=batch)
        for phase, batch in (("TRAIN", 8), ("TEST", 1))
        for name in ("data", "label")
    )
    + DENSE,
]


def found_in(text: str, name: str):
    return [one for one in fcnkit.lint(prototxt.parse(text, "net.prototxt")) if one.name == name]


@pytest.mark.parametrize("text, lines, words", PARTED)
def test_what_parts_images_and_labels_is_found_at_its_line(text, lines, words):
    found = found_in(text, "parted")
    assert [one.line for one in found] == lines, found
    assert words in found[0].text and "; " in found[0].text


@pytest.mark.parametrize("text, words", SCALED)
def test_labels_that_are_changed_are_found(text, words):
    (found,) = found_in(text, "scaled-labels")
    assert found.line == 2 and words in found.text


@pytest.mark.parametrize("text", CLEAN)
def test_what_goes_together_is_clean(text):
    assert fcnkit.lint(prototxt.parse(text, "net.prototxt")) == ()
