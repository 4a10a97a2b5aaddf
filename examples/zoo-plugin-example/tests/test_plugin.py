"""The plugin, through the doors that zoo comes in by. Run where it is installed."""

from __future__ import annotations

import subprocess
import sys

import zoo_plugin_example

import zoo
from zoo.plugins.manager import manager


def test_the_hooks_can_be_called() -> None:
    """A hook is a function, and is tested like one."""
    (card,) = zoo_plugin_example.zoo_models()
    assert card.name == "decaynet"
    assert list(zoo_plugin_example.zoo_costs()) == ["zoo_example.decaying_sum"]


def test_zoo_finds_the_plugin_and_nothing_wrong_with_it() -> None:
    """By its entry point."""
    (info,) = [one for one in manager().plugins() if one.name == "example"]
    assert (info.distribution, info.models, info.errors) == ("zoo-plugin-example", 1, ())


def test_the_hooks_load_no_torch() -> None:
    """`zoo list` stays quick."""
    hooks = "import sys, zoo_plugin_example as p; p.zoo_models(), p.zoo_costs()"
    probe = f"{hooks}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_the_formula_is_counted() -> None:
    """Beside the linear layers, one MAC per element of the decaying sum."""
    report = zoo.summary("example/decaynet", (2, 16, 8), arguments={"hidden": 4})
    linear, decayed = 2 * 16 * 8 * 4, 2 * 16 * 4
    assert report.totals["macs"] == linear + decayed + linear
    assert report.totals["coverage"] == 1.0
