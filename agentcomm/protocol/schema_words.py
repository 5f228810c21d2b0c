"""What an editor says of each key and word of the language."""

from typing import Any

__all__ = ("ABOUT", "CLASSES", "CRITERIA", "STAKES", "TYPES")

ABOUT: dict[str, tuple[Any, ...]] = {
    "agentcomm": ("The version of the language.", 1),
    "protocol": ("The protocol's name.", "contract-net"),
    "version": ("The version of this protocol.",),
    "about": (
        "What it is for, in a sentence.",
        "A buyer asks one seller for an offer, and takes it or leaves it.",
    ),
    "source": ("Where it comes from: a specification, a paper, a practice.", "FIPA SC00029H"),
    "roles": (
        "Who takes part. A list where each role is one agent; else a map that says how many play it; at most one role has a range.",
        ["buyer", "seller"],
        {"manager": 1, "bidder": "1..20"},
    ),
    "owner": ("The role that owns the matter at the beginning; a move's `owner` hands it over.", "giver"),
    "types": (
        "Named types of content.",
        {"Offer": {"price": "money", "plan": "text"}},
    ),
    "acts": (
        "What may be said, and what it carries. A label that is an act of the library needs no `act:`.",
        {"request": {"action": "text"}, "result": {"act": "inform", "content": {"summary": "text"}}},
    ),
    "grounding": (
        "Evidence of understanding that is needed before the talk builds on an act.",
        {"cfp": "relevant", "propose": {"readback": ["price"]}},
    ),
    "start": ("The state in which it begins; without it, the first.", "asking"),
    "states": (
        "In this state, this role may say these acts, and each leads somewhere.",
        {
            "asked": {
                "seller": {"propose": "offered", "refuse": "declined"},
                "within": "10m",
                "else": "silent",
            }
        },
    ),
    "outcomes": (
        "The named ends, each with its class.",
        {"done": "success", "declined": "refused", "silent": "expired"},
    ),
    "settles": (
        "How the ends of the lanes settle the conversation: read in order, the first that fits; `otherwise` stands last.",
        {"success": "any done", "expired": "all silent", "refused": "otherwise"},
    ),
    "limits": ("Bounds of the conversation.", {"reply_within": "60s", "else": "expired", "repairs": 2}),
    "overlay": ("Makes this protocol an overlay, which can run on top of any state.", {"on": "any"}),
    "overlay.on": ("When it may run: at any message, or at one that is to be read back or demonstrated.",),
    "then": (
        "Of an overlay: what follows from the class of its outcome. `resume`: the state beneath goes on; `again`: back to before the message; or a class of outcomes, which ends the conversation beneath.",
        {"success": "resume", "otherwise": "aborted"},
    ),
    "overlays": (
        "Switches an overlay off, or names the protocol's own.",
        {"cancel": "off", "repair": "my-repair"},
    ),
    "act.act": ("The act of the library that the label stands for.",),
    "act.content": (
        "What it carries: fields with their types, or the name of a type; `{}` for nothing.",
        {"price": "money", "plan": "text"},
        "Offer",
    ),
    "act.critical": ("The fields that a read-back compares.", ["price"]),
    "act.stakes": ("What a misunderstanding would cost; at `high` the critical fields are read back.",),
    "act.discharges": ("The act whose commitment this one fulfils.", "propose"),
    "act.outlives": ("Its commitment may stay open when the conversation ends.",),
    "act.when": (
        "What must hold for it to be said: a field compared with a constant or with `act.field`; a list means all of them.",
        "price <= cfp.budget",
    ),
    "type.is": ("The type that the constraints are put on.", "money"),
    "grounding.criterion": ("How much evidence is enough.",),
    "grounding.readback": ("The fields that the hearer says back; code compares them.", ["price"]),
    "grounding.repeats": (
        "Fields that must equal a value on record; where one differs, a repair opens.",
        {"price": "propose.price"},
    ),
    "state.within": ("The deadline, from each entry into the state; of a run, for the whole of it.", "10m"),
    "state.else": ("Where the deadline leads: a state or an outcome.", "silent"),
    "state.gather": (
        "Waits until every living lane of this role stands at a gather; then its speaker makes one move in each, in one turn.",
        "bidder",
    ),
    "state.first": ("In a race: whose move counts, of two made from the same place in the log.", "buyer"),
    "state.run": (
        "The protocol that runs here: a file beside this one, or a name from the library.",
        "request",
    ),
    "state.as": (
        "Who of ours plays which of its roles.",
        {"initiator": "lead", "participant": "worker"},
    ),
    "state.with": (
        "Values that the runtime fills in: its act and field from ours.",
        {"request.action": "plan.goal"},
    ),
    "state.then": (
        "Where each class of its outcomes leads.",
        {"success": "verifying", "otherwise": "failed"},
    ),
    "move.next": ("The state or outcome it leads to.", "offered"),
    "move.to": ("Who hears it; by default the only other role.", "broker", ["lead", "worker"]),
    "move.for": ("Said once, in every lane that stands in this state.",),
    "move.max": ("How often it leads to `next`, over the whole conversation; every cycle needs one.", 3),
    "move.then": ("Where it leads once `max` is used up; without it, it is no longer offered.", "declined"),
    "move.at_most": ("No more lanes than that make this move in the whole conversation.", 1),
    "move.at_once": ("No more lanes than that stand in the state it leads to.", 1),
    "move.when": (
        "What must hold for it to be said here, beside the conditions of the act.",
        "price <= cfp.budget",
    ),
    "move.stakes": ("Stakes of this move, where they are higher than those of the act.",),
    "move.owner": ("The role that owns the matter from here on.", "taker"),
    "limits.reply_within": ("The deadline of states that name none.",),
    "limits.else": ("Where the deadline of states that say nothing else leads.", "expired"),
    "limits.repairs": ("Repairs for one message.",),
    "limits.repairs_in_all": (
        "Repairs in the whole conversation; by default the larger of 3 and a fifth of the bound.",
    ),
    "limits.misfires": ("Refusals in one turn before an honest exit is taken for the speaker.",),
    "limits.turns": ("A ceiling for the computed bound; a file whose bound is higher has an error.", 20),
    "limits.whole": ("Time for the whole conversation.", "1h"),
    "limits.escalate_to": ("The role that decides where repair fails.", "supervisor"),
}
"""By path in the document: what it is, then examples."""

CLASSES = {
    "success": "it came about",
    "partial": "part of it came about",
    "refused": "somebody would not",
    "rejected": "an offer was not taken",
    "failed": "it was tried and did not work",
    "expired": "a deadline ran out",
    "cancelled": "it was called off",
    "undecided": "it ended open",
    "aborted": "it could not go on",
}

STAKES = {
    "low": "a misunderstanding costs next to nothing",
    "normal": "a misunderstanding costs some work",
    "high": "a misunderstanding costs much: the critical fields are read back",
    "irreversible": "what is done cannot be undone: read back and demonstrated",
}

CRITERIA = {
    "none": "nothing is asked",
    "delivered": "it was heard (the default)",
    "relevant": "it was answered by the one it was said to",
    "readback": "its critical fields were said back, and code compared them",
    "demonstrated": "goal and plan were restated, and judged in a fresh context",
    "readback+demonstrated": "both",
}

TYPES = {
    "text": "any text",
    "int": "a whole number",
    "number": "a number",
    "bool": "true or false",
    "date": "a day, 2026-12-01",
    "datetime": "a moment, 2026-12-01T09:30:00+01:00",
    "duration": "a number with a unit, 30s or 1h30m",
    "money": "an amount and a currency, 120 EUR",
    "quantity": "a number with a unit, 500 l",
    "id": "a name that stands for something, not empty",
    "any": "anything that JSON can say",
}
