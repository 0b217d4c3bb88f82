"""Whole rewrites against files that were read by a person;
`pytest --golden` writes them anew, for review.
"""

from pathlib import Path

import pytest

import fcnkit as fk
from fcnkit.formats import prototxt
from fcnkit.rewrites.up_to_scores import up_to_scores

CASES = Path(__file__).parent / "cases"
REWRITES = {
    "convolutionalize": fk.convolutionalize,
    "fcn": fk.fcn,
    "align": fk.align,
    "rescore": fk.rescore,
    "up_to_scores": up_to_scores,
    "to_train": fk.to_train,
    "fold": fk.fold,
    "reclass": fk.reclass,
    "channels": fk.swap_channels,
    "ungroup": fk.ungroup,
    "decimate": fk.decimate,
    "to_fc": fk.to_fc,
    "extract": fk.extract,
}
OPTIONS = {
    "convolutionalize/renamed": {"rename": "{name}-conv"},
    "convolutionalize/train_val": {"inputs": {"data": (32, 3, 12, 12)}},
    "fcn/skips": {"classes": 3, "stride": 2},
    "fcn/pad": {"classes": 3, "stride": 4, "pad": 20, "group": False},
    "fcn/residual": {"classes": 2, "stride": 4, "least": 16},
    "rescore/style": {"classes": 7},
    "up_to_scores/train_val": {"inputs": {"data": (32, 3, 12, 12)}},
    "reclass/fcn": {"layer": "score_fr", "classes": (0, 3, None)},
    "channels/train_val": {"inputs": {"data": (8, 3, 16, 16)}},
    "decimate/deeplab": {"layer": "fc6", "kernel": 4},
    "extract/middle": {"start": "pool1", "end": "fc"},
    "to_train/deployed": {"zero": ("score_fr",), "ignore": 11},
}


def cases():
    return sorted(
        path.parent.relative_to(CASES).as_posix() for path in CASES.glob("*/*/in.prototxt")
    )


def test_every_case_has_its_rewrite_and_every_option_its_case():
    assert {case.split("/")[0] for case in cases()} == set(REWRITES)
    assert OPTIONS.keys() <= set(cases())


@pytest.mark.parametrize("case", cases())
def test_golden(case, request):
    folder = CASES / case
    before = prototxt.parse((folder / "in.prototxt").read_bytes().decode(), "in.prototxt")
    plan = REWRITES[case.split("/")[0]](before, **OPTIONS.get(case, {}))
    found = {"out.prototxt": plan.net.text, "plan.txt": plan.table()}
    if request.config.getoption("golden"):
        for name, text in found.items():
            (folder / name).write_bytes(text.encode())
    for name, text in found.items():
        assert text == (folder / name).read_bytes().decode(), (
            f"{case}/{name}; pytest --golden writes it again"
        )
