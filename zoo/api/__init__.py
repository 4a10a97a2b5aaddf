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
    "check": "checking",
    "compare": "comparing",
    "create": "models",
    "crosscheck": "opinions",
    "device": "hardware",
    "devices": "hardware",
    "doctor": "plugins",
    "flops": "costs",
    "formula": "formulas",
    "freeze": "freezing",
    "info": "models",
    "list_models": "models",
    "list_plugins": "plugins",
    "load_trace": "run",
    "memory": "peak",
    "params": "costs",
    "plugin_commands": "plugins",
    "read_settings": "models",
    "save_trace": "run",
    "summary": "costs",
    "sweep": "sweeping",
    "trace": "run",
    "transfers": "moving",
}

if TYPE_CHECKING:
    from zoo.api.checking import check
    from zoo.api.comparing import compare
    from zoo.api.costs import flops, params, summary
    from zoo.api.formulas import formula
    from zoo.api.freezing import freeze
    from zoo.api.hardware import budget, device, devices
    from zoo.api.models import create, info, list_models, read_settings
    from zoo.api.moving import transfers
    from zoo.api.opinions import crosscheck
    from zoo.api.peak import memory
    from zoo.api.plugins import doctor, list_plugins, plugin_commands
    from zoo.api.run import load_trace, save_trace, trace
    from zoo.api.shown import Report
    from zoo.api.sweeping import sweep

__all__ = [
    "Report",
    "budget",
    "check",
    "compare",
    "create",
    "crosscheck",
    "device",
    "devices",
    "doctor",
    "flops",
    "formula",
    "freeze",
    "info",
    "list_models",
    "list_plugins",
    "load_trace",
    "memory",
    "params",
    "plugin_commands",
    "read_settings",
    "save_trace",
    "summary",
    "sweep",
    "trace",
    "transfers",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo.api' has no attribute {name!r}")
    return getattr(import_module(f"zoo.api.{_HOME[name]}"), name)
