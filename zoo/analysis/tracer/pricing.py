"""What an operator costs in a run, and what is said of formulas that do not work.

The caller's own formulas must work: one that raises, or returns rubbish, ends the run. A plugin's
that does not is a note, and its operator counts as unknown. A formula of the caller's that met no
operator is a note too: its name is likely misspelt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.analysis.costs import cost_of
from zoo.analysis.records import Note
from zoo.errors import FormulaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from zoo.analysis.costs.base import CostFormula, Specs
    from zoo.analysis.records import Cost


class Formulas:
    """Costs of a run's operators.

    Args:
        table: All formulas by operator.
        own: Those of them that the caller gave.
    """

    def __init__(self, table: Mapping[str, CostFormula], own: Mapping[str, CostFormula]) -> None:
        self.table, self.own = table, own
        self.unmet = dict.fromkeys(own)
        self.broken: dict[str, str] = {}

    def cost(
        self, op: str, inputs: Specs, outputs: Specs, tags: frozenset[str] = frozenset()
    ) -> Cost | None:
        """The cost of one call; None where it is not known.

        Args:
            op: Name with overload.
            inputs: Tensors among the arguments.
            outputs: Tensors among the results.
            tags: Names of torch's tags.

        Returns:
            As `zoo.analysis.costs.cost_of`.

        Raises:
            FormulaError: A formula of the caller's does not work.
        """
        packet = op.rpartition(".")[0]
        mine = op in self.own or (packet in self.own and op not in self.table)
        if self.unmet:
            self.unmet.pop(op, None)
            self.unmet.pop(packet, None)
        try:
            return cost_of(op, inputs, outputs, self.table, tags=tags)
        except FormulaError as error:
            if mine or packet in self.own:
                raise
            self.broken.setdefault(op, str(error))
            return None

    def notes(self) -> Iterator[Note]:
        """What did not work."""
        for text in self.broken.values():
            yield Note("warning", "broken-formula", text)
        for name in self.unmet:
            text = f"the formula of {name} met no operator of this run; see the names in the trace."
            yield Note("warning", "unused-formula", text)
