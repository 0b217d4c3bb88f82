"""Reference networks that ship with fcnkit, as `template:NAME` on the command line."""

from pathlib import Path

from fcnkit.errors import NetError

PREFIX = "template:"
"""What a name on the command line begins with that is of a template."""
# What each is, in a phrase that leaves the list within 80 columns.
ABOUT = {
    "alexnet": "LRN, then pooling",
    "caffenet": "pooling, then LRN",
    "digits": "small, trained",
    "googlenet": "inception modules",
    "lenet": "digits of MNIST",
    "nin": "network in network",
    "resnet50": "residual bottleneck",
    "squeezenet": "1.1, fire modules",
    "vgg16": "13 conv, 3 fc",
    "vgg19": "16 conv, 3 fc",
}
NAMES = tuple(ABOUT)
TRAINED = ("digits",)
"""Those that ship with weights, as NAME.caffemodel."""


def path(name: str, file: str = "deploy.prototxt") -> Path:
    """The file of the template called `name`, by default its deploy network.

    Every template has `deploy.prototxt`, `train_val.prototxt` and
    `solver.prototxt`; digits is trained and has `digits.caffemodel` too.

    Raises NetError for a name or a file that does not exist.
    """
    if name not in NAMES:
        raise NetError(f"template:{name}: no such template; there are {', '.join(NAMES)}")
    found = Path(__file__).with_name(name) / file
    if not found.is_file():
        files = sorted(item.name for item in found.parent.glob("*.*"))
        raise NetError(f"template:{name}: has no file {file!r}; it has {', '.join(files)}")
    return found
