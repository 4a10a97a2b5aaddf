"""The wheel holds every file of the package, and works from another folder.

Builds the wheel, compares its files with those that git tracks under `zoo/`, installs it in the
place of the checkout, runs a summary from a temporary folder, and puts the checkout back.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUMMARY = ["-m", "zoo.cli", "summary", "googlenet", "--input", "1,1,96,96", "--format", "json"]


def python(*words: str, cwd: Path = ROOT) -> str:
    """Run this Python and return what it prints."""
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, check=True, text=True, stdout=subprocess.PIPE
    )
    return done.stdout


def check_files(wheel: Path) -> int:
    """Compare the wheel's files with the tracked ones."""
    listed = subprocess.run(
        ["git", "ls-files", "zoo"], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE
    )
    tracked = set(listed.stdout.split())
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("zoo/")}
    missing, extra = sorted(tracked - held), sorted(held - tracked)
    if missing or extra:
        sys.exit(f"the wheel misses {missing} and has {extra} beyond what git tracks")
    return len(held)


def main() -> None:
    """Build, compare, install, run."""
    with tempfile.TemporaryDirectory() as folder:
        python("-m", "build", "--wheel", "--no-isolation", "--outdir", folder)
        (wheel,) = Path(folder).glob("*.whl")
        files = check_files(wheel)
        pip = ("-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps")
        python(*pip, "--force-reinstall", str(wheel))
        try:
            place = python("-c", "import zoo; print(zoo.__file__)", cwd=Path(folder)).strip()
            if Path(place).is_relative_to(ROOT):
                sys.exit(f"the summary would run from the checkout ({place}), not from the wheel")
            report = json.loads(python(*SUMMARY, cwd=Path(folder)))
        finally:
            python(*pip, "-e", str(ROOT))
    print(
        f"{wheel.name}: {files} files; googlenet has {report['totals']['macs']:,} MACs from {place}"
    )


if __name__ == "__main__":
    main()
