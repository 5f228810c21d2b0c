"""Big protocols as tables, for measuring: realistic ones, and ones that would make a careless check slow."""

import random
from collections.abc import Callable, Iterable

from agentcomm.acts.content import FieldType
from agentcomm.acts.performative import Performative
from agentcomm.protocol.graph import Act, Condition, Limits, Move, OutcomeClass, Protocol, Ref, State

ROLES = ("lead", "worker", "judge")
OTHERS = {role: tuple(other for other in ROLES if other != role) for role in ROLES}
PRICE = {"price": FieldType("number")}
OUTCOMES = {
    "done": OutcomeClass.SUCCESS,
    "refused": OutcomeClass.REFUSED,
    "failed": OutcomeClass.FAILED,
    "expired": OutcomeClass.EXPIRED,
}


def protocol(acts: Iterable[Act], states: Iterable[State], limits: Limits | None = None) -> Protocol:
    """Return the tables of a protocol whose first state is its start."""
    by_name = {state.name: state for state in states}
    return Protocol(
        name="big", version="1", roles=ROLES, acts={act.label: act for act in acts}, states=by_name,
        start=next(iter(by_name)), outcomes=OUTCOMES, limits=limits or Limits(), hash="", text="",
    )  # fmt: skip


class Builder:
    """Collects acts and states."""

    def __init__(self) -> None:
        self.acts: dict[str, Act] = {}
        self.states: list[State] = []

    def act(self, label: str, performative: str, **more: object) -> Act:
        if label not in self.acts:
            self.acts[label] = Act(label, Performative(performative), **{"fields": PRICE, **more})
        return self.acts[label]

    def state(self, name: str, speaker: str, *moves: tuple[Act, dict[str, object]]) -> None:
        made = {}
        for act, given in moves:
            when = (*act.when, *given.pop("when", ()))
            made[act.label] = Move(
                state=name, act=act, speaker=speaker, to=OTHERS[speaker], when=when, **given
            )
        self.states.append(State(name, (speaker,), made, within=60.0, otherwise="expired"))

    def build(self) -> Protocol:
        return protocol(self.acts.values(), self.states)


def realistic(count: int, kinds: int = 50) -> Protocol:
    """Return stages of five states: asked, agreed, done, judged, bargained; with budgets, conditions and commitments."""
    made = Builder()
    for stage in range(count // 5):
        kind = stage % kinds
        after = f"s{stage + 1}-ask" if stage + 1 < count // 5 else "done"
        name = f"s{stage}"
        request = made.act(f"request-{kind}", "request")
        agree, refuse = made.act("agree", "agree"), made.act("refuse", "refuse")
        failure, skip = made.act("failure", "failure"), made.act("skip", "inform")
        done = made.act(f"done-{kind}", "inform", discharges=f"request-{kind}")
        good, bad = made.act("good", "confirm"), made.act("bad", "disconfirm")
        offer = made.act(f"offer-{kind}", "propose", outlives=True)
        cap = Condition("price", "<=", Ref(f"request-{kind}", "price"))
        take = made.act(f"take-{kind}", "accept-proposal", repeats={"price": Ref(f"offer-{kind}", "price")})
        leave = made.act("leave", "reject-proposal")
        made.state(f"{name}-ask", "lead", (request, {"next": f"{name}-asked"}))
        made.state(
            f"{name}-asked", "worker",
            (agree, {"next": f"{name}-work"}), (refuse, {"next": "refused"}), (failure, {"next": "failed"}),
        )  # fmt: skip
        made.state(
            f"{name}-work", "worker",
            (done, {"next": f"{name}-judge"}), (failure, {"next": "failed"}),
            (skip, {"next": f"{name}-work", "max": 3}),
        )  # fmt: skip
        made.state(
            f"{name}-judge", "judge",
            (good, {"next": after}), (bad, {"next": f"{name}-work", "max": 2, "then": "failed"}),
            (offer, {"next": f"{name}-deal"}), (failure, {"next": "failed"}),
        )  # fmt: skip
        made.state(
            f"{name}-deal", "lead",
            (take, {"next": after, "when": (cap,)}), (leave, {"next": f"{name}-judge", "max": 3, "then": after}),
            (refuse, {"next": "refused"}), (failure, {"next": "failed"}),
        )  # fmt: skip
    return made.build()


def promising(count: int) -> Protocol:
    """Return stages in which every request is an act of its own, and is answered right away."""
    return realistic(count, kinds=count)


def promised_late(count: int) -> Protocol:
    """Return a chain: a third of it asks, a third agrees, and the last third does what was asked first."""
    made = Builder()
    third = count // 3
    agree = made.act("agree", "agree")
    for n in range(third):
        request = made.act(f"request-{n}", "request")
        made.state(f"a{n}", "lead", (request, {"next": f"a{n + 1}" if n + 1 < third else "b0"}))
    for n in range(third):
        made.state(f"b{n}", "worker", (agree, {"next": f"b{n + 1}" if n + 1 < third else "c0"}))
    for n in range(third):
        done = made.act(f"done-{n}", "inform", discharges=f"request-{n}")
        refuse, failure = made.act("refuse", "refuse"), made.act("failure", "failure")
        made.state(
            f"c{n}", "worker",
            (done, {"next": f"c{n + 1}" if n + 1 < third else "done"}),
            (refuse, {"next": "refused"}), (failure, {"next": "failed"}),
        )  # fmt: skip
    return made.build()


def done_either_way(count: int) -> Protocol:
    """Return a chain of requests, each done in one of two states far from it: no one state is on every way."""
    made = Builder()
    part = count // 4
    agree = made.act("agree", "agree")
    refuse, failure = made.act("refuse", "refuse"), made.act("failure", "failure")
    left, right = made.act("left", "inform"), made.act("right", "inform")
    for n in range(part):
        request = made.act(f"request-{n}", "request")
        made.state(f"a{n}", "lead", (request, {"next": f"a{n + 1}" if n + 1 < part else "b0"}))
    for n in range(part):
        after = f"b{n + 1}" if n + 1 < part else "done"
        done = made.act(f"done-{n}", "inform", discharges=f"request-{n}")
        made.state(
            f"b{n}", "worker",
            (agree, {"next": f"c{n}"}), (left, {"next": f"c{n}"}), (right, {"next": f"d{n}"}),
            (refuse, {"next": "refused"}), (failure, {"next": "failed"}),
        )  # fmt: skip
        made.state(f"c{n}", "worker", (done, {"next": after}), (failure, {"next": "failed"}))
        made.state(f"d{n}", "worker", (done, {"next": after}), (failure, {"next": "failed"}))
    return made.build()


def heard_early(count: int) -> Protocol:
    """Return a chain: half of it tells values, and the other half compares with what was told first."""
    made = Builder()
    half = count // 2
    for n in range(half):
        tell = made.act(f"tell-{n}", "inform")
        made.state(f"a{n}", "lead", (tell, {"next": f"a{n + 1}" if n + 1 < half else "b0"}))
    for n in range(half):
        use = made.act(f"use-{n}", "inform", when=(Condition("price", "<=", Ref(f"tell-{n}", "price")),))
        leave = made.act("leave", "inform")
        made.state(
            f"b{n}", "worker", (use, {"next": f"b{n + 1}" if n + 1 < half else "done"}), (leave, {"next": "failed"})
        )  # fmt: skip
    return made.build()


def chain(count: int) -> Protocol:
    """Return one long chain, each state with two ways back."""
    made = Builder()
    go, back, redo = made.act("go", "inform"), made.act("back", "inform"), made.act("redo", "inform")
    for n in range(count):
        made.state(
            f"s{n}", ROLES[n % 3],
            (go, {"next": f"s{n + 1}" if n + 1 < count else "done"}),
            (back, {"next": f"s{max(0, n - 1)}", "max": 2}), (redo, {"next": f"s{n // 2}", "max": 1, "then": "failed"}),
        )  # fmt: skip
    return made.build()


def dense(count: int) -> Protocol:
    """Return one component: every state has a free way on and budgeted ways to anywhere, and some of them look back."""
    made = Builder()
    dice = random.Random(count)  # noqa: S311
    acts = [
        made.act(
            f"say-{n}", ("inform", "request", "agree", "propose", "refuse")[n % 5], outlives=n % 10 in (6, 8)
        )
        for n in range(40)
    ]
    for n in range(count):
        one, two, three = dice.sample(acts, 3)
        back = Condition("price", ">=", Ref(two.label, "price"))
        made.state(
            f"s{n}", ROLES[dice.randrange(3)],
            (one, {"next": f"s{n + 1}" if n + 1 < count else "done"}),
            (two, {"next": f"s{dice.randrange(count)}", "max": 2, "when": (back,)}),
            (three, {"next": f"s{dice.randrange(count)}", "max": 1, "then": f"s{n + 1}" if n + 1 < count else "failed"}),
        )  # fmt: skip
    return made.build()


def text(count: int) -> str:
    """Return a document with so many states and three moves in each: rounds of asking, doing and judging."""
    lines = [
        "agentcomm: 1", "protocol: big", "roles: [lead, worker]", "acts:", "  request: {what: text}", "  agree: {}",
        "  refuse: {reason: text}", "  failure: {reason: text}", "  good: {act: confirm, content: {}}",
        "  bad: {act: disconfirm, content: {}}", "  wait: {act: inform, content: {}}",
        "  done: {act: inform, content: {text: text}, discharges: request}", "states:",
    ]  # fmt: skip
    for n in range(count // 4):
        after = f"ask-{n + 1}" if n + 1 < count // 4 else "done"
        lines += [
            f"  ask-{n}:",
            f"    lead: {{request: asked-{n}, wait: {{next: ask-{n}, max: 2, then: failed}}, failure: failed}}",
            f"  asked-{n}:",
            f"    worker: {{agree: work-{n}, refuse: refused, failure: failed}}",
            "    within: 30s",
            "    else: failed",
            f"  work-{n}:",
            f"    worker: {{done: judge-{n}, failure: failed, refuse: refused}}",
            f"  judge-{n}:",
            f"    lead: {{good: {after}, bad: {{next: work-{n}, max: 2, then: failed}}, failure: failed}}",
        ]
    lines += [
        "outcomes: {done: success, refused: refused, failed: failed}",
        "limits: {reply_within: 60s}",
        "",
    ]
    return "\n".join(lines)


def text_apart(count: int) -> str:
    """Return a document with so many states in which a third role hears half of what is said, and has to be projected."""
    lines = [
        "agentcomm: 1", "protocol: big", "roles: [lead, worker, auditor]", "acts:", "  request: {what: text}", "  agree: {}",
        "  refuse: {reason: text}", "  failure: {reason: text}", "  good: {act: confirm, content: {}}",
        "  bad: {act: disconfirm, content: {}}", "  wait: {act: inform, content: {}}",
        "  done: {act: inform, content: {text: text}, discharges: request}", "states:",
    ]  # fmt: skip

    def ends(label: str, *hearers: str) -> str:
        return (
            f"{label}: {{next: {'refused' if label == 'refuse' else 'failed'}, to: [{', '.join(hearers)}]}}"
        )

    both, others = ("lead", "auditor"), ("worker", "auditor")
    for n in range(count // 4):
        after = f"ask-{n + 1}" if n + 1 < count // 4 else "done"
        lines += [
            f"  ask-{n}:",
            f"    lead: {{request: {{next: asked-{n}, to: worker}}, wait: {{next: ask-{n}, max: 2, to: worker}}, {ends('failure', *others)}}}",
            f"  asked-{n}:",
            f"    worker: {{agree: {{next: work-{n}, to: lead}}, {ends('refuse', *both)}, {ends('failure', *both)}}}",
            f"  work-{n}:",
            f"    worker: {{done: {{next: judge-{n}, to: [lead, auditor]}}, {ends('failure', *both)}, {ends('refuse', *both)}}}",
            f"  judge-{n}:",
            f"    auditor: {{good: {{next: {after}, to: [lead, worker]}}, bad: {{next: work-{n}, max: 2, then: failed, to: [lead, worker]}}, {ends('failure', 'lead', 'worker')}}}",
        ]
    lines += [
        "outcomes: {done: success, refused: refused, failed: failed}",
        "limits: {reply_within: 60s}",
        "",
    ]
    return "\n".join(lines)


DOCUMENTS: dict[str, Callable[[int], str]] = {
    "two roles that hear everything": text,
    "three roles, one hears half": text_apart,
}
SHAPES: dict[str, Callable[[int], Protocol]] = {
    "realistic": realistic,
    "every request of its own": promising,
    "promised early, done late": promised_late,
    "done in either of two": done_either_way,
    "heard early, used late": heard_early,
    "one long chain": chain,
    "one dense component": dense,
}
