"""Where cells lie and what they see: the rows of the picture, and the picture itself."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from sketches import conv, data, layer, net, pool, relu, template

import fcnkit as fk
from fcnkit.drawing.fields import Strip, strips_of
from fcnkit.errors import NetError

PLAIN = net(
    data(1, 1, 20, 30), conv("c", "data", 2, 5, "pad: 2 stride: 2"), relu("c"), pool("p", "c", 2, 2)
)
# The right branch sees five pixels, the left one three.
BRANCHES = net(
    data(1, 1, 20, 20),
    conv("left", "data", 2, 3, "pad: 1"),
    conv("right", "data", 2, 5, "pad: 2"),
    layer("sum", "Eltwise", "left", "right"),
)


def test_rows_are_the_layers_that_change_something():
    assert list(strips_of(PLAIN)) == [
        Strip("data", 30, 0, 1, 1),
        Strip("c", 15, 0, 2, 5),
        Strip("p", 8, 1, 4, 7),
    ]


def test_the_published_net():
    plan = fk.fcn(template("alexnet"), classes=21, stride=32, pad=100)
    found = {strip.name: strip for strip in strips_of(plan.net, inputs={"data": (1, 3, 375, 500)})}
    assert found["conv1"] == Strip("conv1", 173, -95, 4, 11)
    assert found["pool5"][3:] == (32, 195) and found["fc6"] == Strip("fc6", 16, 13, 32, 355)
    assert (found["upscore"].first, found["score"].first, found["score"].cells) == (-18, 0, 500)
    assert not {"relu1", "norm1", "fc7", "score_fr"} & set(found)


def test_a_cell_sees_its_field():
    strip = Strip("p", 8, 1, 4, 7)
    assert strip.last == 29
    assert strip.seen(14) == (13, 10, 16)
    assert strip.seen(-50) == (1, -2, 4) and strip.seen(500) == (29, 26, 32)


def test_of_branches_the_one_that_sees_most_is_drawn():
    assert [strip.name for strip in strips_of(BRANCHES)] == ["data", "right"]
    assert [strip.name for strip in strips_of(BRANCHES, "left")] == ["data", "left"]


def test_the_picture_is_svg_with_a_row_for_each():
    drawing = fk.draw_fields(PLAIN, at=9)
    root = ElementTree.fromstring(drawing.text)
    words = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"data", "c", "p", "stride", "field", "7", "4"} <= set(words)
    assert words.index("p") < words.index("data"), "the image is below"
    assert len(re.findall("<circle", drawing.text)) == 30 + 15 + 8 + 3, (
        "each cell, and one in red a row"
    )
    assert drawing._repr_svg_() == fk.draw_fields(PLAIN, at=9).text


def test_names_are_escaped():
    odd = net(data(1, 1, 9, 9), conv("a<b>&", "data", 1, 3))
    assert ElementTree.fromstring(fk.draw_fields(odd).text) is not None


@pytest.mark.parametrize(
    "blob, said", [("nowhere", 'no blob "nowhere"'), ("ip1", "has no position over the image")]
)
def test_what_cannot_be_drawn_is_said(blob, said):
    with pytest.raises(NetError, match=said):
        fk.draw_fields(template("digits"), blob)


def test_a_net_of_no_maps_has_no_picture():
    with pytest.raises(NetError, match="no layer makes a map"):
        fk.draw_fields(net(data(5, 7)))
