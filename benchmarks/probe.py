"""One measurement, in a process of its own: `python probe.py TOOL CASE` prints one JSON object.

Seconds start after all imports. Memory is the peak resident size beyond what the process had after
importing torch and torchvision; the part of it that importing the tool took is given too.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from typing import TYPE_CHECKING, Any

from cases import CASES, Case
from counters import TOOLS, Tool, quiet

if TYPE_CHECKING:
    from collections.abc import Mapping


def peak_bytes() -> int:
    """Most memory this process ever had resident."""
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024


def measure(tool: Tool, case: Case) -> Mapping[str, Any]:
    """Import, build, analyse; whatever the tool raises is a finding."""
    import torch  # noqa: F401 - part of what every user has loaded
    import torchvision  # noqa: F401

    published = case.published()
    bare = peak_bytes()
    quiet()
    found: dict[str, Any] = {"expected_macs": published.macs, "expected_source": published.source}
    try:
        count = tool.prepare()
        loaded = peak_bytes()
        start = time.perf_counter()
        model = tool.model(case)
        built = time.perf_counter()
        number = count(model, case)
        end = time.perf_counter()
    except Exception as error:  # noqa: BLE001 - a tool that crashes is a row, not an end
        text = " ".join(str(error).split())[:200]
        return {**found, "error": f"{type(error).__name__}: {text}"}
    macs = tool.macs(number, case)
    return {
        **found,
        "seconds": end - start,
        "build_seconds": built - start,
        "analysis_seconds": end - built,
        "peak_bytes": peak_bytes() - bare,
        "tool_import_bytes": loaded - bare,
        "reported": number,
        "macs": macs,
        "relative_error": published.error(macs),
        "agrees": published.agrees(macs),
    }


def main() -> None:
    """Measure what the command line names; what the tool prints goes to stderr."""
    tool, case = TOOLS[sys.argv[1]], CASES[sys.argv[2]]
    with contextlib.redirect_stdout(sys.stderr):
        found = measure(tool, case)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
