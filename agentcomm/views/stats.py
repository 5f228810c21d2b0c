"""The measures of a set of conversations: how they end, how well what was said is understood, what that costs.

Shares have Wilson's 95 % interval. What a transcript cannot tell (what an agent would have said without its exits, what was really
meant, whether a flip was for the better) is not measured here; the laboratory injects faults and knows.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from statistics import fmean, quantiles
from typing import Any, cast

import msgspec

from agentcomm.acts.content import entries_of, to_plain
from agentcomm.acts.message import Message, format_content
from agentcomm.conversation.events import (
    Chose,
    CommitmentChanged,
    DeadlineSet,
    Duplicate,
    Ended,
    Event,
    Expired,
    GaveUp,
    Grounded,
    Heard,
    Judged,
    Late,
    Moved,
    OverlayOpened,
    Refused,
    RepairClosed,
    RepairOpened,
    Superseded,
    TroubleFound,
)
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.transcript import Record, Transcript
from agentcomm.views.failures import MODES, modes_of
from agentcomm.views.labelled import LABELLED

__all__ = ("Share", "Spread", "Stats")

_Z = 1.959964
_SPECIFIC = {"offer": 1.0, "choose": 0.8, "specify": 0.6, "open": 0.2}
"""How exactly each request for repair shows where the trouble is."""
_LIVE = frozenset({"proposed", "conditional", "detached", "active"})
_STRONG = frozenset({"relevant", "readback", "demonstrated", "readback+demonstrated"})


class Share(msgspec.Struct):
    """So many of so many."""

    hits: int = 0
    n: int = 0

    def add(self, hit: bool) -> None:
        """Count one more."""
        self.hits += hit
        self.n += 1

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % score interval; not a number without a trial."""
        if not self.n:
            return math.nan, math.nan
        share, spread = self.hits / self.n, _Z * _Z / self.n
        half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / self.n + spread / (4 * self.n))
        middle = (share + spread / 2) / (1 + spread)
        return (
            0.0 if not self.hits else max(0.0, middle - half),
            1.0 if self.hits == self.n else middle + half,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON data; null where nothing could be counted."""
        if not self.n:
            return {"hits": 0, "n": 0, "share": None, "low": None, "high": None}
        low, high = self.interval
        return {
            "hits": self.hits,
            "n": self.n,
            "share": round(self.hits / self.n, 6),
            "low": round(low, 6),
            "high": round(high, 6),
        }


class Spread(msgspec.Struct):
    """Values of a histogram."""

    values: list[float] = msgspec.field(default_factory=list[float])

    def as_dict(self) -> dict[str, Any]:
        """Return count, sum, mean, median, 95th percentile and maximum."""
        found = self.values
        if not found:
            return {"n": 0, "sum": 0, "mean": None, "p50": None, "p95": None, "max": None}
        cuts = quantiles(found, n=100, method="inclusive") if len(found) > 1 else found * 99
        return {
            "n": len(found),
            "sum": round(sum(found), 6),
            "mean": round(fmean(found), 6),
            "p50": round(cuts[49], 6),
            "p95": round(cuts[94], 6),
            "max": round(max(found), 6),
        }


SHARES = {
    "termination": "conversations that ended in a named outcome",
    "success": "ended conversations that ended as success or partial",
    "misfires": "of what was said, refused",
    "timeouts": "waits that ran out",
    "open_commitments": "ended conversations that left a commitment open which does not outlive them",
    "discharged": "commitments satisfied, of those satisfied, violated or cancelled",
    "grounded": "contributions with a criterion of relevant or more, grounded",
    "silently_accepted": "of those grounded, without the evidence that their criterion asks for",
    "ungrounded_moves": "moves made below their criterion (must be 0)",
    "readback_fields": "critical fields read back as they were meant",
    "wrong_readbacks_mended": "wrong read-backs that were put right",
    "repairs_mended": "repairs that mended",
    "first_repair": "contributions that one repair was enough for, of those repaired",
    "repairs_told_more": "requests for repair whose answer told something that had not been said so before",
    "needless_questions": "requests for a value, answered with one that another message had put on record before",
    "facts_repeated": "values that had to be repeated as they stand on record, repeated so at once",
    "repair_loops": "contributions repaired in circles, of those repaired",
    "judged_well": "demonstrations judged to show understanding",
    "grounding_messages": "messages spent on overlays",
    "grounding_tokens": "tokens spent on overlays",
    "replays_same": "replays that gave the same",
}
"""Measures that are shares, and what they count."""

SPREADS = {
    "conversation.turns": "messages of a conversation",
    "conversation.duration": "seconds of a conversation",
    "lateness": "seconds past its deadline that something due was said; 0 in time",
    "turn_ratio": "messages used, of the bound that was computed",
    "repair.turns": "messages of a repair",
    "repair.duration": "seconds of a repair",
    "repair_length": "characters said in a repair, for one of what it was about",
    "repair_specificity": "how exactly a request for repair shows the trouble (1 offer, 0.8 choose, 0.6 specify, 0.2 open)",
    "model.duration": "seconds of a model call",
    "model.input_tokens": "tokens into a model call",
    "model.output_tokens": "tokens out of a model call",
    "tool.duration": "seconds of a tool call",
    "calibration.brier": "squared error of the chance given to being understood",
}
"""Measures that are distributions, and of what."""


class Stats:
    """Measures of the conversations added to it."""

    def __init__(self) -> None:
        self.conversations = 0
        self.damaged = 0
        self.outcomes: Counter[str] = Counter()
        self.shares = {name: Share() for name in SHARES}
        self.spreads = {name: Spread() for name in SPREADS}
        self.counts: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        """The metrics' counters: name -> attributes' values -> count."""
        self.ends: dict[str, Counter[str]] = defaultdict(Counter)
        """Protocol -> outcome class -> conversations."""
        self.misfires_by_model: dict[str, Share] = defaultdict(Share)
        self.misfires_by_role: dict[str, Share] = defaultdict(Share)
        self.misfires_by_act: dict[str, Share] = defaultdict(Share)
        """The same, by protocol and role, or act."""
        self.labelled: dict[str, Share] = defaultdict(Share)
        """Measures that need to be told what was true."""
        self.timeouts_by_state: dict[tuple[str, str], Share] = defaultdict(Share)
        self.readback_by_type: dict[str, Share] = defaultdict(Share)
        self.calibration: dict[str, Share] = defaultdict(Share)
        """Chance given to being understood, in tenths -> how often it was."""
        self.modes: Counter[str] = Counter()
        """Failure mode -> how often code saw it."""
        self.scores: dict[str, list[float]] = defaultdict(list)
        """Protocol and who played it -> 1 for each success, a half for each partial one, else 0."""

    def add(
        self,
        transcript: Transcript,
        *,
        rules: Rules | None = None,
        same: bool | None = None,
        marks: Iterable[tuple[str, bool]] = (),
    ) -> None:
        """Count a conversation.

        Args:
            transcript: Its record; of a damaged one, what is sound.
            rules: Its protocol, which knows its bound and which commitments outlive it.
            same: What a replay of it gave, if there was one.
            marks: What is measured by what is known to be true of it; see `agentcomm.views.labelled`.
        """
        self.conversations += 1
        self.damaged += transcript.damage is not None
        if same is not None:
            self.shares["replays_same"].add(same)
        for name, hit in marks:
            self.labelled[name].add(hit)
        self.modes.update(modes_of(transcript))
        _Pass(self, transcript).run(rules)

    @property
    def rungs(self) -> dict[str, Share]:
        """How repairs were asked for, or ended: each rung's share of all."""
        counted = self.counts["repair.rungs"]
        return {rung: Share(count, counted.total()) for (rung,), count in counted.most_common()}

    @property
    def reliability(self) -> dict[str, dict[str, Any]]:
        """How alike the ends of several runs are: aptitude is the 90th percentile of their scores, unreliability what the 10th lacks."""
        found: dict[str, dict[str, Any]] = {}
        for group, scores in sorted(self.scores.items()):
            if len(scores) > 1:
                cuts = quantiles(scores, n=10, method="inclusive")
                found[group] = {
                    "n": len(scores),
                    "mean": round(fmean(scores), 6),
                    "aptitude_90": round(cuts[8], 6),
                    "unreliability": round(cuts[8] - cuts[0], 6),
                }
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {
            "conversations": self.conversations,
            "damaged": self.damaged,
            "outcomes": dict(self.outcomes.most_common()),
            "shares": {
                name: {**share.as_dict(), "what": SHARES[name]} for name, share in self.shares.items()
            },
            "distributions": {
                name: {**spread.as_dict(), "what": SPREADS[name]} for name, spread in self.spreads.items()
            },
            "counters": {
                name: [
                    {**dict(zip(COUNTERS[name], key, strict=True)), "count": count}
                    for key, count in counter.most_common()
                ]
                for name, counter in sorted(self.counts.items())
            },
            "readback_by_type": {
                kind: share.as_dict() for kind, share in sorted(self.readback_by_type.items())
            },
            "calibration": {chance: share.as_dict() for chance, share in sorted(self.calibration.items())},
            "failure_modes_per_100": {
                mode: round(100 * self.modes[mode] / self.conversations, 3) if self.conversations else None
                for mode in MODES
            },
            "reliability": self.reliability,
            "labelled": {
                name: {**self.labelled[name].as_dict(), "what": what}
                for name, what in LABELLED.items()
                if name in self.labelled
            },
            "outcomes_by_protocol": {
                name: dict(ends.most_common()) for name, ends in sorted(self.ends.items())
            },
            "repair_rungs": {rung: share.as_dict() for rung, share in self.rungs.items()},
            **{
                f"misfires_by_{what}": {name: share.as_dict() for name, share in sorted(shares.items())}
                for what, shares in (
                    ("model", self.misfires_by_model),
                    ("role", self.misfires_by_role),
                    ("act", self.misfires_by_act),
                )
            },
            "timeouts_by_state": [
                {"protocol": protocol, "state": state, **share.as_dict()}
                for (protocol, state), share in sorted(self.timeouts_by_state.items())
            ],
        }


COUNTERS: dict[str, Sequence[str]] = {
    "messages": ("protocol", "role", "act"),
    "moves.rejected": ("protocol", "state", "act", "reason"),
    "grounding.checks": ("method", "verdict"),
    "overlays": ("overlay",),
    "repair.rungs": ("rung",),
    "retries": ("reason",),
    "timeouts": ("kind",),
    "prompt.edits": ("label",),
    "audit.records": ("kind",),
}
"""Counters and their attributes."""


class _Repair:
    def __init__(self, at: float) -> None:
        self.at = at
        self.messages = 0
        self.chars = 0
        self.asked: Message | None = None


class _Pass:
    """One conversation, read once."""

    def __init__(self, stats: Stats, transcript: Transcript) -> None:
        self.stats = stats
        self.transcript = transcript
        data = transcript.opening.data if transcript.opening else {}
        self.protocol = str(cast("dict[str, Any]", data.get("protocol", {})).get("name", "?"))
        self.models = {
            role: str(player.get("model", ""))
            for role, player in cast("dict[str, dict[str, Any]]", data.get("cast", {})).items()
        }
        self.at = self.began = 0.0
        self.place: dict[str, str] = {}
        self.criteria: dict[str, str] = {}
        """Criterion of each contribution that is known to have a strong one."""
        self.grounded: dict[str, tuple[str, ...]] = {}
        self.opened_repairs: Counter[str] = Counter()
        self.loops: set[str] = set()
        self.repair: dict[str, _Repair] = {}
        self.chances: dict[str, float] = {}
        self.troubled: set[str] = set()
        self.owed: dict[str, tuple[str, str]] = {}
        """Act and status of each commitment."""
        self.acts: dict[str, str] = {}
        self.said: dict[str, Message] = {}
        self.players = "+".join(
            sorted({model.rpartition("/")[2] or "code" for model in self.models.values()})
        )
        self.rules: Rules | None = None
        self.wrong: set[str] = set()
        """Contributions whose last read-back was wrong."""
        self.overlay_tokens = self.tokens = 0
        self.pending: list[int] = []
        """Tokens of calls since the last message."""
        self.asked: dict[str, float] = {}
        self.deadlines: dict[str, str] = {}
        self.gone: dict[str, float] = {}
        """Lane -> when the time was up there last."""
        self.ended: Ended | None = None
        self.messages = self.in_overlays = 0

    def run(self, rules: Rules | None) -> None:
        self.rules = rules
        transcript, stats = self.transcript, self.stats
        events = transcript.events()
        for n, record in enumerate(transcript.records):
            self.at = _time(record.time, self.at)
            if n == 0:
                self.began = self.at
            stats.counts["audit.records"][record.kind,] += 1
            if record.kind == "event":
                self._event(next(events))
            elif record.kind == "step":
                self._step(record)
        self._close(rules)

    def _close(self, rules: Rules | None) -> None:
        stats, shares, spreads = self.stats, self.stats.shares, self.stats.spreads
        ended = self.ended
        shares["termination"].add(ended is not None)
        end = ended.outcome_class if ended else "open"
        stats.outcomes[end] += 1
        stats.ends[self.protocol][end] += 1
        spreads["conversation.turns"].values.append(self.messages)
        if ended is not None:
            shares["success"].add(ended.outcome_class in {"success", "partial"})
            score = {"success": 1.0, "partial": 0.5}.get(ended.outcome_class, 0.0)
            stats.scores[f"{self.protocol} by {self.players}"].append(score)
            spreads["conversation.duration"].values.append(self.at - self.began)
            if rules is not None:
                protocols = (rules.protocol, *rules.overlays.values())
                lasting = {name for p in protocols for name, act in p.acts.items() if act.outlives}
                left = [act for act, status in self.owed.values() if status in _LIVE and act not in lasting]
                shares["open_commitments"].add(bool(left))
                spreads["turn_ratio"].values.append(self.messages / rules.bound)
        for _, status in self.owed.values():
            if status in {"satisfied", "violated", "cancelled"}:
                shares["discharged"].add(status == "satisfied")
        for message in self.criteria:
            evidence = self.grounded.get(message)
            shares["grounded"].add(evidence is not None)
            if evidence is not None:
                shares["silently_accepted"].add(not evidence or set(evidence) <= {"delivered"})
            if message in self.opened_repairs:
                shares["first_repair"].add(evidence is not None and self.opened_repairs[message] == 1)
                shares["repair_loops"].add(message in self.loops)
        for message, p in self.chances.items():
            if message in self.grounded or message in self.troubled:
                understood = message not in self.troubled
                spreads["calibration.brier"].values.append((p - understood) ** 2)
                tenth = min(9, int(p * 10)) / 10
                stats.calibration[f"{tenth:.1f}-{tenth + 0.1:.1f}"].add(understood)
        shares["grounding_messages"].hits += self.in_overlays
        shares["grounding_messages"].n += self.messages
        shares["grounding_tokens"].hits += self.overlay_tokens
        shares["grounding_tokens"].n += self.tokens

    def _event(self, event: Event) -> None:
        stats, shares = self.stats, self.stats.shares
        match event:
            case Heard():
                self._heard(event)
            case Refused():
                self._said(event.role, event.act, refused=True)
                state = self.place.get(event.lane, "")
                stats.counts["moves.rejected"][self.protocol, state, event.act, event.code] += 1
            case Late():
                stats.counts["moves.rejected"][
                    self.protocol, self.place.get(event.lane, ""), event.act, "late"
                ] += 1
                if (gone := self.gone.get(event.lane)) is not None:
                    stats.spreads["lateness"].values.append(max(0.0, self.at - gone))
            case Superseded():
                stats.counts["moves.rejected"][
                    self.protocol, self.place.get(event.lane, ""), event.act, "superseded"
                ] += 1
            case Duplicate():
                stats.counts["retries"]["duplicate",] += 1
            case DeadlineSet():
                self._waited(event.lane, ran_out=False)
                self.deadlines[event.lane] = event.state
            case Expired():
                stats.counts["timeouts"]["reply" if event.state else "conversation",] += 1
                self.gone[event.lane] = self.at
                if event.lane in self.deadlines:
                    self._waited(event.lane, ran_out=True)
            case Moved():
                self._moved(event)
            case Grounded():
                self._grounded(event)
            case TroubleFound():
                self._trouble(event)
            case Judged():
                shares["judged_well"].add(event.understood)
                verdict = "skipped" if event.reason else "grounded" if event.understood else "contradicted"
                stats.counts["grounding.checks"]["demonstrated", verdict] += 1
            case OverlayOpened():
                stats.counts["overlays"][event.overlay,] += 1
                if event.overlay == "escalate":
                    stats.counts["repair.rungs"]["escalate",] += 1
                if event.overlay in {"read-back", "demonstrate"}:
                    self.criteria.setdefault(event.about, "readback")
            case RepairOpened():
                self.opened_repairs[event.about] += 1
                self.criteria.setdefault(event.about, "readback")
                self.repair[event.about] = _Repair(self.at)
            case RepairClosed():
                shares["repairs_mended"].add(event.mended)
                if event.about in self.wrong:
                    self.wrong.discard(event.about)
                    shares["wrong_readbacks_mended"].add(event.mended)
                repair = self.repair.pop(event.about, None)
                if repair is not None:
                    if repair.chars and (about := self.said.get(event.about)) is not None:
                        length = repair.chars / max(1, len(format_content(about.content)))
                        stats.spreads["repair_length"].values.append(length)
                    stats.spreads["repair.turns"].values.append(repair.messages)
                    stats.spreads["repair.duration"].values.append(self.at - repair.at)
            case GaveUp():
                stats.counts["repair.rungs"]["gave up",] += 1
            case Chose():
                self.chances[event.message] = event.p
            case CommitmentChanged():
                self.owed[event.id] = event.act, event.now
            case Ended():
                for lane in list(self.deadlines):
                    self._waited(lane, ran_out=False)
                self.ended = event
            case _:
                pass

    def _said(self, role: str, act: str, *, refused: bool) -> None:
        self.stats.shares["misfires"].add(refused)
        self.stats.misfires_by_role[f"{self.protocol} {role}"].add(refused)
        declared = self.rules is None or any(
            act in one.acts for one in (self.rules.protocol, *self.rules.overlays.values())
        )
        self.stats.misfires_by_act[f"{self.protocol} {act if declared and act else '(no such act)'}"].add(
            refused
        )
        if model := self.models.get(role, ""):
            self.stats.misfires_by_model[model].add(refused)

    def _heard(self, event: Heard) -> None:
        stats, message = self.stats, event.message
        self.messages += 1
        self.acts[message.id] = message.act
        stats.counts["messages"][self.protocol, message.sender, message.act] += 1
        if message.made_by != "rule":
            self._said(message.sender, message.act, refused=False)
        spent = sum(self.pending)
        self.pending.clear()
        if event.overlay:
            self.in_overlays += 1
            self.overlay_tokens += spent
            if event.overlay == "repair" and message.act in _SPECIFIC:
                stats.spreads["repair_specificity"].values.append(_SPECIFIC[message.act])
                stats.counts["repair.rungs"][message.act,] += 1
            if message.act == "readback":
                fields = _read_back(message.content)
                stats.shares["readback_fields"].n += len(fields)
                stats.shares["readback_fields"].hits += len(fields)
                for name in fields:
                    stats.readback_by_type[self._type(message.about, name)].add(True)
        else:
            self.said[message.id] = message
            self._repeated(message)
        if (repair := self.repair.get(message.about)) is not None:
            repair.messages += 1
            repair.chars += len(format_content(message.content))
            if event.overlay == "repair":
                self._answered(repair, message)

    def _answered(self, repair: _Repair, message: Message) -> None:
        """Count whether the answer to a request for repair told something new."""
        asked = repair.asked
        if message.act in _SPECIFIC:
            repair.asked = message
        elif asked is not None and message.act in {"confirm", "value", "restate"}:
            repair.asked = None
            before = entries_of(getattr(self.said.get(message.about), "content", None)) or {}
            answer, question = entries_of(message.content) or {}, entries_of(asked.content) or {}
            path = str(question.get("path", "")).strip("/")
            if message.act == "restate":
                new = entries_of(answer.get("fields")) or {}
                told = any(to_plain(before.get(name)) != to_plain(value) for name, value in new.items())
            else:
                value = to_plain(answer.get("value"))
                told = message.act == "value" and to_plain(before.get(path)) != value
                if message.act == "value":
                    others = (one for name, one in self.said.items() if name != message.about)
                    known = any(
                        to_plain((entries_of(one.content) or {}).get(path)) == value for one in others
                    )
                    self.stats.shares["needless_questions"].add(known)
            self.stats.shares["repairs_told_more"].add(told)

    def _type(self, about: str, name: str) -> str:
        """Return the type of a field of a message on record."""
        source = self.said.get(about)
        act = (
            self.rules.protocol.acts.get(source.act)
            if self.rules is not None and source is not None
            else None
        )
        field = act.fields.get(name) if act is not None else None
        return field.kind if field is not None else "?"

    def _repeated(self, message: Message) -> None:
        """Count a message that had to repeat values, and did."""
        act = self.rules.protocol.acts.get(message.act) if self.rules is not None else None
        if act is not None and act.repeats:
            self.stats.shares["facts_repeated"].add(True)

    def _moved(self, event: Moved) -> None:
        self.place[event.lane] = event.next
        if not event.act:
            self.grounded.pop(event.message, None)
            return
        if event.message in self.criteria:
            self.stats.shares["ungrounded_moves"].add(event.message not in self.grounded)

    def _grounded(self, event: Grounded) -> None:
        self.grounded[event.message] = event.evidence
        if event.criterion in _STRONG:
            self.criteria[event.message] = event.criterion
        method = event.criterion if event.criterion in _STRONG else "delivered"
        self.stats.counts["grounding.checks"][method, "grounded"] += 1

    def _trouble(self, event: TroubleFound) -> None:
        stats = self.stats
        self.criteria.setdefault(event.message, "readback")
        self.troubled.add(event.message)
        verdict = "contradicted" if any(d.understood is not None for d in event.differs) else "ungrounded"
        stats.counts["grounding.checks"][event.kind, verdict] += 1
        if event.kind == "repeats":
            stats.shares["facts_repeated"].add(False)
        if event.kind == "readback":
            for item in event.differs:
                share = stats.readback_by_type[self._type(event.message, item.field)]
                share.hits -= min(1, share.hits)
            stats.shares["readback_fields"].hits -= min(
                len(event.differs), stats.shares["readback_fields"].hits
            )
            self.wrong.add(event.message)
        if event.kind == "no-progress":
            self.loops.add(event.message)

    def _waited(self, lane: str, *, ran_out: bool) -> None:
        state = self.deadlines.pop(lane, None)
        if state is not None:
            self.stats.shares["timeouts"].add(ran_out)
            self.stats.timeouts_by_state[self.protocol, state].add(ran_out)
            if not ran_out:
                self.stats.spreads["lateness"].values.append(0.0)

    def _step(self, record: Record) -> None:
        stats, data = self.stats, record.data
        match record.type:
            case "model.request":
                if int(data.get("attempt", 1)) > 1:
                    stats.counts["retries"]["asked again",] += 1
                for segment in data.get("segments", ()):
                    stats.counts["prompt.edits"][str(segment["label"]),] += 1
            case "model.result":
                stats.spreads["model.duration"].values.append(float(data.get("seconds") or 0))
                counted = (data.get("prompt_tokens"), data.get("output_tokens"))
                for name, value in zip(("input", "output"), counted, strict=True):
                    if value is not None:
                        stats.spreads[f"model.{name}_tokens"].values.append(value)
                spent = sum(value or 0 for value in counted)
                self.pending.append(spent)
                self.tokens += spent
                if retries := int(data.get("transport_retries") or 0):
                    stats.counts["retries"]["transport",] += retries
            case "model.error":
                stats.counts["retries"][str(data.get("code", "model error")),] += 1
            case "tool.call":
                self.asked[str(data.get("tool", ""))] = self.at
            case "tool.result" | "tool.error":
                began = self.asked.pop(str(data.get("tool", "")), None)
                if began is not None:
                    stats.spreads["tool.duration"].values.append(self.at - began)
            case _:
                pass


def _read_back(content: Any) -> Mapping[str, Any]:
    entries = entries_of(content) or {}
    return entries_of(entries.get("fields")) or entries


def _time(time: str, before: float) -> float:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return before


def tell(stats: Stats) -> Iterable[tuple[str, str, str]]:
    """Yield name, value and meaning of every measure for which there is something to count."""
    for name, share in stats.shares.items():
        if share.n:
            low, high = share.interval
            yield (
                name,
                f"{share.hits / share.n:.1%} of {share.n}  [{low:.1%}, {high:.1%}]",
                SHARES[name],
            )
    for name, spread in stats.spreads.items():
        found = spread.as_dict()
        if found["n"]:
            yield name, f"{found['p50']:.4g} median, {found['p95']:.4g} p95, n {found['n']}", SPREADS[name]
