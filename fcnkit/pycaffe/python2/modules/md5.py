"""The module md5."""

from fcnkit.pycaffe.python2.modules.hashlib import md5

__all__ = ["md5", "new"]

new = md5
