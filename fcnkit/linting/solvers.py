"""What the words of a solver mean together, as Caffe's solver.cpp and sgd_solver.cpp have it.

Each check yields the fields that are wrong, None where one is missing, and
why; the first line of its docstring says what it finds.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple, TypeAlias

from fcnkit.errors import PrototxtError
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Field, NetOrPath, Prototxt
from fcnkit.formats.schema import View
from fcnkit.linting.findings import ERROR, NOTE, WARNING, Finding, faults, readable, text_findings
from fcnkit.nets.solver_types import kind_of, wrong_decay, wrong_momentum
from fcnkit.plural import number_of

Wrong: TypeAlias = tuple[Field | None, str]

_DECAYING = ("step", "exp", "inv", "multistep", "sigmoid")


# ---- the learning rate


def no_policy(solver: View) -> Iterator[Wrong]:
    """a solver without an lr_policy, on which Caffe aborts"""
    if not solver.get("lr_policy"):
        fact = 'there is no lr_policy, and Caffe aborts: "Unknown learning rate policy"'
        yield solver.field("lr_policy"), f'{fact}; add lr_policy: "fixed", or another policy'


def refused_rate(solver: View) -> Iterator[Wrong]:
    """a stepsize or gamma with which Caffe cannot compute the learning rate, and aborts"""
    policy, steps, gamma = (solver.get(name) for name in ("lr_policy", "stepsize", "gamma"))
    if policy in ("step", "sigmoid") and steps <= 0:
        fact = f'lr_policy "{policy}" divides by' if policy == "step" else 'lr_policy "sigmoid" has'
        remedy = "set stepsize to a number of iterations"
        if solver.has("stepvalue"):
            remedy = 'stepvalue goes with lr_policy "multistep"'
        place = solver.field("stepsize") or solver.field("lr_policy")
        yield place, f"{fact} stepsize, which is {steps}, and Caffe aborts; {remedy}"
    if policy in _DECAYING and gamma < 0:
        fact = f'gamma is {gamma:g}, and Caffe aborts on one below 0 for lr_policy "{policy}"'
        yield solver.field("gamma"), f"{fact}; give its size, such as 0.1"


def rate_zero(solver: View) -> Iterator[Wrong]:
    """a learning rate that is 0, from the start or soon: nothing more is learned"""
    if not solver.get("base_lr"):
        fact = "base_lr is 0, so nothing is learned"
        yield solver.field("base_lr"), f"{fact}; set it, to 0.001 for example"
    policy, since = solver.get("lr_policy"), _zero_since(solver)
    if since and not solver.get("gamma"):
        fact = f'lr_policy "{policy}" multiplies the rate by gamma, which is 0: {since} nothing'
        usual = "0.9999" if policy == "exp" else "0.1"
        place = solver.field("gamma") or solver.field("lr_policy")
        yield place, f"{fact} is learned; set gamma, to {usual} for example"


def _zero_since(solver: View) -> str:
    """When a gamma of 0 makes the rate 0, "" where it never does."""
    policy = solver.get("lr_policy")
    if policy == "multistep":
        return f"from iteration {min(_stepvalues(solver))}" if _stepvalues(solver) else ""
    return {"step": f"from iteration {solver.get('stepsize')}", "exp": "from iteration 1"}.get(
        policy, ""
    )


def rate_stays(solver: View) -> Iterator[Wrong]:
    """a policy that should change the learning rate, but does not because a field is missing"""
    policy = solver.get("lr_policy")
    if policy == "multistep" and not _stepvalues(solver):
        remedy = "add a stepvalue for each iteration at which the rate should fall"
        if solver.has("stepsize"):
            remedy = 'stepsize goes with lr_policy "step"'
        fact = 'lr_policy "multistep" has no stepvalue, so the rate stays'
        yield solver.field("lr_policy"), f"{fact} {solver.get('base_lr'):g}; {remedy}"
    for name in _CHANGED_BY.get(policy, ()):
        if not solver.get(name):
            left = solver.get("base_lr") * (0.5 if policy == "sigmoid" else 1)
            fact = f'lr_policy "{policy}" has {name} 0, so the rate stays {left:g}'
            place = solver.field(name) or solver.field("lr_policy")
            yield place, f'{fact}; set {name}, or lr_policy: "fixed"'
            return


# The fields without which a policy's formula gives the same rate for ever.
_CHANGED_BY = {"poly": ("power",), "inv": ("gamma", "power"), "sigmoid": ("gamma",)}


def rate_late(solver: View) -> Iterator[Wrong]:
    """steps of the learning rate that begin only after the last iteration"""
    policy, last = solver.get("lr_policy"), solver.get("max_iter")
    name = {"step": "stepsize", "multistep": "stepvalue"}.get(policy, "")
    steps = _stepvalues(solver) if name == "stepvalue" else [solver.get("stepsize")]
    if not name or not steps or min(steps) < 1 or last < 1:
        return
    if steps[0] >= last:
        fact = f"{name} is {steps[0]} and max_iter {last}, so the rate stays"
        remedy = 'make it smaller, or write lr_policy: "fixed"'
        yield solver.field(name), f"{fact} {solver.get('base_lr'):g}; {remedy}"


def step_order(solver: View) -> Iterator[Wrong]:
    """stepvalues that do not rise: Caffe looks at one after the other"""
    if solver.get("lr_policy") != "multistep":
        return
    values = _stepvalues(solver)
    for before, value in zip(values, values[1:], strict=False):
        if value <= before:
            fact = (
                f"stepvalue {value} comes after {before}, but Caffe needs them in ascending order"
            )
            yield solver.field("stepvalue"), f"{fact}; sort them"
            return


def _stepvalues(solver: View) -> list[int]:
    return list(solver.list("stepvalue"))


def endless_poly(solver: View) -> Iterator[Wrong]:
    """a poly policy without max_iter, by which its formula divides"""
    if solver.get("lr_policy") == "poly" and solver.get("max_iter") <= 0:
        fact = f'lr_policy "poly" divides by max_iter, which is {solver.get("max_iter")}'
        yield solver.field("max_iter") or solver.field("lr_policy"), f"{fact}; set max_iter"


# ---- the solver's type


def momentum(solver: View) -> Iterator[Wrong]:
    """a momentum for AdaGrad or RMSProp, which have none: Caffe aborts"""
    if words := wrong_momentum(solver):
        yield solver.field("momentum"), words


def two_types(solver: View) -> Iterator[Wrong]:
    """a solver with both type and the old solver_type, on which Caffe aborts"""
    if solver.has("type") and solver.has("solver_type"):
        fact = f'solver_type is given beside type "{solver.get("type")}", and Caffe aborts'
        yield solver.field("solver_type"), f"{fact}; remove solver_type"


def out_of_range(solver: View) -> Iterator[Wrong]:
    """a number of the solver on which Caffe aborts"""
    if words := wrong_decay(solver):
        yield solver.field("rms_decay"), words
    if solver.get("average_loss") < 1:
        fact = f"average_loss is {solver.get('average_loss')}, and Caffe aborts on one below 1"
        yield solver.field("average_loss"), f"{fact}; remove it, or set 1 or more"
    norm = solver.get("regularization_type")
    if solver.get("weight_decay") and norm not in ("L1", "L2"):
        fact = f'regularization_type is "{norm}", and Caffe aborts: it knows L1 and L2'
        yield solver.field("regularization_type"), f"{fact}; set one of them"


def no_gradient(solver: View) -> Iterator[Wrong]:
    """a field that takes every gradient away"""
    if solver.get("clip_gradients") == 0:
        fact = "clip_gradients is 0, so every gradient is clipped to 0 and nothing is learned"
        yield solver.field("clip_gradients"), f"{fact}; remove it, or set a norm above 0"
    if solver.get("iter_size") < 1:
        fact = f"iter_size is {solver.get('iter_size')}, so no pass is made"
        yield solver.field("iter_size"), f"{fact}; remove it, or set 1 or more"


def wrong_way(solver: View) -> Iterator[Wrong]:
    """a rate or a decay below 0, so that the loss or the weights grow"""
    for name, grows in (
        ("base_lr", "every step increases the loss"),
        ("weight_decay", "weights grow"),
    ):
        value = solver.get(name)
        if value < 0:
            fact = f"{name} is {value:g}, so {grows}"
            yield solver.field(name), f"{fact}; give its size, {-value:g}"


def no_average(solver: View) -> Iterator[Wrong]:
    """a momentum of 1, or a delta of 0, with which a solver's formula makes no steps"""
    kind, words = kind_of(solver), _NO_STEP.get(kind_of(solver), {})
    first = solver.get("momentum")
    if not 0 <= first < 1 and "momentum" in words:
        usual = "0.95" if kind == "AdaDelta" else "0.9"
        fact = f"momentum is {first:g}, so {words['momentum']}"
        yield solver.field("momentum"), f"{fact}; set it below 1, to {usual} for example"
    second = solver.get("momentum2")
    if not 0 <= second < 1 and "momentum2" in words:
        fact = f"momentum2 is {second:g}, so {words['momentum2']}"
        yield solver.field("momentum2"), f"{fact}; set it below 1, to 0.999 for example"
    if solver.get("delta") <= 0 and "delta" in words:
        fact = f"delta is {solver.get('delta'):g}, so {words['delta']}"
        yield solver.field("delta"), f"{fact}; set it above 0, to 1e-8 for example"


_NAN = "a weight whose gradient is 0 becomes NaN"
# What the formulas of Caffe's solvers make of values out of range, by sgd_solvers.hpp.
_NO_STEP = {
    "SGD": {"momentum": "no step fades"},
    "Nesterov": {"momentum": "no step fades"},
    "AdaGrad": {"delta": _NAN},
    "RMSProp": {"delta": _NAN},
    "AdaDelta": {"delta": "nothing is learned", "momentum": "its averages never change"},
    "Adam": {
        "delta": _NAN,
        "momentum": "weights become no numbers",
        "momentum2": "nothing is learned, or weights become NaN",
    },
}


# ---- the nets

_TRAIN_NETS = ("net", "net_param", "train_net", "train_net_param")


def two_nets(solver: View) -> Iterator[Wrong]:
    """more than one net to train, on which Caffe aborts"""
    given = [name for name in _TRAIN_NETS if solver.has(name)]
    if len(given) > 1:
        fact = f"{' and '.join(given)} each name a net to train, and Caffe aborts on more than one"
        yield solver.field(given[-1]), f"{fact}; remove all but one"


def test_words(solver: View) -> Iterator[Wrong]:
    """a test_iter, test_interval and test nets that do not fit together, so that Caffe aborts"""
    own = len(solver.list("test_net_param")) + len(solver.list("test_net"))
    counts, every = solver.list("test_iter"), solver.get("test_interval")
    apart = solver.has("train_net") or solver.has("train_net_param")
    if len(counts) < own or (len(counts) > own and apart):
        place = solver.field("test_iter") or solver.field("test_net")
        fact = f"test_iter is given {_times(len(counts))} for {own or 'no'} test_net"
        remedy = "give one test_iter for each" if own else "name a test_net, or remove test_iter"
        yield place, f"{fact}, and Caffe aborts; {remedy}"
    elif counts and every <= 0:
        fact = f"test_iter is {counts[0]} and test_interval is {every}, and Caffe aborts"
        remedy = "set test_interval to a number of iterations, or remove test_iter"
        yield solver.field("test_iter"), f"{fact}; {remedy}"
    elif len(solver.list("test_state")) not in (0, len(counts)):
        states = _times(len(solver.list("test_state")))
        fact = f"test_state is given {states} and test_iter {_times(len(counts))}"
        yield solver.field("test_state"), f"{fact}, and Caffe aborts; give one for each"


def _times(count: int) -> str:
    return number_of(count, "time") if count else "not at all"


def untested(solver: View) -> Iterator[Wrong]:
    """a test_interval without a test_iter: Caffe builds no test net and never tests"""
    nets = solver.has("test_net") or solver.has("test_net_param")
    if solver.get("test_interval") > 0 and not solver.list("test_iter") and not nets:
        fact = f"test_interval is {solver.get('test_interval')}, and without a test_iter Caffe"
        remedy = "add test_iter: how many batches to test, or remove test_interval"
        yield solver.field("test_interval"), f"{fact} never tests; {remedy}"


def level(solver: View) -> Iterator[Wrong]:
    """a level of train_state, which `caffe train` replaces by that of its -level flag"""
    state = solver.view("train_state")
    if state.get("level"):
        fact = f"train_state has level {state.get('level')}, which `caffe train` replaces by its"
        remedy = f"start it with -level {state.get('level')}, as `fcnkit train` does"
        yield state.field("level"), f"{fact} -level flag, 0 unless it is given; {remedy}"


def no_iterations(solver: View) -> Iterator[Wrong]:
    """a max_iter of 0 where nothing is tested either: no iteration is made"""
    idle = solver.has("max_iter") and solver.get("max_iter") <= 0 and not solver.list("test_iter")
    if idle and solver.get("lr_policy") != "poly":
        fact = f"max_iter is {solver.get('max_iter')}, so no iteration is made"
        yield solver.field("max_iter"), f"{fact}; set it"


# ---- all of them


class Check(NamedTuple):
    """A check of a solver, the name of what it finds, and how bad that is."""

    name: str
    level: str
    find: Callable[[View], Iterator[Wrong]]


CHECKS = (
    Check("no-policy", ERROR, no_policy),
    Check("refused-rate", ERROR, refused_rate),
    Check("rate-zero", WARNING, rate_zero),
    Check("rate-stays", WARNING, rate_stays),
    Check("rate-late", NOTE, rate_late),
    Check("step-order", WARNING, step_order),
    Check("endless-poly", WARNING, endless_poly),
    Check("momentum", ERROR, momentum),
    Check("two-solver-types", ERROR, two_types),
    Check("out-of-range", ERROR, out_of_range),
    Check("no-gradient", WARNING, no_gradient),
    Check("wrong-way", WARNING, wrong_way),
    Check("no-average", WARNING, no_average),
    Check("two-train-nets", ERROR, two_nets),
    Check("test-words", ERROR, test_words),
    Check("untested", WARNING, untested),
    Check("state-level", WARNING, level),
    Check("no-iterations", WARNING, no_iterations),
)


def findings(solver: Prototxt) -> list[Finding]:
    """What is wrong with a solver's words, and with what those that can be read mean together."""
    found = text_findings(solver, faults("SolverParameter", solver.root))
    view = view_of(solver)
    return found if view is None else [*found, *_found(solver.path, view)]


def _found(path: str, solver: View) -> Iterator[Finding]:
    for check in CHECKS:
        for field, text in check.find(solver):
            yield Finding(check.name, check.level, path, field.line if field else 1, text)


def given(solver: NetOrPath) -> Prototxt:
    """The solver itself, or the one at this path; PrototxtError where it is a net."""
    found = prototxt.given(solver)
    if found.root.all("layer", "layers"):
        raise PrototxtError(f"{found.path}: it is a net; name the prototxt of a solver")
    return found


def view_of(solver: Prototxt) -> View | None:
    """The solver as far as it can be read, None where it cannot."""
    with suppress(PrototxtError):
        found = faults("SolverParameter", solver.root)
        return View("SolverParameter", readable(solver, found).root)
    return None
