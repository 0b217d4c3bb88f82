"""What becomes of forks' words and layer types in the words of BVLC's Caffe, rule by rule."""
