"""Which words a Caffe has beside those of BVLC's release 1.0: a line for each Caffe."""

MASTER = "master"

CAFFES: dict[str, frozenset[str]] = {
    # BVLC's master, commit 9b891540; Debian packages an earlier one, 99bd997 of August 2018.
    MASTER: frozenset(("round_mode", "Clip")),
    # BVLC's tag 1.0, of April 2017.
    "1.0": frozenset(),
    # weiliu89/caffe, branch ssd, of 2016, and what comes of it.
    "ssd": frozenset(("Permute", "Normalize")),
    # DeepLab v2 and hszhao/PSPNet.
    "deeplab": frozenset(("Interp",)),
}
