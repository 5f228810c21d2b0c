"""Valid protocol documents at random: what the checker finds fault with is thrown away."""

import random
from functools import cache
from typing import Any

import yaml
from talks import overlays

from agentcomm.conversation.rules import Rules
from agentcomm.errors import ProtocolError
from agentcomm.protocol.library import loads

_TYPES: list[Any] = [
    "text", "int", "number", "bool", "date", "datetime", "duration", "money", "id", "any", "list of text",
    "optional int", "optional text", ["low", "high"], {"x": "int", "y": "optional text"},
    {"is": "int", "minimum": 1, "maximum": 60}, {"is": "text", "minLength": 1, "maxLength": 9}, "list of int",
]  # fmt: skip
_ACTS = (
    "inform",
    "inform",
    "inform",
    "request",
    "query-ref",
    "agree",
    "propose",
    "accept-proposal",
    "refuse",
    "failure",
)


def document(seed: int) -> dict[str, Any]:
    """Return a document: states in a row, moves forward, a few moves back with a budget."""
    dice = random.Random(seed)  # noqa: S311
    roles = ["ann", "bob", "cyd"][: dice.choice([2, 2, 3])]
    places = [f"s{n}" for n in range(dice.randint(1, 5))]
    outcomes = {"done": "success", "off": "refused", "lost": "failed"}
    acts, grounding, states = {}, {}, {}
    made: list[tuple[str, dict[str, Any]]] = []

    def act() -> str:
        label = f"act-{len(acts)}"
        fields = {f"f{n}": dice.choice(_TYPES) for n in range(dice.choice([0, 1, 1, 2, 3]))}
        acts[label] = {"act": dice.choice(_ACTS), "content": fields}
        if acts[label]["act"] in {"request", "query-ref", "propose"} and dice.random() < 0.8:
            acts[label]["outlives"] = True
        whole = [name for name, kind in fields.items() if kind == "int"]
        if whole and dice.random() < 0.3:
            acts[label]["when"] = f"{whole[0]} {dice.choice(['<=', '>', '!='])} {dice.randint(0, 40)}"
        elif whole and dice.random() < 0.3:
            acts[label]["when"] = f"{whole[0]} >= {label}.{whole[0]}"
        chance = dice.random()
        if fields and chance < 0.3:
            grounding[label] = {"readback": dice.sample(sorted(fields), dice.randint(1, len(fields)))}
        elif chance < 0.4:
            grounding[label] = "relevant"
        elif made and chance < 0.6:
            other, theirs = dice.choice(made)
            if theirs:
                name = dice.choice(sorted(theirs))
                fields[name] = theirs[name]
                grounding[label] = {"repeats": {name: f"{other}.{name}"}}
        made.append((label, fields))
        return label

    for n, place in enumerate(places):
        role = dice.choice(roles)
        moves: dict[str, Any] = {}
        ahead = [*places[n + 1 :], *outcomes]
        for target in dict.fromkeys([ahead[0], *dice.choices(ahead, k=dice.randint(0, 2))]):
            move: dict[str, Any] = {"next": target}
            if len(roles) > 2 or dice.random() < 0.2:
                others = [other for other in roles if other != role]
                move["to"] = dice.sample(others, dice.randint(1, len(others)))
            if dice.random() < 0.1:
                move["owner"] = dice.choice(roles)
            moves[act()] = move
        if dice.random() < 0.5:
            move = {"next": dice.choice(places[: n + 1]), "max": dice.randint(1, 3)}
            if dice.random() < 0.5:
                move["then"] = dice.choice(ahead)
            if len(roles) > 2:
                others = [other for other in roles if other != role]
                move["to"] = dice.sample(others, dice.randint(1, len(others)))
            moves[act()] = move
        states[place] = {role: moves}
        if dice.random() < 0.4:
            states[place]["within"] = "20s"
            states[place]["else"] = dice.choice(ahead)
    for moves in (moves for state in states.values() for role, moves in state.items() if role in roles):
        for label, move in moves.items():
            if grounding.get(label) == "relevant" and {move["next"], move.get("then")} & set(outcomes):
                del grounding[label]
    limits: dict[str, Any] = {"repairs": dice.choice([1, 2, 3])}
    if dice.random() < 0.3:
        limits["repairs_in_all"] = dice.randint(1, 5)
    if dice.random() < 0.3:
        limits["whole"] = "10m"
    made_of: dict[str, Any] = {
        "agentcomm": 1, "protocol": f"random-{seed}", "version": 1, "roles": roles, "acts": acts,
        "grounding": grounding, "states": states, "outcomes": {**outcomes, "expired": "expired"}, "limits": limits,
    }  # fmt: skip
    if dice.random() < 0.2:
        made_of["owner"] = roles[0]
    if not grounding:
        del made_of["grounding"]
    return made_of


@cache
def random_rules(seed: int) -> Rules | None:
    """Return the rules of a random protocol, or None if the checker finds an error in it."""
    try:
        return Rules(loads(yaml.safe_dump(document(seed), sort_keys=False)), overlays())
    except ProtocolError:
        return None
