"""One program of a circuit: how it was asked for, its passes, its adjoints, and the loaded result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from cortexspec.contracts.backend import CLEAN, Backend, Bound, Options, PassStep, Simulator, adjoint_pipeline
from cortexspec.contracts.program import all_lines
from cortexspec.ir.module import APART, Buffer, Function, Module, Value
from cortexspec.ir.ops.linear import Expm
from cortexspec.ir.ops.reduce import ArgSort
from cortexspec.ir.printer import print_module
from cortexspec.lowering.declarations import TRIAL
from cortexspec.passes.differentiate import differentiate, forward_and_backward
from cortexspec.passes.pipeline import DEFAULT, run_pipeline, through
from cortexspec.passes.split_ahead import split_ahead


@dataclass(frozen=True, slots=True)
class Settings:
    """How a circuit is compiled. `dt` and `duration` are in coherent units (ms, or steps where time is a number)."""

    backend: str = "interpreter"
    options: Options = Options()
    solver: str = "euler"
    dt: float | None = None
    duration: float | None = None
    seed: int = 0
    wiring: int | None = None  # the seed of what is drawn before a run; None for `seed`
    wired: bool = True  # whether connections are drawn; without them nothing runs
    pipeline: Sequence[PassStep] | None = None
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    streams: tuple[str, ...] = ()
    rtol: float = 1e-6
    atol: float = 1e-9


@dataclass(frozen=True, slots=True)
class Loaded:
    """A program that runs, with its module and what it was made for.

    `ahead` are parts of its functions that the host computes once: their results, by public name, are inputs of the functions.
    """

    simulator: Simulator
    module: Module
    bound: Bound
    ahead: Mapping[str, Function] = field(default_factory=dict[str, Function])
    settled: tuple[Function, ...] = ()  # what computes those of its buffers that the circuit has not


def optimised(module: Module, backend: Backend, settings: Settings) -> Module:
    """The module after the pipeline that was asked for, else the backend's, else the default one.

    Two circuits of one text have one result: the seeds of an experiment, and the points of its sweep, share the work.
    """
    pipeline = settings.pipeline if settings.pipeline is not None else backend.pipeline or DEFAULT
    defaults = {entry.value.name: entry.default for entry in module.inputs}  # a seed is one: no pass reads it
    plain = _with_defaults(module, {})
    spans = [line.span for function in module.functions.values() for line in all_lines(function)]
    return _with_defaults(_optimised(_Asked(f"{print_module(plain)}{spans}{pipeline}", plain, pipeline)), defaults)


def _with_defaults(module: Module, defaults: Mapping[str, float | None]) -> Module:
    inputs = (replace(entry, default=defaults.get(entry.value.name)) for entry in module.inputs)
    return replace(module, inputs=tuple(inputs))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A module and its passes; one text is one result."""

    text: str
    module: Module = field(compare=False)
    pipeline: Sequence[PassStep] = field(compare=False)


@lru_cache(maxsize=64)
def _optimised(asked: _Asked) -> Module:
    return run_pipeline(asked.module, asked.pipeline)


def with_adjoints(
    module: Module, backend: Backend, settings: Settings, wrt: Mapping[str, Sequence[str]], trainable: Sequence[str]
) -> Module:
    """With the IR's own adjoints, where `gradient = ir` asks for them, or `auto` and the backend prefers them.

    `wrt`: by what a readout is differentiated. A rollout has an adjoint where the program is made for training.
    """
    made = dict(module.functions)
    for name, paths in wrt.items():
        if _has_adjoint(module.function(name), backend, settings):
            read = {value.name for value in module.function(name).inputs}
            source = through(module, name, adjoint_pipeline(backend))
            function = differentiate(source, [path for path in paths if path in read])
            made[function.name] = function
    for name in ("rollout", "rollout_training") if "rollout_training" in made else ():
        if _has_adjoint(made[name], backend, settings):
            trained = [value.name for value in made[name].inputs if value.name in trainable]
            source = through(module, name, adjoint_pipeline(backend))
            for function in forward_and_backward(source, trained):
                made[function.name] = function
    if len(made) == len(module.functions):
        return module
    return run_pipeline(module.with_functions(**made), CLEAN)


def without_ahead(module: Module, names: Sequence[str]) -> tuple[Module, dict[str, Function]]:
    """The module with the named functions after what parameters and buffers alone decide, and that part of each."""
    known = {entry.value.name for entry in (*module.params, *module.buffers)}
    rest, ahead = dict(module.functions), dict[str, Function]()
    for name in names:
        parts = None if name + APART in rest else split_ahead(rest[name], known)
        if parts is not None:
            ahead[name], rest[name] = parts
    return module.with_functions(**rest), ahead


def with_settled(module: Module, names: Sequence[str]) -> tuple[Module, tuple[Function, ...]]:
    """The module with buffers in the place of what constant buffers alone decide in the named functions, and what computes them.

    Only where sorting or a matrix exponential is in it: anything else is as quick to do again at every update.
    """
    known = {buffer.value.name for buffer in module.buffers if buffer.role == "constant"}
    made: list[Function] = []
    for name in names:
        parts = split_ahead(module.function(name), known)
        if parts is None or not any(isinstance(line.op, ArgSort | Expm) for line in parts[0].body):
            continue
        first, rest = parts
        values = [Value(public, one.type) for public, one in zip(first.output_names, first.outputs, strict=True)]
        buffers = tuple(Buffer(value, "constant", f"settled:{name}") for value in values)
        taken = {buffer.value.name for buffer in module.buffers}
        if not taken & {value.name for value in values}:
            module = replace(
                module.with_functions(**{**module.functions, name: rest}), buffers=(*module.buffers, *buffers)
            )
            made.append(first)
    return module, tuple(made)


def _has_adjoint(function: Function, backend: Backend, settings: Settings) -> bool:
    match settings.options.gradient:
        case "auto":
            prefers: Callable[[Function], bool] | None = getattr(backend, "prefers_adjoint", None)
            return not settings.options.compile and prefers is not None and prefers(function)
        case chosen:
            return chosen == "ir"


def tells_trials(function: Function) -> bool:
    """Whether the number of trials can be read from an input, or does not matter."""
    values = [*function.outputs, *(value for line in function.body for value in line.results)]
    return not any(value.type.has(TRIAL.name) for value in values) or any(
        value.type.has(TRIAL.name) for value in function.inputs
    )
