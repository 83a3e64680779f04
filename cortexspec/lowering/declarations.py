"""What a module declares: which variables of a Model are parameters, buffers, states and inputs, and which are only definitions."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field

from cortexspec.analysis.model import Model, Projection, Variable
from cortexspec.expressions.linear import children
from cortexspec.expressions.print import print_expression
from cortexspec.expressions.tree import Argument, Call, Expression, Name, Reference
from cortexspec.ir.module import Buffer, Input, Param, State, Value
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.lowering import entries
from cortexspec.lowering.delays import delayed, past_state, steps_buffer
from cortexspec.lowering.edges import edge_axis, index_buffers, slot_buffer, source_path, starts_buffer
from cortexspec.lowering.sending import sends, sent_state
from cortexspec.lowering.sides import group_of, side_axes, variable_of
from cortexspec.lowering.trains import sends_spikes, train_states
from cortexspec.units import DIMENSIONLESS

TRIAL = Axis("trial", Size.symbol("trial"), "sample")
TIME = Axis("time", Size.symbol("time"), "time")
SEED = Value("seed", Type((), "int"))
TRIAL_NUMBER = Value("trial", Type((TRIAL,), "int"))
# The seed of what is drawn before a run, for definitions of the circuit that draw and follow a parameter.
WIRING_SEED = Value("wiring_seed", Type((), "int"))
STEP_NUMBER = Value("n", Type((), "int"))


# Functions whose value is worth keeping where nothing that trains or moves is in it.
_OF_START = frozenset({"grid_of", "distance", "matrix_exponential", "spectral_radius", "communicability", "sort"})


@dataclass(frozen=True, slots=True)
class Constraint:
    """`positive(by = exp)`: its entry's name, positional arguments, and the function of a reparametrisation or ""."""

    name: str
    arguments: tuple[Expression, ...]
    by: str

    @staticmethod
    def of(expression: Expression) -> Constraint:
        match expression:
            case Call(function=Name(name), arguments=arguments):
                by = next((_word(argument) for argument in arguments if argument.name == "by"), "")
                bounds = tuple(a.value for a in arguments if not a.name and a.value is not None)
                return Constraint(name, bounds, by)
            case Name(name):
                return Constraint(name, (), "")
            case _:
                return Constraint(print_expression(expression), (), "")


def _word(argument: Argument) -> str:
    match argument.value:
        case Name(name) | Reference(name):
            return name
        case _:
            return ""


@dataclass(frozen=True)
class Declarations:
    """`params` and `buffers` are read by their names; other variables are written out where they are read."""

    params: Mapping[str, Param]
    buffers: Mapping[str, Buffer]
    states: Mapping[str, State]
    inputs: Mapping[str, Input]
    constraints: Mapping[str, Constraint] = field(default_factory=dict[str, Constraint])

    @staticmethod
    def of(model: Model, streams: Iterable[str] = (), sparse: Collection[str] = ()) -> Declarations:
        """`streams` are the inputs that have one frame a step, `sparse` the projections that are summed from a table."""
        fixed = _Fixed(model)
        params: dict[str, Param] = {}
        buffers: dict[str, Buffer] = {}
        constraints: dict[str, Constraint] = {}
        delays = {f"{projection.path}.delay" for projection in delayed(model)}  # settled in steps before a run
        for path, variable in model.variables.items():
            if path in delays:
                continue
            if variable.kind == "data":
                one = model.data[path]
                source = f"data:{one.file}:{one.key}:{one.digest}"
                buffers[path] = Buffer(Value(path, variable.type), "constant", source)
            elif variable.kind == "running":
                buffers[path] = Buffer(Value(path, variable.type), "running")
            elif variable.kind == "param" and (variable.trainable or fixed.given(variable)):
                if variable.constraint is not None:
                    constraints[path] = Constraint.of(variable.constraint)
                params[path] = _param(variable, constraints.get(path))
            elif variable.kind == "param" and fixed.drawn_once(variable) and not fixed.follows(path):
                params[path] = _param(variable, None)
            elif (variable.kind == "attribute" or path in model.lets) and (
                fixed.drawn_once(variable) or fixed.made_ahead(variable)
            ):
                buffers[path] = Buffer(Value(path, variable.type), "constant")
        buffers |= {buffer.value.name: buffer for buffer in index_buffers(model)}
        late = (steps_buffer(model, projection, edge_axis(projection)) for projection in delayed(model))
        buffers |= {buffer.value.name: buffer for buffer in late}
        tables = (
            starts_buffer(one) if sends_spikes(model, one) else slot_buffer(one)
            for one in model.projections
            if one.path in sparse
        )
        buffers |= {buffer.value.name: buffer for buffer in tables}
        written_out = (v for p, v in model.variables.items() if p not in params and p not in buffers)
        if any((v.kind == "param" or v.path in model.lets) and fixed.draws(v) for v in written_out):
            buffers[WIRING_SEED.name] = Buffer(WIRING_SEED, "constant", source="wiring")
        return Declarations(params, buffers, _states(model), _inputs(model, frozenset(streams)), constraints)

    @property
    def names(self) -> frozenset[str]:
        return frozenset([*self.params, *self.buffers, *self.states, *self.inputs])


def _param(variable: Variable, constraint: Constraint | None) -> Param:
    reparametrised = constraint is not None and bool(constraint.by)
    raw = variable.type.with_unit(DIMENSIONLESS) if reparametrised else variable.type
    printed = print_expression(variable.constraint) if variable.constraint is not None else ""
    return Param(
        Value(variable.path, raw),
        variable.type,
        variable.trainable,
        printed,
        reparametrised,
        variable.unit_shown,
        variable.span,
    )


def _states(model: Model) -> dict[str, State]:
    states: dict[str, State] = {}
    for population in model.populations:
        for path in population.states:
            variable = model.variables[path]
            type_ = variable.type.with_axes((*variable.type.axes, TRIAL))
            own = path.removeprefix(f"{population.path}.")
            states[path] = State(Value(path, type_), population.path, population.neuron, own, variable.unit_shown)
    for projection in model.projections:
        for path in projection.synapse.states if projection.synapse is not None else ():
            variable, own = model.variables[path], path.removeprefix(f"{projection.path}.")
            value = Value(path, variable.type.with_axes((*variable.type.axes, TRIAL)))
            type_name = f"synapse {projection.synapse.type}" if projection.synapse is not None else ""
            states[path] = State(value, projection.path, type_name, own, variable.unit_shown)
    hidden = [_past(model, projection) for projection in delayed(model)]
    hidden += [sent_state(model, projection, TRIAL) for projection in model.projections if sends(projection)]
    states |= {state.value.name: state for state in hidden}
    states |= {state.value.name: state for state in train_states(model, TRIAL)}
    return states


def _past(model: Model, projection: Projection) -> State:
    """What a delay carries: impulses at the targets, or values of the sources."""
    path = source_path(projection)
    if sends_spikes(model, projection):
        unit = model.variables[projection.weight].type.unit if projection.weight is not None else DIMENSIONLESS
        if projection.synapse is not None:
            unit = model.variables[projection.synapse.input].type.unit * model.time_unit
        axes = side_axes(model, projection.target, projection.target_axes)
    else:
        owner, rest = (path, "") if path in model.variables else _first_of(model, path)
        axes = side_axes(model, path, projection.source_axes)
        unit = variable_of(model, owner, rest).type.unit
    return past_state(model, projection, axes, unit, TRIAL)


def _first_of(model: Model, path: str) -> tuple[str, str]:
    group, rest = group_of(model, path)
    return group.members[0], rest


def _inputs(model: Model, streams: frozenset[str]) -> dict[str, Input]:
    inputs: dict[str, Input] = {}
    for path in model.inputs:
        variable = model.variables[path]
        axes = (*variable.type.axes, TRIAL)
        inputs[path] = Input(Value(path, variable.type.with_axes(axes)), path in streams)
    return inputs


class _Fixed:
    """Whether a variable's value is settled before training: numbers and draws only, directly or through others."""

    def __init__(self, model: Model):
        self.model = model
        self.known: dict[str, bool] = {}
        self.of_start: dict[str, bool] = {}
        drawing = (name for name, entry in entries.functions(model).items() if entry.draws)
        self.drawing = {*entries.distributions(model), *drawing}

    def given(self, variable: Variable) -> bool:
        """A parameter that is a value of its own, not the result of others."""
        return variable.draw is not None or variable.value is None or not any(_references(variable.value))

    def drawn_once(self, variable: Variable) -> bool:
        """A definition of the circuit that draws, and reads nothing that trains or moves. (One of a neuron draws anew each step.)"""
        return self.fixed(variable.path) and self.draws(variable)

    def made_ahead(self, variable: Variable) -> bool:
        """A definition of the circuit that is settled by draws, data or functions of the host alone: it is computed once, with the start.

        What is only another name is read where it stands.
        """
        if variable.path not in self.model.lets or variable.value is None or isinstance(variable.value, Reference):
            return False
        return self.fixed(variable.path) and self.prepared(variable.path) and not self.follows(variable.path)

    def prepared(self, path: str) -> bool:
        """Whether a value comes of a draw or of data, or of a function that belongs to the start."""
        if path not in self.of_start:
            self.of_start[path] = False
            variable = self.model.variables.get(path)
            self.of_start[path] = variable is not None and self._prepared(variable)
        return self.of_start[path]

    def _prepared(self, variable: Variable) -> bool:
        if variable.kind in ("data", "attribute") or variable.draw is not None:
            return True
        if variable.value is None:
            return False
        if _calls_one_of(self.drawing | _OF_START, variable.value):
            return True
        return any(self.prepared(path) for path in _references(variable.value))

    def follows(self, path: str) -> bool:
        """Whether a value reads a parameter that can be set at a run, directly or through others."""
        variable = self.model.variables.get(path)
        read = [] if variable is None else [e for e in (variable.value, variable.draw) if e is not None]
        paths = [one for expression in read for one in _references(expression)]
        variables = [self.model.variables[one] for one in paths if one in self.model.variables]
        return any((v.kind == "param" and self.given(v)) or self.follows(v.path) for v in variables)

    def draws(self, variable: Variable) -> bool:
        if variable.kind == "attribute" or variable.draw is not None:
            return True
        return variable.value is not None and _calls_one_of(self.drawing, variable.value)

    def fixed(self, path: str) -> bool:
        if path not in self.known:
            self.known[path] = False  # a loop is not fixed
            variable = self.model.variables.get(path)
            self.known[path] = variable is not None and self._fixed(variable)
        return self.known[path]

    def _fixed(self, variable: Variable) -> bool:
        if variable.trainable or variable.kind not in ("param", "attribute", "let", "constant", "data"):
            return False
        read = [expression for expression in (variable.value, variable.draw) if expression is not None]
        return all(self.fixed(path) for expression in read for path in _references(expression))


def _references(expression: Expression) -> Iterable[str]:
    if isinstance(expression, Reference):
        yield expression.path
    for child in children(expression):
        yield from _references(child)


def _calls_one_of(names: Container[str], expression: Expression) -> bool:
    if isinstance(expression, Call) and isinstance(expression.function, Name):
        if expression.function.name in names:
            return True
    return any(_calls_one_of(names, child) for child in children(expression))
