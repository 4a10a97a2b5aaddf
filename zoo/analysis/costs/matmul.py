"""How many multiply-accumulates does a matrix product take?

Counted: one MAC for each product that is summed, m*k*n for (m, k) x (k, n): Golub & Van Loan,
Matrix Computations, 4th ed., section 1.1.11, which counts 2mnk flops. Not counted: the bias or the
matrix that `addmm` and its like add, scaling by alpha and beta, fused activations, and the
unpacking of quantised weights.

Backward: a product's two gradients are products, each of as many MACs. Most reach the device as
`mm` and `bmm`; the few kernels that compute several gradients at once say by a mask which.

An outer product (`outer`, `ger`, `addr`) sums nothing: it has 0 MACs, and pointwise FLOPs instead.
A product with a sparse matrix costs its number of non-zeros, which no shape tells: `_sparse_mm` and
its like have no formula, while 2:4 sparsity, which a shape does tell, has.
"""

from __future__ import annotations

from math import prod

from zoo.analysis.costs.base import Inputs, Specs, argument, read_bytes, table, written_bytes  # noqa: F401 - for the doctests
from zoo.analysis.costs.common import each, elements, named, streamed, wanted, with_in_place
from zoo.analysis.records import Cost, TensorSpec


def mm(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """(m, k) x (k, n) -> (m, n): m*k*n MACs.

    >>> mm((TensorSpec((2, 3)), TensorSpec((3, 5))), (TensorSpec((2, 5)),))
    30
    """
    (m, k), (_, n) = inputs[0].shape, inputs[1].shape
    return m * k * n


def addmm(inputs: Specs, outputs: Specs) -> int:
    """(n,) + (m, k) x (k, n) -> (m, n): m*k*n MACs.

    >>> addmm((TensorSpec((5,)), TensorSpec((2, 3)), TensorSpec((3, 5))), (TensorSpec((2, 5)),))
    30
    """
    return mm(inputs[1:], outputs)


def bmm(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """(b, m, k) x (b, k, n) -> (b, m, n): b*m*k*n MACs.

    >>> bmm((TensorSpec((4, 2, 3)), TensorSpec((4, 3, 5))), (TensorSpec((4, 2, 5)),))
    120
    """
    (b, m, k), (_, _, n) = inputs[0].shape, inputs[1].shape
    return b * m * k * n


def baddbmm(inputs: Specs, outputs: Specs) -> int:
    """(b, m, n) + (b, m, k) x (b, k, n): b*m*k*n MACs.

    `addbmm` sums the b products and takes as many.

    >>> a, b, c = TensorSpec((4, 2, 5)), TensorSpec((4, 2, 3)), TensorSpec((4, 3, 5))
    >>> baddbmm((a, b, c), (a,))
    120
    """
    return bmm(inputs[1:], outputs)


def dot(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """(k,) . (k,) -> (): k MACs.

    >>> dot((TensorSpec((7,)), TensorSpec((7,))), (TensorSpec(()),))
    7
    """
    return inputs[0].numel


def mv(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """(m, k) x (k,) -> (m,): m*k MACs.

    >>> mv((TensorSpec((2, 3)), TensorSpec((3,))), (TensorSpec((2,)),))
    6
    """
    return inputs[0].numel


def addmv(inputs: Specs, outputs: Specs) -> int:
    """(m,) + (m, k) x (k,) -> (m,): m*k MACs.

    >>> addmv((TensorSpec((2,)), TensorSpec((2, 3)), TensorSpec((3,))), (TensorSpec((2,)),))
    6
    """
    return mv(inputs[1:], outputs)


def linear(inputs: Specs, outputs: Specs) -> int:
    """(..., k) with any weight of n rows -> (..., n): k MACs for each element of the result.

    Also every other product whose first operand is contracted along its last dimension, whatever
    the second is packed into; `matmul` among them, with its broadcasting and its vectors.

    >>> linear((TensorSpec((2, 4, 3)), TensorSpec((5, 3))), (TensorSpec((2, 4, 5)),))
    120
    """
    return outputs[0].numel * (inputs[0].shape or (1,))[-1]


def vecdot(inputs: Specs, outputs: Specs) -> int:
    """Sum along `dim`, the last unless told: its length for each element of the result.

    >>> vecdot((TensorSpec((2, 3)), TensorSpec((2, 3))), (TensorSpec((2,)),))
    6
    """
    dim: int = argument(inputs, "dim", -1)
    return outputs[0].numel * max(inputs[0].shape[dim], inputs[1].shape[dim])


def grouped_mm(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """A product for each of g groups: each row is multiplied with its own group's matrix only.

    (m, k) x (g, k, n): m*k*n MACs. (g, m, k) x (k, n), groups along n: m*k*n. (m, k) x (k, n),
    groups along k: m*k*n. (g, m, k) x (g, k, n): g*m*k*n. How the groups are cut makes no
    difference.

    >>> grouped_mm((TensorSpec((6, 3)), TensorSpec((2, 3, 5))), (TensorSpec((6, 5)),))
    90
    """
    a, b = inputs[0].shape, inputs[1].shape
    groups = a[0] if len(a) == len(b) == 3 else 1
    return groups * a[-2] * a[-1] * b[-1]


def foreach_mm(inputs: Specs, outputs: Specs) -> int:
    """A list of products, each (m, k) x (k, n): the sum of their m*k*n MACs.

    >>> foreach_mm((TensorSpec((2, 3)), TensorSpec((3, 5))), (TensorSpec((2, 5)),))
    30
    """
    return sum(out.numel * a.shape[-1] for a, out in zip(inputs, outputs, strict=False))


def semi_structured_mm(inputs: Specs, outputs: Specs) -> int:
    """A 2:4 sparse (m, k), stored as (m, k/2), x (k, n): m*(k/2)*n MACs, the ones that are made.

    >>> w, meta, x = TensorSpec((4, 8)), TensorSpec((4, 1)), TensorSpec((16, 5))
    >>> semi_structured_mm((w, meta, x), (TensorSpec((4, 5)),))
    160
    """
    return outputs[0].numel * _dense_operand(inputs).shape[-2] // 2


def _dense_operand(inputs: Specs) -> TensorSpec:
    for name in ("dense_B", "mat2"):
        if isinstance(found := argument(inputs, name), TensorSpec):
            return found
    return inputs[-1]


def semi_structured_linear(inputs: Specs, outputs: Specs) -> int:
    """(..., k) with a 2:4 sparse weight -> (..., n): k/2 MACs for each element of the result.

    >>> semi_structured_linear((TensorSpec((5, 16)), TensorSpec((4, 8))), (TensorSpec((5, 4)),))
    160
    """
    return outputs[0].numel * inputs[0].shape[-1] // 2


def tensordot(inputs: Specs, outputs: Specs) -> int:
    """Sum over the first operand's dimensions `dims_self`: their product for each element.

    >>> a, b = TensorSpec((2, 3, 4)), TensorSpec((3, 4, 5))
    >>> tensordot(Inputs((a, b), {"dims_self": [1, 2]}), (TensorSpec((2, 5)),))
    120
    """
    shape = inputs[0].shape
    dims: list[int] = argument(inputs, "dims_self", [-1])
    return outputs[0].numel * prod(shape[d] for d in dims)


def outer(inputs: Specs, outputs: Specs) -> Cost:
    """(m,) x (n,) -> (m, n): nothing is summed, so 0 MACs and m*n pointwise FLOPs.

    >>> outer((TensorSpec((2,)), TensorSpec((3,))), (TensorSpec((2, 3)),)).flops
    6
    """
    return streamed(inputs, outputs, flops=elements(outputs))


def addr(inputs: Specs, outputs: Specs) -> Cost:
    """(m, n) + (m,) x (n,): 0 MACs, and m*n FLOPs for the product and for the sum each.

    >>> a = TensorSpec((2, 3))
    >>> addr((a, TensorSpec((2,)), TensorSpec((3,))), (a,)).flops
    12
    """
    return streamed(inputs, outputs, flops=2 * elements(outputs))


def pairwise_distance(inputs: Specs, outputs: Specs) -> Cost:
    """(..., p, m) and (..., r, m) -> (..., p, r), all distances.

    With p = 2 torch makes it a matrix product where `compute_mode` asks for it (1) or where there
    are more than 25 rows on a side (None or 0): m MACs for each distance. Else it subtracts and
    sums, and there are m pointwise FLOPs for each (aten/src/ATen/native/Distance.cpp).

    >>> x, y, d = TensorSpec((30, 8)), TensorSpec((4, 8)), TensorSpec((30, 4))
    >>> pairwise_distance(Inputs((x, y), {"p": 2.0}), (d,)).macs
    960
    >>> pairwise_distance(Inputs((x, y), {"p": 1.0}), (d,)).flops
    960
    """
    (p, m), r = inputs[0].shape[-2:], inputs[1].shape[-2]
    mode = argument(inputs, "compute_mode", 0)
    products = argument(inputs, "p", 2.0) == 2 and (mode == 1 or (mode == 0 and max(p, r) > 25))
    work = elements(outputs) * m
    cost = streamed(inputs, outputs, flops=0 if products else work)
    return Cost(work if products else 0, cost.flops, cost.bytes_read, cost.bytes_written)


def euclidean_distance(inputs: Specs, outputs: Specs) -> int:
    """(..., p, m) and (..., r, m) -> (..., p, r) by a matrix product: m MACs for each distance.

    >>> euclidean_distance((TensorSpec((3, 8)), TensorSpec((4, 8))), (TensorSpec((3, 4)),))
    96
    """
    return outputs[0].numel * inputs[0].shape[-1]


def pdist(inputs: Specs, outputs: Specs) -> Cost:
    """(n, m) -> n(n-1)/2 distances, m pointwise FLOPs each.

    >>> pdist((TensorSpec((4, 8)),), (TensorSpec((6,)),)).flops
    48
    """
    return streamed(inputs, outputs, flops=elements(outputs) * inputs[0].shape[-1])


def dynamic_4bit(inputs: Specs, outputs: Specs) -> int:
    """(..., k) with a packed 4-bit weight -> (..., n): k MACs for each element of the result.

    >>> dynamic_4bit((TensorSpec((2, 32)), TensorSpec((99,), "uint8")), (TensorSpec((2, 8)),))
    512
    """
    return outputs[0].numel * named(inputs, "inp", 0).shape[-1]


def linear_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From x (..., k), grad (..., n) and w (n, k): rows*n*k MACs for each of two gradients.

    That of the bias is a sum: one FLOP for each element of grad.

    >>> x, g, w = TensorSpec((2, 3)), TensorSpec((2, 5)), TensorSpec((5, 3))
    >>> linear_backward((x, g, w), (x, w, TensorSpec((5,)))).macs
    60
    """
    grad, k = named(inputs, "grad_output", 1), inputs[2].shape[-1]
    of_x, of_weight, of_bias = wanted(inputs, 3)
    macs, flops = (of_x + of_weight) * grad.numel * k, of_bias * grad.numel
    return Cost(macs, flops, read_bytes(inputs), written_bytes(outputs))


def linear_backward_input(inputs: Specs, outputs: Specs) -> int:
    """From grad (..., n) and w (n, k) -> (..., k): rows*n*k MACs.

    >>> linear_backward_input((TensorSpec((2, 5)), TensorSpec((5, 3))), (TensorSpec((2, 3)),))
    30
    """
    return outputs[0].numel * inputs[0].shape[-1]


def linear_backward_weights(inputs: Specs, outputs: Specs) -> Cost:
    """From grad (..., n) and x (..., k) -> (n, k) and (n,): rows*n*k MACs, rows*n FLOPs.

    >>> g, x, w = TensorSpec((2, 5)), TensorSpec((2, 3)), TensorSpec((5, 3))
    >>> cost = linear_backward_weights((g, x, w), (w, TensorSpec((5,))))
    >>> cost.macs, cost.flops
    (30, 10)
    """
    grad, x = inputs[0], inputs[1]
    flops = grad.numel if argument(inputs, "bias_defined", default=True) else 0
    cost = streamed(inputs, outputs, flops=flops)
    return Cost(grad.numel * x.shape[-1], flops, cost.bytes_read, cost.bytes_written)


def matmul_backward(inputs: Specs, outputs: Specs) -> int:  # noqa: ARG001
    """From grad (..., m, n), a (..., m, k), b (..., k, n): a product for each gradient.

    >>> g, a, b = TensorSpec((2, 5)), TensorSpec((2, 3)), TensorSpec((3, 5))
    >>> matmul_backward(Inputs((g, a, b), {"mask": [True, False]}), (a,))
    30
    """
    return sum(wanted(inputs, 2, "mask")) * inputs[0].numel * inputs[1].shape[-1]


def cdist_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad (..., p, r), x (..., p, m), y (..., r, m) -> x: 3*m FLOPs for each distance.

    A difference, its scaling by the gradient, and a sum.

    >>> g, x, y = TensorSpec((3, 4)), TensorSpec((3, 8)), TensorSpec((4, 8))
    >>> cdist_backward((g, x, y, g), (x,)).flops
    288
    """
    return streamed(inputs, outputs, flops=3 * inputs[0].numel * inputs[1].shape[-1])


def pdist_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad (n(n-1)/2,) and x (n, m) -> x: 4*m FLOPs for each distance, added to two rows.

    >>> g, x = TensorSpec((6,)), TensorSpec((4, 8))
    >>> pdist_backward((g, x, g), (x,)).flops
    192
    """
    return streamed(inputs, outputs, flops=4 * inputs[0].numel * inputs[1].shape[-1])


FORMULAS = table(
    each("mm _int_mm _scaled_mm _scaled_mm_v2", mm),
    each("addmm addmm_ _addmm_activation", addmm),
    each("bmm", bmm),
    each("baddbmm baddbmm_ addbmm addbmm_", baddbmm),
    each("dot vdot", dot),
    each("mv", mv),
    with_in_place("addmv", addmv),
    each("linear matmul linalg_matmul inner", linear),
    each("mkldnn_linear _mixed_dtypes_linear", linear),
    each("_weight_int4pack_mm _weight_int4pack_mm_for_cpu _weight_int8pack_mm", linear),
    each("_weight_int4pack_mm_with_scales_and_zeros", linear),
    each("_dyn_quant_matmul_4bit", dynamic_4bit),
    each("_linear_pointwise", linear, "mkldnn"),
    each("linear linear_relu linear_leaky_relu linear_tanh matmul", linear, "quantized"),
    each("linear_dynamic linear_relu_dynamic", linear, "quantized"),
    each("linear_dynamic_fp16 linear_relu_dynamic_fp16", linear, "quantized"),
    each("linear linear_dynamic", linear, "_quantized"),
    each("linalg_vecdot", vecdot),
    each("_grouped_mm _scaled_grouped_mm _scaled_grouped_mm_v2", grouped_mm),
    each("_foreach_mm", foreach_mm),
    each("_sparse_semi_structured_mm _sparse_semi_structured_addmm", semi_structured_mm),
    each("_cslt_sparse_mm", semi_structured_mm),
    each("_sparse_semi_structured_linear", semi_structured_linear),
    each("tensordot", tensordot),
    each("outer ger", outer),
    with_in_place("addr", addr),
    each("cdist _cdist_forward", pairwise_distance),
    each("_euclidean_dist", euclidean_distance),
    each("pdist _pdist_forward", pdist),
    each("linear_backward mkldnn_linear_backward", linear_backward),
    each("mkldnn_linear_backward_input", linear_backward_input),
    each("mkldnn_linear_backward_weights", linear_backward_weights),
    each("matmul_backward", matmul_backward),
    each("_cdist_backward", cdist_backward),
    each("_pdist_backward", pdist_backward),
)
"""Matrix products and what is computed with them."""
