"""The wire format of caffemodels as spans, and the refusal of everything else."""

import mmap
import random

import numpy as np
import pytest
from small_models import (
    BIAS,
    V1,
    V2,
    WEIGHTS,
    dims,
    doubles,
    floats,
    legacy,
    message,
    modern_blob,
    number,
    old_blob,
    v1_layer,
    v2_layer,
    whole,
)

from fcnkit.errors import WeightsError
from fcnkit.formats import blobproto, caffemodel, schema, signature, wire
from fcnkit.formats.caffemodel import scan

MODELS = (
    "age_net_v1/age_net.caffemodel",
    "lenet_v1/lenet_iter_10000.caffemodel",
    "lenet_v2/lenet_iter_10000.caffemodel",
    "cifar10_full_v1/cifar10_full_iter_70000.caffemodel",
    "cifar10_quick_v2/cifar10_quick_iter_5000.caffemodel",
    "open_nsfw_resnet50_v2/resnet_50_1by2_nsfw.caffemodel",
    "mtcnn_v2/det2.caffemodel",
    "mtcnn_v2/det3.caffemodel",
    "concat_into_fc_v2/1_F.caffemodel",
    "squeezenet_v1.0_imagenet/squeezenet_v1.0_deepcompressed.caffemodel",
    "nvcaffe_raw/HorizonalFinemapping.caffemodel",
    "fp16_raw_ssd/res10_300x300_ssd_iter_140000_fp16.caffemodel",
)


def values(data: bytes, blob: blobproto.BlobSpan) -> list[float]:
    """The values of a blob, read the plain way: packed chunks, or one tag before each value."""
    kind = np.dtype(blob.dtype).newbyteorder("<")
    found: list[float] = []
    for chunk in blob.chunks:
        step = chunk.lead + kind.itemsize
        for at in range(chunk.start, chunk.stop, step):
            found += np.frombuffer(data[at + chunk.lead : at + step], kind).tolist()
    return found


class Counting:
    """Bytes that count how many of them are looked at."""

    def __init__(self, data: bytes) -> None:
        self.data, self.touched = data, 0

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, at):
        part = self.data[at]
        self.touched += len(part) if isinstance(at, slice) else 1
        return part


# laws


@pytest.mark.parametrize("data", [V1, V2])
def test_spans_lie_within_their_parents_and_in_order(data):
    layout = scan(data)
    assert layout.size == len(data)
    end = 0
    for layer in layout.layers:
        assert end <= layer.start < layer.body <= layer.stop <= len(data)
        end = layer.stop
        inner = layer.body
        for blob in layer.blobs:
            assert inner <= blob.start < blob.body <= blob.stop <= layer.stop
            inner = blob.stop
            assert all(blob.body <= chunk.start <= chunk.stop <= blob.stop for chunk in blob.chunks)


@pytest.mark.parametrize("data", [V1, V2])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_buffer_gives_the_same(data, kind):
    assert scan(kind(data)) == scan(data)


def test_an_mmap_is_a_buffer(tmp_path):
    (tmp_path / "small").write_bytes(V2)
    with (
        open(tmp_path / "small", "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        assert scan(mapped) == scan(V2)


@pytest.mark.parametrize("count", [10, 100_000])
def test_tensors_are_not_looked_at(count):
    data = Counting(v2_layer("big", modern_blob((count,), [1.0] * count), modern_blob((1,), [1])))
    scan(data)
    assert data.touched < 120


def test_work_grows_with_the_number_of_layers_only():
    def touched(layers: int) -> int:
        data = Counting(
            b"".join(v2_layer(f"layer{n:05}", modern_blob((2,), BIAS)) for n in range(layers))
        )
        scan(data)
        return data.touched

    assert touched(2000) == 2 * touched(1000)


# tables


@pytest.mark.parametrize("data, kind, legacy_", [(V2, "layer", False), (V1, "layers", True)])
def test_what_is_found(data, kind, legacy_):
    layout = scan(data)
    assert layout.kind == kind
    assert [layer.name for layer in layout.layers] == ["data", "fc", "top"]
    weights, bias = layout.layers[1].blobs
    assert weights.shape == ((1, 1, 2, 3) if legacy_ else (2, 3))
    assert bias.shape == ((1, 1, 1, 2) if legacy_ else (2,))
    assert (weights.legacy, weights.dtype, weights.raw) == (legacy_, "float32", False)
    assert values(data, weights) == list(WEIGHTS)
    assert values(data, bias) == list(BIAS)


def unpacked(*numbers: float) -> bytes:
    return b"".join(number(5 * 8 + 5) + floats(each) for each in numbers)


SIX = dims(2, 3)
BLOBS = {
    "packed": (message(5, floats(*WEIGHTS)) + SIX, (2, 3), "float32", WEIGHTS),
    "shape first": (SIX + message(5, floats(*WEIGHTS)), (2, 3), "float32", WEIGHTS),
    "unpacked": (unpacked(*WEIGHTS) + SIX, (2, 3), "float32", WEIGHTS),
    "in pieces": (
        message(5, floats(1, 2)) + unpacked(3, 4) + SIX + message(5, floats(5, 6)),
        (2, 3),
        "float32",
        WEIGHTS,
    ),
    "doubles": (SIX + message(8, doubles(*WEIGHTS)), (2, 3), "float64", WEIGHTS),
    "doubles go before floats": (
        message(5, floats(0, 0)) + SIX + message(8, doubles(*WEIGHTS)),
        (2, 3),
        "float64",
        WEIGHTS,
    ),
    "unpacked doubles": (
        SIX + b"".join(number(8 * 8 + 1) + doubles(n) for n in WEIGHTS),
        (2, 3),
        "float64",
        WEIGHTS,
    ),
    "unpacked dims": (
        message(5, floats(*WEIGHTS)) + message(7, whole(1, 2), whole(1, 3)),
        (2, 3),
        "float32",
        WEIGHTS,
    ),
    "shape in two parts": (
        message(5, floats(*WEIGHTS)) + dims(2) + dims(3),
        (2, 3),
        "float32",
        WEIGHTS,
    ),
    "legacy goes before shape": (
        old_blob((1, 1, 2, 3), WEIGHTS) + dims(6),
        (1, 1, 2, 3),
        "float32",
        WEIGHTS,
    ),
    "with a diff": (
        message(5, floats(*WEIGHTS)) + message(6, floats(*WEIGHTS)) + SIX,
        (2, 3),
        "float32",
        WEIGHTS,
    ),
    "unknown fields": (
        whole(900, 5) + message(5, floats(*WEIGHTS)) + message(901, b"abc") + SIX,
        (2, 3),
        "float32",
        WEIGHTS,
    ),
    "no axes": (message(5, floats(4)) + dims(), (), "float32", [4]),
    "no shape": (message(5, floats(4)), (), "float32", [4]),
    "no values": (dims(0, 3), (0, 3), "float32", []),
    "raw half": (
        SIX + whole(10, 2) + message(12, np.array(WEIGHTS, "<f2").tobytes()),
        (2, 3),
        "float16",
        WEIGHTS,
    ),
    "raw float": (SIX + whole(10, 1) + message(12, floats(*WEIGHTS)), (2, 3), "float32", WEIGHTS),
    "raw double": (SIX + whole(10, 0) + message(12, doubles(*WEIGHTS)), (2, 3), "float64", WEIGHTS),
    "raw integers": (
        SIX + whole(10, 3) + message(12, np.array(WEIGHTS, "<i4").tobytes()),
        (2, 3),
        "int32",
        WEIGHTS,
    ),
    "no doubles are not doubles": (
        SIX + message(8) + message(5, floats(*WEIGHTS)),
        (2, 3),
        "float32",
        WEIGHTS,
    ),
    "two raw, the last counts": (
        dims(1) + whole(10, 1) + message(12, floats(1, 2)) + message(12, floats(3)),
        (1,),
        "float32",
        [3],
    ),
}


@pytest.mark.parametrize("name", BLOBS)
def test_blobs(name):
    blob, shape, dtype, expected = BLOBS[name]
    data = v2_layer("fc", blob)
    found = scan(data).layers[0].blobs[0]
    assert (found.shape, found.dtype) == (shape, dtype)
    assert values(data, found) == list(expected)
    assert found.raw == name.startswith(("raw", "two raw"))


@pytest.mark.parametrize("name", [name for name in BLOBS if "raw" not in name])
def test_protobuf_reads_the_same_from_it(name):
    blob, shape, _, expected = BLOBS[name]
    net = schema.message("NetParameter").FromString(v2_layer("fc", blob))
    read = net.layer[0].blobs[0]
    assert list(read.double_data or read.data) == list(expected)
    dims_ = (
        (read.num, read.channels, read.height, read.width)
        if read.HasField("num")
        else tuple(read.shape.dim)
    )
    assert dims_ == shape


def test_a_name_that_is_given_twice_is_the_last_one():
    data = message(
        100, message(1, b"first"), message(1, b"second"), message(7, modern_blob((1,), [1]))
    )
    assert scan(data).layers[0].name == "second"


def test_a_name_that_is_no_utf8_survives():
    (layer,) = scan(message(100, message(1, b"\xff\xfe"))).layers
    assert layer.name.encode("utf-8", "surrogateescape") == b"\xff\xfe"


def framed(field: int, content: bytes) -> bytes:
    return message(100, message(1, b"fc"), message(field, content))


HUGE = 2**62
REFUSED = {
    "empty": (b"", "empty"),
    "no layers": (message(1, b"name"), "layers, found none"),
    "too few values": (
        v2_layer("fc", modern_blob((2, 3), (1, 2))),
        'layer "fc", blob 0, .*2 x 3, found 2',
    ),
    "too many values": (v2_layer("fc", modern_blob((1,), (1, 2))), "found 2"),
    "half a value": (framed(7, message(5, b"123") + dims(1)), "4 bytes each, found 3"),
    "half a double": (framed(7, message(8, b"1234") + dims(1)), "8 bytes each, found 4"),
    "half a raw value": (
        framed(7, dims(1) + whole(10, 2) + message(12, b"123")),
        "expected 1 value",
    ),
    "unknown raw type": (framed(7, dims(1) + whole(10, 9) + message(12, b"1234")), "raw_data_type"),
    "negative size": (framed(7, dims(-2, -3) + message(5, floats(*WEIGHTS))), "found -2"),
    "negative legacy size": (framed(7, old_blob((-1, -1, 2, 3), WEIGHTS)), "found -1"),
    "a part of a legacy shape": (
        framed(7, whole(3, 2) + whole(4, 3) + message(5, floats(*WEIGHTS))),
        "0 x 0 x 2 x 3",
    ),
    "overflowing product": (framed(7, dims(2**31 - 1, 2**31 - 1, 2**31 - 1, 2**31 - 1)), "found 0"),
    "product that wraps to six": (
        framed(7, dims(HUGE, 4, 6) + message(5, floats(*WEIGHTS))),
        "dimension from 0",
    ),
    "33 axes": (framed(7, dims(*[1] * 33) + message(5, floats(1))), "at most 32"),
    "a thousand axes": (framed(7, dims(*[1] * 1000) + message(5, floats(1))), "at most 32"),
    "both generations": (V1 + V2, "both `layers` .V1. and `layer` .V2."),
    "V0": (message(2, message(1, message(1, b"fc"))), "V0"),
    "a group": (number(50 * 8 + 3) + number(50 * 8 + 4) + V2, "found 3 .a group."),
    "wire type 6": (number(50 * 8 + 6) + V2, "unknown kind"),
    "wire type 7": (number(50 * 8 + 7) + V2, "unknown kind"),
    "field 0": (V2 + bytes(10), "found 0"),
    "a layer that is a number": (message(1, b"\x01") + whole(100, 5), "wire type 2, found 0"),
    "blobs that are numbers": (
        message(100, message(1, b"fc"), whole(7, 5)),
        'layer "fc", .*wire type 2',
    ),
    "data that is a number": (framed(7, whole(5, 5)), "wire type 2 or 5, found 0"),
    "a number of 11 bytes": (
        message(1, b"\x01") + b"\xa0\x06" + b"\xff" * 10 + b"\x01",
        "at most 10 bytes",
    ),
    "a length beyond the file": (message(1, b"\x01") + b"\xa2\x06\xff\x7f", "need byte"),
    "a length of 2**64 - 1": (
        b"\x0a" + b"\xff" * 9 + b"\x01",
        "length of at most 5 bytes, found 10",
    ),
    "a length of 2**32 - 1": (b"\x0a" + b"\xff" * 4 + b"\x0f", "need byte"),
    "a tag of 6 bytes": (V2 + b"\x8a\x80\x80\x80\x80\x00\x00", "tag of at most 5 bytes"),
    "a length of 6 bytes": (V2 + b"\x0a\x80\x80\x80\x80\x80\x00", "length of at most 5 bytes"),
    "a broken shape beside a legacy one": (
        framed(7, old_blob((1, 1, 1, 1), (5,)) + message(7, b"\x08")),
        "whole number",
    ),
    "a bomb of shapes": (framed(7, dims() * 40), "at most 32 fields for its shape"),
    "a bomb of layers": (b"\xa2\x06\x00" * 70_000, "at most 65536 layers and blobs"),
    "a bomb of blobs": (
        message(100, message(7, dims(0)) * 70_000),
        "at most 65536 layers and blobs",
    ),
    "a bomb of values": (
        framed(7, (message(5, floats(1)) + whole(9, 0)) * 2000 + dims(2000)),
        "at most 1024 runs",
    ),
    "a blob beyond its layer": (
        message(100, message(1, b"fc"), b"\x3a\x40") + bytes(100),
        'layer "fc", byte',
    ),
    "values beyond their blob": (framed(7, dims(6) + b"\x2a\x18" + bytes(20)), "need byte"),
}


def check(head, path):
    signature.check(signature.WEIGHTS, head, path, WeightsError)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    data, words = REFUSED[name]
    with pytest.raises(WeightsError, match=words) as caught:
        check(data[:512], "a/file")
        scan(data, "a/file")
    assert str(caught.value).startswith("a/file: ")
    assert ";" in str(caught.value)


@pytest.mark.parametrize(
    "head, words",
    [
        (b"", "empty"),
        (b"\n\n <!DOCTYPE html><html>", "HTML page; download the file itself"),
        (b"<html lang=en>", "HTML page"),
        (b"\xef\xbb\xbf<!doctype html>", "HTML page"),
        (b"from PIL import Image\n", "text"),
        (b'layer {\n  name: "conv1"', "prototxt"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d", "Git LFS"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\x80\x04\x95\x10", "pickle"),
        (b"\x93NUMPY\x01\x00", "numpy"),
        (b"\x08\x01\x10\x03\x18\x20", "mean image"),
    ],
)
def test_other_kinds_of_files_are_named(head, words):
    with pytest.raises(WeightsError, match=words):
        check(head, "file")


@pytest.mark.parametrize(
    "data", [V1, V2, message(1, b"a") + V2, message(1, b"plain text name, " * 40) + V2]
)
def test_caffemodels_are_not_taken_for_others(data):
    check(data[:512], "file")


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31 - 1, 2**63, 2**64 - 1])
def test_numbers_are_written_as_they_are_read(value):
    assert wire.varint(value) == number(value)


@pytest.mark.parametrize("dtype, pack", [("float32", floats), ("float64", doubles)])
@pytest.mark.parametrize("shape", [(2, 3), (6,), (), (0, 2), (1, 1, 1, 6)])
def test_a_new_blob_is_what_protobuf_would_write(dtype, pack, shape):
    content = pack(*range(int(np.prod(shape))))
    before, after = blobproto.blob_frame(7, shape, dtype)
    data = caffemodel.layer_frame("layer", "fc", "InnerProduct", len(before + content + after))
    data += before + content + after
    net = schema.message("NetParameter").FromString(data)
    assert net.SerializeToString() == data
    assert (net.layer[0].name, net.layer[0].type) == ("fc", "InnerProduct")
    assert tuple(net.layer[0].blobs[0].shape.dim) == shape


# real files


@pytest.mark.parametrize("model", MODELS)
def test_real_files_are_read_as_protobuf_reads_them(shared, model):
    data = (shared / "models" / model).read_bytes()
    check(data, model)
    layout = scan(data, model)
    net = schema.message("NetParameter").FromString(data)
    layers = net.layers if layout.kind == "layers" else net.layer
    assert [layer.name for layer in layout.layers] == [layer.name for layer in layers]
    for span, layer in zip(layout.layers, layers, strict=True):
        assert len(span.blobs) == len(layer.blobs)
        for found, blob in zip(span.blobs, layer.blobs, strict=True):
            legacy_shape = (blob.num, blob.channels, blob.height, blob.width)
            assert found.shape == (legacy_shape if found.legacy else tuple(blob.shape.dim))
            stored = b"".join(data[chunk.start : chunk.stop] for chunk in found.chunks)
            assert stored == (blob.raw_data if found.raw else np.array(blob.data, "<f4").tobytes())


def test_real_files_that_are_no_models(shared):
    files = [path for path in (shared / "models" / "not_models").rglob("*.caffemodel")]
    assert files
    for path in files:
        with pytest.raises(WeightsError, match="HTML page|text"):
            check(path.read_bytes(), str(path))


def test_a_real_file_is_scanned_by_its_headers(shared):
    data = Counting((shared / "models" / MODELS[0]).read_bytes())
    scan(data)
    assert data.touched < 2500  # of 45 million bytes


# hostile input


@pytest.mark.parametrize("data", [V1, V2])
def test_cut_at_every_byte(data):
    """A file that ends between two layers is a whole one with fewer layers; nothing else passes."""
    whole_layers = {layer.stop: number for number, layer in enumerate(scan(data).layers, 1)}
    for length in range(len(data)):
        if length in whole_layers:
            assert len(scan(data[:length]).layers) == whole_layers[length]
            continue
        with pytest.raises(WeightsError, match="byte|empty"):
            check(data[:length], "cut")
            scan(data[:length], "cut")


@pytest.mark.parametrize("data", [V1, V2])
def test_every_flipped_bit(data):
    for at in range(len(data)):
        for bit in range(8):
            broken = bytearray(data)
            broken[at] ^= 1 << bit
            survives(bytes(broken))


def test_random_bytes():
    generator = random.Random(5)
    for _ in range(3000):
        survives(generator.randbytes(generator.randrange(1, 60)))
    for _ in range(3000):
        data = bytearray(V2)
        for _ in range(generator.randrange(1, 8)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        survives(bytes(data))


def survives(data: bytes) -> None:
    """It is read, and then whole in itself, or refused with WeightsError; nothing else."""
    try:
        layout = scan(data, "broken")
    except WeightsError:
        return
    for layer in layout.layers:
        for blob in layer.blobs:
            assert len(values(data, blob)) == int(np.prod(blob.shape))


def test_a_message_nested_in_itself_costs_nothing():
    data = b""
    for _ in range(2000):
        data = message(2, data)
    with pytest.raises(WeightsError, match="layers, found none"):
        scan(message(200, data))


def test_many_unknown_fields_are_walked_once():
    data = Counting(whole(900, 1) * 100_000 + V1)
    scan(data)
    assert data.touched <= 2 * len(data)


def test_legacy_and_v1_are_separate_matters():
    assert scan(v1_layer("fc", modern_blob((2,), BIAS))).layers[0].blobs[0].shape == (2,)
    assert scan(v2_layer("fc", old_blob((1, 1, 1, 2), BIAS))).layers[0].blobs[0].legacy
    assert legacy(1, 2) == b"\x08\x01\x10\x02"


def test_a_type_that_is_not_utf8_is_written_as_it_is():
    data = caffemodel.layer_frame("layer", "a", "\udcff", 0)
    assert scan(data, "x").layers[0].type == "\udcff"
