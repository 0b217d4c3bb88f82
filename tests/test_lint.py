"""Each check on a net that has the fault and on one where it is put right;
then real nets, and real Caffe.
"""

import json
import random
import re
from collections import Counter
from typing import NamedTuple

import pytest
from click.testing import CliRunner

import fcnkit
from fcnkit import errors, templates
from fcnkit.cli.main import main
from fcnkit.formats import prototxt
from fcnkit.linting import solvers, targets
from fcnkit.linting.findings import ERROR, NOTE
from fcnkit.linting.walk import CHECKS, KINDS
from fcnkit.nets.graph import State
from fcnkit.weights import store

# One layer a line, so that a finding's line is the number of its layer; the input is line 1.
INPUT = (
    'layer {{ name: "{0}" type: "Input" top: "{0}" '
    "input_param {{ shape {{ dim: 1 dim: {1} dim: 40 dim: 40 }} }} }}\n"
)
DATA, LABEL = INPUT.format("data", 3), INPUT.format("label", 1)
SIZE = "num_output: 4 kernel_size: 3 pad: 1"


def layer(name: str, kind: str, bottoms: str, tops: str | None = None, more: str = "") -> str:
    words = [f'bottom: "{blob}"' for blob in bottoms.split()]
    words += [f'top: "{blob}"' for blob in (name if tops is None else tops).split()]
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join(words)} {more} }}\n'


def conv(name: str, bottom: str, size: str = SIZE, more: str = "") -> str:
    return layer(name, "Convolution", bottom, None, f"convolution_param {{ {size} }} {more}")


def deconv(name: str, bottom: str, size: str, more: str = "") -> str:
    return layer(name, "Deconvolution", bottom, None, f"convolution_param {{ {size} }} {more}")


def fc(name: str, bottom: str, more: str = "") -> str:
    return layer(
        name, "InnerProduct", bottom, None, f"inner_product_param {{ num_output: 4 }} {more}"
    )


def loss(bottom: str = "conv", more: str = "", name: str = "loss") -> str:
    return layer(name, "SoftmaxWithLoss", f"{bottom} label", None, more)


def crop(name: str, bottoms: str, param: str) -> str:
    return layer(name, "Crop", bottoms, None, f"crop_param {{ {param} }}")


V1 = (
    'input: "d" input_shape {{ dim: 1 dim: 3 dim: 9 dim: 9 }} '
    'layers {{ name: "a" type: {type} bottom: "d" bottom: "d" top: "a" }}'
)
UP = "num_output: 4 group: 4 bias_term: false kernel_size: 4 stride: 2"
UP3 = UP.replace("size: 4", "size: 3")
BILINEAR = ' weight_filler { type: "bilinear" }'
HALF = conv("conv", "data", "num_output: 4 kernel_size: 3 pad: 1 stride: 2")
TO3 = DATA + HALF + deconv("up", "conv", UP3 + BILINEAR)
NETS = DATA + LABEL + conv("conv", "data")


class Case(NamedTuple):
    """A net with a fault, the finding's name and lines,
    words of its text, and the net put right.
    """

    name: str
    lines: tuple[int, ...]
    words: str
    bad: str
    good: str


CASES = (
    Case(
        "unknown-field",
        (2,),
        'Parameter has no field "kernal_size"; did you mean "kernel_size"?',
        DATA + conv("conv", "data", "num_output: 4 kernal_size: 3"),
        DATA + conv("conv", "data", "num_output: 4 kernel_size: 3"),
    ),
    Case(
        "unknown-field",
        (2, 3),
        '"botom"; did you mean "bottom"?',
        DATA + conv("a", "data", more='botom: "x"') + conv("b", "a", more='botom: "x"'),
        DATA + conv("a", "data") + conv("b", "a"),
    ),
    Case(
        "unknown-field",
        (2,),
        '"num_output", which belongs to convolution_param; move it there',
        DATA
        + layer(
            "a", "Convolution", "data", None, "num_output: 4 convolution_param { kernel_size: 3 }"
        ),
        DATA + conv("a", "data", "num_output: 4 kernel_size: 3"),
    ),
    Case(
        "unknown-field",
        (2,),
        'ConvolutionParameter has no field "lr_mult", which belongs to param; move it there',
        DATA + conv("a", "data", SIZE + " lr_mult: 0"),
        DATA + conv("a", "data", SIZE, "param { lr_mult: 0 }"),
    ),
    Case(
        "unknown-field",
        (2,),
        'LayerParameter has no field "force_backward", which belongs to NetParameter; move it out',
        DATA + conv("a", "data", more="force_backward: true"),
        "force_backward: true " + DATA + conv("a", "data"),
    ),
    Case(
        "fork-field",
        (2,),
        '"pad_l" and "pad_t", which the Synopsys fork has; to run the net in Caffe, use that fork, '
        "or write pad_h and pad_w, if both sides pad alike (3 places, the last "
        "on line 3)",
        DATA + conv("a", "data", SIZE + " pad_l: 1 pad_t: 1") + conv("b", "a", SIZE + " pad_t: 1"),
        DATA + conv("a", "data"),
    ),
    Case(
        "fork-field",
        (2,),
        'ConvolutionParameter\'s "hole"',
        DATA + conv("conv", "data", SIZE + " hole: 2") + conv("more", "conv", SIZE + " hole: 4"),
        DATA + conv("conv", "data", SIZE + " dilation: 2"),
    ),
    Case(
        "wrong-value",
        (2,),
        '"num_output" takes a whole number',
        DATA + conv("conv", "data", "num_output: -4 kernel_size: 3"),
        DATA + conv("conv", "data"),
    ),
    Case(
        "wrong-value",
        (2, 3),
        "takes",
        DATA
        + conv("a", "data", SIZE + " bias_term: no")
        + layer("pool", "Pooling", "a", None, "pooling_param { pool: MAXX kernel_size: 2 }"),
        DATA
        + conv("a", "data")
        + layer("pool", "Pooling", "a", None, "pooling_param { pool: MAX kernel_size: 2 }"),
    ),
    Case(
        "wrong-value",
        (2,),
        "quoted",
        DATA + conv("conv", "data").replace('"Convolution"', "Convolution"),
        DATA + conv("conv", "data"),
    ),
    Case(
        "fork-value",
        (2,),
        "MKL2017",
        DATA + conv("conv", "data", SIZE + " engine: MKL2017"),
        DATA + conv("conv", "data", SIZE + " engine: CAFFE"),
    ),
    Case(
        "unknown-word",
        (2,),
        'no filler "gausian"; did you mean "gaussian"?',
        DATA + conv("conv", "data", SIZE + ' weight_filler { type: "gausian" std: 0.01 }'),
        DATA + conv("conv", "data", SIZE + ' weight_filler { type: "gaussian" std: 0.01 }'),
    ),
    Case(
        "fork-word",
        (2,),
        'BVLC Caffe has no filler "lsuv"',
        DATA + conv("conv", "data", SIZE + ' weight_filler { type: "lsuv" }'),
        DATA + conv("conv", "data", SIZE + ' weight_filler { type: "msra" }'),
    ),
    Case(
        "given-twice",
        (2,),
        '"name" is given a second time',
        DATA + conv("conv", "data", more='name: "again"'),
        DATA + conv("conv", "data"),
    ),
    Case(
        "missing-field",
        (2,),
        'ClipParameter lacks "max"',
        DATA + layer("clip", "Clip", "data", None, "clip_param { min: 0 }"),
        DATA + layer("clip", "Clip", "data", None, "clip_param { min: 0 max: 1 }"),
    ),
    Case("byte-order-mark", (1,), "byte order mark", "\ufeff" + DATA, DATA),
    Case(
        "two-formats",
        (2,),
        "`layer` on line 1",
        DATA + 'layers { name: "conv" type: RELU bottom: "data" top: "conv" }',
        DATA + layer("conv", "ReLU", "data"),
    ),
    Case(
        "no-type",
        (2,),
        "it has no type",
        DATA + 'layer { name: "x" bottom: "data" top: "x" }',
        DATA + layer("x", "ReLU", "data"),
    ),
    Case(
        "include-and-exclude",
        (2,),
        "both include and exclude",
        DATA + layer("x", "ReLU", "data", None, "include { phase: TEST } exclude { phase: TRAIN }"),
        DATA + layer("x", "ReLU", "data", None, "include { phase: TEST }"),
    ),
    Case(
        "undefined-bottom",
        (2, 4),
        'did you mean "data"?',
        DATA + conv("a", "dta") + conv("b", "a") + layer("sum", "Eltwise", "b dat"),
        DATA + conv("a", "data") + conv("b", "a") + layer("sum", "Eltwise", "b a"),
    ),
    Case(
        "undefined-bottom",
        (3,),
        "not in state TEST",
        DATA
        + LABEL.replace("}\n", "include { phase: TRAIN } }\n")
        + layer("loss", "Silence", "data label", "", "include { phase: TEST }")
        + layer("l", "Silence", "data", ""),
        DATA
        + LABEL
        + layer("loss", "Silence", "data label", "")
        + layer("l", "Silence", "data", ""),
    ),
    Case(
        "duplicate-top",
        (3, 4),
        'already made by layer "a" on line 2',
        DATA
        + conv("a", "data")
        + layer("b", "ReLU", "data", "a")
        + layer("c", "TanH", "data", "a"),
        DATA + conv("a", "data") + layer("b", "ReLU", "a", "a") + layer("c", "TanH", "a", "a"),
    ),
    Case(
        "in-place",
        (4,),
        "also reads",
        DATA + conv("a", "data") + conv("b", "a") + layer("c", "ReLU", "a", "a"),
        DATA + conv("a", "data") + conv("b", "a") + layer("c", "ReLU", "a"),
    ),
    Case(
        "shape",
        (2, 3),
        "a 40 x 40 input",
        DATA
        + conv("a", "data", "num_output: 4 kernel_size: 50")
        + layer("b", "Pooling", "data", None, "pooling_param { kernel_size: 3 stride: 2 pad: 3 }"),
        DATA
        + conv("a", "data")
        + layer("b", "Pooling", "data", None, "pooling_param { kernel_size: 3 }"),
    ),
    Case(
        "shape",
        (2,),
        "takes 2 or more bottoms and has 1",
        DATA + layer("sum", "Eltwise", "data"),
        DATA + layer("sum", "Eltwise", "data data"),
    ),
    Case(
        "window",
        (2,),
        "kernel",
        layer("d", "HDF5Data", "", "data", 'hdf5_data_param { source: "x" batch_size: 1 }')
        + conv("a", "data", "num_output: 4"),
        layer("d", "HDF5Data", "", "data", 'hdf5_data_param { source: "x" batch_size: 1 }')
        + conv("a", "data"),
    ),
    Case(
        "window",
        (2,),
        "it has no num_output; give 1 output or more",
        layer("d", "HDF5Data", "", "data", 'hdf5_data_param { source: "x" batch_size: 1 }')
        + fc("fc", "data").replace("num_output: 4", ""),
        layer("d", "HDF5Data", "", "data", 'hdf5_data_param { source: "x" batch_size: 1 }')
        + fc("fc", "data"),
    ),
    Case(
        "unknown-type",
        (2,),
        'did you mean "Convolution"?',
        DATA + conv("a", "data").replace("Convolution", "Convolutoin"),
        DATA + conv("a", "data"),
    ),
    Case(
        "unknown-type",
        (1,),
        "V1 format has no type RESHAPE",
        V1.format(type="RESHAPE"),
        V1.format(type="ELTWISE"),
    ),
    Case(
        "fork-type",
        (2,),
        "(2 layers)",
        DATA + layer("a", "BoxAnnotator", "data") + layer("b", "BoxAnnotator", "a"),
        DATA + layer("a", "ReLU", "data") + layer("b", "ReLU", "a"),
    ),
    Case(
        "fork-type",
        (2,),
        '"Permute", which the SSD fork has; to run the net in Caffe, use that fork',
        DATA + layer("a", "Permute", "data", None, "permute_param { order: 0 }"),
        DATA + layer("a", "ReLU", "data"),
    ),
    Case(
        "fork-type",
        (3,),
        "`fcnkit align` makes it a Crop",
        DATA + conv("a", "data") + layer("b", "AutoCrop", "a data"),
        DATA + conv("a", "data") + crop("b", "a data", "axis: 2 offset: 0"),
    ),
    Case(
        "unread-param",
        (3,),
        "Pooling does not read convolution_param, which is ignored",
        DATA + 'layer { name: "a" type: "Pooling" bottom: "data" top: "a" pooling_param { '
        "kernel_size: 2 }\n"
        "convolution_param { pad: 1 } }",
        DATA + layer("a", "Pooling", "data", None, "pooling_param { kernel_size: 2 pad: 1 }"),
    ),
    Case(
        "unread-param",
        (1,),
        "it reads image_data_param or transform_param: move it there",
        layer(
            "data",
            "ImageData",
            "",
            "data label",
            'image_data_param { source: "x" batch_size: 1 new_height: 9 new_width: 9 } '
            "data_param { }",
        ),
        layer(
            "data",
            "ImageData",
            "",
            "data label",
            'image_data_param { source: "x" batch_size: 1 new_height: 9 new_width: 9 }',
        ),
    ),
    Case(
        "uneven-list",
        (2, 5),
        "it has 2 propagate_down and 1 bottom",
        DATA
        + conv("conv", "data", more="propagate_down: true propagate_down: false")
        + "\n"
        + LABEL
        + loss(more="loss_weight: 1 loss_weight: 2"),
        DATA
        + conv("conv", "data", more="propagate_down: true")
        + "\n"
        + LABEL
        + loss(more="loss_weight: 2"),
    ),
    Case(
        "too-many-params",
        (2, 3),
        "2 param blocks and 1 parameter blob (bias_term: false)",
        DATA
        + conv("a", "data", SIZE + " bias_term: false", "param { } param { }")
        + deconv("b", "a", UP + BILINEAR, "param { lr_mult: 0 } param { lr_mult: 0 }"),
        DATA
        + conv("a", "data", SIZE + " bias_term: false", "param { }")
        + deconv("b", "a", UP + BILINEAR, "param { lr_mult: 0 }"),
    ),
    Case(
        "too-many-params",
        (4,),
        "1 param block and 0 parameter blobs",
        DATA + conv("a", "data") + "\n" + layer("b", "ReLU", "a", None, "param { }"),
        DATA + conv("a", "data") + "\n" + layer("b", "ReLU", "a"),
    ),
    Case(
        "batch-norm-rate",
        (2,),
        "statistics are not learned",
        DATA
        + layer("n", "BatchNorm", "data", None, "param { lr_mult: 0 } param { decay_mult: 0 }"),
        DATA + layer("n", "BatchNorm", "data", None, "param { lr_mult: 0 } " * 3),
    ),
    Case(
        "bilinear-group",
        (3,),
        "group 1, num_output 4 and 4 input channels",
        DATA + HALF + deconv("up", "conv", "num_output: 4 kernel_size: 4 stride: 2" + BILINEAR),
        DATA + HALF + deconv("up", "conv", UP + BILINEAR),
    ),
    Case(
        "bilinear-group",
        (3,),
        "set both group and num_output to 4",
        DATA
        + HALF
        + deconv("up", "conv", "num_output: 2 group: 2 kernel_size: 4 stride: 2" + BILINEAR),
        DATA + HALF + deconv("up", "conv", UP + BILINEAR),
    ),
    Case(
        "bilinear-kernel",
        (3,),
        "set kernel_size 4 or 3",
        DATA + HALF + deconv("up", "conv", UP.replace("size: 4", "size: 5") + BILINEAR),
        DATA + HALF + deconv("up", "conv", UP.replace("size: 4", "size: 3") + BILINEAR),
    ),
    Case(
        "unfilled-deconvolution",
        (4,),
        "all its weights are 0 unless a weights file has them",
        DATA + LABEL + HALF + deconv("up", "conv", UP + " pad: 1") + loss("up"),
        DATA + LABEL + HALF + deconv("up", "conv", UP + " pad: 1" + BILINEAR) + loss("up"),
    ),
    Case(
        "crop-offset",
        (4,),
        '"data" begins at pixel 1 of "up"; set offset: 1',
        TO3 + crop("score", "up data", "axis: 2 offset: 0"),
        TO3 + crop("score", "up data", "axis: 2 offset: 1"),
    ),
    Case(
        "crop-offset",
        (4,),
        'needs the offset 3/2, not a whole number; give layer "up" kernel_size 3',
        DATA
        + HALF
        + deconv("up", "conv", UP + BILINEAR)
        + crop("score", "up data", "axis: 2 offset: 1"),
        TO3 + crop("score", "up data", "axis: 2 offset: 1"),
    ),
    Case(
        "crop-without-offset",
        (4,),
        "Caffe takes 0, but OpenCV the centre",
        TO3 + crop("score", "up data", "axis: 2"),
        TO3 + crop("score", "up data", "axis: 2 offset: 1"),
    ),
    Case(
        "empty-window",
        (2, 2),
        "its last row begins at 40 of 40: Caffe makes -3.4e38 of no values; avoid it with ",
        DATA + layer("p", "Pooling", "data", more="pooling_param { kernel_size: 1 stride: 2 }"),
        DATA
        + layer(
            "p",
            "Pooling",
            "data",
            more="pooling_param { kernel_size: 1 stride: 2 round_mode: FLOOR }",
        ),
    ),
    Case(
        "crop-channels",
        (4,),
        "set crop_param { axis: 2 }",
        TO3 + crop("score", "up data", "axis: 1 offset: 0 offset: 1 offset: 1"),
        TO3 + crop("score", "up data", "axis: -2 offset: 1"),
    ),
    Case(
        "fc-left-behind",
        (3,),
        'layer "up" upsamples',
        DATA + HALF + fc("fc", "conv") + deconv("up", "conv", UP + BILINEAR),
        DATA
        + HALF
        + conv("fc", "conv", "num_output: 4 kernel_size: 20")
        + deconv("up", "conv", UP + BILINEAR),
    ),
    Case(
        "fc-left-behind",
        (4,),
        'layer "up" upsamples',
        DATA
        + HALF
        + layer("flat", "Flatten", "conv")
        + fc("fc", "flat")
        + deconv("up", "conv", UP + BILINEAR),
        DATA + HALF + deconv("up", "conv", UP + BILINEAR),
    ),
    Case(
        "fc-left-behind",
        (3,),
        'layer "up" upsamples',
        DATA
        + HALF
        + fc("fc", "conv").replace("num_output: 4", "num_output: 4 axis: -3")
        + deconv("up", "conv", UP + BILINEAR),
        # It works along the columns, as what stands for another fork's Interp.
        DATA
        + HALF
        + fc("fc", "conv").replace("num_output: 4", "num_output: 4 axis: 3")
        + deconv("up", "conv", UP + BILINEAR),
    ),
    Case(
        "duplicate-name",
        (3,),
        "on line 2 has the same name",
        DATA + conv("a", "data") + conv("a", "a").replace('top: "a"', 'top: "b"'),
        DATA + conv("a", "data") + conv("b", "a"),
    ),
    Case(
        "unread-top",
        (4,),
        'no layer reads its top "extra"',
        NETS + conv("extra", "data") + loss(),
        NETS + conv("extra", "data") + layer("quiet", "Silence", "extra", "") + loss(),
    ),
    Case(
        "shared-memory",
        (5,),
        'in one memory with "conv", which layer "loss" on line 6 reads later',
        NETS
        + layer("flat", "Flatten", "conv")
        + layer("relu", "ReLU", "flat", "flat")
        + loss()
        + layer("quiet", "Silence", "flat", ""),
        NETS
        + layer("flat", "Flatten", "conv")
        + layer("relu", "ReLU", "flat", "other")
        + loss()
        + layer("quiet", "Silence", "other", ""),
    ),
    Case(
        "double-softmax",
        (5,),
        'give it "conv"',
        NETS + layer("prob", "Softmax", "conv") + loss("prob"),
        NETS + loss("conv"),
    ),
    Case(
        "double-softmax",
        (5,),
        'it takes the sigmoid itself; give it "conv"',
        NETS.replace("dim: 1 dim: 1", "dim: 1 dim: 4")
        + layer("p", "Sigmoid", "conv")
        + layer("loss", "SigmoidCrossEntropyLoss", "p label"),
        NETS.replace("dim: 1 dim: 1", "dim: 1 dim: 4")
        + layer("loss", "SigmoidCrossEntropyLoss", "conv label"),
    ),
    Case(
        "one-class",
        (4,),
        'its bottom "conv" scores one class, whose softmax is always 1',
        DATA + LABEL + conv("conv", "data", SIZE.replace("4", "1")) + loss(),
        DATA + LABEL + conv("conv", "data", SIZE.replace("4", "2")) + loss(),
    ),
    Case(
        "shared-shape",
        (3,),
        '"w", which is 5 x 3 x 3 x 3 here and 4 x 3 x 3 x 3 in layer "a" on line 2',
        DATA
        + conv("a", "data", SIZE, 'param { name: "w" }')
        + conv("b", "data", SIZE.replace("4", "5"), 'param { name: "w" }'),
        DATA
        + conv("a", "data", SIZE, 'param { name: "w" }')
        + conv("b", "data", SIZE, 'param { name: "w" }'),
    ),
    Case(
        "ignored-class",
        (4,),
        "ignore_label 3 is one of the 4 classes, 0 to 3",
        NETS + loss(more="loss_param { ignore_label: 3 }"),
        NETS + loss(more="loss_param { ignore_label: 4 }"),
    ),
    Case(
        "ignored-once",
        (5,),
        'it ignores nothing, and layer "loss" on line 4 ignores 255',
        NETS
        + loss(more="loss_param { ignore_label: 255 }")
        + layer("accuracy", "Accuracy", "conv label"),
        NETS
        + loss(more="loss_param { ignore_label: 255 }")
        + layer("accuracy", "Accuracy", "conv label", None, "accuracy_param { ignore_label: 255 }"),
    ),
    Case(
        "head-classes",
        (6,),
        'its 5 classes and the 4 of layer "loss" on line 4',
        NETS + loss() + conv("aux", "data", SIZE.replace("4", "5")) + loss("aux", name="loss2"),
        NETS + loss() + conv("aux", "data") + loss("aux", name="loss2"),
    ),
)
EACH = pytest.mark.parametrize(
    "case", CASES, ids=[f"{case.name}{n}" for n, case in enumerate(CASES)]
)


def lint(text: str, **given):
    return fcnkit.lint(prototxt.parse(text, "net.prototxt"), **given)


def shown(found) -> str:
    return "\n".join(map(str, found)) or "nothing"


# ---- every check, one fault at a time


@EACH
def test_a_fault_is_found_at_its_line_and_nothing_else_is(case):
    found = lint(case.bad)
    assert [(one.name, one.line) for one in found] == [(case.name, line) for line in case.lines], (
        shown(found)
    )
    assert case.words in found[-1].text or case.words in found[0].text, shown(found)
    assert all(one.level == KINDS[one.name].level and one.path == "net.prototxt" for one in found)


@EACH
def test_the_net_put_right_is_clean(case):
    assert lint(case.good) == (), shown(lint(case.good))


def test_every_check_and_every_fault_of_the_file_has_a_case():
    apart = {"v0", "a-solver", "a-label-map", "not-a-net"}
    apart |= {"loss-rate", "untrained", "weights-shape", "unused-weights", "zero-deconvolution"}
    apart |= {"other-weights"}
    apart |= {"parted", "scaled-labels"}  # tests/test_lint_pairs.py has those
    # tests/test_lint_learning.py has those
    apart |= {"overwritten-gradient", "overwritten-share", "stays-zero", "unmeasured"}
    apart |= {"stored-statistics", "raw-weights"}
    apart |= {check.name for check in solvers.CHECKS}  # tests/test_lint_solvers.py has those
    apart |= set(targets.KINDS)  # tests/test_targets.py has those
    assert {case.name for case in CASES} | apart == set(KINDS)
    assert {check.name for check in CHECKS} < set(KINDS)


def test_every_name_says_what_it_means():
    for kind in KINDS.values():
        assert re.fullmatch(r"[a-z`][^\n]{10,100}[^.]", kind.meaning), kind


def test_findings_come_in_the_order_of_lines_and_each_once():
    found = lint(
        DATA + conv("b", "x") + conv("a", "y") + conv("c", "a", "num_output: 4 kernal_size: 3")
    )
    assert [one.line for one in found] == [2, 3, 4]
    assert str(found[0]).startswith('net.prototxt:2: error: layer "b": bottom "x"')
    assert str(found[0]).endswith("[undefined-bottom]")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_wrong_values_do_not_hide_what_comes_after_nor_move_its_line(end):
    text = (
        DATA + 'layer { name: "a" type: Convolution bottom: "data"\n\ntop: "a" convolution_param { '
        "num_output: 4\n"
    )
    text += "kernel_size: [3, x, 3] stride: yes } }\n" + conv("b", "nothing")
    found = lint(text.replace("\n", end))
    assert Counter((one.name, one.line) for one in found) >= Counter(
        [("wrong-value", 2), ("wrong-value", 5)]
    )
    single = lint(text.replace("[3, x, 3]", "3").replace("\n", end))
    assert [(one.name, one.line) for one in single][-1] == ("undefined-bottom", 6)


# ---- states


ONLY = "include {{ phase: {} }}".format
TRAINED = LABEL.replace("}\n", ONLY("TRAIN") + " }\n")


@pytest.mark.parametrize(
    "text, phase, names",
    [
        (DATA + TRAINED + conv("conv", "data") + loss(), None, []),
        (DATA + TRAINED + conv("conv", "data") + loss(), "TRAIN", []),
        (DATA + TRAINED + conv("conv", "data") + loss(), "TEST", ["undefined-bottom"]),
        (NETS + conv("extra", "data", more=ONLY("TEST")) + loss(), None, []),
        (NETS + conv("extra", "data", more=ONLY("TRAIN")) + loss(), None, ["unread-top"]),
        (NETS + conv("extra", "data", more=ONLY("TRAIN")) + loss(), "TEST", []),
        (
            NETS + layer("bad", "Silence", "x", "", 'include { stage: "odd" }') + loss(),
            None,
            ["undefined-bottom"],
        ),
    ],
)
def test_what_is_looked_at_is_what_the_rules_mean(text, phase, names):
    assert [one.name for one in lint(text, phase=phase)] == names


def test_a_stage_is_looked_at_when_it_is_asked_for():
    text = NETS + layer("bad", "ReLU", "late", None, 'include { stage: "odd" }')
    text += layer("late", "ReLU", "conv", None, 'include { stage: "other" }')
    assert lint(text) == ()
    assert [one.line for one in lint(text, stages=("odd",))] == [4]


def test_a_phase_that_has_its_data_in_a_stage_is_meant_in_that_stage():
    data = [DATA.replace("}\n", f"{ONLY(phase)} }}\n") for phase in ("TRAIN", 'TEST stage: "val"')]
    text = "".join(data) + conv("conv", "data") + layer("top", "Silence", "conv", "", ONLY("TEST"))
    assert lint(text) == ()
    alone = data[0] + conv("conv", "data") + layer("top", "Silence", "conv", "", ONLY("TEST"))
    assert {one.name for one in lint(alone + layer("in", "Silence", "data", "", ONLY("TEST")))} == {
        "undefined-bottom"
    }


# ---- crops: each is judged with those before it put right


def test_a_wrong_offset_does_not_make_the_next_one_wrong():
    plan = fcnkit.fcn(prototxt.read(templates.path("alexnet")), classes=3, stride=16)
    assert [one for one in fcnkit.lint(plan.net) if one.name.startswith("crop")] == []
    first = next(
        field for field in plan.net.root.all("layer") if '"Crop"' in field.last("type").raw
    )
    text = plan.net.text
    changed = re.sub(r"offset: \d+", "offset: 1", text[first.start : first.stop])
    found = lint(text[: first.start] + changed + text[first.stop :])
    assert [(one.name, one.line) for one in found] == [("crop-offset", first.line)], shown(found)


def test_crops_of_one_name_each_have_their_own_offset():
    one = DATA + HALF + deconv("up", "conv", UP3 + BILINEAR) + crop("crop", "up data", "axis: 2")
    two = deconv("far", "conv", "num_output: 4 group: 4 kernel_size: 3 stride: 2 pad: 1" + BILINEAR)
    two += crop("crop", "far data", "axis: 2").replace('top: "crop"', 'top: "other"')
    found = [each.text for each in lint(one + two) if each.name == "crop-without-offset"]
    assert [text.rpartition("set ")[2] for text in found] == ["offset: 1", "offset: 0"]


# ---- solver

RATE = 'base_lr: {}\nlr_policy: "fixed"\n'.format


@pytest.mark.parametrize(
    "rate, param, words",
    [
        ("1e-4", "normalize: false", "summed over its 1,600 places"),
        ("1e-10", "normalize: false", None),
        ("1e-4", "normalization: NONE", "normalize: true"),
        ("1e-10", "", "the mean over its 1,600 places"),
        ("1e-10", "normalize: true", "would learn very slowly"),
        ("1e-4", "", None),
        ("1e-4", "normalize: true", None),
        ("1e-4", "normalization: VALID normalize: false", None),
    ],
)
def test_the_learning_rate_goes_with_the_loss(rate, param, words):
    solver = prototxt.parse("# a comment\n" + RATE(rate), "solver.prototxt")
    found = lint(NETS + loss(more=f"loss_param {{ {param} }}"), solver=solver)
    assert [(one.name, one.path, one.line) for one in found] == [
        ("loss-rate", "solver.prototxt", 2)
    ] * bool(words)
    assert words is None or words in found[0].text


@pytest.mark.parametrize("top, expected", [("conv", ["loss-rate"]), ("fc", [])])
def test_a_net_of_unknown_size_has_places_as_far_as_its_images_reach(top, expected):
    data = layer("d", "HDF5Data", "", "data label", 'hdf5_data_param { source: "x" batch_size: 1 }')
    text = data + (conv("conv", "data") if top == "conv" else fc("fc", "data"))
    text += loss(top, "loss_param { normalize: false }")
    assert [one.name for one in lint(text, solver=prototxt.parse(RATE("0.01"), "s"))] == expected


def test_a_loss_without_places_may_have_any_rate():
    text = (
        DATA
        + LABEL.replace("dim: 40", "")
        + fc("conv", "data")
        + loss(more="loss_param { normalize: false }")
    )
    assert lint(text, solver=prototxt.parse(RATE("0.1"), "s")) == ()


def test_a_solver_s_words_are_looked_at():
    found = lint(
        NETS + loss(),
        solver=prototxt.parse(
            'base_lr: 0.1 lr_policy: "fixed"\nmomentun: 0.9\nmax_iter: x\n', "s.prototxt"
        ),
    )
    assert [(one.name, one.path, one.line) for one in found if one.name != "loss-rate"] == [
        ("unknown-field", "s.prototxt", 2),
        ("wrong-value", "s.prototxt", 3),
    ]


@pytest.mark.parametrize(
    "words, expected",
    [
        ('lr_policy: "stepp"', ("unknown-word", 'no lr_policy "stepp"; did you mean "step"?')),
        (
            'lr_policy: "plateau"',
            ("fork-word", 'BVLC Caffe has no lr_policy "plateau"; use the fork'),
        ),
        ('type: "Adamm"', ("unknown-word", 'no solver "Adamm"; did you mean "Adam"?')),
        ("warmup_iter: 5", ("fork-field", "which the Intel fork has")),
        ('lr_policy: "multistep" gamma: 0.1 stepvalue: 5 type: "Nesterov"', None),
    ],
)
def test_policies_and_solvers_are_those_that_there_are(words, expected):
    policy = "" if "lr_policy" in words else 'lr_policy: "fixed"'
    found = lint(f"base_lr: 0.1 {policy}\n{words}\n")[1:]
    assert [(one.name, one.line) for one in found] == ([(expected[0], 2)] if expected else [])
    assert all(expected[1] in one.text for one in found)


def test_nothing_that_a_file_names_is_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text("this is { not text format")
    found = lint('net: "net.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\n')
    assert [one.name for one in found] == ["a-solver"]


# ---- weights


def weights(**layers):
    import numpy as np

    return store.create().put_all(
        {name: [np.ones(shape, "f4") for shape in shapes] for name, shapes in layers.items()}
    )


CONV = ((4, 3, 3, 3), (4,))
WEIGHED = DATA + conv("conv", "data") + layer("relu", "ReLU", "conv", "conv")


def test_weights_that_fit_are_clean():
    assert lint(WEIGHED, weights=weights(conv=CONV)) == ()


@pytest.mark.parametrize(
    "layers, expected",
    [
        ({}, [("untrained", 2, "zero, since it has no weight_filler")]),
        ({"conv": CONV, "fc8": CONV}, [("unused-weights", 1, 'has weights for "fc8"')]),
        (
            {"cnov": CONV},
            [("unused-weights", 1, '"cnov"'), ("untrained", 2, "no layer of this name")],
        ),
        ({"conv": ((5, 3, 3, 3), (5,))}, [("weights-shape", 2, "5 x 3 x 3 x 3 and 5 in")]),
        ({"conv": ((4, 27), (4,))}, [("weights-shape", 2, "reshape them with `fcnkit surgery`")]),
        ({"conv": CONV[:1]}, [("weights-shape", 2, "but 4 x 3 x 3 x 3 and 4 in the net")]),
        ({"conv": CONV, "split": ()}, []),
    ],
)
def test_weights_are_compared_with_the_net(layers, expected):
    found = lint(WEIGHED, weights=weights(**layers))
    assert [(one.name, one.line) for one in found] == [each[:2] for each in expected], shown(found)
    assert all(each[2] in one.text for one, each in zip(found, expected, strict=True)), shown(found)


CHAIN = DATA + "".join(conv(new, old) for old, new in zip(["data", *"abcd"], "abcde", strict=True))


def test_weights_of_another_net_are_said_once():
    other = weights(**{name: CONV for name in ("x", "y", "z")})
    (found,) = lint(CHAIN, weights=other)
    assert (found.name, found.line) == ("other-weights", 1)
    assert "fits 0 of the net's 5 layers with weights" in found.text
    other = weights(a=((5, 3, 7, 7), (5,)), b=((5, 3, 7, 7), (5,)), z=CONV)
    names = [found.name for found in lint(CHAIN, weights=other)]
    assert names == ["other-weights", "weights-shape"]


def test_many_layers_that_the_weights_lack_are_one_finding():
    deep = ((4, 4, 3, 3), (4,))
    (found,) = lint(CHAIN + conv("f", "e"), weights=weights(a=CONV, b=deep))
    assert (found.name, found.line) == ("untrained", 4)
    assert found.text.endswith("(so it is with d, e, f)")


def test_weights_of_one_phase_are_not_unused():
    text = WEIGHED + conv("aux", "data", more=ONLY("TRAIN"))
    assert lint(text, weights=weights(conv=CONV, aux=CONV)) == ()


def test_weights_of_a_net_of_unknown_size_are_compared_by_what_is_known():
    text = WEIGHED.replace(" input_param { shape { dim: 1 dim: 3 dim: 40 dim: 40 } }", "")
    assert lint(text, weights=weights(conv=CONV)) == ()
    assert [one.name for one in lint(text, weights=weights(conv=((4, 3, 2, 2), (4,))))] == [
        "weights-shape"
    ]


@pytest.mark.parametrize("value, names", [(0, ["zero-deconvolution"]), (1, [])])
def test_zero_deconvolutions_are_found_in_the_weights(value, names):
    import numpy as np

    net = DATA + HALF + deconv("up", "conv", UP3)
    full = weights(conv=CONV).put("up", [np.full((4, 1, 3, 3), value, "f4")])
    assert [one.name for one in lint(net, weights=full)] == names
    assert [one.name for one in lint(net, weights=weights(conv=CONV))] == ["zero-deconvolution"]
    assert (
        lint(net.replace("bias_term: false", "bias_term: false" + BILINEAR), weights=full)[:1] == ()
        or value == 0
    )


# ---- files that are no nets, and inputs


def test_the_v0_format_is_said_and_its_words_are_looked_at():
    found = lint(
        'layers { layer { name: "a" type: "conv" kernelsize: 3 nmu_output: 4 } bottom: "d" top: '
        '"a" }'
    )
    assert [one.name for one in found] == ["unknown-field", "v0"]


def test_a_label_map_is_no_net_and_no_mistake():
    assert [
        one.name
        for one in lint('item { name: "cat" label: 1 display_name: "cat" }\nitem { label: 2 }')
    ] == ["a-label-map"]


def test_misspelt_layers_are_seen_though_nothing_else_is():
    found = lint(DATA.replace("layer", "Layer") + conv("a", "data").replace("layer", "layr"))
    assert [(one.name, one.line) for one in found] == [
        ("not-a-net", 1),
        ("unknown-field", 1),
        ("unknown-field", 2),
    ]
    assert all('did you mean "layer"?' in one.text for one in found[1:])


def test_what_is_shared_loosely_needs_but_the_same_count():
    text = DATA + fc("a", "data", 'param { name: "w" share_mode: PERMISSIVE }')
    text += conv(
        "b", "data", "num_output: 4 kernel_size: 40", 'param { name: "w" share_mode: PERMISSIVE }'
    )
    assert lint(text) == ()
    assert [one.name for one in lint(text.replace("share_mode: PERMISSIVE", ""))] == [
        "shared-shape"
    ]


def test_a_file_without_layers_is_none():
    assert [one.name for one in lint('thing { name: "dog" id: 1 }')] == ["not-a-net"]
    assert [one.name for one in lint("")] == ["not-a-net"]


@pytest.mark.parametrize("words", [2, 4])
def test_a_fork_that_learns_factors_beside_its_statistics_has_rates_for_them(words):
    """As PSPNet's BN, and that of temporal segment networks."""
    param = "bn_param { slope_filler { value: 1 } bias_filler { value: 0 } frozen: true }"
    rates = "param { lr_mult: 1 decay_mult: 0 } " * words
    found = lint(DATA + layer("n", "BN", "data", None, rates + param))
    assert "batch-norm-rate" not in {each.name for each in found}


def test_a_size_that_cannot_be_is_said_of_a_forks_type_too():
    pooled = "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"
    text = INPUT.format("data", 3).replace("dim: 40 }", "dim: 41 }") + conv("c", "data")
    text += layer("p1", "Pooling", "c", "p1 m1", pooled)
    text += layer("p2", "Pooling", "p1", "p2 m2", pooled)
    text += layer("u2", "Upsample", "p2 m2", None, "upsample_param { scale: 2 }")
    text += layer("u1", "Upsample", "u2 m1", None, "upsample_param { scale: 2 }")
    assert [one.name for one in lint(text)] == ["fork-type", "shape"]
    cured = text.replace("upsample_param { scale: 2 }", "upsample_param { pad_out_w: true }", 1)
    assert [one.name for one in lint(cured)] == ["fork-type"]


def test_inputs_take_the_place_of_those_in_the_file():
    text = (
        DATA
        + fc("fc", "data")
        + layer("pool", "Pooling", "data", None, "pooling_param { kernel_size: 9 }")
    )
    assert [one.name for one in lint(text, inputs={"data": (1, 3, 5, 5)})] == ["shape"]
    with pytest.raises(errors.NetError, match='no blob "dta"'):
        lint(text, inputs={"dta": (1, 3, 5, 5)})


# ---- the command line


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.prototxt").write_text(NETS + loss())
    (tmp_path / "bad.prototxt").write_text(DATA + conv("a", "dta"))
    (tmp_path / "fork.prototxt").write_text(DATA + conv("a", "data", SIZE + " hole: 2"))
    (tmp_path / "broken.prototxt").write_text("layer {")
    (tmp_path / "solver.prototxt").write_text(RATE("1e-10"))
    weights(conv=CONV).save(tmp_path / "w.caffemodel")
    return tmp_path


@pytest.mark.parametrize(
    "words, status, said",
    [
        ("good.prototxt", 0, "1 net: nothing found\n"),
        ("good.prototxt --weights w.caffemodel", 0, "1 net: nothing found\n"),
        ("good.prototxt --solver solver.prototxt", 1, "solver.prototxt:1: warning: base_lr"),
        ("bad.prototxt", 1, 'bad.prototxt:2: error: layer "a": bottom "dta"'),
        ("bad.prototxt", 1, "1 net: 1 error\n"),
        ("bad.prototxt --weights w.caffemodel", 1, "1 net: 1 error, 2 warnings\n"),
        ("bad.prototxt --ignore undefined-bottom", 0, "1 net: nothing found\n"),
        ("fork.prototxt", 0, "1 net: 1 note\n"),
        ("good.prototxt bad.prototxt fork.prototxt", 1, "3 nets: 1 error, 1 note\n"),
        ("bad.prototxt --ignore no-such-name", 2, "--names"),
        ("broken.prototxt", 2, "broken.prototxt:1:"),
        ("none.prototxt", 2, "cannot be read"),
        ("good.prototxt --weights none.caffemodel", 2, "cannot be read"),
        ("good.prototxt --weights bad.prototxt", 2, "bad.prototxt"),
        ("good.prototxt --input dta=1,3,4,4", 2, "dta"),
        ("--names", 0, "crop-offset"),
        ("", 2, "NET"),
    ],
)
def test_the_command_says_what_is_wrong_and_ends_with_its_status(files, words, status, said):
    done = CliRunner().invoke(main, ["lint", *words.split()])
    assert (done.exit_code, said in done.output) == (status, True), done.output


def test_json_holds_every_finding(files):
    done = CliRunner().invoke(main, ["lint", "bad.prototxt", "fork.prototxt", "--json"])
    said = json.loads(done.output)
    assert done.exit_code == 1
    assert (said["errors"], said["warnings"], said["notes"]) == (1, 0, 1)
    assert said["findings"][0] | {"text": ""} == {
        "name": "undefined-bottom",
        "level": "error",
        "path": "bad.prototxt",
        "line": 2,
        "text": "",
    }


def test_the_net_may_come_from_standard_input(files):
    done = CliRunner().invoke(main, ["lint", "-"], input=(files / "bad.prototxt").read_text())
    assert done.exit_code == 1 and "<stdin>:2: error" in done.output


# ---- hostile inputs


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_net_is_never_a_crash(seed):
    chance = random.Random(seed)
    whole = (
        NETS
        + HALF.replace('"conv"', '"half"')
        + TO3[len(DATA + HALF) :].replace('"conv"', '"half"')
    )
    whole += crop("score", "up data", "axis: 2 offset: 1") + loss("score")
    words = re.findall(r'"[^"]*"|[\w.]+|\S', whole)
    for _ in range(25):
        damaged = list(words)
        for _ in range(chance.choice((1, 2, 5))):
            damaged[chance.randrange(len(damaged))] = chance.choice(
                [*words, "", "-1", "{", "}", "[1, x]", '"Crop"']
            )
        try:
            net = prototxt.parse(" ".join(damaged))
        except errors.PrototxtError:
            continue
        assert all(one.name in KINDS for one in fcnkit.lint(net, weights=weights(conv=CONV)))


def test_long_chains_are_followed():
    chain = "".join(layer(f"r{n}", "ReLU", "data", "data") for n in range(3000))
    text = (
        DATA.partition(" input_param")[0]
        + " }\n"
        + LABEL
        + chain
        + loss("data", "loss_param { ignore_label: 0 }")
    )
    assert lint(text) == ()


# ---- real nets


def real(shared, step):
    """Every step-th net of the corpus that is text format."""
    paths = [
        *sorted(shared.glob("prototxts/**/*.prototxt")),
        *sorted(shared.glob("models/**/*.prototxt")),
    ]
    for path in paths[::step]:
        try:
            yield prototxt.read(path)
        except errors.PrototxtError:
            continue


# Files of the corpus that are broken, cut, or to be filled in; all else has no error but in forks'
# words.
BROKEN = 0.07


def test_real_nets_have_few_errors_and_none_ends_in_a_crash(shared):
    nets = list(real(shared, 5))
    found = [fcnkit.lint(net) for net in nets]
    wrong = [one for each in found for one in each if one.level == ERROR]
    assert len(nets) > 100
    assert len({one.path for one in wrong}) <= BROKEN * len(nets), shown(wrong)
    assert all(
        net.text.count("\n") + 1 >= one.line > 0
        for net, each in zip(nets, found, strict=True)
        for one in each
    )
    assert all(one.name in KINDS and one.text for each in found for one in each)


def test_trained_nets_fit_their_weights(shared):
    pairs = {
        "age_net_v1/deploy_age.prototxt": "age_net_v1/age_net.caffemodel",
        "lenet_v2/lenet_train_test.prototxt": "lenet_v2/lenet_iter_10000.caffemodel",
        "mtcnn_v2/det3.prototxt": "mtcnn_v2/det3.caffemodel",
        "open_nsfw_resnet50_v2/deploy.prototxt": (
            "open_nsfw_resnet50_v2/resnet_50_1by2_nsfw.caffemodel"
        ),
    }
    for net, caffemodel in pairs.items():
        found = fcnkit.lint(
            prototxt.read(shared / "models" / net), store.open(shared / "models" / caffemodel)
        )
        assert found == (), shown(found)


@pytest.mark.parametrize(
    "name", ["alexnet", "caffenet", "googlenet", "nin", "resnet50", "vgg16", "vgg19"]
)
@pytest.mark.parametrize("stride", [32, 8])
def test_what_fcnkit_makes_is_clean(name, stride):
    net = prototxt.read(templates.path(name))
    assert fcnkit.lint(net) == ()
    plan = fcnkit.fcn(net, classes=5, stride=stride)
    assert fcnkit.lint(plan.net) == (), shown(fcnkit.lint(plan.net))
    found = fcnkit.lint(fcnkit.to_train(plan.net).net)
    # Its statistics are to come with weights.
    assert {one.name for one in found} == {"unmeasured"} & {name == "resnet50" and "unmeasured"}


# ---- real Caffe

# A layer type or message that needs a file, and so is refused for that, whatever else is right.
FILES = ("HDF5Data", "ImageData")
# A note that is not of a fork's words.
LOADED = "unfilled-deconvolution"


def test_caffe_refuses_what_is_an_error_or_a_fork_s_and_loads_the_rest(caffe):
    asked = [
        (case, text)
        for case in CASES
        for text in (case.bad, case.good)
        if not any(kind in text for kind in FILES)
    ]
    states = [
        "TRAIN" if "phase: TRAIN" in text and "phase: TEST" not in text else "TEST"
        for _, text in asked
    ]
    questions = [
        caffe.Question("load", prototxt.parse(text), state=State(state))
        for (_, text), state in zip(asked, states, strict=True)
    ]
    for (case, text), answer in zip(asked, caffe.ask(questions), strict=True):
        refused = (
            text is case.bad and KINDS[case.name].level in (ERROR, NOTE) and case.name != LOADED
        )
        assert isinstance(answer, Exception) == refused, f"{case.name}: {answer}\n{text}"


def test_caffe_loads_real_nets_without_errors_and_refuses_those_with_one(shared, caffe):
    nets = [
        net
        for net in real(shared, 9)
        if net.root.all("layer", "layers") and len(net.text) < 100_000
    ]
    # What reads files or Python modules cannot be loaded here.
    nets = [
        net for net in nets if not re.search(r"Data\b|DATA\b|Python|PYTHON|HDF5|source:", net.text)
    ]
    found = [
        [one.level for one in fcnkit.lint(net, phase="TEST") if one.name != "v0"] for net in nets
    ]
    answers = caffe.ask([caffe.Question("load", net) for net in nets])
    assert len(nets) > 10
    for net, levels, answer in zip(nets, found, answers, strict=True):
        assert isinstance(answer, Exception) == any(level in (ERROR, NOTE) for level in levels), (
            f"{net}: {answer}"
        )
