"""Writes docs/reference/cli.md from the commands themselves; `--check` says whether it is up to
date."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zoo.cli.main import COMMANDS, main

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"
HEAD = """# Command line

Generated from the commands by `python tools/reference.py`.

Exit codes: 0 done; 1 a check failed, or the model broke part-way (what ran is still printed); 2 the
input was wrong (one line on stderr); 130 Ctrl-C. Errors and progress go to stderr, reports to
stdout. Output adapts to the terminal's width, is plain when piped, and honours `NO_COLOR`.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    root = click.Context(main, info_name="zoo", terminal_width=88)
    for name in sorted(COMMANDS):
        command = main.get_command(root, name)
        if command is None:
            raise SystemExit(f"no command {name}")
        context = click.Context(command, info_name=name, parent=root, terminal_width=88)
        parts.append(f"## zoo {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    text = page()
    if "--check" not in sys.argv:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        sys.exit("docs/reference/cli.md is out of date: run `python tools/reference.py`")
