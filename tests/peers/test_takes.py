"""Who records a call: found by what stands around and below our patch, at each call, for next to nothing."""

from __future__ import annotations

import functools
import gc
import logging
import weakref

import pytest
import wrapt
from opentelemetry.trace import NoOpTracer

from spanloom.genai import _conflict, _guard
from spanloom.genai._conflict import BOTH, LEAD, YIELD, bound, put_back
from tests.peers._fakes import (
    LANGFUSE,
    LOGFIRE,
    OFFICIAL,
    OPENINFERENCE,
    OPENLLMETRY,
    Ours,
    code_of,
    library,
    provider,
    put_around,
)

TRACERS = provider()
TRACER, OTHER = TRACERS.get_tracer("ours"), TRACERS.get_tracer("theirs")
ELSEWHERE = provider().get_tracer("theirs")


@pytest.fixture
def log(caplog):
    """Our lines."""
    caplog.set_level(logging.INFO, logger="spanloom")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "spanloom"]


def test_alone_we_record_and_stop_looking():
    """With nobody else the call is ours, and from then on nothing is searched."""
    client, resource = library()
    ours = Ours(resource, TRACER)
    one = resource(client())
    assert one.create() == "answer"
    assert ours.neighbours._outer is ours.replacement
    assert ours.neighbours._request is client.request
    one.create()
    assert ours.count == 2


def test_what_one_of_ours_records_further_out_is_not_ours():
    """The caller's word counts, on the short way and on the long one."""
    client, resource = library()
    ours = Ours(resource, TRACER)
    one = resource(client())
    assert ours.neighbours.takes(one, {}, True)
    assert not ours.neighbours.takes(one, {}, False)
    assert ours.neighbours.takes(one, {}, True)


@pytest.mark.parametrize("mode", [YIELD, LEAD])
def test_below_a_call_of_ours_nobody_is_named_or_taken_out(mode, log):
    """The other one below hears it from the context; that we do not record here is not his doing."""
    _conflict._state.mode = mode
    client, resource = library()
    ours = Ours(resource, TRACER)
    put_around(resource, "create", OPENLLMETRY, OTHER)
    theirs = vars(resource)["create"]
    ours.below = True
    resource(client()).create()
    assert ours.count == 0
    assert log() == []
    assert vars(resource)["create"] is theirs


@pytest.mark.parametrize("module", [OFFICIAL, OPENLLMETRY, OPENINFERENCE, LOGFIRE])
@pytest.mark.parametrize("place", ["inner", "around", "class", "instance"])
def test_by_default_we_step_aside_wherever_the_other_is(module, place, log):
    """Below our patch, around it, on the client's class or on one client: the call is the other's, one line says so."""
    client, resource = library()
    seen: list[object] = []
    if place == "inner":
        put_around(resource, "create", module, OTHER, seen)
    ours = Ours(resource, TRACER)
    one = resource(client())
    if place != "inner":
        one.create()  # seen alone before the other one comes
    before = ours.count
    if place == "around":
        put_around(resource, "create", module, OTHER, seen)
    if place == "class":
        put_around(client, "request", module, OTHER, seen)
    if place == "instance":
        put_around(one._client, "request", module, OTHER, seen)
    assert [one.create(), one.create()] == ["answer", "answer"]
    assert ours.count == before
    assert seen == [OTHER, OTHER]
    (line,) = log()
    assert "records these calls" in line
    assert "SPANLOOM_ON_CONFLICT=lead" in line


@pytest.mark.parametrize("place", ["inner", "around", "class", "instance"])
def test_another_backend_is_no_reason_to_step_aside(place, log):
    """Spans of another tracer provider do not arrive where ours do."""
    client, resource = library()
    if place == "inner":
        put_around(resource, "create", OPENLLMETRY, ELSEWHERE)
    ours = Ours(resource, TRACER)
    one = resource(client())
    if place == "around":
        put_around(resource, "create", OPENLLMETRY, ELSEWHERE)
    if place in ("class", "instance"):
        put_around(client if place == "class" else one._client, "request", OPENINFERENCE, ELSEWHERE)
    one.create()
    assert ours.count == 1
    assert log() == []
    assert len(_conflict._state.elsewhere) == 1


def test_who_moves_to_our_backend_is_seen_there():
    """What the last call showed counts."""
    client, resource = library()
    ours = Ours(resource, TRACER)
    one = resource(client())
    put_around(client, "request", OPENINFERENCE, ELSEWHERE)
    one.create()
    client.request = client.request.__wrapped__
    put_around(client, "request", OPENINFERENCE, OTHER)
    one.create()
    assert ours.count == 1
    assert not _conflict._state.elsewhere


def test_a_recorder_without_a_provider_records_nothing():
    """A tracer that does nothing is as good as none."""
    client, resource = library()
    put_around(resource, "create", OPENLLMETRY, NoOpTracer())
    ours = Ours(resource, TRACER)
    resource(client()).create()
    assert ours.count == 1


def test_without_a_provider_of_ours_nobody_is_silenced():
    """Where we have no spans, the other's are not taken for ours."""
    client, resource = library()
    put_around(resource, "create", OPENLLMETRY, OTHER)
    ours = Ours(resource, NoOpTracer())
    resource(client()).create()
    assert ours.count == 1
    assert _conflict._state.elsewhere


def test_a_recorder_whose_tracer_we_cannot_find_is_believed():
    """A wrapper that hides its tracer still records."""
    client, resource = library()
    put_around(resource, "create", OPENLLMETRY, object())
    ours = Ours(resource, TRACER)
    resource(client()).create()
    assert ours.count == 0


def test_wrappers_of_strangers_mean_nothing(log):
    """A user's own decorator records nothing, and what is around it is still found."""
    client, resource = library()
    ours = Ours(resource, TRACER)
    put_around(resource, "create", "app.retries", OTHER)
    one = resource(client())
    one.create()
    assert ours.count == 1
    put_around(resource, "create", OPENLLMETRY, OTHER)
    one.create()
    assert ours.count == 1
    assert len(log()) == 1


def test_a_call_past_the_wrapper_is_ours():
    """A bound method from before the other one came does not pass through it."""
    client, resource = library()
    ours = Ours(resource, TRACER)
    kept = resource(client()).create
    put_around(resource, "create", OPENLLMETRY, OTHER)
    kept()
    assert ours.count == 1


def test_a_subclass_with_a_request_of_its_own_is_looked_at_each_time():
    """What its ``request`` calls may be wrapped at any time, and its own function would not show it."""
    client, resource = library()

    class Own(client):
        def request(self) -> str:
            return super().request()

    ours = Ours(resource, TRACER)
    one = resource(Own())
    one.create()
    put_around(client, "request", OPENINFERENCE, OTHER)
    one.create()
    assert ours.count == 1


def test_a_client_is_not_kept_alive():
    """What one client's own wrapper holds goes with it, though its tracer was looked for."""
    client, resource = library()
    ours = Ours(resource, TRACER)
    one = resource(client())
    one._client.request = code_of(LOGFIRE).plain(one._client.request, OTHER)
    one.create()
    assert ours.count == 0
    gone = weakref.ref(one._client)
    del one
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("place", ["inner", "around", "instance"])
def test_the_same_where_our_patch_is_on_the_client_itself(place, log):
    """There the client is what the method was called on, and a wrapper of one client is around ours."""
    base, _ = library()
    client = type("Client", (base,), {})
    if place == "inner":
        put_around(client, "request", OPENINFERENCE, OTHER)
    ours = Ours(client, TRACER, "request")
    one = client()
    if place != "inner":
        one.request()
        one.request()
        assert ours.neighbours._outer is ours.neighbours._request is ours.replacement
        put_around(client if place == "around" else one, "request", OPENINFERENCE, OTHER)
    before = ours.count
    assert one.request() == "answer"
    assert ours.count == before
    assert len(log()) == 1


def test_a_patch_of_ours_below_a_resource_is_no_reason_to_look_again():
    """Our own patch of an inherited ``request`` leads to it, so nobody can hide in between."""
    base, resource = library()
    client = type("Client", (base,), {})
    Ours(client, TRACER, "request")
    ours = Ours(resource, TRACER)
    resource(client()).create()
    assert ours.neighbours._request is vars(client)["request"]


def test_a_resource_without_a_client_is_no_fault():
    """Where a library is built otherwise, only the method itself is looked at."""
    _, resource = library()
    ours = Ours(resource, TRACER)
    one = resource(None)
    assert not ours.neighbours.takes(one, {}, False)
    assert not ours.neighbours.takes(object(), {}, False)
    assert ours.neighbours.takes(object(), {}, True)


def test_a_fault_in_the_search_leaves_the_call_ours(monkeypatch):
    """Looking for others never harms the call."""
    client, resource = library()
    ours = Ours(resource, TRACER)
    monkeypatch.setattr(_guard, "RERAISE", False)
    monkeypatch.setattr(_conflict, "found", None)
    assert resource(client()).create() == "answer"
    assert ours.count == 1


def test_both_looks_at_nobody(log):
    """Each records as if alone."""
    _conflict._state.mode = BOTH
    client, resource = library()
    put_around(resource, "create", OPENLLMETRY, OTHER)
    ours = Ours(resource, TRACER)
    resource(client()).create()
    assert ours.count == 1
    assert log() == []


def test_lead_records_above_those_below(log):
    """They learn it from the context, so nothing is taken out and nothing is said."""
    _conflict._state.mode = LEAD
    client, resource = library()
    put_around(resource, "create", OPENLLMETRY, OTHER)
    put_around(client, "request", OPENINFERENCE, OTHER)
    ours = Ours(resource, TRACER)
    resource(client()).create()
    assert ours.count == 1
    assert log() == []


def test_lead_takes_out_the_one_around_us_and_puts_it_back(log):
    """It has begun the first call, which stays its own; the next ones are ours, until our patch is taken out."""
    _conflict._state.mode = LEAD
    client, resource = library()
    seen: list[object] = []
    ours = Ours(resource, TRACER)
    put_around(resource, "create", OPENLLMETRY, OTHER, seen)
    theirs = vars(resource)["create"]
    one = resource(client())
    one.create()
    assert (ours.count, len(seen)) == (0, 1)
    assert vars(resource)["create"] is ours.replacement
    one.create()
    assert (ours.count, len(seen)) == (1, 1)
    put_back()
    assert vars(resource)["create"] is theirs
    put_back()
    (line,) = log()
    assert "taken out" in line


def test_nothing_is_put_back_over_a_stranger():
    """Where somebody wrapped ours in the meantime, that stays."""
    _conflict._state.mode = LEAD
    client, resource = library()
    Ours(resource, TRACER)
    put_around(resource, "create", OPENLLMETRY, OTHER)
    resource(client()).create()
    put_around(resource, "create", "app.retries", OTHER)
    strangers = vars(resource)["create"]
    put_back()
    assert vars(resource)["create"] is strangers


@pytest.mark.parametrize("outside", [True, False])
def test_lead_says_so_where_it_cannot_take_one_out(outside, log):
    """With a stranger's wrapper around or below the other's, both record, and one line says it."""
    _conflict._state.mode = LEAD
    client, resource = library()
    ours = Ours(resource, TRACER)
    order = [OPENLLMETRY, "app.retries"] if outside else ["app.retries", OPENLLMETRY]
    for module in order:
        put_around(resource, "create", module, OTHER)
    one = resource(client())
    one.create()
    one.create()
    assert ours.count == 2
    (line,) = log()
    assert "twice" in line


def test_langfuse_is_never_taken_out(monkeypatch, log):
    """Its wrapper takes arguments out of the call, so that the call would fail without it."""
    monkeypatch.setattr(_conflict, "place_of", lambda *_: "here")
    _conflict._state.mode = LEAD
    client, resource = library()
    ours = Ours(resource, TRACER)
    put_around(resource, "create", LANGFUSE, OTHER)
    theirs = vars(resource)["create"]
    resource(client()).create()
    assert ours.count == 1
    assert vars(resource)["create"] is theirs
    assert "twice" in log()[0]


def test_a_wrapper_below_us_is_called_with_its_instance():
    """wrapt gives a wrapper no instance unless it is bound, and takes the instance for an argument."""
    _, resource = library()
    given: list[object] = []

    def wrapper(wrapped, instance, args, kwargs):
        given.append((instance, args, kwargs))
        return wrapped(*args, **kwargs)

    plain = vars(resource)["create"]
    assert bound(plain) is plain
    wrapt.wrap_function_wrapper(resource, "create", wrapper)
    client, _ = library()
    one = resource(client())
    assert bound(vars(resource)["create"])(one, model="m") == "answer"
    assert given == [(one, (), {"model": "m"})]


def test_endless_wrapping_ends():
    """A function that claims to wrap itself is no trap."""
    client, resource = library()

    @functools.wraps(resource.create)
    def loop(self, **kwargs):
        return client().request()

    loop.__wrapped__ = loop
    resource.create = loop
    ours = Ours(resource, TRACER)
    resource(client()).create()
    assert ours.count == 1
