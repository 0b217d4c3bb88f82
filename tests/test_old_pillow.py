"""Label images that older scripts write keep their labels under today's Pillow."""

import numpy as np
import pytest

from fcnkit.pycaffe.old_pillow import old_pillow

Image = pytest.importorskip("PIL.Image")


@pytest.mark.parametrize("make", ["fromarray", "new"])
def test_labels_are_what_they_were(make, tmp_path):
    labels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    with old_pillow():
        if make == "fromarray":
            image = Image.fromarray(labels, mode="P")
        else:
            image = Image.new("P", (5, 4))
            image.putdata(labels.ravel().tolist())
        image.save(tmp_path / "labels.png")
    with Image.open(tmp_path / "labels.png") as saved:
        assert np.array(saved).tolist() == labels.tolist()


def test_names_that_are_gone_are_there_in_the_block_alone():
    before = {name: getattr(Image, name, None) for name in ("ANTIALIAS", "fromarray", "new")}
    with old_pillow():
        assert Image.ANTIALIAS == Image.LANCZOS
        palette = Image.new("P", (1, 1))
        palette.putpalette([1, 2, 3])
        assert palette.getpalette()[:3] == [1, 2, 3]
        assert Image.new("RGB", (1, 1)).mode == "RGB"
    assert {name: getattr(Image, name, None) for name in before} == before
