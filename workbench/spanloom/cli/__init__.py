"""The ``spanloom`` command. Subcommands are entry points of the group ``spanloom_command`` that load to a Command."""

from __future__ import annotations

from spanloom.cli._collector_config import collector_config_command
from spanloom.cli._command import Command, UsageError
from spanloom.cli._main import main
from spanloom.cli._price import price_command
from spanloom.cli._sampling import sampling_command
from spanloom.cli._show import show_command

__all__ = [
    "Command",
    "UsageError",
    "collector_config_command",
    "main",
    "price_command",
    "sampling_command",
    "show_command",
]
