"""The local record: real files, real processes, limits, and folders that cannot be written."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from spanloom.export import RecordLogExporter, RecordMetricExporter, RecordSpanExporter, _folder, _writer

from ._generate import Generator

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Writers of one test do not live on in the next; the working directory is the test's own."""
    monkeypatch.setattr(_writer, "_writers", {})
    monkeypatch.setattr(_writer, "_complaints", {})
    monkeypatch.chdir(tmp_path)
    yield
    for writer in _writer._writers.values():
        writer._close()


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in files(folder) for line in file.read_bytes().splitlines()]


def names(folder: Path) -> list[str]:
    return [
        span["name"]
        for line in lines(folder)
        for resource in line.get("resourceSpans", [])
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in files(folder))


def metrics_data() -> MetricsData:
    reader = InMemoryMetricReader()
    MeterProvider([reader], shutdown_on_exit=False).get_meter("m").create_counter("c").add(2)
    data = reader.get_metrics_data()
    assert data is not None
    return data


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "spanloom.export"]


def test_the_three_signals_share_a_file(tmp_path: Path, span: ReadableSpan) -> None:
    """One file a process, one request a line."""
    folder = tmp_path / "r"
    spans, metrics, logs = RecordSpanExporter(folder), RecordMetricExporter(folder), RecordLogExporter(folder)
    assert spans.export([span]) is SUCCESS
    assert metrics.export(metrics_data()) is MetricExportResult.SUCCESS
    log = ReadableLogRecord(LogRecord(observed_timestamp=5, body="hello"), Resource({}))
    assert logs.export([log]) is LogRecordExportResult.SUCCESS
    assert len(files(tmp_path / "r")) == 1
    assert [next(iter(line)) for line in lines(tmp_path / "r")] == ["resourceSpans", "resourceMetrics", "resourceLogs"]
    assert spans.dropped == metrics.dropped == logs.dropped == 0 and logs.force_flush()


def test_the_last_shutdown_closes_the_file(tmp_path: Path, span: ReadableSpan) -> None:
    """The SDK ends one signal after the other; the file stays the same until the last, and shutdown counts once."""
    spans, metrics = RecordSpanExporter(tmp_path / "r"), RecordMetricExporter(tmp_path / "r")
    spans.export([span])
    spans.shutdown()
    spans.shutdown()
    metrics.export(metrics_data())
    (writer,) = _writer._writers.values()
    assert writer._descriptor is not None and len(files(tmp_path / "r")) == 1
    metrics.shutdown()
    assert writer._descriptor is None


def test_the_folder_is_made_at_the_first_export(tmp_path: Path, span: ReadableSpan) -> None:
    """A service that records nothing leaves nothing behind."""
    exporter = RecordSpanExporter()
    assert exporter.export([]) is SUCCESS and list(tmp_path.iterdir()) == []
    exporter.export([span])
    assert names(tmp_path / ".spanloom") == ["one"]


def test_only_the_owner_may_read(tmp_path: Path, span: ReadableSpan) -> None:
    """Prompts may be in it: folder 0700, files 0600, and git sees none of it."""
    old = os.umask(0)
    try:
        RecordSpanExporter().export([span])
    finally:
        os.umask(old)
    folder = tmp_path / ".spanloom"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in files(folder)] == [0o600]
    assert (folder / ".gitignore").read_text() == "*\n"
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    status = subprocess.run(["git", "-C", str(tmp_path), "status", "--porcelain"], capture_output=True, check=True)
    assert status.stdout == b""


def test_a_folder_that_was_there_is_left_as_it_is(tmp_path: Path, span: ReadableSpan) -> None:
    """No .gitignore in somebody's folder: it would hide their files."""
    (tmp_path / "mine").mkdir(mode=0o755)
    RecordSpanExporter(tmp_path / "mine").export([span])
    assert not (tmp_path / "mine" / ".gitignore").exists()
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o755


def test_the_place_is_fixed_at_the_start(tmp_path: Path, span: ReadableSpan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that changes its working directory still writes where it was started."""
    exporter = RecordSpanExporter()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    exporter.export([span])
    assert names(tmp_path / ".spanloom") == ["one"] and list((tmp_path / "elsewhere").iterdir()) == []


def test_the_variable_names_the_folder(tmp_path: Path, span: ReadableSpan, monkeypatch: pytest.MonkeyPatch) -> None:
    """``SPANLOOM_RECORD=DIR``, with ``~`` understood."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SPANLOOM_RECORD", "~/a/b")
    RecordSpanExporter().export([span])
    assert names(tmp_path / "a" / "b") == ["one"]


def test_off_writes_nothing(tmp_path: Path, span: ReadableSpan, monkeypatch: pytest.MonkeyPatch) -> None:
    """``SPANLOOM_RECORD=off`` is no folder and no failure."""
    monkeypatch.setenv("SPANLOOM_RECORD", "Off")
    exporter = RecordSpanExporter()
    assert exporter.export([span]) is SUCCESS and exporter.dropped == 0
    exporter.shutdown()
    assert list(tmp_path.iterdir()) == []


def test_names_say_when_and_who(tmp_path: Path, span: ReadableSpan) -> None:
    """UTC time and process number; sorted by name is sorted by age."""
    RecordSpanExporter(tmp_path / "r").export([span])
    (file,) = files(tmp_path / "r")
    stamp, process = file.stem.split("Z-")
    assert process == str(os.getpid()) and len(stamp) == len("20261121T082031.123456")


def test_the_same_name_twice_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two containers share a folder, and in both the process is number 1."""
    monkeypatch.setattr(_folder.os, "getpid", lambda: 1)
    monkeypatch.setattr(_folder, "datetime", _Frozen)
    made = [_folder.create(tmp_path) for _ in range(3)]
    assert [path.name for path, _ in made] == [f"20261121T080000.000000Z-1{end}.jsonl" for end in ("", "-1", "-2")]
    monkeypatch.setattr(_folder, "_TRIES", 3)
    with pytest.raises(FileExistsError):
        _folder.create(tmp_path)
    for _, descriptor in made:
        os.close(descriptor)


class _Frozen:
    @staticmethod
    def now(zone: object) -> Any:
        import datetime

        return datetime.datetime(2026, 11, 21, 8, 0, 0)


def test_files_are_rotated_and_the_folder_is_bounded(tmp_path: Path, span: ReadableSpan) -> None:
    """The oldest files go, the newest spans stay, and the limit holds after every write."""
    exporter = RecordSpanExporter(tmp_path / "r", max_bytes=20_000)
    kept_sizes: list[int] = []
    for _ in range(300):
        assert exporter.export([span]) is SUCCESS
        kept_sizes.append(size(tmp_path / "r"))
    assert max(kept_sizes) <= 20_000 and min(kept_sizes[60:]) > 15_000
    assert len(files(tmp_path / "r")) > 5 and exporter.dropped == 0
    assert all(file.stat().st_size <= 2_500 for file in files(tmp_path / "r"))


def test_foreign_files_are_never_touched(tmp_path: Path, span: ReadableSpan) -> None:
    """Only files with our names count and go; a copy somebody made for keeps stays."""
    folder = tmp_path / "r"
    folder.mkdir()
    for name in ("notes.jsonl", "20200101T000000.000000Z-1.jsonl.bak", "20200101T000000.000000Z-1.json"):
        (folder / name).write_bytes(b"x" * 50_000)
    exporter = RecordSpanExporter(folder, max_bytes=5_000)
    assert {exporter.export([span]) for _ in range(50)} == {SUCCESS}
    kept = ("notes.jsonl", "20200101T000000.000000Z-1.jsonl.bak", "20200101T000000.000000Z-1.json")
    assert [(folder / name).stat().st_size for name in kept] == [50_000] * 3


def test_old_files_of_ended_processes_go_first(tmp_path: Path, span: ReadableSpan) -> None:
    """Files of earlier runs make room for this one."""
    folder = tmp_path / "r"
    folder.mkdir()
    old = [folder / f"2020010{day}T000000.000000Z-7.jsonl" for day in (1, 2, 3)]
    for file in old:
        file.write_bytes(b"{}\n" * 500)
    exporter = RecordSpanExporter(folder, max_bytes=4_000)
    exporter.export([span])
    assert [file.exists() for file in old] == [False, True, True]


def test_a_line_longer_than_the_limit_is_dropped_and_said(
    tmp_path: Path, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """It cannot be kept; the next one is."""
    exporter = RecordSpanExporter(tmp_path / "r", max_bytes=2_000)
    assert exporter.export([span] * 30) is FAILURE
    assert exporter.export([span]) is SUCCESS
    (line,) = warnings_of(caplog)
    assert line == (
        f"the record {tmp_path / 'r'} has no room for more: raise SPANLOOM_RECORD_MAX_BYTES (now 2000) (30 lost so far)"
    )
    assert exporter.dropped == 30 and names(tmp_path / "r") == ["one"]


def test_large_batches_become_several_lines(tmp_path: Path) -> None:
    """A broken line loses little."""
    exporter = RecordSpanExporter(tmp_path / "r")
    exporter.export(Generator(1).spans(3000))
    written = [len(line) for file in files(tmp_path / "r") for line in file.read_bytes().splitlines()]
    assert len(written) >= 2 and max(written) <= 1_000_000


def test_an_unwritable_folder_is_said_once(
    tmp_path: Path, span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    """One line for the three signals; the service runs on and counts."""
    (tmp_path / "file").write_text("in the way")
    spans, metrics = RecordSpanExporter(tmp_path / "file" / "r"), RecordMetricExporter(tmp_path / "file" / "r")
    assert [spans.export([span]) for _ in range(3)] == [FAILURE] * 3
    assert metrics.export(metrics_data()) is MetricExportResult.FAILURE
    (line,) = warnings_of(caplog)
    assert line == (
        f"the record {tmp_path / 'file' / 'r'} cannot be written (Not a directory): "
        "set SPANLOOM_RECORD to a writable folder, or to off (1 lost so far)"
    )
    assert (spans.dropped, metrics.dropped) == (3, 1)


def test_a_folder_that_becomes_writable_is_used(tmp_path: Path, span: ReadableSpan) -> None:
    """Nobody needs to restart the service."""
    (tmp_path / "r").write_text("in the way")
    exporter = RecordSpanExporter(tmp_path / "r")
    assert exporter.export([span]) is FAILURE
    (tmp_path / "r").unlink()
    assert exporter.export([span]) is SUCCESS and names(tmp_path / "r") == ["one"]


def test_a_folder_that_was_deleted_is_made_again(tmp_path: Path, span: ReadableSpan) -> None:
    """``rm -r .spanloom`` under a running service: the next batch is in a new file, not in a deleted one."""
    import shutil

    exporter = RecordSpanExporter(tmp_path / "r")
    exporter.export([span])
    shutil.rmtree(tmp_path / "r")
    assert exporter.export([span]) is SUCCESS
    assert names(tmp_path / "r") == ["one"] and (tmp_path / "r" / ".gitignore").exists()


def test_a_deleted_file_is_begun_anew(tmp_path: Path, span: ReadableSpan) -> None:
    """The same when only the file went."""
    exporter = RecordSpanExporter(tmp_path / "r")
    exporter.export([span])
    files(tmp_path / "r")[0].unlink()
    assert exporter.export([span]) is SUCCESS and names(tmp_path / "r") == ["one"]


def test_a_full_disk_costs_one_line(
    tmp_path: Path, span: ReadableSpan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A line the disk took half of is counted; the next one starts on a line of its own."""
    exporter = RecordSpanExporter(tmp_path / "r")
    exporter.export([span])
    real = os.write
    monkeypatch.setattr(_writer.os, "write", lambda descriptor, data: real(descriptor, data[:40]))
    assert exporter.export([span]) is FAILURE
    monkeypatch.undo()
    assert exporter.export([span]) is SUCCESS
    first, broken, last = files(tmp_path / "r")[0].read_bytes().splitlines()
    assert len(broken) == 40 and json.loads(first) == json.loads(last)
    assert exporter.dropped == 1 and "the disk took only a part of a line" in warnings_of(caplog)[0]


def test_no_locks_means_no_deleting(tmp_path: Path, span: ReadableSpan, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without locks nobody knows which file is in use: new lines are dropped, files stay."""

    def refuse(*_: object) -> None:
        raise OSError("no locks")

    monkeypatch.setattr(_folder.fcntl, "flock", refuse)
    exporter = RecordSpanExporter(tmp_path / "r", max_bytes=3_000)
    results = [exporter.export([span]) for _ in range(20)]
    assert results[0] is SUCCESS and results[-1] is FAILURE
    assert 0 < size(tmp_path / "r") <= 3_000 and exporter.dropped == results.count(FAILURE)


WRITE = """
import os, sys
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, BatchSpanProcessor
from spanloom.export import RecordSpanExporter
folder, name = sys.argv[1], sys.argv[2]
def provider(limit=None):
    made = TracerProvider(resource=Resource({"service.name": name}))
    made.add_span_processor(SimpleSpanProcessor(RecordSpanExporter(folder, limit)))
    return made
def write(tracers, count, prefix=name):
    for index in range(count):
        tracers.get_tracer("t").start_span(f"{prefix} {index}", attributes={"filler": "x" * 300}).end()
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WRITE + textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def end(process: subprocess.Popen[str], said: str = "") -> str:
    out, err = process.communicate(said, timeout=60)
    assert process.returncode == 0, err
    assert err == ""
    return out


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    """Each has a file of its own, every line is whole, nothing is lost."""
    processes = [start("write(provider(), 200)", tmp_path / "r", f"p{index}") for index in range(3)]
    for process in processes:
        end(process)
    assert len(files(tmp_path / "r")) == 3
    assert sorted(names(tmp_path / "r")) == sorted(f"p{who} {index}" for who in range(3) for index in range(200))


def test_a_forked_child_writes_to_its_own_file(tmp_path: Path) -> None:
    """As in gunicorn: made before the fork, used after it on both sides."""
    code = """
    tracers = provider()
    write(tracers, 5, "before")
    children = []
    for child in range(2):
        pid = os.fork()
        if not pid:
            write(tracers, 50, f"child{child}")
            os._exit(0)
        children.append(pid)
    write(tracers, 50, "parent")
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    """
    end(start(code, tmp_path / "r", "forker"))
    assert len(files(tmp_path / "r")) == 3
    by_file = [{name.split()[0] for name in names_in(file)} for file in files(tmp_path / "r")]
    assert sorted(map(sorted, by_file)) == [["before", "parent"], ["child0"], ["child1"]]
    assert len(names(tmp_path / "r")) == 5 + 50 * 3


def names_in(file: Path) -> list[str]:
    return [
        span["name"]
        for line in file.read_bytes().splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def test_a_living_writers_file_is_not_deleted(tmp_path: Path) -> None:
    """A process that fills the folder spares the file another process still writes to, and takes it when that ends."""
    waiting = start("write(provider(), 3); print('written', flush=True); input()", tmp_path / "r", "quiet")
    assert waiting.stdout is not None and waiting.stdout.readline() == "written\n"
    (quiet,) = files(tmp_path / "r")
    end(start("write(provider(20_000), 300)", tmp_path / "r", "busy"))
    assert quiet.exists() and len(names_in(quiet)) == 3
    assert size(tmp_path / "r") <= 20_000
    end(waiting, "\n")
    end(start("write(provider(20_000), 300)", tmp_path / "r", "busy"))
    assert not quiet.exists() and size(tmp_path / "r") <= 20_000


def test_files_of_a_killed_process_may_go(tmp_path: Path) -> None:
    """A lock does not outlive its process, however that ended."""
    killed = start("write(provider(), 3); print('written', flush=True); input()", tmp_path / "r", "killed")
    assert killed.stdout is not None and killed.stdout.readline() == "written\n"
    (file,) = files(tmp_path / "r")
    killed.kill()
    killed.communicate()
    end(start("write(provider(20_000), 100)", tmp_path / "r", "busy"))
    assert not file.exists()


def test_threads_share_the_file(tmp_path: Path) -> None:
    """Lines of threads do not mix."""
    code = """
    import threading
    tracers = provider()
    threads = [threading.Thread(target=write, args=(tracers, 100, f"t{index}")) for index in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    """
    end(start(code, tmp_path / "r", "threads"))
    assert len(set(names(tmp_path / "r"))) == 800 and len(files(tmp_path / "r")) == 1


def test_a_system_without_file_locks_spares_nothing_but_its_own(
    tmp_path: Path, span: ReadableSpan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where an open file cannot be deleted: the current file stays, older ones go."""
    monkeypatch.setattr(_folder, "fcntl", None)
    exporter = RecordSpanExporter(tmp_path / "r", max_bytes=4_000)
    assert {exporter.export([span]) for _ in range(40)} == {SUCCESS}
    assert 2_000 < size(tmp_path / "r") <= 4_000


def test_files_that_vanish_meanwhile_are_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two writers make room at the same time: what the other one deleted is deleted."""
    gone = tmp_path / "20200101T000000.000000Z-1.jsonl"
    assert _folder._delete_unless_in_use(gone)
    gone.write_bytes(b"x" * 100)

    class Entry:
        name, path = gone.name, str(gone)

        def stat(self, follow_symlinks: bool) -> os.stat_result:
            raise FileNotFoundError

    assert _folder._size(Entry()) == 0  # type: ignore[arg-type]
    gone.unlink()
    gone.mkdir()
    assert not _folder._delete_unless_in_use(gone)


def test_a_process_without_a_home_or_a_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``~`` that means nothing is an ordinary name."""
    monkeypatch.setenv("SPANLOOM_RECORD", "~nobody-has-this-name/r")
    (writer,) = (RecordSpanExporter()._recorder._writer,)
    assert writer is not None and writer.folder == tmp_path / "~nobody-has-this-name" / "r"


def test_a_child_gives_its_parents_file_back(tmp_path: Path, span: ReadableSpan) -> None:
    """What happens in a forked child, without forking the tests."""
    exporter = RecordSpanExporter(tmp_path / "r")
    exporter.export([span])
    (writer,) = _writer._writers.values()
    inherited = os.dup(writer._descriptor or -1)
    os.close(inherited)
    _writer._after_fork()
    assert writer._descriptor is None
    exporter.export([span])
    assert len(files(tmp_path / "r")) == 2
