"""Tools: what a call may do, when it may be made, and what becomes of it when it goes wrong."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from agentcomm import Agent, enact, enact_sync, load
from agentcomm.agents.calls import Calls, key_of
from agentcomm.agents.tools import Effect, Tool, ToolFailed, ToolInDoubt, ToolLate, ToolRefused, tool
from agentcomm.agents.turn import PromptBudget
from agentcomm.conversation.step import open_conversation
from agentcomm.conversation.transcript import Chain, Transcript
from agentcomm.errors import EdgeError, UsageError
from agentcomm.grounding.troubles import InDoubt
from agentcomm.protocol.library import loads
from tests.agents.talks import Says, text_of

CFP = {"item": "city bike", "budget": "120 EUR"}
PROPOSE = {
    "act": "propose",
    "content": {"item": "city bike", "price": "110 EUR", "valid_until": "2026-12-01"},
}


def steps(result, *kinds):
    return [
        (record.type, record.data, result.transcript.body(record))
        for record in result.transcript.records
        if record.kind == "step" and (not kinds or record.type in kinds)
    ]


JOB = """
agentcomm: 1
protocol: job
version: 1
about: A client asks for a transfer, and it is carried out.
roles: [client, clerk]
acts:
  ask: {act: request, content: {account: id, amount: money}, critical: [account, amount]}
  done: {act: inform, content: {note: text}, discharges: ask}
  failure: {reason: text}
  refuse: {reason: text}
grounding: {ask: CRITERION}
states:
  open: {client: {ask: asked}}
  asked: {clerk: {done: paid, failure: failed, refuse: refused}}
outcomes: {paid: success, failed: failed, refused: refused}
limits: {reply_within: 60s}
"""


def transfer(work, *, tools, criterion="delivered", model=None, ask=None):
    """Let a clerk do `work` for a transfer of 50 EUR to A-1."""
    ann, bob = Agent("Ann"), Agent("Bob", tools=tools, model=model)
    ann.opens(lambda turn: turn.say("ask", account="A-1", amount="50 EUR") if ask is None else ask(turn))
    if work is not None:
        bob.on("ask")(work)
    return enact_sync(loads(JOB.replace("CRITERION", criterion)), cast={"client": ann, "clerk": bob})


def paying(log, **options):
    @tool(**options)
    def pay(account: str, amount: str, idempotency_key: str = "") -> str:
        """Pay."""
        log.append((account, amount, idempotency_key))
        return "paid"

    return pay


def by_tool(pay, **changed):
    async def work(turn):
        told = await turn.use(pay, **{"account": "A-1", "amount": "50 EUR"} | changed)
        return turn.say("done", note=told)

    return work


def test_a_call_and_its_result_are_on_record_under_a_key_that_follows_from_the_place():
    log = []
    pay = paying(log, effect="keyed")
    one, other = transfer(by_tool(pay), tools=[pay]), transfer(by_tool(pay), tools=[pay])
    assert one.outcome == "paid"
    (_, call, arguments), (_, gave, body) = steps(one, "tool.call", "tool.result")
    assert arguments == {"account": "A-1", "amount": "50 EUR"}
    assert (body, call["effect"], call["by"], call["role"]) == ("paid", "keyed", "handler", "clerk")
    assert call["key"] == gave["key"] == key_of(call["turn"], 0) == log[0][2]
    assert log[0][2] != log[1][2]
    assert call["turn"].startswith(one.id)
    assert other.outcome == "paid"


def test_another_try_of_the_turn_finds_the_call_and_does_not_make_it_again():
    log = []
    pay = paying(log)

    async def work(turn):
        await turn.use(pay, account="A-1", amount="50 EUR")
        if turn.refusal is None:
            from agentcomm import Message

            return Message(act="nonsense")
        return turn.say("done", note=await turn.use(pay, account="A-1", amount="50 EUR"))

    result = transfer(work, tools=[pay])
    assert result.outcome == "paid"
    keys = [data["key"] for _, data, _ in steps(result, "tool.call")]
    assert (
        len(keys) == len(set(keys)) == len(log) == 2
    )  # twice in one try is meant twice; a second try is not


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"account": "A-2"}, "ask.account is grounded otherwise. account: A-1 was meant, A-2 was understood"),
        (
            {"amount": "500 EUR"},
            "ask.amount is grounded otherwise. amount: 50 EUR was meant, 500 EUR was understood",
        ),
        ({"amount": "50 USD"}, "amount: 50 EUR was meant, 50 USD was understood (EUR and USD)"),
    ],
)
@pytest.mark.parametrize("effect", ["keyed", "once"])
def test_a_value_that_differs_from_common_ground_is_stopped_before_the_call(changed, words, effect):
    log = []
    pay = paying(log, effect=effect)
    result = transfer(by_tool(pay, **changed), tools=[pay], criterion="{readback: [account, amount]}")
    assert log == []
    assert result.outcome == "failed"  # the protocol's own way
    (error,) = result.errors
    assert isinstance(error, ToolRefused)
    assert words.replace("'", "") in error.what.replace("'", "")
    ((_, data, body),) = steps(result, "tool.refused")
    assert data["tool"] == "pay"
    assert body["reason"] == error.what


def test_what_a_parameter_must_equal_can_be_named_and_freed():
    log = []

    @tool(uses={"target": "ask.account"})
    def pay(target: str) -> str:
        log.append(target)
        return "paid"

    @tool(uses={"account": None})
    def look(account: str) -> str:
        log.append(account)
        return "seen"

    async def work(turn):
        await turn.use(look, account="another")
        with pytest.raises(ToolRefused, match="target: A-1 was meant, A-9 was understood"):
            await turn.use(pay, target="A-9")
        return turn.say("done", note=await turn.use(pay, target="A-1"))

    assert transfer(work, tools=[pay, look]).outcome == "paid"
    assert log == ["another", "A-1"]


def test_an_effect_waits_for_its_criterion_and_a_look_does_not():
    seen, log = [], []
    pay = paying(log)

    @tool(effect="pure")
    def look() -> str:
        seen.append(1)
        return "seen"

    async def work(turn):
        await turn.use(look)
        return turn.say("done", note=await turn.use(pay, account="A-1", amount="50 EUR"))

    result = transfer(work, tools=[pay, look], criterion="relevant")
    assert result.outcome == "failed"
    assert result.errors[0].code == "U315"
    assert "ask is not common ground: it waits for the evidence" in result.errors[0].what
    assert log == []
    assert seen == [1]
    assert transfer(work, tools=[pay, look], criterion="{readback: [account, amount]}").outcome == "paid"


def test_a_tool_is_for_the_roles_that_it_names():
    log = []
    pay = paying(log, roles=["client"])
    result = transfer(by_tool(pay), tools=[pay])
    assert result.outcome == "failed"
    assert result.errors[0].code == "U313"
    assert log == []


@pytest.mark.parametrize("arguments", [{"account": 5}, {"account": "A-1", "x": 1}, {}])
def test_arguments_are_checked_by_the_signature(arguments):
    log = []
    pay = paying(log)

    async def work(turn):
        return turn.say("done", note=await turn.use(pay, **arguments))

    result = transfer(work, tools=[pay])
    assert result.errors[0].code == "U314"
    assert "pay takes pay(account: text, amount: text" in result.errors[0].what
    assert log == []


def breaks():
    raise KeyError("no such row")


def hangs():
    time.sleep(20)


async def hangs_async():
    await asyncio.sleep(20)


def floods():
    return "x" * 5_000_000


def raises_stop():
    raise StopIteration


def odd():
    return object()


@pytest.mark.parametrize(
    ("function", "code", "words"),
    [
        (breaks, "X501", "breaks raised KeyError: 'no such row'"),
        (raises_stop, "X501", "raises_stop raised"),
        (hangs, "X503", "hangs gave nothing within 0.2 s"),
        (hangs_async, "X503", "hangs_async gave nothing within 0.2 s"),
        (floods, "X504", "floods gave 5,000,002 bytes; at most 65,536 are taken"),
        (odd, "X505", "what odd gave cannot be written down"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_tool_that_raises_hangs_or_floods_is_a_named_cause_and_the_protocol_goes_its_own_way(
    function, code, words
):
    bad = Tool.of(function, effect="pure", timeout=0.2)

    async def work(turn):
        await turn.use(bad)
        return turn.say("done", note="never")

    before = time.monotonic()
    result = transfer(work, tools=[bad])
    assert time.monotonic() - before < 15
    assert result.outcome == "failed"
    (error,) = result.errors
    assert isinstance(error, ToolFailed)
    assert error.code == code
    assert words in error.what
    assert words in str(result)
    assert [kind for kind, _, _ in steps(result)] == ["tool.call", "tool.error", "agent.failed", "exit.taken"]

    def model(request):
        shapes = request.schema.get("oneOf", [request.schema])
        if "failed" not in text_of(request):
            assert any(shape["properties"].get("use") for shape in shapes)
            return {"use": bad.name, "with": {}}
        assert words[:40] in text_of(request)
        return {"act": "refuse", "content": {"reason": "it does not work"}}

    assert transfer(None, tools=[bad], model=Says(model)).outcome == "refused"


def test_a_handler_can_go_on_without_a_tool_that_fails():
    bad = Tool.of(breaks, effect="pure")

    async def work(turn):
        try:
            await turn.use(bad)
        except ToolFailed as error:
            return turn.say("refuse", reason=error.what)
        raise AssertionError

    result = transfer(work, tools=[bad])
    assert (result.outcome, result.errors) == ("refused", ())


# --- calls by a model ---


def shop(answers, **options):
    def price(item: str) -> dict[str, str]:
        """What an item costs."""
        log.append(item)
        return {"price": "110 EUR"}

    log = []
    said = iter(answers)
    model = Says(lambda _request: next(said))
    bob = Agent("Bob", model=model, tools=[Tool.of(price, effect="pure")], **options)
    return bob, model, log


def sell(root, bob):
    ann = Agent("Ann")
    ann.opens(lambda turn: turn.say("cfp", **CFP))
    ann.on("propose")(lambda turn: turn.say("accept-proposal", price=turn.ground["price"]))
    return enact_sync(load(root / "examples/purchase/protocol.yaml"), cast={"buyer": ann, "seller": bob})


def test_a_model_calls_tools_until_it_chooses_an_act(root):
    bob, model, log = shop([{"use": "price", "with": {"item": "city bike"}}, PROPOSE])
    assert sell(root, bob).outcome == "sold"
    assert log == ["city bike"]
    assert "price(item: text): What an item costs" in text_of(model.asked[0])
    assert 'price(item=\'city bike\') = {"price":"110 EUR"}' in text_of(model.asked[1])
    assert "Or first call a tool" in text_of(model.asked[0])


def test_a_model_has_so_many_calls_and_no_more(root):
    call = {"use": "price", "with": {"item": "city bike"}}
    bob, model, log = shop([call, call, PROPOSE], budget=PromptBudget(calls=2))
    assert sell(root, bob).outcome == "sold"
    assert log == ["city bike"]  # the same call again gives what it gave
    assert '"use"' not in str(model.asked[2].schema).replace("'", '"')
    assert "call a tool" not in text_of(model.asked[2])


@pytest.mark.parametrize(
    "call",
    [
        {"use": "launch", "with": {}},
        {"use": ["price"], "with": {}},
        {"use": "price", "with": "city bike"},
        {"use": None},
    ],
)
def test_a_call_that_is_none_is_asked_again(root, call):
    bob, _, log = shop([call, PROPOSE])
    assert sell(root, bob).outcome == "sold"
    assert log == []


def test_a_long_result_is_cut_in_the_prompt_and_that_is_listed(root):
    said = iter([{"use": "log", "with": {}}, PROPOSE])
    model = Says(lambda _request: next(said))

    def log() -> str:
        return "x" * 10_000

    bob = Agent("Bob", model=model, tools=[Tool.of(log, effect="pure")], budget=PromptBudget(results=100))
    result = sell(root, bob)
    assert "[9902 more characters are not shown]" in text_of(model.asked[1])
    request = steps(result, "model.request")[1][1]
    assert request["left_out"] == ["9,902 of 10,002 characters of what log gave"]


def test_a_figure_that_nobody_said_is_stopped_where_a_model_would_have_an_effect_with_it():
    log = []

    @tool(uses={"account": "ask.account"})
    def pay(account: str, fee: int) -> str:
        log.append(fee)
        return "paid"

    answers = iter([
        {"use": "pay", "with": {"account": "A-1", "fee": 4711}},
        {"use": "pay", "with": {"account": "A-1", "fee": 50}},
        {"act": "done", "content": {"note": "paid"}},
    ])  # fmt: skip
    model = Says(lambda _request: next(answers))
    assert transfer(None, tools=[pay], model=model).outcome == "paid"
    assert log == [50]
    assert "4711 has no source" in text_of(model.asked[1])


# --- after a crash ---


def resumed(effect, **options):
    """Take a turn again whose call is on record and whose result is not."""
    log = []
    pay = paying(log, effect=effect, **options)
    first = transfer(by_tool(pay), tools=[pay])
    ((_, data, arguments),) = steps(first, "tool.call")
    log.clear()

    async def work(turn):
        turn.calls.turn = data["turn"]
        turn.calls.restore([("tool.call", data, arguments)])
        return await by_tool(pay)(turn)

    return transfer(work, tools=[pay]), log, data["key"]


@pytest.mark.parametrize("effect", ["pure", "keyed"])
def test_a_call_without_a_result_is_made_again_under_its_key_where_that_does_no_harm(effect):
    result, log, key = resumed(effect)
    assert result.outcome == "paid"
    assert log == [("A-1", "50 EUR", key)]


def test_a_call_without_a_result_that_can_be_asked_about_is_asked_about():
    asked = []

    def what_became(key):
        asked.append(key)
        return "paid before"

    result, log, key = resumed("reconcilable", reconcile=what_became)
    assert (result.outcome, log, asked) == ("paid", [], [key])

    def never(_key):
        raise LookupError

    result, log, key = resumed("reconcilable", reconcile=never)
    assert (result.outcome, [entry[2] for entry in log]) == ("paid", [key])


def test_a_call_without_a_result_that_nobody_can_tell_of_is_in_doubt_and_is_not_made_again():
    result, log, key = resumed("once")
    assert log == []
    (error,) = result.errors
    assert isinstance(error, ToolInDoubt)
    assert key in error.fix
    assert result.outcome == "failed"


def late(effect, **options):
    """Let a clerk call twice what does not answer in time, and fail."""
    log, told = [], []

    async def pay(account: str, amount: str, idempotency_key: str = "") -> str:
        log.append(idempotency_key)
        await asyncio.sleep(20)
        return "paid"

    one = Tool.of(pay, effect=effect, timeout=0.05, **options)

    async def work(turn):
        for _ in range(2):
            try:
                return turn.say("done", note=await turn.use(one, account="A-1", amount="50 EUR"))
            except EdgeError as error:
                told.append(error)
        return turn.say("failure", reason="nobody knows")

    return transfer(work, tools=[one]), told, log


def test_a_late_call_that_nobody_can_tell_of_is_in_doubt_and_is_not_made_again():
    result, told, log = late("once")
    assert result.outcome == "failed"
    assert [type(error) for error in told] == [ToolInDoubt] * 2
    assert "had begun 'pay' when its 0.05 s were over" in told[0].what
    assert log == [told[0].key] == [told[1].key]
    assert [kind for kind, _, _ in steps(result)] == ["tool.call"]


@pytest.mark.parametrize("effect", ["pure", "keyed"])
def test_a_late_call_that_does_no_harm_has_failed(effect):
    result, told, log = late(effect)
    assert result.outcome == "failed"
    assert [(type(error), error.code) for error in told] == [(ToolLate, "X503")] * 2
    assert len(log) == 2
    assert log[0] == log[1]  # a handler that tries once more means the same call
    assert [kind for kind, _, _ in steps(result)] == ["tool.call", "tool.error"] * 2
    assert [one.key for one in result.in_doubt] == ([log[0]] if effect == "keyed" else [])


def test_a_late_call_that_can_be_asked_about_is_asked_about():
    asked = []

    def what_became(key):
        asked.append(key)
        return "paid, but late"

    result, told, log = late("reconcilable", reconcile=what_became)
    assert (result.outcome, told, asked) == ("paid", [], log)

    def never(_key):
        raise LookupError

    result, told, log = late("reconcilable", reconcile=never)  # it may still come to be
    assert (result.outcome, [type(error) for error in told]) == ("failed", [ToolInDoubt] * 2)
    assert [one.key for one in result.in_doubt] == log
    assert "may still be" in told[0].why


def test_a_late_call_in_a_thread_is_not_made_twice_and_is_found_once_it_was_done():
    done, tries = {}, []

    def pay(account: str, idempotency_key: str) -> str:
        tries.append(idempotency_key)
        time.sleep(0.3)
        done[idempotency_key] = "paid in the end"
        return "paid"

    one = Tool.of(pay, effect="reconcilable", reconcile=lambda key: done[key], timeout=0.05)

    async def work(turn):
        for _ in range(200):
            try:
                return turn.say("done", note=await turn.use(one, account="A-1"))
            except ToolInDoubt:
                await asyncio.sleep(0.01)
        raise AssertionError

    result = transfer(work, tools=[one])
    assert (result.outcome, len(tries), result.in_doubt) == ("paid", 1, ())
    assert result.ground["done.note"] == "paid in the end"


def test_a_doubt_in_a_group_of_tasks_is_a_doubt():
    async def pay() -> str:
        await asyncio.sleep(20)
        return "paid"

    one = Tool.of(pay, timeout=0.05)

    async def work(turn):
        async with asyncio.TaskGroup() as group:
            paid = group.create_task(turn.use(one))
        return turn.say("done", note=paid.result())

    result = transfer(work, tools=[one])
    (error,) = result.errors
    assert (result.outcome, type(error)) == ("failed", ToolInDoubt)


@pytest.mark.parametrize("effect", ["once", "keyed", "reconcilable", "pure"])
def test_a_call_that_a_deadline_cuts_off_is_told_at_the_end(effect):
    async def pay(account: str, idempotency_key: str = "") -> str:
        await asyncio.sleep(20)
        return "paid"

    one = Tool.of(pay, effect=effect, reconcile=(lambda key: key) if effect == "reconcilable" else None)
    ann, bob = Agent("Ann"), Agent("Bob", tools=[one])
    ann.opens(lambda turn: turn.say("ask", account="A-1", amount="50 EUR"))

    @bob.on("ask")
    async def work(turn):
        return turn.say("done", note=await turn.use(one, account="A-1"))

    job = (
        JOB.replace("CRITERION", "delivered")
        .replace("60s}", "1s, else: late}")
        .replace("refused: refused}\nlimits", "refused: refused, late: expired}\nlimits")
    )
    result = enact_sync(loads(job), cast={"client": ann, "clerk": bob})
    assert result.outcome == "late"
    told = [*result.in_doubt]
    assert told == [one.trouble for one in result.troubles if isinstance(one.trouble, InDoubt)]
    if effect == "pure":
        assert told == []
        return
    ((_, data, _),) = steps(result, "tool.call")
    assert told == [InDoubt("pay", "clerk", data["key"])]
    words = "clerk's call of pay was begun, and nothing tells whether it was done; look what became of"
    assert f"in doubt: {words} {data['key']}" in str(result)
    assert result.as_dict()["in_doubt"] == [
        {"type": "in-doubt", "action": "pay", "by": "clerk", "key": data["key"]}
    ]


def test_what_is_known_of_a_call_is_not_in_doubt():
    def doubts(*steps_of):
        chain = Chain(now=lambda: "2026-01-01T00:00:00.000+00:00", salt=lambda: "")
        lines = b"".join(chain.record("step", f"tool.{kind}", {"tool": "pay", "key": key, **more}) for kind, key, more in steps_of)  # fmt: skip
        found = Transcript.from_lines(lines.splitlines(keepends=True))
        return [record.data["key"] for record in found.in_doubt]

    keyed, lost = {"effect": "keyed"}, {"lost": True}
    assert doubts(("call", "a", keyed)) == ["a"]
    assert doubts(("call", "a", keyed), ("result", "a", {})) == []
    assert doubts(("call", "a", keyed), ("error", "a", {})) == []
    assert doubts(("call", "a", keyed), ("error", "a", lost)) == ["a"]
    assert doubts(("call", "a", keyed), ("error", "a", lost), ("call", "b", keyed), ("result", "b", {})) == [
        "a"
    ]
    assert doubts(("call", "a", keyed), ("error", "a", lost), ("call", "a", keyed), ("result", "a", {})) == []
    assert doubts(("call", "a", {"effect": "pure"})) == []
    assert doubts(("call", "a", {"effect": "once"}), ("again", "a", {})) == ["a"]


def test_what_failed_is_tried_again_under_its_key_and_what_was_done_is_another_call():
    log = []

    @tool(effect="keyed")
    def pay(account: str, amount: str, idempotency_key: str) -> str:
        log.append(idempotency_key)
        if len(log) in (1, 3):
            raise ConnectionError("the line is down")
        return f"paid {len(log)}"

    async def work(turn):
        gave = []
        for _ in range(4):
            try:
                gave.append(await turn.use(pay, account="A-1", amount="50 EUR"))
            except ToolFailed:
                continue
        return turn.say("done", note=", ".join(gave))

    result = transfer(work, tools=[pay])
    assert result.ground["done.note"] == "paid 2, paid 4"
    first, second = log[0], log[2]
    assert log == [first, first, second, second]
    assert first != second

    calls = Calls("t")
    data = {"turn": "t", "tool": "pay", "key": key_of("t", 0)}
    error = ("tool.error", data, {"error": "the line is down"})
    calls.restore([("tool.call", data, {"a": 1}), error, ("tool.call", data, {"a": 1})])
    (call,) = calls.made
    assert call.is_in_doubt  # it was begun once more when the process ended
    calls.restore([("tool.result", data, "paid")])
    assert (call.is_done, call.error, call.result) == (True, None, "paid")


@pytest.mark.parametrize("effect", ["once", "keyed"])
def test_a_failure_on_record_that_is_tried_again_is_an_ordinary_call(effect):
    log = []
    pay = paying(log, effect=effect)
    data = {"tool": "pay", "by": "handler", "role": "clerk", "effect": effect}

    async def work(turn):
        known = {**data, "turn": turn.calls.turn, "key": key_of(turn.calls.turn, 0)}
        arguments = {"account": "A-1", "amount": "50 EUR"}
        turn.calls.restore([("tool.call", known, arguments), ("tool.error", known, {"error": "no line"})])
        with pytest.raises(ToolFailed, match="no line"):
            await turn.use(pay, **arguments)
        return turn.say("done", note=await turn.use(pay, **arguments))

    result = transfer(work, tools=[pay])
    assert (result.outcome, len(log)) == ("paid", 1)
    assert [kind for kind, _, _ in steps(result)] == ["tool.call", "tool.result"]


def test_a_call_of_which_nobody_could_be_asked_stays_in_doubt_under_its_key():
    asked, log = [], []

    def down(key):
        asked.append(key)
        raise ConnectionError("the bank is down")

    async def pay(account: str, amount: str, idempotency_key: str = "") -> str:
        log.append(idempotency_key)
        await asyncio.sleep(20)
        return "paid"

    one = Tool.of(pay, effect="reconcilable", reconcile=down, timeout=0.05)

    async def work(turn):
        for _ in range(3):
            with pytest.raises(ToolInDoubt, match=r"its 0\.05 s were over") as caught:
                await turn.use(one, account="A-1", amount="50 EUR")
            assert "asking what became of it failed: ConnectionError: the bank is down" in caught.value.why
            assert isinstance(caught.value.__cause__, ConnectionError)
        return turn.say("failure", reason="nobody knows")

    result = transfer(work, tools=[one])
    assert result.outcome == "failed"
    assert len(log) == 1
    assert set(asked) == set(log)
    assert [doubt.key for doubt in result.in_doubt] == log


def test_a_call_that_a_handler_gives_up_is_not_made_again_where_nobody_can_tell():
    log = []

    async def pay(account: str, amount: str) -> str:
        log.append(account)
        await asyncio.sleep(20)
        return "paid"

    one = Tool.of(pay)

    async def work(turn):
        given = {"account": "A-1", "amount": "50 EUR"}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(turn.use(one, **given), 0.05)
        with pytest.raises(ToolInDoubt):
            await turn.use(one, **given)
        return turn.say("failure", reason="nobody knows")

    result = transfer(work, tools=[one])
    assert (result.outcome, log) == ("failed", ["A-1"])
    assert len(result.in_doubt) == 1


def test_an_error_on_record_is_of_its_kind_again():
    calls = Calls("t")
    data = {"turn": "t", "tool": "pay", "key": key_of("t", 0)}
    calls.restore([("tool.call", data, {}), ("tool.error", {**data, "code": "X503"}, {"error": "late"})])
    assert (type(calls.made[0].error), calls.made[0].error.code) == (ToolLate, "X503")


def test_calls_in_another_order_are_found_again():
    calls = Calls("t")
    first, second = calls.find("pay", {"to": "a"}), calls.find("pay", {"to": "b"})
    first.is_done = second.is_done = True
    calls.begin()
    assert calls.find("pay", {"to": "b"}) is second
    assert calls.find("pay", {"to": "a"}) is first
    assert calls.find("pay", {"to": "a"}).key not in (first.key, second.key)


def test_a_recorded_result_is_used_again():
    calls = Calls("t")
    data = {"turn": "t", "tool": "pay", "key": key_of("t", 0)}
    calls.restore(
        [("tool.call", data, {"a": 1}), ("tool.result", data, "paid"), ("tool.call", {"turn": "u"}, 1)]
    )
    (call,) = calls.made
    assert (call.is_done, call.result, call.key) == (True, "paid", key_of("t", 0))
    assert calls.find("pay", {"a": 1}) is call


# --- what is no tool ---


def test_a_decorated_function_can_still_be_called():
    assert paying([])("A-1", "5 EUR") == "paid"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Agent("A", tools=[lambda *args: args]), "cannot be given by name"),
        (lambda: tool(effect="harmless")(breaks), "there is no effect 'harmless'"),
        (lambda: tool(effect="keyed")(breaks), "is keyed, and takes no key"),
        (lambda: tool(effect="reconcilable")(breaks), "nobody can be asked"),
        (lambda: tool(timeout="soon")(breaks), "timeout 'soon'"),
        (lambda: Agent("A", tools=[breaks, Tool.of(breaks)]), "two tools are called 'breaks'"),
    ],
)
def test_a_tool_that_cannot_work_is_refused_when_it_is_made(make, words):
    with pytest.raises(UsageError, match=words):
        make()


async def test_an_agent_calls_tools_in_many_conversations_at_once():
    log = []
    pay = paying(log, effect=Effect.KEYED)
    ann, bob = Agent("Ann"), Agent("Bob", tools=[pay])
    ann.opens(lambda turn: turn.say("ask", account="A-1", amount="50 EUR"))
    bob.on("ask")(by_tool(pay))
    job = loads(JOB.replace("CRITERION", "delivered"))
    results = await asyncio.gather(*(enact(job, cast={"client": ann, "clerk": bob}) for _ in range(25)))
    assert {result.outcome for result in results} == {"paid"}
    assert len({key for _, _, key in log}) == 25


def test_the_gate_looks_at_the_talk_and_not_at_what_an_agent_was_shown():
    log = []
    pay = paying(log, effect="keyed")
    true = by_tool(pay)

    async def deceived(turn):
        told = turn.heard.content.model_copy(update={"account": "A-2"})
        blank, _ = open_conversation(turn.conversation.rules, "blank")  # nothing stands on record there
        turn.show(blank, replace(turn.heard, content=told))
        return await by_tool(pay, account=told.account)(turn)

    criterion = "{readback: [account, amount]}"
    assert transfer(deceived, tools=[pay], criterion=criterion).outcome == "failed"
    assert log == []
    assert transfer(true, tools=[pay], criterion=criterion).outcome == "paid"


LATE = """
agentcomm: 1
protocol: late
version: 1
about: Something is packed in time.
roles: [ann, bob]
acts:
  order: {act: request, content: {count: int}}
  packed: {act: inform, content: {count: int}, discharges: order}
  failure: {reason: text}
states:
  ordering: {ann: {order: packing}}
  packing: {bob: {packed: done, failure: failed}, within: 1s, else: expired}
outcomes: {done: success, failed: failed, expired: expired}
"""


@pytest.mark.parametrize("answers", [False, True])
async def test_what_a_turn_has_started_does_nothing_once_the_turn_is_over(answers):
    done, late = [], []

    def pack(count: int) -> str:
        done.append(count)
        return "ok"

    @tool(effect="pure")
    def look() -> str:
        return "seen"

    ann, bob = Agent("Ann"), Agent("Bob", tools=[pack, look])
    ann.opens(lambda turn: turn.say("order", count=3))
    over = asyncio.Event()

    @bob.on("order")
    async def work(turn):
        async def later():
            await over.wait()
            assert await turn.use("look") == "seen"
            await turn.use(pack, count=3)

        late.append(asyncio.ensure_future(later()))
        if not answers:
            await asyncio.sleep(60)
        return turn.say("packed", count=3)

    result = await enact(loads(LATE), cast={"ann": ann, "bob": bob})
    assert result.outcome == ("done" if answers else "expired")
    over.set()
    with pytest.raises(ToolRefused, match=f"has ended as {result.outcome}") as refused:
        await late[0]
    assert refused.value.code == "U319"
    assert done == []
