"""`agentcomm replay`: hold a recorded conversation again; no model is called."""

import argparse
from typing import Any

from agentcomm.cli.words import print_json, style

__all__ = ("add_to",)


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "replay", help="fold a transcript through the core again; exit 1 if anything differs"
    )
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="a transcript; without it the newest in ./transcripts"
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(call=replay_file)


def replay_file(options: argparse.Namespace) -> int:
    """Replay a transcript; returns 1 if anything differs."""
    from agentcomm.cli.transcripts import find
    from agentcomm.runtime.replay import read_transcript, replay

    path = find(options.file)
    transcript = read_transcript(path)
    found = replay(transcript)
    outcome = found.conversation.outcome
    name = outcome.name if outcome else f"open, in {found.conversation.position!r}"
    if options.json:
        print_json(
            {
                "same": found.same,
                "difference": found.first_difference or None,
                "outcome": outcome.name if outcome else None,
                "state": found.state_hash,
                "sealed": transcript.seal is not None,
            }
        )
        return int(not found.same)
    colour = style()
    inputs = sum(record.kind == "input" for record in transcript.records)
    if found.same and transcript.seal is None:
        print(
            f"{colour('name', 'the same so far')}: {name} after {inputs} inputs; not sealed, so the end may be missing"
        )
        return 0
    if found.same:
        print(f"{colour('good', 'the same')}: {name} after {inputs} inputs, state {found.state_hash}")
        return 0
    print(f"{colour('bad', 'different')}: {found.first_difference}; now {name}, state {found.state_hash}")
    return 1
