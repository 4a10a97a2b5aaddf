"""What torch's own compiled allocator makes of sequences of requests, without a GPU.

    pip download --no-deps -d crt "nvidia-cuda-crt==13.0.*"; unzip -d crt crt/*.whl
    python benchmarks/gpu/allocator_oracle.py --include crt/nvidia/cu13/include

`libc10_cuda.so` of the installed CUDA build of torch runs on a counterfeit CUDA runtime, which
hands out addresses and counts bytes (`counterfeit/`). The requests and torch's statistics are
written to `tests/oracles/cuda_allocator.json`, to which `tests/analysis/test_allocator.py` holds
zoo. Needs Linux, g++, torch's headers and CUDA's (parts of `nvidia-cuda-runtime` and
`nvidia-cuda-crt`). `--try N` compares zoo with it on N further random sequences and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from zoo.analysis.allocator import Accelerator, simulate

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).resolve().parent / "counterfeit"
ORACLE = HERE.parents[2] / "tests" / "oracles" / "cuda_allocator.json"
TORCH = Path(torch.__file__).parent
NVIDIA = TORCH.parent / "nvidia" / "cu13" / "include"
FIELDS = (
    "allocated_peak",
    "requested_peak",
    "reserved_peak",
    "allocated",
    "requested",
    "reserved",
    "retries",
    "failed_at",
)
CAPABILITIES = (75, 80, 86, 89, 90, 100, 103, 110, 120, 121)
KIB, MIB = 1 << 10, 1 << 20

RULES: dict[str, tuple[int, ...]] = {
    "one float": (4,),
    "512 bytes and one more": (512, 513),
    "small segments fill up": (1 * MIB, 1 * MIB, 512),
    "largest small, smallest large": (1 * MIB, 1 * MIB + 1),
    "20 MiB are shared": (9 * MIB, 9 * MIB, 2 * MIB),
    "10 MiB have their own": (10 * MIB - 512, 10 * MIB, 10 * MIB + 1),
    "a remainder of 1 MiB stays": (20 * MIB, 0, 19 * MIB),
    "a remainder of more is split": (20 * MIB, 0, 19 * MIB - 512, 1 * MIB + 1),
    "best fit": (30 * MIB, 12 * MIB, 40 * MIB, 0, -1, -2, 11 * MIB, 29 * MIB),
    "equal blocks, lowest address": (12 * MIB, 12 * MIB, -1, 0, 12 * MIB, 12 * MIB),
    "neighbours merge": (4 * MIB, 4 * MIB, 4 * MIB, 0, -2, -1, 18 * MIB),
    "a gap is too small": (6 * MIB, 6 * MIB, 6 * MIB, -1, 8 * MIB),
    "pools do not mix": (20 * MIB, 0, 512, 2 * MIB),
}
"""Sequences as `serve.cpp` reads them, one for each rule."""

FULL: dict[str, tuple[int, ...]] = {
    "whole segments go back": (20 * MIB, 0, 40 * MIB),
    "small ones too": (512, 0, 40 * MIB),
    "a segment in use stays": (20 * MIB, 0, 12 * MIB, 30 * MIB),
    "pages between blocks in use go back": (9 * MIB, 9 * MIB, 15 * MIB, 0, -2, 8 * MIB, 24 * MIB),
    "full twice": (20 * MIB, 20 * MIB, 0, -1, 39 * MIB, -2, 12 * MIB, 28 * MIB),
    "room is not in one piece": (14 * MIB, 14 * MIB, 12 * MIB, -1, 15 * MIB),
}
"""The same, on a device of 40 MiB."""


def build(folder: Path, include: Path) -> None:
    """Compile the counterfeit libraries and the programs that use them."""
    own = re.findall(r"^(?:\w+|const char\*) (cuda\w+)\(", _text("cudart.cpp"), re.MULTILINE)
    wanted = {
        name
        for library in ("libc10_cuda.so", "libtorch_cuda.so", "libtorch_cuda_linalg.so")
        for name, where in _imports(library)
        if where == "libcudart.so.13"
    }
    _stubs(folder / "runtime.c", wanted - set(own))
    driver = {name for name, _ in _imports("libcaffe2_nvrtc.so") if re.match("cu[A-Z]", name)}
    context = "int cuCtxGetCurrent(void **found) { static char one; *found = &one; return 0; }\n"
    _stubs(folder / "driver.c", driver - {"cuCtxGetCurrent"}, context)
    (folder / "versions").write_text("libcudart.so.13 { global: *; };\n")
    headers = " ".join(f"-I{path}" for path in (include, NVIDIA, TORCH / "include"))
    torch_libraries = f"-L{TORCH / 'lib'} -lc10_cuda -lc10 -Wl,-rpath,{TORCH / 'lib'}"
    program = f"g++ -w -O1 -std=c++20 -Wl,--unresolved-symbols=ignore-all {headers}"
    library = "-shared -fPIC -w"
    for line in (
        "gcc -c -fPIC -w runtime.c -o runtime.o",
        f"g++ {library} {headers} {HERE}/cudart.cpp runtime.o -o libcudart.so.13"
        " -Wl,-soname,libcudart.so.13 -Wl,--version-script=versions",
        f"gcc {library} driver.c -o libcuda.so.1",
        f"gcc {library} {HERE}/libraries.c -o libnvidia-ml.so.1",
        f"{program} {HERE}/serve.cpp {torch_libraries} -o serve",
        f"{program} {HERE}/workspaces.cpp -Wl,--no-as-needed -ltorch_cuda -ltorch_cpu"
        f" {torch_libraries} -o workspaces",
    ):
        subprocess.run(line.split(), cwd=folder, check=True)


def _text(name: str) -> str:
    return (HERE / name).read_text()


def _stubs(path: Path, names: Iterable[str], text: str = "") -> None:
    path.write_text(text + "".join(f"int {name}(void) {{ return 0; }}\n" for name in sorted(names)))


def _imports(library: str) -> set[tuple[str, str]]:
    """Symbols that one of torch's libraries wants of others: name, version."""
    line = ["nm", "-D", "--undefined-only", str(TORCH / "lib" / library)]
    out = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    names = (row.split()[-1].partition("@") for row in out.splitlines())
    return {(name, version) for name, _, version in names}


def run(folder: Path, program: str, text: str = "", **settings: str) -> list[int]:
    """Run a program on the counterfeit device; the numbers that it prints."""
    preload = [str(folder / "libcudart.so.13")]
    if program == "workspaces":
        preload.append(str(folder / "libnvidia-ml.so.1"))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTORCH")},
        "LD_PRELOAD": " ".join(preload),
        "LD_LIBRARY_PATH": str(folder),
        **settings,
    }
    done = subprocess.run(
        [str(folder / program)],
        input=text,
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return [int(word) for word in done.stdout.split()]


def served(
    folder: Path, requests: tuple[int, ...], capacity: int | None, *, expandable: bool
) -> dict[str, int]:
    """What torch's allocator says of a sequence."""
    settings = {"COUNTERFEIT_BYTES": str(capacity)} if capacity else {}
    if expandable:
        settings["PYTORCH_ALLOC_CONF"] = "expandable_segments:True"
    text = "\n".join(map(str, requests)) + "\n"
    return dict(zip(FIELDS, run(folder, "serve", text, **settings), strict=True))


def predicted(
    requests: tuple[int, ...], capacity: int | None, *, expandable: bool
) -> dict[str, int]:
    """What zoo says of the same."""
    events: list[Any] = []
    asked = 0
    for number in requests:
        events.append(("alloc", asked, number) if number > 0 else ("free", -number))
        asked += number > 0
    device = Accelerator(capacity, context_bytes=0, expandable_segments=expandable)
    usage = simulate(events, device)
    figures = (
        usage.allocated_bytes,
        usage.requested_bytes,
        usage.reserved_bytes,
        usage.final.allocated_bytes,
        usage.final.requested_bytes,
        usage.final.reserved_bytes,
        usage.retries,
        -1 if usage.failed_at is None else usage.failed_at,
    )
    return dict(zip(FIELDS, figures, strict=True))


def sequence(seed: int, length: int) -> tuple[int, ...]:
    """A program that asks again and again for a few sizes, and at times for any."""
    draw = random.Random(seed)
    edges = (512, 4 * KIB, 64 * KIB, 1 * MIB, 1 * MIB + 1, 10 * MIB, 10 * MIB - 512, 20 * MIB)
    spans = ((1, MIB), (MIB, 10 * MIB), (10 * MIB, 200 * MIB))
    sizes = [
        draw.choice(edges) if draw.random() < 0.4 else draw.randrange(*draw.choice(spans))
        for _ in range(draw.randrange(2, 12))
    ]
    most = draw.choice((5, 30, 100))
    requests: list[int] = []
    live: list[int] = []
    asked = 0
    while len(requests) < length:
        if live and (len(live) >= most or draw.random() < 0.45):
            requests.append(-live.pop(draw.choice((-1, 0, draw.randrange(len(live))))))
        else:
            usual = draw.random() < 0.8
            requests.append(draw.choice(sizes) if usual else draw.randrange(1, 1 << 27))
            live.append(asked)
            asked += 1
    return tuple(requests)


def _random(seed: int) -> tuple[tuple[int, ...], int | None, bool]:
    draw = random.Random(-1 - seed)
    length = draw.choice((20, 60, 200) if seed < 40 else (20, 200, 2000))
    capacity = None if seed % 4 < 2 else draw.choice((100, 300, 800, 2000, 4000)) * MIB
    return sequence(seed, length), capacity, seed % 2 == 1


def attempt(folder: Path, number: int) -> int:
    """Compare zoo with torch on further sequences; how many differ."""
    different = 0
    for seed in range(1000, 1000 + number):
        requests, capacity, expandable = _random(seed)
        real = served(folder, requests, capacity, expandable=expandable)
        ours = predicted(requests, capacity, expandable=expandable)
        if real != ours:
            different += 1
            print(f"seed {seed}: torch {real}, zoo {ours}")
    print(f"{number - different} of {number} sequences agree")
    return different


def oracle(folder: Path) -> dict[str, Any]:
    """The whole file."""
    cases = [
        {"name": name, "expandable": expandable, "capacity": capacity, "requests": requests}
        for capacity, rules in ((None, RULES), (40 * MIB, FULL))
        for name, requests in rules.items()
        for expandable in (False, True)
    ]
    for seed in range(40):
        requests, capacity, expandable = _random(seed)
        cases.append(
            {
                "name": f"random {seed}",
                "expandable": expandable,
                "capacity": capacity,
                "requests": requests,
            }
        )
    for case in cases:
        case["torch"] = served(
            folder, case["requests"], case["capacity"], expandable=case["expandable"]
        )
    return {
        "source": f"statistics of torch {torch.__version__}'s own libc10_cuda.so and "
        "libtorch_cuda.so on a counterfeit CUDA runtime: benchmarks/gpu/allocator_oracle.py",
        "retrieved": datetime.now(UTC).date().isoformat(),
        "requests": "n > 0 asks for n bytes; n <= 0 frees what request number -n, from 0, got",
        "workspaces": {
            str(capability): run(folder, "workspaces", COUNTERFEIT_CAPABILITY=str(capability))
            for capability in CAPABILITIES
        },
        "cases": cases,
    }


def write(path: Path, data: dict[str, Any]) -> None:
    """One case a line, so that a change can be read."""
    head = {name: value for name, value in data.items() if name != "cases"}
    lines = ",\n  ".join(json.dumps(case, separators=(",", ":")) for case in data["cases"])
    text = json.dumps(head, indent=1)[:-2]
    path.write_text(f'{text},\n "cases": [\n  {lines}\n ]\n}}\n')


def main() -> None:
    """Build, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--include", type=Path, required=True, help="where crt/host_config.h is")
    parser.add_argument("--try", type=int, dest="number", help="compare only, on so many sequences")
    parser.add_argument("--output", type=Path, default=ORACLE, help="file to write")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder, given.include)
        if given.number:
            sys.exit(1 if attempt(folder, given.number) else 0)
        write(given.output, oracle(folder))
        print(f"written: {os.path.relpath(given.output)}")


if __name__ == "__main__":
    main()
