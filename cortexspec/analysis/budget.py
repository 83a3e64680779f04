"""`N = budget(3.5e6)`: the largest template argument with which a circuit has at most so many trained parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cortexspec.analysis.apply_variant import Cell
from cortexspec.analysis.count import Counts
from cortexspec.analysis.report import Report
from cortexspec.expressions import tree

LARGEST = 2**31  # an argument beyond this is not looked for

CountOf = Callable[[Cell, Report], "Counts | None"]


def within_budget(cell: Cell, count: CountOf, report: Report, guess: bool = False) -> Cell | None:
    """The cell with a number for the argument that is a budget; the cell itself where there is none.

    `guess`: the number is 1, for a circuit of which not all is known. `count` says what is trained with the arguments that it
    gets, and tells mistakes. Raises nothing: None after CS513 for a budget that cannot be met, CS306 for two of them or one
    that is no number.
    """
    places = [i for i, one in enumerate(cell.arguments) if _is_budget(one.value)]
    if not places:
        return cell
    asked = cell.arguments[places[0]]
    formals = cell.templates[cell.circuit].formals
    formal = next((one for one in formals if one.name == asked.name), None) if asked.name else formals[places[0]]
    total = _total(asked.value)
    if len(places) > 1 or total is None or formal is None or formal.type != "int":
        message = "`budget(P)` is the value of one argument that is a whole number, and P a number of parameters"
        report.add("CS306", message, asked.span, help="give numbers for the others")
        return None
    search = _Search(cell, places[0], formal.name, total, count, report)
    return search.at(1) if guess else search.solved()


def _is_budget(value: object) -> bool:
    match value:
        case tree.Call(function=tree.Name("budget")):
            return True
        case _:
            return False


def _total(value: object) -> int | None:
    match value:
        case tree.Call(arguments=(tree.Argument(value=tree.Number(value=number, unit="")),)) if number >= 0:
            return int(number)
        case _:
            return None


class _Search:
    """Between an argument with which the circuit is within the budget and one with which it is not, where more never means less."""

    def __init__(self, cell: Cell, place: int, name: str, total: int, count: CountOf, report: Report):
        self.cell, self.place, self.name, self.total, self.count, self.report = cell, place, name, total, count, report
        self.span = cell.arguments[place].span
        self.known: dict[int, int] = {}

    def solved(self) -> Cell | None:
        low, used = 1, self.used(1)
        if used is None:
            return None
        if used > self.total:
            message = f"a budget of {self.total:,} trained parameters cannot be met: with `{self.name} = 1` there are {used:,}"
            self.report.add(
                "CS513", message, self.span, help="a larger budget, or fewer parameters in the rest of the circuit"
            )
            return None
        high = 2
        while (used := self.used(high)) is not None and used <= self.total:
            low = high
            if high >= LARGEST or (high >= 4 and used == self.known[1]):
                message = f"a budget sets no bound on `{self.name}`: there are {used:,} trained parameters with any"
                self.report.add(
                    "CS513", message, self.span, help="give the budget to an argument on which their number depends"
                )
                return None
            high = self.beyond(high)
        if used is None:
            return None
        while high - low > 1:
            middle = self.between(low, high)
            used = self.used(middle)
            if used is None:
                return None
            low, high = (middle, high) if used <= self.total else (low, middle)
        return self.at(low)

    def beyond(self, high: int) -> int:
        """Past the place where a line through the last two points would spend the budget."""
        (a, at_a), (b, at_b) = sorted(self.known.items())[-2:]
        slope = (at_b - at_a) / (b - a)
        return min(max(int(b + (self.total - at_b) / slope) + 1 if slope > 0 else 2 * high, high + 1), LARGEST)

    def between(self, low: int, high: int) -> int:
        """Where a line through the two points would spend the budget; the middle where that is no help."""
        at_low, at_high = self.known[low], self.known[high]
        place = low + int((self.total - at_low) / (at_high - at_low) * (high - low))
        if len(self.known) > 12:
            place = (low + high) // 2
        return min(max(place, low + 1), high - 1)

    def used(self, value: int) -> int | None:
        """How many parameters are trained with this argument; None after a mistake."""
        if value not in self.known:
            found = self.count(self.at(value), self.report)
            if found is None:
                return None
            if found.unknown:
                message = f"how many parameters are trained is not known before `{found.unknown[0]}` is drawn or its data are read"
                self.report.add(
                    "CS513", message, self.span, help="a rule with a number of connections, `fixed_indegree(K)`"
                )
                return None
            self.known[value] = found.total
        return self.known[value]

    def at(self, value: int) -> Cell:
        number = tree.Number(str(value))
        arguments = list(self.cell.arguments)
        arguments[self.place] = arguments[self.place].model_copy(update={"value": number})
        whole = self.cell.whole
        if whole is not None and self.place < len(whole.arguments):
            whole = replace(whole, arguments=tuple(arguments))
        return replace(self.cell, arguments=tuple(arguments), whole=whole)


__all__ = ["within_budget"]
