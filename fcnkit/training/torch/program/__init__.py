"""The program that trains: it is called, and logs, as `caffe` does."""
