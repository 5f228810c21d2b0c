"""Who hears what is said in a document: the only other role, or those that a move names."""

from dataclasses import dataclass, field

from agentcomm.protocol.findings import Report, quoted
from agentcomm.protocol.names import Names
from agentcomm.protocol.shape import Word
from agentcomm.protocol.turns import MoveSpec

__all__ = ("Hearers",)


@dataclass(slots=True)
class Hearers:
    """Resolves the `to` of moves."""

    names: Names
    report: Report
    _others: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """The roles but one, by that one."""
    _known: dict[tuple[str, str], tuple[str, ...]] = field(
        default_factory=dict[tuple[str, str], tuple[str, ...]]
    )
    """Who hears, by speaker and what `to` says, where nothing is wrong with it."""
    _unsaid: list[tuple[Word, tuple[str, ...]]] = field(default_factory=list[tuple[Word, tuple[str, ...]]])
    """Moves that do not say who hears them, where that is not plain."""

    def of(self, spec: MoveSpec, speaker: str) -> tuple[str, ...]:
        """Return who hears a move."""
        others = self._others.get(speaker)
        if others is None:
            others = self._others[speaker] = tuple([role for role in self.names.roles if role != speaker])
        if spec.to is None:
            if len(others) > 1 and speaker in self.names.roles:
                self._unsaid.append((spec.label, others))
            return others
        if not spec.to:
            self.report.add(
                "E103",
                "role_not_informed",
                spec.label.at,
                f"nobody hears '{spec.label}'",
                fix=f"write `to: {others[0] if others else 'a-role'}`",
            )
        key = (speaker, spec.to[0].text if len(spec.to) == 1 else "\0".join([word.text for word in spec.to]))
        known = self._known.get(key)
        if known is not None:
            return known
        before = len(self.report.found)
        found: list[str] = []
        for word in spec.to:
            if word.text == speaker:
                self.report.add(
                    "E103",
                    "role_not_informed",
                    word.at,
                    f"{speaker} cannot speak to itself",
                    why="`to` names who else hears it",
                    fix=f"name another role: {quoted(others)}",
                )
            elif (
                word.text in ("all", "everyone", "everybody", "others") and word.text not in self.names.roles
            ):
                self.report.add(
                    "E102",
                    "unknown_role",
                    word.at,
                    f"'{word}' is not a role",
                    why="`to` names everyone who hears it",
                    fix=f"write `to: [{', '.join(others)}]`",
                )
            elif role := self.names.role(word, "`to`"):
                found.append(role)
        heard = tuple(dict.fromkeys(found))
        if heard and len(heard) == len(spec.to) and len(self.report.found) == before:
            self._known[key] = heard
        return heard

    def tell_unsaid(self) -> None:
        """Tell, once, of moves that do not say who hears them."""
        if not self._unsaid:
            return
        label, others = self._unsaid[0]
        more = f", nor do {len(self._unsaid) - 1} more" if len(self._unsaid) > 1 else ""
        self.report.add(
            "E103",
            "role_not_informed",
            label.at,
            f"who hears '{label}'?",
            why=f"with {len(self.names.roles)} roles a move says to whom it speaks; this one does not{more}",
            fix=f"add `to: {others[0]}` or `to: [{', '.join(others)}]`",
        )
