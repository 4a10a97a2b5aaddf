"""`[tool.zoo.models]` of the user's pyproject.toml."""

from __future__ import annotations

import sys
from re import search
from typing import TYPE_CHECKING

import pytest

from zoo.catalog import resolve
from zoo.plugins.manager import PluginInfo, manager
from zoo.plugins.project import nearest

if TYPE_CHECKING:
    from pathlib import Path

NETS = """
from torch import nn

class MyNet(nn.Linear):
    def __init__(self, n=2):
        super().__init__(n, 1)
"""


def info(folder: Path) -> PluginInfo | None:
    found = manager(entry_points=False, project=folder).plugins()
    return found[0] if found else None


def project(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text)
    return folder


@pytest.mark.parametrize("package", ["flat_pkg", "src/src_pkg"])
def test_a_model_of_the_project_is_built_from_below_it(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = package.rpartition("/")[2]
    project(
        tmp_path,
        f"""
[tool.zoo.models]
mynet = "{name}.nets:MyNet"
[tool.zoo.models.wide]
factory = "{name}.nets:MyNet"
default_input = ["1,8"]
arguments = {{ n = 8 }}
tags = ["mine"]
""",
    )
    (tmp_path / package).mkdir(parents=True)
    (tmp_path / package / "nets.py").write_text(NETS)
    below = tmp_path / "deep" / "down"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    before = sys.path[:]
    found = manager(entry_points=False)
    assert name not in sys.modules  # nothing is imported to list
    catalog = found.catalog()
    assert [entry.qualified for entry in catalog] == ["project/mynet", "project/wide"]
    wide = resolve("wide", catalog)
    assert (wide.plugin, wide.default_input, dict(wide.arguments)) == (
        "project",
        ("1,8",),
        {"n": 8},
    )
    assert wide.build().in_features == 8
    assert resolve("mynet", catalog, {"n": 3}).build().in_features == 3
    assert sys.path == before
    (one,) = found.plugins()
    assert (one.name, one.source, one.models, one.errors) == (
        "project", str(tmp_path / "pyproject.toml"), 2, (),
    )  # fmt: skip


def test_two_projects_with_one_package_name_do_not_mix(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = project(tmp_path / str(number), '[tool.zoo.models]\nm = "same_pkg_name:net"\n')
        (folder / "same_pkg_name.py").write_text(
            f"from torch import nn\ndef net(): return nn.Linear({number}, 1)\n"
        )
    widths = [
        resolve("m", manager(entry_points=False, project=tmp_path / str(n)).catalog())
        .build()
        .in_features
        for n in (1, 2)
    ]
    assert widths == [1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[project]\nname = 'x'\n",
        "zoo = 1\n",
        "[tool.ruff]\nsrc = ['zoo']\n",
        "broken = [\n",
        "[tool.zoom]\nx = 1\n",
    ],
)
def test_a_project_that_does_not_speak_of_zoo_is_no_plugin(text: str, tmp_path: Path) -> None:
    assert info(project(tmp_path, text)) is None


@pytest.mark.parametrize(
    "text",
    [
        "[tool.zoo.models]\nm = 'a:b'\n",
        "[ tool . zoo . models ]\nm = 'a:b'\n",
        "[tool]\nzoo.models.m = 'a:b'\n",
        "[tool]\nzoo = { models = { m = 'a:b' } }\n",
        "tool.zoo.models.m = 'a:b'\n",
        "[tool.\"zoo\".models]\nm = 'a:b'\n",
        "['tool'.zoo.models.m]\nfactory = 'a:b'\n",
    ],
)
def test_every_way_to_write_the_table_is_seen(text: str, tmp_path: Path) -> None:
    one = info(project(tmp_path, text))
    assert one is not None
    assert (one.models, one.errors) == (1, ())


@pytest.mark.parametrize(
    ("text", "models", "said"),
    [
        ("[tool.zoo.models]\nm = \n", 0, r"pyproject.toml is not TOML: Invalid value \(at line 2"),
        ("[tool.zoo]\nmodels = 3\n", 0, "`tool.zoo.models` of pyproject.toml is not a table"),
        ("[tool]\nzoo.x = 3\n", 0, r"\[tool.zoo\] has no setting 'x'. Known: models, devices."),
        ("tool = { zoo = 3 }\nzoo = { a = 1 }\n", 0, "`tool.zoo` of pyproject.toml is not a table"),
        ("tool = 3\nzoo = { a = 1 }\n", 0, "`tool` of pyproject.toml is not a table"),
        ("[tool.zoo.modles]\nm = 'a:b'\n", 0, r"has no setting 'modles'. Did you mean models\?"),
        (
            "[tool.zoo.models]\nm = 3\nk = 'a:b'\n",
            1,
            r'\[tool.zoo.models\] m: it is 3, not "module:attribute"',
        ),
        ("[tool.zoo.models]\nm = {}\nk = 'a:b'\n", 1, "m: it has no `factory = "),
        (
            "[tool.zoo.models]\nm = {factory = 'a:b', inputs = '1'}\nk = 'a:b'\n",
            1,
            "m: no field is called 'inputs'",
        ),
        (
            "[tool.zoo.models]\nm = './net.py:Net'\nk = 'a:b'\n",
            1,
            r"factory './net.py:Net' is not module:attribute",
        ),
        (
            "[tool.zoo.models]\nm = {factory = 'a:b', default_input = '1,x'}\nk = 'a:b'\n",
            1,
            "default_input: ",
        ),
        (
            "[tool.zoo.models]\nm = {factory = 3}\nk = 'a:b'\n",
            1,
            "factory 3 is not module:attribute",
        ),
        ("[tool.zoo.models]\n'a b' = 'a:b'\nk = 'a:b'\n", 1, "'a b' is no name of a model"),
    ],
)
def test_what_is_wrong_with_the_table_is_the_plugin_s_error(
    text: str, models: int, said: str, tmp_path: Path
) -> None:
    one = info(project(tmp_path, text))
    assert one is not None
    assert one.models == models
    (error,) = one.errors
    assert search(said, error), error


def test_devices_of_the_project(tmp_path: Path) -> None:
    text = """
[tool.zoo.models]
m = "a:b"
[tool.zoo.devices]
mycard = { memory = "24GB", bandwidth = "1TB/s", fp32 = "82.6TFLOP/s", bf16 = "165TFLOP/s" }
other = { memory = 8e9, kind = "mps" }
"""
    found = manager(entry_points=False, project=project(tmp_path, text))
    card = found.devices().find("My Card")
    assert (card.room, card.bandwidth, card.kind) == (24 * 10**9, 1e12, "cuda")
    assert (card.peak("float32"), card.peak("bfloat16")) == (82.6e12, 165e12)
    assert [owner for owner, _ in found.devices().owned] == ["project", "project"]
    (one,) = found.plugins()
    assert (one.models, one.devices, one.errors) == (1, 2, ())


@pytest.mark.parametrize(
    ("text", "devices", "said"),
    [
        ("[tool.zoo]\ndevices = 3\n", 0, "`tool.zoo.devices` of pyproject.toml is not a table"),
        ("[tool.zoo.devics]\na = 3\n", 0, r"has no setting 'devics'. Did you mean devices\?"),
        ("[tool.zoo.devices]\na = '24GB'\nb = {}\n", 1, r"\[tool.zoo.devices\] a: it is '24GB'"),
        ("[tool.zoo.devices]\na = {ram = 1}\nb = {}\n", 1, "a: no field is called 'ram'"),
        ("[tool.zoo.devices]\na = {memory = '24XB'}\nb = {}\n", 1, "a: memory: '24XB' is no q"),
        ("[tool.zoo.devices]\na = {kind = 'gpu'}\nb = {}\n", 1, "device 'a': kind 'gpu' is no"),
        ("[tool.zoo.devices]\na = {note = 3}\nb = {}\n", 1, "device 'a': note 3 is not text"),
        ("[tool.zoo.devices]\na = {aliases = 3}\nb = {}\n", 1, "aliases 3 are not a tuple"),
        ("[tool.zoo.devices]\nb = {}\nB = {}\n", 1, "'B' is claimed by project/b and by project/B"),
    ],
)
def test_what_is_wrong_with_the_devices_is_the_plugin_s_error(
    text: str, devices: int, said: str, tmp_path: Path
) -> None:
    one = info(project(tmp_path, text))
    assert one is not None
    assert one.devices == devices
    (error,) = one.errors
    assert search(said, error), error


def test_zoo_s_own_devices_cannot_be_renamed_by_a_project(tmp_path: Path) -> None:
    from zoo.plugins import devices

    text = "[tool.zoo.devices]\n'rtx 4090' = { memory = '1GB' }\n"
    found = manager(entry_points=False, project=project(tmp_path, text), extra=[devices])
    (one,) = [one for one in found.plugins() if one.name == "devices"]
    assert "is claimed by project/rtx 4090 and by devices/GeForce RTX 4090" in one.errors[0]
    owners = [owner for owner, _ in manager(project=tmp_path).devices().owned]
    assert "project" not in owners  # zoo's own plugins come first
    assert len(owners) == len(devices.zoo_devices())


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"[tool.zoo.models]\nm = '\xff'\n")
    one = info(tmp_path)
    assert one is not None
    assert "is not TOML" in one.errors[0]


def test_the_nearest_pyproject_counts(tmp_path: Path) -> None:
    project(tmp_path, "")
    inner = project(tmp_path / "a" / "b", "")
    (inner / "c").mkdir()
    assert nearest(inner / "c") == str(inner / "pyproject.toml")
    assert nearest(tmp_path / "a") == str(tmp_path / "pyproject.toml")


def test_no_project_is_looked_for_when_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project(tmp_path, "[tool.zoo.models]\nm = 'a:b'\n"))
    assert manager(entry_points=False, project=None).plugins() == ()
    assert len(manager(entry_points=False).plugins()) == 1


def test_a_working_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert manager(entry_points=False).plugins() == ()
