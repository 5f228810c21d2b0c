"""Does an agent survive everything that a protocol may say to it?

It takes part in conversations with peers who make any legal move, fall silent, did not understand, read back wrongly, send
twice or too late, and leave; its own tries are sometimes refused, and it is cancelled in the middle of its turns. Time jumps,
so that deadlines cost nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Any

import msgspec

from agentcomm.acts.message import Message, format_content
from agentcomm.agents.agent import Agent
from agentcomm.agents.turn import Said, Turn, Unspoken
from agentcomm.conversation.events import Event, Input, Leave, Refused, Say
from agentcomm.conversation.moves import signature
from agentcomm.conversation.render import View
from agentcomm.errors import AgentcommError, UsageError
from agentcomm.protocol.graph import Protocol
from agentcomm.runtime.enact import Player, stage_for
from agentcomm.runtime.host import Host
from agentcomm.runtime.talk import Talk
from agentcomm.testing.choices import Dice
from agentcomm.testing.clock import JumpingClock, jumps
from agentcomm.testing.contents import Examples
from agentcomm.testing.peers import Peer
from agentcomm.testing.report import Coverage, Failure, Report
from agentcomm.testing.walking import Manner, members_for

__all__ = ("Report", "survives")

MANNER = Manner(honest=0.7, asks=0.15, slow=0.06, quits=0.1)
"""How peers behave: worse than most."""

_REFUSES = 0.08
"""How often a try of the agent is refused that was not at fault."""
_CANCELS = 0.05
"""How often it is cancelled in the middle of its turn."""
_REPEATS = 0.08
"""How often a message arrives twice, and how often one arrives too late."""
_LEAVES = 0.02
"""How often a member of a many-role leaves."""
_HURRIES = 90.0
"""Seconds for a whole conversation, in some runs."""


class _NotSurvived(Exception):
    """The agent has failed."""


async def survives(
    agent: Player,
    protocol: Protocol,
    *,
    role: str,
    examples: Examples | None = None,
    seed: int = 0,
    runs: int = 100,
    brief: Mapping[str, Any] | None = None,
    may_be_silent: bool = False,
) -> Report:
    """Put an agent through random conversations, and report the first that it did not survive.

    It has not survived if it raises, if it says nothing until its time is up, if what it says does not count until its tries
    are used up, or if it goes on although it was cancelled. The same agent takes part in all runs.

    Args:
        agent: An `Agent`, or any async callable that takes turns.
        protocol: What `load` returned.
        role: The role that it plays.
        examples: Act -> contents that peers say as they are, where types alone say too little.
        seed: Of the first run; each further one has the next.
        runs: How many conversations, at most.
        brief: Role -> what it is told for each conversation.
        may_be_silent: Whether saying nothing until a deadline is up is an answer.

    Raises:
        UsageError: If there is no such role, or an act needs an example.
    """
    if role not in protocol.roles:
        raise UsageError(
            f"{protocol.name!r} has no role {role!r}",
            why=f"its roles are {', '.join(protocol.roles)}",
            fix=f"role={protocol.roles[0]!r}",
            code="U401",
        )
    name = agent.name if isinstance(agent, Agent) else getattr(agent, "name", "agent")
    coverage = Coverage(protocol, role)
    made = 0
    with nullcontext() if jumps() else JumpingClock():
        for made in range(1, runs + 1):
            trial = _Trial(
                agent,
                name,
                protocol,
                role,
                seed + made - 1,
                coverage,
                examples=examples,
                brief=brief or {},
                may_be_silent=may_be_silent,
            )
            if failure := await trial.judge():
                return Report(name, protocol, role, made, seed, coverage, failure)
    return Report(name, protocol, role, made, seed, coverage)


class _Tested:
    """An agent under test, by its own name."""

    def __init__(self, name: str, take: Callable[[Turn], Awaitable[Said]]) -> None:
        self.name = name
        self._take = take

    def __call__(self, turn: Turn) -> Awaitable[Said]:
        return self._take(turn)


class _Trial(Talk):
    """One conversation in which an agent is put to the test."""

    def __init__(
        self,
        agent: Player,
        name: str,
        protocol: Protocol,
        role: str,
        seed: int,
        coverage: Coverage,
        *,
        examples: Examples | None,
        brief: Mapping[str, Any],
        may_be_silent: bool,
    ) -> None:
        self.dice = Dice(seed)
        self.seed = seed
        self.role = role
        self.subject = agent
        self.coverage = coverage
        self.may_be_silent = may_be_silent
        self.told: list[Event] = []
        self.at_turn: Turn | None = None
        self.failure: Exception | None = None
        self.is_cancelled = False

        def peer() -> Peer:
            return Peer(self.dice, MANNER, examples=examples)

        cast: dict[str, Player] = {one: peer() for one in protocol.roles if one != protocol.many}
        members: dict[str, Player] = {one: peer() for one in members_for(protocol, self.dice)}
        self.lane = ""
        if role == protocol.many:
            self.lane = self.dice.pick(list(members))
        (cast if role != protocol.many else members)[self.lane or role] = _Tested(name, self._put_to_test)
        stage = stage_for(protocol)
        whole_cast = {**cast, protocol.many: members} if protocol.many else cast
        super().__init__(
            stage,
            stage.casting(whole_cast, brief),
            f"trial-{seed}",
            clock=asyncio.get_running_loop().time,
            brief=dict(brief),
            whole=_HURRIES if self.dice.chance(0.1) else None,
            watch=self._see,
            note=lambda _text: None,
        )

    async def judge(self) -> Failure | None:
        """Let the conversation go on to its end, and return what the agent did not survive."""
        task = asyncio.create_task(Host().run(self))
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            raise
        if not task.cancelled() and (error := task.exception()) is not None and error is not self.failure:
            raise error
        if self.failure is None:
            return None
        turn = self.at_turn
        heard = f"{turn.heard.act} {format_content(turn.heard.content)}" if turn and turn.heard else ""
        legal = tuple(signature(move) for move in (*turn.moves, *turn.exits)) if turn else ()
        is_ours = isinstance(self.failure, _NotSurvived)
        text = self.failure.what if isinstance(self.failure, AgentcommError) else str(self.failure)
        return Failure(
            what=text if is_ours else f"it raised {type(self.failure).__name__}: {text}",
            state=turn.state if turn else "",
            heard=heard,
            legal=legal,
            talk="\n".join(View(self.casting.names).lines(iter(self.told))),
            seed=self.seed,
            error=None if is_ours else self.failure,
        )

    def _see(self, event: Event) -> None:
        if self.failure is None:
            self.told.append(event)
        self.coverage.see(event, self.lane)

    def _is_subject(self, turn: Turn) -> bool:
        return turn.seat.key == (self.lane or self.role)

    def expired(self, turn: Turn, until: float) -> None:
        """Let the time be up that a turn had; the agent should have answered."""
        if self._is_subject(turn) and not self.may_be_silent and (turn.moves or turn.exits):
            self.at_turn = turn
            self._fail("it said nothing until its time was up")
        super().expired(turn, until)

    async def _put_to_test(self, turn: Turn) -> Said:
        """Let the agent take its turn; cancel it on the way, or refuse what it says."""
        self.at_turn = turn
        self.is_cancelled = False
        if self.dice.chance(_CANCELS):
            asyncio.get_running_loop().call_soon(self._cancel, asyncio.current_task())
        try:
            said = await self.subject(turn)
        except Exception as error:
            self.failure = error
            raise
        if self.is_cancelled:
            self._fail("it went on although it was cancelled")
        if turn.refusal is None and not turn.lanes and self.dice.chance(_REFUSES):
            self.coverage.met["refusal"] += 1
            return Unspoken("it did not arrive whole; say it again")
        return said

    def _cancel(self, task: "asyncio.Task[Any] | None") -> None:
        if task is not None and not task.done():
            self.is_cancelled = True
            self.coverage.met["cancellation"] += 1
            task.cancel()

    def exit_for(self, turn: Turn, refused: Refused) -> None:
        """Take an honest exit for a speaker whose tries are used up; the agent should have needed none."""
        if self._is_subject(turn):
            self._fail(
                f"its tries are used up: {refused.act or 'what it said'} was refused, {refused.reason}"
            )
        super().exit_for(turn, refused)

    def _fail(self, what: str) -> None:
        """Note that the agent has failed, and stop.

        Raises:
            _NotSurvived: Always.
        """
        self.failure = _NotSurvived(what)
        raise self.failure

    def take(self, given: Input, *, is_sealed: bool = False, spans: Any = None) -> tuple[Event, ...]:
        """Record an input, and let accidents happen after it."""
        events = super().take(given, is_sealed=is_sealed, spans=spans)
        if isinstance(given, Say) and not any(isinstance(event, Refused) for event in events):
            for accident in (self._repeat, self._be_late, self._leave):
                if self.conversation.outcome is None:
                    accident(given.message)
        return events

    def _repeat(self, message: Message) -> None:
        """Let a message arrive once more."""
        if self.dice.chance(_REPEATS):
            super().take(Say(message, self.now()))

    def _be_late(self, message: Message) -> None:
        """Let a peer say once more what it has said, in a message of its own."""
        is_peer = message.sender != self.role or (message.lane or self.lane) != self.lane
        if is_peer and self.dice.chance(_REPEATS):
            late = msgspec.structs.replace(message, id=f"{message.id}-late", in_reply_to="")
            super().take(Say(late, self.now()))

    def _leave(self, _: Message) -> None:
        """Let another member leave."""
        others = [name for name in self.conversation.members if name != self.lane]
        if len(others) > 1 and self.dice.chance(_LEAVES):
            role = self.stage.protocol.many
            super().take(Leave(role, "it is gone", self.now(), self.dice.pick(others)))
