"""Enacting a protocol with agents made of code: what a user of the library sees."""

import asyncio
import time
from decimal import Decimal
from pathlib import Path

import pytest

from agentcomm import Agent, Message, Turn, enact, enact_sync, load, replay
from agentcomm.acts.content import Content, Money
from agentcomm.agents.turn import Unspoken
from agentcomm.errors import IllegalMove, ModelUnavailable, ProtocolError, StoreError, UsageError
from agentcomm.protocol.library import loads
from agentcomm.runtime.replay import read_transcript

SALE = "examples/purchase/protocol.yaml"


@pytest.fixture
def sale(root):
    return load(root / SALE)


def buyer(*, understood=(), price="110 EUR") -> Agent:
    ann = Agent("Ann")
    told = list(understood)

    @ann.opens
    def ask(turn: Turn) -> Message:
        return turn.say("cfp", item="city bike", budget="120 EUR")

    if told:

        @ann.on("propose", overlay="read-back")
        def read_back(turn: Turn) -> Message:
            return turn.say("readback", fields=told.pop(0))

    @ann.on("propose")
    def decide(turn: Turn) -> Message:
        return turn.say("accept-proposal", price=turn.content["price"] if turn.troubles else price)

    return ann


def seller() -> Agent:
    bob = Agent("Bob")

    @bob.on("cfp")
    async def offer(turn: Turn) -> Message:
        return turn.say("propose", item=turn.content["item"], price="110 EUR", valid_until="2026-12-01")

    return bob


def acts(result) -> list[str]:
    return [record.data["act"] for record in result.transcript.records if record.type == "heard"]


def test_a_sale_ends_as_the_protocol_says(sale):
    result = enact_sync(sale, cast={"buyer": buyer(), "seller": seller()}, deadline="60s")
    assert (result.outcome, result.outcome_class) == ("sold", "success")
    assert result.ground["price"] == Money(Decimal(110), "EUR")
    assert result.ground["propose.valid_until"].isoformat() == "2026-12-01"
    assert acts(result) == ["cfp", "propose", "readback", "right", "accept-proposal"]
    assert [(c.act, c.debtor, c.status.value) for c in result.commitments] == [
        ("propose", "seller", "detached")
    ]
    assert str(result).splitlines()[-1] == "sold (success): buyer said accept-proposal; 5 messages, 0 repairs"


def test_one_flipped_digit_is_found_and_mended(sale):
    wrong = {"price": "110 EUR", "valid_until": "2026-12-11"}
    right = {"price": "110 EUR", "valid_until": "2026-12-01"}
    result = enact_sync(sale, cast={"buyer": buyer(understood=[wrong, right]), "seller": seller()})
    assert acts(result) == ["cfp", "propose", "readback", "wrong", "readback", "right", "accept-proposal"]
    assert result.repairs == 1
    assert "differs: valid_until (meant 2026-12-01, understood 2026-12-11)" in str(result)


def test_a_hearer_who_never_reads_back_right_ends_it_without_a_deal(sale):
    wrong = {"price": "111 EUR", "valid_until": "2026-12-01"}
    result = enact_sync(sale, cast={"buyer": buyer(understood=[wrong] * 9), "seller": seller()})
    assert result.outcome_class == "aborted"
    assert "no repair is left" in result.cause
    assert "propose.price" not in result.ground
    assert not [c for c in result.commitments if c.status.value == "detached"]


def test_accepting_a_price_nobody_offered_opens_a_repair(sale):
    result = enact_sync(sale, cast={"buyer": buyer(price="101 EUR"), "seller": seller()})
    assert result.outcome == "sold"
    assert result.ground["accept-proposal.price"] == Money(Decimal(110), "EUR")
    assert "differs from the record: price (meant 110 EUR, understood 101 EUR)" in str(result)


def test_replay_gives_the_same(sale):
    result = enact_sync(sale, cast={"buyer": buyer(price="101 EUR"), "seller": seller()})
    again = replay(result.transcript)
    assert again.same, again.first_difference
    assert again.state_hash == result.as_dict()["state"]


def test_the_transcript_on_disk_is_the_one_in_memory(sale, tmp_path):
    path = tmp_path / "deep" / "talk.jsonl"
    result = enact_sync(sale, cast={"buyer": buyer(), "seller": seller()}, transcript=path)
    assert result.path == path
    assert replay(path).same
    assert path.stat().st_mode & 0o077 == 0


def test_a_transcript_is_never_overwritten(sale, tmp_path):
    path = tmp_path / "talk.jsonl"
    path.write_text("mine")
    with pytest.raises(StoreError, match="already"):
        enact_sync(sale, cast={"buyer": buyer(), "seller": seller()}, transcript=path)
    assert path.read_text() == "mine"


def test_any_async_callable_is_an_agent(sale):
    async def someone(turn: Turn) -> Message:
        return turn.say("refuse", reason="closed today")

    result = enact_sync(sale, cast={"buyer": buyer(), "seller": someone})
    assert (result.outcome, result.outcome_class) == ("closed", "refused")


def test_silence_ends_at_the_deadline(root, tmp_path):
    text = (root / SALE).read_text().replace("reply_within: 2m", "reply_within: 50ms")
    path = tmp_path / "fast.yaml"
    path.write_text(text)

    async def sleeper(turn: Turn) -> Message:
        await asyncio.sleep(30)
        raise AssertionError("never")

    result = enact_sync(load(path), cast={"buyer": buyer(), "seller": sleeper})
    assert result.outcome_class == "expired"
    assert "did not speak" in result.cause
    assert replay(result.transcript).same


def test_an_agent_that_never_gives_up_control_is_late_all_the_same(root, tmp_path):
    text = (root / SALE).read_text().replace("reply_within: 2m", "reply_within: 300ms")
    path = tmp_path / "fast.yaml"
    path.write_text(text)
    bob = Agent("Bob")

    @bob.on("cfp")
    def offer(turn: Turn) -> Message:
        time.sleep(0.45)
        return turn.say("refuse", reason="too late")

    notes = []
    result = enact_sync(load(path), cast={"buyer": buyer(), "seller": bob}, note=notes.append)
    assert result.outcome_class == "expired"
    assert notes == ["Bob answered after its time was up"]


def test_the_whole_conversation_has_a_deadline(sale):
    async def sleeper(turn: Turn) -> Message:
        await asyncio.sleep(30)
        raise AssertionError("never")

    result = enact_sync(sale, cast={"buyer": buyer(), "seller": sleeper}, deadline=0.05)
    assert result.outcome_class == "expired"
    assert replay(result.transcript).same


def test_tries_are_counted_and_an_honest_exit_is_taken(sale):
    async def babbler(turn: Turn) -> Unspoken:
        return Unspoken("blah")

    result = enact_sync(sale, cast={"buyer": buyer(), "seller": babbler})
    refused = [record for record in result.transcript.records if record.type == "refused"]
    assert refused
    assert result.outcome_class in {"refused", "aborted"}
    assert replay(result.transcript).same


def test_a_speaker_cannot_speak_for_another(sale):
    async def liar(turn: Turn) -> Message:
        return Message(
            act="refuse", content={"reason": "x"}, sender="buyer", receivers=("nobody",), id="forged"
        )

    result = enact_sync(sale, cast={"buyer": buyer(), "seller": liar})
    heard = [event for event in result.transcript.events() if type(event).__name__ == "Heard"]
    assert heard[-1].message.sender == "seller"
    assert heard[-1].message.receivers == ("buyer",)
    assert heard[-1].message.id != "forged"


def test_saying_what_is_not_legal_raises_at_the_line_that_says_it(sale):
    bob = Agent("Bob")

    @bob.on("cfp")
    def offer(turn: Turn) -> Message:
        return turn.say("accept-proposal", price="1 EUR")

    with pytest.raises(IllegalMove) as caught:
        enact_sync(sale, cast={"buyer": buyer(), "seller": bob})
    text = str(caught.value)
    assert "seller may not say 'accept-proposal' in 'asked'" in text
    assert "propose(item: text, price: money, valid_until: date)" in text


def test_content_that_does_not_fit_names_the_field(sale):
    bob = Agent("Bob")

    @bob.on("cfp")
    def offer(turn: Turn) -> Message:
        return turn.say("propose", item="bike", price="lots", valid_until="2026-12-01")

    with pytest.raises(IllegalMove, match="price"):
        enact_sync(sale, cast={"buyer": buyer(), "seller": bob})


def test_a_handler_that_fails_keeps_the_transcript(sale, tmp_path):
    bob = Agent("Bob")

    @bob.on("cfp")
    def offer(turn: Turn) -> Message:
        raise ZeroDivisionError("oh")

    path = tmp_path / "talk.jsonl"
    with pytest.raises(ZeroDivisionError) as caught:
        enact_sync(sale, cast={"buyer": buyer(), "seller": bob}, transcript=path)
    again = replay(path)
    assert again.same
    assert again.conversation.outcome.kind == "aborted"
    cause = "seller left: its handler raised ZeroDivisionError: oh, in 'asked', hearing 'cfp'"
    assert again.conversation.outcome.cause == cause
    assert caught.value.transcript == path
    assert f"the transcript so far: {path}" in caught.value.__notes__


def test_a_misspelt_handler_is_told_before_anything_happens(sale, tmp_path):
    bob = Agent("Bob")
    bob.on("cpf")(lambda turn: turn.say("refuse", reason="x"))
    with pytest.raises(UsageError, match="did you mean 'cfp'"):
        enact_sync(sale, cast={"buyer": buyer(), "seller": bob}, transcript=tmp_path / "talk.jsonl")
    assert not (tmp_path / "talk.jsonl").exists()
    with pytest.raises(UsageError, match="parentheses"):
        bob.on(lambda turn: turn.say("refuse", reason="x"))


def test_a_handler_for_another_protocol_is_no_mistake(sale):
    bob = seller()
    bob.on("order-taxi")(lambda turn: turn.say("refuse", reason="x"))
    assert enact_sync(sale, cast={"buyer": buyer(), "seller": bob}).outcome == "sold"


def test_what_code_says_for_an_agent_is_marked(sale):
    result = enact_sync(sale, cast={"buyer": buyer(), "seller": seller()})
    heard = [event.message for event in result.transcript.events() if type(event).__name__ == "Heard"]
    assert [(m.act, m.made_by) for m in heard] == [
        ("cfp", "handler"),
        ("propose", "handler"),
        ("readback", "rule"),
        ("right", "rule"),
        ("accept-proposal", "handler"),
    ]
    assert "Ann re 2  readback (by rule)" in str(result)


def test_the_common_ground_is_a_mapping(sale):
    ground = enact_sync(sale, cast={"buyer": buyer(), "seller": seller()}).ground
    assert dict(ground)["cfp.item"] == "city bike"
    assert len(ground) == 6
    assert "propose.price='110 EUR'" in repr(ground)
    with pytest.raises(KeyError, match="is not common ground; there is"):
        ground["colour"]


def test_an_agent_with_nothing_to_say_tells_what_is_missing(sale):
    with pytest.raises(UsageError, match=r'add @Bob.on\("cfp"\), or give it a model'):
        enact_sync(sale, cast={"buyer": buyer(), "seller": Agent("Bob")})


def test_a_model_that_is_not_there_takes_the_protocols_own_way_out(sale, tmp_path):
    path = tmp_path / "talk.jsonl"
    result = enact_sync(
        sale, cast={"buyer": buyer(), "seller": Agent("Bob", model="ollama:qwen3:4b")}, transcript=path
    )
    (error,) = result.errors
    assert isinstance(error, ModelUnavailable)
    assert result.outcome == "closed"  # the protocol lets a seller refuse
    assert "(X201)" in str(result)
    assert str(result).endswith(str(error))  # with its remedy
    assert replay(path).same


@pytest.mark.parametrize(
    ("cast", "words"),
    [
        ({"buyer": 1}, "nobody plays seller"),
        ({"buyer": 1, "seler": 2, "seller": 1}, "did you mean 'seller'"),
        ({"buyer": "ann", "seller": "bob"}, "'ann' cannot play a role"),
    ],
)
def test_a_cast_that_does_not_fit_is_refused_before_anything_happens(sale, cast, words):
    with pytest.raises(UsageError, match=words):
        enact_sync(sale, cast=cast)


def test_a_path_is_no_protocol():
    with pytest.raises(UsageError, match=r"enact\(load\('sale.yaml'\), cast"):
        enact_sync("sale.yaml", cast={})


async def test_within_a_running_loop_enact_is_awaited(sale):
    with pytest.raises(UsageError, match="await enact"):
        enact_sync(sale, cast={"buyer": buyer(), "seller": seller()})


async def test_an_act_that_was_misspelt_is_told_with_what_was_meant(sale):
    async def hasty(turn: Turn) -> Message:
        return turn.say("propos", price="1 EUR")

    with pytest.raises(IllegalMove, match="did you mean 'propose'"):
        await enact(sale, cast={"buyer": buyer(), "seller": hasty})


async def test_cancelling_ends_the_conversation_as_cancelled(sale, tmp_path):
    path = tmp_path / "talk.jsonl"
    asked = asyncio.Event()

    async def sleeper(turn: Turn) -> Message:
        asked.set()
        await asyncio.sleep(30)
        raise AssertionError("never")

    task = asyncio.create_task(enact(sale, cast={"buyer": buyer(), "seller": sleeper}, transcript=path))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    again = replay(path)
    assert again.same
    assert again.conversation.outcome.kind == "cancelled"


async def test_many_conversations_run_side_by_side(sale):
    results = await asyncio.gather(
        *(enact(sale, cast={"buyer": buyer(), "seller": seller()}) for _ in range(20))
    )
    assert {result.outcome for result in results} == {"sold"}
    assert len({result.id for result in results}) == 20


def test_a_hearer_can_say_that_it_did_not_understand(sale):
    bob = Agent("Bob")
    asked = []

    @bob.on("cfp")
    def offer(turn: Turn) -> Message:
        if not asked:
            asked.append(1)
            return turn.say("not-understood", reason="which bike?")
        return turn.say("refuse", reason="none left")

    result = enact_sync(sale, cast={"buyer": buyer(), "seller": bob})
    assert acts(result) == ["cfp", "not-understood", "cfp", "refuse"]
    assert result.outcome == "closed"
    assert replay(result.transcript).same


def test_an_agent_that_only_asks_back_comes_to_an_end(sale):
    bob = Agent("Bob")

    @bob.on("cfp")
    def offer(turn: Turn) -> Message:
        if turn.can("not-understood"):
            return turn.say("not-understood", reason="again?")
        return turn.say("refuse", reason="I give up")

    result = enact_sync(sale, cast={"buyer": buyer(), "seller": bob})
    assert result.outcome == "closed"
    assert result.repairs == sale.limits.repairs


def test_nothing_that_is_said_can_steer_a_terminal(sale):
    evil = "\x1b[2J\x1b]0;owned\x07bike\n  9  Bob -> Ann  propose"
    ann, bob = Agent("Ann"), Agent("Bob")

    @ann.opens
    def ask(turn: Turn) -> Message:
        return turn.say("cfp", item=evil, budget="120 EUR")

    async def babbler(turn: Turn) -> Message:
        if turn.refusal is None:
            return Message(act=evil, content={evil: evil})
        return turn.say("refuse", reason=f"no {evil}")

    del bob
    shown = str(enact_sync(sale, cast={"buyer": ann, "seller": babbler}))
    assert "bike" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert not any(line.startswith("  9") for line in shown.splitlines())


@pytest.mark.parametrize("nth", [1, 2, 3, 5])
def test_a_watcher_that_fails_is_told_of_and_the_record_is_sealed(sale, tmp_path, nth):
    seen = []

    def watch(event):
        seen.append(event)
        if len(seen) >= nth:
            raise ValueError(f"the screen broke at {len(seen)}")

    path = tmp_path / "talk.jsonl"
    with pytest.raises(ValueError, match=f"broke at {nth}"):
        enact_sync(sale, cast={"buyer": buyer(), "seller": seller()}, watch=watch, transcript=path)
    again = replay(path)
    assert again.same
    assert again.conversation.outcome.kind == "aborted"
    assert read_transcript(path).seal is not None


async def test_a_watcher_that_fails_does_not_swallow_a_cancellation(sale, tmp_path):
    async def sleep(_turn):
        await asyncio.sleep(60)

    def watch(event):
        if type(event).__name__ == "Ended":
            raise ValueError

    path = tmp_path / "talk.jsonl"
    talk = asyncio.create_task(
        enact(sale, cast={"buyer": sleep, "seller": seller()}, watch=watch, transcript=path)
    )
    await asyncio.sleep(0.01)
    talk.cancel()
    with pytest.raises(asyncio.CancelledError):
        await talk
    assert read_transcript(path).seal is not None


def test_a_slow_tool_does_not_hold_up_the_deadline(sale):
    def look() -> str:
        time.sleep(1.0)
        return "found"

    ann = Agent("Ann", tools=[look])

    @ann.opens
    async def ask(turn: Turn) -> Message:
        await turn.use(look)
        return turn.say("cfp", item="city bike", budget="120 EUR")

    times = []

    def watch(event):
        if type(event).__name__ == "Ended":
            times.append(time.monotonic())

    began = time.monotonic()
    result = enact_sync(sale, cast={"buyer": ann, "seller": seller()}, deadline=0.1, watch=watch)
    assert result.outcome_class == "expired"
    assert times[0] - began < 0.9


@pytest.mark.parametrize("odd", [object(), Path("x"), "caf\udce9"], ids=["object", "path", "surrogate"])
def test_what_cannot_be_written_down_is_told_in_words(sale, odd):
    def look() -> object:
        return odd

    ann = Agent("Ann", tools=[look])

    @ann.opens
    async def ask(turn: Turn) -> Message:
        await turn.use(look)
        return turn.say("cfp", item="city bike", budget="120 EUR")

    cast = {"buyer": ann, "seller": seller()}
    (error,) = enact_sync(sale, cast=cast).errors
    assert error.code == "X505"
    assert "what look gave cannot be written down" in error.what
    with pytest.raises(UsageError, match="'conversation' cannot be written down"):
        enact_sync(sale, cast=cast, brief={"buyer": odd})


def test_a_handlers_own_timeout_is_its_failure_and_not_the_deadlines(sale):
    async def impatient(turn: Turn) -> Message:
        raise TimeoutError("the directory did not answer")

    with pytest.raises(TimeoutError) as caught:
        enact_sync(sale, cast={"buyer": buyer(), "seller": impatient})
    assert "seller (seller) failed in 'asked', hearing 'cfp'" in caught.value.__notes__


class Order(Content):
    item: str
    count: int


def test_a_protocol_with_classes_of_the_users_own_replays_with_them(tmp_path):
    text = """
agentcomm: 1
protocol: order
version: 1
roles: [guest, waiter]
acts: {inform: Order, refuse: {reason: text}}
states:
  hungry:
    guest: {inform: heard}
  heard:
    waiter: {refuse: closed}
outcomes: {closed: refused}
"""
    guest, waiter = Agent("guest"), Agent("waiter")
    guest.opens(lambda turn: turn.say(Order(item="soup", count=2)))
    waiter.on("inform")(lambda turn: turn.say("refuse", reason="closed"))
    result = enact_sync(loads(text, types={"Order": Order}), cast={"guest": guest, "waiter": waiter})
    assert result.ground["count"] == 2
    assert replay(result.transcript, types={"Order": Order}).same
    with pytest.raises(ProtocolError, match="Order"):
        replay(result.transcript)


def test_a_handler_may_ask_why_something_would_not_count(sale):
    ann, bob, told = Agent("Ann"), Agent("Bob"), {}

    @ann.opens
    def ask(turn: Turn) -> Message:
        return turn.say("cfp", item="city bike", budget="120 EUR")

    @bob.on("cfp")
    def offer(turn: Turn) -> Message:
        content = {"item": turn.content["item"], "valid_until": "2026-12-01"}
        assert not turn.can("propose", price="130 EUR", **content)
        told["when"] = turn.why_not("propose", price="130 EUR", **content)
        told["missing"] = turn.why_not("propose", price="110 EUR")
        told["turn"] = turn.why_not("reject-proposal", reason="no")
        assert turn.can("propose", price="110 EUR", **content)
        assert turn.can("propose")
        return turn.say("propose", price="110 EUR", **content)

    @ann.on("propose")
    def decide(turn: Turn) -> Message:
        told["repeats"] = turn.why_not("accept-proposal", price="100 EUR")
        return turn.say("accept-proposal", price="110 EUR")

    result = enact_sync(sale, cast={"buyer": ann, "seller": bob})
    assert result.outcome == "sold"
    assert not any(record.type == "refused" for record in result.transcript.records)
    assert "price <= cfp.budget" in told["when"]
    assert "130 EUR" in told["when"]
    assert "item: is missing" in told["missing"]
    assert "may not say 'reject-proposal'" in told["turn"]
    assert "110 EUR was meant, 100 EUR was understood" in told["repeats"]
