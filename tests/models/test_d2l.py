"""Is every item of `oracles/d2l.json` held by some test?

The modules that hold items name them: `D2L_ITEMS`.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

TESTS = Path(__file__).parents[1]


def claimed() -> set[str]:
    """Items that test modules say they hold."""
    found: set[str] = set()
    for path in sorted(TESTS.rglob("test_*.py")):
        if "D2L_ITEMS" in path.read_text() and path != Path(__file__):
            name = ".".join(("tests", *path.relative_to(TESTS).with_suffix("").parts))
            found |= set(import_module(name).D2L_ITEMS)
    return found


def test_every_item_is_held() -> None:
    items = json.loads((TESTS / "oracles" / "d2l.json").read_text())["items"]
    assert claimed() == {item["id"] for item in items}
