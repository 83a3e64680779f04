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

from cortexspec.contracts.backend import Backend, Bound, Options, Simulator, adjoint_pipeline
from cortexspec.diagnostics import SpecError
from cortexspec.ir.module import Function, Layout, Module, Value
from cortexspec.ir.op import Array
from cortexspec.runtime.registry import load_backend
from cortexspec.testing.cases import Case
from cortexspec.testing.gaps import GAPS, Gap, known_gap
from cortexspec.testing.prepare import Prepared, arranged, largest, prepared
from cortexspec.testing.settings import SINGLE, Setting

Verdict = Literal["holds", "missed", "failed", "gap", "gap closed"]
DIFFERENCES_BOUND = 1e-6  # what central differences can tell in float64
DIFFERENCES_STEPS = (1e-5, 1e-6, 1e-7)
SINGLE_SAFETY = 10.0
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
    adaptive: bool = False  # to the tolerance of a solver that chooses its own steps

    @property
    def fine(self) -> bool:
        return self.verdict in ("holds", "gap")


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far one value is off, relative to `scale`, and from which step on by more than the bound."""

    name: str
    error: float
    step: int | None = None


def kind_of(row: Row) -> str:
    """What a row's number may be compared with: the quantity, single precision and tolerances apart."""
    if row.setting == SINGLE.name:
        return f"float32 {row.quantity}"
    return f"adaptive {row.quantity}" if row.adaptive else row.quantity


def judged(row: Row, backend: str, gaps: Sequence[Gap] = GAPS) -> Row:
    """The row with its verdict, known gaps considered."""
    if row.verdict == "gap":
        return row
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
    """A case's `loss` on a backend under a setting, over so many steps. Arrays go in and come out in the reference's layout."""

    def __init__(self, backend: Backend, case: Case, setting: Setting, steps: int):
        self.case = prepared(case)
        self.reference: Module = self.case.loss
        self.function: Function = self.reference.function("loss")
        self.module = passed(backend, case, setting, steps)
        params = {param.value.name: param.value for param in self.module.params}
        buffers = {buffer.value.name: buffer.value for buffer in self.module.buffers}
        sizes = {name: size for name, size in self.case.sizes.items() if name != "trial"}
        given = self.case.given
        bound = Bound(self.module, {**sizes, "time": steps}, self._of(params, given), self._of(buffers, given))
        options = Options(dtype=setting.dtype, gradient="native" if setting.gradient == "native" else "ir")
        self.simulator: Simulator = backend.load(bound, options)
        # Parameters and buffers are the simulator's own.
        arrays = self._arranged(self.case.given_for(self.function, steps))
        self.inputs = {name: array for name, array in arrays.items() if name not in params and name not in buffers}

    def _of(self, values: Mapping[str, Value], given: Mapping[str, Array]) -> dict[str, Array]:
        return {name: self._in(value, given[name]) for name, value in values.items()}

    def _in(self, value: Value, array: Array) -> Array:
        return np.array(arranged(value.type, array, self.reference.layout, self.module.layout), order="C")

    def _back(self, value: Value, array: Array) -> Array:
        return arranged(value.type, array, self.module.layout, self.reference.layout)

    def _arranged(self, given: Mapping[str, Array]) -> dict[str, Array]:
        return {value.name: self._in(value, given[value.name]) for value in self.function.inputs}

    def call(self) -> dict[str, Array]:
        """Outputs by name."""
        found = self.simulator.call("loss", self.inputs)
        outputs = dict(zip(self.function.output_names, self.function.outputs, strict=True))
        return {name: self._back(value, found[name]) for name, value in outputs.items()}

    def gradients(self, given: Mapping[str, Array] | None = None) -> tuple[float, dict[str, Array]]:
        """The loss and its gradient by each trainable parameter; `given` goes before the case's own arrays."""
        values = {value.name: value for value in self.function.inputs}
        changed = {name: self._in(values[name], array) for name, array in (given or {}).items()}
        wrt = self.case.wrt
        found, slopes = self.simulator.value_and_grad("loss", {**self.inputs, **changed}, wrt)
        return float(found["loss"]), {name: self._back(values[name], slopes[name]) for name in wrt}


_PASSED: dict[str, Module] = {}
_PROGRAMS: dict[str, Program] = {}


def passed(backend: Backend, case: Case, setting: Setting, steps: int) -> Module:
    """A case's module after the passes of a setting, made anew unless it was the one before: runs of many and of few steps
    share it. Only loops that are cut into segments have to know their length.
    """
    key = repr((backend.name, backend.pipeline, case, setting, steps if setting.segments else None))
    if key not in _PASSED:
        reference = prepared(case)
        sizes = {name: size for name, size in reference.sizes.items() if name != "time"}
        sizes |= {"time": steps} if setting.segments else {}
        _PASSED.clear()
        _PASSED[key] = setting.apply(reference.loss, sizes, backend.pipeline, reference.wrt, adjoint_pipeline(backend))
    return _PASSED[key]


def program_of(backend: Backend, case: Case, setting: Setting, steps: int) -> Program:
    """A case's program under a setting, made anew unless it was the one before."""
    key = repr((backend.name, case, setting, steps))
    if key not in _PROGRAMS:
        _PROGRAMS.clear()
        _PROGRAMS[key] = Program(backend, case, setting, steps)
    return _PROGRAMS[key]


def values_row(backend: Backend, case: Case, setting: Setting) -> Row:
    """States after each step and outputs after the last."""
    reference = prepared(case)
    bound = case.bound if setting.dtype == "float64" else single_bounds(case)[0]
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
    off = values_off(reference, program_of(backend, case, setting, case.steps).call(), bound)
    return Row(case.title, setting.name, "values", off.error, bound, off.name, off.step, note=case.note)


def gradients_row(backend: Backend, case: Case, setting: Setting) -> Row:
    """The gradient of a loss that every recorded element takes part in, by each trainable parameter."""
    reference = prepared(case)
    bound = case.gradients_bound if setting.dtype == "float64" else single_bounds(case)[1]
    _, found = program_of(backend, case, setting, case.gradient_steps).gradients()
    off = gradients_off(reference, found, bound)
    return Row(case.title, setting.name, "gradients", off.error, bound, off.name, note=case.note)


def values_off(reference: Prepared, found: Mapping[str, Array], bound: float) -> Deviation:
    """The output that is furthest from the reference's."""
    function, layout = reference.rollout, reference.module.layout
    return worst(
        replace(deviation(value, found[name], reference.values[name], layout, bound), name=name)
        for name, value in zip(function.output_names, function.outputs, strict=True)
    )


def gradients_off(reference: Prepared, found: Mapping[str, Array], bound: float) -> Deviation:
    """The gradient that is furthest from the reference's."""
    values = {value.name: value for value in reference.loss.function("loss").inputs}
    scales = gradient_scales(reference.gradients)
    return worst(
        deviation(values[name], found[name], wanted, reference.module.layout, bound, scales[name])
        for name, wanted in reference.gradients.items()
    )


def single_bounds(case: Case) -> tuple[float, float]:
    """Bounds of values and gradients in float32: `SINGLE_SAFETY` times how far the interpreter itself is off in float32 from its
    run in float64, as lowered or after the default passes, whichever is farther, and at least as many roundings.

    That measures what this circuit makes of rounding over this run, whatever a backend does: about one rounding an operation,
    carried on (and damped, or amplified) by the dynamics. How much depends on how the sums are arranged: coefficients that a pass
    multiplies beforehand cost the gradient of one coupling of `cmc_repaired` twenty times the error, on every engine. A backend
    rounds as often but elsewhere (fused operations, sums in another order), so it is as far off but not in the same direction.
    The largest of some ten thousand such errors varies by a factor of two or three between two ways of rounding; a program that
    is wrong in its sixth digit is off by more.
    """
    key = repr(case)
    if key not in _SINGLE:
        reference = prepared(case)
        engine = load_backend("interpreter")
        values = slopes = float(np.finfo(np.float32).eps)
        for passes in ((), None):
            setting = Setting("interpreter", passes=passes, dtype="float32")
            found = Program(engine, case, setting, case.steps).call()
            values = max(values, values_off(reference, found, np.inf).error)
            _, steep = Program(engine, case, setting, case.gradient_steps).gradients()
            slopes = max(slopes, gradients_off(reference, steep, np.inf).error)
        _SINGLE[key] = (SINGLE_SAFETY * values, SINGLE_SAFETY * slopes)
    return _SINGLE[key]


_SINGLE: dict[str, tuple[float, float]] = {}


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
    program = program_of(backend, case, setting, case.gradient_steps)
    _, slopes = program.gradients()
    overall = max(map(largest, slopes.values()), default=0.0)
    rng = np.random.default_rng(case.seed)
    found: list[Deviation] = []
    for group in range(min(directions, len(reference.wrt))):
        names = reference.wrt[group::directions]
        along: dict[str, Array] = {name: rng.standard_normal(slopes[name].shape) for name in names}
        terms: Array = np.concatenate([(slopes[name] * along[name]).reshape(-1) for name in names])

        def loss(distance: float, along: Mapping[str, Array] = along) -> float:
            moved = {name: reference.given[name] + distance * way for name, way in along.items()}
            return program.gradients(moved)[0]  # the program that is there already: another may have to be compiled

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
            row = Row(case.title, setting.name, quantity, np.inf, 0.0, verdict=verdict_of(error), note=reason(error))
        yield judged(replace(row, seconds=perf_counter() - start), backend.name, gaps)


def verdict_of(error: Exception) -> Verdict:
    """A circuit of a plugin that is not installed is none of the backend's faults."""
    missing = isinstance(error, SpecError) and {one.code for one in error.diagnostics} == {"CS904"}
    return "gap" if missing else "failed"


def reason(error: Exception) -> str:
    """The first line of what went wrong."""
    if isinstance(error, SpecError):
        first = next((one for one in error.diagnostics if one.severity == "error"), error.diagnostics[0])
        return f"{first.code}: {first.message}"
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
