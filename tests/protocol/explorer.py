"""What is wrong with a protocol, by looking at every position with every budget: slow, plain, and apart from the checker.

It reads the document itself. A state that runs another protocol is one position whose moves are that one's outcomes; of
lanes, it follows one. It tells only what is surely wrong, so that the checker can be held to it.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

KEYS = {"within", "else", "gather", "run", "as", "with", "then", "first"}
ASKS = {
    "request", "request-when", "request-whenever", "subscribe", "query-if", "query-ref", "proxy", "propagate",
}  # fmt: skip
QUESTIONS = {"query-if", "query-ref"}
ANSWERS = {"inform", "confirm", "disconfirm"}
ANSWERED = {
    "accept-proposal": {"propose"},
    "reject-proposal": {"propose"},
    "agree": ASKS,
    "refuse": ASKS | {"cfp", "propose"},
}
"""By answer: what it may answer."""
KNOWN_ACTS = ASKS | ANSWERS | {
    "accept-proposal", "agree", "cancel", "cfp", "failure", "not-understood", "propose", "refuse", "reject-proposal",
}  # fmt: skip
MOST = 3
"""A budget above it is taken for it: what can be reached stays the same, what must be looked at does not grow."""
REFERENCE = re.compile(r"\b([a-z][a-z0-9-]*)\.([a-z_]+)\b")


@dataclass(frozen=True)
class Step:
    """A move; the end of a run, which nobody says; or a deadline."""

    label: str
    speaker: str
    to: tuple[str, ...]
    next: str
    max: int | None = None
    then: str = ""
    owner: str = ""
    is_sure: bool = True
    """Nothing but its budget can keep it from being made."""
    is_deadline: bool = False


@dataclass
class Place:
    """A state."""

    steps: list[Step] = field(default_factory=list)
    otherwise: str = "expired"
    has_else: bool = False
    first: str = ""
    run: str = ""

    @property
    def speakers(self):
        """Return who may speak there, in order."""
        return list(dict.fromkeys(step.speaker for step in self.steps if step.speaker))


def words(value):
    """Return one word or a list of them as a tuple."""
    return tuple(value) if isinstance(value, list) else (value,) if value else ()


class Talk:
    """A document, and what is wrong with it."""

    def __init__(self, document, inner):
        """Read a document; `inner` finds those that it runs by name."""
        self.document, self.inner = document, inner
        roles = document["roles"]
        self.roles = list(roles)
        self.acts = document.get("acts", {})
        self.outcomes = {"expired": "expired", **document["outcomes"]}
        self.places = {name: self._place(name, state) for name, state in document["states"].items()}
        self.start = document.get("start", next(iter(self.places)))
        gathers = [state for state in document["states"].values() if "gather" in state]
        self.shared = {
            label
            for state in gathers[1:] and gathers
            for moves in state.values()
            for label, move in (moves.items() if isinstance(moves, dict) else ())
            if isinstance(move, dict) and "for" in move
        }
        """What is said for all at one of several gathers: lanes that come there later use its budget up as well."""

    def _place(self, name, state):
        place = Place(first=state.get("first", ""), run=state.get("run", ""))
        place.has_else = "else" in state
        place.otherwise = state.get("else", self.document.get("limits", {}).get("else", "expired"))
        if place.run:
            place.steps = self._ends(name, state)
            place.has_else = True
        for role, moves in state.items():
            if role not in KEYS:
                place.steps += [self._step(role, label, move) for label, move in moves.items()]
        return place

    def _ends(self, name, state):
        """Return what follows from the outcomes of what runs in a state."""
        theirs = self.inner(state["run"])["outcomes"]
        then = state["then"]
        targets = {then.get(kind, then.get("otherwise")) for kind in (*theirs.values(), "expired")}
        return [Step(f"{name}.{target}", "", (), target) for target in sorted(targets)]

    def _step(self, role, label, move):
        move = move if isinstance(move, dict) else {"next": move}
        others = [other for other in self.roles if other != role]
        to = words(move.get("to")) or (tuple(others) if len(others) == 1 else ())
        sure = not (move.get("when") or self.conditions(label) or "at_most" in move or "at_once" in move)
        return Step(
            label, role, to, move["next"], move.get("max"), move.get("then", ""), move.get("owner", ""), sure
        )

    def act(self, label):
        """Return an act in its long form."""
        act = self.acts.get(label) or {}
        is_long = isinstance(act, dict) and ("act" in act or "content" in act)
        return act if is_long else {"content": act}

    def kind(self, label):
        """Return the act of the library that a label stands for."""
        return self.act(label).get("act", label)

    def conditions(self, label):
        """Return the conditions of an act."""
        return words(self.act(label).get("when"))

    # --- positions ---

    def moves(self):
        """Yield each state with each of its moves."""
        for name, place in self.places.items():
            for step in place.steps:
                yield name, step

    def following(self, config):
        """Return what can happen in a position with budgets and an owner, and where it leads."""
        name, spent, owner = config
        place = self.places.get(name)
        if place is None:
            return []
        found = []
        for step in place.steps:
            used = dict(spent)
            count = used.get((name, step.label), 0)
            after = step.owner or owner
            if step.max is None or count < min(step.max, MOST):
                if step.max is not None:
                    used[name, step.label] = count + 1
                found.append((step, (step.next, tuple(sorted(used.items())), after)))
                if step.then and step.label in self.shared:
                    found.append((step, (step.then, spent, after)))
            elif step.then:
                found.append((step, (step.then, spent, after)))
        if not place.run or place.has_else:
            found.append(
                (Step("", "", (), place.otherwise, is_deadline=True), (place.otherwise, spent, owner))
            )
        return found if not place.run else found[:-1]

    @cached_property
    def graph(self):
        """Every position with every budget that can come, and what follows from it."""
        start = (self.start, (), self.document.get("owner", ""))
        graph, queue = {}, [start]
        for config in queue:
            if config in graph:
                continue
            graph[config] = self.following(config)
            queue += [after for _, after in graph[config] if after not in graph]
        return graph

    # --- what is wrong ---

    def defects(self):
        """Return the kinds of what is surely wrong."""
        if wrong := set(self.misnamed()):
            return wrong
        found = {*self.unused(), *self.lost(), *self.stuck(), *self.heard(), *self.orphans()}
        found |= {"unknown value"} if self.is_value_unknown() else set()
        found |= {"owners"} if self.has_two_owners() else set()
        return found | ({"open commitment"} if self.is_commitment_open() else set())

    def misnamed(self):
        """Yield kinds of names that stand for nothing."""
        known = {*self.places, *self.outcomes}
        if self.start not in self.places:
            yield "unknown name"
        for name, step in self.moves():
            targets = {step.next, step.then or step.next, self.places[name].otherwise}
            if not targets <= known or (step.speaker and step.label not in self.acts):
                yield "unknown name"
            if not {step.speaker or self.roles[0], *step.to} <= set(self.roles):
                yield "unknown name"
            if step.speaker and (not step.to or step.speaker in step.to):
                yield "nobody hears"
            if step.speaker and self.kind(step.label) not in KNOWN_ACTS:
                yield "unknown name"

    def unused(self):
        """Yield kinds of what has no part in anything."""
        parts = {role for _, step in self.moves() for role in (step.speaker, *step.to)}
        for state in self.document["states"].values():
            parts |= set(state.get("as", {}).values())
        if set(self.roles) - parts:
            yield "role in nothing"
        if set(self.acts) - {step.label for _, step in self.moves()}:
            yield "unused act"
        targets = {name for step in self.moves() for name in (step[1].next, step[1].then)}
        targets |= {place.otherwise for place in self.places.values() if not place.run}
        if set(self.document["outcomes"]) - targets - {"expired"}:
            yield "unused outcome"

    def lost(self):
        """Yield kinds of what cannot be reached or never ends."""
        plain = self.ahead(self.start)
        if set(self.places) - plain:
            yield "unreachable"
        reached = {name for name, _, _ in self.graph}
        if set(self.places) & plain - reached:
            yield "unreachable by budgets"
        if any(not place.steps for place in self.places.values()):
            yield "dead end"
        if set(self.places) & reached - self.ending():
            yield "no outcome"
        if self.is_endless():
            yield "unbounded cycle"

    def ending(self):
        """Return the states from which some move, and then another, leads to an outcome."""
        before = defaultdict(set)
        for config, ahead in self.graph.items():
            for step, after in ahead:
                if not step.is_deadline or self.places[config[0]].has_else:
                    before[after].add(config)
        queue = [config for config in self.graph if config[0] not in self.places]
        found = set(queue)
        for config in queue:
            queue += sorted(before[config] - found)
            found |= before[config]
        return {name for name, _, _ in found}

    def is_endless(self):
        """Whether some position comes again with the same budgets."""
        count = defaultdict(int)
        for ahead in self.graph.values():
            for _, after in ahead:
                count[after] += 1
        ready = [config for config in self.graph if not count[config]]
        for config in ready:
            for _, after in self.graph[config]:
                count[after] -= 1
                if not count[after]:
                    ready.append(after)
        return len(ready) < len(self.graph)

    def stuck(self):
        """Yield kinds of states in which it is not clear who speaks, or its speaker may be left without a move."""
        for place in self.places.values():
            if len(place.speakers) > 1:
                labels = [step.label for step in place.steps]
                if not place.first or len(set(labels)) < len(labels):
                    yield "race"
            elif place.first:
                yield "race"
        for (name, _, _), ahead in self.graph.items():
            place = self.places.get(name)
            if place and place.steps and not place.has_else and all(step.is_deadline for step, _ in ahead):
                yield "nothing left to say"
                return

    def heard(self):
        """Yield kinds of what is said to the wrong ones."""
        for _, step in self.moves():
            for target in (step.next, step.then):
                speakers = self.places[target].speakers if target in self.places else ()
                if step.speaker and any(role not in (step.speaker, *step.to) for role in speakers):
                    yield "speaks unheard"
            ground = self.document.get("grounding", {}).get(step.label)
            if ground == "relevant" and step.next in self.outcomes:
                yield "last word to be answered"

    def orphans(self):
        """Yield a kind where somebody answers what no hearer of the answer can have said or heard on any way there."""
        if "overlay" in self.document:  # it answers a message that is not its own
            return
        ahead = {name: self.ahead(name) for name in self.places}
        for name, step in self.moves():
            wanted = ANSWERED.get(self.kind(step.label), set()) if step.speaker else set()
            asked = [
                target
                for _, by in self.moves()
                if self.kind(by.label) in wanted
                and step.speaker in by.to
                and {by.speaker, *by.to} & set(step.to)
                for target in (by.next, by.then)
            ]
            if wanted and not any(name in ahead.get(target, ()) for target in asked):
                yield "answers nothing"
                return

    def ahead(self, start):
        """Return what can be reached from a place, whatever the budgets."""
        reached, queue = {start}, [start]
        for name in queue:
            if place := self.places.get(name):
                targets = {target for step in place.steps for target in (step.next, step.then) if target}
                targets |= set() if place.run else {place.otherwise}
                queue += sorted(targets - reached)
                reached |= targets
        return reached

    def has_two_owners(self):
        """Whether a state is reached with different owners."""
        owners = defaultdict(set)
        for name, _, owner in self.graph:
            owners[name].add(owner)
        return any(len(found) > 1 for name, found in owners.items() if name in self.places)

    def needs(self, step):
        """Return the acts whose values must be known to make a move."""
        ground = self.document.get("grounding", {}).get(step.label)
        repeated = ground.get("repeats", {}) if isinstance(ground, dict) else {}
        text = " ".join(map(str, (*self.conditions(step.label), *repeated.values())))
        return {act for act, _ in REFERENCE.findall(text) if act in self.acts and act != step.label}

    def is_value_unknown(self):
        """Whether a move needs a value that, on some way to it, its speaker neither said nor heard."""
        wanted = {(act, step.speaker) for _, step in self.moves() for act in self.needs(step)}
        return any(self._is_unknown(act, role) for act, role in wanted)

    def _is_unknown(self, act, role):
        start = next(iter(self.graph))
        reached, queue = {start}, [start]
        for config in queue:
            for step, after in self.graph[config]:
                if step.speaker == role and act in self.needs(step):
                    return True
                if not (step.label == act and role in (step.speaker, *step.to)) and after not in reached:
                    reached.add(after)
                    queue.append(after)
        return False

    def is_commitment_open(self):
        """Whether something is owed at a success."""
        for _, step in self.moves():
            kind = self.kind(step.label)
            if (
                step.speaker
                and (kind in ASKS or kind == "propose")
                and not self.act(step.label).get("outlives")
            ):
                pairs = {
                    (other, step.speaker) if kind in ASKS else (step.speaker, other) for other in step.to
                }
                if any(self._is_open(step.label, *pair) for pair in pairs):
                    return True
        return False

    def _is_open(self, label, debtor, creditor):
        start = (next(iter(self.graph)), "")
        reached, queue = {start}, [start]
        for config, status in queue:
            if status == "active" and self.outcomes.get(config[0]) == "success":
                return True
            for step, after in self.graph[config]:
                node = (after, self._status(label, debtor, creditor, step, status))
                if node not in reached:
                    reached.add(node)
                    queue.append(node)
        return False

    def _status(self, label, debtor, creditor, step, status):
        """Return what becomes of what an act makes one owe another."""
        made, kind = self.kind(label), self.kind(step.label)
        asker, hearer = (debtor, creditor) if made == "propose" else (creditor, debtor)
        if step.label == label and step.speaker == asker and hearer in step.to:
            return status or "waiting"
        if not status or self.act(step.label).get("discharges") == label:
            return ""
        taken = "accept-proposal" if made == "propose" else "agree"
        if kind == taken and step.speaker == hearer and asker in step.to:
            return "active"
        gone = (
            (kind == "refuse" and step.speaker == debtor and status == "waiting")
            or (kind == "reject-proposal" and step.speaker == creditor)
            or (kind == "failure" and step.speaker == debtor)
            or (kind == "cancel" and step.speaker in (debtor, creditor))
            or (made in QUESTIONS and kind in ANSWERS and step.speaker == debtor and creditor in step.to)
        )
        return "" if gone else status
