"""The benchmark harness: it runs with every contender, and its table counts right. No figure is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import chosen_cases, main
from tests.benchmarks._contenders import CONTENDERS
from tests.benchmarks._run import Result, WorkerProcess, check_spans
from tests.benchmarks._table import render, rows
from tests.benchmarks.cases import BARE, OFFICIAL, OURS, all_cases
from tests.benchmarks.cases.span import YARDSTICK


def result(case: str, contender: str, us: float, content: bool = False) -> Result:
    return Result(case, content, contender, us, spans=1, calls=10, blocks=3)


def test_a_quick_run_measures_every_case_with_every_contender(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Environments are built, workers answer, spans are made where they should be, and table and JSON are complete."""
    target = tmp_path / "bench.json"
    assert main(["--quick", "--json", str(target)]) == 0
    made = json.loads(target.read_text(encoding="utf-8"))
    measured = {(row["case"], row["content"], row["contender"]) for row in made["results"]}
    assert measured == {
        (case.name, content, contender)
        for case in all_cases().values()
        for content in case.contents
        for contender in case.contenders
    }
    assert all(row["us"] > 0 for row in made["results"])
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in all_cases())


def test_every_case_has_its_contenders() -> None:
    """Each case's library is installed for each of its contenders."""
    for case in all_cases().values():
        for contender in case.contenders:
            assert (case.library, contender) in CONTENDERS, case.name


def test_added_time_is_the_difference_to_the_bare_call() -> None:
    """Added is contender less bare; ratios compare what is added, and the yardstick is the bare span."""
    made = rows(
        [
            result(YARDSTICK, BARE, 20),
            result("chat", BARE, 800),
            result("chat", OFFICIAL, 1000),
            result("chat", OURS, 900),
            result("finisher", OURS, 5),
        ]
    )
    assert [row["ours_added_us"] for row in made] == [None, 100, 5]
    assert made[1] == {
        "case": "chat",
        "content": "off",
        "bare_us": 800,
        "official_added_us": 200,
        "ours_added_us": 100,
        "ours_to_official": 0.5,
        "ours_to_span": 5,
    }
    assert made[2]["ours_to_official"] is None


def test_a_ratio_to_nothing_is_absent() -> None:
    """Where the official package adds nothing that can be measured there is no ratio."""
    (row,) = rows([result("chat", BARE, 800), result("chat", OFFICIAL, 799), result("chat", OURS, 900)])
    assert row["ours_to_official"] is None
    figures = render([result("chat", BARE, 800), result("chat", OFFICIAL, 799)]).splitlines()[2].split()
    assert figures == ["chat", "off", "800", "-1.00", "-", "-", "-"]


@pytest.mark.parametrize(("contender", "made"), [(BARE, 1), (OURS, 0), (OFFICIAL, 0.5)])
def test_a_contender_that_records_wrongly_is_refused(contender: str, made: float) -> None:
    """Spans in the bare process, or none from an instrumentation, stop the run."""
    with pytest.raises(RuntimeError, match=rf"openai chat: {contender} made {made:g} spans a call"):
        check_spans(all_cases()["openai chat"], contender, made)


def test_a_worker_that_ends_is_named() -> None:
    """A worker that dies gives an error with its name and the request."""
    process = subprocess.Popen([sys.executable, "-c", "pass"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.wait()
    with pytest.raises(RuntimeError, match=r"worker openai/ours ended at \{'run': 'x'\}"):
        WorkerProcess(process, "openai/ours").ask(run="x")
    process.communicate()


def test_an_unknown_case_names_the_known_ones() -> None:
    """A typing error in ``--case`` lists what there is."""
    with pytest.raises(SystemExit, match=r"--case caht: no such case; there are: .*openai chat"):
        chosen_cases(["caht"])


def test_the_yardstick_always_runs() -> None:
    """Ratios to a span need the span, whatever is chosen."""
    assert [case.name for case in chosen_cases(["predict"])] == [YARDSTICK, "dspy predict"]
