"""Large nets take as many steps as they have layers, not their square, and no deep stack.

Python's own steps are counted, every one of them; time is not looked at.
"""

import sys

import pytest

import fcnkit as fk
from fcnkit.formats.prototxt import parse
from fcnkit.models import index

HEAD = (
    'name: "n"\nlayer { name: "data" type: "Input" top: "data" '
    "input_param { shape { dim: 1 dim: %d dim: 16 dim: 16 } } }\n"
)
CONV = (
    'layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}" '
    "convolution_param {{ num_output: 4 kernel_size: 3 pad: 1 }} }}\n"
)
NORMAL = (
    'layer {{ name: "b{0}" type: "BatchNorm" bottom: "{0}" top: "{0}" }}\n'
    'layer {{ name: "s{0}" type: "Scale" bottom: "{0}" top: "{0}" '
    "scale_param {{ bias_term: true }} }}\n"
)
END = (
    'layer {{ name: "p" type: "Pooling" bottom: "{0}" top: "p" '
    "pooling_param {{ kernel_size: 2 stride: 2 }} }}\n"
    'layer {{ name: "fc" type: "InnerProduct" bottom: "p" top: "fc" '
    "inner_product_param {{ num_output: 10 }} }}\n"
    'layer {{ name: "prob" type: "Softmax" bottom: "fc" top: "prob" }}\n'
)


def chain(count: int, more: str = "") -> str:
    text, below = HEAD % 3, "data"
    for number in range(count):
        name = f"c{number}"
        text += CONV.format(name, below) + more.format(name)
        below = name
    return text + END.format(below)


def sliced(count: int, more: str = "") -> str:
    tops = " ".join(f'top: "t{number}"' for number in range(count))
    text = HEAD % count + f'layer {{ name: "s" type: "Slice" bottom: "data" {tops} }}\n'
    return text + "".join(
        f'layer {{ name: "r{number}" type: "ReLU" bottom: "t{number}" top: "r{number}" }}\n'
        for number in range(count)
    )


def steps(work) -> int:
    """How many bytecodes `work` executes."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


WORKS = {
    "fold": (lambda net: fk.fold(net).table(), NORMAL),
    "inspect": (lambda net: str(fk.inspect(net)), ""),
    "lint": (lambda net: list(fk.lint(net)), ""),
    "convolutionalize": (lambda net: fk.convolutionalize(net).table(), ""),
    "fcn": (lambda net: fk.fcn(net, classes=3, stride=2, pad="auto").table(), ""),
    "rename": (lambda net: fk.rename(net, {"fc": "x"}).table(), ""),
    "coords": (lambda net: fk.coords(net, "p", "data"), ""),
}


@pytest.mark.parametrize("name", WORKS)
def test_a_chain_of_twice_the_layers_takes_twice_the_steps(name):
    work, more = WORKS[name]
    counts = []
    for count in (60, 120, 240):
        net = parse(chain(count, more), "n")
        work(net)  # what is loaded once is
        counts.append(steps(lambda net=net: work(parse(net.text, "n"))))
    # The growth of the growth: what is square in the layers would double it again.
    assert counts[2] - counts[1] < 2.3 * (counts[1] - counts[0]), counts


@pytest.mark.parametrize("name", ["inspect", "lint", "fold", "convolutionalize"])
def test_so_do_the_tops_of_a_slice(name):
    work, _ = WORKS[name]
    counts = []
    for count in (100, 200, 400):
        net = parse(sliced(count), "n")
        work(net)
        counts.append(steps(lambda net=net: work(parse(net.text, "n"))))
    assert counts[2] - counts[1] < 2.3 * (counts[1] - counts[0]), counts


class Name(str):
    """A text that counts how often it is compared."""

    compared = 0

    def __eq__(self, other):
        Name.compared += 1
        return super().__eq__(other)

    __hash__ = str.__hash__


def test_the_models_of_an_index_are_not_compared_each_with_each(monkeypatch):
    entries = [{"name": Name(f"m{n}"), "file": f"m{n}.caffemodel"} for n in range(300)]
    monkeypatch.setattr(index, "json_of", lambda text: {"models": entries})
    found = index.parse("", "models.json", str)
    assert len(found) == 300 and isinstance(found[0].name, Name)
    assert Name.compared < 3000


def test_a_deep_chain_needs_no_deep_stack():
    """2,000 layers, twice what Python's stack takes."""
    net = parse(chain(2000), "n")
    assert fk.fcn(net, classes=3, stride=2, pad="auto").steps
    assert fk.draw(net).text
    assert fk.fold(parse(chain(700, NORMAL), "n")).steps
