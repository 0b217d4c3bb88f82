"""How Sphinx builds the documentation: `make docs` leaves it in build/docs."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

project = "fcnkit"
author = "The fcnkit authors"
copyright = author  # noqa: A001
_SOURCE = (HERE.parent / "fcnkit" / "__init__.py").read_text(encoding="utf-8")
release = version = re.search(r'^__version__ = "(.+)"$', _SOURCE, re.M)[1]

extensions = ["myst_parser", "sphinx.ext.autodoc", "command_pages", "docstrings", "schema_tables"]
exclude_patterns = ["_ext"]

# A reference that leads nowhere is a warning, and `make docs` takes warnings for errors.
nitpicky = True
# Sphinx takes the type bytes for every attribute of that name.
suppress_warnings = ["ref.python"]
# Their pages are elsewhere, and no network is asked for them.
nitpick_ignore_regex = [
    ("py:.*", r"(collections|fractions|os|pathlib|typing|numpy|torch|onnx)\..*"),
    # What only fcnkit itself handles.
    ("py:class", r"fcnkit\.weights\.(blobs\.(OpenFile|HasWeights|Lazy|Stored\w*)|surgery\.Moving)"),
    ("py:class", r"fcnkit\.formats\.(spans\.Source|schema\.View|caffemodel\.CaffemodelLayout)"),
    ("py:class", r"PathLike|Colour|CaffeModule|fcnkit\.verifying\.results\.Made"),
    ("py:class", r"fcnkit\.(exporting\.draft\.Tensor|engines\.torch\..*)"),
]

# Options have two hyphens, and code its own quotes.
smartquotes = False

# Docstrings set code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

# Blocks that name no language are commands and what they print.
highlight_language = "text"

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]

html_theme = "furo"
html_title = f"fcnkit {release}"
html_static_path = ["_static"]
html_css_files = ["fcnkit.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
# Pages are read from a disk as well as from a server: links name the file.
html_use_index = True
pygments_style = "tango"
pygments_dark_style = "monokai"
