"""Random draws on one backend: bit for bit those of the interpreter, whatever the batch, whatever else is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cortexspec.contracts.backend import Backend
from cortexspec.ir.op import Array
from cortexspec.testing.cases import CMC, Case
from cortexspec.testing.parity import Row, judged, program_of
from cortexspec.testing.prepare import largest, prepared
from cortexspec.testing.randomness import BATCHES, DRAWS, FEWER, is_exact
from cortexspec.testing.settings import DEFAULTS, Setting

NORMALS_BOUND = 1e-15  # of the largest draw: log and cos are the library's own


@dataclass(frozen=True, slots=True)
class Drawn:
    """The draws of a run by name; those that differ between trials have the trials in front."""

    values: Mapping[str, Array]
    per_trial: Mapping[str, bool]
    exact: Mapping[str, bool]

    def of(self, places: Sequence[int]) -> dict[str, Array]:
        """The rows of the trials at these places of the batch."""
        return {name: array[list(places)] if self.per_trial[name] else array for name, array in self.values.items()}


def drawn_on(backend: Backend, case: Case, setting: Setting = DEFAULTS[0]) -> Drawn:
    """The draws of a case's run on a backend."""
    program = program_of(backend, case, setting, case.steps)
    return _drawn(case, program.call())


def drawn_by_reference(case: Case) -> Drawn:
    """The same in the interpreter, without passes."""
    return _drawn(case, prepared(case).values)


def _drawn(case: Case, found: Mapping[str, Array]) -> Drawn:
    reference = prepared(case)
    function, layout = reference.rollout, reference.module.layout
    values: dict[str, Array] = {}
    per_trial: dict[str, bool] = {}
    for name, value in zip(function.output_names, function.outputs, strict=True):
        if name.startswith("draw:"):
            axes = layout.sort(value.type.names)
            per_trial[name] = "trial" in axes
            values[name] = np.moveaxis(found[name], axes.index("trial"), 0) if per_trial[name] else found[name]
    return Drawn(values, per_trial, {name: is_exact(function, name) for name in values})


def compared(
    found: Mapping[str, Array], wanted: Mapping[str, Array], exact: Mapping[str, bool]
) -> tuple[float, float, str]:
    """Elements of exact draws that differ in any bit, the error of normals relative to the largest, and the draw that is furthest
    off. Draws that only one of the two has are left out.
    """
    bits: dict[str, float] = {}
    normals: dict[str, float] = {}
    for name in wanted.keys() & found.keys():
        a, b = found[name], wanted[name]
        if a.shape != b.shape:
            bits[name] = float(b.size)
        elif exact[name]:
            bits[name] = float(np.count_nonzero(a != b))
        else:
            normals[name] = largest(a - b) / (largest(b) or 1.0)
    furthest = max({**normals, **bits}.items(), key=lambda pair: pair[1], default=("", 0.0))
    return max(bits.values(), default=0.0), max(normals.values(), default=0.0), furthest[0].removeprefix("draw:")


def bits_rows(backend: Backend) -> Iterator[Row]:
    """Each draw against the interpreter, under passes and without; the same trials in other batches; one draw removed."""
    masks = replace(next(case for case in CMC if case.name == "visual_hierarchy training"), shown=True, steps=20)
    for case in (DRAWS, masks):
        for setting in DEFAULTS:
            yield from _rows(
                backend, case, setting.name, drawn_on(backend, case, setting).values, drawn_by_reference(case)
            )
    whole = drawn_on(backend, DRAWS)
    numbers = tuple(range(2, DRAWS.trials + 2))
    for name, batch in BATCHES.items():
        common = [trial for trial in batch if trial in numbers]
        found = drawn_on(backend, replace(DRAWS, trial_numbers=batch)).of([batch.index(trial) for trial in common])
        wanted = replace(whole, values=whole.of([numbers.index(trial) for trial in common]))
        yield from _rows(backend, DRAWS, name, found, wanted)
    for name, case in FEWER.items():
        yield from _rows(backend, DRAWS, name, drawn_on(backend, case).values, whole)


def _rows(backend: Backend, case: Case, setting: str, found: Mapping[str, Array], wanted: Drawn) -> Iterator[Row]:
    bits, normals, name = compared(found, wanted.values, wanted.exact)
    yield judged(Row(case.name, setting, "bits", bits, 0.0, name), backend.name)
    if not all(wanted.exact.values()):
        yield judged(Row(case.name, setting, "normals", normals, NORMALS_BOUND, name), backend.name)
