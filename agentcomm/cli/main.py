"""The command line: words on a terminal.

Exit codes: 0 all is well; 1 findings, a difference or a damaged record; 2 wrong use; 3 the conversation ended otherwise than
well; 4 something outside failed; 70 we failed; 130 stopped by Ctrl-C.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence

from agentcomm.cli.codes import EXIT_FINDINGS, EXIT_OUTSIDE, EXIT_STOPPED, EXIT_US, EXIT_USAGE
from agentcomm.errors import AgentcommError, EdgeError, InternalError, ProtocolError, RecordError, UsageError

__all__ = ("entry", "main", "parser")

EPILOG = """\
exit codes: 0 well; 1 findings or a difference; 2 wrong use; 3 the conversation did not end well;
4 something outside failed; 70 our fault; 130 stopped by Ctrl-C
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    from agentcomm.cli import (
        check,
        compare,
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

    made = argparse.ArgumentParser(
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
        commands.print_help()
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
