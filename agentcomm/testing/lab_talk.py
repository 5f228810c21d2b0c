"""One conversation of the laboratory: scripted speakers with noise, driven through the core, and what came of it.

The speakers say what the protocol wants of them on the shortest way to a good end; what they take from others they take as they
understood it. What was meant is kept aside, so that it is known which deed was a misunderstanding.
"""

from collections.abc import Mapping
from typing import Any

from agentcomm.acts.content import to_plain
from agentcomm.acts.message import Message
from agentcomm.conversation.doubts import was_weighed
from agentcomm.conversation.events import (
    Counted,
    Doubt,
    Event,
    Evidence,
    Heard,
    Input,
    Moved,
    Reading,
    Refused,
    RepairClosed,
    RepairOpened,
    Say,
    Tick,
    TroubleFound,
)
from agentcomm.conversation.moves import Appraise, Joint, Make, Speak, due, wants_all
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.step import open_conversation, step
from agentcomm.protocol.graph import Act, Move, OutcomeClass
from agentcomm.testing.choices import Choices
from agentcomm.testing.contents import content_of
from agentcomm.testing.lab_overlays import CORRECTION, READ_BACK, said_in_overlay
from agentcomm.testing.lab_policies import JUDGE
from agentcomm.testing.lab_row import Row
from agentcomm.testing.lab_scene import Scene
from agentcomm.testing.noise_minds import Kind, Mind, Noise
from agentcomm.testing.noise_values import plain_content
from agentcomm.testing.speech import content_for

__all__ = ("Talk",)

_WELL = (OutcomeClass.SUCCESS, OutcomeClass.PARTIAL)


class Talk:
    """One conversation.

    Args:
        scene: The protocol as the laboratory plays it.
        rules: The laws, by the way of grounding.
        noise: What goes wrong.
        choices: Where content comes from.
        memory: Act -> what was said in an earlier conversation, for whoever takes it for this one's.
        members: Who plays the many-role.
    """

    def __init__(
        self,
        scene: Scene,
        rules: Rules,
        noise: Noise,
        choices: Choices,
        *,
        memory: Mapping[str, dict[str, Any]] | None = None,
        members: tuple[str, ...] = (),
    ) -> None:
        self.scene, self.rules, self.noise, self.choices = scene, rules, noise, choices
        self.memory = memory or {}
        self.row = Row()
        self.minds: dict[tuple[str, str], Mind] = {}
        self.meant: dict[tuple[str, str], dict[str, Any]] = {}
        """Lane and act -> what its speaker was to say."""
        self.plans: dict[tuple[str, str], dict[str, Any]] = {}
        """Lane and act -> what its speaker says, until it counts."""
        self.said: dict[str, tuple[Message, dict[str, Any]]] = {}
        self.asked: set[tuple[str, str, str]] = set()
        self.checked: set[str] = set()
        self.plain: set[tuple[str, str]] = set()
        self.sent = 0
        self.inputs: list[Input] = []
        self.now: Conversation
        self.now, events = open_conversation(rules, "laboratory", members=members)
        self.watch(events)

    def run(self) -> Row:
        """Hold the conversation, and return what came of it."""
        most = 4 * self.rules.bound + 20
        for _ in range(most):
            if self.now.outcome is not None:
                break
            self._go()
        outcome = self.now.outcome
        self.row.outcome = outcome.kind.value if outcome else "endless"
        self.row.well = outcome is not None and outcome.kind in _WELL
        self.row.messages, self.row.read_back = self.now.n, len(self.checked)
        self.row.beyond = max(0, self.now.n - self.rules.bound)
        self.row.noise = sum(
            count for kind, count in self.noise.injected.items() if kind is not Kind.OVER_EAGER_CLARIFIER
        )
        return self.row

    def _go(self) -> None:
        """Let whoever has the floor first say something."""
        asked = wants_all(self.now)[0]
        if isinstance(asked, Make):
            self._give(self._message(asked.role, asked.move.label, {}, asked.lane))
            return
        if isinstance(asked, Appraise):
            self._put(self._verdict(asked))
            return
        speak = next(iter(asked.lanes.values())) if isinstance(asked, Joint) else asked
        view = self.now.view(speak.lane) if speak.lane else self.now
        if view.frame is None and (doubt := self._doubt(view, speak)) is not None:
            self._put(doubt)
            return
        self.row.turns += 1
        made = self._in_overlay(view, speak) if view.frame is not None else self._speak(view, speak)
        if made is None:
            self._put(Tick(due(self.now)))
        else:
            self._give(made)

    def _doubt(self, view: Conversation, speak: Speak) -> Doubt | None:
        """Return what somebody noticed to be unclear in what it is to answer; the core decides what follows."""
        mind, heard = self.mind(speak.role, speak.lane), view.here.last.get(speak.role)
        it = view.seen.get(heard) if heard else None
        noticed = mind.doubts.get(it.act) if it is not None and speak.exits else None
        if it is None or noticed is None or was_weighed(view, it.id, noticed[0]):
            return None
        readings = tuple(Reading(to_plain(value)) for value in noticed[1])
        return Doubt(speak.role, it.id, noticed[0], readings, self.now.at, speak.lane)

    def _verdict(self, asked: Appraise) -> Evidence:
        """Say whether a demonstration shows understanding; the judge is wrong as often as the scene says."""
        about = self.said[asked.wanted.about]
        taken = self.mind(asked.wanted.hearer, asked.lane).taken.get(about[0].act)
        right = taken is not None and taken.values == about[1]
        self.row.checks_right += right
        found = self.choices.chance(self.scene.judge_alarms if right else self.scene.judge_detects)
        missing = ("something that was meant",) if found else ()
        return Evidence(asked.wanted.message, JUDGE, missing, (), self.now.at, lane=asked.lane)

    def _give(self, message: Message) -> None:
        self._put(Say(message, self.now.at))

    def _put(self, given: Input) -> None:
        self.inputs.append(given)
        self.now, events = step(self.now, given)
        self.watch(events)

    def _message(self, role: str, act: str, content: Any, lane: str) -> Message:
        self.sent += 1
        return Message(act=act, content=content, id=f"m{self.sent}", sender=role, lane=lane)

    def mind(self, role: str, lane: str) -> Mind:
        """Return what a role understood in a lane."""
        found = self.minds.get((role, lane))
        if found is None:
            found = self.minds[role, lane] = Mind(self.noise, self.scene.critical)
            found.earlier = dict(self.memory)
            if lane and (trunk := self.minds.get((role, ""))) is not None:
                found.taken = dict(trunk.taken)
        return found

    def _speak(self, view: Conversation, speak: Speak) -> Message | None:
        """Say the next thing on the shortest way to a good end, or ask though there is nothing to ask."""
        mind = self.mind(speak.role, speak.lane)
        if speak.exits and mind.asks():
            self.row.needless += 1
            move = next((move for move in speak.exits if move.label == "not-understood"), speak.exits[0])
            return self._message(
                speak.role, move.label, content_of(move.act.fields, self.choices), speak.lane
            )
        open_now = {move.label: move for move in speak.moves}
        for label in self.scene.ranks.get(view.position, tuple(open_now)):
            move = open_now.get(label)
            if move is None:
                continue
            content = self._content(view, move, speak.lane)
            if content is not None:
                return self._message(speak.role, label, content, "" if move.for_all else speak.lane)
        for move in speak.moves:  # a state that was put in to acknowledge
            if move.label not in self.scene.protocol.acts:
                return self._message(speak.role, move.label, {}, speak.lane)
        return None

    def _content(self, view: Conversation, move: Move, lane: str) -> dict[str, Any] | None:
        """Return what is said with a move: the speaker's own values, and those of others as it understood them."""
        act, key = move.act, (lane, move.label)
        taken = self._taken(move, lane)
        if key in self.plain:  # what it wanted to say was refused
            self.plans.pop(key, None)
            return content_for(view, move, self.choices)
        planned = self.plans.get(key)
        if planned is None:
            needed = [name for name, kind in act.fields.items() if not kind.optional]
            made = dict(taken) if taken.keys() >= set(needed) else content_for(view, move, self.choices)
            if made is None:
                return None
            filled = {name: to_plain(value) for name, value in made.items() if name not in move.given}
            whole = {**filled, **taken}
            try:
                own = plain_content(act, whole) if not move.given else whole
            except ValueError:
                own = filled
            self.meant[key] = self._as_meant(act, own, lane)
            said = self.mind(move.speaker, lane).formulate(act, own, [n for n in own if n not in taken])
            planned = self.plans[key] = said
        if not taken:
            return planned
        return self.mind(move.speaker, lane).use(act, {**planned, **taken}, taken)

    def _taken(self, move: Move, lane: str) -> dict[str, Any]:
        """Return the fields of a move that its speaker takes from others, as it understood them."""
        sources = self.scene.takes.get(move.label)
        if not sources:
            return {}
        mind = self.mind(move.speaker, lane)
        if self.now.here.troubles or (lane and self.now.view(lane).here.troubles):
            self._take_in_troubles(mind, move, lane)
        found: dict[str, Any] = {}
        for name, (label, field) in sources.items():
            values = mind.values(label)
            if values is not None and values.get(field) is not None and name not in move.given:
                found[name] = values[field]
        return found

    def _take_in_troubles(self, mind: Mind, move: Move, lane: str) -> None:
        """Let a speaker whose message differed from the record hear what is on record."""
        here = (self.now.view(lane) if lane else self.now).here
        for trouble in here.troubles:
            source = self.scene.takes.get(move.label, {}).get(trouble.field)
            if (
                source is not None
                and trouble.meant is not None
                and (act := self.scene.protocol.acts.get(source[0]))
            ):
                mind.correct(act, {source[1]: trouble.meant})

    def _as_meant(self, act: Act, own: Mapping[str, Any], lane: str) -> dict[str, Any]:
        meant = dict(own)
        for name, (label, field) in self.scene.takes.get(act.label, {}).items():
            source = self._meant(lane, label)
            if source is not None and field in source:
                meant[name] = source[field]
        return meant

    def _meant(self, lane: str, label: str) -> dict[str, Any] | None:
        return self.meant.get((lane, label)) or self.meant.get(("", label))

    def _in_overlay(self, view: Conversation, speak: Speak) -> Message | None:
        if view.frame is None:
            return None
        act, content = said_in_overlay(view.frame, speak, self.mind(speak.role, speak.lane), self.choices)
        return self._message(speak.role, act, content, speak.lane)

    def watch(self, events: tuple[Event, ...]) -> None:
        """Take in what happened."""
        for event in events:
            match event:
                case Heard():
                    self._heard(event)
                case TroubleFound():
                    self._trouble(event)
                case Moved():
                    self._moved(event)
                case Counted():
                    self.row.counted.append((event.key, event.understood))
                case RepairOpened():
                    self.row.repairs += 1
                case RepairClosed():
                    self.row.mended += event.mended
                case Refused():
                    self.row.refused += 1
                    self.plain.add((event.lane, event.act))
                case _:
                    pass

    def _heard(self, event: Heard) -> None:
        message = event.message
        content = to_plain(message.content)
        self.said[message.id] = message, content
        self.row.words += 1 + len(str(content).split())
        act = self.scene.protocol.acts.get(message.act)
        if event.overlay:
            self._heard_in_overlay(event.overlay, message, content)
        elif act is not None and act.fields:
            for hearer, lane in self._hearers(message):
                self.mind(hearer, lane).hear(act, content)
            if act.repeats or message.act in self.scene.takes:
                self._count_use(message, content)

    def _hearers(self, message: Message) -> list[tuple[str, str]]:
        lanes = [message.lane] if message.lane or not self.now.begun else list(self.now.lanes)
        return [(hearer, lane) for hearer in message.receivers for lane in lanes]

    def _heard_in_overlay(self, overlay: str, message: Message, content: Any) -> None:
        signature = (message.about, message.act, repr(content))
        if message.act not in ("right", "confirm", "demonstrate"):
            self.row.loops += signature in self.asked
            self.asked.add(signature)
        about = self.said.get(message.about)
        if about is None:
            return
        if overlay == "demonstrate" and message.act == CORRECTION:
            for hearer in message.receivers:
                self.mind(hearer, message.lane).correct(self.scene.protocol.acts[about[0].act], about[1])
        if overlay != "read-back":
            return
        act = self.scene.protocol.acts[about[0].act]
        if message.act == READ_BACK:
            right = self._is_right(message.sender, message.lane, about)
            self.row.checks_right += right
            self.checked.add(message.about)
        elif message.act == CORRECTION:
            for hearer in message.receivers:
                self.mind(hearer, message.lane).correct(act, content["fields"])

    def _is_right(
        self, hearer: str, lane: str, about: tuple[Message, dict[str, Any]], *, whole: bool = False
    ) -> bool:
        """Say whether a hearer understood a message as it was said: what is read back of it, or the whole."""
        taken = self.mind(hearer, lane).taken.get(about[0].act)
        if taken is None:
            return False
        names = taken.act.fields if whole else self.scene.critical(taken.act)
        return all(taken.values.get(name) == about[1].get(name) and name not in taken.shown for name in names)

    def _count_use(self, message: Message, content: dict[str, Any]) -> None:
        act = self.rules.protocol.acts[message.act]
        if act.repeats and self._differing(message, content) == []:
            self.row.checks_right += 1

    def _differing(self, message: Message, content: Mapping[str, Any]) -> list[str]:
        """Return the fields in which what is used is not what was said."""
        found: list[str] = []
        for name, (label, field) in self.scene.takes.get(message.act, {}).items():
            record = (
                self.now.view(message.lane).here.said
                if message.lane and self.now.begun
                else self.now.here.said
            )
            said = record.get(label)
            if said is not None and to_plain(getattr(said.message.content, field, None)) != content.get(name):
                found.append(name)
        return found

    def _trouble(self, event: TroubleFound) -> None:
        if event.kind == "repeats":
            found = self.said.get(event.message)
            if found is not None and not self._differing(*found):
                self.row.alarms += 1
            return
        about = self.said.get(event.message)
        if about is None:
            return
        whole = event.kind == "demonstration"
        hearers = [(role, lane) for role, lane in self._hearers(about[0]) if role in about[0].receivers]
        if all(self._is_right(role, lane, about, whole=whole) for role, lane in hearers):
            self.row.alarms += 1

    def _moved(self, event: Moved) -> None:
        found = self.said.get(event.message)
        if found is None:
            return
        message, content = found
        self.plans.pop((message.lane, event.act), None)
        if event.act in self.scene.deeds and event.act == message.act:
            self.row.deeds += 1
            self.row.wrong += self._is_wrong(message, content)
            self.row.ungrounded += self._is_ungrounded(message)

    def _is_wrong(self, message: Message, content: Mapping[str, Any]) -> bool:
        """Say whether a deed was done with a value that was not meant, or on a text that was understood otherwise."""
        sources = self.scene.takes.get(message.act, {})
        for name, (label, field) in sources.items():
            meant = self._meant(message.lane, label)
            if meant is not None and meant.get(field) != content.get(name):
                return True
        mind = self.mind(message.sender, message.lane)
        for label, taken in mind.taken.items():
            meant = self._meant(message.lane, label)
            seen = {field for of, field in sources.values() if of == label}
            if meant is None or not self.scene.critical(taken.act):
                continue
            if any(taken.values.get(name) != value for name, value in meant.items() if name not in seen):
                return True
        return False

    def _is_ungrounded(self, message: Message) -> bool:
        here = (self.now.view(message.lane) if message.lane and self.now.begun else self.now).here
        mind = self.mind(message.sender, message.lane)
        for label in mind.taken:
            said = here.said.get(label)
            if label in self.scene.guarded and said is not None and not str(said.evidence).count(READ_BACK):
                return True
        return False
