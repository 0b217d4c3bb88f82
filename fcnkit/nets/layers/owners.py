"""Which forks of Caffe have the layer types that BVLC's Caffe has not."""

from fcnkit.formats import schema
from fcnkit.nets.layers.table import CAFFE, FORKS

UNOWNED = schema.OTHERS
"""What the schema calls single authors' work, which no fork is."""

FORK_NAMES = {name.lower(): name for name in schema.fork_names() if name != UNOWNED}
"""The forks as commands name them, and as the schema does."""


def owners(type_name: str) -> tuple[str, ...]:
    """The forks that are known to have a layer type that BVLC has not; () where none is."""
    kind = FORKS.get(type_name)
    if kind is None or type_name in CAFFE or not kind.message:
        return ()
    root = schema.View("LayerParameter", None)
    inner = root.view(kind.message)
    found = [schema.fork_of("LayerParameter", kind.message)]
    if found[0] is not None:  # not one of Caffe's own messages, which many types read
        found += (schema.fork_of(inner.message_name, field) for field in inner.names)
    return tuple(dict.fromkeys(name for name in found if name and name != UNOWNED))
