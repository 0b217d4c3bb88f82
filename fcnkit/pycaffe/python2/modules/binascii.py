"""binascii, which takes text."""

import binascii as _binascii
from binascii import *  # noqa: F403

from fcnkit.pycaffe.python2.modules.texts import giving_text

a2b_base64, a2b_hex = giving_text(_binascii.a2b_base64), giving_text(_binascii.a2b_hex)
b2a_base64, b2a_hex = giving_text(_binascii.b2a_base64), giving_text(_binascii.b2a_hex)
crc32, hexlify, unhexlify = giving_text(_binascii.crc32), b2a_hex, a2b_hex
