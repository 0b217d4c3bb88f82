"""base64, which takes text, and its old names."""

import base64 as _base64
from base64 import *  # noqa: F403

from fcnkit.pycaffe.python2.modules.texts import giving_text

b16decode, b16encode = map(giving_text, (_base64.b16decode, _base64.b16encode))
b32decode, b32encode = map(giving_text, (_base64.b32decode, _base64.b32encode))
b64decode, b64encode = map(giving_text, (_base64.b64decode, _base64.b64encode))
decodestring, encodestring = map(giving_text, (_base64.decodebytes, _base64.encodebytes))
standard_b64decode, standard_b64encode = b64decode, b64encode
urlsafe_b64decode = giving_text(_base64.urlsafe_b64decode)
urlsafe_b64encode = giving_text(_base64.urlsafe_b64encode)
