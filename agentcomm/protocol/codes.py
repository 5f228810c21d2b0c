"""Every code of the checks: what it means, why it matters, how to mend it. The documentation's table is made from it."""

from dataclasses import dataclass
from typing import Any, Literal

from agentcomm.protocol.findings import Kind, Severity

__all__ = ("CODES", "Code", "Pass", "markdown", "unchecked")

Pass = Literal["document", "graph", "projection", "deep"]
"""Where a finding comes from: the text alone, the graph, each role's own view, or the model check of `--deep`."""

_SEVERITIES: dict[str, Severity] = {"E": "error", "W": "warning", "I": "info"}


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the table."""

    code: str
    kinds: tuple[Kind, ...]
    """The sorts of defect that it tells of."""
    title: str
    why: str
    fix: str
    found_by: Pass = "graph"

    @property
    def severity(self) -> Severity:
        """How bad it is: only errors keep a protocol from being loaded."""
        return _SEVERITIES[self.code[0]]

    def as_dict(self) -> dict[str, Any]:
        """Return the row as JSON data."""
        return {
            "code": self.code,
            "severity": self.severity,
            "kinds": list(self.kinds),
            "title": self.title,
            "why": self.why,
            "fix": self.fix,
            "found_by": self.found_by,
        }


_ROWS = (
    Code(
        "E100",
        ("syntax",),
        "the text is not YAML, or is more than this language takes of YAML: tags, duplicate keys, several documents, too large, too deep",
        "a protocol is data that can be read safely, and read in one way only",
        "write plain YAML 1.2; put what is meant as a word in quotes",
        "document",
    ),
    Code(
        "E101",
        ("syntax", "other"),
        "a key is missing, unknown or of the wrong shape",
        "what cannot be read is refused and never skipped: the rest would mean something else",
        "write what is named; `agentcomm schema` lets an editor complete and check it",
        "document",
    ),
    Code(
        "E102",
        ("unknown_name", "unknown_role"),
        "a state, role, act or field that does not exist",
        "every name must stand for something",
        "correct the spelling, or add what is named",
        "document",
    ),
    Code(
        "E103",
        ("role_not_informed",),
        "a role takes part in nothing, speaks to itself, or nobody hears what is said",
        "what nobody hears cannot move a conversation on",
        "name the hearer with `to:`, or remove the role",
        "document",
    ),
    Code(
        "E104",
        ("unknown_name", "data_flow"),
        "an act or a type that is not known; a value that does not fit its type",
        "only values of known types can be compared",
        "write an act of the library or a type of the language",
        "document",
    ),
    Code(
        "E105",
        ("no_final", "unknown_name"),
        "no outcome, or one without a class; a start that is no state",
        "every conversation begins in a state and ends in a named outcome",
        "write `outcomes: {done: success}`",
        "document",
    ),
    Code(
        "E106",
        ("other",),
        "a state and an outcome of one name",
        "an outcome ends the conversation; nothing can be said in it",
        "rename one of them",
        "document",
    ),
    Code(
        "E201",
        ("unreachable",),
        "a state that cannot be reached",
        "no move and no deadline leads there",
        "let a move lead there, or remove it",
    ),
    Code(
        "E202",
        ("dead_end",),
        "a state in which nobody can speak",
        "it could only wait for its deadline",
        "add a role with its moves, or make it an outcome",
    ),
    Code(
        "E203",
        ("no_final",),
        "a state from which no outcome can be reached",
        "only a deadline would end the conversation",
        "add a move that leads to an outcome",
    ),
    Code(
        "E204",
        ("no_final",),
        "several states that form a loop from which no outcome can be reached",
        "only a deadline would end the conversation",
        "add a move that leads to an outcome",
    ),
    Code(
        "E205",
        ("unbounded_cycle",),
        "a loop without a budget: the conversation might never end",
        "nothing on the loop has `max`",
        "give a move on it `max: n`, or let its `then` lead out",
    ),
    Code(
        "E206",
        ("missing_deadline",),
        "a deadline that is over at once",
        "nobody could ever answer in time",
        "give it time, such as 30s",
        "document",
    ),
    Code(
        "E207",
        ("unbounded_cycle",),
        "the conversation can be longer than `limits.turns`",
        "`turns` is a ceiling for the computed bound; nothing is cut off at run time",
        "raise `turns`, or lower a budget",
    ),
    Code(
        "E301",
        ("race",),
        "two roles may speak in one state and nothing says whose move counts, or `first` where one role speaks",
        "they would talk over each other, and each would believe it had the floor",
        "write `first: role`, or give each a state of its own",
    ),
    Code(
        "E302",
        ("ambiguous_choice",),
        "two roles race with one act",
        "nobody could say which of the two was meant",
        "give each of them an act of its own",
        "document",
    ),
    Code(
        "E303",
        ("stuck_receive", "starvation"),
        "a state that may leave its speaker, or a lane, without a move: each has a condition, or can be used up",
        "every move there has a condition, or a budget that can be used up",
        "add a move without `when`, `then:` to a move with `max`, or `else:` to the state",
    ),
    Code(
        "E304",
        ("role_not_informed",),
        "who speaks next took no part in the message before, or cannot tell its turn from waiting (`--distributed`)",
        "where each role runs alone, nobody tells it that it is its turn",
        "name it in the `to` of what is said before",
        "projection",
    ),
    Code(
        "E305",
        (
            "ambiguous_choice",
            "race",
            "other",
        ),
        "a role that cannot tell two states apart in which it has other things to say; messages that may overtake each other; a race without a common log (`--distributed`)",
        "it knows only what it said and heard",
        "let it hear what makes the difference",
        "projection",
    ),
    Code(
        "E306",
        ("starvation",),
        "a role that waits, and is not told that others have ended it (`--distributed`)",
        "it would wait for ever",
        "let the last message reach it",
        "projection",
    ),
    Code(
        "E401",
        ("data_flow",),
        "a condition on a value, or a value to be filled in, that may not have been said, by or to the speaker, on some path",
        "nobody can compare with what it never heard",
        "let it be said on every path, name who needs it in `to:`, or compare with something else",
    ),
    Code(
        "E502",
        ("commitment_open",),
        "an act that discharges what makes nobody owe anything, or what nobody can have said there",
        "only what was asked for or promised before can be fulfilled",
        "let it be said before, name the act that asks or promises, or remove `discharges`",
    ),
    Code(
        "E504",
        ("other",),
        "a state that is reached with different owners",
        "nobody could say whose matter it is",
        "hand the ownership over on every way there, or give each owner a state",
    ),
    Code(
        "E601",
        ("grounding",),
        "a last message that nobody can ground",
        "its criterion asks for a reply, and none can come after an outcome",
        "ask for `delivered` or for a read-back",
    ),
    Code(
        "E602",
        ("grounding",),
        "high stakes or a read-back without fields to read back, or without a repair",
        "high stakes are met by reading back the critical fields",
        "add `critical: [...]` to the act, and `repairs:` to the limits",
    ),
    Code(
        "E603",
        ("unknown_role", "grounding"),
        "`escalate_to` names no role, or one that is a party to every message",
        "somebody who stands outside must decide where repair fails",
        "name a role that does not say or hear every message, or remove it",
    ),
    Code(
        "E701",
        ("lanes",),
        "a line of `settles` that can never fit: so many lanes cannot end so, or none in that class",
        "who plays the many-role, or a move with `at_most`, bounds how many there can be",
        "lower the number, raise what bounds it, or remove the line",
    ),
    Code(
        "E702",
        ("lanes",),
        "a state that is reached before lanes begin, and in lanes",
        "it would be one position and many at once",
        "give each way a state of its own",
    ),
    Code(
        "E703",
        ("composition",),
        "an overlay, or a state that runs a protocol, that does not say what follows from one of its outcomes",
        "the conversation would not know how to go on",
        "add the class to `then`, or `otherwise`",
        "document",
    ),
    Code(
        "E704",
        ("lanes",),
        "a word of lanes (`gather`, `for: all`, `at_most`, `at_once`, `settles`) without a role that several agents play; a many-role in an overlay",
        "without members there are no lanes",
        "give one role a range, such as `bidder: 1..20`, or remove the word",
        "document",
    ),
    Code(
        "E705",
        ("lanes",),
        "more than one role with a range",
        "each member of one role has a lane of its own; lanes of lanes there are not",
        "write `role: 1`, or let each of them run a protocol of its own",
        "document",
    ),
    Code(
        "E706",
        ("lanes",),
        "`for: all` where neither lanes begin nor a gather is; a word of lanes where no lanes are",
        "elsewhere the lanes do not stand together",
        "put a gather before it, or say it lane by lane",
    ),
    Code(
        "E707",
        ("lanes",),
        "a gather that names another role than the many-role, at which a member or several roles speak, or that has another speaker than another gather",
        "one shared role speaks to all lanes, in one turn",
        "let the same shared role speak at every gather",
    ),
    Code(
        "E708",
        ("lanes",),
        "a many-role without `settles`; `settles` without `otherwise`, or with it before the last place",
        "the ends of the lanes must settle the conversation, whatever they are",
        "add `settles`, and `otherwise` at its end",
        "document",
    ),
    Code(
        "E801",
        ("composition",),
        "a protocol that runs itself, or runs others more than three deep",
        "it would never end, or nobody could follow it",
        "end the circle, or flatten it",
        "document",
    ),
    Code(
        "E802",
        ("composition",),
        "`as` leaves one of their roles to nobody, or gives one of ours two of theirs",
        "every part must be played, and nobody can talk to itself",
        "name one of ours for each of theirs",
        "document",
    ),
    Code(
        "E803",
        ("composition",),
        "a protocol that is run, or named as an overlay, has errors itself",
        "a whole cannot be right with a wrong part",
        "check that file, and mend it first",
        "document",
    ),
    Code(
        "E804",
        ("composition",),
        "a protocol that cannot be run in a state (an overlay, one with a many-role), or cannot be the overlay that it is named as",
        "what runs in a state is a conversation of single roles; what is named as an overlay must have its roles and its occasion",
        "name another protocol",
        "document",
    ),
    Code(
        "W201",
        ("unreachable",),
        "an act, type or outcome that is never used",
        "it is a left-over, or a move that names it was forgotten",
        "use it, or remove it",
    ),
    Code(
        "W206",
        ("missing_deadline",),
        "a deadline that can never run out",
        "the whole conversation has less time than that",
        "shorten it, or lengthen `whole`",
    ),
    Code(
        "W208",
        ("unreachable",),
        "a `then` that never comes: the move cannot be said more often than its `max`",
        "no loop brings the conversation back often enough to use the budget up",
        "remove `max` and `then`, let something lead back, or lower `max`",
    ),
    Code(
        "W304",
        ("role_not_informed",),
        "who speaks next took no part in the message before",
        "only the runtime can tell it to speak; what was said before, it does not know",
        "name it in the `to` of what is said before",
    ),
    Code(
        "W305",
        ("ambiguous_choice",),
        "a role that cannot tell two states apart in which it has other things to say",
        "it knows only what it said and heard",
        "let it hear what makes the difference",
        "projection",
    ),
    Code(
        "W306",
        ("orphan_message",),
        "who asked hears nothing, and nobody it asked says anything, though the conversation ends well",
        "on this way nobody speaks to it any more",
        "add it to a `to` on this way",
    ),
    Code(
        "W501",
        ("commitment_open",),
        "a promise that may still be open when the conversation ends well",
        "somebody would still owe what the record shows as done",
        "let an act with `discharges:` come before the end, or write `outlives: true`",
    ),
    Code(
        "W503",
        ("other",),
        "somebody who is asked cannot refuse, or cannot fail",
        "who has no honest exit will agree to what it cannot do",
        "add the acts `refuse` and `failure`",
    ),
    Code(
        "W505",
        ("orphan_message",),
        "an answer to what nobody who hears it can have asked or proposed before",
        "to accept, agree or refuse does something to what is owed only where something was asked or proposed",
        "let it be asked or proposed before, say it to who did, or take another act",
    ),
    Code(
        "W604",
        ("grounding", "other"),
        "more than seven critical fields, or more than seven legal acts in one state",
        "errors in reading back and in choosing grow with the number of items",
        "split the message, or the state",
    ),
    Code(
        "I901",
        ("stuck_receive", "orphan_message", "starvation", "other"),
        "what goes wrong in a run of the roles that play alone, and how much was looked at",
        "every order in which things can happen was looked at, for a few lanes and short queues; values were not",
        "let the role that waits hear how it goes on; what is not found in so many places may still be there",
        "deep",
    ),
)

CODES = {row.code: row for row in _ROWS}
"""By code, in the order of the table."""

_NEVER = ("whether what is said is true, by a model or anybody else", "what free text means")
_ALONE = "whether each role can play its part alone, without a runtime (--distributed)"


_DEEP = "the runs of the whole system (--deep)"


def unchecked(*, distributed: bool = False, deep: bool = False) -> tuple[str, ...]:
    """Return what a check has not looked at, for its report.

    Args:
        distributed: Roles that run alone were checked.
        deep: The runs of a few lanes were looked through; what was left out of them stands in finding I901.
    """
    return (*_NEVER, *(() if distributed else (_ALONE,)), *(() if deep else (_DEEP,)))


def markdown() -> str:
    """Return the table for the documentation."""
    lines = ["| code | kind | what is wrong | how to mend it |", "|---|---|---|---|"]
    for row in CODES.values():
        by = "" if row.found_by in ("document", "graph") else f" (found by {_BY[row.found_by]})"
        lines.append(f"| {row.code} | {', '.join(row.kinds)} | {row.title}{by} | {row.fix} |")
    return "\n".join(lines)


_BY = {"projection": "projection", "deep": "`--deep`"}
