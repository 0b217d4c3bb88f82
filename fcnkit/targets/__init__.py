"""What each tool chain takes of Caffe's nets, as data with sources, and the reader of that data."""
