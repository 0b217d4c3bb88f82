"""The layers of a chain called as Caffe's model zoo calls them: conv1_1, relu1_1, pool1, fc6.

A pooling ends a stage.  Several convolutions of stage S are convS_1, convS_2 and so on, one
is convS, and each fully connected layer is a stage of its own.  Where no stage but the last
has several convolutions, each of them counts as one, as in AlexNet: conv3, conv4, conv5, pool5.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fcnkit.importing.draft import Made
from fcnkit.importing.site import Refusal, Site
from fcnkit.nets.layers.table import TYPES
from fcnkit.nets.layers.traits import Trait
from fcnkit.plan import Step
from fcnkit.plural import number_of

MODEL, CAFFE = "model", "caffe"
NAMES = (MODEL, CAFFE)
# The zoo's words for layers that it does not call after their types.
_WORDS = {
    "Convolution": "conv",
    "Deconvolution": "deconv",
    "InnerProduct": "fc",
    "Pooling": "pool",
    "LRN": "norm",
    "BatchNorm": "bn",
    "Softmax": "prob",
}


def called(site: Site, makers: Mapping[str, str]) -> dict[str, str]:
    """The draft's layers have the zoo's names; the layer that made each tensor, under these.

    A net with branches keeps the model's names, and a step says why.
    """
    draft = site.draft
    inputs = [held.blob for name, held in site.held.items() if name in site.trials[0].inputs]
    try:
        new = _names(draft.layers, inputs)
    except Refusal as refusal:
        why = f"{refusal}, but --names caffe is for a chain of layers"
        draft.steps.append(Step("keep", site.model.title, None, "the model's names", why))
        return dict(makers)
    draft.taken = set(new.values())
    for layer in draft.layers:
        layer.bottoms, layer.tops = (
            [new[name] for name in its] for its in (layer.bottoms, layer.tops)
        )
        layer.name = new[layer.name]
    draft.steps = [step._replace(layer=new.get(step.layer, step.layer)) for step in draft.steps]
    for name, held in site.held.items():
        site.held[name] = replace(held, blob=new[held.blob])
    return {name: new.get(layer, "") for name, layer in makers.items()}


def _names(layers: Sequence[Made], inputs: Sequence[str]) -> dict[str, str]:
    """What the input and each layer of a chain is called, by what it was called.

    Raises Refusal where it is none.
    """
    _check_chain(layers, inputs)
    stages = _stages(layers)
    several = Counter(stage for layer, stage in zip(layers, stages, strict=True) if _mixes(layer))
    found, taken, suffix, at = {inputs[0]: "data"}, {"data"}, "", 0
    for layer, stage in zip(layers, stages, strict=True):
        if _mixes(layer):
            at = at + 1 if suffix.partition("_")[0] == str(stage) else 1
            suffix = f"{stage}_{at}" if several[stage] > 1 else str(stage)
        word = _WORDS.get(layer.type, layer.type.lower())
        if layer.type == "Softmax" and layer is layers[-1]:
            name = word
        else:
            whole = TYPES[layer.type].trait in (Trait.PLACES, Trait.NORMAL)
            name = f"{word}{stage if whole else suffix or stage}"
        first, number = name, 1
        while name in taken:
            number += 1
            name = f"{first}_{number}"
        taken.add(name)
        found[layer.name] = name
    return found


def _check_chain(layers: Sequence[Made], inputs: Sequence[str]) -> None:
    if len(inputs) != 1:
        raise Refusal(f"it has {number_of(len(inputs), 'input')}")
    before = inputs[0]
    for layer in layers:
        if layer.bottoms != [before] or len(layer.tops) != 1:
            raise Refusal(f'at "{layer.name}" ({layer.type}) it branches')
        before = layer.tops[0]


def _mixes(layer: Made) -> bool:
    return TYPES[layer.type].trait is Trait.MIXES


def _stages(layers: Sequence[Made]) -> list[int]:
    """The stage of each layer: by poolings, or where only the last has several, by layers."""
    found = _counted(layers, alone=False)
    several = Counter(stage for layer, stage in zip(layers, found, strict=True) if _mixes(layer))
    convolved = [
        stage
        for layer, stage in zip(layers, found, strict=True)
        if _mixes(layer) and not _full(layer)
    ]
    most = [stage for stage in dict.fromkeys(convolved) if several[stage] > 1]
    alone = len(set(convolved)) > 1 and most == convolved[-1:]
    return _counted(layers, alone=True) if alone else found


def _counted(layers: Sequence[Made], *, alone: bool) -> list[int]:
    """The stage of each layer; `alone` gives each convolution one of its own."""
    found, stage, begun, ended = [], 1, False, False
    for layer in layers:
        if _mixes(layer):
            stage += begun and (alone or ended or _full(layer))
            begun, ended = True, _full(layer)
        ended = ended or TYPES[layer.type].trait is Trait.PLACES
        found.append(stage)
    return found


def _full(layer: Made) -> bool:
    """Whether it is fully connected."""
    return TYPES[layer.type].message == "inner_product_param"
