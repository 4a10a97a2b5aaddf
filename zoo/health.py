"""Whether this installation can do what it should: versions, devices, plugins, packages."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from zoo.analysis.report import Column, ModelInfo, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zoo.plugins.manager import Manager

NEEDED = ("torch", "torchvision", "click", "pluggy")
"""Without these zoo does not start."""
OPTIONAL = {
    "pandas": "Report.to_frame()",
    "torchinfo": "comparing with torchinfo (tests, benchmarks)",
    "fvcore": "wrapping fvcore's formulas",
}
"""Package -> what it is for."""
COLUMNS = (
    Column("name", "", "What was looked at."),
    Column("status", "", "`ok`, `missing` or `broken`."),
    Column("value", "", "Version, device or error."),
    Column("needed_for", "", "What does not work without it."),
)


def doctor(manager: Manager) -> Report:
    """Look at everything that zoo stands on.

    Args:
        manager: The plugins.

    Returns:
        A row for each thing; `status` is `ok`, `missing` (optional) or `broken`.
    """
    rows = [_row("python", "ok", platform.python_version(), "")]
    rows.extend(_packages())
    rows.extend(_devices())
    rows.extend(_plugins(manager))
    counts = {
        status: sum(row["status"] == status for row in rows)
        for status in ("ok", "missing", "broken")
    }
    return Report("doctor", ModelInfo(""), (), COLUMNS, tuple(rows), counts)


def _row(name: str, status: str, value: str, needed_for: str) -> Mapping[str, Any]:
    return {"name": name, "status": status, "value": value, "needed_for": needed_for}


def _packages() -> Iterable[Mapping[str, Any]]:
    yield _row("torch-zoo", *_version("torch-zoo", "broken"), "")
    for name in NEEDED:
        yield _row(name, *_version(name, "broken"), "every command")
    for name, use in OPTIONAL.items():
        yield _row(name, *_version(name, "missing"), use)


def _version(name: str, otherwise: str) -> tuple[str, str]:
    try:
        return "ok", version(name)
    except PackageNotFoundError:
        return otherwise, f"not installed: pip install {name}"


def _devices() -> Iterable[Mapping[str, Any]]:
    try:
        import torch
    except ImportError as error:
        yield _row("torch import", "broken", str(error), "zoo summary")
        return
    yield _row("cpu", "ok", f"{torch.get_num_threads()} threads", "")
    for index in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(index)
        yield _row(f"cuda:{index}", "ok", f"{found.name}, {found.total_memory / 1e9:.1f} GB", "")
    if torch.backends.mps.is_available():
        yield _row("mps", "ok", "Apple GPU", "")
    try:
        import torchvision

        yield _row("torchvision import", "ok", torchvision.__version__, "plugin torchvision")
    except (ImportError, RuntimeError) as error:
        text = " ".join(str(error).split())
        yield _row("torchvision import", "broken", text, "plugin torchvision")


def _plugins(manager: Manager) -> Iterable[Mapping[str, Any]]:
    for plugin in manager.plugins():
        status = "broken" if plugin.errors else "ok"
        brings = {"models": plugin.models, "devices": plugin.devices}
        said = ", ".join(f"{count} {what}" for what, count in brings.items() if count)
        value = "; ".join(plugin.errors) or said or "no models"
        yield _row(f"plugin {plugin.name}", status, value, "what it brings")
