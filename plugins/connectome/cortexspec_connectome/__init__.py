"""Measured connectomes: `use connectome` brings their file formats and the topology of trained weights."""

from cortexspec.contracts.plugin import Plugin
from cortexspec_connectome.topology import STATISTICS

plugin = Plugin("connectome", entries=STATISTICS)

__all__ = ["STATISTICS", "plugin"]
