"""Which accelerators there are, what they can do at most, and what they are called.

Peaks are dense (no structured sparsity), two operations per multiply-accumulate; tensor rates of
GeForce cards are those with fp32 accumulation. A link's bandwidth is that of one direction. A
card's memory is what its maker prints, where GB means GiB; its usable memory is what
`torch.cuda.mem_get_info` says in total, less than printed since the driver and error correction
take their part.

A name is found whatever its case, spaces and signs, with or without the maker's words: `rtx4090`
is `NVIDIA GeForce RTX 4090`. Nothing else is guessed: a laptop's chip is not the card of that
number. A short name that several variants share (`A100`) stands for one of them, and the record
says so in `assumption`: the one with the least memory, so that what fits it fits them all; where
all have as much, the one sold most.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from zoo.analysis.quantities import quantity, size
from zoo.errors import BadBudget, DuplicateDevice, UnknownDevice, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

Confidence = Literal["measured", "seen", "recall", "computed", "given"]
"""measured by us; seen in the source; recalled, source not at hand; computed from others; said by
whoever brought the device."""
CONFIDENCES = ("measured", "seen", "recall", "computed", "given")
KINDS = ("cpu", "cuda", "hpu", "mps", "mtia", "xla", "xpu")
"""torch's device types; AMD's cards are `cuda` there."""
HOST = ("cpu", "mps")
"""Kinds whose memory is the machine's own, so that the chip does not say how much there is."""
DTYPES = {
    "fp64": "float64",
    "fp32": "float32",
    "tf32": "tf32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "fp8": "float8",
    "int8": "int8",
}
"""Short name of a rate -> its key in `Device.peaks`, which is torch's name where torch has one."""
SIZES = ("memory_bytes", "usable_bytes", "context_bytes")
"""Fields that are bytes."""
ENDS: tuple[Literal["host", "peer"], ...] = ("host", "peer")
"""Ends of a link."""
GIB, MIB = 1 << 30, 1 << 20


@dataclass(frozen=True, slots=True)
class Link:
    """How a device reaches the host or another device."""

    name: str
    """`PCIe 4.0x16`, `NVLink4`, `unified`."""
    to: Literal["host", "peer"]
    """What is at its other end."""
    bandwidth: float | None
    """B/s in one direction, all lanes together; None where there is no copy or it is unknown."""

    @property
    def total(self) -> float | None:
        """B/s of both directions together, as makers print NVLink."""
        return None if self.bandwidth is None else 2 * self.bandwidth


@dataclass(frozen=True, slots=True)
class Device:
    """A device that a model may run on. Only the name is needed; what is not known is None.

    Example:
        >>> mine = Device("mycard", memory_bytes=24 * 10**9, peaks={"float32": 82.6e12})
        >>> mine.kind, mine.room, mine.peak("bfloat16")
        ('cuda', 24000000000, None)
    """

    name: str
    """What it is called."""
    vendor: str = ""
    """Who makes it."""
    kind: str = "cuda"
    """torch's device type: `cuda` (AMD's too), `mps`, `xpu`, `cpu`, ..."""
    memory_bytes: int | None = None
    """Bytes of memory as printed, with GB read as GiB; None where it is the machine's."""
    usable_bytes: int | None = None
    """Bytes that programs share: the total of `torch.cuda.mem_get_info`."""
    bandwidth: float | None = None
    """Peak B/s between the chip and its memory."""
    peaks: Mapping[str, float] = field(default_factory=dict)
    """Peak FLOP/s (int8: operations a second), dense, by dtype: float32, tf32, float16, ..."""
    capability: tuple[int, int] | None = None
    """NVIDIA's compute capability, (8, 9) for sm_89; None for others."""
    context_bytes: int | None = None
    """Bytes that a process holds before its first tensor, as nvidia-smi shows them."""
    links: tuple[Link, ...] = ()
    """To the host and to other devices."""
    confidence: Confidence = "given"
    """How sure rates, bandwidth and memory are; the least sure of them counts."""
    usable_confidence: Confidence | None = None
    """How sure `usable_bytes` is; None where it is not known."""
    context_confidence: Confidence | None = None
    """How sure `context_bytes` is; None where it is not known."""
    source: str = ""
    """Where the figures are from."""
    aliases: tuple[str, ...] = ()
    """Other names."""
    stands_for: tuple[str, ...] = ()
    """Short names that other variants could have too, and that mean this one."""
    note: str = ""
    """What a reader of the figures must know."""
    assumption: str | None = None
    """What the name left open that it was looked up by, in a sentence; None where it did not."""

    @property
    def names(self) -> tuple[str, ...]:
        """All names that it is found by."""
        return (self.name, *self.aliases, *self.stands_for)

    @property
    def room(self) -> int | None:
        """Bytes that a model can have at most; None where only the machine knows."""
        if self.usable_bytes is not None or self.kind in HOST:
            return self.usable_bytes
        return self.memory_bytes

    def peak(self, dtype: str) -> float | None:
        """Peak FLOP/s in a dtype of torch's; all of 8-bit floats have one rate.

        Args:
            dtype: `float32`, `tf32`, `bfloat16`, `float8_e4m3fn`, ...

        Returns:
            The rate; None where it is not known.
        """
        name = "float8" if dtype.startswith("float8") else dtype
        return self.peaks.get(name)

    def link(self, to: str) -> Link | None:
        """The link to the `host` or to a `peer`; None where there is none."""
        return next((one for one in self.links if one.to == to), None)


# names

_MAKERS = frozenset(
    "nvidia amd intel apple geforce tesla instinct radeon corporation r tm gpu graphics".split()
)
"""Words of a name that do not tell one device from another."""


def tokens(name: str) -> list[str]:
    """The words of a name that tell devices apart; a number and its GB are one.

    >>> tokens("NVIDIA GeForce RTX 3060 Laptop GPU"), tokens("A100 40 GB")
    (['rtx', '3060', 'laptop'], ['a100', '40gb'])
    """
    plain = re.sub(r"(\d)\s+(?=gi?b\b)", r"\1", name.lower().replace("gib", "gb"))
    words = re.findall(r"[a-z0-9+.]+", plain)
    return [word for word in words if word not in _MAKERS] or words


def key(name: str) -> str:
    """A name without case, spaces, signs and the maker's words.

    >>> key("NVIDIA GeForce RTX 4090"), key("rtx4090"), key("NVIDIA A100-SXM4-80GB")
    ('rtx4090', 'rtx4090', 'a100sxm480gb')
    """
    return "".join(tokens(name))


class Devices:
    """Devices by their names, in the order in which they came."""

    def __init__(self) -> None:
        self._found: list[tuple[str, Device]] = []
        self._names: dict[str, tuple[str, Device]] = {}

    def add(self, owner: str, device: Device) -> None:
        """Take in a device.

        Args:
            owner: Who brings it: the plugin's name.
            device: The device.

        Raises:
            DuplicateDevice: One of its names is taken; the first keeps it.
        """
        keys = {key(name): name for name in device.names}
        for each, name in keys.items():
            if each in self._names:
                other, taken = self._names[each]
                raise DuplicateDevice(name, f"{other}/{taken.name}", f"{owner}/{device.name}")
        self._found.append((owner, device))
        self._names.update(dict.fromkeys(keys, (owner, device)))

    def __iter__(self) -> Iterator[Device]:
        return (device for _, device in self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, name: str) -> bool:
        return key(name) in self._names

    @property
    def owned(self) -> tuple[tuple[str, Device], ...]:
        """(plugin, device) of each."""
        return tuple(self._found)

    def find(self, name: str) -> Device:
        """The device of that name.

        Args:
            name: As people or `nvidia-smi` write it.

        Returns:
            The device, with its `assumption` where the name stands for one of several variants.

        Raises:
            UnknownDevice: There is none.
        """
        if name not in self:
            raise self.unknown(name)
        device = self._names[key(name)][1]
        assumed = self.assumption(name)
        return device if assumed is None else replace(device, assumption=assumed)

    def unknown(self, name: str) -> UnknownDevice:
        """The error that no device is called so, with what is near."""
        return UnknownDevice(name, " ".join(tokens(name)), self.spoken())

    def assumption(self, name: str) -> str | None:
        """What a name leaves open that several variants share; None for others."""
        wanted = key(name)
        _, device = self._names.get(wanted, ("", None))
        short = (
            next((one for one in device.stands_for if key(one) == wanted), None) if device else None
        )
        if device is None or short is None:
            return None
        others = [one.name for one in self.variants(short) if one is not device]
        rest = f"; other variants: {', '.join(others)}" if others else ""
        return f"{name} is taken as {device.name}{rest}"

    def variants(self, short: str) -> tuple[Device, ...]:
        """Devices one of whose names begins with a short name, and names no other model."""
        begin = tokens(short)
        return tuple(
            one for one in self if any(_goes_on(tokens(name), begin) for name in one.names)
        )

    def spoken(self) -> list[str]:
        """A short way to say each device, and all short names."""
        names = [" ".join(tokens(device.name)) for device in self]
        return [*names, *(one.lower() for device in self for one in device.stands_for)]

    def search(self, query: str) -> tuple[Device, ...]:
        """Devices that a query is part of: of a name, the maker or the kind; `*` and `?` are wild.

        Args:
            query: The user's words.

        Returns:
            The devices, in order.
        """
        if any(mark in query for mark in "*?"):
            from fnmatch import fnmatchcase

            pattern = query.lower()
            return tuple(
                one for one in self if any(fnmatchcase(n.lower(), pattern) for n in one.names)
            )
        wanted, said = key(query), query.strip().lower()
        return tuple(
            one
            for one in self
            if said in (one.vendor.lower(), one.kind)
            or (wanted and any(wanted in key(name) for name in one.names))
        )


_MODELS = frozenset("ti super ultra pro max laptop mobile".split())
"""Words after a name that make it another model, and not a variant."""


def _goes_on(name: list[str], begin: list[str]) -> bool:
    rest = name[len(begin) :]
    return name[: len(begin)] == begin and not (rest and rest[0] in _MODELS)


# sizes


def budget(value: str | float, devices: Devices) -> tuple[int, Device | None]:
    """Memory that something has to fit into.

    Args:
        value: Bytes, `24GB` (1e9 B), `24GiB` (2**30 B), or the name of a device, whose usable
            memory counts.
        devices: Where names are looked up.

    Returns:
        Bytes, and the device where one was named.

    Raises:
        BadBudget: It is neither a size nor a device, or the device's memory is not known.
    """
    if isinstance(value, str) and value in devices:
        device = devices.find(value)
        return _room(value, device), device
    try:
        found = size(value)
    except ValueError:
        word = " ".join(tokens(str(value)))
        near = did_you_mean(word, devices.spoken(), "Write 24GB, 24GiB or rtx4090.")
        raise BadBudget(value, "it is neither a size nor a device", near) from None
    if found < MIB:
        raise BadBudget(value, f"that is {found} bytes", "Write 24GB, 24GiB or rtx4090.")
    return found, None


def _room(value: str, device: Device) -> int:
    if device.room is None:
        why = f"how much memory {device.name} has is not known"
        said = f" ({device.note})" if device.note else ""
        raise BadBudget(value, why + said, "Write a size: 24GB or 24GiB.")
    return device.room


# where devices come from


def table() -> tuple[Device, ...]:
    """The devices that zoo knows, from `devices.csv` beside this file."""
    import csv
    from pathlib import Path

    path = Path(__file__).with_name("devices.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(_of_row(row) for row in csv.DictReader(file))


def _of_row(row: Mapping[str, Any]) -> Device:
    peaks = {DTYPES[short]: float(row[short]) * 1e12 for short in DTYPES if row.get(short)}
    links = [Link(row[to], to, _scaled(row[f"{to}_gbs"], 1e9)) for to in ENDS if row[to]]
    major, _, minor = row["capability"].partition(".")
    return Device(
        name=row["name"],
        vendor=row["vendor"],
        kind=row["kind"],
        memory_bytes=_bytes(row["memory_gib"], GIB),
        usable_bytes=_bytes(row["usable_gib"], GIB),
        bandwidth=_scaled(row["bandwidth_gbs"], 1e9),
        peaks=MappingProxyType(peaks),
        capability=(int(major), int(minor)) if major else None,
        context_bytes=_bytes(row["context_mib"], MIB),
        links=tuple(links),
        confidence=row["check"],
        usable_confidence=row["usable_check"] or None,
        context_confidence=row["context_check"] or None,
        source=row["source"],
        aliases=_listed(row["aliases"]),
        stands_for=_listed(row["stands_for"]),
        note=row["note"],
    )


def _scaled(text: str, unit: float) -> float | None:
    return float(text) * unit if text else None


def _bytes(text: str, unit: int) -> int | None:
    return round(float(text) * unit) if text else None


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


FIELDS = (
    *("memory", "usable", "bandwidth", *DTYPES, "kind", "vendor", "capability", "context"),
    *("host", "peer", "aliases", "source", "note"),
)
"""What `[tool.zoo.devices]` may say of a device."""


def read_device(name: str, said: object) -> Device:
    """A device of the user's own, as a table of TOML says it.

    Args:
        name: What it is called.
        said: `{"memory": "24GB", "bandwidth": "1TB/s", "fp32": "82.6TFLOP/s", "kind": "cuda"}`;
            plain numbers are bytes, B/s and FLOP/s.

    Returns:
        The device. Whether it makes sense is checked with everybody's, by the plugin manager.

    Raises:
        ValueError: A field is unknown, or its value cannot be read.
    """
    if not isinstance(said, Mapping):
        raise ValueError(f'it is {said!r}, not a table such as {{ memory = "24GB" }}')  # noqa: TRY004
    for one in said:
        if one not in FIELDS:
            hint = did_you_mean(one, FIELDS, f"Known: {', '.join(FIELDS)}.")
            raise ValueError(f"no field is called {one!r}. {hint}")
    sizes = {one: _field(said, one, ("b",), "24GB") for one in ("memory", "usable", "context")}
    rates = {one: _field(said, one, ("b/s",), "1TB/s") for one in ("bandwidth", "host", "peer")}
    peaks = {
        full: rate
        for short, full in DTYPES.items()
        if (rate := _field(said, short, ("flop/s", "flops", "op/s", "ops"), "82.6TFLOP/s"))
    }
    usable = sizes["usable"] or sizes["memory"]
    return Device(
        name=name,
        vendor=said.get("vendor", ""),
        kind=said.get("kind", "cuda"),
        memory_bytes=_whole(sizes["memory"]),
        usable_bytes=_whole(usable),
        bandwidth=rates["bandwidth"],
        peaks=MappingProxyType(peaks),
        capability=_capability(said.get("capability")),
        context_bytes=_whole(sizes["context"]),
        links=tuple(Link(to, to, rates[to]) for to in ENDS if rates[to]),
        usable_confidence="given" if usable else None,
        context_confidence="given" if sizes["context"] else None,
        source=said.get("source", "[tool.zoo.devices] of pyproject.toml"),
        aliases=_words(said.get("aliases", ())),
        note=said.get("note", ""),
    )


def _field(
    said: Mapping[str, Any], name: str, units: tuple[str, ...], example: str
) -> float | None:
    if name not in said:
        return None
    try:
        return quantity(said[name], units, example)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _words(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else value


def _capability(value: object) -> tuple[int, int] | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d+)\.(\d+)", str(value))
    if match is None:
        raise ValueError(f'capability: {value!r} is not "8.9"')
    return int(match[1]), int(match[2])
