"""Find out what a model can do, by asking it: some twenty short questions with known answers.

What is promised (a server's list, a model's card) is not what is there: schemas are ignored without a word, and small models copy
what they cannot judge. Every choice is balanced, so that a model that always says the same is right half of the time.
"""

import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from agentcomm.errors import ContextOverflow, EdgeError, ModelBroken, ModelRefused
from agentcomm.models.base import (
    Capabilities,
    ChatMessage,
    Declared,
    Declares,
    Model,
    ModelReply,
    ModelRequest,
    Progress,
)
from agentcomm.models.known import Measured

__all__ = ("measure",)

ENOUGH = 5
"""Right of six balanced choices: a coin gets so far in 7 of 64 tries, and in both kinds of question in 1 of 84."""

ANSWER_TOKENS = 300
THINKING_TOKENS = 600

TEXT = {"type": "string", "maxLength": 60}

ODD_FORM: Mapping[str, Any] = {
    "type": "object",
    "properties": {"zone": {"const": "Q7"}, "count": {"type": "integer", "minimum": 3, "maximum": 5}},
    "required": ["zone", "count"],
    "additionalProperties": False,
}
"""A form that no answer to the question has by itself."""

VALUES: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "host": TEXT,
        "errors": {"type": "integer"},
        "since": TEXT,
        "price": TEXT,
        "level": {"enum": ["low", "medium", "high"]},
    },
    "required": ["host", "errors", "since", "price", "level"],
    "additionalProperties": False,
}
EXAMPLES = (
    {"host": "db-1", "errors": 17, "since": "2026-03-04T05:06:07Z", "price": "85 EUR", "level": "high"},
    {"host": "mail-2", "errors": 230, "since": "2026-07-19T12:30:00Z", "price": "120 USD", "level": "low"},
)
TO_COPY = (
    {
        "host": "web-3",
        "errors": 2418,
        "since": "2026-11-02T23:59:01Z",
        "price": "99.90 EUR",
        "level": "medium",
    },
    {"host": "auth-17", "errors": 64, "since": "2026-02-28T08:15:42Z", "price": "1250 CHF", "level": "low"},
    {"host": "queue-4", "errors": 33000, "since": "2026-05-17T21:07:33Z", "price": "7 GBP", "level": "high"},
)

OFFERS = ((40, 95), (90, 60), (120, 180), (75, 70), (20, 64), (300, 110))
"""Budget and price: three times the price is above the budget."""

PAIRS = (
    ("The delivery comes on Monday.", "The delivery comes on Thursday.", True),
    ("The delivery comes on Monday.", "On Monday the goods will be delivered.", False),
    ("The server is switched off.", "The server is running.", True),
    ("The lamp is red and costs 20 euros.", "The lamp costs 20 euros.", False),
    ("Nobody has signed the contract.", "Everybody has signed the contract.", True),
    ("The meeting is at noon.", "We meet at 12 o'clock.", False),
)


async def measure(model: Model, progress: Progress | None = None) -> Measured:
    """Return what a model can do; nothing is kept.

    Args:
        model: Asked some twenty times; a model of 4 billion weights takes a minute or two without a graphics card.
        progress: Told what is tried.

    Raises:
        EdgeError: The model is not there, or too slow to be measured.
    """
    trial = _Trial(model, progress or _silently)
    declared = await _declared(model)
    counts: dict[str, tuple[int, int]] = {}
    forms = await trial.forms()
    counts["schema"] = forms
    trial.tell("copying five values")
    counts["values copied"] = await trial.copies()
    trial.tell("refusing where it is told to")
    counts["refusals"] = await trial.refusals()
    trial.tell("seeing contradictions")
    counts["contradictions"] = await trial.contradictions()
    trial.tell("thinking")
    thinks, with_schema = await trial.thinking(may=declared.thinks is not False)
    hits = (counts["refusals"][0], counts["contradictions"][0])
    judges = min(hits) >= ENOUGH
    note = (
        ""
        if judges
        else "copies values but does not judge"
        if _copies(counts)
        else "neither copies nor judges"
    )
    return Measured(
        model=model.name,
        capabilities=Capabilities(
            judges=judges,
            note=note,
            follows_schema=forms[0] == forms[1],
            thinks=thinks,
            thinks_with_schema=with_schema,
            tools=declared.tools,
            logprobs=trial.has_logprobs,
            window=declared.window,
        ),
        counts=counts,
        digest=declared.digest,
        server=declared.server,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(statistics.median(trial.seconds), 2) if trial.seconds else None,
        rate=round(sum(trial.tokens) / sum(trial.seconds), 1)
        if sum(trial.seconds) and trial.tokens
        else None,
        notes=tuple(trial.notes),
    )


def _copies(counts: Mapping[str, tuple[int, int]]) -> bool:
    right, tried = counts["values copied"]
    return right == tried


async def _declared(model: Model) -> Declared:
    return await model.declared() if isinstance(model, Declares) else Declared()


def _silently(_line: str) -> None:
    """Stand in for a progress callback."""


class _Trial:
    """Questions to one model, and what is counted beside the answers."""

    def __init__(self, model: Model, progress: Progress) -> None:
        self._model = model
        self._progress = progress
        self.seconds: list[float] = []
        self.tokens: list[int] = []
        self.has_logprobs = False
        self.notes: list[str] = []

    def tell(self, what: str) -> None:
        """Tell what is tried now."""
        self._progress(f"measuring {self._model.name}, {what}")

    async def forms(self) -> tuple[int, int]:
        """Ask for one thing in words and for another by schema."""
        self.tell("keeping to a schema")
        words = ("What is the weather like today?", "Tell me a joke.", "Answer with the single word yes.")
        right = 0
        for seed, question in enumerate(words):
            reply = await self._asked((ChatMessage("user", question),), ODD_FORM, seed=seed, logprobs=True)
            self.has_logprobs |= reply is not None and bool(reply.logprobs)
            found = _object(reply)
            right += (
                found.keys() == {"zone", "count"} and found["zone"] == "Q7" and found["count"] in (3, 4, 5)
            )
        return right, len(words)

    async def copies(self) -> tuple[int, int]:
        """Have values read back."""
        right = 0
        for values in TO_COPY:
            messages = [
                ChatMessage("system", "Read back what you heard, value by value, as one JSON object.")
            ]
            for example in EXAMPLES:
                said = msgspec.json.encode(example).decode()
                messages += [ChatMessage("user", _words(example)), ChatMessage("assistant", said)]
            found = _object(await self._asked((*messages, ChatMessage("user", _words(values))), VALUES))
            right += sum(found.get(name) == value for name, value in values.items())
        return right, sum(map(len, TO_COPY))

    async def refusals(self) -> tuple[int, int]:
        """Have offers taken or refused by a plain rule."""
        rule = (
            "You buy. Rule: if the price is higher than your budget, refuse; otherwise accept. "
            "Answer with one JSON object."
        )
        right = 0
        for number, (budget, price) in enumerate(OFFERS):
            acts = _turned(("accept", "refuse"), number)
            text = f"Your budget is {budget} EUR. The price is {price} EUR. Say {acts[0]} or {acts[1]}."
            found = await self._chosen(rule, text, "act", acts)
            right += found == ("refuse" if price > budget else "accept")
        return right, len(OFFERS)

    async def contradictions(self) -> tuple[int, int]:
        """Have pairs of sentences told apart."""
        rule = "You compare two sentences. Answer with one JSON object."
        right = 0
        for number, (one, other, are_contrary) in enumerate(PAIRS):
            answers = _turned(("can both be true", "contradict"), number)
            text = f"First: {one}\nSecond: {other}\nDo they contradict each other, or can both be true?"
            found = await self._chosen(rule, text, "they", answers)
            right += found == ("contradict" if are_contrary else "can both be true")
        return right, len(PAIRS)

    async def thinking(self, *, may: bool) -> tuple[bool, bool | None]:
        """Ask for thinking, alone and together with a schema."""
        if not may:
            return False, None
        question = (ChatMessage("user", "A bike costs 110 EUR and a helmet 35 EUR. What do both cost?"),)
        alone = await self._asked(question, None, think=True, num_predict=THINKING_TOKENS)
        if alone is None or not alone.thinking:
            return False, None
        both = await self._asked(question, ODD_FORM, think=True, num_predict=THINKING_TOKENS)
        return True, both is not None and bool(both.thinking) and _object(both).get("zone") == "Q7"

    async def _chosen(self, rule: str, text: str, field: str, answers: Sequence[str]) -> object:
        schema = {
            "type": "object",
            "properties": {field: {"enum": list(answers)}},
            "required": [field],
            "additionalProperties": False,
        }
        messages = (ChatMessage("system", rule), ChatMessage("user", text))
        return _object(await self._asked(messages, schema)).get(field)

    async def _asked(
        self,
        messages: tuple[ChatMessage, ...],
        schema: Mapping[str, Any] | None,
        *,
        num_predict: int = ANSWER_TOKENS,
        **more: Any,
    ) -> ModelReply | None:
        """Return the answer; None where it is none, which counts as wrong."""
        request = ModelRequest(messages=messages, schema=schema, num_predict=num_predict, **more)
        try:
            reply = await self._model.reply(request)
        except (ModelBroken, ModelRefused, ContextOverflow) as error:
            self._note(error)
            return None
        self.seconds.append(reply.seconds)
        self.tokens.append(reply.output_tokens or 0)
        return reply

    def _note(self, error: EdgeError) -> None:
        text = f"{error.what}: {error.why}" if error.why else error.what
        if text not in self.notes:
            self.notes.append(text)


def _object(reply: ModelReply | None) -> dict[str, Any]:
    try:
        found: Any = msgspec.json.decode(reply.text) if reply is not None else {}
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _words(values: Mapping[str, Any]) -> str:
    return "inform " + " ".join(f"{name}={value}" for name, value in values.items())


def _turned(answers: tuple[str, str], number: int) -> tuple[str, str]:
    """Return the answers, every other time the other way round, in step with neither the right ones nor the order."""
    return answers if number % 4 in (0, 3) else (answers[1], answers[0])
