"""A PyTorch module as a net of stock Caffe and its weights, through PyTorch's own ONNX export."""

import re
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fcnkit import expected
from fcnkit.errors import EngineError, NetError, error_text
from fcnkit.importing.from_onnx import imported
from fcnkit.importing.imported import Imported
from fcnkit.importing.model import read
from fcnkit.plan import Step
from fcnkit.preprocessing import RGB, Preprocessing

_AXES = {0: "batch", 2: "height", 3: "width"}


@expected.checked
def from_torch(module: Any, example: Any, *, weights: Any = None, **options: Any) -> Imported:
    """Converts a PyTorch module, in evaluation mode, into a Caffe net and its weights.

    >>> import torch
    >>> module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU()).eval()
    >>> made = fk.from_torch(module, torch.zeros(1, 3, 16, 16))
    >>> [layer.type for layer in fk.build(made.net).layers]
    ['Input', 'Convolution', 'ReLU']

    Batch, height and width stay free, if the export of the module allows it; otherwise a step
    says so.

    - `module`: a torch.nn.Module.
    - `example`: an input, or a tuple of inputs.
    - `weights`: the torchvision weights with which the module was made. They say how to prepare
      an image, and the names of the classes.
    - `options`: further arguments, as for `from_onnx`.

    Returns an Imported.

    Raises NetError as `from_onnx` does, and if PyTorch cannot export the module; EngineError
    without torch or onnx.
    """
    try:
        import torch
    except ImportError:
        raise EngineError(
            "PyTorch: not found: install it with `pip install 'fcnkit[torch]'`"
        ) from None
    inputs = example if isinstance(example, tuple) else (example,)
    for each in inputs:
        form = "an input of the module, such as torch.zeros(1, 3, 224, 224), or a tuple of them"
        expected.instance("example", each, torch.Tensor, form)
    title = type(module).__name__
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{title}.onnx"
        shapes = {name: tuple(each.shape) for name, each in _named(inputs).items()}
        fixed = _exported(torch, module, inputs, path)
        # The file stays open, and so readable, when its name is gone.
        model = replace(read(path), path=title)
        made = imported(model, example=shapes, **options)
    if weights is not None:
        made = replace(made, preprocessing=preprocessing_of(weights))
    if not fixed:
        return made
    step = Step("keep", title, None, "height and width as in the example", fixed)
    return replace(made, steps=(step, *made.steps))


def preprocessing_of(weights: Any) -> Preprocessing:
    """What torchvision's weights say of images: RGB, less a mean, by a deviation.

    They are of values from 0 to 1, and Caffe's images are of bytes: (v / 255 - mean) / std
    is (v - 255 mean) / (255 std).  Raises NetError for weights that say none of it.
    """
    try:
        transforms = weights.transforms()
        mean, deviation = tuple(transforms.mean), tuple(transforms.std)
    except (AttributeError, TypeError):
        name = type(weights).__name__
        raise NetError(
            f"{name}: has no transforms with a mean; give weights of torchvision, such as "
            "torchvision.models.ResNet18_Weights.DEFAULT"
        ) from None
    size = tuple(getattr(transforms, "crop_size", ())) or None
    origin = f"torchvision's {weights}"
    made = Preprocessing().with_origin(
        origin,
        order=RGB,
        mean=tuple(255 * value for value in mean),
        scale=tuple(1 / (255 * value) for value in deviation),
    )
    if size:
        made = made.with_origin(origin, size=(size * 2)[:2])
    classes = tuple(_apart(weights.meta.get("categories", ())))
    return made.with_origin(origin, classes=classes) if classes else made


def _apart(names: Iterable[str]) -> Iterator[str]:
    """The names, with a number behind one that was there before: ImageNet has two cranes."""
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else f"{name} ({seen[name]})"


def _named(inputs: tuple[Any, ...]) -> dict[str, Any]:
    names = ["input"] if len(inputs) == 1 else [f"input{at}" for at in range(len(inputs))]
    return dict(zip(names, inputs, strict=True))


def _exported(torch: Any, module: Any, inputs: tuple[Any, ...], path: Path) -> str:
    """The file is written; why with fixed sizes, or "" where they are free."""
    named = _named(inputs)
    axes = {
        name: {axis: f"{word}{at or ''}" for axis, word in _AXES.items() if axis < each.dim()}
        for at, (name, each) in enumerate(named.items())
    }
    batch = {name: {0: its[0]} for name, its in axes.items() if 0 in its}
    reason = ""
    for free in (axes, batch, None):
        try:
            with warnings.catch_warnings(), _silent(torch):
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    module,
                    inputs,
                    str(path),
                    dynamo=False,
                    input_names=list(named),
                    output_names=["output"],
                    dynamic_axes=free,
                    training=torch.onnx.TrainingMode.EVAL,
                )
            return reason
        except Exception as error:  # of torch.onnx, and of whatever the module itself raises
            # Whom PyTorch asks for help with it is nothing to who imports a model.
            text = re.split(r"[.;] (?:Please|Feel free)\b", error_text(error))[0]
            if free is None:
                title = type(module).__name__
                raise NetError(f"{title}: PyTorch cannot export it to ONNX: {text}") from error
            reason = reason or f"PyTorch cannot export it with free sizes: {text}"
    return reason


@contextmanager
def _silent(torch: Any) -> Iterator[None]:
    """PyTorch does not print its graph where an export fails, as it does without being asked."""
    place, name = torch._C, "_jit_onnx_log"
    before = getattr(place, name, None)
    if before is None:
        yield
        return
    setattr(place, name, lambda *words: None)
    try:
        yield
    finally:
        setattr(place, name, before)
