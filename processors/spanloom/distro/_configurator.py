"""The configurator: the SDK by the standard variables, with what spanloom adds to it."""

from __future__ import annotations

import logging
import os
from typing import Any

# Private by name, and the documented class for distributions to subclass; present since SDK 1.40 and before.
from opentelemetry.sdk._configuration import _OTelSDKConfigurator  # pyright: ignore[reportPrivateUsage]

from spanloom.cost import CostFinisher, budgets_from_settings
from spanloom.distro import _pipeline, _processes, _propagation, _resource, _signals
from spanloom.genai import hooks

_log = logging.getLogger("spanloom")


class SpanloomConfigurator(_OTelSDKConfigurator):
    """Loaded by ``opentelemetry-instrument`` (``OTEL_PYTHON_CONFIGURATOR=spanloom``)."""

    configured = False

    def _configure(self, **kwargs: Any) -> None:
        if _processes.is_helper():
            return
        if type(self).configured:
            _log.warning("spanloom: it is set up already (start() under opentelemetry-instrument?); nothing is changed")
            return
        given: dict[str, str] = kwargs.pop("resource_attributes", None) or {}
        kwargs["resource_attributes"] = {**_resource.instance_attributes(os.environ), **given}
        _pipeline.add(kwargs, os.environ)
        super()._configure(**kwargs)  # pyright: ignore[reportUnknownMemberType]
        type(self).configured = True
        hooks.add_finisher(CostFinisher())
        with hooks.guard("distro.budgets"):
            budgets_from_settings()
        with hooks.guard("distro.local_roots"):
            _pipeline.note_local_roots()
        with hooks.guard("distro.propagation"):
            _propagation.keep_back()
        _signals.flush_on_sigterm()
        _signals.flush_in_forked_workers()
