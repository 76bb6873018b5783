"""Writes docs/settings.md from the table of our settings (``make semconv``)."""

from __future__ import annotations

from spanloom.semconv import OPTIONS, Option
from tests._support.wheel import ROOT

HEAD = """# Settings

Environment variables, read when they are first needed. OpenTelemetry's own (`OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, ...) mean what they mean everywhere. A value that is not understood costs
one line in the log that names the variable and the cure; the service runs on with the default. Made from the table
in `instrumentors/spanloom/semconv/_options.py` by `make semconv`.

| variable | default | |
|---|---|---|
"""


def settings_page() -> str:
    """The whole page."""
    return HEAD + "".join(map(_row, OPTIONS.values()))


def _row(option: Option) -> str:
    default = f"`{option.default}`" if option.default else ""
    choices = f" One of {', '.join(f'`{one}`' for one in option.choices)}." if option.choices else ""
    unit = f" In {option.unit}." if option.unit else ""
    return f"| `{option.name}` | {default} | {option.about}{unit}{choices} |\n"


if __name__ == "__main__":
    (ROOT / "docs" / "settings.md").write_text(settings_page(), encoding="utf-8")
