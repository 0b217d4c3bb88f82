"""caffe.NCCL, which is not offered: the name is there to say what is instead."""

from fcnkit.errors import EngineError


class NCCL:
    """Nothing: several GPUs train through `fcnkit train --gpu all`, without Caffe's NCCL."""

    def __init__(self, solver: object, uid: object) -> None:
        """Raises EngineError, which names the way out."""
        raise _instead()

    @staticmethod
    def new_uid() -> str:
        """Raises EngineError, which names the way out."""
        raise _instead()


def _instead() -> EngineError:
    fact = "caffe.NCCL is not offered (caffe.has_nccl() is False)"
    return EngineError(f"{fact}; train on several GPUs with `fcnkit train --gpu all`")
