"""One HTML page of a net, its proof, its training, its predictions or a data set.

A section is one file here, with a function that gives its values, and one template of the same
name; `report.py` lists them in the order of the page.
"""
