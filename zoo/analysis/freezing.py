"""What can be frozen in a model, and what a plan to freeze freezes.

A plan names parameters that are not trained and modules that stay as they are in evaluation. The
operators of a forward pass before the first that reads a trainable parameter are the **prefix**:
what they compute does not change while the rest is trained. Modules that run before the last frozen
layer of the prefix are still, and so is all of a module that ends in the prefix and has parameters,
none of which is trained: their norms use their running statistics and do not update them, their
dropout is off. A norm after the prefix whose parameters are all frozen is still too. Everything
else is left as it is: dropout before a trained head drops, and a frozen layer after a trainable one
passes gradients down.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from zoo.analysis.naming import above, called
from zoo.errors import NothingToTrain, PlanError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from zoo.analysis.records import ModuleCall, Trace

OF = ("macs", "parameters")
"""What a fraction may be of."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is not trained."""

    name: str
    """`through layer3`, `train layer4.*,fc`, or `train everything`."""
    frozen: tuple[str, ...] = ()
    """Names of parameters, as `named_parameters` gives them."""
    still: tuple[str, ...] = ()
    """Paths of modules that are in evaluation mode."""
    boundary: int = -1
    """Index of the last operator of the prefix, in a forward pass; -1 where there is no prefix."""
    skipped: int = 0
    """Depths between the plan before it and this one, where some are left out."""


class Model:
    """What a forward pass says of a model: who reads which parameter, and when.

    Args:
        trace: A forward pass.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.paths = {name: one.path for one in trace.modules for name in one.names}
        """First path of each module, by all that it is reached by."""
        self.last, self.idle = _last_operators(trace)
        """Index of the last operator of each module, with those inside it, by its first path; and
        the modules that run none, which have the index of the operator before them."""
        self.reads = {
            storage.name: (storage.first_read, storage.last_read)
            for storage in trace.storages
            if storage.role == "parameter"
            and storage.first_read is not None
            and storage.last_read is not None
        }
        """Indices of the first and the last operator that read each parameter that is read."""
        self.trainable = tuple(one.names[0] for one in trace.parameters if one.trainable)

    def plan(self, name: str, frozen: Iterable[str]) -> Plan:
        """The plan that freezes some parameters.

        Args:
            name: What it is called.
            frozen: Names of parameters.

        Returns:
            The plan.

        Raises:
            NothingToTrain: Every trainable parameter that the forward pass reads would be frozen.
        """
        held = set(frozen)
        free = [one for one in self.trainable if one not in held and one in self.reads]
        if not free:
            raise NothingToTrain(f"{name} freezes every parameter")
        boundary = min(self.reads[one][0] for one in free) - 1
        own = tuple(one for one in self.trainable if one in held)
        reads = [self.reads[one][1] for one in own if one in self.reads]
        end = max((last for last in reads if last <= boundary), default=-1)
        return Plan(name, own, self._still(held, end, boundary), boundary)

    def _still(self, held: set[str], end: int, boundary: int) -> tuple[str, ...]:
        """Paths of modules in evaluation mode.

        Args:
            held: Names of the parameters that are frozen.
            end: Index of the last operator of the prefix that reads one of them.
            boundary: Index of the last operator of the prefix.

        Returns:
            First paths, in the order of `named_modules`.
        """
        frozen = {one.names[0] for one in self.trace.parameters if not one.trainable} | held
        own, inside = defaultdict(list), defaultdict(list)
        for parameter in self.trace.parameters:
            own[parameter.module].append(parameter.names[0])
            for path in above(parameter.module):
                inside[path].append(parameter.names[0])
        last = self.last
        whole = {
            path
            for path, names in inside.items()
            if frozen.issuperset(names) and path in last and last[path] <= boundary
        }
        found = []
        for module in self.trace.modules:
            path, names = module.path, own[module.path]
            before = path in last and last[path] <= (end - 1 if path in self.idle else end)
            part = path in last and last[path] <= boundary and whole.intersection(above(path))
            norm = called("Norm", module.type) and names and frozen.issuperset(names)
            if before or part or norm:
                found.append(path)
        return tuple(found)

    def through(self, path: str) -> Plan:
        """Freeze what runs up to the end of a module.

        Args:
            path: Of the module.

        Returns:
            The plan.

        Raises:
            PlanError: No module of that path runs.
            NothingToTrain: Nothing runs after it that is trained.
        """
        first = self.paths.get(path)
        if first is None or first not in self.last:
            broke = self.trace.failure
            if first is not None and broke is not None:
                raise PlanError(
                    f"--through {path}", f"before it, {broke.message}", broke.hint or ""
                )
            reason = "no module is called so" if first is None else "it does not run"
            ran = [one for one in self.paths if one and self.paths[one] in self.last]
            hint = did_you_mean(path, ran, "Paths are those of `zoo summary`.")
            raise PlanError(f"--through {path}", reason, hint)
        end = self.last[first]
        frozen = [one for one in self.trainable if one in self.reads and self.reads[one][1] <= end]
        return self.plan(f"through {path}", frozen)

    def only(self, patterns: Sequence[str]) -> Plan:
        """Train what patterns name, and nothing else.

        Args:
            patterns: Paths of modules or names of parameters, with `*` and `?`.

        Returns:
            The plan.

        Raises:
            PlanError: A pattern names nothing.
            NothingToTrain: What they name is not trained by the model's own choice.
        """
        names = [one.names[0] for one in self.trace.parameters]
        if not patterns:
            raise PlanError("--train", "it names nothing", "Try --train 'layer4.*,fc'.")
        kept: set[str] = set()
        for pattern in patterns:
            hits = {name for name in names if matches(name, pattern)}
            if not hits:
                words = [one.path for one in self.trace.modules if one.path]
                hint = did_you_mean(pattern, [*words, *names], "See `zoo params`.")
                raise PlanError(f"--train {pattern}", "no parameter is called so", hint)
            kept |= hits
        frozen = [name for name in names if name not in kept]
        return self.plan(f"train {','.join(patterns)}", frozen)

    def fraction(self, share: float, of: str = "macs") -> Plan:
        """Freeze the first stages, until they hold a share of the model.

        Args:
            share: Between 0 and 1.
            of: `macs` of the forward pass, or `parameters`.

        Returns:
            The shallowest plan of `depths` that freezes at least the share.

        Raises:
            PlanError: No share, or no plan freezes so much and leaves something to train.
        """
        if not 0 < share < 1:
            raise PlanError(f"--fraction {share}", "it is not between 0 and 1", "Try 0.5.")
        if of not in OF:
            raise PlanError(f"--of {of}", "no such share", f"Known: {', '.join(OF)}.")
        plans = self.depths()
        for plan in plans:
            if self.share(plan, of) >= share:
                return plan
        most = max((self.share(plan, of) for plan in plans), default=0.0)
        raise PlanError(
            f"--fraction {share}",
            f"freezing all but the last stage freezes {most:.1%} of the {of}",
            "Name what to train: --train PATTERN.",
        )

    def share(self, plan: Plan, of: str) -> float:
        """Share of the forward pass's MACs in the prefix, or of the parameters that are frozen."""
        if of == "macs":
            part = macs(self.trace, 0, plan.boundary)
            whole = macs(self.trace, 0, len(self.trace.ops) - 1)
        else:
            held = set(plan.frozen)
            sizes = {one.names[0]: one.spec.numel for one in self.trace.parameters}
            part, whole = sum(sizes[one] for one in held), sum(sizes.values())
        return part / whole if whole else 0.0

    def depths(self) -> tuple[Plan, ...]:
        """A plan for each stage but the last that is trained, shallowest first."""
        plans: dict[tuple[str, ...], Plan] = {}
        for path in sorted(self.stages(), key=lambda one: self.last[self.paths[one]]):
            try:
                plan = self.through(path)
            except NothingToTrain:
                break
            if plan.frozen:
                plans[plan.frozen] = plan
        return tuple(plans.values())

    def stages(self) -> tuple[str, ...]:
        """Paths of the modules that a model is a chain of, in the order in which they run.

        The root's own calls; one that holds more than half of the model's parameters or MACs is
        replaced by its own, as often as it has any.
        """
        calls = self.trace.calls
        inside: dict[int | None, list[ModuleCall]] = defaultdict(list)
        for call in calls:
            inside[call.parent].append(call)
        weights = self._weights()
        whole = weights.get("", (0, 0))
        found, todo = [], list(reversed(inside[0])) if calls else []
        while todo:
            call = todo.pop()
            held = weights.get(call.module, (0, 0))
            heavy = any(2 * part > all_ for part, all_ in zip(held, whole, strict=True))
            if heavy and inside[call.index]:
                todo.extend(reversed(inside[call.index]))
            elif call.path in self.paths and call.path not in found and call.module in self.last:
                found.append(call.path)
        return tuple(found)

    def _weights(self) -> Mapping[str, tuple[int, int]]:
        """Parameters and MACs of each module, with those inside it."""
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for parameter in self.trace.parameters:
            for path in above(parameter.module):
                sums[path][0] += parameter.spec.numel
        for op in self.trace.ops:
            if op.cost is not None and op.cost.macs:
                for path in above(self.trace.calls[op.call].module):
                    sums[path][1] += op.cost.macs
        return {path: (one[0], one[1]) for path, one in sums.items()}


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern names a parameter, or a module that holds it.

    >>> matches("layer4.0.conv1.weight", "layer4.*"), matches("fc.weight", "fc")
    (True, True)
    """
    return fnmatchcase(name, pattern) or any(
        fnmatchcase(path, pattern) for path in above(name.rpartition(".")[0]) if path
    )


def macs(trace: Trace, first: int, last: int) -> int:
    """MACs of the operators from `first` to `last`."""
    return sum(op.cost.macs for op in trace.ops[first : last + 1] if op.cost is not None)


def _last_operators(trace: Trace) -> tuple[dict[str, int], frozenset[str]]:
    """The last operator of each module that is called, and the modules that run none.

    One that runs no operator, as dropout in evaluation, is where the calls before it have ended.
    """
    last: dict[str, int] = {}
    of_call: dict[int, int] = {}
    for op in trace.ops:
        of_call[op.call] = op.index
        call: ModuleCall | None = trace.calls[op.call]
        while call is not None:
            last[call.module] = op.index
            call = trace.calls[call.parent] if call.parent is not None else None
    idle: dict[str, int] = {}
    around: list[int] = []
    reached = -1
    for call in trace.calls:
        while around and around[-1] != call.parent:
            reached = max(reached, of_call.get(around.pop(), -1))
        if call.module not in last:
            idle[call.module] = reached
        around.append(call.index)
    return {**last, **idle}, frozenset(idle)
