"""What a circuit starts with: sizes, drawn wiring, start values. A circuit that lost populations keeps the draws of the whole one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cortexspec.analysis.model import DataArray, Group, Model
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.module import Module
from cortexspec.ir.op import Array
from cortexspec.lowering.declarations import WIRING_SEED
from cortexspec.lowering.delays import delayed, slots_of
from cortexspec.lowering.edges import has_edges, source_path
from cortexspec.lowering.whole import shrinks
from cortexspec.runtime.bind import Arrays, bind_sizes, start_arrays
from cortexspec.runtime.compile import lowered
from cortexspec.runtime.delays import rounded_delays
from cortexspec.runtime.wiring import Edges, Stretch, kept_edges, neurons_of, without_edges


@dataclass(frozen=True, slots=True)
class Started:
    """`sizes` with those that the wiring tells, and the start values and buffers for one seed."""

    sizes: dict[str, int]
    arrays: Arrays
    edges: Edges


def started(
    model: Model,
    module: Module,
    sizes: Mapping[str, int],
    seed: int,
    sources: Mapping[str, str] | None = None,
    dt: float | None = None,
    *,
    wired: bool = True,
) -> Started:
    """`sizes` are those that the caller knows (data), `seed` is that of the wiring, `dt` what delays are rounded to.

    Without `wired` nothing is drawn: each projection that would be has no connection.

    Raises: SpecError as `bind_sizes`, `drawn_edges` and `rounded_delays` do.
    """
    known = bind_sizes(module, sizes, later=[slots_of(projection) for projection in delayed(model)])
    if not wired:
        edges, given = without_edges(model), dict[str, Array]()
    elif model.whole is None:
        edges, given = kept_edges(model, module, known, seed, sources), dict[str, Array]()
    else:
        edges, given = _of_the_whole(model, module, known, sizes, seed, sources, dt)
    known |= edges.sizes
    given |= {WIRING_SEED.name: np.array(seed)}
    given |= {path: in_name_order(one) for path, one in model.data.items()}
    late = rounded_delays(model, module, known, {"seed": np.array(seed), **edges.arrays, **given}, dt, sources)
    known |= late.sizes
    given |= late.arrays
    return Started(known, start_arrays(module, known, seed, {**edges.arrays, **given}), edges)


def in_name_order(one: DataArray) -> Array:
    """The array with its axes in the order of a layout without trials: by name."""
    return one.array.transpose([one.axes.index(name) for name in sorted(one.axes)])


def _of_the_whole(
    model: Model,
    module: Module,
    sizes: Mapping[str, int],
    given: Mapping[str, int],
    seed: int,
    sources: Mapping[str, str] | None,
    dt: float | None,
) -> tuple[Edges, dict[str, Array]]:
    """The connections that are left of the whole circuit's, and the drawn values of those variables that lost elements."""
    whole = model.whole
    assert whole is not None
    shrunk = [path for path, variable in model.variables.items() if variable.draw is not None and shrinks(model, path)]
    if not shrunk and not any(_loses(model, sizes, one.path) for one in model.projections if has_edges(model, one)):
        return kept_edges(model, module, sizes, seed, sources), {}
    before = started(whole, lowered(whole, sources=sources), {**whole.sizes, **given}, seed, sources, dt)
    found = Edges()
    kept: dict[str, Array] = {}
    for projection in model.projections:
        if has_edges(model, projection):
            kept[projection.path] = _keep(model, projection.path, before, sizes, found)
    arrays = {**before.arrays.natural, **before.arrays.buffers}
    return found, {path: _cut(model, path, arrays[path], kept, sizes) for path in shrunk if path in arrays}


def _sides(model: Model, path: str, sizes: Mapping[str, int]) -> tuple[list[Stretch], list[Stretch]]:
    projection = next(one for one in model.projections if one.path == path)
    return neurons_of(model, projection.target, sizes), neurons_of(model, source_path(projection), sizes)


def _loses(model: Model, sizes: Mapping[str, int], path: str) -> bool:
    """Whether a projection has fewer sources or targets than in the whole circuit."""
    whole = model.whole
    assert whole is not None
    return any(one.path == path for one in whole.projections) and _sides(model, path, sizes) != _sides(
        whole, path, {**whole.sizes, **sizes}
    )


def _keep(model: Model, path: str, before: Started, sizes: Mapping[str, int], found: Edges) -> Array:
    """Enters the connections both of whose ends are left; gives which of the whole's they are."""
    whole = model.whole
    assert whole is not None
    ends: list[Array] = []
    for side, now, then in zip(
        ("post", "pre"), _sides(model, path, sizes), _sides(whole, path, before.sizes), strict=True
    ):
        places = {(owner, i): place for place, (owner, i) in enumerate(_each(now))}
        moved = np.array([places.get(one, -1) for one in _each(then)], np.int64)
        ends.append(moved[before.edges.arrays[f"{path}.{side}"]])
    post, pre = ends
    left = np.flatnonzero((post >= 0) & (pre >= 0))
    left = left[np.lexsort((post[left], pre[left]))]
    found.arrays[f"{path}.pre"], found.arrays[f"{path}.post"] = pre[left], post[left]
    found.sizes[f"{path}.edges"] = len(left)
    if f"{path}.place" in before.edges.arrays:
        found.arrays[f"{path}.place"] = before.edges.arrays[f"{path}.place"][left]
    return left


def _each(neurons: list[Stretch]) -> list[tuple[str, int]]:
    return [(one.owner, i) for one in neurons for i in range(one.size)]


def _cut(model: Model, path: str, array: Array, kept: Mapping[str, Array], sizes: Mapping[str, int]) -> Array:
    """A drawn array of the whole circuit without what was removed. Axes are in the order of a layout without trials: by name."""
    whole, variable = model.whole, model.variables[path]
    assert whole is not None
    for place, name in enumerate(sorted(variable.type.names)):
        axis = variable.type.axis(name)
        if axis.role == "edge":
            array = array.take(kept[name.removesuffix(".edge")], axis=place)
            continue
        stem = name.removesuffix("_target").removesuffix("_source")
        for now in model.groups:
            then = next((one for one in whole.groups if one.path == now.path), now)
            if now.members != then.members and stem in (now.axis, now.table_axis):
                array = array.take(_places(whole, then, now, {**whole.sizes, **sizes}, stem), axis=place)
    wanted = tuple(
        variable.type.axis(name).size.evaluate({**sizes, **_edge_sizes(kept)}) for name in sorted(variable.type.names)
    )
    if array.shape != wanted:
        message = f"`{path}` is drawn before a population is removed; cutting it to what is left is not supported yet"
        raise SpecError([Diagnostic("CS700", message, variable.span)])
    return array


def _edge_sizes(kept: Mapping[str, Array]) -> dict[str, int]:
    return {f"{path}.edges": len(places) for path, places in kept.items()}


def _places(whole: Model, then: Group, now: Group, sizes: Mapping[str, int], stem: str) -> Array:
    """Which elements along a group's axis are left: of the members themselves, or of their neurons."""
    if stem == then.table_axis and stem != then.axis:
        return np.array([then.members.index(member) for member in now.members])
    starts: dict[str, range] = {}
    place = 0
    for member in then.members:
        size = _length(whole, member, sizes)
        starts[member] = range(place, place + size)
        place += size
    return np.array([i for member in now.members for i in starts[member]], np.int64)


def _length(model: Model, member: str, sizes: Mapping[str, int]) -> int:
    """How many elements a member has along its group's axis."""
    for population in model.populations:
        if population.path == member:
            path = next(iter((*population.states, *population.outputs, *population.params)))
            return model.variables[path].type.axis(population.axis).size.evaluate(sizes)
    variable = model.variables[member]
    return variable.type.axis((variable.axes_written or tuple(variable.type.names))[-1]).size.evaluate(sizes)
