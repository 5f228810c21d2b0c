"""`agentcomm trace` as a person uses it."""

import json
import threading
import time

import pytest

from agentcomm.cli.main import main
from tests.tracing.traced_scenes import cast


def test_the_list_tells_how_each_ended(record, trace):
    record("good", slip=True)
    record("bad", misfires=9)
    code, out, _ = trace("list")
    assert code == 0
    [bad, good] = sorted(out.splitlines(), key=lambda line: "good" in line)
    assert "done (success)" in good
    assert "1 repair" in good
    assert "refusal" in bad
    rows = json.loads(trace("list", "--json")[1])
    assert {row["class"] for row in rows} == {"success", rows[0]["class"], rows[1]["class"]}
    assert all(row["sealed"] and row["problem"] is None for row in rows)


def test_a_transcript_is_found_by_the_beginning_of_its_name_or_id(record, trace):
    record("first")
    path = record("second")
    name = json.loads(path.read_bytes().splitlines()[1])["record"]["data"]["conversation"]
    for asked in ("second", "sec", name, name[:9], path):
        code, out, err = trace("show", asked)
        assert code == 0, err
        assert name in out
    code, _, err = trace("show", "third")
    assert code == 2
    assert "trace list" in err


def test_show_has_times_deadlines_and_troubles(record, trace):
    record(slip=True)
    code, out, _ = trace("show")
    assert code == 0
    lines = out.splitlines()
    assert any("ann -> bob  cfp" in line and "until 5" in line for line in lines)
    assert any("differs: price (meant 20 EUR, understood 21 EUR)" in line for line in lines)
    over = next(line for line in lines if "re 2  readback" in line)
    plain = next(line for line in lines if "-> bob  cfp" in line)
    assert over.index("ann") > plain.index("ann")


def test_why_names_the_first_fault_that_nobody_mended(record, trace):
    record(slip=True, misfires=9)
    code, out, _ = trace("show", "--why")
    assert code == 0
    first = out.splitlines()[1]
    assert "first fault that nobody mended" in first
    assert "buy-order-66" in first
    assert "put right by message" in out  # the read-back that was repaired is no reason
    told = json.loads(trace("show", "--why", "--json")[1])
    assert told["ended_well"] is False
    assert told["first"]["act"] == "buy-order-66"
    assert next(fault["mended_by"] for fault in told["faults"]) is not None


def test_why_tells_a_fault_that_is_repeated_once(record, trace):
    record(slip=True, misfires=9)
    out = trace("show", "--why")[1]
    assert out.count("buyer may not say 'buy-order-66'") == 1
    assert "  6 times, the last at" in out
    assert out.count("not put right") == 1
    assert [f["act"] for f in json.loads(trace("show", "--why", "--json")[1])["faults"]].count(
        "buy-order-66"
    ) == 6
    record("mended", misfires=2)
    (line, after) = trace("show", "mended", "--why")[1].split("on the way:\n")[1].splitlines()[:2]
    assert line.endswith("in 'offered'; 2 times, the last at " + line.split()[-1])
    assert after.strip().startswith("put right by message")


def test_why_of_a_good_end_has_no_first_fault(record, trace):
    record(slip=True)
    told = json.loads(trace("show", "--why", "--json")[1])
    assert told["ended_well"]
    assert told["first"] is None
    assert len(told["faults"]) == 1


def test_a_transcript_cut_in_the_middle_still_shows(record, trace):
    path = record(slip=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    for command in (
        ["show"],
        ["show", "--why"],
        ["show", "--steps"],
        ["diagram"],
        ["html"],
    ):
        code, out, err = trace(*command)
        assert code in {0, 1}
        assert "Traceback" not in err
        assert out.strip()
    assert trace("verify")[0] == 1
    assert trace("list")[0] == 1
    assert trace("stats")[0] == 0


COMMANDS = (
    ["list"],
    ["list", "--json"],
    ["show", "run"],
    ["show", "run", "--why"],
    ["show", "run", "--why", "--json"],
    ["show", "run", "--steps"],
    ["show", "run", "--prompts"],
    ["show", "run", "--json"],
    ["prompt", "run"],
    ["diagram", "run"],
    ["html", "run"],
    ["diff", "run", "good.jsonl"],
    ["diff", "good.jsonl", "run", "--json"],
    ["stats"],
    ["stats", "--json", "--replay"],
    ["verify"],
    ["verify", "run", "--json"],
    ["erase", "run", "--all", "--why", "w"],
    ["push", "run", "--to", "http://127.0.0.1:9"],
)


@pytest.mark.parametrize("how", ["cut", "flipped", "line gone", "line of something else"])
def test_whatever_becomes_of_a_transcript_every_command_says_so(record, trace, how, monkeypatch):
    """No command fails: it shows what is sound, or says in words what is wrong, and its exit code tells."""
    monkeypatch.setattr("agentcomm.cli.trace_audit._PATIENCE", 0.05)
    path = record(slip=True, misfires=2)
    whole = path.read_bytes()
    (path.parent.parent / "good.jsonl").write_bytes(whole)
    lines = whole.splitlines(keepends=True)
    for at in (0, 1, 10, *range(11, len(whole), len(whole) // 8), len(whole) - 1):
        number = at % len(lines)
        broken = {
            "cut": whole[:at],
            "flipped": whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :],
            "line gone": b"".join(lines[:number] + lines[number + 1 :]),
            "line of something else": b"".join([*lines[:number], b'{"record": 5}\n', *lines[number + 1 :]]),
        }[how]
        for command in COMMANDS:
            path.write_bytes(broken)
            code, out, err = trace(*command)
            assert code in {0, 1, 2, 4}, (at, command, err)
            assert "Traceback" not in err
            assert "X900" not in err + out
            assert out.strip() or err.strip(), (at, command)
        path.write_bytes(broken)
        assert trace("verify", "run")[0] == 1, at
    path.write_bytes(whole)
    assert trace("verify", "run")[0] == 0


def test_the_diagram_shows_refusals_and_the_way_taken(record, trace):
    record(slip=True, misfires=1)
    code, out, _ = trace("diagram", "--as", "sequence")
    assert code == 0
    assert "opt read-back, message 2" in out
    assert "-xp0: buy-order-66 refused" in out
    graph = trace("diagram", "--as", "graph")[1]
    taken = [line for line in graph.splitlines() if "✓" in line]
    assert len(taken) == 4
    assert not any("reject-proposal" in line for line in taken)
    assert trace("diagram")[1].count("```mermaid") == 2


@pytest.mark.parametrize("evil", ["a; b", "end", "x\ny: z", "<b>&", "%%{init}%%", "#59;", "`${1}`"])
def test_what_agents_say_is_no_mermaid_syntax(record, trace, evil):
    record(item=evil)
    line = next(line for line in trace("diagram", "--as", "sequence")[1].splitlines() if "cfp" in line)
    said = line.partition("item=")[2]
    assert not set(said) & set(";<>&%{}`\n") - {";"}
    assert said.count(";") == said.count("#")


def test_diff_tells_two_runs_apart_turn_by_turn(record, trace):
    record("one", item="tea")
    record("two", item="tea")
    record("three", item="milk", slip=True)
    assert trace("diff", "one", "two")[0] == 0
    code, out, _ = trace("diff", "one", "three")
    assert code == 1
    assert "- tea" in out
    assert "+ milk" in out
    told = json.loads(trace("diff", "one", "three", "--json")[1])
    kinds = [change["kind"] for change in told["changes"]]
    assert kinds[0] == "changed"
    assert "added" in kinds
    assert "removed" not in kinds


def test_stats_count_what_happened(record, trace):
    record("one")
    record("two", slip=True)
    record("three", misfires=1)
    record("four", misfires=9)
    code, out, _ = trace("stats", "--replay")
    assert code == 0
    assert "ungrounded_moves" in out
    told = json.loads(trace("stats", "--json", "--replay")[1])
    shares = told["shares"]
    assert told["conversations"] == 4
    assert shares["termination"]["share"] == 1
    assert shares["success"]["hits"] == 3
    assert shares["ungrounded_moves"]["hits"] == 0
    assert shares["open_commitments"]["hits"] == 0
    assert shares["replays_same"]["share"] == 1
    first = shares["first_repair"]  # two contributions were taken back and said anew
    assert (first["hits"], first["n"]) == (1, 3)
    assert shares["readback_fields"]["n"] - shares["readback_fields"]["hits"] == 1
    refused = told["counters"]["moves.rejected"]
    assert {row["act"] for row in refused} == {"buy-order-66"}
    assert sum(row["count"] for row in refused) == shares["misfires"]["hits"]


def test_stats_tell_how_repairs_went_and_what_failed(record, trace):
    """What a hearer asks is answered with the value that was meant, or with what was said before."""
    from agentcomm import Agent
    from tests.tracing.traced_scenes import cast

    def unsure(answers):
        players = cast()
        ann, left = players["buyer"], iter(answers)
        bob = Agent("bob")
        said = []

        @bob.on("cfp")
        def offer(turn):
            if not said:
                said.append(1)
                return turn.say("specify", path="item", wh="what-kind")
            return turn.say("propose", price="20 EUR")

        @ann.on("specify", overlay="repair")
        def tell(turn):
            return turn.say("value", value=next(left))

        bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
        return {"buyer": ann, "seller": bob}

    record("anew", players=unsure(["green tea"]))
    record("same", players=unsure(["tea"]))
    record("wrong", slip=True)
    record("role", misfires=9)
    code, out, _ = trace("stats")
    assert code == 0
    told = json.loads(trace("stats", "--json")[1])
    shares = told["shares"]
    assert (shares["repairs_told_more"]["hits"], shares["repairs_told_more"]["n"]) == (1, 2)
    assert {row["rung"]: row["count"] for row in told["counters"]["repair.rungs"]} == {"specify": 2}
    lengths = told["distributions"]["repair_length"]
    assert lengths["n"] == told["distributions"]["repair.turns"]["n"] == shares["repairs_mended"]["n"]
    assert 0.5 < lengths["p50"] < 10
    (money,) = told["readback_by_type"].values()
    assert list(told["readback_by_type"]) == ["money"]
    assert money["n"] - money["hits"] == 1
    assert shares["facts_repeated"]["share"] == 1
    assert shares["facts_repeated"]["n"] == 3
    modes = told["failure_modes_per_100"]
    assert modes["2.3 task derailment"] > 0
    assert modes["1.2 disobey role specification"] == 0
    (runs,) = told["reliability"].values()
    assert runs == {"n": 4, "mean": 0.75, "aptitude_90": 1, "unreliability": 0.7}
    assert "2.3 task derailment" in out
    assert "aptitude" in out


def test_values_that_were_not_repeated_are_counted(tmp_path, trace, monkeypatch):
    from agentcomm import Agent, enact_sync
    from tests.tracing.traced_scenes import cast, sale

    monkeypatch.chdir(tmp_path)
    (tmp_path / "transcripts").mkdir()
    ann, prices = Agent("ann"), iter(["25 EUR", "20 EUR"])
    ann.opens(lambda turn: turn.say("cfp", item="tea"))
    ann.on("propose", overlay="read-back")(lambda turn: turn.say("readback", fields={"price": "20 EUR"}))
    ann.on("propose")(lambda turn: turn.say("accept-proposal", price=next(prices)))
    enact_sync(
        sale(tmp_path), cast={**cast(), "buyer": ann}, transcript=tmp_path / "transcripts" / "one.jsonl"
    )
    told = json.loads(trace("stats", "--json")[1])
    kept = told["shares"]["facts_repeated"]
    assert kept["n"] - kept["hits"] == 1
    assert told["failure_modes_per_100"]["2.5 ignored other agent's input"] == 100


def test_stats_by_protocol_role_and_act(record, trace):
    record("one", misfires=1)
    record("two", misfires=9)
    out = trace("stats")[1]
    assert "misfires by role" in out
    told = json.loads(trace("stats", "--json")[1])
    assert told["outcomes_by_protocol"] == {"sale": told["outcomes"]}
    refused = told["shares"]["misfires"]["hits"]
    assert told["misfires_by_role"]["sale buyer"]["hits"] == refused
    assert told["misfires_by_role"]["sale seller"]["hits"] == 0
    assert told["misfires_by_act"]["sale (no such act)"]["hits"] == refused
    assert told["misfires_by_act"]["sale propose"]["hits"] == 0
    assert {row["role"] for row in told["counters"]["messages"]} == {"buyer", "seller"}
    late = told["distributions"]["lateness"]
    assert (late["n"], late["max"]) == (told["shares"]["timeouts"]["n"], 0)


def test_stats_of_what_is_known_to_be_true(record, trace, tmp_path):
    def name(path):
        return json.loads(path.read_bytes().splitlines()[1])["record"]["data"]["conversation"]

    slipped, broken, good = name(record("a", slip=True)), name(record("b", misfires=9)), name(record("c"))
    labels = tmp_path / "labels.jsonl"
    lines = [
        (slipped, 2, "misunderstood"),
        (slipped, 1, "understood"),
        (slipped, 2, "ambiguous"),
        (good, 2, "misunderstood"),
        (good, f"{good}:1", "clear"),
        (good, 1, "right"),
        (good, 2, "wrong"),
        (good, 3, "wrong"),
        (broken, 1, "fault"),
        ("elsewhere", 1, "clear"),
    ]
    labels.write_text(
        "\n".join(json.dumps({"conversation": c, "message": n, "is": what}) for c, n, what in lines)
    )
    code, out, err = trace("stats", "--labels", labels)
    assert code == 0
    assert "tells of elsewhere" in err
    assert "misunderstood messages whose trouble was found" in out
    told = json.loads(trace("stats", "--json", "--labels", labels)[1])["labelled"]
    found = {name: (share["hits"], share["n"]) for name, share in told.items()}
    assert found == {
        "detected": (1, 2),
        "false_alarms": (0, 1),
        "clarified": (1, 1),
        "over_clarified": (0, 1),
        "flipped_to_wrong": (1, 1),
        "right_at_first": (1, 1),
        "right_at_last": (0, 1),
        "attributed": (0, 1),
    }
    for line, words in (
        ('{"conversation": "a"}', "line 1"),
        ('{"conversation": "a", "message": 1, "is": "odd"}', "'odd' is none of"),
        ("x", "line 1"),
    ):
        labels.write_text(line)
        code, _, err = trace("stats", "--labels", labels)
        assert code == 2
        assert err.startswith("U564")
        assert words in err
    assert trace("stats", "--labels", tmp_path / "none")[0] == 2


def test_stats_and_list_of_nothing_say_so(trace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert trace("list")[0] == 0
    assert trace("stats")[0] == 0
    assert trace("show")[0] == 2


def test_tail_follows_until_the_seal(record, trace, tmp_path):
    whole = record(slip=True).read_bytes()
    path = tmp_path / "growing.jsonl"
    pieces = [whole[at : at + 700] for at in range(0, len(whole), 700)]
    path.write_bytes(pieces[0])

    def grow():
        for piece in pieces[1:]:
            time.sleep(0.02)
            with path.open("ab") as file:
                file.write(piece)

    writer = threading.Thread(target=grow)
    writer.start()
    code, out, err = trace("tail", path)
    writer.join()
    assert code == 0, err
    assert "ann -> bob  cfp" in out
    assert "done (success)" in out


def test_a_human_cast_is_named_by_its_agents(record, trace):
    record(players=cast())
    assert "bob -> ann  propose" in trace("show")[1]


def test_a_call_that_nothing_has_come_of_yet_is_in_a_row_of_its_own(tmp_path):
    from agentcomm.runtime.replay import read_transcript
    from agentcomm.views.story import story_of
    from tests.views.page_scenes import long_talk

    path = tmp_path / "talk.jsonl"
    long_talk(path, 6)
    lines = path.read_bytes().splitlines(keepends=True)
    results = [n for n, line in enumerate(lines) if b'"type":"model.result"' in line]
    path.write_bytes(b"".join(lines[: results[2] + 1]))
    *_, before, last = story_of(read_transcript(path)).rows
    assert (before.by, before.calls) == ("keeper", [])
    assert (last.kind, last.by, last.text) == ("note", "Cleo", "nothing has come of it yet")
    assert len(last.calls) == 1


def test_what_code_did_to_an_answer_is_told_in_words(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["run", "incident-handoff", "--model", "scripted"])
    capsys.readouterr()
    assert main(["trace", "show", "--steps"]) == 0
    told = capsys.readouterr().out
    assert told.count("changed by code before it was said: the act and what code has set") == 1
    assert "could not be taken" not in told
    assert "sha256:" not in told.partition("1  monitor -> oncall")[2]
