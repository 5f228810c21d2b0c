"""An independent judge of lanes: it reads the document, knows nothing of the tables, and must agree on every short word.

Its conversation is a map of lanes to the names of their states, and lists of what was said; every question is answered by looking
through all of it anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from talks import HEAD, rules

from agentcomm.acts.message import Message
from agentcomm.conversation.events import Duplicate, Late, Refused, Say, Superseded
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.step import open_conversation, step

NOT = (Refused, Late, Duplicate, Superseded)

NET = """
roles: {boss: 1, bidder: 1..3}
acts:
  call: {act: inform, content: {}}
  bid: {act: inform, content: {}}
  pass: {act: inform, content: {}}
  award: {act: inform, content: {}}
  lose: {act: inform, content: {}}
states:
  calling: {boss: {call: {next: bidding, for: all}}}
  bidding: {bidder: {bid: weighing, pass: off}, within: 30s, else: off}
  weighing:
    gather: bidder
    boss: {award: {next: done, at_most: 1}, lose: lost}
outcomes: {done: success, off: refused, lost: rejected, expired: expired}
settles: {success: any done, rejected: all lost, refused: otherwise}
"""

ROUNDS = """
roles: {chair: 1, member: 1..3}
acts:
  ask: {act: inform, content: {}}
  say: {act: inform, content: {}}
  leave: {act: inform, content: {}}
  again: {act: inform, content: {}}
  close: {act: inform, content: {}}
states:
  asking: {chair: {ask: {next: saying, for: all}}}
  saying: {member: {say: hearing, leave: gone}}
  hearing:
    gather: member
    chair:
      again: {next: saying, for: all, max: 1, then: full}
      close: closed
outcomes: {closed: success, gone: refused, full: failed, expired: expired}
settles: {success: most closed, failed: at least 2 full, refused: otherwise}
"""

SLOTS = """
roles: {desk: 1, client: 1..3}
acts:
  come: {act: inform, content: {}}
  serve: {act: inform, content: {}}
  wait: {act: inform, content: {}}
  done-it: {act: inform, content: {}}
states:
  outside: {client: {come: {next: queue, max: 1, then: off}}}
  queue:
    gather: client
    desk: {serve: {next: inside, at_once: 1}, wait: {next: outside, max: 2, then: off}}
  inside: {client: {done-it: done}}
outcomes: {done: success, off: refused, expired: expired}
settles: {success: all done, partial: any done, refused: otherwise}
"""

RACE = """
roles: {seller: 1, buyer: 1..2}
acts:
  offer: {act: inform, content: {}}
  take: {act: inform, content: {}}
  withdraw: {act: inform, content: {}}
states:
  start: {seller: {offer: {next: open, for: all}}}
  open: {buyer: {take: sold}, seller: {withdraw: off}, first: seller}
outcomes: {sold: success, off: refused, expired: expired}
settles: {success: any sold, refused: otherwise}
"""


@dataclass
class Judge:
    """Where every lane stands, what waits at a gather, and what was said."""

    document: dict[str, Any]
    at: dict[str, str]
    waiting: dict[str, str] = field(default_factory=dict)
    """Lane -> the move it has at the open gather."""
    said: list[tuple[str, str, str]] = field(default_factory=list)
    """State, act and lane (empty: for all) of every move that was made."""
    asked: tuple[str, ...] = ()
    """Lanes for which the gather is open."""

    @property
    def shared(self) -> str:
        return next(role for role, many in self.document["roles"].items() if str(many) == "1")

    @property
    def many(self) -> str:
        return next(role for role, many in self.document["roles"].items() if str(many) != "1")

    @property
    def living(self) -> list[str]:
        return [lane for lane, place in self.at.items() if place in self.document["states"]]

    def letters(self) -> Iterator[tuple[str, str, str]]:
        for act in self.document["acts"]:
            for lane in self.at:
                yield self.many, act, lane
                yield self.shared, act, lane
            yield self.shared, act, ""

    def move(self, role: str, act: str, lane: str) -> dict[str, Any] | None:
        """Return what a role may do in a lane, were it asked there."""
        move = self.document["states"].get(self.at[lane], {}).get(role)
        move = move.get(act) if isinstance(move, dict) else None
        return {"next": move} if isinstance(move, str) else move

    def count(self, state: str, act: str, lane: str) -> int:
        return sum(one == (state, act, lane) for one in self.said)

    def may(self, role: str, act: str, lane: str, *, for_all: bool) -> bool:
        move, state = self.move(role, act, lane), self.at[lane]
        if move is None or (move.get("for") == "all") != for_all:
            return False
        if "gather" in self.document["states"][state] and (lane not in self.asked or lane in self.waiting):
            return False
        if (
            "max" in move
            and "then" not in move
            and self.count(state, act, "" if for_all else lane) >= int(move["max"])
        ):
            return False
        staged = sum(self.at[one] == state and made == act for one, made in self.waiting.items())
        if "at_most" in move:
            made = sum(one[:2] == (state, act) for one in self.said)
            if made + staged >= int(move["at_most"]):
                return False
        if "at_once" in move:
            standing = sum(place == move["next"] for place in self.at.values())
            return standing + staged < int(move["at_once"])
        return True

    def say(self, role: str, act: str, lane: str) -> "Judge | None":
        """Return where that leads, or None if it may not be said."""
        lanes = [lane] if lane else [one for one in self.living if self.may(role, act, one, for_all=True)]
        if not lanes or any(one not in self.living for one in lanes):
            return None
        if lane and not self.may(role, act, lane, for_all=False):
            return None
        now = Judge(self.document, dict(self.at), dict(self.waiting), list(self.said), self.asked)
        if "gather" in self.document["states"][self.at[lanes[0]]]:
            now.waiting |= dict.fromkeys(lanes, act)
        else:
            now.made(dict.fromkeys(lanes, (role, act)))
        return now.settled()

    def made(self, moves: dict[str, tuple[str, str]]) -> None:
        """Let moves be made together."""
        counted: set[tuple[str, str, str]] = set()
        targets: dict[str, str] = {}
        for lane, (role, act) in moves.items():
            move = self.move(role, act, lane)
            assert move is not None
            key = (self.at[lane], act, "" if move.get("for") == "all" else lane)
            spent = self.count(*key) - (key in counted)
            targets[lane] = move["then"] if "max" in move and spent >= int(move["max"]) else move["next"]
            if key not in counted:
                self.said.append(key)
                counted.add(key)
        self.at |= targets

    def settled(self) -> "Judge":
        """Let gathers close and open."""
        if self.asked and all(lane in self.waiting for lane in self.asked):
            moves = {lane: (self.shared, self.waiting[lane]) for lane in self.asked}
            self.waiting, self.asked = {}, ()
            self.made(moves)
        at_gather = all("gather" in self.document["states"][self.at[lane]] for lane in self.living)
        if self.living and not self.asked and at_gather:
            self.asked = tuple(self.living)
        return self

    def outcome(self) -> str:
        if self.living:
            return ""
        ends = list(self.at.values())
        for kind, rule in self.document["settles"].items():
            words = str(rule).split()
            found = ends.count(words[-1])
            fits = {
                "any": found > 0,
                "all": found == len(ends),
                "most": 2 * found > len(ends),
                "at": words[0] == "at" and found >= int(words[2] if len(words) > 2 else 0),
                "otherwise": True,
            }
            if fits[words[0]]:
                return kind
        raise AssertionError(ends)


def seen(now: Conversation) -> tuple[dict[str, str], set[str], str]:
    waiting = {lane for lane in now.lanes if now.turn is not None and now.turn.move(lane) is not None}
    places = {lane: here.name for lane, here in now.lanes.items()}
    return places, waiting, now.outcome.name if now.outcome else ""


@pytest.mark.parametrize(
    ("text", "members", "length"),
    [(NET, 1, 5), (NET, 2, 7), (NET, 3, 8), (ROUNDS, 2, 9), (SLOTS, 2, 12), (SLOTS, 3, 9), (RACE, 2, 4)],
    ids=["net-1", "net-2", "net-3", "rounds-2", "slots-2", "slots-3", "race-2"],
)
def test_the_core_and_the_judge_agree_on_every_short_word_of_lanes(text, members, length):
    made, names = rules(text, repairs=False), tuple(f"m{n}" for n in range(1, members + 1))
    document = yaml.load(HEAD + text, Loader=yaml.BaseLoader)  # noqa: S506  (every scalar is a text)
    first = next(iter(document["states"]))
    opened, _ = open_conversation(made, "c", members=names)
    ways = [(opened, Judge(document, dict.fromkeys(names, first)).settled())]
    agreed = refused = ended = 0
    known: set[str] = set()
    for n in range(length):
        further: list[tuple[Conversation, Judge]] = []
        for now, judge in ways:
            for role, act, lane in judge.letters():
                following = judge.say(role, act, lane)
                said = Message(act=act, content={}, id=f"w{n}", sender=role, lane=lane)
                after, events = step(now, Say(said, 0.0))
                accepted = not any(isinstance(event, NOT) for event in events)
                assert accepted == (following is not None), (judge, role, act, lane, events)
                if following is None:
                    refused += 1
                    continue
                agreed += 1
                outcome = following.outcome()
                assert seen(after) == (following.at, set(following.waiting), outcome), (judge, role, act)
                ended += bool(outcome)
                place = repr((following.at, following.waiting, sorted(following.said)))
                if (
                    place not in known and not outcome
                ):  # words that lead to the same place go on in the same way
                    known.add(place)
                    further.append((after, following))
        ways = further
    assert agreed >= 5
    assert refused > agreed
    assert ended
