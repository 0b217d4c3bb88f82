"""The picture of a net: what is in it, where it lies,
and that it is a document that a browser reads.
"""

import sys
from itertools import combinations
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from sketches import conv, crop, data, deconv, fc, graph, layer, net, pool, relu, template

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.drawing.blocks import Wire, chart
from fcnkit.drawing.columns import TALLEST, columns
from fcnkit.drawing.layout import Link, layout
from fcnkit.drawing.svg import COLOURS
from fcnkit.errors import EngineError, NetError
from fcnkit.nets.shapes import shapes_of

SKIP = (
    data(1, 3, 32, 32),
    conv("c", "data", 4, 3, "pad: 10"),
    relu("c"),
    layer("drop", "Dropout", "c", top="c"),
    pool("p", "c", 2, 2),
    deconv("u", "p", 4, 4, 2, "group: 4"),
    crop("s", "u", "c", 1),
    layer("sum", "Eltwise", "s", "c"),
)
BOX = (100.0, 50.0)


def charted(*layers):
    built = graph(*layers)
    return chart(built, shapes_of(built))


def long(count):
    return net(
        data(1, 3, 8, 8), *(conv(f"c{n}", f"c{n - 1}" if n else "data", 3, 1) for n in range(count))
    )


# ---- what is in it


def test_in_place_layers_are_part_of_the_layer_before():
    assert [(block.name, block.what) for block in charted(*SKIP).blocks] == [
        ("data", "Input"),
        ("c", "Convolution 3 × 3 pad 10 + ReLU + Dropout"),
        ("p", "Max pooling 2 × 2 stride 2"),
        ("u", "Deconvolution 4 × 4 stride 2 group 4"),
        ("s", "Crop, offset 1"),
        ("sum", "Eltwise SUM"),
    ]


def test_a_block_says_its_shape_and_what_it_learns():
    block = charted(*SKIP).blocks[1]
    assert block.shape == "4 × 50 × 50"
    assert block.about[0] == "c: Convolution 3 × 3 pad 10, 112 parameters, line 7"
    assert len(block.about) == 3


def test_wires_follow_the_blobs_and_the_size_of_a_crop_is_apart():
    assert tuple(wire._replace(shape="") for wire in charted(*SKIP).wires) == (
        Wire(0, 1, "data"),
        Wire(1, 2, "c"),
        Wire(2, 3, "p"),
        Wire(3, 4, "u"),
        Wire(1, 4, "c", sized=True),
        Wire(4, 5, "s"),
        Wire(1, 5, "c"),
    )


@pytest.mark.parametrize(
    ("text", "what", "shape"),
    [
        (
            conv("x", "data", 4, 3, "stride: 2 dilation: 2"),
            "Convolution 3 × 3 stride 2 dilation 2",
            "4 × 14 × 14",
        ),
        (
            layer(
                "x",
                "Convolution",
                "data",
                more="convolution_param { num_output: 2 kernel_h: 1 kernel_w: 3 "
                "stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 1 }",
            ),
            "Convolution 1 × 3 stride 1 × 2 pad 0 × 1",
            "2 × 32 × 16",
        ),
        (pool("x", "data", 3, 2, "pool: AVE"), "Ave pooling 3 × 3 stride 2", "3 × 16 × 16"),
        (
            layer("x", "Pooling", "data", more="pooling_param { global_pooling: true }"),
            "Max pooling, global",
            "3 × 1 × 1",
        ),
        (fc("x", "data", 7), "InnerProduct", "7"),
        (layer("x", "Novel", "data"), "Novel", ""),
    ],
)
def test_what_a_block_says(text, what, shape):
    block = charted(data(1, 3, 32, 32), text).blocks[1]
    assert (block.what, block.shape) == (what, shape)


def test_every_kind_has_a_colour():
    nets = [template("alexnet"), fk.fcn(template("vgg16"), classes=3, stride=8).net]
    built = [fk.build(each) for each in nets]
    kinds = {block.kind for each in built for block in chart(each, shapes_of(each)).blocks}
    assert {
        "data",
        "convolution",
        "dense",
        "pooling",
        "upsampling",
        "crop",
        "joint",
        "result",
    } <= kinds
    assert kinds <= COLOURS.keys()


# ---- where it lies


def spots(places, sizes):
    return [
        (x - w / 2, x + w / 2, y - h / 2, y + h / 2)
        for (x, y), (w, h) in zip(places.centres, sizes, strict=True)
    ]


def test_boxes_do_not_overlap_and_curves_end_at_them():
    links = [Link(0, 1), Link(0, 2), Link(1, 3), Link(2, 3), Link(0, 3, loose=True), Link(0, 3)]
    sizes = [BOX, (80.0, 36.0), BOX, (160.0, 50.0)]
    places = layout(sizes, links)
    boxes = spots(places, sizes)
    for (left, right, top, bottom), (left2, right2, top2, bottom2) in combinations(boxes, 2):
        assert right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top
    for link, curve in zip(links, places.curves, strict=True):
        assert len(curve) % 3 == 1
        for (x, y), number in ((curve[0], link.start), (curve[-1], link.stop)):
            left, right, top, bottom = boxes[number]
            assert left - 1 <= x <= right + 1 and top - 1 <= y <= bottom + 1


def test_a_short_picture_has_one_column_and_holds_everything():
    places = layout([BOX] * 3, [Link(0, 1), Link(1, 2)])
    (strip,) = columns(places, [BOX] * 3)
    assert (strip.top, strip.bottom, strip.boxes, strip.curves) == (
        0,
        places.height,
        (0, 1, 2),
        (0, 1),
    )
    assert strip.entries == ()


@pytest.fixture(scope="module")
def tall():
    """A chain of boxes with a line past all of them, and its columns."""
    links = [*(Link(number, number + 1) for number in range(59)), Link(0, 59, loose=True)]
    places = layout([BOX] * 60, links)
    assert places.height > TALLEST
    return places, columns(places, [BOX] * 60)


def test_columns_hold_each_box_once_and_cut_none(tall):
    places, strips = tall
    assert len(strips) > 1
    assert [number for strip in strips for number in strip.boxes] == list(range(60))
    for strip in strips:
        for number in strip.boxes:
            y = places.centres[number][1]
            assert strip.top <= y - BOX[1] / 2 and y + BOX[1] / 2 <= strip.bottom


def test_columns_follow_one_another_and_are_wider_than_high_together(tall):
    places, strips = tall
    assert [strip.top for strip in strips] == [0, *(strip.bottom for strip in strips[:-1])]
    assert strips[-1].bottom == places.height
    widths = sum(strip.right - strip.left for strip in strips)
    assert widths > 0.5 * places.height / len(strips)


def test_a_line_past_all_boxes_is_in_every_column_and_named_at_its_head(tall):
    _, strips = tall
    assert all(59 in strip.curves for strip in strips)
    assert all(59 in dict(strip.entries) for strip in strips[1:])


# ---- the document


def texts(drawing):
    found = ElementTree.fromstring(drawing.text).iter("{http://www.w3.org/2000/svg}text")
    return [node.text for node in found]


def test_the_picture_shows_every_layer_that_is_not_in_place():
    plan = fk.fcn(template("vgg16"), classes=21, stride=8)
    drawing = fk.draw(plan.net, inputs={"data": (1, 3, 500, 500)})
    shown = texts(drawing)
    layers = [each for each in fk.build(plan.net).layers if each.type not in ("ReLU", "Dropout")]
    assert {each.name for each in layers} <= set(shown)
    assert "21 × 500 × 500" in shown and "Crop, offset 13" in shown


def test_a_name_of_any_bytes_gives_a_document():
    drawing = fk.draw(net(data(1, 1, 4, 4, name="<a&b>"), layer("x\\001\\377", "ReLU", "<a&b>")))
    assert "<a&b>" in texts(drawing)
    drawing.text.encode("utf-8")


def test_the_same_net_gives_the_same_picture_and_a_notebook_shows_it():
    one, other = fk.draw(long(100)), fk.draw(long(100))
    assert one == other and one._repr_svg_() == one.text
    assert texts(one).count("c50") >= 1
    assert repr(one) == "<Drawing of sketch.prototxt>"


def test_layers_of_the_state_alone_are_drawn():
    train = layer("t", "ReLU", "data", more="include { phase: TRAIN }")
    both = net(data(1, 1, 4, 4), train)
    assert "t" not in texts(fk.draw(both)) and "t" in texts(fk.draw(both, state=fk.State("TRAIN")))
    with pytest.raises(NetError, match="no layers in state TEST; choose another phase"):
        fk.draw(net(layer("d", "DummyData", more="include { phase: TRAIN }")))


def test_without_pygraphviz_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with pytest.raises(EngineError, match=r"pip install 'fcnkit.draw"):
        fk.draw(long(2))


# ---- the command


def run(*words, stdin=None):
    return CliRunner().invoke(main, [str(word) for word in words], input=stdin)


def test_the_command_writes_the_picture_and_overwrites_nothing(tmp_path):
    out = tmp_path / "net.svg"
    assert run("draw", "template:lenet", "-o", out).exit_code == 0
    expected = fk.draw(template("lenet"))
    assert out.read_text() == expected.text.replace(expected.path, "template:lenet")
    again = run("draw", "template:lenet", "-o", out)
    assert again.exit_code == 2 and "--force" in again.output
    assert run("draw", "template:lenet", "-o", out, "--force").exit_code == 0


def test_the_command_writes_to_standard_output_and_takes_sizes():
    result = run("draw", "-", "-o", "-", "--input", "data=1,3,16,16", stdin=long(3).text)
    assert result.exit_code == 0 and "3 × 16 × 16" in result.stdout


def test_another_format_is_refused(tmp_path):
    result = run("draw", "template:lenet", "-o", tmp_path / "net.png")
    assert result.exit_code == 2 and "name it OUT.svg" in result.output
    assert not list(tmp_path.iterdir())


def test_real_nets_are_drawn(shared):
    """Every so manieth net of the corpus, deep ones among them."""
    import corpus

    drawn = 0
    for path in corpus.files(shared)[::29]:
        read = corpus.net(path)
        if read is not None and fk.build(read).layers:
            ElementTree.fromstring(fk.draw(read).text)
            drawn += 1
    assert drawn > 5
