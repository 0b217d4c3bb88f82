"""Training on PyTorch as `caffe train` does it:
reading, solving, and the program that is called as caffe is.
"""
