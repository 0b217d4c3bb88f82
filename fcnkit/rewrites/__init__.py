"""The rewrites: one file each, `f(net, ...) -> Plan`, and the list of them.

A rewrite is its file and its line here. From the line come its public names, fk.NAME, and the
words of `fcnkit surgery --do` that stand at the end of its file as OPERATIONS.
"""

# Every rewrite's file and its public names; words of --do are shown in this order.
REWRITES: dict[str, tuple[str, ...]] = {
    "convolutionalize": ("convolutionalize",),
    "fc": ("to_fc",),
    "fcn": ("fcn",),
    "fold": ("fold",),
    "classes": ("reclass",),
    "channels": ("swap_channels", "to_gray", "to_colour", "add_channels"),
    "groups": ("ungroup", "regroup"),
    "bake": ("bake",),
    "decimate": ("decimate",),
    "filters": ("fewer_filters",),
    "extract": ("extract",),
    "rename": ("rename",),
    "drop": ("drop",),
    "rescore": ("rescore",),
    "upsample": ("upsample", "skip"),
    "align": ("align",),
    "round_down": ("round_down", "round_up"),
    "padding": ("pad",),
    "uncrop": ("uncrop",),
    "resize": ("resize", "batch"),
    "inputs": ("input_as",),
    "to_train": ("to_train",),
    "deploy": ("deploy",),
    "upgrade": ("upgrade",),
    "bvlc": ("bvlc",),
    "fork": ("fork",),
}
