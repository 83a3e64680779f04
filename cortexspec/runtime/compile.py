"""From a Spec to a program, stage by stage. Each stage is a function of its own, so that each can be shown."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import Any

from cortexspec.analysis.elaborate import elaborate, elaborate_experiment
from cortexspec.analysis.library import Brought
from cortexspec.analysis.model import ExperimentModel, Model
from cortexspec.analysis.plugins import NEEDED
from cortexspec.contracts.data_file import DataReader
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.expressions.tree import Expression
from cortexspec.ir.module import Function, Input, Line, Module, Value
from cortexspec.ir.ops.constant import Const
from cortexspec.lowering import lower
from cortexspec.lowering.declarations import SEED
from cortexspec.lowering.readout import Readout, lower_readout, resolved
from cortexspec.passes.carry_words import binary_states, carry_words
from cortexspec.passes.drive import drive
from cortexspec.passes.into_loops import into_loops
from cortexspec.runtime.intervals import check_intervals
from cortexspec.schema.spec import Spec, Template
from cortexspec.units import Unit

FIXED_STEP = ("euler", "heun", "midpoint", "rk4", "exponential_euler", "exact", "euler_maruyama")


@dataclass(frozen=True, slots=True)
class Source:
    """A Spec with the texts it came from, the specs of files that it uses, what its plugins bring, and its data files."""

    spec: Spec
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    used: Mapping[str, Spec] = field(default_factory=dict[str, Spec])
    plugins: tuple[Brought, ...] = ()
    data: DataReader | None = None  # of the files that it names; None where it is no file itself


def only_circuit(spec: Spec) -> str:
    """The name of the circuit where a spec has one. Raises: SpecError CS301."""
    names = [item.name for item in spec.items if isinstance(item, Template) and item.kind == "circuit"]
    if len(names) == 1:
        return names[0]
    what = "the spec has no circuit" if not names else "the spec has several circuits"
    raise SpecError([Diagnostic("CS301", what, help=f"name one of {', '.join(names)}" if names else "")])


def elaborated(
    source: Source,
    circuit: str | None,
    arguments: Mapping[str, Any],
    experiment: str | None = None,
    variant: str | None = None,
    time_unit: Unit | None = None,
) -> Model:
    """Raises: SpecError with every mistake."""
    name = circuit or (only_circuit(source.spec) if experiment is None else None)
    model, found = elaborate(
        source.spec, name, arguments, experiment, variant, source.used, source.plugins, time_unit, source.data
    )
    if model is None:
        raise SpecError(found, dict(source.sources))
    require_plugins(source, found)
    return model


def require_plugins(source: Source, found: Sequence[Diagnostic]) -> None:
    """What a missing plugin must bring to a circuit is an error once the circuit is to be run; its `use` alone is none.

    Raises: SpecError CS904.
    """
    needed = [one for one in found if one.code == "CS904" and one.label == NEEDED]
    if needed:
        raise SpecError([replace(one, severity="error") for one in needed], dict(source.sources))


def experiment_of(
    source: Source, name: str, variant: str | None = None, arguments: Mapping[str, Any] | None = None
) -> ExperimentModel:
    """What an experiment asks of its circuit. Raises: SpecError with every mistake."""
    model, found = elaborate_experiment(source.spec, name, variant, arguments, source.used, source.plugins, source.data)
    if model is None:
        raise SpecError(found, dict(source.sources))
    return model


def lowered(
    model: Model,
    *,
    training: bool = False,
    streams: Sequence[str] = (),
    stimuli: Mapping[str, Expression] | None = None,
    sources: Mapping[str, str] | None = None,
    sparse: Sequence[str] = (),
) -> Module:
    """The module with `start`, `init`, `derivative`, `update`, `output`, ... Raises: SpecError CS700 for what does not lower."""
    found: list[Diagnostic] = []
    paths = {name: resolved(expression, model) for name, expression in (stimuli or {}).items()}
    module = lower(model, found.append, training=training, streams=streams, stimuli=paths, sparse=sparse)
    if module is None:
        raise SpecError(found, dict(sources or {}))
    return module


def stepped(module: Module, solver: str) -> Module:
    """With `step`. Raises: SpecError CS711 for an unknown solver, CS700 for one that is not there yet."""
    if "derivative" not in module.functions:
        solver = "euler"  # only updates: every solver does the same
    if solver not in FIXED_STEP:
        near = get_close_matches(solver, FIXED_STEP, 1)
        help = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(FIXED_STEP)}"
        raise SpecError([Diagnostic("CS711", f"there is no solver `{solver}`", help=help)])
    try:
        found = importlib.import_module(f"cortexspec.passes.solvers.{solver}")
    except ModuleNotFoundError:
        raise SpecError([Diagnostic("CS700", f"the solver `{solver}` is not supported yet")]) from None
    return getattr(found, solver)(module)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The functions of one program.

    `record` and `final` make `rollout`; `readouts` whole functions of their own. `training` adds their versions for training:
    `rollout_training`, and readouts named in `trained` read the circuit as it is while training.
    """

    record: tuple[str, ...] = ()
    final: tuple[str, ...] = ()
    readouts: tuple[Readout, ...] = ()
    trained: tuple[str, ...] = ()
    training: bool = False
    rollout: bool = True
    pieces: tuple[str, ...] = ()  # functions of the module that are kept: `init`, `derivative`, `output`, ...
    resumed: tuple[str, ...] = ()  # readouts that go on from states that they are given
    ahead: tuple[str, ...] = ()  # functions of which the host computes what parameters and buffers alone decide
    zeros: tuple[str, ...] = ()  # numbers among the parameters that are 0 and stay so


def program_module(
    model: Model,
    wanted: Wanted,
    *,
    solver: str,
    dt: float | None,
    streams: Sequence[str] = (),
    stimuli: Mapping[str, Expression] | None = None,
    train_stimuli: Mapping[str, Expression] | None = None,
    sizes: Mapping[str, int] | None = None,
    sources: Mapping[str, str] | None = None,
    seed: int = 0,
    sparse: Sequence[str] = (),
) -> Module:
    """The module of a program, before the passes: whole rollouts, the step's length written in. `sparse`: as `lower` takes it.

    Raises: SpecError.
    """
    sources = dict(sources or {})
    fixed = solver in FIXED_STEP
    plain = lowered(model, streams=streams, stimuli=stimuli, sources=sources, sparse=sparse)
    if dt is not None:
        check_intervals(model, dt)
    plain = stepped(plain, solver) if fixed else plain
    plain = replace(plain, sizes=MappingProxyType({**plain.sizes, **(sizes or {})}))
    trained = plain
    if wanted.training or wanted.trained:
        every = {**(stimuli or {}), **(train_stimuli or {})}
        trained = lowered(model, training=True, streams=streams, stimuli=every, sources=sources, sparse=sparse)
        trained = stepped(trained, solver) if fixed else trained
        trained = replace(trained, sizes=plain.sizes)
    functions: dict[str, Function] = {}
    if wanted.rollout and fixed:
        functions["rollout"] = _driven(plain, wanted, "rollout")
        if wanted.training:
            functions["rollout_training"] = _driven(trained, wanted, "rollout_training")
    for readout in wanted.readouts:
        training = readout.function in wanted.trained
        resumed = readout.function in wanted.resumed
        module = trained if training else plain
        functions[readout.function] = read_out(model, module, readout, training, sources, resumed)
    for name in ("project", *wanted.pieces):
        if name in plain.functions:
            functions[name] = plain.functions[name]
    numbers = {**({} if dt is None else {"dt": dt}), **dict.fromkeys(wanted.zeros, 0.0)}
    if numbers:
        functions = {name: with_constants(function, numbers) for name, function in functions.items()}
    # What a program reads beside the circuit's inputs has a default too, where there is a sensible one.
    seeded = any(value.name == SEED.name for function in functions.values() for value in function.inputs)
    inputs = (*plain.inputs, Input(SEED, default=float(seed))) if seeded else plain.inputs
    return replace(plain, functions=MappingProxyType(functions), inputs=inputs)


def _driven(module: Module, wanted: Wanted, name: str) -> Function:
    try:
        return drive(module, wanted.record, wanted.final, name).function(name)
    except KeyError as error:
        raise SpecError([unknown_recording(module, str(error.args[0]))]) from None


def recordable(module: Module) -> list[str]:
    """Everything that a recording may name."""
    shown = [state.value.name for state in module.states]
    for name in ("step", "derivative", "update", "seen", "output"):
        if name in module.functions:
            shown += module.functions[name].output_names
    return list(dict.fromkeys(shown))


def unknown_recording(module: Module, name: str) -> Diagnostic:
    near = get_close_matches(name, recordable(module), 1)
    help = f"did you mean `{near[0]}`?" if near else ""
    return Diagnostic("CS301", f"there is nothing to record under the name `{name}`", help=help)


def read_out(
    model: Model, module: Module, readout: Readout, training: bool, sources: Mapping[str, str], resumed: bool
) -> Function:
    """The function of a readout. Raises: SpecError where it does not check, CS301 where it reads what the module has not."""
    driving = partial(drive, resumed=resumed)
    found: list[Diagnostic] = []
    try:
        made = lower_readout(model, module, readout, found.append, driving, training=training)
    except KeyError as error:
        raise SpecError([unknown_recording(module, str(error.args[0]))], dict(sources)) from None
    if made is None:
        raise SpecError(found, dict(sources))
    function = made.function(readout.function)
    # What is trained does afterwards, for all steps together, what does not depend on the state.
    if training or not resumed:
        return function
    # States that a run goes on from are those that it began with, or that its steps gave.
    begun = binary_states(module.function("init")) if "init" in module.functions else ()
    return carry_words(into_loops(function, module.sizes), module.sizes, begun)


def with_constants(function: Function, constants: Mapping[str, float]) -> Function:
    """The function with inputs replaced by numbers."""
    named = [value for value in function.inputs if value.name in constants]
    lines = tuple(Line((value,), Const(float(constants[value.name]), "float", value.type.unit), ()) for value in named)
    inputs = tuple(value for value in function.inputs if value.name not in constants)
    return replace(function, inputs=inputs, body=(*lines, *function.body))


def function_inputs(module: Module, name: str) -> dict[str, Value]:
    return {value.name: value for value in module.function(name).inputs}
