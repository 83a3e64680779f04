"""Each operation and each kind of loop on a backend, against the interpreter: what to look at before whole circuits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter

import numpy as np

from cortexspec.contracts.backend import Backend, Bound, Options
from cortexspec.interpreter.interpreter import run
from cortexspec.ir.module import Layout
from cortexspec.ir.op import Array
from cortexspec.testing import loops, operations
from cortexspec.testing.cases import GRADIENTS_BOUND, STATES_BOUND
from cortexspec.testing.parity import Deviation, Row, judged, reason, worst

STEPS = 7


def operation_rows(backend: Backend, layouts: int = 1) -> Iterator[Row]:
    """Values and gradients of every operation, a row a family. With one layout, the two take turns.

    A family runs as one program, and each operation alone where that fails or is off, to say which it is.
    """
    families: dict[str, list[tuple[operations.Case, Layout]]] = {}
    for place, case in enumerate(operations.cases()):
        turns = operations.LAYOUTS if layouts > 1 else (operations.LAYOUTS[place % len(operations.LAYOUTS)],)
        families.setdefault(case.op.name.partition(".")[0], []).extend((case, layout) for layout in turns)
    for family, members in families.items():
        start = perf_counter()
        try:
            found = list(_together(backend, members))
        except Exception:  # a backend under test may raise anything; alone, it is told of which operation
            found = []
        if found and all(one.error <= bound for pair in found for one, bound in zip(pair, _BOUNDS, strict=True)):
            values, slopes = zip(*found, strict=True)
            broken = ""
        else:
            values, slopes, broken = _one_by_one(backend, members)
        yield from _rows(
            backend, f"operations: {family}", "each kind", list(values), list(slopes), broken, perf_counter() - start
        )


_BOUNDS = (STATES_BOUND, GRADIENTS_BOUND)


def _together(
    backend: Backend, members: Sequence[tuple[operations.Case, Layout]]
) -> Iterator[tuple[Deviation, Deviation]]:
    for layout in operations.LAYOUTS:
        trials = [operations.trial(case, given) for case, given in members if given == layout]
        if trials:
            off, steep = _operation(backend, operations.joined(trials))
            name = f"{len(trials)} operations"
            yield Deviation(name, off), Deviation(name, steep)


def _one_by_one(
    backend: Backend, members: Sequence[tuple[operations.Case, Layout]]
) -> tuple[list[Deviation], list[Deviation], str]:
    values: list[Deviation] = []
    slopes: list[Deviation] = []
    broken = ""
    for case, layout in members:
        try:
            off, steep = _operation(backend, operations.trial(case, layout))
        except Exception as error:  # a backend under test may raise anything
            broken = broken or f"{case.name}: {reason(error)}"
            continue
        values.append(Deviation(case.name, off))
        slopes.append(Deviation(case.name, steep))
    return values, slopes, broken


def _operation(backend: Backend, trial: operations.Trial) -> tuple[float, float]:
    """How far values and gradients are off. Outputs come with the gradient: a compiler runs once for both."""
    simulator = backend.load(Bound(trial.module, {}, {}, {}), Options(dtype="float64"))
    layout, functions = trial.module.layout, trial.module.functions
    wanted = {name: run(function, trial.inputs, layout=layout) for name, function in functions.items()}
    if not trial.wrt:
        return apart(simulator.call("value", trial.inputs), wanted["value"]), 0.0
    outputs, found = simulator.value_and_grad("value", trial.inputs, trial.wrt)
    off = max(apart(outputs, wanted["value"]), apart(simulator.call("pullback", trial.inputs), wanted["pullback"]))
    zeros = {name: np.zeros_like(trial.inputs[name]) for name in trial.wrt}
    return off, apart(found, {name: wanted["pullback"].get(f"d{name}", zeros[name]) for name in trial.wrt})


def loop_rows(backend: Backend, everything: bool = True) -> Iterator[Row]:
    """Values and gradients of every kind of loop under every save policy and nesting, a row a kind; gradients take turns.

    Not `everything`: the plans take turns too, so that each kind of loop meets half of them, and each plan half of the kinds.
    """
    kinds = ("native", "ir")
    for turn, program in enumerate(loops.PROGRAMS):
        start = perf_counter()
        values: list[Deviation] = []
        slopes: list[Deviation] = []
        broken = ""
        for place, (_, plan, layout) in enumerate(one for one in loops.matrix() if one[0] == program):
            if not everything and (turn + place // 2) % 2:
                continue
            try:
                module = loops.module(program, plan, layout)
                inputs = loops.arrays(module.layout, STEPS)
                wanted = run(module.functions["f_value_and_grad"], inputs, {"time": STEPS}, module.layout)
                options = Options(dtype="float64", gradient=kinds[place % 2])
                simulator = backend.load(Bound(module, {"time": STEPS}, {}, {}), options)
                outputs, found = simulator.value_and_grad("f", inputs, loops.WRT)
            except Exception as error:  # a backend under test may raise anything
                broken = broken or f"{plan}: {reason(error)}"
                continue
            values.append(Deviation(plan, apart(outputs, {name: wanted[name] for name in outputs})))
            slopes.append(Deviation(plan, apart(found, {name: wanted[f"grad:{name}"] for name in loops.WRT})))
        about = "every plan" if everything else "half the plans"
        yield from _rows(backend, f"loops: {program}", about, values, slopes, broken, perf_counter() - start)


def apart(found: Mapping[str, Array], wanted: Mapping[str, Array]) -> float:
    """The largest difference, relative to the largest value of an array or to 1. Infinite for another shape or a NaN too many,
    and where numbers that are no floats differ at all.
    """
    return max((_apart(found[name], array) for name, array in wanted.items()), default=0.0)


def _apart(found: Array, wanted: Array) -> float:
    if found.shape != wanted.shape or found.dtype.kind != wanted.dtype.kind:
        return np.inf
    if wanted.dtype.kind != "f":
        return 0.0 if np.array_equal(found, wanted) else np.inf
    off = float(np.max(np.abs(found - wanted), initial=0.0)) / max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
    return off if np.isfinite(off) else np.inf


def _rows(
    backend: Backend,
    case: str,
    setting: str,
    values: list[Deviation],
    slopes: list[Deviation],
    broken: str,
    seconds: float,
) -> Iterator[Row]:
    if broken:
        yield judged(Row(case, setting, "values", np.inf, STATES_BOUND, verdict="failed", note=broken), backend.name)
    else:
        off, steep = worst(values), worst(slopes)
        yield judged(Row(case, setting, "values", off.error, STATES_BOUND, off.name, seconds=seconds), backend.name)
        yield judged(Row(case, setting, "gradients", steep.error, GRADIENTS_BOUND, steep.name), backend.name)
