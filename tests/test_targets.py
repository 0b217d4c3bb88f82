"""What targets make of nets: each rule kept and broken, what is said, and the page."""

import json
import re
from collections import Counter
from itertools import chain

import corpus
import pytest
import target_nets
from click.testing import CliRunner
from test_house import ROOT

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.engines import opencv
from fcnkit.errors import TargetError
from fcnkit.formats import prototxt
from fcnkit.linting.findings import ERROR, NOTE, WARNING
from fcnkit.nets.graph import build
from fcnkit.nets.layers.table import TYPES
from fcnkit.rewrites import operations
from fcnkit.targets import reading
from fcnkit.targets.index import every, names, target
from fcnkit.targets.quantities import QUANTITIES
from fcnkit.targets.rules import TESTS, Target

CHAINS = [one for one in every() if isinstance(one, Target)]
RULES = [
    (one.name, number, kind)
    for one in CHAINS
    for number, rule in enumerate(one.rules)
    for kind in rule.types or ("",)
]
LEVEL = {"refused": ERROR, "misread": WARNING, "aside": NOTE}
# Of every sweep without --corpus, as in test_corpus.
STEP = 37

DATA = target_nets.DATA
CONV = (
    'layer { name: "big" type: "Convolution" bottom: "data" top: "big"\n'
    "  convolution_param { num_output: 1 kernel_size: 13 } }\n"
)


def found(net, asked, **more):
    """What targets alone find in a net's text."""
    return [one for one in fk.lint(prototxt.parse(net), target=asked, **more) if one.about]


def run(*words):
    return CliRunner().invoke(main, ["lint", *map(str, words)])


# ---- every rule


@pytest.mark.parametrize(("name", "number", "kind"), RULES)
def test_a_net_on_each_side_of_every_rule(name, number, kind):
    rule = target(name).rules[number]
    right, wrong = target_nets.sides(name, rule, kind)
    word = "ReLU" if kind == "*" else kind
    about = rule.condition.name or "type"

    def broken(side):
        hits = found(side.text(word), name)
        return [
            hit for hit in hits
            if hit.about.because == rule.because and hit.about.rule.split(":")[0] == about
        ]  # fmt: skip

    assert right is None or broken(right) == []
    (hit,) = broken(wrong)
    assert hit.level == LEVEL[rule.verdict]
    assert rule.source.title in hit.text and hit.about.source["url"] == rule.source.url
    if kind:
        assert 'layer "' in hit.text and (kind == "*" or "it" in hit.about.layers)
        assert all("LAYER" not in mend for mend in hit.about.mend)


def test_every_line_of_the_tables_belongs_to_a_rule():
    used = set()
    for name, number, kind in RULES:
        sides = target_nets.sides(name, target(name).rules[number], kind)
        used.add(tuple(map(id, sides)))
    lines = {tuple(map(id, line[3:])): line[:3] for line in target_nets.LINES}
    assert [line for key, line in lines.items() if key not in used] == []


LISTING = [one for one in CHAINS if "*" not in one.types]


def test_one_target_alone_leaves_types_unjudged():
    assert [one.name for one in CHAINS if one not in LISTING] == ["snpe"]
    net = DATA + 'layer { name: "x" type: "HDF5Output" bottom: "data" }\n'
    assert found(net, "snpe") == []


@pytest.mark.parametrize("one", LISTING, ids=lambda one: one.name)
def test_a_type_that_is_not_taken_is_said_with_its_source(one):
    net = DATA + 'layer { name: "x" type: "HDF5Output" bottom: "data" }\n'
    (hit,) = (hit for hit in found(net, one.name) if hit.about.rule == "type")
    assert (hit.line, hit.level) == (2, LEVEL[one.untaken.verdict])
    assert "HDF5Output" in hit.text and one.untaken.source.title in hit.text
    taken = DATA + 'layer { name: "x" type: "ReLU" bottom: "data" top: "x" }\n'
    assert found(taken, one.name) == []


@pytest.mark.parametrize("one", CHAINS, ids=lambda one: one.name)
def test_every_fact_has_a_public_source_and_a_date(one):
    keys = [source.key for source in one.sources]
    assert len(keys) == len(set(keys))
    for source in chain(one.sources, one.types.values(), (rule.source for rule in one.rules)):
        assert source in one.sources
        assert re.match(r"https://[\w.-]+/\S+$", source.url) and source.version and source.title
        assert source.date <= one.date
    words = {operation.name for operation in operations.every()}
    assert {mend.split("=")[0] for rule in one.rules for mend in rule.mend} <= words


def test_a_type_is_listed_among_others_only_while_fcnkit_does_not_know_it():
    for one in CHAINS:
        text = (ROOT / "fcnkit" / "targets" / f"{one.name}.toml").read_text()
        others = re.findall(r'"(\w+)"', " ".join(re.findall(r"others = \[(.*?)\]", text, re.S)))
        assert [name for name in others if name in TYPES] == []


# ---- what is looked at, and what is said


def test_layers_that_break_a_rule_alike_are_one_finding():
    dilated = CONV.replace("13 }", "3 dilation: 2 }")
    layers = "".join(dilated.replace('"big"', f'"big{number}"') for number in range(3))
    (hit,) = found(DATA + layers, "armnn")
    assert hit.about.layers == ("big0", "big1", "big2")
    assert 'layer "big0" and 2 others' in hit.text and hit.line == 2


def test_surgery_is_named_with_the_layers():
    grouped = CONV.replace("kernel_size: 13", "kernel_size: 3 group: 2").replace(
        "num_output: 1", "num_output: 4"
    )
    (hit,) = found(DATA + grouped + grouped.replace('"big"', '"two"', 1), "mace")
    assert hit.about.mend == ("dense=big,two",)
    assert "fcnkit surgery NET --do dense=big,two" in hit.text


LAYERS = [one for one in RULES if any("=" in mend for mend in target(one[0]).rules[one[1]].mend)]


@pytest.mark.parametrize(("name", "number", "kind"), LAYERS)
def test_the_surgery_that_is_named_mends_it(name, number, kind):
    rule = target(name).rules[number]
    _, wrong = target_nets.sides(name, rule, kind)
    net = prototxt.parse(wrong.text(kind))
    (hit,) = (hit for hit in fk.lint(net, target=name) if hit.about)
    (mend,) = hit.about.mend
    word, _, rest = mend.partition("=")
    (operation,) = (one for one in operations.every() if one.name == word)
    args, options = operation.read(rest)
    assert [one for one in fk.lint(operation.rewrite(net, *args, **options).net, target=name)] == []


def test_a_type_that_can_be_folded_says_so():
    scaled = DATA + 'layer { name: "s" type: "Scale" bottom: "data" top: "s" }\n'
    (hit,) = found(scaled, "nnie")
    assert hit.about.mend == ("fold",) and "--do fold" in hit.text
    (hit,) = found(scaled.replace("Scale", "Softmax"), "nnie")
    assert hit.about.mend == () and "surgery" not in hit.text


def test_crops_go_into_pads_where_a_target_has_none():
    """What the linter names is what `fit` does."""
    text = (
        DATA
        + 'layer { name: "c" type: "Convolution" bottom: "data" top: "c"\n'
        + "  convolution_param { num_output: 3 kernel_size: 3 pad: 2 } }\n"
        + 'layer { name: "cut" type: "Crop" bottom: "c" bottom: "data" top: "cut"\n'
        + "  crop_param { axis: 2 offset: 1 } }\n"
        + 'layer { name: "sum" type: "Eltwise" bottom: "cut" bottom: "data" top: "sum" }\n'
    )
    (hit,) = found(text, "vitis")
    assert hit.about.mend == ("uncrop=cut",) and "--do uncrop=cut" in hit.text


def test_only_the_net_that_is_used_is_looked_at():
    net = (
        'layer { name: "d" type: "Data" top: "data" top: "l" include { phase: TRAIN } }\n'
        'layer { name: "i" type: "Input" top: "data" include { phase: TEST }\n'
        "  input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }\n"
        'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }\n'
        'layer { name: "e" type: "EuclideanLoss" bottom: "r" bottom: "l" include { phase: TRAIN } }'
    )
    assert found(net, "ncnn") == []
    trained = [hit for hit in found(net, "ncnn", phase="TRAIN") if hit.level == ERROR]
    assert [hit.about.value for hit in trained] == ["Data", "EuclideanLoss"]
    assert all("fcnkit deploy" in hit.text for hit in trained)


def test_sizes_that_are_not_known_are_not_judged_and_said_once():
    net = 'input: "data"\nlayer { name: "r" type: "ReLU" bottom: "data" top: "r" }\n'
    (hit,) = found(net, "ascend")
    assert (hit.name, hit.level) == ("target-unjudged", NOTE) and "--input data=" in hit.text
    assert found(net, "ascend", inputs={"data": (1, 3, 9, 9)}) == []
    wide = found(net, "ascend", inputs={"data": (1, 3, 9, 4097)})
    assert [hit.about.value for hit in wide] == ["4097, 4097"]


def test_dropout_is_a_note_where_a_list_is_silent_and_refused_where_code_stops():
    drop = DATA + 'layer { name: "d" type: "Dropout" bottom: "data" top: "data" }\n'
    assert [hit.level for hit in found(drop, "ascend")] == [NOTE]
    split = DATA + 'layer { name: "s" type: "Split" bottom: "data" top: "s" }\n'
    assert [hit.level for hit in found(split, "mace")] == [ERROR]


HOLE = DATA + CONV.replace("kernel_size: 13", "kernel_size: 3 hole: 2")
EXCLUDING = DATA + (
    'layer { name: "p" type: "Pooling" bottom: "data" top: "p"\n'
    "  pooling_param { pool: AVE_EXC_PAD kernel_size: 2 } }\n"
)
PERMUTE = DATA + 'layer { name: "p" type: "Permute" bottom: "data" top: "p" }\n'


@pytest.mark.parametrize(
    ("net", "name", "level"),
    [
        (HOLE, "bvlc", ERROR),
        (HOLE, "deeplab", None),
        (HOLE, "ssd", NOTE),
        (PERMUTE, "bvlc", ERROR),
        (PERMUTE, "ssd", None),
        (PERMUTE, "segnet", NOTE),
        (DATA + CONV, "bvlc", None),
        (EXCLUDING, "bvlc", ERROR),
        (EXCLUDING, "synopsys", None),
        (EXCLUDING, "segnet", NOTE),
        (DATA + 'layer { name: "b" type: "BN" bottom: "data" top: "b" }\n', "pspnet", None),
        (DATA + 'layer { name: "m" type: "Mish" bottom: "data" top: "m" }\n', "bvlc", ERROR),
        (DATA + 'layer { name: "m" type: "Mish" bottom: "data" top: "m" }\n', "intel", NOTE),
    ],
)
def test_forks_take_their_own_words(net, name, level):
    assert [hit.level for hit in found(net, name)] == ([level] if level else [])


def test_words_of_forks_of_which_no_rule_speaks_are_said_once():
    (hit,) = found(HOLE, "ncnn")
    assert (hit.level, hit.line) == (NOTE, 3) and '"hole"' in hit.text and "ncnn" in hit.text
    (hit,) = found(EXCLUDING, "vitis")
    assert (hit.level, hit.about.value) == (ERROR, "AVE_EXC_PAD") and "--do bvlc" in hit.text
    more = EXCLUDING.replace("pool: AVE_EXC_PAD", "ceil_mode: true")
    both = HOLE + more.partition("\n")[2]
    (hit,) = found(both, "tidl")
    assert "1 other word" in hit.text and "ceil_mode" in hit.about.value


# ---- OpenCV itself


@pytest.mark.skipif(not opencv.available(), reason="OpenCV 4 is not installed")
def test_opencv_makes_the_types_that_its_target_lists_and_no_other():
    import cv2

    def made(kind):
        bottoms = 'bottom: "data" ' * (3 if kind == "Axpy" else 1)
        layer = f'layer {{ name: "x" type: "{kind}" {bottoms} top: "x" }}'
        text = f'input: "data" input_dim: 1 input_dim: 4 input_dim: 8 input_dim: 8\n{layer}\n'
        try:
            net = cv2.dnn.readNetFromCaffe(bytearray(text.encode()))
            net.getLayer(net.getLayerId("x"))
        except cv2.error as error:
            return "Can't create layer" not in str(error)
        return True

    kinds = [kind for kind in TYPES if kind != "Input"]
    assert {kind for kind in kinds if made(kind)} | {"Input"} == set(target("opencv4").types)


def test_the_opencv_target_and_the_engine_agree():
    """What the engine refuses of a layer breaks a rule; what keeps them all it runs."""
    assert set(opencv.FACTS) <= set(target("opencv4").types)
    asked = Counter()
    for name, number, kind in RULES:
        rule = target(name).rules[number]
        if name != "opencv4" or kind not in opencv.FACTS or rule.condition.name == "axes":
            continue
        for side, wrong in zip(target_nets.sides(name, rule, kind), (False, True), strict=True):
            layer = build(prototxt.parse(side.text(kind))).layer("it")
            assert bool(opencv.FACTS[kind](layer)) == wrong, (rule.because, side)
            asked[wrong] += 1
    assert min(asked.values()) > 10


# ---- the command line and the page


def test_an_unknown_target_is_refused_with_the_list(tmp_path):
    net = tmp_path / "net.prototxt"
    net.write_text(DATA)
    done = run(net, "--target", "ncn")
    assert done.exit_code != 0
    with pytest.raises(TargetError, match="armnn, ascend.*bvlc"):
        fk.lint(net, target="ncn")


def test_json_tells_all_of_a_finding(tmp_path):
    net = tmp_path / "net.prototxt"
    net.write_text(DATA + CONV.replace("kernel_size: 13", "kernel_size: 3 kernel_size: 5"))
    done = run(net, "--json", "--target", "ncnn", "--target", "mindspore-lite")
    assert done.exit_code == 1
    (hit,) = json.loads(done.output)["findings"]
    assert hit["name"] == "target-misreads" and hit["level"] == WARNING and hit["line"] == 3
    assert (hit["target"], hit["layers"], hit["value"]) == ("ncnn", ["big"], "3, 5")
    assert hit["source"]["date"] == "2026-02-26" and hit["mend"] == []
    assert "target" not in json.dumps(json.loads(run(net, "--json").output))


def test_notes_alone_leave_the_exit_status_at_0(tmp_path):
    net = tmp_path / "net.prototxt"
    net.write_text(DATA + CONV.replace("kernel_size: 13", "kernel_size: 3 pad: 5"))
    done = run(net, "--target", "vitis")
    assert done.exit_code == 0 and "target-aside" in done.output
    assert run(net, "--target", "vitis", "--ignore", "target-aside").output.count("\n") == 1


def test_the_list_fits_a_terminal_and_names_every_target():
    done = run("--targets")
    assert done.exit_code == 0
    assert max(map(len, done.output.splitlines())) <= 80
    flat = " ".join(done.output.split())
    for one in CHAINS:
        assert one.name in flat and one.versions in flat and str(one.date) in flat
        assert all(source.title in flat and source.version in flat for source in one.sources)
    assert all(name in flat for name in names())


def test_the_page_is_what_make_targets_writes(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import target_pages

    text = target_pages.PAGE.read_text(encoding="utf-8")
    assert text == target_pages.page()
    own = re.search(r"```toml\n(.*?)```", text, re.S)[1]
    assert len(reading.parse(own, "the page").rules) == 2
    told = text.partition("## A target of your own")[2]
    assert all(f"`{test}`" in told for test in TESTS) and all(
        f"| {q} |" in text for q in QUANTITIES
    )


SOURCE = 'if (layer.type() == "{}")\n'


def test_the_script_says_where_code_and_target_differ(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import derive_targets

    code = tmp_path / "caffe2ncnn.cpp"
    kinds = [name for name, source in target("ncnn").types.items() if source.key == "code"]
    code.write_text("".join(map(SOURCE.format, kinds)))
    assert derive_targets.main(["ncnn", str(code)]) == 0
    code.write_text("".join(map(SOURCE.format, [*kinds[1:], "Brandnew"])))
    assert derive_targets.main(["ncnn", str(code)]) == 1
    told = capsys.readouterr().out
    assert "caffe2ncnn.cpp has Brandnew" in told and f"ncnn.toml has {kinds[0]}" in told
    with pytest.raises(SystemExit):
        derive_targets.main(["ncnn", str(tmp_path / "other.cpp")])


# By the file's name: a few lines in its manner, which name Aaa and Bbb.
MANNERS = {
    "caffe2ncnn.cpp": 'if (layer.type() == "Aaa" || layer.type() == "Bbb")',
    "opParsers.h": """
{"Ccc", parseC}, gParseTable { {"Aaa", parseA},
 {"Bbb", parseB} }; {"D", parseD}""",
    "caffeParser.cpp": 'if (layerMsg.type() == "Aaa")\n if (layerMsg.type() == "Bbb")',
    "CaffeConverter.py": """
        self.caffeop_factory = {
            "Aaa": lambda layer: self.a(layer),
            'Bbb': lambda layer: self.b(layer),

        }
        more = {'Ccc': lambda x: x}""",
    "caffe_converter.py": """
            'Ccc': C,
        self._op_converters = {
            'Aaa': self.a,
        }
        if phase != 'test' or layer.type == 'Bbb':""",
    "caffe2tengine.cpp": """
    op_load_map["Aaa"] = std::pair<int, op_load_t>(OP_A, load_a);
    op_load_map["Bbb"] = std::pair<int, op_load_t>(OP_B, load_b);
    // op_load_map["Ccc"] = std::pair<int, op_load_t>(OP_C, load_c);""",
    "CaffeParser.cpp": """
{ "C", &P } ms_CaffeLayerNameToParsingFunctions = {{ "Aaa",  &P },
{ "Bbb", &P }};""",
    "caffe_translator.py": """
            elif op_type == "Aaa":
                if op_type in [
                    "Bbb",
                ]:
                x = ["Ccc"]
            if xnode.op_type == "Ddd":""",
    "Supported_Frameworks_Layers.md": """
## Caffe
| Layer Name | Limits |
| Aaa | No |
| Bbb | No |
## MXNet
| Ccc | No |""",
    "caffe_model_parser.cc": 'if (layer.type() == "Aaa" || layer.type() == "Bbb")',
    "init.cpp": "CV_DNN_REGISTER_LAYER_CLASS(Aaa,  A);\nCV_DNN_REGISTER_LAYER_CLASS(Bbb, B)",
}


def test_the_script_reads_every_source_in_its_manner(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import derive_targets

    assert {name for _, name in derive_targets.PLACES} == MANNERS.keys()
    for (chain_name, name), place in derive_targets.PLACES.items():
        found = place.find(MANNERS[name])
        assert found == {"Aaa", "Bbb"}, name
        assert place.key in {source.key for source in target(chain_name).sources}


# ---- real nets


def test_every_net_of_the_corpus_through_every_target(shared, request):
    """No net ends in a traceback, and every target has something to say of some net."""
    step = 1 if request.config.getoption("--corpus") else STEP
    told = Counter()
    for path in corpus.files(shared)[::step]:
        net = corpus.read(path)
        if net is not None:
            told.update(hit.about.target for hit in fk.lint(net, target=names()) if hit.about)
    print(", ".join(f"{name} {count}" for name, count in sorted(told.items())))
    assert {one.name for one in LISTING} <= told.keys()
