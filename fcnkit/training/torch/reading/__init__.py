"""Reads what a training needs: the batches of Caffe's data layers, bit for bit."""
