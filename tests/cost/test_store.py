"""Sums of budgets in memory: exact, bounded, and safe against threads, the collector and forks."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict

import pytest

from spanloom.cost import MemoryStore, Window, _store

DAY = Window(0, 86_400)
NEXT = Window(86_400, 172_800)


def test_sums_by_budget_key_and_window():
    """Each has its own; a new window begins at 0."""
    store = MemoryStore()
    assert store.add("a", ("ada",), DAY, 5) == 5
    assert store.add("a", ("ada",), DAY, 7) == 12
    assert store.add("a", ("bob",), DAY, 1) == 1
    assert store.add("b", ("ada",), DAY, 2) == 2
    assert store.spent("a", ("ada",), DAY) == 12
    assert store.spent("a", ("ada",), NEXT) == 0
    assert store.spent("a", ("eve",), DAY) == store.spent("c", (), DAY) == 0
    assert store.add("a", ("ada",), NEXT, 3) == 3


def test_what_comes_late_from_an_older_window_is_not_lost():
    """Two threads at midnight: the later sum takes what the slower one brings."""
    store = MemoryStore()
    store.add("a", (), NEXT, 3)
    assert store.add("a", (), DAY, 4) == 7
    assert store.spent("a", (), NEXT) == store.spent("a", (), DAY) == 7


def test_the_largest_come_first():
    """For the metric: as many as are asked for, of this window only."""
    store = MemoryStore()
    for number in range(10):
        store.add("a", (str(number),), DAY, number)
    store.add("a", ("later",), NEXT, 100)
    assert store.largest("a", DAY, 2) == [(("9",), 9), (("8",), 8)]
    assert store.largest("a", DAY, 0) == store.largest("b", DAY, 5) == []


def test_the_number_of_keys_is_bounded():
    """The key that nobody asked for longest goes, and is counted; another budget's keys stay."""
    store = MemoryStore(max_keys=2)
    store.add("other", ("x",), DAY, 1)
    for key in ("a", "b"):
        store.add("budget", (key,), DAY, 1)
    # Who is refused asks and adds nothing.
    assert store.spent("budget", ("a",), DAY) == 1
    store.add("budget", ("c",), DAY, 1)
    assert [store.spent("budget", (key,), DAY) for key in "abc"] == [1, 0, 1]
    assert store.dropped() == {"budget": 1}
    assert store.spent("other", ("x",), DAY) == 1


def test_nothing_is_lost_with_a_window_that_is_over():
    """Keys of yesterday make room without being counted as dropped."""
    store = MemoryStore(max_keys=1)
    store.add("a", ("x",), DAY, 1)
    store.add("a", ("y",), NEXT, 1)
    assert store.dropped() == {}


def test_threads_lose_nothing():
    """Every addition is in the sum, and no two of them get the same sum."""
    store, seen = MemoryStore(), []

    def add():
        seen.extend(store.add("a", ("k",), DAY, 3) for _ in range(500))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert store.spent("a", ("k",), DAY) == 8 * 500 * 3
    assert sorted(seen) == list(range(3, 12_001, 3))


def test_the_collector_may_end_a_call_inside_an_addition():
    """What is added in the middle of another addition, by the same thread, is neither lost nor a deadlock."""
    store, inner = MemoryStore(), []

    class Collecting(OrderedDict):
        def move_to_end(self, key, last=True):
            if not inner:
                inner.append(0)
                inner[0] = store.add("a", ("k",), DAY, 10)
            super().move_to_end(key, last)

    store._budgets["a"] = Collecting()
    assert store.add("a", ("k",), DAY, 1) == 1
    assert inner == [11]
    assert store.spent("a", ("k",), DAY) == 11


def test_a_key_may_go_while_it_is_asked_for():
    """Another thread drops it just then: the sum that was found is told."""
    store = MemoryStore()

    class Dropping(OrderedDict):
        def move_to_end(self, key, last=True):
            del self[key]
            super().move_to_end(key, last)

    store.add("a", ("k",), DAY, 1)
    store._budgets["a"] = Dropping(store._budgets["a"])
    assert store.spent("a", ("k",), DAY) == 1


def test_after_a_fork_nothing_waits():
    """What another thread was about to add is the parent's; the sums stay."""
    store = MemoryStore()
    store.add("a", (), DAY, 1)
    store._waiting.append(_store._Addition("a", (), DAY, 5))
    _store._after_fork()
    assert store.add("a", (), DAY, 1) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_worker_goes_on_with_the_sums():
    """Though another thread held the lock: the child can add, and does not begin with a fresh budget."""
    store = MemoryStore()
    store.add("a", (), DAY, 1)
    held, done = threading.Event(), threading.Event()

    def hold():
        with store._lock:
            held.set()
            done.wait()

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if store.add("a", (), DAY, 1) == 2 else 1)
    _, status = os.waitpid(child, 0)
    done.set()
    other.join()
    assert os.waitstatus_to_exitcode(status) == 0
