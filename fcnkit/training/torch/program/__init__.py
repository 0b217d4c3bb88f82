"""The program that trains on PyTorch: it has the command line and the log of `caffe`."""
