"""Makes fcnkit's docstrings, which are plain text, what Sphinx reads, and finds what they name.

A docstring sets code in single backticks, indents its examples, and lines up tables with spaces.
A name in a signature, such as fcnkit.formats.prototxt.Prototxt, leads to fcnkit.Prototxt.
"""

import re
from collections import Counter

from docutils import nodes
from sphinx.addnodes import pending_xref

# A bar of a magnitude, |b - a|, and not one in code.
BAR = re.compile(r"\|(?=(?:[^`]*`[^`]*`)*[^`]*$)")
# A word or two and a gap, which is wider than that between two sentences or behind a word.
TABLE = re.compile(r"^\w+(?:,? \w+)* {2,}\S")


def paragraphs(lines: list[str]) -> list[list[str]]:
    """The parts between empty lines."""
    parts: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            parts[-1].append(line)
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def as_rst(lines: list[str]) -> list[str]:
    """A docstring's lines with its examples and tables marked as such."""
    made: list[str] = []
    for part in paragraphs(lines):
        code = all(line.startswith("    ") for line in part)
        if code and made[-2:-1] and made[-2].startswith("    "):
            made += part  # an example goes on after an empty line
        elif code:
            kind = "pycon" if part[0].lstrip().startswith(">>>") else "python"
            made += [f".. code-block:: {kind}", "", *part]
        elif is_table(part):
            made += [".. code-block:: text", "", *(f"    {line}" for line in part)]
        else:
            made += [BAR.sub(r"\\|", line) for line in part]
        made.append("")
    return made


def is_table(part: list[str]) -> bool:
    """Whether three of these lines have their second column at one place."""
    places = Counter(match.end() for match in map(TABLE.match, part) if match)
    return max(places.values(), default=0) > 2


def mark(app, what, name, obj, options, lines) -> None:
    """Rewrites a docstring in place."""
    lines[:] = as_rst(lines)


def plain(app, what, name, obj, options, signature, returns):
    """A signature that Sphinx can read: dataclasses show the default of a factory as <factory>."""
    return signature and signature.replace("<factory>", "..."), returns


def skipped(app, what, name, obj, skip, options):
    """Fields of a named tuple, of which Python itself says nothing but their number."""
    return True if (getattr(obj, "__doc__", "") or "").startswith("Alias for field") else None


def find(app, env, node: pending_xref, contnode: nodes.Element):
    """Where a name of fcnkit's own is documented, if it is under a shorter name."""
    import fcnkit

    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"].rpartition(".")[2]
    if name not in fcnkit.__all__ or not node["reftarget"].startswith(("fcnkit.", name)):
        return None
    domain = env.get_domain("py")
    place = domain.objects.get(f"fcnkit.{name}")
    if place is None:
        return None
    uri = app.builder.get_relative_uri(node["refdoc"], place.docname)
    reference = nodes.reference("", "", internal=True, refuri=f"{uri}#{place.node_id}")
    reference += contnode
    return reference


def setup(app) -> dict:
    """Joins Sphinx's reading of docstrings and its search for names."""
    app.connect("autodoc-process-docstring", mark)
    app.connect("autodoc-process-signature", plain)
    app.connect("autodoc-skip-member", skipped)
    app.connect("missing-reference", find)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
