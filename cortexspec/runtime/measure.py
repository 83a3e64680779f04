"""Measures of a run of any length: it goes on piece by piece, each piece is taken in and forgotten.

A measure is split. Calls of a MeasureEntry, and means over everything, are gathered along the run; calls of an AnalysisEntry are
found without it; what is left is an expression of their results, and is computed by a readout like any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from cortexspec.contracts.measure import Analysis, AnalysisEntry, Call, Gathering, MeasureEntry
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.expressions import tree
from cortexspec.expressions.linear import children
from cortexspec.expressions.print import print_expression
from cortexspec.interpreter import run as interpreted
from cortexspec.ir.module import Function, Module, Value
from cortexspec.ir.op import Array, transpose
from cortexspec.ir.types import RuleError, Type
from cortexspec.lowering import entries
from cortexspec.lowering.declarations import TIME, TRIAL
from cortexspec.lowering.readout import Readout, is_end, rebuilt
from cortexspec.lowering.words import LONGEST, WORD
from cortexspec.passes.differentiate import differentiate
from cortexspec.runtime.analyse import CircuitAsItStands, function_of, types_of
from cortexspec.runtime.compile import Wanted
from cortexspec.runtime.finite import where_it_broke
from cortexspec.runtime.given import Given
from cortexspec.runtime.program import Loaded
from cortexspec.units import Unit, to_coherent

if TYPE_CHECKING:
    from cortexspec.runtime.simulation import Simulation

_AT_ONCE = 1 << 22  # recorded numbers in a piece
_OF_STATES = 4  # or as many times the numbers of the states, which every piece takes over from the last
_LONGEST = 4096  # steps in a piece
_OF_A_WORD = 2  # as many numbers as the arrays take that a word goes through while it is counted
_OF_A_PROGRAM = 1000  # how many calls take as long as it takes to make a program
_FRONT = (TRIAL.name, TIME.name)
_WORD = tree.Name(WORD)


Entry = MeasureEntry | AnalysisEntry


@dataclass(frozen=True, slots=True)
class Called:
    """A call of a measure: the entry, what it reads, and its settings."""

    name: str  # what stands for the call in the expression that is left
    entry: Entry
    arguments: tuple[tree.Expression, ...]
    settings: Mapping[str, Any]
    call: tree.Call
    outputs: tuple[str, ...]  # what its arguments are recorded as: one name for all calls that read the same
    types: tuple[Type, ...] = ()  # of the arguments
    spelt: bool = False  # whether words of the arguments are recorded in their place

    def in_words(self) -> Called:
        arguments = tuple(tree.Call(_WORD, (tree.Argument(one),), span=one.span) for one in self.arguments)
        return replace(self, arguments=arguments, outputs=tuple(f"{name}.word" for name in self.outputs), spelt=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """Measures as they are computed: `gathered` and `means` piece by piece, `analysed` without a run, `rest` from what they give.

    `lets` are the names that the rest reads; `written` those that pieces read, lets and measures as they were written.
    """

    gathered: tuple[Called, ...]
    analysed: tuple[Called, ...]
    means: Mapping[str, tree.Expression]
    rest: Mapping[str, tree.Expression]
    lets: Mapping[str, tree.Expression]
    written: Mapping[str, tree.Expression] = field(default_factory=dict[str, tree.Expression])

    def recorded(self) -> dict[str, tree.Expression]:
        """What calls read along a run."""
        return {name: value for one in self.gathered for name, value in zip(one.outputs, one.arguments, strict=True)}

    def pieces(self) -> dict[str, tree.Expression]:
        return {**self.recorded(), **self.means}

    def typed(self, types: Mapping[str, Type], sizes: Mapping[str, int]) -> Plan:
        """With the types of what calls read. What reads words alone is given them, where each of its groups has an exact one."""

        def exact(one: Called) -> bool:
            reads = isinstance(one.entry, MeasureEntry) and one.entry.words
            return reads and all(_elements(type_, sizes) <= LONGEST for type_ in one.types)

        calls = [replace(one, types=tuple(types[name] for name in one.outputs)) for one in self.gathered]
        return replace(self, gathered=tuple(one.in_words() if exact(one) else one for one in calls))

    def for_measure(self, name: str) -> Plan:
        """What one measure needs alone."""
        needed = _reached(name, {**self.rest, **self.lets})
        return replace(
            self,
            gathered=tuple(one for one in self.gathered if one.name in needed),
            analysed=tuple(one for one in self.analysed if one.name in needed),
            means={one: value for one, value in self.means.items() if one in needed},
            rest={one: value for one, value in self.rest.items() if one == name},
        )


def plan_of(
    measures: Mapping[str, tree.Expression],
    lets: Mapping[str, tree.Expression],
    known: Mapping[str, Entry],
) -> Plan:
    """Raises: SpecError CS303 for a setting that is no number, text or truth value, CS301 for an unknown one."""
    splitter = _Splitter(known)
    names = {**lets, **measures}
    read = {one for value in names.values() for one in _names(value)}
    means = {
        name: value
        for name, value in measures.items()
        if _is_mean(value, {k: v for k, v in names.items() if k != name}, of_elements=name not in read)
    }
    rest = {name: splitter.split(value) for name, value in measures.items() if name not in means}
    kept = {name: splitter.split(value) for name, value in lets.items()}
    # A measure may read other measures: a mean that was gathered is a field like the result of a call.
    others = {name: value for name, value in rest.items() if any(name in _names(one) for one in rest.values())}
    calls = splitter.found.values()
    analysed = tuple(one for one in calls if isinstance(one.entry, AnalysisEntry))
    gathered = tuple(one for one in calls if one not in analysed)
    return Plan(gathered, analysed, means, rest, {**kept, **others}, names)


class _Splitter:
    """Replaces calls of measures by names, equal calls by one."""

    def __init__(self, known: Mapping[str, Entry]):
        self.known = known
        self.found: dict[str, Called] = {}
        self.recorded: dict[str, str] = {}

    def split(self, node: tree.Expression) -> tree.Expression:
        match node:
            case tree.Call(function=tree.Name(name)) if name in self.known:
                text = print_expression(node)
                if text not in self.found:
                    self.found[text] = self.called(f"{name}.{len(self.found)}", self.known[name], node)
                return tree.Name(self.found[text].name, span=node.span)
            case _:
                return rebuilt(node, self.split)

    def called(self, name: str, entry: Entry, call: tree.Call) -> Called:
        positional = tuple(one.value for one in call.arguments if not one.name and one.value is not None)
        least, most = entry.arity
        if len(positional) < least or (most is not None and len(positional) > most):
            wanted = f"{least}" if least == most else f"{least} to {most}" if most is not None else f"at least {least}"
            message = f"`{entry.name}` takes {wanted} arguments, not {len(positional)}"
            raise SpecError([Diagnostic("CS301", message, call.span)])
        settings = dict(entry.settings)
        for argument in call.arguments:
            if argument.name and argument.value is not None:
                if argument.name not in settings:
                    help = f"it takes {', '.join(f'`{one}`' for one in settings)}" if settings else ""
                    message = f"`{entry.name}` has no argument `{argument.name}`"
                    raise SpecError([Diagnostic("CS301", message, argument.span, help=help)])
                settings[argument.name] = setting_of(argument.value)
        outputs = tuple(
            self.recorded.setdefault(print_expression(one), f"{name}.{i}") for i, one in enumerate(positional)
        )
        return Called(name, entry, positional, settings, call, outputs)


def setting_of(node: tree.Expression) -> Any:
    match node:
        case tree.Number(unit=""):
            return int(node.value) if float(node.value).is_integer() else node.value
        case tree.Text(value=text):
            return text
        case tree.Name(name="true" | "false" as word):
            return word == "true"
        case tree.Name(name="infinity"):
            return math.inf
        case tree.Name(name="time"):
            return "time"
        case tree.Number(unit=unit):
            return to_coherent(node.value, unit)
        case tree.Unary(operator="-", operand=inner):
            return -setting_of(inner)
        case _:
            label = "a number, a text or a truth value is wanted here"
            raise SpecError([Diagnostic("CS303", "this must be known before anything runs", node.span, label=label)])


def _is_mean(value: tree.Expression, lets: Mapping[str, tree.Expression], of_elements: bool) -> bool:
    """Whether pieces of the run may be averaged: what each step has by itself, its mean over everything, which is the same,
    or (`of_elements`) over trials and time, which has a value for each element."""
    match value:
        case tree.Call(function=tree.Name(name="mean"), arguments=(tree.Argument(name="", value=inner),)):
            return inner is not None and _step_by_step(inner, lets)
        case tree.Call(
            function=tree.Name(name="mean"),
            arguments=(tree.Argument(name="", value=inner), tree.Argument(name="over", value=tree.ListOf(items=over))),
        ):
            axes = {one.name for one in over if isinstance(one, tree.Name)}
            return of_elements and inner is not None and axes == {*_FRONT} and _step_by_step(inner, lets)
        case _:
            return _step_by_step(value, lets)


def _within_mean(value: tree.Expression) -> tree.Expression:
    """What a mean over everything is of."""
    match value:
        case tree.Call(function=tree.Name(name="mean"), arguments=(tree.Argument(value=inner),)) if inner is not None:
            return inner
        case _:
            return value


def _step_by_step(node: tree.Expression, lets: Mapping[str, tree.Expression]) -> bool:
    match node:
        case tree.Call() | tree.Comprehension():
            return False
        case tree.Index(operand=operand, arguments=arguments):
            # A name alone selects a member of a group: `around.arriving[core]`.
            members = all(
                one.name or (isinstance(one.value, tree.Name) and one.value.name not in lets) for one in arguments
            )
            return members and all(one.name != "time" for one in arguments) and _step_by_step(operand, lets)
        case tree.Name(name) if name in lets:
            return _step_by_step(lets[name], {key: value for key, value in lets.items() if key != name})
        case _:
            return all(_step_by_step(child, lets) for child in children(node))


def _of_the_end(plan: Plan) -> bool:
    """Whether what is left reads recordings where they end, `[time = end]`, and nowhere else."""
    fields = {one.name for one in (*plan.gathered, *plan.analysed)} | plan.means.keys()

    def at_end(node: tree.Expression, open: frozenset[str]) -> bool:
        match node:
            case tree.Index(arguments=arguments) if any(is_end(one) for one in arguments):
                return True
            case tree.Name(name) if name in fields:
                return True
            case tree.Name(name) if name in plan.lets and name not in open:
                return at_end(plan.lets[name], open | {name})
            case tree.Name() | tree.Reference() | tree.Member() | tree.Derivative():
                return False
            case tree.Call(arguments=arguments):
                return all(at_end(one.value, open) for one in arguments if one.value is not None and one.name != "over")
            case _:
                return all(at_end(child, open) for child in children(node))

    return all(at_end(one, frozenset()) for one in plan.rest.values())


def _names(node: tree.Expression) -> set[str]:
    """The names that an expression reads; that of a function is none of them."""
    match node:
        case tree.Name(name):
            return {name}
        case tree.Call(arguments=arguments):
            inside = [one.value for one in arguments if one.value is not None]
        case _:
            inside = list(children(node))
    return set[str]().union(*(_names(one) for one in inside))


def _reached(name: str, values: Mapping[str, tree.Expression]) -> set[str]:
    """The names that a name depends on, itself among them."""
    found: set[str] = set()
    open = [name]
    while open:
        one = open.pop()
        if one not in found:
            found.add(one)
            open += _names(values[one]) if one in values else []
    return found


@dataclass(frozen=True, slots=True)
class _Run:
    """What all pieces of one run share. `piece` is gone through again and again; `after` once, if it reads recordings of the whole run."""

    simulation: Simulation
    given: Given
    seed: int | None
    first_trial: int
    piece: Readout
    after: tuple[Readout, ...] = ()
    each: tuple[str, ...] = ()  # parameters that are inputs, with a value for each trial
    more: Mapping[str, Array] = field(default_factory=dict[str, Array])  # inputs beside the circuit's
    loaded: dict[int, Loaded] = field(default_factory=dict[int, Loaded])
    ahead: dict[int, dict[str, Array]] = field(default_factory=dict[int, dict[str, Array]])  # by length

    def load(self, steps: int) -> Loaded:
        """The program for so many steps. Parameters do not change during a run, so they are set once."""
        if steps not in self.loaded:
            self.loaded[steps] = self._load(steps)
        return self.loaded[steps]

    def _load(self, steps: int) -> Loaded:
        readouts = (self.piece, *self.after)
        names = tuple(one.function for one in readouts)
        piece = (self.piece.function,)
        zeros = tuple(name for name in self.simulation.zeros if name not in self.simulation.trainable)
        wanted = Wanted(readouts=readouts, rollout=False, resumed=names, pieces=("init",), ahead=piece, zeros=zeros)
        fields = {name: type_ for one in readouts for name, type_ in one.fields.items()}
        return self.simulation.load(
            wanted, steps, streams=self.given.streams, fields=fields, trials=self.given.trials, each=self.each
        )

    def again(self, seed: int | None, first_trial: int, more: Mapping[str, Array] | None = None) -> _Run:
        """The same programs with the simulation's present parameters, for a run with other draws."""
        for loaded in self.loaded.values():
            self.simulation.renew(loaded)
        return replace(self, seed=seed, first_trial=first_trial, more=more or {}, ahead={})

    def call(
        self, loaded: Loaded, function: str, more: Mapping[str, Array], done: int = 0, count: int = 0
    ) -> dict[str, Array]:
        """A function with the inputs of `count` steps after the first `done` ones."""
        given = _frames_of(self.given, done, count)
        own = self.simulation.arguments(loaded, function, given, self.seed, self.first_trial)
        read = {value.name for value in loaded.module.function(function).inputs}
        arrays = {**own, **self._ahead(loaded, function), **self.more, **more}
        return loaded.simulator.call(function, {n: a for n, a in arrays.items() if n in read})

    def _ahead(self, loaded: Loaded, function: str) -> Mapping[str, Array]:
        """What parameters and buffers alone decide: the same in every piece."""
        if function not in loaded.ahead:
            return {}
        length = loaded.bound.sizes["time"]
        if length not in self.ahead:
            sim, module = self.simulation, loaded.module
            values = sim.in_layout(module, sim.raw_parameters() | sim.buffers())
            dtype = sim.settings.options.dtype
            self.ahead[length] = interpreted(loaded.ahead[function], values, sim.sizes, module.layout, dtype)
        return self.ahead[length]


def measured(
    simulation: Simulation,
    plan: Plan,
    given: Given,
    *,
    steps: int,
    warm_up: int = 0,
    seed: int | None = None,
    first_trial: int = 0,
) -> dict[str, Array]:
    """The measures of a run of `steps` steps after `warm_up` ones, by name; numbers are means over trials.

    Inputs with one frame a step have the frames of the warm-up in front.
    Raises: SpecError with what a measure refuses, before anything runs; CS915 where a number leaves the finite ones.
    """
    return Measuring.of(simulation, plan, given, steps=steps, warm_up=warm_up)(seed, first_trial)


@dataclass(frozen=True, slots=True)
class Measuring:
    """A run that is measured. Its programs are made once; each call goes through it with the present parameters."""

    run: _Run
    plan: Plan
    steps: int
    warm_up: int
    length: int  # steps of a piece

    @staticmethod
    def of(
        simulation: Simulation,
        plan: Plan,
        given: Given,
        *,
        steps: int,
        warm_up: int = 0,
        each: Sequence[str] = (),
    ) -> Measuring:
        """`each`: parameters of which every trial has its own, for `side_by_side`."""
        ends = {f"{name}[time = end]": _end(name) for name in simulation.carried}
        before_means = {name: _within_mean(value) for name, value in plan.means.items()}
        read = {**plan.recorded(), **before_means}
        types = types_of(simulation, read, plan.written, given.streams) if read else dict[str, Type]()
        plan = plan.typed(types, simulation.sizes)
        # Means for each candidate are taken here.
        pieces = {**plan.recorded(), **(before_means if each else plan.means)}
        piece = Readout("piece", {**pieces, **ends}, scalars=False, lets=plan.written)
        run = _Run(simulation, given, None, 0, piece, each=tuple(each))
        kept = _numbers_a_step(plan, types, simulation.sizes, given.trials)
        return Measuring(run, plan, steps, warm_up, _length_of_piece(simulation, kept, given.trials, steps, warm_up))

    def __call__(self, seed: int | None = None, first_trial: int = 0) -> dict[str, Array]:
        """The measures by name. Raises: SpecError as `measured` does."""
        run, plan = self.run.again(seed, first_trial), self.plan
        simulation, trials = run.simulation, run.given.trials
        if not runs(plan):
            return _without_a_run(simulation, plan)
        gatherings = _begin(simulation, plan, trials)
        numbers: dict[str, Array] = _analysed(simulation, plan)

        def averaged(loaded: Loaded, name: str, array: Array) -> Any:
            of_elements = isinstance(plan.means[name], tree.Call) and np.ndim(array) > 0
            return np.asarray(array, float) if of_elements else float(np.mean(array))

        begun, last, sums = self._gather(run, gatherings, averaged)
        means: dict[str, Array] = {name: np.asarray(value) for name, value in sums.items()}
        after = _after(plan)
        if after is None:
            return means
        results = {name: np.asarray(one.result(), float) for name, one in gatherings.items()}
        fields = numbers | means
        fields |= {one.name: _field_of(simulation, one, results[one.name], trials) for one in plan.gathered}
        if _of_results(plan):
            rest = _interpreted(simulation, function_of(simulation, after), fields)
        else:  # what reads recordings besides has a program of its own: for all steps, or for the last ones if it reads where they end
            after_all = last if _of_the_end(plan) and last is not None else begun
            run = replace(run, after=(after,), loaded={})
            count = self.warm_up + self.steps - after_all.done
            loaded = run.load(count)
            rest = run.call(loaded, "measures", {**after_all.inputs(run, loaded), **fields}, after_all.done, count)
        return means | {name: np.asarray(rest[name]) for name in plan.rest}

    def side_by_side(
        self, candidates: Sequence[Mapping[str, Array]], seed: int | None = None, first_trial: int = 0
    ) -> list[dict[str, Array]]:
        """The measures at each of several sets of raw parameters (those of `each`, in written order), in one run.

        The trials of a run are shared out among the candidates, which all have the same noise: the trials' numbers are
        those of a run of one candidate. Raises: SpecError as `measured` does, for all of them together.
        """
        simulation, plan, count = self.run.simulation, self.plan, len(candidates)
        own = self.run.given.trials // count
        more: dict[str, Array] = {TRIAL.name: np.tile(np.arange(first_trial, first_trial + own), count)}
        loaded = self.run.load(self.length)
        for name in self.run.each:
            stacked = np.stack([one[name] for one in candidates]).repeat(own, axis=0)
            more[name] = simulation.for_each_trial(loaded.module, name, stacked)
        run = self.run.again(seed, first_trial, more)
        gatherings = _begin(simulation, plan, run.given.trials)

        def each_candidate(loaded: Loaded, name: str, array: Array) -> Array:
            trials = _by_trial(loaded, name, array, run.given.trials)
            return trials.reshape(count, -1).mean(axis=1)

        _, _, sums = self._gather(run, gatherings, each_candidate)
        results = {name: np.asarray(one.result(), float) for name, one in gatherings.items()}
        shared = {
            name: np.broadcast_to(one, (run.given.trials, *one.shape[1:])).reshape(count, own, *one.shape[1:])
            for name, one in results.items()
        }
        after = _after(plan)
        function = None if after is None else function_of(simulation, after)
        found: list[dict[str, Array]] = []
        for place in range(count):
            means = {name: np.asarray(value[place]) for name, value in sums.items()}
            fields = means | {
                one.name: _field_of(simulation, one, shared[one.name][place], own) for one in plan.gathered
            }
            rest = {} if function is None else _interpreted(simulation, function, fields)
            found.append(means | {name: np.asarray(rest[name]) for name in plan.rest})
        return found

    def _gather(
        self, run: _Run, gatherings: Mapping[str, Gathering], averaged: Callable[[Loaded, str, Array], Any]
    ) -> tuple[_Begun, _Begun | None, dict[str, Any]]:
        """Goes through warm-up and run; gives where the run and its last piece begin (None where nothing is read along it),
        and the means, each as `averaged` makes it of a piece."""
        plan, trials = self.plan, run.given.trials
        loaded = run.load(self.length)
        at = _Begun.of(run, loaded, run.call(loaded, "init", {}), 0)
        for count in _counts(self.warm_up, self.length):
            _, at = _go_on(run, count, at)
        begun, last = at, None
        sums: dict[str, Any] = dict.fromkeys(plan.means, 0.0)
        for count in _counts(self.steps, self.length) if plan.pieces() else ():
            last = at
            found, at = _go_on(run, count, last)
            read = {name: one.spelt for one in plan.gathered for name in one.outputs}
            pieces = {
                name: _arranged(run.load(count), name, found[name], trials, spelt) for name, spelt in read.items()
            }
            for one in plan.gathered:
                gatherings[one.name].update([pieces[name] for name in one.outputs])
            for name in plan.means:
                sums[name] = sums[name] + averaged(run.load(count), name, found[name]) * count / self.steps
        return begun, last, sums


@dataclass(frozen=True, slots=True)
class _Begun:
    """A run after `done` steps. The axes of states are sorted by name: a program that reads something else has another layout."""

    state: Mapping[str, Array]
    done: int

    @staticmethod
    def of(run: _Run, loaded: Loaded, found: Mapping[str, Array], done: int, suffix: str = "") -> _Begun:
        """From what a program gives under the names of states with that suffix."""
        simulation = run.simulation
        orders = {name: loaded.module.layout.sort(simulation.value_of(name).type.names) for name in simulation.carried}
        return _Begun(
            {name: transpose(np.asarray(found[name + suffix]), order, sorted(order)) for name, order in orders.items()},
            done,
        )

    def inputs(self, run: _Run, loaded: Loaded) -> dict[str, Array]:
        """What a program reads to go on from here."""
        layout, value_of = loaded.module.layout, run.simulation.value_of
        orders = {name: layout.sort(value_of(name).type.names) for name in self.state}
        state = {name: transpose(array, sorted(orders[name]), orders[name]) for name, array in self.state.items()}
        return {**state, "n": np.array(self.done)}


def side_by_side_fits(plan: Plan) -> bool:
    """Whether candidates can share a run: all is read along it, a number a trial, and nothing reads recordings of the whole of it."""
    fields = any(isinstance(one.entry, MeasureEntry) and one.entry.each for one in plan.gathered)
    return runs(plan) and not plan.analysed and not fields and (not plan.rest or _of_results(plan))


def _by_trial(loaded: Loaded, name: str, array: Array, trials: int) -> Array:
    """The mean of each trial [trial] of a recording."""
    names = loaded.module.layout.sort(_outputs(loaded.module, "piece")[name].type.names)
    array = np.asarray(array)
    if TRIAL.name not in names:
        return np.full(trials, float(np.mean(array)))
    return np.moveaxis(array, names.index(TRIAL.name), 0).reshape(trials, -1).mean(axis=1)


def _interpreted(simulation: Simulation, function: Function, fields: Mapping[str, Array]) -> dict[str, Array]:
    """What is left of measures, from results alone."""
    given = {value.name: fields[value.name] for value in function.inputs}
    return interpreted(function, given, simulation.sizes, simulation.plain.layout)


def _type_of_gathered(one: Called) -> Type:
    """Of the field that a measure's result is, which has an axis of trials always."""
    assert isinstance(one.entry, MeasureEntry)
    type_ = one.entry.type_of(one.types)
    return type_ if type_.has(TRIAL.name) else Type((*type_.axes, TRIAL), unit=type_.unit)


def _field_of(simulation: Simulation, one: Called, result: Array, trials: int) -> Array:
    """A result [trial] or [trial, element] as a field, its axes in the order of the layout."""
    type_ = _type_of_gathered(one)
    order = simulation.plain.layout.sort(type_.names)
    own = [type_.axis(name).size.evaluate(simulation.sizes) for name in order if name != TRIAL.name]
    whole = np.broadcast_to(result.reshape(result.shape[:1] + tuple(own)) if result.ndim else result, (trials, *own))
    return np.moveaxis(whole, 0, order.index(TRIAL.name))


def _types_of_analysed(plan: Plan) -> dict[str, Type]:
    return {one.name: one.entry.type_of(one.settings) for one in plan.analysed if isinstance(one.entry, AnalysisEntry)}


def runs(plan: Plan) -> bool:
    """Whether anything of it is read along a run: not where all is found from the circuit itself."""
    return bool(plan.pieces()) or not _of_results(plan)


def need_a_run(
    simulation: Simulation, measures: Mapping[str, tree.Expression], lets: Mapping[str, tree.Expression]
) -> bool:
    """Whether one of the measures is read along a run."""
    return runs(plan_of(measures, lets, known_measures(simulation)))


def _without_a_run(simulation: Simulation, plan: Plan) -> dict[str, Array]:
    """Measures of the circuit itself alone."""
    after = _after(plan)
    if after is None:
        return {}
    fields = _analysed(simulation, plan)
    found = _interpreted(simulation, function_of(simulation, after), fields)
    return {name: np.asarray(found[name]) for name in plan.rest}


def _analysed(simulation: Simulation, plan: Plan) -> dict[str, Array]:
    """What is found without a run, by the name that stands for each call."""
    found: dict[str, Array] = {}
    for entry, calls in _by_entry(plan).items():
        analysis = _analysis(simulation, plan, entry, calls)
        found |= {one.name: np.asarray(value, float) for one, value in zip(calls, analysis.values, strict=True)}
    return found


def _by_entry(plan: Plan) -> dict[str, list[Called]]:
    made: dict[str, list[Called]] = {}
    for one in plan.analysed:
        made.setdefault(one.entry.name, []).append(one)
    return made


def _analysis(simulation: Simulation, plan: Plan, name: str, calls: Sequence[Called]) -> Analysis:
    """The calls of one entry, together. Raises: SpecError with what it refuses, at the place of its first call."""
    entry = calls[0].entry
    assert isinstance(entry, AnalysisEntry)
    circuit = CircuitAsItStands(simulation, plan.written)
    read = [Call(tuple(circuit.reader(one) for one in each.arguments), each.settings) for each in calls]
    try:
        return entry.analyse(circuit, read)
    except SpecError as error:
        diagnostics = [replace(each, span=each.span or calls[0].call.span) for each in error.diagnostics]
        raise SpecError(diagnostics, simulation.sources) from None


def value_and_gradient(
    simulation: Simulation, plan: Plan, name: str, wrt: Sequence[str]
) -> tuple[float, dict[str, Array]]:
    """A measure that is found without a run, and how it changes with raw parameters, in written order of their axes.

    Raises: SpecError with what an analysis refuses, before anything is computed of its gradient.
    """
    analyses = {entry: (calls, _analysis(simulation, plan, entry, calls)) for entry, calls in _by_entry(plan).items()}
    fields = {
        one.name: np.asarray(value, float)
        for calls, analysis in analyses.values()
        for one, value in zip(calls, analysis.values, strict=True)
    }
    value, slopes = _rest_and_slopes(simulation, plan, name, fields)
    total: dict[str, Array] = {}
    for calls, analysis in analyses.values():
        found = analysis.pull_back(np.array([slopes[one.name] for one in calls]), wrt)
        total = {path: total.get(path, 0.0) + np.asarray(found[path], float) for path in wrt}
    return value, simulation.in_written(simulation.plain, total)


def _rest_and_slopes(
    simulation: Simulation, plan: Plan, name: str, fields: Mapping[str, Array]
) -> tuple[float, dict[str, float]]:
    """What is left of a measure, and how it changes with the result of each call."""
    types = dict.fromkeys(fields, Type()) | _types_of_analysed(plan)
    readout = Readout("rest", {name: plan.rest[name]}, lets=plan.lets, fields=types)
    function = function_of(simulation, readout)
    read = [one.name for one in function.inputs]
    given, sizes, layout = {one: fields[one] for one in read}, simulation.sizes, simulation.plain.layout
    found = interpreted(differentiate(function, read, name), given, sizes, layout)
    slopes = {one: float(found[f"grad:{one}"]) for one in read}
    return float(found[name]), {**dict.fromkeys(fields, 0.0), **slopes}


def recorded(
    simulation: Simulation,
    value: tree.Expression,
    lets: Mapping[str, tree.Expression],
    given: Given,
    *,
    steps: int,
    seed: int | None = None,
) -> tuple[Array, tuple[str, ...], Unit]:
    """What each step of a run has by itself [trial, time, own...], from the first step on, with the names of its axes and its unit.

    Raises: SpecError CS915 where a number leaves the finite ones.
    """
    ends = {f"{name}[time = end]": _end(name) for name in simulation.carried}
    run = _Run(simulation, given, seed, 0, Readout("piece", {"value": value, **ends}, scalars=False, lets=lets))
    plan = Plan((), (), {"value": value}, {}, {}, lets)
    types = types_of(simulation, {"value": value}, lets, given.streams)
    a_step = _numbers_a_step(plan, types, simulation.sizes, given.trials)
    length = _length_of_piece(simulation, a_step, given.trials, steps, 0)
    first = run.load(length)
    at = _Begun.of(run, first, run.call(first, "init", {}), 0)
    parts: list[Array] = []
    names: tuple[str, ...] = ()
    for done in range(0, steps, length):
        count = min(length, steps - done)
        loaded = run.load(count)
        found, at = _go_on(run, count, at)
        type_ = _outputs(loaded.module, "piece")["value"].type
        order = loaded.module.layout.sort(type_.names)
        names = names or (*_FRONT, *(axis for axis in order if axis not in _FRONT))
        parts.append(np.asarray(found["value"]).transpose([order.index(axis) for axis in names]))
    return np.concatenate(parts, axis=1), names, _outputs(run.load(length).module, "piece")["value"].type.unit


def moves_by_itself(value: tree.Expression, lets: Mapping[str, tree.Expression]) -> bool:
    """Whether an expression has a value at each step, which no other step takes part in: it can be recorded."""
    return _step_by_step(value, lets)


def _after(plan: Plan) -> Readout | None:
    """What is left of the measures, with the results of what was gathered as fields."""
    gathered = {one.name: _type_of_gathered(one) for one in plan.gathered}
    fields = gathered | dict.fromkeys(plan.means, Type()) | _types_of_analysed(plan)
    return Readout("measures", plan.rest, lets=plan.lets, fields=fields) if plan.rest else None


def _of_results(plan: Plan) -> bool:
    """Whether all that is left reads results of the run alone."""
    results = {one.name for one in (*plan.gathered, *plan.analysed)} | plan.means.keys()

    def reads_results(node: tree.Expression, open: frozenset[str]) -> bool:
        return all(
            name in results
            or (name in plan.lets and name not in open and reads_results(plan.lets[name], open | {name}))
            for name in _names(node)
        )

    return all(reads_results(one, frozenset()) for one in plan.rest.values())


def _go_on(run: _Run, count: int, at: _Begun) -> tuple[dict[str, Array], _Begun]:
    """The next steps, and where they end. Raises: SpecError CS915 where a number leaves the finite ones."""
    loaded, done = run.load(count), at.done
    found = run.call(loaded, "piece", at.inputs(run, loaded), done, count)
    if all(np.isfinite(array).all() for array in found.values() if np.asarray(array).dtype.kind == "f"):
        return found, _Begun.of(run, loaded, found, done + count, "[time = end]")
    if run.each:  # which of them it was shows when each runs by itself
        raise SpecError([Diagnostic("CS915", "a run with other parameters left the finite numbers")])
    given = _frames_of(run.given, done, count)
    raw, last = run.simulation.raw_parameters(), done + count
    told = where_it_broke(run.simulation, given, raw, last, run.seed, run.first_trial, begun=(at.state, done))
    raise SpecError([told], run.simulation.sources)


def _frames_of(given: Given, done: int, count: int) -> Given:
    """The inputs of some steps alone."""
    if not given.streams:
        return given
    arrays = dict(given.arrays)
    for name in given.streams:
        place = given.axes[name].index(TIME.name)
        arrays[name] = arrays[name][(*[slice(None)] * place, slice(done, done + count))]
    return replace(given, arrays=arrays)


def _end(name: str) -> tree.Expression:
    return tree.Index(tree.Reference(name), (tree.Argument(tree.Name("end"), "time"),))


def _begin(simulation: Simulation, plan: Plan, trials: int) -> dict[str, Gathering]:
    """The measures before their first step. Raises: SpecError where one refuses, at the place of its call."""
    begun: dict[str, Gathering] = {}
    for one in plan.gathered:
        assert isinstance(one.entry, MeasureEntry)
        try:
            for place, type_ in enumerate(one.types):
                one.entry.check(place, type_)
            elements = [_elements(type_, simulation.sizes) for type_ in one.types]
            settings = one.settings
            if one.entry.any_unit:
                settings = {
                    **settings,
                    "dt": simulation.settings.dt or 0.0,
                    "units": [type_.unit for type_ in one.types],
                }
            begun[one.name] = one.entry.start(trials, elements, settings)
        except RuleError as error:
            span = one.arguments[error.operand or 0].span or one.call.span
            found = Diagnostic(error.code, error.message, span, error.label, error.help)
            raise SpecError([found], simulation.sources) from None
        except SpecError as error:
            diagnostics = [replace(each, span=each.span or one.call.span) for each in error.diagnostics]
            raise SpecError(diagnostics, simulation.sources) from None
    return begun


def _outputs(module: Module, function: str) -> dict[str, Value]:
    made = module.function(function)
    return dict(zip(made.output_names, made.outputs, strict=True))


def _elements(type_: Type, sizes: Mapping[str, int]) -> int:
    own = [axis for axis in type_.axes if axis.name not in _FRONT]
    return int(np.prod([axis.size.evaluate(sizes) for axis in own], dtype=int))


def _arranged(loaded: Loaded, name: str, array: Array, trials: int, spelt: bool) -> Array:
    """A recording as [trial, step, element], one of words as [trial, step]: trials that do not differ are told once more."""
    names = loaded.module.layout.sort(_outputs(loaded.module, "piece")[name].type.names)
    own = [axis for axis in names if axis not in _FRONT]
    order = [axis for axis in (*_FRONT, *own) if axis in names]
    arranged = np.asarray(array).transpose([names.index(axis) for axis in order])
    if TRIAL.name not in names:
        arranged = np.broadcast_to(arranged, (trials, *arranged.shape))
    if spelt:
        return arranged.astype(np.int32, copy=False)
    return arranged.reshape(*arranged.shape[:2], -1)


def _numbers_a_step(plan: Plan, types: Mapping[str, Type], sizes: Mapping[str, int], trials: int) -> int:
    """How many numbers a piece records in a step. `types`: those of what calls read, and of what means are of."""
    whole = dict.fromkeys(name for one in plan.gathered if not one.spelt for name in one.outputs)
    words = {name for one in plan.gathered if one.spelt for name in one.outputs}
    return trials * (_OF_A_WORD * len(words) + sum(_elements(types[name], sizes) for name in (*whole, *plan.means)))


def _length_of_piece(simulation: Simulation, a_step: int, trials: int, steps: int, warm_up: int) -> int:
    """Steps of a piece, of which each records `a_step` numbers: of the lengths that fit the one whose programs and calls cost least.

    Each length that occurs is a program."""
    states = trials * sum(_elements(state.value.type, simulation.sizes) for state in simulation.plain.states)
    fit = max(_AT_ONCE, _OF_STATES * states) // max(a_step, 1)
    return _cheapest_length(max(min(fit, _LONGEST, steps), 1), steps, warm_up)


@cache
def _cheapest_length(most: int, steps: int, warm_up: int) -> int:
    def cost(length: int) -> int:
        counts = [warm_up // length, steps // length]
        left = [warm_up % length, steps % length]
        lengths = {one for one in left if one} | ({length} if any(counts) else set[int]())
        return _OF_A_PROGRAM * len(lengths) + sum(counts) + sum(map(bool, left))

    return min(range(most, 0, -1), key=cost)


def _counts(steps: int, length: int) -> Iterable[int]:
    for first in range(0, steps, length):
        yield min(length, steps - first)


def known_measures(simulation: Simulation) -> Mapping[str, Entry]:
    return entries.measures(simulation.model)


__all__ = [
    "Called",
    "Measuring",
    "Plan",
    "known_measures",
    "measured",
    "moves_by_itself",
    "need_a_run",
    "plan_of",
    "recorded",
    "runs",
    "setting_of",
    "side_by_side_fits",
    "value_and_gradient",
]
