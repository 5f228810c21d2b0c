"""Protocols with one mistake put in: a move dropped, led elsewhere, said twice or by another; a bound or a discharge dropped."""

import copy
import re
from dataclasses import dataclass
from typing import Any

import yaml
from explorer import KEYS, words

__all__ = ("Mutant", "mutants", "parsed")


class Loader(yaml.SafeLoader):
    """Reads scalars as YAML 1.2 does, as far as protocols use them."""


Loader.yaml_implicit_resolvers = {}
Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?[0-9]+$"), list("-0123456789"))
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)$"), list("tf"))


def parsed(text):
    """Return a protocol's text as data."""
    return yaml.load(text, Loader=Loader)  # noqa: S506 - a subclass of the safe one


@dataclass(frozen=True)
class Mutant:
    """A document with one mistake put in."""

    protocol: str
    operator: str
    where: str
    document: dict[str, Any]

    def __str__(self):
        return f"{self.protocol}: {self.operator} {self.where}"


def moves(document):
    """Yield state, role and label of each move."""
    for name, state in document["states"].items():
        for role, said in state.items():
            if role not in KEYS:
                yield from ((name, role, label) for label in said)


def target(move):
    """Return where a move leads."""
    return move["next"] if isinstance(move, dict) else move


def with_target(move, place):
    """Return a move that leads elsewhere."""
    return {**move, "next": place} if isinstance(move, dict) else place


def changed(document, *path):
    """Return a copy of a document, and what stands at a path in it."""
    whole = copy.deepcopy(document)
    inner = whole
    for key in path:
        inner = inner[key]
    return whole, inner


def mutants(name, document):
    """Yield every mutant of a protocol."""
    for state, role, label in moves(document):
        where = f"{state}.{role}.{label}"
        for operator, mutant in (
            *dropped(document, state, role, label),
            *redirected(document, state, role, label),
            *doubled(document, state, role, label),
            *said_by_others(document, state, role, label),
            *unbounded(document, state, role, label),
            *put_off(document, state, role, label),
        ):
            yield Mutant(name, operator, where, mutant)
    for state, spec in document["states"].items():
        if "within" in spec or "else" in spec:
            whole, inner = changed(document, "states", state)
            inner.pop("within", None)
            inner.pop("else", None)
            yield Mutant(name, "no deadline", state, whole)
    for label, act in document["acts"].items():
        if isinstance(act, dict) and "discharges" in act:
            whole, inner = changed(document, "acts", label)
            del inner["discharges"]
            yield Mutant(name, "no discharge", label, whole)


def dropped(document, state, role, label):
    """Yield a document without a move."""
    whole, inner = changed(document, "states", state)
    del inner[role][label]
    if not inner[role]:
        del inner[role]
    yield "drop", whole


def redirected(document, state, role, label):
    """Yield documents in which a move leads elsewhere: nowhere, back, to the start, and to every other place."""
    old = target(document["states"][state][role][label])
    start = document.get("start", next(iter(document["states"])))
    for place in ("nowhere", *document["states"], *document["outcomes"]):
        if place == old:
            continue
        kind = {"nowhere": "nowhere", state: "to itself", start: "to the start"}.get(place, "elsewhere")
        whole, inner = changed(document, "states", state, role)
        inner[label] = with_target(inner[label], place)
        yield f"redirect {kind}", whole


def doubled(document, state, role, label):
    """Yield documents in which a move stands once more: in the state that it leads to, and for another role."""
    move = document["states"][state][role][label]
    after = target(move)
    if after in document["states"] and "run" not in document["states"][after]:
        whole, inner = changed(document, "states", after)
        if label not in inner.setdefault(role, {}):
            inner[role][label] = copy.deepcopy(move)
            yield "say again", whole
    for other in document["roles"]:
        if other != role:
            whole, inner = changed(document, "states", state)
            inner.setdefault(other, {})[label] = exchanged(move, role, other)
            yield "say by two", whole


def exchanged(move, role, other):
    """Return a move as another role would make it."""
    if not isinstance(move, dict) or "to" not in move:
        return copy.deepcopy(move)
    to = [role if name == other else name for name in words(move["to"])]
    return {**move, "to": to}


def said_by_others(document, state, role, label):
    """Yield documents in which another role makes a move, or one role less hears it."""
    move = document["states"][state][role][label]
    for other in document["roles"]:
        if other != role:
            whole, inner = changed(document, "states", state)
            del inner[role][label]
            if not inner[role]:
                del inner[role]
            inner.setdefault(other, {})[label] = exchanged(move, role, other)
            yield "another speaker", whole
    heard = words(move.get("to")) if isinstance(move, dict) else ()
    for hearer in heard:
        whole, inner = changed(document, "states", state, role, label)
        inner["to"] = [name for name in heard if name != hearer]
        yield "one hearer less", whole


def unbounded(document, state, role, label):
    """Yield a document without the budget of a move."""
    move = document["states"][state][role][label]
    if isinstance(move, dict) and "max" in move:
        whole, inner = changed(document, "states", state, role, label)
        del inner["max"]
        inner.pop("then", None)
        yield "no budget", whole


def put_off(document, state, role, label):
    """Yield a document in which a move leads where it did only once it has ended the conversation before."""
    move = document["states"][state][role][label]
    if target(move) in document["states"] and not (isinstance(move, dict) and "max" in move):
        whole, inner = changed(document, "states", state, role)
        end = next(iter(document["outcomes"]))
        inner[label] = {
            **with_target(move if isinstance(move, dict) else {}, end),
            "max": 1,
            "then": target(move),
        }
        yield "put off", whole
