"""A training step: what it runs, for whom, and what a real step on the CPU runs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import zoo
from tests.fingerprint import fingerprint
from tests.real_step import lifetimes, real_step
from zoo.analysis.jsonform import dumps, loads
from zoo.analysis.memory import peak
from zoo.analysis.records import Step, Trace
from zoo.analysis.tracer import kernels
from zoo.errors import NothingToTrain, StepError

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.analysis.records import OpCall, Phase, Storage


def step_of(model: nn.Module, *inputs: Any, **how: Any) -> Trace:
    trace = zoo.trace(model, *inputs, train=True, **how)
    assert trace.failure is None, trace.failure
    return trace


def phase(trace: Trace, name: Phase) -> list[OpCall]:
    return [op for op in trace.ops if op.phase == name]


def macs(trace: Trace, name: Phase) -> int:
    return sum(op.cost.macs if op.cost else 0 for op in phase(trace, name))


def module_of(trace: Trace, op: OpCall) -> str:
    return trace.calls[op.call].path


def ran(trace: Trace, name: Phase) -> list[tuple[str, tuple[tuple[int, ...], ...]]]:
    return [(op.op, tuple(one.shape for one in op.outputs)) for op in phase(trace, name)]


# beside a real step


class Cells(nn.Module):
    """The outputs of a recurrent layer, without its states."""

    def __init__(self, cells: nn.Module) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.cells(x)[0]
        return found


class Language(nn.Module):
    """Token numbers to scores, over one layer of causal attention; the head is the embedding."""

    def __init__(self, *, mixed: bool) -> None:
        super().__init__()
        self.tokens, self.norm = nn.Embedding(30, 8), nn.LayerNorm(8)
        self.query, self.key, self.value = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.mix, self.mixed = nn.Linear(8, 24), mixed
        self.head = nn.Linear(8, 30, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids)
        y = self.norm(x)
        if self.mixed:
            parts = self.mix(y).view(*ids.shape, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        else:
            given = (self.query(y), self.key(y), self.value(y))
            parts = [one.view(*ids.shape, 2, 4).transpose(1, 2) for one in given]
        z = F.scaled_dot_product_attention(*parts, is_causal=True)
        scores: Tensor = self.head(x + z.transpose(1, 2).reshape(x.shape))
        return scores


def batch_norms() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, stride=2, bias=False),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


def depthwise() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Hardswish(),
        nn.Conv2d(8, 16, 1),
        nn.AvgPool2d(2),
        nn.ConvTranspose2d(16, 4, 2, 2),
    )


def norms() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.GroupNorm(2, 8),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.PReLU(),
        nn.InstanceNorm2d(8, affine=True),
        nn.LayerNorm(12),
        nn.Dropout(0.5),
        nn.Softmax(-1),
    )


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.GELU(), nn.Linear(4, 3))


def encoder(**settings: Any) -> nn.Module:
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, **settings)


def ids(*shape: int) -> Tensor:
    return torch.randint(0, 30, shape, generator=torch.Generator().manual_seed(0))


REAL: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "mlp": (perceptron, torch.zeros(2, 6)),
    "convolutions and batch norms": (batch_norms, torch.zeros(2, 3, 12, 12)),
    "depthwise": (depthwise, torch.zeros(2, 8, 9, 9)),
    "other norms": (norms, torch.zeros(2, 3, 8, 8)),
    "transformer": (lambda: encoder(dropout=0.0), torch.zeros(2, 5, 8)),
    "transformer with dropout": (lambda: encoder(dropout=0.1), torch.zeros(2, 5, 8)),
    "pre-norm transformer": (
        lambda: encoder(dropout=0.1, norm_first=True, activation="gelu"),
        torch.zeros(2, 5, 8),
    ),
    "language model": (lambda: Language(mixed=False), ids(2, 5)),
    "lstm": (lambda: Cells(nn.LSTM(8, 6)), torch.zeros(5, 2, 8)),
    "deep lstm": (
        lambda: Cells(nn.LSTM(8, 6, 2, dropout=0.5, bidirectional=True)),
        torch.zeros(5, 2, 8),
    ),
    "lstm over tokens": (
        lambda: nn.Sequential(nn.Embedding(30, 8), Cells(nn.LSTM(8, 6)), nn.Linear(6, 30)),
        ids(5, 2),
    ),
}


PHASES: tuple[Phase, ...] = ("forward", "backward", "optimizer")


def compare_with_a_real_step(model: nn.Module, x: Tensor, *phases: Phase, **how: Any) -> None:
    trace = step_of(model, x, optimizer="adamw", **how)
    real = real_step(model, [x], torch.optim.AdamW)
    for name in phases:
        assert ran(trace, name) == [(one.op, one.outputs) for one in getattr(real, name)]


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A linear layer adds its bias as it does where a dispatch mode looks on: not in place."""
    kernel = kernels.kernel
    monkeypatch.setattr(
        kernels, "kernel", lambda func, kind: None if func is F.linear else kernel(func, kind)
    )


@pytest.mark.usefixtures("looked_at")
@pytest.mark.parametrize("name", REAL)
def test_operators_are_those_of_a_real_step(name: str) -> None:
    """Names, order and shapes; with oneDNN on, as torch has it."""
    make, x = REAL[name]
    compare_with_a_real_step(make(), x, "forward", "backward", "optimizer")


@pytest.mark.usefixtures("looked_at")
@pytest.mark.parametrize("name", REAL)
def test_blocks_live_as_long_as_in_a_real_step(name: str) -> None:
    """Size, birth and death of what operators allocate. The trace is said to be elsewhere, where
    zoo knows of no scratch memory inside kernels. How much oneDNN's LSTM keeps depends on the
    processor: `test_workspaces.py`."""
    make, x = REAL[name]
    trace = step_of(make(), x, device="mps")
    end = len(trace.ops) - 1

    def lived(size: int, born: int, died: int | None) -> tuple[int | None, int, int | None]:
        """What lives until the end is held by the caller, or by nobody."""
        cells = trace.ops[born].op == "aten.mkldnn_rnn_layer.default"
        return None if cells else size, born, None if died == end else died

    made = [
        lived(one.nbytes, birth(trace, one), one.died) for one in trace.storages if one.born >= 0
    ]
    assert made == [lived(*one) for one in lifetimes(make(), [x])]


def birth(trace: Trace, block: Storage) -> int:
    """The operator whose result a block holds.

    Where no mode watches, autograd adds up gradients in place: the trace counts the block of such a
    sum from the next operator on.
    """
    before = trace.ops[block.born - 1]
    is_sum = before.op == "aten.add.Tensor" and before.phase == "backward"
    theirs = [one for one in trace.storages if one.born == before.index]
    together = [one.id for one in trace.storages if one.born == block.born]
    named = block.name == before.op or block.role == "gradient"
    first = block.id == together[0]  # blocks are numbered as operators made them
    return before.index if is_sum and not theirs and named and first else block.born


def test_attention_over_one_product_for_query_key_and_value() -> None:
    """The output is laid out as the query: joining its heads copies nothing."""
    compare_with_a_real_step(Language(mixed=True), ids(2, 5), "forward")


@pytest.mark.parametrize("kind", [nn.GRU, nn.RNN])
def test_recurrent_layers_that_are_taken_apart(kind: type[nn.Module]) -> None:
    """The inputs of all steps are multiplied at once, the states one by one."""
    compare_with_a_real_step(Cells(kind(8, 6)), torch.zeros(5, 2, 8), *PHASES)


@pytest.mark.parametrize(
    "model",
    [
        lambda: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4).requires_grad_(requires_grad=False)),
        lambda: nn.Sequential(nn.Linear(4, 4).requires_grad_(requires_grad=False), nn.Linear(4, 4)),
        lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4).requires_grad_(False)),
    ],
    ids=["above", "below", "norm"],
)
def test_frozen_layers_as_in_a_real_step(model: Callable[[], nn.Module]) -> None:
    compare_with_a_real_step(model(), torch.zeros(3, 4), "forward", "backward", "optimizer")


# phases, and whose operators these are


class Written(nn.Module):
    """Writes what it computes into tensors that it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.fc(x)
        room = torch.zeros(5, 4)
        room[:3] = h
        scale = torch.ones(5, 4) * 2
        scale[0] = h[0]
        found: Tensor = self.fc(room) * scale
        return found


class Padded(nn.Module):
    """Sequences packed and padded again, which torch does by writing into a tensor it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(4, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        lengths = torch.full((x.shape[0],), x.shape[1])
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        padded, _ = nn.utils.rnn.pad_packed_sequence(self.cells(packed)[0], batch_first=True)
        found: Tensor = padded
        return found


def test_blank_values_written_into_a_tensor_of_the_models_own() -> None:
    compare_with_a_real_step(Written(), torch.zeros(3, 4), *PHASES)


def test_padded_sequences_are_trained() -> None:
    compare_with_a_real_step(Padded(), torch.zeros(3, 5, 4), *PHASES)


def test_phases_come_one_after_the_other() -> None:
    trace = step_of(perceptron(), (2, 6))
    names = [op.phase for op in trace.ops]
    assert list(dict.fromkeys(names)) == ["forward", "backward", "optimizer"]
    assert names == sorted(names, key=["forward", "backward", "optimizer"].index)
    assert [op.index for op in trace.ops] == list(range(len(trace.ops)))
    assert trace.step == Step(optimizer="sgd", loss="sum")


def test_inference_has_one_phase_and_no_step() -> None:
    trace = zoo.trace(perceptron(), (2, 6))
    assert {op.phase for op in trace.ops} == {"forward"}
    assert trace.step is None
    alone = zoo.trace(perceptron(), (2, 6), train=True, loss="none")
    assert {op.phase for op in alone.ops} == {"forward"}
    assert alone.step is None
    assert alone.calls[0].training


def owners(trace: Trace, name: str, where: Phase = "backward") -> list[str]:
    return [module_of(trace, op) for op in phase(trace, where) if op.op.split(".")[1] == name]


def test_backward_operators_belong_to_the_module_of_their_forward() -> None:
    inner = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    net = nn.Sequential(nn.Conv2d(3, 4, 3), inner, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 2))
    trace = step_of(net, (2, 3, 8, 8))
    assert owners(trace, "convolution_backward") == ["1.0", "0"]
    assert owners(trace, "native_batch_norm_backward") == ["1.1"]
    assert owners(trace, "threshold_backward") == ["1.2"]
    assert owners(trace, "max_pool2d_with_indices_backward") == ["2"]
    assert owners(trace, "mm") == ["4", "4"]
    assert owners(trace, "ones_like") == [""]  # the loss is the model's own
    assert {op.call for op in phase(trace, "optimizer")} == {0}


def test_operators_of_a_shared_module_belong_to_the_call_that_made_them() -> None:
    shared = nn.Linear(4, 4)
    trace = step_of(nn.Sequential(shared, nn.ReLU(), shared), (2, 4))
    products = [op.call for op in phase(trace, "backward") if op.op == "aten.mm.default"]
    calls = [call.index for call in trace.calls if call.type == "Linear"]
    assert products == [calls[1], calls[1], calls[0]]


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.one(x)
        return h + F.gelu(self.two(h))


def test_functional_code_belongs_to_the_module_that_holds_it() -> None:
    trace = step_of(nn.Sequential(Residual(), nn.Linear(4, 2)), (3, 4))
    assert owners(trace, "gelu_backward") == ["0"]
    (sums,) = (module_of(trace, op) for op in phase(trace, "backward") if ".add." in op.op)
    assert sums.startswith("0")  # two gradients of h meet inside the block


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient.mul(x).neg()


class Squares(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return Square.apply(self.lin(x))


def test_a_custom_function_belongs_to_the_module_that_applied_it() -> None:
    trace = step_of(nn.Sequential(nn.Linear(4, 4), Squares(), nn.Linear(4, 2)), (3, 4))
    assert owners(trace, "neg") == ["1"]
    assert owners(trace, "mul") == ["1"]
    (neg,) = (op for op in phase(trace, "backward") if op.op == "aten.neg.default")
    (forward,) = (op for op in phase(trace, "forward") if op.op == "aten.mul.Tensor")
    assert neg.source == forward.source
    assert "test_training.py" in str(neg.source)


class Writes(nn.Module):
    """Writes into views of its tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.lin(x)
        y[:, 0] += 1
        y[:, 1:].mul_(2)
        return y


def test_writing_into_a_view_belongs_to_the_module_that_does_it() -> None:
    trace = step_of(nn.Sequential(Writes(), nn.Linear(4, 2)), (3, 4))
    assert set(owners(trace, "new_empty_strided") + owners(trace, "as_strided")) == {"0"}


def test_gradients_of_parameters_belong_to_the_modules_that_own_them() -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 2)))
    trace = step_of(net, (2, 4))
    calls = {
        one.name: trace.calls[one.call].path
        for one in trace.storages
        if one.role == "gradient" and one.call is not None
    }
    assert calls == {"0.weight": "0", "0.bias": "0", "1.1.weight": "1.1", "1.1.bias": "1.1"}


def test_lines_of_the_backward_pass_are_those_of_the_forward_pass() -> None:
    trace = step_of(nn.Sequential(Residual()), (3, 4))
    lines = {op.op.split(".")[1]: op.source for op in phase(trace, "forward")}
    gelu = next(op for op in phase(trace, "backward") if "gelu" in op.op)
    assert gelu.source == lines["gelu"] is not None
    assert {op.source for op in phase(trace, "optimizer")} == {None}


# multiply-accumulates


@pytest.mark.parametrize("trained", [t for t in product([True, False], repeat=3) if any(t)])
@pytest.mark.parametrize("bias_only", [False, True])
def test_macs_of_a_chain_by_what_is_trained(trained: tuple[bool, ...], bias_only: bool) -> None:
    """A weight's gradient where it is trained; an input's where something below is."""
    widths, batch = (7, 5, 4, 3), 6
    layers = [nn.Linear(i, o) for i, o in pairwise(widths)]
    for layer, train in zip(layers, trained, strict=True):
        layer.weight.requires_grad = train and not bias_only
        layer.bias.requires_grad = train
    sizes = [batch * i * o for i, o in pairwise(widths)]
    weights = 0 if bias_only else sum(n for n, t in zip(sizes, trained, strict=True) if t)
    below = [any(trained[:place]) for place in range(3)]
    inputs = sum(n for n, t in zip(sizes, below, strict=True) if t)
    trace = step_of(nn.Sequential(*layers), (batch, widths[0]))
    assert macs(trace, "forward") == sum(sizes)
    assert macs(trace, "backward") == weights + inputs
    gradients = {one.name for one in trace.storages if one.role == "gradient"}
    assert gradients == {
        f"{place}.{name}"
        for place, train in enumerate(trained)
        for name in (("bias",) if bias_only else ("weight", "bias"))
        if train
    }


def test_a_frozen_layer_passes_gradients_down() -> None:
    net = nn.Sequential(nn.Linear(8, 6), nn.Linear(6, 5), nn.Linear(5, 4))
    net[1].requires_grad_(requires_grad=False)
    trace = step_of(net, (3, 8), optimizer="adam")
    assert owners(trace, "mm") == ["2", "2", "1", "0"]
    names = {one.name for one in trace.storages if one.role in ("gradient", "optimizer")}
    assert names == {"0.weight", "0.bias", "2.weight", "2.bias"}


# what a model may return


@dataclass
class Scores:
    scores: Tensor
    extra: Any = None


class Pair(NamedTuple):
    first: Tensor
    second: Tensor


class WithLoss(NamedTuple):
    loss: Tensor
    scores: Tensor


class Returns(nn.Module):
    def __init__(self, wrap: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.one, self.two, self.wrap = nn.Linear(4, 3), nn.Linear(4, 2), wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(self.one(x), self.two(x))


BOTH = {"one.weight", "one.bias", "two.weight", "two.bias"}


def trained_names(trace: Trace, role: str = "gradient") -> set[str]:
    return {one.name for one in trace.storages if one.role == role}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda a, b: (a, b),
        lambda a, b: [a, {"deep": (b,)}],
        lambda a, b: {"a": a, "b": b, "size": 3, "nothing": None},
        Scores,
        Pair,
        lambda a, b: Scores(a, Pair(b, b)),
    ],
    ids=["tuple", "list", "dict", "dataclass", "named tuple", "nest"],
)
def test_all_outputs_are_trained(wrap: Callable[[Tensor, Tensor], Any]) -> None:
    trace = step_of(Returns(wrap), (5, 4))
    assert trained_names(trace) == BOTH
    assert macs(trace, "backward") == 5 * 4 * (3 + 2)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda a, b: {"loss": a.mean(), "scores": b},
        lambda a, b: WithLoss(a.mean(), b),
        lambda a, b: (a.sum(), b.detach()),
        lambda a, b: (a, b.argmax(-1)),
    ],
    ids=["dict", "named tuple", "detached", "whole numbers"],
)
def test_the_models_own_loss_or_what_gradients_reach(wrap: Callable[..., Any]) -> None:
    trace = step_of(Returns(wrap), (5, 4), optimizer="adam")
    assert trained_names(trace) == trained_names(trace, "optimizer") == {"one.weight", "one.bias"}
    assert macs(trace, "backward") == 5 * 4 * 3


class Dead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.dead = nn.Linear(4, 4), nn.Linear(4, 4)
        self.ignored = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.ignored(x)
        used: Tensor = self.used(x)
        return used


def test_what_no_loss_reaches_has_neither_gradient_nor_state() -> None:
    trace = step_of(Dead(), (5, 4), optimizer="adamw")
    assert trained_names(trace) == trained_names(trace, "optimizer") == {"used.weight", "used.bias"}
    assert macs(trace, "backward") == macs(trace, "forward") // 2 == 5 * 4 * 4


class Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin(x).detach() + x


class Buffered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(4))

    def forward(self, x: Tensor) -> Any:
        return x * self.scale


@pytest.mark.parametrize(
    "model",
    [
        lambda: perceptron().requires_grad_(requires_grad=False),
        Detached,
        Buffered,
        nn.ReLU,
        lambda: Returns(lambda a, b: (a.argmax(), b.detach())),
        lambda: Returns(lambda *_: None),
    ],
    ids=["frozen", "detached", "buffers", "nothing", "numbers", "none"],
)
@pytest.mark.parametrize("loss", ["sum", "mse", "cross-entropy"])
def test_nothing_to_train_is_an_error(model: Callable[[], nn.Module], loss: str) -> None:
    made = model()
    before = fingerprint(made)
    width = 6 if isinstance(made, nn.Sequential) else 4
    with pytest.raises(NothingToTrain, match=r"^training step: .*\. Leave something to train"):
        zoo.trace(made, (2, width), train=True, loss=loss)
    assert fingerprint(made) == before


# gradient checkpointing


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, 32), nn.Linear(32, 8)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down(torch.relu(self.up(x)))
        return y


class Stack(nn.Module):
    """Three blocks under a linear layer; checkpoints them itself where it is told how."""

    def __init__(self, reentrant: bool | None = None) -> None:
        super().__init__()
        self.stem = nn.Linear(8, 8)
        self.blocks = nn.ModuleList(Block() for _ in range(3))
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            if self.reentrant is None:
                x = block(x)
            else:
                x = checkpoint(block, x, use_reentrant=self.reentrant)
        return x


BATCH = 64


def checkpointed(how: str) -> Trace:
    if how == "pattern":
        return step_of(Stack(), (BATCH, 8), checkpoint="blocks.*")
    return step_of(Stack(how == "reentrant"), (BATCH, 8))


@pytest.mark.parametrize("how", ["pattern", "reentrant", "not reentrant"])
def test_checkpointing_computes_again_in_the_backward_pass(how: str) -> None:
    plain, trace = step_of(Stack(), (BATCH, 8)), checkpointed(how)
    assert [call.path for call in trace.calls] == [call.path for call in plain.calls]
    assert macs(trace, "forward") == macs(plain, "forward")
    up = BATCH * 8 * 32
    # without reentrance the last product, whose result nothing needs, is left out
    again = 3 * (2 * up if how == "reentrant" else up)
    assert macs(trace, "backward") == macs(plain, "backward") + again
    assert peak(trace).nbytes < peak(plain).nbytes
    assert peak(trace).nbytes <= peak(plain).nbytes - BATCH * 32 * 4  # at least one hidden layer
    assert trained_names(trace) == trained_names(plain)


def test_both_ways_of_checkpointing_without_reentrance_are_one() -> None:
    own, told = checkpointed("not reentrant"), checkpointed("pattern")
    assert [(op.op, op.phase, op.call, op.outputs) for op in own.ops] == [
        (op.op, op.phase, op.call, op.outputs) for op in told.ops
    ]
    assert peak(own).nbytes == peak(told).nbytes
    assert told.step is not None
    assert told.step.checkpoint == ("blocks.0", "blocks.1", "blocks.2")


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_as_in_a_real_step(reentrant: bool) -> None:
    compare_with_a_real_step(Stack(reentrant), torch.zeros(4, 8), "forward", "backward")


@pytest.mark.parametrize("how", ["pattern", "reentrant", "not reentrant"])
def test_what_runs_again_belongs_to_the_call_that_it_repeats(how: str) -> None:
    trace = checkpointed(how)
    again = [op for op in phase(trace, "backward") if op.op == "aten.addmm.default"]
    paths = [module_of(trace, op) for op in again]
    ups = [f"blocks.{n}.up" for n in (2, 1, 0)]
    assert [path for path in paths if path.endswith("up")] == ups
    assert paths == ups if how != "reentrant" else len(paths) == 6
    assert owners(trace, "threshold_backward") == ["blocks.2", "blocks.1", "blocks.0"]
    by_call = {call.index: call for call in trace.calls}
    assert all(by_call[op.call].path == module_of(trace, op) for op in again)


class Wraps(nn.Module):
    """Checkpoints code of its own around a module."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.lin, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = checkpoint(self.piece, self.stem(x), use_reentrant=True)
        z: Tensor = self.head(y)
        return z

    def piece(self, x: Tensor) -> Tensor:
        return F.silu(self.lin(x))


def test_code_in_a_reentrant_checkpoint_belongs_to_the_module_that_holds_it() -> None:
    trace = step_of(Wraps(), (3, 4))
    assert owners(trace, "silu") == owners(trace, "silu_backward") == [""]


def test_a_module_called_twice_runs_again_for_the_right_call() -> None:
    block = Block()
    trace = step_of(nn.Sequential(nn.Linear(8, 8), block, nn.Tanh(), block), (4, 8), checkpoint="1")
    calls = [call.index for call in trace.calls if call.type == "Linear" and call.depth == 2]
    again = [op.call for op in phase(trace, "backward") if op.op == "aten.addmm.default"]
    assert again == [calls[2], calls[0]]  # the last one first
    assert len(trace.calls) == 1 + 1 + 3 + 1 + 3


def test_patterns_name_the_outermost_modules() -> None:
    trace = step_of(Stack(), (4, 8), checkpoint=["blocks.1*", "stem"])
    assert trace.step is not None
    assert trace.step.checkpoint == ("stem", "blocks.1")
    with pytest.raises(StepError, match=r"checkpoint 'block\.\*': no module is called so\. "):
        zoo.trace(Stack(), (4, 8), train=True, checkpoint="block.*")


def test_a_batch_norm_that_runs_again_has_statistics_of_its_own() -> None:
    """Dropout and batch norms run again as they ran: torch does so, too."""
    net = nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.BatchNorm1d(8), nn.Dropout(), nn.ReLU()))
    plain, trace = step_of(net, (4, 8)), step_of(net, (4, 8), checkpoint="1")
    name = "aten.native_batch_norm.default"
    assert [op.phase for op in trace.ops if op.op == name] == ["forward", "backward"]
    assert [op.phase for op in plain.ops if op.op == name] == ["forward"]


# accumulation, kept gradients


@pytest.mark.parametrize("how", [{"accumulate": 4}, {"set_to_none": False}])
def test_gradients_that_are_there_before(how: dict[str, Any]) -> None:
    net = perceptron()
    plain, kept = step_of(net, (2, 6)), step_of(net, (2, 6), **how)
    names = [name for name, _ in net.named_parameters()]
    born = {one.name: one.born for one in kept.storages if one.role == "gradient"}
    assert born == dict.fromkeys(names, -1)
    nbytes = sum(one.nbytes for one in kept.storages if one.role == "gradient")
    assert nbytes == 4 * sum(one.numel() for one in net.parameters())
    added = [op for op in phase(kept, "backward") if op.op == "aten.add_.Tensor"]
    assert len(added) == len(names)
    assert peak(kept).nbytes >= peak(plain).nbytes
    assert macs(kept, "backward") == macs(plain, "backward")
    assert len(kept.calls) == len(plain.calls)


def test_a_micro_batch_runs_what_a_real_one_runs() -> None:
    net, x = batch_norms(), torch.zeros(2, 3, 12, 12)
    real = real_step(net, [x], torch.optim.SGD, accumulate=2)
    trace = step_of(net, x, accumulate=2)
    assert ran(trace, "forward") == [(one.op, one.outputs) for one in real.forward]
    assert ran(trace, "backward") == [(one.op, one.outputs) for one in real.backward]


def test_accumulate_takes_a_whole_positive_number() -> None:
    with pytest.raises(StepError, match=r"accumulate=0: a step takes at least one batch\. Try 1"):
        zoo.trace(perceptron(), (2, 6), train=True, accumulate=0)


# other kinds of models


def test_lazy_modules_are_trained_as_what_they_become() -> None:
    lazy = nn.Sequential(nn.LazyLinear(5), nn.ReLU(), nn.LazyLinear(3))
    plain = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    for optimizer in ("sgd", "adam"):
        one, two = (step_of(net, (2, 4), optimizer=optimizer) for net in (lazy, plain))
        assert [(op.op, op.phase, op.outputs) for op in one.ops] == [
            (op.op, op.phase, op.outputs) for op in two.ops
        ]
        assert peak(one).nbytes == peak(two).nbytes


def test_tied_weights_have_one_gradient_and_one_state() -> None:
    net = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 4), nn.Linear(4, 10, bias=False))
    net[2].weight = net[0].weight
    trace = step_of(net, ids(2, 3).clamp(max=9), optimizer="sgd-momentum")
    assert trained_names(trace) == {"0.weight", "1.weight", "1.bias"}
    sizes = [one.nbytes for one in trace.storages if one.role == "optimizer"]
    assert sorted(sizes) == sorted(one.numel() * 4 for one in net.parameters())


def test_the_gradient_of_a_tied_weight_belongs_to_its_first_module() -> None:
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 4, bias=False))
    net[2].weight = net[0].weight
    trace = step_of(net, (2, 4), accumulate=2)
    assert owners(trace, "add_") == ["0"]


def test_the_gradient_of_a_module_that_is_not_called_belongs_to_who_read_it() -> None:
    net = nn.Sequential(nn.Linear(4, 4), encoder_attention())
    trace = step_of(net, (1, 3, 4), accumulate=2)
    assert set(owners(trace, "add_")) == {"0", "1.attention"}


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return y


def encoder_attention() -> nn.Module:
    return SelfAttention()


# the model is untouched, and a trace is a value


class Fails(nn.Module):
    """Its backward pass raises."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return Broken.apply(self.lin(x))


class Broken(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        raise ValueError("on purpose")


STEPS: dict[str, dict[str, Any]] = {
    "plain": {},
    "checkpointed": {"checkpoint": "*"},
    "accumulated": {"accumulate": 2, "optimizer": "adamw"},
    "forward alone": {"loss": "none"},
}


@pytest.mark.parametrize("how", STEPS)
@pytest.mark.parametrize("make", [batch_norms, Fails, encoder, Writes])
def test_the_model_is_untouched(make: Callable[[], nn.Module], how: str) -> None:
    net = make()
    before = fingerprint(net)
    shape = {"Sequential": (2, 3, 12, 12), "TransformerEncoderLayer": (1, 3, 8)}
    zoo.trace(net, shape.get(type(net).__name__, (2, 4)), train=True, **STEPS[how])
    assert fingerprint(net) == before
    assert all(one.grad is None for one in net.parameters())


def test_gradients_of_the_users_are_left_alone() -> None:
    net = perceptron()
    net(torch.ones(2, 6)).sum().backward()
    before = {name: (id(one.grad), one.grad.clone()) for name, one in net.named_parameters()}
    step_of(net, (2, 6), optimizer="adam", accumulate=2)
    for name, one in net.named_parameters():
        assert id(one.grad) == before[name][0]
        assert torch.equal(one.grad, before[name][1])


def test_the_modes_of_the_caller_are_as_before() -> None:
    with torch.no_grad():
        step_of(perceptron(), (2, 6))
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        step_of(perceptron(), (2, 6))
        assert torch.is_inference_mode_enabled()
    step_of(perceptron(), (2, 6))
    assert torch.is_grad_enabled()


def test_a_backward_pass_that_raises_is_a_failure_of_its_module() -> None:
    trace = zoo.trace(nn.Sequential(nn.Linear(4, 4), Fails(), nn.Linear(4, 4)), (2, 4), train=True)
    assert trace.failure is not None
    assert "on purpose" in trace.failure.error
    assert {op.phase for op in trace.ops} == {"forward", "backward"}
    assert trace.step is not None


@pytest.mark.parametrize(
    "name", ["convolutions and batch norms", "transformer with dropout", "lstm"]
)
@pytest.mark.parametrize("how", ["plain", "checkpointed", "accumulated"])
def test_a_trace_is_a_value(name: str, how: str) -> None:
    """Two of them are equal, and JSON loses nothing."""
    make, x = REAL[name]
    trace = step_of(make(), x, **STEPS[how])
    assert step_of(make(), x, **STEPS[how]) == trace
    again = loads(dumps(trace), Trace)
    assert again == trace
    assert again.storages == trace.storages != ()
    assert again.step == trace.step is not None


ADDED = ("macs", "pointwise_flops", "activation_bytes", "bytes_read", "bytes_written")


@pytest.mark.parametrize("how", STEPS)
def test_a_summary_is_that_of_the_forward_pass_and_the_loss(how: str) -> None:
    alone = zoo.summary(zoo.trace(batch_norms(), (2, 3, 12, 12), train=True, loss="none"))
    trace = zoo.trace(batch_norms(), (2, 3, 12, 12), train=True, **STEPS[how])
    found = zoo.summary(trace)
    assert found.rows[1:] == alone.rows[1:]
    loss = [op for op in phase(trace, "forward") if op.call == 0]
    if how == "forward alone":
        assert loss == []
        assert found == alone
        return
    (total,) = loss  # 8 scores become one number
    assert total.op == "aten.sum.default"
    more = dict(zip(ADDED, (0, 8, 4, 32, 4), strict=True))
    root = {**alone.rows[0], **{key: alone.rows[0][key] + more[key] for key in ADDED}}
    assert found.rows[0] == root


# an accelerator

ON_CUDA = ["convolutions and batch norms", "transformer with dropout", "language model", "lstm"]


def on_cuda(name: str, **how: Any) -> Trace:
    make, x = REAL[name]
    return zoo.trace(make(), x, train=True, device="cuda", **how)


@pytest.mark.parametrize("name", ON_CUDA)
def test_a_step_runs_on_an_accelerator(name: str) -> None:
    trace = on_cuda(name)
    assert trace.failure is None
    assert {op.phase for op in trace.ops} == {"forward", "backward", "optimizer"}
    used = {one.names[0] for one in trace.parameters if one.used}
    assert trained_names(trace) == used
    gradients = [one for one in trace.storages if one.role in ("gradient", "saved")]
    assert {one.device for one in gradients} == {"cuda:0"}


@pytest.mark.parametrize("name", ON_CUDA)
def test_a_step_on_an_accelerator_lies_there(name: str) -> None:
    trace = on_cuda(name, optimizer="sgd-momentum")
    places = {one.device for one in trace.storages if one.role != "temporary"}
    assert places == {"cuda:0"}


def test_counters_of_steps_stay_with_the_host() -> None:
    """As in `torch.optim.AdamW` on a GPU, unless it is fused or capturable."""
    trace = step_of(perceptron(), (2, 6), device="cuda", optimizer="adamw")
    state = [one for one in trace.storages if one.role == "optimizer"]
    assert {one.device for one in state if one.nbytes == 4} == {"cpu"}
    assert {one.device for one in state if one.nbytes > 4} == {"cuda:0"}
