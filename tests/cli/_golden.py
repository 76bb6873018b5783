"""The pictures that ``show`` is compared with. ``python -m tests.cli._golden`` draws them anew: look at the diff."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.record._samples import write

FOLDER = Path(__file__).with_name("golden")
PLACE = "<RECORD>"
CASES: dict[str, tuple[str, ...]] = {
    "default": (),
    "content": ("--content",),
    "narrow": ("--width", "48"),
    "wide": ("--width", "132"),
    "colour": ("--color", "always", "--last", "3"),
    "ascii": ("--last", "5"),
    "one_trace": ("4f2a91c0",),
    "json": ("--json", "--last", "2"),
    "json_content": ("--json", "--content", "4f2a"),
}


def draw(case: str) -> str:
    """What the real command prints for the case, into a pipe."""
    with tempfile.TemporaryDirectory() as folder:
        record = write(Path(folder) / ".spanloom")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("SPANLOOM_", "OTEL_"))}
        for name in ("COLUMNS", "NO_COLOR", "TERM"):
            environment.pop(name, None)
        environment["PYTHONIOENCODING"] = "ascii" if case == "ascii" else "utf-8"
        command = [sys.executable, "-c", "import sys; from spanloom.cli import main; sys.exit(main())", "show"]
        done = subprocess.run(
            [*command, *CASES[case]], cwd=folder, env=environment, capture_output=True, timeout=60, check=True
        )
        assert done.stderr == b"", done.stderr
        text = done.stdout.decode("ascii" if case == "ascii" else "utf-8")
        # Paths of the record and their length are the only things that differ between machines.
        return text.replace(str(record.resolve()), PLACE).replace(str(record), PLACE)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for case in CASES:
        (FOLDER / f"{case}.txt").write_text(draw(case), encoding="utf-8")


if __name__ == "__main__":
    main()
