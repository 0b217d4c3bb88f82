"""The small files that the examples of the help texts run on, each made when it is asked for."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pictures
import sketches
from PIL import Image

import fcnkit as fk
from fcnkit.formats import binaryproto, prototxt

SIZE, PHOTO = (64, 48), (256, 240)
NAMES = "background\ncat\ndog\n"
NET_PY = """import caffe
from caffe import layers as L
n = caffe.NetSpec()
n.data = L.Input(shape=dict(dim=[1, 3, 8, 8]))
n.fc = L.InnerProduct(n.data, num_output=2)
open("made.prototxt", "w").write(str(n.to_proto()))
"""
OLD = """input: "data" input_dim: 1 input_dim: 3 input_dim: 16 input_dim: 16
layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" blobs_lr: 1
  inner_product_param { num_output: 2 } }
"""
SHALLOW = {"vgg16": 32}
CLASSIFIER = "vgg16"


def thin(name: str) -> prototxt.Prototxt:
    """A template with few channels; its layers keep their names."""
    return prototxt.parse(sketches.thin(name, SHALLOW[name]).text, f"template:{name}")


def classifier_in_training() -> prototxt.Prototxt:
    """As `thin`, with its data layers and losses."""
    text = fk.template(CLASSIFIER, "train_val.prototxt").text
    return prototxt.parse(sketches.thinner(text, SHALLOW[CLASSIFIER]), "train_val.prototxt")


class Files:
    """Files in one folder, made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str) -> Path | None:
        """Where the file or folder of this name is; None for a name that is not known here."""
        path = self.folder / name
        if not path.exists() and "/" in name and name.split("/")[0] in MAKERS:
            self(name.split("/")[0])
        if not path.exists():
            maker = MAKERS.get(name) or next(
                (maker for pattern, maker in PATTERNS.items() if re.fullmatch(pattern, name)), None
            )
            if maker is None:
                return None
            path.parent.mkdir(parents=True, exist_ok=True)
            maker(self, path)
        return path

    def net(self, name: str) -> prototxt.Prototxt:
        return fk.read(self(name))


def classifier(files, path):
    thin(CLASSIFIER).save(path)


def converted(files, path):
    fk.convolutionalize(files.net("deploy.prototxt")).net.save(path)


def weights_of(net):
    return lambda files, path: sketches.weights(files.net(net), path)


def copy_of(name):
    return lambda files, path: shutil.copy(files(name), path)


def transplanted(plan):
    """The classifier's weights as a plan has them."""

    def make(files, path):
        made = plan(files.net("deploy.prototxt"))
        fk.transplant(made, fk.weights(files("net.caffemodel"))).save(path)

    return make


def renamed(net):
    return fk.convolutionalize(net, rename={"fc6": "conv6"})


def fcn(stride, **options):
    """A folder as `fcn -o` writes it, of the thin classifier; its solver takes two steps."""

    def make(files, path):
        from click.testing import CliRunner

        from fcnkit.cli.main import main

        words = ["fcn", files("deploy.prototxt"), "--classes", 21, "--stride", stride, "--cpu"]
        words += ["--weights", files("net.caffemodel"), "-o", path, "--mean", "104,117,123"]
        done = CliRunner().invoke(main, list(map(str, words)))
        assert done.exit_code == 0, done.output
        solver = path / "solver.prototxt"
        text = re.sub(
            r"(max_iter|test_iter|test_interval|snapshot): \d+", r"\1: 2", solver.read_text()
        )
        solver.write_text(re.sub(r"iter_size: \d+", "iter_size: 1", text))

    return make


def from_fcn(name):
    """A file of the FCN of stride 32, alone."""
    return lambda files, path: shutil.copy(files("fcn32s") / name, path)


def photos(files, path):
    path.mkdir()
    pictures.save(path / "cat.jpg", image(0, PHOTO))


def image(seed, size=SIZE):
    width, height = size
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def labels(seed):
    width, height = SIZE
    found = np.random.default_rng(seed).integers(0, 3, (height // 8, width // 8)).astype(np.uint8)
    return found.repeat(8, 0).repeat(8, 1)


def images_in(files, path):
    path.mkdir()
    for number in range(6):
        pictures.save(path / f"{number}.png", image(number))


def labels_in(files, path):
    path.mkdir()
    for number in range(6):
        pictures.save(path / f"{number}.png", labels(number))


def coloured(files, path):
    """Labels as colours, as SYNTHIA's are."""
    path.mkdir()
    for number in range(6):
        pictures.save(path / f"{number}.png", np.stack([labels(number)] * 3, -1) * 100)


def dataset(files, path):
    from fcnkit.cli.main import main

    words = ["dataset", "create", files("images"), files("labels"), "-o", path]
    words += ["--classes", files("classes.txt"), "--split", "0.3", "--jobs", 1]
    main(list(map(str, words)), standalone_mode=False)


def predictions(files, path):
    """The labels themselves."""
    labels_in(files, path)


def text(words):
    return lambda files, path: path.write_text(words)


def onnx_of(**options):
    """The thin classifier as ONNX."""

    def make(files, path):
        net, weights = files.net("deploy.prototxt"), files("net.caffemodel")
        fk.export(net, fk.weights(weights), **options).save(path)

    return make


def detector(files, path):
    net = """layer { name: "data" type: "Input" top: "data"
      input_param { shape { dim: 1 dim: 3 dim: 16 dim: 16 } } }
    layer { name: "f1" type: "Convolution" bottom: "data" top: "feats_1"
      convolution_param { num_output: 2 kernel_size: 3 pad: 1 } }
    layer { name: "f2" type: "Convolution" bottom: "feats_1" top: "feats_2"
      convolution_param { num_output: 2 kernel_size: 3 stride: 2 } }
    layer { name: "boxes" type: "Convolution" bottom: "feats_2" top: "boxes"
      convolution_param { num_output: 4 kernel_size: 1 } }
    """
    parsed = prototxt.parse(net, "detector.prototxt")
    weights = sketches.weights(parsed, path.with_suffix(".caffemodel"))
    fk.export(parsed, weights, outputs=["feats_1", "feats_2", "boxes"]).save(path)


def mean(files, path):
    path.write_bytes(binaryproto.written(np.full((3, 4, 4), 100, np.float32)))


def lmdb(files, path):
    from small_training import write_lmdb

    write_lmdb(path, [np.zeros((1, 4, 4), np.uint8)] * 3)


MAKERS = {
    "deploy.prototxt": classifier,
    "old.prototxt": classifier,
    "net.prototxt": classifier,
    "conv.prototxt": converted,
    "new.prototxt": lambda files, path: renamed(files.net("deploy.prototxt")).net.save(path),
    "net.caffemodel": weights_of("deploy.prototxt"),
    "vgg16.caffemodel": weights_of("deploy.prototxt"),
    "conv.caffemodel": transplanted(fk.convolutionalize),
    "new.caffemodel": transplanted(renamed),
    "other.caffemodel": lambda files, path: fk.transplant(
        fk.rename(files.net("deploy.prototxt"), {"fc6": "conv6"}),
        fk.weights(files("net.caffemodel")),
    ).save(path),
    "before.caffemodel": copy_of("net.caffemodel"),
    "after.caffemodel": copy_of("net.caffemodel"),
    "nvcaffe.caffemodel": copy_of("net.caffemodel"),
    "old.caffemodel": lambda files, path: sketches.weights(
        files.net("deploy.prototxt"), path, kind="layers"
    ),
    "train_val.prototxt": from_fcn("train_val.prototxt"),
    "solver.prototxt": from_fcn("solver.prototxt"),
    "init.caffemodel": from_fcn("init.caffemodel"),
    "trained.caffemodel": from_fcn("init.caffemodel"),
    "fcn.prototxt": lambda files, path: shutil.copy(files("fcn32s") / "deploy.prototxt", path),
    "fcn.caffemodel": from_fcn("init.caffemodel"),
    "fcn8s.caffemodel": weights_of("fcn8s/deploy.prototxt"),
    "fcn8s": fcn(8),
    "fcn16s": fcn(16),
    "fcn32s": fcn(32),
    "voc-fcn32s": fcn(32),
    "photos": photos,
    "cat.jpg": lambda files, path: pictures.save(path, image(0, PHOTO)),
    "data": dataset,
    "voc": dataset,
    "camvid": dataset,
    "mnist_train_lmdb": lmdb,
    "classes.txt": text(NAMES),
    "colours.txt": text("0 0 0\n100 100 100\n200 200 200\n"),
    "digits.txt": text("".join(f"{each}\n" for each in range(10))),
    "synset_words.txt": text("".join(f"n{each:08} thing {each}\n" for each in range(30))),
    "train.txt": text("0\n1\n2\n"),
    "val.txt": text("3\n4\n"),
    "predictions": predictions,
    "mean.binaryproto": mean,
    "resnet18.onnx": onnx_of(),
    "detector.onnx": detector,
    "net.py": text(NET_PY),
    "solve.py": text("import sys\nassert sys.argv[1] == '0'\nimport caffe\ncaffe.set_mode_gpu()\n"),
    "test_net.py": text("import caffe\ndef test_net(): assert caffe.TRAIN == 0\n"),
}


def run_in(files, path):
    """A training of two steps in an FCN's folder."""
    from click.testing import CliRunner

    from fcnkit.cli.main import main

    words = ["train", path.parent, "--data", files("voc"), "--cpu", "--iterations", "2"]
    done = CliRunner().invoke(main, list(map(str, words)))
    assert done.exit_code == 0, done.output


PATTERNS = {
    r"fcn\d+s/run": run_in,
    r"images|JPEGImages|RGB|(train|val)/images": images_in,
    r"labels|SegmentationClass|(train|val)/labels": labels_in,
    r"GT": coloured,
}
OWN = {
    "upgrade": {"old.prototxt": text(OLD)},
    "deploy": {
        "train_val.prototxt": lambda files, path: classifier_in_training().save(path),
        "trained.caffemodel": lambda files, path: sketches.weights(
            fk.deploy(classifier_in_training()).net, path
        ),
    },
}
"""What files of a command hold in place of the others' of that name."""


def index(folder: Path, files: Files) -> Path:
    """An index of models that are files, as `fcnkit models --index FOLDER` reads one."""
    folder.mkdir()
    shutil.copy(files("vgg16.caffemodel"), folder / "thin.caffemodel")
    names = ("vgg16", "alexnet", "resnet50", "mine")
    entries = [{"name": name, "file": "thin.caffemodel"} for name in names]
    (folder / "models.json").write_text(json.dumps({"models": entries}))
    return folder


def is_picture(path: Path) -> bool:
    """Whether Pillow opens it."""
    with Image.open(path) as found:
        return found.size[0] > 0
