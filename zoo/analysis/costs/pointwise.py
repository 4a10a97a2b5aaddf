"""What does an operator cost that treats each element by itself?

Counted: one pointwise FLOP for each element of its first result, whatever the function: an `exp`
counts as an addition does. That is a convention, fvcore's too (`elementwise_flop_counter(0, 1)`). A
result that only records the choice made (a mask, an exponent) adds none. A fused kernel counts the
operators it replaces where that is said. Operands are read once, results written once; in-place
operators write too.

Backward: one for each element of the gradient, whatever the derivative. List forms (`_foreach_*`)
count as the operators that they stand for; optimizers' own kernels are in `optimizer`.

Comparisons, choices (`where`), bit operations and quantisation count like arithmetic. Copies and
conversions of type do not: they are in `movement`. Random numbers are in `factory`.
"""

from __future__ import annotations

from zoo.analysis.costs.base import Inputs, Specs, argument, table  # noqa: F401 - for the doctests
from zoo.analysis.costs.common import each, elements, streamed, with_in_place
from zoo.analysis.records import Cost, TensorSpec  # noqa: F401, TC001 - for the doctests


def elementwise(inputs: Specs, outputs: Specs) -> Cost:
    """One FLOP for each element of the first result.

    >>> x, y = TensorSpec((2, 3)), TensorSpec((3,))
    >>> elementwise((x, y), (x,))
    Cost(macs=0, flops=6, bytes_read=36, bytes_written=24)
    """
    return streamed(inputs, outputs, flops=elements(outputs[:1]))


def foreach(inputs: Specs, outputs: Specs) -> Cost:
    """One FLOP for each element of each tensor in the list that is written.

    In place there is no result: the list `self` is read and written.

    >>> x, y = TensorSpec((2, 3)), TensorSpec((4,))
    >>> foreach((x, y), (x, y)).flops
    10
    >>> foreach(Inputs((x, y, x, y), {"self": [x, y]}), ())
    Cost(macs=0, flops=10, bytes_read=80, bytes_written=40)
    """
    results = outputs or argument(inputs, "self", inputs)
    return streamed(inputs, results, flops=elements(results))


def foreach_copy(inputs: Specs, outputs: Specs) -> Cost:
    """Each tensor of `src` into its partner: no FLOPs, half of the operands read, half written.

    >>> x = TensorSpec((4,))
    >>> foreach_copy(Inputs((x, x, x, x), {"self": [x, x], "src": [x, x]}), ())
    Cost(macs=0, flops=0, bytes_read=32, bytes_written=32)
    """
    half = len(inputs) // 2
    return streamed(argument(inputs, "src", inputs[half:]), outputs or inputs[:half])


def foreach_zero(inputs: Specs, outputs: Specs) -> Cost:
    """Zeros into each tensor of the list: writes only.

    >>> foreach_zero((TensorSpec((4,)),), ())
    Cost(macs=0, flops=0, bytes_read=0, bytes_written=16)
    """
    return streamed((), outputs or inputs)


def foreach_reduction(inputs: Specs, outputs: Specs) -> Cost:
    """A scalar of each tensor in the list: one FLOP for each element read.

    >>> foreach_reduction((TensorSpec((4,)), TensorSpec((3,))), (TensorSpec(()),) * 2).flops
    7
    """
    return streamed(inputs, outputs, flops=elements(inputs))


def glu(inputs: Specs, outputs: Specs) -> Cost:
    """(.., 2n) -> (.., n), a half times the sigmoid of the other: two FLOPs for each element.

    >>> glu((TensorSpec((2, 6)),), (TensorSpec((2, 3)),)).flops
    12
    """
    return streamed(inputs, outputs, flops=2 * elements(outputs))


def glu_backward(inputs: Specs, outputs: Specs) -> Cost:
    """(.., n) and x (.., 2n) -> (.., 2n): two products and a sigmoid's, 3n FLOPs.

    >>> glu_backward((TensorSpec((2, 3)), TensorSpec((2, 6))), (TensorSpec((2, 6)),)).flops
    18
    """
    return streamed(inputs, outputs, flops=3 * elements(inputs[:1]))


def all_results(inputs: Specs, outputs: Specs) -> Cost:
    """One FLOP for each element of every result: the gradients of `prelu`, before they are summed.

    >>> x = TensorSpec((2, 6))
    >>> all_results((x, x, x), (x, x)).flops
    24
    """
    return streamed(inputs, outputs, flops=elements(outputs))


def learnt_quantisation_backward(inputs: Specs, outputs: Specs) -> Cost:
    """The gradients of x, and of scale and zero point, which are sums over it: 3 FLOPs an element.

    >>> x, s = TensorSpec((2, 6)), TensorSpec((1,))
    >>> learnt_quantisation_backward((x, x, s, s), (x, s, s)).flops
    36
    """
    return streamed(inputs, outputs, flops=len(outputs) * elements(inputs[:1]))


def rescale_qkv(inputs: Specs, outputs: Specs) -> Cost:
    """(b, s, 3d) -> q, k, v: a bias on all three and a scale on q.

    >>> part = TensorSpec((1, 2, 4, 3))
    >>> rescale_qkv((TensorSpec((1, 4, 18)), TensorSpec((18,))), (part,) * 3).flops
    96
    """
    return streamed(inputs, outputs, flops=elements(outputs) + elements(outputs[:1]))


_ARITHMETIC = """
    abs absolute add addcdiv addcmul clamp clamp_max clamp_min clip copysign deg2rad div divide exp
    exp2 expm1 float_power floor_divide fmod frac gcd hypot lcm ldexp lerp log log10 log1p log2 mul
    multiply nan_to_num neg negative nextafter pow rad2deg reciprocal remainder round rsqrt sgn sign
    sqrt square sub subtract true_divide trunc fix ceil floor xlogy conj_physical
"""
_TRANSCENDENTAL = """
    acos acosh arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2 atanh cos
    cosh digamma erf erfc erfinv i0 igamma igammac lgamma logit mvlgamma polygamma sin sinc sinh tan
    tanh
"""
_ACTIVATIONS = """
    celu elu gelu hardsigmoid hardswish hardtanh leaky_relu mish relu relu6 rrelu rrelu_with_noise
    selu sigmoid silu threshold heaviside dropout alpha_dropout feature_dropout
    feature_alpha_dropout _add_relu
"""
_LOGIC = """
    bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor eq ge
    greater greater_equal gt le less less_equal logical_and logical_not logical_or logical_xor lt
    masked_fill ne not_equal
"""
_SPECIAL = """
    special_airy_ai special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1
    special_chebyshev_polynomial_t special_chebyshev_polynomial_u special_chebyshev_polynomial_v
    special_chebyshev_polynomial_w special_digamma special_entr special_erf special_erfc
    special_erfcx special_erfinv special_exp2 special_expit special_expm1 special_gammainc
    special_gammaincc special_gammaln special_hermite_polynomial_h special_hermite_polynomial_he
    special_i0 special_i0e special_i1 special_i1e special_laguerre_polynomial_l
    special_legendre_polynomial_p special_log1p special_log_ndtr special_logit
    special_modified_bessel_i0 special_modified_bessel_i1 special_modified_bessel_k0
    special_modified_bessel_k1 special_multigammaln special_ndtr special_ndtri special_polygamma
    special_psi special_round special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1
    special_shifted_chebyshev_polynomial_t special_shifted_chebyshev_polynomial_u
    special_shifted_chebyshev_polynomial_v special_shifted_chebyshev_polynomial_w special_sinc
    special_spherical_bessel_j0 special_xlog1py special_xlogy special_zeta
"""
_NEVER_IN_PLACE = """
    angle fmax fmin frexp logaddexp logaddexp2 max.other maximum min.other minimum positive rsub
    _conj_physical complex polar linalg_cross cross kron vander linalg_vander hardshrink log_sigmoid
    log_sigmoid_forward prelu _prelu_kernel rrelu_with_noise_functional softplus softshrink
    native_dropout _fused_dropout _masked_scale isclose isfinite isinf isnan isneginf isposinf
    isreal signbit where where.self __and__ __or__ __xor__ __lshift__ __rshift__ __iand__ __ior__
    __ixor__ __ilshift__ __irshift__
"""
_QUANTISATION = """
    quantize_per_tensor quantize_per_channel quantize_per_tensor_dynamic dequantize
    fake_quantize_per_tensor_affine fake_quantize_per_tensor_affine_cachemask
    fake_quantize_per_channel_affine fake_quantize_per_channel_affine_cachemask
    _fake_quantize_per_tensor_affine_cachemask_tensor_qparams
    _fake_quantize_learnable_per_tensor_affine _fake_quantize_learnable_per_channel_affine
    fused_moving_avg_obs_fake_quant _fused_moving_avg_obs_fq_helper
    _fused_moving_avg_obs_fq_helper_functional
"""
_BACKWARD = """
    elu_backward gelu_backward hardshrink_backward hardsigmoid_backward hardswish_backward
    hardtanh_backward infinitely_differentiable_gelu_backward leaky_relu_backward
    log_sigmoid_backward logit_backward mish_backward native_dropout_backward
    rrelu_with_noise_backward sigmoid_backward silu_backward softplus_backward softshrink_backward
    tanh_backward threshold_backward fake_quantize_per_channel_affine_cachemask_backward
    fake_quantize_per_tensor_affine_cachemask_backward _dirichlet_grad _standard_gamma_grad
"""
_LEARNT_QUANTISATION_BACKWARD = """
    _fake_quantize_learnable_per_tensor_affine_backward
    _fake_quantize_learnable_per_channel_affine_backward
"""
_QUANTISED = """
    add add_relu add_scalar add_scalar_relu mul mul_relu mul_scalar mul_scalar_relu clamp elu celu
    hardswish leaky_relu prelu relu6 sigmoid threshold dropout
"""
_FOREACH = """
    abs acos add addcdiv addcmul asin atan ceil clamp_max clamp_min cos cosh div erf erfc exp expm1
    floor frac lerp lgamma log log10 log1p log2 maximum minimum mul neg pow reciprocal round rsqrt
    sigmoid sign sin sinh sqrt sub tan tanh trunc
"""
FOREACH_NAMES = " ".join(f"_foreach_{name}" for name in _FOREACH.split())

FORMULAS = table(
    with_in_place(_ARITHMETIC, elementwise),
    with_in_place(_TRANSCENDENTAL, elementwise),
    with_in_place(_ACTIVATIONS, elementwise),
    with_in_place(_LOGIC, elementwise),
    each(_SPECIAL, elementwise),
    each(_NEVER_IN_PLACE, elementwise),
    each(_QUANTISATION, elementwise),
    each(_QUANTISED, elementwise, "quantized"),
    each("glu", glu),
    each("_transform_bias_rescale_qkv", rescale_qkv),
    with_in_place(FOREACH_NAMES, foreach),
    each("_foreach_clone", streamed),
    each("_foreach_copy _foreach_copy_", foreach_copy),
    each("_foreach_zero _foreach_zero_", foreach_zero),
    each("_foreach_norm _foreach_max _foreach_powsum", foreach_reduction),
    each(_BACKWARD, elementwise),
    each("glu_backward", glu_backward),
    each("_prelu_kernel_backward", all_results),
    each(_LEARNT_QUANTISATION_BACKWARD, learnt_quantisation_backward),
)
"""Elementwise operators, their in-place twins and their list forms."""
