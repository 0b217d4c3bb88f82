"""In which states a solver has its nets built."""

from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.schema import View
from fcnkit.nets.graph import State


def state_of(phase: str, net: Prototxt, given: View) -> State:
    """Of the phase, the net's own state and the solver's `given` state the later has the word.

    The net's own stages are not here: `build` adds the solver's to them.  For the net
    that is trained this is what Caffe's Solver does; the program `caffe train` first
    replaces the level in its train_state by its -level flag, which is 0 unless it is given.
    """
    level = 0
    for view in (View("NetParameter", net.root).view("state"), given):
        phase = view.get("phase") if view.has("phase") else phase
        level = view.get("level") if view.has("level") else level
    return State(phase, level, tuple(given.list("stage")))
