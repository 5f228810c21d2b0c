"""A person at a terminal: picks among the legal moves, fills typed fields, can ask for repair, and can be away for hours.

Nothing of what others said can steer the terminal. A line that was typed for a question whose time is up is never taken for the
answer to the next one.
"""

import asyncio
import math
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import msgspec
from pydantic import ValidationError

from agentcomm.acts.content import FieldType, content_model, format_value, printable
from agentcomm.acts.message import Message, format_content
from agentcomm.agents.turn import Said, Turn, Unclear, Unspoken
from agentcomm.agents.unclear import doubts
from agentcomm.conversation.moves import given, limit_of, on_record, signature
from agentcomm.errors import IllegalMove
from agentcomm.protocol.graph import Move

__all__ = ("Console", "Human", "Terminal")


class Console(Protocol):
    """Where a person reads and writes: a terminal, a chat, a web page."""

    def show(self, text: str) -> None:
        """Show lines."""
        ...

    async def ask(self, prompt: str) -> str | None:
        """Return the next line; None if there will be none. Cancelled, it gives the question up."""
        ...


class Terminal:
    """Standard input and output.

    Lines are read in a thread that ends with the program, so that somebody who is away holds up nothing else.

    Args:
        read: Returns a line with its end, or an empty text at the end of the input; standard input without one.
        write: Takes text; standard error without one, since standard output is the conversation's.
    """

    def __init__(
        self, read: Callable[[], str] | None = None, write: Callable[[str], object] | None = None
    ) -> None:
        self._read = read or sys.stdin.readline
        self._write = write or _to_stderr
        self._waiting: asyncio.Future[str] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_reading = False
        self._is_over = False

    def show(self, text: str) -> None:
        """Show lines; control characters in them are written out."""
        self._write(printable(text, keep="\n") + "\n")

    async def ask(self, prompt: str) -> str | None:
        """Return the next line without its end; None at the end of the input."""
        if self._is_over:
            return None
        self._write(printable(prompt, keep="\n"))
        self._loop = asyncio.get_running_loop()
        self._waiting = self._loop.create_future()
        if not self._is_reading:
            self._is_reading = True
            threading.Thread(target=self._one, name="terminal", daemon=True).start()
        try:
            line = await self._waiting
        finally:
            self._waiting = None
        return line.rstrip("\r\n") if line else None

    def _one(self) -> None:
        try:
            line = self._read()
        except (OSError, ValueError):  # it was closed
            line = ""
        loop = cast("asyncio.AbstractEventLoop", self._loop)
        try:
            loop.call_soon_threadsafe(self._came, line)
        except RuntimeError:  # the program is at its end
            return

    def _came(self, line: str) -> None:
        self._is_reading = False
        self._is_over = not line
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(line)
        elif line:
            self.show("(that came too late and was not taken)")


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


class Human:
    """A person who plays a role.

    Args:
        name: How transcripts call them.
        console: Where they read and write; the terminal without one. One person may be in several conversations: questions wait
            for one another.
        things: Name -> what is known of it, as for `Agent`: where a phrase they hear fits several of them, it is asked about for them.
    """

    model_name = ""

    def __init__(
        self, name: str, *, console: Console | None = None, things: Mapping[str, Any] | None = None
    ) -> None:
        self.name = name
        self.things = dict(things or {})
        self._console: Console = console or Terminal()
        self._busy: asyncio.Lock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"Human({self.name!r})"

    async def __call__(self, turn: Turn) -> Said:
        """Take a turn; at a gather, one lane after the other."""
        loop = asyncio.get_running_loop()
        if self._busy is None or self._loop is not loop:
            self._busy, self._loop = asyncio.Lock(), loop
        async with self._busy:
            if unclear := doubts(turn, self.things):
                return unclear if turn.lanes else unclear[0]
            if not turn.lanes or turn.for_all:
                return await self._answer(turn)
            found: list[Message | Unspoken | Unclear] = []
            done: set[str] = set()
            for lane, one in turn.lanes.items():
                if one.state in done:
                    continue
                said = await self._answer(one)
                found.append(msgspec.structs.replace(said, lane=lane) if isinstance(said, Unspoken) else said)
                if isinstance(said, Message) and not said.lane:
                    done.add(one.state)
            return found

    async def _answer(self, turn: Turn) -> Message | Unspoken:
        if (question := turn.put()) is not None:
            self._console.show(
                f"{self.name}, it is asked for you: {question.act} {format_content(question.content)}"
            )
            return question
        if turn.refusal is None:
            self._console.show(self._introduction(turn))
        else:
            self._console.show(f"That did not count: {turn.refusal.reason}.")
        moves = (*turn.moves, *turn.exits)
        while True:
            move = await self._pick(turn, moves)
            if move is None:
                return Unspoken(f"{self.name} is gone", turn.lane)
            content = await self._fill(turn, move)
            if content is None:
                continue
            try:
                return turn.say(move.label, **content)
            except IllegalMove as error:
                self._console.show(f"{error.why or error.what}.")

    def _introduction(self, turn: Turn) -> str:
        place = turn.conversation
        lines = [
            "",
            f"{self.name}, you are {turn.role} in {place.protocol.name}"
            + (f", lane {turn.lane}" if turn.lane else ""),
        ]
        lines[-1] += f" ({place.id}), {_left(turn)}."
        if turn.brief:
            lines.append(
                f"Your task: {turn.brief if isinstance(turn.brief, str) else format_value(turn.brief)}"
            )
        for name, item in list(turn.ground.newest())[:12]:
            lines.append(f"  on record: {name} = {format_value(item.value)}")
        if turn.heard is not None:
            heard = turn.heard
            by = " -> ".join(filter(None, (heard.sender, ", ".join(heard.receivers))))
            lines.append(f"Heard: {by} {heard.act} {format_content(heard.content)}".rstrip())
        lines += [f"Trouble: {trouble}" for trouble in turn.troubles]
        overlay = turn.overlay
        if overlay is not None:
            lines += [f"Differs: {trouble}" for trouble in overlay.trouble]
        if overlay is not None and overlay.fields:
            lines.append("Meant: " + ", ".join(f"{n}={format_value(v)}" for n, v in overlay.fields.items()))
        return "\n".join(lines)

    async def _pick(self, turn: Turn, moves: tuple[Move, ...]) -> Move | None:
        """Return the move that is picked by number or by name; None if nobody is there any more."""
        exits = {move.label for move in turn.exits}
        listed = [
            f"  {number}. {signature(move)}"
            + (
                f"  -- {move.act.info.about}"
                if move.label not in exits
                else f"  -- it is not clear: {move.act.info.about}"
            )
            for number, move in enumerate(moves, 1)
        ]
        self._console.show("\n".join(listed))
        while True:
            line = await self._console.ask("which? ")
            if line is None:
                return None
            wanted = line.strip()
            if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted[:6]) <= len(moves):
                return moves[int(wanted) - 1]
            found = [move for move in moves if wanted in (move.label, move.act.name)]
            if found:
                return found[0]
            self._console.show(
                f"One of 1 to {len(moves)}, or a name from the list; {wanted!r} is neither."
                if wanted
                else "A number or a name."
            )

    async def _fill(self, turn: Turn, move: Move) -> dict[str, Any] | None:
        """Return the content of a move, asked for field by field; None to choose again."""
        known = given(turn.conversation, move)
        content: dict[str, Any] = {}
        kinds: Mapping[str, FieldType] = move.act.fields
        if move.act.registered is not None:
            kinds = {
                name: FieldType("any", optional=not info.is_required())
                for name, info in move.act.registered.model_fields.items()
            }
        for name, kind in kinds.items():
            if name in known:
                continue
            ref = move.act.repeats.get(name)
            default = on_record(turn.conversation, ref) if ref is not None else None
            if kind.kind == "map" and kind.fields:
                value = await self._map(kind.fields, _meant(turn))
            else:
                value = await self._value(name, kind, default)
            if value is _BACK:
                return None
            if value is not _NOTHING:
                content[name] = value
        return content

    async def _map(self, kinds: Mapping[str, FieldType], meant: Mapping[str, Any]) -> Any:
        """Return a map's entries, asked for one by one."""
        found: dict[str, Any] = {}
        for name, kind in kinds.items():
            value = await self._value(name, kind, meant.get(name))
            if value is _BACK:
                return _BACK
            if value is not _NOTHING:
                found[name] = value
        return found

    async def _value(self, name: str, kind: FieldType, default: Any) -> Any:
        """Return a field's value, asked for until it is one of its type."""
        more = (
            f" [{format_value(default)}]"
            if default is not None
            else " (empty: none)"
            if kind.optional
            else ""
        )
        hint = _HINTS.get(kind.kind, "")
        while True:
            line = await self._console.ask(f"  {name} ({kind}{f', such as {hint}' if hint else ''}){more}: ")
            if line is None or line.strip() == "..":
                return _BACK
            text = line.strip()
            if not text and default is not None:
                return default
            if not text and kind.optional:
                return _NOTHING
            try:
                return read_value(kind, text)
            except ValueError as error:
                self._console.show(f"  {name}: {error}; `..` chooses another act.")


def _meant(turn: Turn) -> Mapping[str, Any]:
    """Return what the one who speaks had meant where another understood something else."""
    overlay = turn.overlay
    if overlay is None:
        return {}
    return {
        item.field: overlay.fields[item.field] for item in overlay.trouble if item.field in overlay.fields
    }


_BACK, _NOTHING = object(), object()
_HINTS = {
    "money": "120 EUR",
    "date": "2026-12-01",
    "datetime": "2026-12-01T09:30:00+01:00",
    "duration": "30m",
    "quantity": "500 l",
    "list": "one, two",
    "map": '{"name": "value"}',
    "bool": "yes or no",
}
_YES, _NO = ("yes", "y", "true", "1"), ("no", "n", "false", "0")


def read_value(kind: FieldType, text: str) -> Any:
    """Return what a person typed as a value of a field's type; the core validates it once more.

    Raises:
        ValueError: With what is wrong, in words for the one who typed it.
    """
    plain = _plain(kind, text)
    try:
        content_model("it", {"it": kind}).model_validate({"it": plain})
    except ValidationError as error:
        raise ValueError(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from None
    return plain


def _plain(kind: FieldType, text: str) -> Any:
    match kind.kind:
        case "int":
            return _number(int, text, "a whole number, such as 3")
        case "number":
            return _number(float, text, "a number, such as 0.5")
        case "bool":
            if text.casefold() in (*_YES, *_NO):
                return text.casefold() in _YES
            raise ValueError("yes or no")
        case "choice":
            for choice in kind.choices:
                if str(choice).casefold() == text.casefold():
                    return choice
            raise ValueError(f"one of {', '.join(map(str, kind.choices))}")
        case "list" if not text.startswith("["):
            item = kind.item or FieldType("any")
            return [_plain(item, part.strip()) for part in text.split(",") if part.strip()]
        case "list" | "map":
            return _json(text)
        case "any" if text[:1] in ("{", "["):
            return _json(text)
        case _:
            return text


def _number(of: Callable[[str], Any], text: str, wanted: str) -> Any:
    try:
        return of(text)
    except ValueError:
        raise ValueError(wanted) from None


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON ({error})") from None


def _left(turn: Turn) -> str:
    """Return how long there is time, in words."""
    here = turn.conversation.here
    seconds = min(limit_of(here), turn.conversation.whole) - turn.conversation.at
    if seconds == math.inf:
        return "no hurry"
    for size, word in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"you have {seconds / size:.0f} {word}"
    return f"you have {max(0, seconds):.0f} seconds"
