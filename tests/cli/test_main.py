"""The command itself: subcommands of ours and of others, versions, exit codes."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from spanloom.cli import Command, UsageError, _collector_config, _main, main
from spanloom.cost import reset_overrides

from .conftest import Run

REPOSITORY = Path(__file__).parents[2]

MODULE = """
import argparse
from spanloom.cost import reset_overrides
from spanloom.cli import Command
def configure(parser): parser.add_argument("--n", type=int, default=1)
def run(arguments): print("n is", arguments.n); return arguments.n
fine = Command("Somebody else's command.", configure, run)
no_command = 7
def __getattr__(name):
    if name == "leaves": raise SystemExit(9)
    if name == "raises": raise type("Strange", (Exception,), {})("its own kind")
    raise AttributeError(name)
"""


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed distribution with good and broken subcommands, one of them with our name."""
    (tmp_path / "third_party_tools.py").write_text(MODULE)
    info = tmp_path / "third_party-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    names = {
        "fine": "third_party_tools:fine", "gone": "no_such_module:x", "leaves": "third_party_tools:leaves",
        "raises": "third_party_tools:raises", "odd": "third_party_tools:no_command", "show": "third_party_tools:fine",
    }  # fmt: skip
    lines = [f"{name} = {target}" for name, target in names.items()]
    (info / "entry_points.txt").write_text("[spanloom_command]\n" + "\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("third_party_tools", None)


def test_version(run: Run) -> None:
    """``spanloom --version``"""
    shown = run("--version")
    assert (shown.code, shown.out) == (0, f"spanloom {version('spanloom')}\n")


def test_help_lists_the_commands(run: Run) -> None:
    """With a word on each."""
    shown = run("--help")
    assert shown.code == 0
    assert "  show              Print the recorded traces as trees" in shown.out
    assert "  collector-config  Print the Collector configuration" in shown.out


def test_nothing_to_do_is_bad_input(run: Run) -> None:
    """Without a command: the overview, and exit code 2."""
    shown = run()
    assert shown.code == 2 and "commands:" in shown.out


def test_an_unknown_command(run: Run) -> None:
    """One line with the ones there are."""
    shown = run("shwo")
    assert shown.code == 2 and shown.out == ""
    assert (
        shown.err
        == "spanloom: no command 'shwo'; there are collector-config, price, sampling, show (see spanloom --help)\n"
    )


def test_an_unknown_option(run: Run) -> None:
    """One line."""
    shown = run("--nope")
    assert shown.code == 2 and shown.err.count("\n") == 1 and "--nope" in shown.err


def test_help_of_a_command(run: Run) -> None:
    """Every option is explained."""
    shown = run("show", "--help")
    assert shown.code == 0
    assert all(option in shown.out for option in ("--record", "--json", "--last", "--width", "--color", "--content"))


def test_other_peoples_commands_work(run: Run, third_party: None) -> None:
    """Found through the entry-point group, with arguments and exit code of their own."""
    shown = run("fine", "--n", "7")
    assert (shown.code, shown.out) == (7, "n is 7\n")
    assert "Somebody else's command. [third-party]" in run("--help").out


def test_broken_commands_are_named_and_break_nothing(run: Run, third_party: None) -> None:
    """Whatever they raise: the others run, the overview tells which package it is."""
    shown = run("--help")
    assert shown.code == 0
    told = {line.split()[0]: line for line in shown.lines if "[third-party]" in line}
    assert "does not load (ModuleNotFoundError: No module named 'no_such_module')" in told["gone"]
    assert "does not load (SystemExit: 9)" in told["leaves"]
    assert "does not load (Strange: its own kind)" in told["raises"]
    assert "does not load (third_party_tools:no_command is no spanloom.cli.Command)" in told["odd"]
    assert run("show", "--last", "1").code == 0
    broken = run("raises")
    assert broken.code == 2
    assert broken.err == (
        "spanloom: the subcommand raises of the package third-party does not load (Strange: its own kind)\n"
    )


def test_our_commands_win(run: Run, third_party: None) -> None:
    """Nobody takes ``show`` away."""
    assert "4f2a91c0" in run("show").out


def test_usage_errors_of_a_command_are_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands raise UsageError for bad input."""

    def refuse(_: argparse.Namespace) -> int:
        raise UsageError("that cannot be: do this")

    monkeypatch.setattr(_main, "load", lambda _: Command("h", lambda _: None, refuse))
    shown = run("show")
    assert (shown.code, shown.err) == (2, "spanloom: that cannot be: do this\n")


def test_ctrl_c_is_quiet(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 130, as shells expect."""

    def interrupt(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(_main, "load", lambda _: Command("h", lambda _: None, interrupt))
    shown = run("show")
    assert (shown.code, shown.out, shown.err) == (130, "", "")


def test_the_collectors_configuration(run: Run) -> None:
    """The checkout's own file, which an editable install has an older copy of."""
    shown = run("collector-config")
    assert shown.code == 0
    assert shown.out == (REPOSITORY / "collector_config" / "spanloom.yaml").read_text(encoding="utf-8")


def test_the_collectors_price_table(run: Run, tmp_path: Path) -> None:
    """All names of the shipped file, priced as of now, by one's own rules; a mistake in those is exit code 2."""
    shipped = (REPOSITORY / "collector_config" / "prices.yaml").read_text(encoding="utf-8")
    own = tmp_path / "mine.yaml"
    own.write_text("version: 1\nprices: [{match: {provider: openai, model: gpt-4o}, discount: 0.5}]\n")
    shown = run("collector-config", "--prices", str(own))
    reset_overrides()
    assert shown.code == 0
    assert '"openai/gpt-4o": {input: 1.25, output: 5.0, cache_read: 0.625}' in shown.out.splitlines()
    assert '"version": "genai-prices 0.2.3 of 2026-11-10, own prices ' in shown.out
    keys = [[line.partition('": ')[0] for line in text.splitlines()] for text in (shipped, shown.out)]
    assert keys[0] == keys[1]
    own.write_text("version: 1\nprices: [{match: {provider: openai}, discont: 0.5}]\n")
    broken = run("collector-config", "--prices", str(own))
    assert broken.code == 2 and "mine.yaml:2: prices[0].discont: no such field" in broken.err


def test_the_collectors_configuration_from_a_wheel(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed, it is package data; without it one line says what to do."""
    installed = tmp_path / "site-packages" / "spanloom"
    monkeypatch.setattr(_collector_config, "find_spec", lambda _: _Namespace([str(installed)]))
    shown = run("collector-config")
    assert shown.code == 2 and "reinstall spanloom" in shown.err
    data = installed / "distro" / "collector_config"
    data.mkdir(parents=True)
    (data / "spanloom.yaml").write_text("packaged: true\n")
    assert run("collector-config").out == "packaged: true\n"
    monkeypatch.setattr(_collector_config, "find_spec", lambda _: None)
    assert run("collector-config").code == 2


class _Namespace:
    def __init__(self, roots: list[str]) -> None:
        self.submodule_search_locations: Any = roots


def test_the_collectors_configuration_starts_no_distribution() -> None:
    """Nothing of ``spanloom.distro`` is imported to print a file."""
    code = (
        "import sys; from spanloom.cli import main; main(['collector-config']); print('spanloom.distro' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


def test_the_console_script(record: Path) -> None:
    """The installed command, as people type it."""
    script = Path(sys.executable).with_name("spanloom")
    done = subprocess.run([script, "show", "--last", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "8e55a003" in done.stdout and done.stderr == ""


def test_main_takes_the_arguments_of_the_process(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the console script calls it."""
    monkeypatch.setattr(sys, "argv", ["spanloom", "show", "--last", "1"])
    assert main() == 0
