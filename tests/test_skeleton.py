"""The net that a caffemodel says: what protobuf wrote into it is read out again, word for word."""

import numpy as np
import pytest
from google.protobuf import text_format
from sketches import conv, data, fc, layer, net, relu, template

import fcnkit as fk
from fcnkit.errors import WeightsError
from fcnkit.formats import schema
from fcnkit.formats.binary import shortest
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.weights import store

ODD = r"a/\"b\\ \303\274"
NETS = {
    "floats and enums": net(
        data(2, 3, 9, 9),
        conv("c", "data", 4, 3, "pad: 1 pad: 2 weight_filler { type: 'gaussian' std: 0.0099999 }"),
        layer(
            "n",
            "LRN",
            "c",
            more="lrn_param { alpha: 5e-05 k: 1.00000012 norm_region: WITHIN_CHANNEL }",
        ),
        layer("f", "Flatten", "n", more="flatten_param { axis: -3 end_axis: -1 }"),
        fc("fc", "f", 9, "bias_term: false"),
        layer("e", "Eltwise", "fc", "fc", more="eltwise_param { coeff: -1 coeff: 0.3333333 }"),
    ),
    "names": net(data(1, 3, 9, 9), conv(ODD, "data", 4, 3) + relu(ODD)),
    "vgg16": template("vgg16"),
    "googlenet": template("googlenet"),
    "resnet50": template("resnet50"),
}


def message(text):
    return text_format.Parse(text, schema.message("NetParameter")())


def saved(text, path, kind="layer"):
    """As Caffe saves it, with a blob of one number for each layer that learns."""
    made = message(text)
    for each in getattr(made, kind):
        blob = each.blobs.add()
        blob.shape.dim.append(1)
        blob.data.append(1)
    path.write_bytes(made.SerializeToString())
    return path


@pytest.mark.parametrize("name", NETS)
def test_what_was_written_is_read(name, tmp_path):
    text = NETS[name].text
    found = fk.skeleton(saved(text, tmp_path / "net.caffemodel"))
    assert message(found.text) == message(text)
    assert found.text.count("# blobs: 1\n") == len(build(found).layers)


def test_the_older_generation(tmp_path):
    size = "".join(f"input_dim: {each} " for each in (1, 3, 9, 9))
    words = 'name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1 blobs_lr: 2'
    param = "convolution_param { num_output: 4 kernel_size: 3 }"
    text = f'name: "n" input: "data" {size} layers {{ {words} {param} }}'
    found = fk.skeleton(saved(text, tmp_path / "net.caffemodel", "layers"))
    assert message(found.text) == message(text)
    assert shapes_of(build(found)).tops[build(found).top("c")] == (1, 4, 7, 7)


def test_splits_and_the_state_are_taken_out(tmp_path):
    split = layer(
        "c_s_split", "Split", "c", top="c_s_split_0", more='top: "c_s_split_1" phase: TRAIN'
    )
    a = layer("a", "ReLU", "c_s_split_0", more="phase: TRAIN include { phase: TRAIN }")
    text = net(
        data(1, 3, 9, 9), conv("c", "data", 4, 3), split, a, layer("b", "TanH", "c_s_split_1")
    )
    found = fk.skeleton(saved(text.text, tmp_path / "net.caffemodel"))
    assert [(one.name, [top.blob for top in one.bottoms]) for one in build(found).layers[1:]] == [
        ("c", ["data"]), ("a", ["c"]), ("b", ["c"])
    ]  # fmt: skip
    assert "TRAIN" not in found.text


def test_packed_numbers_are_read(tmp_path):
    inner = b"\x08\x04" + b"\x22\x02\x03\x05"  # num_output 4, kernel_size 3 and 5, packed
    param = b"\xd2\x06" + bytes([len(inner)]) + inner  # convolution_param, 106
    body = b"\x0a\x01c" + b"\x12\x0bConvolution" + param
    (tmp_path / "n.caffemodel").write_bytes(b"\xa2\x06" + bytes([len(body)]) + body)
    (conv_,) = build(fk.skeleton(tmp_path / "n.caffemodel")).layers
    assert conv_.param("convolution_param").list("kernel_size") == [3, 5]


def test_what_no_schema_names_is_counted(tmp_path):
    body = b"\x0a\x01c" + b"\x12\x04Mine" + b"\xc2\xb8\x02\x02\x08\x01"  # field 5000
    (tmp_path / "n.caffemodel").write_bytes(b"\xa2\x06" + bytes([len(body)]) + body)
    text = fk.skeleton(tmp_path / "n.caffemodel").text
    assert "# Fields that Caffe does not have are left out, 1 in all: LayerParameter 5000\n" in text


@pytest.mark.parametrize("end", [".npz", ".caffemodel.h5"])
def test_a_format_of_names_alone_says_so(end, tmp_path):
    kind = "npz" if end == ".npz" else "hdf5"
    store.create().put("c", [np.ones((4, 3, 3, 3), "f4"), np.ones(4, "f4")]).to(kind).save(
        tmp_path / f"n{end}"
    )
    text = fk.skeleton(tmp_path / f"n{end}").text
    assert "only names and blobs: no types" in text
    assert '# blobs: 4 x 3 x 3 x 3, 4\nlayer {\n  name: "c"\n}\n' in text


def test_weights_that_are_no_file():
    with pytest.raises(WeightsError, match="is not a file"):
        fk.skeleton(store.create())


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-5, 3.4028235e38, -1 / 3, float("inf")])
def test_the_shortest_number_that_rounds_to_it(value):
    number = float(np.float32(value))
    assert np.float32(float(shortest(number))) == np.float32(value)
    assert len(shortest(float(np.float32(0.1)))) == 3


@pytest.mark.parametrize(
    "name",
    ["mtcnn_v2/det2", "lenet_v1/lenet_iter_10000", "open_nsfw_resnet50_v2/resnet_50_1by2_nsfw"],
)
def test_trained_models_of_others_fit_the_net_that_they_speak_of(name, shared):
    path = shared / "models" / f"{name}.caffemodel"
    found = fk.skeleton(path)
    assert not [each for each in fk.lint(found, weights=fk.weights(path)) if each.level == "error"]


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (30.0, "30"),
        (0.1, "0.1"),
        (1e6, "1e+06"),
        (100000.0, "100000"),
        (1e-5, "1e-05"),
        (117, "117"),
    ],
)
def test_a_number_is_written_as_protobuf_writes_it(number, written):
    assert shortest(number) == written
    assert str(schema.message("FillerParameter")(value=number)) == f"value: {written}\n"
