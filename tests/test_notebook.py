"""What a notebook shows."""

from fcnkit import notebook


def test_a_table_escapes_all_that_it_shows():
    page = notebook.table([("<a>", 1), ("b", 2)], head=("&", "n"), caption='"x"', note="<p>")
    assert page == (
        "<table><caption>&quot;x&quot;</caption><tr><th>&amp;</th><th>n</th></tr>"
        "<tr><td>&lt;a&gt;</td><td>1</td></tr><tr><td>b</td><td>2</td></tr></table><p>&lt;p&gt;</p>"
    )


def test_text_is_at_the_left_where_it_is_asked_for():
    page = notebook.table([("a",)], caption="x", left=True)
    assert page == "<table><caption>x</caption><tr><td style='text-align:left'>a</td></tr></table>"


def test_lines_stay_as_they_are():
    assert (
        notebook.text("a  <b>\n c") == "<pre style='font-family:monospace'>a  &lt;b&gt;\n c</pre>"
    )
