"""The checker is held to a slow explorer: what that one says is wrong with a mutant of the library, the checker tells as well."""

import json
import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from explorer import Talk
from mutants import mutants, parsed

from agentcomm.protocol.check import examine
from agentcomm.protocol.library import load, loads, names

FOLDER = Path(__file__).parents[2] / "protocols"
LIBRARY = {
    name: parsed((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    for name in (*names(), *names(overlays=True))
}
SAMPLE, SEED = 1_000, 20

CODES = {
    "unknown name": {"E102", "E104"},
    "nobody hears": {"E103"},
    "role in nothing": {"E103"},
    "unreachable": {"E201"},
    "unreachable by budgets": {"W208"},
    "dead end": {"E202"},
    "no outcome": {"E202", "E203", "E204"},
    "unbounded cycle": {"E203", "E204", "E205", "E702"},
    "race": {"E301", "E302"},
    "nothing left to say": {"E303"},
    "unknown value": {"E401"},
    "owners": {"E504"},
    "last word to be answered": {"E601"},
    "unused act": {"W201"},
    "unused outcome": {"W201"},
    "speaks unheard": {"W304"},
    "open commitment": {"W501"},
    "answers nothing": {"E502", "W505"},
}
"""By kind of defect: the codes that tell it."""
SURE = [kind for kind, codes in CODES.items() if min(codes) < "E3"]
"""Kinds of which none may be missed."""
REST = 0.95


def defects(document):
    """Return the kinds of what the explorer finds wrong."""
    return Talk(document, LIBRARY.__getitem__).defects()


def told(document):
    """Return the codes of the checker's errors and warnings."""
    findings = examine(json.dumps(document)).findings
    return {finding.code for finding in findings if finding.severity != "info"}


class Tally:
    """How many mutants are defective, and how many of them the checker tells."""

    def __init__(self):
        self.defective, self.detected = Counter(), Counter()
        self.alone, self.named = Counter(), Counter()
        self.missed = defaultdict(list)
        self.operators = defaultdict(Counter)

    def add(self, mutant):
        """Judge a mutant by the explorer and by the checker."""
        kinds, codes = defects(mutant.document), told(mutant.document)
        self.operators[mutant.operator]["defective" if kinds else "told" if codes else "neither"] += 1
        for kind in kinds:
            self.defective[kind] += 1
            self.detected[kind] += bool(codes)
            if not codes:
                self.missed[kind].append(str(mutant))
        if len(kinds) == 1:  # with several, an error may leave a warning unsaid
            (kind,) = kinds
            self.alone[kind] += 1
            self.named[kind] += bool(codes & CODES[kind])

    def __str__(self):
        rows = [f"{'kind':26}{'defective':>10}{'told':>8}{'alone':>8}{'by name':>8}"]
        for kind in CODES:
            counts = self.defective[kind], self.detected[kind], self.alone[kind], self.named[kind]
            rows.append(f"{kind:26}{counts[0]:10}{counts[1]:8}{counts[2]:8}{counts[3]:8}")
        rows += ["", f"{'operator':26}{'defective':>10}{'only told':>10}{'neither':>10}"]
        for operator, counts in self.operators.items():
            rows.append(f"{operator:26}{counts['defective']:10}{counts['told']:10}{counts['neither']:10}")
        rows += [f"missed, {kind}: {mutant}" for kind, missed in self.missed.items() for mutant in missed]
        return "\n".join(rows)

    def hold(self):
        """Assert that enough is told, and told as what it is."""
        print(f"\n{self}")
        assert not [kind for kind in SURE if self.missed[kind]], dict(self.missed)
        rest = [kind for kind in CODES if kind not in SURE]
        for counted, right in ((self.defective, self.detected), (self.alone, self.named)):
            for kind in SURE:
                assert right[kind] == counted[kind], kind
            assert sum(right[kind] for kind in rest) >= REST * sum(counted[kind] for kind in rest), (
                self.missed
            )


def test_the_library_is_read_as_it_is():
    for name, document in LIBRARY.items():
        assert loads(json.dumps(document)).hash == load(name).hash


@pytest.mark.parametrize("name", LIBRARY)
def test_the_explorer_finds_nothing_wrong_with_the_library(name):
    assert defects(LIBRARY[name]) == set()
    assert told(LIBRARY[name]) == set()


def test_what_is_wrong_with_a_sample_of_mutants_is_told():
    every = [mutant for name, document in LIBRARY.items() for mutant in mutants(name, document)]
    tally = Tally()
    for mutant in random.Random(SEED).sample(every, SAMPLE):  # noqa: S311 - a sample, not a secret
        tally.add(mutant)
    tally.hold()
    assert len(+tally.defective) >= 12  # most kinds stand in the sample


@pytest.mark.long
@pytest.mark.timeout(600)
def test_what_is_wrong_with_every_mutant_is_told():
    tally = Tally()
    for name, document in LIBRARY.items():
        for mutant in mutants(name, document):
            tally.add(mutant)
    tally.hold()
    assert set(tally.defective) == set(CODES)


SMALL = {
    "agentcomm": 1,
    "protocol": "small",
    "roles": ["ann", "bob"],
    "acts": {"tell": {"act": "inform", "content": {}}, "say": {"act": "inform", "content": {}}},
    "states": {
        "one": {"ann": {"tell": {"next": "two", "max": 1, "then": "three"}, "say": "two"}},
        "two": {"bob": {"say": "done"}},
        "three": {"bob": {"say": "done"}},
    },
    "outcomes": {"done": "success"},
}


SELF_ACCEPTED = {
    "agentcomm": 1,
    "protocol": "self-accepted",
    "roles": ["ann", "bob"],
    "acts": {"propose": {"content": {"what": "text"}, "outlives": True}, "accept-proposal": {}},
    "states": {"one": {"ann": {"propose": "two"}}, "two": {"ann": {"accept-proposal": "done"}}},
    "outcomes": {"done": "success"},
}


def test_the_explorer_counts_budgets():
    assert defects(SMALL) == {"unreachable by budgets"}


def test_the_explorer_knows_who_was_asked():
    assert defects(LIBRARY["propose"]) == set()
    assert defects(SELF_ACCEPTED) == {"answers nothing"}


def test_an_answer_to_what_nobody_proposed():
    assert told(SELF_ACCEPTED) == {"W505"}


def test_a_state_after_a_budget_that_cannot_be_used_up():
    assert told(SMALL) == {"W208"}
