"""Binary states on one backend: step by step those of the interpreter, whatever the batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from cortexspec.contracts.backend import Backend, Bound, Options
from cortexspec.ir.module import Layout, Value
from cortexspec.ir.op import Array
from cortexspec.testing.cases import OTHERS, Case
from cortexspec.testing.parity import Row, judged
from cortexspec.testing.prepare import arranged, prepared
from cortexspec.testing.settings import DEFAULTS, Setting

# Noise in the core and biases that organise themselves; no input, since what a case gives as input differs between batches.
NETWORK = replace(
    next(case for case in OTHERS if case.name == "infoflux"),
    amplitude={"replay": 0.0},
    edits=("core.σ = 1", "inter.σ = 0.5", "core.ε = 0.02"),
)
SHORT, LONG = 200, 10_000  # steps of the fast suite and of the whole one
BATCHES: Mapping[str, tuple[int, ...]] = {"three replicas": (2, 3, 4), "twelve replicas": tuple(range(12))}


def states_rows(
    backend: Backend, steps: int, network: Case = NETWORK, settings: Sequence[Setting] = DEFAULTS
) -> Iterator[Row]:
    """For each batch how many states of three replicas, over all steps, differ from the interpreter's on these three alone."""
    case = replace(network, steps=steps, gradient_steps=1)
    few = BATCHES["three replicas"]
    alone = replace(case, trial_numbers=few)
    wanted = _recorded(alone, prepared(alone).values, prepared(alone).module.layout)
    for name, batch in BATCHES.items():
        for setting in settings:
            found = states_on(backend, replace(case, trial_numbers=batch), setting)
            places = [batch.index(trial) for trial in few]
            binary = {path: array for path, array in wanted.items() if np.isin(array, (0, 1)).all()}
            wrong = {path: found[path][places] != array for path, array in binary.items()}
            counts = {path: float(np.count_nonzero(one)) for path, one in wrong.items()}
            worst = max(counts, key=lambda path: counts[path])
            row = Row(
                "binary states",
                f"{name}, {setting.name}",
                "bits",
                sum(counts.values()),
                0.0,
                worst,
                _first(wrong[worst]),
            )
            yield judged(row, backend.name)


def states_on(backend: Backend, case: Case, setting: Setting) -> dict[str, Array]:
    """The states [trial, time, ...] of a case's run on a backend, by name."""
    ready = prepared(case)
    module = setting.apply(ready.module, {**ready.sizes, "time": case.steps}, backend.pipeline)
    before, after = ready.module.layout, module.layout

    def given(value: Value) -> Array:
        return np.array(arranged(value.type, ready.given[value.name], before, after), order="C")

    sizes = {name: size for name, size in ready.sizes.items() if name != "trial"}
    params, buffers = [one.value for one in module.params], [one.value for one in module.buffers]
    bound = Bound(module, sizes, {v.name: given(v) for v in params}, {v.name: given(v) for v in buffers})
    simulator = backend.load(bound, Options(dtype=setting.dtype))
    own = {value.name for value in (*params, *buffers)}
    inputs = {value.name: given(value) for value in ready.rollout.inputs if value.name not in own}
    return _recorded(case, simulator.call("rollout", inputs), after)


def _recorded(case: Case, found: Mapping[str, Array], layout: Layout) -> dict[str, Array]:
    """What has a time axis, with the trials and the time in front."""
    rollout = prepared(case).rollout
    arrays: dict[str, Array] = {}
    for name, value in zip(rollout.output_names, rollout.outputs, strict=True):
        axes = layout.sort(value.type.names)
        if "time" in axes:
            order = ("trial", "time", *sorted(axis for axis in axes if axis not in ("trial", "time")))
            arrays[name] = np.asarray(found[name]).transpose([axes.index(axis) for axis in order])
    return arrays


def _first(wrong: Array) -> int | None:
    """The first step, counted from 1, at which a state [trial, time, ...] differs."""
    steps = wrong.any(axis=(0, *range(2, wrong.ndim)))
    return int(np.argmax(steps)) + 1 if steps.any() else None
