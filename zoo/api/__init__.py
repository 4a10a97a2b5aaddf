"""The calls that the command line and Python users share, one subject a file.

    trace = zoo.trace("googlenet", (1, 1, 96, 96))
    report = zoo.summary(trace)
    report.totals["macs"]; print(report); report.to_json(); report.to_frame()

Names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOME = {
    "Report": "shown",
    "budget": "hardware",
    "create": "models",
    "device": "hardware",
    "devices": "hardware",
    "doctor": "plugins",
    "flops": "costs",
    "formula": "formulas",
    "freeze": "freezing",
    "info": "models",
    "list_models": "models",
    "list_plugins": "plugins",
    "memory": "peak",
    "params": "costs",
    "plugin_commands": "plugins",
    "read_settings": "models",
    "summary": "costs",
    "trace": "run",
}

if TYPE_CHECKING:
    from zoo.api.costs import flops, params, summary
    from zoo.api.formulas import formula
    from zoo.api.freezing import freeze
    from zoo.api.hardware import budget, device, devices
    from zoo.api.models import create, info, list_models, read_settings
    from zoo.api.peak import memory
    from zoo.api.plugins import doctor, list_plugins, plugin_commands
    from zoo.api.run import trace
    from zoo.api.shown import Report

__all__ = [
    "Report",
    "budget",
    "create",
    "device",
    "devices",
    "doctor",
    "flops",
    "formula",
    "freeze",
    "info",
    "list_models",
    "list_plugins",
    "memory",
    "params",
    "plugin_commands",
    "read_settings",
    "summary",
    "trace",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo.api' has no attribute {name!r}")
    return getattr(import_module(f"zoo.api.{_HOME[name]}"), name)
