"""Other people's nets as ONNX models and back: both in real Caffe, with the same weights."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import corpus
import sweeps

import fcnkit as fk
from fcnkit.engines.caffe import Question
from fcnkit.errors import FcnkitError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.weights import store

_REASONS = ("is constant; name others", "cannot be written for this Caffe")


def exported_and_imported(net: Prototxt) -> sweeps.Trial:
    """The outputs of the net, and of what an import makes of its ONNX export, both in Caffe."""
    given = corpus.sizes(build(net))
    net = corpus.in_caffes_words(corpus.fed(net, given))
    if sweeps.is_large(shapes_of(build(net))):
        return sweeps.settled(sweeps.LARGE)
    weights = corpus.weights(net)
    if weights is None:
        return sweeps.Trial([sweeps.question("shapes", net)], sweeps.not_known)
    data = corpus.noise(given)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            exported = fk.export(net, weights or None)
            exported.save(path)
        except FcnkitError:
            return sweeps.settled(sweeps.REFUSED)
        try:
            made = fk.from_onnx(path)
        except FcnkitError as error:
            # With the reason, for each node that stock Caffe has no layer for.
            known = any(words in str(error) for words in _REASONS)
            return sweeps.settled(sweeps.NOT_IMPORTED if known else f"not imported: {error}")
        # While the file is there.
        blobs = {name: [each.array() for each in made.weights[name]] for name in made.weights}
        held = store.create().put_all(blobs)
    fed = {made.blobs[name].blob: made.blobs[name].to_blob(data[name]) for name in made.blobs}
    wanted = [each.blob for each in made.outputs]

    def verdict(answers: Sequence) -> str:
        expected, found = answers
        if isinstance(expected, Exception):
            return sweeps.NO_CAFFE
        if isinstance(found, Exception):
            return str(found)
        named = {each.name: each.of_blob(found[each.blob], 0) for each in made.outputs}
        return sweeps.compared({blob: expected[blob] for blob in named}, named)

    outputs = [port.name for port in exported.outputs]
    questions = [
        Question("run", net, weights or None, data, outputs),
        Question("run", made.net, held or None, fed, wanted),
    ]
    return sweeps.Trial(questions, verdict)
