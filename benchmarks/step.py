"""What it takes to look at a training step: zoo, and torch's `MemTracker` and `FlopCounterMode`.

    python benchmarks/step.py [--runs N] [--repeats N] [--models a,b] [--output FOLDER]

zoo traces a forward pass and training steps with SGD and AdamW. `MemTracker` and `FlopCounterMode`
watch the same step on fake tensors, as their documentation shows, and `FlopCounterMode` on real
ones too. Each measurement is a fresh process; tools take turns. Beside the seconds stand the
figures that each gives, so that a reader sees what they are worth. Results go to
`benchmarks/results/step.json` and `step.md`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machine import ROOT, describe, head
from output import RESULTS, spread, table, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    Analysis = Callable[[], Mapping[str, Any]]

TARGET = 4.0
"""A training step at most this many times the forward pass, on ResNet-50."""
LONG = 10.0
"""Seconds after which an analysis is not repeated, once it was."""
CONFIG = ROOT / "tests" / "oracles" / "hf_configs" / "llama-3.2-1b.json"


@dataclass(frozen=True, slots=True)
class Case:
    """A model and its input."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    real: bool = True
    """Whether the step is small enough to be computed too."""
    asks: bool = False
    """Whether its constructor asks weights for values, which fake tensors do not have."""

    def build(self) -> nn.Module:
        """The model as its own library builds it, in training mode."""
        if self.name == "lstm_512x2":
            from torch import nn

            return nn.LSTM(512, 512, 2, batch_first=True)
        if self.name == "llama_1b":
            from zoo.models.llama import llama

            return llama(CONFIG)
        import torchvision

        model: nn.Module = getattr(torchvision.models, self.name)()
        return model

    def input(self) -> Tensor:
        """Zeros: no figure depends on a value."""
        import torch

        return torch.zeros(self.shape, dtype=getattr(torch, self.dtype))


IMAGES = (8, 3, 224, 224)
CASES = {
    case.name: case
    for case in (
        Case("resnet50", IMAGES),
        Case("resnext50_32x4d", IMAGES),
        Case("vit_b_16", IMAGES, asks=True),
        Case("swin_t", IMAGES, asks=True),
        Case("lstm_512x2", (8, 100, 512)),
        Case("llama_1b", (1, 2048), "int64", real=False),
    )
}
"""By name, in the order of the tables. ResNeXt is here for its grouped convolutions."""


# how each tool is asked


def zoo_trace(case: Case, optimizer: str | None) -> Analysis:
    """zoo: no weights, no data. Reports are made of each trace, as the others make theirs."""
    import zoo
    from zoo.analysis.skeleton import skeleton

    model = skeleton(case.build)
    word = f"{','.join(map(str, case.shape))}:{case.dtype}"
    options = {} if optimizer is None else {"train": True, "optimizer": optimizer}

    def analyse() -> Mapping[str, Any]:
        start = time.perf_counter()
        trace = zoo.trace(model, word, **options)
        end = time.perf_counter()
        if trace.failure is not None:
            raise RuntimeError(trace.failure.message)
        phases = {row["phase"]: row["macs"] for row in zoo.flops(trace, by="phase").rows}
        return {
            "trace_seconds": end - start,
            "forward_macs": phases["forward"],
            "backward_macs": phases.get("backward"),
            "peak_bytes": zoo.memory(trace).totals["peak_bytes"],
            "operators": len(trace.ops),
        }

    return analyse


def faked(case: Case, mode: Any) -> tuple[nn.Module, Tensor]:
    """The model and its input with fake tensors; where need be, built on the meta device before."""
    import torch

    if not case.asks:
        with mode:
            return case.build().train(), case.input()
    with torch.device("meta"):
        model = case.build().train()
    with mode:
        return model.to_empty(device="cpu"), case.input()


def memory_tracker(case: Case, optimizer: str | None) -> Analysis:
    """`MemTracker` on fake tensors, two steps: the first makes the optimizer's state."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed._tools.mem_tracker import MemTracker

    kind = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[str(optimizer)]
    mode = FakeTensorMode(allow_non_fake_inputs=case.asks)
    model, given = faked(case, mode)

    def analyse() -> Mapping[str, Any]:
        owner = kind(model.parameters(), lr=1e-3)
        tracker = MemTracker()
        tracker.track_external(model, owner, given)
        with mode, tracker:
            for _ in range(2):
                total(model(given)).backward()  # type: ignore[no-untyped-call]
                owner.step()
                owner.zero_grad()
                tracker.reset_mod_stats()
        peak = tracker.get_tracker_snapshot("peak")
        return {"peak_bytes": int(peak[torch.device("cpu")]["Total"])}

    return analyse


def flop_counter(case: Case, optimizer: str | None, *, real: bool = False) -> Analysis:  # noqa: ARG001
    """`FlopCounterMode`, forward and backward: it has no formulas for optimizers."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    mode: Any = contextlib.nullcontext()
    if real:
        model, given = case.build().train(), case.input()
    else:
        mode = FakeTensorMode(allow_non_fake_inputs=case.asks)
        model, given = faked(case, mode)

    def analyse() -> Mapping[str, Any]:
        model.zero_grad()
        with mode, FlopCounterMode(display=False) as counter:
            loss = total(model(given))
            forward = counter.get_total_flops()
            loss.backward()  # type: ignore[no-untyped-call]
        return {
            "forward_macs": forward // 2,
            "backward_macs": (counter.get_total_flops() - forward) // 2,
        }

    return analyse


def flop_counter_real(case: Case, optimizer: str | None) -> Analysis:
    """The same with data, which computes the step."""
    return flop_counter(case, optimizer, real=True)


def total(output: Any) -> Tensor:
    """The sum of all outputs that gradients reach, which is zoo's default loss."""
    parts = [one.sum() for one in _tensors(output) if one.requires_grad]
    loss = parts[0]
    for part in parts[1:]:
        loss = loss + part
    return loss


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)
    else:
        yield value


TOOLS: Mapping[str, tuple[Callable[[Case, str | None], Analysis], str | None]] = {
    "zoo, forward": (zoo_trace, None),
    "zoo, step with sgd": (zoo_trace, "sgd"),
    "zoo, step with adamw": (zoo_trace, "adamw"),
    "MemTracker, step with sgd": (memory_tracker, "sgd"),
    "MemTracker, step with adamw": (memory_tracker, "adamw"),
    "FlopCounterMode": (flop_counter, None),
    "FlopCounterMode, real tensors": (flop_counter_real, None),
}
"""By name: how to prepare it, and with which optimizer. Counting ends before the optimizer."""
FORWARD, SGD, ADAMW, *_, REAL = TOOLS
RATIOS = "ratios"


# measuring


def probe(tool: str, case: Case, repeats: int) -> Mapping[str, Any]:
    """One measurement, in this process."""
    start = time.perf_counter()
    import torch

    if case.name not in ("lstm_512x2", "llama_1b"):
        import torchvision  # noqa: F401 - the model's library is not the tool's
    torch.set_num_threads(1)
    imported = time.perf_counter()
    prepare, optimizer = TOOLS[tool]
    analyse = prepare(case, optimizer)
    ready = time.perf_counter()
    figures = dict(analyse())
    seconds, inside = [time.perf_counter() - ready], [figures.pop("trace_seconds", None)]
    while len(seconds) <= repeats and (len(seconds) == 1 or sum(seconds) < LONG):
        begin = time.perf_counter()
        again = dict(analyse())
        seconds.append(time.perf_counter() - begin)
        inside.append(again.pop("trace_seconds", None))
        if again != figures:
            raise RuntimeError(f"the second time it says {again}, after {figures}")
    return {
        "torch_seconds": imported - start,
        "prepare_seconds": ready - imported,
        "first_seconds": seconds[0],
        "cold_seconds": ready - imported + seconds[0],
        "cold_seconds_with_torch": ready - start + seconds[0],
        "warm_seconds": statistics.median(seconds[1:]),
        "warm_trace_seconds": statistics.median(inside[1:]) if inside[0] is not None else None,
        "figures": figures,
    }


def ratios(case: Case, repeats: int) -> Mapping[str, Any]:
    """Traces taking turns in one warm process: what a step takes, by the forward pass before it."""
    analyses = {name: zoo_trace(case, name) for name in (None, "sgd", "adamw")}
    found: dict[str, list[float]] = {"sgd": [], "adamw": []}
    for turn in range(repeats + 1):
        seconds = {name: analyse()["trace_seconds"] for name, analyse in analyses.items()}
        for name, taken in found.items():
            if turn:
                taken.append(seconds[name] / seconds[None])
    return {name: statistics.median(taken) for name, taken in found.items()}


def once(tool: str, case: Case, repeats: int) -> Mapping[str, Any]:
    """The same in a fresh process; what the tool raises is a finding."""
    words = [sys.executable, __file__, "--probe", tool, case.name, "--repeats", str(repeats)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"error": f"exit {done.returncode}: {last[:200]}"}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(cases: Sequence[Case], runs: int, repeats: int) -> list[dict[str, Any]]:
    """Rounds of everything; the first process, which writes bytecode, does not count."""
    once(FORWARD, cases[0], 1)
    rows = []
    for case in cases:
        found: dict[str, list[Mapping[str, Any]]] = {
            tool: [] for tool in TOOLS if case.real or tool != REAL
        }
        warm = []
        for turn in range(runs):
            print(f"{case.name}: round {turn + 1} of {runs}", file=sys.stderr, flush=True)
            for tool, results in found.items():
                if tool != REAL or not turn:
                    results.append(once(tool, case, repeats))
            warm.append(once(RATIOS, case, 2 * repeats))
        rows += [_row(case, tool, results) for tool, results in found.items()]
        _ratios(rows, case, found, warm)
    return rows


def _row(case: Case, tool: str, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"model": case.name, "input": list(case.shape), "tool": tool}
    wrong = next((one["error"] for one in results if "error" in one), None)
    if wrong is not None:
        return {**row, "error": wrong}
    for key, value in results[0].items():
        if isinstance(value, float):
            row[key] = spread([one[key] for one in results])
    return {**row, "figures": results[0]["figures"]}


def _ratios(
    rows: Sequence[dict[str, Any]],
    case: Case,
    found: Mapping[str, Sequence[Mapping[str, Any]]],
    warm: Sequence[Mapping[str, Any]],
) -> None:
    """Steps by the forward pass: in one warm process, and in fresh processes of one round."""
    for row in rows:
        if row["model"] != case.name or row["tool"] not in (SGD, ADAMW) or "error" in row:
            continue
        optimizer = row["tool"].rpartition(" ")[2]
        row["warm_ratio"] = spread([one[optimizer] for one in warm if optimizer in one])
        pairs = zip(found[row["tool"]], found[FORWARD], strict=True)
        row["cold_ratio"] = spread(
            [step["cold_seconds"] / one["cold_seconds"] for step, one in pairs]
        )


# writing


def markdown(data: Mapping[str, Any]) -> str:
    """The results file."""
    rows = data["rows"]
    names = list(dict.fromkeys(row["model"] for row in rows))
    by = {(row["model"], row["tool"]): row for row in rows}
    parts = ["# A training step, looked at", head(data["machine"]), _RULES]
    parts += ["## Step by forward pass", _RATIO_RULES, table(_RATIO_HEADER, _ratio_lines(rows))]
    for name in names:
        own = [by[name, tool] for tool in TOOLS if (name, tool) in by]
        shape = " x ".join(map(str, own[0]["input"]))
        parts += [f"## {name}, {shape}", table(_HEADER, map(_line, own))]
    return "\n\n".join(parts) + "\n"


_RULES = """\
Seconds are medians of fresh processes, tools taking turns, one thread, warm disk cache. `first` is
the first analysis in a process and `warm` the median of those after it. `cold` adds to the first
what comes before it, importing the tool and building the model, and `cold with torch` importing
torch and the library of the model. zoo's seconds hold its reports of FLOPs and memory. MACs are
half of `FlopCounterMode`'s FLOPs. Peaks are those of a steady step on the CPU; zoo's holds what
kernels are known to allocate inside themselves, which `MemTracker` does not see (the measured peaks
are in `memory_peak.md`, real steps' MACs in `training_macs.md`)."""
_RATIO_RULES = """\
A step by the forward pass, median and quartiles. `warm`: `zoo.trace` alone, forward pass and steps
taking turns in one process, after one of each. `cold`: importing zoo, building the model, tracing
and reporting, each in a fresh process. The target is one of ResNet-50."""
_RATIO_HEADER = (
    "model",
    "step",
    "operators",
    "of the forward pass",
    "warm ratio",
    "cold ratio",
    "target",
)
_HEADER = (
    "tool",
    "first s",
    "warm s",
    "cold s",
    "cold with torch s",
    "forward MACs",
    "backward MACs",
    "peak bytes",
)


def _ratio_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    forward = [row for row in rows if row["tool"] == FORWARD and "figures" in row]
    operators = {row["model"]: row["figures"]["operators"] for row in forward}
    for row in rows:
        if "warm_ratio" in row:
            target = f"{TARGET:g}" if row["model"] == "resnet50" else ""
            yield [
                row["model"],
                row["tool"].rpartition(" ")[2],
                f"{row['figures']['operators']:,}",
                f"{operators[row['model']]:,}",
                *(_quartiles(row[f"{name}_ratio"]) for name in ("warm", "cold")),
                target,
            ]


def _quartiles(found: Mapping[str, Any]) -> str:
    low, high = found["quartiles"]
    return f"{found['median']:.2f} ({low:.2f}-{high:.2f})"


def _line(row: Mapping[str, Any]) -> list[str]:
    if "error" in row:
        return [f"{row['tool']}: **failed** ({row['error']})", *[""] * 7]
    keys = ("first_seconds", "warm_seconds", "cold_seconds", "cold_seconds_with_torch")
    names = ("forward_macs", "backward_macs", "peak_bytes")
    return [
        row["tool"],
        *(f"{row[key]['median']:.3f}" for key in keys),
        *(_number(row["figures"].get(name)) for name in names),
    ]


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="fresh processes (5)")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="warm analyses (5)")
    parser.add_argument("--models", default=",".join(CASES), metavar="A,B", help="which models")
    parser.add_argument(
        "--output", type=Path, default=RESULTS, metavar="FOLDER", help="where the results go"
    )
    parser.add_argument("--probe", nargs=2, metavar=("TOOL", "MODEL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.probe:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tool, case = given.probe[0], CASES[given.probe[1]]
            counted = (case, given.repeats)
            found = ratios(*counted) if tool == RATIOS else probe(tool, *counted)
        print(json.dumps(found))
        return
    names = given.models.split(",")
    if given.runs < 1 or given.repeats < 1 or not set(names) <= set(CASES):
        parser.error(f"--runs and --repeats want 1 or more, --models some of {', '.join(CASES)}")
    facts = describe(("torch-zoo", "torch", "torchvision"))
    rows = measure([CASES[name] for name in names], given.runs, given.repeats)
    facts["load_after"] = os.getloadavg()[0]
    data = {"schema": "zoo.benchmark.step/1", "machine": facts, "rows": rows}
    write(given.output, "step", data, markdown(data))


if __name__ == "__main__":
    main()
