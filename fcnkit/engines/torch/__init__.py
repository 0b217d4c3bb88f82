"""PyTorch as an engine: a Graph becomes a torch.nn.Module that computes what Caffe computes.

engine is the way in and imports nothing heavy; the other modules import torch,
and are imported when a net is run: net (the module), parameters and filling
(its blobs), layers (one entry per type) and the types by family: windows,
pointwise, normal, rearrange, losses.

program trains, as `caffe` would: training (what is done when), solver (the
steps), data (what it reads), together and launch (several processes).
"""

from fcnkit.engines.torch.engine import available, run, run_all

__all__ = ["available", "run", "run_all"]
