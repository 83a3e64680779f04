"""A compiled circuit: parameters under the spec's names, runs as named arrays, gradients, the backend's own module."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cortexspec.analysis.model import Model
from cortexspec.analysis.surrogates import without_surrogate
from cortexspec.contracts.backend import Backend, Bound
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.expressions.parse import parse_expression
from cortexspec.expressions.tree import Expression
from cortexspec.interpreter import run
from cortexspec.ir.module import APART, Function, Module, Value
from cortexspec.ir.op import Array, transpose
from cortexspec.ir.types import Type
from cortexspec.lowering.declarations import TRIAL
from cortexspec.lowering.delays import delayed, slots_of, steps_of
from cortexspec.lowering.edges import has_edges, source_path
from cortexspec.lowering.readout import Readout
from cortexspec.lowering.trains import of_a_backward_pass, train_of
from cortexspec.passes.each_trial import each_trial
from cortexspec.passes.forget_reached import forget_reached
from cortexspec.passes.remove_dead import remove_unread
from cortexspec.runtime.bind import constrained, unconstrained
from cortexspec.runtime.compile import FIXED_STEP, Wanted, lowered, program_module, recordable, unknown_recording
from cortexspec.runtime.dynamics import Equilibrium, Flow, fixed_points, spectrum
from cortexspec.runtime.given import Given, not_finite, read_inputs
from cortexspec.runtime.probabilities import check_probabilities
from cortexspec.runtime.program import (
    Loaded,
    Settings,
    optimised,
    tells_trials,
    with_adjoints,
    with_settled,
    without_ahead,
)
from cortexspec.runtime.quantities import Quantity, coherent, coherent_array, whole_steps
from cortexspec.runtime.recordings import Recording, dataset, outputs_of
from cortexspec.runtime.sparse import Events, Table, tables
from cortexspec.runtime.start import started
from cortexspec.runtime.wiring import neurons_of
from cortexspec.units import DIMENSIONLESS

if TYPE_CHECKING:
    import xarray

_END = "[time = end]"


class Simulation:
    """What `compile` gives. Parameters, inputs and results have their axes in written order: trial, time, instance, neuron, own.

    Numbers at this border are in the coherent set (ms, mV, pA, nS, pF, GOhm, kHz, um); texts such as "50 Hz" say their unit.
    """

    def __init__(
        self,
        model: Model,
        backend: Backend,
        settings: Settings,
        *,
        sources: Mapping[str, str] | None = None,
        stimuli: Mapping[str, Expression] | None = None,
        provenance: Mapping[str, str] | None = None,
    ):
        self.model, self.backend, self.settings = model, backend, settings
        self.sources, self.stimuli = dict(sources or {}), dict(stimuli or {})
        self.provenance = dict(provenance or {})
        self._plain = lowered(model, stimuli=self.stimuli, sources=self.sources)
        self._loaded: dict[tuple[str, int | None], Loaded] = {}
        self._modules: dict[object, Module] = {}  # before the passes
        self.types: dict[str, Mapping[str, Type]] = {}  # of expressions that were read along a run, for `types_of`
        self.functions: dict[str, Function] = {}  # of readouts without a step, for `function_of`
        self._without_trials: set[str] = set()
        self._main: Loaded | None = None
        wiring = settings.seed if settings.wiring is None else settings.wiring
        start = started(model, self._plain, settings.sizes, wiring, self.sources, settings.dt, wired=settings.wired)
        self.sizes = start.sizes
        check_probabilities(self._plain, self.sizes, {**start.arrays.raw, **start.arrays.buffers}, self.sources)
        # Never written to, and handed on without a copy: a large circuit's connections fill most of a memory.
        self._raw = self._frozen(start.arrays.raw)
        self._buffers = self._frozen(start.arrays.buffers)

    def __repr__(self) -> str:
        count = sum(array.size for name, array in self._raw.items() if self._params[name].trainable)
        return f"<Simulation of {self.model.circuit} on {self.settings.backend}: {count} trainable parameters>"

    # Parameters.

    @cached_property
    def _params(self) -> dict[str, Any]:
        return {param.value.name: param for param in self._plain.params}

    @property
    def states(self) -> tuple[str, ...]:
        """The names of all state variables."""
        return tuple(state.value.name for state in self._plain.states)

    @property
    def carried(self) -> tuple[str, ...]:
        """Those that a run gives at its end, and goes on from."""
        return tuple(state.value.name for state in self._plain.states if not of_a_backward_pass(state))

    @property
    def circuit(self) -> str:
        return self.model.circuit

    @property
    def trainable(self) -> tuple[str, ...]:
        """The names of what is trained."""
        return tuple(name for name, param in self._params.items() if param.trainable)

    @property
    def zeros(self) -> tuple[str, ...]:
        """Parameters of one number that are 0 at present."""
        plain = [name for name, param in self._params.items() if not param.reparametrised]
        raw = self._present_raw()
        return tuple(name for name in plain if raw[name].ndim == 0 and raw[name] == 0)

    def raw_parameters(self) -> dict[str, Array]:
        """What is trained: the logarithm of a `positive(by = exp)`, and so on."""
        return {name: np.array(array) for name, array in self._present_raw().items()}

    def _present_raw(self) -> Mapping[str, Array]:
        if self._main is None:
            return self._raw
        return self._as_written(self._main.simulator.parameters(), self._main.module)

    def set_raw_parameters(self, raw: Mapping[str, Array]) -> None:
        """Raises: SpecError CS301 for an unknown name, CS501 for a wrong shape."""
        self._check(raw)
        kept = {name: np.array(array, float) for name, array in raw.items()}
        self._raw |= kept
        if self._main is not None:
            self._main.simulator.set_parameters(self.in_layout(self._main.module, kept))

    def parameters(self) -> dict[str, Array]:
        """Natural values in coherent units, under the same dotted names on every backend."""
        raw = self._present_raw()
        natural = constrained(self._plain, self.sizes, self.in_layout(self._plain, raw))
        return self.in_written(self._plain, natural)

    def set_parameters(self, parameters: Mapping[str, Quantity]) -> None:
        """Natural values: arrays or numbers in coherent units, quantities, or text such as "50 Hz".

        Raises: SpecError CS301 for an unknown name, CS401 for a wrong unit, CS501 for a wrong shape,
        CS806 for a value that is no finite number.
        """
        self.set_raw_parameters(self.raw_of(parameters))

    def raw_of(self, parameters: Mapping[str, Quantity]) -> dict[str, Array]:
        natural: dict[str, Array] = {}
        for name, value in parameters.items():
            if name not in self._params:
                raise SpecError([_unknown("parameter", name, self._params)])
            unit = self._params[name].natural.unit
            array = coherent_array(value, unit, f"the parameter `{name}`").astype(float)
            if not np.isfinite(array).all():
                raise SpecError([not_finite("parameter", name, array, self.model.variables[name].span)], self.sources)
            natural[name] = np.array(np.broadcast_to(array, self._raw[name].shape)) if array.ndim == 0 else array
        self._check(natural)
        raw = unconstrained(self._plain, self.sizes, self.in_layout(self._plain, natural))
        return self.in_written(self._plain, raw)

    def _check(self, arrays: Mapping[str, Array]) -> None:
        for name, array in arrays.items():
            if name not in self._raw:
                raise SpecError([_unknown("parameter", name, self._raw)])
            if np.shape(array) != self._raw[name].shape:
                axes = ", ".join(self._axes(name))
                message = f"`{name}` [{axes}] has the shape {self._raw[name].shape}, it is given {np.shape(array)}"
                raise SpecError([Diagnostic("CS501", message)])

    def buffers(self) -> dict[str, Array]:
        """Data, drawn wiring and running statistics."""
        return {name: _copied(array) for name, array in self._present_buffers().items()}

    def _present_buffers(self) -> Mapping[str, Array]:
        if self._main is None:
            return self._buffers
        found = self._main.simulator.buffers()
        return self._as_written({name: found[name] for name in self._buffers}, self._main.module)

    def set_buffers(self, buffers: Mapping[str, Array]) -> None:
        """Raises: SpecError CS301 for an unknown name, CS501 for a wrong shape and for a connection of a neuron that is not there,
        CS916 for a delay that is longer than the longest was.
        """
        kept = {name: np.array(array) for name, array in buffers.items()}
        self._check_buffers(kept)
        self._buffers |= kept
        if self._main is not None:
            self._main.simulator.set_buffers(self.in_layout(self._main.module, kept))
        self.__dict__.pop("_tables", None)
        if self._main is not None:
            self._renew_tables(self._main)

    def _check_buffers(self, buffers: Mapping[str, Array]) -> None:
        """Compiled kernels write where these say."""
        types = {buffer.value.name: buffer.value.type for buffer in self._plain.buffers}
        for name, array in buffers.items():
            if name not in types:
                raise SpecError([_unknown("buffer", name, types)])
            wanted = tuple(types[name].axis(axis).size.evaluate(self.sizes) for axis in self._axes(name))
            if array.shape != wanted:
                raise SpecError([Diagnostic("CS501", f"`{name}` has the shape {wanted}, it is given {array.shape}")])
        late = {steps_of(one): self.sizes[slots_of(one)] + 1 for one in delayed(self.model)}
        ends = {
            f"{one.path}.{side}": sum(each.size for each in neurons_of(self.model, path, self.sizes))
            for one in self.model.projections
            if has_edges(self.model, one)
            for side, path in (("post", one.target), ("pre", source_path(one)))
        }
        for name, count in {**late, **ends}.items():
            given = buffers.get(name, np.zeros(0))
            if given.size and not 0 <= given.min() <= given.max() < count:
                message = f"`{name}` lies between 0 and {count - 1}, it is given {given.min():g} to {given.max():g}"
                raise SpecError([Diagnostic("CS916" if name in late else "CS501", message)])

    def rewire(self, buffers: Mapping[str, Array]) -> None:
        """Makes room for other drawn wiring: what was made for the present one is unloaded, weights of single connections are lost.

        `parameters` and `buffers` of that wiring are to be set next. A `module` given out before stays as it was.
        """
        counts = {
            f"{name.removesuffix('.pre')}.edges": len(array) for name, array in buffers.items() if name.endswith(".pre")
        } | {
            slots_of(one): max(1, int(np.max(buffers[steps_of(one)], initial=0)))
            for one in delayed(self.model)
            if steps_of(one) in buffers
        }
        if all(self.sizes.get(symbol, count) == count for symbol, count in counts.items()):
            return
        self.sizes |= {symbol: count for symbol, count in counts.items() if symbol in self.sizes}
        for name in self._wired:
            shape = [axis.size.evaluate(self.sizes) for axis in self._params[name].natural.axes]
            self._raw[name] = np.zeros(shape)
        self._loaded.clear()
        self._main = None

    @cached_property
    def _wired(self) -> tuple[str, ...]:
        """Parameters with one value for each drawn connection."""
        params = self._params.items()
        return tuple(name for name, one in params if any(axis.role == "edge" for axis in one.natural.axes))

    @property
    def settled_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the parameters that are the same for every wiring."""
        return {name: array.shape for name, array in self.parameters().items() if name not in self._wired}

    # Axis orders: the public one is the written one, a program has its layout's.

    def _axes(self, name: str) -> tuple[str, ...]:
        variable = self.model.variables.get(name)
        if variable is None:  # the edges of drawn wiring
            buffers = {buffer.value.name: buffer.value for buffer in self._plain.buffers}
            return tuple(axis.name for axis in buffers[name].type.axes)
        return variable.axes_written or tuple(axis.name for axis in variable.type.axes)

    def _as_written(self, arrays: Mapping[str, Array], module: Module) -> dict[str, Array]:
        """Views of a program's arrays with their axes in written order."""
        return {
            name: _reordered(one, module.layout.sort(self._axes(name)), self._axes(name))
            for name, one in arrays.items()
        }

    def _frozen(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        found = {name: np.asarray(one, order="C") for name, one in self._as_written(arrays, self._plain).items()}
        for array in found.values():
            array.flags.writeable = False
        return found

    @property
    def plain(self) -> Module:
        """The module before solver and passes, with its sizes."""
        return replace(self._plain, sizes=self.sizes)

    def in_written(self, module: Module, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """A program's parameters or buffers with their axes in written order."""
        return {name: np.array(array) for name, array in self._as_written(arrays, module).items()}

    def in_layout(self, module: Module, arrays: Mapping[str, Array]) -> dict[str, Array]:
        return {
            name: _reordered(one, self._axes(name), module.layout.sort(self._axes(name)))
            for name, one in arrays.items()
        }

    def for_each_trial(self, module: Module, name: str, raw: Array) -> Array:
        """Raw values of a parameter [trial, own axes in written order] as the input of a program that has one a trial."""
        written = (TRIAL.name, *self._axes(name))
        return raw.transpose([written.index(axis) for axis in module.layout.sort(written)])

    # Programs.

    def load(
        self,
        wanted: Wanted,
        steps: int | None,
        *,
        streams: Sequence[str] = (),
        fields: Mapping[str, Type] | None = None,
        train_stimuli: Mapping[str, Expression] | None = None,
        wrt: Mapping[str, Sequence[str]] | None = None,
        trials: int = 1,
        each: Sequence[str] = (),
    ) -> Loaded:
        """The program for what is wanted, from the cache where it was made before. It starts with the present parameters.

        `wrt`: for readouts that are differentiated, by what. `trials` counts only where no input tells their number. `each`:
        parameters that are inputs with a raw value for each trial. Raises: RuleError, ValueError where they cannot be.
        """
        more = [tuple(each), *(sorted(one.items()) for one in (fields or {}, train_stimuli or {}, wrt or {}))]
        # One weight a trial has no table, nor has what is differentiated though it is not trained.
        found: Mapping[str, Table | Events] = {} if each or (wrt and not self.trainable) else self._tables
        slots = {name: size for path, table in found.items() for name, size in table.sizes(path).items()}
        what = repr((wanted, steps, tuple(streams), more, slots))
        key = (what, trials if what in self._without_trials else None)
        if key not in self._loaded:
            before = (repr((wanted, tuple(streams), more)), tuple(self.sizes.items()), tuple(found))
            if before not in self._modules:  # a run of another length has the same module
                module = program_module(
                    self.model,
                    wanted,
                    solver=self.settings.solver,
                    dt=self.settings.dt,
                    streams=streams,
                    stimuli=self.stimuli,
                    train_stimuli=train_stimuli,
                    sizes=self.sizes,
                    sources=self.sources,
                    seed=self.settings.seed,
                    sparse=tuple(found),
                )
                self._modules[before] = each_trial(module, each, TRIAL)
            module = self._modules[before]
            if not all(tells_trials(function) for function in module.functions.values()):
                self._without_trials.add(what)
                key = (what, trials)
            told = {"time": steps, "trial": key[1]}
            sizes = {**self.sizes, **slots, **{name: count for name, count in told.items() if count is not None}}
            # What `module` runs may be differentiated by anybody's own loop.
            plain = {
                name: one for name, one in module.functions.items() if not wanted.training and name not in (wrt or {})
            }
            plain = {name: forget_reached(function) for name, function in plain.items()}
            module = replace(module.with_functions(**plain), sizes=sizes)
            module = optimised(module, self.backend, self.settings)
            # Behind the passes: some count on the number of the step, which nothing may have read.
            unread = {*self.states} - {*self.carried}
            forms = [form for name in plain for form in (name, name + APART) if form in module.functions]
            module = module.with_functions(**{name: remove_unread(module.function(name), unread) for name in forms})
            module, settled = with_settled(module, list(wrt or {}))
            module = with_adjoints(module, self.backend, self.settings, wrt or {}, self.trainable)
            module, ahead = without_ahead(module, wanted.ahead)
            bound = Bound(module, sizes, self._raw_of(module), self._buffers_of(module, settled))
            self._loaded[key] = Loaded(self.backend.load(bound, self.settings.options), module, bound, ahead, settled)
        loaded = self._loaded[key]
        if loaded is not self._main:
            self.renew(loaded)
            loaded.simulator.set_buffers(self._buffers_of(loaded.module, loaded.settled))
        return loaded

    def renew(self, loaded: Loaded) -> None:
        """Gives a program the present parameters."""
        loaded.simulator.set_parameters(self._raw_of(loaded.module))

    def _raw_of(self, module: Module) -> dict[str, Array]:
        """The present raw values of a program's parameters, in its layout."""
        known = {param.value.name for param in module.params}
        return self.in_layout(module, {name: array for name, array in self._present_raw().items() if name in known})

    def _renew_tables(self, main: Loaded) -> None:
        """Tables of other wiring in the program behind `module`; where they have other sizes it is made anew when it is asked for."""
        sizes = {name: size for path, one in self._tables.items() for name, size in one.sizes(path).items()}
        if any(main.bound.sizes.get(name, size) != size for name, size in sizes.items()):
            self._raw, self._buffers, self._main = self.raw_parameters(), self.buffers(), None
        else:
            main.simulator.set_buffers(self._buffers_of(main.module))

    @cached_property
    def _tables(self) -> Mapping[str, Table | Events]:
        """Of the present wiring, the projections that programs sum from a table, or by events."""
        return tables(self.model, self.sizes, self._present_buffers(), trained=bool(self.trainable))

    def _buffers_of(self, module: Module, settled: Sequence[Function] = ()) -> dict[str, Array]:
        """The buffers as a module has them, with the places of its tables and what is settled by the others."""
        named = {buffer.value.name for buffer in module.buffers}
        places = {name: one for path, table in self._tables.items() for name, one in table.buffers(path).items()}
        found = self.in_layout(module, self._present_buffers()) | {
            name: one for name, one in places.items() if name in named
        }
        for function in settled:
            found |= run(function, {one.name: found[one.name] for one in function.inputs}, self.sizes, module.layout)
        return found

    @property
    def main(self) -> Loaded:
        """The program behind `module`: `rollout` to the outputs after the last step, and its version for training."""
        if self._main is None:
            wanted = Wanted(final=self._final_outputs(), training=True)
            self._main = self.load(wanted, self.steps(), streams=self.settings.streams)
        return self._main

    def _final_outputs(self) -> tuple[str, ...]:
        return tuple(self.model.outputs) or self.carried

    @property
    def module(self) -> Any:
        """torch: the nn.Module; jax: pure `init` and `apply`; interpreter: the IR module. From now on its parameters are those of
        this simulation: what your own loop trains is what `simulate` runs."""
        return self.main.simulator.module

    @property
    def program(self) -> str:
        """The text of the program that `module` runs."""
        return self.main.simulator.program

    def project(self) -> None:
        """Maps parameters back into their sets (`in C`); call it after each step of your own optimiser."""
        run: Callable[[], None] | None = getattr(self.main.simulator, "project", None)
        if run is not None:
            run()

    def init(self, seed: int | None = None) -> Any:
        """JAX: the pytree of raw parameters. Raises: AttributeError on other backends."""
        return self.module.init(seed)

    def apply(self, params: Any, inputs: Mapping[str, Any]) -> Any:
        """JAX: the outputs of a run, as a pure function."""
        return self.module.apply(params, inputs)

    # Time.

    def steps(self, duration: Quantity | None = None) -> int:
        """The number of steps. Raises: SpecError CS916 without a duration or a step, or where they do not fit."""
        length = self._duration(duration)
        if self.settings.dt is None:
            raise SpecError(
                [Diagnostic("CS916", "the length of a step is not known", help='compile(..., dt = "0.1 ms")')]
            )
        return whole_steps(length, self.settings.dt)

    def _duration(self, duration: Quantity | None) -> float:
        if duration is None and self.settings.duration is None:
            raise SpecError([Diagnostic("CS916", "the duration is not known", help='give it: duration = "50 ms"')])
        if duration is None:
            assert self.settings.duration is not None
            return self.settings.duration
        return coherent(duration, self.model.time_unit, "the duration")

    # Runs.

    def simulate(
        self,
        inputs: Mapping[str, Any] | None = None,
        duration: Quantity | None = None,
        record: Sequence[str] | None = None,
        parameters: Mapping[str, Quantity] | None = None,
        seed: int | None = None,
        trials: int | None = None,
        first_trial: int = 0,
    ) -> xarray.Dataset:
        """Runs the circuit. `record` names states, outputs, lets, `NAME.spike` and `NAME.arriving`; with `[time = end]` only the last
        value. Without it the outputs of the circuit are recorded; where it has none, its states and spikes.

        Inputs are arrays [own axes], [trial, own axes] or [trial, time, own axes]. `parameters` are natural values for this run.
        A recording has one row a step, the state after it.
        Raises: SpecError CS301 for an unknown name, CS915 where numbers leave the finite range: population, equation, step.
        """
        given = self._given(inputs, trials)
        names = self._names_to_record(record)
        members = {name: self._members(name) for name in names}
        if self.settings.solver not in FIXED_STEP:
            found, times = self._adaptive(given, duration, members, parameters, seed, first_trial)
        else:
            steps = self._frames(given, duration)
            every = [one for name in names if not name.endswith(_END) for one in members[name]]
            last = [one.removesuffix(_END) for name in names if name.endswith(_END) for one in members[name]]
            wanted = Wanted(tuple(dict.fromkeys(every)), tuple(dict.fromkeys([*last, *self.carried])))
            loaded = self.load(wanted, steps, streams=given.streams, trials=given.trials)
            arrays = self._call(loaded, "rollout", given, parameters, seed, first_trial)
            self._check_finite(arrays, given, steps, parameters, seed, first_trial)
            found = _recordings(loaded, "rollout", arrays)
            times = (np.arange(steps) + 1) * (self.settings.dt or 1.0)
        return dataset(self, members, found, times, given, seed)

    def _given(self, inputs: Mapping[str, Any] | None, trials: int | None, fields: bool = False) -> Given:
        try:
            return read_inputs(self.model, self.plain, inputs or {}, trials, fields)
        except SpecError as error:
            raise SpecError(error.diagnostics, self.sources) from None

    def _frames(self, given: Given, duration: Quantity | None) -> int:
        """Steps of the run; where nothing else says, as many as the inputs have frames."""
        if duration is None and self.settings.duration is None and given.frames is not None:
            return given.frames
        steps = self.steps(duration)
        if given.frames is not None and given.frames != steps:
            message = f"the inputs have {given.frames} frames, the run has {steps} steps"
            raise SpecError([Diagnostic("CS501", message)])
        return steps

    def _names_to_record(self, record: Sequence[str] | None) -> tuple[str, ...]:
        if record is None:
            states = (state.value.name for state in self._plain.states)
            trains = (train_of(one) for one in self.model.populations if one.spike is not None)
            return tuple(self.model.outputs) or (*(n for n in states if n in self.model.variables), *trains)
        return (record,) if isinstance(record, str) else tuple(record)

    def _members(self, name: str) -> tuple[str, ...]:
        """The recordings that make up a name: itself, each member of a group, or every population that has `V.*.v`.

        Raises: SpecError CS301.
        """
        end = _END if name.endswith(_END) else ""
        path = name.removesuffix(_END)
        known = recordable(self._plain)
        if path in known:
            return (name,)
        for group in self.model.groups:
            rest = path.removeprefix(f"{group.path}.")
            if rest != path and f"{group.members[0]}.{rest}" in known:
                return tuple(f"{member}.{rest}{end}" for member in group.members)
        raise SpecError([unknown_recording(self._plain, path)])

    def _call(
        self,
        loaded: Loaded,
        function: str,
        given: Given,
        parameters: Mapping[str, Quantity] | None,
        seed: int | None,
        first_trial: int,
    ) -> dict[str, Array]:
        """Runs one function; results have their axes in the layout's order."""
        if parameters:
            raw = {**self._present_raw(), **self.raw_of(parameters)}
            loaded.simulator.set_parameters(self.in_layout(loaded.module, raw))
        try:
            return loaded.simulator.call(function, self.arguments(loaded, function, given, seed, first_trial))
        finally:
            if parameters:
                loaded.simulator.set_parameters(self.in_layout(loaded.module, self._present_raw()))

    def arguments(
        self, loaded: Loaded, function: str, given: Given, seed: int | None, first_trial: int
    ) -> dict[str, Array]:
        arrays: dict[str, Array] = {}
        for value in loaded.module.function(function).inputs:
            if value.name in given.arrays:
                arrays[value.name] = given.arranged(value.name, loaded.module.layout.sort(value.type.names))
            elif value.name == "seed":
                arrays["seed"] = np.array(self.settings.seed if seed is None else seed)
            elif value.name == "trial":
                arrays["trial"] = np.arange(first_trial, first_trial + given.trials)
            elif value.name == "dt" and self.settings.dt is not None:
                arrays["dt"] = np.array(self.settings.dt)
        return arrays

    def _check_finite(
        self,
        arrays: Mapping[str, Array],
        given: Given,
        steps: int,
        parameters: Mapping[str, Quantity] | None,
        seed: int | None,
        first_trial: int,
    ) -> None:
        """Raises: SpecError CS915 that names state, equation, trial and step."""
        if all(np.isfinite(array).all() for array in arrays.values() if np.asarray(array).dtype.kind == "f"):
            return
        from cortexspec.runtime.finite import where_it_broke

        raw = self.raw_parameters() | (self.raw_of(parameters) if parameters else {})
        raise SpecError([where_it_broke(self, given, raw, steps, seed, first_trial)], self.sources)

    def _adaptive(
        self,
        given: Given,
        duration: Quantity | None,
        members: Mapping[str, Sequence[str]],
        parameters: Mapping[str, Quantity] | None,
        seed: int | None,
        first_trial: int,
    ) -> tuple[dict[str, Recording], Array]:
        from cortexspec.runtime.adaptive import run_adaptive

        return run_adaptive(self, given, self._duration(duration), members, parameters, seed, first_trial)

    def measure(
        self,
        measures: Mapping[str, str | Expression],
        inputs: Mapping[str, Any] | None = None,
        duration: Quantity | None = None,
        *,
        warm_up: Quantity | None = None,
        trials: int | None = None,
        seed: int | None = None,
        first_trial: int = 0,
        lets: Mapping[str, str | Expression] | None = None,
    ) -> dict[str, Array]:
        """Measures of a run that is gone through piece by piece, so that its length costs no memory: `{"f": "flux(a.x, b.x)"}`.

        Calls of measures that plugins bring, and means over everything, are gathered along the run after `warm_up`; what reads
        `[time = end]` goes through the last piece again; another expression over time needs its recordings whole. Measures of the
        circuit itself need no run, and no duration; a statistic that is undefined is not a number, and a warning says why.
        Inputs with one frame a step begin with the warm-up. Expressions are those of an experiment; `lets` are names for them.
        Raises: SpecError where an expression does not check or a measure refuses, before anything runs; CS915.
        """
        from cortexspec.lowering.entries import statistics
        from cortexspec.runtime.measure import known_measures, measured, plan_of, runs
        from cortexspec.runtime.statistics import computed, that_are_matrices, that_need_statistics

        written, named = (
            {name: parse_expression(one) if isinstance(one, str) else one for name, one in each.items()}
            for each in (measures, lets or {})
        )
        apart = that_need_statistics(written, named, statistics(self.model))
        apart |= that_are_matrices(written, named, self.model)
        others = {name: one for name, one in written.items() if name not in apart}
        found: dict[str, Array] = {}
        if others or not apart:
            plan = plan_of(others, named, known_measures(self))
            given = self._given(inputs, trials)
            before = 0
            if warm_up is not None:
                before = whole_steps(coherent(warm_up, self.model.time_unit, "the warm-up"), self.settings.dt or 1.0)
            steps = self.steps(duration) if runs(plan) else 0
            if given.frames not in (None, before + steps):
                message = (
                    f"the inputs have {given.frames} frames, the run has {before} steps of warm-up and {steps} more"
                )
                raise SpecError([Diagnostic("CS501", message)])
            found = measured(self, plan, given, steps=steps, warm_up=before, seed=seed, first_trial=first_trial)
        if not apart:
            return found
        numbers = {name: array for name, array in found.items() if np.ndim(array) == 0}
        made = computed(self, {name: one for name, one in written.items() if name in apart}, named, numbers, seed)
        for note in made.notes:
            warnings.warn(note, stacklevel=2)
        return {**found, **made.values}

    # Gradients.

    def value_and_grad(
        self,
        loss: str | Expression,
        inputs: Mapping[str, Any] | None = None,
        duration: Quantity | None = None,
        wrt: Sequence[str] | None = None,
        seed: int | None = None,
        trials: int | None = None,
        first_trial: int = 0,
        training: bool = False,
    ) -> tuple[float, dict[str, Array]]:
        """The loss and its gradient with respect to what is trained (raw values), by name; the same on every backend.

        The loss is an expression of an experiment: `"mean(logits[time = end]^2)"`. Inputs that the circuit has not are fields
        that it may read, such as labels.
        Raises: SpecError where the loss does not check, or is not finite, and CS320 where neurons fire without a surrogate.
        """
        silent = without_surrogate(self.model)
        if silent:
            raise SpecError(silent, self.sources)
        expression = parse_expression(loss) if isinstance(loss, str) else loss
        given = self._given(inputs, trials, fields=True)
        paths = tuple(wrt) if wrt is not None else self.trainable
        for path in paths:
            if path not in self._params:
                raise SpecError([_unknown("parameter", path, self._params)])
        readout = Readout("loss", {"loss": expression}, fields=given.fields)
        trained = ("loss",) if training else ()
        wanted = Wanted(readouts=(readout,), rollout=False, trained=trained)
        steps = self._frames(given, duration)
        loaded = self.load(
            wanted, steps, streams=given.streams, fields=given.fields, wrt={"loss": paths}, trials=given.trials
        )
        read = {value.name for value in loaded.module.function("loss").inputs}
        asked = [path for path in paths if path in read]
        arguments = self.arguments(loaded, "loss", given, seed, first_trial)
        outputs, gradients = loaded.simulator.value_and_grad("loss", arguments, asked)
        self._check_finite(outputs, given, steps, None, seed, first_trial)
        _check_gradients(gradients, self.model, self.sources)
        found = self.in_written(loaded.module, gradients)
        return float(outputs["loss"]), {path: found.get(path, np.zeros(self._raw[path].shape)) for path in paths}

    # The vector field.

    def flow(self, inputs: Mapping[str, Quantity] | None = None) -> Flow:
        """The vector field with the present parameters; inputs are constant, at their defaults or 0 where none is given."""
        values = self.in_layout(self._plain, self.raw_parameters() | self.buffers())
        for entry in self._plain.inputs:
            name, unit = entry.value.name, entry.value.type.unit
            given = coherent_array((inputs or {}).get(name, entry.default or 0.0), unit, f"the input `{name}`")
            values[name] = self._one_trial(entry.value, given)
        return Flow(self._plain, values, self.sizes)

    def fixed_points(
        self, inputs: Mapping[str, Quantity] | None = None, *, count: int = 64, spread: float = 3.0, seed: int = 0
    ) -> list[Equilibrium]:
        """Equilibria that a search from `count` random starts finds, the least stable first, with Jacobian and eigenvalues (1/ms)."""
        return fixed_points(self.flow(inputs), count=count, spread=spread, seed=seed)

    def jacobian(self, at: Mapping[str, Quantity] | None = None, inputs: Mapping[str, Quantity] | None = None) -> Array:
        """How each slope changes with each state [n, n], in coherent units; `at` gives states, 0 where it is silent."""
        flow = self.flow(inputs)
        return flow.jacobian(flow.pack(self._state(flow, at)))

    def eigenvalues(
        self, at: Mapping[str, Quantity] | None = None, inputs: Mapping[str, Quantity] | None = None
    ) -> xarray.DataArray:
        """The spectrum of the Jacobian by falling real part, in Hz (per unit of time where time is a number)."""
        import xarray

        flow = self.flow(inputs)
        values = spectrum(flow, self._state(flow, at))
        scale, unit = (1000, "Hz") if self.model.time_unit != DIMENSIONLESS else (1, "1")
        return xarray.DataArray(values * scale, dims=("mode",), attrs={"units": unit})

    def _state(self, flow: Flow, at: Mapping[str, Quantity] | None) -> dict[str, Array]:
        """A state of one trial from what is given by name. Raises: SpecError CS301."""
        state = flow.unpack(np.zeros(len(flow.places)))
        for name, value in (at or {}).items():
            if name not in state:
                raise SpecError([_unknown("state", name, state)])
            given = coherent_array(value, self.value_of(name).type.unit, f"the state `{name}`")
            state[name] = self._one_trial(self.value_of(name), given)
        return state

    def _one_trial(self, value: Value, given: Array) -> Array:
        """An array [own axes], or a number, as one trial in the order of the plain module's layout."""
        written = self._axes(value.name)
        shape = [value.type.axis(axis).size.evaluate(self.sizes) for axis in written]
        array = np.broadcast_to(given, shape)[..., np.newaxis]
        order = self._plain.layout.sort(value.type.names)
        return array.transpose([(*written, TRIAL.name).index(axis) for axis in order])

    # What identifies it.

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the elaborated circuit with its sizes: not of its docs, its layout, its experiments or claims, nor of a draw."""
        from hashlib import sha256

        from cortexspec.ir.content_hash import content_hash

        wiring = [buffer.value.type for buffer in self._plain.buffers if buffer.source == "wiring"]
        drawn = {symbol for type_ in wiring for axis in type_.axes for symbol in axis.size.symbols}
        slots = {slots_of(projection) for projection in delayed(self.model)}
        sizes = {k: v for k, v in self.sizes.items() if k not in ("trial", "time") and k not in drawn | slots}
        step = f" {self.settings.dt}" if slots else ""  # delays are kept in steps
        return sha256(f"{content_hash(self._plain)} {sorted(sizes.items())}{step}".encode()).hexdigest()

    def value_of(self, name: str) -> Value:
        """The IR's declaration of a state or parameter. Raises: KeyError."""
        declared = (*self._plain.states, *self._plain.params, *self._plain.inputs)
        return {entry.value.name: entry.value for entry in declared}[name]


def _recordings(loaded: Loaded, function: str, arrays: Mapping[str, Array]) -> dict[str, Recording]:
    """The arrays of a function's outputs with the names of their axes."""
    types, layout = outputs_of(loaded.module, function), loaded.module.layout
    return {name: Recording(array, layout.sort(types[name].names), types[name].unit) for name, array in arrays.items()}


def _reordered(array: Array, axes: Sequence[str], wanted: Sequence[str]) -> Array:
    """A view with the axes in the order `wanted`; the same object where that is the order they have."""
    array = np.asarray(array)
    return array if tuple(axes) == tuple(wanted) else transpose(array, axes, wanted)


def _copied(buffer: Array) -> Array:
    """Indices are kept in 32 bits where they fit; who asks gets them in 64."""
    return np.array(buffer, np.int64 if buffer.dtype.kind == "i" else buffer.dtype)


def _check_gradients(gradients: Mapping[str, Array], model: Model, sources: dict[str, str]) -> None:
    """Raises: SpecError CS915 for the first parameter whose gradient is infinite or no number."""
    for name, array in gradients.items():
        if not np.isfinite(array).all():
            message = f"the gradient with respect to `{name}` is no finite number, though the loss is"
            help = "a shorter dt, or a function whose slope is finite (that of `sqrt` at 0 is not)"
            raise SpecError([Diagnostic("CS915", message, model.variables[name].span, help=help)], sources)


def _unknown(what: str, name: str, known: Mapping[str, Any]) -> Diagnostic:
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), 1)
    help = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(list(known)[:12])}"
    return Diagnostic("CS301", f"the circuit has no {what} `{name}`", help=help)


__all__ = ["Loaded", "Settings", "Simulation"]
