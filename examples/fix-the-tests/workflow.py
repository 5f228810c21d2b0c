"""A lead plans, a worker writes the code, and a third one who did neither runs the tests, in a sandbox.

The task is a real function that fails its tests. What counts as done is the test that was planned (`repeats`), run by code, and not
what the worker says of its work. Two more tries, then it has failed. Run it with `agentcomm run fix-the-tests`; with a folder of yours
that holds `NAME.py` and `test_NAME.py`: `--input FOLDER`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox import Ran, run_tests

from agentcomm import Agent, Message, Turn, Unspoken
from agentcomm.errors import InputError

PROTOCOL = "plan-execute-verify"

HERE = Path(__file__).parent / "input"


def cast(model: Callable[[str], str]) -> dict[str, Agent]:
    """Return who plays which role; `model(role)` gives the model of a role."""
    lead = Agent("lead")
    worker = Agent(
        "worker",
        model=model("worker"),
        goal="Answer with inform-result: the whole new text of the file as Python, nothing else, no fences.",
        num_ctx=8192,
    )
    verifier = Agent("verifier", tools=[run_tests])

    @lead.opens
    def plan(turn: Turn) -> Message:
        if turn.can("request"):  # the plan is said; what is asked for is filled in from it
            return turn.say("request")
        task = turn.brief
        return turn.say(
            "plan",
            goal=f"Rewrite {task['file']} so that {task['test']} passes.",
            steps=["read the tests", "write the file", "have the tests run"],
            test=task["test"],
        )

    @lead.on("verdict-bad")
    def plan_again(turn: Turn) -> Message:
        if turn.can("request"):  # the plan is said; what is asked for is filled in from it
            return turn.say("request")
        failed = "; ".join(turn.content["problems"])
        return turn.say(
            "plan",
            goal=f"Rewrite {turn.brief['file']} so that {turn.brief['test']} passes. It failed: {failed}",
            steps=["read what failed", "write the file", "have the tests run"],
            test=turn.brief["test"],
        )

    @lead.on("inform-result")
    def hand_in(turn: Turn) -> Message:
        return turn.say("check", passes=turn.ground["plan.test"], artefact=str(turn.content["result"]))

    @worker.on("request")
    async def write(turn: Turn) -> Message | Unspoken:
        if not turn.judges:
            return turn.say("refuse", reason="this model copies; it does not write code")
        return await turn.fill(facts={"file": turn.brief["text"], "tests": turn.brief["tests"]})

    @verifier.on("check")
    async def verify(turn: Turn) -> Message:
        task, test = turn.brief, turn.content["passes"]
        files = {task["file"]: turn.content["artefact"], task["test"]: task["tests"]}
        ran: Ran = await turn.use(run_tests, files=files, module=Path(task["test"]).stem)
        if not ran.alone:
            turn.note("this system gives no namespaces to the sandbox: the code could have used the network")
        if ran.passed:
            return turn.say("verdict-ok", test=test, evidence=_counted(ran.output))
        return turn.say("verdict-bad", test=test, problems=_problems(ran.output))

    return {"lead": lead, "worker": worker, "verifier": verifier}


def _counted(output: str) -> str:
    """Return how many tests ran; without how long, so that a second run says the same."""
    lines = [line for line in output.splitlines() if line.startswith("Ran ")]
    return lines[-1].partition(" in ")[0] if lines else "nothing ran"


def _problems(output: str) -> list[str]:
    """Return the tests that failed, and the last thing that Python said."""
    lines = output.splitlines()
    failed = [line for line in lines if line.startswith(("FAIL:", "ERROR:"))]
    said = [line for line in lines if "Error: " in line or line.startswith(("AssertionError", "stopped"))]
    return [*dict.fromkeys(failed), said[-1] if said else (lines or ["it ended without a word"])[-1]][-5:]


def brief(source: Path | None) -> dict[str, Any]:
    """Return what each role is told; `source` is a folder of the user's."""
    folder = source or HERE
    tests = sorted(folder.glob("test_*.py")) if folder.is_dir() else []
    if len(tests) != 1 or not (file := folder / tests[0].name.removeprefix("test_")).is_file():
        raise InputError(
            "there must be NAME.py and test_NAME.py, and no other tests",
            fix="name such a folder",
            where=str(folder),
        )
    task = {
        "file": file.name,
        "test": tests[0].name,
        "text": file.read_text(encoding="utf-8"),
        "tests": tests[0].read_text(encoding="utf-8"),
    }
    names = {key: task[key] for key in ("file", "test")}
    return {"lead": names, "worker": task, "verifier": {**names, "tests": task["tests"]}}
