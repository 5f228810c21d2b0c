"""The command line: words on a terminal.

Exit codes: 0 all is well; 1 findings, a difference or a damaged record; 2 wrong use; 3 the conversation ended otherwise than
well; 4 something outside failed; 70 we failed; 130 stopped by Ctrl-C.
"""

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence

from agentcomm.cli.arguments import Parser
from agentcomm.cli.codes import EXIT_FINDINGS, EXIT_OUTSIDE, EXIT_STOPPED, EXIT_US, EXIT_USAGE
from agentcomm.errors import AgentcommError, EdgeError, InternalError, ProtocolError, RecordError, UsageError

__all__ = ("entry", "main", "parser")

EPILOG = """\
exit codes: 0 well; 1 findings or a difference; 2 wrong use; 3 the conversation
did not end well; 4 something outside failed; 70 our fault; 130 stopped
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


def parser() -> Parser:
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

    made = Parser(
        prog="agentcomm",
        description="Conversations between agents that work in production.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made._positionals.title = "commands"  # noqa: SLF001 - argparse calls them "positional arguments"
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
    made.finish()
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    sys.stdout = sys.stdout or _nowhere()  # a caller may have closed them
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a character gets its number
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _main(arguments)
    except BrokenPipeError:
        from agentcomm.cli.words import drop_output

        drop_output(sys.stdout)
        return 0


def _nowhere() -> io.TextIOWrapper:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - lives as long as the process


def _main(arguments: Sequence[str] | None) -> int:
    from agentcomm.cli.words import drop_output, fault

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
    except OSError as error:  # a full disk, a terminal that was closed, a file that went away
        if os.environ.get("AGENTCOMM_DEBUG"):
            raise
        reason = (error.strerror or str(error)).lower()
        drop_output(sys.stdout)  # or Python says so once more at its end
        where = f"{error.filename}: " if error.filename else ""
        fix = "check the path and its permissions" if where else "check where the output goes to"
        with contextlib.suppress(OSError):
            fault(f"{where}X100 cannot read or write: {reason}\n  fix  {fix}")
        return EXIT_OUTSIDE
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
