"""People and guests: somebody at a terminal, agents of other kinds, and one agent in many conversations."""

import asyncio
import io

import pytest

from agentcomm import Agent, enact, enact_sync, load
from agentcomm.acts.content import FieldType
from agentcomm.agents.adapters import TextModel, acting
from agentcomm.agents.human import Human, Terminal, read_value
from agentcomm.errors import UsageError
from agentcomm.protocol.library import loads
from agentcomm.testing import scripted
from tests.agents.talks import Says


class Typist:
    """A console at which lines were typed beforehand."""

    def __init__(self, *lines, delay=0.0):
        self.lines, self.delay, self.shown = list(lines), delay, []

    def show(self, text):
        self.shown.append(text)

    async def ask(self, prompt):
        self.shown.append(prompt)
        await asyncio.sleep(self.delay)
        return self.lines.pop(0) if self.lines else None

    @property
    def text(self):
        return "\n".join(self.shown)


def sale(root):
    return load(root / "examples/purchase/protocol.yaml")


def seller(price="110 EUR"):
    bob = Agent("Bob")
    bob.on("cfp")(lambda turn: turn.say("propose", item="city bike", price=price, valid_until="2026-12-01"))
    return bob


def test_a_person_picks_an_act_fills_its_fields_and_reads_back(root):
    console = Typist(
        "1", "city bike", "120 EUR",  # cfp
        "readback", "110 EUR", "2026-12-01",
        "accept-proposal", "",  # the price that was proposed stands there already
    )  # fmt: skip
    result = enact_sync(
        sale(root),
        cast={"buyer": Human("Ann", console=console), "seller": seller()},
        brief={"buyer": "Buy it."},
    )
    assert result.outcome == "sold"
    assert "Ann, you are buyer in sale" in console.text
    assert "Your task: Buy it." in console.text
    assert "1. cfp(item: text, budget: money)" in console.text
    assert "Heard: seller -> buyer propose item='city bike'" in console.text
    assert "price (money, such as 120 EUR) [110 EUR]:" in console.text


def test_what_was_understood_otherwise_is_put_right_by_a_key(root):
    console = Typist("propose", "city bike", "110 EUR", "2026-12-14", "wrong", "", "")
    ann = Agent("Ann")
    ann.opens(lambda turn: turn.say("cfp", item="city bike", budget="120 EUR"))
    ann.on("propose")(lambda turn: turn.say("accept-proposal", price=turn.ground["price"]))
    backs = iter(["2026-12-04", "2026-12-14"])
    read = ann.on("propose", overlay="read-back")
    again = ann.on("wrong", overlay="read-back")
    for register in (read, again):
        register(lambda turn: turn.say("readback", fields={"price": "110 EUR", "valid_until": next(backs)}))
    result = enact_sync(sale(root), cast={"buyer": ann, "seller": Human("Bob", console=console)})
    assert result.outcome == "sold"
    assert "Heard: buyer readback fields={price=110 EUR valid_until=2026-12-04}" in console.text
    assert "  price (optional money, such as 120 EUR) (empty: none): " in console.text
    assert "  valid_until (optional date, such as 2026-12-01) [2026-12-14]: " in console.text


def test_what_does_not_fit_is_said_in_words_and_asked_again(root):
    console = Typist(
        "7",
        "buy",
        "1",
        "city bike",
        "cheap",
        "120",
        "120 EUR",
        *["readback", "{}"] * 0,
        "unable",
        "I cannot read it",
    )
    result = enact_sync(sale(root), cast={"buyer": Human("Ann", console=console), "seller": seller()})
    assert "One of 1 to 1, or a name from the list; '7' is neither." in console.text
    assert console.text.count("money is an amount and a three-letter currency") == 2
    assert result.outcome_class == "aborted"


def test_a_person_can_ask_what_was_meant(root):
    console = Typist(
        "not-understood",
        "which bike?",
        "propose",
        "city bike",
        "110 EUR",
        "2026-12-01",
        "accept-proposal",
        "",
    )
    ann = Agent("Ann")
    ann.opens(lambda turn: turn.say("cfp", item="city bike", budget="120 EUR"))
    ann.on("propose")(lambda turn: turn.say("accept-proposal", price=turn.ground["price"]))
    result = enact_sync(sale(root), cast={"buyer": ann, "seller": Human("Bob", console=console)})
    assert "it is not clear: say that the last message was not understood" in console.text
    acts = [event.message.act for event in result.transcript.events() if type(event).__name__ == "Heard"]
    assert "not-understood" in acts
    assert result.outcome


def test_choosing_another_act(root):
    console = Typist("1", "..", "cfp", "city bike", "120 EUR", "unable", "no")
    enact_sync(sale(root), cast={"buyer": Human("Ann", console=console), "seller": seller()})
    assert console.text.count("1. cfp") == 2


def test_somebody_who_has_gone_ends_in_an_honest_exit(root):
    result = enact_sync(sale(root), cast={"buyer": Human("Ann", console=Typist()), "seller": seller()})
    assert result.outcome_class == "aborted"
    assert "Ann is gone" in result.cause


def test_a_person_may_be_away_for_as_long_as_the_protocol_says():
    waiting = loads(
        """
agentcomm: 1
protocol: ask
version: 1
about: A question.
roles: [asker, person]
acts: {question: {act: query-ref, content: {text: text}}, answer: {act: inform, content: {text: text}, discharges: question}}
states:
  asking: {asker: {question: asked}}
  asked: {person: {answer: done}, within: WITHIN, else: silent}
outcomes: {done: success, silent: expired}
""".replace("WITHIN", "2d")
    )
    ann = Agent("Ann")
    ann.opens(lambda turn: turn.say("question", text="when?"))
    console = Typist("answer", "tomorrow")
    assert enact_sync(waiting, cast={"asker": ann, "person": Human("Eve", console=console)}).outcome == "done"
    assert "you have 2 days" in console.text
    soon = loads(waiting.text.replace("2d", "200ms"))
    slow = Typist("answer", "too late", delay=5)
    result = enact_sync(soon, cast={"asker": ann, "person": Human("Eve", console=slow)})
    assert result.outcome == "silent"


async def test_one_person_in_several_conversations_is_asked_one_thing_at_a_time(root):
    class Desk(Typist):
        busy = 0
        most = 0

        async def ask(self, prompt):
            Desk.busy += 1
            Desk.most = max(Desk.most, Desk.busy)
            try:
                return await super().ask(prompt)
            finally:
                Desk.busy -= 1

    console = Desk(*["refuse", "sold out"] * 3, delay=0.01)
    eve = Human("Eve", console=console)
    ann = Agent("Ann")
    ann.opens(lambda turn: turn.say("cfp", item="bike", budget="120 EUR"))
    results = await asyncio.gather(*(enact(sale(root), cast={"buyer": ann, "seller": eve}) for _ in range(3)))
    assert {result.outcome for result in results} == {"closed"}
    assert Desk.most == 1


async def test_a_line_for_a_question_whose_time_is_up_is_not_taken_for_the_next():
    gate, lines = asyncio.Event(), io.StringIO("late\nin time\n")
    loop = asyncio.get_running_loop()
    shown = []

    def read():
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
        return lines.readline()

    terminal = Terminal(read, shown.append)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(terminal.ask("first? "), 0.05)
    gate.set()
    await asyncio.sleep(0.2)
    assert "came too late" in "".join(shown)
    assert await terminal.ask("second? ") == "in time"
    assert await terminal.ask("third? ") is None
    assert await terminal.ask("fourth? ") is None


def test_nothing_that_was_said_steers_the_terminal(root):
    shown = []
    terminal = Terminal(lambda: "", shown.append)
    terminal.show("a\x1b[2Jb\rc")
    assert shown == ["a\\x1b[2Jb\\rc\n"]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (FieldType("int"), "3", 3),
        (FieldType("number"), "0.5", 0.5),
        (FieldType("bool"), "Yes", True),
        (FieldType("choice", choices=("low", "high")), "HIGH", "high"),
        (FieldType("list", item=FieldType("int")), "1, 2", [1, 2]),
        (FieldType("list", item=FieldType("text")), '["a, b"]', ["a, b"]),
        (FieldType("map", fields={"a": FieldType("int")}), '{"a": 1}', {"a": 1}),
        (FieldType("any"), "plain", "plain"),
        (FieldType("duration"), "30m", "30m"),
    ],
    ids=str,
)
def test_what_is_typed_is_read_by_the_fields_type(kind, text, value):
    assert read_value(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (FieldType("int"), "three"),
        (FieldType("int", constraints={"maximum": 2}), "3"),
        (FieldType("number"), "nan"),
        (FieldType("bool"), "maybe"),
        (FieldType("choice", choices=("low",)), "high"),
        (FieldType("date"), "tomorrow"),
        (FieldType("map", fields={"a": FieldType("int")}), "{"),
        (FieldType("money"), "12"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_told(kind, text):
    with pytest.raises(ValueError, match=r"\w"):
        read_value(kind, text)


# --- guests ---


def test_whatever_answers_a_prompt_with_text_is_a_model(root):
    said = iter(['{"act": "cfp", "content": {"item": "city bike", "budget": "120 EUR"}}',
        '{"act": "readback", "content": {"fields": {"price": "110 EUR", "valid_until": "2026-12-01"}}}',
        '{"act": "accept-proposal", "content": {"price": "110 EUR"}}'])  # fmt: skip

    async def crew(messages, schema):
        assert schema["properties" if "properties" in schema else "oneOf"]
        assert messages[0]["role"] == "system"
        return next(said)

    ann = Agent("Ann", model=TextModel(crew))
    result = enact_sync(sale(root), cast={"buyer": ann, "seller": seller()})
    assert result.outcome == "sold"

    def down(_messages, _schema):
        raise ConnectionResetError("peer is gone")

    bob = Agent("Bob", model=TextModel(down))
    ann = Agent("Ann")
    ann.opens(lambda turn: turn.say("cfp", item="city bike", budget="120 EUR"))
    result = enact_sync(sale(root), cast={"buyer": ann, "seller": bob})
    assert result.outcome == "closed"
    assert "ConnectionResetError" in result.errors[0].what


def test_a_function_that_knows_no_turns_is_an_agent(root):
    async def shop(heard, legal):
        assert heard["act"] == "cfp"
        assert set(legal) >= {"propose", "refuse"}
        return "refuse", {"reason": f"no {heard['content']['item']}"}

    ann = Agent("Ann")
    ann.opens(lambda turn: turn.say("cfp", item="boat", budget="120 EUR"))
    result = enact_sync(sale(root), cast={"buyer": ann, "seller": acting(shop)})
    assert result.outcome == "closed"
    assert result.cast["seller"] == "shop"


def test_what_a_function_may_not_say_is_refused_and_it_is_asked_again(root):
    told = []

    def shopper(heard, legal):
        told.append(heard)
        if heard is None or "act" not in heard:
            return (
                ("cfp", {"item": "bike", "budget": "a lot"})
                if heard is None
                else (
                    "cfp",
                    {"item": "bike", "budget": "120 EUR"},
                )
            )
        if "refused" not in heard:
            return "buy", {"price": "110 EUR"}
        return "accept-proposal", {"price": "110 EUR"}

    bob = scripted(["propose", {"item": "bike", "price": "110 EUR", "valid_until": "2026-12-01"}])
    result = enact_sync(sale(root), cast={"buyer": acting(shopper), "seller": bob})
    assert result.outcome == "sold"
    assert told[0] is None
    assert "budget" in told[1]["refused"]
    assert told[2]["act"] == "propose"  # the read-back before it was made by rule
    assert "accept-proposal" in told[3]["refused"]
    assert len(told) == 4


def test_a_function_that_returns_no_act_is_told_so(root):
    with pytest.raises(UsageError, match="returned 'cfp'"):
        enact_sync(sale(root), cast={"buyer": acting(lambda heard, legal: "cfp"), "seller": Agent("Bob")})


async def test_an_agent_with_a_model_is_in_many_conversations_at_once(root):
    def reply(request):
        text = request.messages[-1].content
        price = text.partition("budget=")[2].split()[0]
        return {"act": "refuse", "content": {"reason": f"not for {price}"}}

    bob = Agent("Bob", model=Says(reply))
    ann = Agent("Ann")
    ann.opens(lambda turn: turn.say("cfp", item="bike", budget=turn.brief))
    results = await asyncio.gather(*(
        enact(sale(root), cast={"buyer": ann, "seller": bob}, brief={"buyer": f"{n} EUR"}) for n in range(1, 30)
    ))  # fmt: skip
    reasons = [
        event.message.content["reason"]
        for result in results
        for event in result.transcript.events()
        if type(event).__name__ == "Heard" and event.message.act == "refuse"
    ]
    assert reasons == [f"not for {n}" for n in range(1, 30)]
