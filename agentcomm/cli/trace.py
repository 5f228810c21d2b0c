"""`agentcomm trace`: read transcripts."""

from typing import Any

from agentcomm.cli import trace_audit, trace_compare, trace_draw, trace_prompt, trace_read

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "trace",
        help="read transcripts: list, show, tail, prompt, diagram, html, diff, stats, verify, erase, push",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for module in (trace_read, trace_prompt, trace_draw, trace_compare, trace_audit):
        module.add_to(verbs)
