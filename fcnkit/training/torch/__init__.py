"""Trains on PyTorch as `caffe train` does, in three parts: reading, solving, and the program."""
