"""What building and keeping a network takes: first weights, files, devices.

Each is a module of its own: `init`, `storing` (with `packing`), `gpus`. A module is loaded when it
is first used.
"""

from __future__ import annotations

from importlib import import_module

_MODULES = ("gpus", "init", "storing")


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'zoo.building' has no attribute {name!r}")
    return import_module(f"zoo.building.{name}")
