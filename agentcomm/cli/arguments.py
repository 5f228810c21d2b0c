"""A parser of arguments whose faults say what was meant, in the form of all our errors."""

import argparse
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, NoReturn, cast

from agentcomm.cli.codes import EXIT_USAGE

__all__ = ("Parser",)


_EXAMPLE = "for example: "


class Parser(argparse.ArgumentParser):
    """`argparse`, in plain words: what is wrong, and what was meant."""

    named: ClassVar["Parser | None"] = None
    """The command that was named last: what is left over is told by it, not by the root, as argparse would."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - its overloads say no more
        """Read arguments, as `argparse` does."""
        Parser.named = self
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end with the code for wrong use."""
        from agentcomm.cli.words import fault

        is_left_over = message.startswith("unrecognized arguments: ")
        what, fix = ((is_left_over and Parser.named) or self).plain(message)
        fault(f"U100 {what}\n  fix  {fix}")
        raise SystemExit(EXIT_USAGE)

    def plain(self, message: str) -> tuple[str, str]:
        """Return what is wrong, and what to do."""
        look = f"`{self.prog} --help` says how"
        for pattern, words in _WORDS:
            if found := re.fullmatch(pattern, message, re.DOTALL):
                what, fix = words(self, *found.groups())
                return what, fix or look
        return message, look

    def finish(self) -> None:
        """Say in each help what the command is for, and what its plain options do, where nothing else was written."""
        for action in self._actions:
            if action.help is None and action.option_strings == ["--json"]:
                action.help = "as JSON"
            verbs: Any = action  # argparse shows the commands under a command nowhere else
            if not hasattr(action, "_choices_actions"):
                continue
            about = {str(one.dest): str(one.help or "") for one in verbs._choices_actions}  # noqa: SLF001
            for name, child in cast("Mapping[str, Parser]", verbs.choices).items():
                text = about.get(name, "")
                child.description = child.description or f"{text[:1].upper()}{text[1:]}."
                epilog = child.epilog or ""
                if epilog.startswith(child.prog) and "\n" not in epilog:
                    child.epilog = f"{_EXAMPLE}{epilog}"
                child.finish()

    def known(self) -> dict[str, "Parser"]:
        """Return the commands under this one."""
        found: dict[str, Parser] = {}
        for action in self._actions:
            choices: Any = action.choices
            if isinstance(choices, Mapping):
                found |= choices
        return found

    def options(self) -> list[str]:
        """Return the options of this command."""
        return [word for action in self._actions for word in action.option_strings]


def _no_command(parser: Parser, word: str) -> tuple[str, str]:
    known = parser.known()
    if parser.prog.count(" ") == 0 and word == "help":
        return "there is no command 'help'", f"`{parser.prog} --help`, or `{parser.prog} COMMAND --help`"
    if close := get_close_matches(word, known, 1, cutoff=0.5):
        fix = f"did you mean `{parser.prog} {close[0]}`?"
    elif "run" in known and _is_name(word):
        fix = f"did you mean `{parser.prog} run {word}`?"
    elif parser.prog.count(" "):
        fix = f"name one of {', '.join(known)}"
    else:
        fix = f"`{parser.prog} --help` shows them all"
    return f"there is no command {f'{parser.prog} {word}'.removeprefix('agentcomm ')!r}", fix


def _is_name(word: str) -> bool:
    from agentcomm.cli.examples import example_names
    from agentcomm.protocol.library import names

    return word in {*example_names(), *names()}


def _left_over(parser: Parser, words: str) -> tuple[str, str]:
    first = words.split(maxsplit=1)[0]
    if not first.startswith("-"):
        return f"`{parser.prog}` does not know what to do with {first!r}", ""
    close = get_close_matches(first.partition("=")[0], parser.options(), 1, cutoff=0.6)
    close = [] if close == ["--help"] and not first.startswith("--h") else close
    if first in {"-v", "-V"} and "--version" in parser.options():
        close = ["--version"]
    return f"`{parser.prog}` has no option {first!r}", f"did you mean `{close[0]}`?" if close else ""


def _lacks(parser: Parser, names: str) -> tuple[str, str]:
    if names in {"COMMAND", "VERB"}:
        return f"`{parser.prog}` needs to know what to do", f"name one of {', '.join(parser.known())}"
    example = parser.epilog or ""
    return f"`{parser.prog}` needs {_listed(names.split(', '), 'and')}", example if example.startswith(
        _EXAMPLE
    ) else ""


def _no_choice(_parser: Parser, option: str, given: str, choices: str) -> tuple[str, str]:
    known = [choice.strip().strip("'") for choice in choices.split(",")]
    close = get_close_matches(given.strip("'"), known, 1, cutoff=0.5)
    fix = f"did you mean {close[0]!r}?" if close else f"choose {_listed(known, 'or')}"
    return f"{_first(option)} cannot be {given}", fix


def _first(option: str) -> str:
    """Return one name of an option that has several."""
    return max(option.split("/"), key=lambda name: name.startswith("--"))


def _listed(words: Iterable[str], joined: str) -> str:
    *most, last = words
    return f"{', '.join(most)} {joined} {last}" if most else last


def _no_value(_parser: Parser, option: str) -> tuple[str, str]:
    return f"{_first(option)} needs a value", ""


def _no_number(_parser: Parser, option: str, kind: str, given: str) -> tuple[str, str]:
    return f"{_first(option)} takes a {'whole number' if kind == 'int' else 'number'}, not {given}", ""


def _lacks_one_of(parser: Parser, names: str) -> tuple[str, str]:
    return f"`{parser.prog}` needs {_listed(names.split(), 'or')}", ""


def _not_together(_parser: Parser, one: str, other: str) -> tuple[str, str]:
    return f"{_first(one)} and {_first(other)} do not go together", "leave one of them out"


def _ambiguous(_parser: Parser, given: str, names: str) -> tuple[str, str]:
    return f"{given} may be {_listed(names.split(', '), 'or')}", "write more of it"


_WORDS: tuple[tuple[str, Callable[..., tuple[str, str]]], ...] = (
    (r"argument (?:COMMAND|VERB): invalid choice: '([^']*)'.*", _no_command),
    (r"unrecognized arguments: (.*)", _left_over),
    (r"the following arguments are required: (.*)", _lacks),
    (r"argument (\S+): invalid choice: (\S+) \(choose from (.*)\)", _no_choice),
    (r"argument (\S+): expected .*", _no_value),
    (r"argument (\S+): invalid (\w+) value: (.*)", _no_number),
    (r"one of the arguments (.*) is required", _lacks_one_of),
    (r"argument (\S+): not allowed with argument (\S+)", _not_together),
    (r"ambiguous option: (\S+) could match (.*)", _ambiguous),
)
"""What `argparse` says, and who says it in our words."""
