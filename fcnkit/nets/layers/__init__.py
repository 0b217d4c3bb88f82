"""What a layer type is: an entry each in table.py, and the rules of Caffe by family."""
