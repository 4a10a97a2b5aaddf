"""`ratio` of `zoo freeze` beside the step times of real training.

Each model is built with its weights, and each plan is applied to it as zoo says it: parameters that
are frozen have no gradient, still modules are in evaluation mode, and the optimizer gets what is
trained. Plans take turns, step by step, so that whatever else the machine does meets all of them
alike. Measured are the processor's seconds of one thread: on an idle machine these are the seconds
that pass, on a busy one they leave out the time in which others had the processor. What others do
to the caches only adds, so that the least of several steps is taken. All samples are in the JSON.

The set `figure` has the five models of the figure. No rate of zoo's time model was fitted to them,
but they were run again and again while it was made, and twice it was their errors that showed what
to look at in others (an LSTM's speed, layers whose gradients are larger than 32 MiB): it is no
blind test. The set `chosen` is what rates were fitted to; its LSTM differs from that of the figure
in its sizes alone. The set `unseen` was run once, when the model was done: `--set unseen`, which
writes results of its own.

The last tables time each operator of a step of the second set, and each gradient of its
convolutions by itself, beside what the model says: `zoo/analysis/steptime.py` has these rates,
rounded.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torchvision
from machine import describe, head
from output import RESULTS, table, write
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import zoo
from zoo.analysis import steptime
from zoo.analysis.freezing import Model, Plan
from zoo.analysis.records import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from zoo.analysis.records import OpCall

TARGET = 0.10
"""How far a predicted ratio may be from the measured one."""
VOCABULARY = 2000


class Words(nn.Module):
    """A language model: tokens (N, T) to scores (N, T, vocabulary)."""

    def __init__(self, body: nn.Module, width: int, out: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.body = body
        self.head = nn.Linear(out, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T) -> (N, T, vocabulary)."""
        found = self.body(self.embedding(tokens))
        scores: Tensor = self.head(found)
        return scores


class Recurrent(nn.Sequential):
    """Recurrent layers, one module each, so that one can be frozen without the next."""

    def __init__(self, cell: str, width: int, hidden: int, layers: int) -> None:
        make = getattr(nn, cell)
        sizes = [width, *[hidden] * layers]
        pairs = pairwise(sizes)
        super().__init__(*(make(first, second, batch_first=True) for first, second in pairs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) -> (N, T, hidden)."""
        for layer in self:
            x, _ = layer(x)
        return x


def recurrent(cell: str, width: int, hidden: int) -> nn.Module:
    """A language model of two recurrent layers."""
    return Words(Recurrent(cell, width, hidden, 2), width, hidden)


def gpt() -> nn.Module:
    """Four transformer blocks of width 256, norm first."""
    layer = nn.TransformerEncoderLayer
    blocks = (layer(256, 8, 1024, 0.0, "gelu", batch_first=True, norm_first=True) for _ in "1234")
    return Words(nn.Sequential(*blocks), 256, 256)


@dataclass(frozen=True, slots=True)
class Case:
    """A model, its input, and up to where it is frozen."""

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    """Of the one input: float32, or token numbers where it has two dims."""
    through: tuple[str, ...]
    """Modules, in the words of `--through`."""

    def inputs(self) -> Tensor:
        """Random numbers of the case's shape."""
        if len(self.shape) == 2:
            return torch.randint(0, VOCABULARY, self.shape)
        return torch.randn(self.shape)


def vision(name: str, shape: tuple[int, ...], *through: str, **arguments: Any) -> Case:
    """A classifier of torchvision, without weights of its own."""
    return Case(name, lambda: getattr(torchvision.models, name)(**arguments), shape, through)


PLAIN = {"aux_logits": False, "init_weights": False}
SETS: Mapping[str, tuple[Case, ...]] = {
    "figure": (
        vision("resnet18", (8, 3, 160, 160), "layer1", "layer3", "avgpool"),
        vision("mobilenet_v2", (8, 3, 160, 160), "features.4", "features.13", "features.18"),
        vision("vgg11", (2, 3, 160, 160), "features.5", "features.15", "classifier.3"),
        vision(
            "vit_b_32",
            (4, 3, 224, 224),
            "encoder.layers.encoder_layer_3",
            "encoder.layers.encoder_layer_7",
            "encoder.ln",
        ),
        Case(
            "lstm",
            lambda: recurrent("LSTM", 192, 320),
            (32, 48),
            ("embedding", "body.0", "body.1"),
        ),
    ),
    "chosen": (
        vision("alexnet", (8, 3, 160, 160), "features.2", "features.12", "classifier.4"),
        vision(
            "googlenet",
            (8, 3, 128, 128),
            "inception3b",
            "inception4c",
            "avgpool",
            **PLAIN,
        ),
        vision(
            "densenet121",
            (4, 3, 128, 128),
            "features.transition1",
            "features.transition2",
            "features.norm5",
        ),
        vision("mnasnet1_0", (8, 3, 128, 128), "layers.8", "layers.11", "layers.16"),
        vision("shufflenet_v2_x1_0", (16, 3, 128, 128), "stage2", "stage3", "conv5"),
        vision("squeezenet1_1", (8, 3, 128, 128), "features.5", "features.9", "features.12"),
        vision("resnext50_32x4d", (4, 3, 128, 128), "layer1", "layer3", "avgpool"),
        vision("swin_t", (2, 3, 128, 128), "features.1", "features.5", "avgpool"),
        Case("gpt", gpt, (8, 64), ("embedding", "body.1", "body.3")),
        Case(
            "gru", lambda: recurrent("GRU", 128, 256), (16, 32), ("embedding", "body.0", "body.1")
        ),
        Case(
            "lstm_small",
            lambda: recurrent("LSTM", 128, 256),
            (16, 32),
            ("embedding", "body.0", "body.1"),
        ),
    ),
    "unseen": (
        vision("efficientnet_b0", (8, 3, 128, 128), "features.3", "features.5", "avgpool"),
        vision("mobilenet_v3_large", (8, 3, 128, 128), "features.6", "features.12", "avgpool"),
        vision("regnet_y_400mf", (8, 3, 128, 128), "trunk_output.block2", "avgpool"),
        vision("convnext_tiny", (2, 3, 128, 128), "features.3", "features.5", "avgpool"),
        vision("inception_v3", (2, 3, 192, 192), "Mixed_5d", "Mixed_6e", "avgpool", **PLAIN),
        vision("wide_resnet50_2", (4, 3, 128, 128), "layer1", "layer3", "avgpool"),
        Case("rnn", lambda: recurrent("RNN", 256, 512), (32, 32), ("body.0", "body.1")),
    ),
}


class Stepper:
    """Takes training steps of one model under several plans.

    Args:
        model: With its weights.
        x: Its input.
        plans: What is frozen.
    """

    def __init__(self, model: nn.Module, x: Tensor, plans: Sequence[Plan]) -> None:
        self.model, self.x, self.plans = model, x, plans
        self.parameters = dict(model.named_parameters())
        self.optimizers = [self._optimizer(plan) for plan in plans]

    def _trained(self, plan: Plan) -> list[nn.Parameter]:
        held = set(plan.frozen)
        return [one for name, one in self.parameters.items() if name not in held]

    def _optimizer(self, plan: Plan) -> torch.optim.Optimizer:
        return torch.optim.SGD(self._trained(plan), lr=1e-6)

    def apply(self, plan: Plan) -> None:
        """Freeze what a plan says, and nothing else."""
        for parameter in self.parameters.values():
            parameter.requires_grad_(requires_grad=False)
            parameter.grad = None
        for parameter in self._trained(plan):
            parameter.requires_grad_(requires_grad=True)
        self.model.train()
        still = set(plan.still)
        for path, module in self.model.named_modules():
            if path in still:
                module.training = False

    def step(self, number: int) -> tuple[float, float]:
        """One step: seconds of the processor, seconds that passed."""
        optimizer = self.optimizers[number]
        began, wall = time.thread_time(), time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        self.model(self.x).sum().backward()
        optimizer.step()
        return time.thread_time() - began, time.perf_counter() - wall


def plans_of(case: Case, model: nn.Module, x: Tensor) -> list[Plan]:
    """To train everything, and the case's own."""
    look = Model(zoo.trace(model, x))
    return [Plan("train everything"), *(look.through(path) for path in case.through)]


def turns(stepper: Stepper, seconds: float) -> Iterator[tuple[int, tuple[float, float]]]:
    """Plans take turns: one step to warm up, two that count."""
    ends = time.perf_counter() + seconds
    rounds = 0
    while rounds < 4 or time.perf_counter() < ends:
        for number, plan in enumerate(stepper.plans):
            stepper.apply(plan)
            stepper.step(number)
            yield number, stepper.step(number)
            yield number, stepper.step(number)
        rounds += 1


def measure(case: Case, seconds: float) -> dict[str, Any]:
    """One model under all its plans, measured and predicted."""
    torch.manual_seed(0)
    model, x = case.make(), case.inputs()
    plans = plans_of(case, model, x)
    samples: list[tuple[list[float], list[float]]] = [([], []) for _ in plans]
    for number, (busy, passed) in turns(Stepper(model, x, plans), seconds):
        samples[number][0].append(busy)
        samples[number][1].append(passed)
    busy, passed = ([min(one[kind]) for one in samples] for kind in (0, 1))
    del model
    gc.collect()
    rows = [
        {
            "plan": plan.name,
            "seconds": busy[place],
            "elapsed_seconds": passed[place],
            "samples": [round(one, 5) for one in samples[place][0]],
            "measured": busy[place] / busy[0],
            "measured_elapsed": passed[place] / passed[0],
            **predicted(case, plan, path),
        }
        for place, (plan, path) in enumerate(zip(plans, (None, *case.through), strict=True))
        if path is not None
    ]
    return {
        "model": case.name,
        "input": list(case.shape),
        "seconds": busy[0],
        "samples": [round(one, 5) for one in samples[0][0]],
        "plans": rows,
    }


def predicted(case: Case, plan: Plan, path: str) -> dict[str, float]:
    """What `zoo freeze --through PATH` says."""
    word = ",".join(map(str, case.shape)) + (":int64" if len(case.shape) == 2 else "")
    (_, row) = zoo.freeze(case.make(), word, through=path).rows
    if row["plan"] != plan.name:
        raise SystemExit(f"{case.name}: zoo froze {row['plan']}, the benchmark {plan.name}")
    return {"ratio": row["ratio"], "macs_ratio": row["macs_ratio"]}


# operators by themselves


class Clock(TorchDispatchMode):
    """Times operators; remembers how convolutions were called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.seconds: list[float] = []
        self.convolutions: dict[tuple[Any, ...], None] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        began = time.thread_time()
        out = func(*args, **(kwargs or {}))
        took = time.thread_time() - began
        name = str(func._schema.name).replace("::", ".", 1)
        if not name.startswith("profiler."):
            self.names.append(f"{name}.{func._schema.overload_name or 'default'}")
            self.seconds.append(took)
        if name == "aten.convolution_backward":
            shapes = tuple(tuple(one.shape) for one in args[:3])
            settings = tuple(tuple(one) if isinstance(one, list) else one for one in args[4:10])
            self.convolutions[(*shapes, *settings)] = None
        return out


def timed(case: Case, steps: int = 6) -> tuple[list[tuple[OpCall, float]], Iterable[Any]]:
    """Operators of a step that trains everything, with the least seconds that each took."""
    torch.manual_seed(0)
    model, x = case.make().train(), case.inputs()
    ops = zoo.trace(model, x, train=True).ops
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    clocks = []
    for _ in range(steps):
        optimizer.zero_grad()
        with Clock() as clock:
            model(x).sum().backward()
            optimizer.step()
        clocks.append(clock)
    if clocks[-1].names != [op.op for op in ops]:  # constants of the model's own code, say
        return [], clocks[-1].convolutions
    least = [min(one) for one in zip(*(clock.seconds for clock in clocks[1:]), strict=True)]
    return list(zip(ops, least, strict=True)), clocks[-1].convolutions


PASSES = {"input": [True, False, False], "weight": [False, True, False]}


def passes(convolution: Any) -> Iterator[tuple[str, str, float, float]]:
    """Kind, pass, measured and expected seconds of the gradients of one convolution."""
    gradient, x, weight = (torch.randn(shape) for shape in convolution[:3])
    described = [TensorSpec(tuple(one.shape)) for one in (x, weight, gradient)]
    kind = steptime.kind_of(*described)
    (name,) = (word for word, one in vars(steptime).items() if one is kind)
    for which, mask in PASSES.items():
        seconds = []
        for _ in range(5):
            began = time.thread_time()
            torch.ops.aten.convolution_backward(gradient, x, weight, None, *convolution[3:], mask)
            seconds.append(time.thread_time() - began)
        speed = getattr(kind, which)
        filled = described[0] if which == "input" else described[2]
        expected = steptime.pass_time(speed, *described, filled=filled) / 1e9
        yield name, which, min(seconds[1:]), expected


def operators(cases: Iterable[Case]) -> dict[str, Any]:
    """Measured and expected seconds by operator, and by kind and pass of convolutions."""
    by_name: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    by_pass: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    seen: dict[Any, None] = {}
    unlike = []
    for case in cases:
        found, convolutions = timed(case)
        unlike += [] if found else [case.name]
        for op, seconds in found:
            _add(by_name[op.op], seconds, steptime.time_of(op) / 1e9)
        seen.update(dict.fromkeys(convolutions))
        gc.collect()
    for convolution in seen:
        for kind, which, seconds, expected in passes(convolution):
            _add(by_pass[f"{kind}, gradient of the {which}"], seconds, expected)
    return {"operators": dict(by_name), "passes": dict(by_pass), "left_out": unlike}


def _add(row: list[float], seconds: float, expected: float) -> None:
    row[0] += 1
    row[1] += seconds
    row[2] += expected


# the results file

_SEEN = """\
The models of the figure were run several times while the time model was made, with 13 to 15 of 15
plans within 10%. Rates were fitted to others, but what to fit was in part found by looking at
these; `freeze_ratio_unseen.md` is of models that were not looked at."""
_RULES = """\
A training step: forward pass, sum of the outputs, backward pass, SGD. "measured": seconds of a step
under the plan, by those of a step that trains everything; one thread, the least of alternating
steps. "ratio" and "MACs ratio" are the columns of `zoo freeze`, "error" is how far `ratio` is from
the measured one. Bold where it is more than 10%."""


def within(model: Mapping[str, Any]) -> bool:
    """Whether all plans of a model are predicted well."""
    return all(abs(error(row)) <= TARGET for row in model["plans"])


def error(row: Mapping[str, Any], figure: str = "ratio") -> float:
    """How far a prediction is above what was measured, as a share of it."""
    return float(row[figure] / row["measured"] - 1)


def markdown(data: Mapping[str, Any]) -> str:
    """The results file."""
    parts = ["# Step times of freeze plans", head(data["machine"]), _RULES]
    titles = {
        "figure": "## The figure: models that no rate was fitted to",
        "chosen": "## Models that rates were fitted to",
        "unseen": "## Models that were not looked at before",
    }
    for name, models in data["sets"].items():
        rows = [row for model in models for row in model["plans"]]
        good = sum(abs(error(row)) <= TARGET for row in rows)
        by_macs = sum(abs(error(row, "macs_ratio")) <= TARGET for row in rows)
        parts += [
            titles[name],
            f"**Within 10%: {good} of {len(rows)} plans, all plans of "
            f"{sum(map(within, models))} of {len(models)} models.** "
            f"The ratio of MACs: {by_macs} plans.",
            *([_SEEN] if name == "figure" else []),
            table(_HEADER, [line for model in models for line in _lines(model)]),
        ]
    parts.append(_CAUSES)
    if data.get("operators"):
        parts += _operators(data["operators"])
    return "\n\n".join(parts) + "\n"


def _operators(found: Mapping[str, Any]) -> list[str]:
    left_out = ", ".join(found["left_out"]) or "none"
    parts = [f"## Operators of a step, by themselves\n\n{_CLOCK} Left out: {left_out}."]
    for name, first in (("operators", "operator"), ("passes", "convolution")):
        rows = sorted(found[name].items(), key=lambda item: -item[1][1])
        lines = [
            [what, str(calls), f"{1e3 * seconds:.1f}", f"{1e3 * expected:.1f}", _off(row)]
            for what, row in rows[:30]
            for calls, seconds, expected in [row]
        ]
        parts.append(table([first, "calls", "measured ms", "expected ms", "off"], lines))
    return parts


def _off(row: Sequence[float]) -> str:
    return f"{row[2] / row[1] - 1:+.0%}" if row[1] else "-"


_CAUSES = """\
Where `ratio` is off: the model has one speed for a kind of operator, whatever its sizes (see the
tables of operators); what a step keeps between its phases counts as leaving the caches, which the
activations of a small model need not; gradients of layers of more than 32 MiB are memory that the
system hands out anew in each step, at a price that changes from run to run. Measured ratios
themselves differ by some 4% from run to run on a machine that others use. The ratio of MACs leaves
out all that is no product."""
_CLOCK = """\
All operators of one step of each of these models, the least of five, summed by name; and the two
gradients of each of their convolutions alone. A model is left out where its real step runs other
operators than the trace has."""
_HEADER = "model,input,plan,ms a step,measured,ratio,error,MACs ratio,its error".split(",")


def _lines(model: Mapping[str, Any]) -> Iterator[list[str]]:
    for place, row in enumerate(model["plans"]):
        off = f"{error(row):+.1%}"
        yield [
            model["model"] if place == 0 else "",
            "x".join(map(str, model["input"])) if place == 0 else "",
            row["plan"],
            f"{1e3 * row['seconds']:.1f}",
            f"{row['measured']:.3f}",
            f"{row['ratio']:.3f}",
            off if abs(error(row)) <= TARGET else f"**{off}**",
            f"{row['macs_ratio']:.3f}",
            f"{error(row, 'macs_ratio'):+.1%}",
        ]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--set", choices=tuple(SETS), help="this set only")
    parser.add_argument("--models", metavar="A,B", help="these only")
    parser.add_argument("--seconds", type=float, default=15, help="for a model; default 15")
    parser.add_argument(
        "--output", type=Path, default=RESULTS, metavar="FOLDER", help="where the results go"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)  # the seconds of one thread are those of the step
    facts = describe(("torch-zoo", "torch", "torchvision"))
    sets = {}
    for name in [given.set] if given.set else ("figure", "chosen"):
        cases = SETS[name]
        if given.models:
            cases = tuple(one for one in cases if one.name in given.models.split(","))
        rows = sets[name] = []
        for case in cases:
            rows.append(measure(case, given.seconds))
            errors = ", ".join(f"{error(row):+.1%}" for row in rows[-1]["plans"])
            print(f"{name}: {case.name}: {errors}", file=sys.stderr, flush=True)
    facts["load_after"] = os.getloadavg()[0]
    sets = {name: rows for name, rows in sets.items() if rows}
    data = {"schema": "zoo.benchmark.freeze_ratio/1", "machine": facts, "sets": sets}
    if "chosen" in sets and not given.models:
        data["operators"] = operators(SETS["chosen"])
    name = f"freeze_ratio_{given.set}" if given.set else "freeze_ratio"
    write(given.output, name, data, markdown(data))


if __name__ == "__main__":
    main()
