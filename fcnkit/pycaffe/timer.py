"""caffe.Timer."""

from time import perf_counter

from fcnkit.pycaffe import modes


class Timer:
    """The milliseconds between `start` and `stop`, the GPU's work among them."""

    def __init__(self) -> None:
        self.ms = 0.0
        self._began: float | None = None

    def start(self) -> None:
        """Time counts from now."""
        _finish()
        self._began = perf_counter()

    def stop(self) -> None:
        """`ms` is what has passed since `start`; 0 where there was none."""
        _finish()
        if self._began is not None:
            self.ms, self._began = (perf_counter() - self._began) * 1000, None


def _finish() -> None:
    """What the GPU was asked for is done."""
    import torch

    if modes.device().type == "cuda":
        torch.cuda.synchronize(modes.device())
