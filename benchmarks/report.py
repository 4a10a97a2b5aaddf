"""The results of `peers.py` as Markdown, from nothing but its JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from machine import head
from output import table

Row = Mapping[str, Any]


def markdown(data: Mapping[str, Any]) -> str:
    """The whole results file."""
    parts = ["# zoo beside its peers", head(data["machine"])]
    parts += ["## MACs against the published figure", _matrix(data["cold"]), _legend(data["cold"])]
    threads = data["machine"]["threads"] or "torch's default number of"
    parts += ["## Seconds and memory, each in a fresh process", _COLD]
    parts += [f"All of them with {threads} thread(s), as the comparison in one process below."]
    for model in dict.fromkeys(row["model"] for row in data["cold"]):
        parts += [f"### {model}", _costs([row for row in data["cold"] if row["model"] == model])]
    if data["warm"]:
        parts += ["## zoo and torchinfo in one process, warm", _WARM, _pairs(data["warm"])]
        parts += [_profile(row) for row in data["warm"] if "profile" in row]
    return "\n\n".join(parts) + "\n"


_COLD = """\
Medians, tools taking turns; `range` is from the fastest run to the slowest. Time starts after all
imports: `build` is the model's constructor, `analysis` the tool's call with making the input.
`peak` is the most resident memory beyond what importing torch and torchvision took (MB = 10^6
bytes), `import` the part of it that importing the tool took. The tools are asked as their
documentation shows. The variants are what a user who knows a tool can do instead: `meta` has model
and input on the meta device, `by-name` is `zoo.summary("torchvision/resnet50", shape)`, with the
look-up in zoo's catalog."""
_WARM = """\
Model built and analysed, medians after one round of warming up. `fastest` is the ratio of the
fastest rounds, `CPU` the ratio of processor seconds. Above 1 zoo is slower, and a profile of it
follows."""


def _matrix(rows: Iterable[Row]) -> str:
    """Models across, tools down."""
    rows = list(rows)
    models = list(dict.fromkeys(row["model"] for row in rows))
    by_pair = {(row["tool"], row["model"]): row for row in rows}
    published = {row["model"]: row.get("expected_macs") for row in rows}
    lines = [["**published**", *(_macs(published[model]) for model in models)]]
    lines += [
        [tool, *(_error(by_pair[tool, model]) for model in models)]
        for tool in dict.fromkeys(row["tool"] for row in rows)
    ]
    return table(["tool", *models], lines)


def _error(row: Row) -> str:
    if "error" in row:
        return "crashed"
    return "exact" if row["agrees"] else f"{row['relative_error']:+.2%}"


def _legend(rows: Iterable[Row]) -> str:
    """What the numbers are, where the published ones are from, and what crashed."""
    rows = list(rows)
    called = {row["tool"]: row["called"] for row in rows}
    sources = {row["model"]: row.get("expected_source", "unknown") for row in rows}
    crashed = [f"{row['tool']} on {row['model']}: {row['error']}" for row in rows if "error" in row]
    parts = [
        "`exact`: equal to as many digits as were published. All numbers are turned into MACs of "
        f"the whole batch; the tools call theirs: {_listed(called)}.",
        f"Published: {_listed(sources)}.",
        *(f"Crashed: {one}." for one in crashed),
    ]
    return "\n\n".join(parts)


def _listed(pairs: Mapping[str, str]) -> str:
    return "; ".join(f"{key}: {value}" for key, value in pairs.items())


def _costs(rows: Iterable[Row]) -> str:
    header = [
        "tool",
        "seconds",
        "range",
        "build",
        "analysis",
        "peak MB",
        "import MB",
        "MACs",
        "error",
    ]
    lines = []
    for row in rows:
        tool = f"variant: {row['tool']}" if row["variant"] else row["tool"]
        if "error" in row:
            lines.append([tool, *["-"] * 6, "-", "crashed"])
            continue
        samples = row["seconds"]["samples"]
        apart = row["built"] != "name"
        lines.append(
            [
                tool,
                _seconds(row["seconds"]["median"]),
                f"{_seconds(min(samples))}-{_seconds(max(samples))}",
                _seconds(row["build_seconds"]["median"]) if apart else "-",
                _seconds(row["analysis_seconds"]["median"]) if apart else "-",
                f"{row['peak_bytes']['median'] / 1e6:,.0f}",
                f"{row['tool_import_bytes']['median'] / 1e6:,.0f}",
                _macs(row["macs"]),
                _error(row),
            ]
        )
    return table(header, lines)


def _pairs(rows: Iterable[Row]) -> str:
    header = ["model", "zoo s", "torchinfo s", "zoo/torchinfo", "fastest", "CPU"]
    return table(header, [_pair(row) for row in rows])


def _pair(row: Row) -> list[str]:
    if "error" in row:
        return [row["model"], f"crashed: {row['error']}", *["-"] * 4]
    return [
        row["model"],
        _seconds(row["zoo"]["seconds"]["median"]),
        _seconds(row["torchinfo"]["seconds"]["median"]),
        f"{row['ratio']:.2f}",
        f"{row['fastest_ratio']:.2f}",
        f"{row['cpu_ratio']:.2f}",
    ]


def _profile(row: Row) -> str:
    """Why zoo is slower: what it did, and where its time went."""
    found = row["profile"]
    shares = ", ".join(f"{who} {share:.0%}" for who, share in found["share_by_package"].items())
    rows = [
        [
            f"`{one['function']}`",
            f"{one['calls']:,}",
            f"{one['own_seconds']:.5f}",
            f"{one['total_seconds']:.5f}",
        ]
        for one in found["top_by_own_time"]
    ]
    return "\n\n".join(
        (
            f"### Profile of zoo: {row['model']} ({row['ratio']:.2f} times torchinfo)",
            f"zoo recorded in Python, one by one, operators: {row['operators']:,}. torchinfo "
            f"hooks module calls ({row['module_calls']:,}) and lets torch compute in C++. "
            f"Own time under the profiler ({found['seconds']:.4f} s): {shares}. "
            f"Garbage collection took {found['garbage_collection_seconds']:.4f} s of it.",
            table(["function", "calls", "own s", "with callees s"], rows),
        )
    )


def _seconds(value: float) -> str:
    return f"{value:.4f}" if value < 0.1 else f"{value:.2f}"


def _macs(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value / 1e9:,.3f} G" if value >= 1e9 else f"{value:,.0f}"
