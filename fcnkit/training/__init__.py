"""Trains nets, by Caffe's program or by one on PyTorch, and resumes where a training stopped."""
