"""Spec to Model: what was written becomes one circuit with names, units and axes resolved, or every mistake at once."""
