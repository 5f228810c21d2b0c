"""Every protocol of the library, as a table: what may be said in which order, and what is refused."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from agentcomm.acts.content import parse_duration
from agentcomm.acts.message import Message
from agentcomm.conversation.events import Event, Evidence, Late, Leave, Refused, Say, Tick
from agentcomm.conversation.moves import Appraise, Make, wants_all
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.step import open_conversation, step
from agentcomm.protocol.findings import Finding
from agentcomm.protocol.graph import Criterion, Protocol
from agentcomm.protocol.library import check, load, names

HERE = Path(__file__).parent
OVERLAYS = (
    "read-back",
    "repair",
    "not-understood",
    "cancel",
    "standby",
    "escalate",
    "demonstrate",
    "correct",
)


@cache
def tables() -> Mapping[str, Mapping[str, Any]]:
    return {
        file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(HERE.glob("*.yaml"))
    }


@cache
def rules(name: str) -> Rules:
    overlays = {overlay: load(f"_overlays/{overlay}") for overlay in OVERLAYS}
    return Rules(host(name), overlays, human=name == "escalate", judge="judge")


def host(name: str) -> Protocol:
    """Return the protocol on which the sequences run, with the criteria that its table asks for."""
    protocol = load(tables()[name].get("protocol", name))
    criteria = {act: Criterion(text) for act, text in tables()[name].get("grounding", {}).items()}
    if not criteria:
        return protocol
    acts = {
        label: dataclasses.replace(act, criterion=criteria.get(label, act.criterion))
        for label, act in protocol.acts.items()
    }
    states = {
        key: msgspec.structs.replace(
            state,
            moves={
                label: msgspec.structs.replace(move, act=acts[move.act.label])
                for label, move in state.moves.items()
            },
        )
        for key, state in protocol.states.items()
    }
    return dataclasses.replace(protocol, acts=acts, states=states)


def sequences(kind: str) -> Iterator[Any]:
    for name, table in tables().items():
        for row in table[kind]:
            yield pytest.param(name, row, id=f"{name}: {row['title']}")


@dataclass
class Talk:
    now: Conversation
    at: float = 0.0
    said: int = 0
    events: list[Event] = field(default_factory=list)

    def say(self, role: str, act: str, content: Any, lane: str = "") -> tuple[Event, ...]:
        self.said += 1
        message = Message(act=act, content=content, id=f"m{self.said}", sender=role, lane=lane)
        self.now, events = step(self.now, Say(message, self.at))
        return events

    def take(self, row: Mapping[str, Any]) -> tuple[Event, ...]:
        """Make one step of a sequence, and what code says of itself after it."""
        ((who, what),) = row.items()
        if who == "wait":
            self.at += parse_duration(what).total_seconds()
            self.now, events = step(self.now, Tick(self.at))
            return events
        if who == "leave":
            self.now, events = step(self.now, Leave(self.now.protocol.many, "lost", self.at, what))
            return events
        ((act, content),) = what.items()
        if who == "judge":
            asked = next(asked for asked in wants_all(self.now) if isinstance(asked, Appraise))
            missing, added = tuple(content.get("missing", ())), tuple(content.get("added", ()))
            verdict = Evidence(asked.wanted.message, who, missing, added, self.at, content.get("error", ""))
            self.now, events = step(self.now, verdict)
            return (*events, *self.made())
        role, _, lane = who.replace(" -> ", " ").partition(" ")
        return (*self.say(role, act, content, lane), *self.made())

    def made(self) -> tuple[Event, ...]:
        """Let code say what it says of itself."""
        while made := [asked for asked in wants_all(self.now) if isinstance(asked, Make)]:
            for asked in made:
                self.say(asked.role, asked.move.label, {}, asked.lane)
        return ()


def talk(name: str, row: Mapping[str, Any]) -> Talk:
    """Return a conversation in which the steps of a sequence were made, each of them legal."""
    opened, _ = open_conversation(rules(name), "c", members=row.get("members", ()))
    made = Talk(opened)
    for given in row["steps"]:
        wrong = [event for event in made.take(given) if isinstance(event, Refused | Late)]
        assert not wrong, (given, wrong)
    return made


@pytest.mark.parametrize(("name", "row"), tuple(sequences("accept")))
def test_accepted(name, row):
    made = talk(name, row)
    assert made.now.outcome is not None, made.now.position
    outcome = made.now.outcome
    assert row["ends"] == (outcome.kind if made.now.protocol.many else outcome.name), outcome


@pytest.mark.parametrize(("name", "row"), tuple(sequences("refuse")))
def test_refused(name, row):
    made = talk(name, row)
    before = made.now
    (event,) = made.take(row["then"])
    if isinstance(event, Late):  # its lane is over
        assert before.lanes[event.lane].outcome is not None
    else:
        assert isinstance(event, Refused), event
        assert event.code == row["code"], event
    assert (made.now.position, made.now.n) == (before.position, before.n)


@pytest.mark.parametrize("name", [*names(), *names(overlays=True)])
def test_each_protocol_has_its_table(name):
    table = tables()[name.removeprefix("_overlays/")]
    assert set(table) <= {"protocol", "grounding", "accept", "refuse"}
    for kind, keys in (
        ("accept", {"title", "members", "steps", "ends"}),
        ("refuse", {"title", "members", "steps", "then", "code"}),
    ):
        assert len(table[kind]) >= 5
        assert len({row["title"] for row in table[kind]}) == len(table[kind])
        assert all(set(row) <= keys for row in table[kind])


@pytest.mark.parametrize(("name", "row"), tuple(sequences("accept")))
def test_each_step_is_in_the_protocol(name, row):
    """Also where the core cannot run it yet: the role may say that act somewhere, and its content is valid."""
    protocol = load(tables()[name].get("protocol", name))
    moves = {
        (move.speaker, move.label): move
        for state in protocol.states.values()
        for move in state.moves.values()
    }
    overlays = {label for overlay in names(overlays=True) for label in load(overlay).acts}
    for given in row["steps"]:
        ((who, what),) = given.items()
        if who == "wait":
            assert parse_duration(what)
            continue
        if who == "leave":
            assert what in row["members"]
            continue
        if who == "judge":
            assert set(what["verdict"]) <= {"missing", "added", "error"}
            continue
        ((act, content),) = what.items()
        role, _, member = who.replace(" -> ", " ").partition(" ")
        assert not member or member in row["members"]
        move = moves.get((role, act))
        if move is None:
            assert act in overlays
        elif not move.given:
            assert move.act.content.model_validate(content)


@pytest.mark.parametrize("name", names())
def test_each_act_is_said_in_some_sequence(name):
    said = {
        act
        for row in tables()[name]["accept"]
        for given in row["steps"]
        for what in given.values()
        if isinstance(what, dict)
        for act in what
    }
    ours = {label for label in load(name).acts if "." not in label}
    made_by_code = {label for label, act in load(name).acts.items() if act.when and not act.fields}
    assert ours - said - made_by_code == set()


@pytest.mark.parametrize("name", names())
def test_each_outcome_of_its_own_is_reached(name):
    protocol = load(name)
    if protocol.many:
        pytest.skip("its outcomes are those of lanes")
    ends = {row["ends"] for row in tables()[name]["accept"]}
    assert {end for end in protocol.outcomes if f"outcomes.{end}" in protocol.marks} - ends == set()


MANY = [name for name in names() if load(name).many]


@pytest.mark.parametrize("kind", ["aborted", "cancelled"])
@pytest.mark.parametrize("name", MANY)
def test_lanes_that_are_all_lost_or_called_off_are_settled_as_that(name, kind):
    protocol = load(name)
    ends = {kind: max(2, protocol.members[0])}
    settled = next(settle.outcome for settle in protocol.settles if settle.fits(ends, protocol.outcomes))
    # of an incident, command has moved before lanes begin: the team does not know yet
    assert settled == ("partial" if name == "incident-command" else kind)


@pytest.mark.parametrize("name", [*names(), *names(overlays=True)])
def test_no_error_and_no_warning(name):
    findings: list[Finding] = check(name)
    assert [str(found) for found in findings] == []
