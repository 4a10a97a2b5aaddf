"""Why a run broke, in the words of the module that broke it.

The innermost module call that did not return is named with the shapes it got and wanted, the line
of the user's code, and what to try. What a layer wants is read from its own attributes; where the
layer is not one of those below, torch's message is handed through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from zoo.analysis.records import Failure, ModuleCall, TensorSpec
from zoo.analysis.tracer.source import line_of_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.analysis.tracer.recorder import Recorder

Wanted = tuple[str, str]
"""What the layer wants, and what to try."""


def failure_of(error: BaseException, model: nn.Module, recorder: Recorder) -> Failure:
    """Describe what ended the run.

    Args:
        error: What was raised.
        model: What ran; still as it was in the run.
        recorder: What was written down until then.

    Returns:
        The failure, with the call, the operator and the line it happened at.
    """
    call: int = 0
    inputs: tuple[TensorSpec, ...] = ()
    if recorder.broken is not None and recorder.broken[0] is error:
        _, call, inputs = recorder.broken
    op = None
    if recorder.broken_op is not None and recorder.broken_op[0] is error:
        _, op, _ = recorder.broken_op
    record = recorder.calls.get(call)
    said = str(error).partition("Exception raised from")[0]  # before torch's own C++ stack
    raised = f"{type(error).__name__}: {' '.join(said.split())}"
    got = ", ".join(map(str, inputs)) or "no tensor"
    if record is None:
        return Failure(0, op, raised, inputs, line_of_error(error.__traceback__), None, raised)
    name = f"{record.path} ({record.type})" if record.path else record.type
    wanted = _wanted(model, record, inputs)
    source = line_of_error(error.__traceback__)
    if wanted is None:
        message = f"{name} got {got} and raised {raised}"
        return Failure(call, op, message, inputs, source, _general_hint(raised), raised)
    wants, hint = wanted
    origin = _origin(recorder, inputs)
    if origin:
        hint = f"{hint} The input is {origin}."
    return Failure(call, op, f"{name} got {got}, {wants}", inputs, source, hint, raised)


def _origin(recorder: Recorder, inputs: tuple[TensorSpec, ...]) -> str | None:
    """Where a flattened input came from: its last other shape, and the call that made it."""
    if not inputs or len(inputs[0].shape) != 2:
        return None
    numel = inputs[0].numel
    for op in reversed(recorder.ops):
        if op.outputs and op.outputs[0] == inputs[0] and op.inputs and op.inputs[0].numel == numel:
            before = op.inputs[0]
            if len(before.shape) > 2:
                return f"a flattened {before}"
    return None


def _linear(layer: nn.Linear, inputs: tuple[TensorSpec, ...]) -> Wanted | None:
    if inputs and inputs[0].shape and inputs[0].shape[-1] == layer.in_features:
        return None
    got = inputs[0].shape[-1] if inputs and inputs[0].shape else "none"
    return (
        f"its weight wants {layer.in_features} features",
        f"Set in_features={got}, or feed an input of another size.",
    )


def _conv(layer: _ConvNd, inputs: tuple[TensorSpec, ...]) -> Wanted | None:
    if not inputs:
        return None
    shape, dims = inputs[0].shape, len(layer.kernel_size)
    if len(shape) not in (dims + 1, dims + 2):
        return (
            f"it wants {dims + 2} dims (batch, channels and {dims} of space)",
            "Check the number of dims of the input.",
        )
    channels = shape[-dims - 1]
    if channels != layer.in_channels:
        return (
            f"its weight wants {layer.in_channels} channels",
            f"Set in_channels={channels}, or feed an input with {layer.in_channels} channels.",
        )
    if not layer.transposed:
        pads = layer.padding if isinstance(layer.padding, tuple) else ()
        for size, kernel, dilation, pad in zip(
            shape[-dims:], layer.kernel_size, layer.dilation, pads, strict=False
        ):
            reach = dilation * (kernel - 1) + 1
            if size + 2 * int(pad) < reach:
                return (
                    f"its kernel covers {reach}, more than the {size + 2 * int(pad)} there are "
                    "with padding",
                    "Feed a larger input, or use a smaller kernel or stride before it.",
                )
    return None


def _batch_norm(layer: _BatchNorm, inputs: tuple[TensorSpec, ...]) -> Wanted | None:
    if not inputs or len(inputs[0].shape) < 2:
        return None
    channels = inputs[0].shape[1]
    if channels != layer.num_features:
        return (
            f"it normalises {layer.num_features} channels",
            f"Set num_features={channels}, or feed it {layer.num_features} channels.",
        )
    if layer.training and inputs[0].numel == channels:
        return (
            "it wants more than one value a channel to train on",
            "Use a batch of at least 2, or evaluation mode.",
        )
    return None


def _layer_norm(layer: nn.LayerNorm, inputs: tuple[TensorSpec, ...]) -> Wanted | None:
    wanted = tuple(layer.normalized_shape)
    if not inputs or inputs[0].shape[-len(wanted) :] == wanted:
        return None
    last = inputs[0].shape[-len(wanted) :]
    return (
        f"it normalises a last shape of {list(wanted)}",
        f"Set normalized_shape={list(last)}, or feed it what ends in {list(wanted)}.",
    )


def _embedding(
    layer: nn.Embedding | nn.EmbeddingBag, inputs: tuple[TensorSpec, ...]
) -> Wanted | None:
    if inputs and inputs[0].dtype not in ("int64", "int32"):
        dims = ",".join(map(str, inputs[0].shape))
        return (
            "it wants token ids (int64 or int32)",
            f"Write --input {dims}@ints:{layer.num_embeddings}, or {dims}:int64.",
        )
    return None


def _rnn(layer: nn.RNNBase, inputs: tuple[TensorSpec, ...]) -> Wanted | None:
    if inputs and inputs[0].shape and inputs[0].shape[-1] != layer.input_size:
        return (
            f"it wants {layer.input_size} features",
            f"Set input_size={inputs[0].shape[-1]}, or feed it {layer.input_size} features.",
        )
    return None


def _attention(layer: nn.MultiheadAttention, inputs: tuple[TensorSpec, ...]) -> Wanted | None:
    if inputs and inputs[0].shape and inputs[0].shape[-1] != layer.embed_dim:
        return (
            f"it wants {layer.embed_dim} features",
            f"Set embed_dim={inputs[0].shape[-1]}, or feed it {layer.embed_dim} features.",
        )
    return None


_LAYERS: tuple[
    tuple[type[nn.Module] | tuple[type[nn.Module], ...], Callable[..., Wanted | None]], ...
] = (
    (nn.Linear, _linear),
    (_ConvNd, _conv),
    (_BatchNorm, _batch_norm),
    (nn.LayerNorm, _layer_norm),
    ((nn.Embedding, nn.EmbeddingBag), _embedding),
    (nn.RNNBase, _rnn),
    (nn.MultiheadAttention, _attention),
)


def _wanted(model: nn.Module, record: ModuleCall, inputs: tuple[TensorSpec, ...]) -> Wanted | None:
    """What the layer that broke wants, where it got something else."""
    try:
        layer = model.get_submodule(record.module)
    except AttributeError:
        return None
    dtype = _dtype(layer, inputs)
    for kinds, explain in _LAYERS:
        if isinstance(layer, kinds):
            return explain(layer, inputs) or dtype
    return None


def _dtype(layer: nn.Module, inputs: tuple[TensorSpec, ...]) -> Wanted | None:
    """A weight of another dtype than the input."""
    weight = getattr(layer, "weight", None)
    if weight is None or not inputs:
        return None
    wanted = str(weight.dtype).removeprefix("torch.")
    if inputs[0].dtype == wanted or isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        return None
    return (
        f"its weight is {wanted}",
        f"Give the input as {wanted} (1,3,224,224:{wanted}), or the model as {inputs[0].dtype} "
        "(--dtype).",
    )


def _general_hint(raised: str) -> str | None:
    if "must match" in raised or "broadcast" in raised or "shape" in raised or "size" in raised:
        return "Compare the shapes above it; an input of another size may fit (--input)."
    if raised.startswith(("NotImplementedError", "SystemExit")):
        return None
    if raised.startswith("EndlessLoopError"):
        return "Give the value at which it ends: --hint FILE:LINE=VALUE."
    if "does not require grad" in raised:
        return "The run is without gradients: turn them on where forward needs them (enable_grad)."
    if "device" in raised:
        return "A tensor made without device= lies on the CPU."
    return None
