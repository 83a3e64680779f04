"""One backend against the interpreter: values, gradients, central differences. What is compared is a case under a setting.

The reference is always the same: the interpreter on the program without passes, in float64. Errors are relative to the
largest value that the quantity takes in the whole run. Integers, truth values and random bits are compared exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Literal

import numpy as np

from cortexspec.contracts.backend import Backend, Bound, Options, Simulator
from cortexspec.diagnostics import SpecError
from cortexspec.ir.module import Function, Layout, Module, Value
from cortexspec.ir.op import Array
from cortexspec.testing.cases import Case
from cortexspec.testing.gaps import GAPS, Gap, known_gap
from cortexspec.testing.prepare import Prepared, arranged, largest, prepared
from cortexspec.testing.settings import Setting

Verdict = Literal["holds", "missed", "failed", "gap", "gap closed"]
DIFFERENCES_BOUND = 1e-6  # what central differences can tell in float64
DIFFERENCES_STEPS = (1e-5, 1e-6, 1e-7)
SINGLE_BOUNDS = {"values": 2e-3, "gradients": 2e-2}
VANISHED = 1e-12  # a gradient this far below the largest is zero but for rounding


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `worst` is the value that is furthest off, `step` the first at which the bound is exceeded."""

    case: str
    setting: str
    quantity: str
    error: float
    bound: float
    worst: str = ""
    step: int | None = None
    verdict: Verdict = "holds"
    note: str = ""
    seconds: float = 0.0

    @property
    def fine(self) -> bool:
        return self.verdict in ("holds", "gap")


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far one value is off, relative to `scale`, and from which step on by more than the bound."""

    name: str
    error: float
    step: int | None = None


def judged(row: Row, backend: str, gaps: Sequence[Gap] = GAPS) -> Row:
    """The row with its verdict, known gaps considered."""
    holds = row.verdict != "failed" and row.error <= row.bound
    gap = known_gap(backend, row.case, row.setting, row.quantity, gaps)
    if gap is None:
        return row if row.verdict == "failed" else replace(row, verdict="holds" if holds else "missed")
    if holds:
        return replace(row, verdict="gap closed", note=f"listed as a gap ({gap.kind}: {gap.reason}), but it holds")
    return replace(row, verdict="gap", note=f"{gap.kind}: {gap.reason}")


def deviation(
    value: Value, found: Array, wanted: Array, layout: Layout, bound: float, scale: float | None = None
) -> Deviation:
    """Both arrays have their axes in the order of `layout`. A NaN that is not wanted is infinitely far off."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.shape != wanted.shape:
        return Deviation(f"{value.name} (shape {found.shape}, not {wanted.shape})", np.inf)
    if value.type.dtype != "float":
        different = found != wanted
        return Deviation(value.name, float(np.count_nonzero(different)), _first(value, different, layout))
    with np.errstate(all="ignore"):
        off = np.abs(found.astype(np.float64) - wanted)
        scale = largest(wanted) if scale is None else scale
        relative = off / scale if scale else np.where(off == 0, 0.0, np.inf)
    relative = np.where(np.isnan(relative), np.inf, relative)
    return Deviation(value.name, float(relative.max(initial=0.0)), _first(value, relative > bound, layout))


def _first(value: Value, exceeded: Array, layout: Layout) -> int | None:
    """The first step at which something is exceeded, counted from 1 as recordings are; None without a time axis."""
    names = layout.sort(value.type.names)
    time = [place for place, name in enumerate(names) if value.type.axis(name).role == "time"]
    if not time or not exceeded.any():
        return None
    others = tuple(place for place in range(exceeded.ndim) if place != time[0])
    return int(np.argmax(exceeded.any(axis=others))) + 1


def worst(deviations: Iterable[Deviation]) -> Deviation:
    found = list(deviations)
    return max(found, key=lambda one: one.error) if found else Deviation("", 0.0)


class Program:
    """A case's function on a backend under a setting. Arrays go in and come out in the order of the reference's layout."""

    def __init__(self, backend: Backend, case: Prepared, setting: Setting, function: Literal["rollout", "loss"]):
        self.reference: Module = case.module if function == "rollout" else case.loss
        self.function: Function = self.reference.function(function)
        steps = case.case.steps if function == "rollout" else case.case.gradient_steps
        sizes = {**case.sizes, "time": steps}
        wrt = case.wrt if function == "loss" else ()
        self.module = setting.apply(self.reference, sizes, backend.pipeline, wrt)
        self.inputs = self._arranged(case.given_for(self.function, steps))
        params = {param.value.name: param.value for param in self.module.params}
        buffers = {buffer.value.name: buffer.value for buffer in self.module.buffers}
        bound = Bound(
            self.module,
            {name: size for name, size in sizes.items() if name != "trial"},
            self._of(params, case.given),
            self._of(buffers, case.given),
        )
        options = Options(dtype=setting.dtype, gradient="native" if setting.gradient == "native" else "ir")
        self.simulator: Simulator = backend.load(bound, options)
        # Parameters and buffers are the simulator's own.
        self.inputs = {name: array for name, array in self.inputs.items() if name not in params and name not in buffers}

    def _of(self, values: Mapping[str, Value], given: Mapping[str, Array]) -> dict[str, Array]:
        return {name: self._in(value, given[name]) for name, value in values.items()}

    def _in(self, value: Value, array: Array) -> Array:
        return np.array(arranged(value.type, array, self.reference.layout, self.module.layout), order="C")

    def _back(self, value: Value, array: Array) -> Array:
        return arranged(value.type, array, self.module.layout, self.reference.layout)

    def _arranged(self, given: Mapping[str, Array]) -> dict[str, Array]:
        return {value.name: self._in(value, given[value.name]) for value in self.function.inputs}

    def call(self, given: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Outputs by name; `given` goes before the case's own inputs and parameters."""
        values = {value.name: value for value in self.function.inputs}
        changed = {name: self._in(values[name], array) for name, array in (given or {}).items()}
        found = self.simulator.call(self.function.name, {**self.inputs, **changed})
        outputs = dict(zip(self.function.output_names, self.function.outputs, strict=True))
        return {name: self._back(value, found[name]) for name, value in outputs.items()}

    def gradients(self, wrt: Sequence[str]) -> dict[str, Array]:
        values = {value.name: value for value in self.function.inputs}
        _, slopes = self.simulator.value_and_grad(self.function.name, self.inputs, wrt)
        return {name: self._back(values[name], slopes[name]) for name in wrt}


_LAST: dict[str, Program] = {}  # the program made last: gradients and differences ask for the same one


def program_of(backend: Backend, case: Case, setting: Setting, function: Literal["rollout", "loss"]) -> Program:
    """A case's function under a setting, made anew unless it was the one before."""
    key = repr((backend.name, case, setting, function))
    if key not in _LAST:
        _LAST.clear()
        _LAST[key] = Program(backend, prepared(case), setting, function)
    return _LAST[key]


def values_row(backend: Backend, case: Case, setting: Setting) -> Row:
    """States after each step and outputs after the last."""
    reference = prepared(case)
    bound = case.bound if setting.dtype == "float64" else SINGLE_BOUNDS["values"]
    wanted = reference.values
    not_finite = [name for name, array in wanted.items() if not np.isfinite(array).all()]
    if not_finite:
        return Row(
            case.title,
            setting.name,
            "values",
            np.inf,
            bound,
            not_finite[0],
            None,
            "failed",
            "the reference is not finite",
        )
    found = program_of(backend, case, setting, "rollout").call()
    function = reference.rollout
    off = worst(
        replace(deviation(value, found[name], wanted[name], reference.module.layout, bound), name=name)
        for name, value in zip(function.output_names, function.outputs, strict=True)
    )
    return Row(case.title, setting.name, "values", off.error, bound, off.name, off.step, note=case.note)


def gradients_row(backend: Backend, case: Case, setting: Setting) -> Row:
    """The gradient of a loss that every recorded element takes part in, by each trainable parameter."""
    reference = prepared(case)
    bound = case.gradients_bound if setting.dtype == "float64" else SINGLE_BOUNDS["gradients"]
    found = program_of(backend, case, setting, "loss").gradients(reference.wrt)
    values = {value.name: value for value in reference.loss.function("loss").inputs}
    scales = gradient_scales(reference.gradients)
    off = worst(
        deviation(values[name], found[name], wanted, reference.module.layout, bound, scales[name])
        for name, wanted in reference.gradients.items()
    )
    return Row(case.title, setting.name, "gradients", off.error, bound, off.name, note=case.note)


def gradient_scales(gradients: Mapping[str, Array]) -> dict[str, float]:
    """The largest element of each gradient; of all gradients for one that vanishes but for rounding, such as that of a bias in
    front of a batch norm."""
    overall = max(map(largest, gradients.values()), default=0.0)
    sizes = {name: largest(array) for name, array in gradients.items()}
    return {name: size if size > VANISHED * overall else overall for name, size in sizes.items()}


def differences_row(backend: Backend, case: Case, setting: Setting, directions: int = 8) -> Row:
    """The backend's own gradient against central differences of its own loss, along random directions.

    Each parameter takes part in one of the directions; errors are relative to the sum of the magnitudes of a direction's terms.
    Where two steps do not give one slope there is a kink between them (of a `relu`), and shorter steps are taken.
    """
    reference = prepared(case)
    program = program_of(backend, case, setting, "loss")
    slopes = program.gradients(reference.wrt)
    overall = max(map(largest, slopes.values()), default=0.0)
    rng = np.random.default_rng(case.seed)
    found: list[Deviation] = []
    for group in range(min(directions, len(reference.wrt))):
        names = reference.wrt[group::directions]
        along: dict[str, Array] = {name: rng.standard_normal(slopes[name].shape) for name in names}
        terms: Array = np.concatenate([(slopes[name] * along[name]).reshape(-1) for name in names])

        def loss(distance: float, along: Mapping[str, Array] = along) -> float:
            moved = {name: reference.given[name] + distance * way for name, way in along.items()}
            return float(program.call(moved)["loss"])

        scale = max(float(np.abs(terms).sum()), 1e-3 * overall) or 1.0
        slope = np.nan
        for step in DIFFERENCES_STEPS:
            narrow, wide = (loss(step) - loss(-step)) / (2 * step), (loss(2 * step) - loss(-2 * step)) / (4 * step)
            slope = (4 * narrow - wide) / 3  # without the term in step^2
            if abs(narrow - wide) <= DIFFERENCES_BOUND * scale:
                break
        error = abs(slope - float(terms.sum())) / scale
        found.append(Deviation(_shortened(", ".join(names)), error if np.isfinite(error) else np.inf))
    off = worst(found)
    return Row(case.title, setting.name, "differences", off.error, DIFFERENCES_BOUND, off.name, note=case.note)


def _shortened(text: str, width: int = 40) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


Measure = Callable[[Backend, Case, Setting], Row]
MEASURES: Mapping[str, Measure] = {
    "values": values_row,
    "gradients": gradients_row,
    "differences": differences_row,
}


def check(
    backend: Backend,
    case: Case,
    setting: Setting,
    quantities: Sequence[str] = ("values", "gradients"),
    gaps: Sequence[Gap] = GAPS,
) -> Iterator[Row]:
    """A row for each quantity. Whatever goes wrong is a row too."""
    for quantity in quantities:
        start = perf_counter()
        try:
            row = MEASURES[quantity](backend, case, setting)
        except Exception as error:  # a backend under test may raise anything
            row = Row(case.title, setting.name, quantity, np.inf, 0.0, verdict="failed", note=reason(error))
        yield judged(replace(row, seconds=perf_counter() - start), backend.name, gaps)


def reason(error: Exception) -> str:
    """The first line of what went wrong."""
    if isinstance(error, SpecError):
        first = next((one for one in error.diagnostics if one.severity == "error"), error.diagnostics[0])
        return f"{first.code}: {first.message}"
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
