"""Somebody who can play roles: a model, handlers, or both mixed act by act."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import CoroutineType
from typing import Any, ClassVar, cast, overload

from msgspec.structs import replace

from agentcomm.acts.content import to_plain
from agentcomm.acts.message import Message
from agentcomm.acts.performative import Performative
from agentcomm.agents.provenance import Classifier, Editor
from agentcomm.agents.tools import Tool, tools_by_name
from agentcomm.agents.turn import Handler, PromptBudget, Said, Turn, Unclear, Unspoken
from agentcomm.errors import UsageError
from agentcomm.grounding.compare import Difference
from agentcomm.models.base import WINDOW, Model, Progress

__all__ = ("Agent", "by_code")

GATHER = "(gather)"
"""Key of the handler for turns that are for several lanes; no overlay has such a name."""

_LIBRARY = frozenset(map(str, Performative))

Plan = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Takes the content heard, by field; returns what will be acted with, by the names of the fields where they have them."""

Example = tuple[Mapping[str, Any], Mapping[str, Any]]
"""What is known, and the content that a good speaker made of it."""


class Agent:
    """Somebody who can play roles.

    Args:
        name: How transcripts call it.
        model: A backend's string such as `ollama:qwen3:4b`, or a `Model`. Without one, handlers must answer everything.
        goal: What it always wants; the work of one conversation comes as a brief.
        tools: Functions with typed signatures, and `Tool`s, that it may call: its handlers by `turn.use`, its model before it
            chooses an act.
        examples: Act -> worked examples for the model. Small models need them.
        num_ctx: The largest window, in tokens; a smaller one is taken where it suffices, and what does not fit is refused, never cut.
        budget: How much of a conversation a prompt shows.
        prompt_edits: Functions from a prompt's segments to those that are sent instead; each is on record.
        answer_edits: Functions `(act, content) -> content` on what the model said; each is on record.
        classifiers: Functions that look at each prompt and answer; what they say is on record.
        thinks: Let the model think in a call of its own before it answers.
        logprobs: Ask for the log-probabilities of an answer, and keep them.
        things: Name -> what is known of it, such as the servers it looks after: where a phrase it hears fits several of them, it asks
            which, if that is expected to cost less than acting on a guess.
    """

    registered: ClassVar[int] = 0
    """Handlers that agents of this process were ever given: whoever knows the number knows whether all are as they were."""

    def __init__(
        self,
        name: str,
        *,
        model: str | Model | None = None,
        goal: str = "",
        tools: Sequence[Callable[..., Any] | Tool] = (),
        examples: Mapping[str, Sequence[Example]] | None = None,
        num_ctx: int = WINDOW,
        budget: PromptBudget | None = None,
        prompt_edits: Sequence[Editor] = (),
        answer_edits: Sequence[Callable[[str, Any], Any]] = (),
        classifiers: Sequence[Classifier] = (),
        thinks: bool = False,
        logprobs: bool = False,
        things: Mapping[str, Any] | None = None,
    ) -> None:
        if not name or any(c.isspace() for c in name):
            raise UsageError(f"an agent needs a name without spaces, not {name!r}", fix='Agent("ann")')
        self.name = name
        self.goal = goal
        self.tools = tools_by_name(tools)
        self.examples = dict(examples or {})
        self.num_ctx = num_ctx
        self.budget = budget or PromptBudget()
        self.prompt_edits, self.answer_edits = tuple(prompt_edits), tuple(answer_edits)
        self.classifiers = tuple(classifiers)
        self.thinks, self.logprobs = thinks, logprobs
        self.things = dict(things or {})
        self._model = model
        self._named = model if isinstance(model, str) else ""
        self._handlers: dict[tuple[str, str, str, str], Handler] = {}
        """Overlay, state, act heard, protocol."""
        self._plans: dict[tuple[str, str], Plan] = {}
        self._tells_apart = False
        """Some handlers are for one protocol alone."""
        self._found: dict[tuple[str, str, str, str], Any] = {}
        """Overlay, state, act heard, protocol (empty where no handler tells them apart) -> the handler, or None."""
        self._checked: tuple[Any, int] = None, 0
        """The acts that were checked last, and how many handlers there were."""

    def __repr__(self) -> str:
        return f"Agent({self.name!r})"

    @property
    def model_name(self) -> str:
        """The model's string; empty for code."""
        model = self._model
        return "" if model is None else model if isinstance(model, str) else model.name

    def open(self, progress: Progress | None = None) -> Model | None:
        """Return the model, opened on first use; None for code.

        Args:
            progress: Told whatever takes long, such as loading.

        Raises:
            UsageError: If the string names no backend.
        """
        if isinstance(self._model, str):
            from agentcomm.models.open import open_model

            self._model = open_model(self._model, progress=progress)
        return self._model

    def check(self, acts: Iterable[str], protocol: str = "") -> None:
        """Find handlers for acts that nobody can say.

        Args:
            acts: The labels of a protocol and its overlays.
            protocol: Its name.

        Raises:
            UsageError: If a handler's act is not among them but resembles one that has no handler. Acts of the library are left
                alone: the handler may be for another protocol.
        """
        checked, count = self._checked
        if checked is acts and count == len(self._handlers):
            return
        known = set(acts)
        handled = {act for _, _, act, only in self._handlers if act and only in ("", protocol)}
        for act in sorted(handled - known - _LIBRARY):
            if close := get_close_matches(act, known - handled, 1, cutoff=0.6):
                raise UsageError(
                    f"{self.name} has a handler for {act!r}, which nobody can say here",
                    why=f"the acts are {', '.join(sorted(known))}",
                    fix=f'did you mean {close[0]!r}? If it is for another protocol: @{self.name}.on("{act}", protocol="…")',
                    code="U321",
                )
        self._checked = acts if isinstance(acts, frozenset) else None, len(self._handlers)

    async def close(self) -> None:
        """Give back the model that was opened by name; it is opened again when it is needed. A `Model` of yours stays open."""
        if self._named and not isinstance(self._model, str) and self._model is not None:
            opened, self._model = self._model, self._named
            await opened.close()

    def on(
        self, act: str, *, state: str = "", overlay: str = "", protocol: str = ""
    ) -> Callable[[Handler], Handler]:
        """Register a handler for when this act was heard.

        Args:
            act: Label of the act heard.
            state: Only in this state.
            overlay: Only in this overlay, such as `read-back`; handlers without it are for the talk itself.
            protocol: Only in the protocol of this name, for an agent that plays in several.
        """
        if callable(cast("object", act)):
            raise UsageError(
                f"{self.name}.on needs to know what was heard",
                fix=f'write @{self.name}.on("propose"), with parentheses',
            )

        def register(handler: Handler) -> Handler:
            return self._register((overlay, state, act, protocol), handler)

        return register

    @overload
    def opens(self, handler: Handler) -> Handler: ...
    @overload
    def opens(self, *, protocol: str) -> Callable[[Handler], Handler]: ...
    def opens(self, handler: Handler | None = None, *, protocol: str = "") -> Any:
        """Register the handler for opening a conversation; with `protocol=`, only one by the protocol of this name."""
        return self._plain("", handler, protocol)

    @overload
    def gathers(self, handler: Handler) -> Handler: ...
    @overload
    def gathers(self, *, protocol: str) -> Callable[[Handler], Handler]: ...
    def gathers(self, handler: Handler | None = None, *, protocol: str = "") -> Any:
        """Register the handler for turns that are for several lanes; it returns one message for each, or one for all.

        With `protocol=`, only in the protocol of this name.
        """
        return self._plain(GATHER, handler, protocol)

    def _plain(self, where: str, handler: Handler | None, protocol: str) -> Any:
        if handler is not None:
            return self._register((where, "", "", protocol), handler)

        def register(given: Handler) -> Handler:
            return self._register((where, "", "", protocol), given)

        return register

    def plans(self, act: str, *, protocol: str = "") -> Callable[[Plan], Plan]:
        """Register a function from the content heard with an act to what the agent will act with, such as a tool's arguments.

        Read-backs of the act are then taken from that, so they show how it was understood and not how well it was copied; a handler
        finds it as `turn.plan`. It is called whenever it is needed, so the same content must give the same.

        Args:
            act: Label of the act heard.
            protocol: Only in the protocol of this name.
        """
        if callable(cast("object", act)):
            raise UsageError(
                f"{self.name}.plans needs to know what was heard",
                fix=f'write @{self.name}.plans("order"), with parentheses',
            )

        def register(plan: Plan) -> Plan:
            if (act, protocol) in self._plans:
                raise UsageError(
                    f"{self.name} has two plans for {act!r}", fix="keep one, or tell them apart by protocol="
                )
            self._plans[act, protocol] = plan
            return plan

        return register

    def plan_for(self, act: str, content: Mapping[str, Any], protocol: str = "") -> Mapping[str, Any]:
        """Return what the agent will act with; empty where no plan is registered for the act."""
        if not self._plans:
            return {}
        for name in (act, act.rpartition(".")[2]):
            plan = self._plans.get((name, protocol)) or self._plans.get((name, ""))
            if plan is not None:
                return plan(content)
        return {}

    def _register(self, key: tuple[str, str, str, str], handler: Handler) -> Handler:
        if not callable(cast("object", handler)):
            raise UsageError(
                f"{handler!r} is no handler", fix=f'write `@{self.name}.on("cfp")` above a function'
            )
        if key in self._handlers:
            raise UsageError(
                f"{self.name} has two handlers for {key[2] or 'opening'!r}",
                fix="keep one, or tell them apart by state= or protocol=",
            )
        self._handlers[key] = handler
        Agent.registered += 1
        self._tells_apart = self._tells_apart or bool(key[3])
        self._found.clear()
        return handler

    async def __call__(self, turn: Turn) -> Said:
        """Take a turn: a handler if there is one for what was heard, else the model, else what code can do alone.

        A turn for several lanes goes to the handler registered with `gathers`; without one, it is taken lane by lane.
        """
        answer = self.take(turn)
        said = await answer if inspect.isawaitable(answer) else answer
        if isinstance(said, Message | Unspoken | Unclear):
            return _made(said, "handler")
        if not turn.lanes or turn.for_all:
            self.check_answer(turn, said)
        return [_made(one, "handler") for one in said]

    def take(self, turn: Turn) -> Said | Awaitable[Said]:
        """Take a turn as a call does, and wait for nothing: what takes time is returned to be waited for.

        Raises:
            UsageError: If there is nothing to say, or a handler says no message.
        """
        if self.things and (unclear := self._unclear(turn)):
            return unclear if turn.lanes else unclear[0]
        if turn.lanes and not turn.for_all:
            gathers = self._gathers(turn)
            return gathers(turn) if gathers is not None else self._lane_by_lane(turn)
        handler = self._find(turn)
        if handler is not None:
            answer = handler(turn)
            if type(answer) is Message:
                return answer
            if type(answer) is CoroutineType or inspect.isawaitable(answer):
                return cast("Awaitable[Said]", answer)
            self.check_answer(turn, answer)
            return answer
        gathers = self._gathers(turn) if turn.lanes else None
        if gathers is not None:  # what is said for all, and no handler answers what was heard last
            return gathers(turn)
        overlaid = by_code(turn, has_model=self._model is not None)
        if overlaid is not None:
            return _made(overlaid, "rule")
        if self._model is not None:
            return turn.fill()
        heard = turn.heard.act if turn.heard else ""
        decorator = f'@{self.name}.on("{heard}")' if heard else f"@{self.name}.opens"
        raise UsageError(
            f"{self.name} has nothing to say in {turn.state!r}",
            why=f"it has no handler for {heard or 'opening'!r} and no model{self._elsewhere(heard, turn)}",
            fix=f"add {decorator}, or give it a model",
            code="U320",
        )

    def _elsewhere(self, heard: str, turn: Turn) -> str:
        """Return in which other protocols it would have had an answer."""
        names = sorted({only for _, _, act, only in self._handlers if act == heard and only})
        here = turn.whole.rules.protocol.name
        return f"; in {', '.join(map(repr, names))} it has, and this is {here!r}" if names else ""

    def _unclear(self, turn: Turn) -> list[Unclear]:
        from agentcomm.agents.unclear import doubts

        return doubts(turn, self.things)

    def check_answer(self, turn: Turn, said: object) -> None:
        """Find a handler that answered with no message; what takes time is looked at by who waited for it.

        Raises:
            UsageError: If there is one, and it did.
        """
        if isinstance(said, Message | Unspoken | Unclear):
            return
        handler = self._find(turn)
        if handler is not None:
            what = "nothing" if said is None else type(said).__name__
            raise UsageError(
                f"{self.name}'s handler {getattr(handler, '__name__', handler)} returned {what}",
                why="a handler returns a message",
                fix='return turn.say("…", …)',
            )

    async def _lane_by_lane(self, turn: Turn) -> Said:
        found: list[Message | Unspoken | Unclear] = []
        done: set[str] = set()
        for name, one in turn.lanes.items():
            if one.state in done:
                continue
            answer = self.take(one)
            said = await answer if inspect.isawaitable(answer) else answer
            self.check_answer(one, said)
            said = cast("Message | Unspoken | Unclear", said)
            found.append(replace(said, lane=name) if isinstance(said, Unspoken | Unclear) else said)
            if isinstance(said, Message) and not said.lane:  # it was said for all that stand there
                done.add(one.state)
        return found

    def _find(self, turn: Turn) -> Handler | None:
        key = turn.key(turn.whole.rules.protocol.name if self._tells_apart else "")
        try:
            return self._found[key]
        except KeyError:
            found = self._found[key] = self._look_up(*key)
            return found

    def _look_up(self, overlay: str, place: str, act: str, protocol: str) -> Handler | None:
        short = act.rpartition(".")[2]
        for only in dict.fromkeys((protocol, "")):
            for state in (place, place.rpartition("/")[2], ""):
                for name in (act, short):
                    if found := self._handlers.get((overlay, state, name, only)):
                        return found
        return None

    def _gathers(self, turn: Turn) -> Handler | None:
        only = (GATHER, "", "", turn.whole.rules.protocol.name)
        return self._handlers.get(only) or self._handlers.get((GATHER, "", "", ""))


def _made(said: Message | Unspoken | Unclear, how: str) -> Message | Unspoken | Unclear:
    """Note how a message was made, unless a model made it for the handler."""
    return replace(said, made_by=how) if isinstance(said, Message) and not said.made_by else said


def by_code(turn: Turn, *, has_model: bool) -> Message | None:
    """Return what needs no model in an overlay: what was meant is on record, so code says it exactly."""
    overlay = turn.overlay
    if overlay is None:
        return None
    if (question := turn.put()) is not None:
        return question
    trouble = overlay.trouble
    if turn.can("wrong") and overlay.name == "demonstrate":
        return turn.say("wrong", points=[_point(item) for item in trouble])
    if turn.can("wrong"):
        meant = {item.field: overlay.fields[item.field] for item in trouble if item.field in overlay.fields}
        return turn.say("wrong", fields=meant or dict(overlay.fields))
    if turn.can("escalate"):
        texts = [str(item) for item in trouble] or [f"{turn.heard} is not understood" if turn.heard else ""]
        return turn.say("escalate", trouble="; ".join(texts), tried=["repair"])
    if turn.can("offer") and trouble:
        return turn.say("offer", path=trouble[0].field, candidate=trouble[0].meant)
    if turn.can("readback") and (plan := turn.plan):
        if missing := [name for name in _asked(turn) if name not in plan]:
            raise UsageError(
                f"the plan of {turn.agent} for {turn.heard.act if turn.heard else ''!r} has no {missing[0]!r}",
                why=f"{', '.join(_asked(turn))} are read back from it",
                fix=f'return {{"{missing[0]}": …}} in it, too',
                code="U322",
            )
        said = turn.say("readback", fields={name: to_plain(plan[name]) for name in _asked(turn)})
        return replace(said, made_by="plan")
    if has_model:
        return None
    heard = turn.heard
    if turn.can("readback") and heard is not None:
        return turn.say("readback", fields={name: getattr(heard.content, name) for name in _asked(turn)})
    if turn.can("demonstrate"):
        return turn.say("unable", reason="no handler says what it would do")
    if turn.can("stopped"):
        return turn.say("stopped")
    it = turn.conversation.frame.it if turn.conversation.frame else None
    if turn.can("confirm"):
        return turn.say("confirm")
    if it is not None and turn.can("value") and heard is not None:
        return turn.say("value", value=getattr(it.content, str(getattr(heard.content, "path", "")), None))
    if it is not None and turn.can("restate"):
        return turn.say("restate", fields=it.content.model_dump(mode="json"))
    return None


def _point(trouble: Difference) -> str:
    """Return what a hearer is told who did not show that it understood."""
    if trouble.field == "verdict":
        return f"say it in other words: {trouble.why}"
    return (
        f"it lacks: {trouble.meant}"
        if trouble.kind == "missing"
        else f"nobody asked for: {trouble.understood}"
    )


def _asked(turn: Turn) -> list[str]:
    move = next(move for move in turn.moves if move.label == "readback")
    return list(move.act.fields["fields"].fields or {})
