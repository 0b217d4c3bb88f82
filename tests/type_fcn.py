"""What an FCN promises: every pixel is scored, and the coarse scores are those of its net."""

import numpy as np
from type_nets import IMAGE
from type_oracle import Asked, asked, is_opened
from type_tried import EQUAL, Answer, Tried, Values, equal, moved

import fcnkit as fk
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.layers.table import TYPES
from fcnkit.nets.layers.windows import spatial
from fcnkit.plan import Plan
from fcnkit.rewrites.up_to_scores import up_to_scores

CLASSES = 3
SMALL, LARGE = (33, 47), (81, 95)
# What these give of a place depends on the whole map.
_OF_THE_WHOLE = ("MVN",)


def coarse(tried: Tried, net: Prototxt, finer: int) -> Plan:
    """The FCN at the stride of the net's own scores, or so many times finer."""
    stride = max(1, _stride(tried) // finer)
    return fk.fcn(net, classes=CLASSES, stride=stride, head="fc", inputs=tried.given)


def _stride(tried: Tried) -> int:
    """Two layers halve the map; so may the tried one, or double it."""
    own = 2 if "e" in tried.weights else 4
    layer = build(tried.net).layer(tried.planned.tried.name)
    place = TYPES[layer.type].coord(layer, 4)
    scale = 1 if place is None else min(place.scale, default=1)
    return max(1, int(own / scale)) if "join" not in tried.net.text else own


def judge_size(tried: Tried, plan: Plan, before: Values) -> Answer:
    """Every pixel of an image of odd sizes is scored."""
    return Answer(lambda found: _sized(found, SMALL), (_asked(tried, plan, _image(tried, SMALL)),))


def judge_coarse(tried: Tried, plan: Plan, before: Values) -> Answer:
    """And in the middle of a larger one what the scores are made of is what the net made it of."""
    more = _padding(tried, plan)
    larger = _image(tried, tuple(size + 2 * more for size in LARGE))
    image = larger[:, :, more : more + LARGE[0], more : more + LARGE[1]]
    blob = build(plan.net).layer("score_fr").bottoms[0].blob

    depends = tried.planned.tried.type in _OF_THE_WHOLE or is_opened(tried.planned.tried.type)

    def verdict(found: Values, trunk: Values) -> str:
        word = _sized(found, LARGE)
        if word != EQUAL or blob not in trunk or depends:
            return word
        return EQUAL if equal(_middle(trunk[blob]), _middle(found[blob])) else f"{blob} differs"

    return Answer(verdict, (_asked(tried, plan, image), _trunk(tried, blob, larger)))


def _sized(found: Values, size: tuple[int, ...]) -> str:
    shape = found["score"].shape
    return EQUAL if shape == (1, CLASSES, *size) else f"score is {shape}, of an image of {size}"


def _image(tried: Tried, size: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(5).uniform(-3, 3, (1, IMAGE[1], *size)).astype("f4")


def _asked(tried: Tried, plan: Plan, image: np.ndarray) -> Asked:
    """The net on an image of any size."""
    blob = build(plan.net).inputs[0].blob
    return asked(plan.net, moved(plan, tried.weights), {blob: image}, {})


def _padding(tried: Tried, plan: Plan) -> int:
    """How many pixels more the FCN is padded by."""
    old, new = build(tried.net), build(plan.net)
    names = {layer.name for layer in old.layers}
    pads = [
        spatial(layer).pad[0] - spatial(old.layer(layer.name)).pad[0]
        for layer in new.layers
        if layer.type == "Convolution" and layer.name in names
        if old.layer(layer.name).type == "Convolution"
    ]
    return max(pads, default=0)


def _trunk(tried: Tried, blob: str, image: np.ndarray) -> Asked:
    """The convolutionalized net up to this blob."""
    plan = up_to_scores(tried.net, head="fc", inputs=tried.given)
    plan = plan.then(fk.convolutionalize).then(fk.extract, None, blob)
    start = tried.image
    return asked(plan.net, moved(plan, tried.weights), {start: image}, {})


def _middle(values: np.ndarray) -> np.ndarray:
    """The places that no padding reaches."""
    height, width = values.shape[2:]
    return values[:, :, height // 2 - 1 : height // 2 + 2, width // 2 - 1 : width // 2 + 2]
