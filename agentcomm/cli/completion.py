"""`agentcomm completion`: what makes a shell complete commands, options and names; drawn from the parser itself."""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

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
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" at="" part options="" values=""
    for part in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$part" in -*) continue ;; esac
        case "${{at:+$at }}$part" in
            {paths}) at="${{at:+$at }}$part" ;;
            *) break ;;
        esac
    done
    case "$at $before" in
{taken}
    esac
    case "$at" in
{cases}
    esac
    case "$word" in
        -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
        *) COMPREPLY=($(compgen -W "$values" -- "$word")) ;;
    esac
}}
complete -o bashdefault -o default -F _agentcomm agentcomm
"""
_BASH_TAKEN = '        "{at} {option}") COMPREPLY=($(compgen -W "{values}" -- "$word")); return ;;'
_BASH_CASE = '        "{at}") options="{options}" values="{values}" ;;'

_ZSH = """\
#compdef agentcomm
_agentcomm() {{
    local at="" part before="$words[CURRENT-1]"
    local -a commands options values
    commands=({commands})
    for part in "${{(@)words[2,CURRENT-1]}}"; do
        case "$part" in (-*) continue ;; esac
        case "${{at:+$at }}$part" in
            ({paths}) at="${{at:+$at }}$part" ;;
            (*) break ;;
        esac
    done
    case "$at $before" in
{taken}
    esac
    case "$at" in
{cases}
    esac
    if [[ "$words[CURRENT]" == -* ]]; then
        compadd -- $options
    elif [[ -z "$at" ]]; then
        _describe command commands
    else
        compadd -- $values || _files
    fi
}}
_agentcomm "$@"
"""
_ZSH_TAKEN = '        ("{at} {option}") {do}; return ;;'
_ZSH_CASE = '        ("{at}") options=({options}) values=({values}) ;;'


class _Place(NamedTuple):
    """What may follow one command, or the verb of one."""

    at: str
    """Such as `show` or `trace show`; empty for the beginning."""
    about: str
    options: list[str]
    values: list[str]
    taken: dict[str, list[str]]
    """Option that takes a value -> the values, as far as they are known."""


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
    top = ["--help", "--version"]
    found = [_Place("", "", top, list(commands.choices), {}), *_places(commands, "")]
    make = {"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell]
    print(make(found), end="")
    note(f"to keep it: {_HOW[options.shell]}")
    return 0


def _places(commands: Any, above: str) -> Iterator[_Place]:
    """Yield what may follow each command, and each of its verbs."""
    names = _names()
    about = {choice.dest: choice.help or "" for choice in commands._choices_actions}  # noqa: SLF001 - argparse shows its commands nowhere else
    for name, child in commands.choices.items():
        place = _Place(f"{above} {name}".strip(), about.get(name, ""), [], [], {})
        for one in child._actions:  # noqa: SLF001
            known: Any = one.choices
            if isinstance(known, Mapping):  # its verbs
                yield from _places(one, name)
            place.options.extend(word for word in one.option_strings if word.startswith("--"))
            choices = [str(choice) for choice in cast("Iterable[object]", known or ())]
            if not one.option_strings:
                place.values.extend(choices)
            elif one.nargs != 0:
                place.taken.update(dict.fromkeys(one.option_strings, choices))
        place.values.extend(names if place.at in _NAMED else ())
        yield place


def _names() -> list[str]:
    from agentcomm.cli.examples import example_names
    from agentcomm.protocol.library import names

    return [*example_names(), *names()]


def _paths(found: Sequence[_Place]) -> str:
    return "|".join(f'"{place.at}"' for place in found if place.at)


def _bash(found: Sequence[_Place]) -> str:
    cases = (
        _BASH_CASE.format(at=one.at, options=" ".join(one.options), values=" ".join(one.values))
        for one in found
    )
    taken = (
        _BASH_TAKEN.format(at=one.at, option=option, values=" ".join(values))
        for one in found
        for option, values in one.taken.items()
    )
    return _BASH.format(paths=_paths(found), cases="\n".join(cases), taken="\n".join(taken))


def _zsh(found: Sequence[_Place]) -> str:
    commands = " ".join(f"'{one.at}:{_quoted(one.about)}'" for one in found if one.at and " " not in one.at)
    cases = (
        _ZSH_CASE.format(at=one.at, options=" ".join(one.options), values=" ".join(one.values))
        for one in found
    )
    taken = (
        _ZSH_TAKEN.format(
            at=one.at, option=option, do=f"compadd -- {' '.join(values)}" if values else "_files"
        )
        for one in found
        for option, values in one.taken.items()
    )
    return _ZSH.format(paths=_paths(found), commands=commands, cases="\n".join(cases), taken="\n".join(taken))


def _fish(found: Sequence[_Place]) -> str:
    lines = ["# fish completion for agentcomm"]
    for one in found:
        words = one.at.split()
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in words)
        if len(words) == 1:
            lines.append(
                f"complete -c agentcomm -n __fish_use_subcommand -f -a {one.at} -d '{_quoted(one.about)}'"
            )
        condition = seen or "__fish_use_subcommand"
        for option in one.options:
            values = one.taken.get(option)
            given = f" -x -a '{' '.join(values)}'" if values else " -r" if values is not None else ""
            lines.append(f"complete -c agentcomm -n '{condition}' -l {option[2:]}{given}")
        if words and one.values:
            none_yet = f"; and not __fish_seen_subcommand_from {' '.join(one.values)}"
            files = "" if one.at in _NAMED else " -f"
            lines.append(
                f"complete -c agentcomm -n '{condition}{none_yet}'{files} -a '{' '.join(one.values)}'"
            )
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return text.replace("'", "").replace(":", " ").replace("\\", "")
