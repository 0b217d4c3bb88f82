"""Long charts made short: what repeats is one box, and nothing is lost or said twice."""

from itertools import chain

import pytest
from sketches import conv, data, graph, layer, pool

import fcnkit as fk
from fcnkit.drawing.blocks import Chart, chart
from fcnkit.drawing.folding import GROUP, SHORT, fold, opened
from fcnkit.drawing.svg import COLOURS, Look, render
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of

NETS = ("resnet50", "resnet152", "googlenet", "densenet121", "mobilenet_v2", "squeezenet", "vgg19")


def charted(name: str) -> Chart:
    built = build(fk.template(name))
    return chart(built, shapes_of(built))


def tower(*blocks: str) -> Chart:
    """A net of these blocks, each of several layers: r for a residual one, c for a convolution,
    p for a pooling.
    """
    layers, last = [data(1, 8, 64, 64)], "data"
    for number, kind in enumerate(blocks):
        name = f"b{number}"
        if kind == "r":
            layers += [
                conv(f"{name}/x", last, 8, 3, "pad: 1"),
                conv(f"{name}/y", f"{name}/x", 8, 3, "pad: 1"),
                layer(f"{name}/sum", "Eltwise", last, f"{name}/y"),
            ]
            last = f"{name}/sum"
        else:
            layers += [conv(name, last, 8, 1) if kind == "c" else pool(name, last, 1, 1)]
            last = name
    built = graph(*layers)
    return chart(built, shapes_of(built))


# ---- laws


@pytest.mark.parametrize("name", NETS)
def test_each_box_is_in_the_folded_chart_once(name):
    whole = charted(name)
    folded = fold(whole)
    numbers = [
        folded.groups[place].boxes if place in folded.groups else None
        for place in range(len(folded.chart.blocks))
    ]
    alone = [block for place, block in enumerate(folded.chart.blocks) if place not in folded.groups]
    inside = list(chain.from_iterable(boxes for boxes in numbers if boxes))
    assert len(set(inside)) == len(inside)
    assert len(inside) + len(alone) == len(whole.blocks)
    assert [whole.blocks[n] for n in range(len(whole.blocks)) if n not in set(inside)] == alone


@pytest.mark.parametrize("name", NETS)
def test_layers_are_counted_as_before(name):
    whole = charted(name)
    lines = [line for block in whole.blocks for line in block.about]
    assert [line for block in fold(whole).chart.blocks for line in block.about] == lines


@pytest.mark.parametrize("name", NETS)
def test_wires_between_boxes_are_those_of_the_whole(name):
    whole = charted(name)
    folded = fold(whole)
    homes, number = {}, 0
    for place in range(len(folded.chart.blocks)):
        group = folded.groups.get(place)
        for box in group.boxes if group else (number,):
            homes[box] = place
            number = box + 1
    crossing = {
        (homes[wire.start], homes[wire.stop], wire.blob)
        for wire in whole.wires
        if homes[wire.start] != homes[wire.stop]
    }
    assert {wire[:3] for wire in folded.chart.wires} == crossing


# ---- what folds


def test_a_short_chart_stays():
    whole = tower(*"rr")
    assert len(whole.blocks) <= SHORT and fold(whole) == (whole, {})


def test_blocks_that_are_alike_are_one_box():
    folded = fold(tower(*"c", *"r" * 12, *"p"))
    assert [(block.name, block.what) for block in folded.chart.blocks] == [
        ("data", "Input"),
        ("b0", "Convolution 1 × 1"),
        ("b1 … b12", "12 blocks of 3 layers"),
        ("b13", "Max pooling 1 × 1"),
    ]
    assert folded.chart.blocks[2].kind == GROUP and GROUP in COLOURS
    assert len(folded.groups[2].parts) == 12


def test_a_row_of_several_parts_repeats():
    folded = fold(tower(*"cp" * 16))
    assert [block.what for block in folded.chart.blocks][1:] == ["16 blocks of 2 layers"]


def test_the_whole_of_resnet_is_a_dozen_boxes():
    names = [block.name for block in fold(charted("resnet152")).chart.blocks]
    assert names[:5] == ["data", "conv1", "pool1", "res2a", "res2b … res2c"]
    assert "res4b1 … res4b35" in names and len(names) == 14


def test_a_block_opens_below_what_it_reads():
    whole = charted("resnet152")
    folded = fold(whole)
    group = next(each for each in folded.groups.values() if each.name == "res2b … res2c")
    inside = opened(whole, group)
    assert [block.name for block in inside.blocks] == [
        "res2a", "res2b_branch2a", "res2b_branch2b", "res2b_branch2c", "res2b",
    ]  # fmt: skip
    assert {(wire.start, wire.stop) for wire in inside.wires} == {
        (0, 1), (1, 2), (2, 3), (3, 4), (0, 4),
    }  # fmt: skip


# ---- pictures of it


def test_shapes_stand_beside_lines_and_not_in_boxes():
    whole = tower(*"cr")
    plain, labelled = render(whole, "t"), render(whole, "t", Look(labelled=True))
    assert plain.count("8 × 64 × 64") == len(whole.blocks)
    # One beside each blob that is read, and one in the box of the last, which none reads.
    read = len({(wire.start, wire.blob) for wire in whole.wires})
    assert labelled.count('class="shape"') == read == len(whole.blocks) - 1
    assert labelled.count("8 × 64 × 64") == len(whole.blocks)


def test_boxes_lead_to_places():
    folded = fold(tower(*"r" * 12))
    (place,) = folded.groups
    text = render(folded.chart, "t", Look(links={place: '#b"<'}))
    assert text.count("<a href=") == 1 and '<a href="#b&quot;&lt;">' in text
