"""The hooks of the example plugin: one architecture and one cost formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

import zoo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@zoo.hookimpl
def zoo_models() -> list[zoo.ModelCard]:
    """One card."""
    return [
        zoo.ModelCard(
            name="decaynet",
            factory="zoo_plugin_example.net:DecayNet",
            summary="Two linear layers with a decaying sum over time between them.",
            default_input="1,16,8",
            arguments={"features": 8},
            tags=("sequence", "example"),
            year=2024,
        )
    ]


def decaying_sum(inputs: Sequence[zoo.TensorSpec], outputs: Sequence[zoo.TensorSpec]) -> int:  # noqa: ARG001
    """(batch, time, features) -> the same: one MAC per element.

    >>> decaying_sum([zoo.TensorSpec((1, 16, 8))], [zoo.TensorSpec((1, 16, 8))])
    128
    """
    return outputs[0].numel


@zoo.hookimpl
def zoo_costs() -> dict[str, Callable[[Sequence[zoo.TensorSpec], Sequence[zoo.TensorSpec]], int]]:
    """The formula of `zoo_example::decaying_sum`."""
    return {"zoo_example.decaying_sum": decaying_sum}
