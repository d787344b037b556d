"""Completion in bash, zsh and fish: a short script asks the program itself what can come next.

The scripts are ours, so that those of a package go with any click that it runs with. They hand over the
words up to the cursor, and all of them; the answer has a line for each value: kind, a tab, the value, a tab,
its help.
`file` and `dir` leave it to the shell. click's own part is the parsing (its "Shell Completion" chapter).
"""

import os
import shlex
from typing import ClassVar

from click.shell_completion import CompletionItem, ShellComplete, add_completion_class

from mkpxeinit.errors import printable

NAMES = {
    "bash": "bash/mkpxeinit",
    "zsh": "zsh/_mkpxeinit",
    "fish": "fish/mkpxeinit.fish",
}

_BASH = """\
# Completion of mkpxeinit for bash; written by mkpxeinit.
_mkpxeinit() {
    local kind value help
    COMPREPLY=()
    while IFS=$'\\t' read -r kind value help; do
        case $kind in
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
            *)
                COMPREPLY+=("$value")
                case $value in *=) compopt -o nospace ;; esac
                ;;
        esac
    done < <(COMP_TEXT="${COMP_LINE:0:COMP_POINT}" COMP_ALL="$COMP_LINE" COMP_PART="$2" \\
        _MKPXEINIT_COMPLETE=bash_complete "$1")
}
complete -F _mkpxeinit mkpxeinit
"""
_ZSH = """\
#compdef mkpxeinit
# Completion of mkpxeinit for zsh; written by mkpxeinit.
_mkpxeinit() {
    local kind value help name
    local -a plain open
    while IFS=$'\\t' read -r kind value help; do
        case $kind in
            file|dir)
                name=${words[CURRENT]%%=*}=
                [[ ${words[CURRENT]} == -*=* ]] && compset -p ${#name}
                if [[ $kind == dir ]]; then _path_files -/; else _path_files; fi
                ;;
            *)
                if [[ $value == *' '* ]]; then
                    [[ $value == *= ]] && compadd -S '' -- "$value" || compadd -- "$value"
                    continue
                fi
                value=${value//:/\\\\:}
                if [[ $value == *= ]]; then open+=("$value:$help"); else plain+=("$value:$help"); fi
                ;;
        esac
    done < <(COMP_WORDS="${(pj:\\n:)words[2,CURRENT-1]}" COMP_PART="${words[CURRENT]}" \\
        COMP_ALL="${(pj:\\n:)words}" _MKPXEINIT_COMPLETE=zsh_complete "${words[1]}")
    (( $#plain )) && _describe -V mkpxeinit plain
    (( $#open )) && _describe -V mkpxeinit open -S ''
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _mkpxeinit "$@"; else compdef _mkpxeinit mkpxeinit; fi
"""
_FISH = """\
# Completion of mkpxeinit for fish; written by mkpxeinit.
function __mkpxeinit
    set -l part (commandline -ct)
    for line in (env COMP_WORDS=(commandline -opc | string join \\n | string collect) COMP_PART=$part \\
            COMP_ALL=(commandline -op | string join \\n | string collect) \\
            _MKPXEINIT_COMPLETE=fish_complete (commandline -opc)[1])
        set -l cells (string split \\t -- $line)
        switch $cells[1]
            case file dir
                set -l name (string match -r -- '^-[^=]*=' $part)
                for path in (__fish_complete_path (string replace -r -- '^-[^=]*=' '' $part))
                    echo "$name"$path
                end
            case '*'
                echo $cells[2]\\t$cells[3]
        end
    end
end
complete -c mkpxeinit -f -a '(__mkpxeinit)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


class _Words(ShellComplete):
    """Reads the words before the cursor, a line each, and the one at the cursor, as zsh and fish see them."""

    source_template = ""
    skipped: ClassVar[int] = 0

    def source(self) -> str:
        """Return the shell's script."""
        return SCRIPTS[self.name]

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words after the program's name, and the one to complete."""
        words = os.environ.get("COMP_WORDS", "")
        self.ctx_args["obj"] = tuple(os.environ.get("COMP_ALL", "").split("\n"))
        self.part = os.environ.get("COMP_PART", "")
        return words.split("\n")[self.skipped :] if words else [], self.part

    def format_completion(self, item: CompletionItem) -> str:
        """Return a line of the answer; the value is the whole word at the cursor."""
        option, equals, _ = self.part.partition("=")
        before = option + equals if equals and option.startswith("-") and item.type == "plain" else ""
        return f"{item.type}\t{before}{printable(item.value)}\t{printable(item.help or '')}"


class Zsh(_Words):
    """zsh hands over its array `words` without the program's name, with quotes and all."""

    name = "zsh"

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words after the program's name, and the one to complete, without their quotes."""
        words, part = super().get_completion_args()
        self.part = _unquoted(part)
        self.ctx_args["obj"] = tuple(map(_unquoted, self.ctx_args["obj"]))
        return [_unquoted(each) for each in words], self.part


class Fish(_Words):
    """fish hands over all words up to the one at the cursor, the program's name first."""

    name = "fish"
    skipped: ClassVar[int] = 1


class Bash(_Words):
    """bash takes words apart at `=` and `:` too, so the line itself is handed over."""

    name = "bash"

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words after the program's name, and the one to complete."""
        text = os.environ.get("COMP_TEXT", "")
        self.ctx_args["obj"] = tuple(_split(os.environ.get("COMP_ALL", "")))
        words = _split(text)
        self.part = words.pop() if words and not text[-1:].isspace() else ""
        return words[1:], self.part

    def format_completion(self, item: CompletionItem) -> str:
        """Return a line of the answer: of the value, what bash takes for the word at the cursor."""
        whole = self.part.partition("=")[2] if self.part.startswith("-") and "=" in self.part else self.part
        here = os.environ.get("COMP_PART", "")
        # At the cursor directly behind a separator bash's word is that separator, or nothing.
        here = "" if here in ("=", ":") else here
        value = printable(item.value)
        cut = len(whole) - len(here) if whole.endswith(here) else 0
        return f"{item.type}\t{value[cut:]}\t"


def _split(text: str) -> list[str]:
    """Return the words of a command line; of one that is not at its end, what there is of the last."""
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:  # a quote that is still open
        words.append(lexer.token)
    return words


def _unquoted(word: str) -> str:
    """Return a word as the shell reads it."""
    return " ".join(_split(word))


def register() -> None:
    """Take the place of click's own classes."""
    for each in (Bash, Zsh, Fish):
        add_completion_class(each)
