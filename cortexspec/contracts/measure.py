"""What measures sign: one that is gathered while a run goes on, in pieces, and one of the circuit itself, without a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from cortexspec.contracts.operand import Operand
from cortexspec.contracts.plugin import FunctionEntry
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Function, Value
from cortexspec.ir.types import RuleError, Type, require_pure, unit_in_words
from cortexspec.units import DIMENSIONLESS, Unit, unit_of

Array = np.ndarray[Any, Any]
_FRONT = ("trial", "time")


class Gathering(Protocol):
    """A measure of one run while it is gathered."""

    def update(self, pieces: Sequence[Array]) -> None:
        """Takes in the next steps: one array [trial, step, element] an argument, all of the same steps, in the order of time.

        Of a measure that reads `words` it is an array [trial, step] of integers, where words of all its groups are exact.
        """
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

    `words`: all that it reads of an argument is which elements exceed 0, and what is gathered may be their word, the integer
    of which element i is bit i. Then it is computed where the run is, and no states leave the program.

    `each`: of its one argument it has a value for each element, and the result is [trial, element]. `any_unit`: arguments may
    have units and any axes, which are one axis of elements to it, and `settings` have besides the step `dt`, 0 where a step is
    all the time there is, and `units`, those of the arguments; times and frequencies among them are in ms and kHz. `unit(u)` is
    that of the value for an argument of unit u. `spikes`: its arguments are trains, in Hz, or counts.
    """

    name: str
    start: Callable[[int, Sequence[int], Mapping[str, Any]], Gathering]
    arity: tuple[int, int | None] = (1, 1)
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    doc: str = ""
    words: bool = False
    each: bool = False
    any_unit: bool = False
    unit: Callable[[Unit], Unit] | None = None
    spikes: bool = False

    def type_of(self, arguments: Sequence[Type]) -> Type:
        """Of a call's value."""
        first = arguments[0]
        kept = [axis for axis in first.axes if axis.name == "trial" or (self.each and axis.name != "time")]
        return Type(tuple(kept), unit=DIMENSIONLESS if self.unit is None else self.unit(first.unit))

    def signature(self) -> FunctionEntry:
        """How a call of it is typed: a number for each trial, and for each element where it is of each."""

        def typed(build: Builder, arguments: Sequence[Operand], settings: Mapping[str, Any]) -> Operand:
            for place, argument in enumerate(arguments):
                self.check(place, argument.type)
            if self.each or self.unit is not None:
                type_ = self.type_of([one.type for one in arguments])
                written = tuple(name for name in arguments[0].axes if type_.has(name))
                return Operand(Value(build.names.fresh(self.name), type_), written)
            trial = next((axis for one in arguments for axis in one.written if axis.name == "trial"), None)
            axes = () if trial is None else (trial,)
            return Operand(Value(build.names.fresh(self.name), Type(axes)), tuple(axis.name for axis in axes))

        return FunctionEntry(self.name, typed, self.arity, tuple(self.settings), (), self.doc)

    def refusal(self) -> FunctionEntry:
        """What lowering meets where the call is no part of a measure: in a loss, a penalty, a stimulus."""
        return _refusal(self, f"`{self.name}` is gathered along a run, so it can stand in a measure alone")

    def check(self, place: int, argument: Type) -> None:
        """Raises: RuleError CS401 or CS501 where the argument at this place cannot be gathered."""
        if self.spikes and argument.unit not in (DIMENSIONLESS, unit_of("Hz")):
            label = f"expected Hz or a pure number, found {unit_in_words(argument.unit)}"
            help = "a train is `NAME.spike`"
            raise RuleError("CS401", f"`{self.name}` reads spikes", label=label, help=help, operand=place)
        _check(self.name, f"`{self.name}` is gathered along a run", place, argument, self.any_unit)


class Circuit(Protocol):
    """A circuit with its present parameters, as a measure sees it that needs no run. Parameters are raw."""

    @property
    def simulation(self) -> Any:
        """What `cortexspec.compile` gives."""
        ...

    def pull_back(
        self, function: Function, values: Mapping[str, Array], cotangents: Mapping[str, Array], wrt: Sequence[str]
    ) -> dict[str, Array]:
        """How the sum of cotangent times output changes with each input in `wrt`, through one function of the IR.

        Arrays have their axes in the order of the layout of `simulation.plain`; `values` are those of all inputs.
        """
        ...


Reader = Callable[[Mapping[str, Array]], Array]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an analysis. Each argument is read in states that are given by name, [trial, element]; it gives [trial, element].

    States that are not given are at their start.
    """

    arguments: tuple[Reader, ...]
    settings: Mapping[str, Any]


class Analysis(Protocol):
    """What is found of the calls of one entry, together: what they have in common is computed once."""

    values: Array  # [call]

    def pull_back(self, cotangents: Array, wrt: Sequence[str]) -> Mapping[str, Array]:
        """How the sum of `cotangents` [call] times `values` changes with these raw parameters. Only of what is `differentiable`.

        Raises: SpecError for a parameter that it has no gradient by.
        """
        ...


@dataclass(frozen=True, slots=True)
class AnalysisEntry:
    """A function of an experiment that is found from the circuit itself, without a run: `measure f = exact_flux(core.x)`.

    Its arguments are those of a MeasureEntry. One that is `differentiable` can be maximised by its gradient. `unit(settings)` is
    that of its value, and refuses settings by a RuleError; None: a pure number.

    One with a setting `member` has several values: `let a = f(order = 2)` and then `a.rate` is `f(order = 2, member = "rate")`.

    `wired`: whether it reads the connections themselves. Where nothing does, none are drawn.
    """

    name: str
    analyse: Callable[[Circuit, Sequence[Call]], Analysis]
    arity: tuple[int, int | None] = (1, 1)
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    doc: str = ""
    differentiable: bool = False
    unit: Callable[[Mapping[str, Any]], Unit] | None = None
    wired: bool = True

    def type_of(self, settings: Mapping[str, Any]) -> Type:
        """Of a call's value. Raises: RuleError for settings that are refused."""
        return Type() if self.unit is None else Type((), unit=self.unit(settings))

    def signature(self) -> FunctionEntry:
        """How a call of it is typed: one number."""

        def typed(build: Builder, arguments: Sequence[Operand], settings: Mapping[str, Any]) -> Operand:
            for place, argument in enumerate(arguments):
                self.check(place, argument.type)
            return Operand(Value(build.names.fresh(self.name), self.type_of({**self.settings, **settings})))

        return FunctionEntry(self.name, typed, self.arity, tuple(self.settings), (), self.doc)

    def refusal(self) -> FunctionEntry:
        return _refusal(self, f"`{self.name}` is found without a run, so it can stand in a measure alone")

    def check(self, place: int, argument: Type) -> None:
        """Raises: RuleError CS401 or CS501 where the argument at this place is no group of states."""
        _check(self.name, f"`{self.name}` reads states", place, argument)


def _refusal(entry: MeasureEntry | AnalysisEntry, message: str) -> FunctionEntry:
    def refuse(build: Builder, arguments: Sequence[Operand], settings: Mapping[str, Any]) -> Operand:
        raise RuleError("CS700", message)

    return FunctionEntry(entry.name, refuse, entry.arity, tuple(entry.settings), (), entry.doc)


def _check(name: str, what: str, place: int, argument: Type, anything: bool = False) -> None:
    if not anything:
        require_pure(argument, f"`{name}`", place)
    if not argument.has("time"):
        raise RuleError("CS501", f"{what}, and this does not move in time", operand=place)
    own = [axis for axis in argument.names if axis not in _FRONT]
    if len(own) > 1 and not anything:
        message = f"`{name}` reads one axis beside trial and time"
        help = f"select in all but one of them, as in `x[{own[0]} = 0]`"
        raise RuleError("CS501", message, label=f"here are {', '.join(own)}", help=help, operand=place)
