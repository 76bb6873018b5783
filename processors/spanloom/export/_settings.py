"""The standard ``OTEL_EXPORTER_OTLP_*`` variables, read once. Pure but for the environment handed in.

A value nobody can act on never stops the service: ``problems`` has one line for each, with its cure.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

_PREFIX = "OTEL_EXPORTER_OTLP_"
_DEFAULT_ENDPOINT = "http://localhost:4318"
_DEFAULT_TIMEOUT_S = 10.0
# The specification counts in milliseconds, OpenTelemetry's Python exporters in seconds. Nobody waits for 17 minutes.
_MILLISECONDS_FROM = 1000.0

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True)
class Settings:
    """Where and how one signal is sent. ``url`` is empty where no endpoint could be made of the setting."""

    url: str
    endpoint_variable: str
    # Kept out of repr(): they are secrets.
    headers: Mapping[str, str] = field(repr=False)
    timeout_s: float
    gzip: bool
    ca_file: str | None
    client_certificate: str | None
    client_key: str | None
    problems: tuple[str, ...]

    @property
    def shown_url(self) -> str:
        """The address as it may stand in a log: no user, no password, no query."""
        return shown(self.url)


def shown(url: str) -> str:
    """A URL without what could be secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is no URL"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def read(signal: str, path: str, environ: Mapping[str, str]) -> Settings:
    """Settings of ``signal`` (``TRACES``, ``METRICS``, ``LOGS``); its own variables win over the general ones."""
    return _Reader(signal, environ).settings(path)


class _Reader:
    def __init__(self, signal: str, environ: Mapping[str, str]) -> None:
        self._signal = signal
        self._environ = environ
        self._problems: list[str] = []

    def settings(self, path: str) -> Settings:
        variable, parts = self._endpoint(path)
        headers = {**self._credentials(parts), **self._headers()}
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]) if parts else None
        return Settings(
            url=urlunsplit(bare) if bare else "",
            endpoint_variable=variable,
            headers=headers,
            timeout_s=self._timeout(),
            gzip=self._gzip(),
            ca_file=self._get("CERTIFICATE")[1] or None,
            client_certificate=self._get("CLIENT_CERTIFICATE")[1] or None,
            client_key=self._get("CLIENT_KEY")[1] or None,
            problems=tuple(self._problems),
        )

    def _get(self, what: str) -> tuple[str, str]:
        """The variable that holds and its value; an empty one counts as unset."""
        own = f"{_PREFIX}{self._signal}_{what}"
        value = self._environ.get(own, "").strip()
        if value:
            return own, value
        return _PREFIX + what, self._environ.get(_PREFIX + what, "").strip()

    def _endpoint(self, path: str) -> tuple[str, SplitResult | None]:
        variable, value = self._get("ENDPOINT")
        parts = self._split(variable, value or _DEFAULT_ENDPOINT)
        if parts is None:
            return variable, None
        if self._signal in variable:
            return variable, parts._replace(path=parts.path or "/")
        return variable, parts._replace(path=f"{parts.path.rstrip('/')}/{path}")

    def _split(self, variable: str, value: str) -> SplitResult | None:
        if "://" not in value:
            value = f"http://{value}"
            self._problems.append(f"{variable} has no http:// or https:// in front; taking {shown(value)}")
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port or a bracket that is none
            parts, usable = None, False
        if usable:
            return parts
        cure = "set it to the Collector's address, for example http://localhost:4318"
        self._problems.append(f"{variable}={shown(value)!r} is no http or https address, so nothing is sent; {cure}")
        return None

    def _credentials(self, parts: SplitResult | None) -> dict[str, str]:
        """``http://user:password@host`` as the header it means."""
        if parts is None or parts.username is None:
            return {}
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    def _headers(self) -> dict[str, str]:
        """``name=value,name=value``, URL-encoded; general and own ones together, the own ones win."""
        headers: dict[str, str] = {}
        for variable in (f"{_PREFIX}HEADERS", f"{_PREFIX}{self._signal}_HEADERS"):
            for place, pair in enumerate(self._environ.get(variable, "").split(","), 1):
                if pair.strip():
                    self._header(variable, place, pair, headers)
        return headers

    def _header(self, variable: str, place: int, pair: str, headers: dict[str, str]) -> None:
        name, sign, value = pair.partition("=")
        name, value = unquote(name).strip().lower(), unquote(value).strip()
        if sign and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value):
            headers[name] = value
        else:
            self._problems.append(f"{variable}: item {place} is not name=value (URL-encoded) and is not sent")

    def _timeout(self) -> float:
        variable, value = self._get("TIMEOUT")
        if not value:
            return _DEFAULT_TIMEOUT_S
        seconds = _number(value)
        if seconds is None or seconds <= 0:
            self._problems.append(f"{variable}={value!r} is not a number of seconds above 0; using 10")
            return _DEFAULT_TIMEOUT_S
        if seconds >= _MILLISECONDS_FROM:
            self._problems.append(f"{variable}={value} is taken as milliseconds; say {seconds / 1000:g} for seconds")
            return seconds / 1000
        return seconds

    def _gzip(self) -> bool:
        variable, value = self._get("COMPRESSION")
        if value.lower() not in ("", "none", "gzip"):
            self._problems.append(f"{variable}={value!r} is not gzip or none; sending uncompressed")
        return value.lower() == "gzip"


def _number(value: str) -> float | None:
    try:
        figure = float(value)
    except ValueError:
        return None
    return figure if math.isfinite(figure) else None
