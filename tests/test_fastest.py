"""The engine that is chosen: the fastest that is installed and takes the net."""

import numpy as np
import pytest
from sketches import conv, data, layer, net, weights

import fcnkit as fk
from fcnkit.engines import fastest
from fcnkit.engines.engine import ENGINES, Engine
from fcnkit.errors import EngineError, NetError

NET = net(data(1, 3, 9, 9), conv("score", "data", 4, 3))


@pytest.fixture
def trained(tmp_path):
    return weights(NET, tmp_path / "net.caffemodel")


def engine(monkeypatch, name, results):
    """An engine that gives one result for each input, or raises what stands in its place."""
    module = type("Module", (), {})()

    def run_all(net, weights, many, outputs, *, state=None):
        for number, each in enumerate(many):
            if isinstance(results[number], Exception):
                raise results[number]
            yield {"score": (results[number], each["data"])}

    module.run_all, module.available = run_all, lambda: True
    monkeypatch.setattr(Engine, "_module", property(lambda self: MODULES[self.name]))
    MODULES[name] = module
    return Engine(name, name)


MODULES: dict = {}
REFUSED = EngineError("it does not run that")


def ran(monkeypatch, several, many=3):
    """Who has given each result, of which input, and who is told of."""
    engines = [engine(monkeypatch, name, results) for name, results in several.items()]
    monkeypatch.setattr(fastest, "installed", lambda: engines)
    told = []
    found = fastest.run_fastest(
        NET, None, ({"data": number} for number in range(many)), ["score"], told=told.append
    )
    return [each["score"] for each in found], [each.name for each in told]


def test_the_first_that_runs_it_is_taken(monkeypatch):
    assert ran(monkeypatch, {"a": "aaa", "b": "bbb"}) == ([("a", 0), ("a", 1), ("a", 2)], ["a"])


@pytest.mark.parametrize("error", [REFUSED, NetError("export cannot say that")])
def test_what_one_refuses_the_next_runs_from_there(monkeypatch, error):
    several = {"a": ["a", error], "b": [error], "c": "ccc"}
    assert ran(monkeypatch, several) == ([("a", 0), ("c", 1), ("c", 2)], ["a", "c"])


def test_what_all_refuse_is_said_by_the_last(monkeypatch):
    with pytest.raises(EngineError, match="the last word"):
        ran(monkeypatch, {"a": [REFUSED], "b": [EngineError("the last word")]})


def test_without_an_engine_it_is_said_how_to_get_one(monkeypatch):
    with pytest.raises(EngineError, match="no engine is installed; .*pip install"):
        ran(monkeypatch, {})


def test_every_engine_has_its_place():
    assert set(fastest.ORDER) == {each.name for each in ENGINES}


def test_the_class_maps_of_all_engines_are_equal(trained):
    image = np.random.default_rng(3).integers(0, 255, (31, 44, 3), np.uint8)
    maps = [
        fk.infer(NET, trained, image, engine=name, mean=(100,)).scores
        for name in fk.installed_engines()
    ]
    chosen = fk.infer(NET, trained, image, mean=(100,))
    assert chosen.engine in fk.installed_engines()
    for scores in maps:
        assert np.abs(chosen.scores - scores).max() < 1e-4 * np.abs(scores).max()


def test_a_layer_that_the_fastest_does_not_run_goes_to_another(trained):
    text = net(data(1, 3, 9, 9), conv("score", "data", 4, 3), layer("s", "Silence", "data", top=""))
    image = np.zeros((20, 20, 3), np.uint8)
    assert fk.infer(text, trained, image, mean=(0,)).scores.shape == (4, 18, 18)
