"""pycaffe's interface without Caffe: `import fcnkit.pycaffe as caffe`.

    from fcnkit.pycaffe import layers as L, params as P

    net = caffe.NetSpec()
    net.data = L.Input(shape=dict(dim=[1, 3, 227, 227]))
    net.conv1 = L.Convolution(net.data, num_output=96, kernel_size=11, stride=4)
    print(net.to_proto())

The names, their arguments and what they raise are pycaffe's own.  What there is of it now
generates nets: NetSpec, layers, params, to_proto, coord_map, proto.
"""

from fcnkit.pycaffe import net_spec, proto
from fcnkit.pycaffe.net_spec import NetSpec, layers, params, to_proto

TRAIN, TEST = 0, 1
__version__ = "1.0.0"

__all__ = ["TEST", "TRAIN", "NetSpec", "layers", "net_spec", "params", "proto", "to_proto"]
