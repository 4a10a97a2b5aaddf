"""What does an accelerator's allocator make of a program's requests?

`simulate` takes requests in order and says what torch's caching allocator has in use (allocated),
holds (reserved), and what the process shows on the device; `trace_events` makes the requests of a
recorded run. No torch is imported here, and no device is needed.
"""

from __future__ import annotations

from zoo.analysis.allocator.events import Event, step_events, trace_events
from zoo.analysis.allocator.fixed import FixedCost, workspace_bytes, workspaces
from zoo.analysis.allocator.usage import Accelerator, State, Usage, simulate

__all__ = [
    "Accelerator",
    "Event",
    "FixedCost",
    "State",
    "Usage",
    "simulate",
    "step_events",
    "trace_events",
    "workspace_bytes",
    "workspaces",
]
