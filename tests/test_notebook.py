"""What a notebook shows."""

import base64
import re
import time
from fractions import Fraction
from html.parser import HTMLParser

import pytest

import fcnkit as fk
from fcnkit import notebook
from fcnkit.nets.coordmap import CoordMap
from fcnkit.plan import Diff

IGNORE = "<div class='tex2jax_ignore mathjax_ignore'>"
CAPTION = "<caption style='text-align:left'>"
# A notebook that is not trusted takes all else away.
TAGS = {"div", "table", "caption", "tr", "th", "td", "p", "br", "pre", "span", "b", "img"}
TAGS |= {"details", "summary"}
# A name that would be a tag, with what is no text and what is no UTF-8.
HOSTILE = "<script>alert('&\"')</script>\x1b[31m\udcff$x$"
NET = """
name: "small"
input: "data" input_shape { dim: [1, 3, 8, 8] }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 } } # a comment
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 4 } }
"""


class Page(HTMLParser):
    """The tags of a page, each closed, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def page(value) -> Page:
    found = Page(value._repr_html_() if hasattr(value, "_repr_html_") else value)
    assert {tag for tag, _ in found.tags} <= TAGS
    assert not any(name.startswith("on") for _, attrs in found.tags for name in attrs)
    return found


def page_rows(values) -> list[str]:
    """The rows of a table, or of the tables of several values."""
    pages = [values] if hasattr(values, "_repr_html_") else values
    return [row for each in pages for row in re.findall("<tr><td.*?</tr>", each._repr_html_())]


@pytest.fixture
def hostile():
    return fk.parse(NET.replace('"conv"', f'"{HOSTILE.replace(chr(34), "")}"'), HOSTILE)


@pytest.fixture
def small():
    return fk.parse(NET, "small.prototxt")


def test_a_table_escapes_all_that_it_shows():
    found = notebook.table([("<a>", 1), ("b", 2)], head=("&", "n"), caption='"x"', note="<p>")
    assert found == (
        f"{IGNORE}<table>{CAPTION}&quot;x&quot;</caption><tr><th>&amp;</th><th>n</th></tr>"
        "<tr><td>&lt;a&gt;</td><td>1</td></tr><tr><td>b</td><td>2</td></tr></table>"
        "<p>&lt;p&gt;</p></div>"
    )


def test_lines_of_captions_notes_and_cells_stay_lines():
    found = notebook.table([("a\nb",)], caption="c\nd", note="e\nf\n")
    assert (
        all(f"{one}<br>{two}" in found for one, two in ("ab", "cd", "ef")) and "f<br>" not in found
    )


def test_text_is_at_the_left_where_it_is_asked_for():
    cell = "<td style='text-align:left'>"
    assert f"{cell}a</td>{cell}b</td>" in notebook.table([("a", "b")], caption="x", left=True)
    assert f"{cell}a</td><td>b</td>" in notebook.table([("a", "b")], caption="x", left=(0,))


def test_lines_stay_as_they_are():
    assert page(notebook.text("a  <b>\n c")).text == "a  <b>\n c"


def test_what_is_no_text_is_shown_as_such():
    found = notebook.escaped(HOSTILE)
    assert found == "&lt;script&gt;alert(&#x27;&amp;&quot;&#x27;)&lt;/script&gt;\ufffd[31m?$x$"
    found.encode("utf-8")


def test_a_prototxt_is_shown_whole_and_in_colours(small):
    found = page(small)
    assert found.text == "small.prototxt: 7 lines" + NET
    colours = {attrs["style"] for tag, attrs in found.tags if tag == "span"}
    assert len(colours) == 4, "comments, strings, numbers and names"
    inner = re.findall(r"<span style='color:(#\w+)'>([^<]*)</span>", small._repr_html_())
    kinds = {}
    for colour, word in inner:
        kinds.setdefault(colour, set()).add(word)
    assert {"# a comment"} in kinds.values()
    assert {"1", "2", "3", "4", "8"} in kinds.values()
    assert any({"num_output", "layer", "dim"} <= words for words in kinds.values())


def test_a_long_text_is_folded_and_a_longer_one_is_cut():
    def is_open(lines):
        return dict(page(fk.parse("a: 1\n" * lines)).tags)["details"] == {"open": None}

    assert is_open(notebook.FOLDED) and not is_open(notebook.FOLDED + 1)
    text = fk.parse("abc: 12\n" * (notebook.LONGEST // 8 + 10))._repr_html_()
    assert "... 80 more characters" in text


@pytest.mark.parametrize("text", ["a" * 150_000, "a " * 75_000, '"' * 150_000, "1" * 150_000])
def test_colours_take_time_in_proportion(text):
    start = time.process_time()
    notebook.prototxt(text, "x")
    assert time.process_time() - start < 20, "in the square of its length it would take minutes"


def test_a_diff_is_text_and_is_shown_in_colours(small):
    found = fk.convolutionalize(small).diff()
    assert isinstance(found, str) and isinstance(found, Diff) and repr(found) == str(found)
    assert page(found).text.endswith(str(found)), "no character is lost"
    html = found._repr_html_()
    grounds = re.findall(r"<span style='background-color:([^']+)'>(.)", html)
    signs = {sign: {ground for ground, each in grounds if each == sign} for _, sign in grounds}
    assert set(signs) == {"+", "-"} and signs["+"].isdisjoint(signs["-"])
    assert "<b>--- small.prototxt</b>" in html


def test_a_plans_parts_show_themselves(small):
    plan = fk.fcn(fk.template("alexnet"), classes=21, stride=32, pad=100)
    assert plan.steps + () == tuple(plan.steps), "they are tuples still"
    for part, said in ((plan.steps, "upscore"), (plan.moves, "fc6"), (plan.offsets, "18, 18")):
        assert said in page(part).text
        (row,) = [each for each in page_rows(part) if said in each][:1]
        assert row in {page_rows([each])[0] for each in part}, "one by itself is shown alike"
    assert "insert" in page(plan).text and "template:alexnet" in page(plan).text
    done = fk.upgrade(fk.upgrade(small).net)
    assert page(done).text == "small.prototxt: nothing to do"


def test_a_map_shows_its_fractions():
    assert "-13/32 = -0.40625" in page(CoordMap.of([(Fraction(1, 32), Fraction(-13, 32))] * 2)).text
    assert page(
        CoordMap.of([(Fraction(1, 3), Fraction(0)), (Fraction(2), Fraction(1))])
    ).text.endswith("height1/30width21")
    assert page(CoordMap()).text.endswith("each10")


def test_findings_are_a_tuple_and_a_table():
    found = fk.lint(fk.parse(NET.replace("kernel_size", "kernal_size"), "bad.prototxt"))
    assert isinstance(found, tuple) and found
    text = page(found).text
    assert "bad.prototxt: " in text and "unknown-field" in text and "kernel_size" in text
    assert "error" in page(found[0]).text
    assert fk.lint(fk.parse(NET)) == () and page(fk.lint(fk.parse(NET))).text == "nothing found"


def test_a_drawing_is_an_image_where_svg_is_taken_away(small):
    pytest.importorskip("pygraphviz")
    drawing = fk.draw(small)
    ((tag, attrs),) = page(drawing).tags
    kind, _, data = attrs["src"].partition(";base64,")
    assert (tag, kind) == ("img", "data:image/svg+xml") and attrs["alt"] == repr(drawing)
    assert base64.b64decode(data).decode() == drawing.text == drawing._repr_svg_()
    assert '<rect width="100%" height="100%" fill="white"/>' in drawing.text, "a ground of its own"


def test_a_graph_is_drawn(small):
    pytest.importorskip("pygraphviz")
    found = page(fk.build(small))
    data = base64.b64decode(found.tags[0][1]["src"].partition(",")[2]).decode()
    assert ">conv<" in data and "small.prototxt" in found.tags[0][1]["alt"]


def test_a_graph_without_pygraphviz_is_a_table(small, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    assert "InnerProductconvfc" in page(fk.build(small)).text


def test_a_large_graph_is_a_table():
    layer = 'layer {{ name: "l{0}" type: "ReLU" bottom: "b{0}" top: "b{1}" }}'
    text = 'input: "b0" input_shape { dim: 1 }' + "".join(
        layer.format(n, n + 1) for n in range(500)
    )
    assert "l499" in page(fk.build(fk.parse(text))).text


def test_names_of_files_are_escaped_in_all_that_is_shown(hostile):
    pytest.importorskip("pygraphviz")
    plan = fk.convolutionalize(hostile)
    values = (hostile, fk.build(hostile), fk.draw(hostile), fk.inspect(hostile), plan, plan.moves)
    values += plan.diff(), fk.lint(hostile, target="ncnn"), plan.steps
    for value in values:
        shown = value._repr_html_()
        page(value)
        assert "<script" not in shown and "\x1b" not in shown
        shown.encode("utf-8")


def test_every_public_value_has_a_display():
    kinds = {name: getattr(fk, name) for name in fk.__all__}
    shows = ("_repr_html_", "_repr_png_", "_repr_svg_")
    plain = {
        name
        for name, kind in kinds.items()
        if isinstance(kind, type)
        and not issubclass(kind, Exception)
        and not any(hasattr(kind, each) for each in shows)
    }
    assert plain == {"State"}, "three words, which its text says"
