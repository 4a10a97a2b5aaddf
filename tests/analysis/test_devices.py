"""The table of devices, its names, and what a user writes instead.

`tests/oracles/devices.csv` was gathered apart from the table, from data sheets and other projects'
tables (its column `source`): rates in 1e12 a second, dense; bandwidths in 1e9 B/s.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from dataclasses import fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from tests.docs.markdown import DOCS, plain, sections, tables
from zoo.analysis.devices import (
    CONFIDENCES,
    DTYPES,
    FIELDS,
    HOST,
    KINDS,
    Device,
    Devices,
    Link,
    budget,
    key,
    read_device,
    table,
)
from zoo.analysis.devices_report import COLUMNS, report
from zoo.analysis.quantities import quantity, size
from zoo.errors import BadBudget, DuplicateDevice, UnknownDevice
from zoo.plugins.device_checks import device_fault

TABLE = table()
GIB = 1 << 30


@pytest.fixture(scope="module")
def devices() -> Devices:
    found = Devices()
    for one in TABLE:
        found.add("devices", one)
    return found


def oracle() -> list[dict[str, str]]:
    path = Path(__file__).parents[1] / "oracles" / "devices.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if not row["name"].startswith("TPU")]


# figures


@pytest.mark.parametrize("row", oracle(), ids=lambda row: row["name"])
def test_figures_are_those_that_were_gathered_elsewhere(
    row: dict[str, str], devices: Devices
) -> None:
    device = devices.find(row["name"])
    share = 0.5 if row["name"] == "MI250X" else 1  # torch sees a half of the card
    for short in ("fp32", "tf32", "fp16", "bf16", "fp8"):
        known = row[f"{short}_tflops"]
        wanted = float(known) * 1e12 * share if known else None
        assert device.peak(DTYPES[short]) == pytest.approx(wanted), short
    assert device.peak("int8") == (
        pytest.approx(float(row["int8_tops"]) * 1e12 * share) if row["int8_tops"] else None
    )
    assert device.bandwidth == pytest.approx(float(row["mem_bw_gbs"]) * 1e9 * share, rel=1e-3)
    if device.kind not in HOST:
        assert device.memory_bytes == float(row["mem_gb"]) * GIB * share
    host, peer = device.link("host"), device.link("peer")
    if row["host_gbs_per_dir"]:
        assert host is not None
        assert host.bandwidth == float(row["host_gbs_per_dir"]) * 1e9
    total = row["link_gbs_total_bidir"]
    assert (peer.total if peer else None) == (float(total) * 1e9 * share if total else None)


@pytest.mark.parametrize("one", TABLE, ids=lambda one: one.name)
def test_a_row_makes_sense(one: Device) -> None:
    assert device_fault(one) is None
    assert one.source
    assert one.confidence in CONFIDENCES
    assert one.bandwidth is not None
    for least, most in (("float32", "float16"), ("float16", "float8"), ("bfloat16", "float8")):
        low, high = one.peak(least), one.peak(most)
        slow_half = one.capability == (6, 1)  # Pascal's gamers' cards
        assert low is None or high is None or slow_half or low <= high
    assert (one.capability is not None) == (one.vendor == "NVIDIA")
    if one.kind in HOST:
        assert one.memory_bytes is one.usable_bytes is one.room is None
        return
    assert one.memory_bytes is not None
    assert one.usable_bytes is not None
    assert 0.9 * one.memory_bytes < one.usable_bytes < one.memory_bytes
    assert one.room == one.usable_bytes
    assert one.usable_confidence in CONFIDENCES
    assert (one.context_bytes is None) == (one.context_confidence is None)


def test_traps_of_other_tables(devices: Devices) -> None:
    assert devices.find("L4").bandwidth == 300e9
    assert devices.find("L4").peak("bfloat16") == 121e12
    assert devices.find("H100").peak("float32") == 67e12  # not sparse
    assert devices.find("H100").peak("bfloat16") == 989.4e12  # not 1979
    assert devices.find("A10").memory_bytes == 24 * GIB
    assert devices.find("MI250X").memory_bytes == 64 * GIB
    assert devices.find("T4").peak("bfloat16") is None
    assert devices.find("NVIDIA GH200 480GB").memory_bytes == 96 * GIB


COMPUTED = [one for one in TABLE if "fp32 = " in one.source]


@pytest.mark.parametrize("one", COMPUTED, ids=lambda one: one.name)
def test_rates_that_are_computed_are_cores_times_clock(one: Device) -> None:
    match = re.search(r"fp32 = (\d+) x ([\d.]+) GHz x 2", one.source)
    assert match is not None
    rate = int(match[1]) * float(match[2]) * 1e9 * 2
    assert one.peak("float32") == pytest.approx(rate, abs=0.06e12)


def test_the_table_is_in_the_package_and_loads_no_torch() -> None:
    assert files("zoo.analysis").joinpath("devices.csv").is_file()
    code = "import zoo, sys; zoo.Device('x'); import zoo.analysis.devices as d; d.table()"
    probe = f"{code}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_listing_models_does_not_read_devices() -> None:
    probe = "import zoo, sys; zoo.list_models(); sys.exit('zoo.analysis.devices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
    probe = "import zoo, sys; zoo.Device; sys.exit('zoo.analysis.devices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 1


# names

NAMES = [
    ("H100", "H100-SXM5-80GB"),
    ("h100-sxm", "H100-SXM5-80GB"),
    ("NVIDIA H100 80GB HBM3", "H100-SXM5-80GB"),
    ("NVIDIA H100 PCIe", "H100-PCIe-80GB"),
    ("NVIDIA H100 NVL", "H100-NVL-94GB"),
    ("NVIDIA H200", "H200-SXM-141GB"),
    ("NVIDIA B200", "B200-SXM-180GB"),
    ("rtx 4090", "GeForce RTX 4090"),
    ("rtx4090", "GeForce RTX 4090"),
    ("RTX-4090", "GeForce RTX 4090"),
    ("NVIDIA GeForce RTX 4090", "GeForce RTX 4090"),
    ("4090", "GeForce RTX 4090"),
    ("NVIDIA GeForce RTX 4070 Ti SUPER", "GeForce RTX 4070 Ti SUPER"),
    ("NVIDIA GeForce RTX 3080", "GeForce RTX 3080 10GB"),
    ("NVIDIA GeForce GTX 1080 Ti", "GeForce GTX 1080 Ti"),
    ("A100", "A100-SXM4-40GB"),
    ("A100 40GB", "A100-SXM4-40GB"),
    ("A100 40 GB", "A100-SXM4-40GB"),
    ("a100-80gb", "A100-SXM4-80GB"),
    ("NVIDIA A100-SXM4-80GB", "A100-SXM4-80GB"),
    ("A100-SXM-80GB", "A100-SXM4-80GB"),
    ("NVIDIA A100 80GB PCIe", "A100-PCIE-80GB"),
    ("NVIDIA A100-PCIE-40GB", "A100-PCIE-40GB"),
    ("Tesla T4", "Tesla T4"),
    ("t4", "Tesla T4"),
    ("V100", "V100-SXM2-16GB"),
    ("Tesla V100-SXM2-32GB", "V100-SXM2-32GB"),
    ("Tesla V100-PCIE-16GB", "V100-PCIE-16GB"),
    ("Tesla P100-PCIE-16GB", "Tesla P100-PCIE-16GB"),
    ("NVIDIA A10G", "A10G"),
    ("NVIDIA L40S", "L40S"),
    ("NVIDIA RTX A6000", "RTX A6000"),
    ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada Generation"),
    ("AMD Instinct MI300X", "MI300X"),
    ("AMD Radeon RX 7900 XTX", "Radeon RX 7900 XTX"),
    ("m1 max", "Apple M1 Max"),
    ("Apple M4 Max", "Apple M4 Max 40c"),
]


@pytest.mark.parametrize(("said", "meant"), NAMES)
def test_names_as_people_and_nvidia_smi_write_them(said: str, meant: str, devices: Devices) -> None:
    assert devices.find(said).name == meant
    assert devices.find(said.upper()).name == devices.find(said.lower()).name == meant


@pytest.mark.parametrize(
    ("said", "near"),
    [
        ("NVIDIA GeForce RTX 3060 Laptop GPU", "rtx 3060"),
        ("NVIDIA A100-SXM4-80GB MIG 3g.40gb", "a100 sxm4 80gb"),
        ("Quadro RTX 6000", "rtx a6000"),
        ("A1000", "a100"),
        ("rtx 409", "rtx 4090"),
        ("h10", "h100"),
        ("A100 60GB", "a100"),
        ("MI300", "mi300x"),
    ],
)
def test_nothing_is_matched_silently(said: str, near: str, devices: Devices) -> None:
    with pytest.raises(UnknownDevice, match=rf"no device is called '{said}'\. Did you mean") as e:
        devices.find(said)
    assert near in e.value.hint


@pytest.mark.parametrize("said", ["", " ", "NVIDIA", "gpu", "--", "xyzzy", "GeForce"])
def test_no_name_at_all(said: str, devices: Devices) -> None:
    with pytest.raises(UnknownDevice, match=r"See `zoo devices`\."):
        devices.find(said)
    assert said not in devices


@pytest.mark.parametrize("one", TABLE, ids=lambda one: one.name)
def test_every_name_finds_its_device(one: Device, devices: Devices) -> None:
    for name in (one.name, *one.aliases):
        assert devices.find(name) == one
        assert devices.find(f"NVIDIA {name}") == one
    for name in one.stands_for:
        found = devices.find(name)
        assert replace(found, assumption=None) == one
        assert found.assumption is not None
        assert found.assumption.startswith(f"{name} is taken as {one.name}")


@pytest.mark.parametrize(
    ("short", "one"),
    [(short, one) for one in TABLE for short in one.stands_for],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_short_name_is_the_variant_that_fits_all(
    short: str, one: Device, devices: Devices
) -> None:
    variants = devices.variants(short)
    assert one in variants
    assert all((one.room or 0) <= (other.room or 0) for other in variants)


def test_what_a_short_name_leaves_open_is_said(devices: Devices) -> None:
    assert devices.find("3080").assumption == (
        "3080 is taken as GeForce RTX 3080 10GB; other variants: GeForce RTX 3080 12GB"
    )
    assert devices.find("3080 12GB").assumption is None
    assert devices.find("B200").assumption == "B200 is taken as B200-SXM-180GB"


@given(st.sampled_from(TABLE), st.data())
def test_signs_and_case_do_not_matter(one: Device, data: st.DataObject) -> None:
    sign = data.draw(st.sampled_from([" ", "-", "_", "  ", " (R) "]))
    said = sign.join(re.split(r"[ -]", one.name))
    assert key(said.swapcase()) == key(one.name)


def test_two_claims_to_one_name() -> None:
    found = Devices()
    found.add("first", Device("Card One", aliases=("c1",)))
    for taker in (
        Device("card-one"),
        Device("x", aliases=("C 1",)),
        Device("y", stands_for=("c1",)),
    ):
        with pytest.raises(DuplicateDevice, match=r"claimed by first/Card One and by second/"):
            found.add("second", taker)
    assert [one.name for one in found] == ["Card One"]
    assert "y" not in found
    found.add("first", Device("same", aliases=("SAME", "nvidia same")))
    assert len(found) == 2


# sizes and budgets


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("24GB", 24 * 10**9),
        ("24 gb", 24 * 10**9),
        ("24GiB", 24 * GIB),
        ("24Gi", 24 * GIB),
        ("24G", 24 * 10**9),
        ("0.5TB", 5 * 10**11),
        (".5TB", 5 * 10**11),
        ("512MiB", 1 << 29),
        ("24e9", 24 * 10**9),
        ("24_000_000_000", 24 * 10**9),
        ("24000000000 B", 24 * 10**9),
        (24e9, 24 * 10**9),
        (24 * 10**9, 24 * 10**9),
    ],
)
def test_sizes(said: str | float, meant: int, devices: Devices) -> None:
    assert size(said) == meant
    assert budget(said, devices) == (meant, None)


@given(st.integers(1, 10**15))
def test_a_plain_number_is_bytes(number: int) -> None:
    assert size(number) == size(str(number)) == size(f"{number}B") == number


def test_a_device_is_its_usable_memory(devices: Devices) -> None:
    room, device = budget("rtx4090", devices)
    assert device is not None
    assert (room, device.name) == (round(23.61 * GIB), "GeForce RTX 4090")
    assert budget("4090", devices) == (room, device)
    a100 = budget("A100", devices)[1]
    assert a100 is not None
    assert a100.assumption is not None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("rtx4091", r"memory 'rtx4091': it is neither a size nor a device\. Did you mean rtx 4090"),
        ("24QB", r"neither a size nor a device\. Write 24GB, 24GiB or rtx4090\."),
        ("-3GB", r"neither a size nor a device"),
        ("0GB", r"neither a size nor a device"),
        ("nan", r"neither a size nor a device"),
        ("1e999GB", r"neither a size nor a device"),
        ("1e308PB", r"neither a size nor a device"),
        ("1__0GB", r"neither a size nor a device"),
        (10**400, r"neither a size nor a device"),
        ("", r"neither a size nor a device"),
        (float("inf"), r"neither a size nor a device"),
        (True, r"neither a size nor a device"),
        ("24", r"that is 24 bytes\. Write 24GB"),
        (24, r"that is 24 bytes"),
        ("m1", r"how much memory Apple M1 has is not known .*sold with 8 or 16 GB.*Write a size"),
        ("EPYC 7763", r"how much memory EPYC 7763 has is not known"),
    ],
)
def test_budgets_that_are_none(said: Any, why: str, devices: Devices) -> None:
    with pytest.raises(BadBudget, match=why) as error:
        budget(said, devices)
    assert len(str(error.value).splitlines()) == 1


def test_room() -> None:
    assert Device("a", memory_bytes=5).room == 5
    assert Device("a", memory_bytes=5, usable_bytes=4).room == 4
    assert Device("a", kind="mps", memory_bytes=5).room is None
    assert Device("a").room is None


# a user's own


def test_a_device_of_the_user_s() -> None:
    said = {
        "memory": "24GB", "usable": "22GiB", "bandwidth": "1TB/s", "fp32": "82.6TFLOP/s",
        "bf16": "165 TFLOPS", "int8": "1.3POP/s", "kind": "cuda", "capability": "8.9",
        "host": "31.5GB/s", "context": "400MiB", "aliases": ["card"], "vendor": "me",
    }  # fmt: skip
    device = read_device("mycard", said)
    assert device_fault(device) is None
    assert device == Device(
        "mycard",
        vendor="me",
        memory_bytes=24 * 10**9,
        usable_bytes=22 * GIB,
        bandwidth=1e12,
        peaks={"float32": 82.6e12, "bfloat16": 165e12, "int8": 1.3e15},
        capability=(8, 9),
        context_bytes=400 << 20,
        links=(Link("host", "host", 31.5e9),),
        usable_confidence="given",
        context_confidence="given",
        source="[tool.zoo.devices] of pyproject.toml",
        aliases=("card",),
    )
    assert read_device("m", {"memory": 8e9, "fp16": 1e12}).usable_bytes == 8 * 10**9
    assert set(said) <= set(FIELDS)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("24GB", r'it is \'24GB\', not a table such as \{ memory = "24GB" \}'),
        ({"memroy": "24GB"}, r"no field is called 'memroy'\. Did you mean memory\?"),
        ({"memory": "24"}, None),
        ({"memory": "24GB/s"}, r"memory: '24GB/s' is no quantity above 0; write 24GB"),
        ({"bandwidth": "1TB"}, r"bandwidth: '1TB' is no quantity above 0; write 1TB/s"),
        ({"fp32": "82.6TB/s"}, r"fp32: '82.6TB/s' is no quantity"),
        ({"fp32": -1}, r"fp32: -1 is no quantity above 0"),
        ({"fp32": True}, r"fp32: True is no quantity"),
        ({"capability": "sm_89"}, r"capability: 'sm_89' is not \"8\.9\""),
    ],
)
def test_devices_that_cannot_be_read(said: Any, why: str | None) -> None:
    if why is None:
        assert read_device("m", said).memory_bytes == 24
        return
    with pytest.raises(ValueError, match=why):
        read_device("m", said)


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ("H100", r"'H100' is no Device"),
        (Device(""), r"'' is no name of a device"),
        (Device("GPU\n"), r"is no name of a device"),
        (Device(3), r"3 is no name of a device"),  # type: ignore[arg-type]
        (Device("a", kind="rocm"), r"device 'a': kind 'rocm' is no device type of torch"),
        (Device("a", memory_bytes=0), r"memory_bytes 0 is no whole number of bytes above 0"),
        (Device("a", memory_bytes=24e9), r"memory_bytes 24000000000.0 is no whole"),  # type: ignore[arg-type]
        (Device("a", memory_bytes=4, usable_bytes=5), r"usable_bytes 5 are more than its memory 4"),
        (Device("a", bandwidth=float("nan")), r"bandwidth nan is no B/s above 0"),
        (Device("a", peaks={"fp32": 1e12}), r"peaks have no dtype 'fp32'\. Did you mean"),
        (Device("a", peaks={"float32": -1}), r"peak -1 of float32 is no FLOP/s above 0"),
        (Device("a", peaks=[1]), r"peaks \[1\] are not a mapping"),  # type: ignore[arg-type]
        (Device("a", aliases="b"), r"aliases 'b' are not a tuple of names"),  # type: ignore[arg-type]
        (Device("a", stands_for=("",)), r"stands_for \('',\) are not a tuple of names"),
        (Device("a", links=(3,)), r"links \(3,\) are not a tuple of Links"),  # type: ignore[arg-type]
        (Device("a", confidence="sure"), r"confidence 'sure' is none of"),  # type: ignore[arg-type]
        (Device("a", source=None), r"source None is not text"),  # type: ignore[arg-type]
        (Device("a", capability="8.9"), r"capability '8\.9' is not a pair"),  # type: ignore[arg-type]
    ],
)
def test_what_is_wrong_with_a_device(device: object, why: str) -> None:
    said = device_fault(device)
    assert said is not None
    assert re.search(why, said), said


@given(st.floats(1e-3, 1e6), st.sampled_from(["", "k", "M", "G", "T", "P"]))
def test_a_unit_scales(number: float, prefix: str) -> None:
    one = quantity(f"1{prefix}B/s", ("b/s",), "")
    assert quantity(f"{number!r}{prefix}B/s", ("b/s",), "") == pytest.approx(number * one)


# the report


def test_the_report(devices: Devices) -> None:
    everything = report(devices)
    assert everything.totals == {"devices": len(TABLE)}
    assert [list(row) for row in everything.rows] == [[one.name for one in COLUMNS]] * len(TABLE)
    assert everything.notes == ()
    assert report(devices, "4090").notes == ()
    (note,) = report(devices, "h100").notes
    assert (note.code, note.severity) == ("assumption", "info")
    assert "h100 is taken as H100-SXM5-80GB" in note.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("NVIDIA H100 80GB HBM3", {"H100-SXM5-80GB"}),
        ("a100 40", {"A100-SXM4-40GB"}),
        ("MI3*", {"MI300X", "MI325X", "MI350X"}),
        ("xeon", {"Xeon Platinum 8480+", "Xeon Gold 6248"}),
        ("aws", {"Graviton3 (64c)"}),
    ],
)
def test_queries(query: str, found: set[str], devices: Devices) -> None:
    assert {one.name for one in devices.search(query)} == found
    kinds = {kind: len(devices.search(kind)) for kind in ("cuda", "mps", "cpu")}
    assert sum(kinds.values()) == len(TABLE)


@pytest.mark.parametrize("query", ["rtx 4091", "nosuch*", "aidivn"])
def test_a_query_without_a_match(query: str, devices: Devices) -> None:
    with pytest.raises(UnknownDevice, match=r"no device is called"):
        report(devices, query)


# the reference


def test_the_reference_names_columns_and_fields() -> None:
    page = sections((DOCS / "reference" / "devices.md").read_text())
    rows = [tuple(map(plain, row)) for row in tables(page["Columns"])[0][1:]]
    assert rows == [(one.name, one.unit, one.meaning) for one in COLUMNS]
    own = [plain(row[0]) for row in tables(page["Devices of your own"])[0][1:]]
    assert sorted(own) == sorted(FIELDS)
    assert all(f"`{kind}`" in page["Devices of your own"] for kind in KINDS)
    python = sections((DOCS / "reference" / "python.md").read_text())["zoo.Device"]
    assert [plain(row[0]) for row in tables(python)[0][1:]] == [one.name for one in fields(Device)]


def test_python_finds_them_by_the_plugin() -> None:
    assert zoo.device("rtx 4090").name == "GeForce RTX 4090"
    assert zoo.devices("h100").totals == {"devices": 3}
    with pytest.raises(zoo.ZooError, match=r"no device is called 'rtx 4091'\. Did you mean"):
        zoo.device("rtx 4091")
