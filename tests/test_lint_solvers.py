"""What lint says of a solver's words together, and real Caffe of the same solvers."""

import subprocess
from typing import NamedTuple

import pytest
from caffe_training import rates_of

import fcnkit
from fcnkit.engines import caffe_runtime
from fcnkit.formats import prototxt
from fcnkit.linting import solvers
from fcnkit.linting.findings import ERROR

NET = """\
layer { name: "d" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 }
    data_filler { type: "gaussian" std: 1 } data_filler { } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
START = 'net: "net.prototxt"\nbase_lr: 0.5 max_iter: 6 display: 1 solver_mode: CPU\n'
START += "snapshot_after_train: false\n"


class Case(NamedTuple):
    """Words of a solver, on its fourth line, that are wrong together, and others that are right.

    `said` is what Caffe says where it aborts; else `rates` are the rates of
    its iterations 0, 3 and 5, None where they show nothing.
    """

    name: str
    bad: str
    good: str
    words: str
    said: str = ""
    rates: tuple[float, float, float] | None = None


FIXED = 'lr_policy: "fixed" '
UNKNOWN = "Unknown learning rate policy"
CASES = [
    Case("wrong-way", FIXED + "weight_decay: -0.1", FIXED + "weight_decay: 0.1", "weights grow"),
    Case("no-average", FIXED + "momentum: 1", FIXED + "momentum: 0.9", "no step fades"),
    Case(
        "no-average",
        FIXED + 'type: "Adam" momentum: 1',
        FIXED + 'type: "Adam" momentum: 0.9',
        "momentum is 1, so weights become no numbers",
    ),
    Case(
        "no-average",
        FIXED + 'type: "Adam" momentum2: 1',
        FIXED + 'type: "Adam" momentum2: 0.9',
        "momentum2 is 1, so nothing is learned",
    ),
    *[
        Case("no-average", f"{FIXED} {kind} delta: 0", f"{FIXED} {kind} delta: 1e-8", words)
        for kind, words in [
            ("solver_type: ADAM", "becomes NaN"),
            ('type: "AdaGrad"', "becomes NaN"),
            ('type: "RMSProp" rms_decay: 0.9', "becomes NaN"),
            ('type: "AdaDelta" momentum: 0.9', "nothing is learned"),
        ]
    ],
    Case("no-policy", "# none", FIXED, "there is no lr_policy", said=UNKNOWN),
    Case(
        "refused-rate",
        'lr_policy: "step" gamma: 0.1',
        'lr_policy: "step" gamma: 0.1 stepsize: 2',
        "set stepsize to a number",
        said="stepsize",
    ),
    Case(
        "refused-rate",
        'lr_policy: "step" gamma: 0.1 stepvalue: 2',
        'lr_policy: "multistep" gamma: 0.1 stepvalue: 2',
        'stepvalue goes with lr_policy "multistep"',
        said="stepsize",
    ),
    Case(
        "refused-rate",
        'lr_policy: "exp" gamma: -0.5',
        'lr_policy: "exp" gamma: 0.5',
        "gamma is -0.5",
        said="gamma",
    ),
    Case(
        "refused-rate",
        'lr_policy: "sigmoid" gamma: 1',
        'lr_policy: "sigmoid" gamma: 1 stepsize: 2',
        'lr_policy "sigmoid" has stepsize, which is 0',
        said="stepsize",
    ),
    Case("rate-zero", 'lr_policy: "exp"', FIXED, "from iteration 1 nothing", rates=(0.5, 0, 0)),
    Case(
        "rate-zero",
        'lr_policy: "step" stepsize: 4',
        'lr_policy: "step" stepsize: 4 gamma: 0.1',
        "from iteration 4",
        rates=(0.5, 0.5, 0),
    ),
    Case(
        "rate-zero",
        'lr_policy: "multistep" stepvalue: 4',
        'lr_policy: "multistep" stepvalue: 4 gamma: 0.1',
        "from iteration 4",
        rates=(0.5, 0.5, 0),
    ),
    Case(
        "rate-stays",
        'lr_policy: "multistep" gamma: 0.1 stepsize: 2',
        'lr_policy: "step" gamma: 0.1 stepsize: 2',
        'stays 0.5; stepsize goes with lr_policy "step"',
        rates=(0.5, 0.5, 0.5),
    ),
    Case(
        "rate-stays",
        'lr_policy: "poly"',
        'lr_policy: "poly" power: 0.9',
        "has power 0, so the rate stays 0.5",
        rates=(0.5, 0.5, 0.5),
    ),
    Case(
        "rate-stays",
        'lr_policy: "inv" power: 0.75',
        'lr_policy: "inv" power: 0.75 gamma: 0.01',
        "has gamma 0",
        rates=(0.5, 0.5, 0.5),
    ),
    Case(
        "rate-stays",
        'lr_policy: "inv" gamma: 0.01',
        'lr_policy: "inv" power: 0.75 gamma: 0.01',
        "has power 0",
        rates=(0.5, 0.5, 0.5),
    ),
    Case(
        "rate-stays",
        'lr_policy: "sigmoid" stepsize: 2',
        'lr_policy: "sigmoid" stepsize: 2 gamma: 0.1',
        "stays 0.25",
        rates=(0.25, 0.25, 0.25),
    ),
    Case(
        "rate-late",
        'lr_policy: "step" gamma: 0.1 stepsize: 6',
        'lr_policy: "step" gamma: 0.1 stepsize: 5',
        "stepsize is 6 and max_iter 6, so the rate stays 0.5; make it smaller, or write",
        rates=(0.5, 0.5, 0.5),
    ),
    Case(
        "rate-late",
        'lr_policy: "multistep" gamma: 0.1 stepvalue: 6 stepvalue: 60',
        'lr_policy: "multistep" gamma: 0.1 stepvalue: 5 stepvalue: 60',
        "stepvalue is 6 and max_iter 6",
        rates=(0.5, 0.5, 0.5),
    ),
    Case(
        "step-order",
        'lr_policy: "multistep" gamma: 0.5 stepvalue: 5 stepvalue: 2',
        'lr_policy: "multistep" gamma: 0.5 stepvalue: 2 stepvalue: 5',
        "stepvalue 2 comes after 5",
        rates=(0.5, 0.5, 0.25),
    ),
    Case(
        "momentum",
        FIXED + 'type: "RMSProp" momentum: 0.9',
        FIXED + 'type: "RMSProp"',
        "cannot be used with RMSProp",
        said="omentum",
    ),
    Case(
        "momentum",
        FIXED + "solver_type: ADAGRAD momentum: 0.9",
        FIXED + "solver_type: NESTEROV momentum: 0.9",
        "cannot be used with AdaGrad",
        said="omentum",
    ),
    Case(
        "two-solver-types",
        FIXED + 'solver_type: ADAM type: "Adam"',
        FIXED + 'type: "Adam"',
        "remove solver_type",
        said="solver_type",
    ),
    Case(
        "out-of-range",
        FIXED + 'type: "RMSProp" rms_decay: 1',
        FIXED + 'type: "RMSProp" rms_decay: 0.9',
        "rms_decay is 1",
        said="rms_decay",
    ),
    Case("out-of-range", FIXED + "average_loss: 0", FIXED, "below 1", said="average_loss"),
    Case(
        "out-of-range",
        FIXED + 'weight_decay: 0.1 regularization_type: "L3"',
        FIXED + 'weight_decay: 0.1 regularization_type: "L1"',
        'is "L3"',
        said="regularization",
    ),
    Case("no-gradient", FIXED + "clip_gradients: 0", FIXED + "clip_gradients: 1", "clipped to 0"),
    Case("no-gradient", FIXED + "iter_size: 0", FIXED + "iter_size: 2", "no pass is made"),
    Case(
        "two-train-nets",
        FIXED + 'train_net: "net.prototxt"',
        FIXED,
        "net and train_net each name a net",
        said="train",
    ),
    Case(
        "test-words",
        FIXED + "test_iter: 3",
        FIXED + "test_iter: 3 test_interval: 2",
        "test_interval is 0",
        said="test_interval",
    ),
    Case(
        "test-words",
        FIXED + 'test_net: "net.prototxt" test_interval: 2',
        FIXED + 'test_net: "net.prototxt" test_interval: 2 test_iter: 1',
        "test_iter is given not at all for 1 test_net",
        said="test_iter",
    ),
    Case(
        "test-words",
        FIXED + "test_iter: 1 test_interval: 2 test_state { } test_state { }",
        FIXED + "test_iter: 1 test_interval: 2 test_state { }",
        "test_state is given 2 times and test_iter 1 time",
        said="test_state",
    ),
    Case("untested", FIXED + "test_interval: 2", FIXED, "never tests", rates=(0.5, 0.5, 0.5)),
]
# Those that differ from the others in the lines before.
APART = [
    ("endless-poly", 'base_lr: 1 lr_policy: "poly" power: 1', "divides by max_iter"),
    ("rate-zero", 'lr_policy: "fixed" max_iter: 5', "base_lr is 0"),
    ("state-level", f"base_lr: 1 {FIXED}train_state {{ level: 3 }}", "start it with -level 3"),
    ("no-iterations", f"base_lr: 1 {FIXED}max_iter: 0", "no iteration is made"),
    ("test-words", f'train_net: "a" base_lr: 1 {FIXED}test_iter: 3', "for no test_net"),
]
EACH = pytest.mark.parametrize("case", CASES, ids=[f"{one.name}{n}" for n, one in enumerate(CASES)])


def found_in(text: str):
    return fcnkit.lint(prototxt.parse(text, "s.prototxt"))[1:]


@EACH
def test_words_that_are_wrong_together_are_named_at_their_line(case):
    (found,) = found_in(START + case.bad)
    level = next(check.level for check in solvers.CHECKS if check.name == case.name)
    line = 1 if case.name == "no-policy" else 4  # what is missing has no line
    assert (found.name, found.line, found.level) == (case.name, line, level)
    assert case.words in found.text and "; " in found.text


@EACH
def test_words_that_go_together_are_clean(case):
    assert found_in(START + case.good) == ()


@pytest.mark.parametrize("name, text, words", APART)
def test_what_is_missing_is_named(name, text, words):
    (found,) = found_in(text)
    assert found.name == name and words in found.text


@pytest.mark.parametrize("name, text, words", APART)
def test_caffe_aborts_on_what_is_missing_where_lint_says_so(name, text, words, caffe, tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    text = text.replace('"a"', '"net.prototxt"') + " solver_mode: CPU snapshot_after_train: false"
    net = "" if "train_net" in text else '\nnet: "net.prototxt"'
    done = caffe_trains(tmp_path, text + net)
    level = next(check.level for check in solvers.CHECKS if check.name == name)
    assert (done.returncode != 0) == (level == ERROR), done.stderr


def caffe_trains(folder, solver):
    (folder / "solver.prototxt").write_text(solver)
    return subprocess.run(
        [*caffe_runtime.command("caffe"), "train", "--solver=solver.prototxt"],
        cwd=folder,
        env=caffe_runtime.environment(log=True),
        capture_output=True,
        text=True,
        errors="replace",
    )


def test_every_check_has_a_case():
    names = {case.name for case in CASES} | {name for name, *_ in APART}
    assert names == {check.name for check in solvers.CHECKS}


def test_the_solver_that_is_given_with_a_net_is_looked_at():
    net = prototxt.parse(NET, "net.prototxt")
    (found,) = fcnkit.lint(net, solver=prototxt.parse("\nbase_lr: 0.1\n", "s.prototxt"))
    assert (found.name, found.path, found.line) == ("no-policy", "s.prototxt", 1)


@EACH
@pytest.mark.parametrize("side", ["bad", "good"])
def test_caffe_does_with_them_what_lint_says(case, side, caffe, tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    done = caffe_trains(tmp_path, START + getattr(case, side))
    level = next(check.level for check in solvers.CHECKS if check.name == case.name)
    aborts = side == "bad" and level == ERROR
    assert (done.returncode != 0) == aborts, done.stderr
    if aborts:
        assert case.said in caffe_runtime.last_words(done.stderr, done.returncode)
    elif side == "bad" and case.rates:
        rates = rates_of(done.stderr)
        assert tuple(rates[number] for number in (0, 3, 5)) == pytest.approx(case.rates)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("adadelta", "no-policy"),
        ("adagrad", "momentum"),
        ("adamtype", "unknown-word"),
        ("exp", "rate-zero"),
        ("multistep", "rate-stays"),
        ("nopolicy", "no-policy"),
        ("poly", "rate-stays"),
        ("rms", "momentum"),
        ("step", "refused-rate"),
        ("testiter", "test-words"),
        ("unknown", "fork-word"),
    ],
)
def test_the_measured_cases_are_named(shared, name, expected):
    file = prototxt.read(shared.parent / "cases/solver/meaning" / f"{name}.prototxt")
    assert [one.name for one in fcnkit.lint(file)] == ["a-solver", expected]


# True: Caffe 1.0 aborts on the first, and tests nothing in the second.
REAL = {
    ("c3d_ucf101_finetuning_solver.prototxt", "test-words"),
    ("solver_Facebook_ResNet_50_dummy.prototxt", "rate-late"),
    ("solver_Facebook_ResNet_50_dummy.prototxt@2018-06-22_31466f97.prototxt", "rate-late"),
    ("d_solver.prototxt@2019-01-07_5c2e37c5.prototxt", "untested"),
}


def test_real_solvers_are_clean(shared):
    names, found, count = {check.name for check in solvers.CHECKS}, set(), 0
    for path in sorted(shared.rglob("*solver*.prototxt")):
        file = prototxt.read(path)
        if file.root.all("layer", "layers"):
            continue
        count += 1
        found |= {(path.name, one.name) for one in fcnkit.lint(file) if one.name in names}
    assert count > 40 and found == REAL
