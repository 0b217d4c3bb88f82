import pytest

from fcnkit.errors import NetError
from fcnkit.formats import prototxt, schema
from fcnkit.nets import declared, graph
from fcnkit.nets.graph import State, Top
from fcnkit.nets.layers.table import TYPES

SIZED = 'input: "data"\ninput_shape { dim: 1 dim: 3 dim: 8 dim: 8 }\n'
V2 = (
    SIZED
    + """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "left" type: "Power" bottom: "conv" top: "left" }
layer { name: "right" type: "Power" bottom: "conv" top: "right" }
layer { name: "sum" type: "Eltwise" bottom: "left" bottom: "right" top: "sum" }
"""
)
V1 = (
    SIZED
    + """
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
  convolution_param { kernel_size: 3 } }
layers { name: "relu" type: RELU bottom: "conv" top: "conv" }
layers { name: "left" type: 26 bottom: "conv" top: "left" }
layers { name: "right" type: POWER bottom: "conv" top: "right" }
layers { name: "sum" type: ELTWISE bottom: "left" bottom: "right" top: "sum" }
"""
)


def build(text: str, state: State = State()) -> graph.Graph:
    return graph.build(prototxt.parse(text, "net.prototxt"), state)


def power(name: str, bottom: str, top: str, more: str = "") -> str:
    return f'layer {{ name: "{name}" type: "Power" bottom: "{bottom}" top: "{top}" {more} }}\n'


# ---- laws


@pytest.mark.parametrize("text", (V1, V2), ids=("V1", "V2"))
def test_each_top_is_found_at_its_layer_and_each_bottom_was_made_before(text):
    net = build(text)
    for number, layer in enumerate(net.layers):
        assert layer.index == number
        for at, top in enumerate(layer.tops):
            assert top == Top(top.blob, number, at)
            assert net.producer(top) is layer
        for bottom in layer.bottoms:
            assert bottom.layer < number
            assert layer in net.consumers[bottom]
    assert set(net.consumers) == set(net.tops)
    assert set(net.outputs) == {top for top in net.tops if not net.consumers[top]}


def test_v1_and_v2_spell_the_same_net():
    one, two = build(V1), build(V2)
    assert [layer.type for layer in one.layers] == [layer.type for layer in two.layers]
    assert [layer.bottoms for layer in one.layers] == [layer.bottoms for layer in two.layers]
    assert [layer.tops for layer in one.layers] == [layer.tops for layer in two.layers]
    assert (
        [layer.line for layer in one.layers]
        == [layer.line for layer in two.layers]
        == [1, 4, 6, 7, 8, 9]
    )


def test_every_v1_type_has_its_v2_word():
    assert set(declared.V1_TYPES) == set(schema.slots("V1LayerParameter")["type"].enum)
    assert set(declared.V1_TYPES.values()) - {""} <= set(TYPES)
    assert len(set(declared.V1_TYPES.values())) == len(declared.V1_TYPES)


@pytest.mark.parametrize("text", (V1, V2), ids=("V1", "V2"))
def test_a_v1_layer_answers_for_messages_that_v1_does_not_have(text):
    conv = build(text).layer("conv")
    assert conv.param("convolution_param").list("kernel_size") == [3]
    assert conv.param("crop_param").get("axis") == 2
    assert not conv.param("batch_norm_param").has("eps")


# ---- in-place layers


def test_an_in_place_layer_makes_a_new_top_and_later_layers_read_that():
    net = build(V2)
    before, after = Top("conv", 1, 0), Top("conv", 2, 0)
    assert net.layer("relu").bottoms == (before,)
    assert (
        net.layer("relu").tops
        == (after,)
        == net.layer("left").bottoms
        == net.layer("right").bottoms
    )
    assert net.consumers[before] == (net.layer("relu"),)
    assert net.consumers[after] == (net.layer("left"), net.layer("right"))
    assert net.top("conv") == after
    assert net.outputs == (Top("sum", 5, 0),)
    assert net.inputs == (Top("data", 0, 0),)


def test_a_layer_that_reads_a_top_twice_is_its_consumer_once():
    net = build(
        SIZED + 'layer { name: "x" type: "Eltwise" bottom: "data" bottom: "data" top: "x" }'
    )
    assert net.consumers[net.top("data")] == (net.layer("x"),)
    assert net.layer("x").bottoms == (net.top("data"),) * 2


def test_in_place_goes_by_position():
    text = SIZED + power("a", "data", "a") + power("b", "data", "b")
    swapped = 'layer { name: "x" type: "Python" bottom: "a" bottom: "b" top: "b" top: "a" }'
    with pytest.raises(
        NetError, match='net.prototxt:5: layer "x": top "b" is already made by layer "b"'
    ):
        build(text + swapped)
    net = build(text + swapped.replace('top: "b" top: "a"', 'top: "a" top: "b"'))
    assert net.top("b") == Top("b", 3, 1)


READ_ELSEWHERE = {
    "by a layer before": SIZED
    + power("p", "data", "p")
    + power("q", "p", "q")
    + power("r", "p", "p"),
    "twice by itself": SIZED
    + 'layer { name: "x" type: "Eltwise" bottom: ["data", "data"] top: "data" }',
}


@pytest.mark.parametrize("text", READ_ELSEWHERE.values(), ids=READ_ELSEWHERE)
def test_in_place_on_what_is_read_elsewhere_too_is_refused(text):
    with pytest.raises(NetError, match='it works in place on "(p|data)", which layer "(q|x)"'):
        build(text)


def test_in_place_on_what_is_read_elsewhere_too_is_refused_by_caffe(caffe):
    nets = map(prototxt.parse, READ_ELSEWHERE.values())
    for error in caffe.ask([caffe.Question("shapes", net) for net in nets]):
        assert "produced by multiple sources" in str(error)


# ---- inputs

INPUTS = {
    "input_shape": (SIZED, {"data": (1, 3, 8, 8)}),
    "input_dim": (
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 9',
        {"data": (1, 3, 8, 9)},
    ),
    "two input_dim": (
        'input: "a" input_dim: [1, 2, 3, 4] input: "b" input_dim: [5, 6, 7, 8]',
        {"a": (1, 2, 3, 4), "b": (5, 6, 7, 8)},
    ),
    "two input_shape": (
        'input: "a" input: "b" input_shape { dim: 7 } input_shape { dim: 2 dim: 3 }',
        {"a": (7,), "b": (2, 3)},
    ),
    "shape wins": ('input: "a" input_dim: [1, 2, 3, 4] input_shape { dim: 7 }', {"a": (7,)}),
    "more than needed": ('input: "a" input_dim: [1, 2, 3, 4, 5, 6, 7, 8]', {"a": (1, 2, 3, 4)}),
    "no shape": ('input: "a"', {"a": None}),
    "Input layer": (
        'layer { name: "i" type: "Input" top: "a" input_param { shape { dim: 3 dim: 0x10 } } }',
        {"a": (3, 16)},
    ),
    "Input, one for all": (
        'layer { name: "i" type: "Input" top: "a" top: "b" input_param { shape { dim: 3 } } }',
        {"a": (3,), "b": (3,)},
    ),
    "Input, one each": (
        'layer { name: "i" type: "Input" top: "a" top: "b" input_param { shape { dim: 3 } shape '
        "{ } } }",
        {"a": (3,), "b": ()},
    ),
    "Input, none": ('layer { name: "i" type: "Input" top: "a" top: "b" }', {"a": None, "b": None}),
}


@pytest.mark.parametrize("text, wanted", INPUTS.values(), ids=INPUTS)
def test_inputs(text, wanted):
    net = build(text)
    (layer,) = net.layers
    assert layer.type == "Input"
    assert {
        top.blob: shape for top, shape in zip(layer.tops, layer.input_shapes, strict=True)
    } == wanted
    assert net.inputs == layer.tops


def test_the_net_level_inputs_are_one_layer_before_all_others():
    net = build(power("p", "b", "p") + 'input: "a" input: "b" input_dim: [1, 1, 1, 1, 2, 2, 2, 2]')
    assert [layer.name for layer in net.layers] == ["input", "p"]
    assert net.layers[0].line == 2
    assert not net.layers[0].param("input_param").has("shape")
    assert net.layers[1].input_shapes == ()


# ---- states: Net::FilterNet

LOW, HIGH = "min_level: 2", "max_level: 4"
RULES = {
    "no rule": ("", State(), True),
    "include, phase met": ("include { phase: TRAIN }", State("TRAIN"), True),
    "include, phase not met": ("include { phase: TRAIN }", State("TEST"), False),
    "exclude, phase met": ("exclude { phase: TRAIN }", State("TRAIN"), False),
    "exclude, phase not met": ("exclude { phase: TRAIN }", State("TEST"), True),
    "an empty include is always met": ("include { }", State("TRAIN", 7, ("x",)), True),
    "an empty exclude is always met": ("exclude { }", State(), False),
    "any of two includes": (
        "include { phase: TRAIN } include { stage: 'x' }",
        State("TEST", 0, ("x",)),
        True,
    ),
    "none of two includes": (
        "include { phase: TRAIN } include { stage: 'x' }",
        State("TEST", 0, ("y",)),
        False,
    ),
    "any of two excludes": (
        "exclude { phase: TRAIN } exclude { stage: 'x' }",
        State("TEST", 0, ("x",)),
        False,
    ),
    "none of two excludes": (
        "exclude { phase: TRAIN } exclude { stage: 'x' }",
        State("TEST", 0, ("y",)),
        True,
    ),
    "at min_level": (f"include {{ {LOW} }}", State(level=2), True),
    "below min_level": (f"include {{ {LOW} }}", State(level=1), False),
    "at max_level": (f"include {{ {HIGH} }}", State(level=4), True),
    "above max_level": (f"exclude {{ {HIGH} }}", State(level=5), True),
    "both levels": (f"exclude {{ {LOW} {HIGH} }}", State(level=3), False),
    "a negative level": ("include { max_level: -1 }", State(level=-1), True),
    "all stages there": ("include { stage: 'x' stage: 'y' }", State(stages=("y", "z", "x")), True),
    "one of two stages missing": ("include { stage: 'x' stage: 'y' }", State(stages=("x",)), False),
    "not_stage there": ("include { not_stage: 'x' }", State(stages=("x",)), False),
    "not_stage absent": ("include { not_stage: 'x' not_stage: 'y' }", State(stages=("z",)), True),
    "one of two not_stage there": (
        "include { not_stage: 'x' not_stage: 'y' }",
        State(stages=("y",)),
        False,
    ),
    "stage there, not_stage too": (
        "exclude { stage: 'x' not_stage: 'y' }",
        State(stages=("x", "y")),
        True,
    ),
    "every part of a rule": (
        f"include {{ phase: TEST {LOW} {HIGH} stage: 'x' }}",
        State("TEST", 2, ("x",)),
        True,
    ),
    "all but one part": (
        f"include {{ phase: TEST {LOW} {HIGH} stage: 'x' }}",
        State("TRAIN", 2, ("x",)),
        False,
    ),
}


@pytest.mark.parametrize("rules, state, kept", RULES.values(), ids=RULES)
def test_rules(rules, state, kept):
    net = build(SIZED + power("p", "data", "p", rules), state)
    assert ("p" in [layer.name for layer in net.layers]) == kept
    assert net.state == state


def test_rules_keep_what_real_caffe_keeps(caffe):
    cases = [(rules, state, kept) for rules, state, kept in RULES.values() if state.level >= 0]
    texts = [SIZED + power("p", "data", "p", rules) for rules, _, _ in cases]
    asked = [
        caffe.Question("shapes", prototxt.parse(text), state=state)
        for text, (_, state, _) in zip(texts, cases, strict=True)
    ]
    assert ["p" in answer for answer in caffe.ask(asked)] == [kept for _, _, kept in cases]


def test_the_files_own_stages_are_added_and_its_phase_and_level_are_not_used():
    text = (
        SIZED
        + 'state { phase: TRAIN level: 3 stage: "own" }\n'
        + "".join(
            power(name, "data", name, rule)
            for name, rule in (
                ("train", "include { phase: TRAIN }"),
                ("level", "include { min_level: 3 }"),
                ("own", "include { stage: 'own' }"),
                ("both", "include { stage: 'own' stage: 'given' }"),
            )
        )
    )
    assert [layer.name for layer in build(text).layers] == ["input", "own"]
    assert [layer.name for layer in build(text, State("TRAIN", 0, ("given",))).layers] == [
        "input",
        "train",
        "own",
        "both",
    ]


STATES = {
    "one state for a file without rules": (power("p", "data", "p"), ["TEST"]),
    "phases": (power("p", "data", "p", "include { phase: TRAIN }"), ["TEST", "TRAIN"]),
    "a stage": (power("p", "data", "p", "exclude { stage: 'deploy' }"), ["TEST", "TEST+deploy"]),
    "a stage that changes nothing": (
        power("p", "data", "p", "include { } include { stage: 'x' }"),
        ["TEST"],
    ),
    "not_stage": (power("p", "data", "p", "include { not_stage: 'x' }"), ["TEST", "TEST+x"]),
    "phases and stages": (
        power("p", "data", "p", "include { phase: TRAIN }")
        + power("q", "data", "q", "include { stage: 'x' }"),
        ["TEST", "TRAIN", "TEST+x", "TRAIN+x"],
    ),
}


@pytest.mark.parametrize("text, wanted", STATES.values(), ids=STATES)
def test_states(text, wanted):
    assert [str(state) for state in graph.states(prototxt.parse(SIZED + text))] == wanted


def test_a_top_made_by_one_layer_per_state_is_one_top_in_each():
    data = "".join(
        f'layer {{ name: "d" type: "Data" top: "data" top: "label" '
        f"include {{ phase: {phase} }} }}\n"
        for phase in ("TRAIN", "TEST")
    )
    net = prototxt.parse(data + power("p", "data", "p"))
    lines = [
        graph.build(net, state).producer(Top("data", 0, 0)).line for state in graph.states(net)
    ]
    assert lines == [2, 1]


# ---- refusals

REFUSED = {
    "unknown bottom": (
        SIZED + power("p", "dat", "p"),
        ':3: layer "p": bottom "dat" is not the top of an earlier layer; did you mean "data"?',
    ),
    "a bottom like no other": (SIZED + power("p", "zzz", "p"), "known here: data"),
    "nothing known": (
        power("p", "data", "p"),
        'it is the first layer: add the net\'s input, such as input: "data" input_shape',
    ),
    "a bottom made later": (
        SIZED + power("p", "q", "p") + power("q", "data", "q"),
        'bottom "q" is not the top of an earlier layer; layer "q" on line 4 makes it later; move '
        "it up",
    ),
    "a bottom made in another state": (
        SIZED + power("q", "data", "q", "include { phase: TRAIN }") + power("p", "q", "p"),
        'layer "q" on line 3 makes it, but not in state TEST; change its rules',
    ),
    "a bottom that only its own layer makes": (
        SIZED + power("p", "q", "q"),
        ':3: layer "p": bottom "q" is not the top of an earlier layer; known here: data',
    ),
    "a bottom made in a stage": (
        SIZED + power("q", "data", "q", "include { stage: 'deploy' }") + power("p", "q", "p"),
        'makes it, but not in state TEST; choose its stage (here "deploy"), or change its rules',
    ),
    "a top made twice": (
        SIZED + power("p", "data", "x") + power("q", "data", "x"),
        ':4: layer "q": top "x" is already made by layer "p" on line 3; give it another name',
    ),
    "a top made twice by one layer": (
        SIZED + 'layer { name: "s" type: "Split" bottom: "data" top: "a" top: "a" }',
        ':3: layer "s": top "a" is already made by layer "s" on line 3',
    ),
    "a top like an input": (
        SIZED + 'layer { name: "d" type: "Data" top: "data" }',
        'made by layer "input" on line 1',
    ),
    "include and exclude": (
        SIZED + power("p", "data", "p", "include { phase: TRAIN } exclude { stage: 'x' }"),
        ':3: layer "p": it has both include and exclude rules',
    ),
    "no type": (
        SIZED + 'layer { name: "p" bottom: "data" top: "p" }',
        ':3: layer "p": it has no type; add one',
    ),
    "no V1 type": (
        SIZED + 'layers { name: "p" bottom: "data" top: "p" }',
        ':3: layer "p": it has no type; add one',
    ),
    "two formats": (
        power("p", "data", "p") + 'layers { name: "q" type: RELU bottom: "p" top: "q" }',
        "net.prototxt:2: `layers` here and `layer` on line 1",
    ),
    "V0": (
        'layers { layer { name: "c" type: "conv" } bottom: "data" top: "c" }',
        "net.prototxt:1: this is Caffe's V0 format; run `fcnkit upgrade` on it first",
    ),
    "too few sizes": (
        'input: "a" input: "b" input_dim: [1, 2, 3, 4]',
        ':1: layer "input": 2 net-level inputs, and sizes for 1; give each input an input_shape',
    ),
    "an input_dim short": (
        'input: "a" input_dim: [1, 2, 3]',
        "1 net-level input, and sizes for 0",
    ),
    "two shapes for three tops": (
        'layer { name: "i" type: "Input" top: "a" top: "b" top: "c" input_param { shape { } '
        "shape { } } }",
        ':1: layer "i": 2 shapes for 3 tops; give one for all of them',
    ),
}


@pytest.mark.parametrize("text, message", REFUSED.values(), ids=REFUSED)
def test_refusals(text, message):
    with pytest.raises(NetError) as caught:
        build(text)
    assert message in str(caught.value)


def test_asking_for_what_is_not_there_names_the_nearest():
    net = build(V2)
    with pytest.raises(
        NetError, match=r'net.prototxt: no blob "rigth" in state TEST; did you mean "right"'
    ):
        net.top("rigth")
    with pytest.raises(
        NetError, match=r'net.prototxt: no layer "Conv" in state TEST; did you mean "conv"\?'
    ):
        net.layer("Conv")


def test_a_fork_s_v1_type_is_a_type_of_that_name():
    net = build(SIZED + 'layers { name: "p" type: LOCAL bottom: "data" top: "p" }')
    assert net.layer("p").type == "LOCAL"


def test_the_first_layer_of_a_name_is_the_one_meant():
    net = build(SIZED + power("p", "data", "p") + power("p", "p", "q"))
    assert net.layer("p").tops == (net.top("p"),)


# ---- size, and real files


def test_ten_thousand_layers_are_read_once_each(monkeypatch):
    count = 10_000
    chain = [power(f"p{at}", f"b{at}", f"b{at + 1}") for at in range(count)]
    net = prototxt.parse(SIZED.replace("data", "b0") + "".join(chain))
    read = []
    once = declared._layer
    monkeypatch.setattr(
        declared, "_layer", lambda view, *rest: read.append(view) or once(view, *rest)
    )
    for state in graph.states(net):
        built = graph.build(net, state)
    assert len(read) == count
    assert built.outputs == (Top(f"b{count}", count, 0),)


def test_every_real_file_builds_or_says_why(shared):
    built = refused = 0
    for path in sorted(shared.glob("prototxts/**/*.prototxt")):
        if path.stat().st_size > 60_000:
            continue
        net = prototxt.read(path)
        if not net.root.all("layer", "layers"):
            continue
        try:
            made = [graph.build(net, state) for state in graph.states(net)]
        except NetError as error:
            assert str(path) in str(error) and ";" in str(error)
            refused += 1
        else:
            assert all(one.layers for one in made)
            built += 1
    assert built > 300
    assert refused < 120
