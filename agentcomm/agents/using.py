"""One gate for every call of a tool: permission, arguments, evidence, record, limits.

A call is on record before it is made, and its result before it is used.
"""

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

import msgspec

from agentcomm.acts.content import entries_of, to_plain
from agentcomm.agents.calls import By, Call, Calls
from agentcomm.agents.tools import Effect, Tool, ToolFailed, ToolInDoubt, ToolLate, ToolLost, ToolRefused
from agentcomm.agents.turn import Turn
from agentcomm.conversation.gate import blocked
from agentcomm.conversation.moves import floors
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.transcript import plain_bytes
from agentcomm.errors import AgentcommError, UsageError
from agentcomm.grounding.sourced import unsourced_values
from agentcomm.grounding.troubles import Ungrounded

__all__ = ("is_open", "turn_id", "use")


def turn_id(whole: Conversation, place: Conversation, role: str, lane: str) -> str:
    """Return the name of a turn: the same for every try of it, and another once anything was said here."""
    frame = place.here.frame
    within = f"{frame.overlay}/{frame.position}/{frame.heard}" if frame is not None else ""
    at = place.here.latest
    if place.here.voided:  # what was taken back is said anew, in another turn
        at = f"{at}~{place.here.voided}"
    if not lane and whole.lanes:  # one turn for several lanes
        at = "|".join(sorted(one.latest for one in whole.lanes.values()))
    return f"{whole.id}:{role}:{lane}:{at}:{place.here.name}:{within}"


async def use(turn: Turn, one: Tool, arguments: Mapping[str, Any], by: By, now: Conversation) -> Any:
    """Call a tool for an agent, if it may be called, and return what it gives; `now` is how the talk stands.

    Raises:
        ToolRefused: If it may not be called now, or not like this; nothing was done.
        ToolInDoubt: If it was begun, its result is lost or late, and nothing tells whether it was done.
        ToolFailed: If it raises, takes too long or gives too much.
    """
    calls = turn.calls
    try:
        typed = _permitted(turn, one, arguments, by, now)
    except ToolRefused as error:
        told = {"tool": one.name, "by": by, "role": turn.role, "turn": calls.turn}
        turn.journal.step("tool.refused", told, {"arguments": _plain(arguments), "reason": error.what})
        raise
    plain = _plain(typed)
    call = calls.find(one.name, plain, by)
    if call.is_done:
        if call.error is not None:
            raise call.error
        return one.returns(call.result) if call.is_restored else call.result
    begins = not call.is_restored or call.is_cleared or bool(call.cut)
    if call.is_in_doubt:
        cut, call.is_restored, call.cut = call.cut, False, ""  # what is said meanwhile is another call
        found = await _resumed(turn, calls, one, call, cut)
        if found is not _AGAIN:
            return found
    if begins:
        data = {
            "tool": one.name,
            "by": by,
            "role": turn.role,
            "effect": one.effect.value,
            "key": call.key,
            "turn": calls.turn,
        }
        turn.journal.step("tool.call", data, plain)
        await turn.journal.kept()
    try:
        result = await _within(one, typed, call.key)
    except asyncio.CancelledError:
        call.cut, call.is_cleared = "nobody waited for it any more", False
        raise
    except Exception as error:
        if isinstance(error, ToolLost | ToolLate) and one.effect in (Effect.ONCE, Effect.RECONCILABLE):
            is_lost = isinstance(error, ToolLost)
            cut = "whoever carried it out went away" if is_lost else f"its {one.timeout:g} s were over"
            call.is_cleared = False
            return await _resumed(turn, calls, one, call, cut)
        call.is_done, call.error = True, error
        _failed(turn, calls, one, call, error)
        await turn.journal.kept()
        raise
    return await _done(turn, calls, one, call, result)


_AGAIN = object()


async def _resumed(turn: Turn, calls: Calls, one: Tool, call: Call, cut: str) -> Any:
    """Return the result of a call that was begun before, or `_AGAIN` if it was not made or may be made again under its key.

    Args:
        turn: Whose call it is.
        calls: Of that turn.
        one: The tool.
        call: The call.
        cut: What cut it off, if it was this process that made it. That it was never made is not believed then: it may still come to be.

    Raises:
        ToolInDoubt: If nobody can tell.
    """
    if one.effect in (Effect.PURE, Effect.KEYED) or call.is_cleared:
        return _AGAIN
    why, cause = "its result is not on record, and it takes no key and cannot be asked", None
    if one.effect is Effect.RECONCILABLE and one.reconcile is not None:
        try:
            found = one.reconcile(call.key)
            found = await found if inspect.isawaitable(found) else found
        except LookupError:
            if not cut:
                return _AGAIN
            why = "it is not known where it should have been done, and it may still be"
        except Exception as error:  # noqa: BLE001  (whatever it is, nobody could be asked)
            why, cause = f"asking what became of it failed: {type(error).__name__}: {error}", error
        except BaseException:
            call.is_restored, call.cut = not cut, cut
            raise
        else:
            return await _done(turn, calls, one, call, found)
    call.is_restored, call.cut = not cut, cut
    raise ToolInDoubt(
        f"{turn.agent} had begun {one.name!r} when {cut or 'the process ended'}, and nobody can tell whether it was done",
        key=call.key,
        why=why,
        fix=f"look what became of {call.key}, then: agentcomm conversations resume ID --effect done or --effect again;"
        ' say effect="pure", "keyed" or "reconcilable" of a tool that is',
    ) from cause


async def _within(one: Tool, arguments: Mapping[str, Any], key: str) -> Any:
    """Return what a tool gives, within its time and its size."""
    limit = asyncio.timeout(one.timeout)
    try:
        async with limit:
            result = await one.run(arguments, key)
    except TimeoutError as error:
        if limit.expired():
            raise ToolLate(
                f"{one.name} gave nothing within {one.timeout:g} s",
                fix="give it more time with timeout=, or make it quicker",
            ) from None
        raise _raised(one, error) from error
    except AgentcommError:
        raise
    except Exception as error:
        raise _raised(one, error) from error
    try:
        size = len(plain_bytes(to_plain(result), "tool.result"))
    except UsageError as error:
        raise ToolFailed(
            f"what {one.name} gave cannot be written down: {error.why}",
            fix="return JSON data or a pydantic class",
            code="X505",
        ) from None
    if size > one.limit:
        raise ToolFailed(
            f"{one.name} gave {size:,} bytes; at most {one.limit:,} are taken",
            fix="ask for less, or raise its limit=",
            code="X504",
        )
    return result


def _raised(one: Tool, error: Exception) -> ToolFailed:
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ToolFailed(f"{one.name} raised {told[:500]}", fix="mend the tool, or the arguments it is given")


async def _done(turn: Turn, calls: Calls, one: Tool, call: Call, result: Any) -> Any:
    data = {"tool": one.name, "key": call.key, "turn": calls.turn}
    turn.journal.step("tool.result", data, to_plain(result))
    await turn.journal.kept()
    call.is_done, call.result = True, result
    return result


def _failed(turn: Turn, calls: Calls, one: Tool, call: Call, error: Exception) -> None:
    told = error.what if isinstance(error, AgentcommError) else str(error)
    data: dict[str, Any] = {
        "tool": one.name,
        "key": call.key,
        "turn": calls.turn,
        "type": type(error.__cause__ or error).__name__,
        "code": getattr(error, "code", ""),
    }
    if isinstance(error, ToolLost | ToolLate) and one.effect is Effect.KEYED:
        data["lost"] = True  # it may have been done
    turn.journal.step("tool.error", data, {"error": told})


# --- the gate ---


def is_open(turn: Turn, one: Tool) -> bool:
    """Say whether a tool may be called now, by its role and the evidence there is."""
    if not one.allows(turn.role):
        return False
    try:
        if one.effect is not Effect.PURE:
            _gate(turn, one, {}, turn.actual)
    except ToolRefused:
        return False
    return True


def _permitted(
    turn: Turn, one: Tool, arguments: Mapping[str, Any], by: By, now: Conversation
) -> dict[str, Any]:
    """Return the arguments, typed, if the tool may be called with them.

    Raises:
        ToolRefused: If not.
    """
    if not one.allows(turn.role):
        raise ToolRefused(
            f"{turn.role} may not call {one.name}",
            why=f"it is for {', '.join(sorted(one.roles or ()))}",
            fix=f'@tool(roles=["{turn.role}"]), if it should',
            code="U313",
        )
    try:
        typed = one.read(arguments)
    except ValueError as error:
        raise ToolRefused(
            f"{one.name} takes {one.signature}: {error}", fix="give it what it takes", code="U314"
        ) from None
    if one.effect is not Effect.PURE:
        if why := _passed(turn, now):
            raise ToolRefused(
                f"{one.name} has an effect, and {why}",
                why=f"{turn.agent} was at work on what it heard before",
                fix="end with the turn: what is awaited in a handler is cancelled with it, what it starts apart is not",
                code="U319",
            )
        _gate(turn, one, typed, now)
        if by == "model":
            _source(turn, one, typed)
    return typed


def _passed(turn: Turn, now: Conversation) -> str:
    """Return why a turn is over that goes on all the same, empty if it is not."""
    place = now.view(turn.lane) if turn.lane and turn.lane in now.lanes else now
    over = now.outcome or place.outcome
    if over is not None:
        return f"the conversation has ended as {over.name}"
    if not turn.lanes and turn.role not in floors(place):
        return f"it is no longer {turn.role}'s turn"
    return ""


def _gate(turn: Turn, one: Tool, arguments: Mapping[str, Any], now: Conversation) -> None:
    """Stop an effect that would build on what is not shown to be understood, or use another value than the one on record.

    What counts is how the talk stands, whatever the agent was shown.
    """
    place = now.view(turn.lane) if turn.lane and not now.lane else now
    found = blocked(place, turn.role, arguments, one.uses)
    if not found:
        return
    if any(isinstance(trouble, Ungrounded) for trouble in found):
        fix = 'declare it @tool(effect="pure") if it only looks; else answer first, or lower the criterion in the protocol'
        code = "U315"
    else:
        fix = "use what was agreed, or free the parameter with uses={PARAMETER: None}"
        code = "U316"
    told = " ".join(trouble.sentence for trouble in found)
    raise ToolRefused(f"{one.name} has an effect: {told}", fix=fix, code=code)


def _source(turn: Turn, one: Tool, arguments: Mapping[str, Any]) -> None:
    """Stop a figure that nobody ever said, where a model made the arguments."""
    given = [turn.brief, turn.goal, turn.content, turn.ground.as_dict(), *turn.gave]
    free = [name for name, ref in one.uses.items() if ref is None]
    if found := unsourced_values(_plain(arguments), [to_plain(item) for item in given if item], free=free):
        told = " ".join(one_of.sentence for one_of in found)
        raise ToolRefused(f"{one.name}: {told}", fix="use only values that were given", code="U317")


def _plain(value: Any) -> Any:
    """Return arguments as JSON data, so that the same call is the same in every process."""
    entries = entries_of(value)
    plain = to_plain(entries if entries is not None else value)
    return msgspec.json.decode(plain_bytes(plain, "tool.call"))
