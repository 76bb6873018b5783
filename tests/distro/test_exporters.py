"""Which exporter each signal gets."""

from __future__ import annotations

import pytest

from spanloom.distro._exporters import SIGNALS, choose

ALL = {"spanloom_otlp", "spanloom_record", "console", "otlp_proto_grpc", "otlp_proto_http"}
BASE = {"spanloom_otlp", "spanloom_record", "console"}
HTTP = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
GRPC = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}


def pick(environ: dict[str, str], names: set[str] = BASE, record: bool = True):
    return choose(environ, lambda _, name: name in names, record)


def exporters(environ: dict[str, str], names: set[str] = BASE, record: bool = True) -> set[str]:
    """The exporters of all signals; one element where they agree."""
    return set(pick(environ, names, record).variables.values())


@pytest.mark.parametrize(
    ("environ", "names", "record", "expected"),
    [
        ({}, BASE, True, "spanloom_record"),
        ({}, BASE, False, "none"),
        (HTTP, BASE, True, "spanloom_otlp"),
        (HTTP, ALL, True, "spanloom_otlp"),
        ({**HTTP, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, ALL, True, "spanloom_otlp"),
        ({**HTTP, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, ALL, True, "otlp_proto_http"),
        ({**GRPC, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ALL, True, "otlp_proto_grpc"),
        (GRPC, ALL, True, "otlp_proto_grpc"),
    ],
)
def test_settings_that_fit_are_followed_without_a_word(environ, names, record, expected):
    """What the variables say is done, and nothing is logged."""
    choice = pick(environ, names, record)
    assert set(choice.variables.values()) == {expected}
    assert choice.warnings == []


def test_a_missing_http_protobuf_exporter_becomes_json_to_the_same_endpoint():
    """One line names the extra, and telemetry flows all the same."""
    choice = pick({**HTTP, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"})
    assert set(choice.variables.values()) == {"spanloom_otlp"}
    assert choice.warnings == [
        "OTLP over http/protobuf needs the extra: pip install 'spanloom[otlp]'; "
        "sending JSON over HTTP to http://collector:4318 instead"
    ]


@pytest.mark.parametrize(("record", "expected"), [(True, "spanloom_record"), (False, "none")])
def test_a_grpc_only_endpoint_without_the_extra_is_recorded_locally(record, expected):
    """Port 4317 cannot take JSON: the record keeps the data until the cure is applied."""
    choice = pick(GRPC, BASE, record)
    assert set(choice.variables.values()) == {expected}
    assert len(choice.warnings) == 1
    assert "spanloom[otlp]" in choice.warnings[0]
    assert "4318" in choice.warnings[0]


def test_an_unknown_protocol_names_the_setting_and_falls_back():
    """A typing error in the protocol costs one line, not the telemetry."""
    choice = pick({**HTTP, "OTEL_EXPORTER_OTLP_PROTOCOL": "htp/json"})
    assert set(choice.variables.values()) == {"spanloom_otlp"}
    assert choice.warnings == [
        "OTEL_EXPORTER_OTLP_PROTOCOL=htp/json is not one of http/json, grpc, http/protobuf; using http/json"
    ]


def test_an_exporter_that_nobody_has_installed_is_replaced_and_named():
    """The stock loader would leave the SDK unset and load no instrumentor."""
    choice = pick({"OTEL_TRACES_EXPORTER": "zipkin"})
    assert choice.variables["OTEL_TRACES_EXPORTER"] == "spanloom_record"
    assert choice.variables["OTEL_METRICS_EXPORTER"] == "spanloom_record"
    assert len(choice.warnings) == 1
    assert choice.warnings[0].startswith("OTEL_TRACES_EXPORTER=zipkin: no such exporter is installed")


def test_explicit_exporters_are_kept():
    """Whoever names console or none gets just that."""
    choice = pick({"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "otlp"})
    assert choice.variables == {
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "spanloom_otlp",
    }
    assert choice.warnings == []


def test_several_exporters_of_one_signal_stay_several():
    """A list is resolved one by one, without doubles."""
    choice = pick({**HTTP, "OTEL_TRACES_EXPORTER": "console, otlp, console"})
    assert choice.variables["OTEL_TRACES_EXPORTER"] == "console,spanloom_otlp"


def test_a_signal_with_its_own_endpoint_and_protocol_is_its_own_case():
    """Signal variables win over the general ones; the other signals go to the record."""
    choice = pick(
        {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        },
        ALL,
    )
    assert choice.variables == {
        "OTEL_TRACES_EXPORTER": "otlp_proto_http",
        "OTEL_METRICS_EXPORTER": "spanloom_record",
        "OTEL_LOGS_EXPORTER": "spanloom_record",
    }


def test_credentials_in_an_endpoint_are_not_logged():
    """The line that names the endpoint leaves out user and password."""
    choice = pick(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:secret@collector:4318",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }
    )
    assert "secret" not in " ".join(choice.warnings)


@pytest.mark.parametrize("endpoint", ["collector:4317", "http://collector:4317/", "https://[::1]:4317"])
def test_the_grpc_port_is_seen_in_every_form_of_an_endpoint(endpoint):
    """With and without scheme, IPv6 too."""
    assert exporters({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}, ALL) == {"otlp_proto_grpc"}


def test_an_endpoint_that_is_no_url_still_gets_an_exporter():
    """The exporter tells what is wrong with it; choosing does not fail."""
    assert exporters({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://host:port"}) == {"spanloom_otlp"}


def test_every_signal_is_decided():
    """No signal is left to the stock default, whose exporter is not installed."""
    assert sorted(pick({}).variables) == sorted(f"OTEL_{signal.upper()}_EXPORTER" for signal in SIGNALS)
