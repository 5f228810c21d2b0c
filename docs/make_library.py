"""Write a page for each protocol of the library, from its tables and its sequences: `python docs/make_library.py`."""  # noqa: INP001

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from agentcomm.acts.content import format_duration, parse_duration  # noqa: E402
from agentcomm.protocol.families import FAMILIES  # noqa: E402
from agentcomm.protocol.graph import Act, Criterion, Protocol  # noqa: E402
from agentcomm.protocol.library import load, names  # noqa: E402

PAGES = ROOT / "docs/pages/library"
SEQUENCES = ROOT / "tests/protocol/library"
GROUPS: Mapping[str, tuple[str, ...]] = {
    **{family: tuple(members) for family, members in FAMILIES.items()},
    "Overlays": tuple(names(overlays=True)),
}
"""Every protocol of the library, in the order of the index."""


def main() -> None:
    """Write the pages, and remove those of protocols that are gone."""
    PAGES.mkdir(parents=True, exist_ok=True)
    made = pages()
    for file in PAGES.glob("*.md"):
        if file.name not in made:
            file.unlink()
    for name, text in made.items():
        (PAGES / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Return the text of each page by the name of its file.

    Raises:
        ValueError: If a protocol stands in no group.
    """
    listed = [name for group in GROUPS.values() for name in group]
    if missing := {*names(), *names(overlays=True)} - set(listed):
        raise ValueError(f"add to FAMILIES: {', '.join(sorted(missing))}")
    found = {name: load(name) for name in listed}
    return {"index.md": _index(found)} | {_file(name): _page(name, found[name]) for name in listed}


def _file(name: str) -> str:
    return f"{name.removeprefix('_overlays/')}.md"


def _index(found: Mapping[str, Protocol]) -> str:
    lines = ["# The library", ""]
    lines += [
        'Protocols that are ready to use: `load("contract-net")`, `agentcomm show contract-net`. Copy one into a file of your own',
        "where yours differs. Each is checked, has its source, and has sequences under test.",
    ]
    for title, group in GROUPS.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| protocol | what it is for | roles | at most |",
            "|---|---|---|---|",
        ]
        for name in group:
            protocol = found[name]
            lines.append(
                f"| [{protocol.name}]({_file(name)}) | {_cell(protocol.about)} | {_roles(protocol)} "
                f"| {_count(protocol.bound, 'message')} |"
            )
    return "\n".join(lines) + "\n"


def _page(name: str, protocol: Protocol) -> str:
    parts = [
        f"# {protocol.name}",
        protocol.about,
        _facts(name, protocol),
        "## What may be said",
        "\n".join(_acts(protocol)),
        "## In which order",
        *_order(protocol),
        "## How it ends",
        "\n".join(_ends(protocol)),
        *_examples(protocol),
        "## The file",
        f"```yaml\n{protocol.text.rstrip()}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _facts(name: str, protocol: Protocol) -> str:
    rows = [
        ("roles", _roles(protocol)),
        ("opens", protocol.states[protocol.start].speaker),
        ("owner of the matter", protocol.owner),
        ("at most", _count(protocol.bound, "message") + ", without read-backs and repairs"),
        ("in time", _whole(protocol)),
        ("source", protocol.source),
        ("file", f"[`protocols/{name}.yaml`](../../../protocols/{name}.yaml)"),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {what} | {_cell(text)} |" for what, text in rows if text)])


def _roles(protocol: Protocol) -> str:
    least, most = protocol.members
    return ", ".join(
        f"{role} ({least} to {most})" if role == protocol.many else role for role in protocol.roles
    )


def _whole(protocol: Protocol) -> str:
    from datetime import timedelta

    whole = protocol.limits.whole
    return "" if whole is None else f"{format_duration(timedelta(seconds=whole))} in all"


# --- acts ---


def _acts(protocol: Protocol) -> Iterator[str]:
    yield "| act | said by | carries | is a | rules |"
    yield "|---|---|---|---|---|"
    for label, act in protocol.acts.items():
        if "." in label:
            continue
        moves = [
            move for state in protocol.states.values() for move in state.moves.values() if move.act == act
        ]
        by = ", ".join(dict.fromkeys(move.speaker for move in moves))
        carries = "<br>".join(f"`{name}`: {_type(kind)}" for name, kind in act.fields.items())
        rules = "<br>".join(_rules(act))
        yield f"| `{label}` | {by} | {_cell(carries)} | {act.performative} | {_cell(rules)} |"


def _type(kind: Any) -> str:
    text = str(kind)
    return text.replace("{", "(").replace("}", ")")


def _rules(act: Act) -> Iterator[str]:
    for condition in act.when:
        yield f"only if `{condition}`"
    for field, ref in act.repeats.items():
        yield f"`{field}` must repeat `{ref}`"
    if act.readback:
        yield f"read back: {', '.join(f'`{name}`' for name in act.readback)}"
    if act.criterion is Criterion.RELEVANT:
        yield "counts once it is answered"
    if act.discharges:
        yield f"fulfils `{act.discharges}`"
    if act.outlives:
        yield "may stay open when the talk ends"


# --- order ---


def _order(protocol: Protocol) -> Iterator[str]:
    if protocol.many:
        yield " ".join(_lanes(protocol))
    for name, run in protocol.runs.items():
        who = ", ".join(f"{ours} as {theirs}" for theirs, ours in run.roles.items())
        own = _file(run.protocol.name)
        yield f"In `{name}` the protocol [{run.protocol.name}]({own}) runs, with {who}."
    yield f"```text\n{protocol:table}\n```"
    yield f"```mermaid\n{protocol:mermaid}\n```"


def _lanes(protocol: Protocol) -> Iterator[str]:
    begin = next(state for state in protocol.states.values() if state.in_lane)
    yield (
        f"From `{begin.name.partition('/')[0]}` on, each {protocol.many} has a lane of its own: it hears what is said in it, "
        "and nothing of the others."
    )
    if gathers := [state for state in protocol.states.values() if state.gather]:
        where = ", ".join(f"`{state.name}`" for state in gathers)
        yield f"In {where} {gathers[0].speaker} waits until every lane has come to such a state, and answers them all in one turn."
    moves = [move for state in protocol.states.values() for move in state.moves.values()]
    if said := dict.fromkeys(f"`{move.label}`" for move in moves if move.for_all):
        yield f"Said once, to all who stand there: {', '.join(said)}."
    for move in moves:
        if move.at_most is not None:
            yield f"At most {_count(move.at_most, 'lane')} in all can get `{move.label}`."
        if move.at_once is not None:
            yield f"At most {_count(move.at_once, 'lane')} at a time can be in `{move.next}`."


def _ends(protocol: Protocol) -> Iterator[str]:
    yield "| outcome | class |"
    yield "|---|---|"
    for name, kind in protocol.outcomes.items():
        yield f"| {name} | {kind} |"
    if protocol.settles:
        yield ""
        yield "These are the ends of a lane. The conversation ends as the first of these that fits:"
        yield ""
        yield from (f"* **{settle.outcome}**: {settle}" for settle in protocol.settles)
    if protocol.overlay is not None:
        yield ""
        yield "What it leads to for the talk beneath: " + ", ".join(
            f"{kind}: {then}" for kind, then in protocol.overlay.then.items()
        )


# --- sequences ---


def _examples(protocol: Protocol) -> Iterator[str]:
    table = yaml.safe_load((SEQUENCES / f"{protocol.name}.yaml").read_text(encoding="utf-8"))
    first, *others = table["accept"]
    yield "## For example"
    host = f", on top of [{table['protocol']}]({_file(table['protocol'])})" if "protocol" in table else ""
    yield f"{first['title'][0].upper()}{first['title'][1:]}{host}:"
    yield "```text\n" + "\n".join([*map(_step, first["steps"]), f"=> {first['ends']}"]) + "\n```"
    yield "It also goes like this: " + "; ".join(f"{row['title']} ({row['ends']})" for row in others) + "."
    yield (
        "Refused is, among others: "
        + "; ".join(f"{row['title']} ({row['code']})" for row in table["refuse"])
        + "."
    )


def _step(step: Mapping[str, Any]) -> str:
    ((who, what),) = step.items()
    if who == "wait":
        return f"… {format_duration(parse_duration(what))} pass"
    ((act, content),) = what.items()
    return f"{who}: {act}({', '.join(f'{name}: {_value(value)}' for name, value in content.items())})"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
