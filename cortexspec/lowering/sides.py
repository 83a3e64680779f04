"""The axes of what a projection reads or ends at: those of a variable, or of a group."""

from __future__ import annotations

from collections.abc import Sequence

from cortexspec.analysis.model import Group, Model, Variable
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis


def written_axes(variable: Variable) -> tuple[str, ...]:
    """The public order of a variable's axes; by name where the order was not kept."""
    return variable.axes_written or tuple(axis.name for axis in variable.type.axes)


def group_of(model: Model, path: str) -> tuple[Group, str]:
    """The group and what is read of its members. Raises: KeyError."""
    groups = {group.path: group for group in model.groups}
    owner, rest = path, ""
    while owner:
        if owner in groups:
            return groups[owner], rest
        owner, _, more = owner.rpartition(".")
        rest = f"{more}.{rest}" if rest else more
    raise KeyError(path)


def variable_of(model: Model, member: str, rest: str) -> Variable:
    return model.variables[f"{member}.{rest}" if rest else member]


def member_axis(model: Model, member: str, rest: str) -> Axis:
    """The axis of a member that is joined: its population's, or the last one of a variable."""
    variable = variable_of(model, member, rest)
    for population in model.populations:
        if population.path == member:
            return next(
                model.variables[path].type.axis(population.axis)
                for path in (*population.states, *population.outputs, *population.params)
                if model.variables[path].type.has(population.axis)
            )
    return variable.type.axis(written_axes(variable)[-1])


def side_axes(model: Model, path: str, names: Sequence[str]) -> tuple[Axis, ...]:
    """The axes by these names, in their order."""
    if path in model.variables:
        type_ = model.variables[path].type
        return tuple(type_.axis(name) for name in names)
    group, rest = group_of(model, path)
    first = variable_of(model, group.members[0], rest).type
    total = Size.of(0)
    for member in group.members:
        total = total + member_axis(model, member, rest).size
    joined = Axis(group.axis, total)
    return tuple(joined if name == group.axis else first.axis(name) for name in names)
