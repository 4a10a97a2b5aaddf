"""Modules that are not plain Python run too: scripted, traced, compiled, wrapped, higher-order."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import flex_attention
from torch.utils.checkpoint import checkpoint

from zoo.analysis.summary import summary
from zoo.analysis.tracer.run import run


class Calls(nn.Module):
    """Runs a function with a layer."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(8, 8), function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.layer, x)


def linear() -> nn.Module:
    return nn.Linear(8, 8)


BUILDS = {
    "scripted": lambda: torch.jit.script(nn.Sequential(linear())),
    "scripted child": lambda: nn.Sequential(torch.jit.script(linear())),
    "traced child": lambda: nn.Sequential(torch.jit.trace(linear(), torch.zeros(2, 8))),
    "compiled child": lambda: nn.Sequential(torch.compile(linear())),
    "data parallel": lambda: nn.DataParallel(linear()),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(linear()),
    "half": lambda: linear().half(),
    "vmap": lambda: Calls(lambda layer, x: torch.vmap(layer)(x)),
    "checkpoint": lambda: Calls(lambda layer, x: checkpoint(layer, x, use_reentrant=False)),
    "inference mode": lambda: Calls(torch.inference_mode()(lambda layer, x: layer(x))),
    "functional call": lambda: Calls(
        lambda layer, x: torch.func.functional_call(layer, dict(layer.named_parameters()), (x,))
    ),
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", BUILDS)
def test_it_runs_and_counts(name: str) -> None:
    trace = run(BUILDS[name](), [(2, 8)])
    assert trace.failure is None, trace.failure
    assert trace.outputs is not None
    assert trace.outputs[0].shape == (2, 8)
    assert summary(trace).totals["macs"] == 2 * 8 * 8


def test_cond_runs_one_branch() -> None:
    def branch(_: nn.Module, x: Tensor) -> Any:
        return torch.cond(x.sum() > 0, lambda x: x @ x, lambda x: x + x, (x,))

    trace = run(Calls(branch), [(8, 8)])
    assert summary(trace).totals["macs"] == 8 * 8 * 8
    assert [note.code for note in trace.notes] == ["data-dependent"]
    assert summary(run(Calls(branch), [(8, 8)], hints={"cond": 0})).totals["macs"] == 0


def test_flex_attention_is_an_attention() -> None:
    trace = run(Calls(lambda _, q: flex_attention(q, q, q)), [(1, 2, 16, 8)])
    assert trace.failure is None, trace.failure
    assert summary(trace).totals["macs"] == 2 * 2 * 16 * 16 * 8
    assert [op.op for op in trace.ops if "flex" in op.op] == ["higher_order.flex_attention"]


def test_a_tensor_made_of_blank_ones() -> None:
    trace = run(Calls(lambda _, x: torch.tensor([x.sum(), x.max(), 3.0])), [(2, 8)])
    assert trace.outputs is not None
    assert trace.outputs[0].shape == (3,)


def test_stft_with_a_window_of_its_own() -> None:
    def spectrum(_: nn.Module, x: Tensor) -> Tensor:
        return torch.stft(x, 16, return_complex=True, window=torch.hann_window(16))

    trace = run(Calls(spectrum), [(2, 64)])
    assert trace.outputs is not None
    assert str(trace.outputs[0]) == "c64[2,9,17]"


def test_istft_gives_the_signal_back() -> None:
    def there_and_back(_: nn.Module, x: Tensor) -> Tensor:
        window = torch.hann_window(16, device=x.device)
        spectrum = torch.stft(x, 16, return_complex=True, window=window)
        return torch.istft(spectrum, 16, window=window)

    trace = run(Calls(there_and_back), [(2, 64)])
    assert trace.failure is None, trace.failure
    assert [str(spec) for spec in trace.outputs or ()] == ["f32[2,64]"]


def test_a_module_copied_in_the_forward_pass() -> None:
    import copy

    trace = run(Calls(lambda layer, x: copy.deepcopy(layer)(x)), [(2, 8)])
    assert trace.failure is None, trace.failure
    assert summary(trace).totals["macs"] == 128
    assert trace.calls[1].type == "Linear"


def test_jacobians() -> None:
    trace = run(Calls(lambda layer, x: torch.func.jacrev(layer)(x[0])), [(2, 8)])
    assert trace.failure is None, trace.failure
    assert trace.outputs is not None
    assert trace.outputs[0].shape == (8, 8)
    assert torch._C._len_torch_function_stack() == 0


def test_gradients_of_a_real_input() -> None:
    def slope(layer: nn.Module, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(layer(x).sum(), x)[0]

    for given in (torch.randn(2, 8), (2, 8)):
        trace = run(Calls(slope), [given])
        assert trace.failure is None, trace.failure


def test_packed_sequences_on_an_accelerator() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells = nn.LSTM(8, 16, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            lengths = torch.tensor([5, 3, 2])
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
            return nn.utils.rnn.pad_packed_sequence(self.cells(packed)[0], batch_first=True)[0]

    for device in ("cpu", "cuda"):
        trace = run(Packed(), [(3, 5, 8)], device=device)
        assert trace.failure is None, trace.failure
        assert summary(trace).totals["macs"] == 10 * 4 * 16 * (8 + 16)


def test_a_refused_autocast_is_said() -> None:
    def cast(layer: nn.Module, x: Tensor) -> Any:
        with torch.autocast("cuda", torch.bfloat16):
            return layer(x)

    for given in (torch.randn(2, 8), (2, 8)):
        trace = run(Calls(cast), [given])
        assert trace.failure is None, trace.failure
        assert [note.code for note in trace.notes] == ["autocast"]


@pytest.mark.parametrize("error", [SystemExit(3), MemoryError()])
def test_what_ends_a_run_is_a_failure(error: BaseException) -> None:
    def stop(_: nn.Module, __: Tensor) -> None:
        raise error

    failure = run(Calls(stop), [(2, 8)]).failure
    assert failure is not None
    assert type(error).__name__ in failure.message


def test_nested_tensors_are_refused() -> None:
    def nest(layer: nn.Module, x: Tensor) -> Any:
        return layer(torch.nested.nested_tensor([x[0], x[1][:2]], layout=torch.jagged))

    failure = run(Calls(nest), [(2, 5, 8)]).failure
    assert failure is not None
    assert "nested tensors" in failure.message
