"""`agentcomm completion`: what makes a shell complete commands, options and names; drawn from the parser itself."""

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any

from agentcomm.cli.words import note

__all__ = ("add_to",)

_HOW = {
    "bash": "agentcomm completion bash > ~/.local/share/bash-completion/completions/agentcomm",
    "zsh": "agentcomm completion zsh > ~/.zfunc/_agentcomm   # with ~/.zfunc in $fpath, before compinit",
    "fish": "agentcomm completion fish > ~/.config/fish/completions/agentcomm.fish",
}
_NAMED = {"run", "check", "show", "types", "diff", "conforms", "lab"}
"""Commands that take names of examples or protocols."""

_BASH = """\
# bash completion for agentcomm
_agentcomm() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" command="" part
    for part in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$part" in -*) ;; *) command="${{command:+$command }}$part"; break ;; esac
    done
    case "$command" in
{cases}
        *) COMPREPLY=($(compgen -W "{top}" -- "$word")) ;;
    esac
}}
complete -o bashdefault -o default -F _agentcomm agentcomm
"""
_BASH_CASE = '        {name}) COMPREPLY=($(compgen -W "{words}" -- "$word")) ;;'

_ZSH = """\
#compdef agentcomm
_agentcomm() {{
    local -a commands words
    commands=({commands})
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    case "$words[2]" in
{cases}
    esac
    local -a given
    given=(${{(s: :)list}})
    compadd -- $given
    _files
}}
_agentcomm "$@"
"""
_ZSH_CASE = '        {name}) local list="{words}" ;;'


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "completion",
        help="print what makes your shell complete agentcomm",
        description="Print a script that makes a shell complete commands, options, examples and protocols.",
        epilog="\n".join(_HOW.values()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=tuple(_HOW))
    parser.set_defaults(call=partial(completion, commands))


def completion(commands: Any, options: argparse.Namespace) -> int:
    """Print the script."""
    found = dict(_commands(commands))
    make = {"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell]
    print(make(found), end="")
    note(f"to keep it: {_HOW[options.shell]}")
    return 0


def _commands(commands: Any) -> Iterator[tuple[str, tuple[str, list[str]]]]:
    """Yield each command with its help, and the words that may follow it."""
    names = _names()
    about = {choice.dest: choice.help or "" for choice in commands._choices_actions}  # noqa: SLF001 - argparse shows its commands nowhere else
    for name, child in commands.choices.items():
        words: list[str] = []
        for one in child._actions:  # noqa: SLF001
            words += [word for word in one.option_strings if word.startswith("--")]
            if one.choices and not one.option_strings:
                words += map(str, one.choices)
        yield name, (about.get(name, ""), [*words, *(names if name in _NAMED else ())])


def _names() -> list[str]:
    from agentcomm.cli.examples import example_names
    from agentcomm.protocol.library import names

    return [*example_names(), *names()]


def _bash(found: dict[str, tuple[str, list[str]]]) -> str:
    cases = "\n".join(
        _BASH_CASE.format(name=name, words=" ".join(words)) for name, (_, words) in found.items()
    )
    return _BASH.format(cases=cases, top=" ".join([*found, "--help", "--version"]))


def _zsh(found: dict[str, tuple[str, list[str]]]) -> str:
    commands = " ".join(f"'{name}:{_quoted(about)}'" for name, (about, _) in found.items())
    cases = "\n".join(
        _ZSH_CASE.format(name=name, words=" ".join(words)) for name, (_, words) in found.items()
    )
    return _ZSH.format(commands=commands, cases=cases)


def _fish(found: dict[str, tuple[str, list[str]]]) -> str:
    lines = ["# fish completion for agentcomm"]
    for name, (about, words) in found.items():
        lines.append(f"complete -c agentcomm -n __fish_use_subcommand -f -a {name} -d '{_quoted(about)}'")
        options = [word[2:] for word in words if word.startswith("--")]
        lines += [
            f"complete -c agentcomm -n '__fish_seen_subcommand_from {name}' -l {word}" for word in options
        ]
        values = [word for word in words if not word.startswith("--")]
        if values:
            lines.append(
                f"complete -c agentcomm -n '__fish_seen_subcommand_from {name}' -a '{' '.join(values)}'"
            )
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return text.replace("'", "").replace(":", " ").replace("\\", "")
