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

extensions = ["myst_parser"]
exclude_patterns = ["_ext"]

# A reference that leads nowhere is a warning, and `make docs` takes warnings for errors.
nitpicky = True

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
