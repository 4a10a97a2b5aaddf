"""What does it cost to read an image between its pixels?

An interpolated element is a weighted sum of its neighbours: one pointwise FLOP for each neighbour,
2 in a line, 4 in a plane, 8 in space, 16 for bicubic (Keys 1981). Nearest neighbours are copied: no
FLOPs. Antialiased filters widen by the factor that they shrink by, in each direction. The
computation of weights and coordinates is not counted.

Backward: each element of the gradient is added to the neighbours that it was read from, so nearest
neighbours take one FLOP, too. A grid's own gradient is as many again.

Regions of interest take `sampling_ratio` squared samples a bin; where that is left to the regions'
sizes, one: a lower bound. Suppressing boxes compares each pair once: n(n - 1)/2, the most it can
take.
"""

from __future__ import annotations

from math import ceil, prod

from zoo.analysis.costs.base import CostFormula, Inputs, Specs, argument, table  # noqa: F401 - for the doctests
from zoo.analysis.costs.common import each, elements, log2_ceil, named, streamed, wanted
from zoo.analysis.records import Cost, TensorSpec  # noqa: F401, TC001 - for the doctests


def _weighted(inputs: Specs, outputs: Specs, neighbours: int) -> Cost:
    """So many FLOPs for each element of the first result."""
    return streamed(inputs, outputs, flops=neighbours * elements(outputs[:1]))


def _antialiased(inputs: Specs, outputs: Specs, reach: int) -> Cost:
    """A separable filter of `reach` neighbours a direction, times the factor it shrinks by."""
    sizes = zip(inputs[0].shape[2:], outputs[0].shape[2:], strict=True)
    taps = prod(reach * max(ceil(before / max(after, 1)), 1) for before, after in sizes)
    return streamed(inputs, outputs, flops=taps * elements(outputs))


def nearest(inputs: Specs, outputs: Specs) -> Cost:
    """A copy.

    >>> nearest((TensorSpec((1, 1, 2, 2)),), (TensorSpec((1, 1, 4, 4)),))
    Cost(macs=0, flops=0, bytes_read=16, bytes_written=64)
    """
    return _weighted(inputs, outputs, 0)


def linear1d(inputs: Specs, outputs: Specs) -> Cost:
    """Two neighbours.

    >>> linear1d((TensorSpec((1, 1, 2)),), (TensorSpec((1, 1, 4)),)).flops
    8
    """
    return _weighted(inputs, outputs, 2)


def bilinear(inputs: Specs, outputs: Specs) -> Cost:
    """Four neighbours.

    >>> bilinear((TensorSpec((1, 1, 2, 2)),), (TensorSpec((1, 1, 4, 4)),)).flops
    64
    """
    return _weighted(inputs, outputs, 4)


def trilinear(inputs: Specs, outputs: Specs) -> Cost:
    """Eight neighbours.

    >>> trilinear((TensorSpec((1, 1, 2, 2, 2)),), (TensorSpec((1, 1, 4, 4, 4)),)).flops
    512
    """
    return _weighted(inputs, outputs, 8)


def bicubic(inputs: Specs, outputs: Specs) -> Cost:
    """Sixteen neighbours.

    >>> bicubic((TensorSpec((1, 1, 2, 2)),), (TensorSpec((1, 1, 4, 4)),)).flops
    256
    """
    return _weighted(inputs, outputs, 16)


def bilinear_antialiased(inputs: Specs, outputs: Specs) -> Cost:
    """Two neighbours a direction times the factor it shrinks by.

    >>> bilinear_antialiased((TensorSpec((1, 1, 8, 8)),), (TensorSpec((1, 1, 4, 4)),)).flops
    256
    """
    return _antialiased(inputs, outputs, 2)


def bicubic_antialiased(inputs: Specs, outputs: Specs) -> Cost:
    """Four neighbours a direction times the factor it shrinks by.

    >>> bicubic_antialiased((TensorSpec((1, 1, 8, 8)),), (TensorSpec((1, 1, 4, 4)),)).flops
    1024
    """
    return _antialiased(inputs, outputs, 4)


def lanczos_antialiased(inputs: Specs, outputs: Specs) -> Cost:
    """Six neighbours a direction times the factor it shrinks by.

    >>> lanczos_antialiased((TensorSpec((1, 1, 8, 8)),), (TensorSpec((1, 1, 4, 4)),)).flops
    2304
    """
    return _antialiased(inputs, outputs, 6)


def grid_sampler(inputs: Specs, outputs: Specs) -> Cost:
    """By `interpolation_mode`: 0 linear, 4 or 8 neighbours; 1 nearest, a copy; 2 bicubic, 16.

    >>> x, grid, y = TensorSpec((1, 3, 4, 4)), TensorSpec((1, 2, 2, 2)), TensorSpec((1, 3, 2, 2))
    >>> [grid_sampler(Inputs((x, grid), {"interpolation_mode": i}), (y,)).flops for i in (0, 1, 2)]
    [48, 0, 192]
    """
    linear = 2 ** (len(inputs[0].shape) - 2)
    taps = {1: 0, 2: 16}.get(argument(inputs, "interpolation_mode", 0), linear)
    return streamed(inputs, outputs, flops=taps * elements(outputs))


def affine_grid(inputs: Specs, outputs: Specs) -> Cost:
    """From theta (n, d, d + 1) points (n, *s, d): d + 1 FLOPs for each coordinate.

    A fixed map of coordinates, not a learned contraction: no MACs.

    >>> affine_grid((TensorSpec((1, 2, 3)),), (TensorSpec((1, 4, 4, 2)),)).flops
    96
    """
    return streamed(inputs, outputs, flops=inputs[0].shape[-1] * elements(outputs))


def roi_align(inputs: Specs, outputs: Specs) -> Cost:
    """Four neighbours for each of ratio^2 samples a bin; one sample where the ratio is adaptive.

    >>> x, rois, y = TensorSpec((1, 3, 8, 8)), TensorSpec((2, 5)), TensorSpec((2, 3, 7, 7))
    >>> roi_align(Inputs((x, rois), {"sampling_ratio": 2}), (y,)).flops
    4704
    """
    samples = max(argument(inputs, "sampling_ratio", 1), 1) ** 2
    return streamed(inputs, outputs, flops=4 * samples * elements(outputs[:1]))


def roi_pool(inputs: Specs, outputs: Specs) -> Cost:
    """A reduction of each bin, whose size is not known: one FLOP a bin, a lower bound.

    >>> x, rois, y = TensorSpec((1, 3, 8, 8)), TensorSpec((2, 5)), TensorSpec((2, 3, 7, 7))
    >>> roi_pool((x, rois), (y,)).flops
    294
    """
    return streamed(inputs, outputs, flops=elements(outputs[:1]))


def nms(inputs: Specs, outputs: Specs) -> Cost:
    """(n, 4) boxes: sorts them and compares each pair, n*ceil(log2 n) + n(n - 1)/2 at most.

    >>> nms((TensorSpec((8, 4)), TensorSpec((8,))), (TensorSpec((3,), "int64"),)).flops
    52
    """
    n = inputs[0].shape[0]
    return streamed(inputs, outputs, flops=n * log2_ceil(n) + n * (n - 1) // 2)


def spread(neighbours: int) -> CostFormula:
    """The backward of an interpolation: adds each element of grad to so many neighbours.

    >>> g, x = TensorSpec((1, 1, 4, 4)), TensorSpec((1, 1, 2, 2))
    >>> spread(4)((g,), (x,))
    Cost(macs=0, flops=64, bytes_read=64, bytes_written=16)
    """

    def formula(inputs: Specs, outputs: Specs) -> Cost:
        return streamed(inputs[:1], outputs, flops=neighbours * elements(inputs[:1]))

    return formula


def spread_antialiased(reach: int) -> CostFormula:
    """The same where a filter widens by the factor that it shrinks by.

    >>> g, x = TensorSpec((1, 1, 4, 4)), TensorSpec((1, 1, 8, 8))
    >>> spread_antialiased(2)((g,), (x,)).flops
    256
    """

    def formula(inputs: Specs, outputs: Specs) -> Cost:
        forward = _antialiased(outputs, inputs[:1], reach)
        return streamed(inputs[:1], outputs, flops=forward.flops)

    return formula


def grid_sampler_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad, x and grid: as `grid_sampler` for the grid, and for x where it is asked for.

    A nearest neighbour is one FLOP for x and none for the grid, which has no gradient then.

    >>> g, x, grid = TensorSpec((1, 3, 2, 2)), TensorSpec((1, 3, 4, 4)), TensorSpec((1, 2, 2, 2))
    >>> grid_sampler_backward((g, x, grid), (x, grid)).flops
    96
    >>> call = Inputs((g, x, grid), {"interpolation_mode": 1, "output_mask": [True, True]})
    >>> grid_sampler_backward(call, (x, grid)).flops
    12
    """
    grad = named(inputs, "grad_output", 0)
    linear = 2 ** (len(grad.shape) - 2)
    mode = argument(inputs, "interpolation_mode", 0)
    taps = {1: 0, 2: 16}.get(mode, linear)
    of_x = wanted(inputs, 2)[0]
    return streamed(inputs, outputs, flops=(taps + of_x * max(taps, 1)) * grad.numel)


def affine_grid_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad (n, *s, d) -> theta (n, d, d + 1): d + 1 FLOPs for each coordinate.

    >>> affine_grid_backward((TensorSpec((1, 4, 4, 2)),), (TensorSpec((1, 2, 3)),)).flops
    96
    """
    return streamed(inputs, outputs, flops=(inputs[0].shape[-1] + 1) * elements(inputs[:1]))


def roi_align_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad (n, c, p, p) and regions: four neighbours for each of ratio^2 samples a bin.

    >>> g, rois, x = TensorSpec((2, 3, 7, 7)), TensorSpec((2, 5)), TensorSpec((1, 3, 8, 8))
    >>> roi_align_backward(Inputs((g, rois), {"sampling_ratio": 2}), (x,)).flops
    4704
    """
    samples = max(argument(inputs, "sampling_ratio", 1), 1) ** 2
    return streamed(inputs, outputs, flops=4 * samples * elements(inputs[:1]))


def roi_pool_backward(inputs: Specs, outputs: Specs) -> Cost:
    """From grad (n, c, p, p) and regions: one FLOP for each element of grad.

    >>> g, rois, x = TensorSpec((2, 3, 7, 7)), TensorSpec((2, 5)), TensorSpec((1, 3, 8, 8))
    >>> roi_pool_backward((g, rois), (x,)).flops
    294
    """
    return streamed(inputs, outputs, flops=elements(inputs[:1]))


_NEAREST_BACKWARD = """
    upsample_nearest1d_backward upsample_nearest2d_backward upsample_nearest3d_backward
    _upsample_nearest_exact1d_backward _upsample_nearest_exact2d_backward
    _upsample_nearest_exact3d_backward
"""
_GRID_BACKWARD = """
    grid_sampler_2d_backward grid_sampler_3d_backward cudnn_grid_sampler_backward
    _grid_sampler_2d_cpu_fallback_backward
"""

FORMULAS = table(
    each("upsample_nearest1d upsample_nearest2d upsample_nearest3d", nearest),
    each("_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d", nearest),
    each("upsample_linear1d", linear1d),
    each("upsample_bilinear2d", bilinear),
    each("upsample_trilinear3d", trilinear),
    each("upsample_bicubic2d", bicubic),
    each("_upsample_bilinear2d_aa", bilinear_antialiased),
    each("_upsample_bicubic2d_aa", bicubic_antialiased),
    each("_upsample_lanczos2d_aa", lanczos_antialiased),
    each("grid_sampler grid_sampler_2d grid_sampler_3d cudnn_grid_sampler", grid_sampler),
    each("_grid_sampler_2d_cpu_fallback", grid_sampler),
    each("affine_grid_generator cudnn_affine_grid_generator", affine_grid),
    each("roi_align ps_roi_align qroi_align", roi_align, "torchvision"),
    each("roi_pool ps_roi_pool", roi_pool, "torchvision"),
    each("nms qnms", nms, "torchvision"),
    each("box_iou_rotated", roi_pool, "torchvision"),
    each(_NEAREST_BACKWARD, spread(1)),
    each("upsample_linear1d_backward", spread(2)),
    each("upsample_bilinear2d_backward", spread(4)),
    each("upsample_trilinear3d_backward", spread(8)),
    each("upsample_bicubic2d_backward", spread(16)),
    each("_upsample_bilinear2d_aa_backward", spread_antialiased(2)),
    each("_upsample_bicubic2d_aa_backward", spread_antialiased(4)),
    each("_upsample_lanczos2d_aa_backward", spread_antialiased(6)),
    each(_GRID_BACKWARD, grid_sampler_backward),
    each("affine_grid_generator_backward", affine_grid_backward),
    each("cudnn_affine_grid_generator_backward", affine_grid_backward),
    each("_roi_align_backward _ps_roi_align_backward", roi_align_backward, "torchvision"),
    each("_roi_pool_backward _ps_roi_pool_backward", roi_pool_backward, "torchvision"),
)
"""Interpolation, grids, regions of interest and boxes."""
