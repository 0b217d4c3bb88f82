"""Caffe's messages, as pycaffe has them: `from caffe.proto import caffe_pb2`."""
