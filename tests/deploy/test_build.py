"""What goes into the image, without any Docker: the archive, the refusals, the version that is written down."""

from __future__ import annotations

import importlib.metadata
import io
import ssl
import struct
import tarfile

import certifi
import pytest

from deploy.docker import build
from deploy.local import binaries
from deploy.local._common import StackError


def elf(machine: int = 62, *segments: int) -> bytes:
    """The start of a 64-bit Linux program with these program headers."""
    header = b"\x7fELF\x02\x01".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56,
                                                              len(segments), 0, 0, 0)  # fmt: skip
    return header + b"".join(struct.pack("<I", kind).ljust(56, b"\0") for kind in segments)


def packed() -> tarfile.TarFile:
    """The archive of four stand-in files."""
    made = build.entries(b"program", b"configuration", b"authorities", b"prices")
    return tarfile.open(fileobj=io.BytesIO(build.archive(made)))


def test_the_archive_depends_on_its_content_only():
    """Packed twice it is equal, and another program gives another archive."""
    first, second, other = (build.archive(build.entries(program, b"c", b"a", b"p")) for program in (b"p", b"p", b"q"))
    assert first == second != other


def test_only_the_queue_belongs_to_the_user_who_runs():
    """Everything else is root's and not writable by anybody else."""
    for member in packed():
        if member.name == "var/lib/spanloom/queue":
            assert (member.uid, member.gid, member.mode) == (build.USER, build.USER, 0o700)
        else:
            assert (member.uid, member.gid, member.mode & 0o022) == (0, 0, 0), member.name


def test_every_folder_is_listed_before_what_is_in_it():
    """A folder that the archive does not have would be made by the builder, with the time of the build."""
    seen: set[str] = set()
    for member in packed():
        assert member.name.rpartition("/")[0] in seen | {""}
        seen.add(member.name)


def test_the_authorities_are_usable():
    """The staged file is a bundle that TLS can be verified with."""
    assert len(ssl.create_default_context(cafile=certifi.where()).get_ca_certs()) > 100


@pytest.mark.parametrize(("machine", "name"), [(62, "amd64"), (183, "arm64")])
def test_the_architecture_is_read_from_the_program(machine, name):
    """A program built for another processor gives an image for that one."""
    assert build.architecture(elf(machine, 1, 1)) == name


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (b"\xcf\xfa\xed\xfe" + bytes(100), "no 64-bit Linux program"),
        (b"", "no 64-bit Linux program"),
        (elf(8), "neither amd64 nor arm64"),
        (elf(62, 1, 3), "linked dynamically"),
    ],
)
def test_a_program_that_could_not_run_is_refused(tmp_path, program, says):
    """The message says what is wrong, and how to give another one; nothing is staged."""
    binary = tmp_path / "collector"
    binary.write_bytes(program)

    with pytest.raises(StackError, match=f"(?s){says}.*--binary"):
        build.stage(tmp_path / "context", binary)
    assert not (tmp_path / "context").exists()


def test_a_missing_program_is_named(tmp_path, capsys):
    """The command ends with 1 and one line."""
    assert build.main(["--binary", str(tmp_path / "none"), "--stage-only"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [f"error: cannot read the Collector {tmp_path / 'none'}: No such file or directory"]


def test_without_docker_the_context_is_still_made(tmp_path, capsys, monkeypatch):
    """Who has another builder is told where to point it."""
    binary = binaries.ensure("otelcol-spanloom")["otelcol-spanloom"]
    monkeypatch.setenv("PATH", str(tmp_path))

    assert build.main(["--binary", str(binary), "--context", str(tmp_path / "context")]) == 1
    assert {path.name for path in (tmp_path / "context").iterdir()} == {"Dockerfile", "rootfs.tar"}
    assert f"there is no `docker` on the PATH; the build context is in {tmp_path}" in capsys.readouterr().err


def test_the_version_is_that_of_the_distribution():
    """The image's name and its label carry the version of the Python package."""
    version = importlib.metadata.version("spanloom")
    dockerfile = build._DOCKERFILE.read_text()

    assert f"otelcol-spanloom:{version}" == build.IMAGE
    assert f'image.version="{version}"' in dockerfile
