from pathlib import Path

import pytest

from agentcomm.errors import InputError, ModelBroken
from agentcomm.models.base import ChatMessage, ModelRequest
from agentcomm.models.scripted import ScriptedModel

ASKED = ModelRequest(messages=(ChatMessage("user", "hello"),))


async def test_replies_come_in_order_and_strings_as_they_stand() -> None:
    model = ScriptedModel(['{"act": "agr', {"act": "agree", "n": 1}, None, 3, [1, "ä"]])
    assert [(await model.reply(ASKED)).text for _ in range(5)] == [
        '{"act": "agr',
        '{"act":"agree","n":1}',
        "null",
        "3",
        '[1,"ä"]',
    ]


async def test_a_script_that_is_used_up_says_whose_and_how_much() -> None:
    model = ScriptedModel(["a", "b"], name="scripted:sale.json#buyer")
    await model.reply(ASKED)
    await model.reply(ASKED)
    with pytest.raises(ModelBroken) as caught:
        await model.reply(ASKED)
    assert "scripted:sale.json#buyer" in caught.value.what
    assert "all 2 replies" in caught.value.why
    assert caught.value.fix
    await model.close()


async def test_a_reply_carries_what_was_asked() -> None:
    reply = await ScriptedModel(["a"]).reply(ASKED)
    assert b'"content":"hello"' in reply.sent
    assert (reply.model, reply.address, reply.done_reason) == ("scripted:", "", "stop")


async def test_a_file_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "sale.json"
    path.write_text('{"buyer": ["ä", {"act": "cfp"}], "seller": []}', encoding="utf-8")
    model = ScriptedModel.from_file(path, "buyer")
    path.unlink()
    assert (await model.reply(ASKED)).text == "ä"
    assert (model.name, model.provider, model.capabilities.judges) == (
        f"scripted:{path}#buyer",
        "scripted",
        True,
    )


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        (None, "buyer", "cannot be read"),
        ("{", "buyer", "sale.json:1:2: X301 the script is not JSON"),
        ("[]", "buyer", "not a JSON object"),
        ('{"buyer": "x"}', "buyer", "replies under 'buyer' are not a list"),
        ('{"buyer": []}', "buyr", "sale.json#buyer'?"),
        ('{"buyer": []}', "", "it is not said whose"),
        ("{}", "x", "no keys"),
    ],
)
def test_a_script_that_cannot_be_used_is_told(tmp_path: Path, text: str | None, key: str, words: str) -> None:
    path = tmp_path / "sale.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        ScriptedModel.from_file(path, key)
    assert words in str(caught.value)
    assert caught.value.fix
