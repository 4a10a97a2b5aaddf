"""Second opinions for `zoo crosscheck`: other tools that count, one file each.

A file has two things: how the tool is asked, and the rule by which it counts, read in its sources
and written down here in our own words. The rule is what explains the tool's figure; a test holds it
against what the tool says. Nothing of a tool is imported before it is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from zoo.analysis.opinions import Engine


@hookimpl
def zoo_engines() -> tuple[Engine, ...]:
    """The tools of the development extra first, then the others."""
    from zoo.plugins.engines import (
        calflops,
        flop_counter,
        fvcore,
        ptflops,
        thop,
        torchinfo,
        torchlens,
    )

    files = (torchinfo, fvcore, flop_counter, thop, ptflops, calflops, torchlens)
    return tuple(file.ENGINE for file in files)
