"""Writes docs/commands: a page for each command, made of what `--help` shows.

click formats its help through a formatter; the one here writes Markdown in place of text for a
terminal, so that the page says all that the help says, sections of a command's own included.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

# What click puts behind an option's text: [default: 12; x>=1], [required].
EXTRA = re.compile(r"\s*\[((?:default: |env var: |required\b|[-\w.]+<=?x|x[<>]=?)[^\[\]]*)\]$")
SPECIAL = re.compile(r"([\\*_<>\[\]{}$~|#])")
CODE = re.compile(r"(`[^`]+`)")
# The same, or an option in the midst of words, which a page sets as code.
CODE_OR_BARE = re.compile(r"`[^`]+`|(?<![\w-])--?[a-z][\w-]*(?!\w)")
# A terminal so wide that click cuts no line of help short.
WIDTH = 10_000


def escaped(text: str) -> str:
    """Text whose only markup is code in backticks, as Markdown."""
    parts = CODE.split(CODE_OR_BARE.sub(as_code, text))
    return "".join(
        part if part.startswith("`") and len(part) > 1 else SPECIAL.sub(r"\\\1", part)
        for part in parts
    )


def as_code(match: re.Match[str]) -> str:
    """Code as it is, and an option between backticks."""
    return match[0] if match[0].startswith("`") else f"`{match[0]}`"


def paragraphs(text: str) -> Iterator[str]:
    """The Markdown of a command's description; a paragraph that starts with \\b keeps its lines."""
    for part in re.split(r"\n[ \t]*\n", text.strip("\n")):
        if part.lstrip().startswith("\b"):
            yield block(part.lstrip()[1:].strip("\n"))
        else:
            yield escaped(" ".join(part.split()))


def block(text: str) -> str:
    """Lines as they stand: commands, or a table."""
    lines = text.splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    kind = "sh" if re.match(r"\s*(?:fcnkit|caffe|eval) ", text) else "text"
    return "\n".join([f"```{kind}", *(line[margin:] for line in lines), "```"])


class Markdown(click.HelpFormatter):
    """A formatter of click's that writes Markdown."""

    def __init__(self, deeper: int, path: Sequence[str]) -> None:
        super().__init__(width=WIDTH, max_width=WIDTH)
        self.path = path
        self.deeper = "#" * deeper
        self.options: dict[str, click.Option] = {}

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """How the command is called."""
        self.write(f"```text\n{f'{prog} {args}'.strip()}\n```\n\n")

    def write_text(self, text: str) -> None:
        """The description, or what stands behind the options."""
        self.write("\n\n".join(paragraphs(text)) + "\n\n")

    def write_heading(self, heading: str) -> None:
        """Options, commands, or a section of the command's own."""
        self.named = heading
        self.write(f"{self.deeper}# {heading}\n\n")

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """A section, under its heading."""
        self.write_heading(name)
        yield

    def write_dl(
        self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Options, each under a name that can be linked to; or other words with what they mean."""
        others = [row for row in rows if not row[0].startswith("-")]
        for term, text in rows:
            if term.startswith("-"):
                self.write(option(term, text, self.options.get(term)))
        if others:
            noun = re.match(r"\w+?(?=s?\b)", self.named)[0].lower()
            rows = [self.row(*each) for each in others]
            self.write("\n".join([f"| {noun} | |", "|---|---|", *rows, "\n"]))

    def row(self, term: str, text: str) -> str:
        """A row of a table: a word, and what it means; that of a command leads to its section."""
        shown = "`{}`".format(term.replace("|", "\\|"))
        if self.named == "Commands":
            shown = f"[{shown}](#{'-'.join((*self.path, term))})"
        return f"| {shown} | {escaped(' '.join(text.split()))} |"


def option(term: str, text: str, param: click.Option | None) -> str:
    """An option with its value, its default and its range."""
    extra = EXTRA.search(text)
    facts = extra[1].split("; ") if extra else []
    said = escaped(" ".join((text[: extra.start()] if extra else text).split()))
    default = getattr(param, "default", None)
    plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    if plain and default != "" and not any(fact.startswith("default") for fact in facts):
        facts.insert(0, f"default: {default}")
    if getattr(param, "multiple", False) and "repeated" not in text:
        facts.append("may be repeated")
    lines = [f"````{{option}} {signature(term)}", "", said]
    if facts:
        lines += ["", f"({'; '.join(map(fact_text, facts))})"]
    return "\n".join([*lines, "````", "", ""])


def fact_text(fact: str) -> str:
    """default: 12, x>=1 or required, as Markdown."""
    name, colon, value = fact.partition(": ")
    if colon:
        return f"{name}: `{value}`"
    return f"range: `{fact}`" if re.search("[<>]", fact) else fact


def signature(term: str) -> str:
    """-o, --output DIR as Sphinx reads it: each of the names with the value."""
    found = re.fullmatch(r"((?:-[\w-]+(?:, | / )?)+)(?: (.+))?", term)
    if not found:
        return term
    names = re.split(r", | / ", found[1].rstrip())
    return ", ".join(f"{name} {found[2]}" if found[2] else name for name in names)


def context(command: click.Command, path: Sequence[str]) -> click.Context:
    """A context in which the command is called by its whole name."""
    above = None
    for name in path[:-1]:
        above = click.Context(click.Command(name), info_name=name, parent=above)
    settings = {"help_option_names": ["-h", "--help"]}
    return click.Context(command, info_name=path[-1], parent=above, **settings)


def help_of(command: click.Command, path: Sequence[str], deeper: int) -> str:
    """All that the command's help says, as Markdown."""
    ctx = context(command, path)
    formatter = Markdown(deeper, path)
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record and isinstance(param, click.Option):
            formatter.options[record[0]] = param
    program = "```{program} " + " ".join(path) + "\n```\n\n"
    command.format_help(ctx, formatter)
    return program + formatter.getvalue()


def below(command: click.Command) -> dict[str, click.Command]:
    """The commands of a command, in their order."""
    return dict(getattr(command, "commands", {}))


def page(command: click.Command, name: str) -> str:
    """The page of a command, and of those below it."""
    parts = [f"# fcnkit {name}\n", help_of(command, ("fcnkit", name), 1)]
    for word, each in below(command).items():
        parts += [f"## fcnkit {name} {word}\n", help_of(each, ("fcnkit", name, word), 2)]
    return "\n".join(parts).rstrip() + "\n"


def index(main: click.Group) -> str:
    """The page that lists the commands."""
    rows = []
    for name, command in main.commands.items():
        rows.append(f"[`{name}`]({name}.md)\n: {escaped(command.get_short_help_str(WIDTH))}\n")
    ctx = context(main, ("fcnkit",))
    formatter = Markdown(1, ("fcnkit",))
    main.format_usage(ctx, formatter)
    main.format_help_text(ctx, formatter)
    click.Command.format_options(main, ctx, formatter)
    toctree = ["```{toctree}", ":hidden:", "", *main.commands, "```"]
    return "\n".join(
        [
            "# Commands\n",
            "```{program} fcnkit\n```\n",
            formatter.getvalue(),
            "## Every command\n",
            *rows,
            *toctree,
            "",
        ]
    )


def pages() -> dict[str, str]:
    """Every page by the name of its file."""
    from fcnkit.cli.main import main

    found = {f"{name}.md": page(command, name) for name, command in main.commands.items()}
    return {"index.md": index(main), **found}


def write(app) -> None:
    """The pages, in docs/commands; one that is as it was is left as it was."""
    folder = Path(app.srcdir) / "commands"
    folder.mkdir(exist_ok=True)
    made = pages()
    for old in folder.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        file = folder / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app) -> dict:
    """Makes Sphinx write the pages before it reads any."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
