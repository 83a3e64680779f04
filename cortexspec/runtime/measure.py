"""Measures of a run of any length: it goes on piece by piece, each piece is taken in and forgotten.

A measure is split in two. Calls of a MeasureEntry, and means over everything, are gathered along the run; what is left is
an expression of their results, and is computed by a readout like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

from cortexspec.contracts.measure import Gathering, MeasureEntry
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.expressions import tree
from cortexspec.expressions.linear import children
from cortexspec.expressions.print import print_expression
from cortexspec.interpreter import run
from cortexspec.ir.module import Module, Value
from cortexspec.ir.op import Array
from cortexspec.ir.types import RuleError, Type
from cortexspec.lowering import entries
from cortexspec.lowering.declarations import TIME, TRIAL
from cortexspec.lowering.readout import Readout, rebuilt
from cortexspec.runtime.compile import Wanted
from cortexspec.runtime.finite import where_it_broke
from cortexspec.runtime.given import Given
from cortexspec.runtime.program import Loaded
from cortexspec.units import Unit

if TYPE_CHECKING:
    from cortexspec.runtime.simulation import Simulation

_AT_ONCE = 1 << 22  # recorded numbers in a piece
_LONGEST = 4096  # steps in a piece
_FRONT = (TRIAL.name, TIME.name)


@dataclass(frozen=True, slots=True)
class Gathered:
    """A call of a measure along the run: the entry, what it reads, and its settings."""

    name: str  # what stands for the call in the expression that is left
    entry: MeasureEntry
    arguments: tuple[tree.Expression, ...]
    settings: Mapping[str, Any]
    call: tree.Call
    outputs: tuple[str, ...]  # what its arguments are recorded as: one name for all calls that read the same


@dataclass(frozen=True, slots=True)
class Plan:
    """Measures as they are computed: `gathered` and `means` piece by piece, `rest` from what they give.

    `lets` are the names that the rest reads; `written` those that pieces read, lets and measures as they were written.
    """

    gathered: tuple[Gathered, ...]
    means: Mapping[str, tree.Expression]
    rest: Mapping[str, tree.Expression]
    lets: Mapping[str, tree.Expression]
    written: Mapping[str, tree.Expression] = field(default_factory=dict[str, tree.Expression])

    def pieces(self) -> dict[str, tree.Expression]:
        found = {name: value for one in self.gathered for name, value in zip(one.outputs, one.arguments, strict=True)}
        return {**found, **self.means}


def plan_of(
    measures: Mapping[str, tree.Expression],
    lets: Mapping[str, tree.Expression],
    known: Mapping[str, MeasureEntry],
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
    return Plan(tuple(splitter.found.values()), means, rest, {**kept, **others}, names)


class _Splitter:
    """Replaces calls of measures by names, equal calls by one."""

    def __init__(self, known: Mapping[str, MeasureEntry]):
        self.known = known
        self.found: dict[str, Gathered] = {}
        self.recorded: dict[str, str] = {}

    def split(self, node: tree.Expression) -> tree.Expression:
        match node:
            case tree.Call(function=tree.Name(name)) if name in self.known:
                text = print_expression(node)
                if text not in self.found:
                    self.found[text] = self.gathered(f"{name}.{len(self.found)}", self.known[name], node)
                return tree.Name(self.found[text].name, span=node.span)
            case _:
                return rebuilt(node, self.split)

    def gathered(self, name: str, entry: MeasureEntry, call: tree.Call) -> Gathered:
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
                settings[argument.name] = _setting(argument.value)
        outputs = tuple(
            self.recorded.setdefault(print_expression(one), f"{name}.{i}") for i, one in enumerate(positional)
        )
        return Gathered(name, entry, positional, settings, call, outputs)


def _setting(node: tree.Expression) -> Any:
    match node:
        case tree.Number(unit=""):
            return int(node.value) if float(node.value).is_integer() else node.value
        case tree.Text(value=text):
            return text
        case tree.Name(name="true" | "false" as word):
            return word == "true"
        case tree.Unary(operator="-", operand=inner):
            return -_setting(inner)
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


@dataclass(frozen=True, slots=True)
class _Run:
    """What all pieces of one run share. `piece` is gone through again and again; `after` is computed once, from the results."""

    simulation: Simulation
    given: Given
    seed: int | None
    first_trial: int
    piece: Readout
    after: tuple[Readout, ...] = ()
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
        zeros = self.simulation.zeros
        wanted = Wanted(readouts=readouts, rollout=False, resumed=names, pieces=("init",), ahead=piece, zeros=zeros)
        fields = {name: type_ for one in readouts for name, type_ in one.fields.items()}
        return self.simulation.load(wanted, steps, streams=self.given.streams, fields=fields, trials=self.given.trials)

    def call(
        self, loaded: Loaded, function: str, more: Mapping[str, Array], done: int = 0, count: int = 0
    ) -> dict[str, Array]:
        """A function with the inputs of `count` steps after the first `done` ones."""
        given = _frames_of(self.given, done, count)
        own = self.simulation.arguments(loaded, function, given, self.seed, self.first_trial)
        read = {value.name for value in loaded.module.function(function).inputs}
        arrays = {**own, **self._ahead(loaded, function), **more}
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
            self.ahead[length] = run(loaded.ahead[function], values, sim.sizes, module.layout, dtype)
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
    ends = {f"{name}[time = end]": _end(name) for name in simulation.states}
    piece = Readout("piece", {**plan.pieces(), **ends}, scalars=False, lets=plan.written)
    after = _after(plan)
    whole = after is not None and not _of_results(plan)  # it reads recordings of the whole run besides
    run = _Run(simulation, given, seed, first_trial, piece, () if after is None or whole else (after,))
    length = _length_of_piece(simulation, plan, given.trials, steps, warm_up)
    loaded = run.load(length)
    gatherings = _begin(simulation, plan, loaded.module, given.trials)
    started = run.call(loaded, "init", {})
    state, done = {name: started[name] for name in simulation.states}, 0
    for count in _counts(warm_up, length):
        state, done = _only_state(_go_on(run, count, state, done), simulation), done + count
    warm = state
    sums: dict[str, Any] = dict.fromkeys(plan.means, 0.0)
    for count in _counts(steps, length) if plan.pieces() else ():
        found = _go_on(run, count, state, done)
        for one in plan.gathered:
            pieces = [_arranged(loaded, name, found[name], given.trials) for name in one.outputs]
            gatherings[one.name].update(pieces)
        for name in plan.means:
            of_elements = isinstance(plan.means[name], tree.Call) and np.ndim(found[name]) > 0
            part = np.asarray(found[name], float) if of_elements else float(np.mean(found[name]))
            sums[name] += part * count / steps
        state, done = _only_state(found, simulation), done + count
    numbers: dict[str, Array] = {name: np.asarray(value) for name, value in sums.items()}
    if after is None:
        return numbers
    results = {name: np.asarray(one.result(), float) for name, one in gatherings.items()}
    fields = numbers | {name: np.broadcast_to(array, (given.trials,)) for name, array in results.items()}
    if whole:
        run = replace(run, after=(after,), loaded={})
        loaded = run.load(steps)
    rest = run.call(loaded, "measures", {**warm, **fields, "n": np.array(warm_up)}, warm_up, steps)
    return numbers | {name: np.asarray(rest[name]) for name in plan.rest}


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
    ends = {f"{name}[time = end]": _end(name) for name in simulation.states}
    run = _Run(simulation, given, seed, 0, Readout("piece", {"value": value, **ends}, scalars=False, lets=lets))
    plan = Plan((), {"value": value}, {}, {}, lets)
    length = _length_of_piece(simulation, plan, given.trials, steps, 0)
    state = {name: array for name, array in run.call(run.load(length), "init", {}).items() if name in simulation.states}
    parts: list[Array] = []
    names: tuple[str, ...] = ()
    for done in range(0, steps, length):
        count = min(length, steps - done)
        loaded = run.load(count)
        found = _go_on(run, count, state, done)
        type_ = _outputs(loaded.module, "piece")["value"].type
        order = loaded.module.layout.sort(type_.names)
        names = (*_FRONT, *(axis for axis in order if axis not in _FRONT))
        parts.append(np.asarray(found["value"]).transpose([order.index(axis) for axis in names]))
        state = _only_state(found, simulation)
    return np.concatenate(parts, axis=1), names, _outputs(run.load(length).module, "piece")["value"].type.unit


def moves_by_itself(value: tree.Expression, lets: Mapping[str, tree.Expression]) -> bool:
    """Whether an expression has a value at each step, which no other step takes part in: it can be recorded."""
    return _step_by_step(value, lets)


def _after(plan: Plan) -> Readout | None:
    """What is left of the measures, with the results of what was gathered as fields."""
    gathered = {one.name: Type((TRIAL,)) for one in plan.gathered}
    fields = gathered | {name: Type() for name in plan.means}
    return Readout("measures", plan.rest, lets=plan.lets, fields=fields) if plan.rest else None


def _of_results(plan: Plan) -> bool:
    """Whether all that is left reads results of the run alone."""
    results = {one.name for one in plan.gathered} | plan.means.keys()

    def reads_results(node: tree.Expression, open: frozenset[str]) -> bool:
        return all(
            name in results
            or (name in plan.lets and name not in open and reads_results(plan.lets[name], open | {name}))
            for name in _names(node)
        )

    return all(reads_results(one, frozenset()) for one in plan.rest.values())


def _go_on(run: _Run, count: int, state: Mapping[str, Array], done: int) -> dict[str, Array]:
    """The next steps. Raises: SpecError CS915 where a number leaves the finite ones."""
    loaded = run.load(count)
    found = run.call(loaded, "piece", {**state, "n": np.array(done)}, done, count)
    if all(np.isfinite(array).all() for array in found.values() if np.asarray(array).dtype.kind == "f"):
        return found
    begun = {name: _by_name(loaded, run.simulation.value_of(name).type.names, array) for name, array in state.items()}
    given = _frames_of(run.given, done, count)
    raw, last = run.simulation.raw_parameters(), done + count
    told = where_it_broke(run.simulation, given, raw, last, run.seed, run.first_trial, begun=(begun, done))
    raise SpecError([told], run.simulation.sources)


def _by_name(loaded: Loaded, names: frozenset[str], array: Array) -> Array:
    """An array of a program with its axes sorted by name."""
    order = loaded.module.layout.sort(names)
    return np.asarray(array).transpose([order.index(name) for name in sorted(names)])


def _frames_of(given: Given, done: int, count: int) -> Given:
    """The inputs of some steps alone."""
    if not given.streams:
        return given
    arrays = dict(given.arrays)
    for name in given.streams:
        place = given.axes[name].index(TIME.name)
        arrays[name] = arrays[name][(*[slice(None)] * place, slice(done, done + count))]
    return replace(given, arrays=arrays)


def _only_state(found: Mapping[str, Array], simulation: Simulation) -> dict[str, Array]:
    return {name: np.asarray(found[f"{name}[time = end]"]) for name in simulation.states}


def _end(name: str) -> tree.Expression:
    return tree.Index(tree.Reference(name), (tree.Argument(tree.Name("end"), "time"),))


def _begin(simulation: Simulation, plan: Plan, module: Module, trials: int) -> dict[str, Gathering]:
    """The measures before their first step. Raises: SpecError where one refuses, at the place of its call."""
    values = _outputs(module, "piece")
    begun: dict[str, Gathering] = {}
    for one in plan.gathered:
        read = [values[name] for name in one.outputs]
        try:
            for place, value in enumerate(read):
                one.entry.check(place, value.type)
            elements = [_elements(value, simulation.sizes) for value in read]
            begun[one.name] = one.entry.start(trials, elements, one.settings)
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


def _elements(value: Value, sizes: Mapping[str, int]) -> int:
    own = [axis for axis in value.type.axes if axis.name not in _FRONT]
    return int(np.prod([axis.size.evaluate(sizes) for axis in own], dtype=int))


def _arranged(loaded: Loaded, name: str, array: Array, trials: int) -> Array:
    """A recording as [trial, step, element]: trials that do not differ are told once more."""
    names = loaded.module.layout.sort(_outputs(loaded.module, "piece")[name].type.names)
    own = [axis for axis in names if axis not in _FRONT]
    order = [axis for axis in (*_FRONT, *own) if axis in names]
    arranged = np.asarray(array).transpose([names.index(axis) for axis in order])
    if TRIAL.name not in names:
        arranged = np.broadcast_to(arranged, (trials, *arranged.shape))
    return arranged if own else arranged[..., np.newaxis]


def _length_of_piece(simulation: Simulation, plan: Plan, trials: int, steps: int, warm_up: int) -> int:
    """Steps of a piece: as many as fit, and where a number nearby divides both the run and its warm-up, that one.

    One length is one program; each other length that is left over is compiled too.
    """
    # What a recording has a step, for an estimate: as much as the largest state.
    widest = max((_elements(state.value, simulation.sizes) for state in simulation.plain.states), default=1)
    most = max(min(_AT_ONCE // max(trials * widest * len(plan.pieces()), 1), _LONGEST, steps), 1)
    whole = gcd(steps, warm_up)
    return next((count for count in range(min(most, whole), max(most // 16, 1), -1) if whole % count == 0), most)


def _counts(steps: int, length: int) -> Iterable[int]:
    for first in range(0, steps, length):
        yield min(length, steps - first)


def known_measures(simulation: Simulation) -> Mapping[str, MeasureEntry]:
    return entries.measures(simulation.model)


__all__ = ["Gathered", "Plan", "known_measures", "measured", "moves_by_itself", "plan_of", "recorded"]
