"""How fcnkit is packaged; tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

# An upper bound stands where something is known to break, and says what.
OPENCV = ["opencv-python-headless>=4.5.5,<5"]  # OpenCV 5 reads no Caffe nets
DRAW = ["pygraphviz>=2"]  # brings Graphviz along
DIGITS = ["lmdb>=1.4", "pillow>=10.1", "scikit-learn>=1.3"]
ONNX = ["onnx>=1.16", "onnxruntime>=1.17"]
# Besides PyTorch: six is what scripts import, fissix reads Python 2.
# Scripts take float(blob.data) of a blob of one number, which numpy 2.4 no longer does.
OLDER_NUMPY = "numpy>=1.24,<2.4"
PYCAFFE = ["fissix>=24.4", "pillow>=10.1", "six>=1.16"]
TRAIN = ["lmdb>=1.4", "matplotlib>=3.7", "pillow>=10.1"]
TORCH = ["torch>=2.4"]
NOTEBOOKS = [*OPENCV, *TRAIN, "ipykernel>=6.25", "nbclient>=0.9", "nbformat>=5.9"]
USERS = {*DRAW, *NOTEBOOKS, *ONNX, *OPENCV, *PYCAFFE, *TRAIN}
DOCS = ["furo>=2024.8.6", "jsonschema>=4.18", "myst-parser>=4", "sphinx>=8"]
TEST = [
    "grpcio-tools>=1.59",
    "hypothesis>=6.90",
    "mypy>=1.11",
    "pytest>=7.4",
    "pytest-xdist>=3.5",
    "ruff>=0.6",
    "setuptools>=77",
    "tensorboard>=2.15",
]


def version() -> str:
    """What fcnkit/__init__.py says, without importing it."""
    source = Path(__file__).with_name("fcnkit") / "__init__.py"
    return re.search(r'^__version__ = "(.+)"$', source.read_text(encoding="utf-8"), re.M)[1]


def long_description() -> str:
    """README as an index shows it: pictures and links of the source tree lead nowhere there."""
    readme = Path(__file__).with_name("README.md")
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    text = re.sub(r"!\[[^]]*\]\((?!https?:)[^)]*\)\n*", "", text)
    return re.sub(r"\[([^]]*)\]\((?!https?:)[^)]*\)", r"\1", text)


setup(
    name="fcnkit",
    version=version(),
    description="Turns trained Caffe classifiers into fully convolutional networks that Caffe "
    "trains",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    author="The fcnkit authors",
    license="BSD-2-Clause",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[*find_packages(include=["fcnkit", "fcnkit.*"]), "fcnkit.templates"],
    package_dir={"fcnkit": "fcnkit", "fcnkit.templates": "prototxt_templates"},
    package_data={
        "fcnkit": ["*.pyi", "py.typed"],
        "fcnkit.pycaffe": ["*.pyi"],
        "fcnkit.formats": ["*.desc", "*.proto"],
        "fcnkit.models": ["*.json"],
        "fcnkit.reporting": ["templates/*"],
        "fcnkit.targets": ["*.toml"],
        "fcnkit.templates": [
            *("*/*.prototxt", "*/*.caffemodel", "*/*.txt", "*/*.npz"),
            *("*/*.md", "*/*.png", "*/*.json"),
        ],
    },
    install_requires=[
        "click>=8.1",
        "filelock>=3.12",
        "h5py>=3.8",
        "jinja2>=3.1",
        "numpy>=1.24",
        "protobuf>=4.21",
        "rich>=13",
        "tomli>=2; python_version < '3.11'",
    ],
    extras_require={
        # What a user does: data sets, training, inference and scores; then engines and the rest.
        "train": TRAIN,
        "torch": TORCH,
        "onnx": ONNX,
        "opencv": OPENCV,
        "draw": DRAW,
        "pycaffe": [*DRAW, *PYCAFFE, *TORCH, OLDER_NUMPY],
        "docs": DOCS,
        "notebooks": sorted({*DRAW, *NOTEBOOKS}),
        "all": sorted({*USERS, *TORCH}),
        "segmentation": TRAIN,  # what "train" was called
        # What the Makefile installs; PyTorch, which is large, comes with the tests alone.
        "dev": sorted({*USERS, *DOCS, *TEST}),
        "digits": DIGITS,
    },
    entry_points={"console_scripts": ["fcnkit=fcnkit.cli.main:run"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
