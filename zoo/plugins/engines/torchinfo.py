"""torchinfo: parameters of modules, times the length of what comes out of them.

Each call of a module without modules inside counts, of each of its parameters: for a convolution,
elements x all dims of the output but the channels; for others, elements x the first dim of the
output, where the parameter is called `weight` or `bias`, and x the first two dims, where its name
holds one of these words (recurrent layers). What is no module without others inside, or has no
parameters, counts as 0: attention, and the whole of `nn.MultiheadAttention`.

Its parameters are those of such modules, and of others what is left without the modules that were
called inside. So a tensor that two modules share is counted in both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from zoo.analysis.opinions import AGREED, Engine, Item, Opinion, Prediction
from zoo.plugins.engines.counting import BIASES, NORMS, OWN, TRANSPOSED, item, unseen_operators

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.analysis.opinions import ModuleFact, Sight
    from zoo.analysis.records import ModuleCall

ONCE = "one row for each element of the batch"


def run(model: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Opinion:
    """Ask it."""
    import torchinfo

    found = torchinfo.summary(model, input_data=list(inputs), verbose=0, **kwargs)
    lines = str(found).splitlines()
    said = next((line for line in lines if line.startswith("Total mult-adds")), "")
    return Opinion(
        macs=found.total_mult_adds,
        parameters=found.total_params,
        printed=said.removeprefix("Total mult-adds").strip(),
    )


def rule(sight: Sight) -> Prediction:
    """What it must say."""
    items: list[Item] = []
    for call in sight.trace.calls:
        fact = sight.fact(call)
        ours = sight.macs_of_call(call)
        if fact is not None and not fact.children and fact.own and call.outputs:
            items += _leaf(call, fact, ours)
        elif ours:
            items += unseen_operators(sight, call)
    return Prediction(tuple(items), tuple(_parameters(sight)))


def _leaf(call: ModuleCall, fact: ModuleFact, ours: int) -> list[Item]:
    """Weights and biases of a module without modules inside."""
    shape = call.outputs[0].shape if call.outputs else ()
    weights = biases = 0
    for name, count in fact.own.items():
        times = _times(call.type, name, shape)
        if "bias" in name:
            biases += count * times
        else:
            weights += count * times
    found = [item(call.type, weights, ours, _cause(call, weights, ours), call.path)]
    return [*found, Item(BIASES, biases, 0, call.type, call.path)] if biases else found


def _times(kind: str, name: str, shape: Sequence[int]) -> int:
    """What it multiplies the elements of a parameter with."""
    if name in ("weight", "bias"):
        return prod((*shape[:1], *shape[2:])) if "Conv" in kind else shape[0] if shape else 0
    return prod(shape[:2]) if "weight" in name or "bias" in name else 0


def _cause(call: ModuleCall, theirs: int, ours: int) -> str:
    if not ours:
        return NORMS if "Norm" in call.type else "weights that multiply nothing (embeddings)"
    if "ConvTranspose" in call.type:
        return TRANSPOSED
    if call.type.endswith("Cell"):
        return "recurrent cells, once for each element of their state"
    return ONCE if theirs < ours else OWN


@dataclass(slots=True)
class _Entry:
    """A line of its table."""

    fact: ModuleFact
    """The module."""
    depth: int
    """How deep its path is."""
    again: bool
    """Whether an earlier line is of the same module."""
    left: int = 0
    """Parameters without those of the lines below."""
    below: list[_Entry] = field(default_factory=list)
    """Lines that it takes to be inside."""


def _parameters(sight: Sight) -> list[Item]:
    """Lines in the order of the calls, with the modules around a called one put before it."""
    entries = _entries(sight)
    for number, entry in enumerate(entries):
        for other in entries[number + 1 :]:
            if other.depth <= entry.depth:
                break
            entry.below.append(other)
    for entry in reversed(entries):
        inside = sum(
            one.left if one.fact.children else one.fact.elements
            for one in entry.below
            if not one.again
        )
        entry.left = entry.fact.elements - inside
    theirs = sum(
        max(one.left if one.fact.children else one.fact.elements, 0)
        for one in entries
        if not one.again
    )
    parameters = sight.trace.parameters
    items = [Item(AGREED, one.spec.numel, one.spec.numel, one.names[0]) for one in parameters]
    more = theirs - sum(one.spec.numel for one in parameters)
    if more:
        tied = [one.names[0] for one in parameters if len(one.names) > 1]
        items.append(Item("tied parameters, in each module", more, 0, ", ".join(tied)))
    return items


def _entries(sight: Sight) -> list[_Entry]:
    """Its table, without what it never adds up.

    A called module stands under the modules around the last of its places; those of them that are
    not there are put before it, and count as seen where they are called anywhere.
    """
    places = {one.path: one.names[-1] for one in sight.trace.modules}
    first = {name: one.path for one in sight.trace.modules for name in one.names}
    called = {call.module for call in sight.trace.calls}
    found: list[_Entry] = []
    seen: set[str] = set()
    put: set[str] = set()
    current: dict[int, str] = {}
    for call in sight.trace.calls:
        fact = sight.fact(call)
        if fact is None:
            continue
        place = places.get(fact.path, fact.path)
        parts = place.split(".") if place else []
        for level in range(1, len(parts)):
            around = first[".".join(parts[:level])]
            if current.get(level) != around:
                again = around in called or around in put
                found.append(_Entry(sight.modules[around], level, again))
                put.add(around)
                current[level] = around
        depth = len(parts)
        found.append(_Entry(fact, depth, fact.path in seen))
        seen.add(fact.path)
        current = {level: path for level, path in current.items() if level < depth}
        current[depth] = fact.path
    return found


ENGINE = Engine(
    name="torchinfo",
    package="torchinfo",
    counts="multiply-accumulates: parameters of modules without others inside, times the batch "
    "and, for convolutions, the positions of the output",
    run=run,
    rule=rule,
    needs=("torchinfo",),
)
