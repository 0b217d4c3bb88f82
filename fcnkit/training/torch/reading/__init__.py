"""What a training reads: the batches of Caffe's data layers, bit for bit."""
