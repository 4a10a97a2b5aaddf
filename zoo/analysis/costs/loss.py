"""What does a loss cost?

A loss is a reduction: one pointwise FLOP for each element of its predictions, with or without the
sum over them. The negative log-likelihood looks one prediction up for each target: one FLOP for
each target, and only those predictions are read. The cross entropy of class probabilities is a
log-softmax besides. CTC sums three paths in each state of its lattice (Graves et al. 2006, equation
6): 3*T*(2S + 1).

Backward: one for each element of the predictions' gradient. The negative log-likelihood makes zeros
and changes one element for each target. CTC walks its lattice the other way, and sums into the
gradient.
"""

from __future__ import annotations

from zoo.analysis.costs.base import Inputs, Specs, argument, read_bytes, table, written_bytes
from zoo.analysis.costs.common import each, elements, named, streamed
from zoo.analysis.records import Cost, TensorSpec


def compared(inputs: Specs, outputs: Specs) -> Cost:
    """One FLOP for each prediction.

    >>> compared((TensorSpec((4, 3)), TensorSpec((4, 3))), (TensorSpec(()),)).flops
    12
    """
    return streamed(inputs, outputs, flops=elements(inputs[:1]))


def picked(inputs: Specs, outputs: Specs) -> Cost:
    """(n, c) and targets (n,): reads n predictions, n FLOPs.

    >>> picked((TensorSpec((4, 3)), TensorSpec((4,), "int64")), (TensorSpec(()),))
    Cost(macs=0, flops=4, bytes_read=48, bytes_written=4)
    """
    predictions, targets = inputs[0], inputs[1]
    read = TensorSpec(targets.shape, predictions.dtype).nbytes + read_bytes(inputs[1:])
    return Cost(flops=targets.numel, bytes_read=read, bytes_written=written_bytes(outputs))


def cross_entropy(inputs: Specs, outputs: Specs) -> Cost:
    """A log-softmax over all predictions, then the loss: one FLOP for each prediction and target.

    >>> cross_entropy((TensorSpec((4, 3)), TensorSpec((4,), "int64")), (TensorSpec(()),)).flops
    16
    """
    return streamed(inputs, outputs, flops=elements(inputs[:2]))


def ctc(inputs: Specs, outputs: Specs) -> Cost:
    """(t, n, c) and targets (n, s), or (total,): 3 FLOPs for each of t*(2s + 1) states, n times.

    With input lengths that are tensors, t is the longest input: an upper bound.

    >>> x, y = TensorSpec((10, 2, 5)), TensorSpec((2, 3), "int64")
    >>> ctc((x, y), (TensorSpec((2,)),)).flops
    420
    """
    shape = inputs[0].shape
    t, n = shape[0], shape[1] if len(shape) == 3 else 1
    lengths = argument(inputs, "input_lengths")
    if isinstance(lengths, list | tuple) and lengths and all(isinstance(i, int) for i in lengths):
        t = max(lengths)
    return streamed(inputs, outputs, flops=3 * t * (2 * inputs[1].numel + n))


def compared_backward(inputs: Specs, outputs: Specs) -> Cost:
    """One FLOP for each prediction.

    >>> x = TensorSpec((4, 3))
    >>> compared_backward((TensorSpec(()), x, x), (x,)).flops
    12
    """
    return streamed(inputs, outputs, flops=elements(outputs))


def picked_backward(inputs: Specs, outputs: Specs) -> Cost:
    """grad, predictions (n, c), which lend their form, and targets (n,): n FLOPs into zeros.

    >>> g, x, y = TensorSpec(()), TensorSpec((4, 3)), TensorSpec((4,), "int64")
    >>> picked_backward((g, x, y, g), (x,))
    Cost(macs=0, flops=4, bytes_read=40, bytes_written=64)
    """
    targets, result = named(inputs, "target", 2), outputs[0]
    changed = TensorSpec(targets.shape, result.dtype)
    read = read_bytes(inputs) - named(inputs, "self", 1).nbytes
    return Cost(0, changed.numel, read, result.nbytes + changed.nbytes)


def ctc_backward(inputs: Specs, outputs: Specs) -> Cost:
    """grad, then what `ctc` has: as much, and one FLOP for each element of the gradient.

    >>> g, x, y = TensorSpec((2,)), TensorSpec((10, 2, 5)), TensorSpec((2, 3), "int64")
    >>> ctc_backward((g, x, y), (x,)).flops
    520
    """
    arguments = inputs.arguments if isinstance(inputs, Inputs) else {}
    forward = ctc(Inputs(inputs[1:], arguments), outputs)
    return streamed(inputs, outputs, flops=forward.flops + elements(outputs))


_COMPARED_BACKWARD = """
    binary_cross_entropy_backward huber_loss_backward mse_loss_backward multi_margin_loss_backward
    multilabel_margin_loss_backward smooth_l1_loss_backward soft_margin_loss_backward
"""
_COMPARED = """
    binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss hinge_embedding_loss
    huber_loss kl_div l1_loss margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss
    multilabel_margin_loss_forward poisson_nll_loss smooth_l1_loss soft_margin_loss
    triplet_margin_loss cosine_similarity
"""

FORMULAS = table(
    each(_COMPARED, compared),
    each("nll_loss nll_loss_nd nll_loss2d nll_loss_forward nll_loss2d_forward", picked),
    each("cross_entropy_loss", cross_entropy),
    each(_COMPARED_BACKWARD, compared_backward),
    each("nll_loss_backward nll_loss2d_backward", picked_backward),
    each("_ctc_loss_backward", ctc_backward),
    each("ctc_loss _ctc_loss _cudnn_ctc_loss miopen_ctc_loss", ctc),
)
"""Losses."""
