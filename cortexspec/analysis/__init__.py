"""Spec to Model: every mistake of a circuit in one run."""
