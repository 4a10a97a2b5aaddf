"""How does a network get its first weights?

An **initialiser** is a function of one module that changes its parameters in place; any function
of a module is one. Those made here draw the module's own weights and set its own biases to zero:

- a **weight** is a parameter of two dims or more whose name has `weight` in it: of linear, bilinear
  and convolutional layers, embeddings, recurrent layers and cells (`weight_ih_l0`, the gates as
  torch stacks them, drawn as one), `MultiheadAttention` (`in_proj_weight`), and one's own layers;
- a **bias** is a parameter of one dim whose name has `bias` in it;
- norms are left as they are, whatever their shape, and so is every module without such a weight;
- the row of an embedding's `padding_idx` stays zero.

`apply` goes over a model as `nn.Module.apply` does, innermost modules first, with three
differences: blocks can be chosen by path, a module that is used twice is visited once, and a
parameter that several modules share is drawn once, by the first that draws it.

A **lazy** layer has no weight until it has seen an input: `apply_init` shows it one first. Dive
into Deep Learning, 6.3 and 6.4.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import is_parametrized

from zoo.building.modes import evaluating
from zoo.errors import InitError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

Init: TypeAlias = Callable[[nn.Module], object]
"""Changes the parameters of one module; what it returns is not looked at."""
Inits: TypeAlias = Init | Mapping[str, Init | None]
"""One initialiser for all, or one for each pattern of paths; None leaves a block as it is."""
Inputs: TypeAlias = Tensor | Sequence[int] | Sequence[Tensor | Sequence[int]]
"""Tensors or shapes, one or several."""

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_TRANSPOSED = nn.modules.conv._ConvTransposeNd


def normal(
    std: float = 0.01, *, mean: float = 0.0, generator: torch.Generator | None = None
) -> Init:
    """Weights from a normal distribution, biases zero.

    Args:
        std: Standard deviation.
        mean: Of the distribution.
        generator: Where random numbers come from; None for torch's own.

    Returns:
        An initialiser.

    Raises:
        InitError: The standard deviation is negative, or no number.
    """
    _number(std, "normal: std", least=0)
    return _drawing(lambda weight, _: nn.init.normal_(weight, mean, std, generator), generator)


def uniform(bound: float = 0.07, *, generator: torch.Generator | None = None) -> Init:
    """Weights evenly between two numbers, biases zero.

    Args:
        bound: Weights lie between -bound and bound.
        generator: Where random numbers come from; None for torch's own.

    Returns:
        An initialiser.

    Raises:
        InitError: The bound is negative, or no number.
    """
    _number(bound, "uniform: bound", least=0)
    return _drawing(lambda weight, _: nn.init.uniform_(weight, -bound, bound, generator), generator)


def xavier(*, gain: float = 1.0, generator: torch.Generator | None = None) -> Init:
    """Xavier's uniform distribution (Glorot and Bengio 2010, equation 16), biases zero.

    Weights lie within gain * sqrt(6 / (fan in + fan out)) of zero, so that their variance is
    gain^2 * 2 / (fan in + fan out).

    Args:
        gain: What the bound is multiplied by.
        generator: Where random numbers come from; None for torch's own.

    Returns:
        An initialiser.

    Raises:
        InitError: The gain is negative, or no number.
    """
    _number(gain, "xavier: gain", least=0)
    return _drawing(lambda weight, _: nn.init.xavier_uniform_(weight, gain, generator), generator)


def xavier_normal(*, gain: float = 1.0, generator: torch.Generator | None = None) -> Init:
    """As `xavier`, with the same variance, from a normal distribution.

    Args:
        gain: What the standard deviation is multiplied by.
        generator: Where random numbers come from; None for torch's own.

    Returns:
        An initialiser.

    Raises:
        InitError: The gain is negative, or no number.
    """
    _number(gain, "xavier_normal: gain", least=0)
    return _drawing(lambda weight, _: nn.init.xavier_normal_(weight, gain, generator), generator)


def kaiming(*, slope: float = 0.0, generator: torch.Generator | None = None) -> Init:
    """Normal with variance 2 / ((1 + slope^2) * fan in), for layers before a ReLU; biases zero.

    He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015, equations 10 and 15. The fan in of
    a transposed convolution is taken from the other side of its weight, which torch stores the
    other way round.

    Args:
        slope: Of the ReLU on its negative side.
        generator: Where random numbers come from; None for torch's own.

    Returns:
        An initialiser.

    Raises:
        InitError: The slope is no number.
    """
    _number(slope, "kaiming: slope")

    def fill(weight: Tensor, module: nn.Module) -> object:
        side: Literal["fan_in", "fan_out"] = "fan_in"
        if isinstance(module, _TRANSPOSED):
            side = "fan_out"
        return nn.init.kaiming_normal_(weight, slope, side, generator=generator)

    return _drawing(fill, generator)


def constant(value: float) -> Init:
    """Every weight the same number, biases zero.

    All units of a layer then compute the same and get the same gradient: good for looking at a
    network, not for training one.

    Args:
        value: The number.

    Returns:
        An initialiser.

    Raises:
        InitError: It is no number.
    """
    _number(value, "constant: value")
    return _drawing(lambda weight, _: nn.init.constant_(weight, value), None)


_MAKERS = (normal, uniform, xavier, xavier_normal, kaiming, constant)


def apply(model: nn.Module, init: Inits) -> None:
    """Initialise a model, or chosen blocks of it.

    Args:
        model: Changed in place.
        init: Called once on every module; or initialisers by pattern of paths. A pattern (`*` and
            `?` as in file names, `*` also across points) holds for the modules whose path it fits,
            and for all inside these. The first pattern that holds for a module decides; a module
            for which none does, or whose pattern has None, stays as it is.

    Raises:
        InitError: A pattern fits no module, an initialiser is none, or a layer to be initialised
            is lazy and has no weight yet.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
        >>> apply(net, {"0": xavier(), "*": constant(42)})
        >>> net[2].weight[0, :3].tolist()
        [42.0, 42.0, 42.0]
    """
    chosen = list(_chosen(model, init))
    for path, module, _ in chosen:
        _refuse_lazy(module, f"layer {path!r}" if path else type(module).__name__)
    owners = Counter(p for module in model.modules() for p in module.parameters(recurse=False))
    drawn: set[nn.Parameter] = set()
    for _, module, initialise in chosen:
        shared = [p for p in module.parameters(recurse=False) if owners[p] > 1]
        before = [p.detach().clone() for p in shared]
        with torch.no_grad():
            initialise(module)
            for parameter, old in zip(shared, before, strict=True):
                if parameter in drawn:
                    parameter.copy_(old)
                elif not parameter.is_meta and not torch.equal(parameter, old):
                    drawn.add(parameter)


def apply_init(model: nn.Module, inputs: Inputs, init: Inits | None = None) -> None:
    """Give lazy layers their weights by one run on dummy inputs, then initialise the model.

    The run is in evaluation mode and without gradients, so that norms keep their statistics and one
    example is enough; each module's own mode is given back. Random numbers are drawn by lazy layers
    alone, for the weights that they begin with.

    Args:
        model: Changed in place.
        inputs: What `forward` takes, in order: tensors, or shapes that stand for zeros of the
            model's dtype on its device. A single one needs no list around it.
        init: As for `apply`; None leaves the weights that torch drew.

    Raises:
        InitError: The model does not take these inputs, or as for `apply`.

    Example:
        >>> net = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(1))
        >>> apply_init(net, (2, 20), normal())
        >>> [tuple(p.shape) for p in net.parameters()]
        [(8, 20), (8,), (1, 8), (1,)]
    """
    given = _tensors(inputs, model)
    try:
        dummy_run(model, given)
    except Exception as error:
        shapes = " and ".join(str(tuple(one.shape)) for one in given)
        said = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise InitError(
            f"dummy inputs of shape {shapes}", said, "Give inputs that forward takes."
        ) from error
    if init is not None:
        apply(model, init)


def dummy_run(
    model: nn.Module, inputs: Sequence[Tensor], named: Mapping[str, Tensor] | None = None
) -> None:
    """Run a model once so that nothing of it changes but lazy layers, which get their weights.

    Args:
        model: Its modules are in evaluation mode during the run, and as they were afterwards.
        inputs: What `forward` takes; their values do not matter.
        named: What it takes by name.
    """
    with evaluating(model):
        model(*inputs, **(named or {}))


def _drawing(
    fill: Callable[[Tensor, nn.Module], object], generator: torch.Generator | None
) -> Init:
    """The initialiser that fills every weight of a module, and sets its biases to zero.

    Args:
        fill: Fills a weight in place.
        generator: What it draws from. Weights on another device are drawn on the generator's and
            copied, so that one seed gives the same weights on every device.

    Returns:
        A function of one module.
    """

    def initialise(module: nn.Module) -> None:
        _refuse_lazy(module, type(module).__name__)
        if is_parametrized(module):
            raise InitError(
                type(module).__name__,
                "its weight is computed by a parametrization",
                "Initialise the layer before it is parametrized.",
            )
        weights = _weights(module)
        with torch.no_grad():
            for weight in weights:
                if (
                    generator is None
                    or weight.is_meta
                    or weight.device.type == generator.device.type
                ):
                    fill(weight, module)
                else:
                    there = torch.empty_like(weight, device=generator.device)
                    fill(there, module)
                    weight.copy_(there)
            if weights:
                for bias in _biases(module):
                    bias.zero_()
                _clear_padding(module)

    return initialise


def _weights(module: nn.Module) -> list[Tensor]:
    """A module's own weights, not those of modules inside it."""
    if isinstance(module, _NORMS):
        return []
    own = module.named_parameters(recurse=False)
    return [p for name, p in own if "weight" in name and p.dim() > 1 and p.is_floating_point()]


def _biases(module: nn.Module) -> list[Tensor]:
    own = module.named_parameters(recurse=False)
    return [p for name, p in own if "bias" in name and p.dim() == 1]


def _clear_padding(module: nn.Module) -> None:
    """Set the row of an embedding that stands for no token to zero again."""
    if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.padding_idx is not None:
        module.weight[module.padding_idx].zero_()


def _refuse_lazy(module: nn.Module, what: str) -> None:
    if any(is_lazy(p) for p in module.parameters(recurse=False)):
        raise InitError(
            what,
            "it is lazy and has no weight yet",
            "Show it an input first: zoo.apply_init(model, inputs, init).",
        )


def _chosen(model: nn.Module, init: Inits) -> Iterator[tuple[str, nn.Module, Init]]:
    """Path, module and initialiser of each module that has one, innermost first."""
    patterns: Mapping[str, Init | None] = init if isinstance(init, Mapping) else {"*": init}
    for pattern, one in patterns.items():
        _check_init(pattern, one)
    modules = list(_innermost_first(model, ""))
    paths = [path for path, _ in modules]
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path in paths):
            hint = did_you_mean(pattern, filter(None, paths), "See model.named_modules().")
            raise InitError(f"pattern {pattern!r}", "no module has such a path", hint)
    for path, module in modules:
        fitting = next((one for one in patterns if _holds(one, path)), None)
        found = None if fitting is None else patterns[fitting]
        if found is not None:
            yield path, module, found


def _holds(pattern: str, path: str) -> bool:
    """Whether a pattern fits a path, or that of a module around it.

    >>> [_holds("b1", path) for path in ("b1", "b1.conv.0", "b10", "")]
    [True, True, False, False]
    """
    parts = path.split(".")
    around = (".".join(parts[:depth]) for depth in range(len(parts), 0, -1))
    return any(fnmatchcase(one, pattern) for one in around)


def _innermost_first(
    module: nn.Module, path: str, seen: set[nn.Module] | None = None
) -> Iterator[tuple[str, nn.Module]]:
    """Each module once, by its first path, after those inside it."""
    seen = set() if seen is None else seen
    if module in seen:
        return
    seen.add(module)
    for name, child in module.named_children():
        yield from _innermost_first(child, f"{path}.{name}" if path else name, seen)
    yield path, module


def _check_init(pattern: str, init: object) -> None:
    if init in _MAKERS:
        name = cast("type", init).__name__
        raise InitError(
            f"init for {pattern!r}", f"{name} makes initialisers", f"Call it: zoo.init.{name}(...)."
        )
    if init is not None and not callable(init):
        raise InitError(
            f"init for {pattern!r}",
            f"{init!r} is no function of a module",
            "Give one of zoo.init, such as zoo.init.normal(0.01), or your own.",
        )


def _number(value: object, what: str, *, least: float = -math.inf) -> None:
    if not isinstance(value, int | float) or not least <= value < math.inf:
        known = "a number" if least == -math.inf else f"a number of {least:g} or more"
        raise InitError(what, f"{value!r} is not {known}", "Write such as zoo.init.normal(0.01).")


def _tensors(inputs: Inputs, model: nn.Module) -> list[Tensor]:
    """Inputs as tensors: shapes are zeros of the dtype and on the device of the first parameter."""
    if not isinstance(inputs, Tensor | tuple | list):
        raise _no_input(inputs)
    several: Any = inputs
    if isinstance(inputs, Tensor) or (len(inputs) and _is_shape(inputs)):
        several = [inputs]
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    found = []
    for one in several:
        if isinstance(one, Tensor):
            found.append(one)
        elif _is_shape(one):
            found.append(torch.zeros(tuple(one), dtype=like.dtype, device=like.device))
        else:
            raise _no_input(one)
    return found


def _is_shape(given: object) -> TypeGuard[Sequence[int]]:
    """Whether something is a sequence of lengths."""
    if not isinstance(given, tuple | list):
        return False
    return all(isinstance(dim, int) and dim >= 0 for dim in given)


def _no_input(given: object) -> InitError:
    return InitError(
        f"dummy input {given!r}", "it is no tensor and no shape", "Write such as (2, 20)."
    )
