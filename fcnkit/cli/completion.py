"""What Tab completes: templates, models, files, and the layers and blobs of the net that is named.

`fcnkit completion SHELL` prints the script that makes a shell ask; see SHELLS.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from fcnkit.cli.arguments import MODEL, TEMPLATE
from fcnkit.cli.settings import GIVEN

Found = Iterable[str]
# Parameters that name a net, whose layers the others of the command are about.
_NETS = ("net", "nets", "source", "sources", "second", "first", "new_net")


def complete(param: click.Parameter, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """What the value of this parameter may be that begins with `incomplete`."""
    kind = _KINDS.get((ctx.info_name or "", param.name or "")) or _by_metavar(param)
    if kind in ("file", "dir"):
        return [CompletionItem(incomplete, type=kind)]
    with suppress(Exception):  # Tab says nothing, whatever is wrong with what is there so far
        source = _SOURCES.get(kind)
        words = source(ctx, incomplete) if source else ()
        found = [CompletionItem(word) for word in words if word.startswith(incomplete)]
        return found + [CompletionItem(incomplete, type="file")] * (kind in _FILES_TOO)
    return []


def _by_metavar(param: click.Parameter) -> str:
    metavar = (param.metavar or "").strip("[].")
    if metavar in _METAVARS:
        return _METAVARS[metavar]
    if re.match(r"DIR\b|FOLDER\b", metavar):
        return "dir"
    return "file" if re.search(r"FILE|OUT|^IN$|IMAGE|LABEL|PREDICTION|SCRIPT|\.\w", metavar) else ""


# ---- what is known of a net


def _net(ctx: click.Context):
    """The first net that the command is given; StopIteration where there is none yet."""
    from fcnkit.cli.arguments import load_net

    # click reads no arguments where the last word is an option that has no value yet.
    words, _, _ = ctx.command.make_parser(ctx).parse_args(args=ctx.meta[GIVEN][:-1])
    found = (values.get(name) for values in (ctx.params, words) for name in _NETS)
    names = next(filter(None, found))
    return load_net(names if isinstance(names, str) else names[0])


def _layers(ctx: click.Context, incomplete: str = "") -> Found:
    fields = _net(ctx).root.all("layer", "layers")
    return dict.fromkeys(name.string for field in fields for name in field.all("name"))


def _blobs(ctx: click.Context, incomplete: str = "") -> Found:
    from fcnkit.nets.graph import graphs

    graph = graphs(_net(ctx))
    return dict.fromkeys(top.blob for each in graph for layer in each.layers for top in layer.tops)


def _inputs(ctx: click.Context, incomplete: str) -> Found:
    """NAME= of each input: the shape is the user's to say."""
    from fcnkit.nets.graph import graphs

    return dict.fromkeys(f"{top.blob}=" for graph in graphs(_net(ctx)) for top in graph.inputs)


def _pairs(ctx: click.Context, incomplete: str) -> Iterator[str]:
    """OLD= of each layer, behind the pairs that are whole."""
    whole, comma, _ = incomplete.rpartition(",")
    return (f"{whole}{comma}{layer}=" for layer in _layers(ctx))


def _operations(ctx: click.Context, incomplete: str) -> Iterator[str]:
    """The operations, and behind the "=" of one that is about layers or blobs their names."""
    from fcnkit.rewrites.operations import every

    name, equals, text = incomplete.partition("=")
    forms = {each.name: each.form for each in every()}
    if not equals:
        return (f"{each}=" if f"{each}=" in form else each for each, form in forms.items())
    names = {"LAYER": _layers, "OLD": _layers, "BLOB": _blobs, "MAP": _blobs}
    source = next(
        (names[word] for word in re.findall(r"[A-Z]+", forms[name]) if word in names), None
    )
    before = re.sub(r"[^,:]*$", "", text)
    return (f"{name}={before}{each}" for each in (source(ctx) if source else ()))


# ---- what is known without one


def _templates(ctx: click.Context, incomplete: str) -> Found:
    """The templates once their word is begun; before it the files alone."""
    if not incomplete:
        return ()
    from fcnkit.families import ABOUT

    name, slash, _ = incomplete.partition("/")
    if slash:
        return (f"{name}/deploy.prototxt", f"{name}/train_val.prototxt")
    return (f"{TEMPLATE}{each}" for each in ABOUT)


def _weights(ctx: click.Context, incomplete: str) -> Found:
    """The models that are here, once their word is begun."""
    if not incomplete:
        return ()
    from fcnkit import templates
    from fcnkit.models.cache import folder, recorded

    where = folder()
    names = sorted(os.listdir(where)) if os.path.isdir(where) else []
    kept = filter(None, (recorded(name, where) for name in names))
    cached = [each.model.name for each in kept if os.path.exists(each.file)]
    return (f"{MODEL}{name}" for name in (*templates.TRAINED, *cached))


def _weights_or_net(ctx: click.Context, incomplete: str) -> Iterator[str]:
    yield from _weights(ctx, incomplete)
    yield from _templates(ctx, incomplete)


def _models(ctx: click.Context, incomplete: str) -> Found:
    from fcnkit.models.index import known

    return (model.name for model in known())


def _findings(ctx: click.Context, incomplete: str) -> Found:
    from fcnkit.linting.walk import KINDS

    return KINDS


def _targets(ctx: click.Context, incomplete: str) -> Found:
    from fcnkit.targets.index import names

    return names()


def _engines(ctx: click.Context, incomplete: str) -> Iterator[str]:
    from fcnkit.engines.engine import names

    whole, comma, _ = incomplete.rpartition(",")
    return (f"{whole}{comma}{name}" for name in names())


def _devices(ctx: click.Context, incomplete: str) -> Found:
    return ("cpu", "cuda", "cuda:0", "cuda:1")


_SOURCES: dict[str, Callable[[click.Context, str], Found]] = {
    "net": _templates,
    "weights": _weights,
    "weights or net": _weights_or_net,
    "layer": _layers,
    "blob": _blobs,
    "input": _inputs,
    "pairs": _pairs,
    "operation": _operations,
    "model": _models,
    "finding": _findings,
    "target": _targets,
    "engine": _engines,
    "device": _devices,
}
_FILES_TOO = ("net", "weights", "weights or net", "target")
_METAVARS = {
    "NET": "net",
    "NET [WEIGHTS]|DIR": "weights or net",
    "NEW_NET": "net",
    "TRAIN_VAL": "net",
    "NET_OR_WEIGHTS": "weights or net",
    "WEIGHTS_OR_NET": "weights or net",
    "WEIGHTS": "weights",
    "NEW_WEIGHTS": "weights",
    "LAYER": "layer",
    "BLOB": "blob",
    "BLOB=N,C,H,W": "input",
    "BLOB=N,C,H,W|FILE.npy": "input",
    "OPERATION[=ARGS": "operation",
    "ENGINE,": "engine",
    "DEVICE": "device",
    "DATASET": "dir",
    "OLD=NEW,": "pairs",
}
# Parameters of which the metavar does not say enough, by the command's name and theirs.
_KINDS = {
    **{(command, "name"): "model" for command in ("fetch", "show")},
    ("lint", "targets"): "target",
    ("lint", "ignore"): "finding",
    ("convolutionalize", "rename"): "pairs",
    ("score", "numbers"): "file",
    **{
        (command, "weights"): "weights"
        for command in ("inspect", "lint", "upgrade", "convolutionalize", "fcn", "deploy", "train")
    },
}


# ---- shells

# To bash a word begins behind a ":" or "=", and what it is given stands behind that; but the
# command's word is the whole.
_BASH = r"""%(complete_func)s() {
    local line=${COMP_LINE:0:COMP_POINT} word=${COMP_WORDS[COMP_CWORD]} type value found typed=
    [[ $word == [:=] ]] && word=
    COMPREPLY=()
    while IFS=, read -r type value; do
        if [[ $type == typed ]]; then
            typed=$value
        elif [[ $type == plain ]]; then
            COMPREPLY+=("${value#"${typed%%"$word"}"}")
            [[ $value == *= ]] && compopt -o nospace
        elif [[ $type == dir || $type == file ]]; then
            compopt -o filenames
            while IFS= read -r found; do COMPREPLY+=("$found"); done \
                < <(compgen -A "${type/dir/directory}" -- "$word")
        fi
    done < <(env COMP_LINE="$line" %(complete_var)s=bash_complete "$1")
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Bash(BashComplete):
    """Bash, in which a word that is completed may hold ":" and "="."""

    source_template = _BASH

    def source(self) -> str:
        """The script; no bash is started to ask for its version."""
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is completed, and that one."""
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)[1:]
        typed = "" if line[-1:].isspace() or not words else words.pop()
        return words, typed

    def complete(self) -> str:
        """What the word is so far, behind an option's "=", and a line for each item."""
        _, typed = self.get_completion_args()
        if typed.startswith("-"):
            typed = typed.partition("=")[2]
        return f"typed,{typed}\n{super().complete()}"


# Zsh takes what it is given in place of the whole word, so that an option and its "=" are set apart
# first.  What ends in "=" gets no space behind it.
_ZSH = r"""#compdef %(prog_name)s

%(complete_func)s() {
    local -a plain open described
    local type value about
    (( ! $+commands[%(prog_name)s] )) && return 1
    [[ $PREFIX == --*=* ]] && compset -p $(( ${#PREFIX%%%%=*} + 1 ))
    for type value about in "${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
            %(complete_var)s=zsh_complete %(prog_name)s)}"; do
        case $type in
            plain) case $about in
                (_) [[ $value == *= ]] && open+=("$value") || plain+=("$value") ;;
                (*) described+=("$value:$about") ;;
            esac ;;
            dir) _path_files -/ ;;
            file) _path_files -f ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described
    (( $#plain )) && compadd -V unsorted -a plain
    (( $#open )) && compadd -V unsorted -S "" -a open
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"  # from a file in fpath
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


class Zsh(ZshComplete):
    """Zsh, in which a value may stand behind its option's "="."""

    source_template = _ZSH


# Fish compares what it is given with the whole word, an option and its "=" included.
_FISH = r"""function %(complete_func)s
    set -l option (string match -r -- '^--[^=]+=' (commandline -ct); or echo)
    for line in (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \
            COMP_CWORD=(commandline -ct) %(prog_name)s)
        set -l item (string split -m 1 "," -- $line)
        switch $item[1]
            case dir
                printf '%%s\n' $option(__fish_complete_directories $item[2])
            case file
                printf '%%s\n' $option(__fish_complete_path $item[2])
            case plain
                printf '%%s\n' $option$item[2]
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class Fish(FishComplete):
    """Fish, of values with a comma in them, or behind their option's "="."""

    source_template = _FISH


def register() -> None:
    """click asks ours for shells that its own serve less well."""
    for each in (Bash, Zsh, Fish):
        add_completion_class(each)


SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print the script for Tab completion in a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx, shell) -> None:
    """Print the script that makes Tab complete fcnkit's commands in a shell.

    Beside commands and options it completes template:NAME, model:NAME, files, the layers and blobs
    of the net named on the line, and the operations of `surgery --do`. A line in the shell's own
    file turns it on:

    \b
    ~/.bashrc                   eval "$(fcnkit completion bash)"
    ~/.zshrc, after compinit    eval "$(fcnkit completion zsh)"
    ~/.config/fish/config.fish  fcnkit completion fish | source

    \b
    fcnkit completion bash
    """
    from fcnkit.cli.text import say

    register()
    made = get_completion_class(shell)
    if made is not None:
        say(made(ctx.find_root().command, {}, "fcnkit", "_FCNKIT_COMPLETE").source())
