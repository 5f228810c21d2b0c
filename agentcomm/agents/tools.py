"""Tools: Python functions with typed signatures, and whatever else can be called by name with typed arguments.

A tool says what its calls do to the world, so that what happens after a crash is decided beforehand: `pure` is run again, `keyed`
is run again with the same key, `reconcilable` is asked what became of it, and `once`, the careful default, is not run again.
"""

import asyncio
import inspect
import threading
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Any, Protocol, cast, overload

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model

from agentcomm.acts.content import parse_duration
from agentcomm.agents.schema import plain_schema
from agentcomm.errors import AgentcommError, EdgeError, EffectInDoubt, UsageError

__all__ = (
    "Effect",
    "Tool",
    "ToolFailed",
    "ToolInDoubt",
    "ToolLate",
    "ToolLost",
    "ToolRefused",
    "tool",
    "tools_by_name",
)

KEY = "idempotency_key"
"""The parameter by which a keyed tool is given its key, unless it names another."""
TIMEOUT = 30.0
LIMIT = 65_536


class Effect(StrEnum):
    """What a call does to the world."""

    PURE = "pure"
    """Nothing: it may be run again, and needs no evidence."""
    KEYED = "keyed"
    """It takes a key, and does nothing twice under one key."""
    RECONCILABLE = "reconcilable"
    """It can be asked what became of a call."""
    ONCE = "once"
    """None of these: where its result is lost, or does not come in time, nobody can tell whether it was done."""


class ToolRefused(AgentcommError):
    """A call that was stopped before it was made: no permission, wrong arguments, or not enough evidence."""

    code = "U311"


class ToolFailed(EdgeError):
    """A tool that raised, took too long or gave too much."""

    code = "X501"


class ToolLost(ToolFailed):
    """Whoever carried a call out is gone, and the answer with it: raised by what runs a tool elsewhere."""


class ToolLate(ToolFailed):
    """A tool whose time was up; a thread that carries it out may still go on."""

    code = "X503"


class ToolInDoubt(EffectInDoubt):
    """A call that was begun and whose result is lost: nobody can tell whether it was done."""

    code = "X502"


class Callee(Protocol):
    """What carries a call out."""

    async def __call__(self, arguments: Mapping[str, Any], key: str) -> Any:
        """Return the result."""
        ...


class Tool:
    """Something an agent may call.

    Args:
        name: How models and records call it.
        about: What it does, for a model.
        parameters: JSON Schema of its arguments.
        read: Takes arguments as JSON data or values and returns them typed; raises ValueError with the reason.
        run: Carries a call out.
        effect: What a call does to the world.
        roles: Roles that may call it; None for every role its agent plays.
        uses: Parameter -> `act.field` on common ground that it must equal; None frees a parameter. Without an entry, a parameter of
            a tool with an effect must equal the value of the same name on common ground, if there is one.
        reconcile: Takes the key of a call and returns its result; raises LookupError if it was never made.
        timeout: Seconds, or text such as `10s`.
        limit: Bytes of a result's JSON.
        returns: Reads a result that comes back from a record.
        function: The Python function, where it is one.
    """

    def __init__(
        self,
        name: str,
        run: Callee,
        *,
        about: str = "",
        parameters: Mapping[str, Any] | None = None,
        read: Callable[[Mapping[str, Any]], dict[str, Any]] = dict,
        effect: Effect | str = Effect.ONCE,
        roles: Collection[str] | None = None,
        uses: Mapping[str, str | None] | None = None,
        reconcile: Callable[[str], Any] | None = None,
        timeout: float | str = TIMEOUT,
        limit: int = LIMIT,
        returns: Callable[[Any], Any] | None = None,
        function: Callable[..., Any] | None = None,
    ) -> None:
        try:
            self.effect = Effect(effect)
        except ValueError:
            raise UsageError(
                f"tool {name!r}: there is no effect {str(effect)!r}",
                why=f"the effects are {', '.join(Effect)}",
                fix='@tool(effect="pure") for what only looks',
                code="U312",
            ) from None
        if self.effect is Effect.RECONCILABLE and reconcile is None:
            raise UsageError(
                f"tool {name!r} is reconcilable, and nobody can be asked",
                fix='@tool(effect="reconcilable", reconcile=what_became_of)',
                code="U312",
            )
        self.name, self.about, self.run, self.read = name, about, run, read
        self.parameters = dict(
            parameters or {"type": "object", "properties": {}, "additionalProperties": False}
        )
        self.roles = frozenset(roles) if roles is not None else None
        self.uses = dict(uses or {})
        self.reconcile = reconcile
        self.timeout = _seconds(name, timeout)
        self.limit = limit
        self.returns = returns or _as_it_is
        self.function = function

    def __repr__(self) -> str:
        return f"Tool({self.name!r}, {self.effect.value})"

    def __call__(self, *args: Any, **arguments: Any) -> Any:
        """Call the function itself, as anybody may outside a conversation."""
        if self.function is None:
            raise TypeError(f"{self.name} is no Python function; call it with turn.use")
        return self.function(*args, **arguments)

    @property
    def signature(self) -> str:
        """`name(parameter: type, …)`."""
        shapes: dict[str, Any] = self.parameters.get("properties", {})
        needed = self.parameters.get("required", ())
        fields = ", ".join(
            f"{name}{'' if name in needed else '?'}: {_word(shape)}" for name, shape in shapes.items()
        )
        return f"{self.name}({fields})"

    def allows(self, role: str) -> bool:
        """Say whether a role may call it."""
        return self.roles is None or role in self.roles

    @classmethod
    def of(cls, function: "Callable[..., Any] | Tool", **options: Any) -> "Tool":
        """Return the tool that a Python function is: its signature is typed, its docstring says what it does.

        Raises:
            UsageError: If a parameter has no name that can be given, or its type cannot be read from JSON.
        """
        if isinstance(function, Tool):
            return function
        name = str(getattr(function, "__name__", type(function).__name__))
        made, takes_key = _arguments(name, function, options.get("effect") == Effect.KEYED)
        about = (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".")

        def read(arguments: Mapping[str, Any]) -> dict[str, Any]:
            return _read(made, arguments)

        async def run(arguments: Mapping[str, Any], key: str) -> Any:
            given = {**arguments, KEY: key} if takes_key else dict(arguments)
            return await _call(function, given)

        return cls(
            name,
            run,
            about=options.pop("about", about),
            parameters=plain_schema(made.model_json_schema()),
            read=read,
            returns=_returns(function),
            function=function,
            **options,
        )


def _as_it_is(value: Any) -> Any:
    return value


def _seconds(name: str, timeout: float | str) -> float:
    try:
        return parse_duration(timeout).total_seconds() if isinstance(timeout, str) else float(timeout)
    except ValueError as error:
        raise UsageError(
            f"tool {name!r}: timeout {timeout!r}: {error}", fix='timeout="10s"', code="U312"
        ) from None


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    effect: Effect | str = ...,
    roles: Collection[str] | None = ...,
    uses: Mapping[str, str | None] | None = ...,
    reconcile: Callable[[str], Any] | None = ...,
    timeout: float | str = ...,
    limit: int = ...,
    about: str = ...,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a tool, and say what its calls do to the world.

    Args:
        function: The function, where the decorator has no parentheses.
        options: `effect`, `roles`, `uses`, `reconcile`, `timeout`, `limit`, `about`, as `Tool` takes them.
    """
    if function is not None:
        return Tool.of(function)

    def make(one: Callable[..., Any]) -> Tool:
        return Tool.of(one, **options)

    return make


def tools_by_name(given: Collection[Callable[..., Any] | Tool]) -> dict[str, Tool]:
    """Return tools by name.

    Raises:
        UsageError: If two have one name.
    """
    found: dict[str, Tool] = {}
    for one in given:
        made = Tool.of(one)
        if made.name in found:
            raise UsageError(f"two tools are called {made.name!r}", fix="rename one", code="U312")
        found[made.name] = made
    return found


def _arguments(name: str, function: Callable[..., Any], is_keyed: bool) -> tuple[type[BaseModel], bool]:
    """Return the class of a function's arguments, and whether it takes the key."""
    try:
        parameters = inspect.signature(function, eval_str=True).parameters
    except (NameError, TypeError, ValueError) as error:
        raise UsageError(
            f"the signature of tool {name!r} cannot be read: {error}",
            fix="annotate it with types that can be imported",
            code="U312",
        ) from None
    fields: dict[str, Any] = {}
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise UsageError(
                f"tool {name!r} has a parameter that cannot be given by name: {parameter}",
                fix="give each parameter a name and a type",
                code="U312",
            )
        if parameter.name == KEY:
            continue
        kind = Any if parameter.annotation is parameter.empty else parameter.annotation
        fields[parameter.name] = (kind, ... if parameter.default is parameter.empty else parameter.default)
    takes_key = KEY in parameters
    if is_keyed and not takes_key:
        raise UsageError(
            f"tool {name!r} is keyed, and takes no key",
            fix=f"give it a parameter {KEY}: str, and pass it on",
            code="U312",
        )
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=False)
    try:
        made = create_model(name, __config__=config, **fields)
        made.model_json_schema()
    except Exception as error:  # noqa: BLE001  (pydantic has many ways to say that a type has no JSON form)
        raise UsageError(
            f"the arguments of tool {name!r} have no JSON form: {error}".partition("\n")[0],
            fix="annotate them with text, numbers, lists, maps or pydantic classes",
            code="U312",
        ) from None
    return made, takes_key


def _read(made: type[BaseModel], arguments: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = made.model_validate(dict(arguments))
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors(include_url=False)
        ]
        raise ValueError("; ".join(faults)) from None
    return {name: getattr(found, name) for name in made.model_fields if name in found.model_fields_set}


def _returns(function: Callable[..., Any]) -> Callable[[Any], Any]:
    try:
        kind = inspect.signature(function, eval_str=True).return_annotation
        if kind in (inspect.Signature.empty, Any, None):
            return _as_it_is
        return cast("Callable[[Any], Any]", TypeAdapter(kind).validate_python)
    except Exception:  # noqa: BLE001  (then it comes back as JSON data)
        return _as_it_is


def _word(shape: Mapping[str, Any]) -> str:
    if "enum" in shape:
        return f"one of {', '.join(map(str, shape['enum']))}"
    kind = shape.get("format") or shape.get("type") or "any"
    return {"string": "text", "integer": "int", "boolean": "bool", "array": "list", "object": "map"}.get(
        str(kind), str(kind)
    )


async def _call(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(**arguments)
    result = await _in_thread(function, arguments)
    return await result if inspect.isawaitable(result) else result


async def _in_thread(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call what blocks in a thread of its own, which holds up neither other tools nor the end of the program if it hangs."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[Any] = loop.create_future()

    def give(result: Any, error: BaseException | None) -> None:
        if waiting.done():
            return
        if error is None:
            waiting.set_result(result)
        elif isinstance(error, StopIteration):  # a future cannot carry it
            waiting.set_exception(RuntimeError("the tool raised StopIteration"))
        else:
            waiting.set_exception(error)

    def work() -> None:
        result, error = None, None
        try:
            result = function(**arguments)
        except BaseException as raised:  # noqa: BLE001  (it is handed to whoever waits)
            error = raised
        try:
            loop.call_soon_threadsafe(give, result, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    threading.Thread(target=work, name="tool", daemon=True).start()
    return await waiting
