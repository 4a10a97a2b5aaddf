"""What building and keeping a network takes: first weights, files, devices."""

from __future__ import annotations
