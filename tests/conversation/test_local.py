"""The second way to run: each role alone on its view of the protocol; together they accept what one mediated talk accepts."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_protocols import random_rules
from talks import LANED, ROOT, SHIPPED, dice_of

from agentcomm.acts.content import to_plain
from agentcomm.acts.message import Message
from agentcomm.conversation.checking import move_for
from agentcomm.conversation.events import Duplicate, Evidence, Heard, Late, Refused, Say, Superseded, Tick
from agentcomm.conversation.local import hears_all, local_rules, open_local
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.step import step
from agentcomm.errors import UsageError
from agentcomm.protocol.library import load, loads
from agentcomm.protocol.project import project
from agentcomm.runtime.enact import rules_for
from agentcomm.testing.choices import Dice
from agentcomm.testing.walking import Manner, Walk, advance, legal_moves, members_for

SOME = settings(max_examples=120)
SEEDS = st.integers(0, 2**30).map(lambda seed: dice_of(seed).getrandbits(30))
NOT = (Refused, Late, Duplicate, Superseded)
QUIET = Manner(asks=0.0, slow=0.0, quits=0.0, honest=1.0)
"""Nobody is late and nothing is misheard: of what goes wrong, those who are not concerned learn nothing."""
TRIO = """
agentcomm: 1
protocol: trio
version: 1
roles: [chief, left, right]
acts:
  order: {act: request, content: {dose: int}, when: dose <= 40}
  take:  {act: agree, content: {dose: int}}
  tell:  {act: inform, content: {dose: int}}
  done-it: {act: inform, content: {}, discharges: order}
grounding:
  take: {repeats: {dose: order.dose}}
  tell: {repeats: {dose: order.dose}}
states:
  start: {chief: {order: {next: given, to: left}}, else: off}
  given: {left: {take: {next: taken, to: chief}}}
  taken: {left: {tell: {next: told, to: right}}}
  told:  {right: {done-it: {next: again, to: [left, chief]}}}
  again: {chief: {done-it: {next: done, to: [left, right]}, order: {next: given, to: left, max: 2}}}
outcomes: {done: success, off: refused, expired: expired}
"""


class Together:
    """A mediated talk, and each role alone beside it."""

    def __init__(self, talk: Walk) -> None:
        self.talk = talk
        self.alone: dict[tuple[str, str], Conversation] = {}
        """By role and lane."""
        self.shared: dict[str, Conversation] = {}
        for role in talk.protocol.roles:
            view = project(talk.protocol, role)
            if role == talk.protocol.many:
                for name in talk.members:
                    self.alone[role, name], _ = open_local(talk.rules, view, "walk")
            else:
                self.shared[role], _ = open_local(talk.rules, view, "walk", members=talk.members)

    def parties(self, heard: Message, before: Conversation) -> list[tuple[str, str]]:
        """Return who says or hears it; a member whose lane has ended no longer does."""
        many = self.talk.protocol.many
        gone = {name for name, here in before.lanes.items() if here.outcome is not None}
        found: list[tuple[str, str]] = []
        for role in (heard.sender, *heard.receivers):
            if role != many:
                found.append((role, ""))
            else:
                found += [
                    (role, name)
                    for name in self.talk.members
                    if heard.lane in ("", name) and name not in gone
                ]
        return list(dict.fromkeys(found))

    def give(self, key: tuple[str, str], given: object) -> tuple[object, ...]:
        role, lane = key
        if lane:
            self.alone[key], events = step(self.alone[key], given)
        else:
            self.shared[role], events = step(self.shared[role], given)
        return events

    def pass_on(self, given: object, events: tuple[object, ...], before: Conversation) -> None:
        """Let all who say or hear a message that the mediated talk accepted take it; each of them must."""
        if isinstance(given, Tick | Evidence):
            for key in [(role, "") for role in self.shared] + list(self.alone):
                self.give(key, given)
            return
        assert isinstance(given, Say)
        if any(isinstance(event, NOT) for event in events):
            return
        sent = given.message.id
        heard = next((e.message for e in events if isinstance(e, Heard) and e.message.id == sent), None)
        if heard is None:  # it waits at a gather, for all lanes
            move = self.move(given.message)
            heard = Message(**{
                **{name: getattr(given.message, name) for name in Message.__struct_fields__}, "receivers": move.to
            })  # fmt: skip
        said = Message(
            act=heard.act, content=to_plain(heard.content), id=sent, sender=heard.sender,
            in_reply_to=given.message.in_reply_to, lane=given.message.lane,
        )  # fmt: skip
        for key in self.parties(heard, before):
            told = self.give(key, Say(said, given.at))
            assert not any(isinstance(event, NOT) for event in told), (key, said, told)

    def move(self, message: Message):
        return next(
            move
            for state in self.talk.protocol.states.values()
            if (move := move_for(state, message.act)) is not None and move.speaker == message.sender
        )


def check(talk: Walk, seed: int, manner: Manner = QUIET) -> None:
    dice = Dice(seed)
    all_of_them = Together(talk)
    for _ in range(10 * talk.rules.bound + 50):
        if talk.outcome:
            break
        before = talk.conversation
        if dice.chance(0.3):
            check_wrong(all_of_them, dice)
        events = advance(talk, dice, manner)
        all_of_them.pass_on(talk.inputs[-1], events, before)
    assert talk.outcome
    for role, now in all_of_them.shared.items():
        if hears_all(talk.protocol, role):
            assert now.outcome is not None
            assert now.outcome.name == talk.outcome


def check_wrong(all_of_them: Together, dice: Dice) -> None:
    """Check that what its speaker may not say by the mediated talk, it may not say by its own either."""
    now, protocol = all_of_them.talk.conversation, all_of_them.talk.protocol
    if now.lanes or protocol.many:
        return
    legal = {(role, move.act.name) for role, _, move in legal_moves(now)}
    label, role = dice.pick(sorted(protocol.acts)), dice.pick(protocol.roles)
    if now.frame is not None or (role, protocol.acts[label].name) in legal:
        return
    message = Message(act=label, content={}, id=f"wrong{dice.getrandbits(30)}", sender=role)
    _, events = step(now, Say(message, now.at))
    assert any(isinstance(event, NOT) for event in events)
    _, told = step(all_of_them.shared[role], Say(message, now.at))
    assert any(isinstance(event, NOT) for event in told), (role, label, all_of_them.shared[role].position)


def runs_alone(made) -> bool:
    try:
        for role in made.protocol.roles:
            local_rules(made, project(made.protocol, role))
    except UsageError:
        return False
    return True


ALL = [name for name in (*SHIPPED, *LANED) if runs_alone(rules_for(load(ROOT / name), judge="judge"))]


def test_most_of_the_library_can_be_run_by_each_role_alone():
    assert len(ALL) >= 20
    assert set(ALL) & set(LANED)


@pytest.mark.parametrize("name", ALL)
def test_a_shipped_protocol_is_held_the_same_by_each_role_alone(name):
    for seed in range(6):
        made = rules_for(load(ROOT / name), judge="judge")
        check(Walk(made, members=members_for(made.protocol, Dice(seed))), seed)


@SOME
@given(SEEDS, SEEDS)
def test_a_random_protocol_is_held_the_same_by_each_role_alone(which, seed):
    made = random_rules(which % 5000)
    assume(made is not None and runs_alone(made))
    check(Walk(made), seed)


@pytest.mark.parametrize("seed", range(20))
def test_what_one_did_not_hear_it_need_not_know(seed):
    check(Walk(rules_for(loads(TRIO))), seed)


def test_who_hears_everything_is_in_time_and_mends_as_the_mediated_talk_does():
    for seed in range(20):
        made = rules_for(load("request"))
        check(Walk(made), seed, Manner(asks=0.3, slow=0.2, quits=0.2, honest=0.5))


def test_a_hearer_checks_what_it_has_heard_and_leaves_the_rest_to_the_speaker():
    made = rules_for(loads(TRIO))
    right, _ = open_local(made, project(made.protocol, "right"), "c")
    now, events = step(right, Say(Message(act="tell", content={"dose": 7}, id="1", sender="left"), 0.0))
    assert [type(event) for event in events if isinstance(event, Heard)]  # it never heard the order
    left, _ = open_local(made, project(made.protocol, "left"), "c")
    left, _ = step(left, Say(Message(act="order", content={"dose": 7}, id="1", sender="chief"), 0.0))
    _, events = step(left, Say(Message(act="take", content={"dose": 8}, id="2", sender="left"), 0.0))
    assert [type(event).__name__ for event in events if "Trouble" in type(event).__name__]
    assert now.outcome is None


def test_its_part_is_over_when_it_has_nothing_more_to_say_or_hear():
    made = rules_for(load("plan-execute-verify"), judge="judge")
    with pytest.raises(UsageError, match="verifier cannot take part"):
        open_local(made, project(made.protocol, "verifier"), "c")


def test_a_view_of_another_protocol_is_a_mistake_of_the_caller():
    made = rules_for(load("request"))
    with pytest.raises(UsageError, match="no view"):
        open_local(made, project(load("query"), "initiator"), "c")
