"""What does it cost to make a tensor out of nothing?

Writes only. Constants and index ranges take no FLOPs; windows and random numbers take one pointwise
FLOP for each element, whatever the generator does for it. What an in-place generator held before is
not read. Distributions with tensor parameters read these.
"""

from __future__ import annotations

from zoo.analysis.costs.base import Specs, table, written_bytes
from zoo.analysis.costs.common import each, elements, streamed, with_in_place
from zoo.analysis.records import Cost, TensorSpec  # noqa: F401 - for the doctests


def constant(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """Writes its result; a tensor that only lends its form (`zeros_like`) is not read.

    >>> constant((), (TensorSpec((2, 3)),))
    Cost(macs=0, flops=0, bytes_read=0, bytes_written=24)
    """
    return Cost(bytes_written=written_bytes(outputs))


def generated(inputs: Specs, outputs: Specs) -> Cost:  # noqa: ARG001
    """One FLOP for each element written.

    >>> generated((), (TensorSpec((2, 3)),))
    Cost(macs=0, flops=6, bytes_read=0, bytes_written=24)
    """
    return Cost(flops=elements(outputs), bytes_written=written_bytes(outputs))


def drawn(inputs: Specs, outputs: Specs) -> Cost:
    """One FLOP for each element written; the tensors that hold the parameters are read.

    >>> drawn((TensorSpec((2, 3)),), (TensorSpec((2, 3)),))
    Cost(macs=0, flops=6, bytes_read=24, bytes_written=24)
    """
    return streamed(inputs, outputs, flops=elements(outputs))


def drawn_in_place(inputs: Specs, outputs: Specs) -> Cost:
    """`drawn`, over the first operand, which is not read.

    >>> x = TensorSpec((2, 3))
    >>> drawn_in_place((x, TensorSpec(())), (x,))
    Cost(macs=0, flops=6, bytes_read=4, bytes_written=24)
    """
    return drawn(inputs[1:], outputs)


def filled(inputs: Specs, outputs: Specs) -> Cost:
    """A value, which may be a tensor, over the first operand, which is not read.

    >>> x = TensorSpec((2, 3))
    >>> filled((x, TensorSpec(())), (x,))
    Cost(macs=0, flops=0, bytes_read=4, bytes_written=24)
    """
    return streamed(inputs[1:], outputs)


_CONSTANTS = """
    arange eye from_file full full_like linspace logspace new_full new_ones new_zeros ones ones_like
    range scalar_tensor tril_indices triu_indices zeros zeros_like zero fft_fftfreq fft_rfftfreq
    _dim_arange _new_zeros_with_same_feature_meta
"""
_GENERATED = """
    bartlett_window blackman_window hamming_window hann_window kaiser_window rand rand_like randint
    randint_like randn randn_like randperm _sobol_engine_draw _fill_mem_eff_dropout_mask_
    _philox_uniform _philox_normal _philox_uniform_ _philox_normal_
"""
_DRAWN = """
    bernoulli binomial cauchy exponential geometric log_normal normal normal_functional poisson
    random uniform _sample_dirichlet _standard_gamma
"""
_DRAWN_IN_PLACE = "bernoulli_ cauchy_ exponential_ geometric_ log_normal_ normal_ random_ uniform_"

FORMULAS = table(
    each(_CONSTANTS, constant),
    each(_GENERATED, generated),
    each(_DRAWN, drawn),
    each(_DRAWN_IN_PLACE, drawn_in_place),
    with_in_place("fill", filled),
    each("zero_", filled),
)
"""Constants, ranges, windows and random numbers."""
