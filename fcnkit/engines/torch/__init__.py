"""Runs nets on PyTorch: a Graph becomes a torch.nn.Module that computes what Caffe computes.

engine is the way in and imports nothing heavy.  The other modules import torch
and are imported when a net is run: net (the module), parameters (its blobs)
and layers, which has one entry per type in its table.  fcnkit.training.torch
trains such a net.
"""

from fcnkit.engines.torch.engine import INSTALL, available, run, run_all, runs, version

__all__ = ["INSTALL", "available", "run", "run_all", "runs", "version"]
