import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_text import (
    POOL,
    check_refused,
    check_tops_and_parameters,
    infer,
    layer_of,
    net,
    outcome,
    source,
)

from fcnkit.engines import caffe_runtime
from fcnkit.errors import FcnkitError
from fcnkit.formats import prototxt
from fcnkit.nets import graph
from fcnkit.nets.coordmap import IDENTITY
from fcnkit.nets.layers import table
from fcnkit.nets.layers.table import TYPES

# ---- laws


def test_every_entry_stands_under_its_name():
    assert all(kind.name == name for name, kind in TYPES.items())
    assert all(
        kind.bottoms[0] <= kind.bottoms[1] and kind.tops[0] <= kind.tops[1]
        for kind in TYPES.values()
    )


def test_every_type_of_real_caffe_has_an_entry(caffe):
    words = "import caffe; print(*caffe.layer_type_list())"
    done = subprocess.run(
        [*caffe_runtime.command("python"), "-c", words], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == set(table.CAFFE)


# ---- tables: tops and parameters

SHAPES = {
    # Fully connected.
    "fc": (
        "InnerProduct",
        "inner_product_param { num_output: 7 }",
        [(2, 3, 4, 5)],
        [(2, 7)],
        [(7, 60), (7,)],
    ),
    "fc axis": (
        "InnerProduct",
        "inner_product_param { num_output: 7 axis: -1 bias_term: false }",
        [(2, 3, 4, 5)],
        [(2, 3, 4, 7)],
        [(7, 5)],
    ),
    "fc transpose": (
        "InnerProduct",
        "inner_product_param { num_output: 7 transpose: true }",
        [(2, 60)],
        [(2, 7)],
        [(60, 7), (7,)],
    ),
    "embed": (
        "Embed",
        "embed_param { num_output: 7 input_dim: 9 }",
        [(2, 3)],
        [(2, 3, 7)],
        [(9, 7), (7,)],
    ),
    # Learned and normalising.
    "batch norm": ("BatchNorm", "", [(2, 3, 4, 5)], [(2, 3, 4, 5)], [(3,), (3,), (1,)]),
    "scale": (
        "Scale",
        "scale_param { bias_term: true }",
        [(2, 3, 4, 5)],
        [(2, 3, 4, 5)],
        [(3,), (3,)],
    ),
    "scale num_axes": (
        "Scale",
        "scale_param { num_axes: 2 }",
        [(2, 3, 4, 5)],
        [(2, 3, 4, 5)],
        [(3, 4)],
    ),
    "scale to the end": (
        "Scale",
        "scale_param { axis: -2 num_axes: -1 }",
        [(2, 3, 4, 5)],
        [(2, 3, 4, 5)],
        [(4, 5)],
    ),
    "scale by one": ("Scale", "scale_param { num_axes: 0 }", [(2, 3, 4, 5)], [(2, 3, 4, 5)], [()]),
    "scale by a bottom": (
        "Scale",
        "scale_param { axis: 0 bias_term: true }",
        [(2, 3, 4, 5), (2, 3)],
        [(2, 3, 4, 5)],
        [(2, 3)],
    ),
    "bias": ("Bias", "", [(2, 3, 4, 5)], [(2, 3, 4, 5)], [(3,)]),
    "bias by a bottom": ("Bias", "", [(2, 3, 4, 5), (3, 4)], [(2, 3, 4, 5)], []),
    "prelu": ("PReLU", "", [(2, 3, 4, 5)], [(2, 3, 4, 5)], [(3,)]),
    "prelu shared": ("PReLU", "prelu_param { channel_shared: true }", [(2, 3)], [(2, 3)], [()]),
    "lrn": ("LRN", "", [(2, 3, 4, 5)], [(2, 3, 4, 5)], []),
    "mvn": ("MVN", "", [(2, 3, 4, 5)], [(2, 3, 4, 5)], []),
    "mvn fills up": ("MVN", "", [(2, 3)], [(2, 3, 1, 1)], []),
    # Joining and cutting.
    "concat": ("Concat", "", [(2, 3, 4), (2, 5, 4), (2, 1, 4)], [(2, 9, 4)], []),
    "concat axis": ("Concat", "concat_param { axis: -1 }", [(2, 3), (2, 5)], [(2, 8)], []),
    "concat_dim": ("Concat", "concat_param { concat_dim: 0 }", [(2, 3), (4, 3)], [(6, 3)], []),
    "concat of one": ("Concat", "", [(2, 3)], [(2, 3)], []),
    "slice": ("Slice", "", [(2, 6, 4)], [(2, 2, 4)] * 3, []),
    "slice_point": (
        "Slice",
        "slice_param { slice_point: [1, 4] }",
        [(2, 6)],
        [(2, 1), (2, 3), (2, 2)],
        [],
    ),
    "slice_dim": ("Slice", "slice_param { slice_dim: 0 }", [(2, 6)], [(1, 6)] * 2, []),
    "slice in one": ("Slice", "", [(2, 6)], [(2, 6)], []),
    "split": ("Split", "", [(2, 6)], [(2, 6)] * 3, []),
    "eltwise": ("Eltwise", "eltwise_param { coeff: [1, -1] }", [(2, 3), (2, 3)], [(2, 3)], []),
    "flatten": ("Flatten", "", [(2, 3, 4, 5)], [(2, 60)], []),
    "flatten axes": (
        "Flatten",
        "flatten_param { axis: -3 end_axis: 2 }",
        [(2, 3, 4, 5)],
        [(2, 12, 5)],
        [],
    ),
    "flatten no axis": (
        "Flatten",
        "flatten_param { axis: 2 end_axis: 1 }",
        [(2, 3, 4)],
        [(2, 3, 1, 4)],
        [],
    ),
    "reshape": (
        "Reshape",
        "reshape_param { shape { dim: [0, -1, 5] } }",
        [(2, 3, 4, 5)],
        [(2, 12, 5)],
        [],
    ),
    "reshape a window": (
        "Reshape",
        "reshape_param { axis: 1 num_axes: 2 shape { dim: [6, 2] } }",
        [(2, 3, 4, 5)],
        [(2, 6, 2, 5)],
        [],
    ),
    "reshape inserts": (
        "Reshape",
        "reshape_param { axis: -1 num_axes: 0 shape { dim: 1 } }",
        [(2, 3)],
        [(2, 3, 1)],
        [],
    ),
    "tile": ("Tile", "tile_param { axis: 2 tiles: 3 }", [(2, 3, 4)], [(2, 3, 12)], []),
    "argmax": ("ArgMax", "", [(2, 3, 4, 5)], [(2, 1, 1, 1)], []),
    "argmax of two axes": (
        "ArgMax",
        "argmax_param { out_max_val: true top_k: 3 }",
        [(2, 9)],
        [(2, 2, 3)],
        [],
    ),
    "argmax axis": (
        "ArgMax",
        "argmax_param { axis: 1 top_k: 2 }",
        [(2, 3, 4, 5)],
        [(2, 2, 4, 5)],
        [],
    ),
    "reduction": ("Reduction", "reduction_param { axis: -2 }", [(2, 3, 4, 5)], [(2, 3)], []),
    "reduction to a scalar": ("Reduction", "", [(2, 3, 4, 5)], [()], []),
    "batch reindex": ("BatchReindex", "", [(2, 3, 4), (7,)], [(7, 3, 4)], []),
    "filter": ("Filter", "", [(2, 3, 4), (2, 5), (2,)], [(2, 3, 4), (2, 5)], []),
    # Ends.
    "softmax": ("Softmax", "", [(2, 3, 4)], [(2, 3, 4)], []),
    "softmax loss": ("SoftmaxWithLoss", "", [(2, 3, 4, 5), (2, 1, 4, 5)], [()], []),
    "sigmoid loss": ("SigmoidCrossEntropyLoss", "", [(2, 3), (2, 3)], [()], []),
    "euclidean loss": ("EuclideanLoss", "", [(2, 3, 4), (2, 12)], [()], []),
    "contrastive loss": ("ContrastiveLoss", "", [(2, 3), (2, 3, 1, 1), (2,)], [()], []),
    "multinomial loss": ("MultinomialLogisticLoss", "", [(2, 3), (2, 1, 1, 1)], [()], []),
    "infogain loss": ("InfogainLoss", "", [(2, 3), (2,), (1, 1, 3, 3)], [()], []),
    "hinge loss": ("HingeLoss", "", [(2, 3), (2,)], [()], []),
    "accuracy": ("Accuracy", "", [(2, 3), (2,)], [(), (3,)], []),
    "silence": ("Silence", "", [(2, 3), (2,)], [], []),
    "parameter": ("Parameter", "parameter_param { shape { dim: [2, 3] } }", [], [(2, 3)], [(2, 3)]),
    "dummy data": ("DummyData", "dummy_data_param { shape { dim: [2, 3] } }", [], [(2, 3)] * 2, []),
    "dummy data of old": (
        "DummyData",
        "dummy_data_param { num: [2, 3] channels: 4 height: 5 width: 6 }",
        [],
        [(2, 4, 5, 6), (3, 4, 5, 6)],
        [],
    ),
    "memory data": (
        "MemoryData",
        "memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 }",
        [],
        [(2, 3, 4, 5), (2,)],
        [],
    ),
    "lstm": (
        "LSTM",
        "recurrent_param { num_output: 4 weight_filler { type: 'xavier' } }",
        [(5, 2, 3), (5, 2)],
        [(5, 2, 4)],
        [(16, 3), (16,), (16, 4)],
    ),
    "lstm, static input": (
        "LSTM",
        "recurrent_param { num_output: 4 }",
        [(5, 2, 3), (5, 2), (2, 7)],
        [(5, 2, 4)],
        [(16, 3), (16,), (16, 7), (16, 4)],
    ),
    "lstm, exposed": (
        "LSTM",
        "recurrent_param { num_output: 4 expose_hidden: true }",
        [(5, 2, 3), (5, 2), (1, 2, 4), (1, 2, 4)],
        [(5, 2, 4), (1, 2, 4), (1, 2, 4)],
        [(16, 3), (16,), (16, 4)],
    ),
    "lstm unit": ("LSTMUnit", "", [(1, 2, 3), (1, 2, 12), (1, 2)], [(1, 2, 3)] * 2, []),
    "rnn": (
        "RNN",
        "recurrent_param { num_output: 4 }",
        [(5, 2, 3, 3), (5, 2)],
        [(5, 2, 4)],
        [(4, 9), (4,), (4, 4), (4, 4), (4,)],
    ),
}
POINTWISE = ["ReLU", "ELU", "Sigmoid", "TanH", "Swish", "AbsVal", "BNLL", "Power", "Exp", "Log"]
POINTWISE += ["Threshold", "Dropout"]
SHAPES.update({kind: (kind, "", [(2, 3)], [(2, 3)], []) for kind in POINTWISE})
SHAPES["Clip"] = ("Clip", "clip_param { min: 0 max: 1 }", [(2, 3)], [(2, 3)], [])


@pytest.mark.parametrize("kind, params, inputs, tops, blobs", SHAPES.values(), ids=SHAPES)
def test_tops_and_parameters(kind, params, inputs, tops, blobs):
    assert outcome(net(kind, params, *inputs, tops=len(tops))) == [tops, blobs]


def test_the_second_top_of_a_softmax_loss_is_its_probabilities():
    # Not in the table: Caffe 1.0 gives the Softmax inside the layer its loss weights too, and
    # stops.
    assert outcome(net("SoftmaxWithLoss", "", (2, 3, 4), (2, 4), tops=2))[0] == [(), (2, 3, 4)]


def test_tops_and_parameters_are_those_of_real_caffe(caffe):
    check_tops_and_parameters(caffe, SHAPES.values())


# ---- refusals: where Caffe's checks end its process

REFUSED = {
    "concat": (
        "Concat",
        "",
        [(2, 3, 4), (2, 3, 5)],
        'bottom "b" is 2 x 3 x 5 and bottom "a" is 2 x 3 x 4; make',
    ),
    "concat axes": (
        "Concat",
        "",
        [(2, 3, 4), (2, 3)],
        'bottom "b" is 2 x 3 and bottom "a" is 2 x 3 x 4',
    ),
    "concat both words": (
        "Concat",
        "concat_param { axis: 1 concat_dim: 1 }",
        [(2, 3), (2, 3)],
        "both axis and concat",
    ),
    "slice": ("Slice", "", [(2, 3)], "3 on axis 1 is not a multiple of 2 tops"),
    "slice_point": (
        "Slice",
        "slice_param { slice_point: [1, 2] }",
        [(2, 3)],
        "2 slice_point for 2 tops",
    ),
    "slice_point order": (
        "Slice",
        "slice_param { slice_point: 4 }",
        [(2, 3)],
        "slice_point [4] for 3 on axis 1",
    ),
    "eltwise": ("Eltwise", "", [(2, 3), (2, 4)], 'bottom "b" is 2 x 4 and bottom "a" is 2 x 3'),
    "eltwise of one": ("Eltwise", "", [(2, 3)], "Eltwise takes 2 or more bottoms and has 1"),
    "eltwise coeff": (
        "Eltwise",
        "eltwise_param { coeff: 1 }",
        [(2, 3), (2, 3)],
        "1 coeff for 2 bottoms",
    ),
    "fc axis": (
        "InnerProduct",
        "inner_product_param { num_output: 1 axis: 2 }",
        [(2, 3)],
        "axis 2 of a bottom with 2",
    ),
    "reshape": (
        "Reshape",
        "reshape_param { shape { dim: 7 } }",
        [(2, 3)],
        "6 values of 2 x 3 do not fill 7",
    ),
    "reshape -1": (
        "Reshape",
        "reshape_param { shape { dim: [4, -1] } }",
        [(2, 3)],
        "do not fill 4 x -1",
    ),
    "reshape two -1": (
        "Reshape",
        "reshape_param { shape { dim: [-1, -1] } }",
        [(2, 3)],
        "at most one -1",
    ),
    "reshape copies too far": (
        "Reshape",
        "reshape_param { shape { dim: [0, 0, 0] } }",
        [(2, 3)],
        "copies an axis",
    ),
    "reshape axes": (
        "Reshape",
        "reshape_param { axis: 1 num_axes: 2 }",
        [(2, 3)],
        "axis 1 and num_axes 2",
    ),
    "lrn": ("LRN", "", [(2, 3)], "LRN takes 4 axes"),
    "lrn even": ("LRN", "lrn_param { local_size: 4 }", [(2, 3, 4, 4)], "local_size 4 is even"),
    "prelu": ("PReLU", "", [(2,)], "PReLU takes 2 to 4 axes"),
    "prelu 5-D": ("PReLU", "", [(2, 3, 4, 5, 6)], "PReLU takes 2 to 4 axes"),
    "scale": ("Scale", "", [(2, 3), (2,)], "2 does not match 2 x 3 from axis 1 on"),
    "scale axes": ("Scale", "scale_param { num_axes: 3 }", [(2, 3)], "axis 1 and num_axes 3"),
    "argmax": ("ArgMax", "argmax_param { axis: 1 top_k: 4 }", [(2, 3)], "top_k 4 of 3 values"),
    "tile": ("Tile", "", [(2, 3)], "it has no tiles"),
    "softmax loss": (
        "SoftmaxWithLoss",
        "",
        [(2, 3, 4, 5), (2, 19)],
        "40 places and 38 labels; give one label for each",
    ),
    "accuracy": (
        "Accuracy",
        "",
        [(2, 3, 4, 5), (2, 3, 4, 5)],
        '"a" is 2 x 3 x 4 x 5 and "b" is 2 x 3 x 4 x 5: 40 pl',
    ),
    "accuracy top_k": (
        "Accuracy",
        "accuracy_param { top_k: 4 }",
        [(2, 3), (2,)],
        "top_k 4 of 3 classes",
    ),
    "contrastive": (
        "ContrastiveLoss",
        "",
        [(2, 3), (2, 4), (2,)],
        "give both the shape N x channels",
    ),
    "multinomial": (
        "MultinomialLogisticLoss",
        "",
        [(2, 3), (2, 4)],
        "give one label for each item",
    ),
    "infogain matrix": (
        "InfogainLoss",
        "",
        [(2, 3), (2,), (1, 1, 5, 5)],
        'its matrix "c" is 1 x 1 x 5 x 5, for 3 labels; give 3 x 3 values',
    ),
    "batch norm": ("BatchNorm", "", [(3,)], "BatchNorm takes at least 2 axes"),
    "lstm of no values": (
        "LSTM",
        "recurrent_param { num_output: 4 }",
        [(5, 2), (5, 2)],
        "give the first values after its time x streams",
    ),
    "embed": ("Embed", "embed_param { num_output: 3 }", [(3,)], "it has no input_dim"),
    "loss of one": ("EuclideanLoss", "", [(2, 3)], "EuclideanLoss takes 2 bottoms and has 1"),
    "loss batch": ("EuclideanLoss", "", [(2, 3), (3, 2)], "make their first axes equal"),
    "relu of two": ("ReLU", "", [(2, 3), (2, 3)], "ReLU takes 1 bottom and has 2; remove bottoms"),
    "dummy shapes": (
        "DummyData",
        "dummy_data_param { shape { } shape { } shape { } }",
        [],
        "3 shapes for 2 tops",
    ),
    "dummy both": ("DummyData", "dummy_data_param { shape { } num: 1 }", [], "both shape and num"),
    "filter": ("Filter", "", [(2, 3), (3,)], "its selector is 3; give one value for each item"),
    "filter tops": (
        "Filter",
        "",
        [(2, 3), (2, 3), (2,)],
        "2 bottoms before the selector and 1 top",
    ),
    "too much": (
        "Tile",
        "tile_param { axis: 0 tiles: 2000000000 }",
        [(2, 3)],
        "Caffe takes at most 32 axes and 2,147,48",
    ),
    "memory data": ("MemoryData", "memory_data_param { batch_size: 2 }", [], "give all four"),
}


def _refused(kind: str, params: str, inputs: list) -> str:
    tops = {"Slice": 2, "DummyData": 2, "MemoryData": 2}.get(kind, 1)
    return net(kind, params, *inputs, tops=tops)


@pytest.mark.parametrize("kind, params, inputs, message", REFUSED.values(), ids=REFUSED)
def test_refusals_say_line_and_remedy(kind, params, inputs, message):
    error = outcome(_refused(kind, params, inputs))
    assert error.startswith(f'net.prototxt:{len(inputs) + 1}: layer "x": ')
    assert message in error
    assert ";" in error or "give" in error


def test_real_caffe_refuses_what_is_refused_here(caffe):
    check_refused(
        caffe, [_refused(kind, params, inputs) for kind, params, inputs, _ in REFUSED.values()]
    )


# ---- coordinates

UNMOVED = [
    *POINTWISE,
    "Clip",
    "PReLU",
    "LRN",
    "MVN",
    "BatchNorm",
    "Scale",
    "Bias",
    "Eltwise",
    "Split",
]
UNMOVED += ["Softmax", "Concat", "Slice", "Filter", "BatchReindex"]
STOPS = ["InnerProduct", "Flatten", "Reshape", "Reduction", "Embed", "SPP", "LSTM", "ArgMax"]
STOPS += ["Input", "Data", "Python", "SoftmaxWithLoss", "Accuracy", "Silence"]


@pytest.mark.parametrize("kind", UNMOVED)
def test_layers_that_leave_points_where_they_are(kind):
    assert TYPES[kind].coord(layer_of(kind), 4) == IDENTITY


@pytest.mark.parametrize("kind", STOPS)
def test_layers_where_coordinates_end(kind):
    assert TYPES[kind].coord(layer_of(kind), 4) is None


AXES = {
    "global pooling": ("Pooling", POOL("global_pooling: true"), None),
    "concat on channels": ("Concat", "concat_param { axis: -3 }", IDENTITY),
    "concat on rows": ("Concat", "concat_param { axis: 2 }", None),
    "concat_dim 3": ("Concat", "concat_param { concat_dim: 3 }", None),
    "slice on columns": ("Slice", "slice_param { axis: -1 }", None),
    "slice on batch": ("Slice", "slice_param { slice_dim: 0 }", IDENTITY),
    "tile channels": ("Tile", "tile_param { axis: 1 tiles: 2 }", IDENTITY),
    "tile rows": ("Tile", "tile_param { axis: 2 tiles: 2 }", None),
    "argmax of channels": ("ArgMax", "argmax_param { axis: 1 }", IDENTITY),
    "argmax of rows": ("ArgMax", "argmax_param { axis: 2 }", None),
}


@pytest.mark.parametrize("kind, params, wanted", AXES.values(), ids=AXES)
def test_coordinates_by_axis(kind, params, wanted):
    assert TYPES[kind].coord(layer_of(kind, params), 4) == wanted


@pytest.mark.parametrize(
    "kind, wanted",
    {"Crop": (0,), "Eltwise": (0, 1), "Concat": (0, 1), "Scale": (0,), "Filter": (0,)}.items(),
)
def test_carriers(kind, wanted):
    layer = graph.build(prototxt.parse(net(kind, "", (2, 3), (2, 3)))).layers[-1]
    assert TYPES[kind].carriers(layer) == wanted


def test_a_source_carries_nothing():
    layer = graph.build(prototxt.parse(source("a", 1))).layers[0]
    assert TYPES["Input"].carriers(layer) == ()


# ---- unknown types, hostile inputs


def test_an_unknown_type_is_an_entry_that_knows_nothing():
    kind = table.of(layer_of("Whirl"))
    assert kind.coord(layer_of("Whirl"), 4) is None
    assert "type Whirl is not known to fcnkit" in kind.unknown
    assert outcome(net("Whirl", "", (1, 2), (3, 4), (5,), tops=5)) == [[None] * 5, None]


NUMBERS = st.integers(0, 8) | st.integers(-9, 2**32)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(SHAPES)),
    st.lists(st.lists(st.integers(0, 6), max_size=6).map(tuple), max_size=3),
    st.integers(0, 4),
    st.lists(NUMBERS, min_size=5, max_size=5),
)
def test_any_sizes_give_shapes_or_an_error_of_ours(name, inputs, tops, numbers):
    kind, params, *_ = SHAPES[name]
    numbers = iter(numbers)
    params = re.sub(r"-?\b\d+", lambda match: str(next(numbers, match[0])), params)
    try:
        found = infer(net(kind, params, *inputs, tops=tops))
    except FcnkitError:
        return
    layer = found.graph.layers[-1]
    assert all(min(shape, default=0) >= 0 for shape in found.tops.values())
    assert found.parameters(layer) >= 0 and found.macs(layer) >= 0
    kind = table.of(layer)
    for ndim in {len(shape) for shape in inputs}:
        assert kind.coord(layer, ndim) is None or layer.bottoms
