"""python -m deploy.docker.build: everything that goes into the Collector's image, then the image itself.

The image has one layer, an archive that is made here and not by the Docker builder: same sources, same bytes, whoever
builds it and wherever. It is `FROM scratch`: nothing is fetched, and nothing is in it that we did not put there.
"""

from __future__ import annotations

import argparse
import io
import shutil
import struct
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import certifi

from deploy.local import binaries
from deploy.local._common import ROOT, StackError, put_in_place, say, scratch_beside

IMAGE = "otelcol-spanloom:0.1.0"
CONTEXT = ROOT / "build" / "image"
USER = 10001  # what the official Collector images use too; the chart and the queue's volume rely on it

_DOCKERFILE = Path(__file__).with_name("Dockerfile")
_CONFIGURATION = ROOT / "collector_config" / "spanloom.yaml"
_PRICES = ROOT / "collector_config" / "prices.yaml"
_TIME = 315532800  # 1980-01-01: one time stamp for every file
_ELF64_LITTLE = b"\x7fELF\x02\x01"
_MACHINES = {62: "amd64", 183: "arm64"}
_NEEDS_A_LOADER = 3  # PT_INTERP: the program names a dynamic loader, which the image does not have


@dataclass(frozen=True)
class Entry:
    """One folder (`content` is None) or file of the image."""

    path: str
    mode: int
    owner: int = 0
    content: bytes | None = None


def entries(program: bytes, configuration: bytes, authorities: bytes, prices: bytes) -> list[Entry]:
    """All that is in the image, parents first. Only the queue's folder belongs to the user who runs."""
    return [
        *(Entry(folder, 0o755) for folder in ("etc", "etc/spanloom", "etc/ssl", "etc/ssl/certs")),
        *(Entry(folder, 0o755) for folder in ("usr", "usr/share", "usr/share/spanloom")),
        *(Entry(folder, 0o755) for folder in ("var", "var/lib", "var/lib/spanloom")),
        Entry("etc/spanloom/spanloom.yaml", 0o644, content=configuration),
        Entry("etc/ssl/certs/ca-certificates.crt", 0o644, content=authorities),
        Entry("otelcol-spanloom", 0o755, content=program),
        Entry("usr/share/spanloom/prices.yaml", 0o644, content=prices),
        Entry("var/lib/spanloom/queue", 0o700, owner=USER),
    ]


def archive(what: Sequence[Entry]) -> bytes:
    """A tar archive that depends on nothing but `what`: no clock, no umask, no names of users."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for entry in what:
            header = tarfile.TarInfo(entry.path)
            header.type = tarfile.DIRTYPE if entry.content is None else tarfile.REGTYPE
            header.mode, header.mtime = entry.mode, _TIME
            header.uid = header.gid = entry.owner
            header.size = len(entry.content or b"")
            tar.addfile(header, io.BytesIO(entry.content or b""))
    return packed.getvalue()


def architecture(program: bytes) -> str:
    """ "amd64" or "arm64". StackError: it could not run in an image that holds nothing else."""
    if program[:6] != _ELF64_LITTLE:
        raise StackError("it is no 64-bit Linux program")
    (machine,) = struct.unpack_from("<H", program, 18)
    if machine not in _MACHINES:
        raise StackError(f"its processor (ELF machine {machine}) is neither amd64 nor arm64")
    (headers,) = struct.unpack_from("<Q", program, 32)
    size, count = struct.unpack_from("<HH", program, 54)
    if _NEEDS_A_LOADER in {struct.unpack_from("<I", program, headers + n * size)[0] for n in range(count)}:
        raise StackError("it is linked dynamically and the image has no libraries; build it with CGO_ENABLED=0")
    return _MACHINES[machine]


def stage(context: Path, binary: Path | None = None) -> str:
    """Write the Docker build context into `context`, replacing it; returns the image's architecture.

    `binary`: a Collector for Linux, by default the one that `deploy.local.binaries` builds for this machine.
    StackError: it cannot be read, or could not run in the image.
    """
    program = _read(binary or binaries.ensure("otelcol-spanloom")["otelcol-spanloom"])
    try:
        kind = architecture(program)
    except StackError as error:
        cure = "give one built for Linux with --binary (how: deploy/README.md)"
        raise StackError(f"the Collector does not fit into the image: {error}; {cure}") from error
    authorities = Path(certifi.where()).read_bytes()
    content = entries(program, _CONFIGURATION.read_bytes(), authorities, _PRICES.read_bytes())
    with scratch_beside(context) as scratch:
        (scratch / "rootfs.tar").write_bytes(archive(content))
        shutil.copyfile(_DOCKERFILE, scratch / "Dockerfile")
        put_in_place(scratch, context)
    return kind


def build(context: Path, kind: str, tag: str) -> None:
    """`docker build` a staged context for linux/`kind`. StackError: there is no docker, or it fails."""
    docker = shutil.which("docker")
    if docker is None:
        cure = "install Docker (Debian: apt-get install docker.io), or build with another tool from there"
        raise StackError(f"there is no `docker` on the PATH; the build context is in {context}: {cure}")
    # For another processor than the engine's this takes BuildKit; the builder before it says that it cannot.
    command = [docker, "build", "--platform", f"linux/{kind}", "--tag", tag, str(context)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"`{' '.join(command)}` failed:\n{(done.stderr or done.stdout).strip()[-2000:]}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Stage and build; 0 when all is well, 1 with one message on stderr when not."""
    options = _parser().parse_args(arguments)
    try:
        kind = stage(options.context, options.binary)
        say(f"build context: {options.context} (linux/{kind})")
        if not options.stage_only:
            build(options.context, kind, options.tag)
            say(f"image: {options.tag}")
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.docker.build", description="The Collector's image.")
    parser.add_argument("--tag", default=IMAGE, help=f"name of the image ({IMAGE})")
    parser.add_argument("--binary", type=Path, help="a Linux Collector; by default the one of the local stack")
    parser.add_argument("--context", type=Path, default=CONTEXT, help="folder to make and build from (build/image)")
    parser.add_argument("--stage-only", action="store_true", help="make the folder and stop")
    return parser


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StackError(f"cannot read the Collector {path}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
