"""Does what a page says, in a folder of its own, and compares what comes out.

Commands of zoo and Python blocks run in this process; `pip install ./folder` and commands with a
pipe are run by the system. The one difference to a reader's machine: `pip install` puts the
distribution into a folder of the page, not into the environment.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import shlex
import subprocess
import sys
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from tests.docs.markdown import RUN, Block, Step, steps
from zoo import subjects
from zoo.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator


class Mismatch(AssertionError):
    """A page says something else than what happens."""


class Desk:
    """A folder in which a page's blocks are written and run, one after the other.

    Args:
        folder: Empty.
        page: The page's name, for messages.
    """

    def __init__(self, folder: Path, page: str) -> None:
        self.folder, self.page = folder, page
        self.site = folder / ".site"
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def do(self, step: Step) -> None:
        """Write or run a block.

        Raises:
            Mismatch: Another exit code or output than the page says.
        """
        block = step.block
        if "file" in block.marks:
            path = self.folder / block.marks["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
            return
        if block.kind not in RUN:
            return
        self._forget()
        out = self._python(block) if block.kind == "python" else self._commands(block)
        if step.printed is not None and not matches(out, step.printed.text):
            wanted, got = step.printed.text.splitlines(), out.splitlines()
            shown = "\n".join(unified_diff(wanted, got, "page", "run", lineterm="", n=2))
            raise Mismatch(f"{self.page}:{step.printed.line}: other output than shown\n{shown}")

    def _python(self, block: Block) -> str:
        printed = io.StringIO()
        code = compile("\n" * (block.line - 1) + block.text, self.page, "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, self.names)
        return printed.getvalue()

    def _commands(self, block: Block) -> str:
        wanted = int(block.marks.get("exit", 0))
        printed = []
        for command in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(command, comments=True)
            if not words:
                continue
            self._forget()
            code, out = self._command(command, words, block)
            printed.append(out)
            if code != wanted:
                where = f"{self.page}:{block.line}"
                raise Mismatch(f"{where}: {command!r} exits with {code}, not {wanted}\n{out}")
        return "".join(printed)

    def _command(self, command: str, words: list[str], block: Block) -> tuple[int, str]:
        if words[:2] == ["pip", "install"]:
            return self._install(words[-1])
        if words[0] != "zoo":
            raise Mismatch(f"{self.page}:{block.line}: {command!r} is neither zoo nor pip install")
        if {"|", ">"} & set(words):
            return self._shell(command)
        result = CliRunner().invoke(main, words[1:])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    def _shell(self, command: str) -> tuple[int, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def _install(self, folder: str) -> tuple[int, str]:
        options = "--quiet --no-index --no-deps --no-build-isolation --disable-pip-version-check"
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                *options.split(),
                "--target",
                self.site,
                folder,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        # the folder comes first, as in an editable installation
        sys.path[:0] = [str(self.folder / folder), str(self.site)]
        importlib.invalidate_caches()
        return done.returncode, done.stdout + done.stderr

    def _forget(self) -> None:
        """So that a file that the page changes is read again, as by a new process."""
        subjects.manager_in.cache_clear()
        inside = str(self.folder) + os.sep
        for name, module in list(sys.modules.items()):
            known = getattr(module, "__dict__", {})  # torch.ops answers to any name
            places = [known.get("__file__"), *(known.get("__path__") or ())]
            if any(str(place).startswith(inside) for place in places):
                del sys.modules[name]


@contextlib.contextmanager
def desk(folder: Path, page: str) -> Iterator[Desk]:
    """A desk in `folder`; working folder, import path and plugins are as before afterwards."""
    before, cwd, quiet = list(sys.path), Path.cwd(), sys.dont_write_bytecode
    made = Desk(folder.resolve(), page)
    os.chdir(made.folder)
    sys.path.insert(0, str(made.folder))
    sys.dont_write_bytecode = True
    try:
        yield made
    finally:
        os.chdir(cwd)
        sys.path[:] = before
        sys.dont_write_bytecode = quiet
        made._forget()


def play(text: str, page: str, folder: Path) -> int:
    """Do all that a page says.

    Args:
        text: The page.
        page: Its name, for messages.
        folder: Empty.

    Returns:
        How many blocks were run.

    Raises:
        Mismatch: Another exit code or output than the page says.
    """
    found = steps(text)
    with desk(folder, page) as made:
        for step in found:
            made.do(step)
    return sum(step.block.kind in RUN and "file" not in step.block.marks for step in found)


def matches(printed: str, shown: str) -> bool:
    """Whether what was printed is what the page shows; a line `...` stands for any lines.

    >>> matches("a\\nb\\nc\\n", "a\\n...\\nc\\n"), matches("a\\nb\\n", "a\\n")
    (True, False)
    """
    lines = [line.rstrip() for line in shown.strip("\n").splitlines()]
    parts = [r"(?:.*\n)*?" if line.strip() == "..." else re.escape(line) + r"\n" for line in lines]
    text = "".join(line.rstrip() + "\n" for line in printed.strip("\n").splitlines())
    return re.fullmatch("".join(parts), text) is not None
