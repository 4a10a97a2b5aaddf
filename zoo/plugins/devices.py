"""The devices that zoo knows: `zoo/analysis/devices.csv`, each row with its source.

Nothing is read before devices are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from zoo.analysis.devices import Device


@hookimpl
def zoo_devices() -> tuple[Device, ...]:
    """A device for each row."""
    from zoo.analysis.devices import table

    return table()
