"""One engine and one image for all tests that need them."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from deploy.local._common import ROOT
from tests.deploy import _engine


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A Docker engine that answers."""
    with pytest.MonkeyPatch.context() as patch:
        # testcontainers would fetch an image that clears away after crashed runs; here fixtures do.
        patch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
        try:
            with _engine.engine() as client:
                yield client
        except _engine.NoEngine as missing:
            pytest.fail(str(missing))


@pytest.fixture(scope="session")
def context(tmp_path_factory) -> Path:
    """Where the image was built from."""
    return tmp_path_factory.mktemp("image") / "context"


@pytest.fixture(scope="session")
def image(engine, context) -> Iterator[str]:
    """The Collector's image, built with the command that a person would type."""
    tag = f"spanloom-test:{secrets.token_hex(4)}"
    command = [sys.executable, "-m", "deploy.docker.build", "--tag", tag, "--context", str(context)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"image: {tag}" in done.stdout
    yield tag
    engine.images.remove(tag, force=True)
