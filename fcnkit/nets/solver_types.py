"""What types of solvers are called, by Caffe of today and of 2014, and what they do not take."""

from fcnkit.formats.schema import View

TYPES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")
"""Every `type` of a solver that Caffe has."""
OLD = {name.upper(): name for name in TYPES}
"""What a `solver_type`, an enum of 2014, stands for today."""
POLICIES = ("fixed", "step", "exp", "inv", "multistep", "sigmoid", "poly")
"""Every `lr_policy` that Caffe has."""
_WITHOUT_MOMENTUM = ("AdaGrad", "RMSProp")


def kind_of(solver: View) -> str:
    """The type of solver, as Caffe names it today; `type` where it has both fields."""
    if solver.has("solver_type") and not solver.has("type"):
        return OLD[solver.get("solver_type")]
    return solver.get("type")


def wrong_momentum(solver: View) -> str:
    """Why Caffe refuses this solver's momentum, and what to do; "" where it does not."""
    kind, given = kind_of(solver), solver.get("momentum")
    if kind not in _WITHOUT_MOMENTUM or not given:
        return ""
    return f"momentum is {given:g}, and Caffe aborts: it cannot be used with {kind}; remove it"


def wrong_decay(solver: View) -> str:
    """Why Caffe refuses this solver's rms_decay, and what to do; "" where it does not."""
    decay = solver.get("rms_decay")
    if kind_of(solver) != "RMSProp" or 0 <= decay < 1:
        return ""
    fact = f"rms_decay is {decay:g}, and Caffe aborts unless it is at least 0 and below 1"
    return f"{fact}; set it, to 0.99 for example"
