"""What a state says about the protocol that it runs: whether that can be run, who plays in it, what it is given, where it leads."""

from collections.abc import Iterable, Mapping

from agentcomm.protocol.conditions import ConditionReader, mismatch, parse_ref
from agentcomm.protocol.findings import Report, near, quoted
from agentcomm.protocol.graph import OutcomeClass, Protocol, Ref, label_in
from agentcomm.protocol.shape import Word
from agentcomm.protocol.turns import RunSpec, StateSpec

__all__ = ("can_run", "check_run", "given_in", "landing", "swapped")

OTHERWISE = "otherwise"


def can_run(theirs: Protocol, word: Word, report: Report) -> bool:
    """Whether a state can run a protocol; a finding if not."""
    if theirs.overlay:
        why = "it is an overlay: it runs on top of any state, by itself"
        fix = "remove the state, or name it under `overlays`"
    elif theirs.many:
        why = f"several agents play its '{theirs.many}', and a run has one of each role"
        fix = "run a protocol between two; in lanes it runs once for each member"
    else:
        return True
    report.add("E804", "composition", word.at, f"'{word}' cannot be run in a state", why=why, fix=fix)
    return False


def landing(then: Mapping[str, str], kind: OutcomeClass) -> str:
    """Return where a run leads that ends in a class of outcomes; an empty text if nothing says so."""
    return then.get(str(kind)) or then.get(OTHERWISE, "")


def check_run(spec: StateSpec, run: RunSpec, theirs: Protocol, report: Report) -> bool:
    """Tell who does not play, and which outcome leads nowhere; return whether all is said."""
    before = len(report.found)
    _check_roles(run, theirs, report)
    classes = [str(kind) for kind in OutcomeClass]
    for key, _ in run.then:
        if key.text not in (*classes, OTHERWISE):
            report.add(
                "E102",
                "unknown_name",
                key.at,
                f"'{key}' is not a class of outcomes",
                why="`then` says what follows from each class of outcomes of the protocol that is run",
                fix=near(key.text, [*classes, OTHERWISE]),
            )
    said = {key.text for key, _ in run.then}
    missing = dict.fromkeys(str(kind) for kind in theirs.outcomes.values() if str(kind) not in said)
    if missing and OTHERWISE not in said and said <= set(classes) and run.is_clear:
        report.add(
            "E703",
            "composition",
            run.protocol.at,
            f"'{spec.name}' does not say what follows where '{run.protocol}' ends {quoted(missing)}",
            why="every end of a protocol that is run leads somewhere",
            fix=f"add `{next(iter(missing))}: a-state` to its `then`, or `otherwise: a-state`",
        )
    return len(report.found) == before


def _check_roles(run: RunSpec, theirs: Protocol, report: Report) -> None:
    played: dict[str, str] = {}
    for role, ours in run.roles:
        if role.text not in theirs.roles:
            report.add(
                "E102",
                "unknown_role",
                role.at,
                f"'{role}' is not a role of '{run.protocol}'",
                why="`as` says which of our roles plays each of theirs",
                fix=near(role.text, theirs.roles),
            )
        elif ours.text in played:
            report.add(
                "E802",
                "composition",
                ours.at,
                f"'{ours}' would play '{played[ours.text]}' and '{role}'",
                why="nobody speaks to itself",
                fix="name another role",
            )
        played[ours.text] = role.text
    played_by = {key.text for key, _ in run.roles}
    missing = [role for role in theirs.roles if role not in played_by]
    if missing and played_by <= set(theirs.roles):
        report.add(
            "E802",
            "composition",
            run.protocol.at,
            f"`as` does not say who plays {quoted(missing)} in '{run.protocol}'",
            fix="add `as: {" + ", ".join(f"{role}: our-role" for role in missing) + "}`",
        )


def swapped(run: RunSpec, theirs: Protocol, ours: Iterable[str], report: Report) -> bool:
    """Tell of roles that stand the wrong way round in `as`; return whether there are any."""
    known = set(ours)
    for key, value in run.roles:
        if key.text in known and key.text not in theirs.roles and value.text in theirs.roles:
            report.add(
                "E102",
                "unknown_role",
                key.at,
                f"'{key}' is a role of ours, and '{value}' one of '{run.protocol}'",
                why="`as` has their role first, then ours",
                fix=f"write `{value}: {key}`",
            )
            return True
    return False


def given_in(
    region: str, run: RunSpec, theirs: Protocol, conditions: ConditionReader, report: Report
) -> dict[str, dict[str, Ref]]:
    """Return what the runtime fills in: by label in the region, field -> our value."""
    found: dict[str, dict[str, Ref]] = {}
    for key, value in run.given:
        target = parse_ref(key.text)
        if target is None:
            report.add(
                "E101",
                "syntax",
                key.at,
                f"'{key}' is not a field of an act of '{run.protocol}'",
                fix="write `with: {their-act.field: our-act.field}`",
            )
            continue
        act = theirs.acts.get(target.act)
        if act is None or target.field not in act.fields:
            known = [
                f"{label}.{name}" for label, theirs_act in theirs.acts.items() for name in theirs_act.fields
            ]
            turned = value.text in known and target.act in conditions.fields
            report.add(
                "E102",
                "unknown_name",
                key.at,
                f"'{run.protocol}' has no '{key}'",
                why="`with` has their field first, then our value"
                if turned
                else "`with` fills a field of an act of the protocol that is run",
                fix=f"write `{value}: {key}`" if turned else near(key.text, known),
            )
            continue
        ours = conditions.value(value, f"{key}")
        if ours is None:
            continue
        ref, kind = ours
        wanted = act.fields[target.field]
        problem = mismatch(wanted, "==", kind)
        if not problem and kind.optional and not wanted.optional:
            problem = f"'{ref}' may be left out, and '{key}' may not"
        if problem:
            report.add("E104", "data_flow", value.at, f"'{key}' cannot be filled with '{ref}'", why=problem)
            continue
        found.setdefault(label_in(region, target.act), {})[target.field] = ref
    return found
