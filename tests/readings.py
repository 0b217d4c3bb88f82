"""What others read of a weights file, for comparison: h5py, numpy and protobuf itself.

Each gives {layer: [(shape, type, little-endian bytes of each blob)]}.
"""

import functools
import io
import struct

import h5py
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool

from fcnkit.formats.descriptors import message_class

Reading = dict[str, list[tuple[tuple[int, ...], str, bytes]]]
RAW_TYPES = ("float64", "float32", "float16", "int32", "uint32")


def ours(weights) -> Reading:
    """What fcnkit reads, values and all."""
    return {
        name: [(blob.shape, blob.dtype, blob.array().tobytes()) for blob in blobs]
        for name, blobs in weights.items()
    }


def reading(data: bytes, kind: str) -> Reading:
    """What the format's own library reads; `kind` is that of Weights."""
    readers = {"hdf5": of_hdf5, "npz": of_npz, "solverstate": of_solverstate}
    return readers.get(kind, of_caffemodel)(data)


def of_hdf5(data: bytes) -> Reading:
    """A group with blobs in it, or with nothing, is a layer."""
    found: Reading = {}
    with h5py.File(io.BytesIO(data), "r") as file:
        _visit(file["data"], "", found)
    return found


def _visit(group: h5py.Group, name: str, found: Reading) -> None:
    blobs = [each for each in group if isinstance(group[each], h5py.Dataset)]
    if name and (blobs or not len(group)):
        found[name] = [_array(group[str(number)][()]) for number in range(len(blobs))]
    for each in group:
        if each not in blobs:
            inner = _name(each) if isinstance(each, bytes) else each
            _visit(group[each], f"{name}/{inner}" if name else inner, found)


def of_npz(data: bytes) -> Reading:
    """The array <layer>/<number> is a blob."""
    found: dict[str, dict[int, tuple]] = {}
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        for key in file.files:
            layer, _, number = key.rpartition("/")
            found.setdefault(layer, {})[int(number)] = _array(file[key])
    return {
        layer: [blobs[number] for number in range(len(blobs))] for layer, blobs in found.items()
    }


def _array(value) -> tuple[tuple[int, ...], str, bytes]:
    array = np.asarray(value)
    assert array.dtype.newbyteorder("=") in (np.float16, np.float32, np.float64)
    return array.shape, array.dtype.name, array.astype(array.dtype.newbyteorder("<")).tobytes()


def of_caffemodel(data: bytes) -> Reading:
    """The last layer of a name counts, as in Caffe."""
    net = _messages()["Net"].FromString(data)
    return {
        _name(layer.name): [_blob(blob) for blob in layer.blobs]
        for layer in net.layers or net.layer
    }


def of_solverstate(data: bytes) -> Reading:
    """The history is one layer."""
    return {"history": [_blob(blob) for blob in _messages()["State"].FromString(data).history]}


def _name(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _blob(blob) -> tuple[tuple[int, ...], str, bytes]:
    legacy = any(blob.HasField(name) for name in ("num", "channels", "height", "width"))
    shape = (blob.num, blob.channels, blob.height, blob.width) if legacy else tuple(blob.shape.dim)
    if blob.double_data:
        return shape, "float64", struct.pack(f"<{len(blob.double_data)}Q", *blob.double_data)
    if blob.data or not blob.HasField("raw_data"):
        return shape, "float32", struct.pack(f"<{len(blob.data)}I", *blob.data)
    return shape, RAW_TYPES[blob.raw_data_type], blob.raw_data


@functools.cache
def _messages() -> dict:
    """Caffe's messages with no other fields than those that say what the weights are.

    The rest of a layer differs from fork to fork, and damage in it is nothing
    to fcnkit.  Values are taken as bits, so that no NaN is changed on its way
    through Python.
    """
    kind = descriptor_pb2.FieldDescriptorProto
    number, text = kind.TYPE_INT32, kind.TYPE_BYTES
    legacy = [
        ("num", 1, number),
        ("channels", 2, number),
        ("height", 3, number),
        ("width", 4, number),
    ]
    values = [("*data", 5, kind.TYPE_FIXED32), ("*double_data", 8, kind.TYPE_FIXED64)]
    raw = [("raw_data_type", 10, number), ("raw_data", 12, text)]
    file = descriptor_pb2.FileDescriptorProto(name="reading.proto", package="reading")
    for name, fields in (
        ("Shape", [("*dim", 1, kind.TYPE_INT64)]),
        ("Blob", [*legacy, *values, *raw, ("shape", 7, "Shape")]),
        ("V2", [("name", 1, text), ("*blobs", 7, "Blob")]),
        ("V1", [("name", 4, text), ("*blobs", 6, "Blob")]),
        ("Net", [("*layers", 2, "V1"), ("*layer", 100, "V2")]),
        ("State", [("iter", 1, number), ("learned_net", 2, text), ("*history", 3, "Blob")]),
    ):
        message = file.message_type.add(name=name)
        for field in fields:
            _declare(message.field.add(), *field)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_class(pool, f"reading.{name}") for name in ("Net", "State")}


def _declare(field, name: str, number: int, kind) -> None:
    field.name, field.number = name.lstrip("*"), number
    field.label = field.LABEL_REPEATED if name.startswith("*") else field.LABEL_OPTIONAL
    if isinstance(kind, str):
        field.type, field.type_name = field.TYPE_MESSAGE, f".reading.{kind}"
        return
    field.type = kind
    if name.startswith("*"):
        field.options.packed = True
