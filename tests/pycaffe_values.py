"""Run under real pycaffe and under fcnkit's: what each kind of field makes of each value.

Prints {"kind value": the field as text, or the name of the exception} as JSON.
"""

import decimal
import fractions
import json

import caffe
import numpy as np
from caffe import layers as L  # noqa: N812


class Whole:
    def __index__(self):
        return 3


class Fraction:
    def __float__(self):
        return 3.5


VALUES = {
    "True": True,
    "1": 1,
    "-1": -1,
    "99": 99,
    "2**31": 2**31,
    "2**40": 2**40,
    "2**70": 2**70,
    "2.0": 2.0,
    "2.5": 2.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "None": None,
    "text": "x",
    "name": "MAX",
    "digit": "3",
    "bytes": b"x",
    "no text": b"\xff",
    "surrogate": "\ud800",
    "tuple": (1,),
    "list": [1],
    "dict": {},
    "set": {1},
    "complex": 1j,
    "decimal": decimal.Decimal(2),
    "fraction": fractions.Fraction(1, 2),
    "index": Whole(),
    "float": Fraction(),
    "int64": np.int64(3),
    "uint8": np.uint8(3),
    "float32": np.float32(1.5),
    "float64": np.float64(2),
    "bool_": np.bool_(True),
    "0-d": np.array(3),
    "0-d float": np.array(1.5),
    "1-d": np.array([1]),
    "str_": np.str_("x"),
}
# A field of each kind; those of "many" repeat.
FIELDS = {
    "int32": lambda x: L.Concat(axis=x),
    "uint32": lambda x: L.Convolution(num_output=x),
    "many int64": lambda x: L.Input(shape={"dim": x}),
    "float": lambda x: L.ReLU(negative_slope=x),
    "bool": lambda x: L.Convolution(bias_term=x),
    "string": lambda x: L.Data(source=x),
    "enum": lambda x: L.Pooling(pool=x),
    "many uint32": lambda x: L.Convolution(kernel_size=x),
    "many float": lambda x: L.Convolution(loss_weight=x),
    "many string": lambda x: L.Data(bottom=x),
    "many bool": lambda x: L.Data(propagate_down=x),
    "message": lambda x: L.Convolution(weight_filler=x),
    "many message": lambda x: L.Convolution(param=x),
    "a layer's message": lambda x: L.Convolution(convolution_param=x),
}


def made(field, value):
    try:
        return caffe.to_proto(field(value)).SerializeToString().hex()
    except Exception as error:
        return type(error).__name__


print(
    json.dumps(
        {
            f"{kind} {name}": made(field, value)
            for kind, field in FIELDS.items()
            for name, value in VALUES.items()
        }
    )
)
