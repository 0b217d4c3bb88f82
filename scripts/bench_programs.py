"""The programs that scripts/bench.py measures, each run in a process of its own."""

TRANSPLANT = """
import sys
import fcnkit as fk
from fcnkit.weights import store, surgery
moves = fk.convolutionalize(fk.read(sys.argv[1]))
surgery.transplant(moves, store.open(sys.argv[2])).save(sys.argv[3], force=True)
"""

# The surgery alone, without the start of Python and the plan: its own clock, on the last line.
SURGERY = """
import sys, time
import fcnkit as fk
from fcnkit.weights import store, surgery
moves = fk.convolutionalize(fk.read(sys.argv[1]))
start = time.perf_counter()
surgery.transplant(moves, store.open(sys.argv[2])).save(sys.argv[3], force=True)
print(time.perf_counter() - start)
"""

# The same of a conversion, with h5py already there.
CONVERT = """
import sys, time
import h5py
from fcnkit.weights import store
from fcnkit.weights.convert import convert
start = time.perf_counter()
convert(store.open(sys.argv[1]), "h5").save(sys.argv[2], force=True)
print(time.perf_counter() - start)
"""

PROTOBUF = """
import sys
from fcnkit.formats import schema
net = schema.message("NetParameter").FromString(open(sys.argv[1], "rb").read())
shapes = {"fc6": (4096, 512, 7, 7), "fc7": (4096, 4096, 1, 1), "fc8": (1000, 4096, 1, 1)}
for layer in net.layer:
    if layer.name in shapes:
        layer.blobs[0].shape.dim[:] = shapes[layer.name]
open(sys.argv[2], "wb").write(net.SerializeToString())
"""

PYCAFFE = """
import sys
import caffe
old = caffe.Net(sys.argv[1], sys.argv[3], caffe.TEST)
new = caffe.Net(sys.argv[2], caffe.TEST)
for name, blobs in old.params.items():
    for source, target in zip(blobs, new.params[name]):
        target.data.flat = source.data.flat
new.save(sys.argv[4])
"""
