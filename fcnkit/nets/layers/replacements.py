"""What Caffe has in place of a field that only a fork knows, where the two mean the same."""

from fcnkit.formats.prototxt import Field

_FLOOR = "write round_mode: FLOOR in its place"
_WEIGH = "weigh the classes with `fcnkit train --loss-weights`"


def in_its_place(field: Field) -> str:
    """What to do for this field so that every Caffe reads it; "" if nothing is.

    Fields that say what Caffe does without them are just to be removed.
    """
    value = "" if field.fields is not None else field.raw
    on = value in ("true", "1", "True", "t")
    match field.name:
        case "ceil_mode":
            return "" if on else _FLOOR
        case "torch_pooling":
            return _FLOOR if on else ""
        case "hole":
            return "" if value == "1" else "write dilation in its place"
        case "hole_h" | "hole_w":
            return "write dilation instead of both: the height's, then the width's"
        case "pad_type":
            return "write the padding as pad, pad_h or pad_w in its place" if value == "1" else ""
        case "pad_l" | "pad_r" | "pad_t" | "pad_b":
            return "" if value == "0" else "write pad_h and pad_w, if both sides pad alike"
        case "class_weighting" | "weight_by_label_freqs":
            return _WEIGH
        case "relu6":
            return "make it a Clip layer with min: 0 and max: 6" if on else ""
        case "scale_bias":
            return "put a Scale layer with bias_term: true after it" if on else ""
        case "scale_filler" | "bias_filler":
            return "put a Scale layer with bias_term: true after it"
        case "relu":
            return "put a ReLU layer after it" if on else ""
    return ""
