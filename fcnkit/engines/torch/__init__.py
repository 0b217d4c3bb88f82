"""Runs nets on PyTorch: a Graph becomes a torch.nn.Module that computes what Caffe computes.

engine is the way in and imports nothing heavy, and so is as_module, which gives a module
to users.  The other modules import torch and are imported when a net is run: layers,
which has one entry per type in its table; parameters (a net's blobs); forward (its
layers, run in turn); net, which the engine runs and fcnkit.training.torch trains;
wiring and module, what users get.
"""

from fcnkit.engines.torch.engine import INSTALL, available, run, run_all, runs, version

__all__ = ["INSTALL", "available", "run", "run_all", "runs", "version"]
