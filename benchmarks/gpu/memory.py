"""What a GPU's memory really holds, beside what zoo says without one.

    python benchmarks/gpu/memory.py [--only PART]... [--output FOLDER]

Needs a CUDA GPU, and says so elsewhere. Each row is a fresh process that runs a model three times
over (forward, or training steps) and reads `torch.cuda.max_memory_allocated()`,
`torch.cuda.max_memory_reserved()` and what nvidia-smi shows of the process; zoo's figures are
`zoo.memory(model, input, ..., on=CARD)` in a process that never touches the GPU. Nothing fails on a
figure. Results go to `benchmarks/results/gpu_memory.json` and `gpu_memory.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from machine import describe, head
from output import RESULTS, table, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

FIGURES = ("allocated_bytes", "reserved_bytes", "device_bytes")
"""What is compared, as `zoo.memory` names it."""
TURNS = 3
"""Steps in one process: the first makes the optimizer's state, the others find its memory."""
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Model:
    """A model and its one input."""

    name: str
    factory: str
    """`module:attribute`, called with `arguments`."""
    shape: tuple[int, ...]
    """Of the input: float32, or token numbers below `vocabulary`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    vocabulary: int = 0
    """Of token numbers; 0 where the input is float32."""

    def build(self) -> nn.Module:
        """The model with its weights, on the CPU."""
        module, _, attribute = self.factory.partition(":")
        model: nn.Module = getattr(import_module(module), attribute)(**self.arguments)
        return model

    def inputs(self) -> Tensor:
        """Random numbers of the model's shape, on the CPU."""
        import torch

        if self.vocabulary:
            return torch.randint(0, self.vocabulary, self.shape)
        return torch.randn(self.shape)


MODELS = (
    Model("resnet50", "torchvision.models:resnet50", (32, 3, 224, 224)),
    Model("vit_b_16", "torchvision.models:vit_b_16", (16, 3, 224, 224)),
    Model(
        "lstm",
        "torch.nn:LSTM",
        (32, 128, 512),
        {"input_size": 512, "hidden_size": 1024, "num_layers": 2, "batch_first": True},
    ),
    Model(
        "decoder",
        "zoo.models.llama:llama",
        (4, 1024),
        {
            "vocab_size": 32000,
            "hidden_size": 768,
            "intermediate_size": 2048,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "num_key_value_heads": 4,
            "max_position_embeddings": 2048,
        },
        vocabulary=32000,
    ),
)


@dataclass(frozen=True, slots=True)
class Work:
    """What is done with a model."""

    optimizer: str | None
    """`sgd` or `adamw`; None for inference."""
    autocast: str | None
    """`bfloat16`, or None for float32 throughout."""

    @property
    def name(self) -> str:
        """As the table has it."""
        return f"{self.optimizer or 'inference'}, {self.autocast or 'float32'}"


WORK = tuple(
    Work(optimizer, autocast)
    for optimizer in (None, "sgd", "adamw")
    for autocast in (None, "bfloat16")
)


def tensors(output: object) -> Iterator[Tensor]:
    """The tensors in a nest of tuples, lists and dicts."""
    import torch

    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, dict):
        for part in output.values():
            yield from tensors(part)
    elif isinstance(output, (list, tuple)):
        for part in output:
            yield from tensors(part)


def work(model: Model, what: Work, device: str, turns: int = TURNS) -> None:
    """Run a model on a device: inference, or training on the sum of its outputs."""
    import torch

    net = model.build().to(device)
    x = model.inputs().to(device)
    dtype = getattr(torch, what.autocast) if what.autocast else None
    if what.optimizer is None:
        net.eval()
        for _ in range(turns):
            with torch.no_grad(), _cast(device, dtype):
                out = net(x)
        return
    net.train()
    makers = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}
    optimizer = makers[what.optimizer](net.parameters(), lr=1e-3)
    for _ in range(turns):
        optimizer.zero_grad()
        with _cast(device, dtype):
            out = net(x)
            loss = torch.stack([part.sum() for part in tensors(out) if part.requires_grad]).sum()
        loss.backward()
        optimizer.step()


def _cast(device: str, dtype: Any) -> Any:
    import torch

    return torch.autocast(device, dtype=dtype) if dtype is not None else nullcontext()


def nvidia_smi(query: str) -> list[list[str]]:
    """Rows of a query of nvidia-smi; none where it does not answer."""
    line = ["nvidia-smi", query, "--format=csv,noheader,nounits", "--id=0"]
    try:
        out = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [[word.strip() for word in row.split(",")] for row in out.splitlines() if row.strip()]


def card_bytes() -> int | None:
    """Bytes in use on the card by all processes; None where nvidia-smi does not say."""
    rows = nvidia_smi("--query-gpu=memory.used")
    return int(rows[0][0]) * MIB if rows and rows[0][0].isdigit() else None


def process_bytes(pid: int) -> int | None:
    """Bytes that nvidia-smi shows for a process; None in a container that hides its number."""
    for row in nvidia_smi("--query-compute-apps=pid,used_memory"):
        if row[0] == str(pid) and row[1].isdigit():
            return int(row[1]) * MIB
    return None


def probe(model: Model, what: Work, before: int | None) -> dict[str, Any]:
    """One measurement, in this process."""
    import torch

    work(model, what, "cuda")
    torch.cuda.synchronize()
    shown, now = process_bytes(os.getpid()), card_bytes()
    rise = None if now is None or before is None else now - before
    return {
        "allocated_bytes": torch.cuda.max_memory_allocated(),
        "reserved_bytes": torch.cuda.max_memory_reserved(),
        "device_bytes": shown if shown is not None else rise,
        "device_figure": "process" if shown is not None else "rise of the whole card",
        "requested_bytes": torch.cuda.memory_stats()["requested_bytes.all.peak"],
        "retries": torch.cuda.memory_stats()["num_alloc_retries"],
    }


def predict(model: Model, what: Work, card: str) -> dict[str, Any]:
    """What zoo says of the same, without the GPU."""
    import zoo

    options: dict[str, Any] = {"on": card}
    if what.optimizer is not None:
        options |= {"train": True, "optimizer": what.optimizer, "loss": "sum"}
    if what.autocast is not None:
        options["autocast"] = what.autocast
    report = zoo.memory(model.build(), model.inputs(), **options)
    return {name: report.totals[name] for name in FIGURES}


def child(words: Sequence[str], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON that a part of this script prints in a process of its own, or its last words."""
    line = [sys.executable, str(Path(__file__).resolve()), *words]
    done = subprocess.run(
        line,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        said = (done.stderr.strip() or f"ended with {done.returncode}").splitlines()
        return {"error": said[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(rows: Iterable[tuple[int, int]], card: str) -> list[dict[str, Any]]:
    """Both sides of every row."""
    found = []
    for model, what in rows:
        label = f"{MODELS[model].name}, {WORK[what].name}"
        print(label, file=sys.stderr)
        before = card_bytes()
        where = [str(model), str(what)]
        base = [] if before is None else ["--before", str(before)]
        found.append(
            {
                "model": MODELS[model].name,
                "shape": list(MODELS[model].shape),
                "work": WORK[what].name,
                **asdict(WORK[what]),
                "measured": child(["--probe", *where, *base]),
                "zoo": child(["--predict", *where, "--card", card], {"CUDA_VISIBLE_DEVICES": ""}),
            }
        )
    return found


def _cells(row: Mapping[str, Any]) -> list[str]:
    cells = [row["model"], row["work"]]
    for name in FIGURES:
        real, said = row["measured"].get(name), row["zoo"].get(name)
        both = real and said is not None
        cells += [
            "-" if real is None else f"{real / 1e6:,.1f}",
            "-" if said is None else f"{said / 1e6:,.1f}",
            f"{100 * (said - real) / real:+.1f}" if both else "-",
        ]
    return cells


def markdown(data: Mapping[str, Any]) -> str:
    """The results as a page."""
    columns = [
        f"{name} {side}"
        for name in ("allocated", "reserved", "nvidia-smi")
        for side in ("MB", "zoo MB", "off %")
    ]
    failed = [
        f"- {row['model']}, {row['work']}, {side}: {row[side]['error']}"
        for row in data["rows"]
        for side in ("measured", "zoo")
        if "error" in row[side]
    ]
    ways = sorted(
        {row["measured"]["device_figure"] for row in data["rows"] if "error" not in row["measured"]}
    )
    notes = (
        f"{data['card']}, compute capability {data['capability']}, driver {data['driver']}, "
        f"CUDA {data['cuda']}. {TURNS} steps each, in a process of its own; the loss is the sum of "
        f"the outputs. nvidia-smi: {' or '.join(ways) or 'not read'}. MB are 1,000,000 bytes.\n\n"
        "What zoo cannot know: cuDNN's workspaces (allocated and reserved), and the kernels that "
        "are loaded into the context (nvidia-smi)."
    )
    parts = [
        "# GPU memory",
        head(data["machine"]),
        notes,
        table(["model", "work", *columns], map(_cells, data["rows"])),
    ]
    if failed:
        parts.append("What did not work:\n\n" + "\n".join(failed))
    return "\n\n".join(parts) + "\n"


def _driver() -> str:
    rows = nvidia_smi("--query-gpu=driver_version")
    return rows[0][0] if rows else "unknown"


def arguments() -> argparse.Namespace:
    """The command line; `--probe` and `--predict` are how this script calls itself."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", action="append", default=[], metavar="PART", help="rows whose name has this part"
    )
    parser.add_argument(
        "--output", type=Path, default=RESULTS, metavar="FOLDER", help="where the results go"
    )
    parser.add_argument("--probe", nargs=2, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--predict", nargs=2, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--before", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--card", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure, print, write."""
    given = arguments()
    if given.predict:
        model, what = given.predict
        print(json.dumps(predict(MODELS[model], WORK[what], given.card)))
        return
    import torch

    if not torch.cuda.is_available() or torch.version.cuda is None:
        print("memory: no CUDA GPU here. Run it on a machine that has one.", file=sys.stderr)
        raise SystemExit(2)
    if given.probe:
        model, what = given.probe
        print(json.dumps(probe(MODELS[model], WORK[what], given.before)))
        return
    rows = [
        (model, what)
        for model in range(len(MODELS))
        for what in range(len(WORK))
        if not given.only
        or any(part in f"{MODELS[model].name}, {WORK[what].name}" for part in given.only)
    ]
    if not rows:
        print(f"memory: no row has {' or '.join(given.only)} in its name.", file=sys.stderr)
        raise SystemExit(2)
    facts = describe(("torch-zoo", "torch", "torchvision"))
    facts["command"] = facts["command"].replace("benchmarks/", "benchmarks/gpu/", 1)
    card = torch.cuda.get_device_name(0)
    data = {
        "schema": "zoo.benchmark.gpu_memory/1",
        "machine": facts,
        "card": card,
        "capability": ".".join(map(str, torch.cuda.get_device_capability(0))),
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "rows": measure(rows, card),
    }
    facts["load_after"] = os.getloadavg()[0]
    write(given.output, "gpu_memory", data, markdown(data))


if __name__ == "__main__":
    main()
