"""What is committed is what the manifest generates, and it is no more than the configuration uses."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.local import _generate, _toolchain, binaries
from deploy.local._common import StackError

CONFIGURATION = yaml.safe_load((binaries.ROOT / "collector_config" / "spanloom.yaml").read_text())
MODULES = [target.module for target in binaries.TARGETS]


def go(*arguments: str, module: Path) -> subprocess.CompletedProcess[str]:
    toolchain = _toolchain.find(print)
    environment = {**toolchain.environment, "GOFLAGS": "-buildvcs=false"}
    command = [str(toolchain.go), *arguments]
    return subprocess.run(command, cwd=module, env=environment, capture_output=True, text=True, check=False)


def test_committed_sources_are_what_the_manifest_generates(programs: dict[str, Path], tmp_path: Path) -> None:
    """The pinned Builder, run on the manifest in an empty folder, gives the committed files byte for byte."""
    made = _generate.into(tmp_path)
    committed = {path.name: path.read_bytes() for path in _generate.COMMITTED.iterdir()}
    assert {"main.go", "components.go", "go.mod", "go.sum"} <= set(made)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == committed


def test_a_change_of_the_manifest_is_noticed(
    programs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One component fewer in the manifest gives other sources, so the comparison above can fail."""
    manifest = tmp_path / "manifest.yaml"
    lines = _generate.MANIFEST.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if "debugexporter" not in line))
    monkeypatch.setattr(_generate, "MANIFEST", manifest)
    _generate.into(tmp_path / "made")
    changed = (tmp_path / "made" / "components.go").read_text()
    assert "debugexporter" not in changed
    assert "debugexporter" in (_generate.COMMITTED / "components.go").read_text()


def test_a_manifest_without_output_path_is_refused(tmp_path: Path) -> None:
    """Nothing is generated over the committed sources by mistake."""
    with pytest.raises(StackError, match="names 0 output paths"):
        _generate.redirected("dist:\n  name: x\n", tmp_path)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_go_modules_are_tidy(programs: dict[str, Path], module: Path) -> None:
    """`go mod tidy` would change nothing. The committed sums are compared by the build itself (-mod=readonly)."""
    tidy = go("mod", "tidy", "-diff", module=module)
    assert (tidy.returncode, tidy.stdout) == (0, ""), tidy.stderr


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_go_modules_ask_for_no_other_toolchain(module: Path) -> None:
    """With GOTOOLCHAIN=local a `toolchain` line, or a newer `go` line, would stop the build."""
    text = (module / "go.mod").read_text()
    asked = re.search(r"^go (\d+)\.(\d+)", text, re.MULTILINE)
    assert asked is not None
    assert tuple(map(int, asked.groups())) <= _toolchain.MINIMUM
    assert not re.search(r"^toolchain ", text, re.MULTILINE)


def components(programs: dict[str, Path]) -> dict[str, set[str]]:
    """What the binary says it contains: section → component names."""
    command = [str(programs["otelcol-spanloom"]), "components"]
    listed = yaml.safe_load(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    sections = ("extensions", "receivers", "processors", "exporters", "connectors")
    return {section: {str(one["name"]) for one in listed[section]} for section in sections}


def test_the_binary_holds_what_the_configuration_uses_and_nothing_else(programs: dict[str, Path]) -> None:
    """Types used in spanloom.yaml and components compiled in are the same sets, in every section."""
    inside = components(programs)
    used = {section: {name.partition("/")[0] for name in CONFIGURATION[section]} for section in inside}
    assert inside == used


def test_the_binary_is_static_and_has_our_name(programs: dict[str, Path]) -> None:
    """It says who it is, and needs no dynamic loader: the image is made FROM scratch."""
    binary = programs["otelcol-spanloom"]
    version = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=True).stdout
    assert version == "otelcol-spanloom version 0.1.0\n"
    assert b"/lib64/ld-linux" not in binary.read_bytes()[:4096]
