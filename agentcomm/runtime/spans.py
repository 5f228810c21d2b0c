"""Draw OpenTelemetry spans from what happened: a placeholder port until tracing is wired."""

from typing import Any


class ConversationSpans:
    @classmethod
    def begin(cls, protocol: Any, conversation: str, names: dict[str, str]) -> "ConversationSpans | None":
        return None

    def turn(self, before: Any, role: str, model: str) -> Any: ...
    def end(self, conversation: Any, *, head: str, count: int) -> None: ...
