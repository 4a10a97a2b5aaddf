"""What copies and steps take on a GPU, beside what zoo says without one.

    python benchmarks/gpu/transfers.py [--output FOLDER]

Needs a CUDA GPU, and says so elsewhere. Copies: blocks of 1 KiB to 256 MiB, alone and a hundred at
once, to the GPU and back, from pinned and from pageable memory, by the code that `zoo transfer
--by link --measure` runs (`zoo.analysis.measured`); zoo's are those of the card's host link. Where
there are several GPUs, also between the first two. Steps: training steps of some models, median of
several, beside the time that `zoo transfer --by cut` and `--by replica` reckon with. Nothing fails
on a figure. Results go to `benchmarks/results/gpu_transfers.json` and `gpu_transfers.md`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from machine import describe, head
from output import RESULTS, table, write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SIZES = tuple(2**power for power in (10, 14, 18, 20, 22, 24, 26, 28))
"""Bytes of a block."""
MANY = 100
"""Blocks at once."""
MOST = 2**30
"""Bytes of all blocks at most."""
STEPS = (
    ("resnet18", (64, 3, 224, 224), None),
    ("resnet50", (64, 3, 224, 224), None),
    ("resnet50", (64, 3, 224, 224), "bfloat16"),
    ("resnet50", (1, 3, 224, 224), None),
    ("vit_b_16", (32, 3, 224, 224), "bfloat16"),
    ("mobilenet_v2", (64, 3, 224, 224), "bfloat16"),
    ("vgg16", (32, 3, 224, 224), None),
)
"""Models of torchvision, inputs, and what eligible operators run in."""
TURNS = 20
"""Steps that are timed; as many before them are not."""


def copies(card: str) -> list[dict[str, Any]]:
    """Blocks to the GPU and back."""
    import zoo
    from zoo.analysis.links import reach
    from zoo.analysis.measured import accelerator, copied

    here = accelerator()
    link = zoo.device(card).link("host")
    found = []
    for size in SIZES:
        for count in (1, MANY):
            if size * count > MOST:
                continue
            for back in (False, True):
                for pageable in (False, True):
                    said = (
                        None
                        if link is None
                        else reach(link).seconds(size * count, count, back=back, pageable=pageable)
                    )
                    real = copied([size] * count, here, back=back, pageable=pageable)
                    found.append(
                        {
                            "bytes": size,
                            "blocks": count,
                            "way": "from the GPU" if back else "to the GPU",
                            "memory": "pageable" if pageable else "pinned",
                            "measured_seconds": real,
                            "zoo_seconds": said,
                        }
                    )
    return found


def between(card: str) -> list[dict[str, Any]]:
    """Blocks from the first GPU to the second; none where there is one."""
    import torch

    import zoo
    from zoo.analysis.links import between as linked

    if torch.cuda.device_count() < 2:
        return []
    link = linked(zoo.device(card))
    found = []
    for size in SIZES:
        source = torch.ones(size, dtype=torch.uint8, device="cuda:0")
        target = torch.empty_like(source, device="cuda:1")

        def copy(source: Any = source, target: Any = target) -> None:
            target.copy_(source)

        found.append(
            {
                "bytes": size,
                "blocks": 1,
                "way": "between GPUs",
                "memory": "their own",
                "measured_seconds": timed(copy),
                "zoo_seconds": None if link is None else link.seconds(size),
            }
        )
    return found


def timed(run: Callable[[], None]) -> float:
    """Median of several turns, each until the GPU has done its work."""
    import torch

    samples = []
    for turn in range(2 * TURNS):
        torch.cuda.synchronize()
        begin = perf_counter()
        run()
        torch.cuda.synchronize()
        if turn >= TURNS:
            samples.append(perf_counter() - begin)
    return median(samples)


def steps(card: str) -> list[dict[str, Any]]:
    """Training steps with SGD on the sum of the outputs."""
    import torch
    import torchvision

    import zoo
    from zoo.analysis.devicetime import Clock
    from zoo.analysis.replicas import timed as reckoned

    found = []
    for name, shape, autocast in STEPS:
        model = getattr(torchvision.models, name)().train().cuda()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        x = torch.randn(shape, device="cuda")
        dtype = None if autocast is None else getattr(torch, autocast)

        def step(
            model: Any = model, optimizer: Any = optimizer, x: Any = x, dtype: Any = dtype
        ) -> None:
            optimizer.zero_grad()
            with torch.autocast("cuda", dtype=dtype, enabled=dtype is not None):
                loss = model(x).sum()
            loss.backward()
            optimizer.step()

        trace = zoo.trace(
            f"torchvision/{name}", shape, train=True, autocast=autocast, device="cuda"
        )
        said = reckoned(trace, Clock(zoo.device(card)))
        found.append(
            {
                "model": name,
                "shape": list(shape),
                "autocast": autocast,
                "measured_seconds": timed(step),
                "zoo_seconds": None if said is None else said.seconds,
            }
        )
    return found


def _times(row: Mapping[str, Any]) -> list[str]:
    real, said = row["measured_seconds"], row["zoo_seconds"]
    return [
        f"{1e3 * real:.3f}",
        "-" if said is None else f"{1e3 * said:.3f}",
        "-" if said is None else f"{said / real:.2f}",
    ]


def markdown(data: Mapping[str, Any]) -> str:
    """The results as a page."""
    moved = [
        [row["way"], row["memory"], f"{row['bytes']:,}", str(row["blocks"]), *_times(row)]
        for row in data["copies"]
    ]
    ran = [
        [row["model"], "x".join(map(str, row["shape"])), row["autocast"] or "float32", *_times(row)]
        for row in data["steps"]
    ]
    times = ["ms", "zoo ms", "zoo / measured"]
    parts = [
        "# Copies and steps on a GPU",
        head(data["machine"]),
        f"{data['card']}.",
        "## Copies",
        table(["way", "memory", "bytes of a block", "blocks", *times], moved),
        "## Training steps",
        table(["model", "input", "dtype", *times], ran),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--output", type=Path, default=RESULTS, metavar="FOLDER", help="where the results go"
    )
    given = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        print("transfers: no CUDA GPU here. Run it on a machine that has one.", file=sys.stderr)
        raise SystemExit(2)
    facts = describe(("torch-zoo", "torch", "torchvision"))
    facts["command"] = facts["command"].replace("benchmarks/", "benchmarks/gpu/", 1)
    card = torch.cuda.get_device_name(0)
    data = {
        "schema": "zoo.benchmark.gpu_transfers/1",
        "machine": facts,
        "card": card,
        "copies": [*copies(card), *between(card)],
        "steps": steps(card),
    }
    facts["load_after"] = os.getloadavg()[0]
    write(given.output, "gpu_transfers", data, markdown(data))


if __name__ == "__main__":
    main()
