# ruff: noqa: PTH109, PTH117, PTH119
# (pathlib is a tenth of the time that `zoo list` may take)
"""How a line of code is named, so that it reads the same on every machine.

Loads neither pathlib nor torch: `zoo list` names the lines of plugins.
"""

from __future__ import annotations

import os
import sys


def short_path(file: str) -> str:
    """`torchvision/models/resnet.py` of an installed file, `net.py` of one in this folder."""
    if not os.path.isabs(file):
        return file
    for folder in (
        _working_folder(),
        *sorted(filter(os.path.isabs, sys.path), key=len, reverse=True),
    ):
        root = folder.rstrip(os.sep) + os.sep
        if folder and root != os.sep and file.startswith(root):
            inner = file[len(root) :]
            if "site-packages" not in inner:
                return inner
    return os.path.basename(file)


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""
