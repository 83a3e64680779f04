"""What a statistic signs: a number or an array of an experiment, computed in NumPy from arrays of the circuit as it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from cortexspec.contracts.operand import Operand
from cortexspec.contracts.plugin import FunctionEntry
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.types import RuleError, Type, require_pure

Array = np.ndarray[Any, Any]


class Undefined(Exception):
    """A statistic has no value for these arrays; the message says why: "the graph has no edge"."""


@dataclass(frozen=True, slots=True)
class StatisticEntry:
    """A function of an experiment, such as `modularity(G)`: `compute(arrays, settings)` gives a number or an array.

    Its arguments are numbers of the circuit that do not move, such as weights, after training where there is any: with `axes` axes
    each (None: any number), in the order in which they are written, a matrix [target, source]. They are finite when `compute` sees
    them; else, and where it raises Undefined, the measure is not a number, and the result says why. `settings` are its keyword
    arguments with their defaults (numbers, texts, truth values); those in `static` may also follow the arguments without a name.
    One that is `like` its first argument gives an array with the same axes. One that is `scale_free` takes numbers of any unit,
    others pure numbers; what it gives is pure. One that `draws` finds the cell's `seed` in its settings.

    It has no gradient, so it can stand in measures, and lets that measures read, alone.
    """

    name: str
    compute: Callable[[Sequence[Array], Mapping[str, Any]], Any]
    arity: tuple[int, int | None] = (1, 1)
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    static: tuple[str, ...] = ()
    axes: int | None = 2
    like: bool = False
    scale_free: bool = False
    draws: bool = False
    doc: str = ""

    def signature(self) -> FunctionEntry:
        """How a call of it is typed."""

        def typed(build: Builder, arguments: Sequence[Operand], settings: Mapping[str, Any]) -> Operand:
            for place, argument in enumerate(arguments):
                self.check(place, argument.type)
            first = arguments[0]
            type_ = Type(first.type.axes) if self.like else Type()
            return Operand(Value(build.names.fresh(self.name), type_), first.axes if self.like else ())

        return self._function(typed)

    def refusal(self) -> FunctionEntry:
        """What is met where the call is no part of a measure: in a circuit, a loss, a penalty, a stimulus."""

        def refuse(build: Builder, arguments: Sequence[Operand], settings: Mapping[str, Any]) -> Operand:
            raise RuleError("CS308", self.only_measures, help=f"write `measure value = {self.name}(...)`")

        return self._function(refuse)

    @property
    def only_measures(self) -> str:
        return f"`{self.name}` is computed from finished arrays and has no gradient, so it can stand in a measure alone"

    def check(self, place: int, argument: Type) -> None:
        """Raises: RuleError CS401 or CS501 where the argument at this place is no array that it can read."""
        if not self.scale_free:
            require_pure(argument, f"`{self.name}`", place)
        if argument.has("time") or argument.has("trial"):
            help = "give it weights or other parameters"
            raise RuleError("CS501", f"`{self.name}` reads what does not move, and this does", help=help, operand=place)
        if self.axes is not None and len(argument.axes) != self.axes:
            wanted = "a matrix [target, source]" if self.axes == 2 else f"an array with {self.axes} axes"
            label = f"here are {len(argument.axes)} axes"
            raise RuleError("CS501", f"`{self.name}` reads {wanted}", label=label, operand=place)

    def _function(self, write: Callable[[Builder, Sequence[Operand], Mapping[str, Any]], Operand]) -> FunctionEntry:
        settings = tuple(name for name in self.settings if name not in self.static)
        return FunctionEntry(self.name, write, self.arity, settings, self.static, self.doc)


__all__ = ["Array", "StatisticEntry", "Undefined"]
