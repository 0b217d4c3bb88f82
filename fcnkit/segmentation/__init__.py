"""Images with a label for each pixel: datasets that Caffe trains on, and the scores of what it learnt."""
