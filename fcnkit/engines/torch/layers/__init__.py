"""The layer types that the engine runs as Caffe does:
an entry each in table.py, and functions by family.
"""
