"""`read = new`: a source is read as it is after its own step, within the step of its target."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from cortexspec.analysis.model import Model, Projection
from cortexspec.contracts.operand import Operand
from cortexspec.contracts.translate import translate
from cortexspec.expressions.tree import Expression
from cortexspec.ir.ops import write
from cortexspec.lowering.depends import references
from cortexspec.lowering.frame import STEP_NUMBER, Frame, Here, Unwritten


@contextmanager
def after_update(frame: Frame, projection: Projection) -> Generator[None]:
    """Inside, states of the populations that the source reads have their new values, and what depends on them follows.

    What arrived at those populations is that of this step still.
    Raises: Unwritten after CS700, for a source that has differential equations.
    """
    renewed: dict[str, Operand] = {}
    read = _read(frame.model, projection)
    for population in frame.model.populations:
        if read.isdisjoint(population.states):
            continue
        if population.equations:
            raise frame.stop(
                "CS700",
                f"`read = new` of `{population.path}`, which has differential equations, is not supported yet",
                projection.span,
            )
        for one in population.updates:
            renewed[one.state] = new_state(frame, one.state)
    arrived = {port: frame.read(port) for one in frame.model.populations for port in one.ports if port in read}
    before = frame.known
    kept = {path: value for path, value in before.items() if not _follows(frame.model, path, renewed)}
    frame.known = {**kept, **arrived, **renewed}
    try:
        yield
    finally:
        frame.known = before


def new_state(frame: Frame, state: str) -> Operand:
    """The value of a state's `<-`, written once. Raises: Unwritten."""
    key = f"new {state}"
    if key not in frame.known:
        update = next(one for population in frame.model.populations for one in population.updates if one.state == state)
        new = frame.translated(frame.model.variables[state], update.value)
        frame.known[key] = new if update.every is None else _when_due(frame, state, update.every, new)
    return frame.known[key]


def _when_due(frame: Frame, state: str, interval: Expression, new: Operand) -> Operand:
    """The new value at every step that is a multiple of the interval, the first one among them; else the old one."""
    build, variable = frame.build, frame.model.variables[state]
    period = translate(interval, Here(frame, variable.around, variable), build)
    if period is None:
        raise Unwritten
    steps = write.cast(build, write.round(build, write.div(build, period.value, frame.read("dt").value)), "int")
    past = write.mod(build, frame.input(STEP_NUMBER), steps)
    due = write.eq(build, past, write.zero_like(build, past))
    old = frame.input(frame.declared.states[state].value)
    return frame.whole(variable, write.where(build, due, frame.spread(state, new), old))


def _read(model: Model, projection: Projection) -> set[str]:
    """The variables that a source reads, directly or through others or a group's members: states and ports are ends."""
    ends = {path for population in model.populations for path in (*population.states, *population.ports)}
    found: set[str] = set()
    queue = references(projection.source)
    while queue:
        path = queue.pop()
        if path in found:
            continue
        found.add(path)
        queue += _members(model, path)
        variable = model.variables.get(path)
        for expression in (variable.value, variable.draw) if variable is not None and path not in ends else ():
            queue += references(expression) if expression is not None else []
    return found


def _members(model: Model, path: str) -> list[str]:
    """What a path of a group stands for."""
    for group in model.groups:
        if path == group.path or path.startswith(f"{group.path}."):
            return [member + path.removeprefix(group.path) for member in group.members]
    return []


def _follows(model: Model, path: str, states: dict[str, Operand]) -> bool:
    """Whether what is known under a path reads one of the states. What is no variable (a group, what a projection delivers) may."""
    seen: set[str] = set()
    queue = [path]
    while queue:
        one = queue.pop()
        if one in states:
            return True
        variable = model.variables.get(one)
        if variable is None and not one.startswith("new "):
            return True
        if variable is None or one in seen or variable.kind == "state":
            continue
        seen.add(one)
        for expression in (variable.value, variable.draw):
            queue += references(expression) if expression is not None else []
    return False
