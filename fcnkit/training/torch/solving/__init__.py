"""How a training steps: Caffe's solvers, rates and snapshots."""
