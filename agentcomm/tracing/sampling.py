"""Sample whole conversations: every turn of one is kept, or none is.

Which ones are kept is decided from the conversation's id, by the rule of W3C's and OpenTelemetry's consistent sampling, so that every
process, and a collector that honours `rv`, decides alike.
"""

import hashlib
from typing import Any, cast

from agentcomm.tracing import names

__all__ = ("ConversationSampler", "is_kept", "sampling_state")

_BITS = 56
_ALL = 1 << _BITS


def _randomness(conversation: str) -> int:
    return int.from_bytes(hashlib.sha256(conversation.encode()).digest()[:7])


def _threshold(ratio: float) -> int:
    return round((1 - ratio) * _ALL)


def is_kept(conversation: str, ratio: float) -> bool:
    """Return whether a conversation is among the share that is kept.

    Args:
        conversation: Its id.
        ratio: The share, from 0 to 1.
    """
    return ratio >= 1 or _randomness(conversation) >= _threshold(ratio)


def sampling_state(conversation: str, ratio: float) -> str:
    """Return the W3C trace state that tells others how it was decided."""
    rejected = f"{_threshold(ratio):014x}".rstrip("0") or "0"
    return f"ot=th:{rejected};rv:{_randomness(conversation):014x}"


def ConversationSampler(ratio: float) -> Any:  # noqa: N802  (a class, made once the SDK is loaded)
    """Return a sampler for a provider of your own: `TracerProvider(sampler=ConversationSampler(0.1))`.

    A span with a parent follows it; a root of ours is kept with its conversation; any other root is kept.

    Args:
        ratio: Share of conversations to keep, from 0 to 1.
    """
    from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
    from opentelemetry.trace import TraceState

    class ByConversation(Sampler):
        def should_sample(self, *args: Any, **given: Any) -> SamplingResult:
            attributes: Any = given.get("attributes", args[4] if len(args) > 4 else None)  # noqa: PLR2004
            trace_state: Any = given.get("trace_state", args[6] if len(args) > 6 else None)  # noqa: PLR2004
            known = cast("dict[str, Any]", attributes or {})
            conversation = known.get(names.GENAI_CONVERSATION)
            if conversation is None:
                return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, trace_state)
            kept = is_kept(str(conversation), ratio)
            decision = Decision.RECORD_AND_SAMPLE if kept else Decision.DROP
            state = TraceState.from_header([sampling_state(str(conversation), ratio)])
            return SamplingResult(decision, attributes, state)

        def get_description(self) -> str:
            return f"ConversationSampler({ratio})"

    return ParentBased(root=ByConversation())
