"""Each check on a net that has the fault and on one where it is put right; then real nets, and real Caffe."""

import json
import re
from collections import Counter
from typing import NamedTuple

import pytest
from click.testing import CliRunner

import fcnkit
from fcnkit import errors
from fcnkit.cli.main import main
from fcnkit.findings import ERROR, NOTE
from fcnkit.formats import prototxt
from fcnkit.lint import CHECKS, KINDS
from fcnkit.nets.graph import State
from fcnkit.seen import CAFFE_TYPES
from fcnkit.weights import store

# One layer a line, so that a finding's line is the number of its layer; the input is line 1.
DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 40 dim: 40 } } }\n'
LABEL = 'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 1 dim: 1 dim: 40 dim: 40 } } }\n'
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
    return layer(name, "InnerProduct", bottom, None, f"inner_product_param {{ num_output: 4 }} {more}")


def loss(bottom: str = "conv", more: str = "", name: str = "loss") -> str:
    return layer(name, "SoftmaxWithLoss", f"{bottom} label", None, more)


def crop(name: str, bottoms: str, param: str) -> str:
    return layer(name, "Crop", bottoms, None, f"crop_param {{ {param} }}")


UP = "num_output: 4 group: 4 bias_term: false kernel_size: 4 stride: 2"
BILINEAR = ' weight_filler { type: "bilinear" }'
HALF = conv("conv", "data", "num_output: 4 kernel_size: 3 pad: 1 stride: 2")
NETS = DATA + LABEL + conv("conv", "data")


class Case(NamedTuple):
    """A net with a fault, the finding's name and lines, words of its text, and the net put right."""

    name: str
    lines: tuple[int, ...]
    words: str
    bad: str
    good: str


CASES = (
    Case("unknown-field", (2,), 'ConvolutionParameter has no field "kernal_size"; did you mean "kernel_size"?',
         DATA + conv("conv", "data", "num_output: 4 kernal_size: 3"),
         DATA + conv("conv", "data", "num_output: 4 kernel_size: 3")),
    Case("unknown-field", (2, 3), '"botom"; did you mean "bottom"?',
         DATA + conv("a", "data", more='botom: "x"') + conv("b", "a", more='botom: "x"'),
         DATA + conv("a", "data") + conv("b", "a")),
    Case("fork-field", (2,), "ConvolutionParameter's \"hole\"",
         DATA + conv("conv", "data", SIZE + " hole: 2") + conv("more", "conv", SIZE + " hole: 4"),
         DATA + conv("conv", "data", SIZE + " dilation: 2")),
    Case("wrong-value", (2,), '"num_output" takes a whole number',
         DATA + conv("conv", "data", "num_output: -4 kernel_size: 3"), DATA + conv("conv", "data")),
    Case("wrong-value", (2, 3), "takes", DATA + conv("a", "data", SIZE + " bias_term: no")
         + layer("pool", "Pooling", "a", None, "pooling_param { pool: MAXX kernel_size: 2 }"),
         DATA + conv("a", "data") + layer("pool", "Pooling", "a", None, "pooling_param { pool: MAX kernel_size: 2 }")),
    Case("wrong-value", (2,), "quoted", DATA + conv("conv", "data").replace('"Convolution"', "Convolution"),
         DATA + conv("conv", "data")),
    Case("fork-value", (2,), "MKL2017", DATA + conv("conv", "data", SIZE + " engine: MKL2017"),
         DATA + conv("conv", "data", SIZE + " engine: CAFFE")),
    Case("given-twice", (2,), '"name" is given a second time', DATA + conv("conv", "data", more='name: "again"'),
         DATA + conv("conv", "data")),
    Case("missing-field", (2,), 'requires',
         DATA + conv("conv", "data", more="blobs { } "), DATA + conv("conv", "data")),
    Case("byte-order-mark", (1,), "byte order mark", "\ufeff" + DATA, DATA),
    Case("two-formats", (2,), "`layer` on line 1",
         DATA + 'layers { name: "conv" type: RELU bottom: "data" top: "conv" }',
         DATA + layer("conv", "ReLU", "data")),
    Case("no-type", (2,), "it has no type", DATA + 'layer { name: "x" bottom: "data" top: "x" }',
         DATA + layer("x", "ReLU", "data")),
    Case("include-and-exclude", (2,), "both include and exclude",
         DATA + layer("x", "ReLU", "data", None, "include { phase: TEST } exclude { phase: TRAIN }"),
         DATA + layer("x", "ReLU", "data", None, "include { phase: TEST }")),
    Case("undefined-bottom", (2, 4), "did you mean \"data\"?",
         DATA + conv("a", "dta") + conv("b", "a") + layer("sum", "Eltwise", "b dat"),
         DATA + conv("a", "data") + conv("b", "a") + layer("sum", "Eltwise", "b a")),
    Case("undefined-bottom", (3,), "not in state TEST",
         DATA + LABEL.replace("}\n", "include { phase: TRAIN } }\n") + layer("loss", "Silence", "data label", "",
         "include { phase: TEST }") + layer("l", "Silence", "data", ""),
         DATA + LABEL + layer("loss", "Silence", "data label", "") + layer("l", "Silence", "data", "")),
    Case("duplicate-top", (3, 4), 'already made by layer "a" on line 2',
         DATA + conv("a", "data") + layer("b", "ReLU", "data", "a") + layer("c", "TanH", "data", "a"),
         DATA + conv("a", "data") + layer("b", "ReLU", "a", "a") + layer("c", "TanH", "a", "a")),
    Case("in-place", (4,), 'also reads', DATA + conv("a", "data") + conv("b", "a") + layer("c", "ReLU", "a", "a"),
         DATA + conv("a", "data") + conv("b", "a") + layer("c", "ReLU", "a")),
    Case("shape", (2, 3), "a 40 x 40 input", DATA + conv("a", "data", "num_output: 4 kernel_size: 50")
         + layer("b", "Pooling", "data", None, "pooling_param { kernel_size: 3 stride: 2 pad: 3 }"),
         DATA + conv("a", "data") + layer("b", "Pooling", "data", None, "pooling_param { kernel_size: 3 }")),
    Case("shape", (2,), "takes 2 or more bottoms and has 1", DATA + layer("sum", "Eltwise", "data"),
         DATA + layer("sum", "Eltwise", "data data")),
    Case("window", (2,), "kernel",
         layer("d", "HDF5Data", "", "data", 'hdf5_data_param { source: "x" batch_size: 1 }')
         + conv("a", "data", "num_output: 4"),
         layer("d", "HDF5Data", "", "data", 'hdf5_data_param { source: "x" batch_size: 1 }') + conv("a", "data")),
    Case("unknown-type", (2,), 'did you mean "Convolution"?',
         DATA + conv("a", "data").replace("Convolution", "Convolutoin"), DATA + conv("a", "data")),
    Case("unknown-type", (1,), 'V1 format has no type CROP',
         'layers { name: "a" type: CROP top: "a" }', 'layers { name: "a" type: DATA top: "a" }'),
    Case("fork-type", (2,), "(2 layers)", DATA + layer("a", "BoxAnnotator", "data") + layer("b", "BoxAnnotator", "a"),
         DATA + layer("a", "ReLU", "data") + layer("b", "ReLU", "a")),
    Case("too-many-params", (2, 3), "2 param blocks and 1 parameter blobs (bias_term: false)",
         DATA + conv("a", "data", SIZE + " bias_term: false", "param { } param { }")
         + deconv("b", "a", UP + BILINEAR, "param { lr_mult: 0 } param { lr_mult: 0 }"),
         DATA + conv("a", "data", SIZE + " bias_term: false", "param { }")
         + deconv("b", "a", UP + BILINEAR, "param { lr_mult: 0 }")),
    Case("too-many-params", (4,), "1 param blocks and 0 parameter blobs",
         DATA + conv("a", "data") + "\n" + layer("b", "ReLU", "a", None, "param { }"),
         DATA + conv("a", "data") + "\n" + layer("b", "ReLU", "a")),
    Case("batch-norm-rate", (2,), "statistics are not learned",
         DATA + layer("n", "BatchNorm", "data", None, "param { lr_mult: 0 } param { decay_mult: 0 }"),
         DATA + layer("n", "BatchNorm", "data", None, "param { lr_mult: 0 } " * 3)),
    Case("bilinear-group", (3,), "group 1, num_output 4 and 4 input channels",
         DATA + HALF + deconv("up", "conv", "num_output: 4 kernel_size: 4 stride: 2" + BILINEAR),
         DATA + HALF + deconv("up", "conv", UP + BILINEAR)),
    Case("bilinear-group", (3,), "set both group and num_output to 4",
         DATA + HALF + deconv("up", "conv", "num_output: 2 group: 2 kernel_size: 4 stride: 2" + BILINEAR),
         DATA + HALF + deconv("up", "conv", UP + BILINEAR)),
    Case("bilinear-kernel", (3,), "set kernel_size 4 or 3",
         DATA + HALF + deconv("up", "conv", UP.replace("size: 4", "size: 5") + BILINEAR),
         DATA + HALF + deconv("up", "conv", UP.replace("size: 4", "size: 3") + BILINEAR)),
    Case("zero-deconvolution", (4,), "its weights are all 0",
         DATA + LABEL + HALF + deconv("up", "conv", UP + " pad: 1") + loss("up"),
         DATA + LABEL + HALF + deconv("up", "conv", UP + " pad: 1" + BILINEAR) + loss("up")),
    Case("crop-offset", (4,), '"data" begins at pixel 1 of "up"; set offset: 1',
         DATA + HALF + deconv("up", "conv", UP + BILINEAR) + crop("score", "up data", "axis: 2 offset: 2"),
         DATA + HALF + deconv("up", "conv", UP + BILINEAR) + crop("score", "up data", "axis: 2 offset: 1")),
    Case("crop-offset", (4,), "needs the offset 1/2, not a whole number; give layer \"up\" kernel_size 4",
         DATA + HALF + deconv("up", "conv", UP.replace("size: 4", "size: 3") + BILINEAR)
         + crop("score", "up data", "axis: 2 offset: 1"),
         DATA + HALF + deconv("up", "conv", UP + BILINEAR) + crop("score", "up data", "axis: 2 offset: 1")),
    Case("crop-without-offset", (4,), "Caffe takes 0 and OpenCV the centre",
         DATA + HALF + deconv("up", "conv", UP + BILINEAR) + crop("score", "up data", "axis: 2"),
         DATA + HALF + deconv("up", "conv", UP + BILINEAR) + crop("score", "up data", "axis: 2 offset: 1")),
    Case("crop-channels", (4,), "set crop_param { axis: 2 }",
         DATA + HALF + deconv("up", "conv", UP + BILINEAR) + crop("score", "up data", "axis: 1 offset: 0"),
         DATA + HALF + deconv("up", "conv", UP + BILINEAR) + crop("score", "up data", "axis: -2 offset: 1")),
    Case("fc-left-behind", (3,), 'layer "up" upsamples',
         DATA + HALF + fc("fc", "conv") + deconv("up", "conv", UP + BILINEAR),
         DATA + HALF + conv("fc", "conv", "num_output: 4 kernel_size: 20") + deconv("up", "conv", UP + BILINEAR)),
    Case("duplicate-name", (3,), "on line 2 has the same name",
         DATA + conv("a", "data") + conv("a", "a").replace('top: "a"', 'top: "b"'),
         DATA + conv("a", "data") + conv("b", "a")),
    Case("unread-top", (4,), 'no layer reads its top "extra"', NETS + conv("extra", "data") + loss(),
         NETS + conv("extra", "data") + layer("quiet", "Silence", "extra", "") + loss()),
    Case("double-softmax", (5,), 'give it "conv"', NETS + layer("prob", "Softmax", "conv") + loss("prob"),
         NETS + loss("conv")),
    Case("ignored-class", (4,), "ignore_label 3 is one of the 4 classes, 0 to 3",
         NETS + loss(more="loss_param { ignore_label: 3 }"), NETS + loss(more="loss_param { ignore_label: 4 }")),
    Case("ignored-once", (5,), 'it ignores nothing, and layer "loss" on line 4 ignores 255',
         NETS + loss(more="loss_param { ignore_label: 255 }") + layer("accuracy", "Accuracy", "conv label"),
         NETS + loss(more="loss_param { ignore_label: 255 }")
         + layer("accuracy", "Accuracy", "conv label", None, "accuracy_param { ignore_label: 255 }")),
    Case("head-classes", (6,), 'its 5 classes and the 4 of layer "loss" on line 4',
         NETS + loss() + conv("aux", "data", "num_output: 5 kernel_size: 3 pad: 1") + loss("aux", name="loss2"),
         NETS + loss() + conv("aux", "data") + loss("aux", name="loss2")),
)  # fmt: skip
EACH = pytest.mark.parametrize("case", CASES, ids=[f"{case.name}{n}" for n, case in enumerate(CASES)])


def lint(text: str, **given):
    return fcnkit.lint(prototxt.parse(text, "net.prototxt"), **given)


def shown(found) -> str:
    return "\n".join(map(str, found)) or "nothing"


# ---- every check, one fault at a time


@EACH
def test_a_fault_is_found_at_its_line_and_nothing_else_is(case):
    found = lint(case.bad)
    assert [(one.name, one.line) for one in found] == [(case.name, line) for line in case.lines], shown(found)
    assert case.words in found[-1].text or case.words in found[0].text, shown(found)
    assert all(one.level == KINDS[one.name].level and one.path == "net.prototxt" for one in found)


@EACH
def test_the_net_put_right_is_clean(case):
    assert lint(case.good) == (), shown(lint(case.good))
