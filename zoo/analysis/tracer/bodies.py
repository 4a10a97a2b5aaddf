"""What torch's own Python functions do, run with a function mode still on.

torch turns a `TorchFunctionMode` off while it handles a call. A function of torch's that is written
in Python (`multi_head_attention_forward`) begins with a question, `has_torch_function`, that hands
the call to the mode; were the mode on while it handles that call, the function would ask again and
never get further. So the mode runs a twin of the function: the same code, with globals in which the
question is answered with no. Nothing in torch is changed, and the operators, dropouts and norms
inside the function reach the mode one by one.
"""

from __future__ import annotations

from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any

from torch import overrides

if TYPE_CHECKING:
    from collections.abc import Callable

_QUESTIONS = frozenset(
    {
        overrides.has_torch_function,
        overrides.has_torch_function_unary,
        overrides.has_torch_function_variadic,
    }
)


def _no(*_: Any, **__: Any) -> bool:
    return False


def _asks(value: Any) -> bool:
    return callable(value) and getattr(value, "__hash__", None) is not None and value in _QUESTIONS


class Bodies:
    """Twins of Python functions that do not ask for overrides, each made once."""

    def __init__(self) -> None:
        self._twins: dict[FunctionType, FunctionType] = {}
        self._globals: dict[int, dict[str, Any]] = {}

    def of(self, func: FunctionType) -> Callable[..., Any]:
        """The twin of `func`.

        Where the question is not asked in `func` itself, or in a function that it closes over, but
        in one that it calls, the twin hands the call to the mode once more.
        """
        twin = self._twins.get(func)
        if twin is None:
            twin = FunctionType(
                func.__code__,
                self._answered(func),
                func.__name__,
                func.__defaults__,
                tuple(self._cell(cell, func) for cell in func.__closure__ or ()) or None,
            )
            twin.__kwdefaults__ = func.__kwdefaults__
            self._twins[func] = twin
        return twin

    def _answered(self, func: FunctionType) -> dict[str, Any]:
        """The globals of `func`, with no for an answer."""
        key = id(func.__globals__)
        if key not in self._globals:
            self._globals[key] = {
                name: _no if _asks(value) else value for name, value in func.__globals__.items()
            }
        return self._globals[key]

    def _cell(self, cell: CellType, around: FunctionType) -> CellType:
        """A cell with the twin of what it holds, where that is another function.

        `boolean_dispatch` chooses between two functions that ask; wrappers hold what they wrap.
        """
        try:
            held = cell.cell_contents
        except ValueError:  # not filled yet
            return cell
        if type(held) is not FunctionType or held is around:
            return cell
        return CellType(self.of(held))
