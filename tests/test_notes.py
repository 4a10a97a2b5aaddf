"""The book's printed layer summaries and shapes, as `zoo.summary` prints them.

pytest tests/test_notes.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import zoo

ORACLE = json.loads((Path(__file__).parent / "oracles" / "d2l.json").read_text())
NAMES = {"bn-lenet": "lenet_bn"}
"""What the oracle calls otherwise."""
KNOWN = {row["name"] for row in zoo.list_models(plugin="book").rows}
ITEMS = [
    item
    for item in ORACLE["items"]
    if item["group"] == "cnn" and NAMES.get(item["id"], item["id"]) in KNOWN
]


def test_all_printed_networks_are_here() -> None:
    printed = {item["id"] for item in ITEMS if "layers" in item}
    assert printed == {
        "lenet",
        "alexnet",
        "vgg11",
        "nin",
        "googlenet",
        "resnet18",
        "densenet",
        "regnetx32",
    }


@pytest.mark.parametrize("item", ITEMS, ids=[item["id"] for item in ITEMS])
def test_layers_and_parameters(item: Any) -> None:
    report = zoo.summary(NAMES.get(item["id"], item["id"]), tuple(item["inputs"]["X"]))
    assert report.failure is None
    assert report.rows[0]["output_shape"] == item["outputs"]["Y"]
    assert report.totals["parameters"] == item["derived_params"]
    layers = [[row["type"], row["output_shape"]] for row in report.rows if row["depth"] == 1]
    assert "layers" not in item or layers == item["layers"]
