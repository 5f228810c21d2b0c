"""Judges of free text: whether a restatement says what was meant, nothing missing and nothing added.

`CodeJudge` needs no model, `EmbeddingJudge` finds the topic with a small embedded one, `ModelJudge` asks a language model, and
`Both` takes two. Which to use is told by their base rates, which `agentcomm judge calibrate` measures. Each is loaded on first use:
most conversations need none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentcomm.agents.judgement import Both, Judge, Judgement, judged
from agentcomm.errors import UsageError

if TYPE_CHECKING:
    from agentcomm.agents.judge_code import CodeJudge
    from agentcomm.agents.judge_model import ModelJudge
    from agentcomm.agents.judge_topic import Embedder, EmbeddingJudge

__all__ = (
    "Both",
    "CodeJudge",
    "Embedder",
    "EmbeddingJudge",
    "Judge",
    "Judgement",
    "ModelJudge",
    "judged",
    "open_judge",
)

_HOMES = {
    "CodeJudge": "agentcomm.agents.judge_code",
    "Embedder": "agentcomm.agents.judge_topic",
    "EmbeddingJudge": "agentcomm.agents.judge_topic",
    "ModelJudge": "agentcomm.agents.judge_model",
}


def __getattr__(name: str) -> Any:
    """Load a judge on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def open_judge(name: str, *, measured: bool = False) -> Judge:
    """Return the judge that a name means; nothing is contacted or loaded yet.

    Args:
        name: `code`, `embedding`, `model:MODEL` such as `model:ollama:qwen3:4b`, or two of them: `code+model:MODEL`.
        measured: Ask also a model that is known not to judge, in order to measure it.

    Raises:
        UsageError: The name means no judge.
    """
    first, plus, second = name.partition("+")
    if plus and first in ("code", "embedding"):
        return Both(open_judge(first), open_judge(second, measured=measured))
    if name == "code":
        from agentcomm.agents.judge_code import CodeJudge

        return CodeJudge()
    if name == "embedding":
        from agentcomm.agents.judge_topic import EmbeddingJudge

        return EmbeddingJudge()
    if name.startswith("model:") and name != "model:":
        from agentcomm.agents.judge_model import ModelJudge

        return ModelJudge(name.removeprefix("model:"), measured=measured)
    raise UsageError(
        f"{name!r} names no judge",
        why="a judge is code, embedding, model:MODEL, or two of them joined by `+`",
        fix="write code, embedding or model:ollama:NAME",
    )
