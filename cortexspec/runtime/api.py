"""The public face: load or parse a spec, compile a circuit, save and restore what was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from cortexspec.analysis.infer_types import TIME
from cortexspec.contracts.backend import Options, PassStep
from cortexspec.diagnostics import SpecError
from cortexspec.expressions.tree import Expression, Name, Number
from cortexspec.language.parse import parse_spec
from cortexspec.runtime.compile import FIXED_STEP, Source, elaborated, experiment_of
from cortexspec.runtime.plugins import plugins_of
from cortexspec.runtime.quantities import Quantity, coherent
from cortexspec.runtime.read import read_file
from cortexspec.runtime.registry import load_backend
from cortexspec.runtime.simulation import Settings, Simulation
from cortexspec.schema.spec import Spec
from cortexspec.units import DIMENSIONLESS, Unit, UnitError, parse_quantity

# Where a loaded Spec came from, so that its mistakes can be shown with their lines. A Spec made in Python has no text.
_SOURCES: dict[int, tuple[Spec, Source]] = {}


def load(path: str | Path) -> Spec:
    """A spec from a .cortex, .yaml or .json file, or the `model.cortex` of a folder. Raises: SpecError with every mistake."""
    reading = read_file(path)
    spec = reading.require()
    _SOURCES[id(spec)] = (spec, Source(spec, reading.sources, reading.used, reading.plugins, reading.data))
    return spec


def parse(text: str, source: str = "<text>") -> Spec:
    """A spec from text. Raises: SpecError with every mistake."""
    spec, found = parse_spec(text, source)
    if spec is None or any(one.severity == "error" for one in found):
        raise SpecError(found, {source: text})
    _SOURCES[id(spec)] = (spec, with_plugins(Source(spec, {source: text})))
    return spec


def source_of(spec: Spec | str | Path) -> Source:
    """The spec with its texts; a path is loaded."""
    if not isinstance(spec, Spec):
        spec = load(spec)
    known = _SOURCES.get(id(spec))
    return known[1] if known is not None and known[0] is spec else with_plugins(Source(spec))


def with_plugins(source: Source) -> Source:
    """With what the installed plugins bring that the spec uses. Raises: SpecError where one of them is wrong."""
    found = plugins_of([source.spec])
    sources = {**source.sources, **found.sources}
    if found.diagnostics:
        raise SpecError(found.diagnostics, sources)
    return replace(source, sources=sources, plugins=found.brought)


def compile(
    spec: Spec | str | Path,
    circuit: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    *,
    experiment: str | None = None,
    variant: str | None = None,
    backend: str = "interpreter",
    dtype: Literal["float32", "float64"] = "float32",
    solver: str | None = None,
    dt: Quantity | None = None,
    duration: Quantity | None = None,
    seed: int = 0,
    wiring: int | None = None,
    gradient: Literal["auto", "native", "ir"] = "auto",
    pipeline: Sequence[PassStep] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    streams: Sequence[str] = (),
    device: str = "cpu",
    math: Literal["fast", "exact"] = "fast",
    torch_compile: bool = False,
    rtol: float = 1e-6,
    atol: float = 1e-9,
) -> Simulation:
    """A circuit of a spec as a simulation that runs and trains.

    `arguments` are the circuit's template arguments. `dt` and `duration` are quantities such as "0.1 ms"; they, the solver
    (else Euler) and the stimuli are those of the `experiment` where one is named. `shapes` are those of
    inputs whose size only the data tell: `{"image": (1, 28, 28)}`; `streams` names the inputs to which `module` gets one frame
    a step (`simulate` sees it from the arrays). `wiring` is the seed of connections, weights and all else that is drawn before a run,
    `seed` where none is given. `pipeline` overrides the backend's passes.
    Raises: SpecError with every mistake of the spec; CS802 where the backend is not installed.
    """
    source = source_of(spec)
    engine = load_backend(backend)
    unit = _time_unit(dt, duration)
    try:
        model = elaborated(source, circuit, arguments or {}, experiment, variant, unit)
    except SpecError:
        if unit != DIMENSIONLESS:
            raise
        # Time is no number in these equations: then the text without a unit is the mistake, and told as such.
        model = elaborated(source, circuit, arguments or {}, experiment, variant)
    asked = experiment_of(source, experiment, variant, arguments or {}) if experiment is not None else None
    section: Mapping[str, Expression] = asked.simulate if asked is not None else {}
    solver = solver or _word(section.get("solver")) or "euler"
    dt = dt if dt is not None else _quantity(section.get("dt"))
    duration = duration if duration is not None else _quantity(section.get("duration"))
    wiring = wiring if wiring is not None else _whole(section.get("wiring"))
    _check_solver(solver, engine.adaptive_solvers)
    _check_options(dtype=dtype, gradient=gradient, math=math)
    unit = model.time_unit
    settings = Settings(
        backend=backend,
        options=Options(dtype, device, torch_compile, gradient, math),
        solver=solver,
        dt=coherent(dt, unit, "dt") if dt is not None else None,
        duration=coherent(duration, unit, "the duration") if duration is not None else None,
        seed=seed,
        wiring=wiring,
        pipeline=pipeline,
        sizes=input_sizes(model, shapes or {}),
        streams=_known_inputs(model, streams),
        rtol=rtol,
        atol=atol,
    )
    provenance = {"spec": next(iter(source.sources), "")}
    stimuli = dict(asked.stimuli) if asked is not None else {}
    return Simulation(model, engine, settings, sources=source.sources, stimuli=stimuli, provenance=provenance)


def _whole(expression: Expression | None) -> int | None:
    return int(expression.value) if isinstance(expression, Number) else None


def _time_unit(*given: Quantity | None) -> Unit | None:
    """Where a time is given in ms the equations must have it so, where it is a text without a unit they may; a number says nothing."""
    found: Unit | None = None
    for one in given:
        if one is not None and not isinstance(one, (int, float)):
            try:
                unit = parse_quantity(one).unit
            except UnitError:
                continue  # told where the quantity is read
            if unit == TIME:
                return TIME
            if isinstance(one, str) and unit == DIMENSIONLESS:
                found = DIMENSIONLESS
    return found


def _word(node: Expression | None) -> str:
    return node.name if isinstance(node, Name) else ""


def _quantity(node: Expression | None) -> Quantity | None:
    """A setting that is a number with its unit."""
    if not isinstance(node, Number):
        return None
    return f"{node.text} {node.unit}".strip() if node.unit else node.value


_OPTIONS = {"dtype": ("float32", "float64"), "gradient": ("auto", "native", "ir"), "math": ("fast", "exact")}


def _check_options(**given: str) -> None:
    """Raises: SpecError CS804 naming what there is."""
    from cortexspec.diagnostics import Diagnostic

    for name, value in given.items():
        if value not in _OPTIONS[name]:
            known = ", ".join(_OPTIONS[name])
            raise SpecError([Diagnostic("CS804", f"there is no {name} `{value}`", help=f"there are {known}")])


def _check_solver(solver: str, adaptive: Sequence[str]) -> None:
    """Raises: SpecError CS711 naming what there is."""
    from difflib import get_close_matches

    from cortexspec.diagnostics import Diagnostic

    known = (*FIXED_STEP, *adaptive)
    if solver not in known:
        near = get_close_matches(solver, known, 1)
        help = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
        raise SpecError([Diagnostic("CS711", f"there is no solver `{solver}`", help=help)])


def _known_inputs(model: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Raises: SpecError CS301."""
    from cortexspec.diagnostics import Diagnostic

    for name in names:
        if name not in model.inputs:
            known = ", ".join(f"`{one}`" for one in model.inputs)
            raise SpecError([Diagnostic("CS301", f"the circuit has no input `{name}`", help=f"its inputs: {known}")])
    return tuple(names)


def input_sizes(model: Any, shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Size symbols of inputs from their shapes. Raises: SpecError CS301, CS501."""
    from cortexspec.diagnostics import Diagnostic
    from cortexspec.ir.size import Size

    found: dict[str, int] = {}
    for name, shape in shapes.items():
        _known_inputs(model, [name])
        variable = model.variables[name]
        written = variable.axes_written
        if len(written) != len(shape):
            message = f"the input `{name}` has {len(written)} axes, its shape is given as {tuple(shape)}"
            raise SpecError([Diagnostic("CS501", message)])
        for axis, length in zip(written, shape, strict=True):
            size = variable.type.axis(axis).size
            if len(size.symbols) == 1 and size == Size.symbol(next(iter(size.symbols))):
                found[next(iter(size.symbols))] = int(length)
            elif size.fixed is not None and size.fixed != length:
                message = (
                    f"the axis `{axis}` of `{name}` has {size.fixed} elements, its shape is given as {tuple(shape)}"
                )
                raise SpecError([Diagnostic("CS501", message)])
    return found


def save(simulation: Simulation, path: str | Path) -> None:
    """Parameters and buffers as a safetensors file that any backend loads, bound to the circuit. Written whole or not at all."""
    from cortexspec.runtime.checkpoint import write_checkpoint

    write_checkpoint(Path(path), simulation.identity, simulation.circuit, simulation.parameters(), simulation.buffers())


def restore(simulation: Simulation, path: str | Path) -> Simulation:
    """Loads a checkpoint into a simulation of the same circuit, whatever its backend; gives the simulation.

    Raises: SpecError CS901 where the file is not there, CS914 where it is cut short or of another circuit.
    """
    from cortexspec.runtime.checkpoint import read_checkpoint

    parameters, buffers = read_checkpoint(
        Path(path), simulation.identity, simulation.circuit, simulation.settled_shapes
    )
    simulation.rewire(buffers)
    simulation.set_parameters(parameters)
    simulation.set_buffers(buffers)
    return simulation
