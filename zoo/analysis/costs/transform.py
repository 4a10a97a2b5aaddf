"""What does a Fourier transform cost?

Counted as pointwise FLOPs: 5 N log2 N for a complex transform of N points, the operation count of
the radix-2 algorithm that FFTW's benchmarks use for every N, and half for a real one (Frigo &
Johnson, The Design and Implementation of FFTW3, Proc. IEEE 93(2), 2005;
http://www.fftw.org/speed/). Several dimensions are transformed one after the other: 5 * elements *
log2 of their sizes' product. Scaling is not counted. Figures are rounded to a whole FLOP.

A short-time transform is a window and a real transform for each frame.
"""

from __future__ import annotations

from math import log2, prod
from typing import TYPE_CHECKING

from zoo.analysis.costs.base import Inputs, Specs, argument, table  # noqa: F401 - for the doctests
from zoo.analysis.costs.common import each, streamed
from zoo.analysis.records import Cost, TensorSpec  # noqa: TC001 - for the doctests

if TYPE_CHECKING:
    from collections.abc import Sequence


def _is_complex(spec: TensorSpec) -> bool:
    return spec.dtype.startswith("complex")


def _points(grid: TensorSpec, dims: Sequence[int]) -> float:
    """5 * elements * log2(points of one transform)."""
    points = prod(grid.shape[dim] for dim in dims)
    return 5 * grid.numel * log2(points) if points > 1 else 0


def _transform(inputs: Specs, outputs: Specs, dims: Sequence[int]) -> Cost:
    """Over the side that has all points: the real one, or the result where both are complex."""
    before, after = inputs[0], outputs[0]
    halved = not (_is_complex(before) and _is_complex(after))
    grid = before if halved and not _is_complex(before) else after
    work = _points(grid, dims)
    return streamed(inputs, outputs, flops=round(work / 2 if halved else work))


def fft(inputs: Specs, outputs: Specs) -> Cost:
    """Along `dim`, which may be several, the last unless told.

    >>> z = TensorSpec((4, 8), "complex64")
    >>> fft(Inputs((z,), {"dim": [1]}), (z,)).flops
    480
    >>> x = TensorSpec((4, 8))
    >>> fft(Inputs((x,), {"dim": [1]}), (TensorSpec((4, 5), "complex64"),)).flops
    240
    """
    dim = argument(inputs, "dim", [-1])
    return _transform(inputs, outputs, dim if isinstance(dim, list | tuple) else [dim])


def fft2(inputs: Specs, outputs: Specs) -> Cost:
    """Along the last two dimensions unless told.

    >>> z = TensorSpec((4, 8), "complex64")
    >>> fft2((z,), (z,)).flops
    800
    """
    return _transform(inputs, outputs, argument(inputs, "dim", [-2, -1]))


def fftn(inputs: Specs, outputs: Specs) -> Cost:
    """Along all dimensions unless told.

    >>> z = TensorSpec((4, 8), "complex64")
    >>> fftn((z,), (z,)).flops
    800
    """
    return _transform(inputs, outputs, argument(inputs, "dim", range(len(inputs[0].shape))))


def stft(inputs: Specs, outputs: Specs) -> Cost:
    """Frames of n = `n_fft` points: n for the window, 2.5 n log2 n for the transform of each.

    >>> x, y = TensorSpec((1, 64)), TensorSpec((1, 9, 13), "complex64")
    >>> stft(Inputs((x,), {"n_fft": 16}), (y,)).flops
    2288
    """
    n = argument(inputs, "n_fft", inputs[0].shape[-1])
    out = outputs[0].shape if _is_complex(outputs[0]) else outputs[0].shape[:-1]
    frames = prod(out[:-2]) * out[-1]
    return streamed(inputs, outputs, flops=round(frames * (n + 2.5 * n * log2(max(n, 1)))))


FORMULAS = table(
    each("_fft_c2c _fft_c2r _fft_r2c", fft),
    each("fft_fft fft_ifft fft_rfft fft_irfft fft_hfft fft_ihfft", fft),
    each("fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2 fft_hfft2 fft_ihfft2", fft2),
    each("fft_fftn fft_ifftn fft_rfftn fft_irfftn fft_hfftn fft_ihfftn", fftn),
    each("stft", stft),
)
"""Fourier transforms."""
