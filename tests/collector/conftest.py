"""The real programs, built once into the cache folder: these tests never skip for want of a binary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local import binaries
from deploy.local.supervisor import Stack

Up = Callable[..., Stack]


@pytest.fixture(scope="session")
def programs() -> dict[str, Path]:
    """Paths of everything that is built from Go here."""
    return binaries.ensure(*(name for target in binaries.TARGETS for name in target.programs))


@pytest.fixture
def up(programs: dict[str, Path], tmp_path: Path) -> Iterator[Up]:
    """Start stacks in folders below the test's own; whatever runs at its end is stopped."""
    started: list[Stack] = []

    def start(state_dir: Path = tmp_path / "stack", **settings: object) -> Stack:
        stack = Stack.up(state_dir=state_dir, **{"usual_ports": False, **settings})
        started.append(stack)
        return stack

    yield start
    for stack in started:
        stack.down()
