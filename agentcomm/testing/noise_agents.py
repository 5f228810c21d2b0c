"""Noise around any agent: what it hears in a turn is altered before it is asked, what it says before it is heard."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec

from agentcomm.acts.content import entries_of, to_plain
from agentcomm.acts.message import Message
from agentcomm.acts.persistent import with_entry
from agentcomm.agents.agent import Agent
from agentcomm.agents.turn import Said, Turn, Unclear, Unspoken
from agentcomm.conversation.state import altered
from agentcomm.testing.noise_minds import Mind, Noise

__all__ = ("around",)

_replace = msgspec.structs.replace
_READ_BACK = "readback"


def around(agent: Any, noise: Noise) -> Any:
    """Return an agent with noise; see `noisy`."""
    if isinstance(agent, Agent):
        return _NoisyAgent(agent, noise)
    return _NoisyPlayer(agent, noise)


class _Ears:
    """What one agent understood, conversation by conversation."""

    def __init__(self, noise: Noise) -> None:
        self.noise = noise
        self.minds: dict[tuple[str, str, str], Mind] = {}
        self.heard: set[tuple[str, str]] = set()

    def mind(self, turn: Turn) -> Mind:
        """Return what it understood in this conversation, or lane."""
        key = (turn.conversation.id, turn.role, turn.lane)
        if key not in self.minds:
            before = list(self.minds.values())
            mind = self.minds[key] = Mind(self.noise, lambda act: act.critical or tuple(act.fields))
            if before:
                mind.earlier = {label: taken.values for label, taken in before[-1].taken.items()}
        return self.minds[key]

    def listen(self, turn: Turn) -> None:
        """Let the turn show what the agent understood instead of what was said."""
        conversation, protocol, mind = turn.conversation, turn.conversation.protocol, self.mind(turn)
        frame = conversation.here.frame
        it = frame.it if frame is not None else turn.heard
        if it is None or it.sender == turn.role or it.act not in protocol.acts:
            return
        act = protocol.acts[it.act]
        if not act.fields or act.registered is not None:
            return
        if (conversation.id, it.id) not in self.heard:
            self.heard.add((conversation.id, it.id))
            mind.hear(act, to_plain(it.content))
        if frame is not None and (conversation.id, frame.heard) not in self.heard:
            self.heard.add((conversation.id, frame.heard))
            meant = to_plain(dict(frame.fields))
            told = {item.field: meant[item.field] for item in frame.trouble if item.field in meant}
            mind.correct(act, told)
        self._show(turn, it, mind)

    def _show(self, turn: Turn, it: Message, mind: Mind) -> None:
        """Put what was understood in the place of what was said, wherever the turn can look."""
        act = turn.conversation.protocol.acts[it.act]
        understood = dict(mind.taken[it.act].values)
        if turn.overlay is not None and turn.can(_READ_BACK):
            understood |= mind.read_back(it.act, act.critical or act.fields)
        try:
            message = _replace(it, content=act.content.model_validate(understood))
        except ValueError:  # it lacks a field, so nothing of the kind can be shown
            return
        here, shared = turn.conversation.here, turn.conversation.shared
        said = here.said.get(it.act)
        if said is not None and said.message.id == it.id:
            here = _replace(here, said=with_entry(here.said, it.act, _replace(said, message=message)))
        if here.frame is not None:
            here = _replace(here, frame=_replace(here.frame, it=message))
        shared = _replace(shared, mended=with_entry(shared.mended, it.id, message))
        is_it = turn.heard is not None and (turn.heard.id == it.id or turn.heard == it)
        turn.show(
            _replace(altered(turn.conversation), here=here, shared=shared), message if is_it else turn.heard
        )

    def clarifies(self, turn: Turn) -> Message | None:
        """Return a question though it understood, where one may be asked."""
        asks = next((move for move in turn.exits if move.label == "not-understood"), None)
        if asks is None or not self.mind(turn).asks():
            return None
        return turn.say("not-understood", reason="please say that again")

    def speak(self, turn: Turn, said: Message | Unspoken | Unclear) -> Message | Unspoken | Unclear:
        """Return a message as the agent says it: now and then with another value than it knows."""
        if not isinstance(said, Message) or turn.overlay is not None:
            return said
        act = turn.conversation.protocol.acts.get(said.act)
        content: Any = to_plain(said.content)
        if act is None or act.registered is not None or not isinstance(content, dict):
            return said
        values, mind = cast("dict[str, Any]", content), self.mind(turn)
        taken = [name for name in values if name in act.repeats or _is_known(turn, name, values[name])]
        own = [name for name in values if name not in taken]
        spoilt = mind.use(act, mind.formulate(act, values, own), taken)
        return said if spoilt == values else _replace(said, content=spoilt)


def _is_known(turn: Turn, name: str, value: Any) -> bool:
    """Say whether a value stands under the same name in what was heard."""
    heard = entries_of(turn.heard.content) if turn.heard is not None else None
    return heard is not None and name in heard and to_plain(heard[name]) == value


class _NoisyPlayer:
    """Any async callable, with noise."""

    def __init__(self, player: Callable[[Turn], Awaitable[Said]], noise: Noise) -> None:
        self.player, self.noise, self.ears = player, noise, _Ears(noise)
        if name := getattr(player, "name", ""):
            self.name = name

    async def __call__(self, turn: Turn) -> Said:
        """Take a turn, and misunderstand it now and then."""
        return await _take(self.ears, turn, self.player)


class _NoisyAgent(Agent):
    """An `Agent`, with noise: the same name, model, handlers and tools."""

    def __init__(self, agent: Agent, noise: Noise) -> None:
        self.__dict__.update(vars(agent))
        self.noise, self.ears, self._agent = noise, _Ears(noise), agent

    def take(self, turn: Turn) -> Awaitable[Said]:
        """Take a turn, and misunderstand it now and then."""
        return _take(self.ears, turn, self._agent)


async def _take(ears: _Ears, turn: Turn, player: Callable[[Turn], Any]) -> Said:
    for one in turn.lanes.values() if turn.lanes else (turn,):
        ears.listen(one)
    if not turn.lanes and (question := ears.clarifies(turn)) is not None:
        return question
    answer = player(turn)
    said: Said = await answer if inspect.isawaitable(answer) else answer
    if isinstance(said, Message | Unspoken | Unclear):
        return ears.speak(turn, said)
    return [ears.speak(turn.lanes.get(one.lane, turn), one) for one in said]
