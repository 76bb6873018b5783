"""Which exporter each signal gets: the standard variables rule, and no setting leaves the service unrecorded.

Pure: the environment and the installed exporters in, a choice and words for the user out. The stock outcome of a
missing exporter is an SDK that is not set up and no instrumentation at all; ours is one line and the next best thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

SIGNALS = ("traces", "metrics", "logs")
OWN_OTLP = "spanloom_otlp"
OWN_RECORD = "spanloom_record"
NONE = "none"
_GRPC_PORT = 4317
_OFFICIAL = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_PROTOCOLS = ("http/json", *_OFFICIAL)

# (signal, exporter name) -> is there an entry point?
Installed = Callable[[str, str], bool]


@dataclass
class Choice:
    """``OTEL_{SIGNAL}_EXPORTER`` for each signal, and what the user should know."""

    variables: dict[str, str] = field(default_factory=dict[str, str])
    warnings: list[str] = field(default_factory=list[str])

    def warn(self, line: str) -> None:
        """Say it once, though three signals may have the same reason."""
        if line not in self.warnings:
            self.warnings.append(line)


def choose(environ: Mapping[str, str], installed: Installed, record: bool) -> Choice:
    """Exporters by signal. ``record`` says whether the local record is switched on."""
    choice = Choice()
    for signal in SIGNALS:
        variable = f"OTEL_{signal.upper()}_EXPORTER"
        names = [part.strip() for part in environ.get(variable, "").split(",") if part.strip()]
        chosen = [_resolve(name, signal, environ, installed, record, choice) for name in names or [""]]
        choice.variables[variable] = ",".join(_without_doubles(chosen))
    return choice


def _without_doubles(names: Iterable[str]) -> list[str]:
    kept = list(dict.fromkeys(names))
    return [name for name in kept if name != NONE] or [NONE]


def _resolve(
    name: str, signal: str, environ: Mapping[str, str], installed: Installed, record: bool, choice: Choice
) -> str:
    endpoint = _setting(environ, signal, "ENDPOINT")
    if not name and not endpoint:
        return OWN_RECORD if record else NONE
    if name in ("", "otlp"):
        return _by_protocol(signal, endpoint, environ, installed, record, choice)
    if name.lower() == NONE:
        return NONE
    if installed(signal, name):
        return name
    instead = OWN_OTLP if endpoint else (OWN_RECORD if record else NONE)
    choice.warn(
        f"OTEL_{signal.upper()}_EXPORTER={name}: no such exporter is installed; using {instead}. "
        "Install the package that brings it, or take otlp, console or none"
    )
    return instead


def _setting(environ: Mapping[str, str], signal: str, key: str) -> str:
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{key}", "").strip()
    return own or environ.get(f"OTEL_EXPORTER_OTLP_{key}", "").strip()


def _by_protocol(
    signal: str, endpoint: str, environ: Mapping[str, str], installed: Installed, record: bool, choice: Choice
) -> str:
    protocol = _setting(environ, signal, "PROTOCOL").lower()
    if protocol and protocol not in _PROTOCOLS:
        choice.warn(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol} is not one of {', '.join(_PROTOCOLS)}; using http/json")
        protocol = "http/json"
    if not protocol:
        protocol = "grpc" if _port(endpoint) == _GRPC_PORT else "http/json"
    official = _OFFICIAL.get(protocol)
    if official is None:
        return OWN_OTLP
    if installed(signal, official):
        return official
    return _without_official(protocol, endpoint, record, choice)


def _without_official(protocol: str, endpoint: str, record: bool, choice: Choice) -> str:
    cure = f"OTLP over {protocol} needs the extra: pip install 'spanloom[otlp]'"
    if _port(endpoint) != _GRPC_PORT:
        choice.warn(f"{cure}; sending JSON over HTTP to {_shown(endpoint)} instead")
        return OWN_OTLP
    instead = "writing the local record" if record else "nothing is exported"
    choice.warn(f"{cure}, or set the endpoint to the HTTP port (usually 4318); until then {instead}")
    return OWN_RECORD if record else NONE


def _port(endpoint: str) -> int | None:
    try:
        return urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").port
    except ValueError:
        return None


def _shown(endpoint: str) -> str:
    """An endpoint for a log line: user names, passwords and queries in it are nobody's business."""
    return endpoint.partition("?")[0].rpartition("@")[2] or "the default endpoint"
