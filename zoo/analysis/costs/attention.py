"""How many multiply-accumulates does an attention take, whichever kernel runs it?

Counted: the scores, q x k, and their product with v: B*H*Sq*Skv*(E + Ev), Vaswani et al., Attention
Is All You Need, arXiv:1706.03762, section 3.2. H is the number of query heads: with grouped queries
(Ainslie et al., GQA, arXiv:2305.13245) a key head is read by several of them and multiplied as
often. The layers that contain projections count these too.

Backward: five products where the forward has two, B*H*Sq*Skv*(3E + 2Ev). A fused kernel keeps no
scores, so it computes them again, q x k; then dP = dO x v, dV = P x dO, dQ = dS x k, dK = dS x q
(Dao et al., FlashAttention, arXiv:2205.14135, algorithm 4; Dao, FlashAttention-2,
arXiv:2307.08691, section 3.1.2: "5 matmuls" against 2). All are computed, whatever is asked for. An
attention that is taken apart keeps its scores and takes four.

A causal or masked attention is counted in full. Where several sequences lie end to end their
lengths are not known from shapes: the figure is then an upper bound, total rows of one side times
the longest sequence of the other. The
kernels of one attention count as pointwise FLOPs what they fuse (scale, mask, softmax). Layers and
varlen kernels do not: scale, softmax, dropout, bias, norms and activations are left out there.
"""

from __future__ import annotations

from math import prod

from zoo.analysis.costs.base import Inputs, Specs, argument, read_bytes, table, written_bytes
from zoo.analysis.costs.common import each, named
from zoo.analysis.records import Cost, TensorSpec


def sdpa(inputs: Specs, outputs: Specs) -> int:
    """From q (..., h, sq, e), k (..., hk, sk, e), v (..., hk, sk, ev) -> (..., h, sq, ev).

    sk*(e + ev) MACs for each row of the result, so that leading dimensions may broadcast.

    >>> q = TensorSpec((1, 4, 128, 64))
    >>> sdpa((q, q, q), (q,))
    8388608
    """
    (sk, e), ev = inputs[1].shape[-2:], inputs[2].shape[-1]
    return prod(outputs[0].shape[:-1]) * sk * (e + ev)


def attention(inputs: Specs, outputs: Specs) -> Cost:
    """`sdpa` with its pointwise FLOPs, which are those of the operators that it replaces.

    A fused kernel scales q and k, adds a mask to the scores and normalises them; so the figure does
    not depend on whether a device fuses: h*sq*e + h*sk*e + h*sq*sk, and h*sq*sk more for a mask.

    >>> q = TensorSpec((1, 4, 128, 64))
    >>> attention((q, q, q), (q,)).flops == 2 * 4 * 128 * 64 + 4 * 128 * 128
    True
    """
    rows, sk, e = outputs[0].shape[:-1], inputs[1].shape[-2], inputs[0].shape[-1]
    scores = prod(rows) * sk
    masked = len(inputs) > 3 or bool(argument(inputs, "is_causal", default=False))
    flops = prod(rows) * e + prod(rows[:-1]) * sk * e + scores * (1 + masked)
    macs = sdpa(inputs, outputs)
    return Cost(macs, flops, read_bytes(inputs), written_bytes(outputs))


def _packed_scores(q: TensorSpec, k: TensorSpec, inputs: Specs, lengths: tuple[str, str]) -> int:
    """Scores of q (t, h, e) with k (u, hk, e), end to end: the tightest of three bounds."""
    (*_, t, h, _), (*_, u, _, _) = q.shape, k.shape
    longest_q, longest_k = (argument(inputs, name) for name in lengths)
    pairs = [t * u]
    if isinstance(longest_k, int) and longest_k > 0:
        pairs.append(t * longest_k)
    if isinstance(longest_q, int) and longest_q > 0:
        pairs.append(u * longest_q)
    return h * min(pairs)


def _rows_first_scores(q: TensorSpec, k: TensorSpec) -> int:
    """Scores of q (b, sq, h, e) with k (b, sk, hk, e)."""
    return q.numel // max(q.shape[-1], 1) * k.shape[1]


def _products(q: TensorSpec, v: TensorSpec) -> int:
    """MACs of the forward for each score, e + ev."""
    return q.shape[-1] + v.shape[-1]


def _products_backward(q: TensorSpec, v: TensorSpec) -> int:
    """MACs of the backward for each score: scores again, dQ and dK e each, dV and dP ev each."""
    return 3 * q.shape[-1] + 2 * v.shape[-1]


def flash(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """From q (b, sq, h, e), k (b, sk, hk, e), v (b, sk, hk, ev): b*h*sq*sk*(e + ev).

    With `cum_seq_q` the operands have no batch dimension: an upper bound.

    >>> q = TensorSpec((1, 128, 4, 64))
    >>> flash((q, q, q), (q,))
    8388608
    >>> two = TensorSpec((128, 4, 64))
    >>> flash(Inputs((two,) * 3, {"cum_seq_q": TensorSpec((3,)), "max_q": 64, "max_k": 64}), (two,))
    4194304
    """
    q, k, v = inputs[:3]
    return _flash_scores(q, k, inputs) * _products(q, v)


def _flash_scores(q: TensorSpec, k: TensorSpec, inputs: Specs) -> int:
    if argument(inputs, "cum_seq_q") is not None or len(q.shape) == 3:
        return _packed_scores(q, k, inputs, ("max_q", "max_k"))
    return _rows_first_scores(q, k)


def flash_in_place(inputs: Specs, outputs: Specs) -> int:
    """`flash`, with the tensor to write into before q, k and v.

    >>> q = TensorSpec((1, 128, 4, 64))
    >>> flash_in_place((q, q, q, q), ())
    8388608
    """
    rest = inputs[1:]
    if isinstance(inputs, Inputs):
        rest = Inputs(rest, inputs.arguments)
    return flash(rest, outputs)


def efficient(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """From q (b, sq, h, e), k (b, sk, hk, e), v (b, sk, hk, ev): b*h*sq*sk*(e + ev).

    With `cu_seqlens_q` b is 1 and several sequences lie end to end: an upper bound.

    >>> q = TensorSpec((1, 128, 4, 64))
    >>> efficient((q, q, q), (q,))
    8388608
    """
    q, k, v = inputs[:3]
    return _efficient_scores(q, k, inputs) * _products(q, v)


def _efficient_scores(q: TensorSpec, k: TensorSpec, inputs: Specs) -> int:
    if argument(inputs, "cu_seqlens_q") is not None:
        return _packed_scores(q, k, inputs, ("max_seqlen_q", "max_seqlen_k"))
    return _rows_first_scores(q, k)


def cudnn(inputs: Specs, outputs: Specs) -> int:
    """From q (b, h, sq, e), k (b, hk, sk, e), v (b, hk, sk, ev); with `cum_seq_q` as `flash`.

    >>> q = TensorSpec((1, 4, 128, 64))
    >>> cudnn((q, q, q), (q,))
    8388608
    """
    q, k, v = inputs[:3]
    if argument(inputs, "cum_seq_q") is not None or len(q.shape) == 3:
        return _packed_scores(q, k, inputs, ("max_q", "max_k")) * _products(q, v)
    return sdpa(inputs, outputs)


def _operands(inputs: Specs) -> tuple[TensorSpec, TensorSpec, TensorSpec]:
    """Query, key and value of a backward kernel, whose first operand is the result's gradient."""
    return named(inputs, "query", 1), named(inputs, "key", 2), named(inputs, "value", 3)


def attention_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad (.., h, sq, ev), then q, k and v as `sdpa` has them: sq*sk*(3e + 2ev) MACs a head.

    Its pointwise FLOPs: those of the forward, done again, and those of their gradients (softmax,
    scale of q and of k); a mask that asks for its gradient is one more for each score.

    >>> q = TensorSpec((1, 4, 128, 64))
    >>> cost = attention_backward((q, q, q, q), (q, q, q))
    >>> cost.macs, cost.macs / sdpa((q, q, q), (q,))
    (20971520, 2.5)
    """
    q, k, v = _operands(inputs)
    rows, heads, sk = q.numel // max(q.shape[-1], 1), prod(q.shape[:-2]), k.shape[-2]
    scores, scaled = rows * sk, q.numel + heads * sk * q.shape[-1]
    mask = argument(inputs, "attn_mask", argument(inputs, "attn_bias"))
    masked = mask is not None or bool(argument(inputs, "is_causal", default=False))
    asked = mask is not None and bool(argument(inputs, "grad_input_mask", [False])[-1])
    flops = 2 * scaled + scores * (2 + masked + asked)
    macs = scores * _products_backward(q, v)
    return Cost(macs, flops, read_bytes(inputs), written_bytes(outputs))


def flash_backward(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """From grad, then q, k and v as `flash` has them: b*h*sq*sk*(3e + 2ev).

    >>> q = TensorSpec((1, 128, 4, 64))
    >>> flash_backward((q, q, q, q), (q, q, q))
    20971520
    """
    q, k, v = _operands(inputs)
    return _flash_scores(q, k, inputs) * _products_backward(q, v)


def efficient_backward(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """From grad, then q, k and v as `efficient` has them: b*h*sq*sk*(3e + 2ev).

    >>> q = TensorSpec((1, 128, 4, 64))
    >>> efficient_backward((q, q, q, q), (q, q, q))
    20971520
    """
    q, k, v = _operands(inputs)
    return _efficient_scores(q, k, inputs) * _products_backward(q, v)


def cudnn_backward(inputs: Specs, outputs: Specs) -> int:
    """From grad, then q, k and v as `cudnn` has them: b*h*sq*sk*(3e + 2ev).

    >>> q = TensorSpec((1, 4, 128, 64))
    >>> cudnn_backward((q, q, q, q), (q, q, q))
    20971520
    """
    q, k, v = _operands(inputs)
    if argument(inputs, "cum_seq_q") is not None or len(q.shape) == 3:
        return _packed_scores(q, k, inputs, ("max_q", "max_k")) * _products_backward(q, v)
    return attention_backward(inputs, outputs).macs


def multi_head(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """From q (b, sq, d), k and v (b, sk, d): four projections of d*d and the attention.

    b*(2*sq + 2*sk)*d*d + b*sq*sk*2*d MACs.

    >>> x = TensorSpec((2, 5, 8))
    >>> multi_head((x, x, x), (x,))
    3360
    """
    (b, sq, d), (_, sk, _) = inputs[0].shape, inputs[1].shape
    return b * (2 * sq + 2 * sk) * d * d + b * sq * sk * 2 * d


def encoder_layer(inputs: Specs, outputs: Specs) -> int:
    """From x (b, s, d) through self-attention and d -> f -> d: `multi_head` and 2*b*s*d*f MACs.

    >>> x, w = TensorSpec((2, 5, 8)), TensorSpec((16, 8))
    >>> encoder_layer(Inputs((x,), {"ffn_weight_1": w}), (x,))
    5920
    """
    (b, s, d), (f, _) = inputs[0].shape, _ffn_weight(inputs).shape
    return multi_head((inputs[0],) * 3, outputs) + 2 * b * s * d * f


def _ffn_weight(inputs: Specs) -> TensorSpec:
    found = argument(inputs, "ffn_weight_1")
    return found if isinstance(found, TensorSpec) else inputs[9]


FORMULAS = table(
    each("scaled_dot_product_attention _scaled_dot_product_attention_math", attention),
    each("_scaled_dot_product_attention_math_for_mps _triton_scaled_dot_attention", attention),
    each("_scaled_dot_product_flash_attention", attention),
    each("_scaled_dot_product_flash_attention_for_cpu", attention),
    each("_scaled_dot_product_efficient_attention", attention),
    each("_scaled_dot_product_cudnn_attention", attention),
    each("_scaled_dot_product_fused_attention_overrideable", attention),
    each("_flash_attention_forward", flash),
    each("_flash_attention_forward_no_dropout_inplace", flash_in_place),
    each("_efficient_attention_forward", efficient),
    each("_cudnn_attention_forward", cudnn),
    each("_native_multi_head_attention _triton_multi_head_attention", multi_head),
    each("_transformer_encoder_layer_fwd", encoder_layer),
    each("flex_attention", attention, "higher_order"),
    each("_scaled_dot_product_flash_attention_backward", attention_backward),
    each("_scaled_dot_product_flash_attention_for_cpu_backward", attention_backward),
    each("_scaled_dot_product_efficient_attention_backward", attention_backward),
    each("_scaled_dot_product_cudnn_attention_backward", attention_backward),
    each("_scaled_dot_product_fused_attention_overrideable_backward", attention_backward),
    each("_flash_attention_backward", flash_backward),
    each("_efficient_attention_backward", efficient_backward),
    each("_cudnn_attention_backward", cudnn_backward),
)
"""Attention kernels and the layers that fuse one."""
