"""Make the Collector's sources from its manifest, with the pinned Builder."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from deploy.local import _toolchain, binaries
from deploy.local._common import StackError, say

MANIFEST = binaries.DISTRIBUTION / "manifest.yaml"
COMMITTED = binaries.DISTRIBUTION / "otelcol-spanloom"
_OUTPUT_PATH = re.compile(r"^(\s+output_path:).*$", re.MULTILINE)


def into(folder: Path) -> list[str]:
    """Write sources, go.mod and go.sum into `folder`; returns the names of the files written.

    Nothing that lies in `folder` is looked at: versions come from the manifest alone. StackError: the Builder failed.
    """
    builder = binaries.ensure("builder")["builder"]
    toolchain = _toolchain.find(say)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        manifest = Path(scratch) / "manifest.yaml"
        manifest.write_text(redirected(MANIFEST.read_text(), Path(scratch) / "made"))
        environment = dict(toolchain.environment)
        environment["GOFLAGS"] = environment["GOFLAGS"].replace("-mod=readonly", "-mod=mod")  # it writes go.mod
        environment["PATH"] = f"{toolchain.go.parent}{os.pathsep}{environment.get('PATH', '')}"
        command = [str(builder), "--config", str(manifest), "--skip-compilation"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(f"the Builder failed on {MANIFEST}:\n{(done.stdout + done.stderr)[-2000:]}")
        made = sorted((Path(scratch) / "made").iterdir())
        for path in made:
            (folder / path.name).write_bytes(path.read_bytes())
    return [path.name for path in made]


def redirected(manifest: str, folder: Path) -> str:
    """The manifest with another output folder; StackError where it names none."""
    changed, count = _OUTPUT_PATH.subn(lambda found: f"{found.group(1)} {folder}", manifest)
    if count != 1:
        raise StackError(f"{MANIFEST} names {count} output paths and should name one")
    return changed
