"""`fk.report`: a page of whatever its argument holds."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from fcnkit import expected
from fcnkit.reporting import dataset as of_dataset
from fcnkit.reporting import drawing as of_drawing
from fcnkit.reporting import fields as of_fields
from fcnkit.reporting import layers as of_layers
from fcnkit.reporting import net as of_net
from fcnkit.reporting import plan as of_plan
from fcnkit.reporting import predictions as of_predictions
from fcnkit.reporting import proof as of_proof
from fcnkit.reporting import training as of_training
from fcnkit.reporting.choice import COUNT
from fcnkit.reporting.page import Report, page
from fcnkit.reporting.pictures import BUDGET, Album
from fcnkit.reporting.section import Section
from fcnkit.reporting.subject import DATA, FCN, NET, RUNS, Source, Subject, Wishes, subject
from fcnkit.shape import Shape

if TYPE_CHECKING:
    from fcnkit.weights.store import Weights

# In the order of the page.  Each gives None where there is nothing of its kind to show.
SECTIONS: tuple[Callable[[Subject, Album], Section | None], ...] = (
    of_plan.section,
    of_drawing.section,
    of_net.section,
    of_fields.section,
    of_layers.section,
    of_proof.section,
    of_training.section,
    of_predictions.section,
    of_dataset.section,
)

# The most bytes of a page, but with `full`.
LARGEST = 10_000_000

_KINDS = {
    NET: "A net",
    FCN: "A fully convolutional network",
    RUNS: "Trainings",
    DATA: "A data set",
}


@expected.checked
def report(
    source: Source,
    weights: "str | os.PathLike[str] | Weights | None" = None,
    *,
    images: Sequence[str | os.PathLike[str]] = (),
    labels: str | os.PathLike[str] | None = None,
    mean: tuple[float, ...] | None = None,
    engine: str | None = None,
    device: str | None = None,
    inputs: Mapping[str, Shape] | None = None,
    proofs: Sequence[str | os.PathLike[str]] = (),
    data: str | os.PathLike[str] | None = None,
    predictions: str | os.PathLike[str] | None = None,
    count: int = COUNT,
    full: bool = False,
) -> Report:
    """Makes one HTML page about a net, an FCN's folder, one or several training runs, or a data
    set.

    >>> fk.report("deploy.prototxt", "net.caffemodel").save("net.html")

    - `source`: a Prototxt, the path of a prototxt or a folder, or the folders of several runs,
      which are compared.
    - `weights`: the net's Weights or their path.
    - `images`: paths of images, on which the net is run.
    - `labels`: a file with the names of the classes, one per line.
    - `mean`: the mean that is subtracted from the images.
    - `engine`, `device`: what runs the net; by default the fastest engine that can.
    - `inputs`: shapes by blob name, instead of those in the file.
    - `proofs`: files with the output of `fcnkit verify --json`.
    - `data`: the data set for an FCN's folder; by default the one that it was trained on.
    - `predictions`: the folder of class maps that `fcnkit infer` wrote.
    - `count`: how many images of the data set are shown.
    - `full`: keep the pictures at full size. By default they are scaled, so that the page stays
      below 10 MB.

    Returns a Report, which a notebook shows and whose method `save` writes it.

    Raises FcnkitError for what cannot be read or built, and TypeError for another kind of
    source.
    """
    wishes = Wishes(
        images,
        labels,
        mean,
        engine,
        device,
        inputs or {},
        proofs=proofs,
        data=data,
        predictions=predictions,
        count=count,
    )
    return report_of(subject(source, weights, wishes), full=full)


def report_of(of: Subject, *, full: bool = False, refresh: int = 0) -> Report:
    """The page of a subject; with `refresh` a browser reads it anew after so many seconds."""
    made = _with_pictures(of, Album(full=full), refresh)
    over = len(made.html.encode()) - LARGEST
    if full or over <= 0:
        return made
    return _with_pictures(of, Album(budget=max(BUDGET - over, 0)), refresh)


def _with_pictures(of: Subject, album: Album, refresh: int) -> Report:
    found = [section(of, album) for section in SECTIONS]
    sections = [each for each in found if each is not None]
    kind = "A training" if of.kind == RUNS and len(of.runs) == 1 else _KINDS[of.kind]
    return page(of.title, kind, sections, notes=album.notes, refresh=refresh)
