"""The benchmark harness: it runs with every contender, and its table counts right. No figure is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as command
from tests.benchmarks import hooks, sampling, tools
from tests.benchmarks._bars import BARS, CPU, MEMORY, MODULES, NEVER, PER_CHUNK, USES, WALL
from tests.benchmarks._contenders import CONTENDERS
from tests.benchmarks._run import Result, WorkerProcess, check_spans
from tests.benchmarks._startup import Start
from tests.benchmarks._table import MISS, PASS, Row, misses, render, rows
from tests.benchmarks.cases import BARE, FLOOR, OFF, OFFICIAL, ON, OURS, PRICED, all_cases
from tests.benchmarks.cases.span import YARDSTICK

CASES = all_cases()
CHAT, STREAM = "openai chat", "openai stream"


def result(
    case: str, contender: str, us: float | None, bare_us: float | None = 1000, setting: str = OFF.name
) -> Result:
    return Result(case, setting, contender, us, bare_us, spans=1, calls=10, blocks=3)


def row(results: list[Result], starts: list[Start] | None = None) -> Row:
    """The last row of the table."""
    return rows(results, starts or [], CASES)[-1]


def test_a_quick_run_measures_every_case_with_every_contender(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Environments are built, workers answer, all record, the start is measured, and table and JSON are complete."""
    target = tmp_path / "bench.json"
    assert command.main(["--quick", "--json", str(target)]) == 0
    made = json.loads(target.read_text(encoding="utf-8"))
    calls = [one for one in made["results"] if "us" in one]
    assert {(one["case"], one["setting"], one["contender"]) for one in calls} == {
        (case.name, setting.name, contender)
        for case in CASES.values()
        for setting in case.settings
        for contender in case.contenders
    }
    assert [one for one in calls if one["us"] is None] == [], "a contender that records nothing"
    assert {(row["case"], row["setting"]) for row in made["rows"]} >= BARS.keys()
    starts = {
        (one["case"], one["measure"], one["contender"]): one["value"] for one in made["results"] if "value" in one
    }
    assert len(starts) == 2 * 4 * 4
    assert starts[NEVER, MODULES, OURS] == 0
    assert starts[USES, MODULES, BARE] > 0
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in CASES)


def test_every_case_has_its_contenders() -> None:
    """Each case's library is installed for each of its contenders, and each shorter stream exists in its settings."""
    for case in CASES.values():
        for contender in case.contenders:
            assert (case.library, contender) in CONTENDERS, case.name
        if case.shorter:
            assert CASES[case.shorter].settings == case.settings, case.name
            assert CASES[case.shorter].chunks < case.chunks, case.name


def test_every_bar_is_that_of_a_row() -> None:
    """No bar is lost by a wrong name: each belongs to a case and setting, a stream's chunk, or a start."""
    named = {(case.name, setting.name) for case in CASES.values() for setting in case.settings}
    named |= {(f"{case.name}{PER_CHUNK}", one.name) for case in CASES.values() if case.shorter for one in case.settings}
    named |= {(case, measure) for case in (USES, NEVER) for measure in (CPU, WALL, MEMORY, MODULES)}
    assert BARS.keys() - named == set()


def test_added_time_is_the_difference_to_the_bare_call_of_the_same_process() -> None:
    """Added is instrumented less bare, each with its own; the ratios compare what is added."""
    made = row(
        [
            result(CHAT, OFFICIAL, 1200, 1000),
            result(CHAT, OURS, 1000, 900),
            result(CHAT, PRICED, 1050, 910),
            result(CHAT, FLOOR, 980, 900),
        ]
    )
    assert made.as_dict() == {
        "case": CHAT,
        "setting": OFF.name,
        "bare": 900,
        "noise": 100,
        "official_added": 200,
        "ours_added": 100,
        "ours+cost_added": 140,
        "floor_added": 80,
        "ours_to_official": 0.5,
        "bar": 0.62,
        "verdict": PASS,
        "ours_to_floor": 1.25,
    }


def test_a_case_without_a_bare_call_has_its_absolute_figure() -> None:
    """The yardstick and the price finisher are no instrumentation of anything."""
    assert row([result("cost finisher", OURS, 5, None)]).added(OURS) == 5


def test_a_chunk_costs_the_difference_of_two_streams() -> None:
    """What 198 more chunks add, by 198, for the bare stream and for each contender."""
    short = f"{STREAM}, short"
    made = rows(
        [
            result(STREAM, OFFICIAL, 30_000 + 10_200, 30_000),
            result(STREAM, OURS, 30_000 + 1_190, 30_000),
            result(short, OFFICIAL, 1_290 + 300, 1_290),
            result(short, OURS, 1_290 + 200, 1_290),
        ],
        [],
        CASES,
    )
    (chunk,) = [one for one in made if one.case == STREAM + PER_CHUNK]
    assert (chunk.bare, chunk.added(OFFICIAL), chunk.added(OURS)) == (145, 50, 5)
    assert (chunk.to_official, chunk.verdict) == (0.1, PASS)
    assert [one.case for one in made] == [STREAM, STREAM + PER_CHUNK, short]


@pytest.mark.parametrize(
    ("official", "ours", "verdict"), [(1200, 1124, PASS), (1200, 1125, MISS), (1200, None, MISS), (999, 990, MISS)]
)
def test_a_bar_is_passed_or_missed(official: float, ours: float | None, verdict: str) -> None:
    """0.62 of what the official package adds, and no more; what cannot be compared is no pass."""
    made = row([result(CHAT, OFFICIAL, official), result(CHAT, OURS, ours)])
    assert made.verdict == verdict
    assert misses([made]) == ([made] if verdict == MISS else [])


def test_a_row_without_a_bar_has_no_verdict() -> None:
    """Cases that are only for information neither pass nor fail."""
    made = row([result("openai chat async", OFFICIAL, 1200), result("openai chat async", OURS, 1900)])
    assert made.verdict is None
    assert misses([made]) == []


@pytest.mark.parametrize(("ours_ms", "modules", "verdicts"), [(164, 0, [PASS, PASS]), (166, 1, [MISS, MISS])])
def test_a_process_that_never_calls_a_model_is_judged_above_the_loader(
    ours_ms: float, modules: float, verdicts: list[str]
) -> None:
    """Five milliseconds above what OpenTelemetry's own loader costs, and no module of openai."""

    def start(measure: str, contender: str, value: float) -> Start:
        return Start(NEVER, measure, contender, value, starts=3)

    figures = [(CPU, BARE, 100.0), (CPU, OFFICIAL, 800.0), (CPU, OURS, ours_ms), (CPU, FLOOR, 160.0)]
    figures += [(MODULES, BARE, 0), (MODULES, OFFICIAL, 500), (MODULES, OURS, modules), (MODULES, FLOOR, 0)]
    made = rows([], [start(*one) for one in figures], CASES)
    assert [one.verdict for one in made] == verdicts
    assert made[0].added(OFFICIAL) == 700


def test_the_table_shows_what_is_missing_as_a_dash() -> None:
    """A contender that records nothing has no figure and no ratio, and the bar is missed."""
    made = rows([result(CHAT, OFFICIAL, 1200), result(CHAT, OURS, None), result(CHAT, FLOOR, None)], [], CASES)
    line = render(made).splitlines()[2].removeprefix(CHAT).split()
    assert line == ["content", "off", "1,000", "±0.00", "200", "-", "-", "-", "≤", "0.62", MISS, "-", "-"]


@pytest.mark.parametrize(("load", "says"), [(1.9, None), (6.25, "load 6.2 on 2 cores")])
def test_a_busy_machine_is_mentioned(load: float, says: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more runs than there are cores, the figures are to be taken with care."""
    monkeypatch.setattr(command.os, "getloadavg", lambda: (load, 0, 0))
    monkeypatch.setattr(command.os, "cpu_count", lambda: 2)
    told = command.busy_machine()
    assert told is None if says is None else says in (told or "")


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--check"], 1)])
def test_a_missed_bar_is_printed_and_fails_only_a_check(
    options: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``make bench`` prints MISS and succeeds; ``--check`` gives 1."""
    slow = [result(CHAT, OFFICIAL, 1200), result(CHAT, OURS, 1190)]
    monkeypatch.setattr(command, "measure", lambda cases, effort: iter(slow))
    assert command.main(["--only", CHAT, *options]) == code
    assert f"Bars missed: {CHAT}, {OFF.name}." in capsys.readouterr().out


def test_a_check_with_all_bars_met_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """``--check`` gives 0 where nothing is missed."""
    fast = [result(CHAT, OFFICIAL, 1200, setting=ON.name), result(CHAT, OURS, 1100, setting=ON.name)]
    monkeypatch.setattr(command, "measure", lambda cases, effort: iter(fast))
    assert command.main(["--only", CHAT, "--check"]) == 0


@pytest.mark.parametrize(("contender", "made"), [(OFFICIAL, 0.5), (FLOOR, 0)])
def test_a_contender_that_records_too_little_is_refused(contender: str, made: float) -> None:
    """Without spans from those that we compare with, the comparison is worthless."""
    with pytest.raises(RuntimeError, match=rf"openai chat: {contender} made {made:g} spans a call, wanted at least 1"):
        check_spans(CASES[CHAT], contender, made, 0)


@pytest.mark.parametrize("contender", [OURS, PRICED])
def test_where_ours_records_nothing_that_is_the_result(contender: str) -> None:
    """No span of ours is a miss in the table, and the other cases are measured all the same."""
    assert check_spans(CASES[CHAT], contender, 0, 0) is None
    assert check_spans(CASES[CHAT], contender, 1, 0) == 1


@pytest.mark.parametrize("contender", [OURS, OFFICIAL, FLOOR])
def test_an_instrumentation_that_cannot_be_switched_off_is_refused(contender: str) -> None:
    """Spans of a call that counts as bare stop the run."""
    with pytest.raises(RuntimeError, match=rf"openai chat: {contender} made 1 spans a call after it was switched off"):
        check_spans(CASES[CHAT], contender, 1, 1)


def test_a_worker_that_ends_is_named() -> None:
    """A worker that dies gives an error with its name and the request."""
    process = subprocess.Popen([sys.executable, "-c", "pass"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.wait()
    with pytest.raises(RuntimeError, match=r"worker openai/ours ended at \{'run': 'x'\}"):
        WorkerProcess(process, "openai/ours").ask(run="x")
    process.communicate()


def test_an_unknown_case_names_the_known_ones() -> None:
    """A typing error in ``--only`` lists what there is."""
    with pytest.raises(SystemExit, match=r"--only caht: no such case; there are: .*openai chat.*start-up"):
        command.chosen_cases(["caht"])


def test_only_what_is_asked_for_is_measured() -> None:
    """The yardstick always runs, a stream brings its short one, and the start is chosen by its name."""
    assert [case.name for case in command.chosen_cases(["cache hit"])] == [YARDSTICK, "dspy cache hit"]
    assert [case.name for case in command.chosen_cases(["responses stream"])] == [
        YARDSTICK, "openai responses stream", "openai responses stream, short",
    ]  # fmt: skip
    assert [case.name for case in command.chosen_cases(["start-up"])] == [YARDSTICK]
    assert command.start_is_chosen(["start-up"])
    assert not command.start_is_chosen(["predict"])


def test_the_hooks_are_measured(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its figure and its bar."""
    monkeypatch.setattr(hooks, "measure", lambda: {"gates": 0.1, "finishers": 0.4})
    hooks.main()
    assert [line.rsplit(" ", 1)[1] for line in capsys.readouterr().out.splitlines()] == ["PASS", "MISS"]
    monkeypatch.undo()
    assert set(hooks.measure(blocks=1, calls=5)) == {"gates", "finishers"}


def test_tools_are_measured(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each bar, in the time of a bare span."""
    bare = {"bare span": 10.0, "bare span, not sampled": 5.0}
    monkeypatch.setattr(tools, "measure", lambda: {**bare, **dict.fromkeys(tools.BARS, 4.0)})
    tools.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(" ")[2] for line in lines[2:]] == ["PASS", "PASS", "MISS"]
    monkeypatch.undo()
    assert set(tools.measure(blocks=1, calls=5)) == {*bare, *tools.BARS}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="genai-prices needs Python 3.11")
def test_costs_are_measured(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Warm prices and a first one run against genai-prices, the finisher against a span; each bar has a verdict."""
    from tests.benchmarks import costs

    assert min(costs.warm(blocks=1, calls=20).values()) > 0
    assert min(costs.finisher(blocks=1, calls=20).values()) > 0
    monkeypatch.setattr(costs, "finisher", lambda: {"span": 10.0, "finisher": 2.0})
    monkeypatch.setattr(costs, "warm", lambda: {"genai-prices": 100.0, "ours": 1.0})
    monkeypatch.setattr(costs, "process", lambda code: (float(len(code)), len(code)))
    costs.main()
    printed = capsys.readouterr().out
    assert "ours                                  1.00 µs      0.010 of theirs  bar 0.02 PASS" in printed
    assert "0.200 of a span  bar 0.15 MISS" in printed
    assert printed.count("bar 0.06") == 2


def test_sampling_is_measured(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each case has a line; those with a bar say whether it is met."""
    cases = sampling.cases()
    assert set(sampling.measure(cases, blocks=1, calls=5)) == set(cases)
    monkeypatch.setattr(sampling, "measure", lambda cases: dict.fromkeys(cases, (1.0, 0.9)))
    sampling.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(cases)
    barred = sum(case.bar is not None for case in cases.values())
    assert sum(line.endswith("MISS") for line in lines) == barred >= 5
