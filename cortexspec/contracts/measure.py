"""What a measure signs that is gathered while a run goes on: it sees the run in pieces and keeps only what it counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from cortexspec.contracts.operand import Operand
from cortexspec.contracts.plugin import FunctionEntry
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.types import RuleError, Type, require_pure

Array = np.ndarray[Any, Any]
_FRONT = ("trial", "time")


class Gathering(Protocol):
    """A measure of one run while it is gathered."""

    def update(self, pieces: Sequence[Array]) -> None:
        """Takes in the next steps: one array [trial, step, element] an argument, all of the same steps, in the order of time."""
        ...

    def result(self) -> Array:
        """The value of each trial [trial], or one number that holds for all of them. Called once, after the last piece."""
        ...


@dataclass(frozen=True, slots=True)
class MeasureEntry:
    """A function of an experiment that reads recordings piece by piece: `measure f = flux(core.x, core.x, lag = 2)`.

    Its arguments are pure numbers that move in time, with at most one axis (neurons) beside trial and time. `settings` are
    its keyword arguments with their defaults: numbers, texts, truth values. `start(trials, elements, settings)` begins a
    run, before anything of it is computed: `elements` has the length of each argument's own axis. It is the place to
    refuse what will not fit, by a SpecError.
    """

    name: str
    start: Callable[[int, Sequence[int], Mapping[str, Any]], Gathering]
    arity: tuple[int, int | None] = (1, 1)
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    doc: str = ""

    def signature(self) -> FunctionEntry:
        """How a call of it is typed: a pure number for each trial."""

        def typed(build: Builder, arguments: Sequence[Operand], settings: Mapping[str, Any]) -> Operand:
            for place, argument in enumerate(arguments):
                self.check(place, argument.type)
            trial = next((axis for one in arguments for axis in one.written if axis.name == "trial"), None)
            axes = () if trial is None else (trial,)
            return Operand(Value(build.names.fresh(self.name), Type(axes)), tuple(axis.name for axis in axes))

        return FunctionEntry(self.name, typed, self.arity, tuple(self.settings), (), self.doc)

    def refusal(self) -> FunctionEntry:
        """What lowering meets where the call is no part of a measure: in a loss, a penalty, a stimulus."""

        def refuse(build: Builder, arguments: Sequence[Operand], settings: Mapping[str, Any]) -> Operand:
            raise RuleError("CS700", f"`{self.name}` is gathered along a run, so it can stand in a measure alone")

        return FunctionEntry(self.name, refuse, self.arity, tuple(self.settings), (), self.doc)

    def check(self, place: int, argument: Type) -> None:
        """Raises: RuleError CS401 or CS501 where the argument at this place cannot be gathered."""
        require_pure(argument, f"`{self.name}`", place)
        if not argument.has("time"):
            message = f"`{self.name}` is gathered along a run, and this does not move in time"
            raise RuleError("CS501", message, operand=place)
        own = [name for name in argument.names if name not in _FRONT]
        if len(own) > 1:
            message = f"`{self.name}` reads one axis beside trial and time"
            help = f"select in all but one of them, as in `x[{own[0]} = 0]`"
            raise RuleError("CS501", message, label=f"here are {', '.join(own)}", help=help, operand=place)
