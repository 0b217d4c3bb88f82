"""The learning rate of every policy is the one that real Caffe displays."""

import pytest
from caffe_training import log_of, rates_of

from fcnkit.errors import EngineError
from fcnkit.formats import prototxt

pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")

from fcnkit.training.torch.solving.rates import Point, Rates  # noqa: E402

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
    rates, at, found = Rates(prototxt.parse(text)), Point(0, 0), {}
    for number in range(count):
        at = Point(number, rates.step(Point(number, at.step)))
        found[number] = float(f"{rates.rate(at):.6g}")
    return found


@pytest.mark.parametrize("policy", POLICIES)
def test_they_are_what_caffe_displays(caffe, tmp_path, policy):
    text = solver(policy, POLICIES[policy])
    (tmp_path / "solver.prototxt").write_text(f"{NET}{text}display: 1\n")
    expected = rates_of(log_of(caffe, tmp_path))
    assert len(expected) == 12 and displayed(text) == expected
    assert policy == "fixed" or len(set(expected.values())) > 2


def test_a_step_is_one_an_iteration_and_never_back():
    rates = Rates(prototxt.parse(solver("multistep", "gamma: 0.5 stepvalue: [2, 2, 5, 4, 9]")))
    steps = [0]
    for number in range(12):
        steps.append(rates.step(Point(number, steps[-1])))
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
