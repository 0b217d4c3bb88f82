"""A net and its solver become weights:
by Caffe's program or by one on PyTorch, resumed where they stopped.
"""
