"""What a turn costs in tokens, and what agentcomm costs around a model's call.

    python tests/benchmarks/bench_prompts.py

Tokens are counted with the demo model's own tokenizer, by asking it, of whole prompts. The floor is what a chat between the same
agents could not do without: in each call the agent's instructions (goal and brief) and the words said so far that it said or heard.
Beside it stands the stricter count, to what of these words the prompts show: a record shows fewer than a chat repeats. CPU time is
the process's own, as a ratio to the CPU time of a call of the demo model in the same run.
"""

import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from agentcomm.acts.message import format_content  # noqa: E402
from agentcomm.agents.agent import Agent  # noqa: E402
from agentcomm.agents.provenance import segments_of  # noqa: E402
from agentcomm.conversation.events import Heard  # noqa: E402
from agentcomm.models.base import ChatMessage, ModelRequest  # noqa: E402
from agentcomm.models.embedded import EmbeddedModel  # noqa: E402
from agentcomm.protocol.library import load, loads  # noqa: E402
from agentcomm.runtime.enact import enact  # noqa: E402
from tests.agents.talks import Says, ping_pong, text_of  # noqa: E402

SALE = ROOT / "examples" / "purchase" / "protocol.yaml"
CFP = {"act": "cfp", "content": {"item": "city bike", "budget": "120 EUR"}}
PROPOSE = {
    "act": "propose",
    "content": {"item": "city bike", "price": "110 EUR", "valid_until": "2026-12-01"},
}
READBACK = {"act": "readback", "content": {"fields": {"price": "110 EUR", "valid_until": "2026-12-01"}}}
ACCEPT = {"act": "accept-proposal", "content": {"price": "110 EUR"}}
SALES = [CFP, READBACK, ACCEPT], [PROPOSE]

BUYER = (
    "You buy equipment for a bicycle courier firm in Bremen. Compare what is offered with what the firm needs: a frame that carries "
    "forty kilograms, brakes that work in rain, lights that meet the German road rules, tyres of standard size, and parts that any "
    "workshop has. Prefer a seller who names a price with tax and says how long it holds. Never pay before delivery. Turn down what "
    "is above the budget, and say in one sentence why. If an offer leaves out something you need to decide, ask for it before you "
    "accept. Be brief and polite; you write to a trader who gets many such messages a day."
)
SELLER = (
    "You sell new and used bicycles. Look up what is in stock, name one price in euros with tax, and say until which day the offer "
    "holds. Offer only what is in stock. Give no discount above five per cent without asking the owner. Do not promise delivery "
    "dates; the workshop does that. If you do not carry what is asked for, decline and say what you carry instead, in one sentence. "
    "A used bicycle is always called used. Warranty is two years on new and one year on used bicycles, and you mention it when the "
    "price is above five hundred euros."
)
SHORT = "Buy within the budget.", "Sell what is in stock."

SUM = """
agentcomm: 1
protocol: sum
version: 1
about: A clerk has a calculator work out what a user asked.
roles: [clerk, calculator]
acts:
  compute: {act: request, content: {expression: text}}
  result: {act: inform, content: {value: number}}
  answer: {act: inform, content: {text: text}}
states:
  asked: {clerk: {compute: computing}}
  computing: {calculator: {result: computed}}
  computed: {clerk: {answer: over}}
outcomes: {over: success}
limits: {reply_within: 60s, else: over}
"""
"""A user asked a clerk; the clerk asks a calculator, the calculator answers, the clerk replies: three calls."""
CLERK = "You are a clerk. Answer the user's question in one short sentence. Let the calculator do the sums."
CALCULATOR = (
    "You are a calculator. Work out the expression that you are given, and say its value as a number."
)
QUESTION = "What do 17 boxes of paper at 23 euros each cost, with the 15 euros for delivery?"


def commit() -> str:
    """Return the commit that is measured."""
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return told.stdout.strip()


class Counter:
    """Counts tokens by asking the demo model, each text once."""

    def __init__(self, model: EmbeddedModel) -> None:
        self.model, self.known = model, {}

    async def __call__(self, text: str) -> int:
        """Return the tokens of a text, without those of the chat template."""
        if not self.known:
            self.known["."] = await self._ask(".")
        if text not in self.known:
            self.known[text] = await self._ask(text)
        return self.known[text] - self.known["."] + 1 if text else 0

    async def _ask(self, text: str) -> int:
        schema = {
            "type": "object",
            "properties": {"n": {"const": 1}},
            "required": ["n"],
            "additionalProperties": False,
        }
        request = ModelRequest(
            messages=(ChatMessage("user", text),), schema=schema, num_predict=60, num_ctx=4096
        )
        reply = await self.model.reply(request)
        return int(reply.prompt_tokens or 0)


async def sale(goals: tuple[str, str], buyer: list, seller: list):
    """Return the model requests of a sale between two scripted models."""
    said = iter(buyer), iter(seller)
    ann = Agent("Ann", model=Says(lambda _request: next(said[0])), goal=goals[0])
    bob = Agent("Bob", model=Says(lambda _request: next(said[1])), goal=goals[1])
    brief = {
        "buyer": "Buy one city bike for at most 120 EUR.",
        "seller": "In stock: one city bike, 110 EUR, until 2026-12-01.",
    }
    result = await enact(load(SALE), cast={"buyer": ann, "seller": bob}, brief=brief)
    assert result.outcome == "sold"
    return requests(result)


async def summing():
    """Return the model requests of a sum that a clerk has worked out by a calculator."""
    said = iter(
        [
            {"act": "compute", "content": {"expression": "17 * 23 + 15"}},
            {"act": "answer", "content": {"text": "They cost 406 euros."}},
        ]
    )
    clerk = Agent("Clerk", model=Says(lambda _request: next(said)), goal=CLERK)
    value = {"act": "result", "content": {"value": 406}}
    calculator = Agent("Calculator", model=Says(lambda _request: value), goal=CALCULATOR)
    cast = {"clerk": clerk, "calculator": calculator}
    result = await enact(loads(SUM), cast=cast, brief={"clerk": QUESTION})
    assert result.outcome == "over"
    return requests(result)


def requests(result):
    """Return of each call: its data and content, its segments, the agent's instructions, and the words it had said or heard."""
    found = []
    seats = {seat["agent"]: role for role, seat in roles_of(result).items()}
    said: list[Heard] = []
    events = result.transcript.events()
    for record in result.transcript.records:
        if record.kind == "event":
            event = next(events)
            if isinstance(event, Heard) and event.message.made_by != "rule":
                said.append(event.message)
        if record.type == "model.request":
            body = result.transcript.body(record)
            role = seats[record.data["agent"]]
            words = [
                f"{m.act} {format_content(m.content)}".rstrip()
                for m in said
                if role in (m.sender, *m.receivers)
            ]
            found.append((record.data, body, segments_of(record.data, body), words))
    return found


def roles_of(result):
    """Return who plays each role."""
    return next(record.data for record in result.transcript.records if record.kind == "open")["cast"]


async def overhead(count: Counter, found: list) -> dict:
    """Return the tokens of a task's prompts beside the words given and said."""
    floor = shown = whole = 0
    ours: dict[str, int] = {}
    for data, body, texts, words in found:
        whole += sum([await count(m["content"]) for m in body["messages"]])
        by_role: dict[str, list[str]] = {}
        instructions: list[str] = []
        for segment, text in zip(data["segments"], texts, strict=True):
            start, size = segment["data"]
            is_ours = segment["by"].startswith("agentcomm")
            given = "" if is_ours else text[start : start + size]
            if given:
                by_role.setdefault(segment["role"], []).append(given)
            if segment["by"] == "author" and segment["role"] == "user":
                instructions.append(given)
            ours[segment["label"]] = ours.get(segment["label"], 0) + await count(text) - await count(given)
        shown += sum([await count("\n\n".join(pieces)) for pieces in by_role.values()])
        floor += await count("\n\n".join(by_role.get("system", [])))
        floor += await count("\n\n".join([*instructions, *words]))
    return {
        "calls": len(found),
        "prompt tokens": whole,
        "instructions, and words said": floor,
        "ratio": round(whole / floor, 2),
        "... of them shown": shown,
        "ratio to what is shown": round(whole / shown, 2),
        "ours": ours,
    }


async def sizes(count: Counter) -> dict:
    """Return the size of a prompt at turn 10 and at turn 500."""
    n = {"n": 0}

    def line(act):
        def answer(_request):
            n["n"] += 1
            return {
                "act": act,
                "content": {"words": f"This is line number {n['n']:04d} of our talk.", "n": n["n"]},
            }

        return answer

    ann, bob = Says(line("line")), Says(line("word"))
    begun = time.process_time()
    result = await enact(
        ping_pong(260), cast={"ann": Agent("Ann", model=ann), "bob": Agent("Bob", model=bob)}
    )
    seconds = time.process_time() - begun
    early, late = text_of(ann.asked[5]), text_of(ann.asked[249])
    return {
        "turns": result.messages,
        "tokens at turn 10": await count(early),
        "tokens at turn 500": await count(late),
        "CPU of ours a model turn, ms": round(1000 * seconds / result.messages, 2),
    }


async def repairs(count: Counter) -> dict:
    """Return what of a prompt is new to a server that keeps the prefix of the agent's prompt before."""
    wrong = {"act": "cfp", "content": {"item": "city bike"}}
    bad_price = {"act": "accept-proposal", "content": {"price": "101 EUR"}}
    confirm = {"act": "confirm", "content": {}}
    found = {}
    for name, goals in (("short instructions", SHORT), ("instructions of 100 words", (BUYER, SELLER))):
        asked = await sale(goals, [wrong, CFP, READBACK, bad_price, confirm, ACCEPT], [PROPOSE])
        buyer = [
            "\n".join(m["content"] for m in body["messages"])
            for data, body, *_ in asked
            if data["agent"] == "Ann"
        ]
        found[f"asked again, {name}"] = await _new(count, buyer[0], buyer[1])
        found[f"a turn of repair, {name}"] = await _new(count, buyer[3], buyer[4])
        found[f"said again after repair, {name}"] = await _new(count, buyer[3], buyer[5])
    return found


async def _new(count: Counter, before: str, now: str) -> float:
    kept = next(
        (n for n, (one, other) in enumerate(zip(before, now, strict=False)) if one != other), len(before)
    )
    return round(await count(now[kept:]) / await count(now), 3)


async def main() -> None:
    """Measure, print, and keep the figures beside machine and commit."""
    model = EmbeddedModel(None)
    count = Counter(model)
    await count("warm")
    calls = []
    for n in range(5):
        prompt = f"Read back: host=db-{n}, port=5432, since=2026-01-0{n + 1}. Say each value once more, in the same order, and nothing else."
        begun = time.process_time()
        schema = {
            "type": "object",
            "properties": {"host": {"type": "string", "maxLength": 40}},
            "required": ["host"],
            "additionalProperties": False,
        }
        await model.reply(
            ModelRequest(messages=(ChatMessage("user", prompt),), schema=schema, num_predict=100)
        )
        calls.append(time.process_time() - begun)
    flat = await sizes(count)
    call = median(calls)
    figures = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "commit": commit(),
        "a sale, instructions of 100 words each": await overhead(count, await sale((BUYER, SELLER), *SALES)),
        "a sale, instructions of five words each": await overhead(count, await sale(SHORT, *SALES)),
        "a clerk has a sum worked out": await overhead(count, await summing()),
        "flat": flat,
        "CPU of a call of the demo model, ms": round(1000 * call, 1),
        "overhead of agentcomm around it": f"{100 * flat['CPU of ours a model turn, ms'] / (1000 * call):.2f} %",
        "part of a prompt that is new": await repairs(count),
    }
    await model.close()
    print(json.dumps(figures, indent=2))
    (Path(__file__).parent / "results" / "prompts.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
