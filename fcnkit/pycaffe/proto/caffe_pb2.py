"""The messages and enums of Caffe's schema, under the names that protobuf gives them.

They are of fcnkit's own descriptor pool, so that they live in one process with a real
pycaffe; `google.protobuf.text_format` reads and writes them.
"""

from fcnkit.formats.schema import enums, message, messages

globals().update({name: message(name) for name in messages()} | enums())
