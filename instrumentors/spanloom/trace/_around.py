"""``context``: what a program says of everything that is recorded inside a block."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import Token
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast

from opentelemetry import context as otel

from spanloom.genai._capture import whereabouts
from spanloom.genai._carried import MAX_CHARS, MAX_ROWS, Layer, bounded, layer_of, with_layer
from spanloom.semconv import Caller, GenAI, Spanloom
from spanloom.trace._block import Place, place_of
from spanloom.trace._check import left_out

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

F = TypeVar("F", bound=Callable[..., Any])
_Value = str | bool | int | float
_UNBOUND: Final[tuple[Any, ...]] = (staticmethod, classmethod)
_TAG: Final = f"{Spanloom.TAG}."
_MAX_NAME: Final = 64


class _Entered(NamedTuple):
    """One time that a block was entered."""

    token: Token[Context]
    here: object
    place: Place


class context:  # noqa: N801 - read as a statement: `with context(user="ada"):`
    """Put these onto every span, and every event of an inference, that begins in this block::

        with trace.context(user=user.id, session=session.id, prompt="triage@7", plan="team"):
            answer(question)

    ``user`` is ``user.id``, ``session`` ``session.id``, ``conversation`` ``gen_ai.conversation.id``, ``tenant``
    ``spanloom.tenant``: texts or whole numbers. ``prompt`` is ``gen_ai.prompt.name``, and ``gen_ai.prompt.version``
    where it is ``"name@version"`` or ``(name, version)``. Any other name is a tag, ``spanloom.tag.{name}``: a text, a
    ``bool``, an ``int`` or a ``float``. With ``keep=True`` the spans have ``spanloom.keep``, for which tail sampling
    keeps their trace; ``keep=False`` takes that out. ``None`` is not given.

    Blocks nest: an inner one adds and overrides, and its end restores. It is carried by the OpenTelemetry context, into
    tasks and the threads of DSPy, never out of the process (it is no baggage). The distribution's span processor writes
    it; without that, or without an SDK, it is harmless.

    It decorates functions, coroutine functions and methods, and generator functions: of these each step runs in the
    block, and their reader does not. A block *inside* a generator is its reader's, too, until the generator ends.

    At most 32 tags are kept, names of at most 64 characters; texts are cut after 1,024 characters. Nothing raises: a
    value that is none of these is left out, with one line in the log. ``TypeError`` where it decorates a class.
    """

    def __init__(
        self,
        /,
        *,
        user: str | int | None = None,
        session: str | int | None = None,
        conversation: str | int | None = None,
        tenant: str | int | None = None,
        prompt: str | tuple[str, str | int] | None = None,
        keep: bool | None = None,
        **tags: _Value | None,
    ) -> None:
        fields = (
            ("user", Caller.USER_ID, user),
            ("session", Caller.SESSION_ID, session),
            ("conversation", GenAI.CONVERSATION_ID, conversation),
            ("tenant", Spanloom.TENANT, tenant),
        )
        given: dict[str, AttributeValue | None] = {}
        for name, key, value in fields:
            if (text := _text(f"context({name})", value)) is not None:
                given[key] = text
        given.update(_prompt(prompt))
        given.update(_keep(keep))
        given.update(_tags(tags))
        # None takes out what a block around has said.
        self._given = given
        # By layer, in their order. Each layer is entered and left once, so that nobody else writes its item: no lock.
        self._entered: dict[Layer, _Entered] = {}

    def __enter__(self) -> None:
        around = otel.get_current()
        outer = layer_of(around)
        layer = Layer(MappingProxyType(self._merged({} if outer is None else outer.attributes)), outer)
        token = otel.attach(with_layer(layer, around))
        self._entered[layer] = _Entered(token, whereabouts(), _place_of_with())

    def __exit__(self, *_: object) -> None:
        here = layer_of(otel.get_current())
        layer = self._layer_to_leave(here, _place_of_with())
        entered = None if layer is None else self._entered.pop(layer, None)
        if layer is None or entered is None:
            return
        if layer is here and entered.here == whereabouts():
            otel.detach(entered.token)
        else:
            # A generator that the collector or another task closes has left it in its reader's context.
            layer.is_over = True

    def _layer_to_leave(self, here: Layer | None, place: Place) -> Layer | None:
        """Mostly the innermost layer here; else that of the same ``with``, which somebody closes elsewhere."""
        if here is not None and here in self._entered:
            return here
        rows = list(self._entered.items())
        same = [layer for layer, entered in rows if entered.place == place]
        return (same or [layer for layer, _ in rows] or [None])[-1]

    def _merged(self, around: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
        rows = dict(around)
        room = MAX_ROWS - sum(name.startswith(_TAG) for name in rows)
        for name, value in self._given.items():
            is_new_tag = name not in rows and name.startswith(_TAG)
            room -= is_new_tag
            if value is None:
                rows.pop(name, None)
            elif is_new_tag and room < 0:
                left_out("context(**tags)", f"more than {MAX_ROWS} tags")
            else:
                rows[name] = value
        return rows

    def __call__(self, function: F) -> F:
        """The same function inside such a block."""
        return self._around(function)

    def _around(self, function: Any) -> Any:
        if isinstance(function, type):
            raise TypeError(
                f"context() goes around functions and methods; put it on a method of {function.__qualname__}"
            )
        kind: Any = type(cast("object", function))
        if issubclass(kind, _UNBOUND):
            return kind(self._around(function.__func__))
        return functools.wraps(function)(self._wrapper(function))

    def _wrapper(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            from spanloom.trace._steps import around_steps  # the core comes with it

            return around_steps(function, self._inside)
        if inspect.iscoroutinefunction(function):

            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return awaited

        def called(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return called

    def _inside(self) -> Context:
        """The current context inside such a block, for what attaches it itself."""
        around = otel.get_current()
        outer = layer_of(around)
        rows = self._merged({} if outer is None else outer.attributes)
        return with_layer(Layer(MappingProxyType(rows), outer), around)

    def __getstate__(self) -> dict[str, Any]:
        """A copy, here or in another process, was entered by nobody."""
        return {**self.__dict__, "_entered": {}}


def _place_of_with() -> Place:
    return place_of(sys._getframe(2))  # pyright: ignore[reportPrivateUsage]


def _text(where: str, value: Any) -> str | None:
    """A text, or a whole number as one: ids are often numbers."""
    if value is None:
        return None
    if isinstance(value, str):
        return bounded(value)
    # Python writes no number of more than 4,300 digits.
    is_id = isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= MAX_CHARS
    return str(int(value)) if is_id else _refused(where, value)


def _refused(where: str, value: object) -> None:
    left_out(where, f"a value of type {type(value).__name__} is none that it takes; give a text, str(...)")


def _prompt(prompt: Any) -> Iterator[tuple[str, str | None]]:
    """Name and version; a name without one takes out the version of a prompt around."""
    if prompt is None:
        return
    name, version = _name_and_version(prompt)
    told = _text("context(prompt)", name)
    if told is not None:
        yield GenAI.PROMPT_NAME, told
        yield GenAI.PROMPT_VERSION, _text("context(prompt)", version) or None


def _name_and_version(prompt: Any) -> tuple[Any, Any]:
    if isinstance(prompt, tuple) and len(cast("tuple[Any, ...]", prompt)) == 2:
        return cast("tuple[Any, Any]", prompt)
    if not isinstance(prompt, str):
        return cast("Any", prompt), None
    # The last one: a name may begin with "@team/".
    name, _, version = prompt.rpartition("@")
    return (name, version) if name else (prompt, None)


def _keep(keep: Any) -> Iterator[tuple[str, bool | None]]:
    if isinstance(keep, bool):
        yield Spanloom.KEEP, keep or None
    elif keep is not None:
        left_out("context(keep)", f"a value of type {type(keep).__name__} is neither True nor False")


def _tags(tags: Mapping[str, Any]) -> Iterator[tuple[str, _Value]]:
    for name, value in tags.items():
        where = f"context({name[:_MAX_NAME]})"
        if value is None:
            continue
        if not name or len(name) > _MAX_NAME:
            left_out(where, f"a tag's name has 1 to {_MAX_NAME} characters")
        elif (plain := _plain(where, value)) is not None:
            yield f"{_TAG}{bounded(name)}", plain


def _plain(where: str, value: Any) -> _Value | None:
    """The value in the types that every exporter has: an enum's member may be a text or a number."""
    if isinstance(value, str):
        return bounded(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        # What OTLP can carry.
        return int(value) if -(2**63) <= value < 2**63 else _refused(where, value)
    return float(value) if isinstance(value, float) else _refused(where, value)
