"""zlib, which takes text."""

import zlib as _zlib
from zlib import *  # noqa: F403

from fcnkit.pycaffe.python2.modules.texts import giving_text

adler32, compress = giving_text(_zlib.adler32), giving_text(_zlib.compress)
crc32, decompress = giving_text(_zlib.crc32), giving_text(_zlib.decompress)
