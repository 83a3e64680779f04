"""Measured connectomes: `use connectome` brings their file formats and the topology of trained weights."""

from cortexspec.contracts.plugin import Plugin
from cortexspec_connectome.formats import DATA_FILES
from cortexspec_connectome.topology import STATISTICS

plugin = Plugin("connectome", entries=(*STATISTICS, *DATA_FILES))

__all__ = ["DATA_FILES", "STATISTICS", "plugin"]
