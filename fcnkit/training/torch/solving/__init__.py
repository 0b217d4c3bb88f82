"""Computes a training's steps: Caffe's solvers, learning rates and snapshots."""
