"""`zoo devices`: listed, looked up, and named wrongly."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.running import zoo
from zoo.analysis.devices import table
from zoo.analysis.devices_report import COLUMNS

if TYPE_CHECKING:
    from pathlib import Path


def test_json_has_every_device_with_its_figures() -> None:
    done = zoo("devices", "--format", "json")
    assert done.code == 0
    found = json.loads(done.out)
    assert (found["schema"], found["report"]) == ("zoo.report/1", "devices")
    assert [column["name"] for column in found["columns"]] == [one.name for one in COLUMNS]
    assert [row["name"] for row in found["rows"]] == [one.name for one in table()]
    assert found["totals"] == {"devices": len(table())}
    by_name = {row["name"]: row for row in found["rows"]}
    card = by_name["GeForce RTX 4090"]
    assert (card["memory_bytes"], card["bandwidth"], card["bf16"]) == (24 << 30, 1008e9, 165.2e12)
    assert (card["capability"], card["plugin"]) == ("8.9", "devices")
    assert by_name["Apple M1"]["memory_bytes"] is None


def test_a_query_is_a_name_as_nvidia_smi_writes_it() -> None:
    done = zoo("devices", "NVIDIA H100 80GB HBM3", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(done.out))
    assert (row["name"], float(row["fp32"])) == ("H100-SXM5-80GB", 67e12)


def test_text_shows_the_usual_columns_and_what_is_assumed() -> None:
    text = zoo("devices", "a100").out
    head, *_ = text.splitlines()
    assert "usable memory" in head
    assert "source" not in head
    assert "a100 is taken as A100-SXM4-40GB" in text
    assert "42.9 GB" in text
    assert "40.0 GiB" in zoo("devices", "a100", "--binary").out
    assert "A100-SXM4-40GB" in zoo("devices", "a100", "--format", "md").out


def test_columns_sort_and_output(tmp_path: Path) -> None:
    path = tmp_path / "devices.csv"
    words = ("--columns", "name,bandwidth", "--sort", "bandwidth", "--format", "csv")
    assert zoo("devices", *words, "--output", str(path)).out == ""
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert list(rows[0]) == ["name", "bandwidth"]
    rates = [float(row["bandwidth"]) for row in rows]
    assert rates == sorted(rates, reverse=True)


def test_devices_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[tool.zoo.devices]\nmycard = { memory = '24GB', bf16 = '165TFLOP/s' }\nbad = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    (row,) = json.loads(zoo("devices", "mycard", "--format", "json").out)["rows"]
    assert (row["usable_bytes"], row["bf16"], row["plugin"]) == (24 * 10**9, 165e12, "project")
    plugins = json.loads(zoo("plugins", "--format", "json").out)["rows"]
    (project,) = [row for row in plugins if row["name"] == "project"]
    assert (project["status"], project["devices"]) == ("broken", 1)
    assert project["errors"][0].startswith("[tool.zoo.devices] bad: it is 3, not a table")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rtx 4091",), "no device is called 'rtx 4091'. Did you mean rtx 4090"),
        (("NVIDIA GeForce RTX 3060 Laptop GPU",), "Did you mean rtx 3060"),
        (("nothing like it",), "no device is called 'nothing like it'. See `zoo devices`."),
        (("--format", "xml"), "no format is called 'xml'"),
        (("--columns", "colour"), "no column is called 'colour'"),
        (("--sort", "bandwith"), "Did you mean bandwidth"),
        (("--output", "no/such/folder/x"), "there is no folder no/such/folder"),
    ],
)
def test_bad_input_is_one_line(words: tuple[str, ...], said: str) -> None:
    done = zoo("devices", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("zoo: ")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_it_loads_no_torch() -> None:
    code = "import sys; from click.testing import CliRunner; from zoo.cli import main"
    run = "assert CliRunner().invoke(main, ['devices']).exit_code == 0"
    probe = f"{code}; {run}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
