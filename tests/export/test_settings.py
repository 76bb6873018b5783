"""The standard variables: which one holds, and what is said about a value nobody can act on."""

from __future__ import annotations

import pytest

from spanloom.export._settings import Settings, read, shown

P = "OTEL_EXPORTER_OTLP_"


def settings(**variables: str) -> Settings:
    return read("TRACES", "v1/traces", {P + name: value for name, value in variables.items()})


ENDPOINTS = [
    ({}, "http://localhost:4318/v1/traces"),
    ({"ENDPOINT": ""}, "http://localhost:4318/v1/traces"),
    ({"ENDPOINT": "http://c:4318"}, "http://c:4318/v1/traces"),
    ({"ENDPOINT": "http://c:4318/"}, "http://c:4318/v1/traces"),
    ({"ENDPOINT": "https://c/otlp"}, "https://c/otlp/v1/traces"),
    ({"ENDPOINT": "https://c/otlp/?tenant=a"}, "https://c/otlp/v1/traces?tenant=a"),
    ({"ENDPOINT": "http://a", "TRACES_ENDPOINT": "http://b/x"}, "http://b/x"),
    ({"TRACES_ENDPOINT": "http://b"}, "http://b/"),
    ({"TRACES_ENDPOINT": "http://b/x/"}, "http://b/x/"),
    ({"METRICS_ENDPOINT": "http://m", "ENDPOINT": " http://a "}, "http://a/v1/traces"),
    ({"ENDPOINT": "http://[::1]:4318"}, "http://[::1]:4318/v1/traces"),
    ({"ENDPOINT": "http://user:pw@c:1"}, "http://c:1/v1/traces"),
]


@pytest.mark.parametrize(("variables", "url"), ENDPOINTS)
def test_endpoints(variables: dict[str, str], url: str) -> None:
    """The general endpoint gets the signal's path, the signal's own is taken as it is."""
    found = settings(**variables)
    assert (found.url, found.problems) == (url, ())


def test_the_variable_that_holds_is_named() -> None:
    """A later error message names the variable that was really read."""
    assert settings(ENDPOINT="http://a").endpoint_variable == P + "ENDPOINT"
    assert settings().endpoint_variable == P + "ENDPOINT"
    assert settings(TRACES_ENDPOINT="http://a", ENDPOINT="http://b").endpoint_variable == P + "TRACES_ENDPOINT"


def test_an_endpoint_without_a_scheme_is_taken_as_http() -> None:
    """``localhost:4318`` is what many people write; it works, and they are told."""
    found = settings(ENDPOINT="localhost:4318")
    assert found.url == "http://localhost:4318/v1/traces"
    assert found.problems == (f"{P}ENDPOINT has no http:// or https:// in front; taking http://localhost:4318",)


@pytest.mark.parametrize(
    "value", ["grpc://c:4317", "http://", "http://c:port", "http://c:99999", "http://[::1", "file:///x"]
)
def test_an_unusable_endpoint(value: str) -> None:
    """There is nowhere to send to: one line names the variable, its value and the cure."""
    found = settings(ENDPOINT=value)
    assert found.url == ""
    (line,) = found.problems
    assert line.startswith(f"{P}ENDPOINT=") and "for example http://localhost:4318" in line


def test_credentials_in_an_endpoint() -> None:
    """They become the header they mean and vanish from what is shown."""
    found = settings(ENDPOINT="https://us%40er:p%2Fw@c/x?key=secret")
    assert found.headers == {"authorization": "Basic dXNAZXI6cC93"}
    assert found.shown_url == "https://c/x/v1/traces"


def test_what_is_shown_of_an_address() -> None:
    """Nothing that could be secret, wherever the address comes from."""
    assert shown("http://user:secret@c:1/x?key=secret#secret") == "http://c:1/x"
    assert shown("http://[") == "an address that is no URL"
    for value in ("user:secret@c:4318", "grpc://user:secret@c:4317", "http://user:secret@c:port"):
        (line,) = settings(ENDPOINT=value).problems
        assert "secret" not in line


HEADERS = [
    ("a=1,b=2", {"a": "1", "b": "2"}),
    (" A = 1 , ,b=x%20y", {"a": "1", "b": "x y"}),
    ("authorization=Basic%20abc==", {"authorization": "Basic abc=="}),
    ("authorization=Bearer abc", {"authorization": "Bearer abc"}),
    ("a=", {"a": ""}),
    ("", {}),
]


@pytest.mark.parametrize(("value", "expected"), HEADERS)
def test_headers(value: str, expected: dict[str, str]) -> None:
    """Comma-separated, URL-encoded, names in lower case."""
    found = settings(HEADERS=value)
    assert (found.headers, found.problems) == (expected, ())


def test_own_headers_win() -> None:
    """General and own headers are sent together; for the same name the signal's own one counts."""
    assert settings(HEADERS="a=1,b=2", TRACES_HEADERS="b=3").headers == {"a": "1", "b": "3"}


@pytest.mark.parametrize("pair", ["topsecret", "=topsecret", "a b=topsecret", "a=top%0asecret", "a=top\u20acsecret"])
def test_a_broken_header_is_named_without_its_value(pair: str) -> None:
    """The others are sent; the line says which item it was and nothing of its text."""
    found = settings(HEADERS=f"good=1,{pair}")
    assert found.headers == {"good": "1"}
    (line,) = found.problems
    assert line == f"{P}HEADERS: item 2 is not name=value (URL-encoded) and is not sent"


def test_headers_are_no_part_of_the_text_of_settings() -> None:
    """Nobody prints a key by printing the settings."""
    assert "topsecret" not in repr(settings(HEADERS="a=topsecret"))


@pytest.mark.parametrize(("value", "seconds"), [("", 10.0), ("3", 3.0), ("0.5", 0.5), ("999", 999.0)])
def test_timeouts(value: str, seconds: float) -> None:
    """Seconds, as OpenTelemetry's Python exporters count."""
    found = settings(TIMEOUT=value)
    assert (found.timeout_s, found.problems) == (seconds, ())


def test_a_timeout_in_milliseconds_is_understood() -> None:
    """The specification's unit is recognised by its size, and said."""
    found = settings(TRACES_TIMEOUT="10000")
    assert found.timeout_s == 10.0
    assert found.problems == (f"{P}TRACES_TIMEOUT=10000 is taken as milliseconds; say 10 for seconds",)


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf"])
def test_a_bad_timeout(value: str) -> None:
    """The default is taken, and one line says so."""
    found = settings(TIMEOUT=value)
    assert found.timeout_s == 10.0
    assert found.problems == (f"{P}TIMEOUT={value!r} is not a number of seconds above 0; using 10",)


def test_compression() -> None:
    """gzip or none; anything else is sent uncompressed and said."""
    assert settings(COMPRESSION="gzip").gzip and settings(COMPRESSION="GZip").gzip
    assert not settings(COMPRESSION="none").gzip and not settings().gzip
    assert not settings(COMPRESSION="gzip", TRACES_COMPRESSION="none").gzip
    found = settings(COMPRESSION="zstd")
    assert not found.gzip
    assert found.problems == (f"{P}COMPRESSION='zstd' is not gzip or none; sending uncompressed",)


def test_certificates() -> None:
    """Own files win over general ones."""
    found = settings(CERTIFICATE="/ca", TRACES_CERTIFICATE="/own", CLIENT_CERTIFICATE="/cert", CLIENT_KEY="/key")
    assert (found.ca_file, found.client_certificate, found.client_key) == ("/own", "/cert", "/key")
    assert settings().ca_file is None
