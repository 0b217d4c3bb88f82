"""The training itself: what it says,
tests and takes in is what real Caffe says, tests and takes in.
"""

import re
from contextlib import contextmanager
from itertools import cycle, repeat

import numpy as np
import pytest
from caffe_training import BATCH, NET, case, differences, log_of

from fcnkit.errors import EngineError, NetError, OutputError, WeightsError
from fcnkit.formats import prototxt
from fcnkit.weights import store

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")

from fcnkit.training.torch.solving.solver import Solver  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

PLAIN = 'net: "net.prototxt" max_iter: 8 base_lr: 0.05 lr_policy: "fixed" momentum: 0.9 '
TESTS = """test_iter: 2 test_iter: 3 test_interval: 4 test_compute_loss: true
  display: 2 average_loss: 3
test_state {} test_state { stage: "other" } iter_size: 2
"""


def solver(given, text=PLAIN, *, net=NET, feed=None, **more):
    return Solver(
        given.solver(text, net=net), feed or given.feed, folder=given.folder, device="cpu", **more
    )


def values(solver):
    return [each.value.detach().clone() for each in solver.net.learned]


# What it says


def lines(phase, outputs):
    """Outputs as Caffe's log has them."""
    number = 0
    for name, numbers, weight in outputs:
        for value in numbers:
            loss = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
            yield f"    {phase} net output #{number}: {name} = {value:g}{loss}"
            number += 1


def scored(mine):
    for number in range(len(mine.tests)):
        scores = mine.test(number)
        yield f"Test loss: {scores.loss:g}"
        yield from lines("Test", scores.outputs)


def said(mine):
    for iteration in range(8):
        if iteration % 4 == 0:
            yield from scored(mine)
        done = mine.step()
        if iteration % 2 == 0:
            yield f"Iteration {iteration} loss = {mine.smoothed():g}"
            yield from lines("Train", mine.outputs(done))
            yield f"Iteration {iteration}, lr = {done.rate:g}"
    mine.forward()
    yield f"Iteration 8, loss = {mine.smoothed():g}"
    yield from scored(mine)


SAID = re.compile(r"\] (Iteration \d+.*(?:loss|lr) = .*|Test loss.*|    T.* net output #.*)$", re.M)


def test_losses_rates_and_scores_are_those_that_caffe_displays(caffe, tmp_path):
    given = case(tmp_path)
    mine = solver(given, PLAIN + TESTS)
    given.start(mine)
    log = re.sub(
        r" \([^()]* iter/s, [^()]*\),", "", log_of(caffe, tmp_path, f"--weights={given.weights}")
    )
    theirs, ours = SAID.findall(log), list(said(mine))
    assert len(theirs) == 35 and [without(line) for line in ours] == [
        without(line) for line in theirs
    ]
    np.testing.assert_allclose(numbers(ours), numbers(theirs), rtol=2e-5)


NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?")


def without(line):
    return NUMBER.sub("#", line)


def numbers(found):
    return [float(number) for line in found for number in NUMBER.findall(line)]


def test_a_test_net_has_the_parameters_of_the_net_that_is_trained(tmp_path):
    mine = solver(case(tmp_path), PLAIN + TESTS)
    before = mine.test(0).loss
    mine.step()
    for one, other in zip(mine.net.blobs, mine.tests[0].net.blobs, strict=True):
        assert one is other
    assert mine.test(0).loss != before


def test_an_output_whose_size_changes_has_no_mean(tmp_path):
    given = case(tmp_path)
    feed = sized(given, (6, 8))
    net = re.sub(r'layer { name: "(loss|accuracy)"[^}]*}[^}]*}( })?', "", NET)
    mine = solver(given, PLAIN + "test_iter: 2 test_interval: 1", net=net, feed=feed)
    with pytest.raises(
        NetError, match=r'output "label" has the shapes \(4, 1, 6, 6\) and \(4, 1, 8, 6\)'
    ):
        mine.test()


# What it starts from


def test_weights_are_laid_over_each_other_and_over_fillers(tmp_path):
    given = case(tmp_path)
    for name, value in (("a", 1.0), ("b", 2.0)):
        weights = store.create().put("conv", [np.full((4, 3, 3, 3), value), np.zeros(4)])
        if name == "a":
            weights = weights.put("score", [np.zeros((3, 4, 1, 1)), np.ones(3)])
        weights.save(tmp_path / f"{name}.caffemodel")
    named = solver(given, PLAIN + 'weights: "a.caffemodel, b.caffemodel"')
    own = solver(given, weights=[tmp_path / "a.caffemodel", store.open(tmp_path / "b.caffemodel")])
    for mine in (named, own):
        first = mine.net.saved()
        assert (first["conv"][0] == 2).all() and (first["score"][1] == 1).all()
        assert np.unique(first["one"][0]).size > 4
    other = solver(given, PLAIN + 'weights: "a.caffemodel"', weights=[])
    assert not (other.net.saved()["score"][1] == 1).any()


def test_fillers_draw_from_the_seed(tmp_path):
    given = case(tmp_path)
    first, again = (values(solver(given)) for _ in range(2))
    other = values(solver(given, PLAIN + TESTS, rank=1))
    assert torch.initial_seed() == 2  # what Dropout draws from
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_weights_of_another_net_are_refused(tmp_path):
    given = case(tmp_path)
    store.create().put("conv", [np.ones((2, 3, 3, 3)), np.zeros(2)]).save(tmp_path / "w")
    with pytest.raises(WeightsError, match="blob 0 is 2 x 3 x 3 x 3, in the net 4 x 3 x 3 x 3"):
        solver(given, weights=[tmp_path / "w"])


# What it changes


def test_what_is_frozen_stays_and_is_not_computed(tmp_path):
    mine = solver(case(tmp_path), PLAIN + "weight_decay: 0.1")
    before = mine.net.saved()["up"][0].copy()
    mine.step()
    frozen = next(each for each in mine.net.learned if each.layer.name == "up")
    assert frozen.value.grad is None and (mine.net.saved()["up"][0] == before).all()
    names = {id(value) for group in mine._descent._groups for value in group.values}
    assert id(frozen.value) not in names and len(names) == 7


def test_a_frozen_parameter_goes_on_by_the_momentum_that_it_brings(caffe, tmp_path):
    given = case(tmp_path)
    mine = solver(given, PLAIN)
    mine.step()
    state = mine.snapshot("ours").state
    frozen = NET.replace(
        'bottom: "sum" top: "score"', 'bottom: "sum" top: "score" param { lr_mult: 0 }'
    )
    later = solver(given, PLAIN, net=frozen)
    later.restore(state)
    for _ in range(7):
        later.step()
    log_of(caffe, tmp_path, f"--snapshot={state.name}")
    assert (
        list(
            differences(later.snapshot("ours").weights, tmp_path / "caffe_iter_8.caffemodel", 1e-4)
        )
        == []
    )
    assert not np.array_equal(later.net.saved()["score"][0], mine.net.saved()["score"][0])


def test_a_shared_parameter_is_learned_as_any_of_its_layers_says(tmp_path):
    learned = {
        each.layer.name: each for each in solver(case(tmp_path)).net.learned if each.number == 0
    }
    assert (learned["one"].lr_mult, learned["one"].decay_mult) == (0.5, 3)
    assert "two" not in learned
    wrong = NET.replace('name: "shared" decay_mult: 3', 'name: "shared" lr_mult: 3')
    with pytest.raises(NetError, match='"two": its lr_mult of "shared" is 3, that of "one" 0.5'):
        solver(case(tmp_path), net=wrong)


def test_a_loss_that_nothing_learns_from_is_no_matter(tmp_path):
    net = """layer { name: "data" type: "Input" top: "x" }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y" param { lr_mult: 0 }
  param { lr_mult: 0 }
  inner_product_param { num_output: 1 } }
layer { name: "loss" type: "Reduction" bottom: "y" top: "loss" loss_weight: 1 }"""
    mine = solver(case(tmp_path), net=net, feed=lambda graph: repeat({"x": np.ones((1, 2))}))
    assert float(mine.step().loss) == 0 and mine.iteration == 1


# Batches


def sized(given, heights):
    """The batches, cut or repeated to each of these heights in turn."""

    def feed(graph):
        rows = [np.arange(height) % 6 for height in heights]
        for row in cycle(rows):
            yield {"data": given.data[:BATCH][:, :, row], "label": given.labels[:BATCH][:, :, row]}

    return feed


def test_batches_may_change_their_size(tmp_path):
    given = case(tmp_path)
    mine = solver(given, feed=sized(given, (6, 8, 6, 10)))
    losses = [float(mine.step().loss) for _ in range(8)]
    assert np.isfinite(losses).all() and losses[7] < losses[0]


def test_a_batch_that_the_parameters_do_not_fit_is_refused(tmp_path):
    given = case(tmp_path)
    net = (
        NET
        + """
layer { name: "fc" type: "InnerProduct" bottom: "sum" top: "fc"
  inner_product_param { num_output: 1 } }
layer { name: "sink" type: "Silence" bottom: "fc" }"""
    )
    mine = solver(given, net=net, feed=sized(given, (6, 8)))
    mine.step()
    with pytest.raises(NetError, match=r'"fc": its parameters are \[\(1, 144\), \(1,\)\]'):
        mine.step()


def test_data_that_ends_is_said(tmp_path):
    given = case(tmp_path)
    mine = solver(given, feed=lambda graph: iter([next(given.feed(graph))]))
    mine.step()
    with pytest.raises(EngineError, match="net.prototxt: its data ended"):
        mine.step()
    with pytest.raises(EngineError, match="net.prototxt: its data ended"):
        solver(given, feed=lambda graph: iter(()))


# Several processes, and other precisions


class Pair:
    """Two solvers that step in turn as if at once:
    the first leaves its part, the second has the sum.
    """

    def __init__(self):
        self.kept = {}

    def first(self, what, tensors):
        self.kept[what] = [each.clone() for each in tensors]

    def second(self, what, tensors):
        for each, more in zip(tensors, self.kept[what], strict=True):
            each += more

    def hooks(self, rank):
        """`adding_gradients` and `add` of one of them."""
        turn = (self.first, self.second)[rank]

        @contextmanager
        def adding_gradients(parameters):
            yield
            turn("gradients", [each.grad for each in parameters])

        return {
            "adding_gradients": adding_gradients,
            "add": lambda tensors: turn("statistics", tensors),
            "rank": rank,
        }


def test_two_processes_are_one_with_twice_the_iter_size(tmp_path):
    given, pair = case(tmp_path), Pair()
    text = PLAIN + "clip_gradients: 0.5 weight_decay: 0.01 iter_size: "
    one = solver(given, text + "4", feed=given.feed_halves)
    given.start(one)
    two = [
        solver(
            given,
            text + "2",
            feed=part(given, rank),
            weights=[given.weights],
            processes=2,
            **pair.hooks(rank),
        )
        for rank in range(2)
    ]
    for _ in range(5):
        one.step()
        for each in two:
            each.step()
        for ours, theirs in zip(*(each.net.learned for each in two), strict=True):
            ours.value.data.copy_(theirs.value.data)
    names = [each.layer.name for each in one.net.learned]
    assert names.count("bn") == 3
    for ours, theirs in zip(two[1].net.learned, one.net.learned, strict=True):
        torch.testing.assert_close(ours.value, theirs.value, rtol=1e-4, atol=1e-6)


def part(given, number):
    def feed(graph):
        for count, batch in enumerate(given.feed_halves(graph)):
            if count % 2 == number:
                yield batch

    return feed


def test_in_bf16_parameters_and_histories_stay_float32(tmp_path):
    given = case(tmp_path)
    text = PLAIN + "test_iter: 2 test_interval: 1"
    full, half = solver(given, text), solver(given, text, precision="bf16")
    assert full.test() == half.test()
    losses = [(float(full.step().loss), float(half.step().loss)) for _ in range(8)]
    assert {each.value.dtype for each in half.net.learned} == {torch.float32}
    assert half.snapshot("ours") and losses[7][1] < losses[0][1]
    assert all(abs(one - other) < 0.05 * one for one, other in losses)
    assert any(one != other for one, other in losses)


def test_products_are_whole_unless_told_otherwise(tmp_path, monkeypatch):
    given = case(tmp_path)
    found = []
    for precision in ("fp32", "tf32"):
        mine = solver(given, precision=precision)
        monkeypatch.setattr(
            mine, "_backward", lambda *_, **__: found.append(torch.backends.cudnn.allow_tf32)
        )
        before = torch.backends.cudnn.allow_tf32
        mine.step()
        assert torch.backends.cudnn.allow_tf32 == before
    assert found == [False, True]


def test_compiled_it_is_one_graph_for_the_first_size_and_one_for_all_others(tmp_path, monkeypatch):
    given, compile = case(tmp_path), torch.compile
    monkeypatch.setattr(torch, "compile", lambda run: compile(run, fullgraph=True, backend="eager"))
    kept = re.findall(r'layer { name: "(?:data|conv|pool|up|score|loss)"(?:.|\n)*?\n(?=layer)', NET)
    net = (
        "".join(kept)
        .replace('bottom: "two"', 'bottom: "conv"')
        .replace('bottom: "sum"', 'bottom: "up"')
    )
    feed, found = sized(given, (6, 8, 10)), []
    torch._dynamo.reset()
    for compiled in (False, True):
        mine = solver(given, net=net, feed=feed, compiled=compiled)
        found.append([float(mine.step().loss) for _ in range(4)])
    np.testing.assert_allclose(*found, rtol=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2


# What is refused


@pytest.mark.parametrize(
    "text, words",
    [
        ("iter_size: 0", "iter_size 0 is below 1"),
        ("average_loss: 0", "average_loss 0 is below 1"),
        ("snapshot_diff: true", "snapshot_diff: gradients are not saved"),
        (
            'weight_decay: 0.1 regularization_type: "L3"',
            'regularization_type "L3"; Caffe knows L1 and L2',
        ),
    ],
)
def test_refused(tmp_path, text, words):
    with pytest.raises(EngineError, match=f"the solver: {words}"):
        solver(case(tmp_path), PLAIN + text)


def test_another_precision_is_refused(tmp_path):
    with pytest.raises(EngineError, match='precision "fp8"; give one of fp32, tf32, bf16'):
        solver(case(tmp_path), precision="fp8")


def test_snapshots_that_could_not_be_saved_are_refused_at_once(tmp_path):
    given = case(tmp_path)
    text = given.solver(PLAIN + "snapshot: 5").text.replace('"caffe"', '"none/caffe"')
    with pytest.raises(
        OutputError, match="none/caffe: snapshots would go to .*none, which is not a folder"
    ):
        Solver(prototxt.parse(text), given.feed, folder=tmp_path, device="cpu")
