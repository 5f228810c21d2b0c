"""The bound of a conversation in lanes is held to trying all of them, on protocols small enough for that."""

import itertools
import json
from functools import cache

import pytest
from mutants import parsed

from agentcomm.protocol.library import load, loads

AUCTION = """
agentcomm: 1
protocol: auction
version: 1
roles: {seller: 1, bidder: 1..3}
acts:
  cfp: {price: money}
  bid: {act: propose, content: {price: money}, outlives: true}
  pass: {act: refuse, content: {}}
  lead: {act: confirm, content: {}}
  stay: {act: confirm, content: {}}
  outbid: {act: reject-proposal, content: {}}
  decline: {act: reject-proposal, content: {}}
  closed: {act: inform, content: {}}
  sold: {act: accept-proposal, content: {}}
  paid: {act: inform, content: {}}
  seen: {act: confirm, content: {}}
states:
  calling:
    gather: bidder
    seller: {cfp: {next: called, for: all, max: 2}, closed: lost}
  called:
    bidder: {bid: weighing, pass: lost}
    else: calling
  weighing:
    gather: bidder
    seller: {lead: {next: leading, at_once: 1}, decline: calling}
  leading:
    gather: bidder
    seller: {stay: {next: leading, max: 2}, outbid: calling, sold: {next: paying, at_most: 1}, closed: lost}
  paying:
    bidder: {paid: thanked}
  thanked:
    seller: {seen: won}
outcomes: {won: success, lost: rejected}
settles: {success: any won, rejected: otherwise}
"""


def edited(**states):
    document = parsed(AUCTION)
    document["states"] |= states
    return loads(json.dumps(document))


def longest(protocol):
    """Return the longest conversation by trying all of them, lanes that are not at a gather one after the other."""
    states = protocol.states

    def choices(place, spent, counted):
        """Yield what can happen in a lane: the move (None: its deadline), where it leads, what is spent then."""
        yield None, states[place].otherwise, spent
        for move in states[place].moves.values():
            used = dict(counted if move.for_all else spent).get(move.key, 0)
            if move.max is None or used < move.max:
                own = move.max is not None and not move.for_all
                yield move, move.next, more(spent, move) if own else spent
            elif move.then:
                yield move, move.then, spent

    def more(counts, move):
        return tuple(sorted({**dict(counts), move.key: dict(counts).get(move.key, 0) + 1}.items()))

    @cache
    def go(lanes, counted):
        """`counted`: what all lanes spend together."""
        living = [number for number, (place, _) in enumerate(lanes) if place in states]
        away = [number for number in living if not states[lanes[number][0]].gather]
        turn = away[:1] or living
        if not turn:
            return 0
        best = 0
        for chosen in itertools.product(*(list(choices(*lanes[number], counted)) for number in turn)):
            after = list(lanes)
            for number, (_, place, spent) in zip(turn, chosen, strict=True):
                after[number] = (place, spent)
            made = [move for move, _, _ in chosen if move]
            together = {move.key: move for move in made if move.for_all}
            said = [*together.values(), *(move for move in made if not move.for_all)]
            then = counted
            for move in said:
                if move.at_most is not None or (move.for_all and move.max is not None):
                    then = more(then, move)
            if any(
                dict(then).get(move.key, 0) > move.at_most for move in made if move.at_most is not None
            ) or any(
                sum(place == move.next for place, _ in after) > move.at_once for move in made if move.at_once
            ):
                continue
            best = max(best, len(said) + go(tuple(sorted(after)), then))
        return best

    return go(((protocol.start, ()),) * protocol.members[1], ())


PARSED = parsed(AUCTION)
VARIANTS = {
    "as it stands": {},
    "any number may lead": {
        "weighing": {"gather": "bidder", "seller": {"lead": "leading", "decline": "calling"}}
    },
    "a deadline leads there": {"called": {"bidder": {"bid": "weighing", "pass": "lost"}, "else": "leading"}},
    "a deadline at the gather": {"leading": {**PARSED["states"]["leading"], "else": "calling"}},
    "several are sold": {
        "leading": {
            "gather": "bidder",
            "seller": {
                "stay": {"next": "leading", "max": 2},
                "sold": "paying",
                "closed": "lost",
                "outbid": "calling",
            },
        }
    },
}


@pytest.mark.parametrize("name", VARIANTS)
def test_no_conversation_in_lanes_is_longer_than_the_bound(name):
    protocol = edited(**VARIANTS[name])
    assert longest(protocol) <= protocol.bound


def test_the_bound_knows_how_many_lanes_may_stand_somewhere():
    assert edited().bound == 28
    assert edited(**VARIANTS["any number may lead"]).bound == 31


def test_a_task_that_one_is_given():
    protocol = load("contract-net")
    assert protocol.bound == 1 + 20 * 2 + 1
