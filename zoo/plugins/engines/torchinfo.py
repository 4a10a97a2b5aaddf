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
TIED = "tied parameters, in each module"
LEFT_OUT = "modules that are not called one after the other"


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


@dataclass(slots=True, eq=False)
class _Entry:
    """What it knows of a module; the same one may stand in several lines of its table."""

    fact: ModuleFact
    """The module."""
    depth: int
    """How deep the last of its places is."""
    again: bool = False
    """Whether another line is of the same module: then it is left out of all sums."""
    below: list[_Entry] = field(default_factory=list)
    """Lines that it takes to be inside."""
    left: int | None = None
    """Parameters without those of the lines below; None before that is known."""

    def counted(self) -> int:
        """What it adds to the sum of the lines around it."""
        if not self.fact.children:
            return self.fact.elements
        if self.left is None:
            inside = (one for one in self.below if not one.again)
            self.left = self.fact.elements - sum(one.counted() for one in inside)
        return self.left


def _parameters(sight: Sight) -> list[Item]:
    """Every parameter, and what is counted more often or not at all."""
    lines = _lines(sight)
    for number, entry in enumerate(lines):
        entry.below = []  # of a module in several lines the last one counts
        for other in lines[number + 1 :]:
            if other.depth <= entry.depth:
                break
            entry.below.append(other)
    theirs = sum(max(one.counted(), 0) for one in lines if not one.again)
    parameters = sight.trace.parameters
    items = [Item(AGREED, one.spec.numel, one.spec.numel, one.names[0]) for one in parameters]
    more = theirs - sum(one.spec.numel for one in parameters)
    if more:
        tied = [one.names[0] for one in parameters if len(one.names) > 1]
        items.append(Item(TIED if more > 0 else LEFT_OUT, more, 0, ", ".join(tied)))
    return items


def _lines(sight: Sight) -> list[_Entry]:
    """Its table: the calls, with the modules around each that are not there put before it."""
    places = {one.path: one.names[-1] for one in sight.trace.modules}
    first = {name: one.path for one in sight.trace.modules for name in one.names}
    around = {path: _Entry(fact, _depth(places[path])) for path, fact in sight.modules.items()}
    seen: set[str] = set()
    begun = []
    for call in sight.trace.calls:
        fact = sight.fact(call)
        if fact is not None:
            begun.append(_Entry(fact, _depth(places[fact.path]), fact.path in seen))
            seen.add(fact.path)
    lines: list[_Entry] = []
    current: dict[int, str] = {}
    for entry in begun:
        parts = places[entry.fact.path].split(".")
        for level in range(1, entry.depth):
            other = around[first[".".join(parts[:level])]]
            if current.get(level) != other.fact.path and not (lines and lines[-1] is other):
                other.again = other.again or other.fact.path in seen
                seen.add(other.fact.path)
                lines.append(other)
                current[level] = other.fact.path
        lines.append(entry)
        current = {level: path for level, path in current.items() if level < entry.depth}
        current[entry.depth] = entry.fact.path
    return lines


def _depth(place: str) -> int:
    return place.count(".") + 1 if place else 0


ENGINE = Engine(
    name="torchinfo",
    package="torchinfo",
    counts="multiply-accumulates: parameters of modules without others inside, times the batch "
    "and, for convolutions, the positions of the output",
    run=run,
    rule=rule,
    needs=("torchinfo",),
)
