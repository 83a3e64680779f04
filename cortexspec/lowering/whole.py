"""Circuits that lost populations: which of their draws are those of the whole circuit, cut to what is left."""

from __future__ import annotations

from cortexspec.analysis.model import Model


def shrinks(model: Model, path: str) -> bool:
    """Whether a variable has fewer elements than in the whole circuit, along the axis of a group or of drawn connections."""
    whole = model.whole
    if whole is None or path not in whole.variables:
        return False
    members = {group.path: group.members for group in whole.groups}
    lost = {
        axis
        for group in model.groups
        if members.get(group.path) != group.members
        for axis in (group.axis, group.table_axis)
    }
    ends = {one.path: {one.target, *one.source_axes, *one.target_axes} for one in model.projections}
    for axis in model.variables[path].type.axes:
        if axis.name.removesuffix("_target").removesuffix("_source") in lost:
            return True
        if axis.role == "edge" and lost & ends.get(axis.name.removesuffix(".edge"), set()):
            return True
    return False
