"""torchvision's published parameter counts and GMACs, as `zoo.summary` has them.

    pytest tests/test_published.py

Detectors: the published figure depends on trained weights where a head sees the proposals that
these find; `docs/explanation/detectors.md` says which. Those that do not depend are held here too.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

import zoo
from zoo.plugins.torchvision import Published, published

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPENDS = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": "trained weights find fewer proposals",
    "fasterrcnn_mobilenet_v3_large_fpn": "trained weights find fewer proposals",
    "keypointrcnn_resnet50_fpn": "the keypoint head sees the boxes that trained weights keep",
    "maskrcnn_resnet50_fpn": "the published run found no box, so its mask head ran on nothing",
}
"""Detectors whose published GMACs depend on trained weights, and why."""


@cache
def totals(
    name: str, given: tuple[str, ...], arguments: tuple[tuple[str, object], ...]
) -> Mapping[str, float]:
    report = zoo.summary(f"torchvision/{name}", *given, arguments=dict(arguments))
    assert report.failure is None
    assert report.totals["coverage"] == 1.0
    return report.totals


def measured(row: Published) -> Mapping[str, float]:
    given = (row.input,) if isinstance(row.input, str) else tuple(row.input or ())
    return totals(row.model, given, tuple(sorted(row.arguments.items())))


def named(row: Published) -> str:
    return f"{row.model}-{row.weights}"


@pytest.mark.parametrize("row", published(), ids=named)
def test_parameters_and_gmacs(row: Published) -> None:
    found = measured(row)
    assert found["parameters"] == row.num_params
    if row.model not in DEPENDS:
        assert round(found["macs"] / 1e9, 3) == row.gmacs


@pytest.mark.parametrize("name", sorted(DEPENDS))
def test_what_depends_on_weights_still_differs(name: str) -> None:
    rows = [row for row in published() if row.model == name]
    assert rows
    assert all(measured(row)["macs"] / 1e9 > row.gmacs + 0.001 for row in rows)
