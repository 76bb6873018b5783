"""``spanloom show``: which traces, from where, and what is said when there is nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.record._samples import Sample, ask, deep

from .conftest import Run

COMMAND = [sys.executable, "-c", "import sys; from spanloom.cli import main; sys.exit(main())"]


def test_the_default_record_is_the_working_directorys(run: Run) -> None:
    """``spanloom show`` right after the service ran: all traces, newest last, and where they lie."""
    shown = run("show")
    heads = [line for line in shown.lines if " UTC · " in line]
    assert shown.code == 0 and shown.err == ""
    assert [head.split(" · ")[1] for head in heads] == ["4f2a91c0", "5b10d7aa", "6c33e001", "7d44f002", "8e55a003"]
    assert f"Record: {Path('.spanloom').absolute()} (2 files, " in shown.out
    assert "One trace: spanloom show 8e55a003\n" in shown.out


def test_a_folder_or_a_file_can_be_named(run: Run, record: Path) -> None:
    """The first argument is a record if there is one of that name."""
    record.rename("elsewhere")
    assert run("show", "elsewhere").code == 0
    first = sorted(Path("elsewhere").glob("*.jsonl"))[0]
    shown = run("show", str(first))
    assert "4f2a91c0" in shown.out and "8e55a003" not in shown.out
    assert f"--record {first}" in shown.out


def test_the_variable_names_the_record(run: Run, record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same setting as the service has; ``off`` there means the usual folder here."""
    record.rename("other")
    monkeypatch.setenv("SPANLOOM_RECORD", "other")
    assert run("show").code == 0
    Path("other").rename(".spanloom")
    monkeypatch.setenv("SPANLOOM_RECORD", "OFF")
    assert run("show").code == 0


def test_several_records_at_once(run: Run) -> None:
    """Records of two machines, looked at together."""
    Path("b.jsonl").write_text(Sample(0xABCD).lines()[0] + "\n" if Sample(0xABCD).spans else "", encoding="utf-8")
    other = Sample(0xABCDEF01 << 96)
    other.span("elsewhere", None, 0, 1)
    Path("b.jsonl").write_text("\n".join(other.lines()), encoding="utf-8")
    shown = run("show", "--record", ".spanloom", "--record", "b.jsonl")
    assert "elsewhere" in shown.out and "4f2a91c0" in shown.out and "6 traces" in shown.out


@pytest.mark.parametrize("prefix", ["4f2a", "4F2A91C0", f"{0x4F2A91C0_00000000_00000000_00000001:032x}"])
def test_a_trace_by_the_beginning_of_its_id(run: Run, prefix: str) -> None:
    """Four digits or more, in either case."""
    shown = run("show", prefix)
    assert shown.code == 0 and shown.out.count(" UTC · ") == 1 and "invoke_agent ReAct" in shown.out
    assert "left out" not in shown.out


def test_an_unknown_trace(run: Run) -> None:
    """Exit code 1, and which ones there are."""
    shown = run("show", "ffff")
    assert (shown.code, shown.out) == (1, "")
    assert shown.err == "spanloom: no trace ffff in .spanloom; the newest are 5b10d7aa, 6c33e001, 7d44f002, 8e55a003\n"


def test_an_ambiguous_trace(run: Run) -> None:
    """Exit code 2, and what they are."""
    lines: list[str] = []
    for low in (1, 2, 3):
        one = Sample((0xABCD0000 + low) << 96)
        one.span("s", None, 0, 1)
        lines += one.lines()
    Path("r.jsonl").write_text("\n".join(lines), encoding="utf-8")
    shown = run("show", "abcd", "--record", "r.jsonl")
    assert shown.code == 2 and shown.out == ""
    assert shown.err == (
        "spanloom: abcd is the beginning of 3 traces (abcd0001, abcd0002, abcd0003): give more digits\n"
    )


@pytest.mark.parametrize("what", ["nowhere", "abc", "xyz1234", "f" * 33])
def test_neither_a_record_nor_a_trace(run: Run, what: str) -> None:
    """Exit code 2 and one line."""
    shown = run("show", what)
    assert shown.code == 2 and shown.out == ""
    assert shown.err == f"spanloom: {what} is no file, no folder, and no trace id (4 to 32 hex digits)\n"


def test_no_record_at_all(run: Run, record: Path) -> None:
    """The first thing many people will see: what to do."""
    record.rename("away")
    shown = run("show")
    assert shown.code == 2 and shown.err.count("\n") == 1
    assert "there is no record .spanloom: run the service" in shown.err and "--record DIR" in shown.err


def test_an_empty_record(run: Run) -> None:
    """Exit code 1."""
    Path("empty").mkdir()
    shown = run("show", "empty")
    assert (shown.code, shown.err) == (1, "spanloom: no traces in empty (0 files)\n")
    assert run("show", "empty", "--json").code == 1


def test_a_record_and_a_record(run: Run) -> None:
    """Two places at once cannot be meant."""
    shown = run("show", ".spanloom", "--record", ".spanloom")
    assert shown.code == 2 and "leave --record out" in shown.err


def test_the_last_ones(run: Run) -> None:
    """``--last`` says what it leaves out and how to see it."""
    shown = run("show", "--last", "2")
    assert shown.out.count(" UTC · ") == 2
    assert "\n3 older traces left out: --last 5 shows all\n" in shown.out
    assert "left out" not in run("show", "--last", "5").out


def test_twenty_at_most(run: Run) -> None:
    """A long record does not flood the terminal."""
    lines: list[str] = []
    for index in range(30):
        one = Sample((0xAA000000 + index) << 96, offset_s=index)
        one.span("s", None, 0, 1)
        lines += one.lines()
    Path("r.jsonl").write_text("\n".join(lines), encoding="utf-8")
    shown = run("show", "r.jsonl")
    assert shown.out.count(" UTC · ") == 20 and "10 older traces left out: --last 30 shows all" in shown.out
    assert "aa00001d" in shown.out and "aa000009" not in shown.out


def test_broken_places_are_named_and_the_rest_is_shown(run: Run, record: Path) -> None:
    """One line each on stderr, five at most."""
    (record / "20261121T090000.000000Z-3.jsonl").write_text("garbage\n" * 8, encoding="utf-8")
    shown = run("show")
    assert shown.code == 0 and "4f2a91c0" in shown.out
    lines = shown.err.splitlines()
    assert lines[0] == "spanloom: .spanloom/20261121T090000.000000Z-3.jsonl:1: not OTLP JSON, skipped"
    assert len(lines) == 6 and lines[-1] == "spanloom: and 3 more places like these"


def test_content_only_when_asked(run: Run) -> None:
    """Prompts and error messages may be private."""
    without, with_content = run("show"), run("show", "--content")
    for secret in ("You are terse", '"b": 0', "it went wrong"):
        assert secret not in without.out and secret in with_content.out
    assert "q=secret" not in with_content.out and "me:pw" not in with_content.out


def test_content_is_cut_after_a_dozen_lines(run: Run) -> None:
    """Long texts are wrapped and cut, with a word about it."""
    out = run("show", "4f2a", "--content", "--width", "60").out
    assert out.count("ZeroDivisionError ZeroDivisionError") <= 12 and "more lines: --json has all)" in out


@pytest.mark.parametrize(
    "arguments",
    [("--last", "0"), ("--last", "x"), ("--width", "10"), ("--width", "-3"), ("--color", "red"), ("--nope",)],
)
def test_bad_arguments(run: Run, arguments: tuple[str, ...]) -> None:
    """Exit code 2 and one line that names the argument."""
    shown = run("show", *arguments)
    assert shown.code == 2 and shown.out == "" and shown.err.count("\n") == 1
    assert arguments[0] in shown.err and "(see spanloom show --help)" in shown.err


def test_json_is_what_its_schema_says(run: Run) -> None:
    """Every document, and the schema itself, is valid."""
    schema = json.loads(run("show", "--json-schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    for arguments in ((), ("--content",), ("--last", "1"), ("4f2a",), ("ffff",)):
        jsonschema.validate(json.loads(run("show", "--json", *arguments).out), schema)


def test_json_figures(run: Run) -> None:
    """The figures of the sample, as numbers; unknown is null."""
    document = json.loads(run("show", "--json").out)
    assert document["schema"] == "spanloom.show/1"
    assert (document["traces_total"], document["traces_left_out"], document["record"]["problems"]) == (5, 0, [])
    first = document["traces"][0]
    assert (first["input_tokens"], first["output_tokens"]) == (812 + 640 + 702 + 817, 164 + 71 + 88 + 89)
    assert first["cost"] == {"USD": 0.00158} and first["unpriced_calls"] == 1 and first["errors"] == 1
    assert first["services"] == ["rag", "search"] and first["duration_ns"] == 1_840_000_000
    by_label = {span["label"]: span for span in first["spans"]}
    assert by_label["> GET search:8001/rank 200"]["kind"] == "client"
    assert by_label["invoke_workflow RAG"]["subtree"] == {
        "input_tokens": 2971, "output_tokens": 412, "cost": {"USD": 0.00158}, "unpriced_calls": 1,
    }  # fmt: skip
    assert by_label["execute_tool retrieve"]["subtree"] is None
    assert by_label["execute_tool divide"]["error_type"] == "ZeroDivisionError"
    assert by_label["execute_tool retrieve"]["input_tokens"] is None
    assert by_label["chat llama-4-local"]["unpriced"] and by_label["chat llama-4-local"]["cost"] is None
    assert document["traces"][4]["missing_parents"] == 2 and document["traces"][4]["spans"][0]["depth"] == 1


def test_json_keeps_content_out_unless_asked(run: Run) -> None:
    """Neither prompts nor messages of errors."""
    without = run("show", "--json").out
    assert "You are terse" not in without and "it went wrong" not in without and '"events"' not in without
    document = json.loads(run("show", "--json", "--content", "4f2a").out)
    divide = next(span for span in document["traces"][0]["spans"] if span["failed"])
    assert divide["status_message"] == "ZeroDivisionError: it went wrong"
    assert divide["attributes"]["gen_ai.tool.call.arguments"] == '{"a": 1, "b": 0}' and divide["events"] == []


def test_json_has_no_nan_and_survives_odd_text(run: Run) -> None:
    """Strict JSON in ASCII, whatever stands in the record."""
    one = Sample(0xABCDEF01 << 96)
    one.span("half \ud83d pair", None, 0, 1, {"ü": "東京"})
    line = one.lines()[0].replace('"attributes": [', '"attributes": [{"key": "n", "value": {"doubleValue": "NaN"}}, '
                                  '{"key": "l", "value": {"arrayValue": {"values": [{"doubleValue": "Infinity"}, '
                                  '{"kvlistValue": {"values": [{"key": "k", "value": {"doubleValue": "-Infinity"}}]}}'
                                  ']}}}, ')  # fmt: skip
    Path("r.jsonl").write_bytes(line.encode("utf-8", "surrogatepass").replace(b"\xed\xa0\xbd", b"\\ud83d"))
    shown = run("show", "r.jsonl", "--json")
    assert shown.code == 0 and shown.out.isascii()

    def refuse(name: str) -> None:
        raise AssertionError(name)

    (span,) = json.loads(shown.out, parse_constant=refuse)["traces"][0]["spans"]
    assert span["attributes"]["n"] == "NaN" and span["attributes"]["l"] == ["Infinity", {"k": "-Infinity"}]
    assert span["attributes"]["ü"] == "東京"
    assert run("show", "r.jsonl").code == 0


def test_escape_sequences_do_not_reach_the_terminal(run: Run) -> None:
    """Names come from requests and models."""
    one = Sample(0xABCDEF01 << 96, "svc\x1b[2J")
    one.span(
        "evil\x1b]0;owned\x07\u202etxt\nsecond line",
        None,
        0,
        1,
        {"dspy.inputs": "\x1b[31mred\r\n\x9b2J"},
        error="E\x08",
    )
    Path("r.jsonl").write_text("\n".join(one.lines()), encoding="utf-8")
    shown = run("show", "r.jsonl", "--content")
    assert not set("\x1b\x07\x08\r\x9b\u202e") & set(shown.out) and "second line" in shown.out


def test_only_the_deepest_branches_are_drawn(run: Run) -> None:
    """A tree deeper than the terminal is wide stays readable."""
    one = Sample(0xABCDEF01 << 96)
    parent = None
    for level in range(60):
        parent = one.span(f"level {level}", parent, level, 1000 - level)
    Path("r.jsonl").write_text("\n".join(one.lines()), encoding="utf-8")
    lines = run("show", "r.jsonl").lines
    assert any(line.startswith("⋯ ") and "level 59" in line for line in lines)
    assert all(len(line) <= 80 for line in lines[:62])


def test_the_terminals_width_counts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the terminal says, never below forty columns."""
    monkeypatch.setenv("COLUMNS", "120")
    assert max(len(line) for line in run("show", "5b10").lines[2:4]) > 100
    monkeypatch.setenv("COLUMNS", "5")
    assert max(len(line) for line in run("show", "5b10").lines[2:4]) <= 40


def test_colour(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never in pipes, always when forced."""
    assert "\x1b" not in run("show").out and "\x1b" not in run("show", "--color", "never").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" in run("show", "--color", "always").out


def test_a_closed_pipe_is_no_error(record: Path) -> None:
    """``spanloom show | head -1``: no trace back, no message."""
    many = [line for _ in range(200) for line in deep().lines()]
    (record / "20261121T090000.000000Z-3.jsonl").write_text("\n".join(many), encoding="utf-8")
    process = subprocess.Popen([*COMMAND, "show", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(1)
    process.stdout.close()
    assert (process.wait(30), process.stderr.read()) == (0, b"")
    process.stderr.close()


def test_a_terminal_gets_colour_and_its_width(record: Path) -> None:
    """In a real pseudo-terminal of 100 columns; with NO_COLOR none."""
    import fcntl
    import pty
    import struct
    import termios

    def shown(**environment: str) -> str:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        environment = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **environment}
        process = subprocess.Popen([*COMMAND, "show", "5b10"], stdout=slave, stderr=slave, env=environment)
        os.close(slave)
        text = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            text += part
        process.wait(30)
        os.close(master)
        return text.decode()

    coloured, plain = shown(), shown(NO_COLOR="1")
    assert "\x1b[1mPOST /chat 200\x1b[0m" in coloured and "\x1b" not in plain
    assert max(map(len, plain.splitlines()[2:4])) == 100


def test_importing_the_command_needs_neither_sdk_nor_plugins() -> None:
    """The workbench works where only the record was copied to."""
    code = (
        "import sys, spanloom.cli; "
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'spanloom.export', "
        "'spanloom.genai', 'spanloom.distro', 'openai', 'dspy', 'rich', 'urllib3'))])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_samples_ids() -> None:
    """The builder's ids are what the tests look for."""
    assert ask().trace_id.startswith("4f2a91c0")
