"""How many operations does a decomposition or a solve take?

Counted as pointwise FLOPs, never as MACs: these are algorithms, not contractions. The figures are
those of Golub & Van Loan, Matrix Computations (sections by the 4th edition; the SVD and eigenvalue
tables also in the 3rd, 5.4.5, 7.5.6, 8.3.5), an addition and a multiplication being two,
lower-order terms left out. The stack of matrices multiplies all of them. A complex element counts
as one, like a real one.

No formula: functions of a matrix whose number of steps depends on its values (`matrix_exp`,
`linalg_matrix_sqrth`, `linalg_polar`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.analysis.costs.base import Inputs, Specs, argument, table  # noqa: F401 - for the doctests
from zoo.analysis.costs.common import batch_of, each, named, streamed
from zoo.analysis.records import Cost, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable


def _square(inputs: Specs, outputs: Specs, flops: Callable[[int], int]) -> Cost:
    """A cost in the size of the first operand's square matrices."""
    shape = inputs[0].shape
    return streamed(inputs, outputs, batch_of(shape) * flops(shape[-1]))


def _tall(inputs: Specs, outputs: Specs, flops: Callable[[int, int], int]) -> Cost:
    """A cost in rows m and columns n of the first operand's matrices; m >= n, transposed if not."""
    shape = inputs[0].shape
    m, n = max(shape[-2:]), min(shape[-2:])
    return streamed(inputs, outputs, batch_of(shape) * flops(m, n))


def _elimination(m: int, n: int) -> int:
    """Gaussian elimination of a tall (m, n), section 3.2.11: n^2 (m - n/3); 2n^3/3 where square."""
    return n * n * m - n**3 // 3


def _householder(m: int, n: int) -> int:
    """Householder reduction of a tall (m, n), section 5.2.2: 2n^2 (m - n/3)."""
    return 2 * n * n * m - 2 * n**3 // 3


def cholesky(inputs: Specs, outputs: Specs) -> Cost:
    """Cholesky or LDL, section 4.2.5: n^3/3.

    >>> cholesky((TensorSpec((2, 6, 6)),), (TensorSpec((2, 6, 6)),)).flops
    144
    """
    return _square(inputs, outputs, lambda n: n**3 // 3)


def lu(inputs: Specs, outputs: Specs) -> Cost:
    """LU with partial pivoting, and the determinant read off it, section 3.2: 2n^3/3 where square.

    >>> lu((TensorSpec((6, 6)),), (TensorSpec((6, 6)),)).flops
    144
    """
    return _tall(inputs, outputs, _elimination)


def inverse(inputs: Specs, outputs: Specs) -> Cost:
    """Inverse from LU, section 3.4: 2n^3.

    >>> inverse((TensorSpec((6, 6)),), (TensorSpec((6, 6)),)).flops
    432
    """
    return _square(inputs, outputs, lambda n: 2 * n**3)


def inverse_of_cholesky(inputs: Specs, outputs: Specs) -> Cost:
    """Inverse from a Cholesky factor (LAPACK Working Note 41, dpotri): 2n^3/3.

    >>> inverse_of_cholesky((TensorSpec((6, 6)),), (TensorSpec((6, 6)),)).flops
    144
    """
    return _square(inputs, outputs, lambda n: 2 * n**3 // 3)


def householder(inputs: Specs, outputs: Specs) -> Cost:
    """R and the reflectors of a QR decomposition, section 5.2.2: 2n^2 (m - n/3).

    Forming a thin Q from the reflectors takes as much.

    >>> householder((TensorSpec((9, 3)),), (TensorSpec((9, 3)),)).flops
    144
    """
    return _tall(inputs, outputs, _householder)


def singular_values(inputs: Specs, outputs: Specs) -> Cost:
    """Singular values only, Golub-Reinsch: 4mn^2 - 4n^3/3.

    >>> singular_values((TensorSpec((9, 3)),), (TensorSpec((3,)),)).flops
    288
    """
    return _tall(inputs, outputs, lambda m, n: 4 * m * n * n - 4 * n**3 // 3)


def qr(inputs: Specs, outputs: Specs) -> Cost:
    """R: 2n^2 (m - n/3); a thin Q as much again, a full one 4(m^2 n - m n^2 + n^3/3) more.

    >>> a = TensorSpec((9, 3))
    >>> [qr(Inputs((a,), {"mode": mode}), ()).flops for mode in ("r", "reduced", "complete")]
    [144, 288, 828]
    """
    shape = inputs[0].shape
    m, n = max(shape[-2:]), min(shape[-2:])
    q = {"r": 0, "complete": 4 * (m * m * n - m * n * n) + 4 * n**3 // 3}
    forming = q.get(argument(inputs, "mode", "reduced"), _householder(m, n))
    return streamed(inputs, outputs, batch_of(shape) * (_householder(m, n) + forming))


def svd(inputs: Specs, outputs: Specs) -> Cost:
    """Golub-Reinsch: values, 4mn^2 - 4n^3/3; thin vectors too, 14mn^2 + 8n^3.

    With all columns of U, 4m^2 n + 8mn^2 + 9n^3.

    >>> a = TensorSpec((9, 3))
    >>> svd((a,), ()).flops
    1350
    >>> svd(Inputs((a,), {"compute_uv": False}), ()).flops
    288
    """
    shape = inputs[0].shape
    m, n = max(shape[-2:]), min(shape[-2:])
    if not argument(inputs, "compute_uv", default=True):
        return singular_values(inputs, outputs)
    if argument(inputs, "full_matrices", default=False):
        work = 4 * m * m * n + 8 * m * n * n + 9 * n**3
    else:
        work = 14 * m * n * n + 8 * n**3
    return streamed(inputs, outputs, batch_of(shape) * work)


def symmetric_eigen(inputs: Specs, outputs: Specs) -> Cost:
    """Symmetric QR, section 8.3: values 4n^3/3, vectors too 9n^3.

    >>> a = TensorSpec((3, 3))
    >>> symmetric_eigen((a,), ()).flops
    243
    >>> symmetric_eigen(Inputs((a,), {"compute_v": False}), ()).flops
    36
    """
    shape = inputs[0].shape
    n = shape[-1]
    work = 9 * n**3 if argument(inputs, "compute_v", default=True) else 4 * n**3 // 3
    return streamed(inputs, outputs, batch_of(shape) * work)


def symmetric_eigenvalues(inputs: Specs, outputs: Specs) -> Cost:
    """Eigenvalues of a symmetric matrix, section 8.3: 4n^3/3.

    >>> symmetric_eigenvalues((TensorSpec((3, 3)),), ()).flops
    36
    """
    return _square(inputs, outputs, lambda n: 4 * n**3 // 3)


def eigen(inputs: Specs, outputs: Specs) -> Cost:
    """Eigenvalues and vectors of any matrix, Francis QR, section 7.5: 25n^3.

    >>> eigen((TensorSpec((2, 2)),), ()).flops
    200
    """
    return _square(inputs, outputs, lambda n: 25 * n**3)


def eigenvalues(inputs: Specs, outputs: Specs) -> Cost:
    """Eigenvalues of any matrix, Francis QR, section 7.5: 10n^3.

    >>> eigenvalues((TensorSpec((2, 2)),), ()).flops
    80
    """
    return _square(inputs, outputs, lambda n: 10 * n**3)


def _right_sides(square: TensorSpec, results: TensorSpec) -> int:
    """Elements to solve for, each of which costs a row of the matrix."""
    return results.numel * square.shape[-1]


def solve(inputs: Specs, outputs: Specs) -> Cost:
    """A (n, n), right-hand sides (n, r): LU, two triangular solves, section 3.2: 2n^3/3 + 2n^2 r.

    >>> a, b = TensorSpec((6, 6)), TensorSpec((6, 2))
    >>> solve((a, b), (b,)).flops
    288
    """
    a = inputs[0]
    factor = batch_of(a.shape) * _elimination(a.shape[-1], a.shape[-1])
    return streamed(inputs, outputs, factor + 2 * _right_sides(a, outputs[0]))


def solve_factored(inputs: Specs, outputs: Specs) -> Cost:
    """Two triangular solves with a factor (n, n) for a result (n, r): 2n^2 r.

    >>> a, b = TensorSpec((6, 6)), TensorSpec((6, 2))
    >>> solve_factored(Inputs((b, a), {"input2": a}), (b,)).flops
    144
    """
    return streamed(inputs, outputs, 2 * outputs[0].numel * _factor_size(inputs))


def _factor_size(inputs: Specs) -> int:
    """Rows of the factor, whichever argument it is."""
    for name in ("LU", "LD", "input2", "A", "LU_data"):
        if isinstance(found := argument(inputs, name), TensorSpec):
            return found.shape[-1]
    return inputs[0].shape[-2]


def solve_triangular(inputs: Specs, outputs: Specs) -> Cost:
    """A triangular (n, n) and a result (n, r), section 3.1: n^2 r.

    >>> a, b = TensorSpec((6, 6)), TensorSpec((6, 2))
    >>> solve_triangular((a, b), (b,)).flops
    72
    """
    return streamed(inputs, outputs, outputs[0].numel * named(inputs, "A", 0).shape[-1])


def least_squares(inputs: Specs, outputs: Specs) -> Cost:
    """A (m, n) and right-hand sides (m, r) by Householder, section 5.3.2: 2n^2 (m - n/3) + 4mnr.

    >>> a, b = TensorSpec((9, 3)), TensorSpec((9, 2))
    >>> least_squares((a, b), (TensorSpec((3, 2)),)).flops
    360
    """
    a, b = inputs[0].shape, inputs[1].shape
    m, n = max(a[-2:]), min(a[-2:])
    r = b[-1] if len(b) >= 2 else 1
    return streamed(inputs, outputs, batch_of(a) * (_householder(m, n) + 4 * m * n * r))


def apply_reflectors(inputs: Specs, outputs: Specs) -> Cost:
    """Applies k reflectors of length m to (m, n) (LAPACK Working Note 41, dormqr): 4mnk - 2nk^2.

    >>> apply_reflectors((TensorSpec((9, 3)), TensorSpec((3,)), TensorSpec((9, 2))), ()).flops
    180
    """
    m, k = inputs[0].shape[-2], inputs[1].shape[-1]
    others = inputs[2].numel // m if m else 0
    return streamed(inputs, outputs, 4 * m * others * k - 2 * others * k * k)


FORMULAS = table(
    each("linalg_cholesky_ex linalg_cholesky", cholesky),
    each("linalg_ldl_factor_ex linalg_ldl_factor", cholesky),
    each("linalg_lu_factor_ex linalg_lu_factor linalg_lu _lu_with_info", lu),
    each("_linalg_det linalg_det det _linalg_slogdet linalg_slogdet slogdet logdet", lu),
    each("linalg_inv_ex linalg_inv inverse", inverse),
    each("cholesky_inverse", inverse_of_cholesky),
    each("geqrf linalg_householder_product orgqr", householder),
    each("linalg_qr", qr),
    each("_linalg_svd linalg_svd svd linalg_pinv pinverse", svd),
    each("linalg_svdvals", singular_values),
    each("_linalg_eigh linalg_eigh", symmetric_eigen),
    each("linalg_eigvalsh", symmetric_eigenvalues),
    each("linalg_eig", eigen),
    each("linalg_eigvals _linalg_eigvals", eigenvalues),
    each("_linalg_solve_ex linalg_solve_ex linalg_solve", solve),
    each("linalg_lu_solve lu_solve cholesky_solve _cholesky_solve_helper", solve_factored),
    each("linalg_ldl_solve", solve_factored),
    each("linalg_solve_triangular triangular_solve", solve_triangular),
    each("linalg_lstsq", least_squares),
    each("ormqr", apply_reflectors),
)
"""Decompositions and solves."""
