"""MACs of a training step, by zoo and by the operators that a real step ran on the CPU.

    python benchmarks/training_macs.py [--models a,b] [--output FOLDER]

All image classifiers of torchvision. Beside zoo's trace each model is built with its weights and
runs forward and backward, two images, while every operator of it is seen; what these multiply is
counted here by closed forms that share nothing with zoo's, and by torch's `FlopCounterMode`. An
operator that may hold a product and has no closed form here ends the benchmark, so that none is
missed. The results go to `benchmarks/results/training_macs.json` and `training_macs.md`.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections import Counter
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torchvision
from machine import describe, head
from output import RESULTS, table, write
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

import zoo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BATCH = 2
PHASES = ("forward", "backward")
SMALL = 64
"""Height and width of an image, where no family of `SIZES` asks for more."""
SIZES: Mapping[str, int] = {"inception": 299, "maxvit": 224}
"""By how a name begins; an auxiliary head of Inception needs all of it."""
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "vit_h_14": {"image_size": 56},
    "vit_": {"image_size": SMALL},
    "inception": {"aux_logits": True, "init_weights": False},
    "googlenet": {"aux_logits": True, "init_weights": False},
}
"""What a model is built with, by how its name begins. A vision transformer is of one size; zoo's
catalogue gives GoogLeNet as its published weights have it, without the heads that training adds."""


def by_family(rules: Mapping[str, Any], name: str, default: Any) -> Any:
    """The rule whose key `name` begins with."""
    return next((rule for start, rule in rules.items() if name.startswith(start)), default)


# closed forms, from the shapes of an operator's own arguments


def _product(left: Tensor, right: Tensor) -> int:
    """(.., m, k) and (.., k, n): each element of the left meets a row of the right."""
    return left.numel() * right.shape[-1]


def _convolution(args: Sequence[Any], out: Tensor) -> int:
    x, weight, transposed = args[0], args[1], args[6]
    return _taps(x if transposed else out, weight)


def _taps(laid_on: Tensor, weight: Tensor) -> int:
    """A kernel on each position. `laid_on` has one channel for each row of the weight."""
    return laid_on.numel() * prod(weight.shape[1:])


def _convolution_backward(args: Sequence[Any], out: Any) -> int:  # noqa: ARG001
    grad, x, weight, transposed, (of_x, of_weight, _) = *args[:3], args[7], args[10]
    return (of_x + of_weight) * _taps(x if transposed else grad, weight)


def _attention(args: Sequence[Any], out: Any) -> int:  # noqa: ARG001
    """Scores, and the values they weigh: each query meets each key twice."""
    query, key = args[:2]
    return 2 * query.numel() * key.shape[-2]


def _attention_backward(args: Sequence[Any], out: Any) -> int:  # noqa: ARG001
    """Scores again, then the gradients of scores, values, queries and keys: five times."""
    query, key = args[1:3]
    return 5 * query.numel() * key.shape[-2]


def _counted_too_often(args: Sequence[Any]) -> int:
    """What FlopCounterMode adds: a grouped weight's gradient, once more for each further group."""
    grad, x, weight, transposed, groups = *args[:3], args[7], args[9]
    return args[10][1] * (groups - 1) * _taps(x if transposed else grad, weight)


CLOSED: Mapping[str, Callable[[Sequence[Any], Any], int]] = {
    "aten.mm": lambda args, _: _product(args[0], args[1]),
    "aten.bmm": lambda args, _: _product(args[0], args[1]),
    "aten.addmm": lambda args, _: _product(args[1], args[2]),
    "aten.convolution": _convolution,
    "aten.convolution_backward": _convolution_backward,
    "aten._scaled_dot_product_flash_attention_for_cpu": _attention,
    "aten._scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
}
SUSPECT = (
    "mm",
    "mv",
    "conv",
    "attention",
    "linear",
    "matmul",
    "rnn",
    "lstm",
    "gru",
    "dot",
    "einsum",
)
"""An operator with one of these in its name may multiply and sum."""


class RealOperators(TorchDispatchMode):
    """Counts the MACs of every operator that runs, by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.macs: Counter[str] = Counter()
        self.counter_error = 0
        """MACs that FlopCounterMode is expected to be off by."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = str(func.overloadpacket)
        if name in CLOSED:
            macs = CLOSED[name](args, out)
            self.macs[name] += macs
            if name == "aten.convolution_backward":
                self.counter_error += _counted_too_often(args)
            elif "attention" in name:
                self.counter_error -= macs
        elif any(word in name for word in SUSPECT) and "commit" not in name:
            raise NotImplementedError(f"{name} has no closed form here.")
        return out


def real_step(name: str, size: int, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """MACs of a step that really runs, by phase: by the closed forms, and by torch's counter."""
    model = torchvision.models.get_model(name, weights=None, **arguments).train()
    x = torch.rand(BATCH, 3, size, size)
    start = time.perf_counter()
    found: dict[str, Any] = {"operators": {}, "by_operator": {}}
    found |= {"flop_counter": {}, "flop_counter_expected": {}}
    kept: list[Tensor] = []

    def forward() -> None:
        outputs = [one for one in tree_leaves(model(x)) if isinstance(one, Tensor)]
        kept.append(torch.stack([one.sum() for one in outputs]).sum())

    def backward() -> None:
        kept[0].backward()

    for phase, run in zip(PHASES, (forward, backward), strict=True):
        with RealOperators() as seen, FlopCounterMode(display=False) as counter:
            run()
        found["operators"][phase] = sum(seen.macs.values())
        found["by_operator"][phase] = dict(seen.macs)
        found["flop_counter"][phase] = counter.get_total_flops() // 2
        found["flop_counter_expected"][phase] = sum(seen.macs.values()) + seen.counter_error
    found["seconds"] = time.perf_counter() - start
    found["parameters"] = sum(one.numel() for one in model.parameters())
    return found


def traced_step(name: str, size: int, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """MACs of zoo's trace of the same step, by phase."""
    start = time.perf_counter()
    trace = zoo.trace(
        f"torchvision/{name}", (BATCH, 3, size, size), arguments=arguments, train=True
    )
    macs: Counter[str] = Counter()
    for op in trace.ops:
        macs[op.phase] += op.cost.macs if op.cost else 0
    return {
        "macs": {phase: macs[phase] for phase in PHASES},
        "unknown": sorted({op.op for op in trace.ops if op.cost is None}),
        "failure": trace.failure.message if trace.failure else None,
        "seconds": time.perf_counter() - start,
    }


def measure(name: str) -> dict[str, Any]:
    """One model, both ways; its weights are gone afterwards."""
    size, arguments = by_family(SIZES, name, SMALL), by_family(ARGUMENTS, name, {})
    size = arguments.get("image_size", size)
    row: dict[str, Any] = {"model": name, "size": size, "arguments": dict(arguments)}
    row["zoo"] = traced_step(name, size, arguments)
    row["real"] = real_step(name, size, arguments)
    gc.collect()
    row["equal"] = row["zoo"]["macs"] == row["real"]["operators"] and not row["zoo"]["unknown"]
    return row


# the results file

_RULES = f"""\
MACs of a forward and a backward pass over {BATCH} images, in training mode, all parameters
trainable, the loss the sum of all results. "zoo": `zoo.trace(..., train=True)`, no weights.
"operators": the operators of a real step on the CPU, counted by closed forms of this benchmark.
"FlopCounterMode": the FLOPs of the same real step by `torch.utils.flop_counter`, halved, as they
differ from the operators. "ratio" is backward to forward."""
_CAUSES = """\
Where FlopCounterMode differs: it counts the gradient of a grouped convolution's weight as many
times as there are groups, and the CPU's fused attention not at all. These two account for its
figures to the unit for {explained} of {count} models."""


def markdown(data: Mapping[str, Any]) -> str:
    """The results file."""
    rows = data["models"]
    equal, theirs = sum(row["equal"] for row in rows), sum(map(_counter_is_right, rows))
    verdict = (
        f"**zoo equals the operators that ran for {equal} of {len(rows)} models, in both phases, "
        f"to the unit; FlopCounterMode for {theirs}.**"
    )
    header = ["model", "image", "forward, zoo", "forward, operators", "backward, zoo"]
    header += ["backward, operators", "ratio", "FlopCounterMode, forward", "backward", "equal"]
    parts = ("# MACs of a training step", head(data["machine"]), _RULES, verdict)
    real = [row["real"] for row in rows]
    explained = sum(one["flop_counter"] == one["flop_counter_expected"] for one in real)
    causes = _CAUSES.format(explained=explained, count=len(rows))
    return "\n\n".join((*parts, table(header, map(_line, rows)), causes)) + "\n"


def _counter_is_right(row: Mapping[str, Any]) -> bool:
    return bool(row["real"]["flop_counter"] == row["real"]["operators"])


def _line(row: Mapping[str, Any]) -> list[str]:
    ours, real, theirs = row["zoo"]["macs"], row["real"]["operators"], row["real"]["flop_counter"]
    cells = [row["model"], str(row["size"])]
    for phase in PHASES:
        cells += [f"{ours[phase]:,}", f"{real[phase]:,}"]
    cells.append(f"{real['backward'] / real['forward']:.3f}")
    for phase in PHASES:
        off = theirs[phase] / real[phase] - 1
        cells.append("exact" if theirs[phase] == real[phase] else f"{off:+.1%}")
    return [*cells, "yes" if row["equal"] else "**no**"]


def main() -> None:
    """Measure, print, write."""
    names = torchvision.models.list_models(module=torchvision.models)
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", metavar="A,B", help="these only, by how their names begin")
    parser.add_argument(
        "--output", type=Path, default=RESULTS, metavar="FOLDER", help="where the results go"
    )
    given = parser.parse_args()
    if given.models:
        starts = tuple(given.models.split(","))
        names = [name for name in names if name.startswith(starts)]
        if not names:
            parser.error(f"--models: no classifier of torchvision begins with {given.models!r}")
    torch.set_num_threads(1)  # two that share a busy core wait for each other at every barrier
    facts = describe(("torch-zoo", "torch", "torchvision"))
    rows = []
    for place, name in enumerate(names, 1):
        rows.append(measure(name))
        took = f"{rows[-1]['zoo']['seconds']:.1f} s traced, {rows[-1]['real']['seconds']:.1f} s run"
        same = "equal" if rows[-1]["equal"] else "NOT EQUAL"
        print(f"{place} of {len(names)}: {name}, {took}, {same}", file=sys.stderr, flush=True)
    facts["load_after"] = os.getloadavg()[0]
    data = {"schema": "zoo.benchmark.training_macs/1", "machine": facts, "models": rows}
    write(given.output, "training_macs", data, markdown(data))


if __name__ == "__main__":
    main()
