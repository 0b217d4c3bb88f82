"""Nets of the known families, each from a description in Python of one screen.

They are templates too: `template:resnet18` is made when it is asked for, where
`template:resnet50` is a file that ships; the descriptions of those that ship are equal to them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from fcnkit.errors import NetError
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt
from fcnkit.templates import ABOUT as SHIPPED
from fcnkit.templates import path

if TYPE_CHECKING:
    from fcnkit.pycaffe.net_spec import NetSpec

DEPLOY, TRAIN_VAL = "deploy.prototxt", "train_val.prototxt"
# The file of each family, its function, and its depths if it has some.
FAMILIES: dict[str, tuple[str, tuple[int, ...]]] = {
    "alexnet": ("alexnet", ()),
    "densenet": ("densenet", (121, 161, 169, 201)),
    "googlenet": ("googlenet", ()),
    "mobilenet": ("mobilenet", ()),
    "mobilenet_v2": ("mobilenet_v2", ()),
    "resnet": ("resnet", (18, 34, 50, 101, 152)),
    "squeezenet": ("squeezenet", ()),
    "vgg": ("vgg", (11, 13, 16, 19)),
}
# Each net and what makes it.
DESCRIBED = {
    f"{family}{depth or ''}": (file, family, (depth,) if depth else ())
    for family, (file, depths) in FAMILIES.items()
    for depth in (depths or (0,))
}
# What those that do not ship are, in a phrase that leaves the list within 80 columns.
_ABOUT = {
    **{f"densenet{depth}": "densely connected" for depth in FAMILIES["densenet"][1]},
    "mobilenet": "1.0, depthwise",
    "mobilenet_v2": "inverted residuals",
    "resnet18": "residual, 3x3",
    "resnet34": "residual, 3x3",
    "resnet101": "residual bottleneck",
    "resnet152": "residual bottleneck",
    "vgg11": "8 conv, 3 fc",
    "vgg13": "10 conv, 3 fc",
}


def _by_depth(name: str) -> tuple[str, int]:
    """The order of the list: families by name, and the nets of one by depth."""
    family = name.rstrip("0123456789")
    return family, int(name.removeprefix(family) or 0)


# All templates.
ABOUT = {name: (SHIPPED | _ABOUT)[name] for name in sorted([*SHIPPED, *_ABOUT], key=_by_depth)}


def described(name: str) -> "NetSpec":
    """Returns the description of a net, for training and testing, as a NetSpec.

        families.described("resnet18").to_prototxt().save("train_val.prototxt")

    Raises NetError for a name that has none.
    """
    if name not in DESCRIBED:
        listed = ", ".join(DESCRIBED)
        raise NetError(f"template:{name}: there is no description of it; there are {listed}")
    from importlib import import_module

    file, function, depth = DESCRIBED[name]
    make: Callable[..., NetSpec] = getattr(import_module(f"{__name__}.{file}"), function)
    return make(*depth)


def size(name: str) -> int:
    """The height and width of the images that the net called `name` is published for."""
    from importlib import import_module

    found: int = import_module(f"{__name__}.{DESCRIBED[name][0]}").SIZE
    return found


def template(name: str, file: str = DEPLOY) -> Prototxt:
    """The net of a template, `deploy.prototxt` or `train_val.prototxt`: a file, or described.

    Raises NetError for a name or a file that does not exist.
    """
    shown = f"template:{name}" if file == DEPLOY else f"template:{name}/{file}"
    if name in SHIPPED or name not in DESCRIBED:
        return prototxt.read(_path(name, file), shown)
    if file not in (DEPLOY, TRAIN_VAL):
        raise NetError(f"template:{name}: has no file {file!r}; it has {DEPLOY}, {TRAIN_VAL}")
    return _made(name, file, shown)


def _path(name: str, file: str) -> str:
    if name not in ABOUT:
        raise NetError(f"template:{name}: no such template; there are {', '.join(ABOUT)}")
    return str(path(name, file))


def _made(name: str, file: str, shown: str) -> Prototxt:
    net = described(name)
    shape = {"data": (1, 3, size(name), size(name))}
    made = net.to_deploy(shape) if file == DEPLOY else net.to_prototxt()
    return prototxt.parse(made.text, shown)
