"""Cognitive tasks as data sets: `use tasks`, then `dataset = go_nogo()`."""

from cortexspec.contracts.plugin import Plugin
from cortexspec_tasks.entries import DATASETS

plugin = Plugin("tasks", entries=DATASETS)

__all__ = ["DATASETS", "plugin"]
