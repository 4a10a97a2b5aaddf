"""Where a run can be cut: what crosses, beside real runs; divisions, beside every other one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import zoo
from tests.strategies import WIDTH, models
from zoo.analysis.cuts import Cuts, cuts
from zoo.analysis.devicetime import Clock
from zoo.analysis.line import UNFILLED, Line
from zoo.analysis.links import between
from zoo.analysis.partition import divide, largest
from zoo.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zoo.analysis.records import Trace


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = (y.view(b, t, 2, -1).transpose(1, 2) for y in self.qkv(self.norm(x)).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return x + self.mlp(x)


class GPT(nn.Module):
    """A decoder whose head is its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(50, 16)
        self.places = nn.Embedding(12, 16)
        self.blocks = nn.ModuleList(Block(16) for _ in range(3))
        self.head = nn.Linear(16, 50, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class UNet(nn.Module):
    """Each level's features are read again on the way up."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.middle = nn.Conv2d(16, 16, 3, padding=1)
        self.up2, self.up1 = nn.Conv2d(32, 8, 3, padding=1), nn.Conv2d(16, 4, 3, padding=1)
        self.pool, self.grow = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        a = self.down1(x).relu()
        b = self.down2(self.pool(a)).relu()
        c = self.middle(self.pool(b)).relu()
        y = self.up2(torch.cat([self.grow(c), b], 1)).relu()
        return self.up1(torch.cat([self.grow(y), a], 1))


class Last(nn.Module):
    """Of a sequence's states the last one is read."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(6, 10, num_layers=2, batch_first=True)
        self.head = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.cells(x)
        return self.head(states[:, -1])


class Named(nn.Module):
    """Two inputs in a mapping, one of them read late; one module is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twice, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(8, 2)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        x = self.twice(self.twice(self.first(batch["x"]).relu()))
        return self.last(torch.cat([x, batch["late"]], 1))


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[], nn.Module]
    inputs: Callable[[], Any]


CASES = (
    Case("resnet18", torchvision.models.resnet18, lambda: torch.randn(2, 3, 64, 64)),
    Case(
        "shufflenet", torchvision.models.shufflenet_v2_x0_5, lambda: torch.randn(1, 3, 64, 64)
    ),
    Case("gpt", GPT, lambda: torch.randint(0, 50, (2, 12))),
    Case("unet", UNet, lambda: torch.randn(2, 3, 16, 16)),
    Case("lstm", Last, lambda: torch.randn(3, 5, 6)),
    Case("named", Named, lambda: {"x": torch.randn(5, 4), "late": torch.randn(5, 4)}),
)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@lru_cache
def traced(name: str, *, train: bool = False) -> Trace:
    case = next(one for one in CASES if one.name == name)
    found = zoo.trace(case.make(), case.inputs(), train=train)
    assert found.failure is None
    return found


class Recorded(TorchDispatchMode):
    """Real tensors that operators were given and made, in order; all of them are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.ops: list[tuple[str, list[Tensor], list[Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        made = [one for one in tree_leaves(result) if isinstance(one, Tensor)]
        self.ops.append((str(func), given, made))
        return result

    def crossing(self, place: int) -> int:
        """Bytes of the elements that a tensor made before a place shows and that is read after."""
        shows = {_key(one) for _, _, made in self.ops[:place] for one in made}
        made = {
            one.untyped_storage().data_ptr()
            for _, given, results in self.ops[:place]
            for one in results
            if all(one.untyped_storage().data_ptr() != it.untyped_storage().data_ptr() for it in given)
        }
        elements: dict[int, set[int]] = {}
        for _, given, _ in self.ops[place:]:
            for one in given:
                block = one.untyped_storage().data_ptr()
                if block in made and _key(one) in shows:
                    size, item = one.untyped_storage().nbytes(), one.element_size()
                    numbers = torch.arange(size // item).as_strided(
                        one.shape, one.stride(), one.storage_offset()
                    )
                    places = elements.setdefault(block, set())
                    for number in numbers.reshape(-1).tolist():
                        places.update(range(number * item, number * item + item))
        return sum(map(len, elements.values()))


def _key(one: Tensor) -> tuple[Any, ...]:
    place = one.storage_offset(), one.shape, one.stride(), one.dtype
    return one.untyped_storage().data_ptr(), *place


@each_case
def test_what_crosses_is_what_a_real_run_reads(case: Case) -> None:
    trace = traced(case.name)
    line = Line(trace)
    model, inputs = case.make().eval(), case.inputs()
    with torch.no_grad(), Recorded() as real:
        model(inputs)
    names = [op.op for op in trace.ops]
    real.ops = [one for one in real.ops if not one[0].startswith("aten.detach")]
    ran = [name for name, _, _ in real.ops]
    found = Cuts(trace)
    chosen = {
        *(part.begin for part in (*found.by_compute(3), *found.by_memory(3))),
        *line.places[:: max(len(line.places) // 12, 1)],
    } - {0}
    if ran != names:  # the CPU's recurrent kernel lays its results out in another order
        assert case.name == "lstm"
        chosen = {place for place in line.places if ran[place - len(names) :] == names[place:]}
    assert len(chosen) >= 2
    for place in sorted(chosen):
        crossing = real.crossing(place + len(ran) - len(names))
        assert line.forward.nbytes[place] == crossing, (place, names[place])


def unet_top(model: UNet, x: Tensor) -> tuple[Tensor, ...]:
    a = model.down1(x).relu()
    b = model.down2(model.pool(a)).relu()
    return a, b, model.middle(model.pool(b)).relu()


def unet_bottom(model: UNet, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    y = model.up2(torch.cat([model.grow(c), b], 1)).relu()
    return model.up1(torch.cat([model.grow(y), a], 1))


def gpt_top(model: GPT, ids: Tensor) -> tuple[Tensor, ...]:
    x = model.tokens(ids) + model.places(torch.arange(ids.shape[1]))
    return (model.blocks[1](model.blocks[0](x)),)


def gpt_bottom(model: GPT, x: Tensor) -> Tensor:
    return model.head(model.blocks[2](x))


def lstm_top(model: Last, x: Tensor) -> tuple[Tensor, ...]:
    return (model.cells(x)[0][:, -1],)


def lstm_bottom(model: Last, x: Tensor) -> Tensor:
    return model.head(x)


@pytest.mark.parametrize(
    ("name", "before", "top", "bottom"),
    [
        ("unet", "grow", unet_top, unet_bottom),
        ("gpt", "blocks.2", gpt_top, gpt_bottom),
        ("lstm", "head", lstm_top, lstm_bottom),
    ],
)
def test_what_goes_back_is_what_the_gradients_of_a_split_model_hold(
    name: str, before: str, top: Any, bottom: Any
) -> None:
    """The model is run in two pieces, each with a graph of its own."""
    trace = traced(name, train=True)
    line = Line(trace)
    call = next(one.index for one in trace.calls if one.path == before)
    place = line.spans[call][0]
    case = next(one for one in CASES if one.name == name)
    model = case.make()
    passed = [one.detach().requires_grad_() for one in top(model, case.inputs())]
    bottom(model, *passed).sum().backward()
    assert all(one.grad is not None for one in passed)
    assert line.backward.nbytes[place] == sum(one.grad.nbytes for one in passed)
    assert line.forward.nbytes[place] == sum(one.nbytes for one in passed)
    assert line.forward.tensors[place] == len(passed)


def test_a_side_runs_the_gradients_of_its_operators() -> None:
    """A part's backward MACs are those of a piece that is trained by itself."""
    piece = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16))
    rest = nn.Sequential(nn.Linear(16, 4), nn.Tanh(), nn.Linear(4, 4))
    whole = Line(zoo.trace(nn.Sequential(piece, rest), (3, 8), train=True))
    ends = {whole.trace.calls[call].path: place for place, call in whole.ends.items()}
    alone = zoo.trace(rest, torch.randn(3, 16, requires_grad=True), train=True)
    macs = sum(op.cost.macs for op in alone.ops if op.cost)
    own = whole.macs[whole.length] - whole.macs[ends["0"]]
    assert own == macs + 3 * 16 * 4  # and the gradient that goes back
