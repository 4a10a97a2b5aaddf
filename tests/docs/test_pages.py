"""Every page does what it says: commands, Python blocks, printed output, links."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.markdown import PAGES, ROOT, RUN, anchor, blocks, headings, links, steps
from tests.docs.playing import play

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
WITH_BLOCKS = [
    name
    for name in NAMES
    if any(step.block.kind in RUN for step in steps((ROOT / name).read_text()))
]


@pytest.mark.parametrize("name", WITH_BLOCKS)
# fvcore, which one page compares with, calls torch.jit
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_what_a_page_says_happens(name: str, tmp_path: Path) -> None:
    assert play((ROOT / name).read_text(), name, tmp_path) > 0


def test_the_pages_that_show_something_are_played() -> None:
    played = {"README.md", "docs/tutorials/first-model.md", "docs/how-to/add-a-formula.md"}
    assert played <= set(WITH_BLOCKS)
    assert all(name.startswith("docs/") or name == "README.md" for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    for target in links((ROOT / name).read_text()):
        if target.startswith(("https://", "http://")):
            continue
        place, _, part = target.partition("#")
        path = (ROOT / name).parent / place if place else ROOT / name
        assert path.exists(), f"{name} links to {target}"
        assert path.resolve().is_relative_to(ROOT), f"{name} links out of the repository: {target}"
        if part:
            known = {anchor(words) for _, words in headings(path.read_text())}
            assert part in known, f"{name} links to {target}"


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in links(index.read_text())}
    pages = {page for page in PAGES if page != index}
    assert pages <= linked


def test_what_is_not_run_is_no_command_that_could_be() -> None:
    """Installation and tests alone: everything else on a page is run."""
    for name in NAMES:
        for block in blocks((ROOT / name).read_text()):
            if block.kind == "bash" and "not run" in block.marks:
                for line in block.text.splitlines():
                    known = ('pip install -e ".[dev]"', "pytest", README_FIRST)
                    assert line in known, f"{name}:{block.line}: {line}"


README_FIRST = "zoo summary googlenet --input 1,1,96,96"
"""Shown beside the installation; its table is long, and a process of its own runs it below."""


def test_the_first_command_of_the_readme_in_a_process_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "zoo"), *README_FIRST.split()[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("googlenet (book), input: f32[1,1,96,96]\n")
    assert "├─ b1: Sequential" in done.stdout


def test_the_picture_of_the_readme_is_the_first_one_and_whole() -> None:
    """It is the one that people see; nothing of it is left out."""
    shown = next(step for step in steps((ROOT / "README.md").read_text()) if step.printed)
    assert shown.block.text == f"{README_FIRST} --depth 1\n"
    assert shown.printed is not None
    assert "..." not in shown.printed.text


def test_the_plugin_of_the_readme_has_ten_lines() -> None:
    found = blocks((ROOT / "README.md").read_text())
    (plugin,) = (one for one in found if one.marks.get("file") == "zoo-mine/zoo_mine.py")
    assert len([line for line in plugin.text.splitlines() if line]) <= 10
