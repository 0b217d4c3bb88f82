"""A solver and its nets as a run uses them: what changes, and what stays."""

import difflib
from pathlib import Path

import pytest
from small_training import NET, SOLVER, write_data, write_net

from fcnkit.errors import FcnkitError
from fcnkit.formats import prototxt
from fcnkit.nets.graph import build
from fcnkit.training.recipe import Options, recipe, run_names, stage
from fcnkit.training.trainers import Caffe


@pytest.fixture
def net(tmp_path):
    write_data(tmp_path / "data")
    return write_net(tmp_path / "net")


@pytest.fixture
def options(tmp_path):
    return Options(tmp_path / "data")


def changed(old: str, new: str) -> list[str]:
    lines = difflib.ndiff(old.splitlines(), new.splitlines())
    return [line for line in lines if line[:2] in ("- ", "+ ")]


def test_only_what_must_changes(net, options):
    made = recipe(net, "run", options)
    assert changed(SOLVER, made.solver.text) == [
        '- net: "train_val.prototxt"',
        '+ net: "run/train_val.prototxt"',
        '- snapshot_prefix: "snapshot/fcn"',
        '+ snapshot_prefix: "run/fcn"',
        "+ snapshot_after_train: true",
    ]
    names = [f"{split}_{kind}_lmdb" for split in ("train", "val") for kind in ("image", "label")]
    expected = NET
    for name in names:
        expected = expected.replace(f'"{name}"', f'"{options.data / name}"')
    assert made.nets[0].net.text == expected
    assert made.words("--weights=w") == ["train", "--solver=run/solver.prototxt", "--weights=w"]


def test_options(net, options):
    made = recipe(
        net,
        "b",
        options._replace(
            cpu=False, trainer=Caffe("0,1"), iterations=7, snapshot=3, display=2, test=5
        ),
    )
    view = made.view
    said = {name: view.get(name) for name in ("max_iter", "snapshot", "display", "test_interval")}
    assert said == {"max_iter": 7, "snapshot": 3, "display": 2, "test_interval": 5}
    assert view.get("solver_mode") == "GPU" and made.words()[-1] == "--gpu=0,1"
    assert made.iterations == 7 and made.run.path == net / "b"
    assert view.get("snapshot_prefix") == "b/fcn"
    other = recipe(net, "b", options._replace(seed=0, rate=1e-3)).view
    assert (view.get("random_seed"), other.get("random_seed")) == (1, 0)
    assert (view.get("base_lr"), other.get("base_lr")) == pytest.approx((0.05, 1e-3))


def test_a_solver_that_says_nothing_of_snapshots(tmp_path, options, net):
    (net / "solver.prototxt").write_text('net: "train_val.prototxt" snapshot_format: HDF5')
    view = recipe(net, "run", options).view
    assert (view.get("snapshot"), view.get("display"), view.get("snapshot_prefix")) == (
        1000,
        20,
        "run/fcn",
    )
    assert view.get("snapshot_format") == "BINARYPROTO" and view.get("snapshot_after_train")


def test_sources_are_from_the_nets_own_folder_without_data(net, tmp_path):
    with pytest.raises(
        FcnkitError, match="net/train_image_lmdb does not exist; give its folder with --data"
    ):
        recipe(net)
    write_data(net / "here")
    text = NET.replace('source: "', 'source: "here/')
    (net / "train_val.prototxt").write_text(text)
    assert f'"{net / "here" / "val_label_lmdb"}"' in recipe(net).nets[0].net.text


def test_a_net_named_from_caffes_own_folder(net, options):
    (net / "solver.prototxt").write_text(SOLVER.replace('net: "', 'net: "models/mine/'))
    assert recipe(net, "run", options).view.get("net") == "run/train_val.prototxt"


def test_two_nets_and_their_states(net, options):
    (net / "train.prototxt").write_text(NET)
    (net / "val.prototxt").write_text(NET)
    named = 'train_net: "train.prototxt" test_net: "val.prototxt"'
    solver = SOLVER.replace('net: "train_val.prototxt"', named)
    (net / "solver.prototxt").write_text(solver)
    made = recipe(net, "run", options)
    assert [each.path.name for each in made.nets] == ["train.prototxt", "val.prototxt"]
    assert [[state.phase for state in each.states] for each in made.nets] == [["TRAIN"], ["TEST"]]
    assert made.view.get("train_net") == "run/train.prototxt"
    (net / "run").mkdir()
    made.save()
    assert prototxt.read(made.nets[1].path).text == made.nets[1].net.text


@pytest.mark.parametrize(
    "paths, names",
    [
        (["train/net.prototxt", "val/net.prototxt"], ["net.prototxt", "val_net.prototxt"]),
        (["a/x/net.prototxt", "b/x/net.prototxt"], ["net.prototxt", "x_net.prototxt"]),
        (
            ["a/x/net.prototxt", "b/x/net.prototxt", "c/x/net.prototxt"],
            ["net.prototxt", "x_net.prototxt", "x_net_2.prototxt"],
        ),
        (["x/solver.prototxt"], ["x_solver.prototxt"]),
        (["Solver.prototxt"], ["Solver_2.prototxt"]),
        (["a/Net.prototxt", "b/net.prototxt"], ["Net.prototxt", "b_net.prototxt"]),
        (["a/caffe.log"], ["a_caffe.log"]),
        (["a/s_iter_4.caffemodel"], ["s_iter_4.caffemodel.prototxt"]),
        (["net.prototxt", "net.prototxt"], ["net.prototxt"]),
    ],
)
def test_names_in_the_run_folder_are_distinct(paths, names):
    found = run_names([Path(path) for path in paths])
    assert list(found) == list(dict.fromkeys(map(Path, paths)))
    assert list(found.values()) == names


def split_net(net, train, val):
    """The small net as two, each with the data of one phase alone, and a solver that names both."""
    for path, phase in ((train, "TRAIN"), (val, "TEST")):
        (net / path).parent.mkdir(exist_ok=True)
        other = "TEST" if phase == "TRAIN" else "TRAIN"
        layers = NET.split("layer {")[1:]
        kept = [each for each in layers if f"phase: {other}" not in each]
        (net / path).write_text("".join(f"layer {{{each}" for each in kept))
    named = f'train_net: "{train}" test_net: "{val}"'
    (net / "solver.prototxt").write_text(SOLVER.replace('net: "train_val.prototxt"', named))


def test_two_nets_of_one_name_stay_two(net, options):
    split_net(net, "train/net.prototxt", "val/net.prototxt")
    for _ in range(2):  # on resume too
        made = recipe(net, "run", options)
        (net / "run").mkdir(exist_ok=True)
        made.save()
        assert made.view.get("train_net") == "run/net.prototxt"
        assert made.view.list("test_net") == ["run/val_net.prototxt"]
        for name, split in (("net.prototxt", "train"), ("val_net.prototxt", "val")):
            text = (net / "run" / name).read_text()
            assert f"/{split}_image_lmdb" in text
            assert f"/{'val' if split == 'train' else 'train'}_image_lmdb" not in text


@pytest.mark.parametrize("again", ["train_val.prototxt", "./train_val.prototxt"])
def test_one_file_may_be_both_nets(net, options, again):
    named = f'train_net: "train_val.prototxt" test_net: "{again}"'
    (net / "solver.prototxt").write_text(SOLVER.replace('net: "train_val.prototxt"', named))
    made = recipe(net, "run", options)
    assert [[state.phase for state in each.states] for each in made.nets] == [["TRAIN", "TEST"]]
    assert made.view.get("train_net") == "run/train_val.prototxt"
    assert made.view.list("test_net") == ["run/train_val.prototxt"]
    (net / "run").mkdir()
    made.save()
    text = (net / "run" / "train_val.prototxt").read_text()
    assert all(f'"{options.data}/{split}_image_lmdb"' in text for split in ("train", "val"))


def test_a_net_called_as_the_solver_does_not_overwrite_it(net, options):
    (net / "x").mkdir()
    (net / "x" / "solver.prototxt").write_text(NET)
    (net / "solver.prototxt").write_text(SOLVER.replace("train_val", "x/solver"))
    made = recipe(net, "run", options)
    (net / "run").mkdir()
    made.save()
    assert (net / "run" / "solver.prototxt").read_text() == made.solver.text
    assert made.view.get("net") == "run/x_solver.prototxt"


@pytest.mark.parametrize(
    "loss, rate, momentum, size",
    [("normalized", 1e-4, 0.9, 20), ("unnormalized", 1e-10, 0.99, 1)],
)
def test_published_rates(net, options, loss, rate, momentum, size):
    made = recipe(net, "run", options._replace(loss=loss))
    view = made.view
    assert (view.get("base_lr"), view.get("momentum"), view.get("iter_size")) == (
        rate,
        momentum,
        size,
    )
    graph = next(made.nets[0].graphs())
    assert graph.layer("loss").param("loss_param").get("normalize") == (loss == "normalized")


@pytest.mark.parametrize("skips, at_once, expected", [(0, 0, 0), (1, 0, 1), (2, 0, 2), (2, 1, 0)])
def test_the_stage_is_the_number_of_skips(skips, at_once, expected):
    layers = [f"fuse_pool{4 - number}" for number in range(skips)] + ["scale_pool4"] * at_once
    text = 'layer { name: "data" type: "Input" top: "x" }' + "".join(
        f'layer {{ name: "{name}" type: "ReLU" bottom: "x" top: "{name}" }}' for name in layers
    )
    assert stage(build(prototxt.parse(text))) == expected


@pytest.mark.parametrize(
    "solver, words",
    [
        ("", "names no net"),
        ('net: "none.prototxt"', "none.prototxt: cannot be read"),
        ("net_param { name: 'a' }", "contains its net"),
        ("net: 3", "net"),
    ],
)
def test_refused_solvers(net, options, solver, words):
    (net / "solver.prototxt").write_text(solver)
    with pytest.raises(FcnkitError, match=words):
        recipe(net, "run", options)
    assert sorted(path.name for path in net.iterdir()) == ["solver.prototxt", "train_val.prototxt"]


def test_a_folder_without_a_solver(tmp_path):
    with pytest.raises(FcnkitError, match=r"holds no solver\.prototxt; name a folder"):
        recipe(Path(tmp_path))


DEEP = 'layer { name: "deep" type: "AbsVal" bottom: "score" top: "deep" include { min_level: 3 } }'


@pytest.mark.parametrize(
    "own, solver, level, tested",
    [
        ("", "", 0, 0),
        ("", "train_state { level: 3 }", 3, 0),
        ("state { level: 4 }", "", 4, 4),
        ("state { level: 4 }", "train_state { level: 0 }", 0, 4),
        ("state { level: 4 }", "test_state { level: 1 }", 4, 1),
    ],
)
def test_the_level_of_the_files_is_built_and_told(net, options, own, solver, level, tested):
    (net / "train_val.prototxt").write_text(f"{own} {NET}{DEEP}")
    (net / "solver.prototxt").write_text(f"{SOLVER}{solver}")
    made = recipe(net, "run", options)
    assert [state.level for state in made.nets[0].states] == [level, tested]
    assert made.words()[2:] == [f"--level={level}"] * bool(level)
    names = [[layer.name for layer in graph.layers] for graph in made.nets[0].graphs()]
    assert ["deep" in each for each in names] == [level >= 3, tested >= 3]


def test_the_net_that_is_trained_comes_first(net, options):
    (net / "val.prototxt").write_text(NET)
    text = SOLVER.replace('net: "train_val', 'test_net: "val.prototxt"\ntrain_net: "train_val')
    (net / "solver.prototxt").write_text(text)
    made = recipe(net, "run", options)
    assert [each.path.name for each in made.nets] == ["train_val.prototxt", "val.prototxt"]
    assert [each.states[0].phase for each in made.nets] == ["TRAIN", "TEST"]
