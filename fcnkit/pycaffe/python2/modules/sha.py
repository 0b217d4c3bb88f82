"""The module sha."""

from fcnkit.pycaffe.python2.modules.hashlib import sha1

__all__ = ["new", "sha"]

new = sha = sha1
