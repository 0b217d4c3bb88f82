"""How fcnkit is packaged; tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

OPENCV = ["opencv-python-headless>=4.5.5,<5"]  # OpenCV 5 reads no Caffe nets
DRAW = ["pygraphviz>=2,<3"]  # brings Graphviz along
DEMO = [*OPENCV, "pillow>=10.1,<14"]
DIGITS = ["lmdb>=1.4,<4", "pillow>=10.1,<14", "scikit-learn>=1.3,<2"]
ONNX = ["onnx>=1.16,<2", "onnxruntime>=1.17,<2"]
# Besides PyTorch: six is what scripts import, fissix reads Python 2.
# Scripts take float(blob.data) of a blob of one number, which numpy 2.4 no longer does.
OLDER_NUMPY = "numpy>=1.24,<2.4"
PYCAFFE = ["fissix>=24.4,<27", "pillow>=10.1,<14", "six>=1.16,<2"]
SEGMENTATION = ["lmdb>=1.4,<4", "matplotlib>=3.7,<4", "pillow>=10.1,<14"]
TORCH = ["torch>=2.4,<2.14"]
TORCHVISION = ["torchvision>=0.19,<0.29"]
NOTEBOOKS = [*OPENCV, *SEGMENTATION, "ipykernel>=6.25,<8", "nbclient>=0.9,<1", "nbformat>=5.9,<6"]
TEST = [
    "grpcio-tools>=1.59,<2",
    "hypothesis>=6.90,<7",
    "lmdb>=1.4,<4",
    "mypy>=1.11,<3",
    "pytest>=7.4,<10",
    "pytest-xdist>=3.5,<4",
    "ruff>=0.6,<1",
    "setuptools>=77,<100",
]


def version() -> str:
    """What fcnkit/__init__.py says, without importing it."""
    source = Path(__file__).with_name("fcnkit") / "__init__.py"
    return re.search(r'^__version__ = "(.+)"$', source.read_text(encoding="utf-8"), re.M)[1]


def long_description() -> str:
    readme = Path(__file__).with_name("README.md")
    return readme.read_text(encoding="utf-8") if readme.exists() else ""


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
        "fcnkit.targets": ["*.toml"],
        "fcnkit.templates": ["*/*.prototxt", "*/*.caffemodel", "*/*.txt", "*/*.npz", "*/*.md", "*/*.png", "*/*.json"],
    },
    install_requires=[
        "click>=8.1,<9",
        "h5py>=3.8,<4",
        "numpy>=1.24,<3",
        "protobuf>=4.25,<8",
        "rich>=13,<16",
        "tomli>=2,<3; python_version < '3.11'",
    ],
    extras_require={
        "opencv": OPENCV,
        "draw": DRAW,
        "demo": DEMO,
        "digits": DIGITS,
        "onnx": ONNX,
        "pycaffe": [*DRAW, *PYCAFFE, *TORCH, OLDER_NUMPY],
        "segmentation": SEGMENTATION,
        "torch": TORCH,
        "torchvision": TORCHVISION,
        "notebooks": sorted({*DRAW, *NOTEBOOKS}),
        "test": sorted({*DEMO, *DRAW, *NOTEBOOKS, *ONNX, *PYCAFFE, *SEGMENTATION, *TEST}),
        "all": sorted({*DEMO, *DRAW, *NOTEBOOKS, *ONNX, *PYCAFFE, *SEGMENTATION, *TEST}),
    },
    entry_points={"console_scripts": ["fcnkit=fcnkit.cli.main:run"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
