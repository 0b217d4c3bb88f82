"""The layer types that a net may have here."""

from fcnkit.pycaffe.vectors import StringVec


def layer_type_list() -> StringVec:
    """The names of Caffe's layer types, in alphabetical order."""
    from fcnkit.nets.layers.table import CAFFE

    return StringVec(sorted(CAFFE))
