"""How each tool is asked: the call that its own README or docstring shows, with its printing off.

`prepare` imports the tool and returns a call that takes a built model; it is not timed. The call
returns the tool's number, which `Tool.macs` turns into multiply-accumulates of the whole batch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cases import Case

if TYPE_CHECKING:
    from torch import nn

Count = Callable[[Any, Case], float]
"""The model (None where the tool builds it) and the case to the tool's number."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool under measurement."""

    name: str
    package: str | None
    """Its distribution; None: part of torch."""
    prepare: Callable[[], Count]
    called: str
    """What the tool calls its number."""
    divisor: int = 1
    """Its number of these is one MAC."""
    per_sample: bool = False
    """Whether its number is divided by the batch size."""
    build: str = "weights"
    """With `weights`, on the `meta` device, as zoo's `skeleton`, or by the tool itself (`name`)."""
    needs: tuple[str, ...] = ()
    """Modules that must be importable."""

    def missing(self) -> bool:
        """Whether something is not installed."""
        return any(find_spec(name) is None for name in self.needs)

    def macs(self, number: float, case: Case) -> float:
        """MACs of the whole batch from the tool's number."""
        return number / self.divisor * (case.shape[0] if self.per_sample else 1)

    def model(self, case: Case) -> nn.Module | None:
        """Build the model as this tool lets a user build it."""
        if self.build == "name":
            return None
        if self.build == "meta":
            import torch

            with torch.device("meta"):
                return case.build()
        if self.build == "skeleton":
            from zoo.analysis.skeleton import skeleton

            return skeleton(case.build)
        return case.build()


def _zoo() -> Count:
    import zoo
    import zoo.analysis.tracer.run  # zoo loads lazily; imports are outside the time for all tools

    summary = zoo.summary

    def count(model: nn.Module | None, case: Case) -> float:
        if model is None:
            arguments = {**case.arguments, **case.catalog_arguments}
            report = summary(case.zoo_name, case.shape, arguments=arguments)
        else:
            report = summary(model, case.shape)
        if report.failure is not None:
            raise RuntimeError(report.failure.message)
        return float(report.totals["macs"])

    return count


def _torchinfo(device: str | None = None) -> Count:
    import torchinfo

    def count(model: nn.Module, case: Case) -> float:
        found = torchinfo.summary(model, input_size=case.shape, verbose=0, device=device)
        return float(found.total_mult_adds)

    return count


def _fvcore() -> Count:
    import torch
    from fvcore.nn import FlopCountAnalysis

    return lambda model, case: float(FlopCountAnalysis(model, torch.rand(case.shape)).total())


def _ptflops() -> Count:
    import torch
    from ptflops import get_model_complexity_info  # type: ignore[import-untyped]  # ships no types

    def count(model: nn.Module, case: Case) -> float:
        # Left alone, ptflops puts a batch dimension of 1 in front: right for one picture only.
        own = None if case.weights else lambda _: torch.rand(case.shape)
        found, _ = get_model_complexity_info(
            model,
            case.shape[1:],
            as_strings=False,
            print_per_layer_stat=False,
            input_constructor=own,
        )
        if found is None:
            raise RuntimeError("gave None")
        return float(found)

    return count


def _thop() -> Count:
    import torch
    from thop import profile  # type: ignore[import-untyped]  # ships no types

    return lambda model, case: float(
        profile(model, inputs=(torch.rand(case.shape),), verbose=False)[0]
    )


def _calflops() -> Count:
    from calflops import calculate_flops  # type: ignore[import-untyped]  # ships no types

    def count(model: nn.Module, case: Case) -> float:
        _, macs, _ = calculate_flops(
            model,
            input_shape=case.shape,
            output_as_string=False,
            print_results=False,
            print_detailed=False,
        )
        return float(macs)

    return count


def _flop_counter(device: str = "cpu") -> Count:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def count(model: nn.Module, case: Case) -> float:
        sample = torch.rand(case.shape, device=device)
        with FlopCounterMode(display=False) as mode:
            model(sample)
        return float(mode.get_total_flops())

    return count


PEERS = (
    Tool("zoo", "torch-zoo", _zoo, "macs", build="skeleton"),
    Tool("torchinfo", "torchinfo", _torchinfo, "total_mult_adds", needs=("torchinfo",)),
    Tool("fvcore", "fvcore", _fvcore, "flops (one a multiply-add)", needs=("fvcore",)),
    Tool("ptflops", "ptflops", _ptflops, "macs of one sample", per_sample=True, needs=("ptflops",)),
    Tool("thop", "thop", _thop, "macs", needs=("thop",)),
    Tool("calflops", "calflops", _calflops, "macs", needs=("calflops", "transformers")),
    Tool("FlopCounterMode", None, _flop_counter, "flops (two a multiply-add)", 2),
)
"""As a user runs them: real weights, real input. zoo builds without weights."""
VARIANTS = (
    Tool("zoo-by-name", "torch-zoo", _zoo, "macs", build="name"),
    Tool(
        "torchinfo-meta",
        "torchinfo",
        lambda: _torchinfo("meta"),
        "total_mult_adds",
        build="meta",
        needs=("torchinfo",),
    ),
    Tool(
        "FlopCounterMode-meta",
        None,
        lambda: _flop_counter("meta"),
        "flops (two a multiply-add)",
        2,
        build="meta",
    ),
)
"""What a user who knows the tool well can do instead."""
TOOLS = {tool.name: tool for tool in (*PEERS, *VARIANTS)}


def quiet() -> None:
    """No warnings and no log lines: fvcore writes one for each operator it does not know."""
    import logging

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
