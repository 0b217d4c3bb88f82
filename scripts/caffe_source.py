"""Fetches Caffe's source from Debian 11 into a folder, for build_caffe_gpu.sh.

python3 scripts/caffe_source.py FOLDER
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fcnkit.engines.debian import SUITE, Apt  # noqa: E402
from fcnkit.errors import EngineError  # noqa: E402


def main(folder: Path) -> None:
    """The source is in the folder, in one called caffe-1.0..."""
    apt = Apt(folder / "apt")
    for mirror in apt.find_suite("caffe", kind="deb-src"):
        print(f"asking {mirror} for the source of Debian 11 ({SUITE})", file=sys.stderr)
    apt.fetch_source("caffe", folder)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except EngineError as error:
        sys.exit(str(error))
