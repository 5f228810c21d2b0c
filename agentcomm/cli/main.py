"""The command line: words on a terminal.

Exit codes: 0 all is well; 1 findings, a difference or a damaged record; 2 wrong use; 3 the conversation ended otherwise than
well; 4 something outside failed; 70 we failed; 130 stopped by Ctrl-C.
"""

import argparse
import io
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn, cast

from agentcomm.cli.codes import EXIT_FINDINGS, EXIT_OUTSIDE, EXIT_STOPPED, EXIT_US, EXIT_USAGE
from agentcomm.errors import AgentcommError, EdgeError, InternalError, ProtocolError, RecordError, UsageError

__all__ = ("entry", "main", "parser")

EPILOG = """\
exit codes: 0 well; 1 findings or a difference; 2 wrong use; 3 the conversation did not end well;
4 something outside failed; 70 our fault; 130 stopped by Ctrl-C
"""


FIRST = """\
agentcomm: conversations between agents that work in production.

  agentcomm run incident-handoff --model scripted   watch one now; no model is needed
  agentcomm run incident-handoff                    the same with a model: Ollama's, else a small one in process
  agentcomm new shop && cd shop && pytest           a project of your own: protocol, agents, tests
  agentcomm show                                    the protocols and examples that are there
  agentcomm check FILE                              what is wrong with a protocol, where, why, and how to mend it
  agentcomm doctor                                  what is there on this machine, and what it can do
  agentcomm --help                                  every command; each has --help

Nothing was done: name a command."""


class _Parser(argparse.ArgumentParser):
    """A parser whose faults say what was meant, in the form of all our errors."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end with the code for wrong use."""
        from difflib import get_close_matches

        from agentcomm.cli.words import fault

        fix = f"{self.prog} --help"
        if found := re.match(r"argument COMMAND: invalid choice: '([^']*)'", message):
            known = [str(name) for action in self._actions for name in action.choices or ()]
            message = f"there is no command {found[1]!r}"
            if close := get_close_matches(found[1], known, 1, cutoff=0.5):
                fix = f"did you mean `{self.prog} {close[0]}`?"
        elif found := re.match(r"unrecognized arguments: (\S+)", message):
            message = f"{self.prog} has no option {found[1]!r}" if found[1].startswith("-") else message
            if close := get_close_matches(found[1], self._options(), 1, cutoff=0.6):
                fix = f"did you mean `{close[0]}`?"
        fault(f"U100 {message}\n  fix  {fix}")
        raise SystemExit(EXIT_USAGE)

    def _options(self) -> list[str]:
        """Return the options of the command that was named, else of all."""
        found = [word for action in self._actions for word in action.option_strings]
        for action in self._actions:
            choices = cast("object", action.choices)
            if isinstance(choices, Mapping):
                children = cast("Mapping[str, argparse.ArgumentParser]", choices)
                named = [child for name, child in children.items() if name in sys.argv[1:2]]
                for child in named or children.values():
                    found += [word for one in child._actions for word in one.option_strings]  # noqa: SLF001
        return found


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    from agentcomm.cli import (
        check,
        compare,
        completion,
        conforms,
        conversations,
        differ,
        doctor,
        import_,
        judge,
        lab,
        new,
        protocols,
        replay,
        run,
        schema,
        serve,
        show,
        trace,
        types,
    )

    made = _Parser(
        prog="agentcomm",
        description="Conversations between agents that work in production.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="store_true", help="print the version and stop")
    commands = made.add_subparsers(dest="command", metavar="COMMAND")
    for module in (
        run,
        serve,
        conversations,
        check,
        show,
        protocols,
        new,
        import_,
        differ,
        types,
        schema,
        trace,
        replay,
        conforms,
        judge,
        lab,
        doctor,
        compare,
        completion,
    ):
        module.add_to(commands)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a character gets its number
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _main(arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _main(arguments: Sequence[str] | None) -> int:
    from agentcomm.cli.words import fault

    commands = parser()
    options = commands.parse_args(arguments)
    if options.version:
        from agentcomm.version import VERSION

        print(f"agentcomm {VERSION}")
        return 0
    if options.command is None:
        print(FIRST)
        return EXIT_USAGE
    try:
        code = options.call(options)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return EXIT_STOPPED
    except ProtocolError as error:
        fault(str(error))
        return EXIT_FINDINGS
    except RecordError as error:
        fault(str(error))
        return EXIT_FINDINGS
    except UsageError as error:
        fault(str(error))
        return EXIT_USAGE
    except EdgeError as error:
        fault(str(error))
        return EXIT_OUTSIDE
    except InternalError as error:
        fault(str(error))
        return EXIT_US
    except AgentcommError as error:  # pragma: no cover  (the families above are all there are)
        fault(str(error))
        return EXIT_US
    except Exception as error:
        if os.environ.get("AGENTCOMM_DEBUG"):
            raise
        name = type(error).__name__
        fault(
            f"X900 {name}: {error}\n  why  this should not happen\n  fix  please report it; AGENTCOMM_DEBUG=1 shows where"
        )
        return EXIT_US
    return int(code)


def entry() -> None:
    """Run one command and end the process."""
    code = main()
    if code == EXIT_STOPPED:  # everything is written; a model that is still busy must not hold up the end
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    entry()
