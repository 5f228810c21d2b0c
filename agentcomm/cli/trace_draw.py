"""`agentcomm trace diagram` and `html`: a conversation as a picture."""

import argparse
from pathlib import Path
from typing import Any

from agentcomm.cli.trace_read import add_file
from agentcomm.cli.transcripts import find
from agentcomm.cli.words import note, put

__all__ = ("add_to",)


def add_to(verbs: Any) -> None:
    """Add the verbs."""
    diagram = verbs.add_parser(
        "diagram", help="Mermaid: who said what to whom, and the way taken through the protocol"
    )
    add_file(diagram)
    diagram.add_argument(
        "--as",
        dest="form",
        choices=("both", "sequence", "graph"),
        default="both",
        help="both (default, as Markdown), or one of them as bare Mermaid",
    )
    diagram.add_argument("-o", "--output", metavar="PATH", help="write it there")
    diagram.set_defaults(call=draw_transcript)

    page = verbs.add_parser(
        "html", help="one page that loads nothing: the talk beside its protocol, step by step"
    )
    add_file(page)
    page.add_argument("-o", "--output", metavar="PATH", help="without it NAME.html here")
    page.add_argument("--open", action="store_true", help="show it in the browser")
    page.set_defaults(call=write_page)


def draw_transcript(options: argparse.Namespace) -> int:
    """Print the diagrams; returns 1 if the transcript is damaged."""
    from agentcomm.protocol.picture import picture
    from agentcomm.runtime.replay import read_transcript, rules_of
    from agentcomm.views.diagram import path_diagram, sequence_diagram
    from agentcomm.views.story import story_of

    transcript = read_transcript(find(options.file))
    story = story_of(transcript)
    drawings: dict[str, str] = {}
    if options.form in {"both", "sequence"}:
        drawings["sequence"] = sequence_diagram(story)
    if options.form in {"both", "graph"}:
        drawings["graph"] = path_diagram(story, picture(rules_of(transcript).protocol, expand=True))
    text = "\n\n".join(
        f"```mermaid\n{drawing}\n```" if options.form == "both" else drawing for drawing in drawings.values()
    )
    put(text, options.output)
    if options.output:
        note(f"written: {options.output}")
    return _damage(transcript)


def write_page(options: argparse.Namespace) -> int:
    """Write the page; returns 1 if the transcript is damaged."""
    from agentcomm.errors import InputError
    from agentcomm.runtime.replay import read_transcript
    from agentcomm.views.page import page_of

    path = find(options.file)
    transcript = read_transcript(path)
    target = Path(options.output).expanduser() if options.output else Path(f"{path.stem}.html")
    if target.is_dir():
        target /= f"{path.stem}.html"
    try:
        target.write_text(page_of(transcript), encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(
            f"cannot write: {(error.strerror or str(error)).lower()}",
            where=str(target),
            fix="name a file that can be written",
        ) from error
    print(target)
    if options.open:
        import webbrowser

        webbrowser.open(target.resolve().as_uri())
    return _damage(transcript)


def _damage(transcript: Any) -> int:
    from agentcomm.cli.codes import EXIT_FINDINGS
    from agentcomm.cli.words import fault

    if transcript.damage is None:
        return 0
    fault(str(transcript.damage))
    return EXIT_FINDINGS
