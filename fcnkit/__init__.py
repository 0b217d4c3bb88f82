"""fcnkit: Caffe classifiers become fully convolutional networks.

The names below are the library; see the README for a tour.
"""

from fcnkit.formats.prototxt import Prototxt, parse, read
from fcnkit.nets.graph import Graph, State, build
from fcnkit.plan import Move, Plan, Step
from fcnkit.rewrites.align import align
from fcnkit.rewrites.convolutionalize import convolutionalize
from fcnkit.rewrites.fcn import fcn
from fcnkit.rewrites.rescore import rescore
from fcnkit.rewrites.upsample import upsample
