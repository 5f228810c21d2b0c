"""What every store must do, as a machine that does anything at any time and remembers what must be the case."""

import asyncio

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agentcomm.errors import StoreError
from agentcomm.store.base import Claim, Committed, Delivery, Entry, Receipt, Snapshot, Stale, Timer
from agentcomm.store.doing import Doing

BOXES = ("ann", "bob")
NAMES = st.sampled_from(["c1", "c2", "c3"])
GROUPS = st.sampled_from(["", "b1", "*"])
OUT = st.lists(
    st.builds(
        Delivery,
        mailbox=st.sampled_from(BOXES),
        group=GROUPS,
        note=st.sampled_from(["x", "y"]),
        keep=st.booleans(),
        not_before=st.sampled_from([0.0, 1030.0]),
    ),
    max_size=3,
)
TIMERS = st.lists(
    st.builds(
        Timer,
        name=st.sampled_from(["t", "u"]),
        due=st.one_of(st.none(), st.floats(990, 1100, allow_nan=False)),
    ),
    max_size=2,
)


def fields(claim):
    """Return what a claim says; a store may know more of one than of another."""
    return [getattr(claim, name) for name in Claim.__struct_fields__]


class Item:
    def __init__(self, free, attempt=0, token=""):
        self.free, self.attempt, self.token = free, attempt, token


class Talk:
    def __init__(self):
        self.entries, self.items, self.timers, self.dead = [], {}, {}, []
        self.closed, self.about, self.snapshot = False, b"", None

    @property
    def head(self):
        return sum(entry.count for entry in self.entries)


class StoreMachine(RuleBasedStateMachine):
    """Subclasses make the store."""

    LEASE = 20.0

    def make(self, clock):
        raise NotImplementedError

    def __init__(self):
        super().__init__()
        self.time = 1000.0
        self.loop = asyncio.new_event_loop()
        self.store = self.make(lambda: self.time)
        self.talks, self.receipts, self.claims, self.tokens = {}, {}, [], set()
        self.made = 0

    def run(self, awaitable):
        async def it():
            return await awaitable

        return self.loop.run_until_complete(it())

    def teardown(self):
        self.store.close()
        self.loop.close()

    # --- the model ---

    def entry(self, seq, count):
        self.made += 1
        return Entry(seq, count, b"".join(b"line %d of %d\n" % (n, self.made) for n in range(count)))

    def put(self, name, out, timers, claims):
        talk = self.talks[name]
        kept = []
        for one in out:
            place = one.group, one.mailbox, one.note
            if place in talk.items:
                continue
            talk.items[place] = Item(max(one.not_before, self.time))
            if one.keep:
                kept.append(place)
        assert [(c.group, c.mailbox, c.note) for c in claims] == kept
        for claim in claims:
            self.got(claim, first=True)
        for timer in timers:
            if timer.due is None:
                talk.timers.pop(timer.name, None)
            else:
                talk.timers[timer.name] = Item(timer.due)

    def item(self, claim):
        talk = self.talks[claim.conversation]
        place = (claim.group, claim.mailbox, claim.note)
        return talk.items.get(place) if claim.mailbox else talk.timers.get(claim.note)

    def got(self, claim, *, first=False):
        item = self.item(claim)
        assert item.free <= self.time or first
        item.attempt += 1
        item.free, item.token = self.time + self.LEASE, claim.token
        if first:  # it may go on with the lease of the claim before
            there = self.store.waiting(claim.conversation)
            (item.free,) = [
                w.free
                for w in there
                if (w.group, w.mailbox, w.note) == (claim.group, claim.mailbox, claim.note)
            ]
            assert self.time + self.LEASE / 2 <= claim.until <= item.free <= self.time + self.LEASE
        assert claim.attempt == item.attempt
        self.claims.append(claim)

    def holds(self, claim):
        item = self.item(claim)
        return item is not None and item.token == claim.token

    def drop(self, claim):
        talk = self.talks[claim.conversation]
        if claim.mailbox:
            del talk.items[claim.group, claim.mailbox, claim.note]
        else:
            del talk.timers[claim.note]

    # --- what happens ---

    @initialize()
    def begin(self):
        self.open("c1", [Delivery("ann", keep=True)], [], key="")

    @rule(name=NAMES, out=OUT, timers=TIMERS, key=st.sampled_from(["", "k", "l"]), said=st.sampled_from("pq"))
    def opens(self, name, out, timers, key, said):
        self.open(name, out, timers, key, said)

    def open(self, name, out, timers, key, said="p"):
        receipt = Receipt("peer", key, said) if key else None
        first = self.entry(0, 2)
        shared = {"law": b"the law\n"}
        known = self.receipts.get(key) if key else None
        try:
            done = self.run(
                self.store.open(
                    name, first, out, timers, about=b"a", receipt=receipt, shared=shared, lease=self.LEASE
                )
            )
        except StoreError as error:
            self.refused(error, "X405" if known and known[0] != said else "X404")
            return
        if known:
            assert known[0] == said
            assert (done.conversation, done.is_new) == (known[1], False)
            return
        assert done.is_new
        assert name not in self.talks
        self.talks[name] = talk = Talk()
        talk.about = b"a"
        talk.entries.append(Entry(0, 2, b"the law\n" + first.data))
        if key:
            self.receipts[key] = said, name
        self.put(name, out, timers, done.kept)

    def refused(self, error, code):
        assert error.code == code

    @rule(
        boxes=st.sampled_from([BOXES, BOXES[:1], BOXES[1:]]),
        limit=st.integers(1, 3),
        one=st.sampled_from(["", "c2"]),
    )
    def claims_some(self, boxes, limit, one):
        free = [
            (item.free, name, place)
            for name, talk in self.talks.items()
            for place, item in talk.items.items()
            if place[1] in boxes and item.free <= self.time and one in ("", name)
        ]
        found = self.run(self.store.claim(boxes, limit, self.LEASE, conversation=one))
        assert len(found) == min(limit, len(free))
        times = [self.item(claim).free for claim in found]
        assert times == sorted(item[0] for item in free)[: len(found)]
        for claim in found:
            assert claim.token not in self.tokens
            self.tokens.add(claim.token)
            self.got(claim)

    @rule(limit=st.integers(1, 3))
    def claims_timers(self, limit):
        free = sorted(
            item.free
            for talk in self.talks.values()
            for item in talk.timers.values()
            if item.free <= self.time
        )
        found = self.run(self.store.due(limit, self.LEASE))
        assert [self.item(claim).free for claim in found] == free[:limit]
        for claim in found:
            assert not claim.mailbox
            self.got(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def renews(self, data):
        claims = data.draw(st.lists(st.sampled_from(self.claims), min_size=1, max_size=3, unique_by=id))
        lost = self.run(self.store.renew(claims, self.LEASE))
        assert lost == [claim for claim in claims if not self.holds(claim)]
        for claim in claims:
            if self.holds(claim):
                self.item(claim).free = self.time + self.LEASE

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        shift=st.sampled_from([0, 0, 0, 0, -1, 1]),
        count=st.integers(0, 2),
        out=OUT,
        timers=TIMERS,
        replace=st.lists(GROUPS, max_size=2),
        consume=st.booleans(),
        closes=st.sampled_from([None, None, None, b"over"]),
        has_claim=st.sampled_from([True, True, True, False]),
        key=st.sampled_from(["", "", "k", "m"]),
        is_asked_twice=st.booleans(),
        has_snapshot=st.booleans(),
    )
    def commits(
        self,
        data,
        shift,
        count,
        out,
        timers,
        replace,
        consume,
        closes,
        has_claim,
        key,
        is_asked_twice,
        has_snapshot,
    ):
        self.commit(data.draw(st.sampled_from(self.claims)), shift, count, out, timers, replace, consume, closes, has_claim, key, is_asked_twice, has_snapshot)  # fmt: skip

    @precondition(lambda self: any(claim.mailbox and not claim.group for claim in self.claims))
    @rule(
        data=st.data(),
        shift=st.sampled_from([0, 0, 0, 0, -1, 1]),
        count=st.integers(1, 2),
        out=st.builds(
            Delivery, mailbox=st.sampled_from(BOXES), note=st.sampled_from(["x", "y"]), keep=st.just(True)
        ),
        closes=st.sampled_from([None, None, None, b"over"]),
        is_asked_twice=st.booleans(),
    )
    def takes_a_usual_turn(self, data, shift, count, out, closes, is_asked_twice):
        claim = data.draw(st.sampled_from([one for one in self.claims if one.mailbox and not one.group]))
        several = [] if closes is not None else [out]
        self.commit(claim, shift, count, several, [], [""], True, closes, True, "", is_asked_twice, False, usual=out)  # fmt: skip

    def commit(
        self, claim, shift, count, out, timers, replace, consume, closes, has_claim, key, is_asked_twice, has_snapshot, usual=None
    ):  # fmt: skip
        name = claim.conversation
        talk = self.talks[name]
        entry = self.entry(max(0, talk.head + shift), count) if count else None
        receipt = Receipt("peer", key, "p") if key else None
        snapshot = Snapshot(talk.head + count, b"state %d" % self.made) if has_snapshot else None
        given = {
            "replace": replace, "consume": consume, "closes": closes, "receipt": receipt, "lease": self.LEASE,
            "snapshot": snapshot, "is_alone": self.made % 2 == 0,
        }  # fmt: skip

        async def commit():
            if usual is not None:
                waits: Doing[Committed | Stale] = Doing(asyncio.get_running_loop())
                box, note = usual.mailbox, usual.note
                is_alone = self.made % 2 == 0
                done = self.store.go_on(claim, entry, box, note, closes, self.LEASE, waits, is_alone=is_alone)
                return await waits if done is None else done
            return await self.store.commit(name, claim if has_claim else None, entry, out, timers, **given)

        def ask():
            return self.run(commit())

        done = ask()
        known = self.receipts.get(key) if key else None
        if known:
            assert done == (Stale("receipt") if known[0] != "p" else Committed(talk.head, was_done=True))
            return
        if talk.closed:
            assert done == Stale("closed")
            return
        if has_claim and not self.holds(claim):
            assert done == Stale("claim")
            return
        if entry is not None and entry.seq != talk.head:
            assert done == Stale("seq")
            return
        if entry is not None:
            talk.entries.append(entry)
        assert done.head == talk.head
        if key:
            self.receipts[key] = "p", name
        if has_claim and consume:
            self.drop(claim)
        wanted = {(one.group, one.mailbox, one.note) for one in out}
        for place in [place for place in talk.items if place[0] in replace and place not in wanted]:
            del talk.items[place]
        if closes is not None:
            talk.closed, talk.about, talk.snapshot = True, closes, None
            talk.items.clear()
            talk.timers.clear()
            assert done.kept == ()
        else:
            talk.snapshot = snapshot or talk.snapshot
            self.put(name, out, timers, done.kept)
        if is_asked_twice and entry is not None:  # the first answer was lost
            again = ask()
            assert (again.head, again.was_done) == (talk.head, True)
            assert list(map(fields, again.kept)) == list(map(fields, done.kept))

    @precondition(lambda self: any(self.holds(claim) and claim.mailbox for claim in self.claims))
    @rule(data=st.data(), who=st.sampled_from(BOXES), note=st.sampled_from("xy"), many=st.integers(1, 3))
    def goes_on(self, data, who, note, many):
        """Do what most turns do, some of them in a row."""
        claim = data.draw(st.sampled_from([c for c in self.claims if self.holds(c) and c.mailbox]))
        for _ in range(many):
            out = [Delivery(who, claim.group, note, keep=True)]
            before = len(self.claims)
            self.commit(claim, 0, 1, out, [], [claim.group], True, None, True, "", False, False)
            if len(self.claims) == before:  # somebody had that delivery already
                return
            claim = self.claims[-1]

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), later=st.sampled_from([None, 0.0, 15.0]), reason=st.sampled_from(["because", ""]))
    def gives_back(self, data, later, reason):
        claim = data.draw(st.sampled_from(self.claims))
        when = None if later is None else self.time + later
        done = self.run(self.store.give_back(claim, not_before=when, reason=reason))
        assert done == self.holds(claim)
        if not done:
            return
        talk, item = self.talks[claim.conversation], self.item(claim)
        if later is None:
            self.drop(claim)
            talk.dead.append((claim.mailbox, claim.group, claim.note, item.attempt))
        else:
            item.free, item.token = when, ""
            item.attempt -= not reason

    @rule(name=NAMES)
    def revives(self, name):
        if name not in self.talks:
            return
        talk = self.talks[name]
        done = self.run(self.store.revive(name))
        assert done == (0 if talk.closed else len(talk.dead))
        if talk.closed:
            return
        dead, talk.dead = talk.dead, []
        for mailbox, group, note, _ in dead:
            if mailbox:
                talk.items.setdefault((group, mailbox, note), Item(self.time))
            else:
                talk.timers[note] = Item(self.time)

    @rule(later=st.sampled_from([0.5, 7.0, 21.0]))
    def passes(self, later):
        self.time += later

    @rule(name=NAMES)
    def prunes(self, name):
        gone = name in self.talks and self.talks[name].closed
        assert self.run(self.store.prune(before=self.time + 1, conversation=name)) == int(gone)
        if gone:
            del self.talks[name]
            self.receipts = {k: known for k, known in self.receipts.items() if known[1] != name}
            self.claims = [claim for claim in self.claims if claim.conversation != name]

    # --- what is the case ---

    @invariant()
    def nothing_is_lost_and_nothing_is_twice(self):
        for name, talk in self.talks.items():
            assert list(self.store.read(name)) == talk.entries
            assert self.store.snapshot(name) == talk.snapshot
            if talk.entries[1:]:
                assert list(self.store.read(name, talk.entries[1].seq - 1)) == talk.entries[1:]

    @invariant()
    def the_lists_say_what_is_there(self):
        rows = {row.conversation: row for row in self.store.rows()}
        assert rows.keys() == self.talks.keys()
        for name, talk in self.talks.items():
            row = rows[name]
            assert (row.closed is not None, row.about, row.head) == (talk.closed, talk.about, talk.head)
            assert row.due == min((item.free for item in talk.timers.values()), default=None)
            assert row.dead == len(talk.dead)
            assert [(d.mailbox, d.group, d.note, d.attempt) for d in self.store.dead(name)] == talk.dead
            there = {(w.group, w.mailbox, w.note): w for w in self.store.waiting(name)}
            assert there.keys() == talk.items.keys()
            for place, item in talk.items.items():
                found = there[place]
                assert (found.free, found.attempt, found.is_claimed) == (
                    item.free,
                    item.attempt,
                    bool(item.token),
                )
