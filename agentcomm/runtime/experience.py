"""What conversations have taught, from their records: the counters that the next one opens with.

    known = experience(Path("transcripts").glob("*.jsonl"))
    await enact(sale, cast=cast, choice=known)

A conversation records the counters that it opens with, and what it adds to them as events. So the next counters are a sum over
ended records, which anybody can make again, and a replay decides as it was decided then.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from agentcomm.conversation.events import Counted, Ended
from agentcomm.conversation.transcript import Transcript
from agentcomm.grounding.choice import Choice
from agentcomm.runtime.replay import read_transcript

__all__ = ("experience",)


def experience(records: Iterable[str | Path | Transcript], choice: Choice | None = None) -> Choice:
    """Return the rule with what was counted in ended conversations added to it.

    A conversation that has not ended, or whose record is damaged, counts nothing; one that is given twice counts once.

    Args:
        records: Files or transcripts; their order does not matter.
        choice: The rule, with what was known before any of them.

    Raises:
        StoreError: If a file cannot be read.
        RecordError: If one is no transcript.
    """
    rule = choice or Choice()
    seen: set[str] = set()
    for source in records:
        record = source if isinstance(source, Transcript) else read_transcript(source)
        name = str(record.opening.data["conversation"]) if record.opening is not None else record.head
        if name in seen:
            continue
        counted = list(_counted(record))
        if counted:
            seen.add(name)
            rule = rule.learned(counted)
    return rule


def _counted(record: Transcript) -> Iterator[tuple[str, bool]]:
    if record.damage is not None:
        return
    events = list(record.events())
    if any(isinstance(event, Ended) for event in events):
        yield from ((event.key, event.understood) for event in events if isinstance(event, Counted))
