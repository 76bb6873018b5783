"""Roll-ups: exact whoever finishes when, nothing without a model call, no deadlock with the garbage collector."""

from __future__ import annotations

import gc
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from fractions import Fraction

import pytest

from spanloom.genai import _registry, _totals
from spanloom.genai._totals import Contribution, Totals
from tests._support.spans import Recorder
from tests.genai._make import KINDS, inference, telemetry, usage

INCOMPLETE = "spanloom.subtree.incomplete"
CALLS = "spanloom.subtree.llm_calls"


def test_nothing_below_means_no_attributes():
    """A step that called no model says nothing about tokens."""
    assert Totals(None).attributes() == {}


def test_one_call_is_counted_on_every_level():
    """Tokens and money at each level above it."""
    root = Totals(None)
    leaf = Totals(Totals(root))
    leaf.add(Contribution(3, 4, cost_usd=0.5))
    assert (
        root.attributes()
        == leaf.attributes()
        == {
            "spanloom.subtree.llm_calls": 1,
            "spanloom.subtree.input_tokens": 3,
            "spanloom.subtree.output_tokens": 4,
            "spanloom.subtree.cost": 0.5,
        }
    )


def test_tokens_that_nobody_told_are_absent_not_zero():
    """A failed call counts as a call; its tokens are unknown, and become a sum with the first call that tells some."""
    totals = Totals(None)
    totals.add(Contribution(unpriced=True))
    assert totals.attributes() == {"spanloom.subtree.llm_calls": 1, "spanloom.subtree.unpriced_calls": 1}
    totals.add(Contribution(0, 7))
    totals.add(Contribution())
    assert totals.attributes() == {
        "spanloom.subtree.llm_calls": 3,
        "spanloom.subtree.input_tokens": 0,
        "spanloom.subtree.output_tokens": 7,
        "spanloom.subtree.unpriced_calls": 1,
    }


def test_hits_and_unpriced_calls_are_counted_where_there_are_any():
    """Zero of them is left out."""
    root = Totals(None)
    root.add(Contribution(cache_hits=1))
    root.add(Contribution(5, 6, unpriced=True))
    assert root.attributes() == {
        "spanloom.subtree.llm_calls": 2,
        "spanloom.subtree.input_tokens": 5,
        "spanloom.subtree.output_tokens": 6,
        "spanloom.subtree.cache_hits": 1,
        "spanloom.subtree.unpriced_calls": 1,
    }


def test_siblings_do_not_see_each_other():
    """Only what is above."""
    root = Totals(None)
    one, other = Totals(root), Totals(root)
    one.add(Contribution(1, 1))
    assert other.attributes() == {}


@pytest.mark.parametrize("seed", range(8))
def test_sums_are_exact_under_threads(seed):
    """Random trees, random contributions, eight threads: each level has the exact sum of what is below it."""
    rng = random.Random(seed)
    nodes = [Totals(None)]
    parents = [-1]
    for _ in range(30):
        parents.append(rng.randrange(len(nodes)))
        nodes.append(Totals(nodes[parents[-1]]))
    work = [
        (rng.randrange(len(nodes)), Contribution(rng.randrange(10**6), rng.randrange(10**6), 0, rng.random() * 1e-3))
        for _ in range(2000)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: nodes[one[0]].add(one[1]), work))
    for index, node in enumerate(nodes):
        below = [one for at, one in work if is_below(at, index, parents)]
        found = node.attributes()
        if not below:
            assert found == {}
            continue
        assert found["spanloom.subtree.llm_calls"] == len(below)
        assert found["spanloom.subtree.input_tokens"] == sum(one.input_tokens for one in below)
        assert found["spanloom.subtree.output_tokens"] == sum(one.output_tokens for one in below)
        assert found["spanloom.subtree.cost"] == float(sum(Fraction(one.cost_usd or 0) for one in below))


def is_below(at, index, parents):
    """True where a node is another one or stands below it."""
    while at != -1 and at != index:
        at = parents[at]
    return at == index


def test_the_collector_may_end_a_call_in_the_middle_of_an_addition():
    """An object whose finalizer adds and reads, freed inside the lock of the same thread: no deadlock, nothing lost."""
    root = Totals(None)

    class Late:
        """Ends a span when it is collected."""

        def __del__(self):
            root.add(Contribution(1000, 0))
            root.attributes()

    class Collecting(int):
        """A count whose addition runs the collector."""

        def __radd__(self, other):
            gc.collect()
            return other + int(self)

    late = Late()
    late.self = late
    del late
    root.add(Contribution(Collecting(1), 0))
    assert root.attributes()["spanloom.subtree.input_tokens"] == 1001
    assert root.attributes()["spanloom.subtree.llm_calls"] == 2


def test_what_waits_in_a_forked_child_is_the_parents():
    """The child starts with nothing and a lock of its own."""
    before, root = _totals._lock, Totals(None)
    root.begin()
    _totals._after_fork()
    assert _totals._lock is not before
    assert not _totals._waiting
    # The call ends in the parent; one that begins here is this process's own.
    assert root.last_attributes() == {}
    root.begin()
    assert root.last_attributes() == {INCOMPLETE: True}


def test_a_fault_in_one_addition_does_not_stop_the_next():
    """What cannot be added is gone; the lock and the rest are not."""
    root = Totals(None)
    with pytest.raises(ValueError, match="NaN"):
        root.add(Contribution(1, 1, cost_usd=float("nan")))
    root.add(Contribution(2, 2))
    assert root.attributes()["spanloom.subtree.input_tokens"] == 2


def test_a_level_that_ends_before_a_call_below_says_so():
    """Whatever else it knows; a level without such a call does not."""
    root = Totals(None)
    leaf, other = Totals(Totals(root)), Totals(root)
    ticket = leaf.begin()
    assert leaf.attributes() == {}
    assert leaf.last_attributes() == {INCOMPLETE: True}
    assert other.last_attributes() == {}
    leaf.end(ticket, Contribution(1, 1))
    # The root has the call, and a level below it lacks it.
    assert root.last_attributes()[CALLS] == 1
    assert root.attributes()[INCOMPLETE] is True


def test_levels_that_end_one_after_the_other_while_a_call_is_open():
    """Each of them lacks it; one that ends later has it."""
    root = Totals(None)
    middle = Totals(root)
    leaf = Totals(middle)
    # Begun after the end of the level that it belongs to.
    assert leaf.last_attributes() == {}
    ticket = leaf.begin()
    assert middle.last_attributes() == {INCOMPLETE: True}
    leaf.end(ticket, None)
    assert root.last_attributes() == {}


def test_calls_that_have_ended_in_time_leave_no_mark():
    """Well, twice, or never made; and a tool that ends late is in no sum of the spans."""
    root = Totals(None)
    for one in (Contribution(1, 1), None):
        ticket = root.begin()
        root.end(ticket, one)
        root.end(ticket, None)
    leaf = Totals(root)
    assert leaf.last_attributes() == {}
    leaf.add(Contribution(llm_calls=0, tool_calls=1))
    assert INCOMPLETE not in root.last_attributes()


@pytest.mark.parametrize("seed", range(6))
def test_a_level_has_each_call_or_says_that_one_is_missing(seed):
    """While other threads end the calls: it is marked where its sums lack one, and nowhere else."""
    rng, found = random.Random(seed), []
    with ThreadPoolExecutor(4) as pool:
        for _ in range(150):
            root = Totals(None)
            leaf, count = Totals(root), rng.randrange(1, 5)
            ended = [pool.submit(leaf.end, leaf.begin(), Contribution(1, 1)) for _ in range(count)]
            wait(ended[: rng.randrange(count + 1)])
            told = leaf.last_attributes()
            wait(ended)
            assert told.get(INCOMPLETE, False) == (told.get(CALLS, 0) < count)
            above = root.last_attributes()
            assert above[CALLS] == count
            assert above.get(INCOMPLETE) == told.get(INCOMPLETE)
            found.append(INCOMPLETE in told)
    assert not all(found)


def test_the_collector_may_end_a_call_while_a_level_tells_its_sums():
    """What is told is either with the call in all figures, or without it and marked."""
    root = Totals(None)
    ticket = root.begin()

    class Ending(int):
        """A count that ends the call when it is looked at."""

        def __bool__(self):
            root.end(ticket, Contribution(5, 5))
            return True

    root.add(Contribution(1, 1))
    root.llm_calls = Ending(1)
    assert root.last_attributes() == {
        CALLS: 1,
        "spanloom.subtree.input_tokens": 1,
        "spanloom.subtree.output_tokens": 1,
        INCOMPLETE: True,
    }
    assert root.input_tokens == 6


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_while_another_thread_holds_the_lock():
    """The child can add: nobody would ever release the lock there."""
    held, release = threading.Event(), threading.Event()

    def hold():
        with _totals._lock:
            held.set()
            release.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(5)
    child = os.fork()
    if child == 0:
        totals = Totals(None)
        totals.add(Contribution(1, 1))
        os._exit(0 if totals.attributes() else 1)
    release.set()
    thread.join()
    for _ in range(500):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        threading.Event().wait(0.01)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 0


def test_roll_ups_reach_the_spans_above(recorder):
    """Each level has the sum below it, a cache hit is counted as a hit without tokens."""
    of = telemetry(recorder)
    workflow = KINDS["workflow"](of)
    with workflow:
        tool = KINDS["tool"](of)
        with tool:
            for hit, tokens in ((False, (10, 5)), (True, (7, 7))):
                one = inference(of)
                one.cache_hit, one.usage = hit, usage(*tokens)
                one.stop()
        tool.stop()
        lonely = KINDS["step"](of)
        lonely.stop()
    workflow.stop()
    expected = {
        "spanloom.subtree.llm_calls": 2,
        "spanloom.subtree.input_tokens": 10,
        "spanloom.subtree.output_tokens": 5,
        "spanloom.subtree.cache_hits": 1,
    }
    for name in ("invoke_workflow Program", "execute_tool search"):
        attributes = recorder.named(name).attributes
        assert {key: value for key, value in attributes.items() if "subtree" in key} == expected
    assert not [key for key in recorder.named("Predict x").attributes if "subtree" in key]
    assert not [key for span in recorder.spans if span.name == "chat m" for key in span.attributes if "subtree" in key]


def test_what_the_collector_adds_in_between_is_published(monkeypatch):
    """A call under another root that ends while sums are made is on that root's span, too."""
    recorder = Recorder()
    tracer = recorder.tracer_provider.get_tracer("theirs")
    roots = [tracer.start_span(name) for name in ("a", "b")]
    first, second = (_totals.RootTotals(root) for root in roots)
    exact = _totals._exact

    def collects(usd):
        monkeypatch.setattr(_totals, "_exact", exact)
        second.add(Contribution(input_tokens=5))
        return exact(usd)

    monkeypatch.setattr(_totals, "_exact", collects)
    first.add(Contribution(input_tokens=3, cost_usd=0.5))
    for root in roots:
        root.end()
    sums = {span.name: span.attributes["spanloom.subtree.input_tokens"] for span in recorder.spans}
    assert sums == {"a": 3, "b": 5}
    recorder.close()


def test_an_agent_whose_call_is_never_made_is_not_marked(recorder, monkeypatch):
    """A gate refused it, or Ctrl-C came while it was finished; the one that is still open marks it."""
    of = telemetry(recorder)
    monkeypatch.setattr(_registry, "gates", (lambda call: ValueError("no"),))
    monkeypatch.setattr(_registry, "finishers", (interrupted,))
    agent = KINDS["agent"](of)
    with agent:
        refused = inference(of)
        with pytest.raises(ValueError, match="no"), refused:
            pass
        refused.stop()
        with pytest.raises(KeyboardInterrupt):
            inference(of).stop()
    agent.stop()
    step = KINDS["step"](of)
    with step:
        late = inference(of)
    step.stop()
    with pytest.raises(KeyboardInterrupt):
        late.stop()
    assert INCOMPLETE not in recorder.named("invoke_agent ReAct").attributes
    assert recorder.named("Predict x").attributes[INCOMPLETE] is True


def interrupted(call):
    """A finisher in which somebody presses Ctrl-C."""
    raise KeyboardInterrupt
