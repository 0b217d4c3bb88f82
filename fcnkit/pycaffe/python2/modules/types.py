"""The module types, with the names of what is built in."""

import io as _io
from types import *  # noqa: F403

BooleanType, ComplexType, DictType, DictionaryType = bool, complex, dict, dict
ClassType, FileType, FloatType, IntType = type, _io.IOBase, float, int
ListType, LongType, ObjectType, SliceType, StringType = list, int, object, slice, str
StringTypes, TupleType, TypeType, UnicodeType = (str, bytes), tuple, type, str
XRangeType, BufferType, UnboundMethodType = range, memoryview, type(_io.open)
InstanceType, DictProxyType = object, type(type.__dict__)
