"""A protocol to begin with passes the check, whatever it is called and whoever plays in it."""

import pytest

from agentcomm.errors import UsageError
from agentcomm.protocol.check import examine
from agentcomm.protocol.library import find, load, loads, names
from agentcomm.protocol.scaffold import copied, written


@pytest.mark.parametrize("roles", [["a", "b"], ["boss", "worker", "witness"], ["a", "b", "c", "d", "e"]])
def test_what_is_written_passes_without_findings(roles):
    text = written("my-talk", roles)
    assert examine(text).findings == ()
    protocol = loads(text)
    assert (protocol.name, protocol.roles) == ("my-talk", tuple(roles))


@pytest.mark.parametrize("name", names())
def test_a_copy_has_other_names_and_the_same_findings(name):
    source = find(name).read_text()
    old = load(name)
    roles = [f"new-{role}" for role in old.roles]
    text = copied(source, "my-talk", roles)
    protocol = loads(text)
    assert protocol.name == "my-talk"
    assert list(protocol.roles) == roles
    assert list(protocol.states) == list(old.states)
    assert [f.code for f in examine(text).findings] == [f.code for f in examine(source).findings]
    assert text.count("#") == source.count("#")


def test_only_roles_are_renamed():
    source = written("x", ["ask", "done"])
    text = copied(source, "y", ["one", "two"])
    assert "done:    {act: inform" in text
    assert "roles: [one, two]" in text


def test_quotes_stay():
    source = written("x", ["a", "b"]).replace("roles: [a, b]", 'roles: ["a", b]')
    assert 'roles: ["one", two]' in copied(source, "y", ["one", "two"])


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("7up", ["a", "b"]),
        ("x", ["a"]),
        ("x", ["a", "a"]),
        ("x", ["a", "within"]),
        ("x", ["a", "b c"]),
        ("no", ["a", ""]),
    ],
)
def test_names_that_cannot_be_are_refused(name, roles):
    with pytest.raises(UsageError) as error:
        written(name, roles)
    assert error.value.fix


def test_as_many_roles_as_there_are():
    with pytest.raises(UsageError, match="it has 2 roles: initiator, participant"):
        copied(find("request").read_text(), "x", ["a", "b", "c"])
