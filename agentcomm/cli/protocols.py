"""`agentcomm protocols`: what is in the library."""

import argparse
from textwrap import wrap
from typing import Any

from agentcomm.acts.content import printable
from agentcomm.cli.words import note, print_json, style, width

__all__ = ("add_to",)

_LONG, _ENDING = 8, 3
"""Letters of a word that is looked for without its ending, and of that ending."""


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("protocols", help="list or search the library")
    parser.add_argument(
        "words", nargs="*", metavar="WORD", help="only protocols that have all of these words"
    )
    parser.add_argument("--overlays", action="store_true", help="also the overlays")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(call=protocols)


def protocols(options: argparse.Namespace) -> int:
    """Print the protocols that have all the words."""
    from agentcomm.protocol.families import family_of
    from agentcomm.protocol.library import load, names
    from agentcomm.protocol.picture import roles_of

    listed = [*names(), *(names(overlays=True) if options.overlays else ())]
    loaded = ((name, load(name)) for name in listed)
    rows = [
        {
            "name": name,
            "family": family_of(name),
            "about": protocol.about,
            "roles": roles_of(protocol),
            "acts": list(protocol.acts),
            "bound": protocol.bound,
            "source": protocol.source,
            "hash": protocol.hash,
        }
        for name, protocol in loaded
    ]
    wanted = [word.lower() for text in options.words for word in text.split()]
    found = [row for row in rows if all(_has(row, word) for word in wanted)]
    if options.json:
        print_json(found)
        return 0
    for row in found:
        _print(row)
    if not found:
        note(
            f"nothing has {' and '.join(map(repr, options.words))}; `agentcomm protocols` lists all {len(rows)}"
        )
    return 0


def _has(row: dict[str, Any], word: str) -> bool:
    """Whether a protocol has a word in it, is of a family that has, or is looked for by it; `approving` is `approval` as well."""
    from agentcomm.protocol.families import words_for

    own = (row["name"], row["family"], row["about"], row["source"], words_for(row["name"]))
    texts = (*own, *row["roles"], *row["acts"])
    stem = word if len(word) < _LONG else word[:-_ENDING]
    return any(stem in text.lower() for text in texts)


def _print(row: dict[str, Any]) -> None:
    colour = style()
    print(
        colour("name", row["name"]),
        printable(f"({', '.join(row['roles'])}; at most {row['bound']} messages)"),
    )
    text = f"{row['about']} [{row['source']}]" if row["source"] else row["about"]
    for line in wrap(text, width() - 2) if width() else [text]:
        print(printable(f"  {line}"))
