"""A report as text, JSON, CSV or Markdown. Views return strings; printing is the command line's."""

from zoo.views.formats import FORMATS, render, text
from zoo.views.units import Units

__all__ = ["FORMATS", "Units", "render", "text"]
