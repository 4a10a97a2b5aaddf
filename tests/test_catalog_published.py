"""Published figures of the catalog's models, as `zoo.summary` has them.

    pytest tests/test_catalog_published.py

Each row is a published figure with its source; a rounded one holds where ours is within half of its
last digit. The same rows are the table of docs/reference/published.md.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("published", ROOT / "tools" / "published.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["published"] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


TOOL = load()
PAGE = TOOL.PAGE.read_text().splitlines()


@pytest.mark.parametrize("row", TOOL.rows(), ids=lambda row: f"{row.named}-{row.figure}")
def test_published_figure(row: Any) -> None:
    assert 2 * abs(TOOL.ours(row) - row.published) <= (row.rounding if row.rounding > 1 else 0)
    assert row.source
    assert TOOL.line(row) in PAGE


def test_the_page_has_no_other_rows() -> None:
    table = [line for line in PAGE if line.startswith("| ")][2:]
    assert len(table) == len(TOOL.rows())
