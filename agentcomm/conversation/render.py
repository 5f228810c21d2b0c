"""A conversation in words: each event becomes the lines a person reads. The same for the live view and for a transcript."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, assert_never

from agentcomm.acts.content import entries_of, format_value, printable
from agentcomm.conversation.events import (
    Chose,
    CommitmentChanged,
    Counted,
    DeadlineSet,
    Duplicate,
    Ended,
    Event,
    EvidenceWanted,
    Expired,
    GatherOpened,
    GaveUp,
    Grounded,
    Heard,
    Joined,
    Judged,
    LaneEnded,
    LanesBegan,
    Late,
    Left,
    Moved,
    Opened,
    OverlayClosed,
    OverlayOpened,
    OwnerChanged,
    Refused,
    RepairClosed,
    RepairOpened,
    Staged,
    Superseded,
    TroubleFound,
)

__all__ = ("Style", "View", "plain")

Style = Callable[[str, str], str]
"""`(kind, text) -> text`: puts colour on a piece; kinds are act, name, good, bad, dim and field."""


def plain(kind: str, text: str) -> str:
    """Leave the text as it is."""
    del kind
    return text


class View:
    """Turns events into lines.

    Args:
        cast: Role -> name of who plays it; for a many-role, member -> name.
        style: Puts colour on pieces.
        width: Columns; longer messages go on under their act. 0 keeps one line per message.
    """

    def __init__(self, cast: Mapping[str, str], *, style: Style = plain, width: int = 0) -> None:
        self._cast = dict(cast)
        self._style: Style = lambda kind, text: style(kind, printable(text))
        self._width = width
        self._numbers: dict[str, int] = {}
        self._repairs = 0
        self._messages = 0

    def lines(self, events: Iterable[Event]) -> list[str]:
        """Return the lines for some events."""
        return [line for event in events for line in self.feed(event)]

    def feed(self, event: Event) -> list[str]:
        """Return the lines that an event adds."""
        style = self._style
        match event:
            case Heard():
                return self._message(event)
            case TroubleFound(kind="no-progress"):
                return [style("bad", f"{'':8}no progress: it is said again as it was")]
            case TroubleFound(kind="oscillation"):
                return [style("bad", f"{'':8}round in circles: it is said as it was before the last time")]
            case TroubleFound():
                text = printable("; ".join(map(str, event.differs)))
                where = "" if event.kind == "readback" else " from the record"
                return [style("bad", f"{'':8}differs{where}: {text}")]
            case Judged():
                if event.reason:
                    return [style("bad", f"{'':8}{event.judge} could not judge: {printable(event.reason)}")]
                text = "demonstrated" if event.understood else "not what was meant"
                return [style("good" if event.understood else "bad", f"{'':8}{event.judge}: {text}")]
            case Grounded() if event.evidence and event.evidence[0].startswith("readback"):
                fields = ", ".join(event.fields)
                return [style("good", f"{'':8}grounded: {fields}")]
            case Refused():
                return [style("bad", f"{'':8}refused: {self._refusal(event)}")]
            case RepairOpened():
                self._repairs += 1
                return []
            case OwnerChanged():
                was = f" (was {self._name(event.was)})" if event.was else ""
                return [
                    style(
                        "good",
                        f"{'':8}owner: {self._name(event.now)}{was}, by message {self._n(event.message)}",
                    )
                ]
            case GaveUp():
                tried = ", ".join(map(printable, event.tried)) or "nothing"
                return [style("bad", f"{'':8}given up: {event.act} is not grounded; tried: {tried}")]
            case CommitmentChanged() if event.now in {"violated", "cancelled"}:
                text = (
                    f"commitment of {self._name(event.debtor)} to {self._name(event.creditor)} ({event.act})"
                )
                return [style("bad", f"{'':8}{text}: {event.now}")]
            case Expired():
                state = event.state or "the whole conversation"
                return [style("bad", f"{'':8}time is up: {state} -> {event.next}")]
            case Duplicate():
                return [style("dim", f"{'':8}duplicate of {self._n(event.message)}: no second effect")]
            case Late():
                return [
                    style(
                        "bad",
                        f"{'':8}late: {self._name(event.role)} {printable(event.act)}: {printable(event.reason)}",
                    )
                ]
            case Superseded():
                text = f"{self._name(event.role)} {printable(event.act)}: another was first"
                return [style("dim", f"{'':8}superseded: {text}")]
            case Joined():
                return [style("dim", f"{'':8}{event.member} joined")]
            case Left():
                return [style("dim", f"{'':8}{event.member} left: {printable(event.reason)}")]
            case LaneEnded():
                kind = "good" if event.outcome_class in {"success", "partial"} else "dim"
                return [style(kind, f"{'':8}{event.lane}: {event.outcome} ({event.outcome_class})")]
            case Moved(act=""):
                return [style("dim", f"{'':8}back to {event.next}: message {self._n(event.message)} is void")]
            case OverlayClosed(effect="resume" | "again"):
                return []
            case OverlayClosed():
                return [style("bad", f"{'':8}{event.overlay} ended as {event.outcome}")]
            case Ended():
                return self._end(event)
            case (
                Opened()
                | Moved()
                | Grounded()
                | OverlayOpened()
                | RepairClosed()
                | CommitmentChanged()
                | DeadlineSet()
                | LanesBegan()
                | GatherOpened()
                | Staged()
                | Chose()
                | Counted()
                | EvidenceWanted()
            ):
                return []
            case _:
                assert_never(event)

    def _message(self, event: Heard) -> list[str]:
        style, message = self._style, event.message
        self._messages += 1
        self._numbers[message.id] = event.n
        sender = self._party(event, message.sender)
        fields = self._fields(message.content)
        if event.overlay:
            number, between, indent = f"{event.n:>6}", f"{sender} re {self._n(message.about)}", 12
        else:
            hearers = ", ".join(self._party(event, role) for role in message.receivers)
            number, between, indent = f"{event.n:>3}", f"{sender} -> {hearers}", 9
        head = f"{style('dim', number)}  {style('name', between)}  {style('act', message.act)}"
        length = len(number) + len(between) + len(message.act) + 4
        if message.made_by == "rule":
            head += style("dim", " (by rule)")
            length += len(" (by rule)")
        if not self._width:
            return ["  ".join([head, *fields])]
        rows = _wrap(fields, length + 2, indent, self._width)
        return [head + rows[0], *rows[1:]]

    def _party(self, event: Heard, role: str) -> str:
        """Return who plays a role: in a lane, the role that is cast by its members is the lane's."""
        return self._name(role if role in self._cast else event.message.lane or role)

    def _refusal(self, event: Refused) -> str:
        text = f"{self._name(event.role)} {printable(event.act)}".rstrip() + f": {printable(event.reason)}"
        if event.code == "unexpected-act" and event.legal:
            text += f"; may say {', '.join(line.partition('(')[0] for line in event.legal)}"
        return text + (f" ({event.left} more {'try' if event.left == 1 else 'tries'})" if event.legal else "")

    def _fields(self, content: Any) -> list[str]:
        pairs = entries_of(content) or {}
        if len(pairs) == 1 and "fields" in pairs:  # a read-back shows the fields themselves
            pairs = entries_of(pairs["fields"]) or pairs
        return [
            printable(f"{name}={format_value(value)}") for name, value in pairs.items() if value is not None
        ]

    def _end(self, event: Ended) -> list[str]:
        kind = "good" if event.outcome_class in {"success", "partial"} else "bad"
        repairs = f"{self._repairs} repair{'' if self._repairs == 1 else 's'}"
        messages = f"{self._messages} message{'' if self._messages == 1 else 's'}"
        return [
            self._style(
                kind,
                f"{event.outcome} ({event.outcome_class}): {printable(event.cause)}; {messages}, {repairs}",
            )
        ]

    def _name(self, role: str) -> str:
        return self._cast.get(role, role)

    def _n(self, message: str) -> str:
        return str(self._numbers.get(message, "?"))


def _wrap(fields: list[str], used: int, indent: int, width: int) -> list[str]:
    """Return the rest of a line of which `used` columns are taken, and the lines under it; long fields break at spaces."""
    rows: list[str] = []
    row, room = "", max(20, width - used)
    for field in fields:
        if row and len(row) + 2 + len(field) > room:
            rows.append(row)
            row, room = "", max(20, width - indent)
        elif not row and len(field) > room and not rows:  # nothing fits beside the act
            rows.append("")
            room = max(20, width - indent)
        row = f"{row}  {field}" if row else field
        while len(row) > room:
            cut = row.rfind(" ", 0, room)
            cut = cut if cut > room // 3 else room
            rows.append(row[:cut])
            row, room = "  " + row[cut:].strip(), max(20, width - indent)
    first, *rest = [*rows, row]
    return [f"  {first}" if first else "", *(" " * indent + line for line in rest if line)]
