"""A turn's span that takes its steps as attributes, where each turn is to be one span."""

from typing import TYPE_CHECKING, Any

from agentcomm.tracing import names

if TYPE_CHECKING:
    from agentcomm.tracing.late import LateSpan
    from agentcomm.tracing.tracer import Attributes, Kind, OpenSpan

__all__ = ("Folded",)

_SUMMED = (names.GENAI_INPUT_TOKENS, names.GENAI_OUTPUT_TOKENS)
_KEPT = (
    names.GENAI_PROVIDER,
    names.GENAI_REQUEST_MODEL,
    names.GENAI_RESPONSE_MODEL,
    names.PROMPT_SENT_HASH,
    names.PROMPT_STORED,
    names.PROMPT_CLASSIFIERS,
    names.OUTPUT_RAW_HASH,
    names.MESSAGING_SYSTEM,
    names.MESSAGING_ID,
    names.MESSAGING_SIZE,
    names.ACT,
    names.SENDER,
    names.RECEIVERS,
    names.CONTENT_HASH,
    names.CONTENT,
    names.CONTENT_SCHEMA,
    names.REJECTION_REASON,
    names.REJECTION_ACTION,
    names.ALLOWED_ACTS,
    names.GROUNDING_METHOD,
    names.GROUNDING_VERDICT,
    names.GROUNDING_FIELDS,
    names.GROUNDING_ACTION,
)
"""Attributes of steps that a turn shows; of several, the last."""


class Folded:
    """A turn's span; what would be a step's span becomes attributes of it."""

    def __init__(self, root: "OpenSpan | LateSpan | Folded") -> None:
        self._root: Any = root
        self._found: dict[str, Any] = {}
        self.is_recording: bool = root.is_recording

    @property
    def name(self) -> str:
        """Its name."""
        return self._root.name

    @property
    def attributes(self) -> "Attributes":
        """All its attributes."""
        return self._root.attributes

    @property
    def place(self) -> Any:
        """Where it is."""
        return self._root.place

    def enter(self) -> None:
        """Make it current."""
        self._root.enter()

    def leave(self) -> None:
        """Give back what was current before."""
        self._root.leave()

    def draw(
        self,
        name: str,
        attributes: "Attributes",
        *,
        start: int,
        end: int,
        kind: "Kind" = "internal",
        error: str | None = None,
        under: Any = None,
    ) -> Any:
        """Keep what a step tells; arguments as of `OpenSpan.draw`."""
        del start, end, kind, under
        found = self._found
        operation, _, rest = name.partition(" ")
        for key in _KEPT:
            if key in attributes:
                found[key] = attributes[key]
        for key in _SUMMED:
            if key in attributes:
                found[key] = found.get(key, 0) + attributes[key]
        if operation == names.CHAT:
            found[names.MODEL_CALLS] = found.get(names.MODEL_CALLS, 0) + 1
        elif operation == names.EXECUTE_TOOL:
            found[names.TOOL_CALLS] = found.get(names.TOOL_CALLS, 0) + 1
            found[names.TOOLS] = [*found.get(names.TOOLS, ()), rest]
        elif attributes.get(names.TRANSITION_OUTCOME) == "rejected":
            found[names.TURN_REJECTIONS] = found.get(names.TURN_REJECTIONS, 0) + 1
        if error is not None:
            told = str(attributes.get(names.ERROR_TYPE, error))
            found[names.TURN_ERRORS] = [*found.get(names.TURN_ERRORS, ()), f"{operation}: {told}"]
        return self.place

    def end(self, attributes: "Attributes | None" = None, *, at: int, error: str | None = None) -> None:
        """End it; arguments as of `OpenSpan.end`."""
        self._root.end({**self._found, **(attributes or {})}, at=at, error=error)
