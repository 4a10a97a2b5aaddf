"""Anything is built without its weights."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torchvision
from torch import Tensor, nn

from zoo.analysis.skeleton import materialise, skeleton
from zoo.analysis.tracer.run import run


def weight_bytes(model: nn.Module) -> int:
    """Bytes of parameters and buffers that hold data in memory."""
    held = [*model.parameters(), *model.buffers()]
    return sum(t.numel() * t.element_size() for t in held if not t.is_meta and t.numel())


@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
@pytest.mark.parametrize("name", torchvision.models.list_models())
def test_every_torchvision_builder(name: str) -> None:
    import inspect

    build = torchvision.models.get_model_builder(name)
    takes = inspect.signature(build).parameters
    options = {"weights_backbone": None} if "weights_backbone" in takes else {}
    if "init_weights" in takes or name in ("googlenet", "inception_v3"):
        options["init_weights"] = False
    model = skeleton(lambda: build(weights=None, **options))
    whole = sum(p.numel() * p.element_size() for p in model.parameters())
    assert whole > 3_000_000
    assert weight_bytes(model) < max(0.12 * whole, 400_000)


class ByHand(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.made = nn.Parameter(torch.randn(2_000, 2_000) * 0.02)
        self.large = nn.Parameter(torch.Tensor(3_000, 1_000))
        self.rates = [x.item() for x in torch.linspace(0, 0.3, 4)]
        self.size = int(torch.randn(5_000).abs().max().item())
        self.register_buffer("ids", torch.arange(512).expand(1, -1))
        self.register_buffer("angles", 1.0 / (10_000 ** (torch.arange(0, 64, 2).float() / 64)))
        nn.init.trunc_normal_(self.made, std=0.02)
        nn.init.orthogonal_(self.large)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.made + self.ids[:, :1]


def test_parameters_by_hand_and_values_in_the_constructor() -> None:
    model = skeleton(ByHand)
    assert model.rates[-1] == pytest.approx(0.3)
    assert model.ids[0, -1].item() == 511
    assert model.angles[0].item() == 1.0
    assert model.made.is_meta
    assert model.large.is_meta
    assert run(model, [(1, 2_000)]).failure is None


def test_deepcopy_in_the_constructor() -> None:
    layer = lambda: nn.TransformerEncoderLayer(64, 4, batch_first=True)  # noqa: E731
    model = skeleton(lambda: nn.TransformerEncoder(layer(), 6))
    assert len({id(p) for p in model.parameters()}) == 6 * 12


def test_tied_weights_stay_tied() -> None:
    def build() -> nn.Module:
        net = nn.Sequential(nn.Embedding(1_000, 64), nn.Linear(64, 1_000, bias=False))
        net[1].weight = net[0].weight
        return net

    model = skeleton(build)
    assert model[0].weight is model[1].weight  # type: ignore[index]


def test_lazy_modules_take_shape_in_the_run() -> None:
    model = skeleton(
        lambda: nn.Sequential(nn.LazyLinear(300), nn.LazyBatchNorm1d(), nn.LazyLinear(10))
    )
    trace = run(model, [(2, 5_000)])
    assert sum(p.spec.numel for p in trace.parameters) == 5_000 * 300 + 300 + 600 + 3_010


def test_random_numbers_are_not_used_up() -> None:
    before = torch.get_rng_state()
    skeleton(lambda: nn.Linear(8, 8))
    assert torch.equal(torch.get_rng_state(), before)


RESIDENT = """
import re
import torch, torchvision
from zoo.analysis.skeleton import materialise, skeleton
def peak():  # of this process alone: ru_maxrss is never below that of the process that forked it
    status = open("/proc/self/status").read()
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", status).group(1)) / 1e3
before = peak()
model = {build}
print(peak() - before)
"""


@pytest.mark.parametrize(
    ("build", "small"),
    [
        ("skeleton(lambda: torchvision.models.vit_h_14())", True),
        ("torch.zeros(632_045_800).add_(1)", False),
    ],
)
def test_vit_h_14_stays_under_400_mb(build: str, small: bool) -> None:
    code = RESIDENT.format(build=build)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (float(done.stdout) < 400) == small


class TwoInputs(nn.Module):
    """The narrow input comes first in `forward`, and second in the words below."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.wide = nn.LazyLinear(2), nn.LazyLinear(2)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.narrow(a) + self.wide(b)


def test_lazy_modules_take_shape_from_inputs_by_name() -> None:
    model = TwoInputs()
    materialise(model, ("b=4,7", "a=4,3"))
    assert (model.narrow.weight.shape, model.wide.weight.shape) == ((2, 3), (2, 7))
