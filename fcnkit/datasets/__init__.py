"""Images with a label for each pixel become the LMDBs that Caffe trains on."""
