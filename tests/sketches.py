"""Small nets for tests, written as text, and random weights for them."""

import re
from math import prod, sqrt

import numpy as np

from fcnkit import templates
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import Graph, State, build
from fcnkit.nets.shapes import shapes_of
from fcnkit.weights import store
from fcnkit.weights.surgery import transplant


def data(*shape: int, name: str = "data") -> str:
    """An Input layer."""
    dims = " ".join(f"dim: {size}" for size in shape)
    return layer(name, "Input", more=f"input_param {{ shape {{ {dims} }} }}")


def layer(name: str, kind: str, *bottoms: str, top: str | None = None, more: str = "") -> str:
    """Any layer; its top has its name unless `top` says otherwise ("" for none)."""
    lines = [f'name: "{name}"', f'type: "{kind}"', *(f'bottom: "{bottom}"' for bottom in bottoms)]
    lines += [f'top: "{name if top is None else top}"'] if top != "" else []
    lines += [more] if more else []
    return "layer {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def conv(name: str, bottom: str, outputs: int, kernel: int, more: str = "") -> str:
    text = f"num_output: {outputs} kernel_size: {kernel} {more}".strip()
    return layer(name, "Convolution", bottom, more=f"convolution_param {{ {text} }}")


def deconv(name: str, bottom: str, outputs: int, kernel: int, stride: int, more: str = "") -> str:
    text = (
        f"num_output: {outputs} kernel_size: {kernel} stride: {stride} bias_term: false {more}"
    ).strip()
    return layer(name, "Deconvolution", bottom, more=f"convolution_param {{ {text} }}")


def fc(name: str, bottom: str, outputs: int, more: str = "", outer: str = "") -> str:
    text = f"num_output: {outputs} {more}".strip()
    return layer(name, "InnerProduct", bottom, more=f"{outer}inner_product_param {{ {text} }}")


def pool(name: str, bottom: str, kernel: int, stride: int, more: str = "") -> str:
    text = f"pool: MAX kernel_size: {kernel} stride: {stride} {more}".strip()
    return layer(name, "Pooling", bottom, more=f"pooling_param {{ {text} }}")


def crop(name: str, cropped: str, reference: str, *offset: int, axis: int = 2) -> str:
    values = " ".join(f"offset: {value}" for value in offset)
    return layer(name, "Crop", cropped, reference, more=f"crop_param {{ axis: {axis} {values} }}")


def relu(blob: str) -> str:
    """A ReLU in place."""
    return layer(f"relu_{blob}", "ReLU", blob, top=blob)


def net(*layers: str, path: str = "sketch.prototxt") -> Prototxt:
    return prototxt.parse("".join(layers), path)


def graph(*layers: str, state: State = State()) -> Graph:
    return build(net(*layers), state)


def template(name: str) -> Prototxt:
    return prototxt.read(templates.path(name))


def thin(name: str, divisor: int = 32) -> Prototxt:
    """A template with a fraction of its channels, quick enough to run."""
    return prototxt.parse(thinner(template(name).text, divisor), name)


def thinner(text: str, divisor: int) -> str:
    """A net's text with a fraction of its channels, an even number."""
    return re.sub(r"num_output: (\d+)", lambda match: _thinner(int(match[1]), divisor), text)


def _thinner(outputs: int, divisor: int) -> str:
    return f"num_output: {max(2, outputs // divisor // 2 * 2)}"


def weights(text: Prototxt, path, seed: int = 0, inputs=None, kind: str = "layer"):
    """A caffemodel at `path` with random weights for every layer of the net; opened."""
    rng, shapes = np.random.default_rng(seed), shapes_of(build(text), inputs)
    made = store.create(kind=kind)
    for each in shapes.graph.layers:
        blobs = shapes.blobs(each) or []
        if blobs:
            made = made.put(each.name, [_values(rng, shape) for shape in blobs], type=each.type)
    made.save(path)
    return store.open(path)


def _values(rng, shape):
    if len(shape) < 2:  # a scale, a bias, a variance: positive
        return rng.uniform(0.5, 1.0, shape).astype("f4")
    return rng.normal(0, 1 / sqrt(max(1, prod(shape[1:]))), shape).astype("f4")


def images(text: Prototxt, seed: int = 1, inputs=None) -> dict:
    """A random array for every input of the net."""
    found = build(text)
    shapes, rng = shapes_of(found, inputs).tops, np.random.default_rng(seed)
    return {top.blob: rng.uniform(-1, 1, shapes[top]).astype("f4") for top in found.inputs}


def differences(caffe, pairs, folder, inputs=None) -> list[float]:
    """For each (net, plan) the largest difference
    of any output in real Caffe, relative to the output.
    """
    questions = []
    for number, (before, plan) in enumerate(pairs):
        old, new = (folder / f"{number}-{which}.caffemodel" for which in ("old", "new"))
        transplant(plan, weights(before, old, inputs=inputs)).save(new)
        names, given = [top.blob for top in build(before).outputs], images(before, inputs=inputs)
        questions.append(caffe.Question("run", before, old, given, names))
        questions.append(caffe.Question("run", plan.net, new, given, names))
    answers = caffe.ask(questions)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return [_difference(one, two) for one, two in zip(answers[::2], answers[1::2], strict=True)]


def _difference(one: dict, two: dict) -> float:
    return max(
        float(np.abs(one[name].ravel() - two[name].ravel()).max() / np.abs(one[name]).max())
        for name in one
    )


def kept_lines(plan) -> tuple[list[str], list[str]]:
    """The lines that a plan takes away and those that it adds."""
    lines = [line for line in plan.diff().splitlines() if not line.startswith(("---", "+++", "@@"))]
    return [line[1:] for line in lines if line[0] == "-"], [
        line[1:] for line in lines if line[0] == "+"
    ]
