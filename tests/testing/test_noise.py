"""Noise: each kind does what it says, by type and by seed, and the same around agents that are enacted."""

import pytest

from agentcomm import Agent, enact
from agentcomm.conversation.events import Heard, TroubleFound
from agentcomm.errors import UsageError
from agentcomm.protocol.library import loads
from agentcomm.testing.choices import Dice
from agentcomm.testing.lab_scene import laboratory
from agentcomm.testing.noise import ABOUT, UNSEEN, Kind, Mind, Noise, noisy
from agentcomm.testing.noise_values import LOST, fewer, near, other_unit, plain_content, same

REQUEST = laboratory().acts["request"]
CONTENT = plain_content(
    REQUEST,
    {
        "item": "db-1",
        "amount": "500 mg",
        "price": "110 EUR",
        "at": "2026-11-24T10:00:00Z",
        "wait": "3h",
        "express": True,
        "sites": ["a", "b"],
        "intent": "keep the newest, delete the others",
    },
)


def heard(kind, seed=1, content=CONTENT, rate=1.0):
    noise = Noise({kind: rate}, Dice(seed))
    mind = Mind(noise, lambda act: act.critical)
    mind.earlier["request"] = {**CONTENT, "item": "db-9", "price": "99 EUR"}
    mind.hear(REQUEST, content)
    return mind, noise


def altered(mind):
    values = mind.values("request")
    return {name for name in CONTENT if values.get(name) != CONTENT[name]}


def test_every_kind_says_what_it_does():
    assert list(ABOUT) == list(Kind)
    assert set(UNSEEN) < set(Kind)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "kind", ["wrong-value", "swapped-unit", "dropped-constraint", "stale-value", "ambiguous-referent"]
)
def test_one_field_is_understood_otherwise_and_can_still_be_said(kind, seed):
    mind, noise = heard(kind, seed)
    assert len(altered(mind)) == 1
    assert noise.injected == {Kind(kind): 1}
    REQUEST.content.model_validate(mind.values("request"))


def test_the_same_seed_gives_the_same_noise():
    first, second, third = (heard("wrong-value", seed)[0].values("request") for seed in (3, 3, 4))
    assert first == second != third


def test_no_noise_changes_nothing():
    mind, noise = heard("wrong-value", rate=0.0)
    assert mind.values("request") == CONTENT
    assert mind.read_back("request", REQUEST.critical) == {name: CONTENT[name] for name in REQUEST.critical}
    assert noise.injected == {}


def test_a_stale_value_is_one_said_before():
    for seed in range(10):
        mind, _ = heard("stale-value", seed)
        assert mind.values("request")["item"] == "db-9" or mind.values("request")["price"] == "99 EUR"


def test_a_false_acknowledgement_takes_in_nothing():
    mind, _ = heard("false-acknowledgement")
    assert altered(mind) >= {"item", "amount", "price", "express"}


def test_a_correction_puts_right_but_not_whom_nothing_convinces():
    noise = Noise({"confident-wrong-peer": 1.0}, Dice(1))
    mind = Mind(noise, lambda act: ("price",))
    mind.hear(REQUEST, CONTENT)
    wrong = mind.values("request")["price"]
    assert wrong != "110 EUR"
    noise.rates.clear()
    mind.correct(REQUEST, {"price": "110 EUR"})
    assert mind.values("request")["price"] == wrong

    mild = Mind(Noise({"wrong-value": 1.0}, Dice(1)), lambda act: ("price",))
    mild.hear(REQUEST, CONTENT)
    mild.noise.rates.clear()
    mild.correct(REQUEST, {"price": "110 EUR"})
    assert mild.values("request")["price"] == "110 EUR"


def test_a_name_taken_for_another_is_sometimes_read_back_as_it_was_heard():
    shown = set()
    for seed in range(30):
        mind, _ = heard("ambiguous-referent", seed)
        said = mind.read_back("request", ["item"])["item"]
        assert mind.values("request")["item"] != "db-1"
        shown.add(said == "db-1")
    assert shown == {True, False}


def test_the_wrong_value_is_used_and_the_right_one_read_back():
    mind, noise = heard("right-readback-wrong-use")
    assert mind.read_back("request", ["price"]) == {"price": "110 EUR"}
    used = mind.use(REQUEST, CONTENT, ["price"])
    assert used["price"] != "110 EUR"
    assert noise.injected == {Kind.RIGHT_READBACK_WRONG_USE: 1}


def test_a_shared_error_is_made_by_the_speaker():
    mind, _ = heard("shared-error")
    assert mind.values("request") == CONTENT
    assert mind.formulate(REQUEST, CONTENT, ["price"])["price"] != "110 EUR"


def test_a_paraphrase_is_reversed_though_the_field_is_not_critical():
    mind, _ = heard("reversed-paraphrase")
    assert altered(mind) == {"intent"}


@pytest.mark.parametrize(
    ("name", "value", "made"),
    [
        ("amount", "500 mg", "500 g"),
        ("wait", "3h", "3m"),
        ("at", "2026-11-24T10:00:00Z", None),
        ("express", True, None),
    ],
)
def test_units_are_swapped_by_type(name, value, made):
    found = other_unit(REQUEST.fields[name], value, Dice(1))
    if name == "at":
        assert found.startswith("2026-11-24T10:00:00")
        assert not found.endswith("+00:00")
    else:
        assert found == made


def test_what_is_dropped_depends_on_the_type():
    assert fewer(REQUEST.fields["express"], True, Dice(1)) is False
    assert fewer(REQUEST.fields["sites"], ["a", "b"], Dice(1)) in (["a"], ["b"])
    assert fewer(REQUEST.fields["intent"], "delete all, except the newest", Dice(1)) == "delete all"
    assert fewer(REQUEST.fields["item"], "db-1", Dice(1)) is None
    optional = loads(
        "agentcomm: 1\nprotocol: p\nversion: 1\nroles: [a, b]\nacts: {tell: {act: inform, content: {note: optional text}}}\n"
        "states: {x: {a: {tell: done}}}\noutcomes: {done: success, expired: expired}\n"
    ).acts["tell"]
    assert fewer(optional.fields["note"], "soon", Dice(1)) is LOST


@pytest.mark.parametrize("name", ["amount", "price", "at", "wait", "intent"])
def test_another_written_form_means_the_same(name):
    from agentcomm.grounding.compare import is_same

    kind = REQUEST.fields[name]
    for seed in range(5):
        said = REQUEST.content.model_validate({**CONTENT, name: same(kind, CONTENT[name], Dice(seed))})
        meant = REQUEST.content.model_validate(CONTENT)
        assert is_same(kind, getattr(meant, name), getattr(said, name))


def test_a_near_value_is_like_the_right_one():
    for seed in range(5):
        assert near(REQUEST.fields["price"], "110 EUR", Dice(seed)).endswith(" EUR")
        assert near(REQUEST.fields["item"], "db-1", Dice(seed)).startswith("db-")


def test_unknown_kinds_and_rates_are_refused():
    with pytest.raises(UsageError, match="no kind of noise"):
        Noise({"wrong-valeu": 0.1}, Dice(1))
    with pytest.raises(UsageError, match="no probability"):
        noisy(Agent("ann"), wrong_value=1.5)


SALE = """
agentcomm: 1
protocol: sale
version: 1
roles: [buyer, seller]
acts:
  cfp: {item: text, budget: money}
  propose: {content: {price: money}, critical: [price]}
  accept-proposal: {price: money}
  reject-proposal: {reason: text}
grounding:
  cfp: {readback: [budget]}
  accept-proposal: {repeats: {price: propose.price}}
states:
  open: {buyer: {cfp: asked}}
  asked: {seller: {propose: offered}}
  offered: {buyer: {accept-proposal: sold, reject-proposal: left}}
outcomes: {sold: success, left: rejected, expired: expired}
"""


def sellers():
    ann, bob = Agent("ann"), Agent("bob")
    used = []

    @ann.opens
    def ask(turn):
        return turn.say("cfp", item="bike", budget="120 EUR")

    @bob.on("cfp")
    def offer(turn):
        used.append(str(turn.heard.content.budget))
        return turn.say("propose", price=str(turn.heard.content.budget))

    @ann.on("propose")
    def take(turn):
        return turn.say("accept-proposal", price=turn.heard.content.price)

    return ann, bob, used


@pytest.mark.parametrize("seed", [1, 4])
async def test_a_noisy_agent_reads_back_what_it_understood_and_is_put_right(seed):
    ann, bob, used = sellers()
    deaf = noisy(bob, seed=seed, wrong_value=0.7)
    result = await enact(loads(SALE), cast={"buyer": ann, "seller": deaf})
    assert any(isinstance(event, TroubleFound) for event in result.transcript.events())
    assert (result.outcome, used) in (("sold", ["120 EUR"]), ("aborted", []))


async def test_what_is_used_otherwise_is_stopped():
    ann, bob, _ = sellers()
    sloppy = noisy(ann, seed=2, right_readback_wrong_use=1.0)
    result = await enact(loads(SALE), cast={"buyer": sloppy, "seller": bob})
    assert result.outcome_class == "aborted"
    assert "differs from the record" in result.cause


async def test_a_clarifier_that_never_stops_is_stopped():
    ann, bob, _ = sellers()
    result = await enact(loads(SALE), cast={"buyer": ann, "seller": noisy(bob, over_eager_clarifier=1.0)})
    assert result.outcome == "sold"
    said = [event.message.act for event in result.transcript.events() if isinstance(event, Heard)]
    assert said.count("not-understood") == 2


async def test_noise_goes_around_any_callable():
    ann, bob, _ = sellers()

    async def seller(turn):
        return await bob(turn)

    result = await enact(loads(SALE), cast={"buyer": ann, "seller": noisy(seller, wrong_value=0.0)})
    assert result.outcome == "sold"
