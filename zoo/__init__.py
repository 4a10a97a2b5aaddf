"""Shapes, parameters, MACs and memory of any PyTorch model, layer by layer, without its weights.

    import zoo
    print(zoo.summary("googlenet", (1, 1, 96, 96)))

Names are loaded when first used: `import zoo` costs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOME = {
    "Cost": "zoo.analysis.records",
    "Device": "zoo.analysis.devices",
    "Engine": "zoo.analysis.opinions",
    "Link": "zoo.analysis.devices",
    "ModelCard": "zoo.catalog.card",
    "Opinion": "zoo.analysis.opinions",
    "Report": "zoo.api",
    "TensorSpec": "zoo.analysis.records",
    "Trace": "zoo.analysis.records",
    "ZooError": "zoo.errors",
    "apply_init": "zoo.building.init",
    "check": "zoo.api",
    "compare": "zoo.api",
    "create": "zoo.api",
    "crosscheck": "zoo.api",
    "device": "zoo.api",
    "devices": "zoo.api",
    "doctor": "zoo.api",
    "flops": "zoo.api",
    "formula": "zoo.api",
    "freeze": "zoo.api",
    "hookimpl": "zoo.plugins.hookspecs",
    "info": "zoo.api",
    "init": "zoo.building",
    "list_models": "zoo.api",
    "list_plugins": "zoo.api",
    "load": "zoo.building.storing",
    "load_into": "zoo.building.storing",
    "load_trace": "zoo.api",
    "memory": "zoo.api",
    "num_gpus": "zoo.building.gpus",
    "params": "zoo.api",
    "save": "zoo.building.storing",
    "save_trace": "zoo.api",
    "summary": "zoo.api",
    "sweep": "zoo.api",
    "trace": "zoo.api",
    "transfers": "zoo.api",
    "try_all_gpus": "zoo.building.gpus",
    "try_gpu": "zoo.building.gpus",
}

if TYPE_CHECKING:
    from zoo.analysis.devices import Device, Link
    from zoo.analysis.opinions import Engine, Opinion
    from zoo.analysis.records import Cost, TensorSpec, Trace
    from zoo.api import (
        Report,
        check,
        compare,
        create,
        crosscheck,
        device,
        devices,
        doctor,
        flops,
        formula,
        freeze,
        info,
        list_models,
        list_plugins,
        load_trace,
        memory,
        params,
        save_trace,
        summary,
        sweep,
        trace,
        transfers,
    )
    from zoo.building import init
    from zoo.building.gpus import num_gpus, try_all_gpus, try_gpu
    from zoo.building.init import apply_init
    from zoo.building.storing import load, load_into, save
    from zoo.catalog.card import ModelCard
    from zoo.errors import ZooError
    from zoo.plugins.hookspecs import hookimpl

__all__ = [
    "Cost",
    "Device",
    "Engine",
    "Link",
    "ModelCard",
    "Opinion",
    "Report",
    "TensorSpec",
    "Trace",
    "ZooError",
    "apply_init",
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
    "hookimpl",
    "info",
    "init",
    "list_models",
    "list_plugins",
    "load",
    "load_into",
    "load_trace",
    "memory",
    "num_gpus",
    "params",
    "save",
    "save_trace",
    "summary",
    "sweep",
    "trace",
    "transfers",
    "try_all_gpus",
    "try_gpu",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
