"""caffe.Timer."""

from time import perf_counter

from fcnkit.pycaffe import modes


class Timer:
    """Measures the milliseconds between `start` and `stop`, including the GPU's work."""

    def __init__(self) -> None:
        self.ms = 0.0
        self._began: float | None = None

    def start(self) -> None:
        """Starts measuring."""
        _finish()
        self._began = perf_counter()

    def stop(self) -> None:
        """Sets `ms` to the time since `start`; to 0 if it was not called."""
        _finish()
        if self._began is not None:
            self.ms, self._began = (perf_counter() - self._began) * 1000, None


def _finish() -> None:
    """What the GPU was asked for is done."""
    import torch

    if modes.device().type == "cuda":
        torch.cuda.synchronize(modes.device())
