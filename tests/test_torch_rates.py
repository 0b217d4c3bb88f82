"""The learning rate of every policy is the one that real Caffe displays."""

import pytest
from caffe_training import log_of, rates_of

from fcnkit.errors import EngineError
from fcnkit.formats import prototxt
from fcnkit.nets import solver_types

pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")

from fcnkit.training.torch.solving import rates  # noqa: E402
from fcnkit.training.torch.solving.rates import Point, Rates  # noqa: E402
from fcnkit.training.torch.solving.snapshot import read_state  # noqa: E402

POLICIES = {
    "fixed": "",
    "step": "stepsize: 3 gamma: 0.1",
    "exp": "gamma: 0.93",
    "inv": "gamma: 0.01 power: 0.75",
    "multistep": "gamma: 0.5 stepvalue: [2, 2, 5, 4, 9]",
    "poly": "power: 0.9",
    "sigmoid": "gamma: 0.3 stepsize: 6",
}
NET = """net_param {
layer { name: "data" type: "DummyData" top: "x" top: "y"
  dummy_data_param { shape { dim: 1 dim: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "z" inner_product_param { num_output: 1 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "z" bottom: "y" top: "loss" } }
"""


def solver(policy, more):
    return f'base_lr: 0.7\nlr_policy: "{policy}"\nmax_iter: 12\n{more}\n'


def displayed(text, count=12):
    """The rates of the iterations, as Caffe prints numbers."""
    its, at, found = Rates(prototxt.parse(text)), Point(0, 0), {}
    for number in range(count):
        at = Point(number, its.step(Point(number, at.step)))
        found[number] = float(f"{its.rate(at):.6g}")
    return found


@pytest.mark.parametrize("policy", POLICIES)
def test_they_are_what_caffe_displays(caffe, tmp_path, policy):
    text = solver(policy, POLICIES[policy])
    (tmp_path / "solver.prototxt").write_text(f"{NET}{text}display: 1\n")
    expected = rates_of(log_of(caffe, tmp_path))
    assert len(expected) == 12 and displayed(text) == expected
    assert policy == "fixed" or len(set(expected.values())) > 2


# The gradient is 1 and the momentum 0, so that the history is the rate.
ONE = """net_param {
layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 1 } } }
layer { name: "loss" type: "Reduction" bottom: "p" top: "loss" loss_weight: 1 } }
"""


@pytest.mark.parametrize("policy", POLICIES)
def test_they_are_caffes_to_the_last_bit(caffe, tmp_path, policy):
    text = solver(policy, POLICIES[policy]).replace("12", "31")
    save = 'snapshot: 1 snapshot_prefix: "s" solver_mode: CPU\n'
    (tmp_path / "solver.prototxt").write_text(ONE + text + save)
    log_of(caffe, tmp_path)
    its, at = Rates(prototxt.parse(text)), Point(0, 0)
    for number in range(31):
        at = Point(number, its.step(Point(number, at.step)))
        (history,) = read_state(tmp_path / f"s_iter_{number + 1}.solverstate").history
        assert its.rate(at) == float(history[0]), number


@pytest.mark.parametrize("more, rate", [("poly max_iter: 2 power: 0.5", "nan"), ("sigmoid", 0.0)])
def test_rates_past_the_end_of_a_formula_are_no_error(more, rate):
    policy, _, fields = more.partition(" ")
    text = f'base_lr: 1 lr_policy: "{policy}" gamma: 9 stepsize: 900 {fields}'
    assert str(Rates(prototxt.parse(text)).rate(Point(3, 0))) == str(rate)


def test_a_step_is_one_an_iteration_and_never_back():
    its = Rates(prototxt.parse(solver("multistep", "gamma: 0.5 stepvalue: [2, 2, 5, 4, 9]")))
    steps = [0]
    for number in range(12):
        steps.append(its.step(Point(number, steps[-1])))
    assert steps[1:] == [0, 0, 1, 2, 2, 3, 4, 4, 4, 5, 5, 5]


@pytest.mark.parametrize(
    "policy, more, words",
    [
        (
            "cosine",
            "",
            'lr_policy "cosine"; Caffe knows fixed, step, exp, inv, multistep, poly, sigmoid',
        ),
        ("step", "gamma: 0.1", "stepsize 0 is not above 0"),
        ("step", "gamma: -1 stepsize: 1", "gamma -1 is below 0"),
        ("sigmoid", "gamma: -0.1 stepsize: 1", "gamma -0.1 is below 0"),
    ],
)
def test_refused_as_by_caffe(caffe, tmp_path, policy, more, words):
    text = solver(policy, more)
    with pytest.raises(EngineError, match=f"s.prototxt: the solver: {words}"):
        Rates(prototxt.parse(text, "s.prototxt"))
    (tmp_path / "solver.prototxt").write_text(NET + text)
    with pytest.raises(
        AssertionError, match="Unknown learning rate policy|Check failed: this->param_"
    ):
        log_of(caffe, tmp_path)


def test_no_policy_and_no_end():
    with pytest.raises(EngineError, match="no lr_policy; Caffe knows"):
        Rates(prototxt.parse("base_lr: 1"))
    with pytest.raises(EngineError, match="max_iter 0 is not above 0"):
        Rates(prototxt.parse('lr_policy: "poly" power: 1'))


def test_every_policy_of_caffe_has_a_formula():
    assert set(rates.POLICIES) == set(solver_types.POLICIES)
